//! Traces for tests.

use proptest::prelude::*;

use super::parts::Part;
use super::store::Trace;
use super::vocabulary::Vocabulary;
use crate::agent::session::Noted;
use crate::backend::Alternative;

/// A token with five alternatives and a route over four layers, all of which follow
/// from its place.
pub fn noted(at: usize, bytes: &[u8]) -> Noted {
    let n = at as u32;
    let entropy = [0.05, 0.3, 0.9, 1.5, 3.0][at % 5];
    let other = |k: u32| {
        let text = format!(" alt{k}").into_bytes();
        let logprob = -(1.0 + k as f32);
        (
            Alternative {
                id: 500 + k,
                logprob,
            },
            text,
        )
    };
    let chosen = Alternative {
        id: id_of(bytes),
        logprob: -entropy,
    };
    let top = std::iter::once((chosen, bytes.to_vec())).chain((1..5).map(other));
    Noted {
        id: id_of(bytes),
        bytes: bytes.to_vec(),
        position: 100 + n,
        logprob: -entropy,
        entropy,
        exact_logprobs: at % 7 != 3,
        forced: at % 11 == 10,
        millis: 100 * n,
        top: top.collect(),
        experts: (0..4).map(|layer| (n + layer) as u16 % 5).collect(),
    }
}

/// An id for what a token says.
fn id_of(bytes: &[u8]) -> u32 {
    let fold = |id: u32, byte: &u8| id.wrapping_mul(31).wrapping_add(u32::from(*byte)) % 100_003;
    1000 + bytes.iter().fold(7, fold)
}

/// A trace of such tokens.
pub fn trace(tokens: &[&str]) -> (Trace, Vocabulary) {
    let bytes: Vec<&[u8]> = tokens.iter().map(|token| token.as_bytes()).collect();
    trace_of(&bytes)
}

/// A trace of tokens that may be parts of characters.
pub fn trace_of(tokens: &[&[u8]]) -> (Trace, Vocabulary) {
    let mut words = Vocabulary::default();
    let mut trace = Trace::new(Part::Thought);
    for (at, token) in tokens.iter().enumerate() {
        trace.push(&noted(at, token), &mut words);
    }
    (trace, words)
}

/// A text as a tokenizer might cut it: words with the space before them, line breaks by
/// themselves.
pub fn cut(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices().skip(1) {
        let is_after_break = text[..at].ends_with('\n');
        if (c == ' ' && !is_after_break) || (c == '\n') != is_after_break {
            tokens.push(&text[from..at]);
            from = at;
        }
    }
    tokens.push(&text[from..]);
    tokens
}

/// The tokens of an answer whose text has its markers in it.
pub fn answer(text: &str) -> Vec<Noted> {
    let mut tokens = Vec::new();
    for part in text.split_inclusive("</think>") {
        let (part, marker) = match part.strip_suffix("</think>") {
            Some(part) => (part, Some("</think>")),
            None => (part, None),
        };
        tokens.extend(cut(part).into_iter().chain(marker));
    }
    let all = tokens.iter().enumerate();
    all.map(|(at, text)| noted(at, text.as_bytes())).collect()
}

/// Any token: words, breaks, wide and joined characters, parts of characters, controls,
/// markers.
pub fn token() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: [&str; 34] = [
        "So",
        " it",
        " works",
        ".",
        ",",
        "\n",
        "\n\n",
        " ",
        "    ",
        "\t",
        "漢",
        "字 ",
        "漢字仮名",
        "e",
        "\u{301}",
        "👩",
        "\u{200d}",
        "💻",
        "🇩",
        "🇪",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{200b}",
        "\r",
        "\r\n",
        "\u{fe0f}",
        "ﾞ",
        "क्षि",
        "<think>",
        "</think>",
        "<zyphra_tool_call>",
        "</zyphra_tool_call>",
        "\u{85}",
        " supercalifragilistic",
    ];
    prop_oneof![
        8 => proptest::sample::select(TOKENS.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
        1 => (0usize..4).prop_map(|at| "👩".as_bytes()[at..=at].to_vec()),
    ]
}
