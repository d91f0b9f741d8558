//! Making room before a model call: older turns are summarised by the model, or
//! left out, oldest first; failing that, outputs of tools that the running turn has
//! used are cut. Each time an entry of the log says what left the prompt, and a
//! line tells the user. What is pinned, and the running turn's messages, stay.

use minijinja::{Environment, UndefinedBehavior, context};

use super::context::Meter;
use super::conversation::OldTurn;
use super::driver::Agent;
use super::entry::{Compaction, Finish, How, Kind, Shortened};
use super::event::{Event, Front};
use super::model::Prepared;
use super::present::thousands;
use crate::chat::{Message, Role};
use crate::generate::Cancel;
use crate::sandbox::text::{Bounded, Limit, bound};
use crate::tools::Outcome;

const INSTRUCTION: &str = include_str!("../../prompts/compact.md.jinja");

/// Hundredths of the window that are to be filled when room was made.
const AFTERWARDS: usize = 50;
/// Most tokens of a summary, and the share of the window that it may take.
const SUMMARY: usize = 1024;
const SUMMARY_SHARE: usize = 8;
/// A summary needs room for so many tokens to be worth trying.
const LEAST_SUMMARY: usize = 48;
/// Turns that the line for the user names.
const NAMED: usize = 6;
/// What is left of an output that the running turn has used.
const USED: Limit = Limit {
    bytes: 600,
    lines: 12,
};

/// Outputs below this share of the window are not measured.
const SMALL_SHARE: usize = 16;
/// The share of the window that is kept for the next answer when an output is cut.
const REPLY_SHARE: usize = 8;
/// Bytes that an output is never cut below.
const LEAST_OUTPUT: usize = 160;

/// How many of the oldest turns have to go.
#[derive(Clone, Copy)]
enum Wanted {
    /// Those that have so many tokens.
    Tokens(usize),
    All,
}

/// The oldest turns, to be left out.
struct Oldest {
    upto: u64,
    /// Messages up to there.
    end: usize,
    numbers: (usize, usize),
    /// A line for each.
    lines: Vec<String>,
    tokens: usize,
}

impl Agent {
    /// One answer of the model, after room was made for it.
    pub(super) fn generate(&mut self, max_tokens: usize, cancel: &Cancel, front: &mut dyn Front) {
        let prepared = match self.fit(cancel, front) {
            // The loop sees that it was stopped.
            Ok(_) if cancel.is_cancelled() => return,
            prepared => prepared,
        };
        let place = self.session.place();
        let answered = prepared.and_then(|prepared| {
            self.model
                .answer(place, prepared, max_tokens, cancel, front)
        });
        match answered {
            Ok((answer, _)) if answer.never_began() => {}
            Ok((answer, usage)) => {
                self.record(Kind::Assistant(answer), front);
                if let Some(usage) = usage {
                    self.record(usage, front);
                }
                self.mark_cache(front);
            }
            Err(message) => {
                tracing::error!("model call failed: {message}");
                front.event(&Event::Error {
                    message: message.clone(),
                });
                self.record(Kind::Failed { message }, front);
            }
        }
    }

    /// The next prompt, once it leaves enough of the window or nothing helps.
    fn fit(&mut self, cancel: &Cancel, front: &mut dyn Front) -> Result<Prepared, String> {
        loop {
            let prepared = self.model.prepare(self.session.machine().conversation())?;
            let meter = self.model.meter(&prepared);
            let enough = meter.percent() < self.rules.limits.compact_at;
            if enough || cancel.is_cancelled() || !self.make_room(meter, cancel, front) {
                return Ok(prepared);
            }
        }
    }

    /// Makes room now, whatever the context holds: all turns but the newest are
    /// summarised, with regard to `focus`, or left out.
    ///
    /// # Errors
    /// When there is nothing to leave out, or it was stopped; one line.
    pub fn compact(&mut self, focus: &str, front: &mut dyn Front) -> Result<(), String> {
        let cancel = self.stop.begin();
        let meter = self.context()?;
        let made = self.compact_old(meter, Wanted::All, focus, &cancel, front);
        let stopped = cancel.is_cancelled();
        self.stop.finish();
        match made {
            true => Ok(()),
            false if stopped => Err("stopped; nothing was left out".into()),
            false => {
                Err("there is nothing to leave out: only the newest turn, and what is kept".into())
            }
        }
    }

    /// False if nothing helps.
    fn make_room(&mut self, meter: Meter, cancel: &Cancel, front: &mut dyn Front) -> bool {
        let excess = meter.total() - meter.total().min(meter.window * AFTERWARDS / 100);
        self.compact_old(meter, Wanted::Tokens(excess), "", cancel, front)
            || self.shorten_used(meter, excess, front)
    }

    fn compact_old(
        &mut self,
        meter: Meter,
        wanted: Wanted,
        focus: &str,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) -> bool {
        if self.summarises() {
            let most = SUMMARY.min(meter.window / SUMMARY_SHARE);
            let wanted = match wanted {
                Wanted::Tokens(tokens) => Wanted::Tokens(tokens + most),
                Wanted::All => Wanted::All,
            };
            let Some(oldest) = self.oldest(wanted) else {
                return false;
            };
            let written = self.summary(&oldest, most, focus, cancel, front);
            if cancel.is_cancelled() {
                return false;
            }
            match written {
                Ok(compaction) => {
                    let took = self.model.count_tokens(&compaction.summary);
                    let what = format!("are summarised in {} tokens", thousands(took));
                    self.leave_out(compaction, meter, &oldest, &what, front);
                    return true;
                }
                Err(why) => front.event(&Event::Notice {
                    text: format!("no summary ({why}), so the oldest turns are left out"),
                }),
            }
        }
        let Some(oldest) = self.oldest(wanted) else {
            return false;
        };
        let compaction = Compaction {
            how: How::DroppedOldest,
            summary: String::new(),
            ids: Vec::new(),
            focus: focus.to_owned(),
            upto: oldest.upto,
            dropped: oldest.lines.clone(),
            shortened: Vec::new(),
        };
        self.leave_out(compaction, meter, &oldest, "are left out", front);
        true
    }

    fn oldest(&self, wanted: Wanted) -> Option<Oldest> {
        let conversation = self.session.machine().conversation();
        let mut found: Option<Oldest> = None;
        for turn in conversation.old_turns() {
            let done = match (wanted, &found) {
                (Wanted::Tokens(wanted), Some(oldest)) => oldest.tokens >= wanted,
                (Wanted::All, _) | (_, None) => false,
            };
            if done {
                break;
            }
            let (line, tokens) = self.describe_turn(&turn);
            let oldest = found.get_or_insert_with(|| Oldest {
                upto: 0,
                end: 0,
                numbers: (turn.number, turn.number),
                lines: Vec::new(),
                tokens: 0,
            });
            (oldest.upto, oldest.end, oldest.numbers.1) = (turn.upto, turn.end, turn.number);
            oldest.lines.push(line);
            oldest.tokens += tokens;
        }
        found
    }

    /// A line on what leaves the prompt with a turn, and its tokens.
    fn describe_turn(&self, turn: &OldTurn) -> (String, usize) {
        let messages = self.session.machine().messages();
        let loose = || turn.loose.iter().filter_map(|&at| messages.get(at));
        let tokens = loose().map(|message| self.model.weigh(message)).sum();
        let count = |role| loose().filter(|message| message.role == role).count();
        let kinds = [
            (Role::User, "message", "messages"),
            (Role::Assistant, "answer", "answers"),
            (Role::Tool, "tool output", "tool outputs"),
        ];
        let kinds = kinds.map(|(role, one, many)| match count(role) {
            0 => String::new(),
            1 => format!("1 {one}, "),
            n => format!("{n} {many}, "),
        });
        let line = format!(
            "turn {}: {}{} tokens",
            turn.number,
            kinds.concat(),
            thousands(tokens)
        );
        (line, tokens)
    }

    /// Has the model write a summary of the oldest turns; else why there is none.
    fn summary(
        &mut self,
        oldest: &Oldest,
        most: usize,
        focus: &str,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) -> Result<Compaction, String> {
        let most = most.min(oldest.tokens);
        if most < LEAST_SUMMARY {
            return Err("there is too little to summarise".into());
        }
        let (first, last) = oldest.numbers;
        front.event(&Event::Notice {
            text: format!("the model summarises {}", turns(first, last)),
        });
        let instruction = Message {
            role: Role::User,
            content: instruction(most, focus)?,
            reasoning_content: String::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        };
        let messages = self.session.machine().messages();
        let messages = messages.get(..oldest.end).unwrap_or(messages);
        let (answer, usage) = self
            .model
            .summarise(messages, instruction, most, cancel, front)?;
        usage
            .into_iter()
            .for_each(|usage| self.record(usage, front));
        let summary = answer.text.trim();
        match answer.finish {
            Finish::Stop => {}
            Finish::Context => return Err("there is no room to write it".into()),
            Finish::MaxTokens | Finish::Loop | Finish::Cancelled | Finish::Steered => {
                return Err("it did not come to an end".into());
            }
        }
        if summary.is_empty() {
            return Err("the model wrote none".into());
        }
        if self.model.count_tokens(summary) >= oldest.tokens {
            return Err("it was longer than what it was to replace".into());
        }
        Ok(Compaction {
            how: How::Summarised,
            summary: summary.to_owned(),
            ids: answer.ids,
            focus: focus.to_owned(),
            upto: oldest.upto,
            dropped: oldest.lines.clone(),
            shortened: Vec::new(),
        })
    }

    fn leave_out(
        &mut self,
        compaction: Compaction,
        meter: Meter,
        oldest: &Oldest,
        what: &str,
        front: &mut dyn Front,
    ) {
        let (first, last) = oldest.numbers;
        let mut named = oldest.lines.iter().take(NAMED).cloned().collect::<Vec<_>>();
        if oldest.lines.len() > NAMED {
            named.push(format!("and {} more", oldest.lines.len() - NAMED));
        }
        let text = format!(
            "the context is {} % full: {} {what} ({}); the log keeps all",
            meter.percent(),
            turns(first, last),
            named.join("; ")
        );
        front.event(&Event::Notice { text });
        self.record(Kind::Compaction(compaction), front);
        self.model.run = None;
    }

    /// Cuts outputs that the running turn has used, oldest first.
    fn shorten_used(&mut self, meter: Meter, excess: usize, front: &mut dyn Front) -> bool {
        let conversation = self.session.machine().conversation();
        let (mut shortened, mut dropped, mut freed) = (Vec::new(), Vec::new(), 0);
        for (entry, output) in conversation.used_outputs() {
            let short = bound(output, USED);
            if freed >= excess || !short.truncated || short.text.len() >= output.len() {
                continue;
            }
            let [before, after] = [output, &short.text].map(|text| self.model.count_tokens(text));
            freed += before.saturating_sub(after);
            dropped.push(format!(
                "tool output: {} of {} tokens",
                thousands(before.saturating_sub(after)),
                thousands(before)
            ));
            shortened.push(Shortened {
                entry,
                text: short.text,
            });
        }
        if shortened.is_empty() {
            return false;
        }
        let text = format!(
            "the context is {} % full: tool outputs that the model has answered are cut to head \
             and tail ({}); the log keeps all",
            meter.percent(),
            dropped.join("; ")
        );
        front.event(&Event::Notice { text });
        let compaction = Compaction {
            how: How::Shortened,
            summary: String::new(),
            ids: Vec::new(),
            focus: String::new(),
            upto: 0,
            dropped,
            shortened,
        };
        self.record(Kind::Compaction(compaction), front);
        self.model.run = None;
        true
    }
}

impl Agent {
    /// A tool's result, cut to what the window has room for when all older turns have
    /// left it, and the user told.
    pub(super) fn cut_to_room(&self, name: &str, outcome: &mut Outcome, front: &mut dyn Front) {
        let window = self.model.context;
        // Tokens are no shorter than a byte.
        if outcome.output.len() <= window / SMALL_SHARE {
            return;
        }
        let conversation = self.session.machine().conversation();
        let Ok(meter) = self.model.measure(conversation) else {
            return;
        };
        let messages = conversation.messages();
        let old = conversation.old_turns();
        let loose = old.iter().flat_map(|turn| &turn.loose);
        let loose: usize = loose
            .filter_map(|&at| messages.get(at))
            .map(|message| self.model.weigh(message))
            .sum();
        let reply = self.rules.limits.reply_tokens.min(window / REPLY_SHARE);
        let taken = meter.total().saturating_sub(loose) + reply;
        let room = window.saturating_sub(taken);
        let all = self.model.count_tokens(&outcome.output);
        if all <= room {
            return;
        }
        let cut = self.cut_to(&outcome.output, all, room);
        let kept = self.model.count_tokens(&cut.text);
        front.event(&Event::Notice {
            text: format!(
                "the context has no room for all that {name} gave: {} of {} tokens are kept, head \
                 and tail",
                thousands(kept),
                thousands(all)
            ),
        });
        outcome.output = cut.text;
        outcome.truncated |= cut.truncated;
    }

    /// Head and tail of a text of `all` tokens, in at most `room` of them or so few
    /// that less says nothing.
    pub(super) fn cut_to(&self, text: &str, all: usize, room: usize) -> Bounded {
        let mut bytes = text.len() * room / all.max(1);
        loop {
            let limit = Limit {
                bytes: bytes.max(LEAST_OUTPUT),
                lines: usize::MAX,
            };
            let cut = bound(text, limit);
            if bytes <= LEAST_OUTPUT || self.model.count_tokens(&cut.text) <= room {
                return cut;
            }
            bytes = bytes * 3 / 4;
        }
    }
}

fn turns(first: usize, last: usize) -> String {
    match first == last {
        true => format!("the messages of turn {first}"),
        false => format!("the messages of turns {first} to {last}"),
    }
}

/// Renders `prompts/compact.md.jinja`.
fn instruction(tokens: usize, focus: &str) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let words = tokens * 6 / 10;
    environment
        .render_str(INSTRUCTION, context! { words, focus })
        .map_err(|error| format!("prompts/compact.md.jinja: {error}"))
}
