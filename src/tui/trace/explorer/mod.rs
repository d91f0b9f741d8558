//! The widget: a trace that is shown, a walk over it, and what is open beside it. It
//! does nothing itself that reaches beyond the pane: that it asks for ([`Ask`]).

mod act;
mod keys;
mod mouse;
mod panels;
mod places;
#[cfg(test)]
mod random_tests;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use keys::{KEYS, help};

use super::branches::{self, Branch};
use super::compare::Compare;
use super::export::{self, Format};
use super::fork::{Fork, With};
use super::heat::Measure;
use super::lanes;
use super::list::List;
use super::numbers::Numbers;
use super::search::Search;
use super::shelf::{Shelf, TraceId};
use super::store::Trace;
use super::stored::AnswerRef;
use super::strip::Strip;
use super::vocabulary::Vocabulary;
use super::walk::{Follow, Walk};
use crate::agent::Answer;
use crate::agent::session::Noted;
pub use crate::tui::keys::Focus;
use crate::tui::theme::Theme;

/// What the application has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Go on differently from a token of the answer of an entry: the token and what
    /// follows it go.
    Fork {
        entry: u64,
        /// Counts from 0 within the answer.
        token: usize,
        with: With,
    },
    /// Add the traces of both entries that aren't there ([`Explorer::add`]), then
    /// [`Explorer::compare`]. An entry is that of an answer, or a branch's end: then
    /// the answer is meant with which that branch began.
    Compare {
        left: u64,
        right: u64,
    },
    /// The session goes on with the branch that ends with this entry.
    KeepBranch(u64),
    /// [`Explorer::open`] the answer of this entry, or that with which the branch
    /// began that ends with it.
    ReadTrace(u64),
    /// Write what [`Explorer::export`] gives to a file.
    Export(Format),
    /// To the clipboard: what the model wrote, as it is.
    Copy(String),
    /// The model is to end its thinking now.
    CloseThinking,
    /// It gets [`MORE_THINKING`] more tokens for it.
    MoreThinking,
    Widen,
    Narrow,
    /// The keys go back to where they were.
    Leave,
}

/// Tokens of a span whose routes are counted.
const STRETCH: usize = 4096;
/// Tokens that [`Ask::MoreThinking`] asks for.
pub const MORE_THINKING: usize = 512;

/// What is below the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Below {
    #[default]
    Token,
    Routes,
    Numbers,
}

/// What has the keys instead of the text.
#[derive(Clone, Debug)]
enum Open {
    Nothing,
    /// A search is typed; it began at this token.
    Search(usize),
    Fork(Fork),
    /// The branches in the order of their tree, each with its depth.
    Branches(List, Vec<(usize, usize)>),
    Answers(List),
    Export,
    Compare(Box<Compare>),
}

/// The reasoning pane.
pub struct Explorer {
    shelf: Shelf,
    shown: TraceId,
    /// An answer has begun, and none of its tokens are there yet.
    awaited: bool,
    walk: Walk,
    measure: Measure,
    search: Search,
    below: Below,
    open: Open,
    /// Where a span begins; it ends at the cursor.
    span: Option<usize>,
    /// Bookmarked tokens by the entry of their answer, `None` for a live one.
    bookmarks: BTreeSet<(Option<u64>, usize)>,
    branches: Vec<Branch>,
    answers: Vec<AnswerRef>,
    /// Entries of answers that can be gone to, in order.
    entries: BTreeSet<u64>,
    experts: Option<usize>,
    budget: Option<Option<usize>>,
    strip: Strip,
    numbers: Option<Numbers>,
    /// A line for the user until the next key.
    hint: Option<String>,
    size: (u16, u16),
    /// Rows that what is below the text would fill.
    wanted: usize,
}

impl Default for Explorer {
    fn default() -> Self {
        Self::new()
    }
}

impl Explorer {
    pub fn new() -> Self {
        Self {
            shelf: Shelf::default(),
            shown: TraceId::Live,
            awaited: false,
            walk: Walk::default(),
            measure: Measure::default(),
            search: Search::default(),
            below: Below::default(),
            open: Open::Nothing,
            span: None,
            bookmarks: BTreeSet::new(),
            branches: Vec::new(),
            answers: Vec::new(),
            entries: BTreeSet::new(),
            experts: None,
            budget: None,
            strip: Strip::default(),
            numbers: None,
            hint: None,
            size: (0, 0),
            wanted: 0,
        }
    }

    /// A live answer begins: what is shown stays until its first token is there.
    /// Whoever walks in the answer before stays there even then.
    pub fn begin(&mut self) {
        self.awaited = true;
    }

    fn start(&mut self) {
        self.awaited = false;
        if self.shown == TraceId::Live {
            let is_busy = self.walk.follow() == Follow::Stay || self.is_typing();
            match self.trace().entry() {
                Some(entry) if is_busy => self.shown = TraceId::Entry(entry),
                _ => self.reset(Walk::default()),
            }
        }
        if let Open::Compare(compare) = &self.open
            && compare.sides().contains(&TraceId::Live)
        {
            self.open = Open::Nothing;
        }
        // Those of an answer that never became whole.
        self.bookmarks.retain(|(entry, _)| entry.is_some());
        self.touch();
        self.shelf.begin();
    }

    /// The live answer's next token.
    pub fn push(&mut self, noted: &Noted) {
        if self.awaited {
            self.start();
        }
        self.shelf.push(noted);
    }

    /// The live answer was logged as `entry`.
    pub fn finish(&mut self, entry: u64, answer: &Answer) {
        if self.awaited {
            self.start();
        }
        self.shelf.finish(entry, answer);
        self.entries.insert(entry);
        let marked = self.bookmarks.iter().copied();
        let marked = marked.map(|(of, token)| (of.or(Some(entry)), token));
        self.bookmarks = marked.collect();
        self.strip.forget();
        self.numbers = None;
    }

    /// Shows a stored answer, from its beginning.
    pub fn open(&mut self, entry: u64, answer: &Answer, tokens: &[Noted]) {
        self.add(entry, answer, tokens);
        self.show(TraceId::Entry(entry), Walk::at_start());
    }

    /// Keeps a stored answer without showing it.
    pub fn add(&mut self, entry: u64, answer: &Answer, tokens: &[Noted]) {
        self.touch();
        self.shelf.add(entry, answer, tokens);
        self.entries.insert(entry);
    }

    /// Whether a trace is there.
    pub fn has(&self, id: TraceId) -> bool {
        self.shelf.has(id)
    }

    /// Back to the live answer.
    pub fn follow(&mut self) {
        self.show(TraceId::Live, Walk::default());
    }

    /// Shows two traces beside each other.
    pub fn compare(&mut self, left: TraceId, right: TraceId) {
        let kept = |id: TraceId| self.shelf.get(id).entry().map_or(id, TraceId::Entry);
        let compare = Compare::new(kept(left), kept(right), &self.shelf);
        self.open = Open::Compare(Box::new(compare));
    }

    /// How many tokens the running answer may think, `None` for no limit.
    pub fn note_thinking(&mut self, budget: Option<usize>) {
        self.budget = Some(budget);
    }

    /// How many experts the model has at each layer.
    pub fn set_experts(&mut self, experts: usize) {
        self.experts = Some(experts);
    }

    /// The session's branches.
    pub fn set_branches(&mut self, branches: Vec<Branch>) {
        self.branches = branches;
        if let Open::Branches(list, order) = &mut self.open {
            *order = branches::tree(&self.branches);
            list.go(0, order.len());
        }
    }

    /// The answers of the session's path, which can be gone to.
    pub fn set_answers(&mut self, answers: Vec<AnswerRef>) {
        self.entries = answers.iter().map(|one| one.entry).collect();
        self.answers = answers;
        if let Open::Answers(list) = &mut self.open {
            list.go(0, self.answers.len());
        }
    }

    /// The trace that is shown, and what its ids say.
    pub fn shown(&self) -> (&Trace, &Vocabulary) {
        (self.trace(), self.shelf.words())
    }

    /// Memory that all traces take, in bytes.
    pub fn memory(&self) -> usize {
        self.shelf.memory()
    }

    /// The trace that is shown, for a file.
    pub fn export(&self, format: Format) -> String {
        let (trace, words) = self.shown();
        match format {
            Format::Json => format!("{:#}\n", export::json(trace, words)),
            Format::Markdown => export::markdown(trace, words),
        }
    }

    /// Whether something is typed here, so that what is pasted belongs here.
    pub fn takes_text(&self) -> bool {
        match &self.open {
            Open::Search(_) => true,
            Open::Fork(fork) => fork.takes_text(),
            Open::Nothing
            | Open::Branches(..)
            | Open::Answers(_)
            | Open::Export
            | Open::Compare(_) => false,
        }
    }

    /// Text that was pasted, where something is typed.
    pub fn paste(&mut self, text: &str) {
        match &mut self.open {
            Open::Fork(fork) => fork.paste(text),
            Open::Search(from) => {
                let from = *from;
                let query = self.search.query().to_owned() + text.lines().next().unwrap_or("");
                self.look_for(query, from);
            }
            Open::Nothing
            | Open::Branches(..)
            | Open::Answers(_)
            | Open::Export
            | Open::Compare(_) => {}
        }
    }

    /// Lays out what is new; before a frame.
    pub fn layout(&mut self, width: u16, height: u16) {
        self.size = (width, height);
        if width == 0 || height == 0 {
            // What is not shown keeps its rows for when it is again.
            return;
        }
        self.count();
        self.wanted = self
            .lines_below(usize::MAX, usize::from(width), Theme::Plain)
            .len();
        let places = self.places();
        let trace = self.shelf.get(self.shown);
        let columns = usize::from(places.text.width).saturating_sub(1);
        let rows = usize::from(places.text.height);
        self.walk.layout(trace, columns, rows);
        self.search.look(trace.text());
        self.strip
            .layout(trace, self.measure, usize::from(places.strip.height));
        if let Open::Compare(compare) = &mut self.open {
            compare.layout(&self.shelf, usize::from(width), usize::from(height));
        }
    }

    /// What is looked at is not given up for what comes.
    fn touch(&mut self) {
        self.shelf.touch(self.shown);
        if let Open::Compare(compare) = &self.open {
            for side in compare.sides() {
                self.shelf.touch(side);
            }
        }
    }

    /// Counts the numbers anew where they are shown and out of date.
    fn count(&mut self) {
        let trace = self.shelf.get(self.shown);
        let shares = usize::from(self.size.0);
        let are_known = |numbers: &Numbers| numbers.are_of(trace, self.measure, shares);
        if self.below == Below::Numbers && !self.numbers.as_ref().is_some_and(are_known) {
            self.numbers = Some(Numbers::of(trace, self.measure, shares));
        }
    }

    /// Whether something is asked of the user about the trace that is shown.
    fn is_typing(&self) -> bool {
        match self.open {
            Open::Search(_) | Open::Fork(_) | Open::Export => true,
            Open::Nothing | Open::Branches(..) | Open::Answers(_) | Open::Compare(_) => false,
        }
    }

    fn trace(&self) -> &Trace {
        self.shelf.get(self.shown)
    }

    /// Shows a trace; bookmarks stay, what was open does not.
    fn show(&mut self, id: TraceId, walk: Walk) {
        self.shown = match id {
            TraceId::Entry(entry) if self.shelf.live().entry() == Some(entry) => TraceId::Live,
            id => id,
        };
        self.reset(walk);
        let (width, height) = self.size;
        self.layout(width, height);
    }

    fn reset(&mut self, walk: Walk) {
        self.walk = walk;
        self.span = None;
        self.search = Search::default();
        self.strip.forget();
        self.numbers = None;
        if !matches!(self.open, Open::Compare(_) | Open::Branches(..)) {
            self.open = Open::Nothing;
        }
    }

    /// Tokens of the span: the first, and the one after the last.
    fn span(&self) -> Option<(usize, usize)> {
        let from = self.span?;
        let cursor = self.walk.cursor();
        Some((from.min(cursor), from.max(cursor) + 1))
    }

    /// The span, or else the paragraph: what of it is near the cursor, as routes of a
    /// whole trace would take too long to count for a frame.
    fn stretch(&self) -> (usize, usize) {
        let paragraph = || self.walk.paragraph(self.trace());
        let (from, to) = self.span().unwrap_or_else(paragraph);
        let from = from.max((self.walk.cursor() + 1).saturating_sub(STRETCH));
        (from, to.min(from + STRETCH))
    }

    fn experts(&self) -> usize {
        self.experts
            .unwrap_or_else(|| lanes::experts(self.trace(), self.stretch()))
    }
}
