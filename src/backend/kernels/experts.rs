//! What the kernels over MXTQ experts share: their arrays, test calls, and the
//! plain computation. Matrices that are not routed are stacks of one expert with
//! classes 0. A row whose class is no expert skips, and gets zeros.

use super::hadamard::random_signs;
use super::{Dims, Element, HostArray, Port, Random};
use crate::quant::words_per_row;

/// Text for reading codes; needs `rotation.metal` before it.
pub(super) const MXTQ: &str = concat!(include_str!("rotation.metal"), include_str!("mxtq.metal"));

/// Dimensions that are compiled into each kernel.
pub(super) const TEMPLATE: &[&str] = &["BITS", "IN", "OUT", "EXPERTS"];

const fn port(
    name: &'static str,
    elements: &'static [Element],
    shape: &'static [&'static str],
) -> Port {
    Port {
        name,
        elements,
        shape,
    }
}

pub(super) const X: Port = port("x", &[Element::F32], &["ROWS", "IN"]);
pub(super) const SIGNS: Port = port("signs", &[Element::F32], &["IN"]);
pub(super) const CODEBOOK: Port = port("codebook", &[Element::F32], &["LEVELS"]);
/// The expert of each row.
pub(super) const CLASSES: Port = port("classes", &[Element::U32], &["ROWS"]);
/// Rows sorted by class.
pub(super) const ORDER: Port = port("order", &[Element::U32], &["ROWS"]);
pub(super) const Y: Port = port("y", &[Element::F32], &["ROWS", "OUT"]);

/// Codes of all experts.
pub(super) const fn packed(name: &'static str) -> Port {
    port(name, &[Element::U32], &["EXPERTS", "OUT", "WORDS"])
}

/// Norms of all experts' rows.
pub(super) const fn norms(name: &'static str) -> Port {
    port(name, &[Element::F16], &["EXPERTS", "OUT"])
}

/// The dimensions of a product of `rows` rows with matrices of `[out, inputs]`.
pub fn expert_dims(rows: usize, inputs: usize, out: usize, experts: usize, bits: u32) -> Dims {
    Dims::new(&call(rows, inputs, out, experts, bits))
}

pub(super) const fn call(
    rows: usize,
    inputs: usize,
    out: usize,
    experts: usize,
    bits: u32,
) -> [(&'static str, usize); 7] {
    [
        ("ROWS", rows),
        ("IN", inputs),
        ("OUT", out),
        ("EXPERTS", experts),
        ("BITS", bits as usize),
        ("WORDS", words_per_row(inputs, bits)),
        ("LEVELS", 1 << bits),
    ]
}

/// Code widths that the kernels read.
pub(super) fn supported(dims: &Dims) -> bool {
    matches!(dims.get("BITS"), 2 | 4) && dims.get("IN") > 0 && dims.get("OUT") > 0
}

/// A small call of up to `rows` rows. A row of results is never so short that all
/// of it may cancel to nearly nothing, against which errors would look large.
pub(super) fn random_call(random: &mut Random, rows: usize) -> Dims {
    expert_dims(
        random.between(0, rows),
        random.between(1, 700),
        random.between(4, 80),
        random.between(1, 5),
        random.pick(&[2, 4]),
    )
}

/// Makes an input by its name.
pub(super) fn random_input(port: &Port, dims: &Dims, random: &mut Random) -> HostArray {
    let shape = port.shape(dims);
    let count: usize = shape.iter().product();
    match port.name {
        "x" => HostArray::rounded(&shape, &random.normals(count), Element::F32),
        "signs" => random_signs(count, random),
        // As large as real ones, so that results are about 1; but not antisymmetric
        // as those are, which nothing may rely on.
        "codebook" => {
            let scale = 1.0 / (dims.get("IN") as f64).sqrt();
            let mut levels: Vec<f64> = random.normals(count).iter().map(|x| x * scale).collect();
            levels.sort_by(f64::total_cmp);
            HostArray::rounded(&shape, &levels, Element::F32)
        }
        "classes" => HostArray::u32(&shape, random_classes(dims, random)),
        _ if port.elements == [Element::F16] => {
            let norms: Vec<f64> = (0..count).map(|_| 2.0 * random.uniform()).collect();
            HostArray::rounded(&shape, &norms, Element::F16)
        }
        // Codes beyond the last column too, which nothing may read.
        _ => HostArray::u32(&shape, (0..count).map(|_| random.word()).collect()),
    }
}

/// In one small call of five all rows skip, in another nearly all go to one
/// expert. The first row of a wide call never skips: such calls are few.
fn random_classes(dims: &Dims, random: &mut Random) -> Vec<u32> {
    let skips = dims.get("EXPERTS");
    let wide = dims.get("IN") > 1000;
    let kind = random.between(if wide { 1 } else { 0 }, 4);
    (0..dims.get("ROWS"))
        .map(|row| match kind {
            0 => skips,
            1 if random.uniform() < 0.9 => skips - 1,
            _ if row == 0 => random.between(0, skips - 1),
            _ => random.between(0, skips),
        } as u32)
        .collect()
}

pub(super) fn random_inputs(ports: &[Port], dims: &Dims, random: &mut Random) -> Vec<HostArray> {
    let input = |port| random_input(port, dims, random);
    ports.iter().map(input).collect()
}

/// Stacked matrices, as numbers.
pub(super) struct Experts<'a> {
    pub packed: &'a [u32],
    pub norms: Vec<f64>,
    pub codebook: Vec<f64>,
}

impl<'a> Experts<'a> {
    pub fn new(packed: &'a HostArray, norms: &HostArray, codebook: &HostArray) -> Self {
        Self {
            packed: packed.as_u32(),
            norms: norms.to_f64(),
            codebook: codebook.to_f64(),
        }
    }

    /// `norm * sum(x[i] * codebook[code[i]])` for each row of matrix `expert`:
    /// code `i` is in word `i / (32 / bits)`, low bits first.
    pub fn product(&self, dims: &Dims, expert: usize, x: &[f64]) -> Vec<f64> {
        let bits = dims.get("BITS");
        let per_word = 32 / bits;
        let row = |r: usize| {
            let words = &self.packed[r * dims.get("WORDS")..][..dims.get("WORDS")];
            let centroid = |i: usize| {
                let code = words[i / per_word] >> (i % per_word * bits) & ((1 << bits) - 1);
                self.codebook[code as usize]
            };
            let sum: f64 = x.iter().enumerate().map(|(i, x)| x * centroid(i)).sum();
            sum * self.norms[r]
        };
        let out = dims.get("OUT");
        (expert * out..(expert + 1) * out).map(row).collect()
    }
}

/// `one(expert, x)` for each row, zeros for those that skip.
pub(super) fn by_rows(
    dims: &Dims,
    x: &HostArray,
    classes: &HostArray,
    one: impl Fn(usize, &[f64]) -> Vec<f64>,
) -> Vec<HostArray> {
    let mut y = Vec::with_capacity(dims.get("ROWS") * dims.get("OUT"));
    let x = x.to_f64();
    for (x, &class) in x.chunks(dims.get("IN")).zip(classes.as_u32()) {
        let expert = class as usize;
        if expert < dims.get("EXPERTS") {
            y.extend(one(expert, x));
        } else {
            y.extend(std::iter::repeat_n(0.0, dims.get("OUT")));
        }
    }
    vec![HostArray::rounded(&Y.shape(dims), &y, Element::F32)]
}
