//! MXTQ: codes are unpacked to floats, those of the chosen experts for a few
//! rows, those of all experts for many.

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype, ops};

use super::wrong_inputs;
use crate::backend::kernels::Dims;
use crate::backend::mlx::elementwise::Function;
use crate::backend::mlx::raw;
use crate::backend::mlx::tensor::int;
use crate::quant::blocks;

type Result<T> = std::result::Result<T, Exception>;

/// Up to so many rows have their expert's matrix unpacked each for itself.
const FEW: usize = 8;

/// Signs, then a Hadamard transform of each power of two.
pub fn rotate(_: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    let &[x, signs] = inputs else {
        return Err(wrong_inputs());
    };
    Ok(vec![transform(&x.multiply(signs)?)?])
}

/// The reverse: the transform is its own inverse.
pub fn rotate_back(x: &Array, signs: &Array) -> Result<Array> {
    transform(x)?.multiply(signs)
}

fn transform(x: &Array) -> Result<Array> {
    let (rows, width) = (x.dim(0) as usize, x.dim(1) as usize);
    let mut first = 0;
    let mut parts = Vec::new();
    for block in blocks(width) {
        let part = raw::slice(x, &[0, first], &[rows, first + block])?;
        parts.push(part.hadamard_transform(None)?);
        first += block;
    }
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => ops::concatenate(&parts, 1),
    }
}

/// Matrix rows (rotated still): `[.., rows, words]` of codes and `[.., rows]` of
/// norms to `[.., rows, cols]`.
pub fn unpacked(
    packed: &Array,
    codebook: &Array,
    norms: &Array,
    bits: usize,
    cols: usize,
) -> Result<Array> {
    let per_word = 32 / bits;
    let shifts: Vec<u32> = (0..per_word).map(|i| (i * bits) as u32).collect();
    let shifts = Array::from_slice(&shifts, &[int(per_word)]);
    let mask = Array::from_slice(&[(1u32 << bits) - 1], &[1]);
    let codes = raw::bits(&ops::expand_dims(packed, -1)?, &shifts, &mask)?;
    let mut shape = packed.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last *= int(per_word);
    }
    let codes = codes.reshape(&shape)?;
    let mut stop: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
    if let Some(last) = stop.last_mut() {
        *last = cols;
    }
    let codes = raw::slice(&codes, &vec![0; stop.len()], &stop)?;
    let norms = ops::expand_dims(norms.as_dtype(Dtype::Float32)?, -1)?;
    codebook.take_axis(codes, 0)?.multiply(norms)
}

/// Inputs of a product but for the activations and the classes.
struct Stack<'a> {
    packed: &'a Array,
    norms: &'a Array,
    codebook: &'a Array,
}

/// `[rows, out]`: each row of rotated `x` times its expert's matrix, zero where
/// the class is no expert.
fn by_class(dims: &Dims, x: &Array, w: &Stack<'_>, classes: &Array) -> Result<Array> {
    let size = |name| dims.get(name);
    let (rows, experts) = (size("ROWS"), size("EXPERTS"));
    let last = Array::from_slice(&[experts as u32 - 1], &[1]);
    let index = ops::minimum(classes, last)?;
    let column = x.reshape(&[int(rows), 1, int(size("IN"))])?;
    let decoded = |packed: &Array, norms: &Array| {
        unpacked(packed, w.codebook, norms, size("BITS"), size("IN"))?.transpose_axes(&[0, 2, 1])
    };
    let y = if rows <= FEW {
        let packed = w.packed.take_axis(&index, 0)?;
        let norms = w.norms.take_axis(&index, 0)?;
        ops::matmul(column, decoded(&packed, &norms)?)?
    } else {
        ops::gather_mm(column, decoded(w.packed, w.norms)?, None, &index, None)?
    };
    let y = y.reshape(&[int(rows), int(size("OUT"))])?;
    let routed = classes
        .lt(Array::from_slice(&[experts as u32], &[1]))?
        .reshape(&[int(rows), 1])?;
    ops::select(routed, y, Array::from_f32(0.0))
}

/// The order of the rows, if there is one, is of no use here.
pub fn product(dims: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    let &[x, packed, norms, codebook, classes, ..] = inputs else {
        return Err(wrong_inputs());
    };
    let stack = Stack {
        packed,
        norms,
        codebook,
    };
    Ok(vec![by_class(dims, x, &stack, classes)?])
}

pub fn gate_up(dims: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    let &[x, gate, gate_norms, up, up_norms, codebook, classes] = inputs else {
        return Err(wrong_inputs());
    };
    let part = |packed, norms| {
        let stack = Stack {
            packed,
            norms,
            codebook,
        };
        by_class(dims, x, &stack, classes)
    };
    let inputs = [part(gate, gate_norms)?, part(up, up_norms)?];
    Ok(vec![Function::Swiglu.plain(&inputs)?])
}

pub fn down(dims: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    let &[x, signs, packed, norms, codebook, classes] = inputs else {
        return Err(wrong_inputs());
    };
    let rotated = transform(&x.multiply(signs)?)?;
    product(dims, &[&rotated, packed, norms, codebook, classes])
}
