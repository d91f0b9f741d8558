//! The margin beside a trace: all of it in one column, each cell as hot as the hottest
//! token of its share, with what is in view and what is marked.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::draw::put;
use super::heat::{LEVELS, Measure};
use super::store::Trace;
use crate::tui::theme::{Role, Theme};

/// Of a trace that grows by less than this part of it, new tokens count as its last
/// cell's: all cells would have to be looked at for each token.
const NEARLY: usize = 128;

/// The strip of a trace, made anew only when something of it changed.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// The level of each cell.
    levels: Vec<usize>,
    made: Option<Measure>,
    /// Tokens that the cells share.
    tokens: usize,
    /// Tokens that were looked at.
    seen: usize,
}

impl Strip {
    /// Cells for `height` rows.
    pub fn layout(&mut self, trace: &Trace, measure: Measure, height: usize) {
        let grown = trace.len().checked_sub(self.tokens);
        let is_near = grown.is_some_and(|grown| grown <= self.tokens / NEARLY);
        if self.made == Some(measure) && self.levels.len() == height && is_near {
            for token in self.seen..trace.len() {
                if let Some(last) = self.levels.last_mut() {
                    *last = measure.level_of(trace, token).max(*last);
                }
            }
            self.seen = trace.len();
            return;
        }
        self.made = Some(measure);
        self.tokens = trace.len();
        self.seen = trace.len();
        self.levels.clear();
        for cell in 0..height {
            let (from, to) = share(trace.len(), height, cell);
            let levels = (from..to).map(|token| measure.level_of(trace, token));
            self.levels.push(levels.max().unwrap_or(0));
        }
    }

    /// Another trace is shown.
    pub fn forget(&mut self) {
        self.made = None;
    }

    /// The first token of a cell.
    pub fn token(&self, cell: usize) -> usize {
        share(self.tokens, self.levels.len(), cell).0
    }

    /// Draws it, two columns wide: what is in view, and how hot it is.
    pub fn render(
        &self,
        area: Rect,
        buf: &mut Buffer,
        theme: Theme,
        (from, to): (usize, usize),
        marked: &BTreeSet<usize>,
    ) {
        let from = from.min(self.tokens.saturating_sub(1));
        for (cell, level) in self
            .levels
            .iter()
            .enumerate()
            .take(usize::from(area.height))
        {
            let row = Rect {
                y: area.y + cell as u16,
                height: 1,
                ..area
            };
            let (first, after) = share(self.tokens, self.levels.len(), cell);
            let is_in_view = first < to && after.max(first + 1) > from;
            let bar = if is_in_view { "┃" } else { "│" };
            let role = if is_in_view { Role::Hint } else { Role::Dim };
            put(buf, row, 0, bar, theme.style(role));
            let level = LEVELS[*level];
            match marked.range(first..after).next() {
                Some(_) => {
                    let look = theme.style(Role::Hint).add_modifier(Modifier::BOLD);
                    put(buf, row, 1, "*", look);
                }
                None => {
                    let mark = level.mark.encode_utf8(&mut [0; 4]).to_owned();
                    put(buf, row, 1, &mark, theme.style(level.role));
                }
            }
        }
    }
}

/// The tokens of a cell: the first, and the one after the last.
fn share(tokens: usize, cells: usize, cell: usize) -> (usize, usize) {
    let cells = cells.max(1);
    if tokens < cells {
        // One each, from the top.
        return (cell.min(tokens), (cell + 1).min(tokens));
    }
    (cell * tokens / cells, (cell + 1) * tokens / cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::{noted, trace};

    #[test]
    fn every_token_has_its_cell() {
        for (tokens, cells) in [(0, 3), (2, 5), (5, 5), (17, 5), (1000, 7)] {
            let mut next = 0;
            for cell in 0..cells {
                let (from, to) = share(tokens, cells, cell);
                assert_eq!(from, next);
                next = to;
            }
            assert_eq!(next, tokens);
        }
    }

    #[test]
    fn a_cell_is_as_hot_as_its_hottest_token() {
        let (trace, _) = trace(&["a"; 10]);
        let mut strip = Strip::default();
        strip.layout(&trace, Measure::Entropy, 4);
        // Levels go 0, 1, 2, 3, 4 over and over; shares are 2, 3, 2, 3 tokens.
        assert_eq!(strip.levels, [1, 4, 1, 4]);
        assert_eq!((strip.token(1), strip.token(3)), (2, 7));
        let area = Rect::new(0, 0, 2, 4);
        let mut buf = Buffer::empty(area);
        strip.render(area, &mut buf, Theme::Plain, (0, 3), &BTreeSet::from([8]));
        let expected = ["┃·", "┃#", "│·", "│*"];
        let drawn: Vec<String> = buf
            .content()
            .chunks(2)
            .map(|row| row.iter().map(|cell| cell.symbol()).collect())
            .collect();
        assert_eq!(drawn, expected);
    }

    #[test]
    fn new_tokens_of_a_long_trace_heat_its_last_cell() {
        let (mut trace, mut words) = trace(&["a"; 1281]);
        let mut strip = Strip::default();
        strip.layout(&trace, Measure::Entropy, 640);
        assert_eq!(strip.levels.last(), Some(&4));
        let (shares, cells) = (strip.tokens, strip.levels.clone());
        strip.levels[639] = 0;
        trace.push(&noted(3, b"b"), &mut words);
        strip.layout(&trace, Measure::Entropy, 640);
        assert_eq!((strip.tokens, strip.seen), (shares, 1282));
        assert_eq!(strip.levels[..639], cells[..639]);
        assert_eq!(strip.levels[639], 3);
        for _ in 0..12 {
            trace.push(&noted(0, b"c"), &mut words);
        }
        strip.layout(&trace, Measure::Entropy, 640);
        assert_eq!(strip.tokens, trace.len());
    }
}
