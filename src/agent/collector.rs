//! An answer, parsed as it comes: what the front end hears of it, and what the log
//! keeps.

use super::entry::{Answer, Finish};
use super::event::{Event, Front};
use crate::chat::{ChatEvent, Parser, ParserOptions};
use crate::generate::Token;

/// Parses an answer as it comes.
pub(super) struct Collector {
    parser: Parser,
    answer: Answer,
    /// White space that is nothing to show unless more text follows.
    held: String,
}

impl Collector {
    pub fn new(options: ParserOptions) -> Self {
        Self {
            parser: Parser::new(options),
            answer: Answer::default(),
            held: String::new(),
        }
    }

    pub fn token(&mut self, token: &Token, front: &mut dyn Front) {
        let events = self.parser.push(Some(token.id), &token.text);
        self.take(events, front);
    }

    pub fn finish(
        mut self,
        tail: &str,
        ids: Vec<u32>,
        finish: Finish,
        front: &mut dyn Front,
    ) -> Answer {
        if !tail.is_empty() {
            let events = self.parser.push(None, tail);
            self.take(events, front);
        }
        let events = self.parser.finish();
        self.take(events, front);
        self.flush_before_calls();
        self.answer.ids = ids;
        self.answer.finish = finish;
        self.answer
    }

    fn take(&mut self, events: Vec<ChatEvent>, front: &mut dyn Front) {
        for event in events {
            match event {
                ChatEvent::Reasoning(text) => {
                    self.answer.reasoning.push_str(&text);
                    front.event(&Event::Reasoning { text });
                }
                ChatEvent::Text(text) => self.text(&text, front),
                // Announced when it is taken up, not when it is written.
                ChatEvent::ToolCall(call) => {
                    self.flush_before_calls();
                    self.answer.calls.push(call);
                }
                ChatEvent::Malformed { reason, .. } => self.answer.malformed.push(reason),
            }
        }
    }
    fn text(&mut self, text: &str, front: &mut dyn Front) {
        let mut text = std::mem::take(&mut self.held) + text;
        self.held = text.split_off(text.trim_end().len());
        if !text.is_empty() {
            self.answer.text.push_str(&text);
            front.event(&Event::Text { text });
        }
    }

    /// Templates write an answer's text before its calls: white space belongs to
    /// it there, and to the layout of the calls after that. So a rendered answer
    /// equals the generated one, and the cache's prefix holds.
    fn flush_before_calls(&mut self) {
        let held = std::mem::take(&mut self.held);
        if self.answer.calls.is_empty() {
            self.answer.text.push_str(&held);
        }
    }
}
