//! A row of a list: an item with the characters that were typed emphasised, and what is
//! said of it.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use super::field::shown;
use crate::tui::text::{fit, width};
use crate::tui::theme::{Role, Theme};

/// Columns between a label and what is said of it.
const GAP: usize = 2;
/// Before the row that keys act on, and before others.
const MARK: &str = "> ";
const NO_MARK: &str = "  ";

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

/// How rows of a list look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub keep: Keep,
    pub details: Details,
}

/// Whether keys act on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Selected,
    None,
}

/// Words of a filter in any order, each character by character. Letters match any case
/// unless one is a capital.
pub fn pattern(filter: &str) -> Pattern {
    Pattern::new(
        filter,
        CaseMatching::Smart,
        Normalization::Smart,
        AtomKind::Fuzzy,
    )
}

/// What finds a pattern in paths, titles and names alike.
pub fn matcher() -> Matcher {
    Matcher::new(Config::DEFAULT.match_paths())
}

/// A character on the screen, and whether it was typed.
type Cell = (String, bool);

/// Draws rows of one width.
pub struct Painter {
    pattern: Pattern,
    matcher: Matcher,
    look: Look,
    columns: usize,
    theme: Theme,
}

impl Painter {
    pub fn new(filter: &str, look: Look, columns: usize, theme: Theme) -> Self {
        Self {
            pattern: pattern(filter),
            matcher: matcher(),
            look,
            columns,
            theme,
        }
    }

    /// An item with what is said of it; `mark` where keys act on it.
    pub fn row(&mut self, item: &str, detail: &str, mark: Mark) -> Line<'static> {
        let (sign, style) = match mark {
            Mark::Selected => (MARK, self.theme.style(Role::Selected)),
            Mark::None => (NO_MARK, self.theme.style(Role::Text)),
        };
        let room = self.columns.saturating_sub(MARK.len());
        // Of two that do not fit, the label is the one to be read.
        let label_room = match self.look.details {
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
        let (before, after) = match self.look.details {
            Details::Right => (room.saturating_sub(used + width(&detail)), 0),
            Details::Column(_) => {
                let before = (label_room + GAP).min(room).saturating_sub(used);
                let taken = used + before + width(&detail);
                (before, room.saturating_sub(taken))
            }
        };
        let mut spans = vec![Span::styled(sign, style)];
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
        let (kept, cut) = kept(&cells, columns, self.look.keep);
        let mut spans = Vec::new();
        let emphasised = style.patch(self.theme.style(Role::Match));
        spans.extend(kept.iter().map(|(text, found)| {
            let style = if *found { emphasised } else { style };
            Span::styled(text.clone(), style)
        }));
        if cut {
            let at = match self.look.keep {
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
