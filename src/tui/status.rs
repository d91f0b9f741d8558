//! The line at the bottom: which model, how fast, what of the context is filled, what
//! the cache saved, and what is allowed. Where there is no room, what matters least
//! goes first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::app::App;
use super::text;
use super::theme::{Role, Theme};
use crate::agent::present::thousands;

/// A piece of the line.
struct Piece {
    text: String,
    role: Role,
    /// Those with the highest number go first.
    goes: u8,
}

const BETWEEN: &str = " · ";

pub fn render(app: &App, area: Rect, buf: &mut Buffer, theme: Theme) {
    line(app, area.width.into(), theme).render(area, buf);
}

fn line(app: &App, columns: usize, theme: Theme) -> Line<'static> {
    let mut pieces = pieces(app);
    while total(&pieces) > columns && pieces.len() > 1 {
        let last = pieces
            .iter()
            .enumerate()
            .max_by_key(|(_, piece)| piece.goes);
        let at = last.map_or(0, |(at, _)| at);
        pieces.remove(at);
    }
    let mut line = Line::default();
    for piece in pieces {
        if !line.spans.is_empty() {
            line.push_span(Span::styled(BETWEEN, theme.style(Role::Dim)));
        }
        let room = columns.saturating_sub(text::line_width(&line));
        let fitted = text::fit(&piece.text, room);
        line.push_span(Span::styled(fitted, theme.style(piece.role)));
    }
    line
}

fn total(pieces: &[Piece]) -> usize {
    let widths = pieces.iter().map(|piece| text::width(&piece.text));
    widths.sum::<usize>() + BETWEEN.chars().count() * pieces.len().saturating_sub(1)
}

fn pieces(app: &App) -> Vec<Piece> {
    let Some(glance) = &app.glance else {
        let session = app.place.as_ref().map(|place| &place.session);
        let stored = session.map(|id| Piece {
            text: format!("session {id}, without a model"),
            role: Role::Text,
            goes: 0,
        });
        let help = Piece {
            text: "F1 help".into(),
            role: Role::Dim,
            goes: 1,
        };
        return stored.into_iter().chain([help]).collect();
    };
    let piece = |text: String, role, goes| Piece { text, role, goes };
    let mut pieces = vec![
        piece(format!("[{}]", glance.manner), Role::Hint, 0),
        piece(text::fit(&glance.name, 40), Role::Text, 2),
        piece(glance.backend.clone(), Role::Dim, 8),
    ];
    if let Some(rate) = app.speed.rate() {
        pieces.push(piece(format!("{rate:.1} tok/s"), Role::Text, 4));
    }
    if let Some(meter) = &app.meter {
        let role = match meter.percent() {
            0..=79 => Role::Text,
            _ => Role::Warning,
        };
        let short = format!("ctx {} %", meter.percent());
        pieces.push(piece(short, role, 1));
        let long = format!(
            "{} of {}",
            thousands(meter.total()),
            thousands(meter.window)
        );
        pieces.push(piece(long, Role::Dim, 6));
    }
    if let Some(usage) = &app.usage {
        let [reused, prompt] = [usage.reused, usage.prompt].map(thousands);
        let saved = format!("{reused} of {prompt} reused");
        pieces.push(piece(saved, Role::Dim, 5));
    }
    if glance.jobs > 0 {
        let jobs = format!("{} in the background", glance.jobs);
        pieces.push(piece(jobs, Role::Warning, 3));
    }
    pieces.push(piece(glance.sandbox.clone(), Role::Dim, 7));
    pieces.push(piece("F1 help".into(), Role::Dim, 9));
    pieces
}
