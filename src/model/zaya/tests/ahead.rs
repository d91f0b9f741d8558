//! Steps that are started before they are asked for must not be noticeable:
//! whatever the owner does next, it sees what it would see without them.

use std::ops::ControlFlow;

use super::synthetic::{GOLDEN, tensors};
use crate::backend::cpu::{CpuBackend, CpuOptions};
use crate::backend::{SampleSpec, TokenStats};
use crate::model::run::ZayaEngine;
use crate::model::{Cache, Engine, LoadOptions, Step, StepRow};

const PROMPT: [u32; 5] = [2, 7, 11, 5, 63];

fn engine() -> ZayaEngine<CpuBackend> {
    let backend = CpuBackend::new(&CpuOptions {
        threads: 1,
        ..CpuOptions::default()
    })
    .unwrap();
    ZayaEngine::new(
        backend,
        &tensors(&GOLDEN),
        &LoadOptions::default(),
        Vec::new(),
    )
    .unwrap()
}

fn started(engine: &dyn Engine) -> Cache {
    let mut cache = engine.new_cache();
    let flow = engine.prefill(&mut cache, &PROMPT, &mut |_, _| ControlFlow::Continue(()));
    assert!(flow.unwrap().is_continue());
    cache
}

fn spec(cache: &Cache, temperature: f32) -> SampleSpec {
    SampleSpec {
        temperature,
        seed: 5,
        position: cache.len() as u64 + 1,
        ..SampleSpec::default()
    }
}

fn step(engine: &dyn Engine, cache: &mut Cache, token: u32, spec: SampleSpec) -> Step {
    let row = StepRow { cache, token, spec };
    engine.step(&mut [row]).unwrap().remove(0)
}

/// `count` tokens after `token`, each fed back.
fn decode(engine: &dyn Engine, cache: &mut Cache, token: u32, count: usize) -> Vec<TokenStats> {
    let mut token = token;
    (0..count)
        .map(|_| {
            let spec = spec(cache, 1.0);
            let stats = step(engine, cache, token, spec).stats;
            token = stats.id;
            stats
        })
        .collect()
}

/// Does the same to a sequence of an engine that waits and of one that runs
/// ahead, and compares what is seen.
fn same<T: PartialEq + std::fmt::Debug>(run: impl Fn(&dyn Engine, &mut Cache) -> T) {
    let (waiting, ahead) = (engine(), engine().running_ahead());
    let want = run(&waiting, &mut started(&waiting));
    assert_eq!(run(&ahead, &mut started(&ahead)), want);
}

#[test]
fn a_plain_run_is_the_same() {
    same(|engine, cache| (decode(engine, cache, 1, 40), cache.tokens().to_vec()));
}

#[test]
fn another_token_than_the_sampled_one_may_come_next() {
    same(|engine, cache| {
        let mut seen = decode(engine, cache, 1, 3);
        seen.extend(decode(engine, cache, 17, 3));
        seen.extend(decode(engine, cache, 17, 3));
        seen
    });
}

#[test]
fn another_sampler_may_come_next() {
    same(|engine, cache| {
        let mut token = 1;
        let mut seen = Vec::new();
        for turn in 0..12 {
            let mut spec = spec(cache, [0.0, 1.0, 1.0, 3.0][turn % 4]);
            match turn {
                5 => spec.forced = Some(9),
                7 => (spec.presence_penalty, spec.penalised) = (2.0, vec![token]),
                _ => {}
            }
            let step = step(engine, cache, token, spec);
            token = step.stats.id;
            seen.push(step);
        }
        seen
    });
}

#[test]
fn anything_else_may_come_next() {
    same(|engine, cache| {
        let mut seen = decode(engine, cache, 1, 2);
        let snapshot = cache.snapshot();
        cache.mark();
        let len = cache.len();
        let mut fork = cache.fork();
        seen.extend(decode(engine, cache, 4, 3));
        let replayed = engine.truncate(cache, len).unwrap();
        assert_eq!(replayed, 0, "the mark was kept");
        seen.extend(decode(engine, cache, 6, 3));
        engine.truncate(cache, len - 1).unwrap();
        seen.extend(decode(engine, cache, 8, 2));
        let logits = engine.logits(cache, &[3, 4, 5]).unwrap();
        let flow = engine.prefill(cache, &[9, 10], &mut |_, _| ControlFlow::Continue(()));
        assert!(flow.unwrap().is_continue());
        seen.extend(decode(engine, cache, 12, 2));
        seen.extend(decode(engine, &mut fork, 13, 2));
        cache.restore(&snapshot);
        seen.extend(decode(engine, cache, 14, 2));
        (seen, logits, cache.tokens().to_vec())
    });
}

#[test]
fn sequences_may_change_their_company() {
    same(|engine, first| {
        let mut second = first.fork();
        let mut seen = Vec::new();
        let mut tokens = [1, 2];
        let pair = |first: &mut Cache, second: &mut Cache, tokens: &mut [u32; 2]| {
            let specs = [spec(first, 1.0), spec(second, 1.0)];
            let mut rows: Vec<StepRow<'_>> = [first, second]
                .into_iter()
                .zip(*tokens)
                .zip(specs)
                .map(|((cache, token), spec)| StepRow { cache, token, spec })
                .collect();
            let steps = engine.step(&mut rows).unwrap();
            *tokens = [steps[0].stats.id, steps[1].stats.id];
            steps
        };
        seen.extend(pair(first, &mut second, &mut tokens));
        seen.extend(pair(first, &mut second, &mut tokens));
        let alone = spec(first, 1.0);
        seen.push(step(engine, first, tokens[0], alone));
        seen.extend(pair(first, &mut second, &mut tokens));
        tokens.reverse();
        seen.extend(pair(&mut second, first, &mut tokens));
        let alone = spec(&second, 1.0);
        seen.push(step(engine, &mut second, tokens[0], alone));
        seen
    });
}
