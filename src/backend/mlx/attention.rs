//! Causal grouped-query attention by MLX's fused operation, which computes its
//! softmax in fp32. Each sequence has its own cache, so each is one call.

use mlx_rs::error::Exception;
use mlx_rs::fast::{ScaledDotProductAttentionMask, scaled_dot_product_attention};
use mlx_rs::{Array, Dtype, ops};

use super::MlxBackend;
use super::device::Kind;
use super::kv::Kv;
use super::raw;
use super::tensor::int;
use crate::backend::{AttentionShape, KvMode, Qkv, Rows};

type Result<T> = std::result::Result<T, Exception>;

pub fn attend(
    kind: Kind,
    qkv: &Qkv<MlxBackend>,
    shape: &AttentionShape,
    rows: &Rows,
    caches: &mut [&mut Kv],
) -> Result<Array> {
    let mut parts = Vec::with_capacity(caches.len());
    let mut first = 0;
    for (segment, cache) in rows.segments.iter().zip(caches.iter_mut()) {
        if segment.len == 0 {
            continue;
        }
        let part =
            |x: &super::Tensor| raw::slice(&x.array, &[first, 0], &[first + segment.len, x.cols]);
        if rows.kv == KvMode::Append {
            cache.append(&part(&qkv.k)?, &part(&qkv.v)?, segment.len)?;
        }
        parts.push(one(kind, &part(&qkv.q)?, shape, segment.len, cache)?);
        first += segment.len;
    }
    match parts.len() {
        0 => qkv.q.array.reshape(&[0, int(qkv.q.cols)]),
        1 => Ok(parts.remove(0)),
        _ => ops::concatenate(&parts, 0),
    }
}

/// The last `len` stored positions attend to all up to themselves.
fn one(kind: Kind, q: &Array, shape: &AttentionShape, len: usize, cache: &Kv) -> Result<Array> {
    let (heads, dim) = (int(shape.query_heads), int(shape.head_dim));
    let q = q
        .reshape(&[1, int(len), heads, dim])?
        .transpose_axes(&[0, 2, 1, 3])?;
    let [mut k, mut v] = cache.stored_rows()?;
    let stored = k.dtype();
    let q = match (kind, stored) {
        // The fused kernel reads halves and adds up in fp32; the query is rounded
        // as the keys are.
        (Kind::Metal, Dtype::Float16) => q.as_dtype(stored)?,
        // MLX's CPU device would round every intermediate result to a half.
        (Kind::Cpu, Dtype::Float16) => {
            k = k.as_dtype(Dtype::Float32)?;
            v = v.as_dtype(Dtype::Float32)?;
            q
        }
        _ => q,
    };
    let scale = (shape.head_dim as f32).sqrt().recip();
    let mask = (len > 1).then_some(ScaledDotProductAttentionMask::Causal);
    scaled_dot_product_attention(q, k, v, scale, mask, None)?
        .as_dtype(Dtype::Float32)?
        .transpose_axes(&[0, 2, 1, 3])?
        .reshape(&[int(len), heads * dim])
}
