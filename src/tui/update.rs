//! What happens, and what follows from it: the state changes, and what has to be done
//! outside comes back.

use std::time::Instant;

use crossterm::event::{KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::app::{App, Attention, Pane, Phase};
use super::event::{Effect, Event};
use super::keys::Key;
use crate::agent::Exit;

/// Rows that a turn of the wheel scrolls.
const WHEEL: i32 = 3;

impl App {
    pub fn update(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
            Event::Key(key) => self.key(Key::pressed(&key), now),
            Event::Paste(text) => {
                self.paste(&text);
                Vec::new()
            }
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::Focused => {
                self.attention = Attention::Here;
                Vec::new()
            }
            Event::Unfocused => {
                self.attention = Attention::Elsewhere;
                Vec::new()
            }
            Event::Agent(report) => self.report(report, now),
            Event::Chore(finished) => {
                self.chore(finished, now);
                Vec::new()
            }
            Event::Edited(text) => {
                match text {
                    Ok(text) => self.composer.set_text(text.trim_end_matches('\n')),
                    Err(why) => self.transcript.say(&why),
                }
                vec![Effect::Redraw]
            }
            Event::Loading(done, total) => {
                if let Phase::Loading(progress) = &mut self.phase {
                    progress.set(done, total);
                }
                Vec::new()
            }
            Event::Alone => {
                self.say_briefly("there is no shell behind this to go back to", now);
                Vec::new()
            }
            Event::Terminate => vec![Effect::Stop, Effect::Leave(Exit::Interrupted)],
            Event::Improved | Event::Tick => Vec::new(),
        }
    }

    fn mouse(&mut self, mouse: MouseEvent) -> Vec<Effect> {
        if self.overlay.is_some() {
            return Vec::new();
        }
        let at = Position::new(mouse.column, mouse.row);
        let reasoning = self.areas.reasoning.contains(at);
        match mouse.kind {
            MouseEventKind::ScrollUp if reasoning => self.explorer.wheel(-WHEEL),
            MouseEventKind::ScrollDown if reasoning => self.explorer.wheel(WHEEL),
            MouseEventKind::ScrollUp => self.transcript.scroll(-WHEEL),
            MouseEventKind::ScrollDown => self.transcript.scroll(WHEEL),
            MouseEventKind::Down(MouseButton::Left) => self.press(at),
            MouseEventKind::Drag(MouseButton::Left) => {
                let (x, y) = within(at, self.areas.conversation);
                self.transcript.drag(x, y);
            }
            MouseEventKind::Up(MouseButton::Left) => {
                let selected = self.transcript.release();
                return selected.map(Effect::Copy).into_iter().collect();
            }
            _ => {}
        }
        Vec::new()
    }

    fn press(&mut self, at: Position) {
        if self.areas.reasoning.contains(at) {
            self.focus = Pane::Reasoning;
            let (x, y) = within(at, self.areas.reasoning);
            self.explorer.click(x, y);
        } else if self.areas.composer.contains(at) {
            self.focus = Pane::Composer;
        } else if self.areas.conversation.contains(at) {
            let (x, y) = within(at, self.areas.conversation);
            self.transcript.press(x, y);
        }
    }
}

/// Columns and rows from an area's corner.
fn within(at: Position, area: Rect) -> (u16, u16) {
    (at.x.saturating_sub(area.x), at.y.saturating_sub(area.y))
}
