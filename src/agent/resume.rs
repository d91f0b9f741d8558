//! The session of an agent: a new one, one from the folder, a fork of one, or an
//! earlier place in it.

use std::path::Path;

use super::driver::Agent;
use super::entry::{Entry, Kind};
use super::event::{Event, Front};
use super::session::{
    BundleName, Chosen, Forked, Header, Journal, Opened, Session, Sessions, VERSION,
};
use super::settings::Settings;
use crate::bundle::ThinkingSupport;
use crate::chat::Thinking;

impl Agent {
    /// Keeps sessions in a folder, this one from its first message on. `bundle` is
    /// where the model was opened, if it was anywhere.
    pub fn keep_sessions_in(&mut self, sessions: Sessions, bundle: Option<&Path>) {
        let path = bundle.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        self.bundle = BundleName {
            path,
            ..self.bundle.clone()
        };
        self.sessions = Some(sessions);
        self.clear();
    }

    pub fn sessions(&self) -> Option<&Sessions> {
        self.sessions.as_ref()
    }

    /// A new conversation, under a new session id.
    pub fn clear(&mut self) {
        let journal = match &self.sessions {
            Some(sessions) => Journal::in_folder(self.header(sessions.new_id()), sessions.clone()),
            None => Journal::in_memory(),
        };
        self.model.run = None;
        self.begun = self.chosen();
        self.session = Session::new(journal, self.rules.clone());
    }

    /// What a session that begins now starts with.
    fn header(&self, id: String) -> Header {
        Header {
            v: VERSION,
            id,
            cairn: env!("CARGO_PKG_VERSION").to_owned(),
            bundle: self.bundle.clone(),
            numerics: self.model.generator.info().numerics.clone(),
            workspace: self.settings.workspace.clone(),
            system: self.model.system.clone(),
            tools: self.model.specs.clone(),
            preamble: self.rules.preamble.clone(),
            settings: self.chosen(),
            forked_from: None,
        }
    }

    /// What is not as it was when a session was made, a line each.
    pub fn differs_from(&self, header: &Header) -> Vec<String> {
        let bundle = (header.bundle.fingerprint != self.bundle.fingerprint).then(|| {
            format!(
                "the session was made with {} ({}), and this is {} ({})",
                header.bundle.name,
                header.bundle.fingerprint,
                self.bundle.name,
                self.bundle.fingerprint
            )
        });
        let numerics = other_numerics(header, &self.model.generator.info().numerics);
        bundle.into_iter().chain(numerics).collect()
    }

    pub(super) fn chosen(&self) -> Chosen {
        Chosen {
            sampling: self.model.sampling.clone(),
            thinking: self.model.thinking,
            limits: self.rules.limits.clone(),
            calls: self.model.calls,
        }
    }

    /// Goes on with a session; `typed` beats what it says. The lines are for the user.
    ///
    /// # Errors
    /// When it belongs to another bundle, or its prompt can't be made; one line.
    pub fn resume(&mut self, opened: Opened, typed: &Settings) -> Result<Vec<String>, String> {
        let Opened {
            header,
            journal,
            mut notices,
        } = opened;
        if header.bundle.fingerprint != self.bundle.fingerprint {
            return Err(format!(
                "session {} was made with {}, which is not this {}; `--fork {}` goes on with this one",
                header.id, header.bundle.name, self.bundle.name, header.id
            ));
        }
        notices.extend(other_numerics(
            &header,
            &self.model.generator.info().numerics,
        ));
        notices.extend(self.take_up(&header, journal, typed)?);
        self.model
            .recall(&self.rules, &self.session.journal().path())?;
        Ok(notices)
    }

    /// Goes on with a copy of a session, up to where it is forked; with this bundle,
    /// whatever it was made with.
    ///
    /// # Errors
    /// As [`Agent::resume`], and when the copy can't be written.
    pub fn fork(&mut self, forked: &Forked, typed: &Settings) -> Result<Vec<String>, String> {
        let sessions = self.sessions.clone();
        let sessions = sessions.ok_or("there is no folder to keep sessions in")?;
        let old = &forked.header;
        let own = self.header(sessions.new_id());
        let same = old.bundle.fingerprint == self.bundle.fingerprint;
        let header = Header {
            forked_from: Some(forked.from.clone()),
            ..match same {
                // The prompt stays what it was, so what is cached of it counts.
                true => Header {
                    system: old.system.clone(),
                    tools: old.tools.clone(),
                    preamble: old.preamble.clone(),
                    settings: old.settings.clone(),
                    ..own
                },
                false => own,
            }
        };
        let opened = sessions.create_fork(&header, forked);
        let opened = opened.map_err(|error| error.to_string())?;
        let mut notices = opened.notices;
        notices.extend(self.take_up(&header, opened.journal, typed)?);
        if same {
            notices.extend(other_numerics(old, &header.numerics));
            self.model
                .recall(&self.rules, &self.session.journal().path())?;
        }
        Ok(notices)
    }

    /// Makes a journal this agent's session; what was typed beats what it says.
    fn take_up(
        &mut self,
        header: &Header,
        journal: Journal,
        typed: &Settings,
    ) -> Result<Option<String>, String> {
        let kept = super::branch::in_force(&journal.path(), &header.settings).clone();
        let wanted = typed.over(&kept);
        if wanted.thinking == Thinking::On && self.support == ThinkingSupport::None {
            return Err("this bundle has no thinking".into());
        }
        self.rules.limits = header.settings.limits.clone();
        self.rules.preamble.clone_from(&header.preamble);
        self.model.system.clone_from(&header.system);
        self.model.run = None;
        self.begun.clone_from(&header.settings);
        self.session = Session::new(journal, self.rules.clone());
        self.rules.limits = wanted.limits.clone();
        let warning = self.model.choose(&wanted, &header.tools);
        if wanted != kept {
            // Where that can't be written, the next entry says so.
            let _ = self.session.record(Kind::Settings(wanted));
        }
        Ok(warning)
    }

    /// Goes back to before a user's message, or to the beginning where there is none
    /// of that number (they count from 1): what is said next is a branch.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn go_back(&mut self, message: usize, front: &mut dyn Front) -> Result<(), String> {
        let path = self.session.journal().path();
        let mut messages = path
            .iter()
            .filter(|entry| matches!(entry.kind, Kind::User { .. }));
        let count = messages.clone().count();
        let nth = message.checked_sub(1).and_then(|at| messages.nth(at));
        let Some(entry) = nth else {
            return Err(match count {
                0 => "nothing was said yet".to_owned(),
                _ => format!("messages count from 1 to {count}"),
            });
        };
        let before = entry.parent;
        let left = |entry: &Entry| before.is_none_or(|before| entry.id > before);
        let chose =
            { path.iter() }.any(|entry| left(entry) && matches!(entry.kind, Kind::Settings(_)));
        let pinned = self.pinned();
        self.model.run = None;
        let branched = self.session.branch(before, None);
        self.logged(front);
        if let Err(error) = branched {
            front.event(&Event::Notice {
                text: super::driver::unwritten(&error),
            });
        }
        // What was chosen and pinned since is no part of what was said: it stays.
        if chose {
            self.record(Kind::Settings(self.chosen()), front);
        }
        let there = self.pinned();
        let messages: Vec<u64> = self.pinnable().iter().map(|one| one.entry).collect();
        for entry in pinned {
            if messages.contains(&entry) && !there.contains(&entry) {
                self.record(Kind::Pin { entry }, front);
            }
        }
        Ok(())
    }

    /// The entries of pinned messages.
    fn pinned(&self) -> Vec<u64> {
        let pinnable = self.pinnable();
        let pinned = pinnable.iter().filter(|one| one.pinned);
        pinned.map(|one| one.entry).collect()
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
        match self.session.journal().entries().is_empty() {
            // Its header says so.
            true => self.clear(),
            false => {
                let chosen = self.chosen();
                // Where that can't be written, the next entry says so.
                let _ = self.session.record(Kind::Settings(chosen));
            }
        }
        Ok(())
    }
}

fn other_numerics(header: &Header, now: &str) -> Option<String> {
    (header.numerics != now).then(|| {
        format!(
            "computed as {now} from here on, and as {} before: the same tokens are not promised",
            header.numerics
        )
    })
}
