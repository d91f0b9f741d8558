//! The line above the message: what is going on, what waits, and what the next key
//! would do.

use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::app::{App, Phase};
use super::text;
use super::theme::{Role, Theme};
use crate::agent::present::thousands;

/// Pictures of the sign that something works, and how long each stays.
const SIGNS: [&str; 4] = ["◐", "◓", "◑", "◒"];
pub const BEAT: Duration = Duration::from_millis(250);

/// Columns of a line with a bar at most: more would only be a longer bar.
const BAR_LINE: usize = 100;

/// Rows that it takes now.
pub fn height(app: &App, now: Instant) -> u16 {
    u16::from(said(app, usize::MAX, now).is_some())
}

pub fn render(app: &App, area: Rect, buf: &mut Buffer, theme: Theme, now: Instant) {
    if let Some((said, role)) = said(app, area.width.into(), now) {
        text::styled(said, theme.style(role)).render(area, buf);
    }
}

fn said(app: &App, columns: usize, now: Instant) -> Option<(String, Role)> {
    if let Some(flash) = app.flash(now) {
        return Some((text::fit(flash, columns), Role::Warning));
    }
    let line = match &app.phase {
        Phase::Idle | Phase::Looking => None,
        Phase::Loading(progress) | Phase::Reading(progress) => progress
            .is_worth_a_line(now)
            .then(|| progress.line(columns.saturating_sub(2).min(BAR_LINE), now)),
        Phase::Working { what, .. } => {
            let tokens = match app.generated {
                0 => String::new(),
                count => format!(", {} tokens", thousands(count)),
            };
            let seconds = app
                .turn_since
                .map_or(0, |at| now.duration_since(at).as_secs());
            Some(format!("{what}, {seconds} s{tokens} (Esc stops)"))
        }
    };
    let queued = match app.queue.len() {
        0 => None,
        1 => Some("1 message waits (Up takes it back)".to_owned()),
        count => Some(format!("{count} messages wait (Up takes one back)")),
    };
    let sign = line.as_ref().map(|_| {
        let since = app.turn_since.unwrap_or(app.started);
        let beats = now.duration_since(since).as_millis() / BEAT.as_millis();
        SIGNS[beats as usize % SIGNS.len()]
    });
    let said = match (sign, line, queued) {
        (Some(sign), Some(line), None) => format!("{sign} {line}"),
        (Some(sign), Some(line), Some(queued)) => {
            let both = format!("{sign} {line} · {queued}");
            // The message's title counts what waits as well.
            match text::width(&both) <= columns {
                true => both,
                false => format!("{sign} {line}"),
            }
        }
        (_, _, Some(queued)) => queued,
        (_, _, None) => return None,
    };
    Some((text::fit(&said, columns), Role::Agent))
}
