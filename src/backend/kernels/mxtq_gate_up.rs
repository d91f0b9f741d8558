//! `mxtq_gate_up`: the first half of a routed SwiGLU, for a few rotated rows.

use super::KernelSpec;
use super::experts::{
    CLASSES, CODEBOOK, Experts, MXTQ, TEMPLATE, X, Y, by_rows, call, norms, packed, random_call,
    random_inputs, supported,
};
use super::{Dims, HostArray, Port};

/// Outputs of a threadgroup, which is two simdgroups.
const OUT_PER_GROUP: usize = 8;

const INPUTS: &[Port] = &[
    X,
    packed("gate_packed"),
    norms("gate_norms"),
    packed("up_packed"),
    norms("up_norms"),
    CODEBOOK,
    CLASSES,
];

/// `y[row] = silu(G[classes[row]] x[row]) * (U[classes[row]] x[row])`, `x` rotated.
/// Both matrices have codes of the same width.
pub static MXTQ_GATE_UP: KernelSpec = KernelSpec {
    name: "mxtq_gate_up",
    inputs: INPUTS,
    outputs: &[Y],
    header: MXTQ,
    source: include_str!("mxtq_gate_up.metal"),
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
        &call(2, 5, 3, 1, 2),
        &call(3, 17, 9, 3, 2),
        &call(4, 100, 33, 5, 2),
        &call(2, 129, 7, 2, 4),
        &call(1, 513, 8, 2, 2),
        &call(8, 512, 16, 16, 2),
        &call(1, 2048, 64, 16, 2),
        &call(1, 2048, 16, 16, 4),
        &call(8, 2048, 24, 16, 2),
    ],
    random_shape: |random| random_call(random, 8),
    random_inputs: |dims, random| random_inputs(INPUTS, dims, random),
};

fn reference(dims: &Dims, inputs: &[HostArray]) -> Vec<HostArray> {
    let [x, gate, gate_norms, up, up_norms, codebook, classes] = inputs else {
        panic!("not seven inputs")
    };
    let gate = Experts::new(gate, gate_norms, codebook);
    let up = Experts::new(up, up_norms, codebook);
    by_rows(dims, x, classes, |expert, x| {
        let gate = gate.product(dims, expert, x);
        let up = up.product(dims, expert, x);
        let silu = |g: f64| g / (1.0 + (-g).exp());
        gate.iter().zip(up).map(|(&g, u)| silu(g) * u).collect()
    })
}
