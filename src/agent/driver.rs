//! Performs what the machine asks for: renders prompts, runs the model and the
//! tools, gets permissions, and tells the front end. Everything that happens is
//! in the journal before anything follows from it.

use std::sync::Arc;

use super::effect::Effect;
use super::entry::{Kind, Restored, ToolResult, Verdict};
use super::event::{Approval, Done, Event, Front, Question};
use super::exit::{Exit, Reason};
use super::log::{Journal, Session};
use super::machine::Rules;
use super::model::{Model, Stats};
use super::settings::{Settings, default_thinking, draw_seed};
use super::stop::Stop;
use super::system;
use crate::bundle::{Bundle, Persona, ThinkingSupport};
use crate::chat::{Renderer, Role, Thinking, ToolCall};
use crate::config::{List, User};
use crate::generate::{Cancel, Generator};
use crate::model::Engine;
use crate::sandbox::text::{Limit, bound};
use crate::sandbox::{Decision, Mode, Permission, Policy, Rule, Strength, sanitize};
use crate::tools::{self, Background, Call, Detail, Toolbox};
use crate::undo::{Answer, Force, Report};

/// How much of a user's word on a refusal the model reads.
const WORD: Limit = Limit {
    bytes: 2048,
    lines: 20,
};

/// A conversation with a model that can use tools.
pub struct Agent {
    name: String,
    persona: Option<Persona>,
    warnings: Vec<String>,
    support: ThinkingSupport,
    settings: Settings,
    rules: Rules,
    toolbox: Toolbox,
    model: Model,
    session: Session,
    stop: Stop,
    /// Where answers of "always" are kept.
    user: Option<User>,
    /// The call that was announced and has no result yet.
    announced: Option<String>,
    /// The call that was asked about last.
    asked: Option<String>,
}

impl Agent {
    /// # Errors
    /// When the bundle's template or our own prompt can't be used; one line.
    pub fn new(
        bundle: &Bundle,
        engine: Box<dyn Engine>,
        toolbox: Toolbox,
        settings: Settings,
        stop: Stop,
    ) -> Result<Self, String> {
        let persona = bundle.persona.clone();
        let specs = match (bundle.tools, &persona) {
            (false, _) => Vec::new(),
            (true, None) => toolbox.specs(Detail::Full),
            (true, Some(persona)) => {
                let known = toolbox.specs(Detail::Trained).into_iter();
                known.filter(|s| persona.tools.contains(&s.name)).collect()
            }
        };
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let system = match &persona {
            Some(persona) => persona.system_prompt.clone(),
            None => system::prompt(&names, &settings.workspace)?,
        };
        let rules = Rules {
            limits: settings.limits(persona.as_ref()),
            // All of them: one that was not offered still needs its permission.
            tools: toolbox.effects().collect(),
            denied: tools::DENIED.to_owned(),
        };
        let mut warnings = bundle.warnings.clone();
        let thinking = match (settings.thinking, bundle.thinking) {
            (Some(Thinking::On), ThinkingSupport::None) => {
                warnings.push("this bundle has no thinking; it is off".into());
                Thinking::Off
            }
            (chosen, support) => chosen.unwrap_or_else(|| default_thinking(support)),
        };
        let seed = settings.seed.unwrap_or_else(draw_seed);
        let model = Model {
            generator: Generator::start(engine, Arc::clone(&bundle.tokenizer))
                .map_err(|e| format!("the generation thread can't be started: {e}"))?,
            renderer: Renderer::for_bundle(bundle).map_err(|e| e.to_string())?,
            tokenizer: Arc::clone(&bundle.tokenizer),
            stop_ids: bundle.stop_ids.clone(),
            context: bundle.context,
            specs,
            system,
            thinking,
            sampling: settings.sampling(persona.as_ref(), thinking, seed),
            run: None,
            stats: Stats::default(),
        };
        Ok(Self {
            name: bundle.name.clone(),
            support: bundle.thinking,
            session: Session::new(Journal::in_memory(), rules.clone()),
            persona,
            warnings,
            settings,
            rules,
            toolbox,
            model,
            stop,
            user: None,
            announced: None,
            asked: None,
        })
    }

    /// Keeps answers of "always" there.
    pub fn keep_rules_in(&mut self, user: User) {
        self.user = Some(user);
    }

    /// More for the user to read before the first turn.
    pub fn warn(&mut self, lines: Vec<String>) {
        self.warnings.extend(lines);
    }

    pub fn policy(&self) -> &Policy {
        self.toolbox.policy()
    }

    /// In a word or two, what is asked before it is done, and by what little it is
    /// held where that is the user's choice.
    pub fn manner(&self) -> String {
        let policy = self.policy();
        let asked = policy.permission();
        match (policy.mode(), policy.strength()) {
            (Mode::Danger, _) => format!("danger, {asked}"),
            (_, Strength::Degraded) => format!("degraded, {asked}"),
            (_, Strength::Full) => asked.to_string(),
        }
    }

    /// The rules, one to a line, safe for a terminal.
    pub fn rules_in_force(&self) -> String {
        let lines: Vec<String> = self.policy().rules().collect();
        match lines.is_empty() {
            true => "no rules (an answer of always makes one)".to_owned(),
            false => lines.join("\n"),
        }
    }

    pub fn set_permission(&mut self, permission: Permission) {
        self.toolbox.set_permission(permission);
    }

    /// Lines for the user before the first turn.
    pub fn notices(&self) -> Vec<String> {
        let notice = self.persona.as_ref().map(|p| p.notice.clone());
        let sampled = self.model.sampling.temperature > 0.0 && self.settings.seed.is_none();
        let seed = sampled.then(|| format!("seed {}", self.model.sampling.seed));
        notice
            .into_iter()
            .chain(self.model.generator.info().notices.iter().cloned())
            .chain(self.warnings.iter().cloned())
            .chain(self.toolbox.notice())
            .chain(seed)
            .collect()
    }

    /// One line: what model this is and how it runs.
    pub fn describe(&self) -> String {
        let thinking = match self.model.thinking {
            Thinking::On => "on",
            Thinking::Off => "off",
        };
        format!(
            "{}: {}, context {}, thinking {thinking}, {}",
            self.name,
            self.model.generator.info().backend,
            super::present::thousands(self.model.context),
            self.toolbox.confinement()
        )
    }

    pub fn session_id(&self) -> &str {
        self.session.id()
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn stats(&self) -> Stats {
        self.model.stats
    }

    /// Commands in the background, those that ended lately among them.
    pub fn background(&self) -> Vec<Background> {
        self.toolbox.background()
    }

    /// Those of which the user does not know yet that they have ended, one line each.
    pub fn ended(&self) -> Vec<String> {
        let ended = self.toolbox.ended();
        ended.iter().map(super::present::background_line).collect()
    }

    /// Ends a command in the background; false if there is none of this number.
    pub fn end_command(&self, id: u64) -> bool {
        self.toolbox.end(id)
    }

    /// Ends all commands in the background; a line for each that ran.
    pub fn end_commands(&self) -> Vec<String> {
        let ended = self.toolbox.end_all();
        let line =
            |one: &Background| format!("background command {} is stopped: {}", one.id, one.command);
        ended.iter().map(line).collect()
    }

    /// # Errors
    /// When the bundle has no thinking.
    pub fn set_thinking(&mut self, thinking: Thinking) -> Result<(), String> {
        if thinking == Thinking::On && self.support == ThinkingSupport::None {
            return Err("this bundle has no thinking".into());
        }
        let seed = self.model.sampling.seed;
        self.model.thinking = thinking;
        self.model.sampling = self
            .settings
            .sampling(self.persona.as_ref(), thinking, seed);
        Ok(())
    }

    /// A new conversation, under a new session id.
    pub fn clear(&mut self) {
        self.session = Session::new(Journal::in_memory(), self.rules.clone());
        self.model.run = None;
        self.model.generator.clear();
    }

    /// One user message and everything that follows from it. The last event is
    /// `Done`, which is also returned.
    pub fn turn(&mut self, text: &str, front: &mut dyn Front) -> Done {
        let cancel = self.stop.begin();
        front.event(&Event::TurnStarted);
        self.tell_ended(front);
        self.toolbox.begin_turn(text);
        self.model.run = None;
        self.model.stats.turns += 1;
        self.record(
            Kind::User {
                text: text.to_owned(),
            },
            front,
        );
        let reason = self.drive(&cancel, front);
        if let Some(text) = self.toolbox.end_turn() {
            front.event(&Event::Notice { text });
        }
        self.stop.finish();
        self.tell_ended(front);
        let done = Done {
            reason,
            // Without the white space that was not shown either.
            text: self.session.machine().answer().trim_end().to_owned(),
            session: self.session.id().to_owned(),
        };
        front.event(&Event::Done(done.clone()));
        done
    }

    fn tell_ended(&self, front: &mut dyn Front) {
        for text in self.ended() {
            front.event(&Event::Notice { text });
        }
    }

    /// Takes back what the last turn changed in the workspace. The model is told with
    /// the next message.
    ///
    /// # Errors
    /// When that can't be done; one line.
    pub fn undo(&mut self, force: Force, front: &mut dyn Front) -> Result<Answer, String> {
        let answer = self.toolbox.undo(force)?;
        if let Answer::Done(report) = &answer {
            self.record(Kind::Undo(restored(report)), front);
        }
        Ok(answer)
    }

    /// Brings back what was taken back last.
    ///
    /// # Errors
    /// As [`Agent::undo`].
    pub fn redo(&mut self, force: Force, front: &mut dyn Front) -> Result<Answer, String> {
        let answer = self.toolbox.redo(force)?;
        if let Answer::Done(report) = &answer {
            self.record(Kind::Redo(restored(report)), front);
        }
        Ok(answer)
    }

    fn drive(&mut self, cancel: &Cancel, front: &mut dyn Front) -> Reason {
        let mut reason = Reason::Failed;
        loop {
            let effect = self.session.machine().next();
            if cancel.is_cancelled() && !matches!(effect, Effect::Record(_) | Effect::Wait) {
                self.record(Kind::Interrupted, front);
                continue;
            }
            match effect {
                Effect::Wait => return reason,
                Effect::Record(kind) => {
                    if let Kind::TurnEnded { reason: why, .. } = &kind {
                        reason = *why;
                    }
                    self.tell(&kind, front);
                    self.record(kind, front);
                }
                Effect::Generate { max_tokens } => {
                    let answered =
                        self.model
                            .answer(self.session.machine(), max_tokens, cancel, front);
                    match answered {
                        Ok((answer, usage)) => {
                            self.record(Kind::Assistant(answer), front);
                            if let Some(usage) = usage {
                                self.record(usage, front);
                            }
                        }
                        Err(message) => {
                            front.event(&Event::Error {
                                message: message.clone(),
                            });
                            self.record(Kind::Failed { message }, front);
                        }
                    }
                }
                Effect::Ask { call, effect } => self.ask(call, effect, cancel, front),
                Effect::RunTool { call } if self.needs_a_word(&call) => {
                    self.ask(call, tools::Effect::Read, cancel, front);
                }
                Effect::RunTool { call } => self.run_tool(call, cancel, front),
            }
        }
    }

    fn ask(
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
    fn needs_a_word(&self, call: &ToolCall) -> bool {
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

    fn run_tool(&mut self, call: ToolCall, cancel: &Cancel, front: &mut dyn Front) {
        self.announce(&call.id, front);
        self.record(Kind::ToolStarted { call: call.clone() }, front);
        let outcome = self.toolbox.run(&request(&call), &|| cancel.is_cancelled());
        let kind = Kind::ToolResult(ToolResult {
            call_id: call.id,
            ok: outcome.ok,
            output: outcome.output,
            truncated: outcome.truncated,
            refused: outcome.refused,
        });
        self.tell(&kind, front);
        self.record(kind, front);
    }

    /// Says that a call is taken up; once.
    fn announce(&mut self, call_id: &str, front: &mut dyn Front) {
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

    /// What the front end hears of an entry that is about to be recorded.
    fn tell(&mut self, kind: &Kind, front: &mut dyn Front) {
        match kind {
            Kind::ToolResult(result) => {
                self.announce(&result.call_id, front);
                if self.announced.take().is_some() {
                    front.event(&Event::ToolResult {
                        id: result.call_id.clone(),
                        ok: result.ok,
                        output: result.output.clone(),
                        truncated: result.truncated,
                        sandbox: self.toolbox.confinement(),
                    });
                } else {
                    front.event(&Event::Error {
                        message: result.output.clone(),
                    });
                }
            }
            Kind::TurnEnded { exit, reason } => {
                if let Some(id) = self.announced.take() {
                    front.event(&Event::ToolResult {
                        id,
                        ok: false,
                        output: super::machine::NOT_RUN.to_owned(),
                        truncated: false,
                        sandbox: self.toolbox.confinement(),
                    });
                }
                if *exit == Exit::Limit {
                    front.event(&Event::Error {
                        message: self.explain(*reason),
                    });
                }
            }
            _ => {}
        }
    }

    fn explain(&self, reason: Reason) -> String {
        let limits = &self.rules.limits;
        match reason {
            Reason::MaxTokens if self.session.machine().generated() < limits.turn_tokens => {
                format!(
                    "the limit of {} tokens in one answer was reached",
                    limits.reply_tokens
                )
            }
            Reason::MaxTokens => format!(
                "the limit of {} tokens was reached (--max-tokens)",
                limits.turn_tokens
            ),
            Reason::Steps => format!(
                "the limit of {} steps in one turn was reached (--max-steps)",
                limits.steps
            ),
            Reason::RepeatedCall => "the model made the same call over and over".into(),
            Reason::MalformedCalls => "the model's tool calls could not be read".into(),
            Reason::Context => self.model.window(self.session.machine()),
            Reason::Loop => "the model repeated itself".into(),
            other => other.word().into(),
        }
    }

    /// The journal first. A log that can't be written is said once; the session
    /// goes on in memory.
    fn record(&mut self, kind: Kind, front: &mut dyn Front) {
        if let Err(error) = self.session.record(kind) {
            front.event(&Event::Notice {
                text: format!("the session log can't be written, going on without: {error}"),
            });
        }
    }
}

/// What the log keeps of a report.
fn restored(report: &Report) -> Restored {
    let names = report.done.iter().take(Restored::NAMED);
    Restored {
        turn: report.turn,
        named: names
            .map(|(path, _)| sanitize::for_line(&path.to_string_lossy()).into_owned())
            .collect(),
        files: report.done.len(),
    }
}

fn request(call: &ToolCall) -> Call {
    Call {
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    }
}
