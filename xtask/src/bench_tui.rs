//! `cargo xtask bench-tui`: what the full-screen program costs (`benches/tui`).

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{cargo, execute};

#[derive(clap::Args)]
pub struct Args {
    /// Seconds instead of minutes: a shorter session, each thing once, no release build
    #[arg(long)]
    smoke: bool,
    /// Print one object
    #[arg(long)]
    json: bool,
    /// A limit that is missed is a failure
    #[arg(long)]
    strict: bool,
    /// Also measure the start with this bundle
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut command = match args.smoke {
        true => smoke(),
        false => bench("bench"),
    };
    if args.json {
        command.arg("--json");
    }
    if args.strict {
        command.arg("--strict");
    }
    if let Some(model) = &args.model {
        // The program does not run where this was typed.
        command.arg("--model").arg(std::path::absolute(model)?);
    }
    execute(&mut command, "the bench")
}

/// The short run, in the profile that tests have.
pub fn smoke() -> Command {
    let mut command = bench("test");
    command.arg("--smoke");
    command
}

fn bench(how: &str) -> Command {
    let mut command = cargo();
    command.args([how, "--quiet", "--package", "cairn", "--bench", "tui", "--"]);
    command
}
