//! What the full-screen program costs: a frame of a long session, memory per token of
//! a trace, the time to the first frame, and what it does while nothing happens.
//!
//!     cargo bench --bench tui -- [--smoke] [--json] [--strict] [--model DIR]
//!
//! Each figure is a line with its limit. A limit that is missed is only a failure with
//! `--strict`: times depend on what else the machine does. `--smoke` takes seconds;
//! `--model` names a bundle whose start is measured beside the demo's.

mod figures;
mod frames;
mod memory;
mod program;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use figures::{Figures, Form};

/// How much is measured.
#[derive(Clone, Copy)]
enum Effort {
    Smoke,
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Limits {
    Told,
    Kept,
}

struct Options {
    effort: Effort,
    form: Form,
    limits: Limits,
    model: Option<PathBuf>,
}

fn main() -> ExitCode {
    let measured = options(std::env::args().skip(1)).and_then(|options| {
        let figures = measure(&options)?;
        Ok((options.limits, figures))
    });
    match measured {
        Ok((limits, figures)) => {
            figures.end();
            let missed = limits == Limits::Kept && !figures.are_kept();
            ExitCode::from(u8::from(missed))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        effort: Effort::Full,
        form: Form::Lines,
        limits: Limits::Told,
        model: None,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What cargo itself passes.
            "--bench" => {}
            "--smoke" => options.effort = Effort::Smoke,
            "--json" => options.form = Form::Json,
            "--strict" => options.limits = Limits::Kept,
            "--model" => {
                let folder = arguments.next().ok_or("--model takes a folder")?;
                options.model = Some(folder.into());
            }
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(options)
}

fn measure(options: &Options) -> Result<Figures, String> {
    let tokens = match options.effort {
        Effort::Smoke => 5_000,
        Effort::Full => 100_000,
    };
    let stream = session::Tokens::new()?;
    let mut figures = Figures::new(options.form);
    // First, as memory that was given back before would not count again.
    memory::measure(&stream, tokens, &mut figures);
    frames::measure(&stream, tokens, options.effort, &mut figures)?;
    program::measure(options.effort, options.model.as_deref(), &mut figures)?;
    Ok(figures)
}
