//! `mxtq_matvec`: products of a few rotated rows, each with its expert's matrix.

use super::KernelSpec;
use super::experts::{
    CLASSES, CODEBOOK, Experts, MXTQ, TEMPLATE, X, Y, by_rows, call, norms, packed, random_call,
    random_inputs, supported,
};
use super::{Dims, HostArray, Port};

/// Outputs of a threadgroup, which is two simdgroups.
const OUT_PER_GROUP: usize = 16;

const INPUTS: &[Port] = &[X, packed("packed"), norms("norms"), CODEBOOK, CLASSES];

/// `y[row] = W[classes[row]] x[row]`, `x` rotated.
pub static MXTQ_MATVEC: KernelSpec = KernelSpec {
    name: "mxtq_matvec",
    inputs: INPUTS,
    outputs: &[Y],
    header: MXTQ,
    source: include_str!("mxtq_matvec.metal"),
    template: TEMPLATE,
    grid: |dims| {
        let groups = dims.get("OUT").div_ceil(OUT_PER_GROUP);
        [groups * 64, dims.get("ROWS"), 1]
    },
    threadgroup: |_| [64, 1, 1],
    supports: supported,
    reference,
    shapes: &[
        &call(0, 64, 16, 2, 2),
        &call(1, 1, 1, 1, 2),
        &call(1, 1, 1, 1, 4),
        &call(2, 3, 5, 1, 2),
        &call(3, 17, 9, 3, 4),
        &call(4, 100, 33, 5, 2),
        &call(1, 511, 8, 2, 2),
        &call(2, 513, 17, 2, 2),
        &call(1, 257, 31, 2, 4),
        &call(8, 512, 16, 16, 2),
        &call(8, 256, 16, 16, 4),
        &call(1, 2048, 64, 16, 2),
        &call(1, 2048, 32, 16, 4),
        &call(8, 2048, 16, 16, 2),
    ],
    random_shape: |random| random_call(random, 8),
    random_inputs: |dims, random| random_inputs(INPUTS, dims, random),
};

/// Shared with the product of many rows, whose inputs begin the same.
pub(super) fn reference(dims: &Dims, inputs: &[HostArray]) -> Vec<HostArray> {
    let [x, packed, norms, codebook, classes, ..] = inputs else {
        panic!("too few inputs")
    };
    let experts = Experts::new(packed, norms, codebook);
    by_rows(dims, x, classes, |expert, x| {
        experts.product(dims, expert, x)
    })
}
