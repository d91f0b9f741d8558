//! From the log and the stream to items. What streams is shown at once, and settled by
//! the entry that follows; a stored session has entries only and comes out the same.

use std::time::Instant;

use serde_json::{Map, Value};

use super::Transcript;
use super::body::{Answer, User, Writing};
use super::card::{Card, State};
use super::item::{Body, Fold, Item};
use super::said::{Said, Tone, compacted, ended, restored};
use super::scroll::View;
use super::words::Words;
use crate::agent::{self, Agent, Entry, Event, Exit, FileText, Kind, Shell, ToolResult};
use crate::chat::ToolCall;
use crate::tui::text::markdown::Markdown;

/// How far back the line may be that an entry belongs to.
const NEAR: usize = 8;

impl Transcript {
    /// Shows a session, or another branch of it: all entries from the first to the head.
    /// What was here before is gone.
    pub fn load(&mut self, path: &[&Entry]) {
        self.items.clear();
        self.newest = 0;
        self.writing = None;
        self.view = View::default();
        self.selected = None;
        self.drag = None;
        self.given = 0;
        self.users = 0;
        for entry in path {
            self.apply(entry);
        }
        self.change_cards(Card::leave);
    }

    /// One more entry was logged. An entry that is here already changes nothing, so
    /// `Event::Logged` may be given to `event`, its entry to this, or both.
    pub fn apply(&mut self, entry: &Entry) {
        self.take(entry, None);
    }

    /// Something happened.
    pub fn event(&mut self, event: &Event, at: Instant) {
        match event {
            Event::Reasoning { text } => self.write(|answer| answer.thought.push(text)),
            Event::Text { text } => self.write(|answer| answer.markdown.push(text)),
            Event::ToolCall {
                id,
                name,
                arguments,
                ..
            } => {
                self.stop_writing();
                if self.card(id).is_none() {
                    self.push(Body::Call(Card::new(id, name, arguments)));
                }
            }
            Event::ToolOutput { id, text } => self.tool_output(id, text),
            Event::Change { id, diff } => self.tool_change(id, diff),
            Event::Notice { text } => {
                let mut said = Said::new(Tone::Notice, text);
                said.awaits_entry = true;
                self.push(Body::Said(said));
            }
            Event::Error { message } => {
                let mut said = Said::new(Tone::Error, message);
                said.awaits_entry = true;
                self.push(Body::Said(said));
            }
            Event::Logged(entry) => self.take(entry, Some(at)),
            Event::Done(_) => {
                self.stop_writing();
                self.close_cards();
            }
            // The entries that follow say the same.
            Event::ToolResult { .. } => {}
            Event::TurnStarted
            | Event::Prefill { .. }
            | Event::Token(_)
            | Event::Context(_)
            | Event::Usage { .. } => {}
        }
    }

    /// A line, or several, of the program's own.
    pub fn say(&mut self, text: &str) {
        self.push(Body::Said(Said::new(Tone::Program, text)));
    }

    /// A running command has printed something.
    pub fn tool_output(&mut self, id: &str, text: &str) {
        if let Some(card) = self.card(id) {
            card.print(text);
        }
    }

    /// A call changes a file like this: a unified diff.
    pub fn tool_change(&mut self, id: &str, diff: &str) {
        if let Some(card) = self.card(id) {
            card.change(diff);
        }
    }

    /// A command of the user's own begins to run.
    pub fn shell(&mut self, command: &str, now: Instant) {
        let mut card = shell_card(command);
        card.state = State::Running(Some(now));
        self.push(Body::Call(card));
    }

    fn shell_ended(&mut self, shell: &Shell, at: Option<Instant>) {
        let result = ToolResult {
            call_id: Agent::SHELL.to_owned(),
            ok: shell.ok,
            output: shell.output.clone(),
            truncated: false,
            refused: false,
            change: String::new(),
        };
        if !self
            .card(Agent::SHELL)
            .is_some_and(|card| card.is_running())
        {
            self.push(Body::Call(shell_card(&shell.command)));
        }
        if let Some(card) = self.card(Agent::SHELL) {
            card.finish(&result, at);
        }
    }

    fn take(&mut self, entry: &Entry, at: Option<Instant>) {
        if entry.id <= self.newest {
            return;
        }
        self.newest = entry.id;
        match &entry.kind {
            Kind::User { text, attached } => {
                self.close_cards();
                self.users += 1;
                self.user(text, attached, Some(self.users));
            }
            Kind::Steer { text, attached } => {
                self.stop_writing();
                self.user(text, attached, None);
            }
            Kind::Assistant(answer) => self.answered(entry.id, answer),
            Kind::ToolStarted { call, .. } => self.started(call, at),
            Kind::ToolResult(result) => self.resulted(result, at),
            Kind::Failed { message } => self.fail(message),
            Kind::TurnEnded { exit, reason } => self.turn_ended(*exit, *reason),
            Kind::Undo(what) => self.mark(restored("undone", what)),
            Kind::Redo(what) => self.mark(restored("redone", what)),
            Kind::Shell(shell) => self.shell_ended(shell, at),
            Kind::Fork { .. } => self.mark("from here on it is another branch".to_owned()),
            Kind::Compaction(what) => {
                // The notice that came with it says more.
                if !self.settle_line(|said| said.tone == Tone::Notice) {
                    self.mark(compacted(what));
                }
            }
            // What has no place in a conversation, or is told by what follows it.
            Kind::Usage { .. }
            | Kind::Permission { .. }
            | Kind::Interrupted
            | Kind::Settings(_)
            | Kind::CacheMark { .. }
            | Kind::Memory { .. }
            | Kind::Pin { .. }
            | Kind::Unpin { .. } => {}
        }
    }

    fn user(&mut self, text: &str, attached: &[FileText], number: Option<usize>) {
        self.push(Body::User(User {
            text: text.to_owned(),
            attached: attached.iter().map(|file| file.path.clone()).collect(),
            number,
        }));
    }

    fn answered(&mut self, entry: u64, answer: &agent::Answer) {
        let text = answer.text.trim_end();
        let is_shown = !text.is_empty() || !answer.reasoning.trim().is_empty();
        if is_shown || self.writing.is_some() {
            self.write(|shown| {
                if shown.markdown.source() != text {
                    shown.markdown = Markdown::new(text);
                }
                shown.thought = Words::of(&answer.reasoning);
                shown.entry = Some(entry);
            });
        }
        self.stop_writing();
        for call in &answer.calls {
            let card = Card::new(&call.id, &call.name, &call.arguments);
            self.push(Body::Call(card));
        }
    }

    fn started(&mut self, call: &ToolCall, at: Option<Instant>) {
        if self.card(&call.id).is_none() {
            let card = Card::new(&call.id, &call.name, &call.arguments);
            self.push(Body::Call(card));
        }
        if let Some(card) = self.card(&call.id) {
            card.state = State::Running(at);
        }
    }

    fn resulted(&mut self, result: &ToolResult, at: Option<Instant>) {
        match self.card(&result.call_id) {
            Some(card) => {
                if !result.change.is_empty() {
                    card.change(&result.change);
                }
                card.finish(result, at);
            }
            // Of a call that could not be read.
            None => self.fail(&result.output),
        }
    }

    fn fail(&mut self, message: &str) {
        self.stop_writing();
        let same = |said: &Said| said.tone == Tone::Error && said.text == message;
        if !self.settle_line(same) {
            self.push(Body::Said(Said::new(Tone::Error, message)));
        }
    }

    fn turn_ended(&mut self, exit: Exit, reason: agent::Reason) {
        self.stop_writing();
        self.close_cards();
        // A limit was told in full while the turn ran.
        let told = exit == Exit::Limit && self.settle_line(|said| said.tone == Tone::Error);
        if let (false, Some(text)) = (told, ended(reason)) {
            self.mark(text);
        }
    }

    /// Finds the line that came with the stream for an entry, if one did.
    fn settle_line(&mut self, fits: impl Fn(&Said) -> bool) -> bool {
        for item in self.items.iter_mut().rev().take(NEAR) {
            match &mut item.body {
                Body::Said(said) if said.awaits_entry && fits(said) => {
                    said.awaits_entry = false;
                    return true;
                }
                Body::User(_) => return false,
                Body::Said(_) | Body::Answer(_) | Body::Call(_) => {}
            }
        }
        false
    }

    fn mark(&mut self, text: String) {
        self.push(Body::Said(Said::new(Tone::Mark, text)));
    }

    fn push(&mut self, body: Body) {
        self.items.push(Item::new(body));
    }

    /// Changes the answer that is being written; a new one if there is none.
    fn write(&mut self, change: impl FnOnce(&mut Answer)) {
        let at = *self.writing.get_or_insert(self.items.len());
        if at == self.items.len() {
            self.push(Body::Answer(Answer::default()));
        }
        if let Some(Body::Answer(answer)) = self.change(at).map(|item| &mut item.body) {
            change(answer);
        }
    }

    fn stop_writing(&mut self) {
        let item = self.writing.take().and_then(|at| self.change(at));
        if let Some(Body::Answer(answer)) = item.map(|item| &mut item.body) {
            answer.state = Writing::Ended;
            answer.markdown.finish();
        }
    }

    /// What has not come to its end by now never will.
    fn close_cards(&mut self) {
        self.change_cards(Card::give_up);
    }

    /// Changes the cards of the newest turn that are not final.
    fn change_cards(&mut self, change: fn(&mut Card)) {
        for item in self.items.iter_mut().rev() {
            match &mut item.body {
                Body::Call(card) if !card.is_final() => {
                    change(card);
                    item.touch();
                }
                Body::User(_) => return,
                Body::Call(_) | Body::Answer(_) | Body::Said(_) => {}
            }
        }
    }

    /// The newest card of a call, which is about to change.
    fn card(&mut self, id: &str) -> Option<&mut Card> {
        self.items.iter_mut().rev().find_map(|item| {
            let Body::Call(card) = &item.body else {
                return None;
            };
            if card.id != id {
                return None;
            }
            item.touch();
            match &mut item.body {
                Body::Call(card) => Some(card),
                Body::User(_) | Body::Answer(_) | Body::Said(_) => None,
            }
        })
    }

    /// Folds all cards, or unfolds them if all are folded.
    pub(super) fn fold_all(&mut self) {
        let all = self.items.iter().filter(|item| item.folds());
        let fold = match all.clone().all(|item| item.fold() == Fold::Folded) {
            true => Fold::Open,
            false => Fold::Folded,
        };
        for item in self.items.iter_mut().filter(|item| item.folds()) {
            item.set_fold(fold);
        }
    }
}

fn shell_card(command: &str) -> Card {
    let arguments = Map::from_iter([("command".to_owned(), Value::from(command))]);
    Card::new(Agent::SHELL, "run_command", &arguments)
}
