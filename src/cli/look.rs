//! The commands that look and don't talk: `inspect` and `debug`. Here is only
//! reading, writing and the status.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use super::args::{
    BackendName, Format, InspectArgs, LogitsArgs, ParseArgs, RenderArgs, RunArgs, Skip,
};
use super::chosen::{Chosen, Project};
use super::debug_chat::{self, RenderOutput};
use super::{debug_logits, fail, inspect};
use crate::agent::Exit;
use crate::backend::cpu::{CpuOptions, Precision};
use crate::backend::{KvDtype, SkipMode};
use crate::bundle::{self, Bundle};
use crate::chat::{Renderer, Start};
use crate::model;

/// Most bytes read from stdin or from a schema.
const MOST_INPUT: u64 = 64 << 20;

pub fn inspect(args: &InspectArgs, outer: RunArgs) -> Exit {
    let run = RunArgs {
        model: args.dir.clone().or(outer.model),
        ..outer
    };
    let chosen = Chosen::of(&run, Project::None).and_then(|chosen| chosen.model());
    let model = match chosen {
        Ok(model) => model,
        Err(failure) => return fail(failure.exit(), &failure.message),
    };
    let format = match args.json {
        true => inspect::Format::Json,
        false => inspect::Format::Text,
    };
    match inspect::run(model.as_deref(), format) {
        Ok(text) => print(&text),
        Err(error) => fail(Exit::Bundle, &error.to_string()),
    }
}

pub fn logits(args: &LogitsArgs) -> Exit {
    let options = debug_logits::Options {
        model: args.model.clone(),
        tokens: args.tokens.clone(),
        chunk: args.chunk,
        decode_from: args.decode_from,
        kv: match args.f32_cache {
            true => KvDtype::F32,
            false => KvDtype::default(),
        },
        skip: match args.skip {
            Some(Skip::Zero) => SkipMode::Zero,
            Some(Skip::Scaled) => SkipMode::ScaledInput,
            None => SkipMode::default(),
        },
        cpu: CpuOptions {
            threads: args.threads.unwrap_or(0),
            precision: match args.fast {
                true => Precision::Fast,
                false => Precision::F32,
            },
            instructions: args.instructions.map(Into::into),
            ..CpuOptions::default()
        },
        backend: BackendName::chosen(args.backend),
        out: args.out.clone(),
    };
    match debug_logits::run(&options) {
        Ok(()) => Exit::Done,
        Err(error) => fail(status(&error), &format!("{error:#}")),
    }
}

/// What kind of failure an error is.
fn status(error: &anyhow::Error) -> Exit {
    if error.is::<bundle::Error>() {
        Exit::Bundle
    } else if error.is::<model::Error>()
        || matches!(error.downcast_ref(), Some(model::LoadError::NoMlx))
    {
        Exit::Usage
    } else {
        Exit::Internal
    }
}

pub fn render(args: &RenderArgs) -> Exit {
    let input = match stdin() {
        Ok(input) => input,
        Err(exit) => return exit,
    };
    let bundle = match Bundle::open(&args.model) {
        Ok(bundle) => bundle,
        Err(error) => return fail(Exit::Bundle, &error.to_string()),
    };
    let output = match args.ids {
        true => RenderOutput::Ids,
        false => RenderOutput::Text,
    };
    let renderer = match Renderer::for_bundle(&bundle) {
        Ok(renderer) => renderer,
        Err(error) => return fail(Exit::Bundle, &error.to_string()),
    };
    match debug_chat::render(&input, &bundle, &renderer, output) {
        Ok(text) => print(&text),
        Err(error) => fail(Exit::Usage, &format!("{error:#}")),
    }
}

pub fn parse(args: &ParseArgs) -> Exit {
    let schema = match args.schema.as_deref().map(read_file).transpose() {
        Ok(schema) => schema,
        Err(exit) => return exit,
    };
    let text = match stdin() {
        Ok(text) => text,
        Err(exit) => return exit,
    };
    let start = match args.thinking {
        true => Start::Reasoning,
        false => Start::Content,
    };
    let format = match args.format {
        Format::ZayaXml => "zaya_xml",
    };
    match debug_chat::parse(&text, format, schema.as_deref(), start) {
        Ok(lines) => print(
            &lines
                .into_iter()
                .map(|line| line + "\n")
                .collect::<String>(),
        ),
        Err(error) => fail(Exit::Usage, &format!("{error:#}")),
    }
}

fn stdin() -> Result<String, Exit> {
    read(&"stdin", io::stdin().lock())
}

fn read_file(path: &Path) -> Result<String, Exit> {
    let place = path.display();
    let file = std::fs::File::open(path).map_err(|e| refuse(&place, e))?;
    read(&place, file)
}

fn read(place: &impl Display, source: impl Read) -> Result<String, Exit> {
    let mut bytes = Vec::new();
    source
        .take(MOST_INPUT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| refuse(place, e))?;
    if bytes.len() as u64 > MOST_INPUT {
        return Err(refuse(place, format!("more than {MOST_INPUT} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn refuse(place: &impl Display, problem: impl Display) -> Exit {
    fail(Exit::Usage, &format!("{place}: {problem}"))
}

/// A reader that went away is no failure.
pub(super) fn print(text: &str) -> Exit {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => fail(Exit::Internal, &format!("stdout: {error}")),
    }
}

/// A line on stderr.
pub(super) fn note(line: &str) {
    let line = crate::sandbox::sanitize::for_line(line);
    // Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "cairn: {line}");
}

/// How long ago something was used, for a table.
pub(super) fn age(used: SystemTime) -> String {
    let seconds = used.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..60 => "now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
