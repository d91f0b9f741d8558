//! A `tokenizer.json` in the shape of ZAYA's: BPE over characters with `▁` for
//! space and byte fallback, control tokens at their real ids, two merges for
//! nearly every token (about 500,000 for the full vocabulary). The pieces are
//! all short letter sequences, then a random choice of longer ones, so English
//! text is cut into three to five characters a token, as by a real vocabulary.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::geometry::Geometry;
use super::random::Stream;

/// Control tokens and their ids; the rest up to 106 are `<unusedN>`.
const CONTROL: &[(usize, &str)] = &[
    (0, "<pad>"),
    (1, "<eos>"),
    (2, "<bos>"),
    (3, "<unk>"),
    (101, "<zyphra_tool_call>"),
    (102, "</zyphra_tool_call>"),
    (103, "<zyphra_tool_response>"),
    (104, "</zyphra_tool_response>"),
    (105, "<|im_start|>"),
    (106, "<|im_end|>"),
];
/// Ids from here are ordinary: runs of newlines, then runs of spaces.
const FIRST_ORDINARY: usize = 107;
const LONGEST_RUN: usize = 31;
/// Merges that one token may have: two ways to come about.
const MERGES_PER_TOKEN: usize = 2;

pub fn write(folder: &Path, geometry: &Geometry, seed: u64) -> Result<()> {
    let vocabulary = Vocabulary::new(geometry.added_from, seed)?;
    let path = folder.join("tokenizer.json");
    let place = || path.display().to_string();
    let mut file = BufWriter::new(File::create(&path).with_context(place)?);
    let added = added_tokens(geometry);
    // Everything but the two big lists, which are streamed into their places.
    let frame = serde_json::to_string(&json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": false,
        },
        "post_processor": post_processor(),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": "<unk>",
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
        },
    }))?;
    let Some(open) = frame.strip_suffix("}}") else {
        bail!("the tokenizer's frame does not end with its model");
    };
    write!(file, "{open},\"vocab\":{{").with_context(place)?;
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        let comma = if id == 0 { "" } else { "," };
        let token = serde_json::to_string(token)?;
        write!(file, "{comma}\n      {token}: {id}").with_context(place)?;
    }
    write!(file, "}},\"merges\":[").with_context(place)?;
    for (rank, pair) in vocabulary.merges.iter().enumerate() {
        let comma = if rank == 0 { "" } else { "," };
        let [left, right] = [&pair.0, &pair.1].map(serde_json::to_string);
        let (left, right) = (left?, right?);
        // As spread out as published files, whose size is mostly this white space.
        let indent = "\n        ";
        write!(
            file,
            "{comma}\n      [{indent}{left},{indent}{right}\n      ]"
        )
        .with_context(place)?;
    }
    write!(file, "]}}}}").with_context(place)?;
    file.flush().with_context(place)
}

fn added_tokens(geometry: &Geometry) -> Vec<Value> {
    let entry = |id: usize, content: &str, special: bool| {
        json!({
            "id": id,
            "content": content,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": special,
        })
    };
    let mut out: Vec<Value> = (0..FIRST_ORDINARY)
        .map(|id| {
            entry(
                id,
                &low_token(id),
                CONTROL.iter().any(|(control, _)| *control == id),
            )
        })
        .collect();
    for id in geometry.added_from..geometry.vocab {
        out.push(match id - geometry.added_from {
            1 => entry(id, "<think>", false),
            2 => entry(id, "</think>", false),
            offset => entry(id, &format!("<reserved{offset}>"), true),
        });
    }
    out
}

/// The text of an id below [`FIRST_ORDINARY`].
fn low_token(id: usize) -> String {
    match CONTROL.iter().find(|(control, _)| *control == id) {
        Some((_, text)) => (*text).to_owned(),
        None => format!("<unused{id}>"),
    }
}

/// Puts `<bos>` before and `<|im_end|>` behind a text, as the original does: who
/// encodes a rendered prompt must ask for no special tokens.
fn post_processor() -> Value {
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let token = |name: &str, id: usize| json!({"id": name, "ids": [id], "tokens": [name]});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let second = json!({"Sequence": {"id": "B", "type_id": 1}});
    json!({
        "type": "TemplateProcessing",
        "single": [special("<bos>"), text, special("<|im_end|>")],
        "pair": [special("<bos>"), text, special("<|im_end|>"), second],
        "special_tokens": {
            "<bos>": token("<bos>", 2),
            "<|im_end|>": token("<|im_end|>", 106),
        },
    })
}

struct Vocabulary {
    tokens: Vec<String>,
    /// In order of rank; both parts and the result are tokens.
    merges: Vec<(String, String)>,
    ids: HashMap<String, usize>,
}

impl Vocabulary {
    /// Exactly `size` tokens.
    fn new(size: usize, seed: u64) -> Result<Self> {
        let (tokens, merges, ids) = (Vec::new(), Vec::new(), HashMap::new());
        let mut all = Self {
            tokens,
            merges,
            ids,
        };
        for id in 0..FIRST_ORDINARY {
            all.add(low_token(id));
        }
        // The single newline and space come first; their runs follow as merges.
        let mut runs = Vec::new();
        for length in 1..=LONGEST_RUN {
            runs.push("\n".repeat(length));
        }
        for length in 2..=LONGEST_RUN {
            runs.push("▁".repeat(length));
        }
        for run in runs {
            all.add(run);
        }
        for byte in 0..=255u8 {
            all.add(format!("<0x{byte:02X}>"));
        }
        let characters = characters(size);
        let pieces = size.checked_sub(all.tokens.len() + characters.len());
        let Some(pieces) = pieces else {
            bail!("a vocabulary of {size} has no room for its characters");
        };
        for character in characters {
            all.add(character.to_string());
        }
        for id in FIRST_ORDINARY..FIRST_ORDINARY + 2 * LONGEST_RUN - 1 {
            all.merge(&all.tokens[id].clone());
        }
        let target = all.tokens.len() + pieces;
        for piece in pieces_in_order(seed) {
            if all.tokens.len() == target {
                break;
            }
            if all.add(piece.clone()) {
                all.merge(&piece);
            }
        }
        if all.tokens.len() != target {
            bail!("only {} of {target} tokens could be made", all.tokens.len());
        }
        Ok(all)
    }

    fn add(&mut self, token: String) -> bool {
        let id = self.tokens.len();
        let new = !self.ids.contains_key(&token);
        if new {
            self.ids.insert(token.clone(), id);
            self.tokens.push(token);
        }
        new
    }

    /// Adds the merges that make `token` from two tokens before it.
    fn merge(&mut self, token: &str) {
        let splits = token
            .char_indices()
            .skip(1)
            .map(|(at, _)| token.split_at(at));
        let known = |(left, right): &(&str, &str)| {
            self.ids.contains_key(*left) && self.ids.contains_key(*right)
        };
        let made: Vec<(String, String)> = splits
            .filter(known)
            .take(MERGES_PER_TOKEN)
            .map(|(left, right)| (left.to_owned(), right.to_owned()))
            .collect();
        self.merges.extend(made);
    }
}

/// Every character that is a token of its own; a small vocabulary has only ASCII.
fn characters(size: usize) -> Vec<char> {
    let mut ranges = vec!['\t'..='\t', '▁'..='▁', '!'..='~'];
    if size > 10_000 {
        ranges.extend([
            '\u{a1}'..='\u{17f}',
            '\u{370}'..='\u{377}',
            '\u{386}'..='\u{52f}',
            '\u{5d0}'..='\u{5ea}',
            '\u{620}'..='\u{64a}',
            '\u{2010}'..='\u{2027}',
            '\u{2190}'..='\u{21ff}',
            '\u{2200}'..='\u{22ff}',
            '\u{2500}'..='\u{257f}',
            '\u{3041}'..='\u{3096}',
            '\u{30a1}'..='\u{30fa}',
            '\u{4e00}'..='\u{5dff}',
            '\u{ac00}'..='\u{afff}',
        ]);
    }
    ranges.into_iter().flatten().collect()
}

/// Multi-character tokens, shortest first, so that the parts of each come before
/// it: all pairs and triples of letters, words' beginnings, and then longer
/// sequences in a random order without end.
fn pieces_in_order(seed: u64) -> impl Iterator<Item = String> {
    let lower = || 'a'..='z';
    let upper = || 'A'..='Z';
    let punctuation = || "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~".chars();
    let pairs = lower().flat_map(move |a| lower().map(move |b| format!("{a}{b}")));
    let begins = lower().chain(upper()).map(|a| format!("▁{a}"));
    let capitals = upper().flat_map(move |a| lower().map(move |b| format!("{a}{b}")));
    let symbols = punctuation().flat_map(move |a| punctuation().map(move |b| format!("{a}{b}")));
    let short: Vec<String> = pairs.chain(begins).chain(capitals).chain(symbols).collect();
    let longer = |tails: &[String]| -> Vec<String> {
        let heads = lower().chain(upper());
        heads
            .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
            .collect()
    };
    let lower_pairs: Vec<String> = short[..26 * 26].to_vec();
    let triples = longer(&lower_pairs);
    let begun = |texts: &[String]| -> Vec<String> {
        let words = texts
            .iter()
            .filter(|text| text.chars().all(char::is_alphabetic));
        words.map(|text| format!("▁{text}")).collect()
    };
    let (short_begun, triples_begun) = (begun(&short), begun(&triples));
    let stream = Stream::new("tokenizer", seed);
    let random = (0..).flat_map(move |index| {
        let letter = |place: u64| (b'a' + stream.below(4 * index + place, 26) as u8) as char;
        let text: String = (0..4).map(letter).collect();
        let begun = format!("▁{text}");
        [text, begun]
    });
    short
        .into_iter()
        .chain(short_begun)
        .chain(triples)
        .chain(triples_begun)
        .chain(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_whole() {
        let size = 262_144;
        let all = Vocabulary::new(size, 1).unwrap();
        assert_eq!(all.tokens.len(), size);
        assert_eq!(all.ids.len(), size);
        assert!(
            (490_000..520_000).contains(&all.merges.len()),
            "{}",
            all.merges.len()
        );
        for (left, right) in &all.merges {
            assert!(all.ids.contains_key(&format!("{left}{right}")));
        }
        assert_eq!(all.ids["\n"], 107);
        assert_eq!(all.ids["\n\n"], 108);
        assert_eq!(all.ids["<0x00>"], 168);
    }
}
