//! A state as a frame. Draws what `App::arrange` has laid out, and changes nothing.

use std::time::Instant;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::app::{App, Pane};
use super::keys::{self, Focus};
use super::theme::Role;
use super::{activity, global, status};

pub fn view(app: &App, frame: &mut Frame<'_>, now: Instant) {
    let screen = frame.area();
    draw(app, screen, frame.buffer_mut(), now);
    if let Some(position) = cursor(app, screen) {
        frame.set_cursor_position(position);
    }
}

/// The same on a buffer.
pub fn draw(app: &App, screen: Rect, buf: &mut Buffer, now: Instant) {
    let (areas, theme) = (app.areas, app.theme);
    // A screen that became smaller since it was divided is drawn again at once.
    let on = |area: Rect| area.intersection(screen);
    app.transcript.render(on(areas.conversation), buf, theme);
    divider(app, on(areas.divider), buf);
    let focus = |pane| match app.focus == pane {
        true => Focus::Focused,
        false => Focus::Unfocused,
    };
    let explorer = on(areas.reasoning);
    app.explorer
        .render(explorer, buf, theme, focus(Pane::Reasoning));
    activity::render(app, on(areas.activity), buf, theme, now);
    let composer = on(areas.composer);
    app.composer
        .render(composer, buf, theme, focus(Pane::Composer));
    status::render(app, on(areas.status), buf, theme);
    app.composer.render_popup(on(areas.composer), buf, theme);
    if let Some(overlay) = &app.overlay {
        overlay.render(screen, buf, theme);
    }
}

/// Where the terminal's own cursor is, if anything is being typed.
pub fn cursor(app: &App, screen: Rect) -> Option<Position> {
    let position = match &app.overlay {
        Some(overlay) => overlay.cursor(screen),
        None if app.focus == Pane::Composer => app.composer.cursor(app.areas.composer),
        None => None,
    };
    position.filter(|at| screen.contains(*at))
}

fn divider(app: &App, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let focused = app.focus == Pane::Reasoning;
    let role = if focused { Role::Focus } else { Role::Dim };
    let style = app.theme.style(role);
    if area.width == 1 {
        for y in area.top()..area.bottom() {
            buf[(area.x, y)].set_symbol("│").set_style(style);
        }
        return;
    }
    let hint = |action| {
        let binding = global::KEYS.iter().find(|one| one.action == action);
        let key = binding.and_then(|one| one.keys.first());
        key.map_or(String::new(), |key| keys::Key::name(*key))
    };
    let title = format!(
        "── reasoning ({} hides, {} enlarges, {} goes there) ",
        hint(global::Act::ToggleReasoning),
        hint(global::Act::FullReasoning),
        hint(global::Act::NextPane),
    );
    let rest = usize::from(area.width).saturating_sub(title.chars().count());
    Line::from(Span::styled(format!("{title}{}", "─".repeat(rest)), style)).render(area, buf);
}
