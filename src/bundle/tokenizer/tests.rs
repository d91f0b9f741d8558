//! Files taken apart, encodings, bytes of tokens and what is a control token.

use serde_json::{Value, json};

use super::*;

fn added(id: u32, content: &str, special: bool) -> Value {
    json!({"id": id, "content": content, "special": special, "normalized": false})
}

/// The shape of Gemma's tokenizer: spaces as `▁`, bytes as a fallback.
fn gemma() -> Value {
    let mut vocab = serde_json::Map::new();
    let special = ["<pad>", "<eos>", "<bos>", "<unk>"];
    let bytes = (0..=255).map(|b| format!("<0x{b:02X}>"));
    let pieces = ["▁", "a", "b", "ab", "▁ab", "\n", "▁▁", "é"].map(str::to_owned);
    for token in special
        .map(str::to_owned)
        .into_iter()
        .chain(bytes)
        .chain(pieces)
    {
        let id = vocab.len();
        vocab.insert(token, id.into());
    }
    let think = vocab.len() as u32;
    json!({
        "version": "1.0",
        "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": null,
        "added_tokens": [
            added(0, "<pad>", true), added(2, "<bos>", true), added(265, "\n", false),
            added(266, "▁▁", false), added(think, "<think>", false), added(think + 1, "</think>", false),
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false},
        "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
        ]},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "ignore_merges": false, "vocab": vocab, "merges": ["a b", "▁ ab", "▁ ▁"],
        },
    })
}

fn open(json: &Value) -> Tokenizer {
    Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
}

fn decoded(t: &Tokenizer, ids: &[u32]) -> Vec<u8> {
    ids.iter()
        .flat_map(|id| t.token_bytes(*id).unwrap())
        .copied()
        .collect()
}

#[test]
fn gemma_text_survives_a_round_trip() {
    let t = open(&gemma());
    for text in [
        "ab ab",
        "  ab\n\nab",
        "é ü 你 \u{1f600}",
        "<think>\nab</think>",
        "",
    ] {
        let ids = t.encode(text);
        assert_eq!(decoded(&t, &ids), text.as_bytes(), "{ids:?}");
    }
    // Truncation settings of the file don't apply, and nothing is added.
    assert_eq!(t.encode("ab ab<bos>"), [263, 264, 2]);
    assert_eq!(t.encode("ü"), [4 + 0xc3, 4 + 0xbc]);
    assert_eq!(t.token_bytes(4 + 0xc3), Some(&[0xc3][..]));
}

#[test]
fn merges_may_be_pairs_or_texts() {
    let texts = gemma();
    let mut pairs = texts.clone();
    pairs["model"]["merges"] = json!([["a", "b"], ["▁", "ab"], ["▁", "▁"]]);
    let mut versioned = texts.clone();
    versioned["model"]["merges"] = json!(["#version: 0.2", "a b", "▁ ab", "▁ ▁"]);
    for other in [pairs, versioned] {
        assert_eq!(
            open(&texts).encode("ab ab  b"),
            open(&other).encode("ab ab  b")
        );
    }
}

#[test]
fn the_library_reads_the_same_file_alike() {
    let mut json = gemma();
    json["truncation"] = Value::Null;
    // Its reader wants every field of an added token.
    for token in json["added_tokens"].as_array_mut().unwrap() {
        for field in ["single_word", "lstrip", "rstrip"] {
            token[field] = json!(false);
        }
    }
    let text = json.to_string();
    let theirs = tokenizers::Tokenizer::from_bytes(text.as_bytes()).unwrap();
    let ours = Tokenizer::from_json(text.as_bytes()).unwrap();
    for text in ["ab ab", " a b  ab\nü<bos><think>x</think>", "你好 ab"] {
        let expected = theirs.encode(text, false).unwrap();
        assert_eq!(ours.encode(text), expected.get_ids());
    }
    assert_eq!(ours.vocab_size(), theirs.get_vocab_size(true));
}

#[test]
fn control_tokens_are_special_ones_and_markers() {
    let t = open(&gemma());
    let control: Vec<(u32, &str)> = t
        .control_tokens()
        .iter()
        .map(|c| (c.id, c.text.as_str()))
        .collect();
    assert_eq!(
        control,
        [
            (0, "<pad>"),
            (1, "<eos>"),
            (2, "<bos>"),
            (268, "<think>"),
            (269, "</think>")
        ]
    );
    assert!(t.is_control(268) && !t.is_control(265) && !t.is_control(4_000_000));
    assert_eq!((t.id_of("</think>"), t.id_of("<tools>")), (Some(269), None));
    assert_eq!(t.vocab_size(), 270);
    assert_eq!(t.token_bytes(270), None);
}

#[test]
fn added_tokens_keep_the_ids_they_claim() {
    let mut json = gemma();
    json["added_tokens"]
        .as_array_mut()
        .unwrap()
        .push(added(300, "<tools>", false));
    let t = open(&json);
    assert_eq!(t.encode("ab<tools>ab"), [263, 300, 263]);
    assert_eq!((t.vocab_size(), t.token_bytes(290)), (301, None));
}

fn refusal(change: impl Fn(&mut Value)) -> String {
    let mut json = gemma();
    change(&mut json);
    Tokenizer::from_json(json.to_string().as_bytes())
        .err()
        .unwrap()
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let add = |token: Value| {
        move |json: &mut Value| {
            json["added_tokens"]
                .as_array_mut()
                .unwrap()
                .push(token.clone())
        }
    };
    assert_eq!(
        refusal(add(added(5, "<tools>", false))),
        "two of its tokens have id 5"
    );
    assert_eq!(
        refusal(add(added(999, "ab", false))),
        "its added token ab has another id than 999"
    );
    assert_eq!(
        refusal(add(added(999, "", false))),
        "its added token 999 is empty"
    );
    assert_eq!(
        refusal(|j| j["model"]["vocab"]["x"] = json!(1)),
        "two of its tokens have id 1"
    );
    assert_eq!(
        refusal(|j| j["model"]["vocab"]["x"] = json!(u32::MAX)),
        "its ids go up to 4294967295, with 271 tokens"
    );
    assert_eq!(
        refusal(|j| j["model"]["unk_token"] = json!("<no>")),
        "its unk_token <no> is not a token"
    );
    assert_eq!(
        refusal(|j| j["model"]["continuing_subword_prefix"] = json!("##")),
        "its model has a continuing_subword_prefix, which is not supported"
    );
    assert!(
        refusal(|j| j["normalizer"] = json!({"type": "?"}))
            .starts_with("its normalizer is not understood")
    );
    assert!(
        refusal(|j| j["model"]["merges"] = json!(["abc"]))
            .starts_with("a merge is not of two tokens")
    );
}
