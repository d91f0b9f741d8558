//! Forking an answer of the model at one of its tokens, and going back to a branch
//! that was left. Either way the files of the workspace follow, as far as undo has
//! what the branches changed.

use super::driver::{Agent, unwritten};
use super::entry::{Answer, Entry, Kind, Opening};
use super::event::{Done, Event, Front};
use super::session::{Chosen, path_to};
use super::settings::draw_seed;
use crate::generate::Sampling;
use crate::sandbox::sanitize;
use crate::undo::Report;

/// Where an answer is forked, and how it goes on there.
#[derive(Clone, Debug, PartialEq)]
pub struct ForkAt {
    /// The entry of an answer, on whichever branch.
    pub entry: u64,
    /// The first of its tokens that may become another one; they count from 0.
    pub token: usize,
    pub with: With,
}

#[derive(Clone, Debug, PartialEq)]
pub enum With {
    /// This token, one of those that were likely there.
    Token(u32),
    /// What somebody has typed. It can't become a control token.
    Text(String),
    /// What is sampled now. With neither given, the seed is drawn.
    Resample {
        seed: Option<u64>,
        temperature: Option<f32>,
    },
}

impl Agent {
    /// Goes on with an answer from one of its tokens on, as a new branch, to the end of
    /// the turn that the answer is part of. What the branch that is left has changed in
    /// the workspace since is taken back. As after [`Agent::turn`], the last event is
    /// `Done`.
    ///
    /// # Errors
    /// When there is no such answer or token, or nothing to put there; one line, and
    /// nothing is changed.
    pub fn fork_at(&mut self, at: ForkAt, front: &mut dyn Front) -> Result<Done, String> {
        let (parent, opening) = self.opening(&at)?;
        let sampling = self.resampling(parent, &at.with)?;
        let left = self.branch_off(parent, Some(opening), front);
        if let Some(sampling) = sampling {
            self.model.sampling = sampling;
            self.record(Kind::Settings(self.chosen()), front);
        }
        self.follow(&left, front);
        self.recall_turn()?;
        let text = self.unfinished().unwrap_or_default().to_owned();
        let cancel = self.begin(&text, front);
        let path = self.session.journal().path();
        let turn = path
            .iter()
            .rposition(|entry| matches!(entry.kind, Kind::User { .. }));
        let turn = changes(&path[turn.unwrap_or(0)..]);
        self.toolbox.rejoin_turn(&turn);
        Ok(self.finish(&cancel, front))
    }

    /// Has a branch be the session's again: what is said next follows its last entry.
    /// Its files come back, and those of the branch that is left are taken back.
    ///
    /// # Errors
    /// When no branch ends with this entry; one line.
    pub fn keep_branch(&mut self, entry: u64, front: &mut dyn Front) -> Result<(), String> {
        if self.session.journal().head() == Some(entry) {
            return Ok(());
        }
        if !self.branches().iter().any(|branch| branch.entry == entry) {
            return Err(format!("no branch of this session ends with entry {entry}"));
        }
        let left = self.branch_off(entry, None, front);
        self.follow(&left, front);
        self.recall_turn()
    }

    /// What a forked answer begins with, and the entry it follows.
    fn opening(&self, at: &ForkAt) -> Result<(u64, Opening), String> {
        let ForkAt { entry, token, with } = at;
        let found = self.session.journal().entry(*entry);
        let found = found.ok_or_else(|| format!("this session has no entry {entry}"))?;
        let (Kind::Assistant(answer), Some(parent)) = (&found.kind, found.parent) else {
            return Err(format!("entry {entry} is no answer of the model"));
        };
        let Some(own) = answer.ids.get(*token) else {
            let count = answer.ids.len();
            return Err(format!(
                "the answer of entry {entry} has {count} tokens, so none of number {token}: they count from 0"
            ));
        };
        let opening = |kept, ids| Opening {
            of: *entry,
            kept,
            ids,
        };
        let opening = match with {
            // It stays with all that is known of it; but what ends an answer was not kept.
            With::Token(id) if id == own && !self.model.stop_ids.contains(id) => {
                opening(token + 1, Vec::new())
            }
            With::Token(id) if id == own || self.is_alternative(answer, *token, *id) => {
                opening(*token, vec![*id])
            }
            With::Token(id) => {
                return Err(format!(
                    "token {id} is none of the alternatives to token {token} of entry {entry}"
                ));
            }
            With::Text(text) => match self.model.renderer.literal(text) {
                ids if ids.is_empty() => return Err("there is no text to put there".into()),
                ids => opening(*token, ids),
            },
            With::Resample { .. } => opening(*token, Vec::new()),
        };
        Ok((parent, opening))
    }

    /// Where the answer's tokens were not kept, any token is.
    fn is_alternative(&self, answer: &Answer, token: usize, id: u32) -> bool {
        let Some(span) = answer.trace else {
            return self.model.tokenizer.token_bytes(id).is_some();
        };
        let noted = self.session.journal().tokens(span);
        { noted.get(token) }.is_some_and(|noted| noted.top.iter().any(|(one, _)| one.id == id))
    }

    /// Another sampling than the one in force after `parent`, if that is wanted.
    fn resampling(&self, parent: u64, with: &With) -> Result<Option<Sampling>, String> {
        let With::Resample { seed, temperature } = *with else {
            return Ok(None);
        };
        if temperature.is_some_and(|t| !t.is_finite() || t < 0.0) {
            return Err("a temperature is a number from 0 up".into());
        }
        let path = path_to(self.session.journal().entries(), Some(parent));
        let old = &in_force(&path, &self.begun).sampling;
        let seed = match (seed, temperature) {
            (None, None) => draw_seed(),
            (seed, _) => seed.unwrap_or(old.seed),
        };
        let new = Sampling {
            seed,
            temperature: temperature.unwrap_or(old.temperature),
            ..old.clone()
        };
        Ok((new != *old).then_some(new))
    }

    /// Makes an entry the head, with what was in force there. Returns what the branch
    /// that is left had changed.
    fn branch_off(
        &mut self,
        after: u64,
        opening: Option<Opening>,
        front: &mut dyn Front,
    ) -> Vec<u64> {
        let left = changes(&self.session.journal().path());
        let branched = self.session.branch(Some(after), opening);
        self.logged(front);
        if let Err(error) = branched {
            let text = unwritten(&error);
            front.event(&Event::Notice { text });
        }
        let chosen = in_force(&self.session.journal().path(), &self.begun).clone();
        self.rules.limits.clone_from(&chosen.limits);
        let specs = self.model.specs.clone();
        if let Some(text) = self.model.choose(&chosen, &specs) {
            front.event(&Event::Notice { text });
        }
        left
    }

    fn recall_turn(&mut self) -> Result<(), String> {
        let path = self.session.journal().path();
        self.model.recall(&self.rules, &path)
    }

    /// Where the program ended between a fork and what follows from it, the files may
    /// still be those of the branch that was left.
    pub(super) fn follow_fork(&mut self, front: &mut dyn Front) {
        let journal = self.session.journal();
        let path = journal.path();
        let mut last = path.iter().rev();
        let last = last.find(|entry| !matches!(entry.kind, Kind::Settings(_)));
        if let Some(Kind::Fork {
            from,
            opening: Some(_),
        }) = last.map(|entry| &entry.kind)
        {
            let left = changes(&path_to(journal.entries(), Some(*from)));
            self.follow(&left, front);
        }
    }

    /// Has the workspace follow to this branch from one with these changes.
    fn follow(&mut self, left: &[u64], front: &mut dyn Front) {
        let here = changes(&self.session.journal().path());
        let without = |all: &[u64], other: &[u64]| -> Vec<u64> {
            let only = all.iter().filter(|change| !other.contains(change));
            only.copied().collect()
        };
        let (back, forth) = (without(left, &here), without(&here, left));
        if back.is_empty() && forth.is_empty() {
            return;
        }
        let lines = match self.toolbox.switch(&back, &forth) {
            Ok(report) => lines(&report),
            Err(why) => vec![format!("files stay as the other branch left them: {why}")],
        };
        for text in lines {
            front.event(&Event::Notice { text });
        }
    }
}

/// What was chosen last on a path, else what a session began with.
pub(super) fn in_force<'a>(path: &[&'a Entry], begun: &'a Chosen) -> &'a Chosen {
    let last = path.iter().rev().find_map(|entry| match &entry.kind {
        Kind::Settings(chosen) => Some(chosen),
        _ => None,
    });
    last.unwrap_or(begun)
}

/// Which changes of files are in force at the end of a path, in their order.
fn changes(path: &[&Entry]) -> Vec<u64> {
    let mut changes = Vec::new();
    for entry in path {
        match &entry.kind {
            Kind::ToolStarted {
                change: Some(change),
                ..
            } => changes.push(*change),
            Kind::Undo(what) => changes.retain(|change| !what.calls.contains(change)),
            Kind::Redo(what) => changes.extend(&what.calls),
            _ => {}
        }
    }
    changes
}

/// Paths that a line names.
const NAMED: usize = 8;

/// What the user should know of files that followed, or did not.
fn lines(report: &Report) -> Vec<String> {
    let done = report.done.iter().map(|(path, _)| path);
    let conflicts = report.conflicts.iter().map(|(path, _)| path);
    let left = report.left.iter().map(|(path, _)| path);
    let named = |mut paths: Vec<_>| {
        paths.sort_unstable();
        paths.dedup();
        let names = paths.iter().take(NAMED).map(|path: &&std::path::PathBuf| {
            sanitize::for_line(&path.to_string_lossy()).into_owned()
        });
        let mut text = names.collect::<Vec<_>>().join(", ");
        if paths.len() > NAMED {
            text.push_str(&format!(" and {} more", paths.len() - NAMED));
        }
        text
    };
    let mut lines = Vec::new();
    for (what, paths) in [
        (
            "files are as this branch has them",
            done.collect::<Vec<_>>(),
        ),
        (
            "changed since by others, and left alone",
            conflicts.collect(),
        ),
        ("could not be brought back", left.collect()),
    ] {
        if !paths.is_empty() {
            lines.push(format!("{what}: {}", named(paths)));
        }
    }
    lines
}
