//! A list that is searched by typing some characters of what is meant: palette,
//! sessions, files and commands. It is searched only when the filter changes, and only
//! among what matched before where characters are added.

use std::sync::Arc;

use crossterm::event::KeyCode;
use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use super::field::shown;
use super::frame;
use crate::tui::keys::{Binding, Key};
use crate::tui::text::{fit, width};
use crate::tui::theme::{Role, Theme};

/// Rows of a list that can be walked to; the rest takes a longer filter.
const MOST: usize = 1000;
/// Rows until it is told how many there are.
const PAGE: usize = 8;
/// Columns between a label and what is said of it.
const GAP: usize = 2;
/// Before the row that keys act on, and before others.
const MARK: &str = "> ";
const NO_MARK: &str = "  ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    PageUp,
    PageDown,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Up), Key::ctrl('p')],
        action: Act::Up,
        help: "up",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::ctrl('n')],
        action: Act::Down,
        help: "down",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageUp)],
        action: Act::PageUp,
        help: "a page up",
    },
    Binding {
        keys: &[Key::new(KeyCode::PageDown)],
        action: Act::PageDown,
        help: "a page down",
    },
];

/// Which end of a label is shown where there is no room for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Start,
    /// For paths: they differ there.
    End,
}

/// Where it stands what is said of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    Right,
    /// After labels of so many columns.
    Column(usize),
}

pub struct Picker {
    items: Arc<[String]>,
    keep: Keep,
    details: Details,
    filter: String,
    matcher: Matcher,
    /// All that match, in the order of the items.
    matching: Vec<usize>,
    /// The best of them, best first.
    best: Vec<usize>,
    /// Of `best`.
    selected: usize,
    top: usize,
    height: usize,
}

impl Picker {
    pub fn new(items: Arc<[String]>, keep: Keep, details: Details) -> Self {
        let mut picker = Self {
            items,
            keep,
            details,
            filter: String::new(),
            matcher: Matcher::new(Config::DEFAULT.match_paths()),
            matching: Vec::new(),
            best: Vec::new(),
            selected: 0,
            top: 0,
            height: PAGE,
        };
        picker.search_all();
        picker
    }

    pub fn filter(&self) -> &str {
        &self.filter
    }

    pub fn is_empty(&self) -> bool {
        self.best.is_empty()
    }

    /// Rows that can be shown.
    pub fn len(&self) -> usize {
        self.best.len()
    }

    /// The item that keys act on.
    pub fn selected(&self) -> Option<usize> {
        self.best.get(self.selected).copied()
    }

    pub fn item(&self, index: usize) -> Option<&str> {
        self.items.get(index).map(String::as_str)
    }

    /// Other items, searched by the same filter.
    pub fn set_items(&mut self, items: Arc<[String]>) {
        self.items = items;
        self.search_all();
    }

    pub fn set_filter(&mut self, filter: &str) {
        if filter == self.filter {
            return;
        }
        // Whatever lacks some characters lacks more of them, too.
        let narrower = !self.filter.is_empty() && filter.starts_with(&self.filter);
        self.filter = filter.to_owned();
        match narrower {
            true => {
                let among = std::mem::take(&mut self.matching);
                self.search(among);
            }
            false => self.search_all(),
        }
    }

    fn search_all(&mut self) {
        self.search((0..self.items.len()).collect());
    }

    fn search(&mut self, among: Vec<usize>) {
        (self.selected, self.top) = (0, 0);
        if self.filter.trim().is_empty() {
            self.best = among.iter().copied().take(MOST).collect();
            self.matching = among;
            return;
        }
        let pattern = pattern(&self.filter);
        let mut characters = Vec::new();
        let mut scored: Vec<(u32, usize)> = Vec::new();
        for index in among {
            let Some(item) = self.items.get(index) else {
                continue;
            };
            let item = Utf32Str::new(item, &mut characters);
            if let Some(score) = pattern.score(item, &mut self.matcher) {
                scored.push((score, index));
            }
        }
        self.matching = scored.iter().map(|(_, index)| *index).collect();
        let length = |index: &usize| self.items.get(*index).map_or(0, String::len);
        let order = |a: &(u32, usize), b: &(u32, usize)| {
            let shorter = || length(&a.1).cmp(&length(&b.1));
            b.0.cmp(&a.0).then_with(shorter).then(a.1.cmp(&b.1))
        };
        if scored.len() > MOST {
            scored.select_nth_unstable_by(MOST, order);
            scored.truncate(MOST);
        }
        scored.sort_unstable_by(order);
        self.best = scored.into_iter().map(|(_, index)| index).collect();
    }

    pub fn act(&mut self, action: Act) {
        let page = self.height.max(1);
        let last = self.best.len().saturating_sub(1);
        self.selected = match action {
            // Round, so that the best match of a long list is never far.
            Act::Up if self.selected == 0 => last,
            Act::Up => self.selected - 1,
            Act::Down if self.selected >= last => 0,
            Act::Down => self.selected + 1,
            Act::PageUp => self.selected.saturating_sub(page),
            Act::PageDown => (self.selected + page).min(last),
        };
        self.scroll();
    }

    /// Tells how many rows there are to show it in.
    pub fn layout(&mut self, height: u16) {
        self.height = height.into();
        self.scroll();
    }

    fn scroll(&mut self) {
        let height = self.height.max(1);
        let lowest = self.best.len().saturating_sub(height);
        let first = (self.selected + 1).saturating_sub(height);
        self.top = self.top.clamp(first, self.selected.max(first)).min(lowest);
    }

    /// How many match, of how many.
    pub fn count(&self) -> String {
        format!("{} of {}", self.matching.len(), self.items.len())
    }

    /// A row for each item, with what `detail` says of it.
    pub fn render(
        &self,
        area: Rect,
        buf: &mut Buffer,
        theme: Theme,
        detail: impl Fn(usize) -> String,
    ) {
        let mut painter = Painter {
            pattern: pattern(&self.filter),
            matcher: Matcher::new(Config::DEFAULT.match_paths()),
            keep: self.keep,
            details: self.details,
            columns: area.width.into(),
            theme,
        };
        // Where there is less room than was told, the selected row still shows.
        let first = (self.selected + 1).saturating_sub(area.height.into());
        let shown = self.best.iter().enumerate().skip(self.top.max(first));
        for (row, (place, index)) in (0..area.height).zip(shown) {
            let Some(item) = self.item(*index) else {
                continue;
            };
            let selected = place == self.selected;
            let line = painter.row(item, &detail(*index), selected.then_some(MARK));
            frame::put(area, row, &line, buf);
        }
    }
}

/// Words of a filter in any order, each character by character. Letters match any case
/// unless one is a capital.
fn pattern(filter: &str) -> Pattern {
    Pattern::new(
        filter,
        CaseMatching::Smart,
        Normalization::Smart,
        AtomKind::Fuzzy,
    )
}

/// A character on the screen, and whether it was typed.
type Cell = (String, bool);

struct Painter {
    pattern: Pattern,
    matcher: Matcher,
    keep: Keep,
    details: Details,
    columns: usize,
    theme: Theme,
}

impl Painter {
    fn row(&mut self, item: &str, detail: &str, mark: Option<&'static str>) -> Line<'static> {
        let style = match mark {
            Some(_) => self.theme.style(Role::Selected),
            None => self.theme.style(Role::Text),
        };
        let room = self.columns.saturating_sub(MARK.len());
        // Of two that do not fit, the label is the one to be read.
        let label_room = match self.details {
            Details::Right => width(&fit(item, room)),
            Details::Column(column) => column.min(room),
        };
        let detail = match room.saturating_sub(label_room + GAP) {
            0..=3 => String::new(),
            left => fit(detail, left),
        };
        let label_room = match detail.is_empty() {
            true => room,
            false => label_room,
        };
        let label = self.label(item, label_room, style);
        let used: usize = label.iter().map(|span| width(&span.content)).sum();
        let (before, after) = match self.details {
            Details::Right => (room.saturating_sub(used + width(&detail)), 0),
            Details::Column(_) => {
                let before = (label_room + GAP).min(room).saturating_sub(used);
                let taken = used + before + width(&detail);
                (before, room.saturating_sub(taken))
            }
        };
        let mut spans = vec![Span::styled(mark.unwrap_or(NO_MARK), style)];
        spans.extend(label);
        spans.push(Span::styled(" ".repeat(before), style));
        let dim = style.patch(self.theme.style(Role::Dim));
        spans.push(Span::styled(detail, dim));
        spans.push(Span::styled(" ".repeat(after), style));
        Line::from(spans)
    }

    /// The label with what was typed emphasised.
    fn label(&mut self, item: &str, columns: usize, style: Style) -> Vec<Span<'static>> {
        let mut found = Vec::new();
        let mut characters = Vec::new();
        let text = Utf32Str::new(item, &mut characters);
        // What does not match at all has nothing to emphasise.
        let _ = self.pattern.indices(text, &mut self.matcher, &mut found);
        found.sort_unstable();
        let cells: Vec<Cell> = item
            .graphemes(true)
            .enumerate()
            .map(|(at, grapheme)| {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                (
                    shown(grapheme).into_owned(),
                    found.binary_search(&at).is_ok(),
                )
            })
            .collect();
        let (kept, cut) = kept(&cells, columns, self.keep);
        let mut spans = Vec::new();
        let emphasised = style.patch(self.theme.style(Role::Match));
        spans.extend(kept.iter().map(|(text, found)| {
            let style = if *found { emphasised } else { style };
            Span::styled(text.clone(), style)
        }));
        if cut {
            let at = match self.keep {
                Keep::Start => spans.len(),
                Keep::End => 0,
            };
            spans.insert(at, Span::styled("…", style));
        }
        spans
    }
}

/// What of a label is shown, and whether something is left out of it.
fn kept(cells: &[Cell], columns: usize, keep: Keep) -> (&[Cell], bool) {
    let whole: usize = cells.iter().map(|(text, _)| width(text)).sum();
    if whole <= columns {
        return (cells, false);
    }
    let Some(mut left) = columns.checked_sub(1) else {
        return (&[], false);
    };
    let mut count = 0;
    loop {
        let next = match keep {
            Keep::Start => cells.get(count),
            Keep::End => cells.iter().rev().nth(count),
        };
        match next.and_then(|(text, _)| left.checked_sub(width(text))) {
            Some(rest) => left = rest,
            None => break,
        }
        count += 1;
    }
    match keep {
        Keep::Start => (&cells[..count], true),
        Keep::End => (&cells[cells.len() - count..], true),
    }
}
