//! How the composer looks: a rule with what is being written, the text, a rule with
//! the keys; above it the list or the search that is open.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::keys::{Act, KEYS, MENU_KEYS, MenuAct, SEARCH_KEYS, SearchAct};
use super::menu::{Kind, Menu};
use super::rows::{Piece, Rows};
use super::search::Search;
use super::{Busy, Composer, Manner};
use crate::tui::keys::Focus;
use crate::tui::overlay::frame::{self, Hint};
use crate::tui::text::{fit, width};
use crate::tui::theme::{Role, Theme};

const PROMPT: &str = "> ";
/// Narrower ones have no prompt.
const NARROW: u16 = 12;
/// Rows of the open list.
const MENU_ROWS: u16 = 8;
const SEARCH: &str = "search: ";

impl Composer {
    /// Rows that it wants at this width, of at most `most`.
    pub fn height(&mut self, columns: u16, most: u16) -> u16 {
        let columns = text_columns(columns);
        let known = self.rows.take().filter(|rows| rows.columns() == columns);
        let rows = known.unwrap_or_else(|| Rows::new(self.editor.lines(), &self.pastes, columns));
        self.columns = columns;
        let wanted = u16::try_from(rows.len() + 2).unwrap_or(u16::MAX);
        let height = wanted.min(most).max(1);
        let shown = text_rows(height);
        self.top = self.top_of(&rows, shown.into());
        self.rows = Some(rows);
        height
    }

    /// The first row that is shown, of so many: the cursor's is among them.
    fn top_of(&self, rows: &Rows, shown: usize) -> usize {
        let cursor = self.editor.cursor();
        let (row, _) = rows.cell(self.editor.lines(), &self.pastes, cursor);
        let lowest = rows.len().saturating_sub(shown);
        let first = (row + 1).saturating_sub(shown);
        self.top.clamp(first, row.max(first)).min(lowest)
    }

    pub fn render(&self, area: Rect, buf: &mut Buffer, theme: Theme, focus: Focus) {
        let area = area.intersection(buf.area);
        frame::clear(area, buf);
        if area.is_empty() {
            return;
        }
        let border = theme.style(match focus {
            Focus::Focused => Role::Focus,
            Focus::Unfocused => Role::Dim,
        });
        if area.height > 1 {
            let title = fit(&self.title(), usize::from(area.width).saturating_sub(4));
            let title = Line::styled(format!(" {title} "), theme.style(Role::Heading));
            rule(area, 0, title, buf, border);
        }
        if area.height > 2 {
            let columns = usize::from(area.width).saturating_sub(2);
            let hints = frame::hint_line(&self.hints(focus), columns, theme);
            rule(area, area.height - 1, hints, buf, border);
        }
        let (prompt, place) = split(area);
        frame::write(prompt, 0, PROMPT, theme.style(Role::User), buf);
        if self.editor.is_empty() {
            let hint = fit(self.placeholder(), place.width.into());
            frame::write(place, 0, &hint, theme.style(Role::Dim), buf);
            return;
        }
        let rows = self.rows_at(text_columns(area.width));
        let top = self.top_of(&rows, place.height.into());
        for row in 0..place.height {
            let at = top + usize::from(row);
            let Some(pieces) = rows.shown(self.editor.lines(), &self.pastes, at) else {
                break;
            };
            let spans = pieces.into_iter().map(|piece| match piece {
                Piece::Text(text) => Span::styled(text, theme.style(Role::Text)),
                Piece::Block(label) => Span::styled(label, theme.style(Role::Hint)),
            });
            frame::put(place, row, &Line::from_iter(spans), buf);
        }
    }

    /// Where the terminal's cursor belongs, given the composer's area.
    pub fn cursor(&self, area: Rect) -> Option<Position> {
        if area.is_empty() {
            return None;
        }
        if let Some(search) = &self.search {
            let row = search_row(area);
            let column = SEARCH.len() + width(&fit(search.wanted(), search_room(area)));
            let column = u16::try_from(column).unwrap_or(u16::MAX).min(row.width - 1);
            return Some(Position::new(row.x + column, row.y));
        }
        let (_, place) = split(area);
        if place.is_empty() {
            return None;
        }
        let rows = self.rows_at(text_columns(area.width));
        let top = self.top_of(&rows, place.height.into());
        let cursor = self.editor.cursor();
        let (row, column) = rows.cell(self.editor.lines(), &self.pastes, cursor);
        let column = u16::try_from(column).unwrap_or(u16::MAX);
        let row = u16::try_from(row.saturating_sub(top)).unwrap_or(u16::MAX);
        Some(Position::new(
            place.x + column.min(place.width - 1),
            place.y + row.min(place.height - 1),
        ))
    }

    /// Draws what is open above the composer, whose area this is; after all else.
    pub fn render_popup(&self, area: Rect, buf: &mut Buffer, theme: Theme) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        if let Some(search) = &self.search {
            render_search(search, area, buf, theme);
        } else if let Some(menu) = self.open_menu() {
            self.render_menu(menu, area, buf, theme);
        }
    }

    fn render_menu(&self, menu: &Menu, area: Rect, buf: &mut Buffer, theme: Theme) {
        let above = area.y - buf.area.y;
        let rows = u16::try_from(menu.picker.len()).unwrap_or(u16::MAX);
        let height = rows.min(MENU_ROWS).saturating_add(2).min(above);
        let place = Rect::new(area.x, area.y - height, area.width, height);
        let title = match menu.kind {
            Kind::Files => format!("Files, {}", menu.picker.count()),
            Kind::Commands => format!("Commands, {}", menu.picker.count()),
        };
        let hints: Vec<Hint> = [MenuAct::Complete, MenuAct::Take, MenuAct::Close]
            .iter()
            .filter_map(|action| frame::hint(MENU_KEYS, action))
            .collect();
        frame::draw(place, buf, theme, &title, &hints);
        let about = |index: usize| match (menu.kind, self.offers.get(index)) {
            (Kind::Commands, Some(offer)) => {
                format!("{}  {}", offer.help, offer.args)
            }
            _ => String::new(),
        };
        let inner = frame::inner(place);
        menu.picker.render(inner, buf, theme, about);
    }

    fn title(&self) -> String {
        let what = match (self.manner(), self.busy) {
            _ if self.search.is_some() => "Earlier message".to_owned(),
            (Manner::Shell, _) => "Shell command".to_owned(),
            (Manner::Command, _) => self.usage().unwrap_or("Command".to_owned()),
            (Manner::Message, Busy::Idle) => "Message".to_owned(),
            (Manner::Message, Busy::Working) => "Steer".to_owned(),
        };
        match self.queued {
            0 => what,
            queued => format!("{what}, {queued} queued"),
        }
    }

    /// What may follow the command that is written.
    fn usage(&self) -> Option<String> {
        let (name, _) = { self.editor.lines().first()? }
            .strip_prefix('/')?
            .split_once(char::is_whitespace)?;
        let offer = self.offers.iter().find(|offer| offer.name == name)?;
        (!offer.args.is_empty()).then(|| format!("/{name} {}", offer.args))
    }

    fn placeholder(&self) -> &'static str {
        match (self.busy, self.queued) {
            _ if self.search.is_some() => "type what to look for",
            (_, 1..) => "Up takes back what is queued",
            (Busy::Idle, 0) => "Ask for something; @ names a file, / a command",
            (Busy::Working, 0) => "Say something while it works",
        }
    }

    /// What Enter and Tab do now, and some more.
    fn hints(&self, focus: Focus) -> Vec<Hint> {
        if self.has_popup() {
            // What is open says its own keys.
            return Vec::new();
        }
        let name = |action| frame::hint(KEYS, &action).map(|(key, _)| key);
        let says = |action, help: &str| name(action).map(|key| (key, help.to_owned()));
        if focus == Focus::Unfocused {
            return says(Act::Escape, "comes back here").into_iter().collect();
        }
        let send = match (self.manner(), self.busy) {
            (Manner::Shell, _) => "run",
            (Manner::Command, _) => "do",
            (Manner::Message, Busy::Idle) => "send",
            (Manner::Message, Busy::Working) => "steer now",
        };
        let queue = match (self.manner(), self.busy) {
            (Manner::Message, Busy::Working) => says(Act::Queue, "queue"),
            _ => None,
        };
        let hints = [
            says(Act::Send, send),
            queue,
            says(Act::NewLine, "new line"),
            says(Act::Search, "search"),
            says(Act::External, "editor"),
        ];
        hints.into_iter().flatten().collect()
    }
}

/// Columns that text is wrapped to: the last is left for the cursor.
fn text_columns(columns: u16) -> usize {
    let prompt = prompt_columns(columns);
    usize::from(columns.saturating_sub(prompt + 1)).max(1)
}

fn prompt_columns(columns: u16) -> u16 {
    match columns < NARROW {
        true => 0,
        false => u16::try_from(PROMPT.len()).unwrap_or(0),
    }
}

/// Rows of text in an area so high.
fn text_rows(height: u16) -> u16 {
    match height {
        0..=2 => height.min(1),
        more => more - 2,
    }
}

/// Where the prompt goes, and the text.
fn split(area: Rect) -> (Rect, Rect) {
    let y = area.y + u16::from(area.height > 1);
    let height = text_rows(area.height);
    let prompt = prompt_columns(area.width);
    (
        Rect::new(area.x, y, prompt, height),
        Rect::new(area.x + prompt, y, area.width - prompt, height),
    )
}

/// A line across, with something written on it.
fn rule(area: Rect, row: u16, label: Line<'static>, buf: &mut Buffer, style: Style) {
    let line = "─".repeat(area.width.into());
    frame::write(area, row, &line, style, buf);
    let on = Rect {
        x: area.x + area.width.min(1),
        width: area.width.saturating_sub(2),
        ..area
    };
    frame::put(on, row, &label, buf);
}

/// The row above the composer; its first where there is none above.
fn search_row(area: Rect) -> Rect {
    Rect {
        y: area.y.saturating_sub(1),
        height: 1,
        ..area
    }
}

fn search_room(area: Rect) -> usize {
    usize::from(area.width).saturating_sub(SEARCH.len() + 1)
}

fn render_search(search: &Search, area: Rect, buf: &mut Buffer, theme: Theme) {
    let row = search_row(area);
    frame::clear(row, buf);
    let wanted = fit(search.wanted(), search_room(area));
    let count = search.count();
    let used = SEARCH.len() + width(&wanted) + width(&count) + 4;
    let left = usize::from(area.width).saturating_sub(used);
    let hints: Vec<Hint> = [SearchAct::Older, SearchAct::Take, SearchAct::Leave]
        .iter()
        .filter_map(|action| frame::hint(SEARCH_KEYS, action))
        .collect();
    let mut line = Line::from(vec![
        Span::styled(SEARCH, theme.style(Role::Hint)),
        Span::styled(wanted, theme.style(Role::Text)),
        Span::raw("  "),
        Span::styled(count, theme.style(Role::Dim)),
        Span::raw(" "),
    ]);
    line.spans
        .extend(frame::hint_line(&hints, left, theme).spans);
    frame::put(row, 0, &line, buf);
}
