//! `/context` and `/pin`: what the conversation takes of the window, and what stays.

use crate::agent::{Agent, Front};
use crate::sandbox::sanitize;

/// Characters of a message that the list of pins shows.
const SHOWN: usize = 60;

impl Agent {
    pub(super) fn context_text(&self) -> String {
        match self.context() {
            Ok(meter) => {
                let at = self.compact_at();
                let then = self.makes_room_by();
                format!("{}\nat {at} % of the window {then}", meter.table())
            }
            Err(error) => format!("error: {error}"),
        }
    }

    pub(super) fn pin_text(&mut self, which: &str, front: &mut dyn Front) -> String {
        let words: Vec<&str> = which.split_whitespace().collect();
        let text = match words.as_slice() {
            ["list"] => Ok(self.pins()),
            [] => self.pinned_text(None, front),
            [number] if number.parse::<usize>().is_ok() => {
                self.pinned_text(number.parse().ok(), front)
            }
            ["off", number] => match number.parse() {
                Ok(number) => {
                    let unpinned = self.unpin(number, front);
                    unpinned.map(|()| format!("message {number} is not pinned any more"))
                }
                Err(_) => Err(format!("/pin off takes a message's number, not {number:?}")),
            },
            _ => Err(format!(
                "/pin takes a message's number, list, or off and a number, not {which:?}"
            )),
        };
        text.unwrap_or_else(|message| message)
    }

    fn pinned_text(
        &mut self,
        number: Option<usize>,
        front: &mut dyn Front,
    ) -> Result<String, String> {
        let number = self.pin(number, front)?;
        Ok(format!("message {number} stays in the context"))
    }

    fn pins(&self) -> String {
        let all = self.pinnable();
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
