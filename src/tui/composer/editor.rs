//! The text that is being written: `ratatui-textarea` keeps it, undoes and redoes, and
//! knows words. Its steps are characters of the encoding; here they are those that a
//! reader sees, so that no emoji is taken apart.

use std::fmt;

use ratatui_textarea::{CursorMove, TextArea};
use unicode_segmentation::UnicodeSegmentation;

use super::letters;
use super::rows::Place;

/// Steps that can be undone.
const UNDO: usize = 1000;

pub struct Editor {
    area: TextArea<'static>,
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Editor").field(&self.lines()).finish()
    }
}

/// Motions within the text. Those by rows of the screen are the composer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    Start,
    End,
}

/// What is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Before,
    After,
    WordBefore,
    WordAfter,
    ToLineStart,
    ToLineEnd,
}

impl Editor {
    /// With this text, the cursor at its end.
    pub fn new(text: &str) -> Self {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_max_histories(UNDO);
        let mut editor = Self { area };
        editor.go(Motion::End);
        editor
    }

    pub fn lines(&self) -> &[String] {
        self.area.lines()
    }

    /// As it is kept: characters that stand for pastes are in it.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    pub fn cursor(&self) -> Place {
        let cursor = self.area.cursor();
        (cursor.0, cursor.1)
    }

    /// The cursor's line, before it and after it.
    pub fn around(&self) -> (&str, &str) {
        let (line, character) = self.cursor();
        let text = self.lines().get(line).map_or("", String::as_str);
        let at = text.char_indices().nth(character).map(|(at, _)| at);
        text.split_at(at.unwrap_or(text.len()))
    }

    pub fn insert(&mut self, text: &str) {
        match text {
            // Its own step, without the detour over lines.
            "\n" => self.area.insert_newline(),
            text => {
                self.area.insert_str(text);
            }
        }
    }

    /// Takes all away, as a step that can be undone.
    pub fn clear(&mut self) {
        self.area.select_all();
        self.area.cut();
    }

    /// Brings back what was cut last.
    pub fn yank(&mut self) {
        self.area.paste();
    }

    pub fn undo(&mut self) {
        letters::steps(&mut self.area, TextArea::undo, TextArea::redo);
        self.settle();
    }

    pub fn redo(&mut self) {
        letters::steps(&mut self.area, TextArea::redo, TextArea::undo);
        self.settle();
    }

    /// Moves to a place; the nearest where it is beyond the text.
    pub fn go_to(&mut self, (line, character): Place) {
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let jump = CursorMove::Jump(short(line), short(character));
        self.area.move_cursor(jump);
    }

    pub fn go(&mut self, motion: Motion) {
        let (line, character) = self.cursor();
        let (before, after) = self.around();
        let count = |grapheme: &str| grapheme.chars().count();
        match motion {
            Motion::Left => match before.graphemes(true).next_back() {
                Some(last) => self.go_to((line, character - count(last))),
                None if line > 0 => self.go_to((line - 1, usize::MAX)),
                None => {}
            },
            Motion::Right => match after.graphemes(true).next() {
                Some(next) => self.go_to((line, character + count(next))),
                None if line + 1 < self.lines().len() => self.go_to((line + 1, 0)),
                None => {}
            },
            Motion::WordLeft => self.area.move_cursor(CursorMove::WordBack),
            Motion::WordRight => self.area.move_cursor(CursorMove::WordForward),
            Motion::LineStart => self.go_to((line, 0)),
            Motion::LineEnd => self.go_to((line, usize::MAX)),
            Motion::Start => self.go_to((0, 0)),
            Motion::End => self.go_to((usize::MAX, usize::MAX)),
        }
        self.settle();
    }

    pub fn cut(&mut self, cut: Cut) {
        match cut {
            Cut::Before => self.cut_to(Motion::Left),
            Cut::After => self.cut_to(Motion::Right),
            Cut::WordBefore => {
                self.area.delete_word();
            }
            Cut::WordAfter => {
                self.area.delete_next_word();
            }
            Cut::ToLineStart => {
                self.area.delete_line_by_head();
            }
            Cut::ToLineEnd if self.around().1.is_empty() => self.cut_to(Motion::Right),
            Cut::ToLineEnd => {
                self.area.delete_line_by_end();
            }
        }
        self.settle();
    }

    /// Deletes from here to where a motion leads; it can't be yanked.
    fn cut_to(&mut self, motion: Motion) {
        self.area.start_selection();
        self.go(motion);
        self.delete_selected();
    }

    fn delete_selected(&mut self) {
        let range = self.area.selection_range();
        // With nothing selected this would delete a character.
        if range.is_some_and(|(from, to)| from != to) {
            self.area.delete_char();
        }
        self.area.cancel_selection();
    }

    /// Replaces some of the characters before the cursor.
    pub fn replace_before(&mut self, characters: usize, text: &str) {
        let (line, character) = self.cursor();
        self.area.start_selection();
        self.go_to((line, character.saturating_sub(characters)));
        self.delete_selected();
        self.insert(text);
    }

    /// Leaves the inside of a character that a step by words, or an undo, led to.
    fn settle(&mut self) {
        let (line, character) = self.cursor();
        let Some(text) = self.lines().get(line) else {
            return;
        };
        let mut start = 0;
        for grapheme in text.graphemes(true) {
            let next = start + grapheme.chars().count();
            if start >= character {
                return;
            }
            if next > character {
                self.go_to((line, next));
                return;
            }
            start = next;
        }
    }
}
