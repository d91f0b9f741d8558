//! Opening a bundle, step by step: configuration, weights beside tokenizer,
//! sidecar, numbers, and what follows from all of it.

use std::sync::Arc;

use super::error::{CONVERT_AGAIN, DOWNLOAD_AGAIN, Error, shown};
use super::index::Index;
use super::json::{self, Object};
use super::reader::Reader;
use super::storage::Storage;
use super::{
    Bundle, Family, Glance, Persona, ThinkingSupport, Tokenizer, fingerprint, report, scan,
    sidecar, template, zaya,
};

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_LIMIT: usize = 512 << 20;
/// `jang_config.json` and the names that older converters gave it.
const JANG: [&str; 4] = [
    "jang_config.json",
    "jjqf_config.json",
    "jang_cfg.json",
    "mxq_config.json",
];
const DEFAULT_SEED: usize = 42;
/// More positions than any model has; keeps arithmetic on them safe.
const CONTEXT_LIMIT: usize = 1 << 24;

pub(super) fn open(name: String, storage: &Storage) -> Result<Bundle, Error> {
    let config_bytes = storage.require("config.json", "the model's configuration", json::LIMIT)?;
    let config = Object::parse("config.json", &config_bytes)?;
    check_family(&config)?;
    let jang = Object::read(storage, &JANG)?.unwrap_or_else(|| Object::empty(JANG[0]));
    let generation = "generation_config.json";
    let generation =
        Object::read(storage, &[generation])?.unwrap_or_else(|| Object::empty(generation));
    let tokenizer_bytes = storage.require(TOKENIZER, "the model's tokenizer", TOKENIZER_LIMIT)?;

    // Both take a second or so of work for a large bundle.
    let (weights, tokenizer) = std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| Tokenizer::from_json(&tokenizer_bytes));
        let weights = weights(storage, &config, &jang, Depth::Contents);
        (weights, tokenizer.join())
    });
    let Weights {
        index,
        tensors,
        layout,
        mut warnings,
    } = weights?;
    let tokenizer = tokenizer
        .unwrap_or_else(|_| Err("its parser broke".to_owned()))
        .map_err(|e| Error::file(TOKENIZER, format!("can't be used ({e})"), DOWNLOAD_AGAIN))?;

    let template = template::find(storage)?;
    let (template, template_source) = template.unzip();
    if template.is_none() {
        warnings.push("there is no chat template: a built-in one is used".to_owned());
    }
    let vocab = tensors.config.vocab;
    if tokenizer.vocab_size() > vocab {
        let problem = format!(
            "has ids up to {}, but the embedding has only {vocab} rows",
            tokenizer.vocab_size() - 1
        );
        let remedy = "use the tokenizer that belongs to these weights";
        return Err(Error::file(TOKENIZER, problem, remedy));
    }
    let tools = has_all(&tokenizer, &["<zyphra_tool_call>", "</zyphra_tool_call>"]);
    if !tools {
        warnings.push(format!("{TOKENIZER} lacks the tool markers: no tools"));
    }
    let thinking = thinking(&tokenizer, template.as_deref(), &tensors);
    if thinking == ThinkingSupport::None {
        warnings.push(format!(
            "{TOKENIZER} or the template lacks the think markers: no thinking"
        ));
    }
    if !has_all(&tokenizer, &["<|im_start|>", "<|im_end|>"]) {
        warnings.push(format!(
            "{TOKENIZER} lacks the turn markers: the model can't hold a conversation"
        ));
    }
    let stop_ids = stop_ids(&tokenizer, &config, &generation, vocab, &mut warnings);
    let persona = persona(&jang)?;
    let context = context(&config, persona.as_ref(), &mut warnings)?;
    let reachable = tensors.layers_with_reachable_skip();
    if !reachable.is_empty() {
        let layers = reachable.len();
        let of = tensors.layers.len();
        warnings.push(format!(
            "the skip route is reachable in {layers} of {of} layers"
        ));
    }
    warnings.extend(memory_warning(index.bytes(), available_memory()));

    let jang_bytes = storage.open(&jang.file)?;
    let fingerprint = fingerprint::compute(
        &index,
        &[
            Some(&config_bytes),
            jang_bytes.as_deref(),
            Some(&tokenizer_bytes),
        ],
    );
    Ok(Bundle {
        name,
        model: Family::Zaya(Box::new(tensors)),
        layout,
        tokenizer: Arc::new(tokenizer),
        template,
        template_source,
        stop_ids,
        context,
        thinking,
        tools,
        persona,
        fingerprint,
        bytes: index.bytes(),
        warnings,
    })
}

/// What can be said of a bundle without reading what its files hold.
pub(super) fn glance(storage: &Storage) -> Result<Glance, Error> {
    let config_bytes = storage.require("config.json", "the model's configuration", json::LIMIT)?;
    let config = Object::parse("config.json", &config_bytes)?;
    check_family(&config)?;
    let jang = Object::read(storage, &JANG)?.unwrap_or_else(|| Object::empty(JANG[0]));
    storage.require(TOKENIZER, "the model's tokenizer", TOKENIZER_LIMIT)?;
    let Weights { index, tensors, .. } = weights(storage, &config, &jang, Depth::Headers)?;
    let persona = persona(&jang)?;
    let zaya::Config {
        layers,
        kv_heads,
        head_dim,
        ..
    } = tensors.config;
    // Keys and values, 16 bits each.
    let kv = [layers, kv_heads, head_dim, 2, 2];
    Ok(Glance {
        format: report::format_name(&tensors),
        bytes: index.bytes(),
        context: context(&config, persona.as_ref(), &mut Vec::new())?,
        kv_bytes: kv.iter().fold(1, |all, one| all * *one as u64),
    })
}

/// How much of the weights is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Names, shapes, and the small vectors.
    Headers,
    /// Every number that has to be finite, too.
    Contents,
}

struct Weights {
    index: Index,
    tensors: zaya::Tensors,
    layout: zaya::Layout,
    warnings: Vec<String>,
}

fn weights(
    storage: &Storage,
    config: &Object,
    jang: &Object,
    depth: Depth,
) -> Result<Weights, Error> {
    let mut index = Index::open(storage)?;
    let mut warnings = std::mem::take(&mut index.warnings);
    let key = &["mxtq_seed"];
    let seed = match jang.count(key)? {
        Some(seed) => Some(seed),
        None => config.count(key)?,
    };
    let seed = seed.unwrap_or(DEFAULT_SEED) as u64;
    let mut reader = Reader::new(&index, seed, zaya::canonical)?;
    let loaded = zaya::load(&mut reader, &index, config, &mut warnings)?;
    zaya::leftovers(&reader, &mut warnings);
    if depth == Depth::Contents {
        sidecar::compare(storage, reader.tables(), seed)?;
        scan::run(&reader.checks)?;
    }
    Ok(Weights {
        tensors: loaded.tensors,
        layout: loaded.layout,
        index,
        warnings,
    })
}

/// Refuses models of other families, by `model_type` or, without one, by the
/// name of the architecture.
fn check_family(config: &Object) -> Result<(), Error> {
    let refuse = |problem: String| {
        let remedy =
            "use a zaya bundle: the only family known so far (deepseek_v4 and zaya1_vl will come)";
        Err(Error::file(&config.file, problem, remedy))
    };
    if let Some(value) = config.get(&["model_type"]) {
        return match value.as_str() {
            Some("zaya") => Ok(()),
            Some(other) => refuse(format!("model_type {} is not known", shown(other))),
            None => refuse("model_type is not a text".to_owned()),
        };
    }
    let architecture = config
        .get(&["architectures"])
        .and_then(|list| list.get(0)?.as_str());
    match architecture {
        Some("ZayaForCausalLM") => Ok(()),
        Some(other) => refuse(format!("architecture {} is not known", shown(other))),
        None => refuse("model_type is missing".to_owned()),
    }
}

fn has_all(tokenizer: &Tokenizer, markers: &[&str]) -> bool {
    markers.iter().all(|m| tokenizer.id_of(m).is_some())
}

fn thinking(
    tokenizer: &Tokenizer,
    template: Option<&str>,
    tensors: &zaya::Tensors,
) -> ThinkingSupport {
    // The built-in template knows thinking; a bundle's own may not.
    let template = template.is_none_or(|t| t.contains("think"));
    if !template || !has_all(tokenizer, &["<think>", "</think>"]) {
        ThinkingSupport::None
    } else if tensors.experts_have_at_most_2_bits() {
        ThinkingSupport::Optional
    } else {
        ThinkingSupport::Default
    }
}

fn stop_ids(
    tokenizer: &Tokenizer,
    config: &Object,
    generation: &Object,
    vocab: usize,
    warnings: &mut Vec<String>,
) -> Vec<u32> {
    let mut ids = config.ids("eos_token_id");
    // The published file names a token that the model never emits; the union
    // is what stops.
    ids.extend(generation.ids("eos_token_id"));
    ids.extend(tokenizer.id_of("<|im_end|>"));
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| (*id as usize) < vocab);
    if ids.is_empty() {
        warnings.push("no token ends a generation: only the token limit does".to_owned());
    }
    ids
}

fn context(
    config: &Object,
    persona: Option<&Persona>,
    warnings: &mut Vec<String>,
) -> Result<usize, Error> {
    let key = "max_position_embeddings";
    let context = match config.count(&[key])? {
        Some(n) if (1..=CONTEXT_LIMIT).contains(&n) => n,
        Some(n) => {
            let problem = format!("{key} = {n} is out of range");
            return Err(Error::file(&config.file, problem, CONVERT_AGAIN));
        }
        None => {
            warnings.push(format!("config.json has no {key}: 4096 is assumed"));
            4096
        }
    };
    Ok(persona.map_or(context, |p| context.min(p.context)))
}

fn persona(jang: &Object) -> Result<Option<Persona>, Error> {
    let Some(value) = jang.get(&["cairn"]) else {
        return Ok(None);
    };
    let problem = match serde_json::from_value::<Persona>(value.clone()) {
        Ok(persona) if persona.context > 0 && persona.max_tokens > 0 => return Ok(Some(persona)),
        Ok(_) => "key cairn has a limit of 0 tokens".to_owned(),
        Err(e) => format!("key cairn is not understood ({e})"),
    };
    Err(Error::file(&jang.file, problem, CONVERT_AGAIN))
}

/// A bundle that doesn't fit into memory works from disk, slowly.
fn memory_warning(bytes: u64, free: Option<u64>) -> Option<String> {
    let free = free.filter(|free| bytes > *free)?;
    let gb = |n: u64| n as f64 / 1e9;
    Some(format!(
        "the weights are {:.1} GB but only {:.1} GB of memory are free: expect it to be slow",
        gb(bytes),
        gb(free)
    ))
}

/// Bytes that can be had without swapping, where the system says so.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_beyond_free_memory_are_a_warning() {
        let line = memory_warning(3_600_000_000, Some(2_000_000_000)).unwrap();
        assert_eq!(
            line,
            "the weights are 3.6 GB but only 2.0 GB of memory are free: expect it to be slow"
        );
        assert_eq!(memory_warning(1, Some(1)), None);
        assert_eq!(memory_warning(u64::MAX, None), None);
    }
}
