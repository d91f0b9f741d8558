#![cfg(feature = "mlx")]
//! What a step allocates and what a sequence keeps: no copy or cast of a weight
//! in a decode step, no buffer that outlives its use.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn::backend::{KvDtype, SampleSpec};
use cairn::bundle::zaya::{Attention, Config, Expert, Layer, Merge, Router, Tensors};
use cairn::bundle::{Bundle, Family};
use cairn::model::{BackendKind, Cache, Engine, LoadOptions, StepRow, load};
use cairn::quant::{Bytes, Format, Matrix, ScaleType};
use mlx_rs::memory::{active_memory, peak_memory, reset_peak_memory};

/// MLX counts for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn golden(name: &str) -> Bundle {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zaya");
    Bundle::open(&folder.join(name)).unwrap()
}

fn engine(bundle: &Bundle, chunk: usize) -> Box<dyn Engine> {
    let options = LoadOptions {
        backend: BackendKind::Mlx,
        kv: KvDtype::F16,
        chunk: Some(chunk),
        ..LoadOptions::default()
    };
    load(bundle, &options).unwrap()
}

fn prefill(engine: &dyn Engine, cache: &mut Cache, count: usize) {
    let vocab = engine.info().vocab;
    let tokens: Vec<u32> = (0..count).map(|i| (i * 31 % vocab) as u32).collect();
    let flow = engine.prefill(cache, &tokens, &mut |_, _| ControlFlow::Continue(()));
    assert!(flow.unwrap().is_continue());
}

fn decode(engine: &dyn Engine, cache: &mut Cache, count: usize, temperature: f32) {
    let mut token = 1;
    for _ in 0..count {
        let spec = SampleSpec {
            temperature,
            top_p: 0.9,
            seed: 2,
            position: cache.len() as u64 + 1,
            ..SampleSpec::default()
        };
        let row = StepRow { cache, token, spec };
        token = engine.step(&mut [row]).unwrap()[0].stats.id;
    }
}

const HIDDEN: usize = 1024;
const HEADS: [usize; 2] = [4, 2];
const DIM: usize = 64;
const EXPERTS: usize = 16;
const VOCAB: usize = 2048;
const GROUP: usize = 32;

/// How the large matrices of a synthetic model are stored.
#[derive(Clone, Copy, Debug)]
enum Stored {
    /// 4 bits, as in bundles that call themselves MXFP4.
    Affine(ScaleType),
    Bf16,
}

fn bytes(count: usize) -> Bytes {
    let mut state = count as u32 | 1;
    let data = (0..count).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    Bytes::from_vec(data.collect())
}

fn repeated(value: f32, count: usize, dtype: ScaleType) -> Bytes {
    let one = match dtype {
        ScaleType::F16 => half::f16::from_f32(value).to_le_bytes().to_vec(),
        ScaleType::Bf16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
        ScaleType::F32 => value.to_le_bytes().to_vec(),
    };
    Bytes::from_vec(one.repeat(count))
}

fn large(rows: usize, cols: usize, stored: Stored) -> Matrix {
    let groups = rows * cols / GROUP;
    let (data, format) = match stored {
        Stored::Affine(dtype) => (
            bytes(rows * cols / 2),
            Format::Affine {
                bits: 4,
                group: GROUP,
                scales: repeated(0.004, groups, dtype),
                biases: repeated(-0.03, groups, dtype),
                dtype,
            },
        ),
        Stored::Bf16 => (repeated(0.01, rows * cols, ScaleType::Bf16), Format::Bf16),
    };
    Matrix {
        rows,
        cols,
        data,
        format,
    }
}

fn small(rows: usize, cols: usize) -> Matrix {
    Matrix {
        rows,
        cols,
        data: repeated(0.02, rows * cols, ScaleType::F32),
        format: Format::F32,
    }
}

fn merge() -> Merge {
    Merge {
        residual_scale: vec![1.0; HIDDEN],
        residual_bias: vec![0.0; HIDDEN],
        hidden_scale: vec![1.0; HIDDEN],
        hidden_bias: vec![0.0; HIDDEN],
    }
}

fn layer(index: usize, stored: Stored) -> Layer {
    let [q, k] = HEADS.map(|heads| heads * DIM);
    let width = 32;
    Layer {
        input_norm: vec![1.0; HIDDEN],
        attention: Attention {
            q: large(q, HIDDEN, stored),
            k: large(k, HIDDEN, stored),
            v_current: large(k / 2, HIDDEN, stored),
            v_delayed: large(k / 2, HIDDEN, stored),
            o: large(HIDDEN, q, stored),
            conv_depthwise: small(q + k, 2),
            conv_depthwise_bias: vec![0.1; q + k],
            conv_grouped: small(q + k, DIM * 2),
            conv_grouped_bias: vec![0.1; q + k],
            temp: vec![1.0; HEADS[1]],
        },
        after_attention: merge(),
        post_norm: vec![1.0; HIDDEN],
        router: Router {
            down: small(width, HIDDEN),
            down_bias: vec![0.0; width],
            state_scale: (index > 0).then(|| vec![1.0; width]),
            norm: vec![1.0; width],
            fc1: small(width, width),
            fc1_bias: vec![0.0; width],
            fc2: small(width, width),
            fc2_bias: vec![0.0; width],
            out: small(EXPERTS + 1, width),
            balancing_biases: (0..=EXPERTS).map(|e| e as f32 * -0.01).collect(),
        },
        experts: (0..EXPERTS)
            .map(|_| Expert {
                gate: large(HIDDEN, HIDDEN, stored),
                up: large(HIDDEN, HIDDEN, stored),
                down: large(HIDDEN, HIDDEN, stored),
            })
            .collect(),
        after_experts: merge(),
    }
}

/// A model whose experts and embedding are megabytes, its activations kilobytes.
fn synthetic(stored: Stored) -> Bundle {
    let mut bundle = golden("BF16");
    bundle.model = Family::Zaya(Box::new(Tensors {
        config: Config {
            hidden: HIDDEN,
            layers: 2,
            query_heads: HEADS[0],
            kv_heads: HEADS[1],
            head_dim: DIM,
            conv_kernels: [2, 2],
            experts: EXPERTS,
            expert_width: HIDDEN,
            router_width: 32,
            vocab: VOCAB,
            norm_eps: 1e-5,
            rope_theta: 5e6,
            rotary_dims: DIM / 2,
            clamp_temp: false,
        },
        embed: large(VOCAB, HIDDEN, stored),
        input_scale: vec![1.0; HIDDEN],
        input_bias: vec![0.0; HIDDEN],
        final_norm: vec![1.0; HIDDEN],
        layers: (0..2).map(|index| layer(index, stored)).collect(),
    }));
    bundle
}

/// Scales of a stack that were left in halves would be cast to 2 MiB at every
/// product, those of the head to 256 KiB, and bf16 weights to 4 MiB or more.
#[test]
fn a_step_casts_and_copies_no_weight() {
    let _alone = alone();
    for stored in [
        Stored::Affine(ScaleType::F16),
        Stored::Affine(ScaleType::Bf16),
        Stored::Bf16,
    ] {
        let engine = engine(&synthetic(stored), 64);
        let mut cache = engine.new_cache();
        prefill(&*engine, &mut cache, 8);
        decode(&*engine, &mut cache, 4, 0.0);
        // A device that lags behind holds more at a time; a cast is in every step.
        let mut least = usize::MAX;
        for _ in 0..8 {
            // Until the step that was started ahead is done.
            std::thread::sleep(Duration::from_millis(40));
            reset_peak_memory().unwrap();
            let before = active_memory().unwrap();
            decode(&*engine, &mut cache, 1, 0.0);
            least = least.min(peak_memory().unwrap().saturating_sub(before));
        }
        println!("{stored:?}: a step takes {least} bytes");
        assert!(least < 400 << 10, "{stored:?}: {least} bytes");
    }
}

/// Bytes of keys and values that room is made for, 256 positions at a time.
fn kv_step(engine: &dyn Engine) -> usize {
    // JANGTQ_K: 2 heads of 16, in halves.
    engine.info().layers * 2 * 2 * 16 * 2 * 256
}

#[test]
fn a_long_generation_keeps_only_its_keys_and_values() {
    let _alone = alone();
    let engine = engine(&golden("JANGTQ_K"), 64);
    let empty = active_memory().unwrap();
    let mut cache = engine.new_cache();
    prefill(&*engine, &mut cache, 64);
    decode(&*engine, &mut cache, 100, 0.8);
    let early = active_memory().unwrap();
    decode(&*engine, &mut cache, 500, 0.8);
    let late = active_memory().unwrap();
    println!("empty {empty}, after 100 steps {early}, after 600 {late}");
    assert!(late <= early + 2 * kv_step(&*engine) + (64 << 10));
    drop(cache);
    let after = active_memory().unwrap();
    println!("and without the sequence {after}");
    assert!(after <= empty + (64 << 10), "{after} {empty}");
}

/// The state of a position is a few kilobytes; the chunk that it was computed
/// in is many times that.
#[test]
fn marks_and_snapshots_keep_no_chunks() {
    let _alone = alone();
    let engine = engine(&golden("JANGTQ_K"), 256);
    let mut cache = engine.new_cache();
    prefill(&*engine, &mut cache, 256);
    decode(&*engine, &mut cache, 2, 0.8);
    let before = active_memory().unwrap();
    let mut snapshots = Vec::new();
    for _ in 0..6 {
        prefill(&*engine, &mut cache, 250);
        cache.mark();
        snapshots.push(cache.fork());
    }
    decode(&*engine, &mut cache, 2, 0.8);
    let after = active_memory().unwrap();
    // Forks hold keys and values of their own length.
    let kv: usize = [2, 3, 4, 5, 6, 7, 7].iter().sum::<usize>() * kv_step(&*engine);
    // Two arrays to a layer; MLX lets either share up to 16 KiB more than it needs.
    let states = 6 * engine.info().layers * (40 << 10);
    println!("before {before}, after {after}: allowed {}", kv + states);
    assert!(after - before <= kv + states);
}
