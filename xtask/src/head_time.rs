//! `cargo xtask head-time`: milliseconds of the head in ZAYA1-8B's shape, in full
//! and screened, on flat logits and on peaked ones, sampler after sampler.

use std::time::Instant;

use anyhow::{Context, Result};
use cairn::backend::cpu::{CpuBackend, CpuOptions, HeadMode};
use cairn::backend::{Backend, SampleSpec};
use cairn::quant::{Bytes, Format, Matrix, ScaleType};
use half::f16;

use crate::synth::Stream;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 262_272)]
    vocab: usize,
    #[arg(long, default_value_t = 2048)]
    hidden: usize,
    /// Threads; 0 for one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Tokens in one step
    #[arg(long, default_value_t = 1)]
    batch: usize,
    #[arg(long, default_value_t = 9)]
    repeats: usize,
}

const GROUP: usize = 32;

pub fn run(args: &Args) -> Result<()> {
    let Args { vocab, hidden, .. } = *args;
    let matrix = head(vocab, hidden);
    let start = Instant::now();
    let backends = [HeadMode::Full, HeadMode::Screened].map(|mode| {
        let options = CpuOptions {
            threads: args.threads,
            head: mode,
            ..CpuOptions::default()
        };
        CpuBackend::new(&options)
    });
    let [full, screened] = backends;
    let (full, screened) = (
        full.context("the threads can't be started")?,
        screened.context("the threads can't be started")?,
    );
    // Either backend reads the same planes.
    let weight = screened.head(&matrix);
    println!("packed in {:.2} s", start.elapsed().as_secs_f64());
    for (name, lean) in [("flat", 0.0), ("peaked", 9.0)] {
        let hidden = activations(&matrix, args.batch, lean);
        let hidden = screened.weight(&hidden);
        let ids = screened.ids(&(0..args.batch as u32).collect::<Vec<_>>());
        let hidden = screened.embed(&hidden, &ids);
        for (sampler, spec) in samplers() {
            let specs = vec![spec; args.batch];
            let mut times = [Vec::new(), Vec::new()];
            let before = screened.head_audit().unwrap_or_default();
            for _ in 0..args.repeats {
                for (backend, times) in [&full, &screened].into_iter().zip(&mut times) {
                    // The other backend's threads go to sleep.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    let start = Instant::now();
                    backend.enter(|| backend.sample(&weight, &hidden, &specs));
                    times.push(start.elapsed().as_secs_f64() * 1e3);
                }
            }
            let after = screened.head_audit().unwrap_or_default();
            let [full, screened] = times.map(|mut times| {
                times.sort_unstable_by(f64::total_cmp);
                (times[times.len() / 2], times[0])
            });
            let tokens = after.tokens - before.tokens;
            let passes = after.full_passes - before.full_passes;
            let rows = (after.rows_computed - before.rows_computed) / (tokens - passes).max(1);
            println!(
                "{name:<7} {sampler:<8} full {:6.2} ms (best {:6.2}), screened {:6.2} ms (best {:6.2}), \
                 {rows} rows, {passes} of {tokens} in full",
                full.0, full.1, screened.0, screened.1
            );
        }
    }
    Ok(())
}

/// Random codes; rows of about unit length.
fn head(vocab: usize, hidden: usize) -> Matrix {
    let codes = Stream::new("codes", 1);
    let bytes = vocab * hidden;
    let data = (0..bytes as u64 / 8).flat_map(|i| codes.bits(i).to_le_bytes());
    let step = (12.0 / hidden as f32).sqrt() / 255.0;
    let numbers = Stream::new("scales", 1);
    let scale = |i: usize| f16::from_f32(step * (0.75 + 0.5 * numbers.signed(i as u64).abs()));
    let groups = bytes / GROUP;
    let bytes_of = |values: &mut dyn Iterator<Item = f16>| -> Vec<u8> {
        values.flat_map(|x| x.to_le_bytes()).collect()
    };
    let scales = bytes_of(&mut (0..groups).map(scale));
    let biases = bytes_of(&mut (0..groups).map(|i| f16::from_f32(-127.5 * scale(i).to_f32())));
    Matrix {
        rows: vocab,
        cols: hidden,
        data: Bytes::from_vec(data.collect()),
        format: Format::Affine {
            bits: 8,
            group: GROUP,
            scales: Bytes::from_vec(scales),
            biases: Bytes::from_vec(biases),
            dtype: ScaleType::F16,
        },
    }
}

/// Rows that give logits of deviation 3.4, one of them `lean` deviations up.
fn activations(head: &Matrix, tokens: usize, lean: f32) -> Matrix {
    let hidden = head.cols;
    let noise = Stream::new("noise", 1);
    let mut row = vec![0.0; hidden];
    let mut data = Vec::with_capacity(tokens * hidden * 4);
    for token in 0..tokens {
        head.decode_row_original(token * 65_537 % head.rows, &mut row);
        for (i, row) in row.iter().enumerate() {
            let random = noise.signed((token * hidden + i) as u64) * 3f32.sqrt();
            data.extend((3.4 * (random + lean * row)).to_le_bytes());
        }
    }
    Matrix {
        rows: tokens,
        cols: hidden,
        data: Bytes::from_vec(data),
        format: Format::F32,
    }
}

fn samplers() -> Vec<(&'static str, SampleSpec)> {
    let hot = SampleSpec {
        temperature: 1.0,
        ..SampleSpec::default()
    };
    vec![
        ("greedy", SampleSpec::default()),
        (
            "top-k 40",
            SampleSpec {
                top_k: 40,
                ..hot.clone()
            },
        ),
        (
            "min-p",
            SampleSpec {
                min_p: 0.05,
                ..hot.clone()
            },
        ),
        (
            "top-p",
            SampleSpec {
                top_p: 0.95,
                ..hot.clone()
            },
        ),
        ("plain", hot),
    ]
}
