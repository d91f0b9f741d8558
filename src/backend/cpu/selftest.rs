//! What the CPU backend makes of the calls that Metal kernels are tested with:
//! the same computations by its own operations, against the same references.

use std::sync::Arc;

use super::{CcaState, CpuBackend, CpuOptions, Precision, Routes, Tensor};
use crate::backend::kernels::{Dims, Element, HostArray, KernelSpec, Runner};
use crate::backend::{AttentionShape, Backend, CcaWeights, KvMode, Projected, Qkv, Rows, Segment};
use crate::quant::{Bytes, Format, Matrix, MxtqTables, rotate, rotate_back};

/// ZAYA's, with which the calls' rotations are made.
const ROPE_THETA: f64 = 5e6;

/// Runs each kernel's calls on a CPU backend.
pub struct CpuRunner(CpuBackend);

impl CpuRunner {
    /// # Errors
    /// As [`CpuBackend::new`].
    pub fn new(threads: usize) -> std::io::Result<Self> {
        // In the references' own precision.
        let options = CpuOptions {
            threads,
            precision: Precision::F32,
            ..CpuOptions::default()
        };
        CpuBackend::new(&options).map(Self)
    }
}

impl Runner for CpuRunner {
    fn device(&self) -> String {
        self.0.describe()
    }

    fn run(
        &self,
        spec: &KernelSpec,
        dims: &Dims,
        inputs: &[HostArray],
    ) -> Result<Vec<HostArray>, String> {
        let cpu = &self.0;
        let outputs = cpu.enter(|| match (spec.name, inputs) {
            ("hadamard_rotate", [x, signs]) => Ok(vec![turned(x, &vector(signs), rotate)]),
            ("mxtq_matvec" | "mxtq_matmul", [x, packed, norms, codebook, classes, ..]) => {
                let stack = Stack::new(cpu, dims, [packed, norms, codebook], None);
                Ok(vec![cpu.read(&stack.product(
                    cpu,
                    &turned_back(x),
                    classes,
                ))])
            }
            ("mxtq_gate_up", [x, gate, gate_norms, up, up_norms, codebook, classes]) => {
                let x = turned_back(x);
                let [gate, up] = [[gate, gate_norms], [up, up_norms]].map(|[packed, norms]| {
                    let stack = Stack::new(cpu, dims, [packed, norms, codebook], None);
                    stack.product(cpu, &x, classes)
                });
                Ok(vec![cpu.read(&cpu.swiglu(&gate, &up))])
            }
            ("mxtq_down", [x, signs, packed, norms, codebook, classes]) => {
                let stack = Stack::new(cpu, dims, [packed, norms, codebook], Some(signs));
                Ok(vec![cpu.read(&stack.product(cpu, &tensor(x), classes))])
            }
            ("cca_decode" | "cca_prefill", [.., rotary]) => {
                let shape = attention(dims);
                let positions = positions(rotary)?;
                let segments = match spec.name {
                    "cca_decode" => positions.iter().map(|&p| (1, p)).collect(),
                    _ => vec![(positions.len(), positions.first().copied().unwrap_or(0))],
                };
                Ok(cca(cpu, &shape, inputs, &rows(&segments)).into())
            }
            _ => Err("the CPU backend has nothing like it".to_owned()),
        })?;
        let shapes = spec.outputs.iter().map(|port| port.shape(dims));
        Ok(shapes
            .zip(outputs)
            .map(|(shape, values)| HostArray::f32(&shape, values))
            .collect())
    }
}

fn vector(array: &HostArray) -> Vec<f32> {
    array.to_f64().iter().map(|&x| x as f32).collect()
}

/// Rows of an array as activations.
fn tensor(array: &HostArray) -> Tensor {
    Tensor::new(array.shape[0], array.shape[1], vector(array))
}

/// Each row by itself.
fn turned(x: &HostArray, signs: &[f32], turn: fn(&mut [f32], &[f32])) -> Vec<f32> {
    let mut values = vector(x);
    for row in values.chunks_mut(x.shape[1]) {
        turn(row, signs);
    }
    values
}

/// Kernels are given rotated rows, this backend rotates them itself: what it
/// must be given. All signs are 1.
fn turned_back(x: &HostArray) -> Tensor {
    let signs = vec![1.0; x.shape[1]];
    Tensor::new(x.shape[0], x.shape[1], turned(x, &signs, rotate_back))
}

/// The matrices of all experts.
struct Stack(Vec<super::Weight>);

impl Stack {
    /// Of codes, norms and codebook; without `signs` they are all 1.
    fn new(
        cpu: &CpuBackend,
        dims: &Dims,
        [packed, norms, codebook]: [&HostArray; 3],
        signs: Option<&HostArray>,
    ) -> Self {
        let [out, cols] = [dims.get("OUT"), dims.get("IN")];
        let tables = Arc::new(MxtqTables {
            signs: signs.map_or_else(|| vec![1.0; cols], vector),
            codebook: vector(codebook),
        });
        let part = |array: &HostArray, expert: usize| {
            let bytes = array.to_bytes();
            let length = bytes.len() / array.shape[0];
            Bytes::from_vec(bytes[expert * length..][..length].to_vec())
        };
        let matrix = |expert| Matrix {
            rows: out,
            cols,
            data: part(packed, expert),
            format: Format::Mxtq {
                bits: dims.get("BITS") as u32,
                norms: part(norms, expert),
                tables: Arc::clone(&tables),
            },
        };
        let matrices: Vec<Matrix> = (0..dims.get("EXPERTS")).map(matrix).collect();
        Self(cpu.stack(&matrices.iter().collect::<Vec<_>>()))
    }

    fn product(&self, cpu: &CpuBackend, x: &Tensor, classes: &HostArray) -> Tensor {
        let classes = classes.as_u32().iter().map(|&class| class as u16);
        cpu.expert_linear(&self.0, x, &Routes::to(classes.collect()))
    }
}

fn matrix(array: &HostArray) -> Matrix {
    Matrix {
        rows: array.shape[0],
        cols: array.shape[1],
        data: Bytes::from_vec(array.to_bytes()),
        format: match array.element() {
            Element::F16 => Format::F16,
            Element::Bf16 => Format::Bf16,
            _ => Format::F32,
        },
    }
}

fn attention(dims: &Dims) -> AttentionShape {
    AttentionShape {
        query_heads: dims.get("QUERY_HEADS"),
        kv_heads: dims.get("KV_HEADS"),
        head_dim: dims.get("DIM"),
        conv_kernels: [dims.get("K0"), dims.get("K1")],
        rotary_dims: dims.get("ROTARY"),
        rope_theta: ROPE_THETA,
    }
}

/// Segments of so many rows from a position on.
fn rows(segments: &[(usize, usize)]) -> Rows {
    let segment = |&(len, position): &(usize, usize)| Segment { len, position };
    Rows {
        segments: segments.iter().map(segment).collect(),
        kv: KvMode::Append,
    }
}

/// Kernels are given each row's rotation, this backend its position: the one
/// that turns the first pair, by one radian a token, as far. Up to there no two
/// positions look alike: they are 1e-5 apart at least.
fn positions(rotary: &HostArray) -> Result<Vec<usize>, String> {
    const FARTHEST: usize = 102_400;
    let (values, per_row) = (rotary.to_f64(), rotary.shape[1] * 2);
    let place = |row: &[f64]| {
        let distance = |position: usize| {
            let (sin, cos) = (position as f64).sin_cos();
            (row[0] - cos).abs() + (row[1] - sin).abs()
        };
        (0..FARTHEST)
            .find(|&position| distance(position) < 1e-6)
            .ok_or_else(|| "a rotation of no position".to_owned())
    };
    values.chunks(per_row).map(place).collect()
}

/// What a CPU backend makes of a CCA kernel's inputs, in the order of its
/// outputs: queries, keys, values, and frames and delayed halves of all states.
pub(in crate::backend) fn cca(
    cpu: &CpuBackend,
    shape: &AttentionShape,
    inputs: &[HostArray],
    rows: &Rows,
) -> [Vec<f32>; 5] {
    let weights = CcaWeights::<CpuBackend> {
        depthwise: cpu.weight(&matrix(&inputs[6])),
        depthwise_bias: vector(&inputs[7]),
        grouped: cpu.weight(&matrix(&inputs[8])),
        grouped_bias: vector(&inputs[9]),
        temp: vector(&inputs[10]),
    };
    let (frames, previous) = (vector(&inputs[4]), vector(&inputs[5]));
    let per_state = shape.context_frames() * shape.channels();
    let mut states: Vec<CcaState> = frames
        .chunks_exact(per_state)
        .zip(previous.chunks_exact(shape.half_values()))
        .map(|(frames, previous)| CcaState {
            frames: frames.to_vec(),
            previous: previous.to_vec(),
        })
        .collect();
    let mut borrowed: Vec<&mut CcaState> = states.iter_mut().collect();
    let [q, k, v_current, v_delayed] = [0, 1, 2, 3].map(|i| tensor(&inputs[i]));
    let projected = Projected {
        q,
        k,
        v_current,
        v_delayed,
    };
    let Qkv { q, k, v } = cpu.cca_mix(&projected, &weights, shape, rows, &mut borrowed);
    let frames = states.iter().flat_map(|s| s.frames.clone()).collect();
    let previous = states.iter().flat_map(|s| s.previous.clone()).collect();
    [cpu.read(&q), cpu.read(&k), cpu.read(&v), frames, previous]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::kernels::{self, SEED, Verdict};

    /// Every listed and random call, no and one row among them.
    #[test]
    fn this_backend_agrees_with_every_reference() {
        let runner = CpuRunner::new(1).unwrap();
        let lines = kernels::selftest(&runner, kernels::ALL, SEED, &mut |_| {});
        let wrong: Vec<_> = lines
            .iter()
            .filter(|line| line.verdict != Verdict::Agrees)
            .collect();
        assert!(lines.len() > 100 && wrong.is_empty(), "{wrong:#?}");
    }
}
