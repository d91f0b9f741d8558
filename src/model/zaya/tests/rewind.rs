//! Chunking, batching, truncation, forks and snapshots: all must give the bits
//! of a fresh run, at every position of a 200-token sequence.

use std::ops::ControlFlow;

use super::super::Zaya;
use super::synthetic::{GOLDEN, Size, tensors};
use crate::backend::cpu::{CpuBackend, CpuOptions};
use crate::backend::{KvDtype, KvMode, SampleSpec, SkipMode};
use crate::cache::Truncation;
use crate::model::run::ZayaEngine;
use crate::model::zaya::rows_of;
use crate::model::{Cache, Engine, LoadOptions, Loading, StepRow};

const LENGTH: usize = 200;

/// Three taps in the first convolution: three frames of context.
const WIDE_KERNEL: Size = Size {
    conv_kernels: [3, 2],
    kv_heads: 4,
    ..GOLDEN
};

/// No convolution context at all: only the previous token's input is carried.
const SINGLE_TAPS: Size = Size {
    conv_kernels: [1, 1],
    ..GOLDEN
};

fn engine(size: &Size, options: &LoadOptions) -> ZayaEngine<CpuBackend> {
    let backend = CpuBackend::new(&options.cpu).unwrap();
    ZayaEngine::new(backend, &tensors(size), options, Vec::new()).unwrap()
}

fn exact() -> LoadOptions {
    LoadOptions {
        kv: KvDtype::F32,
        ..LoadOptions::default()
    }
}

fn tokens() -> Vec<u32> {
    (0..LENGTH as u64)
        .map(|i| (crate::backend::uniform(3, i) * GOLDEN.vocab as f64) as u32)
        .collect()
}

fn prefilled(engine: &dyn Engine, tokens: &[u32]) -> Cache {
    let mut cache = engine.new_cache();
    let flow = engine.prefill(&mut cache, tokens, &mut |_, _| ControlFlow::Continue(()));
    assert!(flow.unwrap().is_continue());
    cache
}

/// Logits of the last of `tokens` from an empty cache.
fn fresh(engine: &dyn Engine, tokens: &[u32]) -> Vec<f32> {
    let mut cache = prefilled(engine, &tokens[..tokens.len() - 1]);
    engine
        .logits(&mut cache, &tokens[tokens.len() - 1..])
        .unwrap()
}

#[test]
fn truncation_is_exact_at_every_position() {
    for (size, options) in [
        (GOLDEN, exact()),
        (GOLDEN, LoadOptions::default()),
        (WIDE_KERNEL, exact()),
        (WIDE_KERNEL, LoadOptions::default()),
        (SINGLE_TAPS, exact()),
    ] {
        let engine = engine(&size, &options);
        let tokens = tokens();
        let full = prefilled(&engine, &tokens);
        let frames = size.conv_kernels[0] + size.conv_kernels[1] - 2;
        let span = (size.layers * frames).max(1);
        for len in 0..LENGTH {
            let mut cache = full.fork();
            let replayed = engine.truncate(&mut cache, len).unwrap();
            assert_eq!(replayed, span.min(len));
            assert_eq!(cache.tokens(), &tokens[..len]);
            let probe = [tokens[len] ^ 1];
            let got = engine.logits(&mut cache, &probe).unwrap();
            let mut want = tokens[..len].to_vec();
            want.extend(probe);
            assert_eq!(got, fresh(&engine, &want), "after truncation to {len}");
        }
    }
}

#[test]
fn a_mark_spares_the_replay() {
    let engine = engine(&GOLDEN, &exact());
    let tokens = tokens();
    let mut cache = prefilled(&engine, &tokens[..100]);
    cache.mark();
    engine.logits(&mut cache, &tokens[100..]).unwrap();
    let mut nearby = cache.fork();
    assert_eq!(engine.truncate(&mut cache, 100).unwrap(), 0);
    assert_eq!(
        engine.logits(&mut cache, &[9]).unwrap(),
        fresh(&engine, &[&tokens[..100], &[9]].concat())
    );
    assert_eq!(engine.truncate(&mut nearby, 103).unwrap(), 3);
    assert_eq!(
        engine.logits(&mut nearby, &[9]).unwrap(),
        fresh(&engine, &[&tokens[..103], &[9]].concat())
    );
}

#[test]
fn forks_and_snapshots_are_independent_at_every_position() {
    let engine = engine(&GOLDEN, &exact());
    let tokens = tokens();
    let mut cache = engine.new_cache();
    let mut kept = Vec::new();
    for &token in &tokens {
        kept.push((cache.fork(), cache.snapshot()));
        engine.logits(&mut cache, &[token]).unwrap();
    }
    for (len, (mut fork, snapshot)) in kept.into_iter().enumerate() {
        let want = fresh(&engine, &[&tokens[..len], &[5]].concat());
        assert_eq!(
            engine.logits(&mut fork, &[5]).unwrap(),
            want,
            "fork at {len}"
        );
        cache.restore(&snapshot);
        assert_eq!(cache.tokens(), &tokens[..len]);
        assert_eq!(
            engine.logits(&mut cache, &[5]).unwrap(),
            want,
            "restore at {len}"
        );
    }
}

/// The reason for all of this: keys and values alone do not make a state.
#[test]
fn cutting_only_keys_and_values_is_wrong() {
    let backend = CpuBackend::new(&CpuOptions::default()).unwrap();
    let model = Zaya::new(
        &backend,
        &tensors(&GOLDEN),
        SkipMode::default(),
        &Loading::default(),
    );
    let tokens = tokens();
    let mut state = model.new_state(&backend, KvDtype::F32);
    let all = rows_of(LENGTH, 0, KvMode::Append);
    model.forward(&backend, &tokens, &all, &mut [&mut state]);
    let stale: Vec<_> = state.layers.iter().map(|l| l.cca.clone()).collect();
    assert_eq!(state.truncate(100, 6), Truncation::Replay { from: 94 });
    let replay = rows_of(6, 94, KvMode::Stored);
    model.forward(
        &backend,
        &tokens[94..100].to_vec(),
        &replay,
        &mut [&mut state],
    );
    assert!(
        state
            .layers
            .iter()
            .zip(&stale)
            .all(|(l, stale)| l.cca != *stale)
    );

    // One token fewer is not enough.
    let mut short = model.new_state(&backend, KvDtype::F32);
    model.forward(&backend, &tokens, &all, &mut [&mut short]);
    assert_eq!(short.truncate(100, 5), Truncation::Replay { from: 95 });
    let replay = rows_of(5, 95, KvMode::Stored);
    model.forward(
        &backend,
        &tokens[95..100].to_vec(),
        &replay,
        &mut [&mut short],
    );
    assert_ne!(short.layers[2].cca, state.layers[2].cca);
}

#[test]
fn chunks_threads_and_batch_mates_do_not_show_in_the_bits() {
    let tokens = tokens();
    let reference = engine(&GOLDEN, &exact());
    let mut cache = reference.new_cache();
    let want = reference.logits(&mut cache, &tokens).unwrap();
    for (threads, chunk) in [(1, 1), (2, 3), (3, 7), (4, 64), (2, 200)] {
        let options = LoadOptions {
            cpu: CpuOptions {
                threads,
                ..CpuOptions::default()
            },
            chunk: Some(chunk),
            ..exact()
        };
        let engine = engine(&GOLDEN, &options);
        let mut cache = engine.new_cache();
        assert_eq!(
            engine.logits(&mut cache, &tokens).unwrap(),
            want,
            "{threads} threads, chunk {chunk}"
        );
    }
    // Sequences of different lengths in one step, against each alone.
    let lengths = [1, 17, 64, 65, 130];
    let mut caches: Vec<Cache> = lengths
        .iter()
        .map(|&n| prefilled(&reference, &tokens[..n]))
        .collect();
    let mut alone: Vec<Cache> = caches.iter().map(Cache::fork).collect();
    let spec = SampleSpec {
        temperature: 1.0,
        seed: 5,
        ..SampleSpec::default()
    };
    let mut rows: Vec<StepRow<'_>> = caches
        .iter_mut()
        .map(|cache| StepRow {
            token: 3,
            spec: SampleSpec {
                position: cache.len() as u64,
                ..spec.clone()
            },
            cache,
        })
        .collect();
    let together = reference.step(&mut rows).unwrap();
    for (cache, together) in alone.iter_mut().zip(together) {
        let spec = SampleSpec {
            position: cache.len() as u64,
            ..spec.clone()
        };
        let single = reference
            .step(&mut [StepRow {
                token: 3,
                spec,
                cache,
            }])
            .unwrap();
        assert_eq!(single[0], together);
    }
}

#[test]
fn an_interrupted_prefill_keeps_what_was_run() {
    let engine = engine(
        &GOLDEN,
        &LoadOptions {
            chunk: Some(10),
            ..exact()
        },
    );
    let tokens = tokens();
    let mut cache = engine.new_cache();
    let mut stop_at_fifty = |done, _| {
        if done >= 50 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    assert!(
        engine
            .prefill(&mut cache, &tokens, &mut stop_at_fifty)
            .unwrap()
            .is_break()
    );
    assert_eq!(cache.tokens(), &tokens[..50]);
    assert_eq!(
        engine.logits(&mut cache, &[1]).unwrap(),
        fresh(&engine, &[&tokens[..50], &[1]].concat())
    );
}

#[test]
fn unknown_tokens_are_refused_before_anything_runs() {
    let engine = engine(&GOLDEN, &exact());
    let mut cache = engine.new_cache();
    let error = engine.logits(&mut cache, &[1, 64]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "token id 64 is outside the vocabulary of 64"
    );
    assert!(cache.is_empty());
}
