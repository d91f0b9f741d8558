//! `mxtq_down`: the second half of a routed SwiGLU, for a few rows; rotates
//! them itself.

use super::KernelSpec;
use super::experts::{
    CLASSES, CODEBOOK, Experts, MXTQ, SIGNS, TEMPLATE, X, Y, by_rows, call, norms, packed,
    random_call, random_inputs, supported,
};
use super::hadamard::rotate_plainly;
use super::{Dims, HostArray, Port};

/// Outputs of a threadgroup, which is eight simdgroups.
const OUT_PER_GROUP: usize = 32;

const INPUTS: &[Port] = &[
    X,
    SIGNS,
    packed("packed"),
    norms("norms"),
    CODEBOOK,
    CLASSES,
];

/// `y[row] = D[classes[row]] R(x[row])`.
pub static MXTQ_DOWN: KernelSpec = KernelSpec {
    name: "mxtq_down",
    inputs: INPUTS,
    outputs: &[Y],
    header: MXTQ,
    source: include_str!("mxtq_down.metal"),
    template: TEMPLATE,
    grid: |dims| {
        let groups = dims.get("OUT").div_ceil(OUT_PER_GROUP);
        [groups * 256, dims.get("ROWS"), 1]
    },
    threadgroup: |_| [256, 1, 1],
    supports,
    reference,
    shapes: &[
        &call(0, 64, 16, 2, 2),
        &call(1, 1, 1, 1, 2),
        &call(2, 5, 3, 1, 4),
        &call(3, 17, 9, 3, 2),
        &call(4, 100, 33, 5, 2),
        &call(2, 320, 40, 3, 4),
        &call(1, 511, 65, 2, 2),
        &call(2, 1280, 33, 2, 2),
        &call(3, 769, 5, 2, 4),
        &call(1, 2048, 64, 16, 2),
        &call(1, 2048, 64, 16, 4),
        &call(4, 2048, 32, 16, 2),
        &call(1, 4096, 8, 2, 2),
        &call(1, 7168, 8, 1, 4),
    ],
    random_shape: |random| random_call(random, 5),
    random_inputs: |dims, random| random_inputs(INPUTS, dims, random),
};

/// The rotated row, with one float left out after each word's, fits into 32 KiB.
fn supports(dims: &Dims) -> bool {
    let inputs = dims.get("IN");
    supported(dims) && inputs + inputs / (32 / dims.get("BITS")) <= 8192
}

fn reference(dims: &Dims, inputs: &[HostArray]) -> Vec<HostArray> {
    let [x, signs, packed, norms, codebook, classes] = inputs else {
        panic!("not six inputs")
    };
    let experts = Experts::new(packed, norms, codebook);
    let signs = signs.to_f64();
    by_rows(dims, x, classes, |expert, x| {
        let mut rotated = x.to_vec();
        rotate_plainly(&mut rotated, &signs);
        experts.product(dims, expert, &rotated)
    })
}
