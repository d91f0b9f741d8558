//! What keys do in what is open: a search, a fork, the lists, the question of an export.

use crossterm::event::{KeyCode, KeyModifiers};

use super::keys::{EXPORT_KEYS, ExportAct, LIST_KEYS, ListAct, SEARCH_KEYS, SearchAct};
use super::{Ask, Explorer, Open};
use crate::tui::keys::{Key, bound};
use crate::tui::trace::branches;
use crate::tui::trace::export::Format;
use crate::tui::trace::fork::{Fork, Outcome};
use crate::tui::trace::list::List;
use crate::tui::trace::motion::Direction;
use crate::tui::trace::shelf::TraceId;
use crate::tui::trace::walk::Walk;

impl Explorer {
    /// Looks for something from a token on.
    pub(super) fn look_for(&mut self, query: String, from: usize) {
        let trace = self.shelf.get(self.shown);
        self.search.set(query, trace.text());
        let before = trace.start(from).checked_sub(1);
        let first = match before {
            Some(before) => self.search.next(before),
            None => self.search.next(usize::MAX),
        };
        match first {
            Some((_, byte)) => self.walk.jump(trace, trace.token_at(byte)),
            None => self.walk.jump(trace, from),
        }
        self.open = Open::Search(from);
    }

    pub(super) fn found(&mut self, direction: Direction) {
        let trace = self.shelf.get(self.shown);
        let cursor = self.walk.cursor();
        let found = match direction {
            // A place is gone to by the token that it begins in.
            Direction::Forward => self.search.next(trace.end(cursor).saturating_sub(1)),
            Direction::Back => self.search.previous(trace.start(cursor)),
        };
        match found {
            Some((at, byte)) => {
                self.walk.jump(trace, trace.token_at(byte));
                self.hint = Some(format!("{} of {}", at + 1, self.search.count()));
            }
            None if self.search.query().is_empty() => self.say("/ begins a search"),
            None => self.say("not found"),
        }
    }

    pub(super) fn search_key(&mut self, key: Key, from: usize) {
        self.open = Open::Search(from);
        match bound(SEARCH_KEYS, key) {
            Some(SearchAct::Next) => self.found(Direction::Forward),
            Some(SearchAct::Previous) => self.found(Direction::Back),
            Some(SearchAct::Done) => self.open = Open::Nothing,
            Some(SearchAct::Erase) => {
                let mut query = self.search.query().to_owned();
                query.pop();
                self.look_for(query, from);
            }
            None => {
                let held = key.modifiers.difference(KeyModifiers::SHIFT);
                if let (KeyCode::Char(c), true) = (key.code, held.is_empty()) {
                    let query = self.search.query().to_owned() + c.encode_utf8(&mut [0; 4]);
                    self.look_for(query, from);
                }
            }
        }
    }

    pub(super) fn fork(&mut self) {
        let trace = self.shelf.get(self.shown);
        if trace.is_empty() {
            self.say("there is no token to go on from yet");
        } else if trace.entry().is_none() {
            self.say("this answer is still being written: it can be forked once it is done");
        } else {
            self.open = Open::Fork(Fork::at(trace, self.walk.cursor()));
        }
    }

    pub(super) fn fork_key(&mut self, key: Key, mut fork: Fork) -> Option<Ask> {
        match fork.key(key) {
            Outcome::Open => self.open = Open::Fork(fork),
            Outcome::Close => {}
            Outcome::Refused(why) => {
                self.hint = Some(why);
                self.open = Open::Fork(fork);
            }
            Outcome::Fork(with) => {
                let entry = self.trace().entry()?;
                let token = fork.token();
                return Some(Ask::Fork { entry, token, with });
            }
        }
        None
    }

    pub(super) fn list_branches(&mut self) {
        if self.branches.is_empty() {
            self.say("the session has no branches yet; f begins one");
            return;
        }
        let order = branches::tree(&self.branches);
        let head = order.iter().position(|(at, _)| self.branches[*at].head);
        let chosen = head.unwrap_or(0);
        self.open = Open::Branches(List { chosen }, order);
    }

    pub(super) fn list_answers(&mut self) {
        let Some(last) = self.answers.len().checked_sub(1) else {
            self.say("there are no answers to choose from yet");
            return;
        };
        let entry = self.trace().entry();
        let at = self.answers.iter().position(|one| Some(one.entry) == entry);
        let chosen = at.unwrap_or(last);
        self.open = Open::Answers(List { chosen });
    }

    pub(super) fn branch_key(
        &mut self,
        key: Key,
        mut list: List,
        order: Vec<(usize, usize)>,
    ) -> Option<Ask> {
        let act = bound(branches::KEYS, key);
        let chosen = order.get(list.chosen);
        let chosen = chosen.and_then(|(at, _)| self.branches.get(*at));
        let ask = match (act, chosen) {
            (Some(branches::Act::Close), _) => return None,
            (Some(branches::Act::Look), Some(branch)) => {
                let entry = branch.entry;
                return self.read(entry);
            }
            (Some(branches::Act::Keep), Some(branch)) => Some(Ask::KeepBranch(branch.entry)),
            (Some(branches::Act::Compare), Some(branch)) => match self.trace().entry() {
                Some(left) => Some(Ask::Compare {
                    left,
                    right: branch.entry,
                }),
                None => {
                    self.say("an answer that is being written can't be compared");
                    None
                }
            },
            (Some(branches::Act::Up), _) => {
                list.go(-1, order.len());
                None
            }
            (Some(branches::Act::Down), _) => {
                list.go(1, order.len());
                None
            }
            (Some(_) | None, _) => None,
        };
        self.open = Open::Branches(list, order);
        ask
    }

    pub(super) fn answer_key(&mut self, key: Key, mut list: List) -> Option<Ask> {
        match bound(LIST_KEYS, key) {
            Some(ListAct::Up) => list.go(-1, self.answers.len()),
            Some(ListAct::Down) => list.go(1, self.answers.len()),
            Some(ListAct::Open) => {
                let entry = self.answers.get(list.chosen).map(|one| one.entry);
                return entry.and_then(|entry| self.read(entry));
            }
            Some(ListAct::Close) => return None,
            None => {}
        }
        self.open = Open::Answers(list);
        None
    }

    pub(super) fn export_key(&mut self, key: Key) -> Option<Ask> {
        match bound(EXPORT_KEYS, key) {
            Some(ExportAct::Json) => return Some(Ask::Export(Format::Json)),
            Some(ExportAct::Markdown) => return Some(Ask::Export(Format::Markdown)),
            Some(ExportAct::Close) => {}
            None => self.open = Open::Export,
        }
        None
    }

    /// Shows the answer of an entry, which may have to be read first.
    fn read(&mut self, entry: u64) -> Option<Ask> {
        if !self.has(TraceId::Entry(entry)) {
            return Some(Ask::ReadTrace(entry));
        }
        self.show(TraceId::Entry(entry), Walk::at_start());
        None
    }

    /// The answer before or after the one that is shown.
    pub(super) fn beside(&mut self, direction: Direction) -> Option<Ask> {
        let entry = self.trace().entry();
        let next = match (direction, entry) {
            (Direction::Back, None) => self.entries.last(),
            (Direction::Back, Some(entry)) => self.entries.range(..entry).next_back(),
            (Direction::Forward, None) => None,
            (Direction::Forward, Some(entry)) => self.entries.range(entry + 1..).next(),
        };
        match (next.copied(), direction) {
            (Some(next), _) => self.read(next),
            (None, Direction::Forward)
                if self.shown != TraceId::Live && self.shelf.is_running() =>
            {
                self.follow();
                None
            }
            (None, Direction::Forward) => {
                self.say("this is the last answer");
                None
            }
            (None, Direction::Back) => {
                self.say("this is the first answer");
                None
            }
        }
    }
}
