//! Values on which an independent implementation, transformers 5.23 (zero skip
//! mode) and jang 2.5.50 (scaled input) agreed to about 1e-5.

#![allow(
    clippy::excessive_precision,
    reason = "the digits are those that the reference gave"
)]

use super::super::{Zaya, rows_of};
use super::synthetic::{GOLDEN, tensors, values};
use crate::backend::cpu::{CcaState, CpuBackend, CpuOptions, Precision};
use crate::backend::{Backend, KvDtype, KvMode, SkipMode};
use crate::model::Loading;

const TOKENS: [u32; 8] = [2, 7, 11, 5, 63, 0, 33, 18];
const TOLERANCE: f32 = 2e-5;

struct Expected {
    skip: SkipMode,
    logits: [(usize, [f32; 4]); 3],
    argmax: [usize; 8],
    frames: [f32; 3],
    key: [f32; 3],
    value: [f32; 3],
}

const SCALED: Expected = Expected {
    skip: SkipMode::ScaledInput,
    logits: [
        (0, [-1.403981, 4.220222, 5.863830, 0.198356]),
        (3, [3.723294, 0.187091, -3.261101, -0.318107]),
        (7, [7.728557, 5.291225, 2.315829, 4.640757]),
    ],
    argmax: [32, 57, 14, 7, 57, 57, 19, 0],
    frames: [-0.030482, -1.140896, 0.246544],
    key: [-1.141645, -2.075994, 0.413177],
    value: [3.578145, -0.253456, -3.398990],
};

const ZERO: Expected = Expected {
    skip: SkipMode::Zero,
    logits: [
        (0, [-1.131815, 4.429063, 5.939554, 0.121780]),
        (3, [3.721939, -0.047717, -3.438537, -0.273761]),
        (7, [7.818234, 5.706172, 2.930020, 3.568911]),
    ],
    argmax: [32, 57, 52, 7, 57, 57, 19, 0],
    frames: [0.023123, -1.205682, 0.260666],
    key: [-0.939785, -2.185967, 0.467015],
    value: [3.628774, -0.198960, -3.418146],
};

fn close(got: &[f32], want: &[f32], what: &str) {
    for (g, w) in got.iter().zip(want) {
        assert!(
            (g - w).abs() <= TOLERANCE,
            "{what}: {got:?} instead of {want:?}"
        );
    }
}

#[test]
fn the_synthetic_values_are_the_published_ones() {
    let q = values("model.layers.0.self_attn.qkv.linear_q.weight", 3);
    close(&q, &[-0.41989082, -0.32259125, 0.3059274], "linear_q");
    let temp = values("model.layers.2.self_attn.qkv.temp", 2);
    close(&temp, &[0.5135394, 2.2885306], "temp");
}

#[test]
fn logits_routes_and_states_are_the_published_ones() {
    for expected in [SCALED, ZERO] {
        check(&expected);
    }
}

fn check(expected: &Expected) {
    let backend = CpuBackend::new(&CpuOptions {
        threads: 2,
        precision: Precision::F32,
        ..CpuOptions::default()
    })
    .unwrap();
    let model = Zaya::new(
        &backend,
        &tensors(&GOLDEN),
        expected.skip,
        &Loading::default(),
    );
    let mut state = model.new_state(&backend, KvDtype::F32);
    let rows = rows_of(TOKENS.len(), 0, KvMode::Append);
    let output = model.forward(&backend, &TOKENS.to_vec(), &rows, &mut [&mut state]);
    let routes: Vec<Vec<u16>> = output
        .routes
        .iter()
        .map(|r| backend.read_routes(r))
        .collect();
    assert_eq!(routes[0], [3, 3, 3, 2, 0, 3, 0, 3]);
    assert_eq!(routes[1], [1, 3, 3, 0, 1, 0, 1, 1]);
    assert_eq!(routes[2], [1; 8]);

    let logits = backend.read(&backend.linear(model.embed(), &output.hidden, None));
    let rows: Vec<&[f32]> = logits.chunks_exact(GOLDEN.vocab).collect();
    for (row, want) in &expected.logits {
        close(&rows[*row][..4], want, "logits");
    }
    let argmax = |row: &&[f32]| (0..row.len()).reduce(|a, b| if row[b] > row[a] { b } else { a });
    let argmaxes: Vec<usize> = rows.iter().filter_map(argmax).collect();
    assert_eq!(argmaxes, expected.argmax);

    let first: &CcaState = &state.layers[0].cca;
    close(
        &first.frames[..3],
        &[0.835100, 1.140630, -2.012088],
        "layer 0 frames",
    );
    let last = &state.layers[2];
    close(&last.cca.frames[..3], &expected.frames, "layer 2 frames");
    let (key, value) = last.kv.position(7);
    let head = GOLDEN.head_dim;
    close(&key[head..head + 3], &expected.key, "layer 2 key");
    close(&value[head..head + 3], &expected.value, "layer 2 value");
}
