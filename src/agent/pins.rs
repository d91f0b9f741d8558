//! Pins: users' messages that stay in the prompt whatever leaves it.

use super::conversation::Pinnable;
use super::driver::Agent;
use super::entry::Kind;
use super::event::Front;

impl Agent {
    /// The users' messages of this session, oldest first.
    pub fn pinnable(&self) -> Vec<Pinnable> {
        self.session.machine().conversation().pinnable()
    }

    /// Pins the user's message of this number, counted from 1; the last one if there
    /// is none. Returns the number.
    ///
    /// # Errors
    /// When there is no such message, or it has left the prompt already.
    pub fn pin(&mut self, number: Option<usize>, front: &mut dyn Front) -> Result<usize, String> {
        let (number, message) = self.find(number)?;
        if !message.present {
            return Err(format!(
                "message {number} has left the prompt; say it again and pin that"
            ));
        }
        if !message.pinned {
            let entry = message.entry;
            self.record(Kind::Pin { entry }, front);
        }
        Ok(number)
    }

    /// # Errors
    /// When no message of this number is pinned, or it is the first one.
    pub fn unpin(&mut self, number: usize, front: &mut dyn Front) -> Result<(), String> {
        let (_, message) = self.find(Some(number))?;
        match number {
            1 => Err("the first message is the task, and always kept".into()),
            _ if !message.pinned => Err(format!("message {number} is not pinned")),
            _ => {
                let entry = message.entry;
                self.record(Kind::Unpin { entry }, front);
                Ok(())
            }
        }
    }

    fn find(&self, number: Option<usize>) -> Result<(usize, Pinnable), String> {
        let mut all = self.pinnable();
        let last = all.len();
        let number = number.unwrap_or(last);
        match last {
            0 => Err("there is no message yet".into()),
            _ if number == 0 || number > last => {
                Err(format!("there are messages 1 to {last}, and no {number}"))
            }
            _ => Ok((number, all.swap_remove(number - 1))),
        }
    }
}
