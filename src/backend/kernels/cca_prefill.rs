//! CCA for prefill: `ROWS` consecutive tokens of one sequence. A threadgroup has
//! one head of 32 tokens, so weights are read once for these.

use super::cca::{F32, HEADER, TEMPLATE, WEIGHT, call, port, supported, zaya};
use super::{Dims, KernelSpec, cca, cca_reference};

/// Rows of a threadgroup and channels of a simdgroup, as in the kernel's text.
const TILE: usize = 32;
const OUTPUTS: usize = 16;

/// `q` and `k` are raw projections; `v_current` and `v_delayed` both value
/// projections of the same rows, of which the second comes out a row later;
/// `frames` the last raw `[q | k]`, oldest first, and `previous` the delayed
/// projection of the row before: the state, whose successor is written too.
/// `grouped` must begin at a multiple of four elements; its columns are
/// `d * K1 + tap`. `rotary` is (cos, sin) of each row's angles.
pub static CCA_PREFILL: KernelSpec = KernelSpec {
    name: "cca_prefill",
    inputs: &[
        port("q", F32, &["ROWS", "QUERY_WIDTH"]),
        port("k", F32, &["ROWS", "KEY_WIDTH"]),
        port("v_current", F32, &["ROWS", "HALF"]),
        port("v_delayed", F32, &["ROWS", "HALF"]),
        port("frames", F32, &["CONTEXT", "CHANNELS"]),
        port("previous", F32, &["HALF"]),
        port("depthwise", WEIGHT, &["CHANNELS", "K0"]),
        port("depthwise_bias", F32, &["CHANNELS"]),
        port("grouped", WEIGHT, &["CHANNELS", "COLUMNS"]),
        port("grouped_bias", F32, &["CHANNELS"]),
        port("temp", F32, &["KV_HEADS"]),
        port("rotary", F32, &["ROWS", "PAIRS", "2"]),
    ],
    outputs: &[
        port("q_out", F32, &["ROWS", "QUERY_WIDTH"]),
        port("k_out", F32, &["ROWS", "KEY_WIDTH"]),
        port("v_out", F32, &["ROWS", "KEY_WIDTH"]),
        port("frames_out", F32, &["CONTEXT", "CHANNELS"]),
        port("previous_out", F32, &["HALF"]),
    ],
    header: HEADER,
    source: include_str!("cca_prefill.metal"),
    template: TEMPLATE,
    grid: |d| {
        let heads = d.get("QUERY_HEADS") + d.get("KV_HEADS");
        // Without rows there still is a state to hand on.
        [threads(d), heads, d.get("ROWS").div_ceil(TILE).max(1)]
    },
    threadgroup: |d| [threads(d), 1, 1],
    supports: supported,
    reference: cca_reference::prefill,
    shapes: &[
        &zaya(0),
        &zaya(1),
        &zaya(33),
        // Fewer rows than frames of context, and inputs of fewer than eight elements.
        &call(2, [1, 1], 8, [3, 2], 2),
        &call(1, [2, 2], 8, [4, 3], 8),
        &call(40, [4, 2], 16, [2, 2], 8),
        &call(65, [6, 3], 24, [1, 2], 24),
        &call(7, [2, 1], 40, [2, 1], 6),
        // The most that is supported.
        &call(9, [3, 1], 128, [4, 3], 128),
    ],
    random_shape: |random| cca::random_shape(random.between(0, 70), random),
    random_inputs: |d, random| {
        let first = random.between(0, 100_000);
        let positions: Vec<usize> = (first..first + d.get("ROWS")).collect();
        cca::random_inputs(d, None, &positions, random)
    },
};

fn threads(d: &Dims) -> usize {
    d.get("DIM").div_ceil(OUTPUTS) * 32
}
