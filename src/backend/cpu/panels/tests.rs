//! Every kernel of every instruction set against what a product means.

use super::*;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::Level;
use crate::backend::cpu::options::{CpuOptions, Instructions};
use crate::backend::cpu::tensor::Tensor;
use crate::backend::uniform;
use crate::quant::{Bytes, Format, Matrix, encode_affine, encode_mxtq};

pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    (0..len as u64)
        .map(|i| (uniform(seed, i) * 2.0 - 1.0) as f32)
        .collect()
}

pub(super) fn context(level: Level) -> Context {
    limited(level.instructions())
}

pub(super) fn limited(instructions: Instructions) -> Context {
    let options = CpuOptions {
        threads: 2,
        instructions: Some(instructions),
        ..CpuOptions::default()
    };
    Context::new(&options).expect("threads")
}

/// What can be told apart on this machine, the portable kernels first.
fn contexts() -> Vec<Context> {
    let mut all: Vec<Context> = Level::available().into_iter().map(context).collect();
    let tiles = limited(Instructions::Amx);
    if tiles.amx {
        all.push(tiles);
    }
    all
}

fn name(cx: &Context) -> String {
    format!("{:?}{}", cx.level, if cx.amx { " with AMX" } else { "" })
}

/// Products of all rows with all tokens, `[tokens, rows]`.
pub(super) fn product(cx: &Context, w: &IntegerPanels, x: &Activations) -> Vec<f32> {
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

pub(super) type Pack = fn(&Context, &Matrix) -> Option<IntegerPanels>;

fn check(matrix: &Matrix, pack: Pack, tolerance: f64) {
    let tokens = 11;
    let x = Tensor::new(tokens, matrix.cols, numbers(tokens * matrix.cols, 5));
    let mut want: Option<Vec<f32>> = None;
    for cx in contexts() {
        let level = name(&cx);
        let w = pack(&cx, matrix).expect("panels");
        let y = product(&cx, &w, &Activations::of(&cx, &x, &w));
        let want = want.get_or_insert_with(|| y.clone());
        assert_eq!(
            y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            want.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            "{level}"
        );
        for t in 0..tokens {
            let one = Tensor::new(1, matrix.cols, x.row(t).to_vec());
            let one = product(&cx, &w, &Activations::of(&cx, &one, &w));
            assert_eq!(one, y[t * matrix.rows..(t + 1) * matrix.rows], "{level}");
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
/// Tokens that are multiplied at once.
const MOST: usize = 40;

pub(super) fn bits(y: &[f32]) -> Vec<u32> {
    y.iter().map(|y| y.to_bits()).collect()
}

/// Every number of tokens, with every kernel, against the portable kernel's one.
fn check_counts(matrix: &Matrix, pack: Pack) {
    let rows = matrix.rows;
    let x = numbers(MOST * matrix.cols, 7);
    let mut want = Vec::new();
    for cx in contexts() {
        let w = pack(&cx, matrix).expect("panels");
        if want.is_empty() {
            for x in x.chunks(matrix.cols) {
                let x = Tensor::new(1, matrix.cols, x.to_vec());
                want.extend(product(&cx, &w, &Activations::of(&cx, &x, &w)));
            }
        }
        let counts = if cx.level == Level::Baseline {
            MOST..MOST + 1
        } else {
            1..MOST + 1
        };
        for tokens in counts {
            let x = Tensor::new(tokens, matrix.cols, x[..tokens * matrix.cols].to_vec());
            let y = product(&cx, &w, &Activations::of(&cx, &x, &w));
            let level = name(&cx);
            assert!(
                bits(&y) == bits(&want[..tokens * rows]),
                "{tokens} tokens, {level}"
            );
        }
    }
}

#[test]
fn many_affine_tokens_give_the_bits_of_one() {
    // Of the last, not all tokens stay in the cache with one panel.
    for (rows, cols, bits, group) in [
        (40, 160, 8, 32),
        (40, 320, 8, 64),
        (23, 256, 8, 128),
        (40, 160, 4, 32),
        (33, 256, 4, 128),
        (5, 16384, 8, 32),
    ] {
        let matrix = encode_affine(&numbers(rows * cols, 3), rows, cols, bits, group).into_matrix();
        check_counts(&matrix, IntegerPanels::pack);
        if bits == 8 {
            check_counts(&matrix, IntegerPanels::pack_split);
        }
    }
}

#[test]
fn many_codebook_tokens_give_the_bits_of_one() {
    for (rows, cols) in [(40, 320), (16, 64), (7, 1024)] {
        for bits in [2, 4, 8] {
            let matrix = encode_mxtq(&numbers(rows * cols, 4), rows, cols, bits, 42).into_matrix();
            check_counts(&matrix, IntegerPanels::pack);
        }
    }
}

#[test]
fn many_float_tokens_give_the_bits_of_one() {
    let (rows, cols) = (100, 75);
    for (format, size) in [(Format::F16, 2), (Format::Bf16, 2), (Format::F32, 4)] {
        let stored: Vec<u8> = numbers(rows * cols, 8)
            .iter()
            .flat_map(|&x| match format {
                Format::F16 => half::f16::from_f32(x).to_le_bytes().to_vec(),
                Format::Bf16 => half::bf16::from_f32(x).to_le_bytes().to_vec(),
                _ => x.to_le_bytes().to_vec(),
            })
            .collect();
        assert_eq!(stored.len(), rows * cols * size);
        let matrix = Matrix {
            rows,
            cols,
            data: Bytes::from_vec(stored),
            format,
        };
        let x = numbers(MOST * cols, 9);
        let mut want = Vec::new();
        for cx in contexts() {
            let w = FloatPanels::pack(&cx, &matrix).expect("panels");
            let product = |x: &[f32]| {
                let mut y = vec![0.0; x.len() / cols * rows];
                let panels = w.panels();
                float_product(&cx, &w, 0..panels, x, &mut |token, panel, values| {
                    for (r, value) in values.iter().enumerate() {
                        if panel * PANEL + r < rows {
                            y[token * rows + panel * PANEL + r] = *value;
                        }
                    }
                });
                y
            };
            if want.is_empty() {
                want = x.chunks(cols).flat_map(&product).collect();
            }
            for tokens in 1..MOST + 1 {
                let y = product(&x[..tokens * cols]);
                let level = name(&cx);
                assert!(
                    bits(&y) == bits(&want[..tokens * rows]),
                    "{tokens} tokens, {level}"
                );
            }
        }
    }
}

/// Parts of the panels and of the tokens, and a sink that starts a product of its
/// own while another is under way.
#[test]
fn parts_and_products_within_products() {
    let (rows, cols, tokens) = (64, 192, 21);
    let affine = encode_affine(&numbers(rows * cols, 3), rows, cols, 8, 32).into_matrix();
    let mxtq = encode_mxtq(&numbers(rows * cols, 4), rows, cols, 2, 42).into_matrix();
    let x = Tensor::new(tokens, cols, numbers(tokens * cols, 6));
    for cx in contexts() {
        let [affine, mxtq] = [&affine, &mxtq].map(|m| IntegerPanels::pack(&cx, m).expect("panels"));
        let [xa, xm] = [&affine, &mxtq].map(|w| Activations::of(&cx, &x, w));
        let (ya, ym) = (product(&cx, &affine, &xa), product(&cx, &mxtq, &xm));
        let within = |y: &[f32], t: usize, p: usize| bits(&y[t * rows + p * PANEL..][..PANEL]);
        let mut seen = 0;
        integer_product(&cx, &mxtq, 1..4, &xm, 2..20, &mut |t, p, y| {
            assert_eq!(bits(y), within(&ym, t, p), "{}", name(&cx));
            integer_product(&cx, &affine, 1..3, &xa, 3..13, &mut |t, p, y| {
                assert_eq!(bits(y), within(&ya, t, p), "{}", name(&cx));
                seen += 1;
            });
        });
        assert_eq!(seen, 3 * 18 * 2 * 10);
    }
}
