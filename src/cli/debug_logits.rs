//! `cairn debug logits`: the logits of given tokens, for comparing the engine
//! with other implementations.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use safetensors::tensor::{Dtype, TensorView};

use super::folders;
use crate::backend::cpu::CpuOptions;
use crate::backend::{KvDtype, SkipMode};
use crate::bundle::Bundle;
use crate::model::{BackendKind, LoadOptions, load};

pub struct Options {
    pub model: PathBuf,
    pub tokens: Vec<u32>,
    /// Tokens per prefill chunk.
    pub chunk: Option<usize>,
    /// From this index on, tokens are run one at a time.
    pub decode_from: Option<usize>,
    pub kv: KvDtype,
    pub skip: SkipMode,
    pub cpu: CpuOptions,
    pub backend: BackendKind,
    pub out: PathBuf,
}

/// Writes `logits` (F32 `[tokens, vocab]`) to `options.out`.
///
/// # Errors
/// If the bundle can't be used, a token is unknown, or the file can't be written.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if options.tokens.is_empty() {
        bail!("--tokens is empty; give ids such as --tokens 1,2,3");
    }
    let bundle = Bundle::open(&options.model)?;
    let load_options = LoadOptions {
        backend: options.backend,
        cpu: options.cpu,
        kv: options.kv,
        skip: options.skip,
        chunk: options.chunk,
        cache: folders::cache(),
        ..LoadOptions::default()
    };
    let engine = load(&bundle, &load_options)?;
    let mut cache = engine.new_cache();
    let split = options
        .decode_from
        .unwrap_or(options.tokens.len())
        .min(options.tokens.len());
    let (prefill, decode) = options.tokens.split_at(split);
    let mut logits = engine.logits(&mut cache, prefill)?;
    for token in decode {
        logits.extend(engine.logits(&mut cache, &[*token])?);
    }
    write(
        &options.out,
        &logits,
        [options.tokens.len(), engine.info().vocab],
    )
}

fn write(path: &Path, logits: &[f32], shape: [usize; 2]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = logits.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes)?;
    let content = safetensors::serialize([("logits", view)], None)?;
    std::fs::write(path, content).with_context(|| format!("can't write {}", path.display()))
}
