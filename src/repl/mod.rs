//! The line-based REPL: append-only, for screen readers, logs and slow links.
//! It reads lines, hands messages to the agent and prints what comes back.

mod answers;
mod complete;
mod input;
mod screen;
mod sessions;

use std::ops::ControlFlow;
use std::path::Path;

pub use input::{Input, Line, history_file};

use crate::agent::slash::{self, Action, COMMANDS, Obeyed, Way};
use crate::agent::{Agent, Approval, Event, Exit, Front, Question};
use crate::undo::Force;
use complete::Names;
use screen::{Fold, Screen};

const KEYS: &str = "\
A line that ends with \\ goes on in the next one, and so it does after Alt-Enter.
Pasted lines stay together. Ctrl-C stops the model, Ctrl-D leaves.";

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
        let (action, rest) = match slash::parse(line) {
            Ok(parsed) => parsed,
            Err(message) => {
                self.front.screen.say(&message);
                return ControlFlow::Continue(());
            }
        };
        match self.agent.obey(action, rest, &mut self.front) {
            Obeyed::Said(text) => self.say(&text),
            Obeyed::Changes(diff) => self.say(&diff),
            Obeyed::Begun(notices) => {
                for notice in notices {
                    self.front.screen.dim(&notice);
                }
                self.recall();
            }
            Obeyed::Asks(way, text) => self.overwrite(way, &text),
            Obeyed::Front => return self.own(action, rest, load),
        }
        ControlFlow::Continue(())
    }

    /// Commands that are about this program and its screen.
    fn own(&mut self, action: Action, rest: &str, load: &mut Load<'_>) -> ControlFlow<()> {
        match action {
            Action::Help => {
                let help = slash::help(self.agent.commands());
                self.front.screen.say(&format!("{help}\n{KEYS}"));
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
            Action::Think => self.fold(rest),
            Action::Edit => self.edit(rest),
            Action::Quit => return ControlFlow::Break(()),
            // The agent's, which has done them.
            Action::Clear
            | Action::Stats
            | Action::Context
            | Action::Compact
            | Action::Pin
            | Action::Mode
            | Action::Permissions
            | Action::Jobs
            | Action::Kill
            | Action::Undo
            | Action::Redo
            | Action::Diff
            | Action::Sessions
            | Action::Resume
            | Action::Fork => {}
        }
        ControlFlow::Continue(())
    }

    fn say(&mut self, text: &str) {
        if !text.is_empty() {
            self.front.screen.say(text);
        }
    }

    /// Anything but a yes is a no.
    fn overwrite(&mut self, way: Way, text: &str) {
        self.front.screen.say(text);
        let answer = match self.front.input.line("overwrite? [y]es / [N]o: ") {
            Ok(Line::Text(answer)) => answer.trim().to_ascii_lowercase(),
            _ => String::new(),
        };
        let text = match answer.as_str() {
            "y" | "yes" => match self.agent.take_back(way, Force::Yes, &mut self.front) {
                Obeyed::Said(text) => text,
                _ => String::new(),
            },
            _ => "nothing was changed".to_owned(),
        };
        self.say(&text);
    }

    fn end_commands(&mut self) {
        for line in self.agent.end_commands() {
            self.front.screen.dim(&line);
        }
    }

    fn fold(&mut self, how: &str) {
        let screen = &mut self.front.screen;
        match how {
            "" => screen.unfold(),
            "show" => {
                screen.fold = Fold::Shown;
                screen.say("reasoning is shown");
            }
            "fold" => {
                screen.fold = Fold::Folded;
                screen.say("reasoning is folded; /think prints the last");
            }
            other => screen.say(&format!(
                "/think takes on, off, show or fold, not {other:?}"
            )),
        }
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
