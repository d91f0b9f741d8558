//! Activations as 15-bit integers: per token the largest magnitude becomes
//! 127 * 128. Kernels with 8-bit dot products read them as two planes,
//! `X = 128 * high + low`. A token's integers depend on that token alone.

use std::ops::Deref;

use super::{IntegerPanels, Order};
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::{Level, per_level};
use crate::backend::cpu::tensor::Tensor;

/// Magnitude of the largest integer.
const LARGEST: f32 = 16256.0;

/// Adding this rounds to an integer, which then lies in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// Below this much work a second thread costs more than it brings.
const PARALLEL_FROM: usize = 1 << 15;

/// `[tokens, width]` integers in some [`Order`].
pub struct Activations {
    pub tokens: usize,
    pub width: usize,
    pub order: Order,
    /// Columns per sum in `sums`.
    pub group: usize,
    /// From one token's integers in a plane to the next's.
    pub stride: usize,
    /// `[tokens, stride]`, of which `width` are used; empty for instruction sets
    /// that read `whole`.
    pub high: Plane,
    /// `[tokens, stride]`, within -64..64.
    pub low: Plane,
    /// `[tokens, width]`; empty for instruction sets that read the planes.
    pub whole: Vec<i16>,
    /// `[tokens, width / group]`: sums of the integers.
    pub sums: Vec<i32>,
    /// `[tokens]`: `x = scale * X`. NaN for a token that is not finite.
    pub scales: Vec<f32>,
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Integers that start at a cache line.
#[derive(Default)]
pub struct Plane {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i8; LINE]);

impl Plane {
    fn zeros(len: usize) -> Self {
        Self {
            lines: vec![Line([0; LINE]); len.div_ceil(LINE)],
            len,
        }
    }
}

impl Deref for Plane {
    type Target = [i8];

    fn deref(&self) -> &[i8] {
        // SAFETY: the lines are so many bytes, one after the other.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

/// A token's part of [`Activations`].
struct Token<'a> {
    high: &'a mut [i8],
    low: &'a mut [i8],
    whole: &'a mut [i16],
    sums: &'a mut [i32],
    scale: &'a mut f32,
}

impl Activations {
    /// `x` as products with `weight` want it: its rows in the weight's basis.
    pub fn of(cx: &Context, x: &Tensor, weight: &IntegerPanels) -> Self {
        let rows: Vec<u32> = (0..x.rows() as u32).collect();
        Self::of_rows(cx, x, &rows, weight)
    }

    /// The same of the named rows, in that order.
    pub fn of_rows(cx: &Context, x: &Tensor, rows: &[u32], weight: &IntegerPanels) -> Self {
        let (tokens, width) = (rows.len(), weight.width);
        let group = weight.group().unwrap_or(width).max(1);
        let planes = cx.level.reads_planes();
        let size = tokens * width;
        // Tiles read the same columns of 16 tokens at a time, which must not all
        // fall into the same few sets of the cache.
        let stride = match cx.amx && tokens > 1 {
            true => (width / LINE).next_multiple_of(2) * LINE + LINE,
            false => width,
        };
        let plane = if planes { tokens * stride } else { 0 };
        let mut all = Self {
            tokens,
            width,
            order: weight.order(),
            group,
            stride,
            high: Plane::zeros(plane),
            low: Plane::zeros(plane),
            whole: vec![0; if planes { 0 } else { size }],
            sums: vec![0; tokens * (width / group)],
            scales: vec![0.0; tokens],
        };
        let signs = weight.tables.as_ref().map(|t| t.signs.as_slice());
        let shared = all.shared();
        let grain = PARALLEL_FROM.div_ceil(width.max(1));
        cx.pool.run(tokens, grain, |tokens| {
            let mut row = vec![0.0f32; width];
            for token in tokens {
                let x = x.row(rows[token] as usize);
                row[..x.len()].copy_from_slice(x);
                row[x.len()..].fill(0.0);
                if let Some(signs) = signs {
                    rotate(cx.level, &mut row[..x.len()], signs);
                }
                // SAFETY: each token is visited once.
                let mut out = unsafe { shared.token(token) };
                quantize(cx.level, &mut row, weight.order(), group, &mut out);
            }
        });
        all
    }

    /// One integer of `[tokens, width]`.
    pub fn integer(&self, token: usize, column: usize) -> i32 {
        match self.whole.get(token * self.width + column) {
            Some(&x) => i32::from(x),
            None => {
                let at = token * self.stride + column;
                128 * i32::from(self.high[at]) + i32::from(self.low[at])
            }
        }
    }

    fn shared(&mut self) -> Shared {
        Shared {
            width: self.width,
            stride: self.stride,
            planes: !self.high.is_empty(),
            groups: self.width / self.group,
            high: self.high.lines.as_mut_ptr().cast(),
            low: self.low.lines.as_mut_ptr().cast(),
            whole: self.whole.as_mut_ptr(),
            sums: self.sums.as_mut_ptr(),
            scales: self.scales.as_mut_ptr(),
        }
    }

    /// Sum of a token's integers over all columns.
    #[cfg(target_arch = "x86_64")]
    pub fn total(&self, token: usize) -> i32 {
        let groups = self.width / self.group;
        self.sums[token * groups..(token + 1) * groups].iter().sum()
    }
}

impl Activations {
    /// Kernels rely on this.
    ///
    /// # Panics
    /// If the buffers are not those of so many tokens.
    pub fn check(&self) {
        let size = self.tokens * self.width;
        let plane = self.tokens * self.stride;
        let planes = self.high.len() == plane && self.low.len() == plane;
        assert!(planes || self.whole.len() == size);
        assert!(self.stride >= self.width);
        assert!(self.sums.len() == self.tokens * (self.width / self.group));
        assert!(self.scales.len() == self.tokens);
    }
}

/// Where threads write the tokens they have.
struct Shared {
    width: usize,
    stride: usize,
    groups: usize,
    planes: bool,
    high: *mut i8,
    low: *mut i8,
    whole: *mut i16,
    sums: *mut i32,
    scales: *mut f32,
}

// SAFETY: threads write disjoint tokens (`Shared::token`).
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// The buffers live, and no token is taken twice at a time.
    unsafe fn token<'a>(&self, token: usize) -> Token<'a> {
        use std::slice::from_raw_parts_mut as part;
        let (planes, whole) = match self.planes {
            true => (self.width, 0),
            false => (0, self.width),
        };
        // SAFETY: each buffer holds this many elements per token; a length of 0
        // goes with any pointer that is not null.
        unsafe {
            Token {
                high: part(self.high.add(token * self.stride), planes),
                low: part(self.low.add(token * self.stride), planes),
                whole: part(self.whole.add(token * whole), whole),
                sums: part(self.sums.add(token * self.groups), self.groups),
                scale: &mut *self.scales.add(token),
            }
        }
    }
}

per_level! {
    fn rotate = rotate_body(row: &mut [f32], signs: &[f32])
}

#[inline(always)]
fn rotate_body(row: &mut [f32], signs: &[f32]) {
    crate::quant::rotate(row, signs);
}

per_level! {
    fn quantize = quantize_body(row: &mut [f32], order: Order, group: usize, out: &mut Token<'_>)
}

/// `row` is left in the kernel's order.
#[inline(always)]
fn quantize_body(row: &mut [f32], order: Order, group: usize, out: &mut Token<'_>) {
    let mut lanes = [0.0f32; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    let mut finite = true;
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if x.abs() > *lane { x.abs() } else { *lane };
            finite &= x.is_finite();
        }
    }
    for x in rest {
        lanes[0] = lanes[0].max(x.abs());
        finite &= x.is_finite();
    }
    let largest = lanes.iter().fold(0.0f32, |m, x| m.max(*x));
    if !finite {
        *out.scale = f32::NAN;
        return;
    }
    *out.scale = largest / LARGEST;
    // So small a row that its scale can't be inverted is a row of zeros.
    let inverse = match LARGEST / largest {
        inverse if inverse.is_finite() => inverse,
        _ => 0.0,
    };
    reorder(row, order);
    for x in row.iter_mut() {
        *x = *x * inverse + ROUNDER;
    }
    let integer = |x: f32| x.to_bits() as i32 - ROUNDER.to_bits() as i32;
    if out.whole.is_empty() {
        for ((x, high), low) in row.iter().zip(&mut *out.high).zip(&mut *out.low) {
            let x = integer(*x);
            let upper = (x + 64) >> 7;
            *high = upper as i8;
            *low = (x - (upper << 7)) as i8;
        }
    } else {
        for (x, whole) in row.iter().zip(&mut *out.whole) {
            *whole = integer(*x) as i16;
        }
    }
    for (sum, xs) in out.sums.iter_mut().zip(row.chunks_exact(group)) {
        *sum = xs.iter().map(|x| integer(*x)).sum();
    }
}

#[inline(always)]
fn reorder(row: &mut [f32], order: Order) {
    match order {
        Order::Natural => {}
        Order::Nibbles => {
            for v in row.as_chunks_mut::<8>().0 {
                *v = [v[0], v[2], v[4], v[6], v[1], v[3], v[5], v[7]];
            }
        }
        Order::Crumbs => {
            for v in row.as_chunks_mut::<16>().0 {
                *v = std::array::from_fn(|i| v[i % 4 * 4 + i / 4]);
            }
        }
    }
}

impl Level {
    /// Whether it has kernels for rows as they are stored.
    pub(super) fn multiplies_rows(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => true,
            _ => false,
        }
    }

    /// Whether its kernels read activations as two planes of 8 bits.
    pub(super) fn reads_planes(self) -> bool {
        match self {
            Self::Baseline => false,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => false,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
        }
    }
}
