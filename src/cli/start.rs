//! Starts a front end.

use std::io::{self, BufReader, IsTerminal};

use super::args::{Output, RunArgs};
use super::chosen::{Chosen, Project};
use super::load::Waiting;
use super::session::Begin;
use super::setup::{self, Failure};
use super::signals::{self, Manner};
use super::{logs, screen};
use crate::agent::{Exit, Reason, Stop};
use crate::batch::{self, Cut, Format, Printer};
use crate::repl::{self, Input};
use crate::tui::Place;

/// How a conversation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    Lines,
    /// On a screen, if there is a terminal for it.
    Screen(Place),
}

impl Show {
    pub fn screen(inline: bool) -> Self {
        Self::Screen(match inline {
            true => Place::Inline,
            false => Place::Alternate,
        })
    }
}

/// A conversation, as its settings have it: `--prompt`, by script, or line by line.
pub fn conversation(texts: &[String], run: &RunArgs, show: Show) -> Exit {
    // A session brings its workspace along, and that its project's settings.
    let begun = Begin::of(run).and_then(|begin| {
        let run = RunArgs {
            workspace: run.workspace.clone().or_else(|| begin.workspace()),
            ..run.clone()
        };
        Ok((Chosen::of(&run, Project::Counts)?, begin))
    });
    let (chosen, begin) = match begun {
        Ok(begun) => begun,
        Err(failure) => return misuse(&failure.message, run.output.unwrap_or_default()),
    };
    logs::install(&chosen.settings.log_level());
    let output = chosen.output();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        prompts = texts.len(),
        ?output,
        "cairn starts"
    );
    let exit = match (texts, output) {
        ([], Output::Text) => match show {
            Show::Screen(place) if screen::is_possible() => screen::run(chosen, begin, place),
            Show::Screen(_) | Show::Lines => repl(&chosen, begin),
        },
        ([], Output::Jsonl) => script(&chosen, begin),
        (texts, _) => prompts(texts, &chosen, begin),
    };
    tracing::info!(status = exit.code(), "cairn ends");
    exit
}

/// `--prompt`: turns of one conversation, then the end.
fn prompts(prompts: &[String], chosen: &Chosen, begin: Begin) -> Exit {
    batch_run(chosen, Manner::Run, |printer, stop| {
        let prompts = gather(prompts, printer, stop)?;
        let mut agent = setup::agent(chosen, begin, stop, &Waiting::Stderr)?;
        for notice in agent.notices() {
            printer.note(&notice);
        }
        Ok(batch::run(&mut agent, &prompts, printer))
    })
}

/// `repl --output jsonl`: a conversation by script.
fn script(chosen: &Chosen, begin: Begin) -> Exit {
    batch_run(chosen, Manner::Script, |printer, stop| {
        let mut agent = setup::agent(chosen, begin, stop, &Waiting::Stderr)?;
        for notice in agent.notices() {
            printer.note(&notice);
        }
        let stdin = BufReader::new(io::stdin());
        Ok(batch::serve(&mut agent, stdin, printer))
    })
}

/// The line-based REPL.
fn repl(chosen: &Chosen, begin: Begin) -> Exit {
    let stop = Stop::default();
    let agent = match setup::agent(chosen, begin, &stop, &Waiting::Stderr) {
        Ok(agent) => agent,
        Err(failure) => return super::fail(failure.exit(), &failure.message),
    };
    // Until here, a signal simply ends the program.
    if let Err(message) = signals::install(stop.clone(), Manner::Conversation) {
        return super::fail(Exit::Internal, &message);
    }
    let input = match io::stdin().is_terminal() && io::stdout().is_terminal() {
        true => match Input::editor(super::folders::state().and_then(repl::history_file)) {
            Ok(input) => input,
            Err(message) => return super::fail(Exit::Internal, &message),
        },
        false => Input::plain(BufReader::new(io::stdin())),
    };
    let folder = agent.workspace().root().to_owned();
    repl::run(agent, input, &mut |dir| {
        let model = chosen.named(dir).map_err(|failure| failure.message)?;
        let agent = setup::agent_with(chosen, model.as_deref(), &folder, &stop, &Waiting::Stderr);
        agent.map_err(|failure| failure.message)
    })
}

/// Arguments that make no sense: one line, and in JSON the `done` of every run.
pub fn misuse(message: &str, output: Output) -> Exit {
    let mut printer = Printer::new(format(output), Stop::default());
    batch::refuse(Reason::Usage, message, "", &mut printer)
}

fn format(output: Output) -> Format {
    match output {
        Output::Text => Format::Text,
        Output::Jsonl => Format::Jsonl,
    }
}

/// A printer and signal handlers around `work`; a failure ends with `done`, too.
fn batch_run(
    chosen: &Chosen,
    manner: Manner,
    work: impl FnOnce(&mut Printer, &Stop) -> Result<Exit, Failure>,
) -> Exit {
    let stop = Stop::default();
    let mut printer = Printer::new(format(chosen.output()), stop.clone());
    let installed = signals::install(stop.clone(), manner)
        .map_err(|message| Failure::new(Reason::Failed, message));
    // A panic was reported on stderr; a program that reads JSON hears of it, too.
    let worked = installed.and_then(|()| {
        super::panics::guarded(|| work(&mut printer, &stop))
            .unwrap_or_else(|message| Err(Failure::new(Reason::Failed, message)))
    });
    match worked {
        Ok(exit) => exit,
        Err(failure) => batch::refuse(failure.reason, &failure.message, "", &mut printer),
    }
}

/// The prompts, with `-` replaced by stdin, or with piped input joined to the
/// first.
fn gather(prompts: &[String], printer: &mut Printer, stop: &Stop) -> Result<Vec<String>, Failure> {
    let dashes = prompts.iter().filter(|prompt| *prompt == "-").count();
    if dashes > 1 {
        return Err(Failure::new(
            Reason::Usage,
            "--prompt - can be given once: there is one stdin",
        ));
    }
    let mut prompts = prompts.to_vec();
    if dashes == 1 || batch::is_piped(&io::stdin()) {
        let waiting_for = match io::stdin().is_terminal() {
            true => "reading the prompt; Ctrl-D on a line of its own ends it",
            false => "waiting for the pipe on stdin (`< /dev/null` says that there is no input)",
        };
        let mut tell = |notice: &str| printer.note(notice);
        let piped = batch::read_all(io::stdin(), waiting_for, stop, &mut tell).map_err(
            |error| match error.kind() {
                io::ErrorKind::Interrupted => {
                    Failure::new(Reason::Interrupted, "interrupted while reading stdin")
                }
                _ => Failure::new(Reason::Failed, format!("stdin: {error}")),
            },
        )?;
        if piped.cut == Cut::Head {
            printer.note(&format!(
                "stdin is longer than {} bytes; the rest was left out",
                batch::MOST_INPUT
            ));
        }
        let at = prompts.iter().position(|prompt| prompt == "-");
        let prompt = &mut prompts[at.unwrap_or(0)];
        let text = match at {
            Some(_) => "",
            None => prompt.as_str(),
        };
        *prompt = batch::join(text, &piped.text);
    }
    match prompts.iter().any(|prompt| prompt.trim().is_empty()) {
        true => Err(Failure::new(Reason::Usage, "--prompt: there is no text")),
        false => Ok(prompts),
    }
}
