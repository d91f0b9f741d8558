//! `mxtq_matmul`: products of many rotated rows, each with its expert's matrix.

use super::KernelSpec;
use super::experts::{
    CLASSES, CODEBOOK, MXTQ, ORDER, TEMPLATE, X, Y, call, norms, packed, random_call,
    random_inputs, supported,
};
use super::{Dims, HostArray, Port, Random, mxtq_matvec};

/// A threadgroup of four simdgroups makes a tile of this size.
const TILE_ROWS: usize = 32;
const TILE_OUT: usize = 64;

/// As those of the product of few rows; `order` holds the rows sorted by class,
/// those that skip last. Another order costs time, not truth.
const INPUTS: &[Port] = &[
    X,
    packed("packed"),
    norms("norms"),
    CODEBOOK,
    CLASSES,
    ORDER,
];

/// `y[row] = W[classes[row]] x[row]`, `x` rotated.
///
/// A tile's codes are decoded once for its 32 rows. Shorter tiles would decode
/// more often; taller ones would mix more experts: of a chunk of 256 rows over
/// 16 experts, each has 16 rows.
pub static MXTQ_MATMUL: KernelSpec = KernelSpec {
    name: "mxtq_matmul",
    inputs: INPUTS,
    outputs: &[Y],
    header: MXTQ,
    source: include_str!("mxtq_matmul.metal"),
    template: TEMPLATE,
    grid: |dims| {
        let tiles = dims.get("ROWS").div_ceil(TILE_ROWS);
        [dims.get("OUT").div_ceil(TILE_OUT) * 128, tiles, 1]
    },
    threadgroup: |_| [128, 1, 1],
    supports: supported,
    reference: mxtq_matvec::reference,
    shapes: &[
        &call(0, 64, 16, 2, 2),
        &call(1, 1, 1, 1, 2),
        &call(3, 5, 3, 1, 4),
        &call(33, 17, 9, 3, 2),
        &call(32, 16, 64, 1, 4),
        &call(31, 100, 65, 5, 2),
        &call(70, 72, 63, 16, 4),
        &call(9, 129, 130, 2, 4),
        &call(100, 48, 20, 1, 2),
        &call(40, 2048, 64, 16, 2),
        &call(33, 2048, 16, 16, 4),
    ],
    random_shape: |random| random_call(random, 80),
    random_inputs: inputs,
};

fn inputs(dims: &Dims, random: &mut Random) -> Vec<HostArray> {
    let mut inputs = random_inputs(&INPUTS[..5], dims, random);
    let classes = inputs[4].as_u32();
    let mut order: Vec<u32> = (0..classes.len() as u32).collect();
    order.sort_by_key(|&row| classes[row as usize]);
    inputs.push(HostArray::u32(&ORDER.shape(dims), order));
    inputs
}
