//! The box that everything over the screen is drawn in: where it goes, its border with
//! title and hints, and what lies under it made blank.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Widget};

use crate::tui::keys::Binding;
use crate::tui::text::{fit, width};
use crate::tui::theme::{Role, Theme};

/// Screens that are narrower or lower have no room for margins.
const NARROW: u16 = 60;
const LOW: u16 = 16;
const SIDE_MARGIN: u16 = 2;
/// Boxes that are narrower have no space beside their borders.
const PADDED: u16 = 50;

/// A key and what it does, for the line of hints.
pub type Hint = (String, String);

/// Where a box of at most so many columns and rows goes, borders included: in the
/// middle, and over the full width where that is small.
pub fn place(screen: Rect, columns: u16, rows: u16) -> Rect {
    let columns = match screen.width < NARROW {
        true => screen.width,
        false => columns.min(screen.width - 2 * SIDE_MARGIN),
    };
    let rows = match screen.height < LOW {
        true => rows.min(screen.height),
        false => rows.min(screen.height - 2),
    };
    Rect::new(
        screen.x + (screen.width - columns) / 2,
        screen.y + (screen.height - rows) / 2,
        columns,
        rows,
    )
}

/// What is left within the border; all of it where there is no room for one.
pub fn inner(area: Rect) -> Rect {
    if area.width < 4 || area.height < 3 {
        return area;
    }
    let padding = if area.width < PADDED { 1 } else { 2 };
    Rect::new(
        area.x + padding,
        area.y + 1,
        area.width - 2 * padding,
        area.height - 2,
    )
}

/// Blanks the area and draws the border around it.
pub fn draw(area: Rect, buf: &mut Buffer, theme: Theme, title: &str, hints: &[Hint]) {
    let area = area.intersection(buf.area);
    clear(area, buf);
    if area.width < 4 || area.height < 3 {
        return;
    }
    let columns = usize::from(area.width) - 4;
    let title = format!(" {} ", fit(title, columns));
    Block::bordered()
        .border_style(theme.style(Role::Focus))
        .title(Line::styled(title, theme.style(Role::Heading)))
        .title_bottom(hint_line(hints, columns + 2, theme))
        .render(area, buf);
}

/// Blanks an area. A wide character that reaches into it from the left goes as well:
/// half of it would push the border away.
pub fn clear(area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    for y in area.top()..area.bottom() {
        if area.left() > buf.area.left()
            && let Some(cell) = buf.cell_mut((area.left() - 1, y))
            && width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
        for x in area.left()..area.right() {
            buf[(x, y)].reset();
        }
    }
}

/// What the first key for an action is called, and what it does.
pub fn hint<A: PartialEq>(bindings: &[Binding<A>], action: &A) -> Option<Hint> {
    let binding = bindings.iter().find(|one| one.action == *action)?;
    let key = binding.keys.first()?.name();
    Some((key, binding.help.to_owned()))
}

/// As many hints as fit, with spaces around them; empty for none.
pub fn hint_line(hints: &[Hint], columns: usize, theme: Theme) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 2;
    for (key, help) in hints {
        let between = if spans.is_empty() { "" } else { " · " };
        used += width(between) + width(key) + 1 + width(help);
        if used > columns {
            break;
        }
        if spans.is_empty() {
            spans.push(Span::raw(" "));
        }
        spans.push(Span::styled(between, theme.style(Role::Dim)));
        spans.push(Span::styled(key.clone(), theme.style(Role::Hint)));
        spans.push(Span::styled(format!(" {help}"), theme.style(Role::Dim)));
    }
    if !spans.is_empty() {
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

/// Writes a text that is safe already, cut where the area ends.
pub fn write(area: Rect, row: u16, text: &str, style: Style, buf: &mut Buffer) {
    put(area, row, &Line::styled(text.to_owned(), style), buf);
}

/// Draws a line in a row of the area; nothing where there is no such row.
pub fn put(area: Rect, row: u16, line: &Line<'_>, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    if row < area.height {
        buf.set_line(area.x, area.y + row, line, area.width);
    }
}
