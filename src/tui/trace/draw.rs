//! Rows of a trace into a buffer: every character in the look of its token.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::heat::{LEVELS, Measure};
use super::parts::Part;
use super::rows::{Kind, Rows, cells_of};
use super::store::Trace;
use crate::sandbox::sanitize;
use crate::tui::text::fit;
use crate::tui::theme::{Role, Theme};

/// Bytes of a paragraph that its folded row shows, at most.
const SHOWN: usize = 512;

/// The characters of the text that the cursor is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lit {
    pub from: usize,
    /// Equal to `from` where the text has ended.
    pub to: usize,
}

impl Lit {
    /// Those of a token: the ones that begin in it, or else the one that it is part
    /// of.
    pub fn of(trace: &Trace, rows: &Rows, token: usize) -> Self {
        let (start, end) = (trace.start(token), trace.end(token));
        let Some((_, from, to)) = rows.row(rows.row_of(start)) else {
            return Self { from: 0, to: 0 };
        };
        let mut around = Self { from: to, to };
        for (_, cell) in cells_of(trace.text(), from, to) {
            if (start..end).contains(&cell.from) {
                return Self {
                    from: start,
                    to: end,
                };
            }
            if (cell.from..cell.to).contains(&start) {
                around = Self {
                    from: cell.from,
                    to: cell.to,
                };
            }
            if cell.from >= end.max(start + 1) {
                break;
            }
        }
        around
    }
}

/// What rows are drawn with.
pub struct Paint<'a> {
    pub trace: &'a Trace,
    pub rows: &'a Rows,
    pub measure: Measure,
    pub theme: Theme,
    /// The cursor, where there is one.
    pub lit: Option<Lit>,
    /// A look instead of that of the token's heat.
    pub over: &'a dyn Fn(Place) -> Option<Role>,
}

/// A character that is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub token: usize,
    pub byte: usize,
}

impl Paint<'_> {
    /// Draws a row; the area has one column more than the rows were laid out for.
    pub fn row(&self, at: usize, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        match self.rows.row(at) {
            Some((Kind::Text, from, to)) => self.text(at, (from, to), area, buf),
            Some((Kind::Folded, from, to)) => self.folded((from, to), area, buf),
            None => {}
        }
    }

    fn text(&self, at: usize, (from, to): (usize, usize), area: Rect, buf: &mut Buffer) {
        let text = self.trace.text();
        let mut token = self.trace.token_at(from);
        let mut style = self.style(token);
        let mut column = 0;
        for (place, cell) in cells_of(text, from, to) {
            if self.trace.end(token) <= cell.from {
                token = self.trace.token_at(cell.from);
                style = self.style(token);
            }
            column = place + cell.columns;
            // A space that ends a row belongs to a word that the next one begins with.
            let is_end = cell.to == to && cell.is_space();
            let is_lit = self.lit.is_some_and(|lit| {
                (lit.from..lit.to).contains(&cell.from) && (!is_end || lit.to <= to)
            });
            let over = (self.over)(Place {
                token,
                byte: cell.from,
            });
            let mut look = over.map_or(style, |role| style.patch(self.theme.style(role)));
            if is_lit {
                look = self.cursor(look);
            }
            match cell.is_break() {
                true if is_lit => put(buf, area, place, "↵", look.add_modifier(Modifier::DIM)),
                true => {}
                false => put(buf, area, place, &cell.shown, look),
            }
        }
        let ends = self
            .lit
            .is_some_and(|lit| lit.from == lit.to && lit.from == to);
        if ends && at + 1 == self.rows.len() {
            put(buf, area, column, " ", self.cursor(Style::new()));
        }
    }

    /// `▸ first words … (12 tokens, max 2.1 nats)`.
    fn folded(&self, (from, to): (usize, usize), area: Rect, buf: &mut Buffer) {
        let (first, after) = (self.trace.token_at(from), self.trace.token_at(to));
        let (tokens, hottest) = self.summary(first, after);
        let level = LEVELS[self.measure.level(hottest)];
        let tail = format!(" ({tokens} tokens, max {hottest:.1} nats)");
        let columns = usize::from(area.width).saturating_sub(1);
        let room = columns.saturating_sub(tail.len() + 2);
        let mut end = to.min(from + SHOWN);
        while !self.trace.text().is_char_boundary(end) {
            end -= 1;
        }
        let words = self.trace.text().get(from..end).unwrap_or_default();
        let words: Vec<&str> = words.split_whitespace().collect();
        let words = fit(&sanitize::for_line(&words.join(" ")), room);
        let line = fit(&format!("▸ {words}{tail}"), columns);
        let mut look = self.theme.style(level.role);
        if self
            .lit
            .is_some_and(|lit| (from..to.max(from + 1)).contains(&lit.from))
        {
            look = self.cursor(look);
        }
        put(buf, area, 0, &line, look);
    }

    /// Tokens of a span, and the nats of the hottest.
    fn summary(&self, first: usize, after: usize) -> (usize, f32) {
        let heat = (first..after).map(|token| self.measure.of(self.trace, token));
        (after - first, heat.fold(0.0, f32::max))
    }

    fn style(&self, token: usize) -> Style {
        match self.trace.part(token) {
            Part::Markup => self
                .theme
                .style(Role::Comment)
                .add_modifier(Modifier::ITALIC),
            Part::Thought | Part::Answer | Part::Call => {
                let level = self.measure.level_of(self.trace, token);
                self.theme.style(LEVELS[level].role)
            }
        }
    }

    /// The look of what the cursor is on: reversed, or underlined in what is reversed
    /// already, such as a span.
    fn cursor(&self, look: Style) -> Style {
        let is_reversed = look.add_modifier.contains(Modifier::REVERSED);
        let look = look.patch(self.theme.style(Role::Selected));
        match is_reversed {
            true => look.add_modifier(Modifier::UNDERLINED | Modifier::BOLD),
            false => look.remove_modifier(Modifier::DIM),
        }
    }
}

/// Text at a column of an area, as much of it as there is room for.
pub fn put(buf: &mut Buffer, area: Rect, column: usize, text: &str, style: Style) {
    let Ok(column) = u16::try_from(column) else {
        return;
    };
    if column < area.width {
        let room = usize::from(area.width - column);
        buf.set_stringn(area.x + column, area.y, text, room, style);
    }
}
