//! What Enter, Tab and Esc come to.

use super::{Busy, Composer, Manner, Sent};

impl Composer {
    /// The second time on nothing, an earlier message is to be edited.
    pub(super) fn escape(&mut self) -> Option<Sent> {
        let again = self.escaped;
        self.escaped = self.editor.is_empty() && !again;
        (self.editor.is_empty() && again).then_some(Sent::EditEarlier)
    }

    pub(super) fn send(&mut self) -> Option<Sent> {
        let (before, after) = self.editor.around();
        if before.ends_with('\\') && after.is_empty() {
            self.edit(|editor| editor.replace_before(1, "\n"));
            return None;
        }
        let manner = self.manner();
        let text = self.whole()?;
        let sent = match manner {
            Manner::Command => Sent::Command(text),
            Manner::Shell => match text.trim_start_matches('!').trim() {
                "" => return None,
                line => Sent::Shell(line.to_owned()),
            },
            Manner::Message => match self.busy {
                Busy::Idle => Sent::Message(text),
                Busy::Working => Sent::Steer(text),
            },
        };
        self.sent(sent)
    }

    pub(super) fn queue(&mut self) -> Option<Sent> {
        match (self.busy, self.manner()) {
            (Busy::Working, Manner::Message) => {
                let text = self.whole()?;
                self.sent(Sent::Queue(text))
            }
            (Busy::Working, Manner::Command | Manner::Shell) | (Busy::Idle, _) => None,
        }
    }

    /// The text to be sent; `None` where there is nothing but white space.
    fn whole(&self) -> Option<String> {
        let text = self.text();
        let text = text.trim_end().trim_start_matches('\n');
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    fn sent(&mut self, sent: Sent) -> Option<Sent> {
        self.history.push(&sent.kept().unwrap_or_default());
        self.reset();
        Some(sent)
    }
}
