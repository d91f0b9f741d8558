//! MLX operations that mlx-rs does not offer as they are needed here: the
//! quantized products in every mode, slices, and arrays over foreign memory.

use std::ffi::{CStr, c_void};

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype, Stream};
use mlx_sys::{mlx_array, mlx_optional_dtype, mlx_optional_int};

use super::tensor::int;

type Result<T> = std::result::Result<T, Exception>;

/// How codes of a quantized matrix are to be read, in MLX's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    pub group: usize,
    pub bits: u32,
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Affine,
    Mxfp4,
}

impl Mode {
    fn name(self) -> &'static CStr {
        match self {
            Self::Affine => c"affine",
            Self::Mxfp4 => c"mxfp4",
        }
    }
}

/// Codes, scales and (for affine) biases.
pub struct Codes<'a> {
    pub codes: &'a Array,
    pub scales: &'a Array,
    pub biases: Option<&'a Array>,
}

fn some(value: usize) -> mlx_optional_int {
    mlx_optional_int {
        value: int(value),
        has_value: true,
    }
}

/// A handle of no array, where an argument is optional.
fn absent() -> mlx_array {
    // SAFETY: makes an empty handle, which owns nothing.
    unsafe { mlx_sys::mlx_array_new() }
}

fn pointer(array: Option<&Array>) -> mlx_array {
    array.map_or_else(absent, Array::as_ptr)
}

/// Calls an operation that writes its result's handle. MLX's own words for a
/// failure stay with mlx-rs; `what` stands for them.
fn call(what: &str, operation: impl FnOnce(*mut mlx_array, &Stream) -> i32) -> Result<Array> {
    let stream = Stream::thread_local_or_default();
    let mut result = absent();
    let status = operation(&mut result, &stream);
    // SAFETY: `result` is a handle that MLX has made or filled; the `Array` owns it
    // from here on, and freeing an empty handle is allowed.
    let array = unsafe { Array::from_ptr(result) };
    match status {
        0 => Ok(array),
        _ => Err(Exception::custom(format!("MLX refused {what}"))),
    }
}

/// `x W^T` for rows `x`.
pub fn quantized_matmul(x: &Array, w: &Codes<'_>, q: Quantization) -> Result<Array> {
    call("a quantized product", |result, stream| {
        // SAFETY: all handles belong to arrays that live through the call.
        unsafe {
            mlx_sys::mlx_quantized_matmul(
                result,
                x.as_ptr(),
                w.codes.as_ptr(),
                w.scales.as_ptr(),
                pointer(w.biases),
                true,
                some(q.group),
                some(q.bits as usize),
                q.mode.name().as_ptr(),
                stream.as_ptr(),
            )
        }
    })
}

/// Order of the indices of a gathered product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Any,
    Sorted,
}

/// `x[i] W[index[i]]^T`: `x` is `[n, 1, in]`, `index` `[n]`, the result `[n, 1, out]`.
pub fn gather_qmm(
    x: &Array,
    w: &Codes<'_>,
    q: Quantization,
    index: &Array,
    order: Order,
) -> Result<Array> {
    call("a gathered quantized product", |result, stream| {
        // SAFETY: all handles belong to arrays that live through the call.
        unsafe {
            mlx_sys::mlx_gather_qmm(
                result,
                x.as_ptr(),
                w.codes.as_ptr(),
                w.scales.as_ptr(),
                pointer(w.biases),
                absent(),
                index.as_ptr(),
                true,
                some(q.group),
                some(q.bits as usize),
                q.mode.name().as_ptr(),
                order == Order::Sorted,
                stream.as_ptr(),
            )
        }
    })
}

/// The matrix itself, in f32.
pub fn dequantize(w: &Codes<'_>, q: Quantization) -> Result<Array> {
    let single = mlx_optional_dtype {
        value: Dtype::Float32.into(),
        has_value: true,
    };
    call("to decode a quantized matrix", |result, stream| {
        // SAFETY: all handles belong to arrays that live through the call.
        unsafe {
            mlx_sys::mlx_dequantize(
                result,
                w.codes.as_ptr(),
                w.scales.as_ptr(),
                pointer(w.biases),
                some(q.group),
                some(q.bits as usize),
                q.mode.name().as_ptr(),
                absent(),
                single,
                stream.as_ptr(),
            )
        }
    })
}

/// `(a >> by) & mask`, number by number.
pub fn bits(a: &Array, by: &Array, mask: &Array) -> Result<Array> {
    let shifted = call("a shift", |result, stream| {
        // SAFETY: all handles belong to arrays that live through the call.
        unsafe { mlx_sys::mlx_right_shift(result, a.as_ptr(), by.as_ptr(), stream.as_ptr()) }
    })?;
    call("a mask", |result, stream| {
        // SAFETY: as above.
        unsafe {
            mlx_sys::mlx_bitwise_and(result, shifted.as_ptr(), mask.as_ptr(), stream.as_ptr())
        }
    })
}

/// The part of `a` from `start` to `stop`, exclusive, in each dimension.
pub fn slice(a: &Array, start: &[usize], stop: &[usize]) -> Result<Array> {
    let (start, stop) = (ints(start), ints(stop));
    let strides = vec![1; start.len()];
    call("a slice", |result, stream| {
        // SAFETY: the three lists are alive and as long as said.
        unsafe {
            mlx_sys::mlx_slice(
                result,
                a.as_ptr(),
                start.as_ptr(),
                start.len(),
                stop.as_ptr(),
                stop.len(),
                strides.as_ptr(),
                strides.len(),
                stream.as_ptr(),
            )
        }
    })
}

/// `a` with `part` in place of the part that starts at `start`. In place where
/// nobody else holds `a`.
pub fn slice_update(a: &Array, part: &Array, start: &[usize]) -> Result<Array> {
    let stop: Vec<i32> = ints(start)
        .iter()
        .zip(part.shape())
        .map(|(start, extent)| start + extent)
        .collect();
    let start = ints(start);
    let strides = vec![1; start.len()];
    call("to write a slice", |result, stream| {
        // SAFETY: the three lists are alive and as long as said.
        unsafe {
            mlx_sys::mlx_slice_update(
                result,
                a.as_ptr(),
                part.as_ptr(),
                start.as_ptr(),
                start.len(),
                stop.as_ptr(),
                stop.len(),
                strides.as_ptr(),
                strides.len(),
                stream.as_ptr(),
            )
        }
    })
}

fn ints(sizes: &[usize]) -> Vec<i32> {
    sizes.iter().map(|&size| int(size)).collect()
}

/// A one-dimensional array of u32 over memory that `keep` keeps alive, and
/// whether MLX works in that memory: where it can't, it has made a copy.
///
/// # Safety
/// `data` must point to `words` aligned u32 that stay there, unchanged, as long
/// as `keep` lives.
pub unsafe fn over<K: Send + 'static>(
    data: *const u32,
    words: usize,
    keep: K,
) -> Result<(Array, bool)> {
    unsafe extern "C" fn release<K>(payload: *mut c_void) {
        // SAFETY: `payload` is the box that was given to MLX with this function,
        // which MLX calls once.
        drop(unsafe { Box::from_raw(payload.cast::<K>()) });
    }
    let shape = [int(words)];
    let payload = Box::into_raw(Box::new(keep));
    // SAFETY: the caller vouches for the memory. MLX writes into the memory of an
    // input only if no other array has it, when it runs the operation; whoever
    // wraps a file keeps the array for longer than any view of it is used.
    let handle = unsafe {
        mlx_sys::mlx_array_new_data_managed_payload(
            data.cast_mut().cast(),
            shape.as_ptr(),
            1,
            Dtype::Uint32.into(),
            payload.cast(),
            Some(release::<K>),
        )
    };
    if handle.ctx.is_null() {
        return Err(Exception::custom("MLX refused the memory of a file"));
    }
    // SAFETY: a new handle that nobody else owns.
    let array = unsafe { Array::from_ptr(handle) };
    // SAFETY: an array made from data is available without evaluation.
    let at = unsafe { mlx_sys::mlx_array_data_uint32(array.as_ptr()) };
    Ok((array, std::ptr::eq(at, data)))
}
