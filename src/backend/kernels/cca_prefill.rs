//! CCA for prefill: `ROWS` consecutive tokens of one sequence. A threadgroup has
//! one head of 32 tokens, so weights are read once for these.

use super::cca::{Call, F32, HEADER, TEMPLATE, WEIGHT, call, supported, zaya};
use super::{Dims, KernelSpec, Port, cca, cca_reference};

/// Rows of a threadgroup and channels of a simdgroup, as in the kernel's text.
const TILE: usize = 32;
const OUTPUTS: usize = 16;

pub static CCA_PREFILL: KernelSpec = KernelSpec {
    name: "cca_prefill",
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
            shape: &["CONTEXT", "CHANNELS"],
        },
        Port {
            name: "previous",
            elements: F32,
            shape: &["HALF"],
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
            shape: &["CONTEXT", "CHANNELS"],
        },
        Port {
            name: "previous_out",
            elements: F32,
            shape: &["HALF"],
        },
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
        &WIDEST,
    ],
    random_shape: |random| cca::random_shape(random.between(0, 70), random),
    random_inputs: |d, random| {
        let first = random.between(0, 100_000);
        let positions: Vec<usize> = (first..first + d.get("ROWS")).collect();
        cca::random_inputs(d, None, &positions, random)
    },
};

const WIDEST: Call = call(9, [3, 1], 128, [4, 3], 128);

fn threads(d: &Dims) -> usize {
    d.get("DIM").div_ceil(OUTPUTS) * 32
}
