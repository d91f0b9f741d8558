//! What follows the convolutions, for one head of one row: mean residuals,
//! normalisation, key temperature and rotation.

use crate::backend::cpu::level::per_level;

use super::rotary::turn;

/// One head of a row on its way.
pub(super) struct Head<'a> {
    /// Output of the convolutions, and the bias that it lacks.
    pub mixed: &'a [f32],
    pub bias: &'a [f32],
    pub angles: (&'a [f32], &'a [f32]),
}

per_level! {
    /// A query and the key of its group.
    pub(super) fn query = query_body(head: &Head<'_>, q: &[f32], k: &[f32], out: &mut [f32])
}

#[inline(always)]
fn query_body(head: &Head<'_>, q: &[f32], k: &[f32], out: &mut [f32]) {
    let mixed = head.mixed.iter().zip(head.bias).map(|(m, b)| m + b);
    for (((out, m), q), k) in out.iter_mut().zip(mixed).zip(q).zip(k) {
        *out = m + (q + k) / 2.0;
    }
    normalise(out, 1.0);
    turn(out, head.angles);
}

per_level! {
    /// A key and the queries of its group.
    pub(super) fn key = key_body(head: &Head<'_>, queries: &[f32], k: &[f32], temp: f32, out: &mut [f32])
}

#[inline(always)]
fn key_body(head: &Head<'_>, queries: &[f32], k: &[f32], temp: f32, out: &mut [f32]) {
    let group = queries.len() / out.len().max(1);
    out.fill(0.0);
    for query in queries.chunks_exact(out.len().max(1)) {
        for (out, q) in out.iter_mut().zip(query) {
            *out += q;
        }
    }
    let mixed = head.mixed.iter().zip(head.bias).map(|(m, b)| m + b);
    for ((out, m), k) in out.iter_mut().zip(mixed).zip(k) {
        *out = m + (*out / group as f32 + k) / 2.0;
    }
    normalise(out, temp);
    turn(out, head.angles);
}

/// Length `sqrt(dim) * factor`; the sum of squares, in eight f64 lanes, is
/// bounded below by 1e-12.
#[inline(always)]
fn normalise(head: &mut [f32], factor: f32) {
    let mut lanes = [0.0f64; 8];
    let (chunks, rest) = head.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(x) * f64::from(x);
    }
    let sum: f64 = lanes.iter().sum();
    let scale = (head.len() as f32).sqrt() * (sum.max(1e-12) as f32).sqrt().recip() * factor;
    for x in head {
        *x *= scale;
    }
}
