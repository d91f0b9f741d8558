//! The command line: what was typed, what it means, and the exit status.

pub mod args;
mod bench;
mod cache;
mod chosen;
mod config;
pub mod debug_chat;
pub mod debug_logits;
pub mod demo;
mod doctor;
mod editor;
mod exit;
mod folders;
pub mod inspect;
mod load;
mod logs;
mod look;
mod manual;
mod models;
mod panics;
mod permissions;
mod permitted;
mod replay;
mod sandbox;
mod screen;
pub mod selftest;
mod session;
mod sessions;
mod setup;
mod signals;
mod start;
mod trace;
mod trust;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{CommandFactory, FromArgMatches};

use crate::agent::Exit;
use args::{BackendName, Cli, Command, DebugCommand, Output};
use start::Show;

/// Runs `cairn` with these arguments, the program's name first; returns the exit
/// status. A panic is an internal failure, reported in one line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    panics::install();
    panics::guarded(|| dispatch(arguments)).unwrap_or(Exit::Internal.code())
}

fn dispatch(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(exit) => return exit.code(),
    };
    let Cli {
        prompt,
        inline,
        run,
        command,
    } = cli;
    let exit = match command {
        None => start::conversation(&prompt, &run, Show::screen(inline)),
        Some(_) if !prompt.is_empty() => start::misuse(
            "--prompt takes no subcommand",
            run.output.unwrap_or_default(),
        ),
        // The status is the command's.
        Some(Command::Sandbox(args)) => return sandbox::run(args),
        Some(_) if inline => start::misuse(
            "--inline takes no subcommand",
            run.output.unwrap_or_default(),
        ),
        Some(Command::Repl(inner)) => start::conversation(&[], &inner.or(run), Show::Lines),
        Some(Command::SelftestKernels(args)) => {
            selftest::run(BackendName::asked(args.backend.or(run.backend)))
        }
        Some(Command::Sessions(args)) => sessions::run(&args),
        Some(Command::Trace(args)) => trace::run(&args, &run),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Permissions(args)) => permissions::run(&args),
        Some(Command::Cache(args)) => cache::run(&args, &run),
        Some(Command::Trust(args)) => trust::run(&args),
        Some(Command::Config(args)) => config::run(&args, &run),
        Some(Command::Doctor(args)) => doctor::run(&args, run),
        Some(Command::Models(args)) => models::run(&args, &run),
        Some(Command::Bench(args)) => bench::run(&args, run),
        Some(Command::Inspect(args)) => look::inspect(&args, run),
        Some(Command::Completions(args)) => manual::completions(args.shell),
        Some(Command::Man(args)) => manual::run(&args),
        Some(Command::Debug(DebugCommand::Logits(args))) => look::logits(&args),
        Some(Command::Debug(DebugCommand::Render(args))) => look::render(&args),
        Some(Command::Debug(DebugCommand::Parse(args))) => look::parse(&args),
    };
    exit.code()
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    let command = Cli::command().after_help(exit::table());
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = command
        .try_get_matches_from(&arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| match error.use_stderr() {
        true => start::misuse(&one_line(&error.to_string()), wanted_output(&arguments)),
        false => {
            // `--help | head` is success.
            let _ = error.print();
            Exit::Done
        }
    })
}

/// Whether JSON was asked for, as far as that can be told of arguments that
/// can't be understood.
fn wanted_output(arguments: &[OsString]) -> Output {
    let pair = |pair: &[OsString]| pair[0] == "--output" && pair[1] == "jsonl";
    match arguments.windows(2).any(pair) || arguments.iter().any(|a| a == "--output=jsonl") {
        true => Output::Jsonl,
        false => Output::Text,
    }
}

/// clap's message without its usage and hints.
fn one_line(message: &str) -> String {
    let lines = message
        .trim_start_matches("error: ")
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// One line on stderr, and the status.
pub(crate) fn fail(exit: Exit, message: &str) -> Exit {
    let message = crate::sandbox::sanitize::for_line(message);
    // Without stderr the status still says it.
    let _ = writeln!(io::stderr(), "cairn: error: {message}");
    exit
}
