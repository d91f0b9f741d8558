//! The sampler against a plain one that sorts everything and sums in f64: for
//! random logits and settings, every draw must be the same id.

use cairn::backend::{SampleSpec, sample_row, uniform};

/// A candidate's logit after the penalties, and its id.
fn penalised(logits: &[f32], spec: &SampleSpec) -> Vec<(f32, u32)> {
    let mut all: Vec<(f32, u32)> = logits.iter().copied().zip(0..).collect();
    for (x, id) in &mut all {
        if spec.penalised.contains(id) {
            *x = if *x > 0.0 {
                *x / spec.repetition_penalty
            } else {
                *x * spec.repetition_penalty
            } - spec.presence_penalty;
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all
}

/// Ids that may be drawn with their probabilities, lowest id first.
fn distribution(logits: &[f32], spec: &SampleSpec) -> Vec<(u32, f64)> {
    let mut kept = penalised(logits, spec);
    if spec.temperature <= 0.0 {
        return vec![(kept[0].1, 1.0)];
    }
    if spec.top_k > 0 {
        kept.truncate(spec.top_k);
    }
    let best = kept[0].0;
    let mut kept: Vec<(u32, f64)> = kept
        .into_iter()
        .map(|(x, id)| {
            (
                id,
                (f64::from(x - best) / f64::from(spec.temperature)).exp(),
            )
        })
        .collect();
    kept.retain(|(_, p)| *p >= f64::from(spec.min_p));
    if spec.top_p < 1.0 {
        let goal = f64::from(spec.top_p) * kept.iter().map(|(_, p)| p).sum::<f64>();
        let mut sum = 0.0;
        let reached = kept.iter().position(|(_, p)| {
            sum += p;
            sum >= goal
        });
        kept.truncate(reached.map_or(kept.len(), |at| at + 1));
    }
    kept.sort_by_key(|(id, _)| *id);
    let total: f64 = kept.iter().map(|(_, p)| p).sum();
    kept.iter_mut().for_each(|(_, p)| *p /= total);
    kept
}

#[test]
fn every_draw_is_the_plain_samplers() {
    let mut draws = 0;
    let mut number = |n: u64| {
        draws += 1;
        (uniform(99, draws) * n as f64) as u64
    };
    for case in 0..4000u64 {
        let vocab = [1, 2, 7, 50, 600, 3000][number(6) as usize];
        let spread = [0.0, 1.0, 4.0, 20.0][number(4) as usize];
        let logits: Vec<f32> = (0..vocab)
            .map(|_| (number(1 << 20) as f32 / (1u64 << 19) as f32 - 1.0) * spread)
            .collect();
        let spec = SampleSpec {
            temperature: [0.0, 0.3, 1.0, 1.7][number(4) as usize],
            top_k: [0, 1, 3, 40, 5000][number(5) as usize],
            top_p: [1.0, 0.95, 0.5, 0.01, 0.0][number(5) as usize],
            min_p: [0.0, 0.05, 0.5, 1.0][number(4) as usize],
            repetition_penalty: [1.0, 1.3, 0.8][number(3) as usize],
            presence_penalty: [0.0, 0.7, -0.4][number(3) as usize],
            penalised: (0..number(20)).map(|_| number(vocab) as u32).collect(),
            seed: [0, 1, u64::MAX, u64::MAX - 1, case << 32][number(5) as usize],
            position: [0, 1, u64::MAX, u64::MAX - 7, case][number(5) as usize],
            ..SampleSpec::default()
        };
        let may = distribution(&logits, &spec);
        for step in 0..20 {
            let spec = SampleSpec {
                position: spec.position.wrapping_add(step),
                ..spec.clone()
            };
            let got = sample_row(&logits, &spec).id;
            let u = uniform(spec.seed, spec.position);
            let (mut below, mut want) = (0.0, may[0].0);
            let mut close = false;
            for &(id, p) in &may {
                want = id;
                close |= (below + p - u).abs() < 1e-9;
                below += p;
                if below > u {
                    break;
                }
            }
            assert!(
                may.iter().any(|(id, _)| *id == got),
                "{case}: {got}, {spec:?}"
            );
            assert!(got == want || close, "{case}: {got}, not {want}, {spec:?}");
        }
    }
}

/// Neighbouring seeds and positions must not draw alike.
#[test]
fn seeds_at_both_ends_draw_independently() {
    let seeds = [0, 1, 2, u64::MAX - 1, u64::MAX, 1 << 63, (1 << 63) - 1];
    for (i, &a) in seeds.iter().enumerate() {
        for &b in &seeds[i + 1..] {
            for shift in 0..3 {
                let n = 20_000;
                let mean = (0..n)
                    .map(|p| (uniform(a, p) - 0.5) * (uniform(b, p + shift) - 0.5))
                    .sum::<f64>()
                    / n as f64;
                // The deviation of such a mean is 1/12/sqrt(n).
                assert!(
                    mean.abs() < 5.0 / 12.0 / (n as f64).sqrt(),
                    "{a} {b} {shift}"
                );
            }
        }
    }
}
