//! Every kernel of every instruction set against what a product means.

use super::*;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::Level;
use crate::backend::cpu::options::CpuOptions;
use crate::backend::cpu::tensor::Tensor;
use crate::backend::uniform;
use crate::quant::{Matrix, encode_affine, encode_mxtq};

pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    (0..len as u64)
        .map(|i| (uniform(seed, i) * 2.0 - 1.0) as f32)
        .collect()
}

fn context(level: Level) -> Context {
    let options = CpuOptions {
        threads: 2,
        instructions: Some(level.instructions()),
        ..CpuOptions::default()
    };
    Context::new(&options).expect("threads")
}

/// Products of all rows with all tokens, `[tokens, rows]`.
fn product(cx: &Context, w: &IntegerPanels, x: &Activations) -> Vec<f32> {
    let mut y = vec![0.0; x.tokens * w.rows];
    integer_product(
        cx,
        w,
        0..w.panels(),
        x,
        0..x.tokens,
        &mut |token, panel, values| {
            for (r, value) in values.iter().enumerate() {
                if panel * PANEL + r < w.rows {
                    y[token * w.rows + panel * PANEL + r] = *value;
                }
            }
        },
    );
    y
}

fn check(matrix: &Matrix, pack: fn(&Context, &Matrix) -> Option<IntegerPanels>, tolerance: f64) {
    let tokens = 11;
    let x = Tensor::new(tokens, matrix.cols, numbers(tokens * matrix.cols, 5));
    let mut want: Option<Vec<f32>> = None;
    for level in Level::available() {
        let cx = context(level);
        let w = pack(&cx, matrix).expect("panels");
        let y = product(&cx, &w, &Activations::of(&cx, &x, &w));
        let want = want.get_or_insert_with(|| y.clone());
        assert_eq!(
            y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            want.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            "{level:?}"
        );
        for t in 0..tokens {
            let one = Tensor::new(1, matrix.cols, x.row(t).to_vec());
            let one = product(&cx, &w, &Activations::of(&cx, &one, &w));
            assert_eq!(one, y[t * matrix.rows..(t + 1) * matrix.rows], "{level:?}");
        }
    }
    let y = want.expect("a level");
    let mut row = vec![0.0; matrix.cols];
    let (mut error, mut power) = (0.0, 0.0);
    for r in 0..matrix.rows {
        matrix.decode_row_original(r, &mut row);
        for t in 0..tokens {
            let exact: f64 = (0..matrix.cols)
                .map(|c| f64::from(row[c]) * f64::from(x.row(t)[c]))
                .sum();
            error += (f64::from(y[t * matrix.rows + r]) - exact).powi(2);
            power += exact * exact;
        }
    }
    let error = (error / power).sqrt();
    assert!(error < tolerance, "relative error {error:e}");
}

#[test]
fn affine_panels() {
    for (rows, cols, bits, group) in [
        (16, 64, 8, 32),
        (33, 96, 8, 32),
        (21, 256, 8, 64),
        (5, 256, 4, 128),
        (48, 512, 4, 32),
        (17, 128, 6, 64),
        (17, 128, 3, 32),
    ] {
        let matrix = encode_affine(&numbers(rows * cols, 1), rows, cols, bits, group).into_matrix();
        check(&matrix, IntegerPanels::pack, 1e-4);
        if bits == 8 {
            check(&matrix, IntegerPanels::pack_split, 1e-4);
        }
    }
}

#[test]
fn mxtq_panels() {
    for (rows, cols) in [(16, 64), (40, 80), (17, 2048), (3, 320)] {
        for bits in [1, 2, 3, 4, 8] {
            let matrix = encode_mxtq(&numbers(rows * cols, 2), rows, cols, bits, 42).into_matrix();
            check(&matrix, IntegerPanels::pack, 2e-4);
        }
    }
}

#[test]
fn stored_rows_and_panels_give_the_same_bits() {
    let level = Level::available().pop().expect("a level");
    let cx = context(level);
    for (rows, cols, bits) in [
        (16, 256, 2),
        (21, 512, 2),
        (40, 2048, 2),
        (33, 128, 4),
        (17, 2048, 4),
    ] {
        let matrix = encode_mxtq(&numbers(rows * cols, 3), rows, cols, bits, 7).into_matrix();
        let Some(lazy) = LazyPanels::of(&cx, &matrix) else {
            assert!(!level.multiplies_rows());
            return;
        };
        let tokens = 3;
        let x = Tensor::new(tokens, cols, numbers(tokens * cols, 5));
        let x = Activations::of(&cx, &x, lazy.shape());
        let product = |form: Form<'_>| {
            let mut y = vec![[0.0f32; PANEL]; tokens * lazy.shape().panels()];
            let panels = lazy.shape().panels();
            form.product(&cx, 0..panels, &x, None, 0..tokens, &mut |t, p, values| {
                y[t * panels + p] = *values;
            });
            y
        };
        let first = lazy.form(&cx, 1);
        assert!(matches!(first, Form::Rows(_)));
        let stored = product(first);
        let packed = lazy.form(&cx, 100);
        assert!(matches!(packed, Form::Panels(_)));
        let packed = product(packed);
        for (a, b) in stored.iter().zip(&packed) {
            assert_eq!(a.map(f32::to_bits), b.map(f32::to_bits));
        }
    }
}
