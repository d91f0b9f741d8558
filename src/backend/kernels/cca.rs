//! What the CCA kernels for decode and prefill have in common: the sizes of a
//! call, which calls they can do, the text both are compiled with, and random
//! calls. The formulas are in `cca_reference`.

use super::{Dims, Element, HostArray, Port, Random};
use crate::backend::AttentionShape;

/// Helper functions of both kernels.
pub(super) const HEADER: &str = include_str!("cca_common.metal");

/// Weights may be stored in any of these; all else is f32.
pub(super) const WEIGHT: &[Element] = &[Element::F16, Element::Bf16, Element::F32];
pub(super) const F32: &[Element] = &[Element::F32];

pub(super) const fn port(
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

/// All sizes but `ROWS`: compiled in.
pub(super) const TEMPLATE: &[&str] = &[
    "QUERY_HEADS",
    "KV_HEADS",
    "DIM",
    "K0",
    "K1",
    "ROTARY",
    "QUERY_WIDTH",
    "KEY_WIDTH",
    "CHANNELS",
    "HALF",
    "CONTEXT",
    "COLUMNS",
];

/// Every size of a call, the derived ones too.
pub(super) type Call = [(&'static str, usize); 14];

/// Heads are `[query, kv]`, kernels `[K0, K1]`.
pub(super) const fn call(
    rows: usize,
    heads: [usize; 2],
    dim: usize,
    kernels: [usize; 2],
    rotary: usize,
) -> Call {
    let [query_heads, kv_heads] = heads;
    let [k0, k1] = kernels;
    [
        ("ROWS", rows),
        ("QUERY_HEADS", query_heads),
        ("KV_HEADS", kv_heads),
        ("DIM", dim),
        ("K0", k0),
        ("K1", k1),
        ("ROTARY", rotary),
        ("QUERY_WIDTH", query_heads * dim),
        ("KEY_WIDTH", kv_heads * dim),
        ("CHANNELS", (query_heads + kv_heads) * dim),
        ("HALF", kv_heads * dim / 2),
        ("CONTEXT", k0 + k1 - 2),
        ("COLUMNS", dim * k1),
        ("PAIRS", rotary / 2),
    ]
}

/// The sizes of a call with `rows` rows: sequences for `cca_decode`, tokens of
/// one sequence for `cca_prefill`.
pub fn cca_dims(shape: &AttentionShape, rows: usize) -> Dims {
    Dims::new(&call(
        rows,
        [shape.query_heads, shape.kv_heads],
        shape.head_dim,
        shape.conv_kernels,
        shape.rotary_dims,
    ))
}

/// ZAYA1-8B: 8 query heads on 2 KV heads of 128, of which 64 are rotated.
pub(super) const fn zaya(rows: usize) -> Call {
    call(rows, [8, 2], 128, [2, 2], 64)
}

/// What both kernels need: whole 8 x 8 tiles of a head, at most 16 of them in a
/// row; convolutions that look back at least one frame in all, and at most
/// three each; whole query groups.
pub(super) fn supported(d: &Dims) -> bool {
    let [heads, kv_heads] = [d.get("QUERY_HEADS"), d.get("KV_HEADS")];
    let [k0, k1] = [d.get("K0"), d.get("K1")];
    let dim = d.get("DIM");
    let rotary = d.get("ROTARY");
    kv_heads > 0
        && heads > 0
        && heads.is_multiple_of(kv_heads)
        && (8..=128).contains(&dim)
        && dim.is_multiple_of(8)
        && (1..=4).contains(&k0)
        && (1..=3).contains(&k1)
        && k0 + k1 > 2
        && (2..=dim).contains(&rotary)
        && rotary.is_multiple_of(2)
}

/// Sizes that [`supported`] allows, small enough for an emulator.
pub(super) fn random_shape(rows: usize, random: &mut Random) -> Dims {
    let kv_heads = random.between(1, 3);
    let heads = [kv_heads * random.between(1, 4), kv_heads];
    let dim = random.pick(&[8, 16, 24, 32, 40, 64, 72]);
    let kernels = random.pick(&[[2, 2], [2, 2], [1, 2], [2, 1], [3, 2], [1, 3], [4, 3]]);
    let rotary = 2 * random.between(1, dim / 2);
    Dims::new(&call(rows, heads, dim, kernels, rotary))
}

/// Inputs in the order of the kernels' signatures. With `sequences` states have
/// a leading extent, that many; `positions` are those of the rows.
pub(super) fn random_inputs(
    d: &Dims,
    sequences: Option<usize>,
    positions: &[usize],
    random: &mut Random,
) -> Vec<HostArray> {
    let size = |name| d.get(name);
    let state = |extents: &[usize]| -> Vec<usize> {
        sequences
            .into_iter()
            .chain(extents.iter().copied())
            .collect()
    };
    let rows = size("ROWS");
    let normal = |random: &mut Random, shape: &[usize], scale: f64, element| {
        let mut values = random.normals(shape.iter().product());
        for v in &mut values {
            *v *= scale;
        }
        HostArray::rounded(shape, &values, element)
    };
    let plain = |random: &mut Random, shape: &[usize]| normal(random, shape, 1.0, Element::F32);
    let q = plain(random, &[rows, size("QUERY_WIDTH")]);
    let k = plain(random, &[rows, size("KEY_WIDTH")]);
    let v_current = plain(random, &[rows, size("HALF")]);
    let v_delayed = plain(random, &[rows, size("HALF")]);
    let frames = plain(random, &state(&[size("CONTEXT"), size("CHANNELS")]));
    let previous = plain(random, &state(&[size("HALF")]));
    let (channels, columns) = (size("CHANNELS"), size("COLUMNS"));
    let element = random.pick(WEIGHT);
    let depthwise = normal(random, &[channels, size("K0")], 0.7, element);
    let depthwise_bias = normal(random, &[channels], 0.2, Element::F32);
    let element = random.pick(WEIGHT);
    let scale = 1.0 / (columns as f64).sqrt();
    let grouped = normal(random, &[channels, columns], scale, element);
    let grouped_bias = normal(random, &[channels], 0.2, Element::F32);
    let temps: Vec<f64> = (0..size("KV_HEADS"))
        .map(|_| 0.5 + 12.0 * random.uniform())
        .collect();
    let temp = HostArray::rounded(&[temps.len()], &temps, Element::F32);
    let rotary = HostArray::rounded(
        &[rows, size("PAIRS"), 2],
        &rotary(positions, size("ROTARY")),
        Element::F32,
    );
    vec![
        q,
        k,
        v_current,
        v_delayed,
        frames,
        previous,
        depthwise,
        depthwise_bias,
        grouped,
        grouped_bias,
        temp,
        rotary,
    ]
}

/// (cos, sin) per position and pair, at ZAYA's base of 5e6.
fn rotary(positions: &[usize], dims: usize) -> Vec<f64> {
    let angle = |position: usize, pair: usize| {
        position as f64 * 5e6f64.powf(-2.0 * pair as f64 / dims as f64)
    };
    positions
        .iter()
        .flat_map(|&p| (0..dims / 2).map(move |i| angle(p, i)))
        .flat_map(|a| [a.cos(), a.sin()])
        .collect()
}
