//! A list to choose from, as long as it likes, in a few rows.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::draw::put;
use crate::tui::text::{fit, width};
use crate::tui::theme::{Role, Theme};

/// Which row is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct List {
    pub chosen: usize,
}

impl List {
    /// Moves the choice among `count` rows.
    pub fn go(&mut self, by: isize, count: usize) {
        let last = count.saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by).min(last);
    }

    /// The first row in view of `height` rows: the choice is among them.
    fn top(self, height: usize, count: usize) -> usize {
        let middle = self.chosen.saturating_sub(height / 2);
        middle.min(count.saturating_sub(height))
    }

    /// The row that is drawn at a height of the area, title included.
    pub fn at(self, y: usize, height: usize, count: usize) -> Option<usize> {
        let row = y.checked_sub(1)? + self.top(height.saturating_sub(1), count);
        (row < count).then_some(row)
    }

    /// Draws a title and below it the rows. What rows say has to be safe.
    pub fn render(
        self,
        title: &str,
        rows: &[(String, Role)],
        area: Rect,
        buf: &mut Buffer,
        theme: Theme,
    ) {
        let area = area.intersection(buf.area);
        let columns = usize::from(area.width);
        let height = usize::from(area.height);
        let top = self.top(height.saturating_sub(1), rows.len());
        for y in 0..height {
            let line = Rect {
                y: area.y + y as u16,
                height: 1,
                ..area
            };
            put(buf, line, 0, &" ".repeat(columns), Style::reset());
            if y == 0 {
                put(
                    buf,
                    line,
                    0,
                    &fit(title, columns),
                    theme.style(Role::Heading),
                );
                continue;
            }
            let at = top + y - 1;
            if let Some((text, role)) = rows.get(at) {
                let is_chosen = at == self.chosen;
                let mark = if is_chosen { "› " } else { "  " };
                let mut text = fit(&format!("{mark}{text}"), columns);
                let mut style = theme.style(*role);
                if is_chosen {
                    style = style.patch(theme.style(Role::Selected));
                    let blank = columns.saturating_sub(width(&text));
                    text.push_str(&" ".repeat(blank));
                }
                put(buf, line, 0, &text, style);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_stays_in_view_and_is_where_it_is_drawn() {
        let rows: Vec<(String, Role)> = (0..9).map(|n| (format!("row {n}"), Role::Text)).collect();
        let mut list = List::default();
        list.go(20, rows.len());
        assert_eq!(list.chosen, 8);
        list.go(-3, rows.len());
        let area = Rect::new(0, 0, 9, 4);
        let mut buf = Buffer::empty(area);
        list.render("Rows of it", &rows, area, &mut buf, Theme::Colour);
        let drawn: Vec<String> = buf
            .content()
            .chunks(9)
            .map(|row| row.iter().map(|cell| cell.symbol()).collect())
            .collect();
        assert_eq!(drawn, ["Rows of …", "  row 4  ", "› row 5  ", "  row 6  "]);
        assert_eq!(
            [0, 1, 2, 3].map(|y| list.at(y, 4, 9)),
            [None, Some(4), Some(5), Some(6)]
        );
    }
}
