//! `cargo xtask synth-bundle`: a bundle of random weights in a model's real
//! shapes, names and JSON, for measuring what no small bundle can show: opening
//! time, memory, speed. Weights are scaled so that activations stay finite and
//! tokens spread over the experts. The same seed gives the same bytes.

mod geometry;
mod metadata;
mod random;
mod shards;
mod tensors;
mod tokenizer;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::jang::Profile;
use geometry::Geometry;

#[derive(clap::Args)]
pub struct Args {
    preset: Preset,
    format: Profile,
    /// Folder to write; must be empty or not there
    out: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The shapes of ZAYA1-8B
    #[value(name = "zaya1-8b")]
    Zaya1_8b,
    /// A few hundred kilobytes with the same structure
    Tiny,
}

pub fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let geometry = Geometry::of(args.preset);
    let out = &args.out;
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut entries = std::fs::read_dir(out).with_context(|| out.display().to_string())?;
    if entries.next().is_some() {
        bail!("{}: not empty; name a new folder", out.display());
    }
    let tensors = tensors::inventory(&geometry, args.format);
    let shards = shards::write(out, &tensors, geometry.shard_bytes, args.seed)?;
    metadata::write(out, &geometry, args.format, &tensors, &shards)?;
    tokenizer::write(out, &geometry, args.seed)?;
    println!(
        "{}: {} tensors, {:.2} GB in {} shards, {} tokens; {:.1} s",
        out.display(),
        tensors.len(),
        shards.total_size() as f64 / 1e9,
        shards.files.len(),
        geometry.vocab,
        start.elapsed().as_secs_f64(),
    );
    Ok(())
}
