//! CCA in plain f64: what the kernels must compute. One sequence at a time; the
//! raw frames `[q | k]` of its state and of the call are one list, and
//! everything is a sum over that list.

use super::{Dims, HostArray};

/// Rows of one sequence, and what they leave.
struct Mixed {
    q: Vec<f64>,
    k: Vec<f64>,
    v: Vec<f64>,
    frames: Vec<f64>,
    previous: Vec<f64>,
}

/// Weights and rotations, widened.
struct Weights {
    depthwise: Vec<f64>,
    depthwise_bias: Vec<f64>,
    grouped: Vec<f64>,
    grouped_bias: Vec<f64>,
    temp: Vec<f64>,
    rotary: Vec<f64>,
}

/// `ROWS` sequences of one token each.
pub(super) fn decode(d: &Dims, inputs: &[HostArray]) -> Vec<HostArray> {
    compute(d, inputs, d.get("ROWS"), 1)
}

/// One sequence of `ROWS` tokens.
pub(super) fn prefill(d: &Dims, inputs: &[HostArray]) -> Vec<HostArray> {
    compute(d, inputs, 1, d.get("ROWS"))
}

fn compute(d: &Dims, inputs: &[HostArray], sequences: usize, tokens: usize) -> Vec<HostArray> {
    let all: Vec<Vec<f64>> = inputs.iter().map(HostArray::to_f64).collect();
    let [q, k, v_current, v_delayed, frames, previous, rest @ ..] = &all[..] else {
        panic!("{} inputs are too few", inputs.len());
    };
    let w = Weights {
        depthwise: rest[0].clone(),
        depthwise_bias: rest[1].clone(),
        grouped: rest[2].clone(),
        grouped_bias: rest[3].clone(),
        temp: rest[4].clone(),
        rotary: rest[5].clone(),
    };
    let mut out = Mixed {
        q: vec![],
        k: vec![],
        v: vec![],
        frames: vec![],
        previous: vec![],
    };
    for s in 0..sequences {
        let part = |values: &Vec<f64>| {
            let len = values.len() / sequences;
            values[s * len..(s + 1) * len].to_vec()
        };
        let history = joined(d, &part(frames), &part(q), &part(k));
        let delayed: Vec<f64> = part(previous).into_iter().chain(part(v_delayed)).collect();
        let rotary = part(&w.rotary);
        for t in 0..tokens {
            let (q, k) = token(d, &history, t, &w, &rotary);
            out.q.extend(q);
            out.k.extend(k);
            let half = d.get("HALF");
            out.v.extend(&part(v_current)[t * half..(t + 1) * half]);
            out.v.extend(&delayed[t * half..(t + 1) * half]);
        }
        out.frames.extend(&history[tokens * d.get("CHANNELS")..]);
        out.previous.extend(&delayed[tokens * d.get("HALF")..]);
    }
    let rows = d.get("ROWS");
    let like = |shape: &[usize], values: &[f64]| {
        HostArray::f32(shape, values.iter().map(|&x| x as f32).collect())
    };
    vec![
        like(&[rows, d.get("QUERY_WIDTH")], &out.q),
        like(&[rows, d.get("KEY_WIDTH")], &out.k),
        like(&[rows, d.get("KEY_WIDTH")], &out.v),
        like(&inputs[4].shape, &out.frames),
        like(&inputs[5].shape, &out.previous),
    ]
}

/// The state's frames, then each token's `[q | k]`.
fn joined(d: &Dims, frames: &[f64], q: &[f64], k: &[f64]) -> Vec<f64> {
    let mut all = frames.to_vec();
    for (q, k) in q
        .chunks_exact(d.get("QUERY_WIDTH"))
        .zip(k.chunks_exact(d.get("KEY_WIDTH")))
    {
        all.extend(q);
        all.extend(k);
    }
    all
}

/// All heads of token `t`: queries and keys.
fn token(d: &Dims, history: &[f64], t: usize, w: &Weights, rotary: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let [k0, k1] = [d.get("K0"), d.get("K1")];
    let [dim, channels] = [d.get("DIM"), d.get("CHANNELS")];
    let [query_heads, kv_heads] = [d.get("QUERY_HEADS"), d.get("KV_HEADS")];
    let group = query_heads / kv_heads;
    // Its own frame follows the CONTEXT before it.
    let raw = &history[(t + d.get("CONTEXT")) * channels..][..channels];
    let convolved = |t: usize, c: usize| -> f64 {
        let frames = (0..k0).map(|j| w.depthwise[c * k0 + j] * history[(t + j) * channels + c]);
        w.depthwise_bias[c] + frames.sum::<f64>()
    };
    let taps: Vec<f64> = (0..channels * k1)
        .map(|i| convolved(t + i % k1, i / k1))
        .collect();
    let mixed = |c: usize| -> f64 {
        let row = &w.grouped[c * dim * k1..][..dim * k1];
        let taps = &taps[c / dim * dim * k1..][..dim * k1];
        w.grouped_bias[c] + row.iter().zip(taps).map(|(w, x)| w * x).sum::<f64>()
    };
    let pairs = d.get("PAIRS");
    let rotation = &rotary[t * pairs * 2..][..pairs * 2];
    let key_at = query_heads * dim;
    let mut heads = vec![0.0; channels];
    for head in 0..query_heads + kv_heads {
        let kv = if head < query_heads {
            head / group
        } else {
            head - query_heads
        };
        let unit: Vec<f64> = (0..dim)
            .map(|i| {
                let queries = if head < query_heads {
                    raw[head * dim + i]
                } else {
                    let of_group = (0..group).map(|n| raw[(kv * group + n) * dim + i]);
                    of_group.sum::<f64>() / group as f64
                };
                mixed(head * dim + i) + (queries + raw[key_at + kv * dim + i]) / 2.0
            })
            .collect();
        let length = unit.iter().map(|x| x * x).sum::<f64>().max(1e-12).sqrt();
        let temp = if head < query_heads { 1.0 } else { w.temp[kv] };
        let scale = (dim as f64).sqrt() / length * temp;
        let out = &mut heads[head * dim..(head + 1) * dim];
        for (o, x) in out.iter_mut().zip(&unit) {
            *o = x * scale;
        }
        for i in 0..pairs {
            let (cos, sin) = (rotation[2 * i], rotation[2 * i + 1]);
            let (a, b) = (out[i], out[i + pairs]);
            out[i] = a * cos - b * sin;
            out[i + pairs] = b * cos + a * sin;
        }
    }
    let keys = heads.split_off(key_at);
    (heads, keys)
}
