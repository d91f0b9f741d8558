//! Activations as 15-bit integers: per token the largest magnitude becomes
//! 127 * 128. Kernels with 8-bit dot products read them as two planes,
//! `X = 128 * high + low`. A token's integers depend on that token alone.

use std::ops::Deref;
#[cfg(target_arch = "x86_64")]
use std::ops::Range;

use super::quantize::{Token, Wanted, quantize};
use super::{IntegerPanels, Order};
use crate::backend::cpu::buffer::Buffer;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::Level;
use crate::backend::cpu::tensor::Tensor;

/// Below this much work a second thread costs more than it brings.
const PARALLEL_FROM: usize = 1 << 15;

/// `[tokens, width]` integers in some [`Order`].
pub struct Activations {
    pub tokens: usize,
    pub width: usize,
    pub order: Order,
    /// Columns per sum in `sums`.
    pub group: usize,
    /// From a token's upper integers to its lower ones, and from these to the next
    /// token's upper ones.
    pub apart: usize,
    /// `[tokens, 2, apart]`: of each token the upper integers, then the lower ones,
    /// within -64..64; empty for instruction sets that read `whole`.
    planes: Plane,
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
    memory: Buffer,
    /// Bytes before the first line.
    skipped: usize,
    len: usize,
}

impl Plane {
    /// `len` integers of no meaning: every one that is read is to be written before.
    fn of(len: usize) -> Self {
        let lines = if len == 0 { 0 } else { len.div_ceil(LINE) + 1 };
        let memory = Buffer::of(lines * LINE / size_of::<f32>());
        Self {
            skipped: memory.as_ptr().addr().wrapping_neg() % LINE,
            memory,
            len,
        }
    }

    fn as_mut_ptr(&mut self) -> *mut i8 {
        // The line that is left over holds what is skipped.
        self.memory
            .as_mut_ptr()
            .cast::<i8>()
            .wrapping_add(self.skipped)
    }
}

impl Deref for Plane {
    type Target = [i8];

    fn deref(&self) -> &[i8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: fewer than a line are skipped, and the memory has a line more
        // than the integers take. Floats are bytes, any of which are integers.
        unsafe {
            let first = self.memory.as_ptr().cast::<i8>().add(self.skipped);
            std::slice::from_raw_parts(first, self.len)
        }
    }
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
        let apart = match cx.amx && tokens > 1 {
            true => (width / LINE).next_multiple_of(2) * LINE + LINE,
            false => width.next_multiple_of(LINE),
        };
        let mut all = Self {
            tokens,
            width,
            order: weight.order(),
            group,
            apart,
            planes: Plane::of(if planes { tokens * 2 * apart } else { 0 }),
            whole: vec![0; if planes { 0 } else { size }],
            sums: vec![0; tokens * (width / group)],
            scales: vec![0.0; tokens],
        };
        let wanted = Wanted {
            signs: weight.tables.as_ref().map(|t| t.signs.as_slice()),
            order: weight.order(),
            group,
        };
        let shared = all.shared();
        let grain = PARALLEL_FROM.div_ceil(width.max(1));
        cx.pool.run(tokens, grain, |tokens| {
            let mut scratch = Buffer::of(width);
            for token in tokens {
                let x = x.row(rows[token] as usize);
                // SAFETY: each token is visited once.
                let mut out = unsafe { shared.token(token) };
                quantize(cx.level, x, wanted, &mut scratch, &mut out);
            }
        });
        all
    }

    /// One integer of `[tokens, width]`.
    pub fn integer(&self, token: usize, column: usize) -> i32 {
        match self.whole.get(token * self.width + column) {
            Some(&x) => i32::from(x),
            None => {
                let (high, low) = (self.high(token), self.low(token));
                128 * i32::from(high[column]) + i32::from(low[column])
            }
        }
    }

    /// A token's upper integers, `[width]`.
    pub fn high(&self, token: usize) -> &[i8] {
        &self.planes[2 * token * self.apart..][..self.width]
    }

    /// A token's lower integers, `[width]`.
    pub fn low(&self, token: usize) -> &[i8] {
        &self.planes[(2 * token + 1) * self.apart..][..self.width]
    }

    /// Both planes of some tokens, `[tokens, 2, apart]`.
    #[cfg(target_arch = "x86_64")]
    pub fn planes(&self, tokens: Range<usize>) -> &[i8] {
        &self.planes[2 * tokens.start * self.apart..2 * tokens.end * self.apart]
    }

    fn shared(&mut self) -> Shared {
        Shared {
            width: self.width,
            apart: self.apart,
            has_planes: !self.planes.is_empty(),
            groups: self.width / self.group,
            planes: self.planes.as_mut_ptr(),
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
        let planes = self.planes.len() == 2 * self.tokens * self.apart;
        assert!(planes || self.whole.len() == size);
        assert!(self.apart >= self.width);
        assert!(self.sums.len() == self.tokens * (self.width / self.group));
        assert!(self.scales.len() == self.tokens);
    }
}

/// Where threads write the tokens they have.
struct Shared {
    width: usize,
    apart: usize,
    groups: usize,
    has_planes: bool,
    planes: *mut i8,
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
        let (planes, whole) = match self.has_planes {
            true => (self.width, 0),
            false => (0, self.width),
        };
        // Where there are none, nothing is read here.
        let high = match self.has_planes {
            true => self.planes.wrapping_add(2 * token * self.apart),
            false => self.planes,
        };
        // SAFETY: each buffer holds this many elements per token; a length of 0
        // goes with any pointer that is not null.
        unsafe {
            Token {
                high: part(high, planes),
                low: part(high.wrapping_add(self.apart), planes),
                whole: part(self.whole.add(token * whole), whole),
                sums: part(self.sums.add(token * self.groups), self.groups),
                scale: &mut *self.scales.add(token),
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
