#![cfg(feature = "mlx")]
//! Sampling on the device against sampling on the host, which is the reference:
//! the same ids from the same logits, and statistics within 1e-4.

use std::sync::Arc;

use cairn::backend::mlx::MlxBackend;
use cairn::backend::{Backend, SampleSpec, TokenMask, TokenStats, sample_row};
use cairn::quant::{Bytes, Format, Matrix};

fn matrix(rows: usize, cols: usize, values: &[f32]) -> Matrix {
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Matrix {
        rows,
        cols,
        data: Bytes::from_vec(data),
        format: Format::F32,
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About as a model's: most near zero, some far above.
    fn logits(&mut self, vocab: usize) -> Vec<f32> {
        let peaked = 4.0 + 8.0 * self.unit();
        (0..vocab)
            .map(|_| {
                let x = 4.0 * (self.unit() + self.unit() + self.unit() - 1.5);
                if self.unit() < 0.01 { x + peaked } else { x }
            })
            .collect()
    }
}

/// One row of logits, exactly as given, sampled on the device for each spec.
fn sampled(b: &MlxBackend, logits: &[f32], specs: &[SampleSpec]) -> Vec<TokenStats> {
    b.enter(|| {
        // A product with one column: each logit times 1.
        let head = b.weight(&matrix(logits.len(), 1, logits));
        let one = b.weight(&matrix(1, 1, &[1.0]));
        let hidden = b.embed(&one, &b.ids(&[0]));
        specs
            .iter()
            .map(|spec| {
                let (ids, stats) = b.sample(&head, &hidden, std::slice::from_ref(spec));
                let stats = b.read_stats(stats).remove(0);
                // What the next step is given is what is reported.
                let table: Vec<f32> = (0..logits.len()).map(|id| id as f32).collect();
                if (stats.id as usize) < logits.len() {
                    let looked_up = b.embed(&b.weight(&matrix(logits.len(), 1, &table)), &ids);
                    assert_eq!(b.read(&looked_up), [stats.id as f32]);
                }
                assert_eq!(b.fault(), None);
                stats
            })
            .collect()
    })
}

fn near(a: f32, b: f32) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-4
}

/// All but the id, which is taken from `got`.
fn same_statistics(logits: &[f32], got: &TokenStats, what: &str) {
    let forced = SampleSpec {
        forced: Some(got.id),
        ..SampleSpec::default()
    };
    let want = sample_row(logits, &forced);
    assert!(near(got.logprob, want.logprob), "{what}: {got:?} {want:?}");
    assert!(near(got.entropy, want.entropy), "{what}: {got:?} {want:?}");
    let ids = |stats: &TokenStats| stats.top.iter().map(|a| a.id).collect::<Vec<_>>();
    assert_eq!(ids(got), ids(&want), "{what}");
    for (got, want) in got.top.iter().zip(&want.top) {
        assert!(near(got.logprob, want.logprob), "{what}: {got:?} {want:?}");
    }
}

/// Samplers of every kind for a vocabulary.
fn specs(random: &mut Random, vocab: usize) -> Vec<SampleSpec> {
    let third = Arc::new(TokenMask::new(vocab, |id| id % 3 == 1));
    let mut all = Vec::new();
    for temperature in [0.0, 0.3, 1.0, 2.5] {
        for filters in 0..8 {
            for mask in [None, Some(Arc::clone(&third))] {
                all.push(SampleSpec {
                    temperature,
                    top_k: [0, 1 + (random.next() % 40) as usize][filters & 1],
                    top_p: [1.0, 0.5 + 0.45 * random.unit()][filters >> 1 & 1],
                    min_p: [0.0, 0.1 * random.unit()][filters >> 2],
                    seed: random.next(),
                    position: random.next() % 10_000,
                    allowed: mask,
                    ..SampleSpec::default()
                });
            }
        }
    }
    all.push(SampleSpec {
        forced: Some((random.next() % vocab as u64) as u32),
        temperature: 1.0,
        ..SampleSpec::default()
    });
    all
}

#[test]
fn ids_and_statistics_are_those_of_the_host() {
    let b = MlxBackend::new().unwrap();
    let mut random = Random(1);
    let (mut count, mut other) = (0, 0);
    for (vocab, rows) in [(1, 2), (5, 12), (512, 6), (700, 6), (1024, 6), (262_272, 1)] {
        for _ in 0..rows {
            let logits = random.logits(vocab);
            let specs = specs(&mut random, vocab);
            for (got, spec) in sampled(&b, &logits, &specs).iter().zip(&specs) {
                let want = sample_row(&logits, spec);
                count += 1;
                same_statistics(&logits, got, &format!("{vocab}: {spec:?}"));
                if got.id != want.id {
                    // A draw on a boundary: only where there is one.
                    assert!(spec.temperature > 0.0, "{vocab}: {spec:?}");
                    assert!(spec.allowed.as_ref().is_none_or(|mask| mask.allows(got.id)));
                    other += 1;
                }
            }
        }
    }
    println!("{other} of {count} draws fell on the other side of a boundary");
    assert!(count > 2000 && other * 500 <= count, "{other} of {count}");
}

#[test]
fn ties_are_the_lowest_ids() {
    let b = MlxBackend::new().unwrap();
    // Equal ones in each half, more of them than top-k takes.
    let logits: Vec<f32> = (0..1500u32).map(|id| 1.0 + (id * 7 % 5) as f32).collect();
    let mut specs = Vec::new();
    for position in 0..60 {
        for (top_k, top_p) in [
            (0, 1.0),
            (1, 1.0),
            (3, 1.0),
            (700, 1.0),
            (0, 0.2),
            (400, 0.6),
        ] {
            specs.push(SampleSpec {
                temperature: 1.0,
                top_k,
                top_p,
                seed: 9,
                position,
                ..SampleSpec::default()
            });
        }
    }
    specs.push(SampleSpec::default());
    let mut other = 0;
    for (got, spec) in sampled(&b, &logits, &specs).iter().zip(&specs) {
        let want = sample_row(&logits, spec);
        same_statistics(&logits, got, "ties");
        other += usize::from(got.id != want.id);
        // The first three of the best, whatever is drawn.
        if spec.top_k == 3 {
            assert!([2, 7, 12].contains(&got.id), "{}", got.id);
        }
    }
    assert!(other <= 1, "{other} of {}", specs.len());
}

#[test]
fn numbers_that_are_none() {
    let b = MlxBackend::new().unwrap();
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let rows: [&[f32]; 9] = [
        &[nan; 5],
        &[-inf; 7],
        &[nan, -inf, nan],
        &[nan, 1.0, 2.0, nan, 2.0, -inf, -3.0],
        &[-inf, -inf, 0.5, -inf, -inf, -inf, -inf],
        &[1.0, inf, 2.0, nan, inf, 0.0],
        &[inf; 3],
        &[f32::MAX, f32::MIN, 0.0],
        &[nan],
    ];
    for logits in rows {
        let vocab = logits.len();
        let last = Arc::new(TokenMask::new(vocab, |id| id as usize + 1 == vocab));
        let none = Arc::new(TokenMask::new(vocab, |_| false));
        let mut specs = Vec::new();
        for temperature in [0.0, 1e-42, 1.0, f32::INFINITY] {
            for allowed in [None, Some(Arc::clone(&last)), Some(Arc::clone(&none))] {
                for (top_k, top_p, min_p) in
                    [(0, 1.0, 0.0), (2, 0.5, 0.1), (0, 0.0, 0.0), (0, 1.0, 7.0)]
                {
                    specs.push(SampleSpec {
                        temperature,
                        top_k,
                        top_p,
                        min_p,
                        allowed: allowed.clone(),
                        seed: 1,
                        ..SampleSpec::default()
                    });
                }
            }
        }
        // Ids that no row has are taken all the same.
        for forced in [0, vocab as u32 - 1, vocab as u32, u32::MAX] {
            specs.push(SampleSpec {
                forced: Some(forced),
                ..SampleSpec::default()
            });
        }
        for (got, spec) in sampled(&b, logits, &specs).iter().zip(&specs) {
            let want = sample_row(logits, spec);
            assert_eq!(got.id, want.id, "{logits:?}: {spec:?}");
            same_statistics(logits, got, &format!("{logits:?}: {spec:?}"));
        }
    }
}

/// Penalties need what was said, which the host knows: the same bits.
#[test]
fn penalties_are_the_hosts() {
    let b = MlxBackend::new().unwrap();
    let mut random = Random(3);
    let logits = random.logits(300);
    for position in 0..20 {
        let spec = SampleSpec {
            temperature: 0.9,
            repetition_penalty: 1.3,
            presence_penalty: 0.5,
            penalised: (0..150).collect(),
            position,
            ..SampleSpec::default()
        };
        let got = sampled(&b, &logits, std::slice::from_ref(&spec)).remove(0);
        assert_eq!(got, sample_row(&logits, &spec));
    }
}

/// Each row of a batch has its own logits, sampler and mask.
#[test]
fn rows_are_sampled_by_themselves() {
    let b = MlxBackend::new().unwrap();
    let mut random = Random(4);
    let (vocab, count) = (600, 4);
    let rows: Vec<Vec<f32>> = (0..count).map(|_| random.logits(vocab)).collect();
    let columns: Vec<f32> = (0..vocab)
        .flat_map(|id| rows.iter().map(move |row| row[id]))
        .collect();
    let identity: Vec<f32> = (0..count * count)
        .map(|i| f32::from(u8::from(i / count == i % count)))
        .collect();
    let mask = |rest: u32| Arc::new(TokenMask::new(vocab, move |id| id % 4 == rest));
    let specs: Vec<SampleSpec> = (0..count)
        .map(|row| SampleSpec {
            temperature: [0.0, 1.0, 0.5, 1.0][row],
            top_k: [0, 0, 20, 0][row],
            allowed: [None, Some(mask(1)), Some(mask(2)), Some(mask(3))][row].clone(),
            forced: [None, None, None, Some(17)][row],
            seed: 8,
            position: 77,
            ..SampleSpec::default()
        })
        .collect();
    let got = b.enter(|| {
        let head = b.weight(&matrix(vocab, count, &columns));
        let table = b.weight(&matrix(count, count, &identity));
        let hidden = b.embed(&table, &b.ids(&[0, 1, 2, 3]));
        b.read_stats(b.sample(&head, &hidden, &specs).1)
    });
    assert_eq!((got.len(), b.fault()), (count, None));
    for ((got, spec), logits) in got.iter().zip(&specs).zip(&rows) {
        assert_eq!(got.id, sample_row(logits, spec).id);
        same_statistics(logits, got, "batch");
    }
}

/// Pearson's statistic of draws at successive positions, as the generator asks
/// for them, against the probabilities.
#[test]
fn draws_are_distributed_as_the_model_says() {
    let b = MlxBackend::new().unwrap();
    let weights = [1.0f32, 2.0, 3.0, 5.0, 9.0, 0.5, 4.0, 2.5];
    let logits: Vec<f32> = weights.iter().map(|w| w.ln()).collect();
    let draws = 2000;
    let cases = [
        (SampleSpec::default(), 1.0, 8),
        (
            SampleSpec {
                top_k: 4,
                ..SampleSpec::default()
            },
            0.7,
            4,
        ),
        (
            SampleSpec {
                top_p: 0.7,
                ..SampleSpec::default()
            },
            1.0,
            4,
        ),
    ];
    for (filters, temperature, kept) in cases {
        let specs: Vec<SampleSpec> = (0..draws)
            .map(|position| SampleSpec {
                temperature,
                seed: 12,
                position,
                ..filters.clone()
            })
            .collect();
        let mut counts = vec![0.0f64; weights.len()];
        for stats in sampled(&b, &logits, &specs) {
            counts[stats.id as usize] += 1.0;
        }
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
        let (order, out) = order.split_at(kept);
        assert!(out.iter().all(|&id| counts[id] == 0.0), "{counts:?}");
        let weigh = |id: usize| f64::from(weights[id]).powf(1.0 / f64::from(temperature));
        let total: f64 = order.iter().map(|&id| weigh(id)).sum();
        let chi: f64 = order
            .iter()
            .map(|&id| {
                let expected = draws as f64 * weigh(id) / total;
                (counts[id] - expected).powi(2) / expected
            })
            .sum();
        // 0.1 % of honest samplers are beyond this with 7 degrees of freedom.
        assert!(chi < 24.3, "{chi}: {counts:?}");
    }
}
