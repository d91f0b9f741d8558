//! Long pastes as blocks: one character of the text stands for each, is shown as a
//! label, and becomes the pasted text when the message is sent.

use std::borrow::Cow;

use crate::agent::present::thousands;
use crate::sandbox::sanitize;

/// Pastes of more lines, or more characters, become blocks.
const MOST_LINES: usize = 5;
const MOST_CHARACTERS: usize = 1000;
/// And texts that are set or recalled.
const HUGE_LINES: usize = 2000;
const HUGE_CHARACTERS: usize = 20_000;
/// The characters that stand for blocks: private ones, that no text has for itself.
const FIRST: u32 = 0xF_0000;
const LAST: u32 = 0xF_FFFD;
/// In place of one that was in a text.
const REPLACEMENT: char = '\u{FFFD}';

/// What was pasted in blocks; a block is known by its number.
#[derive(Debug, Default)]
pub struct Pastes {
    texts: Vec<String>,
}

impl Pastes {
    /// Keeps a text: what stands for it, or all of it when there are too many already.
    pub fn block(&mut self, text: String) -> String {
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let code = FIRST.checked_add(number).filter(|code| *code <= LAST);
        match code.and_then(char::from_u32) {
            Some(block) => {
                self.texts.push(text);
                block.to_string()
            }
            None => text,
        }
    }

    /// A paste as it is inserted.
    pub fn pasted(&mut self, text: String) -> String {
        let is_long =
            text.lines().nth(MOST_LINES).is_some() || text.chars().nth(MOST_CHARACTERS).is_some();
        match is_long {
            true => self.block(text),
            false => text,
        }
    }

    /// A whole text as it is edited: a block where that would take too long.
    pub fn editable(&mut self, text: &str) -> String {
        let is_huge =
            text.lines().nth(HUGE_LINES).is_some() || text.chars().nth(HUGE_CHARACTERS).is_some();
        match is_huge {
            true => self.block(text.to_owned()),
            false => text.to_owned(),
        }
    }

    fn of(&self, block: char) -> Option<&str> {
        let number = usize::try_from((block as u32).checked_sub(FIRST)?).ok()?;
        self.texts.get(number).map(String::as_str)
    }

    /// How a block is shown; `None` for what is none.
    pub fn label(&self, grapheme: &str) -> Option<String> {
        let text = self.of(grapheme.chars().next()?)?;
        let lines = text.lines().count();
        Some(match lines > 1 {
            true => format!("[pasted {} lines]", thousands(lines)),
            false => format!("[pasted {} characters]", thousands(text.chars().count())),
        })
    }

    /// A text with all blocks in it in full.
    pub fn expand(&self, text: &str) -> String {
        let mut whole = String::with_capacity(text.len());
        for c in text.chars() {
            match self.of(c) {
                Some(block) => whole.push_str(block),
                None => whole.push(c),
            }
        }
        whole
    }
}

/// Text from elsewhere for the editor: line ends are `\n`, what is hidden or drives a
/// terminal becomes visible, and nothing stands for a block.
pub fn harmless(text: &str) -> String {
    let lines = match text.contains('\r') {
        // Terminals send a line's end in a paste as Enter.
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    };
    sanitize::for_terminal(&lines)
        .chars()
        .map(unblocked)
        .collect()
}

/// A character that was typed, unless it would stand for a block.
pub fn unblocked(c: char) -> char {
    match (FIRST..=LAST).contains(&(c as u32)) {
        true => REPLACEMENT,
        false => c,
    }
}
