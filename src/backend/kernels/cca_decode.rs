//! CCA for decoding: one new token of each of `ROWS` sequences, each with its
//! own state. A threadgroup has one head of four sequences.

use super::cca::{F32, HEADER, TEMPLATE, WEIGHT, call, port, supported, zaya};
use super::{Dims, KernelSpec, cca, cca_reference};

/// Rows of a threadgroup and channels of a simdgroup, as in the kernel's text.
const TILE: usize = 4;
const OUTPUTS: usize = 8;

/// Inputs as in [`super::CCA_PREFILL`], but with one state per row.
pub static CCA_DECODE: KernelSpec = KernelSpec {
    name: "cca_decode",
    inputs: &[
        port("q", F32, &["ROWS", "QUERY_WIDTH"]),
        port("k", F32, &["ROWS", "KEY_WIDTH"]),
        port("v_current", F32, &["ROWS", "HALF"]),
        port("v_delayed", F32, &["ROWS", "HALF"]),
        port("frames", F32, &["ROWS", "CONTEXT", "CHANNELS"]),
        port("previous", F32, &["ROWS", "HALF"]),
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
        port("frames_out", F32, &["ROWS", "CONTEXT", "CHANNELS"]),
        port("previous_out", F32, &["ROWS", "HALF"]),
    ],
    header: HEADER,
    source: include_str!("cca_decode.metal"),
    template: TEMPLATE,
    grid: |d| {
        let heads = d.get("QUERY_HEADS") + d.get("KV_HEADS");
        [threads(d), heads, d.get("ROWS").div_ceil(TILE)]
    },
    threadgroup: |d| [threads(d), 1, 1],
    supports: supported,
    reference: cca_reference::decode,
    shapes: &[
        &zaya(0),
        &zaya(1),
        &zaya(5),
        // The smallest head: inputs of fewer than eight elements.
        &call(1, [1, 1], 8, [1, 2], 2),
        &call(2, [4, 2], 16, [2, 2], 8),
        &call(9, [6, 3], 24, [3, 2], 24),
        &call(3, [2, 1], 40, [2, 1], 6),
        // The most that is supported.
        &call(4, [3, 1], 128, [4, 3], 128),
    ],
    random_shape: |random| cca::random_shape(random.between(0, 9), random),
    random_inputs: |d, random| {
        let rows = d.get("ROWS");
        let positions: Vec<usize> = (0..rows).map(|_| random.between(0, 100_000)).collect();
        cca::random_inputs(d, Some(rows), &positions, random)
    },
};

fn threads(d: &Dims) -> usize {
    d.get("DIM") / OUTPUTS * 32
}
