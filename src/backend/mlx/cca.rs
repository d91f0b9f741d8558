//! CCA by our kernels: one call for a batch of single rows, one call for each
//! longer run of rows.

use std::sync::{Mutex, PoisonError};

use mlx_rs::error::Exception;
use mlx_rs::{Array, ops};

use super::MlxBackend;
use super::raw;
use super::sample::host;
use super::tensor::{Tensor, int};
use super::weight::{Store, Weight};
use crate::backend::kernels::dispatch::{Operation, kernel_for};
use crate::backend::kernels::{CCA_DECODE, CCA_PREFILL, cca_dims};
use crate::backend::{AttentionShape, CcaWeights, Projected, Qkv, Rows};

type Result<T> = std::result::Result<T, Exception>;

/// What one layer of one sequence carries from token to token.
#[derive(Clone)]
pub struct CcaState {
    /// The last raw `[q | k]` frames, oldest first: `[context_frames, channels]`.
    frames: Array,
    /// The previous token's delayed value half: `[half_values]`.
    previous: Array,
}

impl CcaState {
    pub fn zeros(shape: &AttentionShape) -> Self {
        Self {
            frames: super::faults::zeros(&[shape.context_frames(), shape.channels()]),
            previous: super::faults::zeros(&[shape.half_values()]),
        }
    }

    /// Frames, oldest first, then the delayed value half.
    pub fn numbers(&self) -> Result<Vec<f32>> {
        let mut numbers = host::<f32>(&self.frames.contiguous()?)?;
        numbers.extend(host::<f32>(&self.previous.contiguous()?)?);
        Ok(numbers)
    }

    /// The state of these numbers, as many as [`CcaState::numbers`] gives.
    pub fn of(shape: &AttentionShape, numbers: &[f32]) -> Self {
        let (frames, previous) = numbers.split_at(numbers.len() - shape.half_values());
        let extents = [int(shape.context_frames()), int(shape.channels())];
        Self {
            frames: Array::from_slice(frames, &extents),
            previous: Array::from_slice(previous, &[int(previous.len())]),
        }
    }
}

/// The rotation of each row, `[rows, rotary_dims / 2, 2]` of (cos, sin). All
/// layers of a step use the same.
#[derive(Default)]
pub struct Rotations(Mutex<Option<(Turned, Array)>>);

/// What a rotation depends on: positions, and the shape's dimensions and base.
type Turned = (Vec<usize>, usize, u64);

impl Rotations {
    fn of(&self, positions: Vec<usize>, shape: &AttentionShape) -> Array {
        let turned = (positions, shape.rotary_dims, shape.rope_theta.to_bits());
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, array)) = last.as_ref().filter(|(of, _)| *of == turned) {
            return array.clone();
        }
        let positions = &turned.0;
        let table: Vec<f32> = positions
            .iter()
            .flat_map(|&position| shape.rotation(position))
            .flat_map(|(sin, cos)| [cos, sin])
            .collect();
        let extents = [int(positions.len()), int(shape.rotary_dims / 2), 2];
        let array = Array::from_slice(&table, &extents);
        *last = Some((turned, array.clone()));
        array
    }
}

fn dense(w: &Weight) -> Result<&Array> {
    match &w.store {
        Store::Dense(array) => Ok(array),
        _ => Err(Exception::custom(
            "a convolution is stored as a quantized matrix",
        )),
    }
}

struct Mixed {
    q: Array,
    k: Array,
    v: Array,
    frames: Array,
    previous: Array,
}

/// One call of a kernel. `states` are the frames and the delayed halves.
fn call(
    b: &MlxBackend,
    operation: Operation,
    positions: Vec<usize>,
    parts: [&Array; 4],
    states: [&Array; 2],
    w: &CcaWeights<MlxBackend>,
    shape: &AttentionShape,
) -> Result<Mixed> {
    let dims = cca_dims(shape, positions.len());
    let spec = match operation {
        Operation::CcaDecode => &CCA_DECODE,
        _ => &CCA_PREFILL,
    };
    let spec = kernel_for(operation, &dims).unwrap_or(spec);
    let rotary = b.rotations.of(positions, shape);
    let [q, k, v_current, v_delayed] = parts;
    let [frames, previous] = states;
    let inputs = [
        q,
        k,
        v_current,
        v_delayed,
        frames,
        previous,
        dense(&w.depthwise)?,
        &*w.depthwise_bias,
        dense(&w.grouped)?,
        &*w.grouped_bias,
        &*w.temp,
        &rotary,
    ];
    let outputs = b.kernels.call(spec, &dims, &inputs)?;
    let outputs: [Array; 5] = outputs
        .try_into()
        .map_err(|_| Exception::custom("a kernel gave not five results"))?;
    let [q, k, v, frames, previous] = outputs;
    Ok(Mixed {
        q,
        k,
        v,
        frames,
        previous,
    })
}

fn arrays(p: &Projected<MlxBackend>) -> [&Tensor; 4] {
    [&p.q, &p.k, &p.v_current, &p.v_delayed]
}

pub fn mix(
    b: &MlxBackend,
    projected: &Projected<MlxBackend>,
    w: &CcaWeights<MlxBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    states: &mut [&mut CcaState],
) -> Result<[Array; 3]> {
    if rows.segments.iter().all(|segment| segment.len == 1) {
        return decode(b, projected, w, shape, rows, states);
    }
    let mut first = 0;
    let mut parts: [Vec<Array>; 3] = Default::default();
    for (segment, state) in rows.segments.iter().zip(states.iter_mut()) {
        if segment.len == 0 {
            continue;
        }
        let part = |x: &Tensor| raw::slice(&x.array, &[first, 0], &[first + segment.len, x.cols]);
        let [q, k, v_current, v_delayed] = arrays(projected);
        let own = [part(q)?, part(k)?, part(v_current)?, part(v_delayed)?];
        let positions = (segment.position..segment.position + segment.len).collect();
        let mixed = call(
            b,
            Operation::CcaPrefill,
            positions,
            own.each_ref(),
            [&state.frames, &state.previous],
            w,
            shape,
        )?;
        for (parts, part) in parts.iter_mut().zip([mixed.q, mixed.k, mixed.v]) {
            parts.push(part);
        }
        (state.frames, state.previous) = (mixed.frames, mixed.previous);
        first += segment.len;
    }
    let [q, k, v] = parts.each_ref().map(|parts| ops::concatenate(parts, 0));
    Ok([q?, k?, v?])
}

/// One row of each sequence.
fn decode(
    b: &MlxBackend,
    projected: &Projected<MlxBackend>,
    w: &CcaWeights<MlxBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    states: &mut [&mut CcaState],
) -> Result<[Array; 3]> {
    let stacked = |of: fn(&CcaState) -> &Array| match &*states {
        [state] => ops::expand_dims(of(state), 0),
        _ => {
            let all: Vec<&Array> = states.iter().map(|state| of(state)).collect();
            ops::stack(&all, 0)
        }
    };
    let frames = stacked(|state| &state.frames)?;
    let previous = stacked(|state| &state.previous)?;
    let positions = rows.segments.iter().map(|s| s.position).collect();
    let parts = arrays(projected).map(|x| &x.array);
    let states_before = [&frames, &previous];
    let mixed = call(
        b,
        Operation::CcaDecode,
        positions,
        parts,
        states_before,
        w,
        shape,
    )?;
    for (row, state) in states.iter_mut().enumerate() {
        let row_of = |all: &Array, own: &Array| {
            let mut start = vec![row];
            start.resize(all.ndim(), 0);
            let mut stop: Vec<usize> = all.shape().iter().map(|&extent| extent as usize).collect();
            stop[0] = row + 1;
            raw::slice(all, &start, &stop)?.reshape(own.shape())
        };
        let frames = row_of(&mixed.frames, &state.frames)?;
        let previous = row_of(&mixed.previous, &state.previous)?;
        **state = CcaState { frames, previous };
    }
    Ok([mixed.q, mixed.k, mixed.v])
}

/// The backend's part of the bargain: tensors of the shapes of the inputs.
pub fn qkv(
    b: &MlxBackend,
    projected: &Projected<MlxBackend>,
    mixed: Result<[Array; 3]>,
) -> Qkv<MlxBackend> {
    let (rows, q, k) = (projected.q.rows, projected.q.cols, projected.k.cols);
    let zeros = |cols| super::faults::zeros(&[rows, cols]);
    let [q_array, k_array, v_array] = b.faults.or(mixed, || [zeros(q), zeros(k), zeros(k)]);
    let tensor = |array, cols| Tensor { array, rows, cols };
    Qkv {
        q: tensor(q_array, q),
        k: tensor(k_array, k),
        v: tensor(v_array, k),
    }
}
