//! The line-based REPL: append-only, for screen readers, logs and slow links.
//! It reads lines, hands messages to the agent and prints what comes back.

mod commands;
mod input;
mod screen;
mod undo;

use std::ops::ControlFlow;
use std::path::Path;

pub use commands::{Action, COMMANDS, Command};
pub use input::{Input, Line, history_file};

use crate::agent::present::thousands;
use crate::agent::{Agent, Approval, Event, Exit, Front, Question};
use screen::{Fold, Screen};

/// Most times that one question is asked.
const ASKED: usize = 3;

/// Opens the bundle in a folder; the error is one line.
pub type Load<'a> = dyn FnMut(&Path) -> Result<Agent, String> + 'a;

/// Talks until the input ends.
pub fn run(agent: Agent, input: Input, load: &mut Load<'_>) -> Exit {
    let mut repl = Repl {
        agent,
        front: Terminal {
            input,
            screen: Screen::new(),
        },
    };
    repl.greet();
    loop {
        let line = match repl.front.input.message() {
            Ok(Line::Text(line)) => line,
            Ok(Line::Interrupted) => {
                repl.front.screen.dim("(Ctrl-D leaves)");
                continue;
            }
            Ok(Line::End) => return Exit::Done,
            // A reader that went away is no failure.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Exit::Done,
            Err(error) => {
                repl.front.screen.say(&format!("error: {error}"));
                return Exit::Internal;
            }
        };
        match line.trim() {
            "" => {}
            command if command.starts_with('/') => {
                if repl.command(command, load).is_break() {
                    return Exit::Done;
                }
            }
            _ => {
                repl.agent.turn(&line, &mut repl.front);
            }
        }
    }
}

struct Repl {
    agent: Agent,
    front: Terminal,
}

impl Repl {
    fn greet(&mut self) {
        let line = format!("{}  (/help lists the commands)", self.agent.describe());
        self.front.screen.say(&line);
        for notice in self.agent.notices() {
            self.front.screen.dim(&notice);
        }
    }

    fn command(&mut self, line: &str, load: &mut Load<'_>) -> ControlFlow<()> {
        let (action, rest) = match commands::parse(line) {
            Ok(parsed) => parsed,
            Err(message) => {
                self.front.screen.say(&message);
                return ControlFlow::Continue(());
            }
        };
        match action {
            Action::Help => self.front.screen.say(&commands::help()),
            Action::Model if rest.is_empty() => {
                let text = self.agent.describe();
                self.front.screen.say(&text);
            }
            Action::Model => match load(Path::new(rest)) {
                Ok(agent) => {
                    self.agent = agent;
                    self.greet();
                }
                Err(message) => self.front.screen.say(&format!("error: {message}")),
            },
            Action::Think => self.think(rest),
            Action::Clear => {
                self.agent.clear();
                self.front.screen.say("a new conversation");
            }
            Action::Stats => {
                let text = self.stats();
                self.front.screen.say(&text);
            }
            Action::Undo => self.undo(undo::Way::Back),
            Action::Redo => self.undo(undo::Way::Forth),
            Action::Quit => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn think(&mut self, how: &str) {
        let screen = &mut self.front.screen;
        match how {
            "" => screen.unfold(),
            "show" | "fold" => {
                screen.fold = match how {
                    "show" => Fold::Shown,
                    _ => Fold::Folded,
                };
                screen.say(match how {
                    "show" => "reasoning is shown",
                    _ => "reasoning is folded; /think prints the last",
                });
            }
            "on" | "off" => {
                let wanted = match how {
                    "on" => crate::agent::Thinking::On,
                    _ => crate::agent::Thinking::Off,
                };
                match self.agent.set_thinking(wanted) {
                    Ok(()) => screen.say(&format!("thinking is {how}")),
                    Err(message) => screen.say(&message),
                }
            }
            other => screen.say(&format!(
                "/think takes on, off, show or fold, not {other:?}"
            )),
        }
    }

    fn stats(&self) -> String {
        let stats = self.agent.stats();
        let rate = |tokens: usize, seconds: f64| match seconds > 0.0 {
            true => format!("{:.1} tokens/s", tokens as f64 / seconds),
            false => "not yet measured".to_owned(),
        };
        format!(
            "turns      {}, model calls {}\nprompt     {} tokens: {} reused, {} prefilled, {} replayed\n\
             generated  {} tokens\n\
             speed      prefill {}, decode {}",
            stats.turns,
            stats.calls,
            thousands(stats.prompt.prompt),
            thousands(stats.prompt.reused),
            thousands(stats.prompt.prefilled),
            thousands(stats.prompt.replayed),
            thousands(stats.generated),
            rate(stats.prompt.prefilled, stats.prefill_seconds),
            rate(stats.generated, stats.decode_seconds),
        )
    }
}

/// The REPL as the agent sees it.
struct Terminal {
    input: Input,
    screen: Screen,
}

impl Front for Terminal {
    fn event(&mut self, event: &Event) {
        self.screen.event(event);
    }

    fn approve(&mut self, question: &Question) -> Approval {
        self.screen.say(&question.preview);
        // Anything but a yes is a no; a slip of the fingers is asked about again.
        for _ in 0..ASKED {
            let answer = match self.input.line("allow? [y]es / [n]o: ") {
                Ok(Line::Text(answer)) => answer.trim().to_ascii_lowercase(),
                Ok(Line::Interrupted) => return Approval::Stop,
                Ok(Line::End) | Err(_) => return Approval::No,
            };
            match answer.as_str() {
                "y" | "yes" => return Approval::Yes,
                "" | "n" | "no" => return Approval::No,
                // A script is not made to lose more lines than one.
                _ if !self.input.is_editor() => return Approval::No,
                _ => self.screen.say("y or n?"),
            }
        }
        Approval::No
    }
}
