//! The line-based REPL: append-only, for screen readers, logs and slow links.
//! It reads lines, hands messages to the agent and prints what comes back.

mod answers;
mod commands;
mod complete;
mod context;
mod input;
mod screen;
mod sessions;
mod undo;

use std::ops::ControlFlow;
use std::path::Path;

pub use commands::{Action, COMMANDS, Command};
pub use input::{Input, Line, history_file};

use crate::agent::present::{background_line, thousands};
use crate::agent::{Agent, Approval, Event, Exit, Front, Question};
use crate::sandbox::Permission;
use complete::Names;
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
    repl.recall();
    let exit = talk(&mut repl, load);
    repl.end_commands();
    exit
}

fn talk(repl: &mut Repl, load: &mut Load<'_>) -> Exit {
    loop {
        for line in repl.agent.ended() {
            repl.front.screen.dim(&line);
        }
        let manner = repl.agent.manner();
        let line = match repl.front.input.message(&manner) {
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
            command
                if command.starts_with('/') && repl.agent.commands().expand(command).is_none() =>
            {
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
        let built_in = COMMANDS.iter().map(|command| command.name.to_owned());
        let own = self.agent.commands().iter().map(|own| own.name.clone());
        let names = Names::new(self.agent.workspace(), built_in.chain(own).collect());
        self.front.input.complete(names);
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
            Action::Help => {
                let help = commands::help(self.agent.commands());
                self.front.screen.say(&help);
            }
            Action::Model if rest.is_empty() => {
                let text = self.agent.describe();
                self.front.screen.say(&text);
            }
            Action::Model => match load(Path::new(rest)) {
                Ok(agent) => {
                    self.end_commands();
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
            Action::Context => self.context(),
            Action::Compact => self.compact(rest),
            Action::Pin => self.pin(rest),
            Action::Undo => self.undo(undo::Way::Back),
            Action::Redo => self.undo(undo::Way::Forth),
            Action::Sessions => self.sessions(),
            Action::Resume => self.resume(rest),
            Action::Fork => self.fork(rest),
            Action::Edit => self.edit(rest),
            Action::Mode => self.mode(rest),
            Action::Permissions => {
                let rules = self.agent.rules_in_force();
                self.front.screen.say(&rules);
            }
            Action::Jobs => self.jobs(),
            Action::Kill => self.kill(rest),
            Action::Quit => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn mode(&mut self, name: &str) {
        let known = Permission::ALL.into_iter();
        match known.into_iter().find(|mode| mode.to_string() == name) {
            Some(permission) => {
                self.agent.set_permission(permission);
                self.front.screen.say(match permission {
                    Permission::Ask => "changes and commands are asked about",
                    Permission::AcceptEdits => "files are changed without a question",
                    Permission::Plan => "nothing is changed and no command is run",
                });
            }
            None if name.is_empty() => {
                let text = format!("{} ({})", self.agent.manner(), self.agent.describe());
                self.front.screen.say(&text);
            }
            None => {
                let names = Permission::ALL.map(|mode| mode.to_string()).join(", ");
                let text = format!("/mode takes {names}, not {name:?}");
                self.front.screen.say(&text);
            }
        }
    }

    fn jobs(&mut self) {
        let all = self.agent.background();
        if all.is_empty() {
            self.front.screen.say("no command runs in the background");
        }
        for command in all {
            self.front.screen.say(&background_line(&command));
        }
    }

    fn kill(&mut self, id: &str) {
        let ended = id.parse().is_ok_and(|id| self.agent.end_command(id));
        if !ended {
            let text = format!("no background command {id:?} runs; /jobs lists them");
            self.front.screen.say(&text);
        }
    }

    fn end_commands(&mut self) {
        for line in self.agent.end_commands() {
            self.front.screen.dim(&line);
        }
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
            "turns      {}, model calls {}\nprompt     {} tokens: {} reused ({} from disk), {} prefilled, {} replayed\n\
             generated  {} tokens\n\
             speed      prefill {}, decode {}",
            stats.turns,
            stats.calls,
            thousands(stats.prompt.prompt),
            thousands(stats.prompt.reused),
            thousands(stats.prompt.loaded),
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
        self.screen.dim(&answers::help(question));
        // Anything but a yes is a no; a slip of the fingers is asked about again.
        for _ in 0..ASKED {
            let answer = match self.input.line("allow? [y]es / [n]o: ") {
                Ok(Line::Text(answer)) => answer,
                Ok(Line::Interrupted) => return Approval::Stop,
                Ok(Line::End) | Err(_) => return Approval::No,
            };
            match answers::read(&answer, question) {
                Some(approval) => return approval,
                // A script is not made to lose more lines than one.
                None if !self.input.is_editor() => return Approval::No,
                None => self.screen.say("y or n?"),
            }
        }
        Approval::No
    }
}
