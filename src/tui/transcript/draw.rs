//! Drawing what is in view. Everything was made harmless and fitted when it was laid
//! out; this only copies rows.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Transcript;
use super::place::Place;
use crate::agent::present::thousands;
use crate::tui::text::width;
use crate::tui::theme::{Role, Theme};

impl Transcript {
    pub fn render(&self, area: Rect, buf: &mut Buffer, theme: Theme) {
        let area = area.intersection(buf.area);
        let gutter = self.frame.gutter().min(area.width);
        for y in 0..area.height.min(self.frame.height) {
            let Some(place) = self.place_at(usize::from(y)) else {
                break;
            };
            let line = Rect {
                x: area.x + gutter,
                y: area.y + y,
                width: area.width - gutter,
                height: 1,
            };
            if gutter > 0 && self.selected == Some(place.item) && self.in_item(place) {
                buf.set_string(area.x, line.y, "▌", theme.style(Role::Hint));
            }
            if let Some(row) = self.row(place) {
                buf.set_line(line.x, line.y, &row.line, line.width);
            }
            if let Some((from, to)) = self.selected_columns(place) {
                let end = to.min(usize::from(line.width));
                for x in from.min(end)..end {
                    // At most the width of a pane.
                    let cell = (line.x.saturating_add(x as u16), line.y);
                    if let Some(cell) = buf.cell_mut(cell) {
                        cell.set_style(theme.style(Role::Selected));
                    }
                }
            }
        }
        self.render_below(area, buf, theme);
    }

    /// At the bottom edge: how much there is below that is new.
    fn render_below(&self, area: Rect, buf: &mut Buffer, theme: Theme) {
        let below = self.view.below;
        if below == 0 || area.height == 0 || self.follows() {
            return;
        }
        let lines = if below == 1 { "line" } else { "lines" };
        let text = format!(" ↓ {} new {lines} below ", thousands(below));
        // A pane's width fits.
        let columns = (width(&text) as u16).min(area.width);
        let x = area.right() - columns;
        let style = theme.style(Role::Selected);
        buf.set_stringn(x, area.bottom() - 1, text, usize::from(columns), style);
    }

    /// Whether a place is not the empty row above its item.
    fn in_item(&self, place: Place) -> bool {
        place.row >= self.gap(place.item)
    }
}
