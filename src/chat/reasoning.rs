//! Reasoning as qwen3 writes it: between `<think>` and `</think>`, with line
//! breaks beside the tags that belong to neither reasoning nor answer.

/// What a model's output begins in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Start {
    Reasoning,
    #[default]
    Content,
}

/// Line breaks to drop before the next text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Newlines {
    #[default]
    Keep,
    /// After `<think>`.
    DropOne,
    /// After `</think>`.
    DropAll,
}

impl Newlines {
    /// What is left of the next piece of text; works piece by piece.
    pub(super) fn trim<'a>(&mut self, text: &'a str) -> &'a str {
        let rest = match self {
            Newlines::Keep => return text,
            Newlines::DropOne => text.strip_prefix('\n').unwrap_or(text),
            Newlines::DropAll => text.trim_start_matches('\n'),
        };
        let dropped = rest.len() < text.len();
        if !rest.is_empty() || (dropped && *self == Newlines::DropOne) {
            *self = Newlines::Keep;
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(mut state: Newlines, pieces: &[&str]) -> String {
        pieces.iter().map(|piece| state.trim(piece)).collect()
    }

    #[test]
    fn newlines_are_dropped_across_pieces() {
        assert_eq!(pieces(Newlines::DropOne, &["", "\n", "\na"]), "\na");
        assert_eq!(pieces(Newlines::DropOne, &["a\n", "\n"]), "a\n\n");
        assert_eq!(pieces(Newlines::DropAll, &["\n", "\n\n", "a\n"]), "a\n");
        assert_eq!(pieces(Newlines::Keep, &["\n", "a"]), "\na");
    }
}
