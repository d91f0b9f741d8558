//! `cargo xtask head-audit`: the screened head against the full one, on heads of
//! small vocabularies and activations of every kind, sampler after sampler. A
//! miss is an id or an alternative that screening got wrong, a top-p total that
//! is off, or an estimate outside its margin.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cairn::backend::cpu::{CpuBackend, CpuOptions, HeadMode};
use cairn::backend::{Backend, HeadAudit, SampleSpec, TokenMask, uniform};
use cairn::quant::{Bytes, Format, Matrix, encode_affine};

#[derive(clap::Args)]
pub struct Args {
    /// Tokens to sample
    #[arg(long, default_value_t = 1_000_000)]
    pub tokens: usize,
    /// Rows of most tokens' head
    #[arg(long, default_value_t = 4096)]
    pub vocab: usize,
    /// Columns of most tokens' head
    #[arg(long, default_value_t = 256)]
    pub hidden: usize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Threads; 0 for one per core
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            tokens: 1_000_000,
            vocab: 4096,
            hidden: 256,
            seed: 1,
            threads: 0,
        }
    }
}

/// Larger heads and one in how many tokens each gets.
const LARGER: [(usize, usize, usize); 2] = [(16_384, 512, 50), (32_768, 2048, 1000)];

/// Deviations by which one row's logit stands out, and of the logits themselves.
/// The demo model's are at about 9 and 3.4; random weights' at 0 and 1 to 2.
const LEANS: [f32; 6] = [0.0, 9.0, 3.0, 12.0, 6.0, 20.0];
const SPREADS: [f32; 3] = [3.4, 1.0, 2.0];

/// Activations made at a time, and sampled at a time.
const MADE: usize = 512;
const BATCH: usize = 8;

pub fn run(args: &Args) -> Result<()> {
    println!("{}", measure(args)?);
    Ok(())
}

/// Audits, and fails at any miss.
///
/// # Errors
/// If there is one, or the threads can't be started.
pub fn measure(args: &Args) -> Result<String> {
    let mut shapes = vec![(args.vocab, args.hidden, args.tokens)];
    for (vocab, hidden, share) in LARGER {
        let tokens = args.tokens / share;
        shapes[0].2 -= tokens;
        shapes.push((vocab, hidden, tokens));
    }
    let (mut all, mut text) = (HeadAudit::default(), String::new());
    for (vocab, hidden, tokens) in shapes {
        let table = audit(args, vocab, hidden, tokens)?;
        writeln!(text, "{vocab} x {hidden}:")?;
        for (name, counts) in &table {
            let screened = counts.tokens - counts.full_passes;
            writeln!(
                text,
                "  {name:<18} {:>8} tokens, {} misses, {:>7} in full, {:>7.1} rows each of the others",
                counts.tokens,
                counts.misses,
                counts.full_passes,
                counts.rows_computed as f64 / screened.max(1) as f64,
            )?;
            add(&mut all, counts);
        }
    }
    let compared: u64 = all.errors.iter().sum();
    let worst = all.errors.iter().rposition(|n| *n > 0).map_or(0, |i| i + 1);
    write!(text, "errors in deviations:")?;
    for (i, n) in all.errors.iter().enumerate().take(worst) {
        write!(text, " {i}-{}: {:.2e}", i + 1, *n as f64 / compared as f64)?;
    }
    writeln!(text)?;
    write!(
        text,
        "{} tokens audited, {} misses; {compared} estimates, none {worst} deviations off",
        all.audited, all.misses
    )?;
    ensure!(all.misses == 0, "the screened head missed:\n{text}");
    Ok(text)
}

fn add(all: &mut HeadAudit, more: &HeadAudit) {
    all.tokens += more.tokens;
    all.full_passes += more.full_passes;
    all.rows_computed += more.rows_computed;
    all.audited += more.audited;
    all.misses += more.misses;
    for (all, more) in all.errors.iter_mut().zip(more.errors) {
        *all += more;
    }
}

/// What happened between two counts.
fn since(before: &HeadAudit, after: &HeadAudit) -> HeadAudit {
    HeadAudit {
        tokens: after.tokens - before.tokens,
        full_passes: after.full_passes - before.full_passes,
        rows_computed: after.rows_computed - before.rows_computed,
        audited: after.audited - before.audited,
        misses: after.misses - before.misses,
        errors: std::array::from_fn(|i| after.errors[i] - before.errors[i]),
    }
}

type Table = Vec<(&'static str, HeadAudit)>;

fn audit(args: &Args, vocab: usize, hidden: usize, tokens: usize) -> Result<Table> {
    let backend = CpuBackend::new(&CpuOptions {
        threads: args.threads,
        head: HeadMode::Audit,
        ..CpuOptions::default()
    })
    .context("the threads can't be started")?;
    let rows = normal(args.seed, vocab * hidden);
    let head = backend.head(&encode_affine(&rows, vocab, hidden, 8, 32).into_matrix());
    let samplers = samplers(vocab);
    let mut table: Table = samplers
        .iter()
        .map(|(name, _)| (*name, HeadAudit::default()))
        .collect();
    let (mut done, mut turn) = (0, 0);
    let mut before = HeadAudit::default();
    while done < tokens {
        let made = MADE.min(tokens - done);
        let activations = activations(args.seed, done, made, &rows, hidden);
        let activations = backend.weight(&activations);
        for first in (0..made).step_by(BATCH) {
            let ids: Vec<u32> = (first..made.min(first + BATCH)).map(|i| i as u32).collect();
            let which = turn % samplers.len();
            let specs: Vec<SampleSpec> = ids
                .iter()
                .map(|id| SampleSpec {
                    position: (done + *id as usize) as u64,
                    ..samplers[which].1.clone()
                })
                .collect();
            backend.enter(|| {
                let hidden = backend.embed(&activations, &backend.ids(&ids));
                backend.sample(&head, &hidden, &specs);
            });
            let after = backend.head_audit().context("the backend has no audit")?;
            add(&mut table[which].1, &since(&before, &after));
            before = after;
            turn += 1;
        }
        done += made;
    }
    Ok(table)
}

/// Roughly normal numbers of unit variance.
fn normal(seed: u64, len: usize) -> Vec<f32> {
    (0..len as u64).map(|i| one_normal(seed, i)).collect()
}

fn one_normal(seed: u64, i: u64) -> f32 {
    let sum: f64 = (0..3).map(|j| uniform(seed, 3 * i + j) * 2.0 - 1.0).sum();
    sum as f32
}

/// Activations that lean towards some row each, so that its logit stands out.
fn activations(seed: u64, from: usize, count: usize, rows: &[f32], hidden: usize) -> Matrix {
    let vocab = rows.len() / hidden;
    let root = (hidden as f32).sqrt();
    let mut data = Vec::with_capacity(count * hidden * 4);
    for token in from..from + count {
        let lean = LEANS[token % LEANS.len()];
        let spread = SPREADS[token / LEANS.len() % SPREADS.len()];
        let row = (uniform(seed + 1, token as u64) * vocab as f64) as usize % vocab;
        let row = &rows[row * hidden..(row + 1) * hidden];
        for (i, row) in row.iter().enumerate() {
            let noise = one_normal(seed + 2, (token * hidden + i) as u64);
            let x = (noise + lean * row / root) * spread / root;
            data.extend(x.to_le_bytes());
        }
    }
    Matrix {
        rows: count,
        cols: hidden,
        data: Bytes::from_vec(data),
        format: Format::F32,
    }
}

fn samplers(vocab: usize) -> Vec<(&'static str, SampleSpec)> {
    let hot = SampleSpec {
        temperature: 0.8,
        seed: 5,
        ..SampleSpec::default()
    };
    let mask = Arc::new(TokenMask::new(vocab, |id| id % 7 != 3 && id > 90));
    let penalised: Vec<u32> = (0..60).map(|i| (i * 977 % vocab) as u32).collect();
    let greedy = SampleSpec::default();
    vec![
        ("greedy", greedy.clone()),
        (
            "greedy, masked",
            SampleSpec {
                allowed: Some(mask.clone()),
                ..greedy.clone()
            },
        ),
        (
            "greedy, penalties",
            SampleSpec {
                repetition_penalty: 1.2,
                presence_penalty: 0.4,
                penalised: penalised.clone(),
                ..greedy
            },
        ),
        (
            "top-k",
            SampleSpec {
                top_k: 40,
                ..hot.clone()
            },
        ),
        (
            "top-k, all else",
            SampleSpec {
                top_k: 20,
                top_p: 0.95,
                min_p: 0.01,
                repetition_penalty: 0.8,
                presence_penalty: -0.5,
                penalised,
                allowed: Some(mask.clone()),
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
                top_p: 0.9,
                ..hot.clone()
            },
        ),
        (
            "top-p, masked",
            SampleSpec {
                top_p: 0.95,
                temperature: 0.6,
                allowed: Some(mask),
                ..hot.clone()
            },
        ),
        (
            "forced",
            SampleSpec {
                forced: Some(77),
                ..hot
            },
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sampler_is_audited() {
        let args = Args {
            tokens: 720,
            vocab: 2048,
            hidden: 64,
            threads: 2,
            ..Args::default()
        };
        let table = audit(&args, 2048, 64, 720).unwrap();
        assert!(table.iter().all(|(_, counts)| counts.audited == 80));
        assert!(table.iter().all(|(_, counts)| counts.misses == 0));
    }
}
