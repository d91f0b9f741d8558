//! Tables fitted to a width: columns are as wide as what is in them while that fits,
//! then the widest give way; where even that is too wide, each row becomes lines of
//! its own, a cell each with its column's heading.

use pulldown_cmark::Alignment;
use ratatui::text::{Line, Span};

use super::{Row, line_width, width, wrap};
use crate::tui::theme::{Role, Theme};

const BETWEEN: &str = " │ ";
/// Columns that a table's column is not made narrower than.
const LEAST: usize = 6;

/// A table as it is written; each row's cells, the heading's first.
#[derive(Default)]
pub struct Table {
    pub alignments: Vec<Alignment>,
    pub rows: Vec<Vec<Line<'static>>>,
}

impl Table {
    pub fn lay_out(&self, columns: usize, theme: Theme) -> Vec<Row> {
        match self.widths(columns) {
            Some(widths) => self.grid(&widths, theme),
            None => self.records(columns, theme),
        }
    }

    /// How wide each column is; `None` if they have no room beside each other.
    fn widths(&self, columns: usize) -> Option<Vec<usize>> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(line_width).max().unwrap_or(0).max(1)
        };
        let mut widths: Vec<usize> = (0..count).map(widest).collect();
        let room = columns.checked_sub(count.saturating_sub(1) * width(BETWEEN))?;
        let least: usize = widths.iter().map(|width| LEAST.min(*width)).sum();
        if least > room {
            return None;
        }
        let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
        // The widest are cut down to the next widest, until it is enough.
        while excess > 0 {
            let top = widths.iter().copied().max().unwrap_or(0);
            let next = widths.iter().copied().filter(|one| *one < top).max();
            let floor = next.unwrap_or(0).max(LEAST);
            let tops = widths.iter().filter(|one| **one == top).count();
            let step = (top.saturating_sub(floor))
                .min(excess.div_ceil(tops))
                .max(1);
            for one in widths.iter_mut().filter(|one| **one == top) {
                let cut = step.min(excess);
                *one -= cut;
                excess -= cut;
            }
        }
        Some(widths)
    }

    fn grid(&self, widths: &[usize], theme: Theme) -> Vec<Row> {
        let dim = theme.style(Role::Dim);
        let mut rows = Vec::new();
        for (at, cells) in self.rows.iter().enumerate() {
            rows.extend(self.grid_row(cells, widths, theme));
            if at == 0 {
                let rules = widths.iter().map(|width| "─".repeat(*width));
                let rule = rules.collect::<Vec<_>>().join("─┼─");
                rows.push(Row::decoration(Line::from(Span::styled(rule, dim))));
            }
        }
        rows
    }

    /// One row of cells, as high as its highest.
    fn grid_row(&self, cells: &[Line<'static>], widths: &[usize], theme: Theme) -> Vec<Row> {
        let empty = Line::default();
        let wrapped: Vec<Vec<Line<'static>>> = widths
            .iter()
            .enumerate()
            .map(|(at, width)| wrap(cells.get(at).unwrap_or(&empty), *width, 0))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let rows = (0..height).map(|row| {
            let mut spans = Vec::new();
            for (at, (lines, width)) in wrapped.iter().zip(widths).enumerate() {
                if at > 0 {
                    spans.push(Span::styled(BETWEEN, theme.style(Role::Dim)));
                }
                let line = lines.get(row).cloned().unwrap_or_default();
                let (left, right) = self.padding(at, width.saturating_sub(line_width(&line)));
                spans.push(Span::raw(" ".repeat(left)));
                spans.extend(line.spans);
                // Nothing follows the last column.
                if at + 1 < widths.len() {
                    spans.push(Span::raw(" ".repeat(right)));
                }
            }
            spans.retain(|span| !span.content.is_empty());
            Row::new(Line::from(spans))
        });
        rows.collect()
    }

    fn padding(&self, column: usize, free: usize) -> (usize, usize) {
        match self.alignments.get(column) {
            Some(Alignment::Right) => (free, 0),
            Some(Alignment::Center) => (free / 2, free - free / 2),
            Some(Alignment::None | Alignment::Left) | None => (0, free),
        }
    }

    /// `Heading: cell` in lines, and a rule between the table's rows.
    fn records(&self, columns: usize, theme: Theme) -> Vec<Row> {
        let Some((headings, records)) = self.rows.split_first() else {
            return Vec::new();
        };
        let mut rows = Vec::new();
        if records.is_empty() {
            let each = headings
                .iter()
                .flat_map(|cell| Row::wrapped(cell, columns, 0));
            return each.collect();
        }
        for (at, cells) in records.iter().enumerate() {
            if at > 0 {
                let rule = "─".repeat(columns.min(8));
                let rule = Span::styled(rule, theme.style(Role::Dim));
                rows.push(Row::decoration(Line::from(rule)));
            }
            for (column, cell) in cells.iter().enumerate() {
                let mut spans = Vec::new();
                if let Some(heading) = headings.get(column) {
                    spans.extend(heading.spans.iter().cloned());
                    spans.push(Span::raw(": "));
                }
                spans.extend(cell.spans.iter().cloned());
                rows.extend(Row::wrapped(&Line::from(spans), columns, 2));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(rows: &[&[&str]]) -> Table {
        let line = |cell: &&str| Line::from((*cell).to_owned());
        let row = |cells: &&[&str]| cells.iter().map(line).collect();
        Table {
            alignments: vec![Alignment::None, Alignment::Right, Alignment::Center],
            rows: rows.iter().map(row).collect(),
        }
    }

    fn shown(table: &Table, columns: usize) -> Vec<String> {
        let rows = table.lay_out(columns, Theme::Plain);
        rows.iter().map(|row| row.line.to_string()).collect()
    }

    #[test]
    fn columns_give_way_and_then_become_lines() {
        let table = table(&[
            &["name", "n", "what it is"],
            &["漢字", "12", "two characters that are wide"],
        ]);
        assert_eq!(
            shown(&table, 80),
            [
                "name │  n │          what it is",
                "─────┼────┼─────────────────────────────",
                "漢字 │ 12 │ two characters that are wide",
            ]
        );
        assert_eq!(
            shown(&table, 28),
            [
                "name │  n │    what it is",
                "─────┼────┼─────────────────",
                "漢字 │ 12 │  two characters",
                "     │    │  that are wide",
            ]
        );
        assert_eq!(
            shown(&table, 12),
            [
                "name: 漢字",
                "n: 12",
                "what it is:",
                "  two",
                "  characters",
                "  that are",
                "  wide",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_pane(
            cells in prop::collection::vec(prop::collection::vec("[a-z字 ]{0,20}", 0..6), 0..5),
            columns in 2usize..60,
        ) {
            let table = Table {
                alignments: vec![Alignment::Center; 3],
                rows: cells
                    .iter()
                    .map(|row| row.iter().map(|cell| Line::from(cell.clone())).collect())
                    .collect(),
            };
            for row in table.lay_out(columns, Theme::Plain) {
                prop_assert!(line_width(&row.line) <= columns);
            }
        }
    }
}
