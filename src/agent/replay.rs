//! A session run again from its log: every answer is generated anew, from the same
//! prompt with the same choices, and compared with what was logged, token by token.

use super::driver::Agent;
use super::effect::Effect;
use super::entry::{Answer, Entry, Finish, Kind, ToolResult, Verdict};
use super::event::{Approval, Event, Front, Question};
use super::machine::Machine;
use super::opening::Beginning;
use super::session::{Header, Noted, Place, Span, Trace};
use crate::chat::ToolCall;
use crate::generate::{Cancel, Token};
use crate::sandbox::Decision;
use crate::tools::Call;

/// Where results of tools come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    Logged,
    /// Calls that were allowed are run again.
    Live,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Answers and tokens that were compared.
    pub answers: usize,
    pub tokens: usize,
    /// What the user should know, a line each.
    pub notices: Vec<String>,
    pub difference: Option<Difference>,
}

/// The first token that is another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub entry: u64,
    /// Of the answer's tokens, from 0.
    pub index: usize,
    /// In the sequence; `None` where no token was generated.
    pub position: Option<usize>,
    pub logged: Side,
    pub now: Side,
}

/// What one of the two has in that place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// `None` where the answer ended before.
    pub id: Option<u32>,
    pub text: String,
    /// The most likely tokens there, with the natural logarithms of their
    /// probabilities.
    pub top: Vec<(u32, String, f32)>,
}

impl Agent {
    /// Runs the path of a log; `None` if it was stopped. `tokens` gives those of an
    /// answer, as they were kept.
    ///
    /// # Errors
    /// When a prompt can't be made or the engine fails; one line.
    pub fn replay(
        &mut self,
        header: &Header,
        path: &[&Entry],
        tokens: &dyn Fn(Span) -> Vec<Noted>,
        results: Results,
    ) -> Result<Option<Replayed>, String> {
        let cancel = self.stop.begin();
        let replayed = self.replay_until(header, path, tokens, results, &cancel);
        self.stop.finish();
        replayed
    }

    fn replay_until(
        &mut self,
        header: &Header,
        path: &[&Entry],
        tokens: &dyn Fn(Span) -> Vec<Noted>,
        results: Results,
        cancel: &Cancel,
    ) -> Result<Option<Replayed>, String> {
        self.model.system.clone_from(&header.system);
        self.rules.limits = header.settings.limits.clone();
        self.rules.preamble.clone_from(&header.preamble);
        let mut machine = Machine::new(self.rules.clone());
        let mut replayed = Replayed::default();
        let warning = self.model.choose(&header.settings, &header.tools);
        replayed.notices.extend(warning);
        for entry in path {
            let mut kind = entry.kind.clone();
            match &entry.kind {
                Kind::User { text, .. } => {
                    self.model.run = None;
                    if results == Results::Live {
                        self.toolbox.begin_turn(text);
                    }
                }
                Kind::Settings(chosen) => {
                    let warning = self.model.choose(chosen, &header.tools);
                    replayed.notices.extend(warning);
                }
                Kind::Compaction(_) => self.model.run = None,
                Kind::Assistant(logged) => {
                    let now = self.again(&machine, logged, entry.id, cancel)?;
                    let Some(now) = now else {
                        return Ok(None);
                    };
                    let noted = logged.trace.map_or(Vec::new(), tokens);
                    replayed.answers += 1;
                    replayed.difference = self.difference(entry.id, (logged, &noted), &now);
                    if replayed.difference.is_some() {
                        break;
                    }
                    replayed.tokens += logged.ids.len();
                }
                Kind::ToolResult(logged) if results == Results::Live => {
                    let live = self.run_again(path, logged, cancel);
                    if let Some(live) = live.filter(|live| live.output != logged.output) {
                        replayed.notices.push(format!(
                            "entry {}: the result of {} is another one now",
                            entry.id, logged.call_id
                        ));
                        kind = Kind::ToolResult(live);
                    }
                }
                Kind::TurnEnded { .. } if results == Results::Live => {
                    replayed.notices.extend(self.toolbox.end_turn());
                }
                _ => {}
            }
            machine.apply(&Entry {
                kind,
                ..(*entry).clone()
            });
        }
        Ok(Some(replayed))
    }

    fn again(
        &mut self,
        machine: &Machine,
        logged: &Answer,
        entry: u64,
        cancel: &Cancel,
    ) -> Result<Option<Again>, String> {
        let Effect::Generate { max_tokens } = machine.next() else {
            return Err(format!("entry {entry} is an answer where none is due"));
        };
        let run = Cancel::default();
        let mut front = Watch {
            tokens: Vec::new(),
            // One that was stopped is stopped where it was.
            most: was_stopped(logged).then_some(logged.ids.len()),
            stop: run.clone(),
            outer: cancel.clone(),
        };
        if front.most == Some(0) {
            run.cancel();
        }
        let mut prepared = self.model.prepare(machine.conversation())?;
        prepared.nudges.clone_from(&logged.nudges);
        let kept = prepared.clone();
        let messages = machine.messages().len() + 1;
        let opening = machine.opening();
        let mut nowhere = Trace::nowhere();
        let place = Place {
            machine,
            head: None,
            beginning: opening.map_or_else(Beginning::default, |opening| {
                Beginning::again(opening, logged)
            }),
            trace: &mut nowhere,
        };
        let model = &mut self.model;
        let (answer, _) = model.answer(place, prepared, max_tokens, &run, &mut front)?;
        // Where it was stopped in the middle, it may have gone further now.
        model.remember(kept, logged, messages);
        Ok((!cancel.is_cancelled()).then_some(Again {
            answer,
            tokens: front.tokens,
        }))
    }

    fn difference(
        &self,
        entry: u64,
        (logged, noted): (&Answer, &[Noted]),
        now: &Again,
    ) -> Option<Difference> {
        let ids = &now.answer.ids;
        let same = logged
            .ids
            .iter()
            .zip(ids)
            .take_while(|(a, b)| a == b)
            .count();
        let stopped = was_stopped(logged);
        let whole = same == logged.ids.len() && (stopped || same == ids.len());
        if whole && (stopped || logged.finish == now.answer.finish) {
            return None;
        }
        let tokenizer = &self.model.tokenizer;
        let text = |id| {
            let bytes = tokenizer.token_bytes(id).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        let side = |id: Option<&u32>, top: Vec<(u32, f32)>| Side {
            id: id.copied(),
            text: id.map_or(String::new(), |&id| text(id)),
            top: top
                .into_iter()
                .map(|(id, logprob)| (id, text(id), logprob))
                .collect(),
        };
        let then = noted.get(same).map_or(Vec::new(), |noted| {
            let top = noted.top.iter();
            top.map(|(one, _)| (one.id, one.logprob)).collect()
        });
        let token = now.tokens.get(same);
        let top = token.map_or(Vec::new(), |token| {
            token.top.iter().map(|one| (one.id, one.logprob)).collect()
        });
        let position = token.map(|token| token.position);
        let position = position.or(noted.get(same).map(|noted| noted.position as usize));
        Some(Difference {
            entry,
            index: same,
            position,
            logged: side(logged.ids.get(same), then),
            now: side(ids.get(same), top),
        })
    }

    /// The result of a call that was run, if it may be run now.
    fn run_again(
        &mut self,
        path: &[&Entry],
        logged: &ToolResult,
        cancel: &Cancel,
    ) -> Option<ToolResult> {
        let of_call = |id: &str| id == logged.call_id;
        let started = path.iter().rev().find_map(|entry| match &entry.kind {
            Kind::ToolStarted { call, .. } if of_call(&call.id) => Some(call),
            _ => None,
        });
        let ToolCall {
            name, arguments, ..
        } = started?;
        let allowed = path.iter().any(|entry| {
            matches!(&entry.kind, Kind::Permission { call_id, verdict: Verdict::Allowed, .. }
                if of_call(call_id))
        });
        let request = Call {
            name: name.clone(),
            arguments: arguments.clone(),
        };
        match self.toolbox.decide(&request) {
            Decision::Allow => {}
            Decision::Ask if allowed => {}
            Decision::Ask | Decision::Deny => return None,
        }
        let outcome = self.toolbox.run(&request, &|| cancel.is_cancelled());
        Some(ToolResult::of(logged.call_id.clone(), outcome))
    }
}

fn was_stopped(answer: &Answer) -> bool {
    matches!(answer.finish, Finish::Cancelled | Finish::Steered)
}

/// An answer as it is now.
struct Again {
    answer: Answer,
    tokens: Vec<Token>,
}

/// Keeps the tokens, and stops where the logged answer was stopped.
struct Watch {
    tokens: Vec<Token>,
    most: Option<usize>,
    stop: Cancel,
    outer: Cancel,
}

impl Front for Watch {
    fn event(&mut self, event: &Event) {
        if let Event::Token(token) = event {
            self.tokens.push(token.clone());
        }
        let enough = self.most.is_some_and(|most| self.tokens.len() >= most);
        if enough || self.outer.is_cancelled() {
            self.stop.cancel();
        }
    }

    fn approve(&mut self, _: &Question) -> Approval {
        // Nothing is asked: what was allowed is in the log.
        Approval::No
    }
}
