//! Long random histories on bundles as converters write them: prefill, step,
//! truncate, mark, fork, snapshot and restore in any order, and after each the
//! sequence must give the bits of a fresh run of the same tokens.

use std::ops::ControlFlow;
use std::path::Path;

use cairn::backend::{KvDtype, SampleSpec};
use cairn::bundle::Bundle;
use cairn::model::{Cache, Engine, LoadOptions, StepRow, load};

const LENGTH: usize = 200;

fn engine(bundle: &str, kv: KvDtype, chunk: usize) -> Box<dyn Engine> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zaya");
    let bundle = Bundle::open(&folder.join(bundle)).unwrap();
    let options = LoadOptions {
        threads: 2,
        kv,
        chunk: Some(chunk),
        ..LoadOptions::default()
    };
    load(&bundle, &options).unwrap()
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn tokens(&mut self, n: usize, vocab: usize) -> Vec<u32> {
        (0..n).map(|_| self.below(vocab) as u32).collect()
    }
}

fn prefill(engine: &dyn Engine, cache: &mut Cache, tokens: &[u32]) {
    let flow = engine.prefill(cache, tokens, &mut |_, _| ControlFlow::Continue(()));
    assert!(flow.unwrap().is_continue());
}

/// Logits of `probe` after `cache`, without changing it.
fn probe(engine: &dyn Engine, cache: &Cache, probe: u32) -> Vec<f32> {
    engine.logits(&mut cache.fork(), &[probe]).unwrap()
}

fn fresh(engine: &dyn Engine, tokens: &[u32], token: u32) -> Vec<f32> {
    let mut cache = engine.new_cache();
    prefill(engine, &mut cache, tokens);
    probe(engine, &cache, token)
}

#[test]
fn every_position_can_be_returned_to() {
    for (bundle, kv) in [("JANGTQ_K", KvDtype::F16), ("MXFP4", KvDtype::F32)] {
        let engine = engine(bundle, kv, 64);
        let vocab = engine.info().vocab;
        let tokens = Random(1).tokens(LENGTH, vocab);
        let mut full = engine.new_cache();
        let mut snapshots = Vec::new();
        let mut want = Vec::new();
        for &token in &tokens {
            want.push(probe(&*engine, &full, 7));
            snapshots.push(full.snapshot());
            prefill(&*engine, &mut full, &[token]);
        }
        let mut restored = full.fork();
        for (len, snapshot) in snapshots.iter().enumerate().rev() {
            let mut cut = full.fork();
            let replayed = engine.truncate(&mut cut, len).unwrap();
            assert!(replayed <= 2 * engine.info().layers, "{replayed} replayed");
            assert_eq!(cut.tokens(), &tokens[..len]);
            assert_eq!(probe(&*engine, &cut, 7), want[len], "{bundle} cut to {len}");
            restored.restore(snapshot);
            assert_eq!(
                probe(&*engine, &restored, 7),
                want[len],
                "{bundle} restored to {len}"
            );
        }
    }
}

#[test]
fn any_history_leaves_the_state_of_its_tokens() {
    for (bundle, kv, seed) in [
        ("JANGTQ_K", KvDtype::F16, 1),
        ("JANGTQ3", KvDtype::F16, 2),
        ("BF16", KvDtype::F32, 3),
    ] {
        let engine = engine(bundle, kv, 5);
        let vocab = engine.info().vocab;
        let mut random = Random(seed);
        let mut cache = engine.new_cache();
        let mut other = engine.new_cache();
        let mut kept = vec![cache.snapshot()];
        for round in 0..150 {
            match random.below(8) {
                0 | 1 if cache.len() < LENGTH => {
                    let n = 1 + random.below(40);
                    prefill(&*engine, &mut cache, &random.tokens(n, vocab));
                }
                2 => {
                    let len = random.below(cache.len() + 1);
                    engine.truncate(&mut cache, len).unwrap();
                    assert_eq!(cache.len(), len);
                }
                3 => cache.mark(),
                4 => kept.push(cache.snapshot()),
                5 => cache.restore(&kept[random.below(kept.len())]),
                6 => {
                    // An interrupted prefill leaves whole chunks, or nothing.
                    let tokens = random.tokens(12, vocab);
                    let stop = random.below(12);
                    let before = cache.tokens().to_vec();
                    let mut calls = 0;
                    let flow = engine.prefill(&mut cache, &tokens, &mut |_, _| {
                        calls += 1;
                        if calls > stop {
                            ControlFlow::Break(())
                        } else {
                            ControlFlow::Continue(())
                        }
                    });
                    assert_eq!(flow.unwrap().is_break(), calls > stop);
                    let whole = [&before[..], &tokens].concat();
                    assert_eq!(cache.tokens(), &whole[..cache.len()]);
                }
                _ => {
                    // Two sequences in one step.
                    other = if random.below(2) == 0 {
                        cache.fork()
                    } else {
                        other
                    };
                    let before = [cache.tokens().to_vec(), other.tokens().to_vec()];
                    let run = random.tokens(2, vocab);
                    let mut rows: Vec<StepRow<'_>> = [&mut cache, &mut other]
                        .into_iter()
                        .zip(&run)
                        .map(|(cache, &token)| StepRow {
                            spec: SampleSpec {
                                temperature: 0.8,
                                seed: u64::MAX - round,
                                position: cache.len() as u64,
                                ..SampleSpec::default()
                            },
                            cache,
                            token,
                        })
                        .collect();
                    engine.step(&mut rows).unwrap();
                    for ((cache, before), token) in [&cache, &other].iter().zip(&before).zip(run) {
                        assert_eq!(cache.tokens(), [&before[..], &[token]].concat());
                    }
                    let want = fresh(&*engine, other.tokens(), 9);
                    assert_eq!(probe(&*engine, &other, 9), want, "{bundle}, mate, {round}");
                }
            }
            let want = fresh(&*engine, cache.tokens(), 9);
            assert_eq!(probe(&*engine, &cache, 9), want, "{bundle}, round {round}");
        }
    }
}

#[test]
fn a_refused_call_changes_nothing() {
    let engine = engine("JANGTQ_K", KvDtype::F16, 4);
    let vocab = engine.info().vocab as u32;
    let mut cache = engine.new_cache();
    let good: Vec<u32> = (0..10).collect();
    prefill(&*engine, &mut cache, &good);
    // The unknown one is in the third chunk.
    let bad: Vec<u32> = (0..9).chain([vocab]).collect();
    let refused = engine.prefill(&mut cache, &bad, &mut |_, _| ControlFlow::Continue(()));
    assert!(refused.is_err());
    assert!(engine.logits(&mut cache, &bad).is_err());
    let mut mate = cache.fork();
    let row = |cache, token| StepRow {
        cache,
        token,
        spec: SampleSpec::default(),
    };
    let mut rows = [row(&mut mate, 1), row(&mut cache, vocab)];
    assert!(engine.step(&mut rows).is_err());
    for cache in [&cache, &mate] {
        assert_eq!(cache.tokens(), good);
        assert_eq!(probe(&*engine, cache, 3), fresh(&*engine, &good, 3));
    }
    // Longer than it is, and to where it is: nothing to do.
    assert_eq!(engine.truncate(&mut cache, 11).unwrap(), 0);
    assert_eq!(engine.truncate(&mut cache, 10).unwrap(), 0);
    assert_eq!(cache.tokens(), good);
}
