//! What a layer does in floats, in ZAYA1-8B's shape.

use super::{Case, SIDE, tensor};
use crate::backend::cpu::cca::CcaState;
use crate::backend::cpu::{CpuBackend, Tensor, Weight};
use crate::backend::{
    AttentionShape, Backend, CcaWeights, KvMode, MergeWeights, Projected, RouterWeights, Rows,
    Segment,
};
use crate::quant::{Bytes, Format, Matrix};

/// Width and classes of the router.
const ROUTER: usize = 256;
const CLASSES: usize = 17;

/// Rows of a step, and of a chunk of a prompt.
const ROWS: [usize; 2] = [1, 512];

fn shape() -> AttentionShape {
    AttentionShape {
        query_heads: 8,
        kv_heads: 2,
        head_dim: 128,
        conv_kernels: [2, 2],
        rotary_dims: 64,
        rope_theta: 5e6,
    }
}

fn vector(len: usize) -> Vec<f32> {
    tensor(1, len).data().to_vec()
}

fn matrix(rows: usize, cols: usize) -> Matrix {
    let numbers = vector(rows * cols).into_iter();
    let data = numbers.flat_map(|x| half::bf16::from_f32(x / 16.0).to_le_bytes());
    Matrix {
        rows,
        cols,
        data: Bytes::from_vec(data.collect()),
        format: Format::Bf16,
    }
}

fn case(rows: usize, bytes: usize, products: usize, work: impl Fn(&CpuBackend) + 'static) -> Case {
    Case {
        name: format!("{rows} tokens"),
        bytes,
        products,
        work: Box::new(work),
    }
}

/// Residual merge and norm. Each run's input is the last one's output.
pub(super) fn merges(_: &CpuBackend) -> Vec<Case> {
    let of = |rows: usize| {
        let weights = MergeWeights::<CpuBackend> {
            residual: Some((vec![0.5; SIDE], vector(SIDE))),
            hidden: (vec![0.5; SIDE], vector(SIDE)),
        };
        let gain = vec![1.0; SIDE];
        let streams = std::sync::Mutex::new(Some((tensor(rows, SIDE), tensor(rows, SIDE))));
        case(rows, 2 * rows * SIDE * size_of::<f32>(), 0, move |b| {
            let mut streams = streams.lock().unwrap_or_else(|e| e.into_inner());
            if let Some((residual, block)) = streams.take() {
                let both = b.merge_norm(Some(residual), block, &weights, &gain, 1e-6);
                *streams = Some(both);
            }
        })
    };
    ROWS.map(of).into()
}

pub(super) fn convolutions(backend: &CpuBackend) -> Vec<Case> {
    let of = |rows: usize| {
        let (shape, half) = (shape(), shape().half_values());
        let (dim, channels) = (shape.head_dim, shape.channels());
        let weights = CcaWeights::<CpuBackend> {
            depthwise: backend.filter(&matrix(channels, shape.conv_kernels[0])),
            depthwise_bias: vector(channels),
            grouped: backend.filter(&matrix(channels, dim * shape.conv_kernels[1])),
            grouped_bias: vector(channels),
            temp: vec![1.0; shape.kv_heads],
        };
        let projected = Projected::<CpuBackend> {
            q: tensor(rows, shape.query_heads * dim),
            k: tensor(rows, shape.kv_heads * dim),
            v_current: tensor(rows, half),
            v_delayed: tensor(rows, half),
        };
        let place = Rows {
            segments: vec![Segment {
                len: rows,
                position: 100,
            }],
            kv: KvMode::Append,
        };
        let state: std::sync::Mutex<CcaState> = backend.cca_state(&shape).into();
        let numbers = channels * dim * shape.conv_kernels[1];
        case(rows, weights.grouped.bytes(), numbers * rows, move |b| {
            let mut state = state.lock().unwrap_or_else(|e| e.into_inner());
            let states = &mut [&mut *state];
            std::hint::black_box(b.cca_mix(&projected, &weights, &shape, &place, states));
        })
    };
    ROWS.map(of).into()
}

pub(super) fn routers(backend: &CpuBackend) -> Vec<Case> {
    let of = |rows: usize| {
        let weight = |rows, cols| backend.weight(&matrix(rows, cols));
        let weights = RouterWeights::<CpuBackend> {
            down: weight(ROUTER, SIDE),
            down_bias: vector(ROUTER),
            state_scale: Some(vector(ROUTER)),
            norm: vector(ROUTER),
            norm_eps: 1e-6,
            fc1: weight(ROUTER, ROUTER),
            fc1_bias: vector(ROUTER),
            fc2: weight(ROUTER, ROUTER),
            fc2_bias: vector(ROUTER),
            out: weight(CLASSES, ROUTER),
            balancing_biases: vector(CLASSES),
        };
        let bytes = [&weights.down, &weights.fc1, &weights.fc2, &weights.out].map(Weight::bytes);
        let bytes: usize = bytes.iter().sum();
        let (x, previous): (Tensor, Tensor) = (tensor(rows, SIDE), tensor(rows, ROUTER));
        case(rows, bytes, bytes / 2 * rows, move |b| {
            std::hint::black_box(b.route(&x, Some(&previous), &weights));
        })
    };
    ROWS.map(of).into()
}
