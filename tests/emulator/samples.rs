//! Kernels that only test the emulator.

use cairn::backend::kernels::{Dims, Element, HostArray, KernelSpec, Port, Random};

const F32: &[Element] = &[Element::F32];

const fn port(name: &'static str, shape: &'static [&'static str]) -> Port {
    Port {
        name,
        elements: F32,
        shape,
    }
}

/// One thread per element, 64 to a group.
fn by_element(dims: &Dims) -> [usize; 3] {
    [dims.get("N"), 1, 1]
}

fn groups_of_64(_: &Dims) -> [usize; 3] {
    [64, 1, 1]
}

fn normal_inputs(dims: &Dims, random: &mut Random) -> Vec<HostArray> {
    let n = dims.get("N");
    (0..2)
        .map(|_| HostArray::rounded(&[n], &random.normals(n), Element::F32))
        .collect()
}

/// `out[i] = a[i] + b[i]`, the pattern for kernels of one element per thread.
pub static ADD: KernelSpec = KernelSpec {
    name: "add",
    inputs: &[port("a", &["N"]), port("b", &["N"])],
    outputs: &[port("out", &["N"])],
    header: "",
    source: "uint i = thread_position_in_grid.x;\nout[i] = a[i] + b[i];\n",
    template: &[],
    grid: by_element,
    threadgroup: groups_of_64,
    supports: |_| true,
    reference: |dims, inputs| {
        let (a, b) = (inputs[0].to_f64(), inputs[1].to_f64());
        let sums: Vec<f64> = a.iter().zip(&b).map(|(x, y)| x + y).collect();
        vec![HostArray::rounded(&[dims.get("N")], &sums, Element::F32)]
    },
    shapes: &[&[("N", 0)], &[("N", 1)], &[("N", 64)], &[("N", 1000)]],
    random_shape: |random| Dims::new(&[("N", random.between(1, 300))]),
    random_inputs: normal_inputs,
};
