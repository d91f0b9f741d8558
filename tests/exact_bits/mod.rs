//! The same bits however the work is divided: over threads, chunks of a prompt,
//! sequences of a step, and by AMX or VNNI. Also run in the shapes of a real
//! model, by `cargo xtask ci --long`.

use std::ops::ControlFlow;

use cairn::backend::SampleSpec;
use cairn::backend::cpu::{CpuOptions, Instructions};
use cairn::bundle::Bundle;
use cairn::model::{BackendKind, Cache, Engine, LoadOptions, Step, StepRow, load};

/// Tokens whose logits are compared; no multiple of anything.
const TOKENS: usize = 71;
/// Steps of each sequence, after prompts of different lengths.
const STEPS: usize = 3;
const BATCHES: usize = 8;

/// One way of running.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub threads: usize,
    pub chunk: usize,
    pub instructions: Option<Instructions>,
}

const USUAL: Way = Way {
    threads: 2,
    chunk: 64,
    instructions: None,
};

/// Ways that must give the bits of [`USUAL`].
pub fn same_bits() -> Vec<Way> {
    let mut ways = Vec::new();
    for threads in [1, 4] {
        ways.push(Way { threads, ..USUAL });
    }
    for chunk in [1, 7, 512] {
        ways.push(Way { chunk, ..USUAL });
    }
    for level in [Instructions::Avx512, Instructions::Amx] {
        let instructions = Some(level);
        ways.push(Way {
            instructions,
            ..USUAL
        });
    }
    ways
}

pub fn engine(bundle: &Bundle, way: Way) -> Box<dyn Engine> {
    let options = LoadOptions {
        backend: BackendKind::Cpu,
        cpu: CpuOptions {
            threads: way.threads,
            instructions: way.instructions,
            ..CpuOptions::default()
        },
        chunk: Some(way.chunk),
        ..LoadOptions::default()
    };
    load(bundle, &options).expect("an engine")
}

/// Tokens spread over the vocabulary, different ones for each sequence.
fn tokens(engine: &dyn Engine, sequence: usize, len: usize) -> Vec<u32> {
    let vocab = engine.info().vocab;
    let id = |i: usize| (17 + sequence * 613 + i * 7919) % vocab;
    (0..len).map(|i| id(i) as u32).collect()
}

/// Logits of [`TOKENS`] tokens, `[tokens, vocab]`.
pub fn logits(engine: &dyn Engine) -> Vec<f32> {
    let ids = tokens(engine, 0, TOKENS);
    let mut cache = engine.new_cache();
    engine.logits(&mut cache, &ids).expect("logits")
}

/// Where two arrays of numbers first differ in a bit.
fn difference(want: &[f32], found: &[f32]) -> Option<String> {
    if want.len() != found.len() {
        return Some(format!("{} numbers instead of {}", found.len(), want.len()));
    }
    let at = want
        .iter()
        .zip(found)
        .position(|(w, f)| w.to_bits() != f.to_bits())?;
    Some(format!(
        "number {at}: {:?} instead of {:?}",
        found[at], want[at]
    ))
}

/// The usual way against all others, and steps alone against steps together.
/// What was found different, or the numerics that all agreed on.
pub fn check(bundle: &Bundle) -> Result<Vec<f32>, String> {
    let usual = engine(bundle, USUAL);
    let want = logits(&*usual);
    if !want.iter().all(|x| x.is_finite()) {
        return Err("logits that are not finite".into());
    }
    batches(&*usual)?;
    drop(usual);
    for way in same_bits() {
        if let Some(what) = difference(&want, &logits(&*engine(bundle, way))) {
            return Err(format!("{way:?}: {what}"));
        }
    }
    Ok(want)
}

/// A sequence with its prompt in the cache, longer for each.
fn sequence(engine: &dyn Engine, number: usize) -> Cache {
    let mut cache = engine.new_cache();
    let prompt = tokens(engine, number, 3 + 2 * number);
    let flow = engine.prefill(&mut cache, &prompt, &mut |_, _| ControlFlow::Continue(()));
    assert!(flow.expect("prefill").is_continue());
    cache
}

/// [`STEPS`] steps of these sequences together; the steps of each.
fn steps(engine: &dyn Engine, numbers: std::ops::Range<usize>) -> Vec<Vec<Step>> {
    let mut caches: Vec<Cache> = numbers.clone().map(|n| sequence(engine, n)).collect();
    let mut found: Vec<Vec<Step>> = vec![Vec::new(); caches.len()];
    for i in 0..STEPS {
        let mut rows: Vec<StepRow<'_>> = caches
            .iter_mut()
            .zip(numbers.clone())
            .map(|(cache, n)| StepRow {
                token: tokens(engine, n + 50, STEPS)[i],
                spec: SampleSpec {
                    position: cache.len() as u64,
                    ..SampleSpec::default()
                },
                cache,
            })
            .collect();
        let together = engine.step(&mut rows).expect("a step");
        for (found, step) in found.iter_mut().zip(together) {
            found.push(step);
        }
    }
    found
}

/// Each sequence's steps are the same in any company.
fn batches(engine: &dyn Engine) -> Result<(), String> {
    let alone: Vec<Vec<Step>> = (0..BATCHES).flat_map(|n| steps(engine, n..n + 1)).collect();
    for size in 2..=BATCHES {
        let together = steps(engine, 0..size);
        for (n, found) in together.iter().enumerate() {
            if *found != alone[n] {
                let (found, want) = (&found[STEPS - 1].stats, &alone[n][STEPS - 1].stats);
                return Err(format!(
                    "sequence {n} among {size}: {found:?} instead of {want:?}"
                ));
            }
        }
    }
    Ok(())
}
