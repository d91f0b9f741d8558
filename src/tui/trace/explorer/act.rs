//! What keys, the wheel and clicks do.

use crossterm::event::{KeyCode, KeyModifiers};

use super::keys::{Act, EXPORT_KEYS, ExportAct, KEYS, LIST_KEYS, ListAct, SEARCH_KEYS, SearchAct};
use super::{Ask, Below, Explorer, Open};
use crate::tui::keys::{Key, bound};
use crate::tui::trace::branches;
use crate::tui::trace::compare;
use crate::tui::trace::export::Format;
use crate::tui::trace::fork::{Fork, Outcome};
use crate::tui::trace::list::List;
use crate::tui::trace::motion::{Direction, is_step, is_uncertain, is_word, nearest};
use crate::tui::trace::shelf::TraceId;
use crate::tui::trace::walk::Walk;

impl Explorer {
    /// A key that the pane gets.
    pub fn key(&mut self, key: Key) -> Option<Ask> {
        self.hint = None;
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => bound(KEYS, key).and_then(|act| self.act(act)),
            Open::Search(from) => {
                self.search_key(key, from);
                None
            }
            Open::Fork(fork) => self.fork_key(key, fork),
            Open::Branches(list, order) => self.branch_key(key, list, order),
            Open::Answers(list) => self.answer_key(key, list),
            Open::Export => self.export_key(key),
            Open::Compare(mut compare) => {
                match bound(compare::KEYS, key) {
                    Some(compare::Act::Close) => return None,
                    Some(compare::Act::Heat) => self.measure = self.measure.other(),
                    Some(act) => compare.act(act),
                    None => {}
                }
                self.open = Open::Compare(compare);
                None
            }
        }
    }

    fn act(&mut self, act: Act) -> Option<Ask> {
        let page = self.walk.height().saturating_sub(1).max(1) as isize;
        match act {
            Act::Left => self.token(-1),
            Act::Right => self.token(1),
            Act::Up => self.rows(-1),
            Act::Down => self.rows(1),
            Act::PageUp => self.rows(-page),
            Act::PageDown => self.rows(page),
            Act::WordBack => self.nearest(Direction::Back, is_word),
            Act::WordForward => self.nearest(Direction::Forward, is_word),
            Act::StepBack => self.nearest(Direction::Back, is_step),
            Act::StepForward => self.nearest(Direction::Forward, is_step),
            Act::ParagraphBack => self.paragraph(Direction::Back),
            Act::ParagraphForward => self.paragraph(Direction::Forward),
            Act::First => self.go(0, Direction::Back),
            Act::Last => self.go(usize::MAX, Direction::Forward),
            Act::TenthBack => self.tenth(Direction::Back),
            Act::TenthForward => self.tenth(Direction::Forward),
            Act::NextUncertain => self.uncertain(Direction::Forward),
            Act::PreviousUncertain => self.uncertain(Direction::Back),
            Act::Search => {
                let from = self.walk.cursor();
                self.look_for(String::new(), from);
            }
            Act::NextFound => self.found(Direction::Forward),
            Act::PreviousFound => self.found(Direction::Back),
            Act::Fold => self.walk.fold(self.shelf.get(self.shown)),
            Act::FoldAll => self.walk.fold_all(self.shelf.get(self.shown)),
            Act::Bookmark => self.bookmark(),
            Act::NextBookmark => self.next_bookmark(),
            Act::Span => {
                self.span = match self.span {
                    Some(_) => None,
                    None => Some(self.walk.cursor()),
                };
            }
            Act::Copy => return self.copy(),
            Act::Heat => self.measure = self.measure.other(),
            Act::Routes => self.toggle(Below::Routes),
            Act::Numbers => self.toggle(Below::Numbers),
            Act::Fork => self.fork(),
            Act::Branches => match self.branches.is_empty() {
                true => self.say("the session has no branches yet; f begins one"),
                false => {
                    let order = branches::tree(&self.branches);
                    let head = order.iter().position(|(at, _)| self.branches[*at].head);
                    let list = List {
                        chosen: head.unwrap_or(0),
                    };
                    self.open = Open::Branches(list, order);
                }
            },
            Act::Answers => match self.answers.is_empty() {
                true => self.say("there are no answers to choose from yet"),
                false => {
                    let entry = self.trace().entry();
                    let at = self.answers.iter().position(|one| Some(one.entry) == entry);
                    self.open = Open::Answers(List {
                        chosen: at.unwrap_or(self.answers.len() - 1),
                    });
                }
            },
            Act::PreviousAnswer => return self.beside(Direction::Back),
            Act::NextAnswer => return self.beside(Direction::Forward),
            Act::Live => self.follow(),
            Act::Export => self.open = Open::Export,
            Act::CloseThinking => return self.thinking(Ask::CloseThinking),
            Act::MoreThinking => return self.thinking(Ask::MoreThinking),
            Act::Widen => return Some(Ask::Widen),
            Act::Narrow => return Some(Ask::Narrow),
            Act::Leave => return self.leave(),
        }
        None
    }

    /// Closes what is open, the newest first.
    fn leave(&mut self) -> Option<Ask> {
        if self.span.take().is_some() {
            return None;
        }
        if !self.search.query().is_empty() {
            self.search = Default::default();
            return None;
        }
        if self.below != Below::Token {
            self.below = Below::Token;
            return None;
        }
        Some(Ask::Leave)
    }

    fn say(&mut self, hint: &str) {
        self.hint = Some(hint.to_owned());
    }

    fn toggle(&mut self, below: Below) {
        self.below = match self.below == below {
            true => Below::Token,
            false => below,
        };
    }

    fn go(&mut self, token: usize, direction: Direction) {
        self.walk.go(self.shelf.get(self.shown), token, direction);
    }

    fn token(&mut self, by: isize) {
        let token = self.walk.cursor().saturating_add_signed(by);
        let direction = match by < 0 {
            true => Direction::Back,
            false => Direction::Forward,
        };
        self.go(token, direction);
    }

    /// Moves by a tenth of the trace.
    fn tenth(&mut self, direction: Direction) {
        let trace = self.trace();
        let (cursor, by) = (self.walk.cursor(), (trace.len() / 10).max(1));
        let token = match direction {
            Direction::Back => cursor.saturating_sub(by),
            Direction::Forward => cursor.saturating_add(by),
        };
        self.go(token, direction);
    }

    fn rows(&mut self, by: isize) {
        self.walk.go_rows(self.shelf.get(self.shown), by);
    }

    /// Moves to the nearest token of a kind, or to the end.
    fn nearest(&mut self, direction: Direction, is: fn(&crate::tui::trace::Trace, usize) -> bool) {
        let trace = self.shelf.get(self.shown);
        let found = nearest(trace, self.walk.cursor(), direction, |at| is(trace, at));
        let end = match direction {
            Direction::Back => 0,
            Direction::Forward => trace.len(),
        };
        self.go(found.unwrap_or(end), direction);
    }

    fn paragraph(&mut self, direction: Direction) {
        let trace = self.shelf.get(self.shown);
        let end = match direction {
            Direction::Back => 0,
            Direction::Forward => trace.len(),
        };
        let token = self.walk.beside(trace, direction).unwrap_or(end);
        self.go(token, direction);
    }

    fn uncertain(&mut self, direction: Direction) {
        let (trace, measure) = (self.shelf.get(self.shown), self.measure);
        let is = |at| is_uncertain(trace, at, measure);
        match nearest(trace, self.walk.cursor(), direction, is) {
            Some(token) => self.walk.jump(trace, token),
            None => self.say(match direction {
                Direction::Forward => "no uncertain token after this one",
                Direction::Back => "no uncertain token before this one",
            }),
        }
    }

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

    fn found(&mut self, direction: Direction) {
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

    fn search_key(&mut self, key: Key, from: usize) {
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

    /// Where bookmarks of the shown trace are kept.
    pub(super) fn marks_of(&self) -> Option<u64> {
        self.trace().entry()
    }

    fn bookmark(&mut self) {
        let mark = (self.marks_of(), self.walk.cursor());
        if !self.trace().is_empty() && !self.bookmarks.remove(&mark) {
            self.bookmarks.insert(mark);
        }
    }

    fn next_bookmark(&mut self) {
        let entry = self.marks_of();
        let cursor = self.walk.cursor();
        let mut after = self
            .bookmarks
            .range((entry, cursor + 1)..=(entry, usize::MAX));
        let next = after.next().copied();
        let first = || {
            let mut all = self.bookmarks.range((entry, 0)..=(entry, usize::MAX));
            all.next().copied()
        };
        match next.or_else(first) {
            Some((_, token)) => self.walk.jump(self.shelf.get(self.shown), token),
            None => self.say("no bookmarks here; m sets one"),
        }
    }

    fn copy(&mut self) -> Option<Ask> {
        let trace = self.trace();
        let cursor = self.walk.cursor();
        let (from, to) = self.span().unwrap_or((cursor, cursor + 1));
        let text = trace.text().get(trace.start(from)..trace.start(to));
        let text = text.unwrap_or_default().to_owned();
        self.span = None;
        (!text.is_empty()).then_some(Ask::Copy(text))
    }

    fn fork(&mut self) {
        let trace = self.shelf.get(self.shown);
        if trace.is_empty() {
            self.say("there is no token to go on from yet");
        } else if trace.entry().is_none() {
            self.say("this answer is still being written: it can be forked once it is done");
        } else {
            self.open = Open::Fork(Fork::at(trace, self.walk.cursor()));
        }
    }

    fn fork_key(&mut self, key: Key, mut fork: Fork) -> Option<Ask> {
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

    fn branch_key(&mut self, key: Key, mut list: List, order: Vec<(usize, usize)>) -> Option<Ask> {
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

    fn answer_key(&mut self, key: Key, mut list: List) -> Option<Ask> {
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

    fn export_key(&mut self, key: Key) -> Option<Ask> {
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
    fn beside(&mut self, direction: Direction) -> Option<Ask> {
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

    fn thinking(&mut self, ask: Ask) -> Option<Ask> {
        if !self.shelf.is_running() {
            self.say("no answer is being written");
            return None;
        }
        Some(ask)
    }

    /// The wheel over the pane: down is positive.
    pub fn wheel(&mut self, rows: i32) {
        let rows = rows as isize;
        match &mut self.open {
            Open::Compare(compare) => compare.scroll(rows),
            Open::Branches(list, order) => list.go(rows.signum(), order.len()),
            Open::Answers(list) => list.go(rows.signum(), self.answers.len()),
            Open::Nothing | Open::Search(_) | Open::Fork(_) | Open::Export => {
                self.walk.scroll(self.shelf.get(self.shown), rows);
            }
        }
    }

    /// A click at a place of the pane, counted from its corner.
    pub fn click(&mut self, x: u16, y: u16) {
        self.hint = None;
        let places = self.places();
        let at = ratatui::layout::Position { x, y };
        let trace = self.shelf.get(self.shown);
        if places.list.contains(at) {
            let (y, height) = (usize::from(y - places.list.y), places.list.height);
            match &mut self.open {
                Open::Branches(list, order) => {
                    list.chosen = list
                        .at(y, height.into(), order.len())
                        .unwrap_or(list.chosen);
                }
                Open::Answers(list) => {
                    let count = self.answers.len();
                    list.chosen = list.at(y, height.into(), count).unwrap_or(list.chosen);
                }
                Open::Nothing
                | Open::Search(_)
                | Open::Fork(_)
                | Open::Export
                | Open::Compare(_) => {}
            }
        } else if matches!(self.open, Open::Nothing | Open::Search(_)) {
            if places.strip.contains(at) {
                let token = self.strip.token(usize::from(y - places.strip.y));
                self.walk.jump(trace, token);
            } else if places.text.contains(at) {
                let row = self.walk.top() + usize::from(y - places.text.y);
                let column = usize::from(x - places.text.x);
                if let Some(token) = self.walk.token_in(trace, row, column) {
                    self.walk.go(trace, token, Direction::Back);
                }
            }
        }
    }
}
