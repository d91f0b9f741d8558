//! How fast products are, per encoding and number of tokens: to be looked at, in
//! a release build, when a kernel changes.

use std::time::{Duration, Instant};

use super::tests::{limited, numbers};
use super::*;
use crate::backend::cpu::context::Context;
use crate::backend::cpu::options::{CpuOptions, Instructions};
use crate::backend::cpu::tensor::Tensor;
use crate::quant::{Bytes, Format, Matrix, encode_affine, encode_mxtq};

const ROWS: usize = 2048;
const COLS: usize = 2048;

/// Matrices that are multiplied in turn, so that few tokens find them in memory
/// only.
const COPIES: usize = 16;

/// What is measured at least.
const TIME: Duration = Duration::from_millis(300);

const TOKENS: [usize; 8] = [1, 2, 3, 4, 8, 16, 32, 512];

enum Weights {
    Integer(Vec<IntegerPanels>),
    Float(Vec<FloatPanels>),
}

/// A few encoded rows, over and over.
fn tall(few: Matrix) -> Matrix {
    let times = ROWS / few.rows;
    let repeated = |bytes: &[u8]| Bytes::from_vec(bytes.repeat(times));
    let format = match &few.format {
        Format::Affine {
            bits,
            group,
            scales,
            biases,
            dtype,
        } => Format::Affine {
            bits: *bits,
            group: *group,
            scales: repeated(scales),
            biases: repeated(biases),
            dtype: *dtype,
        },
        Format::Mxtq {
            bits,
            norms,
            tables,
        } => Format::Mxtq {
            bits: *bits,
            norms: repeated(norms),
            tables: tables.clone(),
        },
        same => same.clone(),
    };
    Matrix {
        rows: ROWS,
        cols: COLS,
        data: repeated(&few.data),
        format,
    }
}

fn weights(cx: &Context) -> Vec<(&'static str, Weights)> {
    const FEW: usize = 32;
    let values = numbers(FEW * COLS, 1);
    let affine = |bits, group| tall(encode_affine(&values, FEW, COLS, bits, group).into_matrix());
    let mxtq = |bits| tall(encode_mxtq(&values, FEW, COLS, bits, 42).into_matrix());
    let integer = |matrix: &Matrix, pack: fn(&Context, &Matrix) -> Option<IntegerPanels>| {
        let pack = |_| pack(cx, matrix).expect("panels");
        Weights::Integer((0..COPIES).map(pack).collect())
    };
    let floats = values
        .iter()
        .flat_map(|&x| half::f16::from_f32(x).to_le_bytes());
    let floats = tall(Matrix {
        rows: FEW,
        cols: COLS,
        data: Bytes::from_vec(floats.collect()),
        format: Format::F16,
    });
    let pack = |_| FloatPanels::pack(cx, &floats).expect("panels");
    vec![
        ("affine 8 g32", integer(&affine(8, 32), IntegerPanels::pack)),
        (
            "split 8 g32",
            integer(&affine(8, 32), IntegerPanels::pack_split),
        ),
        ("affine 8 g64", integer(&affine(8, 64), IntegerPanels::pack)),
        ("affine 4 g32", integer(&affine(4, 32), IntegerPanels::pack)),
        ("mxtq 2", integer(&mxtq(2), IntegerPanels::pack)),
        ("mxtq 4", integer(&mxtq(4), IntegerPanels::pack)),
        ("mxtq 8", integer(&mxtq(8), IntegerPanels::pack)),
        ("f16", Weights::Float((0..COPIES).map(pack).collect())),
    ]
}

/// The shortest time of one product, and the bytes that it reads.
fn measure(cx: &Context, weights: &Weights, tokens: usize) -> (Duration, usize) {
    let x = Tensor::new(tokens, COLS, numbers(tokens * COLS, 2));
    let mut best = Duration::MAX;
    let start = Instant::now();
    let mut turn = 0;
    let mut bytes = 0;
    let quantized = match weights {
        Weights::Integer(all) => Some(Activations::of(cx, &x, &all[0])),
        Weights::Float(_) => None,
    };
    while turn < 2 * COPIES || start.elapsed() < TIME {
        let began = Instant::now();
        match (weights, &quantized) {
            (Weights::Integer(all), Some(x)) => {
                let w = &all[turn % COPIES];
                bytes = w.bytes();
                cx.pool.run(w.panels(), 2, |panels| {
                    integer_product(cx, w, panels, x, 0..tokens, &mut |_, _, y| {
                        std::hint::black_box(y);
                    });
                });
            }
            (Weights::Float(all), _) => {
                let w = &all[turn % COPIES];
                bytes = w.data.len();
                cx.pool.run(w.panels(), 2, |panels| {
                    float_product(cx, w, panels, x.data(), &mut |_, _, y| {
                        std::hint::black_box(y);
                    });
                });
            }
            _ => {}
        }
        best = best.min(began.elapsed());
        turn += 1;
    }
    (best, bytes)
}

#[test]
#[ignore = "takes a minute and a quiet machine"]
fn throughput() {
    for instructions in [Instructions::Avx512, Instructions::Amx] {
        for threads in [1, 2] {
            let cx = Context::new(&CpuOptions {
                threads,
                instructions: Some(instructions),
                ..CpuOptions::default()
            })
            .expect("threads");
            println!(
                "{:?}, AMX {}, {threads} threads: Gweights*tokens/s (GB/s)",
                cx.level, cx.amx
            );
            for (name, weights) in weights(&limited(instructions)) {
                print!("{name:<13}");
                for tokens in TOKENS {
                    let (time, bytes) = measure(&cx, &weights, tokens);
                    let speed = |n: usize| n as f64 / time.as_secs_f64() / 1e9;
                    print!(
                        " {tokens:>4}: {:6.1} ({:4.1})",
                        speed(ROWS * COLS * tokens),
                        speed(bytes)
                    );
                }
                println!();
            }
        }
    }
}
