//! `cairn bench`: how fast a bundle runs here, as a share of what the memory of
//! this machine allows. Reading the weights is the limit of decode, so a plain
//! read of memory is measured between its runs and printed beside it.

pub mod machine;
mod report;
mod runs;
mod samples;
mod text;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use super::args::{BenchArgs, RunArgs};
use super::chosen::{Chosen, Project};
use super::folders;
use super::look::print;
use super::setup::Failure;
use super::signals::{self, Manner};
use super::{demo, fail};
use crate::agent::present::Style;
use crate::agent::{Exit, Reason, Stop};
use crate::backend::available_memory;
use crate::backend::cpu::{CpuOptions, read_roof};
use crate::bundle::Bundle;
use crate::model::{self, BackendKind, Engine, LoadError, LoadOptions};
use machine::Machine;
use report::{Loading, Setting};
use runs::{Feed, Plan, Runner};

/// Tokens that between them meet nearly every expert often enough.
const WARM: usize = 512;

/// What the roof is measured on, and what must remain besides.
const ROOF_BYTES: u64 = 2 << 30;
const RESERVE: u64 = 512 << 20;
const LEAST_ROOF: u64 = 64 << 20;

pub fn run(args: &BenchArgs, outer: RunArgs) -> Exit {
    // Nothing is running that would have to be closed: Ctrl-C just leaves.
    if let Err(message) = signals::install(Stop::default(), Manner::Script) {
        return fail(Exit::Internal, &message);
    }
    match measured(args, outer) {
        Ok(text) => print(&text),
        Err(failure) => fail(failure.exit(), &failure.message),
    }
}

/// The report as it is printed.
fn measured(args: &BenchArgs, outer: RunArgs) -> Result<String, Failure> {
    let run = RunArgs {
        model: args.model.clone().or(outer.model),
        threads: args.threads.or(outer.threads),
        backend: args.backend.or(outer.backend),
        ..outer
    };
    let chosen = Chosen::of(&run, Project::None)?;
    let dir = chosen.model()?;
    let options = LoadOptions {
        backend: chosen.backend(),
        cpu: CpuOptions {
            threads: chosen.settings.threads().unwrap_or(0),
            instructions: args.instructions.map(Into::into),
            ..CpuOptions::default()
        },
        cache: folders::cache(),
        ..LoadOptions::default()
    };
    let machine = Machine::here();
    let mut progress = Lines::new();
    progress.say("reading the files once");
    if let Some(dir) = &dir {
        warm(dir);
    }
    progress.say("loading");
    let (bundle, engine, loading) = load(dir.as_deref(), &options)?;
    let mut notices = engine.info().notices.clone();
    let plan = plan(args, &bundle, &mut notices)?;
    let roof_bytes = roof_bytes(available_memory(), &mut notices);
    progress.say("filling memory");
    let roof = read_roof(&options.cpu, roof_bytes as usize)
        .map_err(|e| Failure::new(Reason::Failed, format!("the roof can't be measured: {e}")))?;
    let setting = Setting {
        model: bundle.name.clone(),
        backend: engine.info().backend.clone(),
        threads: roof.threads(),
        roof_bytes: roof.bytes(),
        machine,
        plan: plan.clone(),
        vocab: engine.info().vocab,
        notices,
    };
    let feed = match options.backend {
        BackendKind::Cpu => Feed::Drawn,
        // Starting a step ahead needs to guess what it will be asked.
        BackendKind::Mlx => Feed::Sampled,
    };
    let mut say = |line: &str| progress.say(line);
    let runner = Runner::new(&*engine, roof, plan, feed, &mut say)
        .ok_or_else(|| Failure::new(Reason::Failed, "this engine can't be measured"))?;
    let results = runner
        .run()
        .map_err(|e| Failure::new(Reason::Failed, e.to_string()))?;
    drop(progress);
    let report = report::Report::new(setting, loading, &results);
    Ok(match args.json {
        true => report.json(),
        false => text::text(&report),
    })
}

/// Contexts and batches that the model can have.
fn plan(args: &BenchArgs, bundle: &Bundle, notices: &mut Vec<String>) -> Result<Plan, Failure> {
    let limit = bundle.context;
    let refuse = |flag: &str, wanted: usize| {
        let message = format!("{flag} {wanted} is more than the model's context of {limit} tokens");
        Err(Failure::new(Reason::Usage, message))
    };
    if args.prompt > limit {
        return refuse("--prompt", args.prompt);
    }
    if args.generate >= limit {
        return refuse("--gen", args.generate);
    }
    // One step warms up.
    let room = limit - args.generate - 1;
    let (contexts, beyond): (Vec<usize>, Vec<usize>) =
        args.context.iter().partition(|&&context| context <= room);
    for context in beyond {
        notices.push(format!(
            "context {context} is left out: with {} tokens more it is beyond the model's {limit}",
            args.generate
        ));
    }
    if contexts.is_empty() {
        let message = format!(
            "--context: none fits; with --gen {} at most {room} fit the model's {limit} tokens",
            args.generate
        );
        return Err(Failure::new(Reason::Usage, message));
    }
    Ok(Plan {
        prompt: args.prompt,
        warm: WARM.min(limit),
        generate: args.generate,
        contexts,
        batches: args.batch.clone(),
        repeats: args.repeats,
    })
}

/// How much memory to read: what was planned, or what is there.
fn roof_bytes(available: Option<u64>, notices: &mut Vec<String>) -> u64 {
    match available {
        Some(available) if available < ROOF_BYTES + RESERVE => {
            let bytes = (available / 2).clamp(LEAST_ROOF, ROOF_BYTES);
            notices.push(format!(
                "memory is short: the roof is measured on {} MB instead of {} MB",
                bytes / 1_000_000,
                ROOF_BYTES / 1_000_000
            ));
            bytes
        }
        _ => ROOF_BYTES,
    }
}

/// How often the bundle is loaded: the first time memory has to come from the
/// system, which may take it from others first.
const LOADS: usize = 3;

/// Loads several times, and keeps the last engine and the medians of the times.
fn load(
    dir: Option<&Path>,
    options: &LoadOptions,
) -> Result<(Bundle, Box<dyn Engine>, Loading), Failure> {
    let mut times = Vec::with_capacity(LOADS);
    for _ in 1..LOADS {
        let (_, _, loading) = load_once(dir, options)?;
        times.push(loading);
    }
    let (bundle, engine, loading) = load_once(dir, options)?;
    times.push(loading);
    let median = |time: fn(&Loading) -> f64| {
        let mut all: Vec<f64> = times.iter().map(time).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let loading = Loading {
        load_s: median(|l| l.load_s),
        ttft_s: median(|l| l.ttft_s),
    };
    Ok((bundle, engine, loading))
}

/// Opens and loads, and runs a short prompt to its first token.
fn load_once(
    dir: Option<&Path>,
    options: &LoadOptions,
) -> Result<(Bundle, Box<dyn Engine>, Loading), Failure> {
    let start = Instant::now();
    let bundle = match dir {
        Some(dir) => Bundle::open(dir),
        None => Bundle::embedded(demo::NAME, &demo::FILES),
    };
    let bundle = bundle.map_err(|e| Failure::new(Reason::Bundle, e.to_string()))?;
    let engine = model::load(&bundle, options).map_err(|e| {
        let reason = match e {
            LoadError::NoMlx => Reason::Usage,
            LoadError::Start { .. } => Reason::Failed,
        };
        Failure::new(reason, e.to_string())
    })?;
    engine.adopt_thread();
    let load_s = start.elapsed().as_secs_f64();
    runs::first_token(&*engine).map_err(|e| Failure::new(Reason::Failed, e.to_string()))?;
    let ttft_s = start.elapsed().as_secs_f64();
    let loading = Loading { load_s, ttft_s };
    Ok((bundle, engine, loading))
}

/// Reads every file, so that loading finds them in the page cache. What can't be
/// read is for loading to complain about.
fn warm(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.metadata().is_ok_and(|data| data.is_file())
            && let Ok(mut file) = std::fs::File::open(entry.path())
        {
            let _ = io::copy(&mut file, &mut io::sink());
        }
    }
}

/// What is being done, on stderr: one line that changes, or a line each.
struct Lines {
    style: Style,
}

impl Lines {
    fn new() -> Self {
        Self {
            style: Style::of(&io::stderr()),
        }
    }

    fn say(&mut self, line: &str) {
        match self.style {
            Style::Ansi => write(&format!("\r\x1b[2Kbench: {line} ...")),
            Style::Plain => write(&format!("bench: {line}\n")),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.style == Style::Ansi {
            write("\r\x1b[2K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    // Without stderr there is nobody to tell.
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roof_takes_what_is_there() {
        let mut notices = Vec::new();
        assert_eq!(roof_bytes(None, &mut notices), ROOF_BYTES);
        assert_eq!(roof_bytes(Some(8 << 30), &mut notices), ROOF_BYTES);
        assert_eq!(notices, Vec::<String>::new());
        assert_eq!(roof_bytes(Some(1 << 30), &mut notices), 512 << 20);
        assert_eq!(notices.len(), 1);
        assert_eq!(roof_bytes(Some(0), &mut notices), LEAST_ROOF);
    }
}
