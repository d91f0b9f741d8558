//! The router of many rows: a thread takes some of them all the way to their
//! routes, so that what lies between the matrices stays in its caches and the
//! threads meet once.

use std::ops::Range;

use super::CpuBackend;
use super::buffer::Buffer;
use super::context::Context;
use super::elementwise::{add_row, gelu_row, norm_row};
use super::experts::{Routes, choose_row};
use super::output::Output;
use super::panels::{FloatPanels, float_product};
use super::tensor::Tensor;
use super::weight::{Packed, Weight};
use crate::backend::RouterWeights;

/// Rows below which the threads share each matrix instead: reading it is what
/// takes the time then.
const MANY: usize = 32;

/// Rows that go from matrix to matrix together: the weights are read once for
/// them, and a tile has 12.
const BLOCK: usize = 48;

/// Rows that a thread claims at least.
const GRAIN: usize = 12;

struct Router<'a> {
    cx: &'a Context,
    w: &'a RouterWeights<CpuBackend>,
    /// `down`, `fc1`, `fc2` and `out`.
    panels: [&'a FloatPanels; 4],
    x: &'a Tensor,
    previous: Option<&'a Tensor>,
    state: Output<'a>,
    /// Class, a small number, and weight.
    chosen: Output<'a>,
}

fn panels(weight: &Weight) -> Option<&FloatPanels> {
    match &weight.packed {
        Packed::Float(panels) => Some(panels),
        _ => None,
    }
}

/// `None` if the rows are few or a matrix is not in panels of floats.
pub(super) fn route(
    cx: &Context,
    x: &Tensor,
    previous: Option<&Tensor>,
    w: &RouterWeights<CpuBackend>,
) -> Option<(Routes, Tensor)> {
    let rows = x.rows();
    if rows < MANY {
        return None;
    }
    let panels = [
        panels(&w.down)?,
        panels(&w.fc1)?,
        panels(&w.fc2)?,
        panels(&w.out)?,
    ];
    let width = w.down.matrix().rows;
    let mut state = Buffer::of(rows * width);
    let mut chosen = Buffer::of(rows * 2);
    let router = Router {
        cx,
        w,
        panels,
        x,
        previous,
        state: Output::new(&mut state, width),
        chosen: Output::new(&mut chosen, 2),
    };
    cx.reads(panels[0].data.as_ptr().addr(), None);
    cx.pool.run(rows, GRAIN, |rows| {
        for first in rows.clone().step_by(BLOCK) {
            router.run(first..rows.end.min(first + BLOCK));
        }
    });
    let chosen = chosen.as_chunks::<2>().0.iter();
    let routes = Routes::of(chosen.map(|&[class, weight]| (class as u16, weight)));
    Some((routes, Tensor::new(rows, width, state)))
}

impl Router<'_> {
    fn run(&self, rows: Range<usize>) {
        let (level, w) = (self.cx.level, self.w);
        let [down, fc1, fc2, out] = self.panels;
        let first = rows.start;
        let x = &self.x.data()[first * self.x.cols()..rows.end * self.x.cols()];
        // SAFETY: in all of this each row is one thread's.
        float_product(
            self.cx,
            down,
            0..down.panels(),
            x,
            &mut |row, panel, y| unsafe {
                self.state.panel(first + row, panel, y, Some(&w.down_bias));
            },
        );
        let mut z = Buffer::of(rows.len() * down.rows);
        for (row, z) in rows.clone().zip(z.chunks_exact_mut(down.rows.max(1))) {
            // SAFETY: as above.
            let state = unsafe { self.state.row(row) };
            if let (Some(scale), Some(previous)) = (&w.state_scale, self.previous) {
                add_row(level, state, previous.row(row), scale);
            }
            norm_row(level, state, &w.norm, w.norm_eps, z);
        }
        let z = self.layer(fc1, &z, &w.fc1_bias);
        let z = self.layer(fc2, &z, &w.fc2_bias);
        let mut logits = self.product(out, &z, None);
        for (row, logits) in rows.zip(logits.chunks_exact_mut(out.rows.max(1))) {
            let (class, weight) = choose_row(logits, &w.balancing_biases);
            // SAFETY: as above.
            unsafe { self.chosen.write(row, 0, &[f32::from(class), weight]) };
        }
    }

    fn layer(&self, w: &FloatPanels, x: &[f32], bias: &[f32]) -> Buffer {
        let mut y = self.product(w, x, Some(bias));
        // Of any number of rows: it is one number after the other.
        gelu_row(self.cx.level, &mut y);
        y
    }

    fn product(&self, w: &FloatPanels, x: &[f32], bias: Option<&[f32]>) -> Buffer {
        let mut y = Buffer::of(x.len() / w.cols.max(1) * w.rows);
        let place = Output::new(&mut y, w.rows);
        // SAFETY: nobody else knows of it.
        float_product(self.cx, w, 0..w.panels(), x, &mut |row, panel, y| unsafe {
            place.panel(row, panel, y, bias);
        });
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuOptions;
    use crate::backend::cpu::options::Instructions;
    use crate::backend::{Backend, route_in_parts, uniform};
    use crate::quant::{Bytes, Format, Matrix};

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let number = |i| uniform(seed, i) as f32 - 0.5;
        (0..count as u64).map(number).collect()
    }

    fn weight(backend: &CpuBackend, rows: usize, cols: usize, seed: u64) -> Weight {
        let numbers = numbers(rows * cols, seed);
        let data = numbers
            .iter()
            .flat_map(|&x| half::bf16::from_f32(x).to_le_bytes());
        backend.weight(&Matrix {
            rows,
            cols,
            data: Bytes::from_vec(data.collect()),
            format: Format::Bf16,
        })
    }

    #[test]
    fn many_rows_have_the_bits_of_the_small_operations() {
        for instructions in [
            Instructions::Portable,
            Instructions::Avx2,
            Instructions::Amx,
        ] {
            let options = CpuOptions {
                instructions: Some(instructions),
                ..CpuOptions::default()
            };
            let b = CpuBackend::new(&options).expect("threads");
            let (hidden, width, classes) = (96, 40, 17);
            let w = RouterWeights::<CpuBackend> {
                down: weight(&b, width, hidden, 1),
                down_bias: numbers(width, 2),
                state_scale: Some(numbers(width, 3)),
                norm: numbers(width, 4),
                norm_eps: 1e-6,
                fc1: weight(&b, width, width, 5),
                fc1_bias: numbers(width, 6),
                fc2: weight(&b, width, width, 7),
                fc2_bias: numbers(width, 8),
                out: weight(&b, classes, width, 9),
                balancing_biases: numbers(classes, 10),
            };
            for rows in [MANY, 77, 130] {
                let x = Tensor::new(rows, hidden, numbers(rows * hidden, 11));
                let previous = Tensor::new(rows, width, numbers(rows * width, 12));
                for previous in [None, Some(&previous)] {
                    let (routes, state) = route_in_parts(&b, &x, previous, &w);
                    let (fused, next) = route(&b.cx, &x, previous, &w).expect("panels");
                    assert_eq!(next.data(), state.data());
                    assert_eq!(fused, routes);
                }
            }
        }
    }
}
