//! Attention against a plain one in f64, and its bits against themselves.

use super::*;
use crate::backend::cpu::level::Level;
use crate::backend::cpu::{CpuBackend, CpuOptions};
use crate::backend::{Backend, KvDtype, Segment};

fn shape(query_heads: usize, kv_heads: usize, head_dim: usize) -> AttentionShape {
    AttentionShape {
        query_heads,
        kv_heads,
        head_dim,
        conv_kernels: [2, 2],
        rotary_dims: 4,
        rope_theta: 1e4,
    }
}

fn backend(level: Level, threads: usize) -> CpuBackend {
    let options = CpuOptions {
        threads,
        instructions: Some(level.instructions()),
        ..CpuOptions::default()
    };
    let backend = CpuBackend::new(&options).expect("threads");
    assert_eq!(backend.cx.level, level);
    backend
}

/// Numbers in -1..1 that any half holds.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 2049) as f32 / 1024.0 - 1.0
    };
    (0..len).map(step).collect()
}

/// Queries, keys and values of `len` positions of a sequence.
struct Sequence {
    shape: AttentionShape,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Sequence {
    fn new(shape: &AttentionShape, len: usize, seed: u64) -> Self {
        let kv = shape.kv_heads * shape.head_dim;
        let q = noise(len * shape.query_heads * shape.head_dim, seed);
        Self {
            shape: shape.clone(),
            // Some weights are great, most are small.
            q: q.iter().map(|x| x * 4.0).collect(),
            k: noise(len * kv, seed + 1000),
            v: noise(len * kv, seed + 2000),
        }
    }

    fn widths(&self) -> [usize; 2] {
        [self.shape.query_heads, self.shape.kv_heads].map(|heads| heads * self.shape.head_dim)
    }

    fn rows(&self, from: usize, to: usize) -> Qkv<CpuBackend> {
        let [wide, narrow] = self.widths();
        let part = |data: &[f32], width: usize| {
            Tensor::new(to - from, width, data[from * width..to * width].to_vec())
        };
        Qkv {
            q: part(&self.q, wide),
            k: part(&self.k, narrow),
            v: part(&self.v, narrow),
        }
    }

    /// What attention should yield for a row.
    fn reference(&self, row: usize) -> Vec<f64> {
        let AttentionShape {
            query_heads,
            kv_heads,
            head_dim: dim,
            ..
        } = self.shape;
        let [wide, narrow] = self.widths();
        let mut out = Vec::new();
        for head in 0..query_heads {
            let at = head / (query_heads / kv_heads) * dim;
            let q = &self.q[row * wide + head * dim..][..dim];
            let weights: Vec<f64> = (0..=row)
                .map(|p| {
                    let k = &self.k[p * narrow + at..][..dim];
                    let dot: f64 = q.iter().zip(k).map(|(a, b)| f64::from(a * b)).sum();
                    (dot / (dim as f64).sqrt()).exp()
                })
                .collect();
            let total: f64 = weights.iter().sum();
            out.extend((0..dim).map(|d| {
                let weighted = weights.iter().enumerate();
                let sum: f64 = weighted
                    .map(|(p, w)| w * f64::from(self.v[p * narrow + at + d]))
                    .sum();
                sum / total
            }));
        }
        out
    }
}

fn call(segments: &[(usize, usize)], kv: KvMode) -> Rows {
    let segment = |&(len, position): &(usize, usize)| Segment { len, position };
    Rows {
        segments: segments.iter().map(segment).collect(),
        kv,
    }
}

/// Appends rows `from..to` of a sequence.
fn step(cpu: &CpuBackend, sequence: &Sequence, kv: &mut Kv, from: usize, to: usize) -> Vec<f32> {
    let rows = call(&[(to - from, from)], KvMode::Append);
    let out = cpu.attend(&sequence.rows(from, to), &sequence.shape, &rows, &mut [kv]);
    out.data().to_vec()
}

/// All of a sequence in chunks of a size.
fn chunked(
    cpu: &CpuBackend,
    sequence: &Sequence,
    len: usize,
    dtype: KvDtype,
    chunk: usize,
) -> Vec<f32> {
    let mut kv = cpu.kv(&sequence.shape, dtype);
    let starts = (0..len).step_by(chunk);
    starts
        .flat_map(|from| step(cpu, sequence, &mut kv, from, len.min(from + chunk)))
        .collect()
}

fn assert_same(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let differ = |(_, (a, b)): &(usize, (&f32, &f32))| a.to_bits() != b.to_bits();
    let first = ours.iter().zip(theirs).enumerate().find(differ);
    assert!(first.is_none(), "{what}: {first:?}");
}

#[test]
fn it_is_attention() {
    let shapes = [
        (shape(8, 2, 128), 700, KvDtype::F16),
        (shape(4, 2, 8), 600, KvDtype::F16),
        (shape(3, 1, 40), 300, KvDtype::F32),
        (shape(2, 2, 20), 130, KvDtype::F32),
        (shape(26, 2, 16), 70, KvDtype::F16),
    ];
    let cpu = backend(Level::detect(crate::backend::cpu::Instructions::Amx), 2);
    for (shape, len, dtype) in shapes {
        let sequence = Sequence::new(&shape, len, 1);
        let [width, _] = sequence.widths();
        let out = chunked(&cpu, &sequence, len, dtype, 250);
        for row in (0..len).step_by(7).chain([len - 1]) {
            let expected = sequence.reference(row);
            for (x, y) in out[row * width..(row + 1) * width].iter().zip(expected) {
                let error = (f64::from(*x) - y).abs();
                assert!(error < 2e-6, "{shape:?} row {row}: {x} for {y}");
            }
        }
    }
}

#[test]
fn neither_level_threads_nor_chunks_show_in_the_bits() {
    for (shape, len, dtype) in [
        (shape(8, 2, 16), 1100, KvDtype::F16),
        (shape(6, 2, 24), 600, KvDtype::F32),
        (shape(2, 1, 8), 600, KvDtype::F16),
    ] {
        let sequence = Sequence::new(&shape, len, 5);
        let best = backend(*Level::available().last().expect("a level"), 1);
        let expected = chunked(&best, &sequence, len, dtype, 512);
        for level in Level::available() {
            for (threads, chunk) in [(1, 64), (1, 300), (2, 512), (4, 7), (2, 1)] {
                if level == Level::Baseline && chunk != 512 && shape.head_dim > 8 {
                    // Without the instruction, a fused multiply-add is a function.
                    continue;
                }
                let cpu = backend(level, threads);
                let out = chunked(&cpu, &sequence, len, dtype, chunk);
                assert_same(&out, &expected, &format!("{level:?} {threads} {chunk}"));
            }
        }
    }
}

#[test]
fn sequences_of_a_batch_are_alone() {
    let shape = shape(8, 2, 32);
    let cpu = backend(*Level::available().last().expect("a level"), 2);
    let sequences: Vec<_> = (0..4).map(|i| Sequence::new(&shape, 700, i + 9)).collect();
    // Rows of each in the second call: one, few, a tile and some.
    let lens = [1, 2, 40, 7];
    let befores = [600, 64, 70, 0];
    let mut caches: Vec<Kv> = (0..4).map(|_| cpu.kv(&shape, KvDtype::F16)).collect();
    let mut alone = Vec::new();
    for ((sequence, kv), (len, before)) in sequences
        .iter()
        .zip(&mut caches)
        .zip(lens.into_iter().zip(befores))
    {
        step(&cpu, sequence, kv, 0, before);
        alone.extend(step(&cpu, sequence, &mut kv.clone(), before, before + len));
    }
    let parts: Vec<_> = (0..4)
        .map(|i| sequences[i].rows(befores[i], befores[i] + lens[i]))
        .collect();
    let joined = |part: fn(&Qkv<CpuBackend>) -> &Tensor| {
        let data: Vec<f32> = parts.iter().flat_map(|p| part(p).data().to_vec()).collect();
        Tensor::new(50, part(&parts[0]).cols(), data)
    };
    let qkv = Qkv {
        q: joined(|p| &p.q),
        k: joined(|p| &p.k),
        v: joined(|p| &p.v),
    };
    let segments: Vec<_> = lens.into_iter().zip(befores).collect();
    let mut borrowed: Vec<&mut Kv> = caches.iter_mut().collect();
    let out = cpu.attend(
        &qkv,
        &shape,
        &call(&segments, KvMode::Append),
        &mut borrowed,
    );
    assert_same(out.data(), &alone, "batch");
}

#[test]
fn forks_rewinds_and_replays() {
    let shape = shape(4, 2, 16);
    let cpu = backend(*Level::available().last().expect("a level"), 2);
    let (one, other) = (
        Sequence::new(&shape, 300, 30),
        Sequence::new(&shape, 300, 40),
    );
    for dtype in [KvDtype::F16, KvDtype::F32] {
        let mut kv = cpu.kv(&shape, dtype);
        let first = step(&cpu, &one, &mut kv, 0, 200);
        let mut fork = kv.clone();
        // Another sequence's positions, then back into the middle of a block.
        step(&cpu, &other, &mut fork, 200, 300);
        let last = step(&cpu, &one, &mut kv, 200, 300);
        assert_same(
            &last,
            &step(&cpu, &one, &mut rewound(&fork, 200), 200, 300),
            "rewound fork",
        );
        kv.truncate(90);
        let again = step(&cpu, &one, &mut kv, 90, 300);
        let [width, _] = one.widths();
        assert_same(&again[..110 * width], &first[90 * width..], "again");
        assert_same(&again[110 * width..], &last, "again, beyond");
        // What is stored already, without appending.
        let rows = call(&[(5, 195)], KvMode::Stored);
        let replay = cpu.attend(&one.rows(195, 200), &shape, &rows, &mut [&mut kv]);
        assert_same(replay.data(), &first[195 * width..], "replay");
        assert_eq!(kv.len(), 300);
        let (k, v) = kv.position(207);
        let [_, narrow] = one.widths();
        assert_eq!(k, one.k[207 * narrow..208 * narrow]);
        assert_eq!(v, one.v[207 * narrow..208 * narrow]);
    }
}

fn rewound(kv: &Kv, len: usize) -> Kv {
    let mut kv = kv.clone();
    kv.truncate(len);
    kv
}

#[test]
fn halves_are_finite() {
    let shape = shape(1, 1, 8);
    let cpu = backend(Level::Baseline, 1);
    let mut kv = cpu.kv(&shape, KvDtype::F16);
    let row = |x: f32| Tensor::new(1, 8, vec![x; 8]);
    let qkv = Qkv {
        q: row(1.0),
        k: row(-1e6),
        v: row(1e6),
    };
    let out = cpu.attend(
        &qkv,
        &shape,
        &call(&[(1, 0)], KvMode::Append),
        &mut [&mut kv],
    );
    assert_eq!(out.data(), [65504.0; 8]);
    assert_eq!(kv.position(0), (vec![-65504.0; 8], vec![65504.0; 8]));
}

/// Figures, not a verdict: `cargo test --release --lib attention::tests::speed
/// -- --ignored --nocapture`.
#[test]
#[ignore = "measures for some seconds"]
fn speed() {
    use std::time::Instant;
    let shape = shape(8, 2, 128);
    for (level, threads) in Level::available()
        .into_iter()
        .skip(1)
        .flat_map(|level| [(level, 1), (level, 2)])
    {
        let cpu = backend(level, threads);
        let len = 32_768;
        let sequence = Sequence::new(&shape, 512, 1);
        // Several layers: their memory fits no cache.
        let mut layers: Vec<Kv> = (0..4).map(|_| cpu.kv(&shape, KvDtype::F16)).collect();
        let chunk = sequence.rows(0, 512);
        let one = sequence.rows(0, 1);
        let append = |kv: &mut Kv, to: usize| {
            while kv.len() < to {
                let Qkv { k, v, .. } = &chunk;
                let rows = call(&[(512, 0)], KvMode::Append);
                super::append(&cpu.cx, Fresh { k, v }, &shape, &rows, &mut [kv]);
            }
        };
        for kv in &mut layers {
            append(kv, len);
        }
        let rows = call(&[(1, len - 1)], KvMode::Stored);
        let mut times = Vec::new();
        for _ in 0..8 {
            for kv in &mut layers {
                let start = Instant::now();
                cpu.attend(&one, &shape, &rows, &mut [kv]);
                times.push(start.elapsed().as_secs_f64());
            }
        }
        times.sort_by(f64::total_cmp);
        let time = times[times.len() / 2];
        let bytes = (len * 2 * 2 * 128 * 2) as f64;
        println!(
            "{level:?} x{threads}: decode at {len}: {:.0} us, {:.1} GB/s",
            time * 1e6,
            bytes / time / 1e9
        );

        let mut kv = cpu.kv(&shape, KvDtype::F16);
        let (mut total, mut appending) = (0.0, 0.0);
        for from in (0..8192).step_by(512) {
            let start = Instant::now();
            append(&mut kv, from + 512);
            appending += start.elapsed().as_secs_f64();
            let rows = call(&[(512, from)], KvMode::Stored);
            let start = Instant::now();
            cpu.attend(&chunk, &shape, &rows, &mut [&mut kv]);
            total += start.elapsed().as_secs_f64();
        }
        let flop = 8192.0 * 8192.0 / 2.0 * 8.0 * 128.0 * 4.0;
        println!(
            "{level:?} x{threads}: prefill at 8192: {:.2} ms a token in 40 layers, {:.0} Gop/s; appending {:.1} us a token",
            total / 8192.0 * 40.0 * 1e3,
            flop / total / 1e9,
            appending / 8192.0 * 40.0 * 1e6
        );
    }
}
