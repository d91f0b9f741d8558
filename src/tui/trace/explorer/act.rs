//! What keys do to the trace that is shown.

use super::keys::{Act, KEYS};
use super::{Ask, Below, Explorer, Open};
use crate::tui::keys::{Key, bound};
use crate::tui::trace::compare;
use crate::tui::trace::motion::{Direction, is_step, is_uncertain, is_word, nearest};
use crate::tui::trace::search::Search;
use crate::tui::trace::store::Trace;

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
            Act::Branches => self.list_branches(),
            Act::Answers => self.list_answers(),
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
            self.search = Search::default();
            return None;
        }
        if self.below != Below::Token {
            self.below = Below::Token;
            return None;
        }
        Some(Ask::Leave)
    }

    pub(super) fn say(&mut self, hint: &str) {
        self.hint = Some(hint.to_owned());
    }

    fn toggle(&mut self, below: Below) {
        self.below = match self.below == below {
            true => Below::Token,
            false => below,
        };
    }

    pub(super) fn go(&mut self, token: usize, direction: Direction) {
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
    fn nearest(&mut self, direction: Direction, is: fn(&Trace, usize) -> bool) {
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

    fn thinking(&mut self, ask: Ask) -> Option<Ask> {
        if !self.shelf.is_running() {
            self.say("no answer is being written");
            return None;
        }
        Some(ask)
    }
}
