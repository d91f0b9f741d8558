//! Calls of tools: announced, decided by the policy or the user, and run.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Instant;

use super::driver::Agent;
use super::entry::{Kind, ToolResult, Verdict};
use super::event::{Approval, Event, Front, Question};
use crate::chat::{Role, ToolCall};
use crate::config::List;
use crate::generate::Cancel;
use crate::sandbox::text::{Limit, bound};
use crate::sandbox::{Decision, Permission, Rule};
use crate::tools::{self, Call};

/// How much of a user's word on a refusal the model reads.
const WORD: Limit = Limit {
    bytes: 2048,
    lines: 20,
};

impl Agent {
    pub(super) fn ask(
        &mut self,
        call: ToolCall,
        effect: tools::Effect,
        cancel: &Cancel,
        front: &mut dyn Front,
    ) {
        self.announce(&call.id, front);
        self.asked = Some(call.id.clone());
        let request = request(&call);
        let approval = match self.toolbox.decide(&request) {
            Decision::Allow => Approval::Yes,
            Decision::Deny => self.deny(&request, front),
            Decision::Ask => front.approve(&Question {
                id: call.id.clone(),
                name: call.name.clone(),
                effect,
                preview: self.toolbox.preview(&request),
                always: self.toolbox.always(&request),
            }),
        };
        let mut word = String::new();
        let verdict = match approval {
            // Whatever was answered after the turn was stopped answers nothing.
            _ if cancel.is_cancelled() => {
                self.record(Kind::Interrupted, front);
                return;
            }
            Approval::Yes => Verdict::Allowed,
            Approval::Always(rule) => {
                self.allow_always(rule, front);
                Verdict::Allowed
            }
            Approval::AcceptEdits => {
                self.set_permission(Permission::AcceptEdits);
                Verdict::Allowed
            }
            Approval::No => Verdict::Denied,
            Approval::NoBecause(why) => {
                word = bound(&why, WORD).text;
                Verdict::Denied
            }
            Approval::Stop => {
                self.record(Kind::Interrupted, front);
                return;
            }
        };
        tracing::info!(tool = call.name, ?verdict, "permission");
        self.record(
            Kind::Permission {
                call_id: call.id,
                verdict,
                word,
            },
            front,
        );
    }

    /// Whether a call that only reads has to be asked about, and was not yet.
    pub(super) fn needs_a_word(&self, call: &ToolCall) -> bool {
        let request = request(call);
        self.asked.as_ref() != Some(&call.id)
            && self.toolbox.effect(&request) == tools::Effect::Read
            && self.toolbox.decide(&request) != Decision::Allow
    }

    /// A call that no answer would allow.
    fn deny(&self, request: &Call, front: &mut dyn Front) -> Approval {
        match self.toolbox.denial(request) {
            Some(why) => {
                front.event(&Event::Notice {
                    text: format!("refused: {} ({why})", request.name),
                });
                Approval::NoBecause(why)
            }
            None => Approval::No,
        }
    }

    /// From now on, and in the user's config from the next time on.
    fn allow_always(&mut self, rule: Rule, front: &mut dyn Front) {
        let kept = match &self.user {
            Some(user) => user.add(List::Allow, &rule).map_err(|e| e.to_string()),
            None => Err("there is no config folder".to_owned()),
        };
        let text = match kept {
            Ok(()) => format!("always allowed: {rule} (`cairn permissions` lists and removes)"),
            Err(error) => {
                format!("allowed until this conversation ends, as it can't be kept: {error}")
            }
        };
        self.toolbox.allow(rule);
        front.event(&Event::Notice { text });
    }

    pub(super) fn run_tool(&mut self, call: ToolCall, cancel: &Cancel, front: &mut dyn Front) {
        self.announce(&call.id, front);
        let request = request(&call);
        let changes = self.toolbox.effect(&request) != tools::Effect::Read;
        let change = changes.then(draw_change);
        let started = Kind::ToolStarted {
            call: call.clone(),
            change,
        };
        self.record(started, front);
        let since = Instant::now();
        let mut outcome = self.run_live((&call.id, change), &request, cancel, front);
        self.cut_to_room(&call.name, &mut outcome, front);
        let touched = outcome.ok.then(|| touched(&call)).flatten();
        tracing::info!(
            tool = call.name,
            ok = outcome.ok,
            refused = outcome.refused,
            truncated = outcome.truncated,
            bytes = outcome.output.len(),
            seconds = since.elapsed().as_secs_f32(),
            "tool call"
        );
        let kind = Kind::ToolResult(ToolResult::of(call.id, outcome));
        self.tell(&kind, front);
        self.record(kind, front);
        if let Some(path) = touched {
            self.give_nested_memory(&path, front);
        }
    }

    /// Says that a call is taken up; once.
    pub(super) fn announce(&mut self, call_id: &str, front: &mut dyn Front) {
        if self.announced.as_deref() == Some(call_id) {
            return;
        }
        let messages = self.session.machine().messages();
        let calls = messages.iter().rev().find(|m| m.role == Role::Assistant);
        let call = calls.and_then(|m| m.tool_calls.iter().find(|call| call.id == call_id));
        if let Some(call) = call {
            self.announced = Some(call_id.to_owned());
            front.event(&Event::ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                sandbox: self.toolbox.confinement(),
            });
        }
    }
}

/// A name for what a call changes, in any workspace and session: one that every reader
/// of JSON takes for the same number.
fn draw_change() -> u64 {
    RandomState::new().build_hasher().finish() >> 11
}

/// The path that a call is about, where it has one.
fn touched(call: &ToolCall) -> Option<String> {
    let path = call.arguments.get("path")?;
    path.as_str().map(str::to_owned)
}

fn request(call: &ToolCall) -> Call {
    Call {
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    }
}
