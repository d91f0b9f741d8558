//! `/context`: what the conversation takes of the window, and what becomes of it.

use super::Repl;

impl Repl {
    pub(super) fn context(&mut self) {
        let text = match self.agent.context() {
            Ok(meter) => {
                let at = self.agent.compact_at();
                let from = self.agent.makes_room_by();
                format!("{}\nat {at} % of the window {from}", meter.table())
            }
            Err(error) => format!("error: {error}"),
        };
        self.front.screen.say(&text);
    }
}
