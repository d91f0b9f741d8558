//! The head's matrix: two planes of nibbles, and what screening has to know about
//! the whole of it. Rows whose low nibbles do not look like chance are found at
//! load and always computed.

use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::per_level;
use crate::backend::cpu::panels::{Encoding, IntegerPanels, PANEL, ScaleWidth};
use crate::quant::{Format, Matrix, ScaleType, widen_f16};

/// Of numbers spread evenly over 0..16.
const VARIANCE: f64 = 21.25;
/// A row is odd if its low nibbles' variance is larger than this many times that,
const LARGEST_VARIANCE: f64 = 1.5;
/// or if their mean is off by more than this many of its standard errors.
const LARGEST_SHIFT: f64 = 12.0;
/// Fewer panels than this are not worth screening.
const FEWEST_PANELS: usize = 64;
/// No screening if more than this share of the panels has an odd row.
const ODD_SHARE: usize = 32;

/// An 8-bit affine matrix in two planes.
pub struct HeadWeight {
    pub panels: IntegerPanels,
    /// `None` if its low nibbles can't be estimated.
    pub screening: Option<Screening>,
}

/// What is known of the low nibbles.
pub struct Screening {
    /// The largest variance of a regular row's low nibbles, and the mean one.
    pub variance: f32,
    pub mean_variance: f32,
    /// Panels with odd rows, ascending.
    pub odd: Vec<u32>,
    /// Largest magnitude of a scale, and of a bias.
    pub largest: [f32; 2],
}

impl HeadWeight {
    /// `None` for other formats, or if there is no memory.
    pub fn pack(cx: &Context, matrix: &Matrix) -> Option<Self> {
        let panels = IntegerPanels::pack_split(cx, matrix)?;
        let screening = Screening::of(cx, matrix);
        Some(Self { panels, screening })
    }

    /// Row `row` as `s * q + b` in f32, as it would be read from where it is stored.
    pub fn decode(&self, row: usize, out: &mut [f32]) {
        let Encoding::Split { group, scales, low } = &self.panels.encoding else {
            return;
        };
        let (panel, r) = (row / PANEL, row % PANEL);
        let plane = group / 8 * 64;
        let block = plane + scales.block_bytes();
        let groups = self.panels.width / group;
        let blocks = self.panels.panel(panel).chunks_exact(block);
        let lows = low[panel * groups * plane..].chunks_exact(plane);
        for ((block, low), out) in blocks.zip(lows).zip(out.chunks_exact_mut(*group)) {
            let (high, pairs) = block.split_at(plane);
            let number = |i: usize| match scales {
                ScaleWidth::F16 => widen_f16(u16::from_le_bytes([pairs[2 * i], pairs[2 * i + 1]])),
                ScaleWidth::F32 => ScaleType::F32.get(pairs, i),
            };
            let (s, b) = (number(r), number(PANEL + r));
            for (c, out) in out.iter_mut().enumerate() {
                let at = c / 8 * 64 + r * 4 + c % 4;
                let shift = 4 * (c / 4 % 2);
                let q = (high[at] >> shift & 15) << 4 | low[at] >> shift & 15;
                *out = f32::from(q) * s + b;
            }
        }
    }
}

/// What is found of one row.
#[derive(Clone, Copy, Default)]
struct RowFacts {
    hash: u64,
    /// Sums of the low nibbles and of their squares.
    sums: [u32; 2],
    /// Bits of the largest magnitudes of its scales and biases.
    largest: [u32; 2],
}

impl Screening {
    fn of(cx: &Context, matrix: &Matrix) -> Option<Self> {
        let Format::Affine {
            group,
            scales,
            biases,
            dtype,
            ..
        } = &matrix.format
        else {
            return None;
        };
        let panels = matrix.rows.div_ceil(PANEL);
        if panels < FEWEST_PANELS {
            return None;
        }
        let pair_bytes = matrix.cols / group * dtype.size();
        let mut facts = vec![RowFacts::default(); matrix.rows];
        let place = std::sync::Mutex::new(&mut facts);
        cx.pool.run(matrix.rows, 256, |part| {
            let found: Vec<RowFacts> = part
                .clone()
                .map(|row| {
                    let codes = &matrix.data[row * matrix.cols..(row + 1) * matrix.cols];
                    let mut facts = RowFacts::default();
                    examine(cx.level, codes, &mut facts);
                    for (largest, numbers) in facts.largest.iter_mut().zip([scales, biases]) {
                        let numbers = &numbers[row * pair_bytes..(row + 1) * pair_bytes];
                        *largest = largest_magnitude(numbers, *dtype);
                    }
                    facts
                })
                .collect();
            let mut place = place
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            place[part].copy_from_slice(&found);
        });
        Self::from_rows(&facts, matrix.cols, *dtype)
    }

    fn from_rows(facts: &[RowFacts], cols: usize, dtype: ScaleType) -> Option<Self> {
        let mut hashes: Vec<u64> = facts.iter().map(|f| f.hash).collect();
        hashes.sort_unstable();
        let twice = |hash: u64| {
            let first = hashes.partition_point(|h| *h < hash);
            hashes.get(first + 1) == Some(&hash)
        };
        let n = cols as f64;
        let (mut variance, mut sum, mut regular) = (VARIANCE, 0.0, 0usize);
        let mut odd: Vec<u32> = Vec::new();
        for (row, f) in facts.iter().enumerate() {
            // Without scales there is nothing to err about.
            if f.largest[0] == 0 {
                continue;
            }
            let [first, second] = f.sums.map(f64::from);
            let shift = first - 7.5 * n;
            let square = second / n - 15.0 * first / n + 56.25;
            let is_odd = shift.abs() > LARGEST_SHIFT * (VARIANCE * n).sqrt()
                || square > LARGEST_VARIANCE * VARIANCE
                || twice(f.hash);
            if is_odd {
                let panel = (row / PANEL) as u32;
                if odd.last() != Some(&panel) {
                    odd.push(panel);
                }
            } else {
                variance = variance.max(square);
                sum += square;
                regular += 1;
            }
        }
        let largest: [f32; 2] = std::array::from_fn(|i| {
            let bits = facts.iter().map(|f| f.largest[i]).max().unwrap_or(0);
            magnitude(bits, dtype)
        });
        let few = odd.len() <= facts.len().div_ceil(PANEL) / ODD_SHARE;
        (few && largest.iter().all(|x| x.is_finite())).then_some(Self {
            variance: variance as f32,
            mean_variance: (sum / regular.max(1) as f64) as f32,
            odd,
            largest,
        })
    }
}

per_level! {
    fn examine = examine_body(codes: &[u8], facts: &mut RowFacts)
}

#[inline(always)]
fn examine_body(codes: &[u8], facts: &mut RowFacts) {
    let (mut first, mut second) = ([0u16; 64], [0u16; 64]);
    let mut hash = [0u64; 8];
    for chunk in codes.chunks(64 * 128) {
        let (vectors, rest) = chunk.as_chunks::<64>();
        for vector in vectors {
            for ((first, second), code) in first.iter_mut().zip(&mut second).zip(vector) {
                let low = u16::from(code & 15);
                *first += low;
                *second += low * low;
            }
            for (hash, word) in hash.iter_mut().zip(vector.as_chunks::<8>().0) {
                *hash = (*hash ^ u64::from_le_bytes(*word))
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .rotate_left(29);
            }
        }
        for code in rest {
            let low = u32::from(code & 15);
            facts.sums[0] += low;
            facts.sums[1] += low * low;
            hash[0] = (hash[0] ^ u64::from(*code)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        for (lanes, sum) in [&mut first, &mut second].into_iter().zip(&mut facts.sums) {
            *sum += lanes.iter().map(|n| u32::from(*n)).sum::<u32>();
            lanes.fill(0);
        }
    }
    facts.hash = hash.iter().fold(0, |all, h| {
        (all ^ h)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            .rotate_left(31)
    });
}

/// Bits, without the sign, of the largest number: of floats' bits as of floats.
fn largest_magnitude(numbers: &[u8], dtype: ScaleType) -> u32 {
    match dtype {
        ScaleType::F16 | ScaleType::Bf16 => numbers
            .as_chunks::<2>()
            .0
            .iter()
            .fold(0u16, |m, n| m.max(u16::from_le_bytes(*n) & 0x7fff))
            .into(),
        ScaleType::F32 => numbers
            .as_chunks::<4>()
            .0
            .iter()
            .fold(0u32, |m, n| m.max(u32::from_le_bytes(*n) & 0x7fff_ffff)),
    }
}

fn magnitude(bits: u32, dtype: ScaleType) -> f32 {
    dtype.get(&bits.to_le_bytes(), 0)
}
