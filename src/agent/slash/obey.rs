//! What the slash commands do that act on the conversation: text for the user comes
//! back, and how it is shown is the front end's matter.

use super::table::Action;
use super::undo::{self, Way};
use crate::agent::present::{background_line, thousands};
use crate::agent::{Agent, Front, Thinking};
use crate::sandbox::Permission;
use crate::undo::Force;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obeyed {
    /// To be shown; not yet sanitised.
    Said(String),
    /// A unified diff, to be shown; not yet sanitised.
    Changes(String),
    /// Another conversation than before; lines for the user.
    Begun(Vec<String>),
    /// What [`Agent::take_back`] would overwrite, and so has to be asked about.
    Asks(Way, String),
    /// The front end's own matter.
    Front,
}

impl Agent {
    /// Does what a command says, with what is typed after it.
    pub fn obey(&mut self, action: Action, rest: &str, front: &mut dyn Front) -> Obeyed {
        let said = match action {
            Action::Help | Action::Model | Action::Edit | Action::Quit => return Obeyed::Front,
            Action::Think => match rest {
                "on" => self.think(Thinking::On),
                "off" => self.think(Thinking::Off),
                _ => return Obeyed::Front,
            },
            Action::Clear => {
                self.clear();
                return Obeyed::Begun(vec!["a new conversation".to_owned()]);
            }
            Action::Stats => self.stats_text(),
            Action::Context => self.context_text(),
            // What was done is a notice.
            Action::Compact => match self.compact(rest, front) {
                Ok(()) => String::new(),
                Err(message) => message,
            },
            Action::Pin => self.pin_text(rest, front),
            Action::Undo => return self.take_back(Way::Back, Force::No, front),
            Action::Redo => return self.take_back(Way::Forth, Force::No, front),
            Action::Diff => match self.diff() {
                Ok(diff) if diff.is_empty() => "nothing was changed".to_owned(),
                Ok(diff) => return Obeyed::Changes(diff),
                Err(why) => format!("error: {why}"),
            },
            Action::Sessions => self.sessions_text(),
            Action::Resume => return begun(self.resume_named(rest)),
            Action::Fork => return begun(self.fork_named(rest)),
            Action::Mode => self.mode_text(rest),
            Action::Permissions => self.rules_in_force(),
            Action::Jobs => self.jobs_text(),
            Action::Kill => self.kill_text(rest),
        };
        Obeyed::Said(said)
    }

    /// Undoes or redoes, and says what came of it.
    pub fn take_back(&mut self, way: Way, force: Force, front: &mut dyn Front) -> Obeyed {
        let answer = match way {
            Way::Back => self.undo(force, front),
            Way::Forth => self.redo(force, front),
        };
        undo::told(way, answer)
    }

    /// What turns have changed in the workspace since this agent began, as a unified diff.
    ///
    /// # Errors
    /// When there is no undo, which knows; one line.
    pub fn diff(&self) -> Result<String, String> {
        let moment = self.started.unwrap_or(u64::MAX);
        self.toolbox.diff_since(moment)
    }

    fn think(&mut self, wanted: Thinking) -> String {
        let word = match wanted {
            Thinking::On => "on",
            Thinking::Off => "off",
        };
        match self.set_thinking(wanted) {
            Ok(()) => format!("thinking is {word}"),
            Err(message) => message,
        }
    }

    fn mode_text(&mut self, name: &str) -> String {
        let mut known = Permission::ALL.into_iter();
        match known.find(|mode| mode.to_string() == name) {
            Some(permission) => {
                self.set_permission(permission);
                match permission {
                    Permission::Ask => "changes and commands are asked about",
                    Permission::AcceptEdits => "files are changed without a question",
                    Permission::Plan => "nothing is changed and no command is run",
                }
                .to_owned()
            }
            None if name.is_empty() => format!("{} ({})", self.manner(), self.describe()),
            None => {
                let names = Permission::ALL.map(|mode| mode.to_string()).join(", ");
                format!("/mode takes {names}, not {name:?}")
            }
        }
    }

    fn jobs_text(&self) -> String {
        let all = self.background();
        let lines: Vec<String> = all.iter().map(background_line).collect();
        match lines.is_empty() {
            true => "no command runs in the background".to_owned(),
            false => lines.join("\n"),
        }
    }

    fn kill_text(&self, id: &str) -> String {
        match id.parse().is_ok_and(|id| self.end_command(id)) {
            true => String::new(),
            false => format!("no background command {id:?} runs; /jobs lists them"),
        }
    }

    fn stats_text(&self) -> String {
        let stats = self.stats();
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

fn begun(begun: Result<Vec<String>, String>) -> Obeyed {
    match begun {
        Ok(notices) => Obeyed::Begun(notices),
        Err(why) => Obeyed::Said(format!("error: {why}")),
    }
}
