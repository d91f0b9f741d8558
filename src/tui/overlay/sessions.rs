//! Sessions to go on with, or with a copy of, found by typing some of their titles.

use std::time::{Duration, SystemTime};

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::finder::{Finder, Found};
use super::frame;
use super::picker::{Details, Keep, Picker};
use crate::agent::present;
use crate::agent::session::Summary;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::theme::Theme;

const COLUMNS: u16 = 110;
/// Characters of a title.
const TITLE: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Resume,
    Fork,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Enter)],
        action: Act::Resume,
        help: "resume",
    },
    Binding {
        keys: &[Key::ctrl('f')],
        action: Act::Fork,
        help: "fork",
    },
];

/// What came of it, with the session's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picked {
    Resume(String),
    Fork(String),
    Close,
}

pub struct Sessions {
    /// Ids, and what is said at the right.
    rows: Vec<(String, String)>,
    finder: Finder,
}

impl Sessions {
    pub fn new(summaries: &[Summary], now: SystemTime) -> Self {
        let titles = summaries.iter().map(title).collect();
        let rows = summaries.iter().map(|one| {
            let since = now.duration_since(one.used).unwrap_or_default();
            let turns = match one.turns {
                1 => "1 turn".to_owned(),
                turns => format!("{turns} turns"),
            };
            (one.header.id.clone(), format!("{turns}, {}", age(since)))
        });
        Self {
            rows: rows.collect(),
            finder: Finder::new(Picker::new(titles, Keep::Start, Details::Right)),
        }
    }

    pub fn key(&mut self, key: Key) -> Option<Picked> {
        if let Some(action) = bound(KEYS, key) {
            let (id, _) = self.rows.get(self.finder.selected()?)?;
            return Some(match action {
                Act::Resume => Picked::Resume(id.clone()),
                Act::Fork => Picked::Fork(id.clone()),
            });
        }
        match self.finder.key(key)? {
            Found::Close => Some(Picked::Close),
            Found::Item(_) => None,
        }
    }

    pub fn paste(&mut self, text: &str) {
        self.finder.paste(text);
    }

    fn place(&self, screen: Rect) -> Rect {
        let rows = u16::try_from(self.rows.len().saturating_add(3)).unwrap_or(u16::MAX);
        frame::place(screen, COLUMNS, rows.max(4))
    }

    pub fn layout(&mut self, screen: Rect) {
        let inner = frame::inner(self.place(screen));
        self.finder.layout(inner);
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let area = self.place(screen);
        let own: Vec<_> = [Act::Resume, Act::Fork]
            .iter()
            .filter_map(|action| frame::hint(KEYS, action))
            .collect();
        frame::draw(area, buf, theme, "Sessions", &Finder::hints(&own));
        let about = |index: usize| {
            let row = self.rows.get(index);
            row.map_or(String::new(), |(_, about)| about.clone())
        };
        self.finder.render(frame::inner(area), buf, theme, about);
    }

    pub fn cursor(&self, screen: Rect) -> Option<Position> {
        self.finder.cursor(frame::inner(self.place(screen)))
    }
}

/// The first message; what is said of a session where there is none.
fn title(summary: &Summary) -> String {
    let title = present::title(&summary.title, TITLE);
    let title = match title.is_empty() {
        true => "(nothing said yet)".to_owned(),
        false => title,
    };
    match summary.unfinished {
        true => format!("{title} (unfinished)"),
        false => title,
    }
}

/// How long ago, as people say it.
fn age(since: Duration) -> String {
    let seconds = since.as_secs();
    match seconds {
        0..60 => "now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::session::{BundleName, Chosen, Header};
    use crate::agent::{Calls, Limits, Thinking};
    use crate::generate::Sampling;
    use crate::tui::overlay::testing::{keys, screen};

    const HOUR: Duration = Duration::from_secs(3600);

    fn summary(id: &str, title: &str, turns: usize, used: SystemTime) -> Summary {
        Summary {
            header: Header {
                v: 1,
                id: id.to_owned(),
                cairn: "0.1.0".to_owned(),
                bundle: BundleName {
                    name: "demo".to_owned(),
                    fingerprint: "0".to_owned(),
                    path: None,
                },
                numerics: "cpu".to_owned(),
                workspace: "/x".into(),
                system: String::new(),
                tools: Vec::new(),
                preamble: String::new(),
                settings: Chosen {
                    sampling: Sampling::GREEDY,
                    thinking: Thinking::On,
                    limits: Limits::default(),
                    calls: Calls::default(),
                },
                forked_from: None,
            },
            entries: 5,
            turns,
            title: title.to_owned(),
            used,
            unfinished: turns == 3,
            bytes: 100,
        }
    }

    fn typed(text: &str) -> (Sessions, Option<Picked>) {
        let now = SystemTime::UNIX_EPOCH + HOUR * 1000;
        let mut sessions = Sessions::new(
            &[
                summary("a1", "fix the 字 parser\x1b[2J\nplease", 1, now - HOUR * 2),
                summary("b2", "write a test", 3, now - HOUR * 100),
                summary("c3", " ", 0, now + HOUR),
            ],
            now,
        );
        let mut picked = None;
        for key in keys(text) {
            picked = sessions.key(key);
        }
        (sessions, picked)
    }

    #[test]
    fn a_session_is_found_and_taken_up_or_forked() {
        assert_eq!(typed("<Enter>").1, Some(Picked::Resume("a1".to_owned())));
        assert_eq!(typed("test<C-f>").1, Some(Picked::Fork("b2".to_owned())));
        assert_eq!(typed("f").1, None);
        assert_eq!(
            typed("<Down><Down><Enter>").1,
            Some(Picked::Resume("c3".to_owned()))
        );
        assert_eq!(typed("<Esc>").1, Some(Picked::Close));
        assert_eq!(typed("xyzzy<Enter>").1, None);
        assert_eq!(typed("xyzzy<C-f>").1, None);
        let (mut sessions, _) = typed("");
        let shown = screen(80, 8, |area, buf| {
            sessions.layout(area);
            sessions.render(area, buf, Theme::Colour);
        });
        insta::assert_snapshot!(shown.join("\n"), @r#"
    
    ┌ Sessions ────────────────────────────────────────────────────────────────┐
    │ find                                                              3 of 3 │
    │ > fix the 字 parser␛[2J please                           1 turn, 2 h ago │
    │   write a test (unfinished)                          3 turns, 4 days ago │
    │   (nothing said yet)                                        0 turns, now │
    └ Enter resume · Ctrl-F fork · Esc close ──────────────────────────────────┘
    "#);
    }

    #[test]
    fn ages_are_said_as_people_do() {
        let ages = [0, 59, 60, 7200, 172_799, 172_800].map(|s| age(Duration::from_secs(s)));
        assert_eq!(
            ages,
            [
                "now",
                "now",
                "1 min ago",
                "2 h ago",
                "47 h ago",
                "2 days ago"
            ]
        );
    }
}
