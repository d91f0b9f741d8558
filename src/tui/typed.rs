//! Keys: first whatever is open over the screen, then keys that work everywhere, then
//! the pane that has them.

use std::path::PathBuf;
use std::time::Instant;

use crossterm::event::KeyCode;
use ratatui::layout::Rect;

use super::app::{App, Asked, Pane, Phase, TWICE};
use super::composer::Sent;
use super::driver::{Chore, Job};
use super::event::Effect;
use super::global::{self, Act};
use super::keys::{Key, bound};
use super::overlay::{Answer, Help, Outcome, Overlay, Palette};
use super::panes::{Areas, Change, Reasoning};
use super::trace::TraceId;
use super::trace::export::Format;
use super::{help, trace, transcript};
use crate::agent::slash::{self, Action};
use crate::agent::{Approval, Exit, ForkAt, Kind, ThinkingKeys, With};

const ESCAPE: Key = Key::new(KeyCode::Esc);

impl App {
    pub(super) fn key(&mut self, key: Key, now: Instant) -> Vec<Effect> {
        if bound(global::KEYS, key) != Some(Act::Interrupt) {
            // Only two in a row are twice.
            self.armed = None;
        }
        if self.overlay.is_some() {
            return self.overlay_key(key, now);
        }
        let is_own = match self.focus {
            // What is open above the message has keys of its own.
            Pane::Composer => self.composer.has_popup(),
            // Pages are its own, too.
            Pane::Reasoning => bound(trace::KEYS, key).is_some(),
            Pane::Conversation => false,
        };
        if let Some(act) = bound(global::KEYS, key)
            && (!is_own || act == Act::Interrupt)
        {
            return self.act(act, now);
        }
        self.pane_key(key, now)
    }

    /// A key for the pane that has them.
    fn pane_key(&mut self, key: Key, now: Instant) -> Vec<Effect> {
        match self.focus {
            Pane::Composer => self.composer_key(key, now),
            Pane::Reasoning => match self.explorer.key(key) {
                Some(ask) => self.asked_by_trace(ask, now),
                None => Vec::new(),
            },
            Pane::Conversation => match self.transcript.key(key) {
                Some(outcome) => self.said_by_transcript(outcome, now),
                None => Vec::new(),
            },
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.overlay {
            Some(overlay) => overlay.paste(text),
            None if self.focus == Pane::Reasoning && self.explorer.takes_text() => {
                self.explorer.paste(text);
            }
            None => {
                self.focus = Pane::Composer;
                self.composer.paste(text);
            }
        }
    }

    fn act(&mut self, act: Act, now: Instant) -> Vec<Effect> {
        match act {
            Act::Help => {
                self.overlay = Some(Overlay::Help(Help::new(help::sections(), self.theme)))
            }
            Act::Palette => self.overlay = Some(Overlay::Palette(Palette::new(help::entries()))),
            Act::NextPane => self.next_pane(),
            Act::ToggleReasoning => {
                self.panes.toggle();
                self.leave_hidden();
            }
            Act::FullReasoning => {
                self.panes.toggle_full();
                if self.panes.reasoning == Reasoning::Full {
                    self.focus = Pane::Reasoning;
                }
            }
            Act::Grow | Act::Shrink => {
                let change = match act {
                    Act::Grow => Change::Grow,
                    _ => Change::Shrink,
                };
                self.panes.resize(change, self.areas.status.width);
            }
            Act::PageUp => self.transcript.page(-1),
            Act::PageDown => self.transcript.page(1),
            Act::LineUp => self.transcript.scroll(-1),
            Act::LineDown => self.transcript.scroll(1),
            Act::Bottom => self.transcript.to_bottom(),
            Act::Sessions => return self.ask_for_sessions(),
            Act::Mouse => {
                self.say_briefly("the mouse changes hands (F4 changes it back)", now);
                return vec![Effect::SwitchMouse];
            }
            Act::Redraw => return vec![Effect::Redraw],
            Act::Suspend => return vec![Effect::Suspend],
            Act::Interrupt => return self.interrupt(now),
        }
        Vec::new()
    }

    fn next_pane(&mut self) {
        let reasoning = self.panes.reasoning != Reasoning::Hidden;
        self.go_to(match self.focus {
            Pane::Composer if reasoning => Pane::Reasoning,
            Pane::Composer | Pane::Reasoning => Pane::Conversation,
            Pane::Conversation => Pane::Composer,
        });
    }

    /// Gives a pane the keys; it is shown if it was not.
    fn go_to(&mut self, pane: Pane) {
        self.focus = pane;
        match (pane, self.panes.reasoning) {
            (Pane::Reasoning, Reasoning::Hidden) => self.panes.reasoning = Reasoning::Split,
            (Pane::Composer | Pane::Conversation, Reasoning::Full) => {
                self.panes.reasoning = Reasoning::Split;
            }
            _ => {}
        }
        let Areas {
            activity,
            composer,
            status,
            ..
        } = self.areas;
        let screen = Rect::new(0, 0, status.width, status.bottom());
        let divided = self.panes.divide(screen, composer.height, activity.height);
        if pane == Pane::Reasoning && divided.reasoning.is_empty() {
            // There is no room for it beside anything.
            self.panes.reasoning = Reasoning::Full;
        }
    }

    fn leave_hidden(&mut self) {
        if self.panes.reasoning == Reasoning::Hidden && self.focus == Pane::Reasoning {
            self.focus = Pane::Composer;
        }
    }

    /// Ctrl-C: stops the turn, or clears what was typed; twice leaves.
    fn interrupt(&mut self, now: Instant) -> Vec<Effect> {
        if self.armed.is_some_and(|at| now.duration_since(at) < TWICE) {
            return vec![Effect::Stop, Effect::Leave(Exit::Done)];
        }
        self.armed = Some(now);
        let cleared = self.composer.clear();
        let stopped = self.is_working();
        self.say_briefly(
            match (stopped, cleared) {
                (true, _) => "stopping (Ctrl-C once more leaves)",
                (false, true) => "cleared (Ctrl-C once more leaves)",
                (false, false) => "Ctrl-C once more leaves",
            },
            now,
        );
        match stopped {
            true => vec![Effect::Stop],
            false => Vec::new(),
        }
    }

    fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Reading(_) | Phase::Working { .. })
    }

    fn composer_key(&mut self, key: Key, now: Instant) -> Vec<Effect> {
        if key == ESCAPE && self.is_working() && !self.composer.has_popup() {
            self.say_briefly("stopping", now);
            return vec![Effect::Stop];
        }
        if key == Key::ctrl('d') && self.composer.is_empty() {
            return vec![Effect::Stop, Effect::Leave(Exit::Done)];
        }
        if key == Key::char('?') && self.composer.is_empty() {
            return self.act(Act::Help, now);
        }
        match self.composer.key(key) {
            Some(sent) => self.sent(sent, now),
            None => Vec::new(),
        }
    }

    fn sent(&mut self, sent: Sent, now: Instant) -> Vec<Effect> {
        let kept = sent.kept().map(|text| Effect::Chore(Chore::Remember(text)));
        let mut effects = match sent {
            Sent::Message(text) => self.message(text, now),
            Sent::Queue(text) => {
                self.queue.push_back(text);
                Vec::new()
            }
            Sent::Steer(text) => match &self.place {
                Some(place) => vec![Effect::Steer(place.steer.clone(), text)],
                None => {
                    self.queue.push_back(text);
                    Vec::new()
                }
            },
            Sent::Command(line) => self.command(&line, now),
            Sent::Shell(line) => {
                if self.phase != Phase::Looking {
                    self.transcript.shell(&line, now);
                }
                self.transcript.to_bottom();
                self.give(Job::Shell(line), "running", now)
            }
            Sent::External => vec![Effect::Edit(self.composer.text())],
            Sent::Takeback => {
                if let Some(text) = self.queue.pop_back() {
                    self.composer.set_text(&text);
                }
                Vec::new()
            }
            Sent::EditEarlier => {
                self.focus = Pane::Conversation;
                self.say_briefly("[ and ] choose a message, E edits it", now);
                Vec::new()
            }
        };
        effects.extend(kept);
        effects
    }

    /// A message for a turn of its own: now, or when what goes on is over.
    fn message(&mut self, text: String, now: Instant) -> Vec<Effect> {
        match self.phase {
            Phase::Idle | Phase::Looking => self.send(text, now),
            _ => {
                self.queue.push_back(text);
                Vec::new()
            }
        }
    }

    /// A line that begins with `/`.
    fn command(&mut self, line: &str, now: Instant) -> Vec<Effect> {
        let name = line
            .trim_start_matches('/')
            .split(char::is_whitespace)
            .next();
        if name.is_some_and(|name| self.own.iter().any(|own| own == name)) {
            return self.message(line.to_owned(), now);
        }
        let (action, rest) = match slash::parse(line) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.transcript.say(&why);
                return Vec::new();
            }
        };
        match action {
            Action::Help => self.act(Act::Help, now),
            Action::Quit => vec![Effect::Stop, Effect::Leave(Exit::Done)],
            Action::Think if !matches!(rest, "on" | "off") => self.act(Act::ToggleReasoning, now),
            Action::Resume | Action::Sessions if rest.is_empty() => self.ask_for_sessions(),
            Action::Model if !rest.is_empty() => {
                self.give(Job::Model(PathBuf::from(rest)), "loading", now)
            }
            Action::Model => {
                if let Some(glance) = &self.glance {
                    let text = format!("{}: {}", glance.name, glance.backend);
                    self.transcript.say(&text);
                }
                Vec::new()
            }
            Action::Edit => self.edit(rest, now),
            action => self.give(Job::Obey(action, rest.to_owned()), "one moment", now),
        }
    }

    fn edit(&mut self, rest: &str, now: Instant) -> Vec<Effect> {
        let (number, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        match (number.parse(), text.trim()) {
            (Ok(number), text) if !text.is_empty() => {
                self.give(Job::Edit(number, text.to_owned()), "one moment", now)
            }
            _ => self.sent(Sent::EditEarlier, now),
        }
    }

    fn ask_for_sessions(&mut self) -> Vec<Effect> {
        let place = self.place.as_ref();
        let sessions = place.and_then(|place| {
            let root = place.root.clone();
            Some(Chore::Sessions(place.sessions.clone()?, root))
        });
        match sessions {
            Some(chore) => vec![Effect::Chore(chore)],
            None => {
                self.transcript.say("sessions are not kept");
                Vec::new()
            }
        }
    }

    fn overlay_key(&mut self, key: Key, now: Instant) -> Vec<Effect> {
        let Some(overlay) = &mut self.overlay else {
            return Vec::new();
        };
        let Some(outcome) = overlay.key(key, now) else {
            return Vec::new();
        };
        self.overlay = None;
        match outcome {
            Outcome::Closed => Vec::new(),
            Outcome::Approval(approval) => {
                let stop = (approval == Approval::Stop).then_some(Effect::Stop);
                let answer = Effect::Answer(approval);
                stop.into_iter().chain([answer]).collect()
            }
            Outcome::Entry(id) => match help::entry(id) {
                Some(help::Entry::Command(action)) => self.prefill(action, now),
                Some(help::Entry::Key(act)) => self.act(act, now),
                Some(help::Entry::Go(pane)) => {
                    self.go_to(pane);
                    Vec::new()
                }
                Some(help::Entry::Press(pane, key)) => {
                    self.go_to(pane);
                    self.pane_key(key, now)
                }
                None => Vec::new(),
            },
            Outcome::Resume(id) => self.give(Job::Obey(Action::Resume, id), "one moment", now),
            Outcome::Fork(id) => self.give(Job::Obey(Action::Fork, id), "one moment", now),
            Outcome::Answer(answer) => match (self.asked.take(), answer) {
                (Some(Asked::Overwrite(way)), Answer::Yes) => {
                    self.give(Job::Overwrite(way), "one moment", now)
                }
                (Some(Asked::Overwrite(_)), Answer::No) => {
                    self.transcript.say("nothing was changed");
                    Vec::new()
                }
                (Some(Asked::Trust), Answer::Yes) => vec![Effect::Answer(Approval::Yes)],
                (Some(Asked::Trust), Answer::No) => vec![Effect::Answer(Approval::No)],
                (Some(Asked::Load), Answer::Yes) => {
                    self.load(now);
                    vec![Effect::Load]
                }
                (Some(Asked::Load), Answer::No) => {
                    self.waiting = None;
                    Vec::new()
                }
                (None, _) => Vec::new(),
            },
        }
    }

    /// A command from the palette: done if it needs nothing more, else typed.
    fn prefill(&mut self, action: Action, now: Instant) -> Vec<Effect> {
        let command = slash::COMMANDS.iter().find(|one| one.action == action);
        let Some(command) = command else {
            return Vec::new();
        };
        match command.args.is_empty() {
            true => self.command(&format!("/{}", command.name), now),
            false => {
                self.focus = Pane::Composer;
                self.composer.set_text(&format!("/{} ", command.name));
                Vec::new()
            }
        }
    }

    fn said_by_transcript(&mut self, outcome: transcript::Outcome, now: Instant) -> Vec<Effect> {
        match outcome {
            transcript::Outcome::Copy(text) => {
                self.say_briefly("copied", now);
                vec![Effect::Copy(text)]
            }
            transcript::Outcome::OpenTrace(entry) => {
                self.focus = Pane::Reasoning;
                if self.panes.reasoning == Reasoning::Hidden {
                    self.panes.reasoning = Reasoning::Split;
                }
                self.show_trace(entry)
            }
            transcript::Outcome::Edit(number) => {
                self.focus = Pane::Composer;
                if let Some(text) = self.said(number) {
                    self.composer.set_text(&format!("/edit {number} {text}"));
                }
                Vec::new()
            }
            transcript::Outcome::Leave => {
                self.focus = Pane::Composer;
                Vec::new()
            }
        }
    }

    fn asked_by_trace(&mut self, ask: trace::Ask, now: Instant) -> Vec<Effect> {
        match ask {
            trace::Ask::Leave => {
                self.focus = Pane::Composer;
                if self.panes.reasoning == Reasoning::Full {
                    self.panes.reasoning = Reasoning::Split;
                }
                Vec::new()
            }
            trace::Ask::Copy(text) => {
                self.say_briefly("copied", now);
                vec![Effect::Copy(text)]
            }
            trace::Ask::ReadTrace(entry) => {
                let answer = self.answer_of(entry);
                self.show_trace(answer)
            }
            trace::Ask::Widen => self.act(Act::Grow, now),
            trace::Ask::Narrow => self.act(Act::Shrink, now),
            trace::Ask::Export(format) => self.export(format),
            trace::Ask::Compare { left, right } => {
                let [left, right] = [left, right].map(|entry| self.answer_of(entry));
                self.compare(left, right)
            }
            trace::Ask::Fork { entry, token, with } => {
                let with = match with {
                    trace::With::Token(id) => With::Token(id),
                    trace::With::Text(text) => With::Text(text),
                    trace::With::Resample { seed, temperature } => {
                        With::Resample { seed, temperature }
                    }
                };
                let job = Job::Fork(ForkAt { entry, token, with });
                self.give(job, "one moment", now)
            }
            trace::Ask::KeepBranch(entry) => self.give(Job::Keep(entry), "one moment", now),
            trace::Ask::CloseThinking => self.thinking(Effect::CloseThinking),
            trace::Ask::MoreThinking => {
                self.thinking(|keys| Effect::MoreThinking(keys, trace::MORE_THINKING))
            }
        }
    }

    fn thinking(&self, effect: impl FnOnce(ThinkingKeys) -> Effect) -> Vec<Effect> {
        let keys = self.place.as_ref().map(|place| place.thinking.clone());
        keys.map(effect).into_iter().collect()
    }

    /// Two answers side by side, once both are here.
    fn compare(&mut self, left: u64, right: u64) -> Vec<Effect> {
        let is_here = |entry: &u64| self.explorer.has(TraceId::Entry(*entry));
        let missing: Vec<u64> = { [left, right].into_iter() }
            .filter(|entry| !is_here(entry))
            .collect();
        let effects: Vec<Effect> = { missing.into_iter() }
            .filter_map(|entry| self.read_tokens(entry))
            .collect();
        match effects.is_empty() {
            true => self
                .explorer
                .compare(TraceId::Entry(left), TraceId::Entry(right)),
            false => self.comparing = Some((left, right)),
        }
        effects
    }

    /// The trace that is shown, as a file in the workspace.
    fn export(&mut self, format: Format) -> Vec<Effect> {
        let Some(place) = &self.place else {
            return Vec::new();
        };
        let (trace, _) = self.explorer.shown();
        let end = match format {
            Format::Json => "json",
            Format::Markdown => "md",
        };
        let answer = trace
            .entry()
            .map_or("live".to_owned(), |entry| entry.to_string());
        let name = format!("trace-{}-{answer}.{end}", place.session);
        let path = place.root.join(name);
        let text = self.explorer.export(format);
        vec![Effect::Chore(Chore::Write(path, text))]
    }

    /// The reasoning of an answer, which is read if it is not here.
    fn show_trace(&mut self, entry: u64) -> Vec<Effect> {
        self.read_tokens(entry).into_iter().collect()
    }

    /// The user's n-th message, counted from 1.
    fn said(&self, number: usize) -> Option<String> {
        let path = self.place.as_ref()?.path();
        let mut messages = path.iter().filter_map(|entry| match &entry.kind {
            Kind::User { text, .. } => Some(text.clone()),
            _ => None,
        });
        messages.nth(number.checked_sub(1)?)
    }
}
