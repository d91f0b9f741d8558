//! Commands that the user runs by hand between turns: in the sandbox that the model's
//! run in, but without a question, as who would be asked has typed them. The model is
//! told with the next message.

use serde_json::{Map, Value};

use super::driver::Agent;
use super::entry::{Kind, Shell};
use super::event::{Event, Front};
use crate::tools::Call;

impl Agent {
    /// What names a command of the user's own among [`Event::ToolOutput`]s.
    pub const SHELL: &str = "!";

    /// Runs a command and waits for it; what it prints is heard as of a call. It is a turn
    /// of its own to undo.
    ///
    /// # Errors
    /// When there is none, or rules or mode deny it; one line.
    pub fn run_shell(&mut self, command: &str, front: &mut dyn Front) -> Result<Shell, String> {
        let command = command.trim();
        if command.is_empty() {
            return Err("there is no command to run".to_owned());
        }
        let call = Call {
            name: "run_command".to_owned(),
            arguments: Map::from_iter([("command".to_owned(), Value::from(command))]),
        };
        if let Some(why) = self.toolbox.denial(&call) {
            return Err(format!("not run: {why}"));
        }
        let cancel = self.stop.begin();
        self.toolbox.begin_turn(&format!("! {command}"));
        let mut outcome = self.run_live((Self::SHELL, None), &call, &cancel, front);
        let notice = self.toolbox.end_turn();
        self.stop.finish();
        if let Some(text) = notice {
            front.event(&Event::Notice { text });
        }
        self.cut_to_room("the command", &mut outcome, front);
        tracing::info!(ok = outcome.ok, bytes = outcome.output.len(), "shell");
        let shell = Shell {
            command: command.to_owned(),
            output: outcome.output,
            ok: outcome.ok,
        };
        self.record(Kind::Shell(shell.clone()), front);
        Ok(shell)
    }
}
