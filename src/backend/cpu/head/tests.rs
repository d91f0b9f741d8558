//! Screening against the full pass, and estimates against what they estimate.

use std::sync::Arc;

use super::*;
use crate::backend::cpu::level::Level;
use crate::backend::cpu::options::CpuOptions;
use crate::backend::cpu::panels::PANEL;
use crate::backend::cpu::rows::RowWeight;
use crate::backend::{TokenMask, sample_row, uniform};
use crate::quant::{Format, Matrix, encode_affine};

/// Roughly normal numbers of unit variance.
fn normal(len: usize, seed: u64) -> Vec<f32> {
    (0..len as u64)
        .map(|i| {
            (0..6)
                .map(|j| uniform(seed, 6 * i + j) * 2.0 - 1.0)
                .sum::<f64>()
                / 2f64.sqrt()
        })
        .map(|x| x as f32)
        .collect()
}

fn context(level: Level, threads: usize) -> Context {
    let options = CpuOptions {
        threads,
        instructions: Some(level.instructions()),
        ..CpuOptions::default()
    };
    Context::new(&options).expect("threads")
}

fn best() -> Context {
    context(*Level::available().last().expect("a level"), 2)
}

fn head(rows: usize, cols: usize) -> Matrix {
    encode_affine(&normal(rows * cols, 1), rows, cols, 8, 32).into_matrix()
}

/// Activations that lean towards one row of the head, by `lean` deviations.
fn leaning(matrix: &Matrix, tokens: usize, lean: f32, seed: u64) -> Tensor {
    let cols = matrix.cols;
    let mut x = normal(tokens * cols, seed);
    let mut row = vec![0.0; cols];
    for (t, x) in x.chunks_exact_mut(cols).enumerate() {
        matrix.decode_row_original((t * 7919 + 13) % matrix.rows, &mut row);
        for (x, row) in x.iter_mut().zip(&row) {
            *x += lean * row / (cols as f32).sqrt();
        }
    }
    let scale = 3.0 / (cols as f32).sqrt();
    Tensor::new(
        tokens,
        cols,
        x.into_iter().map(|x| x * scale).collect::<Vec<f32>>(),
    )
}

#[test]
fn every_instruction_set_estimates_the_same_bits_within_the_margin() {
    for (rows, cols, group) in [(1024, 256, 32), (1030, 128, 64), (1024, 256, 128)] {
        let matrix = encode_affine(&normal(rows * cols, 3), rows, cols, 8, group).into_matrix();
        let hidden = leaning(&matrix, 11, 4.0, 5);
        let mut want: Option<Vec<u32>> = None;
        for level in Level::available() {
            let cx = context(level, 2);
            let weight = HeadWeight::pack(&cx, &matrix).expect("panels");
            let w = &weight.panels;
            let screening = weight.screening.as_ref().expect("a regular matrix");
            let run = |x: &Activations| {
                let (norms, _) = lengths(x);
                let screen = Screen::new(w, x, &norms, screening.variance).expect("planes");
                let mut found = vec![[0.0f32; 2]; x.tokens * w.panels() * PANEL];
                screen.run(&cx, 0..w.panels(), &mut |token, panel, y, sigma| {
                    for r in 0..PANEL {
                        let at = (token * w.panels() + panel) * PANEL + r;
                        found[at] = [y[r], sigma[r]];
                    }
                });
                found
            };
            let all = run(&Activations::of(&cx, &hidden, w));
            for t in 0..11 {
                let x = Activations::of_rows(&cx, &hidden, &[t], w);
                let part = w.panels() * PANEL;
                assert_eq!(run(&x), all[t as usize * part..(t as usize + 1) * part]);
            }
            let bits: Vec<u32> = all.iter().flatten().map(|x| x.to_bits()).collect();
            assert!(
                *want.get_or_insert_with(|| bits.clone()) == bits,
                "{level:?}"
            );

            let packed = Weight::head(&cx, RowWeight::new(&matrix));
            let exact = linear(&cx, &packed, &hidden, None);
            let (mut square, mut count, mut worst) = (0.0f64, 0.0f64, 0.0f32);
            for (t, row) in exact.iter_rows().enumerate() {
                for (r, x) in row.iter().enumerate() {
                    let [y, sigma] = all[t * w.panels() * PANEL + r];
                    let error = (y - x) / sigma;
                    square += f64::from(error * error);
                    count += 1.0;
                    worst = worst.max(error.abs());
                }
            }
            let deviation = (square / count).sqrt();
            assert!((0.7..1.1).contains(&deviation), "{deviation}");
            assert!(worst < 7.0, "{worst}");
        }
    }
}

#[test]
fn embedding_rows_are_what_is_stored() {
    for (rows, cols) in [(1024, 64), (70, 256)] {
        let matrix = head(rows, cols);
        let cx = best();
        let weight = HeadWeight::pack(&cx, &matrix).expect("panels");
        let stored = RowWeight::new(&matrix);
        for row in [0, 1, 17, rows - 1] {
            let (mut got, mut want) = (vec![0.0; cols], vec![0.0; cols]);
            weight.decode(row, &mut got);
            stored.decode(cx.level, row, &mut want);
            assert_eq!(got, want);
        }
    }
}

fn specs(rows: usize) -> Vec<SampleSpec> {
    let hot = SampleSpec {
        temperature: 0.8,
        seed: 3,
        ..SampleSpec::default()
    };
    let mask = Arc::new(TokenMask::new(rows, |id| {
        id % 5 != 2 && !(64..96).contains(&id)
    }));
    let narrow = Arc::new(TokenMask::new(rows, |id| [5, 700, 701].contains(&id)));
    let penalised: Vec<u32> = (0..40).map(|i| i * 101 % rows as u32).collect();
    vec![
        SampleSpec::default(),
        SampleSpec {
            allowed: Some(mask.clone()),
            ..SampleSpec::default()
        },
        SampleSpec {
            allowed: Some(narrow.clone()),
            ..SampleSpec::default()
        },
        SampleSpec {
            top_k: 40,
            allowed: Some(narrow),
            ..hot.clone()
        },
        SampleSpec {
            repetition_penalty: 1.3,
            presence_penalty: 0.5,
            penalised: penalised.clone(),
            ..SampleSpec::default()
        },
        SampleSpec {
            repetition_penalty: 0.7,
            presence_penalty: -3.0,
            penalised,
            top_k: 20,
            ..hot.clone()
        },
        SampleSpec {
            forced: Some(321),
            ..hot.clone()
        },
        SampleSpec {
            top_k: 1,
            ..hot.clone()
        },
        SampleSpec {
            top_k: 50,
            allowed: Some(mask),
            ..hot.clone()
        },
        SampleSpec {
            top_k: 50,
            top_p: 0.9,
            ..hot.clone()
        },
        SampleSpec {
            min_p: 0.05,
            ..hot.clone()
        },
        SampleSpec {
            min_p: 0.02,
            top_k: 30,
            top_p: 0.8,
            ..hot.clone()
        },
        SampleSpec {
            top_p: 0.9,
            ..hot.clone()
        },
        hot,
    ]
}

/// Greedy, top-k and min-p are the reference's on the same logits, bit for bit;
/// the others where rounding of the total leaves no doubt.
#[test]
fn screened_sampling_is_full_sampling() {
    let matrix = head(4096, 256);
    for cx in [best(), context(Level::available()[0], 1)] {
        let weight = Weight::head(&cx, RowWeight::new(&matrix));
        let screened = Head::new(HeadMode::Screened);
        let full = Head::new(HeadMode::Full);
        let mut tokens = 0;
        for lean in [0.0, 5.0, 20.0] {
            for (i, spec) in specs(4096).into_iter().enumerate() {
                let hidden = leaning(&matrix, 9, lean, i as u64);
                let specs: Vec<SampleSpec> = (0..9)
                    .map(|position| SampleSpec {
                        position,
                        ..spec.clone()
                    })
                    .collect();
                let got = screened.sample(&cx, &weight, &hidden, &specs);
                let want = full.sample(&cx, &weight, &hidden, &specs);
                let logits = linear(&cx, &weight, &hidden, None);
                for (t, (got, want)) in got.iter().zip(&want).enumerate() {
                    let ids = |s: &TokenStats| s.top.iter().map(|a| a.id).collect::<Vec<_>>();
                    assert_eq!((got.id, ids(got)), (want.id, ids(want)), "{lean} {spec:?}");
                    assert!(want.exact);
                    assert!((got.logprob - want.logprob).abs() < 0.1, "{got:?} {want:?}");
                    assert!((got.entropy - want.entropy).abs() < 0.1, "{got:?} {want:?}");
                    assert!(!got.exact || got == want);
                    let reference = sample_row(logits.row(t), &specs[t]);
                    assert_eq!(
                        (got.id, ids(got)),
                        (reference.id, ids(&reference)),
                        "{spec:?}"
                    );
                    assert!((want.logprob - reference.logprob).abs() < 1e-5);
                    assert!((want.entropy - reference.entropy).abs() < 1e-5);
                    let one = Tensor::new(1, 256, hidden.row(t).to_vec());
                    let one = screened.sample(&cx, &weight, &one, &specs[t..=t]);
                    assert_eq!(one[0], *got, "alone and among others");
                    tokens += 2;
                }
            }
        }
        let audit = screened.audit();
        assert_eq!(audit.tokens, tokens);
        assert!(audit.full_passes < audit.tokens, "{audit:?}");
        assert_eq!(full.audit().full_passes, full.audit().tokens);
    }
}

#[test]
fn the_audit_compares_and_counts() {
    let matrix = head(4096, 256);
    let cx = best();
    let weight = Weight::head(&cx, RowWeight::new(&matrix));
    let head = Head::new(HeadMode::Audit);
    let hidden = leaning(&matrix, 8, 12.0, 9);
    for spec in specs(4096) {
        head.sample(&cx, &weight, &hidden, &vec![spec; 8]);
    }
    let audit = head.audit();
    assert_eq!((audit.audited, audit.misses), (8 * 14, 0), "{audit:?}");
    assert!(
        audit.errors[0] > 0 && audit.errors[8..] == [0; 8],
        "{audit:?}"
    );

    // An estimate that knows less than it says is found out.
    let mut blind = HeadWeight::pack(&cx, &matrix).expect("panels");
    blind.screening.as_mut().expect("a regular matrix").variance = 1e-6;
    let weight = Weight {
        rows: RowWeight::new(&matrix),
        packed: Packed::Head(Box::new(blind)),
    };
    let head = Head::new(HeadMode::Audit);
    head.sample(&cx, &weight, &hidden, &vec![SampleSpec::default(); 8]);
    assert_eq!(head.audit().misses, 8);
}

#[test]
fn low_nibbles_that_are_no_chance_are_not_estimated() {
    let cx = best();
    let matrix = head(2048, 256);
    let with = |change: &dyn Fn(usize, u8) -> u8| {
        let codes = matrix
            .data
            .iter()
            .enumerate()
            .map(|(i, q)| change(i / 256, *q));
        let changed = Matrix {
            data: crate::quant::Bytes::from_vec(codes.collect()),
            ..matrix.clone()
        };
        HeadWeight::pack(&cx, &changed).expect("panels").screening
    };
    assert!(with(&|_, q| q).is_some_and(|s| s.odd.is_empty()));
    assert!(with(&|_, q| q & 0xf0).is_none());
    let odd = with(&|row, q| if row == 100 { q & 0xf0 } else { q });
    assert_eq!(odd.map(|s| s.odd), Some(vec![6]));
    // Rows 40 and 1030 are the same.
    let twin: Vec<u8> = matrix.data[40 * 256..41 * 256].to_vec();
    let mut data = matrix.data.to_vec();
    data[1030 * 256..1031 * 256].copy_from_slice(&twin);
    let changed = Matrix {
        data: crate::quant::Bytes::from_vec(data),
        ..matrix.clone()
    };
    let odd = HeadWeight::pack(&cx, &changed).expect("panels").screening;
    assert_eq!(odd.map(|s| s.odd), Some(vec![2, 64]));
}

#[test]
fn what_is_not_a_number_is_sampled_like_the_reference() {
    let cx = best();
    let matrix = head(1024, 64);
    let weight = Weight::head(&cx, RowWeight::new(&matrix));
    let head = Head::new(HeadMode::Screened);
    let mut x = normal(64, 1);
    x[3] = f32::NAN;
    let stats = head.sample(
        &cx,
        &weight,
        &Tensor::new(1, 64, x),
        &[SampleSpec::default()],
    );
    assert_eq!((stats[0].id, stats[0].exact), (0, true));
    assert!(stats[0].logprob.is_nan());
}

#[test]
fn other_formats_are_computed_in_full() {
    let cx = best();
    let numbers = normal(700 * 32, 4);
    let data = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let matrix = Matrix {
        rows: 700,
        cols: 32,
        data: crate::quant::Bytes::from_vec(data),
        format: Format::F32,
    };
    let weight = Weight::head(&cx, RowWeight::new(&matrix));
    let hidden = Tensor::new(1, 32, normal(32, 8));
    let head = Head::new(HeadMode::Screened);
    for spec in specs(700) {
        let got = &head.sample(&cx, &weight, &hidden, std::slice::from_ref(&spec))[0];
        let want = sample_row(linear(&cx, &weight, &hidden, None).row(0), &spec);
        assert_eq!(got.id, want.id, "{spec:?}");
        assert!((got.logprob - want.logprob).abs() < 1e-5 && got.exact);
    }
}
