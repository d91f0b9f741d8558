//! Performs what the machine asks for: renders prompts, runs the model and the
//! tools, gets permissions, and tells the front end. Everything that happens is
//! in the journal before anything follows from it.

use std::sync::Arc;

use super::effect::Effect;
use super::entry::Kind;
use super::event::{Done, Event, Front};
use super::exit::{Exit, Reason};
use super::machine::Rules;
use super::memory::ProjectMemory;
use super::model::{Model, Stats};
use super::session::{BundleName, Chosen, Journal, Session, Sessions};
use super::settings::{Settings, default_thinking, draw_seed};
use super::steer::Steer;
use super::stop::Stop;
use super::system;
use crate::bundle::{Bundle, Persona, ThinkingSupport};
use crate::cache::disk::Store;
use crate::chat::{Renderer, Role, Thinking};
use crate::config::{User, UserCommands};
use crate::generate::{Cancel, Generator, ThinkingKeys};
use crate::model::Engine;
use crate::sandbox::Permission;
use crate::tools::{self, Detail, Toolbox};

/// A conversation with a model that can use tools.
pub struct Agent {
    pub(super) name: String,
    pub(super) persona: Option<Persona>,
    pub(super) warnings: Vec<String>,
    pub(super) support: ThinkingSupport,
    pub(super) settings: Settings,
    pub(super) rules: Rules,
    pub(super) toolbox: Toolbox,
    pub(super) model: Model,
    pub(super) session: Session,
    pub(super) bundle: BundleName,
    /// What was in force when the session began.
    pub(super) begun: Chosen,
    /// Where sessions are kept.
    pub(super) sessions: Option<Sessions>,
    pub(super) stop: Stop,
    /// The moment of its beginning, for undo.
    pub(super) started: Option<u64>,
    /// Where answers of "always" are kept.
    pub(super) user: Option<User>,
    /// The call that was announced and has no result yet.
    pub(super) announced: Option<String>,
    /// The call that was asked about last.
    pub(super) asked: Option<String>,
    /// What the project says to its models; the first message takes it along.
    pub(super) memory: ProjectMemory,
    /// What messages may begin with.
    pub(super) commands: UserCommands,
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
            None => system::prompt(&names)?,
        };
        let rules = Rules {
            limits: settings.limits(persona.as_ref()),
            // All of them: one that was not offered still needs its permission.
            tools: toolbox.effects().collect(),
            denied: tools::DENIED.to_owned(),
            preamble: match &persona {
                // It was trained without.
                Some(_) => String::new(),
                None => system::place(&settings.workspace),
            },
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
        let mut model = Model {
            generator: Generator::start(engine, Arc::clone(&bundle.tokenizer))
                .map_err(|e| format!("the generation thread can't be started: {e}"))?,
            renderer: Renderer::for_bundle(bundle).map_err(|e| e.to_string())?,
            tokenizer: Arc::clone(&bundle.tokenizer),
            stop_ids: bundle.stop_ids.clone(),
            context: bundle.context,
            specs,
            calls: settings.calls.unwrap_or_default(),
            grammar: None,
            system,
            thinking,
            sampling: settings.sampling(persona.as_ref(), thinking, seed),
            keys: ThinkingKeys::default(),
            steer: Steer::default(),
            run: None,
            stats: Stats::default(),
        };
        warnings.extend(model.hold_calls());
        let begun = Chosen {
            sampling: model.sampling.clone(),
            thinking,
            limits: rules.limits.clone(),
            calls: model.calls,
        };
        Ok(Self {
            begun,
            name: bundle.name.clone(),
            support: bundle.thinking,
            session: Session::new(Journal::in_memory(), rules.clone()),
            bundle: BundleName::of(bundle, None),
            sessions: None,
            persona,
            warnings,
            settings,
            rules,
            started: toolbox.moment(),
            toolbox,
            model,
            stop,
            user: None,
            announced: None,
            asked: None,
            memory: ProjectMemory::default(),
            commands: UserCommands::default(),
        })
    }

    /// Keeps answers of "always" there.
    pub fn keep_rules_in(&mut self, user: User) {
        self.user = Some(user);
    }

    /// Keeps what the model computes there, and takes it from there.
    pub fn keep_caches_in(&mut self, store: Store) {
        self.model.generator.keep_in(store);
    }

    /// Messages that begin with one of these stand for its text.
    pub fn use_commands(&mut self, commands: UserCommands) {
        self.commands = commands;
    }

    /// More for the user to read before the first turn.
    pub fn warn(&mut self, lines: Vec<String>) {
        self.warnings.extend(lines);
    }

    pub fn set_permission(&mut self, permission: Permission) {
        self.toolbox.set_permission(permission);
    }

    /// One user message and everything that follows from it. The last event is
    /// `Done`, which is also returned.
    pub fn turn(&mut self, text: &str, front: &mut dyn Front) -> Done {
        let text = self.expanded(text);
        let cancel = self.begin(&text, front);
        self.model.run = None;
        self.give_memory(front);
        let attached = self.attach(&text, front);
        self.record(Kind::User { text, attached }, front);
        self.finish(&cancel, front)
    }

    /// What a message stands for: the user's own commands are texts.
    pub(super) fn expanded(&self, text: &str) -> String {
        let expanded = self.commands.expand(text);
        expanded.unwrap_or_else(|| text.to_owned())
    }

    /// Goes on with a turn that was cut off, if there is one.
    pub fn go_on(&mut self, front: &mut dyn Front) -> Option<Done> {
        let text = self.unfinished()?.to_owned();
        self.follow_fork(front);
        let cancel = self.begin(&text, front);
        Some(self.finish(&cancel, front))
    }

    /// The message of a turn that was cut off.
    pub fn unfinished(&self) -> Option<&str> {
        let machine = self.session.machine();
        let messages = machine.messages().iter();
        let last = messages.rev().find(|message| message.role == Role::User)?;
        (machine.next() != Effect::Wait).then_some(&last.content)
    }

    pub(super) fn begin(&mut self, text: &str, front: &mut dyn Front) -> Cancel {
        let cancel = self.stop.begin();
        front.event(&Event::TurnStarted);
        // On another branch another call may have the same id.
        (self.announced, self.asked) = (None, None);
        self.tell_ended(front);
        self.toolbox.begin_turn(text);
        self.model.stats.turns += 1;
        cancel
    }

    pub(super) fn finish(&mut self, cancel: &Cancel, front: &mut dyn Front) -> Done {
        let reason = self.drive(cancel, front);
        if let Some(text) = self.toolbox.end_turn() {
            front.event(&Event::Notice { text });
        }
        self.stop.finish();
        self.tell_ended(front);
        tracing::info!(
            session = self.session.id(),
            reason = reason.word(),
            "turn ended"
        );
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
                Effect::Generate { .. } if self.hear(front) => {}
                Effect::Generate { max_tokens } => self.generate(max_tokens, cancel, front),
                Effect::Ask { call, effect } => self.ask(call, effect, cancel, front),
                Effect::RunTool { call } if self.needs_a_word(&call) => {
                    self.ask(call, tools::Effect::Read, cancel, front);
                }
                Effect::RunTool { call } => self.run_tool(call, cancel, front),
            }
        }
    }

    /// What the front end hears of an entry that is about to be recorded.
    pub(super) fn tell(&mut self, kind: &Kind, front: &mut dyn Front) {
        match kind {
            Kind::ToolResult(result) => {
                self.announce(&result.call_id, front);
                if self.announced.take().is_some() {
                    if !result.change.is_empty() {
                        front.event(&Event::Change {
                            id: result.call_id.clone(),
                            diff: result.change.clone(),
                        });
                    }
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

    /// How far a later start can go without a prefill, as far as that is known now.
    pub(super) fn mark_cache(&mut self, front: &mut dyn Front) {
        let tokens = self.model.generator.durable();
        // Without a store there is nothing to wait for, or to mark.
        if tokens != usize::MAX {
            self.record(Kind::CacheMark { tokens }, front);
        }
    }

    /// The journal first. A log that can't be written is said once; the session
    /// goes on in memory.
    pub(super) fn record(&mut self, kind: Kind, front: &mut dyn Front) {
        let written = self.session.record(kind);
        self.logged(front);
        if let Err(error) = written {
            tracing::warn!("the session log can't be written: {error}");
            front.event(&Event::Notice {
                text: unwritten(&error),
            });
        }
    }

    /// Tells of the entry that was added last.
    pub(super) fn logged(&self, front: &mut dyn Front) {
        if let Some(entry) = self.session.journal().entries().last() {
            front.event(&Event::Logged(entry.clone()));
        }
    }
}

pub(super) fn unwritten(error: &std::io::Error) -> String {
    format!("the session can't be written, going on in memory until it can: {error}")
}
