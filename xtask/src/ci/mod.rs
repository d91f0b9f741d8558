//! `cargo xtask ci`: every check, one job each, all run even when one fails.
//! What CI runs is exactly this, so a laptop and CI can't disagree.

mod bench;
mod bits;
mod cargo;
mod emulated;
mod graph;
mod licences;
mod long;
mod mlx;
mod sizes;
mod spdx;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

#[derive(clap::Args)]
pub struct Args {
    /// Also run what takes long: oracles, real shapes, soak, the demo's figures
    #[arg(long)]
    long: bool,
    /// Run only jobs whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// A check. The string is what it found, for the summary line.
struct Job {
    name: &'static str,
    run: fn() -> Result<String>,
}

const fn job(name: &'static str, run: fn() -> Result<String>) -> Job {
    Job { name, run }
}

const JOBS: &[Job] = &[
    job("sizes", sizes::check),
    job("fmt", cargo::fmt),
    job("licences", licences::check),
    job("clippy", cargo::clippy),
    job("policy", cargo::policy),
    job("doc", cargo::doc),
    job("test", cargo::test),
    job("bench", bench::smoke),
    job("bench-tui", bench::smoke_tui),
    job("linux-graph", graph::linux),
    job("macos-graph", graph::macos),
    job("macos", mlx::macos),
    job("mlx-test", mlx::test),
    job("clippy-mlx", mlx::clippy),
];

pub fn run(args: &Args) -> Result<()> {
    let long: &[Job] = if args.long { long::JOBS } else { &[] };
    let wanted = |job: &&Job| {
        args.only
            .as_ref()
            .is_none_or(|only| job.name.contains(only))
    };
    let jobs: Vec<&Job> = JOBS.iter().chain(long).filter(wanted).collect();
    let mut verdicts = Vec::new();
    for job in &jobs {
        println!("==> {}", job.name);
        let start = Instant::now();
        let outcome = (job.run)();
        let line = summary(job.name, start.elapsed(), &outcome);
        println!("{line}\n");
        verdicts.push((line, outcome.is_ok()));
    }
    for (line, _) in &verdicts {
        println!("{line}");
    }
    let failed = verdicts.iter().filter(|(_, ok)| !ok).count();
    println!("{} passed, {failed} failed", verdicts.len() - failed);
    if failed > 0 {
        bail!("{failed} of {} jobs failed", verdicts.len());
    }
    Ok(())
}

fn summary(name: &str, took: Duration, outcome: &Result<String>) -> String {
    let (verdict, note) = match outcome {
        Ok(note) => ("ok", note.clone()),
        Err(error) => ("FAILED", format!("{error:#}")),
    };
    let seconds = took.as_secs_f64();
    format!("{verdict:<6} {name:<12} {seconds:>6.1} s  {note}")
        .trim_end()
        .to_owned()
}
