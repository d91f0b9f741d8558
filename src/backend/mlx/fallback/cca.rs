//! CCA over `[sequences, rows]`: decode is many sequences of one row, prefill
//! one sequence of many.

use mlx_rs::error::Exception;
use mlx_rs::{Array, ops};

use super::wrong_inputs;
use crate::backend::kernels::Dims;
use crate::backend::mlx::raw;
use crate::backend::mlx::tensor::int;

type Result<T> = std::result::Result<T, Exception>;

pub fn decode(dims: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    mix(dims, dims.get("ROWS"), 1, inputs)
}

pub fn prefill(dims: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    if dims.get("ROWS") == 0 {
        // No rows, and the states as they are.
        let &[q, k, _, _, frames, previous, ..] = inputs else {
            return Err(wrong_inputs());
        };
        return Ok([q, k, k, frames, previous].map(Array::clone).into());
    }
    mix(dims, 1, dims.get("ROWS"), inputs)
}

/// The part `range` of dimension `axis`.
fn part(a: &Array, axis: usize, range: std::ops::Range<usize>) -> Result<Array> {
    let mut start = vec![0; a.ndim()];
    let mut stop: Vec<usize> = a.shape().iter().map(|&extent| extent as usize).collect();
    (start[axis], stop[axis]) = (range.start, range.end);
    raw::slice(a, &start, &stop)
}

fn mix(dims: &Dims, sequences: usize, rows: usize, inputs: &[&Array]) -> Result<Vec<Array>> {
    let [q, k, v_current, v_delayed, frames, previous, rest @ ..] = inputs else {
        return Err(wrong_inputs());
    };
    let size = |name| int(dims.get(name));
    let (s, t) = (int(sequences), int(rows));
    let context = dims.get("CONTEXT");
    let state_shapes = [frames.shape().to_vec(), previous.shape().to_vec()];

    let raw_frames = ops::concatenate(&[q, k], 1)?.reshape(&[s, t, size("CHANNELS")])?;
    let all = match context {
        0 => raw_frames,
        _ => {
            let before = frames.reshape(&[s, int(context), size("CHANNELS")])?;
            ops::concatenate(&[before, raw_frames], 1)?
        }
    };
    let [q_out, k_out] = queries_and_keys(dims, [s, t], &all, [q, k], rest)?;

    let half = size("HALF");
    let own = v_delayed.reshape(&[s, t, half])?;
    let before = previous.reshape(&[s, 1, half])?;
    let delayed = ops::concatenate(&[before, part(&own, 1, 0..rows - 1)?], 1)?;
    let current = v_current.reshape(&[s, t, half])?;
    let v_out = ops::concatenate(&[current, delayed], 2)?;

    // Copies: a state that is kept would keep all rows that it is a part of.
    let kept = part(&all, 1, rows..rows + context)?.contiguous()?;
    let last = part(&own, 1, rows - 1..rows)?.contiguous()?;
    Ok(vec![
        q_out.reshape(q.shape())?,
        k_out.reshape(k.shape())?,
        v_out.reshape(k.shape())?,
        kept.reshape(&state_shapes[0])?,
        last.reshape(&state_shapes[1])?,
    ])
}

/// Both convolutions, `[sequences, rows, channels]`. Padding is in the frames,
/// before the first.
fn convolved(dims: &Dims, [s, t]: [i32; 2], all: &Array, filters: &[&Array]) -> Result<Array> {
    let &[depthwise, depthwise_bias, grouped, grouped_bias, ..] = filters else {
        return Err(wrong_inputs());
    };
    let size = |name| int(dims.get(name));
    let (dim, channels) = (size("DIM"), size("CHANNELS"));
    let heads = size("QUERY_HEADS") + size("KV_HEADS");
    let (k0, k1) = (dims.get("K0"), dims.get("K1"));
    let rows = t as usize;
    let between = rows + k1 - 1;
    let mut y = depthwise_bias.reshape(&[1, 1, channels])?;
    for tap in 0..k0 {
        let filter = part(depthwise, 1, tap..tap + 1)?.reshape(&[1, 1, channels])?;
        y = y.add(part(all, 1, tap..tap + between)?.multiply(filter)?)?;
    }
    let y = y
        .reshape(&[s, int(between), heads, dim])?
        .transpose_axes(&[0, 2, 1, 3])?;
    // All taps of an input lie next to each other, as in the filters: these are
    // read where they are.
    let taps = (0..k1).map(|tap| part(&y, 2, tap..tap + rows));
    let taps = ops::stack(&taps.collect::<Result<Vec<_>>>()?, 4)?;
    let inputs = dim * int(k1);
    let filters = grouped
        .reshape(&[heads, dim, inputs])?
        .transpose_axes(&[0, 2, 1])?;
    let z = ops::matmul(taps.reshape(&[s, heads, t, inputs])?, filters)?
        .add(grouped_bias.reshape(&[1, heads, 1, dim])?)?;
    z.transpose_axes(&[0, 2, 1, 3])?.reshape(&[s, t, channels])
}

fn queries_and_keys(
    dims: &Dims,
    [s, t]: [i32; 2],
    all: &Array,
    [q, k]: [&Array; 2],
    rest: &[&Array],
) -> Result<[Array; 2]> {
    let (Some(temp), Some(rotary)) = (rest.get(4), rest.get(5)) else {
        return Err(wrong_inputs());
    };
    let size = |name| int(dims.get(name));
    let (heads, kv, dim) = (size("QUERY_HEADS"), size("KV_HEADS"), size("DIM"));
    let group = heads / kv;
    let mixed = convolved(dims, [s, t], all, rest)?;
    let queries = (heads * dim) as usize;
    let channels = dims.get("CHANNELS");

    let half = Array::from_f32(0.5);
    let q = q.reshape(&[s, t, kv, group, dim])?;
    let k = k.reshape(&[s, t, kv, 1, dim])?;
    let mean = q.mean_axis(3, true)?;
    let q_mixed = part(&mixed, 2, 0..queries)?
        .reshape(&[s, t, kv, group, dim])?
        .add(q.add(&k)?.multiply(&half)?)?;
    let k_mixed = part(&mixed, 2, queries..channels)?
        .reshape(&[s, t, kv, 1, dim])?
        .add(mean.add(&k)?.multiply(&half)?)?;

    let temp = temp.reshape(&[1, 1, kv, 1, 1])?;
    let rotary = rotary.reshape(&[s, t, 1, 1, size("PAIRS"), 2])?;
    let q_out = rotated(dims, &unit(&q_mixed, dim)?, &rotary)?;
    let k_out = rotated(dims, &unit(&k_mixed, dim)?.multiply(temp)?, &rotary)?;
    Ok([q_out, k_out])
}

/// Length `sqrt(dim)`; the sum of squares is bounded below by 1e-12.
fn unit(x: &Array, dim: i32) -> Result<Array> {
    let sum = x.multiply(x)?.sum_axis(-1, true)?;
    let scale = ops::rsqrt(ops::maximum(sum, Array::from_f32(1e-12))?)?;
    x.multiply(scale.multiply(Array::from_f32((dim as f32).sqrt()))?)
}

/// Rotate-half over the leading dimensions of each head.
fn rotated(dims: &Dims, x: &Array, rotary: &Array) -> Result<Array> {
    let (pairs, dim) = (dims.get("PAIRS"), dims.get("DIM"));
    let of = |which: usize| -> Result<Array> {
        let mut shape = rotary.shape().to_vec();
        shape.pop();
        part(rotary, 5, which..which + 1)?.reshape(&shape)
    };
    let (cos, sin) = (of(0)?, of(1)?);
    let a = part(x, 4, 0..pairs)?;
    let b = part(x, 4, pairs..2 * pairs)?;
    let first = a.multiply(&cos)?.subtract(b.multiply(&sin)?)?;
    let second = b.multiply(&cos)?.add(a.multiply(&sin)?)?;
    ops::concatenate(&[first, second, part(x, 4, 2 * pairs..dim)?], 4)
}
