//! Where motions over tokens lead: words, steps, uncertain tokens. Pure functions of a
//! trace.

use super::heat::{Measure, UNCERTAIN};
use super::store::Trace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Back,
    Forward,
}

/// The nearest token before or after `from` for which `is` holds.
pub fn nearest(
    trace: &Trace,
    from: usize,
    direction: Direction,
    is: impl Fn(usize) -> bool,
) -> Option<usize> {
    match direction {
        Direction::Forward => (from + 1..trace.len()).find(|token| is(*token)),
        Direction::Back => (0..from.min(trace.len())).rev().find(|token| is(*token)),
    }
}

/// Whether a word begins with a token.
pub fn is_word(trace: &Trace, token: usize) -> bool {
    let text = trace.token_text(token);
    let after_space = || {
        let before = token.checked_sub(1).map(|before| trace.token_text(before));
        before.is_none_or(|before| before.ends_with(char::is_whitespace))
    };
    has_ink(text) && (text.starts_with(char::is_whitespace) || after_space())
}

/// Whether a step begins with a token: a sentence, a line, or another part, such as a
/// call.
pub fn is_step(trace: &Trace, token: usize) -> bool {
    let Some(before) = token.checked_sub(1) else {
        return true;
    };
    if trace.part(before) != trace.part(token) {
        return true;
    }
    let text = trace.token_text(token);
    if !has_ink(text) {
        return false;
    }
    let mut spaced = text.starts_with(char::is_whitespace);
    for before in (0..token).rev() {
        let text = trace.token_text(before);
        let ink = text.trim_end();
        let space = &text[ink.len()..];
        if space.contains('\n') {
            return true;
        }
        spaced |= !space.is_empty();
        if !ink.is_empty() {
            let ink = ink.trim_end_matches(['"', '\'', ')', '`', '*']);
            return spaced && ink.ends_with(['.', '!', '?', '。', '！', '？']);
        }
    }
    true
}

/// Whether the model was uncertain of a token.
pub fn is_uncertain(trace: &Trace, token: usize, measure: Measure) -> bool {
    measure.level_of(trace, token) >= UNCERTAIN
}

fn has_ink(text: &str) -> bool {
    text.contains(|c: char| !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::trace;

    fn starts(tokens: &[&str], is: fn(&Trace, usize) -> bool) -> Vec<usize> {
        let (trace, _) = trace(tokens);
        (0..tokens.len()).filter(|at| is(&trace, *at)).collect()
    }

    #[test]
    fn words_and_steps_begin_where_readers_see_them() {
        let tokens = [
            "So", " it", "'s", " 3", ".", "5", ".", " Then", "\n", "go", " ", "on",
        ];
        assert_eq!(starts(&tokens, is_word), [0, 1, 3, 7, 9, 11]);
        assert_eq!(starts(&tokens, is_step), [0, 7, 9]);
        let parts = ["a", "</think>", "\n\n", "b", "<zyphra_tool_call>", "c"];
        assert_eq!(starts(&parts, is_step), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_nearest_is_found_in_both_directions() {
        let (trace, _) = trace(&["a", " b", "c", " d"]);
        let find = |from, direction| nearest(&trace, from, direction, |t| is_word(&trace, t));
        assert_eq!(find(1, Direction::Forward), Some(3));
        assert_eq!(find(3, Direction::Forward), None);
        assert_eq!(find(3, Direction::Back), Some(1));
        assert_eq!(find(0, Direction::Back), None);
    }
}
