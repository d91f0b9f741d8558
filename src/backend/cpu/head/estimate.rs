//! The first pass: logits from the high nibbles, scales and biases alone.
//!
//! With codes `q = 16 h + l` and every low nibble `l` at its mean of 7.5 a group's
//! integer is `D = 16 H + 7.5 S`, `H = sum h X` and `S = sum X`. Doubled, so that it
//! stays an integer, the estimate is `scale / 2 * sum over groups g, in order, of
//! (s_g * (32 H_g + 15 S_g) + b_g * 2 S_g)`, two fused multiply-adds a group. What
//! it lacks is `scale * sum s_g (l - 7.5) X`: with low nibbles spread evenly over
//! 0..16, independently, a number with mean 0 and the variance
//! `scale^2 * 21.25 * sum over g of s_g^2 |X_g|^2`. Every instruction set computes
//! the same bits.

use std::ops::Range;

use crate::backend::cpu::context::Context;
#[cfg(target_arch = "x86_64")]
use crate::backend::cpu::level::Level;
use crate::backend::cpu::panels::{Activations, Encoding, IntegerPanels, PANEL, ScaleWidth};
use crate::quant::widen_f16;

/// Takes results: token, panel, the estimates of its rows and their deviations.
pub type EstimateSink<'a> = &'a mut dyn FnMut(usize, usize, &[f32; PANEL], &[f32; PANEL]);

/// What the kernels work on: [`Encoding::Split`] panels, and activations.
#[derive(Clone, Copy)]
pub struct Screen<'a> {
    pub w: &'a IntegerPanels,
    pub x: &'a Activations,
    pub group: usize,
    pub scales: ScaleWidth,
    /// `[tokens, groups]`: `|X_g|^2`.
    pub norms: &'a [f32],
    /// Of a low nibble.
    pub variance: f32,
}

impl<'a> Screen<'a> {
    /// `None` for panels in one plane.
    pub fn new(
        w: &'a IntegerPanels,
        x: &'a Activations,
        norms: &'a [f32],
        variance: f32,
    ) -> Option<Self> {
        let Encoding::Split { group, scales, .. } = w.encoding else {
            return None;
        };
        let groups = w.width / group;
        assert!(x.width == w.width && norms.len() == x.tokens * groups);
        Some(Self {
            w,
            x,
            group,
            scales,
            norms,
            variance,
        })
    }

    /// Estimates of the panels `panels` for all tokens, on this thread.
    pub fn run(&self, cx: &Context, panels: Range<usize>, sink: EstimateSink<'_>) {
        assert!(panels.end <= self.w.panels());
        match cx.level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Level::detect` saw the features on this processor; the
            // panels are checked above, lengths by `new` and the constructors.
            Level::Avx512 => unsafe { super::avx512::estimate(self, panels, sink) },
            _ => self.portable(panels, sink),
        }
    }

    fn portable(&self, panels: Range<usize>, sink: EstimateSink<'_>) {
        for panel in panels {
            for token in 0..self.x.tokens {
                let (y, sigma) = self.panel(panel, token);
                sink(token, panel, &y, &sigma);
            }
        }
    }

    fn panel(&self, panel: usize, token: usize) -> ([f32; PANEL], [f32; PANEL]) {
        let (group, x) = (self.group, self.x);
        let groups = self.w.width / group;
        let plane = group / 8 * 64;
        let block = plane + self.scales.block_bytes();
        let (mut totals, mut variances) = ([0.0f32; PANEL], [0.0f32; PANEL]);
        for (g, block) in self.w.panel(panel).chunks_exact(block).enumerate() {
            let (codes, pairs) = block.split_at(plane);
            let sum = x.sums[token * groups + g];
            let mut dots = [0i32; PANEL];
            for (i, vector) in codes.chunks_exact(64).enumerate() {
                for (b, byte) in vector.iter().enumerate() {
                    let column = g * group + 8 * i + b % 4;
                    dots[b / 4] += i32::from(byte & 15) * x.integer(token, column)
                        + i32::from(byte >> 4) * x.integer(token, column + 4);
                }
            }
            let norm = self.norms[token * groups + g];
            for (r, dot) in dots.iter().enumerate() {
                let (s, b) = (self.number(pairs, r), self.number(pairs, PANEL + r));
                totals[r] = s.mul_add((32 * dot + 15 * sum) as f32, totals[r]);
                totals[r] = b.mul_add((2 * sum) as f32, totals[r]);
                variances[r] = (s * s).mul_add(norm, variances[r]);
            }
        }
        let scale = x.scales[token];
        let y = totals.map(|total| total * (0.5 * scale));
        (y, variances.map(|v| (v * self.variance).sqrt() * scale))
    }

    /// Number `i` of a block's scales and biases.
    fn number(&self, pairs: &[u8], i: usize) -> f32 {
        match self.scales {
            ScaleWidth::F16 => widen_f16(u16::from_le_bytes([pairs[2 * i], pairs[2 * i + 1]])),
            ScaleWidth::F32 => {
                let n = &pairs[4 * i..4 * i + 4];
                f32::from_le_bytes([n[0], n[1], n[2], n[3]])
            }
        }
    }
}

/// Per group of each token: the squared length of its integers. With them, per
/// token, the sum of their magnitudes.
pub fn lengths(x: &Activations) -> (Vec<f32>, Vec<f64>) {
    let groups = x.width / x.group;
    let mut norms = Vec::with_capacity(x.tokens * groups);
    let mut magnitudes = vec![0.0; x.tokens];
    for (token, magnitude) in magnitudes.iter_mut().enumerate() {
        for g in 0..groups {
            let first = g * x.group;
            let (mut norm, mut sum) = (0i64, 0i64);
            for column in first..first + x.group {
                let x = i64::from(x.integer(token, column));
                norm += x * x;
                sum += x.abs();
            }
            norms.push(norm as f32);
            *magnitude += sum as f64;
        }
    }
    (norms, magnitudes)
}
