//! The CPU backend's kernels one by one, for `benches/`. Not an interface: what
//! is in here follows the kernels.

mod floats;

use std::sync::Arc;

use super::panels::Activations;
use super::weight::Packed;
use super::{CpuBackend, Tensor, Weight};
use crate::backend::{
    AttentionShape, Backend, KvDtype, KvMode, KvStore, Qkv, Rows, Segment, uniform,
};
use crate::quant::{Bytes, Format, Matrix, MxtqTables, ScaleType};

/// Rows and columns of a matrix: those of most in ZAYA1-8B.
const SIDE: usize = 2048;
/// Bytes of the matrices that a cold case goes through: more than L2 has.
const COLD: usize = 128 << 20;

/// One thing to time.
pub struct Case {
    pub name: String,
    /// Read in one run.
    pub bytes: usize,
    /// Weights times tokens; 0 where there are no weights.
    pub products: usize,
    work: Box<dyn Fn(&CpuBackend)>,
}

impl Case {
    pub fn run(&self, backend: &CpuBackend) {
        (self.work)(backend);
    }
}

/// A name and what makes its cases. Making them takes memory, so it is left to
/// whoever wants them.
pub struct Group {
    pub name: &'static str,
    make: fn(&CpuBackend) -> Vec<Case>,
}

impl Group {
    pub fn cases(&self, backend: &CpuBackend) -> Vec<Case> {
        (self.make)(backend)
    }
}

pub const GROUPS: &[Group] = &[
    group("mxtq 2", |b| products(b, &mxtq(2))),
    group("mxtq 3", |b| products(b, &mxtq(3))),
    group("mxtq 4", |b| products(b, &mxtq(4))),
    group("mxtq 8", |b| products(b, &mxtq(8))),
    group("affine 4 g32", |b| products(b, &affine(4))),
    group("affine 8 g32", |b| products(b, &affine(8))),
    group("bf16", |b| products(b, &bf16())),
    group("rotate and quantize", |b| activations(b, &mxtq(2))),
    group("quantize", |b| activations(b, &affine(8))),
    group("merge and norm", floats::merges),
    group("cca", floats::convolutions),
    group("route", floats::routers),
    group("attend", attention),
];

const fn group(name: &'static str, make: fn(&CpuBackend) -> Vec<Case>) -> Group {
    Group { name, make }
}

/// Bytes that look like codes.
fn codes(len: usize) -> Bytes {
    let mut state = 1u64;
    let bytes = (0..len).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    Bytes::from_vec(bytes.collect())
}

/// `count` times the half-precision number with these bits.
fn halves(count: usize, bits: u16) -> Bytes {
    Bytes::from_vec(bits.to_le_bytes().repeat(count))
}

fn matrix(format: Format) -> Matrix {
    let mut matrix = Matrix {
        rows: SIDE,
        cols: SIDE,
        data: Bytes::from_vec(Vec::new()),
        format,
    };
    matrix.data = codes(matrix.data_bytes());
    matrix
}

/// 2^-6 in F16.
const SMALL: u16 = 0x2400;

fn mxtq(bits: u32) -> Matrix {
    matrix(Format::Mxtq {
        bits,
        norms: halves(SIDE, SMALL),
        tables: MxtqTables::new(SIDE, bits, 42),
    })
}

fn affine(bits: u32) -> Matrix {
    let group = 32;
    matrix(Format::Affine {
        bits,
        group,
        scales: halves(SIDE * SIDE / group, SMALL),
        biases: halves(SIDE * SIDE / group, SMALL),
        dtype: ScaleType::F16,
    })
}

fn bf16() -> Matrix {
    let mut matrix = matrix(Format::Bf16);
    // Numbers near 2^-7 with any mantissa.
    let mantissas = codes(SIDE * SIDE);
    let data = mantissas.iter().flat_map(|&m| [m, 0x3c]).collect();
    matrix.data = Bytes::from_vec(data);
    matrix
}

fn tensor(rows: usize, cols: usize) -> Tensor {
    let number = |i| uniform(7, i as u64) as f32 - 0.5;
    Tensor::new(
        rows,
        cols,
        (0..rows * cols).map(number).collect::<Vec<f32>>(),
    )
}

/// Products with one token, cold and from L2, and with many.
fn products(backend: &CpuBackend, matrix: &Matrix) -> Vec<Case> {
    let first = backend.weight(matrix);
    let copies = COLD.div_ceil(first.bytes().max(1));
    let rest = (1..copies).map(|_| backend.weight(matrix));
    let weights: Arc<[Weight]> = std::iter::once(first).chain(rest).collect();
    let case = |name: String, tokens: usize, count: usize| {
        let x = tensor(tokens, SIDE);
        let used = Arc::clone(&weights);
        Case {
            name,
            bytes: weights.iter().take(count).map(Weight::bytes).sum(),
            products: count * SIDE * SIDE * tokens,
            work: Box::new(move |backend| {
                for weight in used.iter().take(count) {
                    std::hint::black_box(backend.linear(weight, &x, None));
                }
            }),
        }
    };
    vec![
        case("1 token, cold".into(), 1, copies),
        case("1 token, same matrix".into(), 1, 1),
        case("2 tokens, cold".into(), 2, copies),
        case("8 tokens, cold".into(), 8, copies),
        case("64 tokens".into(), 64, 1),
        case("512 tokens".into(), 512, 1),
    ]
}

/// Making the integers that products are computed with.
fn activations(backend: &CpuBackend, matrix: &Matrix) -> Vec<Case> {
    let weight = Arc::new(backend.weight(matrix));
    let case = |tokens: usize| {
        let x = tensor(tokens, SIDE);
        let weight = Arc::clone(&weight);
        Case {
            name: format!("{tokens} tokens"),
            bytes: tokens * SIDE * size_of::<f32>(),
            products: 0,
            work: Box::new(move |backend| {
                if let Packed::Integer(panels) = &weight.packed {
                    std::hint::black_box(Activations::of(&backend.cx, &x, panels));
                }
            }),
        }
    };
    vec![case(1), case(512)]
}

/// Attention in ZAYA1-8B's shape, all layers' worth of one cache after the other:
/// decode steps, and prompts of 512 tokens after others.
fn attention(backend: &CpuBackend) -> Vec<Case> {
    let shape = AttentionShape {
        query_heads: 8,
        kv_heads: 2,
        head_dim: 128,
        conv_kernels: [2, 2],
        rotary_dims: 64,
        rope_theta: 5e6,
    };
    let width = shape.kv_heads * shape.head_dim;
    let case = |name: String, context: usize, layers: usize, tokens: usize| {
        let caches: Vec<_> = (0..layers)
            .map(|_| {
                let mut kv = backend.kv(&shape, KvDtype::F16);
                kv.fill(context);
                kv
            })
            .collect();
        let qkv = Qkv {
            q: tensor(tokens, shape.query_heads * shape.head_dim),
            k: tensor(tokens, width),
            v: tensor(tokens, width),
        };
        let position = context - tokens;
        let rows = Rows {
            segments: vec![Segment {
                len: tokens,
                position,
            }],
            kv: KvMode::Append,
        };
        let caches = std::sync::Mutex::new(caches);
        let shape = shape.clone();
        Case {
            name,
            bytes: layers * context * width * 2 * 2,
            products: 0,
            work: Box::new(move |backend| {
                let mut caches = caches.lock().unwrap_or_else(|e| e.into_inner());
                for cache in caches.iter_mut() {
                    // Each run appends the same.
                    cache.truncate(position);
                    std::hint::black_box(backend.attend(&qkv, &shape, &rows, &mut [cache]));
                }
            }),
        }
    };
    let decode =
        |context: usize, layers: usize| case(format!("context {context}"), context, layers, 1);
    let prompt = |before: usize| case(format!("512 after {before}"), before + 512, 40, 512);
    vec![
        decode(512, 40),
        decode(4096, 40),
        // More than any cache has.
        decode(32768, 40),
        prompt(0),
        prompt(7680),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuOptions;

    #[test]
    fn a_case_of_each_kind_runs_and_counts() {
        let options = CpuOptions {
            threads: 1,
            ..CpuOptions::default()
        };
        let backend = CpuBackend::new(&options).expect("threads");
        let first = |name: &str| {
            let group = GROUPS.iter().find(|g| g.name == name).expect("group");
            let cases = group.cases(&backend);
            cases[0].run(&backend);
            cases[0].bytes
        };
        for name in ["quantize", "rotate and quantize"] {
            assert_eq!(first(name), 8192);
        }
        for name in ["merge and norm", "cca", "route"] {
            assert!(first(name) > 8192);
        }
        for matrix in [mxtq(2), mxtq(3), affine(4), affine(8), bf16()] {
            matrix.validate().expect("a matrix");
            let y = backend.linear(&backend.weight(&matrix), &tensor(1, SIDE), None);
            assert!(y.data().iter().all(|y| y.is_finite() && *y != 0.0));
        }
    }
}
