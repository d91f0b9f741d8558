//! A unified diff over the whole screen, walked through by lines and by files.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::Close;
use super::frame::{self, Hint};
use super::hunk::{Part, Parts};
use super::scroll::Scroll;
use crate::tui::keys::{Binding, Key, bound};
use crate::tui::text::{lines, styled};
use crate::tui::theme::{Role, Theme};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    NextFile,
    FileBefore,
    Close,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::char('n')],
        action: Act::NextFile,
        help: "next file",
    },
    Binding {
        keys: &[Key::char('N')],
        action: Act::FileBefore,
        help: "file before",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::char('q'), Key::ctrl('c')],
        action: Act::Close,
        help: "close",
    },
];

pub struct Diff {
    title: String,
    scroll: Scroll,
    /// Lines that the files begin with.
    files: Vec<usize>,
}

impl Diff {
    pub fn new(title: impl Into<String>, text: &str, theme: Theme) -> Self {
        let lines = diff_lines(text, theme);
        Self {
            title: title.into(),
            files: files(&lines),
            scroll: Scroll::new(lines),
        }
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// `Close` where it is to be closed.
    pub fn key(&mut self, key: Key) -> Option<Close> {
        let action = bound(KEYS, key);
        let at = self.scroll.top_line();
        let to = match action {
            Some(Act::NextFile) => self.files.iter().find(|file| **file > at),
            Some(Act::FileBefore) => self.files.iter().rev().find(|file| **file < at),
            Some(Act::Close) => return Some(Close),
            None => {
                self.scroll.key(key);
                None
            }
        };
        if let Some(line) = to {
            self.scroll.go_to(*line);
        }
        None
    }

    pub fn layout(&mut self, screen: Rect) {
        let inner = frame::inner(screen);
        self.scroll.layout(inner.width, inner.height);
    }

    /// The title, and which file is at the top.
    fn heading(&self) -> String {
        let (title, files, top) = (&self.title, self.files.len(), self.scroll.top_line());
        match (files, self.scroll.more()) {
            (0 | 1, _) => title.clone(),
            // All of it is in sight.
            (_, 0) if top == 0 => format!("{title} ({files} files)"),
            (_, 0) => format!("{title} ({files} of {files} files)"),
            (_, _) => {
                let file = self.files.partition_point(|file| *file <= top);
                format!("{title} ({} of {files} files)", file.max(1))
            }
        }
    }

    pub fn render(&self, screen: Rect, buf: &mut Buffer, theme: Theme) {
        let mut hints: Vec<Hint> = frame::hint(KEYS, &Act::Close).into_iter().collect();
        if self.files.len() > 1 {
            hints.extend(frame::hint(KEYS, &Act::NextFile));
            hints.extend(frame::hint(KEYS, &Act::FileBefore));
        }
        hints.extend(self.scroll.hint());
        frame::draw(screen, buf, theme, &self.heading(), &hints);
        self.scroll.render(frame::inner(screen), buf);
    }
}

/// A unified diff in colours, a line for each of its lines.
pub fn diff_lines(text: &str, theme: Theme) -> Vec<Line<'static>> {
    let mut parts = Parts::default();
    let coloured = lines(text).into_iter().map(|line| {
        let role = match parts.next(&line) {
            Part::File | Part::Header => Role::Heading,
            Part::Place => Role::Dim,
            Part::Added => Role::Added,
            Part::Removed => Role::Removed,
            Part::Other => Role::Text,
        };
        styled(line, theme.style(role))
    });
    coloured.collect()
}

/// The lines that files begin with.
fn files(lines: &[Line<'static>]) -> Vec<usize> {
    let mut parts = Parts::default();
    let parts = lines.iter().map(|line| parts.next(&line.to_string()));
    let numbered = parts.enumerate();
    let files = numbered.filter(|(_, part)| *part == Part::File);
    files.map(|(at, _)| at).collect()
}
