//! Opens a bundle and runs it in a process of its own, so that time and memory
//! are that bundle's alone. Hidden behind `cargo xtask probe`; the long checks
//! start it and read its one line of JSON.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cairn::backend::SampleSpec;
use cairn::backend::cpu::{CpuOptions, HeadMode};
use cairn::bundle::Bundle;
use cairn::model::{LoadOptions, StepRow};
use serde::{Deserialize, Serialize};

#[derive(clap::Args)]
pub struct Args {
    model: PathBuf,
    /// Tokens in the cache at the end, prompt and generated ones together
    #[arg(long)]
    context: usize,
    /// Tokens of those to generate
    #[arg(long)]
    generate: usize,
    /// Compute all logits of every token
    #[arg(long)]
    full_head: bool,
    /// Threads; 0 for one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    /// Opening the bundle when its files are in the page cache.
    pub open_seconds: f64,
    /// From the opened bundle to an engine.
    pub load_seconds: f64,
    pub prefill_seconds: f64,
    pub generate_seconds: f64,
    /// Bytes of the weights as the engine holds them.
    pub weight_bytes: u64,
    /// Most memory at any time that is neither a mapped file's nor weights'; 0
    /// where the system does not say.
    pub beyond_bytes: u64,
    /// All memory at the end, mapped files as well; 0 where the system does not
    /// say.
    pub resident_bytes: u64,
    /// Every log-probability was finite.
    pub finite: bool,
    /// Mean over the layers of the share of the generated tokens that went to
    /// the layer's most chosen expert.
    pub busiest_expert: f64,
    /// Different experts chosen, mean over the layers.
    pub experts_used: f64,
    /// Tokens for which the head was computed in full, and rows of it that were
    /// computed exactly for each of the others.
    pub full_passes: u64,
    pub exact_rows: f64,
}

pub fn run(args: &Args) -> Result<()> {
    let report = measure(args)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn measure(args: &Args) -> Result<Report> {
    let Some(prompt) = args.context.checked_sub(args.generate).filter(|n| *n > 0) else {
        bail!("--context must be larger than --generate");
    };
    warm(&args.model)?;
    let memory = MemoryWatch::start();
    let start = Instant::now();
    let bundle = Bundle::open(&args.model)?;
    let open_seconds = start.elapsed().as_secs_f64();

    let options = LoadOptions {
        cpu: CpuOptions {
            threads: args.threads,
            head: match args.full_head {
                true => HeadMode::Full,
                false => HeadMode::Screened,
            },
            ..CpuOptions::default()
        },
        ..LoadOptions::default()
    };
    let start = Instant::now();
    let engine = cairn::model::load(&bundle, &options)?;
    let load_seconds = start.elapsed().as_secs_f64();
    let weight_bytes = engine.measure().map_or(0, |m| m.traffic().weights());
    let vocab = engine.info().vocab;
    // Ordinary tokens, spread over the vocabulary.
    let ids: Vec<u32> = (0..prompt)
        .map(|i| (1000 + i * 7919) % vocab)
        .map(|id| id as u32)
        .collect();
    let mut cache = engine.new_cache();
    let start = Instant::now();
    let outcome = engine.prefill(&mut cache, &ids[..prompt - 1], &mut |_, _| {
        ControlFlow::Continue(())
    });
    if outcome?.is_break() {
        bail!("prefill stopped by itself");
    }
    let prefill_seconds = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let mut token = ids[prompt - 1];
    let (mut routes, mut finite) = (Vec::new(), true);
    for _ in 0..args.generate {
        let spec = SampleSpec::default();
        let mut steps = engine.step(&mut [StepRow {
            cache: &mut cache,
            token,
            spec,
        }])?;
        let step = steps.pop().context("a step gave nothing")?;
        finite &= step.stats.logprob.is_finite() && step.stats.entropy.is_finite();
        token = step.stats.id;
        routes.push(step.routes);
    }
    let (busiest_expert, experts_used) = spread(&routes, engine.info().experts);
    let head = engine.head_audit().unwrap_or_default();
    Ok(Report {
        open_seconds,
        load_seconds,
        prefill_seconds,
        generate_seconds: start.elapsed().as_secs_f64(),
        weight_bytes,
        beyond_bytes: memory.stop().saturating_sub(weight_bytes),
        resident_bytes: resident_bytes().unwrap_or(0),
        finite,
        busiest_expert,
        experts_used,
        full_passes: head.full_passes,
        exact_rows: head.rows_computed as f64 / (head.tokens - head.full_passes).max(1) as f64,
    })
}

/// Reads every file once, so that opening finds them in the page cache.
fn warm(folder: &Path) -> Result<()> {
    let place = || folder.display().to_string();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let path = entry.with_context(place)?.path();
        let mut file = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
        std::io::copy(&mut file, &mut std::io::sink())?;
    }
    Ok(())
}

/// Share of the most chosen expert and number of chosen experts, each the mean
/// over the layers. `routes` holds one choice per layer for each token.
fn spread(routes: &[Vec<u16>], experts: usize) -> (f64, f64) {
    let layers = routes.first().map_or(0, Vec::len);
    let (mut busiest, mut used) = (0.0, 0.0);
    for layer in 0..layers {
        let mut counts = vec![0usize; experts + 1];
        for route in routes {
            counts[usize::from(route[layer]).min(experts)] += 1;
        }
        let most = counts.iter().max().copied().unwrap_or(0);
        busiest += most as f64 / routes.len() as f64;
        used += counts.iter().filter(|count| **count > 0).count() as f64;
    }
    let layers = layers.max(1) as f64;
    (busiest / layers, used / layers)
}

/// Watches the memory that is the process's own from a thread of its own.
struct MemoryWatch {
    peak: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl MemoryWatch {
    fn start() -> Self {
        let (peak, done) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let watch = Self {
            peak: Arc::clone(&peak),
            done: Arc::clone(&done),
        };
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(own_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        watch
    }

    fn stop(self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        self.peak.load(Ordering::Relaxed).max(own_bytes())
    }
}

/// 0 where the system does not say.
fn own_bytes() -> u64 {
    cairn::backend::own_memory().unwrap_or(0)
}

/// What of this process is in memory, files that it maps as well.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn spread_counts_by_layer() {
        let routes = [vec![0, 3], vec![0, 1], vec![0, 3], vec![0, 2]];
        assert_eq!(spread(&routes, 4), (0.75, 2.0));
        assert_eq!(spread(&[], 4), (0.0, 0.0));
    }
}
