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

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::jang::Profile;
use geometry::Geometry;
pub use random::Stream;

#[derive(clap::Args)]
pub struct Args {
    preset: Preset,
    format: Profile,
    /// Folder to write; must be empty or not there
    out: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Logits spread like a trained model's: a standard deviation of 3.4, the
    /// largest about 9 of them above the mean, as measured on the demo model.
    /// The final norm is scaled for the one; for the other the token's own
    /// embedding, which is the head's row too, gets a larger share of the
    /// residual stream. Without this it is 2, and 4.5 to 5.5.
    #[arg(long)]
    peaked: bool,
}

/// How the logits of a bundle are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    Flat,
    Peaked,
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
    let logits = match args.peaked {
        true => Logits::Peaked,
        false => Logits::Flat,
    };
    write(args.preset, args.format, logits, &args.out, args.seed)
}

/// Writes a bundle into the empty or missing folder `out`.
pub fn write(
    preset: Preset,
    profile: Profile,
    logits: Logits,
    out: &Path,
    seed: u64,
) -> Result<()> {
    let start = Instant::now();
    let geometry = Geometry::of(preset).with(logits);
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut entries = std::fs::read_dir(out).with_context(|| out.display().to_string())?;
    if entries.next().is_some() {
        bail!("{}: not empty; name a new folder", out.display());
    }
    let tensors = tensors::inventory(&geometry, profile);
    let shards = shards::write(out, &tensors, geometry.shard_bytes, seed)?;
    metadata::write(out, &geometry, profile, &tensors, &shards)?;
    tokenizer::write(out, &geometry, seed)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use cairn::bundle::Bundle;

    #[test]
    fn every_tiny_bundle_opens() {
        for profile in Profile::value_variants() {
            let folder = tempfile::tempdir().unwrap();
            write(Preset::Tiny, *profile, Logits::Flat, folder.path(), 7).unwrap();
            let bundle = Bundle::open(folder.path()).unwrap();
            assert_eq!(bundle.warnings, Vec::<String>::new(), "{profile:?}");
            assert!(bundle.stop_ids.contains(&106));
            assert!(bundle.tools);
            let text = "fn main() {}\n\n  ünï <think>";
            let ids = bundle.tokenizer.encode(text);
            let bytes = ids
                .iter()
                .flat_map(|id| bundle.tokenizer.token_bytes(*id).unwrap());
            assert_eq!(String::from_utf8(bytes.copied().collect()).unwrap(), text);
        }
    }

    #[test]
    fn the_seed_decides_every_byte() {
        let shard = |seed| {
            let folder = tempfile::tempdir().unwrap();
            write(
                Preset::Tiny,
                Profile::JangtqK,
                Logits::Peaked,
                folder.path(),
                seed,
            )
            .unwrap();
            std::fs::read(folder.path().join("model-00001-of-00003.safetensors")).unwrap()
        };
        assert!(shard(1) == shard(1));
        assert!(shard(1) != shard(2));
    }
}
