//! Steering: what the user says while the model works. The answer that is being written
//! ends after the token it is at, the message follows it within the same turn, and the
//! next prompt continues the ids, so nothing is read again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::driver::Agent;
use super::entry::{Answer, Finish, Kind};
use super::event::Front;
use super::model::{END_OF_TURN, Model};
use crate::chat::{Message, Prompt, Role, Start};
use crate::generate::Cancel;

/// A handle to what the user says to the turn that is running. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Steer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<String>,
    /// Ends the answer that is being written.
    answer: Option<Cancel>,
}

impl Steer {
    /// Says something. The model reads it before it goes on: at once if it writes, else
    /// when the tool that runs or is asked about is done.
    pub fn say(&self, text: impl Into<String>) {
        let mut state = self.lock();
        state.messages.push_back(text.into());
        if let Some(answer) = &state.answer {
            answer.cancel();
        }
    }

    /// Takes back what no turn has taken up: there was none, or it came too late.
    pub fn take(&self) -> Vec<String> {
        self.lock().messages.drain(..).collect()
    }

    fn next(&self) -> Option<String> {
        self.lock().messages.pop_front()
    }

    /// An answer begins; what is given back ends it.
    pub(super) fn begin(&self) -> Cancel {
        let mut state = self.lock();
        let answer = Cancel::default();
        if !state.messages.is_empty() {
            answer.cancel();
        }
        state.answer = Some(answer.clone());
        answer
    }

    pub(super) fn end(&self) {
        self.lock().answer = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done in here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Puts what the user has said meanwhile into the conversation; false if that is
    /// nothing.
    pub(super) fn hear(&mut self, front: &mut dyn Front) -> bool {
        let steer = self.steer();
        let mut heard = false;
        while let Some(text) = steer.next() {
            let text = self.expanded(&text);
            let attached = self.attach(&text, front);
            self.record(Kind::Steer { text, attached }, front);
            heard = true;
        }
        heard
    }
}

impl Answer {
    /// The user spoke before its first token: it is no answer.
    pub(super) fn never_began(&self) -> bool {
        self.finish == Finish::Steered && self.ids.is_empty()
    }
}

impl Model {
    /// The ids that end an answer which stopped after `ids`: its reasoning is closed if
    /// it is open, then the turn.
    pub(super) fn closing(&self, start: Start, ids: &[u32]) -> Vec<u32> {
        let budget = self.budget(start);
        let reasoning = budget.filter(|budget| {
            ids.iter().fold(budget.starts_open, |open, id| {
                let closes = *id == budget.close || Some(*id) == budget.tool_call;
                *id == budget.open || open && !closes
            })
        });
        let closing = reasoning.map_or(Vec::new(), |budget| budget.closing);
        let end = self.tokenizer.id_of(END_OF_TURN);
        closing.into_iter().chain(end).collect()
    }

    /// What to append to the ids of an answer that the user has said something after.
    /// Many templates leave the reasoning of earlier answers out then, so what follows
    /// is taken from a conversation without any. `None` if the user said nothing, or if
    /// a template writes even that differently. `before` ends with the answer, `after`
    /// goes on.
    pub(super) fn steered(
        &self,
        before: &[Message],
        after: &[Message],
    ) -> Result<Option<Prompt>, String> {
        let (Some(system), Some(answer)) = (before.first(), before.last()) else {
            return Ok(None);
        };
        let new = after.get(before.len()..).unwrap_or_default();
        if !new.iter().any(|message| message.role == Role::User) {
            return Ok(None);
        }
        let task = Message {
            role: Role::User,
            content: "x".to_owned(),
            reasoning_content: String::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        };
        let answer = Message {
            reasoning_content: String::new(),
            ..answer.clone()
        };
        let short = [system.clone(), task, answer];
        let long = [&short, new].concat();
        self.renderer
            .continuation(&short, &long, &self.specs, self.thinking)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_ends_the_answer_and_is_never_lost() {
        let steer = Steer::default();
        steer.say("early");
        assert_eq!(steer.take(), ["early"]);
        let answer = steer.begin();
        assert!(!answer.is_cancelled());
        steer.clone().say("one");
        steer.say("two");
        assert!(answer.is_cancelled());
        assert_eq!(steer.next().as_deref(), Some("one"));
        // What is left ends the next one where it begins.
        assert!(steer.begin().is_cancelled());
        assert_eq!(steer.next().as_deref(), Some("two"));
        let next = steer.begin();
        steer.end();
        steer.say("late");
        assert!(!next.is_cancelled());
        assert_eq!(steer.take(), ["late"]);
        assert_eq!(steer.next(), None);
    }
}
