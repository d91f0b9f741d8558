//! What the agent reports, on the screen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::{App, Asked, Attention, Pane, Phase, Place};
use super::driver::{Chore, Finished, Job, Look, Opened, Report, Rest};
use super::event::Effect;
use super::overlay::{ApprovalDialog, Confirm, Diff, Overlay, Sessions};
use super::panes::Reasoning;
use super::progress::Progress;
use super::trace::{Stored, TraceId};
use crate::agent::{Entry, Event, Exit, Kind, Question, Steer, ThinkingKeys, branches};

/// What trusting a folder's settings means.
const TRUST: &str = "They can forbid, and choose how the model answers; they allow nothing.";

impl App {
    pub(super) fn report(&mut self, report: Report, now: Instant) -> Vec<Effect> {
        match report {
            Report::Ready(opened) => self.ready(*opened, now),
            // Whoever started the program hears why.
            Report::Failed(exit, _) => vec![Effect::Leave(exit)],
            Report::Event(event) => self.agent_event(&event, now),
            Report::Token(noted) => {
                // When it was made: several may come to the screen at once.
                let made = Duration::from_millis(noted.millis.into());
                self.speed.token(self.started + made);
                self.generated += 1;
                self.explorer.push(&noted);
                Vec::new()
            }
            Report::Asks(question) => self.asks(question, now),
            Report::AsksForTrust(text) => {
                let question = "this folder has settings of its own: should they count?";
                let about = format!("{TRUST}\n\n{text}");
                self.confirm(Asked::Trust, question.to_owned(), &about, now);
                Vec::new()
            }
            Report::Said(text) => {
                self.transcript.say(&text);
                Vec::new()
            }
            Report::Changes(diff) => {
                let title = "changes since the start";
                self.overlay = Some(Overlay::Diff(Diff::new(title, &diff, self.theme)));
                Vec::new()
            }
            Report::Conflicts(way, text) => {
                let question = format!("{}: overwrite these files?", way.word());
                self.confirm(Asked::Overwrite(way), question, &text, now);
                Vec::new()
            }
            Report::Idle(rest) => {
                let Rest {
                    glance,
                    branches,
                    unheard,
                } = *rest;
                self.set_branches(branches);
                unheard
                    .into_iter()
                    .rev()
                    .for_each(|text| self.queue.push_front(text));
                self.glance = Some(glance);
                self.turn_since = None;
                self.set_phase(Phase::Idle);
                match (self.waiting.take(), self.queue.pop_front()) {
                    (Some(job), text) => {
                        text.into_iter()
                            .for_each(|text| self.queue.push_front(text));
                        self.give(job, "one moment", now)
                    }
                    (None, Some(text)) => self.send(text, now),
                    (None, None) => Vec::new(),
                }
            }
        }
    }

    fn ready(&mut self, opened: Opened, now: Instant) -> Vec<Effect> {
        let Opened {
            glance,
            banner,
            notices,
            entries,
            sessions,
            workspace,
            thinking,
            steer,
            commands,
            unfinished,
        } = opened;
        self.explorer.set_experts(glance.experts);
        self.explorer.note_thinking(glance.thinking_budget);
        self.composer.set_commands(&commands);
        self.own = commands.into_iter().map(|(name, _)| name).collect();
        let session = glance.session.clone();
        self.glance = Some(glance);
        self.meter = None;
        self.usage = None;
        let place = Place {
            sessions,
            session,
            root: workspace.root().to_owned(),
            workspace: Some(Arc::clone(&workspace)),
            thinking,
            steer,
            entries,
            branches: Vec::new(),
        };
        let path = place.path();
        self.transcript.load(&path);
        if path.is_empty() {
            self.transcript.say(&banner);
        }
        for notice in &notices {
            self.notice(notice, now);
        }
        if unfinished {
            self.notice("the last turn was cut off and is finished now", now);
        }
        let files = Effect::Chore(Chore::Files(workspace));
        self.explorer
            .set_answers(Stored::of(&place.entries).answers().to_vec());
        self.place = Some(place);
        self.begin_work("one moment", now);
        let last = self.last_answer();
        let tokens = last.and_then(|entry| self.read_tokens(entry));
        [files].into_iter().chain(tokens).collect()
    }

    fn agent_event(&mut self, event: &Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::TurnStarted => {
                self.generated = 0;
                // Tokens of another answer that come now are not what is looked at.
                self.reading = None;
                self.explorer.follow();
                self.begin_work("one moment", now);
            }
            Event::Prefill { done, total } if done >= total => self.working("thinking"),
            Event::Prefill { done, total } => self.reading(*done, *total, now),
            Event::Context(meter) => {
                self.meter = Some(*meter);
                self.speed.begin();
                self.explorer.begin();
            }
            Event::Usage { prompt, .. } => self.usage = Some(*prompt),
            Event::Reasoning { .. } => self.working("thinking"),
            Event::Text { .. } => self.working("answering"),
            Event::ToolCall { name, .. } => self.working(name),
            Event::Logged(entry) => {
                self.logged(entry);
                return Vec::new();
            }
            Event::Done(_) => {
                self.transcript.event(event, now);
                return self.call("the turn is over");
            }
            Event::Token(_)
            | Event::ToolOutput { .. }
            | Event::Change { .. }
            | Event::ToolResult { .. }
            | Event::Notice { .. }
            | Event::Error { .. } => {}
        }
        self.transcript.event(event, now);
        Vec::new()
    }

    fn logged(&mut self, entry: &Entry) {
        let Some(place) = &mut self.place else { return };
        let follows = place.entries.last().map(|last| last.id) == entry.parent;
        place.entries.push(entry.clone());
        match follows {
            true => self.transcript.apply(entry),
            // A branch: what came after its beginning is no part of it.
            false => self.transcript.load(&place.path()),
        }
        if let Kind::Assistant(answer) = &entry.kind {
            self.explorer.finish(entry.id, answer);
            self.explorer
                .set_answers(Stored::of(&place.entries).answers().to_vec());
        }
    }

    fn notice(&mut self, text: &str, now: Instant) {
        let text = text.to_owned();
        self.transcript.event(&Event::Notice { text }, now);
    }

    fn confirm(&mut self, asked: Asked, question: String, about: &str, now: Instant) {
        self.asked = Some(asked);
        let confirm = Confirm::new(question, about, now, self.theme);
        self.overlay = Some(Overlay::Confirm(confirm));
    }

    fn asks(&mut self, question: Question, now: Instant) -> Vec<Effect> {
        self.working("waiting for your answer");
        let dialog = ApprovalDialog::new(question, now, self.theme);
        self.overlay = Some(Overlay::Approval(dialog));
        self.call("a question waits for you")
    }

    /// Tells somebody who looks elsewhere.
    fn call(&self, text: &str) -> Vec<Effect> {
        match self.attention {
            Attention::Here => Vec::new(),
            Attention::Elsewhere => vec![Effect::Notify(text.to_owned())],
        }
    }

    pub(super) fn begin_work(&mut self, what: &str, now: Instant) {
        self.turn_since = Some(now);
        self.working(what);
    }

    fn working(&mut self, what: &str) {
        if let Phase::Working { what: before } = &self.phase
            && before == what
        {
            return;
        }
        let what = what.to_owned();
        self.set_phase(Phase::Working { what });
    }

    fn reading(&mut self, done: usize, total: usize, now: Instant) {
        if !matches!(self.phase, Phase::Reading(_)) {
            let progress = Progress::new("reading the prompt", "tokens", now);
            self.set_phase(Phase::Reading(progress));
        }
        if let Phase::Reading(progress) = &mut self.phase {
            progress.set(done, total);
        }
    }

    /// Sends a message.
    pub(super) fn send(&mut self, text: String, now: Instant) -> Vec<Effect> {
        self.transcript.to_bottom();
        self.give(Job::Turn(text), "one moment", now)
    }

    /// Has the agent do something; where there is none, it is asked whether one is to be
    /// loaded.
    pub(super) fn give(&mut self, job: Job, what: &str, now: Instant) -> Vec<Effect> {
        if self.phase == Phase::Looking {
            self.waiting = Some(job);
            let question = "no model is loaded: load the one of this session?".to_owned();
            self.confirm(
                Asked::Load,
                question,
                "It goes on with the session then.",
                now,
            );
            return Vec::new();
        }
        self.begin_work(what, now);
        vec![Effect::Job(job)]
    }

    /// Shows a stored session, from the reasoning of one of its answers on.
    pub fn look(&mut self, look: Look) -> Vec<Effect> {
        let Look {
            log,
            sessions,
            entry,
        } = look;
        let place = Place {
            sessions: Some(sessions),
            session: log.header.id,
            root: log.header.workspace,
            workspace: None,
            thinking: ThinkingKeys::default(),
            steer: Steer::default(),
            branches: branches(&log.entries, &|_| String::new()),
            entries: log.entries,
        };
        self.transcript.load(&place.path());
        self.explorer
            .set_answers(Stored::of(&place.entries).answers().to_vec());
        let listed = place.branches.clone();
        self.place = Some(place);
        if listed.len() > 1 {
            self.set_branches(listed);
        }
        self.set_phase(Phase::Looking);
        self.panes.reasoning = Reasoning::Full;
        self.focus = Pane::Reasoning;
        self.read_tokens(entry).into_iter().collect()
    }

    fn last_answer(&self) -> Option<u64> {
        let path = self.place.as_ref()?.path();
        let last = { path.iter().rev() }.find(|entry| matches!(entry.kind, Kind::Assistant(_)))?;
        Some(last.id)
    }

    /// Asks for the tokens of an answer of this session.
    pub(super) fn read_tokens(&mut self, entry: u64) -> Option<Effect> {
        self.reading = Some(entry);
        let place = self.place.as_ref()?;
        let Kind::Assistant(answer) = &place.entry(entry)?.kind else {
            return None;
        };
        Some(Effect::Chore(Chore::Tokens {
            sessions: place.sessions.clone()?,
            session: place.session.clone(),
            entry,
            span: answer.trace?,
        }))
    }

    pub(super) fn chore(&mut self, finished: Finished, now: Instant) {
        match finished {
            Finished::Tokens(entry, tokens) => {
                let place = self.place.as_ref();
                let found = place.and_then(|place| place.entry(entry));
                if let Some(Kind::Assistant(answer)) = found.map(|found| &found.kind) {
                    match self.comparing.is_none() && self.reading == Some(entry) {
                        true => self.explorer.open(entry, answer, &tokens),
                        false => self.explorer.add(entry, answer, &tokens),
                    }
                    self.compare_if_here();
                }
            }
            Finished::Sessions(Ok((summaries, at))) => {
                let picker = Sessions::new(&summaries, at);
                self.overlay = Some(Overlay::Sessions(picker));
            }
            Finished::Sessions(Err(why)) => self.transcript.say(&format!("error: {why}")),
            Finished::Files(paths) => self.composer.set_files(paths.into()),
            Finished::Wrote(Ok(path)) => {
                self.say_briefly(format!("written: {}", path.display()), now);
            }
            Finished::Wrote(Err(why)) => self.transcript.say(&format!("error: {why}")),
        }
    }

    fn compare_if_here(&mut self) {
        if let Some((left, right)) = self.comparing {
            let [left, right] = [left, right].map(TraceId::Entry);
            if self.explorer.has(left) && self.explorer.has(right) {
                self.comparing = None;
                self.explorer.compare(left, right);
            }
        }
    }

    /// The status with which a failed start ends.
    pub fn failed(report: &Report) -> Option<(Exit, &str)> {
        match report {
            Report::Failed(exit, why) => Some((*exit, why)),
            _ => None,
        }
    }
}
