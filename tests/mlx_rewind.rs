#![cfg(feature = "mlx")]
//! Random histories on MLX: after each turn the sequence must give the logits of
//! a fresh run of the same tokens within 2e-4. Steps that were started before
//! they were asked for are part of them.

#[path = "rewind/mod.rs"]
mod rewind;

use cairn::backend::cpu::Precision;
use cairn::backend::{KvDtype, SampleSpec};
use cairn::model::{BackendKind, Cache, Engine, Step, StepRow};
use rewind::{Subject, prefill};

fn subject(bundle: &'static str, kv: KvDtype) -> Subject {
    Subject {
        backend: BackendKind::Mlx,
        bundle,
        kv,
        tolerance: 2e-4,
        precision: Precision::F32,
    }
}

#[test]
fn every_position_can_be_returned_to() {
    for (bundle, kv) in [("JANGTQ_K", KvDtype::F32), ("MXFP4", KvDtype::F16)] {
        rewind::every_position_can_be_returned_to(&subject(bundle, kv), 60);
    }
}

#[test]
fn any_history_of_jangtq_k() {
    let subject = subject("JANGTQ_K", KvDtype::F16);
    rewind::any_history_leaves_the_state_of_its_tokens(&subject, 1, 60);
}

#[test]
fn any_history_of_mxfp4() {
    let subject = subject("MXFP4", KvDtype::F32);
    rewind::any_history_leaves_the_state_of_its_tokens(&subject, 2, 60);
}

#[test]
fn any_history_of_bf16() {
    let subject = subject("BF16", KvDtype::F16);
    rewind::any_history_leaves_the_state_of_its_tokens(&subject, 3, 60);
}

#[test]
fn a_piece_that_can_not_be_is_refused() {
    for kv in [KvDtype::F16, KvDtype::F32] {
        rewind::a_piece_that_can_not_be_is_refused(&subject("JANGTQ_K", kv));
    }
}

#[test]
fn a_refused_call_changes_nothing() {
    rewind::a_refused_call_changes_nothing(&subject("JANGTQ_K", KvDtype::F16));
}

const PROMPT: [u32; 5] = [2, 7, 11, 5, 63];

fn spec(cache: &Cache, temperature: f32) -> SampleSpec {
    SampleSpec {
        temperature,
        seed: 5,
        position: cache.len() as u64 + 1,
        ..SampleSpec::default()
    }
}

/// `count` tokens after `token`, each fed back.
fn decode(engine: &dyn Engine, cache: &mut Cache, token: u32, count: usize) -> Vec<Step> {
    let mut token = token;
    (0..count)
        .map(|_| {
            let spec = spec(cache, 1.0);
            let step = engine.step(&mut [StepRow { cache, token, spec }]);
            let step = step.unwrap().remove(0);
            token = step.stats.id;
            step
        })
        .collect()
}

/// Does the same on MLX, which runs ahead, and on the CPU, which waits: the same
/// ids and experts, and statistics as near as rounding leaves them.
fn same(run: impl Fn(&dyn Engine, &mut Cache) -> Vec<Step>) {
    for (bundle, kv) in [("JANGTQ_K", KvDtype::F32), ("MXFP4", KvDtype::F16)] {
        let [want, got] = [BackendKind::Cpu, BackendKind::Mlx].map(|backend| {
            let subject = Subject {
                backend,
                ..subject(bundle, kv)
            };
            let engine = subject.engine(64);
            let mut cache = engine.new_cache();
            prefill(&*engine, &mut cache, &PROMPT);
            let steps = run(&*engine, &mut cache);
            (steps, cache.tokens().to_vec())
        });
        assert_eq!(got.1, want.1, "{bundle}");
        assert_eq!(got.0.len(), want.0.len());
        for (turn, (got, want)) in got.0.iter().zip(&want.0).enumerate() {
            assert_eq!(got.stats.id, want.stats.id, "{bundle}, step {turn}");
            assert_eq!(got.routes, want.routes, "{bundle}, step {turn}");
            let off = (got.stats.logprob - want.stats.logprob).abs();
            let entropy = (got.stats.entropy - want.stats.entropy).abs();
            assert!(off < 1e-3 && entropy < 1e-3, "{bundle}, step {turn}: {off}");
        }
    }
}

#[test]
fn a_plain_run_is_the_same() {
    same(|engine, cache| decode(engine, cache, 1, 40));
}

/// A step is in flight at each of these turns, and none of them may see it.
#[test]
fn a_step_in_flight_is_not_noticed() {
    same(|engine, cache| {
        let mut seen = decode(engine, cache, 1, 2);
        let snapshot = cache.snapshot();
        cache.mark();
        let len = cache.len();
        let mut fork = cache.fork();
        seen.extend(decode(engine, cache, 4, 3));
        assert_eq!(engine.truncate(cache, len).unwrap(), 0, "the mark was kept");
        seen.extend(decode(engine, cache, 6, 3));
        // A late stop: one position back, with the step after it under way.
        engine.truncate(cache, len - 1).unwrap();
        seen.extend(decode(engine, cache, 8, 2));
        prefill(engine, cache, &[9, 10]);
        seen.extend(decode(engine, cache, 12, 2));
        seen.extend(decode(engine, &mut fork, 13, 2));
        cache.restore(&snapshot);
        seen.extend(decode(engine, cache, 14, 2));
        seen
    });
}

#[test]
fn sequences_may_change_their_company() {
    same(|engine, first| {
        let mut second = first.fork();
        let mut tokens = [1, 2];
        let mut seen = Vec::new();
        for turn in 0..9 {
            let specs = [spec(first, 1.0), spec(&second, 0.7)];
            let mut rows: Vec<StepRow<'_>> = [&mut *first, &mut second]
                .into_iter()
                .zip(tokens)
                .zip(specs)
                .map(|((cache, token), spec)| StepRow { cache, token, spec })
                .collect();
            match turn % 4 {
                2 => rows.truncate(1),
                3 => rows.reverse(),
                _ => {}
            }
            let steps = engine.step(&mut rows).unwrap();
            for (step, token) in steps.iter().zip(&mut tokens) {
                *token = step.stats.id;
            }
            seen.extend(steps);
        }
        seen
    });
}

/// MLX's streams belong to threads; an engine and its sequences may go anywhere.
#[test]
fn engine_and_sequence_may_change_threads() {
    let subject = subject("MXFP4", KvDtype::F16);
    let home = subject.engine(64);
    let mut want_cache = home.new_cache();
    prefill(&*home, &mut want_cache, &PROMPT);
    let want = decode(&*home, &mut want_cache, 1, 6);
    let engine = subject.engine(64);
    let cache = engine.new_cache();
    let (mut token, mut got) = (1, Vec::new());
    let mut carried = (engine, cache);
    for turn in 0..4 {
        let visit = move || {
            let (engine, mut cache) = carried;
            let steps = match turn {
                0 => {
                    prefill(&*engine, &mut cache, &PROMPT);
                    Vec::new()
                }
                _ => decode(&*engine, &mut cache, token, 2),
            };
            ((engine, cache), steps)
        };
        let (back, steps) = std::thread::spawn(visit).join().unwrap();
        carried = back;
        token = steps.last().map_or(token, |step| step.stats.id);
        got.extend(steps);
    }
    assert_eq!(got, want);
    // The last references go in another place, with a step in flight.
    std::thread::spawn(move || drop(carried)).join().unwrap();
}
