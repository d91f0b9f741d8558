//! A tiny ZAYA model whose every value is a function of its tensor's name, so
//! that independent implementations can make the same one. Values are
//! `base + scale * u`, with u in [-1, 1) from splitmix64 of FNV-1a(name) + index.

use crate::bundle::zaya::{Attention, Config, Expert, Layer, Merge, Router, Tensors};
use crate::quant::{Bytes, Format, Matrix};

pub struct Size {
    pub hidden: usize,
    pub layers: usize,
    pub query_heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub conv_kernels: [usize; 2],
    pub experts: usize,
    pub router_width: usize,
    pub expert_width: usize,
    pub vocab: usize,
}

/// The size whose logits two public implementations agreed on.
pub const GOLDEN: Size = Size {
    hidden: 32,
    layers: 3,
    query_heads: 4,
    kv_heads: 2,
    head_dim: 8,
    conv_kernels: [2, 2],
    experts: 3,
    router_width: 8,
    expert_width: 24,
    vocab: 64,
};

pub fn values(name: &str, len: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    let (base, scale) = distribution(name);
    let mut values: Vec<f32> = (0..len as u64)
        .map(|i| {
            let u = (mix(seed.wrapping_add(i)) >> 40) as f64 / (1u64 << 23) as f64 - 1.0;
            (base + scale * u) as f32
        })
        .collect();
    if name.ends_with("balancing_biases") {
        values[len - 1] = 0.2;
    }
    values
}

fn mix(a: u64) -> u64 {
    let mut z = a.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn distribution(name: &str) -> (f64, f64) {
    let is = |part: &str| name.contains(part);
    match () {
        () if is("embed_tokens") => (0.0, 1.0),
        () if is("input_norm") || is("final_norm") || is("rmsnorm_eda") => (1.0, 0.2),
        () if is("res_scale.") && name.ends_with("_scale") => (1.0, 0.2),
        () if is("res_scale.") => (0.0, 0.1),
        () if is("router_states_scale") => (1.0, 0.3),
        () if name.ends_with(".temp") => (1.5, 1.0),
        () if is("balancing_biases") => (0.0, 0.05),
        () if is("router_mlp.0.weight") || is("router_mlp.2.weight") => (0.0, 1.0),
        () if is("router_mlp.4.weight") => (0.0, 2.0),
        () => (0.0, 0.5),
    }
}

fn matrix(rows: usize, cols: usize, values: &[f32]) -> Matrix {
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Matrix {
        rows,
        cols,
        data: Bytes::from_vec(data),
        format: Format::F32,
    }
}

fn named(name: &str, rows: usize, cols: usize) -> Matrix {
    matrix(rows, cols, &values(name, rows * cols))
}

pub fn tensors(size: &Size) -> Tensors {
    let h = size.hidden;
    Tensors {
        config: Config {
            hidden: h,
            layers: size.layers,
            query_heads: size.query_heads,
            kv_heads: size.kv_heads,
            head_dim: size.head_dim,
            conv_kernels: size.conv_kernels,
            experts: size.experts,
            expert_width: size.expert_width,
            router_width: size.router_width,
            vocab: size.vocab,
            norm_eps: 1e-5,
            rope_theta: 5e6,
            rotary_dims: size.head_dim / 2,
            clamp_temp: false,
        },
        embed: named("model.embed_tokens.weight", size.vocab, h),
        input_scale: values("model.layers.0.res_scale.hidden_states_scale", h),
        input_bias: values("model.layers.0.res_scale.hidden_states_bias", h),
        final_norm: values("model.final_norm.weight", h),
        layers: (0..size.layers).map(|l| layer(size, l)).collect(),
    }
}

fn layer(size: &Size, l: usize) -> Layer {
    let h = size.hidden;
    let attention = format!("model.layers.{}", 2 * l);
    let moe = format!("model.layers.{}", 2 * l + 1);
    let end = if l + 1 == size.layers {
        "model".to_owned()
    } else {
        format!("model.layers.{}", 2 * l + 2)
    };
    Layer {
        input_norm: values(&format!("{attention}.input_norm.weight"), h),
        attention: attention_of(size, &format!("{attention}.self_attn")),
        after_attention: merge(&moe, h),
        post_norm: values(&format!("{moe}.input_norm.weight"), h),
        router: router(size, &format!("{moe}.zaya_block.router"), l),
        experts: (0..size.experts)
            .map(|e| expert(size, &format!("{moe}.zaya_block.experts.local_experts.{e}")))
            .collect(),
        after_experts: merge(&end, h),
    }
}

fn merge(prefix: &str, h: usize) -> Merge {
    let of = |part: &str| values(&format!("{prefix}.res_scale.{part}"), h);
    Merge {
        residual_scale: of("residual_scale"),
        residual_bias: of("residual_bias"),
        hidden_scale: of("hidden_states_scale"),
        hidden_bias: of("hidden_states_bias"),
    }
}

fn attention_of(size: &Size, p: &str) -> Attention {
    let (h, d) = (size.hidden, size.head_dim);
    let (q, k) = (size.query_heads * d, size.kv_heads * d);
    let [k0, k1] = size.conv_kernels;
    Attention {
        q: named(&format!("{p}.qkv.linear_q.weight"), q, h),
        k: named(&format!("{p}.qkv.linear_k.weight"), k, h),
        v_current: named(&format!("{p}.qkv.val_proj1.weight"), k / 2, h),
        v_delayed: named(&format!("{p}.qkv.val_proj2.weight"), k / 2, h),
        o: named(&format!("{p}.o_proj.weight"), h, q),
        conv_depthwise: named(&format!("{p}.qkv.conv_qk.0.weight"), q + k, k0),
        conv_depthwise_bias: values(&format!("{p}.qkv.conv_qk.0.bias"), q + k),
        conv_grouped: named(&format!("{p}.qkv.conv_qk.1.weight"), q + k, d * k1),
        conv_grouped_bias: values(&format!("{p}.qkv.conv_qk.1.bias"), q + k),
        temp: values(&format!("{p}.qkv.temp"), size.kv_heads),
    }
}

fn router(size: &Size, p: &str, l: usize) -> Router {
    let (h, r) = (size.hidden, size.router_width);
    Router {
        down: named(&format!("{p}.down_proj.weight"), r, h),
        down_bias: values(&format!("{p}.down_proj.bias"), r),
        state_scale: (l > 0).then(|| values(&format!("{p}.router_states_scale"), r)),
        norm: values(&format!("{p}.rmsnorm_eda.weight"), r),
        fc1: named(&format!("{p}.router_mlp.0.weight"), r, r),
        fc1_bias: values(&format!("{p}.router_mlp.0.bias"), r),
        fc2: named(&format!("{p}.router_mlp.2.weight"), r, r),
        fc2_bias: values(&format!("{p}.router_mlp.2.bias"), r),
        out: named(&format!("{p}.router_mlp.4.weight"), size.experts + 1, r),
        balancing_biases: values(&format!("{p}.balancing_biases"), size.experts + 1),
    }
}

fn expert(size: &Size, p: &str) -> Expert {
    let (h, i) = (size.hidden, size.expert_width);
    let fused = values(&format!("{p}.linear_fc1.weight"), 2 * i * h);
    Expert {
        gate: matrix(i, h, &fused[..i * h]),
        up: matrix(i, h, &fused[i * h..]),
        down: named(&format!("{p}.linear_fc2.weight"), h, i),
    }
}
