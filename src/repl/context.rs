//! `/context`, `/compact` and `/pin`: what the conversation takes of the window, and
//! what leaves it.

use super::Repl;
use crate::sandbox::sanitize;

/// Characters of a message that the list of pins shows.
const SHOWN: usize = 60;

impl Repl {
    pub(super) fn context(&mut self) {
        let text = match self.agent.context() {
            Ok(meter) => {
                let at = self.agent.compact_at();
                let then = self.agent.makes_room_by();
                format!("{}\nat {at} % of the window {then}", meter.table())
            }
            Err(error) => format!("error: {error}"),
        };
        self.front.screen.say(&text);
    }

    pub(super) fn compact(&mut self, focus: &str) {
        // What was done is a notice.
        if let Err(message) = self.agent.compact(focus, &mut self.front) {
            self.front.screen.say(&message);
        }
    }

    pub(super) fn pin(&mut self, which: &str) {
        let words: Vec<&str> = which.split_whitespace().collect();
        let text = match words.as_slice() {
            ["list"] => Ok(self.pins()),
            [] => self.pinned(None),
            [number] if number.parse::<usize>().is_ok() => self.pinned(number.parse().ok()),
            ["off", number] => match number.parse() {
                Ok(number) => {
                    let unpinned = self.agent.unpin(number, &mut self.front);
                    unpinned.map(|()| format!("message {number} is not pinned any more"))
                }
                Err(_) => Err(format!("/pin off takes a message's number, not {number:?}")),
            },
            _ => Err(format!(
                "/pin takes a message's number, list, or off and a number, not {which:?}"
            )),
        };
        let text = text.unwrap_or_else(|message| message);
        self.front.screen.say(&text);
    }

    fn pinned(&mut self, number: Option<usize>) -> Result<String, String> {
        let number = self.agent.pin(number, &mut self.front)?;
        Ok(format!("message {number} stays in the context"))
    }

    fn pins(&self) -> String {
        let all = self.agent.pinnable();
        let lines = all.iter().enumerate().map(|(at, message)| {
            let mark = match (message.pinned, message.present) {
                (true, _) => "pinned",
                (false, true) => "      ",
                (false, false) => "left  ",
            };
            let text: String = message.text.chars().take(SHOWN).collect();
            format!("{:>4} {mark} {}", at + 1, sanitize::for_line(&text))
        });
        let lines: Vec<String> = lines.collect();
        match lines.is_empty() {
            true => "there is no message yet".into(),
            false => lines.join("\n"),
        }
    }
}
