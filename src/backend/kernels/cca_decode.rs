//! CCA for decoding: one new token of each of `ROWS` sequences, each with its
//! own state. A threadgroup has one head of four sequences.

use super::cca::{Call, F32, HEADER, TEMPLATE, WEIGHT, call, supported, zaya};
use super::{Dims, KernelSpec, Port, cca, cca_reference};

/// Rows of a threadgroup and channels of a simdgroup, as in the kernel's text.
const TILE: usize = 4;
const OUTPUTS: usize = 8;

pub static CCA_DECODE: KernelSpec = KernelSpec {
    name: "cca_decode",
    inputs: &[
        Port {
            name: "q",
            elements: F32,
            shape: &["ROWS", "QUERY_WIDTH"],
        },
        Port {
            name: "k",
            elements: F32,
            shape: &["ROWS", "KEY_WIDTH"],
        },
        Port {
            name: "v_current",
            elements: F32,
            shape: &["ROWS", "HALF"],
        },
        Port {
            name: "v_delayed",
            elements: F32,
            shape: &["ROWS", "HALF"],
        },
        Port {
            name: "frames",
            elements: F32,
            shape: &["ROWS", "CONTEXT", "CHANNELS"],
        },
        Port {
            name: "previous",
            elements: F32,
            shape: &["ROWS", "HALF"],
        },
        Port {
            name: "depthwise",
            elements: WEIGHT,
            shape: &["CHANNELS", "K0"],
        },
        Port {
            name: "depthwise_bias",
            elements: F32,
            shape: &["CHANNELS"],
        },
        Port {
            name: "grouped",
            elements: WEIGHT,
            shape: &["CHANNELS", "COLUMNS"],
        },
        Port {
            name: "grouped_bias",
            elements: F32,
            shape: &["CHANNELS"],
        },
        Port {
            name: "temp",
            elements: F32,
            shape: &["KV_HEADS"],
        },
        Port {
            name: "rotary",
            elements: F32,
            shape: &["ROWS", "PAIRS", "2"],
        },
    ],
    outputs: &[
        Port {
            name: "q_out",
            elements: F32,
            shape: &["ROWS", "QUERY_WIDTH"],
        },
        Port {
            name: "k_out",
            elements: F32,
            shape: &["ROWS", "KEY_WIDTH"],
        },
        Port {
            name: "v_out",
            elements: F32,
            shape: &["ROWS", "KEY_WIDTH"],
        },
        Port {
            name: "frames_out",
            elements: F32,
            shape: &["ROWS", "CONTEXT", "CHANNELS"],
        },
        Port {
            name: "previous_out",
            elements: F32,
            shape: &["ROWS", "HALF"],
        },
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
        &WIDEST,
    ],
    random_shape: |random| cca::random_shape(random.between(0, 9), random),
    random_inputs: |d, random| {
        let rows = d.get("ROWS");
        let positions: Vec<usize> = (0..rows).map(|_| random.between(0, 100_000)).collect();
        cca::random_inputs(d, Some(rows), &positions, random)
    },
};

const WIDEST: Call = call(4, [3, 1], 128, [4, 3], 128);

fn threads(d: &Dims) -> usize {
    d.get("DIM") / OUTPUTS * 32
}
