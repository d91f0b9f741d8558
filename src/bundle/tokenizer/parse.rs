//! `tokenizer.json` taken apart. The vocabulary and the merges, nearly all of
//! the file, are streamed into the model; the small parts go through the
//! `tokenizers` crate's own types.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper, TokenizerImpl,
};

use super::{Inner, pattern};
use crate::bundle::error::{one_line, shown};
use crate::bundle::json;

/// Normalizer, pre-tokenizer, decoder: a few hundred bytes in practice.
const PART_LIMIT: usize = 256 << 10;

/// The parts of a tokenizer file that matter for inference.
pub(super) struct Parts {
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    pub(super) decoder: Decoder,
    pub(super) added: Vec<Added>,
    pub(super) vocab: Vocab,
    merges: Merges,
    settings: Settings,
}

/// An entry of `added_tokens`.
#[derive(Deserialize)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    pub(super) special: bool,
}

/// What turns the texts of tokens into bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decoder {
    /// Every character stands for a byte.
    pub(super) byte_level: bool,
    /// `▁` stands for a space.
    pub(super) underline_is_space: bool,
    /// `<0x0A>` stands for that byte.
    pub(super) byte_fallback: bool,
}

/// The scalars of the BPE model.
#[derive(Default)]
struct Settings {
    unk_token: Option<String>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
}

pub(super) fn tokenizer(json: &[u8]) -> Result<Parts, String> {
    let top = Members::of(json)?;
    let model = Members::of(top.get("model").ok_or("it has no model")?)?;
    let kind: Option<String> = model.small("type")?;
    // Old files leave the type out where it is BPE.
    if let Some(kind) = kind.filter(|k| k != "BPE") {
        return Err(format!("its model is {}, only BPE is known", shown(&kind)));
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if model.small::<String>(key)?.is_some_and(|s| !s.is_empty()) {
            return Err(format!("its model has a {key}, which is not supported"));
        }
    }
    let settings = Settings {
        unk_token: model.small("unk_token")?,
        fuse_unk: model.small("fuse_unk")?.unwrap_or(false),
        byte_fallback: model.small("byte_fallback")?.unwrap_or(false),
        ignore_merges: model.small("ignore_merges")?.unwrap_or(false),
    };
    let Entries(mut vocab) = large(model.get("vocab").ok_or("its model has no vocab")?)?;
    let Pairs(merges) = large(model.get("merges").ok_or("its model has no merges")?)?;
    // The crate panics on a merge that is longer than any token.
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    if let Some((a, b)) = merges.iter().find(|(a, b)| a.len() + b.len() > longest) {
        let (a, b) = (shown(a), shown(b));
        return Err(format!("its merge of {a} and {b} is not a token"));
    }
    let added: Vec<Added> = match top.get("added_tokens") {
        Some(json) if json != b"null" => large(json)?,
        _ => Vec::new(),
    };
    claim_ids(&mut vocab, &added)?;
    if let Some(unk) = &settings.unk_token
        && !vocab.contains_key(unk)
    {
        return Err(format!("its unk_token {} is not a token", shown(unk)));
    }
    let mut patterns = Vec::new();
    for key in ["normalizer", "pre_tokenizer"] {
        patterns.extend(top.value(key)?);
    }
    pattern::check(&patterns)?;
    let decoder = Decoder::read(&top, settings.byte_fallback)?;
    Ok(Parts {
        normalizer: top.small("normalizer")?,
        pre_tokenizer: top.small("pre_tokenizer")?,
        decoder,
        added,
        vocab,
        merges,
        settings,
    })
}

/// Gives added tokens that the vocabulary lacks their ids there: the crate
/// would number them by itself.
fn claim_ids(vocab: &mut Vocab, added: &[Added]) -> Result<(), String> {
    let mut by_id: HashMap<u32, &str> = HashMap::with_capacity(added.len());
    for token in added {
        if token.content.is_empty() {
            return Err(format!("its added token {} is empty", token.id));
        }
        let id = *vocab.entry(token.content.clone()).or_insert(token.id);
        let other = by_id.insert(id, &token.content);
        if id != token.id || other.is_some_and(|text| text != token.content) {
            let text = shown(&token.content);
            return Err(format!(
                "its added token {text} has another id than {}",
                token.id
            ));
        }
    }
    Ok(())
}

impl Parts {
    pub(super) fn build(self) -> Result<Inner, String> {
        let Settings {
            unk_token,
            fuse_unk,
            byte_fallback,
            ignore_merges,
        } = self.settings;
        let mut bpe = BPE::builder()
            .vocab_and_merges(self.vocab, self.merges)
            .fuse_unk(fuse_unk)
            .byte_fallback(byte_fallback)
            .ignore_merges(ignore_merges);
        if let Some(unk) = unk_token {
            bpe = bpe.unk_token(unk);
        }
        let text = |e: tokenizers::Error| one_line(&e.to_string());
        let mut inner: Inner = TokenizerImpl::new(bpe.build().map_err(text)?);
        inner.with_normalizer(self.normalizer).map_err(text)?;
        inner.with_pre_tokenizer(self.pre_tokenizer);
        inner.with_decoder(None::<DecoderWrapper>);
        let added = self.added.into_iter().map(|token| {
            AddedToken::from(token.content, token.special)
                .single_word(token.single_word)
                .lstrip(token.lstrip)
                .rstrip(token.rstrip)
                .normalized(token.normalized)
        });
        inner.add_tokens(added).map_err(text)?;
        Ok(inner)
    }
}

impl Decoder {
    fn read(top: &Members<'_>, byte_fallback: bool) -> Result<Self, String> {
        let mut decoder = Self {
            byte_fallback,
            ..Self::default()
        };
        for key in ["decoder", "pre_tokenizer"] {
            if let Some(part) = top.value(key)? {
                decoder.visit(&part, key == "decoder", 0);
            }
        }
        Ok(decoder)
    }

    fn visit(&mut self, part: &Value, decodes: bool, depth: usize) {
        let kind = part.get("type").and_then(Value::as_str);
        match kind {
            Some("ByteLevel") => self.byte_level = true,
            Some("Metaspace") => self.underline_is_space = true,
            Some("ByteFallback") if decodes => self.byte_fallback = true,
            Some("Replace") if decodes => {
                let from = part.pointer("/pattern/String").and_then(Value::as_str);
                let to = part.get("content").and_then(Value::as_str);
                self.underline_is_space |= from == Some("▁") && to == Some(" ");
            }
            Some("Sequence") if depth < 8 => {
                let parts = ["decoders", "pretokenizers"]
                    .iter()
                    .filter_map(|key| part.get(key)?.as_array())
                    .flatten();
                for part in parts {
                    self.visit(part, decodes, depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// The members of a JSON object as ranges of its text, found without parsing
/// their values.
struct Members<'a>(Vec<(String, &'a [u8])>);

impl<'a> Members<'a> {
    fn of(json: &'a [u8]) -> Result<Self, String> {
        let mut scanner = Scanner { json, at: 0 };
        scanner.expect(b'{')?;
        let mut members = Vec::new();
        if scanner.peek() != Some(b'}') {
            loop {
                scanner.space();
                let key = scanner.value()?;
                let key: String = serde_json::from_slice(&json[key]).map_err(|e| error(&e))?;
                scanner.expect(b':')?;
                scanner.space();
                let value = scanner.value()?;
                members.push((key, &json[value]));
                if members.len() > 64 {
                    return Err("it has too many keys".to_owned());
                }
                match scanner.peek() {
                    Some(b',') => scanner.at += 1,
                    Some(b'}') => break,
                    _ => return Err(scanner.unexpected()),
                }
            }
        }
        scanner.at += 1;
        match scanner.peek() {
            None => Ok(Self(members)),
            Some(_) => Err(scanner.unexpected()),
        }
    }

    fn get(&self, key: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| *v)
    }

    /// A small member; `None` if it is absent or null.
    fn value(&self, key: &str) -> Result<Option<Value>, String> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        if text.len() > PART_LIMIT {
            return Err(format!("its {key} is too long"));
        }
        let value = json::parse(text).map_err(|e| format!("its {key}: {}", one_line(&e)))?;
        Ok(Some(value).filter(|v| !v.is_null()))
    }

    fn small<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, String> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let parsed = serde_json::from_value(value);
        parsed
            .map(Some)
            .map_err(|e| format!("its {key} is not understood ({})", error(&e)))
    }
}

fn large<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|e| error(&e))
}

fn error(e: &serde_json::Error) -> String {
    one_line(&e.to_string())
}

struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn space(&mut self) {
        while matches!(self.json.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.json.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected(&self) -> String {
        match self.json.get(self.at) {
            Some(_) => format!("it is not valid JSON at byte {}", self.at),
            None => "it is truncated".to_owned(),
        }
    }

    /// Steps over one value. Whether it is valid inside is for its parser.
    fn value(&mut self) -> Result<Range<usize>, String> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.json.get(self.at) {
                None => return Err(self.unexpected()),
                Some(b'"') => self.string()?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    if depth == 0 {
                        break;
                    }
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth == 0 => break,
                Some(_) => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
        }
        if self.at == start {
            return Err(self.unexpected());
        }
        Ok(start..self.at)
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.json.get(self.at) {
                None => return Err(self.unexpected()),
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }
}

/// The vocabulary: text to id.
struct Entries(Vocab);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary: an object from text to id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut vocab = Vocab::new();
                while let Some((text, id)) = map.next_entry::<String, u32>()? {
                    if vocab.insert(text, id).is_some() {
                        return Err(A::Error::custom(format!("token {id} is there twice")));
                    }
                }
                Ok(Entries(vocab))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// The merges, as `"a b"` or as `["a", "b"]`.
struct Pairs(Merges);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of merges")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pairs, A::Error> {
                let mut merges = Merges::new();
                while let Some(Pair(pair)) = seq.next_element()? {
                    merges.extend(pair);
                }
                Ok(Pairs(merges))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// One merge; `None` for the version comment that old lists start with.
struct Pair(Option<(String, String)>);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Pair;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge of two tokens")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pair, E> {
                if text.starts_with("#version") {
                    return Ok(Pair(None));
                }
                match text.split_once(' ') {
                    Some((a, b)) if !b.contains(' ') => {
                        Ok(Pair(Some((a.to_owned(), b.to_owned()))))
                    }
                    _ => Err(E::custom("a merge is not of two tokens")),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pair, A::Error> {
                let pair = seq.next_element()?.zip(seq.next_element()?);
                if pair.is_none() || seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom("a merge is not of two tokens"));
                }
                Ok(Pair(pair))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
