//! What the model is told, message by message, with where each came from: which
//! entry of the log, and whose each part of its content is. Compaction and pins
//! are changes of this list that follow from their entries alone.

use std::collections::BTreeSet;

use super::entry::{Compaction, FileText, How};
use crate::chat::{Message, Owner, Parts, Role};

/// What a message is to compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    User,
    /// The user, within a turn.
    Steer,
    Assistant,
    Tool,
    /// What stands for messages that were left out.
    Note,
    /// Project memory out of messages that were left out.
    Memory,
}

#[derive(Clone, Debug, PartialEq)]
struct Origin {
    entry: u64,
    said: Said,
    /// Of the content, by owner and bytes.
    parts: Vec<(Owner, usize)>,
}

/// A turn before the newest one, as far as it can be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldTurn {
    /// Counted from 1 within the session.
    pub number: usize,
    /// Its last entry.
    pub upto: u64,
    /// How many messages follow in the list after it.
    pub end: usize,
    /// Indices of what is not pinned.
    pub loose: Vec<usize>,
}

/// A user's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinnable {
    pub entry: u64,
    pub text: String,
    pub pinned: bool,
    /// Still in the prompt.
    pub present: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Conversation {
    messages: Vec<Message>,
    origins: Vec<Origin>,
    /// Entries of all users' messages, with their texts.
    users: Vec<(u64, String)>,
    pins: BTreeSet<u64>,
    /// What was left out last, if it was summarised.
    summary: Option<String>,
    /// Turns that were left out since without a summary.
    left_out: usize,
}

/// A piece of a message's content.
pub type Piece = (Owner, String);

impl Conversation {
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Whose the contents are, message by message.
    pub fn parts(&self) -> impl Iterator<Item = &Parts> {
        self.origins.iter().map(|origin| origin.parts.as_slice())
    }

    pub fn push(&mut self, entry: u64, said: Said, message: Message) {
        self.messages.push(message);
        self.origins.push(Origin {
            entry,
            said,
            parts: Vec::new(),
        });
    }

    /// A user's message with what goes along.
    pub fn user(&mut self, entry: u64, text: &str, before: Vec<Piece>, attached: &[FileText]) {
        self.users.push((entry, text.to_owned()));
        let pieces = before.into_iter().chain(with_files(text, attached));
        self.said(entry, Said::User, pieces.collect());
    }

    /// What the user said within a turn.
    pub fn steer(&mut self, entry: u64, text: &str, attached: &[FileText]) {
        self.said(entry, Said::Steer, with_files(text, attached).collect());
    }

    fn said(&mut self, entry: u64, said: Said, pieces: Vec<Piece>) {
        let (message, parts) = user_message(&pieces);
        self.messages.push(message);
        self.origins.push(Origin { entry, said, parts });
    }

    /// Project memory goes along with the tool's output that it came up with; false
    /// if there is none to go with.
    pub fn remember(&mut self, files: &[FileText]) -> bool {
        let (Some(message), Some(origin)) = (self.messages.last_mut(), self.origins.last_mut())
        else {
            return false;
        };
        if origin.said != Said::Tool {
            return false;
        }
        if origin.parts.is_empty() {
            origin
                .parts
                .push((Owner::ToolOutput, message.content.len()));
        }
        for file in files {
            let text = format!("\n\n{}", file.as_memory().trim_end());
            origin.parts.push((Owner::Memory, text.len()));
            message.content.push_str(&text);
        }
        true
    }

    pub fn pin(&mut self, entry: u64) {
        self.pins.insert(entry);
    }

    pub fn unpin(&mut self, entry: u64) {
        self.pins.remove(&entry);
    }

    /// The users' messages in order; the first is the task, which is always kept.
    pub fn pinnable(&self) -> Vec<Pinnable> {
        let present = |entry| {
            let mut all = self.origins.iter();
            all.any(|origin| origin.entry == entry && origin.said == Said::User)
        };
        let each = self.users.iter().map(|(entry, text)| Pinnable {
            entry: *entry,
            text: text.clone(),
            pinned: self.is_pinned(*entry),
            present: present(*entry),
        });
        each.collect()
    }

    fn is_task(&self, entry: u64) -> bool {
        self.users.first().is_some_and(|(task, _)| *task == entry)
    }

    fn is_pinned(&self, entry: u64) -> bool {
        self.pins.contains(&entry) || self.is_task(entry)
    }

    /// Where the newest turn begins.
    fn newest(&self) -> usize {
        let newest = self.origins.iter().rposition(|o| o.said == Said::User);
        newest.unwrap_or(0)
    }

    /// The turns before the newest one that have something to leave out, oldest first.
    pub fn old_turns(&self) -> Vec<OldTurn> {
        let mut turns: Vec<OldTurn> = Vec::new();
        let mut current: Option<OldTurn> = None;
        for (at, origin) in self.origins[..self.newest()].iter().enumerate() {
            if origin.said == Said::User || current.is_none() {
                turns.extend(current.take());
                let number = self
                    .users
                    .partition_point(|(entry, _)| *entry <= origin.entry);
                current = Some(OldTurn {
                    number,
                    upto: origin.entry,
                    end: at + 1,
                    loose: Vec::new(),
                });
            }
            let loose = match origin.said {
                Said::User => !self.is_pinned(origin.entry),
                Said::Steer | Said::Assistant | Said::Tool => true,
                // These are newer than what they stand before.
                Said::Note | Said::Memory => continue,
            };
            if let Some(turn) = &mut current {
                (turn.upto, turn.end) = (origin.entry, at + 1);
                if loose {
                    turn.loose.push(at);
                }
            }
        }
        turns.extend(current);
        turns.retain(|turn| !turn.loose.is_empty());
        turns
    }

    /// Outputs of tools in the newest turn that the model has answered already: the
    /// entry and the text, without what goes along.
    pub fn used_outputs(&self) -> Vec<(u64, &str)> {
        let newest = self.newest();
        let answered = self.origins.iter().rposition(|o| o.said == Said::Assistant);
        let range = newest..answered.unwrap_or(newest).max(newest);
        let all = range.filter(|&at| self.origins[at].said == Said::Tool);
        all.map(|at| (self.origins[at].entry, self.output(at)))
            .collect()
    }

    fn output(&self, at: usize) -> &str {
        let content = &self.messages[at].content;
        match self.origins[at].parts.first() {
            Some((_, length)) => content.get(..*length).unwrap_or(content),
            None => content,
        }
    }

    /// What an entry of the log changes in the list.
    pub fn compact(&mut self, entry: u64, what: &Compaction) {
        for short in &what.shortened {
            self.shorten(short.entry, &short.text);
        }
        if what.upto == 0 {
            return;
        }
        match what.how {
            How::Summarised => {
                self.summary = Some(what.summary.clone());
                self.left_out = 0;
            }
            How::DroppedOldest => self.left_out += what.dropped.len(),
            How::Shortened => {}
        }
        let messages = std::mem::take(&mut self.messages);
        let origins = std::mem::take(&mut self.origins);
        let mut newer = Vec::new();
        let mut memory: Vec<Piece> = Vec::new();
        for (message, origin) in messages.into_iter().zip(origins) {
            let kept = match origin.said {
                // One note covers all that was left out.
                Said::Note => None,
                Said::Memory => Some((message, origin)),
                _ if origin.entry > what.upto => {
                    newer.push((message, origin));
                    None
                }
                Said::User if self.pins.contains(&origin.entry) => Some((message, origin)),
                Said::User if self.is_task(origin.entry) => Some(without_files(&message, origin)),
                Said::User | Said::Steer | Said::Assistant | Said::Tool => {
                    memory.extend(pieces(&message, &origin.parts, Owner::Memory));
                    None
                }
            };
            if let Some((message, origin)) = kept {
                self.messages.push(message);
                self.origins.push(origin);
            }
        }
        if !memory.is_empty() {
            self.said(entry, Said::Memory, memory);
        }
        self.said(entry, Said::Note, vec![(Owner::History, self.note())]);
        for (message, origin) in newer {
            self.messages.push(message);
            self.origins.push(origin);
        }
    }

    /// What the model reads in place of what is left out.
    fn note(&self) -> String {
        let summary = self.summary.as_ref().map(|summary| {
            format!(
                "[Summary of the conversation up to here, which is left out to make room]\n\
                 {summary}\n[End of the summary]"
            )
        });
        let left_out = match self.left_out {
            0 => None,
            1 => Some("[To make room, 1 turn is left out here.]".to_owned()),
            turns => Some(format!("[To make room, {turns} turns are left out here.]")),
        };
        let notes: Vec<String> = summary.into_iter().chain(left_out).collect();
        notes.join("\n")
    }

    fn shorten(&mut self, entry: u64, text: &str) {
        let tool = |o: &Origin| o.entry == entry && o.said == Said::Tool;
        let Some(at) = self.origins.iter().position(tool) else {
            return;
        };
        let length = self.output(at).len();
        let content = &mut self.messages[at].content;
        content.replace_range(..length, text);
        if let Some((_, length)) = self.origins[at].parts.first_mut() {
            *length = text.len();
        }
    }
}

/// A message's words, then its files.
fn with_files(text: &str, attached: &[FileText]) -> impl Iterator<Item = Piece> {
    let files = { attached.iter() }.map(|file| (Owner::Files, file.as_attachment()));
    std::iter::once((Owner::History, text.to_owned())).chain(files)
}

/// Those pieces of a message that are an owner's.
fn pieces(message: &Message, parts: &Parts, owner: Owner) -> Vec<Piece> {
    let mut rest = message.content.as_str();
    let mut found = Vec::new();
    for (whose, length) in parts {
        let Some((piece, more)) = rest.split_at_checked(*length) else {
            break;
        };
        rest = more;
        if *whose == owner {
            found.push((owner, piece.to_owned()));
        }
    }
    found
}

/// The task's words stay; files can be read again, and commands run.
fn without_files(message: &Message, origin: Origin) -> (Message, Origin) {
    let has = |of: Owner| origin.parts.iter().any(|(owner, _)| *owner == of);
    let left_out = [
        (Owner::Files, FILES_LEFT_OUT),
        (Owner::ToolOutput, OUTPUTS_LEFT_OUT),
    ];
    let said = left_out.into_iter().filter(|(owner, _)| has(*owner));
    let said: Vec<Piece> = said
        .map(|(_, text)| (Owner::History, text.to_owned()))
        .collect();
    if said.is_empty() {
        return (message.clone(), origin);
    }
    let mut rest = message.content.as_str();
    let mut kept = Vec::new();
    for (owner, length) in &origin.parts {
        let Some((piece, more)) = rest.split_at_checked(*length) else {
            break;
        };
        rest = more;
        if !matches!(owner, Owner::Files | Owner::ToolOutput) {
            kept.push((*owner, piece.to_owned()));
        }
    }
    kept.extend(said);
    let (message, parts) = user_message(&kept);
    (message, Origin { parts, ..origin })
}

const FILES_LEFT_OUT: &str = "\n\n[The files that were attached here are left out to make room.]";

const OUTPUTS_LEFT_OUT: &str = "\n\n[What the user ran before this is left out to make room.]";

fn user_message(pieces: &[Piece]) -> (Message, Vec<(Owner, usize)>) {
    let message = Message {
        role: Role::User,
        content: pieces.iter().map(|(_, text)| text.as_str()).collect(),
        reasoning_content: String::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
    };
    let parts = pieces.iter().map(|(owner, text)| (*owner, text.len()));
    (message, parts.collect())
}
