//! Tiny ZAYA bundles, built in memory: every layout and number format that is
//! accepted, with tensors and JSON open for mutation before they are written.

#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use std::collections::BTreeMap;

use cairn::bundle::{Bundle, Error};
use cairn::quant::MxtqTables;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

pub const HIDDEN: usize = 64;
pub const LAYERS: usize = 2;
pub const EXPERTS: usize = 3;
pub const WIDTH: usize = 32;
pub const ROUTER: usize = 8;
pub const VOCAB: usize = 64;
const Q: usize = 32;
const K: usize = 16;
const HEAD: usize = 8;

#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

impl Tensor {
    pub fn new(dtype: Dtype, shape: &[usize], data: Vec<u8>) -> Self {
        let shape = shape.to_vec();
        Self { dtype, shape, data }
    }

    /// Small numbers that depend on `name` and position.
    pub fn float(dtype: Dtype, name: &str, shape: &[usize]) -> Self {
        let count: usize = shape.iter().product();
        let numbers = (0..count).map(|i| (hash(name, i) % 2001) as f32 / 1000.0 - 1.0);
        Self::of(dtype, shape, numbers)
    }

    pub fn of(dtype: Dtype, shape: &[usize], numbers: impl Iterator<Item = f32>) -> Self {
        let data = numbers
            .flat_map(|v| match dtype {
                Dtype::F32 => v.to_le_bytes().to_vec(),
                Dtype::F16 => half::f16::from_f32(v).to_le_bytes().to_vec(),
                _ => half::bf16::from_f32(v).to_le_bytes().to_vec(),
            })
            .collect();
        Self::new(dtype, shape, data)
    }

    /// Arbitrary codes.
    pub fn codes(dtype: Dtype, name: &str, shape: &[usize]) -> Self {
        let width = if dtype == Dtype::U32 { 4 } else { 1 };
        let count = width * shape.iter().product::<usize>();
        let data = (0..count).map(|i| hash(name, i) as u8).collect();
        Self::new(dtype, shape, data)
    }
}

fn hash(name: &str, i: usize) -> u64 {
    let mut h = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    h = (h ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^ (h >> 31)
}

/// A bundle that has not been written yet.
#[derive(Clone)]
pub struct Build {
    pub tensors: BTreeMap<String, Tensor>,
    pub config: Value,
    pub jang: Option<Value>,
    pub tokenizer: Value,
    /// Other files, by name; they replace what would be written.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Weight files: one `model.safetensors`, or shards with an index.
    pub shards: usize,
}

impl Build {
    /// The original checkpoint: alternating layers, BF16.
    pub fn alternating() -> Self {
        let mut t = BTreeMap::new();
        let mut float = |name: String, shape: &[usize]| {
            let tensor = Tensor::float(Dtype::BF16, &name, shape);
            t.insert(name, tensor);
        };
        let merge = [
            "hidden_states_scale",
            "hidden_states_bias",
            "residual_scale",
            "residual_bias",
        ];
        float("model.embed_tokens.weight".into(), &[VOCAB, HIDDEN]);
        float("model.final_norm.weight".into(), &[HIDDEN]);
        for part in merge {
            float(format!("model.res_scale.{part}"), &[HIDDEN]);
        }
        for i in 0..2 * LAYERS {
            let p = format!("model.layers.{i}");
            float(format!("{p}.input_norm.weight"), &[HIDDEN]);
            for part in &merge[..if i == 0 { 2 } else { 4 }] {
                float(format!("{p}.res_scale.{part}"), &[HIDDEN]);
            }
            if i % 2 == 0 {
                let a = format!("{p}.self_attn");
                float(format!("{a}.qkv.linear_q.weight"), &[Q, HIDDEN]);
                float(format!("{a}.qkv.linear_k.weight"), &[K, HIDDEN]);
                float(format!("{a}.qkv.val_proj1.weight"), &[K / 2, HIDDEN]);
                float(format!("{a}.qkv.val_proj2.weight"), &[K / 2, HIDDEN]);
                float(format!("{a}.qkv.conv_qk.0.weight"), &[Q + K, 1, 2]);
                float(format!("{a}.qkv.conv_qk.0.bias"), &[Q + K]);
                float(format!("{a}.qkv.conv_qk.1.weight"), &[Q + K, HEAD, 2]);
                float(format!("{a}.qkv.conv_qk.1.bias"), &[Q + K]);
                float(format!("{a}.qkv.temp"), &[K / HEAD]);
                float(format!("{a}.o_proj.weight"), &[HIDDEN, Q]);
                continue;
            }
            let r = format!("{p}.zaya_block.router");
            float(format!("{r}.down_proj.weight"), &[ROUTER, HIDDEN]);
            float(format!("{r}.down_proj.bias"), &[ROUTER]);
            if i > 1 {
                float(format!("{r}.router_states_scale"), &[ROUTER]);
            }
            float(format!("{r}.rmsnorm_eda.weight"), &[ROUTER]);
            for n in [0, 2] {
                float(format!("{r}.router_mlp.{n}.weight"), &[ROUTER, ROUTER]);
                float(format!("{r}.router_mlp.{n}.bias"), &[ROUTER]);
            }
            float(format!("{r}.router_mlp.4.weight"), &[EXPERTS + 1, ROUTER]);
            float(format!("{r}.balancing_biases"), &[EXPERTS + 1]);
            for e in 0..EXPERTS {
                let x = format!("{p}.zaya_block.experts.local_experts.{e}");
                float(format!("{x}.linear_fc1.weight"), &[2 * WIDTH, HIDDEN]);
                float(format!("{x}.linear_fc2.weight"), &[HIDDEN, WIDTH]);
            }
        }
        // Skip can't be chosen: one warning less.
        for l in 0..LAYERS {
            let name = format!(
                "model.layers.{}.zaya_block.router.balancing_biases",
                2 * l + 1
            );
            let values = [0.0, 0.1, -0.1, -1.0];
            t.insert(
                name,
                Tensor::of(Dtype::BF16, &[EXPERTS + 1], values.into_iter()),
            );
        }
        Self {
            tensors: t,
            config: json!({
                "architectures": ["ZayaForCausalLM"], "model_type": "zaya",
                "hidden_size": HIDDEN, "num_hidden_layers": 2 * LAYERS, "ffn_hidden_size": 2 * WIDTH,
                "num_attention_heads": 8, "cca_num_q_heads": 4, "num_key_value_heads": 2,
                "num_query_groups": 2, "kv_channels": HEAD, "cca": true, "cca_time0": 2, "cca_time1": 2,
                "clamp_temp": false, "num_experts": EXPERTS, "moe_router_topk": 1,
                "zaya_mlp_expansion": ROUTER, "norm_epsilon": 1e-5, "normalization": "RMSNorm",
                "activation_func": "swiglu", "tie_word_embeddings": true, "vocab_size": VOCAB,
                "max_position_embeddings": 512, "rope_theta": 5_000_000.0, "partial_rotary_factor": 0.5,
                "rope_scaling": false, "bos_token_id": 2, "eos_token_id": 5, "pad_token_id": 0,
            }),
            jang: None,
            tokenizer: tokenizer(),
            files: BTreeMap::from([
                (
                    "generation_config.json".into(),
                    br#"{"eos_token_id": [1]}"#.to_vec(),
                ),
                (
                    "chat_template.jinja".into(),
                    b"{{ messages }}<think>".to_vec(),
                ),
            ]),
            shards: 1,
        }
    }

    /// The layout of transformers: the same numbers under other names.
    pub fn fused() -> Self {
        let mut build = Self::alternating();
        let old = std::mem::take(&mut build.tensors);
        let mut stacks: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, tensor) in old {
            let (new, stacked) = fused_name(&name);
            if !stacked {
                build.tensors.insert(new, tensor);
                continue;
            }
            // Experts come in order: e < 10 sorts by name.
            let stack = stacks.entry(new).or_insert_with(|| {
                let shape = [&[0], &tensor.shape[..]].concat();
                Tensor::new(tensor.dtype, &shape, Vec::new())
            });
            stack.shape[0] += 1;
            stack.data.extend(tensor.data);
        }
        build.tensors.extend(stacks);
        build.config = json!({
            "architectures": ["ZayaForCausalLM"], "model_type": "zaya",
            "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "moe_intermediate_size": WIDTH,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": HEAD,
            "num_experts": EXPERTS, "num_experts_per_tok": 1, "router_hidden_size": ROUTER,
            "rms_norm_eps": 1e-5, "hidden_act": "silu", "vocab_size": VOCAB,
            "max_position_embeddings": 512, "layer_types": ["hybrid", "hybrid"],
            "rope_parameters": {
                "rope_type": "default",
                "hybrid": {"rope_type": "default", "rope_theta": 5_000_000.0, "partial_rotary_factor": 0.5},
                "hybrid_sliding": {"rope_theta": 10000.0},
            },
            "eos_token_id": 5,
        });
        build
    }

    /// A JANGTQ bundle: experts MXTQ with these bits for gate, up and down.
    pub fn jangtq(bits: [u8; 3]) -> Self {
        let mut build = Self::alternating();
        build.quantize(8, |t, name, cols| {
            let bits = bits[["gate", "up", "down"]
                .iter()
                .position(|p| name.ends_with(&format!("{p}_proj")))
                .unwrap()];
            let rows = t.shape[1];
            let words = cols.div_ceil(32 / usize::from(bits));
            vec![
                (
                    ".tq_packed",
                    Tensor::codes(Dtype::U32, name, &[EXPERTS, rows, words]),
                ),
                (
                    ".tq_norms",
                    Tensor::of(
                        Dtype::F16,
                        &[EXPERTS, rows],
                        (0..EXPERTS * rows).map(|i| 0.5 + (i % 7) as f32 / 8.0),
                    ),
                ),
                (".tq_bits", Tensor::new(Dtype::U8, &[1], vec![bits])),
            ]
        });
        build.config["weight_format"] = "mxtq".into();
        build.jang = Some(
            json!({"version": 2, "weight_format": "mxtq", "profile": "JANGTQ", "mxtq_seed": 42}),
        );
        build
    }

    /// The bundle that calls itself MXFP4: affine of 4 bits, embedding of 8.
    pub fn affine() -> Self {
        let mut build = Self::alternating();
        build.quantize(4, |t, name, _| affine(t, name, 4, 32));
        build.jang = Some(
            json!({"version": 2, "profile": "MXFP4", "quantization": {"bits": 4, "embed_bits": 8}}),
        );
        build
    }

    /// Experts in real MX floats.
    pub fn mxfp4() -> Self {
        let mut build = Self::alternating();
        build.quantize(8, |t, name, cols| {
            let rows = t.shape[1];
            let scales = vec![127; EXPERTS * rows * cols / 32];
            vec![
                (
                    ".weight",
                    Tensor::codes(Dtype::U32, name, &[EXPERTS, rows, cols / 8]),
                ),
                (
                    ".scales",
                    Tensor::new(Dtype::U8, &[EXPERTS, rows, cols / 32], scales),
                ),
            ]
        });
        build
    }

    /// Stacks the experts and codes them with `expert`, the embedding with 8
    /// bits, the attention with `attention_bits`; the rest becomes F16.
    fn quantize(
        &mut self,
        attention_bits: usize,
        expert: impl Fn(&Tensor, &str, usize) -> Vec<(&'static str, Tensor)>,
    ) {
        let old = std::mem::take(&mut self.tensors);
        for (name, tensor) in &old {
            let base = name.trim_end_matches(".weight");
            let attention = ["linear_q", "linear_k", "val_proj1", "val_proj2", "o_proj"];
            if base.ends_with("embed_tokens") {
                self.put(base, affine(tensor, base, 8, 32));
            } else if attention.iter().any(|a| base.ends_with(a)) {
                self.put(base, affine(tensor, base, attention_bits, 32));
            } else if !name.contains("local_experts") {
                let numbers = tensor
                    .data
                    .chunks(2)
                    .map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32());
                let f16 = Tensor::of(Dtype::F16, &tensor.shape, numbers);
                self.tensors.insert(name.clone(), f16);
            }
        }
        for l in 0..LAYERS {
            for (part, rows, cols) in [
                ("gate", WIDTH, HIDDEN),
                ("up", WIDTH, HIDDEN),
                ("down", HIDDEN, WIDTH),
            ] {
                let base = format!(
                    "model.layers.{}.zaya_block.experts.switch_mlp.{part}_proj",
                    2 * l + 1
                );
                let shape = Tensor::new(Dtype::BF16, &[EXPERTS, rows, cols], Vec::new());
                self.put(&base, expert(&shape, &base, cols));
            }
        }
    }

    fn put(&mut self, base: &str, parts: Vec<(&'static str, Tensor)>) {
        for (suffix, tensor) in parts {
            self.tensors.insert(format!("{base}{suffix}"), tensor);
        }
    }

    /// Adds a sidecar with the tables of these widths and bits.
    pub fn with_sidecar(mut self, tables: &[(usize, u32)]) -> Self {
        let mut tensors = BTreeMap::new();
        for (n, bits) in tables {
            let t = MxtqTables::new(*n, *bits, 42);
            let f32s = |v: &[f32]| Tensor::of(Dtype::F32, &[v.len()], v.iter().copied());
            tensors.insert(format!("signs.{n}.42"), f32s(&t.signs));
            tensors.insert(format!("codebook.{n}.{bits}"), f32s(&t.codebook));
        }
        self.files
            .insert("jangtq_runtime.safetensors".into(), write(&tensors));
        self
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors
            .get_mut(name)
            .unwrap_or_else(|| panic!("no tensor {name}"))
    }

    pub fn jang(&mut self) -> &mut Value {
        self.jang.get_or_insert_with(|| json!({}))
    }

    /// All files of the bundle.
    pub fn write(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = BTreeMap::new();
        let text = |v: &Value| serde_json::to_vec_pretty(v).unwrap();
        files.insert("config.json".to_owned(), text(&self.config));
        if let Some(jang) = &self.jang {
            files.insert("jang_config.json".to_owned(), text(jang));
        }
        files.insert("tokenizer.json".to_owned(), text(&self.tokenizer));
        if self.shards == 1 {
            files.insert("model.safetensors".to_owned(), write(&self.tensors));
        } else {
            let mut map = BTreeMap::new();
            let mut parts = vec![BTreeMap::new(); self.shards];
            for (i, (name, tensor)) in self.tensors.iter().enumerate() {
                let shard = i * self.shards / self.tensors.len();
                parts[shard].insert(name.clone(), tensor.clone());
                map.insert(name.clone(), self.shard_name(shard));
            }
            for (i, part) in parts.iter().enumerate() {
                files.insert(self.shard_name(i), write(part));
            }
            let index = json!({"metadata": {"format": "jangtq"}, "weight_map": map});
            files.insert("model.safetensors.index.json".to_owned(), text(&index));
        }
        files.extend(self.files.clone());
        files.into_iter().collect()
    }

    pub fn shard_name(&self, i: usize) -> String {
        format!("model-{:05}-of-{:05}.safetensors", i + 1, self.shards)
    }

    pub fn open(&self) -> Result<Bundle, Error> {
        Bundle::from_memory("tiny", self.write())
    }

    /// The line of the refusal.
    pub fn refusal(&self) -> String {
        refusal(self.open())
    }
}

pub fn refusal(result: Result<Bundle, Error>) -> String {
    match result {
        Ok(_) => panic!("the bundle was accepted"),
        Err(e) => e.to_string(),
    }
}

pub fn write(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, t)| {
        (
            name,
            TensorView::new(t.dtype, t.shape.clone(), &t.data).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

fn affine(t: &Tensor, name: &str, bits: usize, group: usize) -> Vec<(&'static str, Tensor)> {
    let (cols, lead) = t.shape.split_last().unwrap();
    let with = |last: usize| [lead, &[last]].concat();
    let scales = with(cols / group);
    vec![
        (
            ".weight",
            Tensor::codes(Dtype::U32, name, &with(cols * bits / 32)),
        ),
        (
            ".scales",
            Tensor::float(Dtype::F16, &format!("{name}.s"), &scales),
        ),
        (
            ".biases",
            Tensor::float(Dtype::F16, &format!("{name}.b"), &scales),
        ),
    ]
}

/// The name in transformers' layout, and whether experts are stacked there.
fn fused_name(name: &str) -> (String, bool) {
    let Some(rest) = name.strip_prefix("model.layers.") else {
        let last = format!("model.layers.{}.post_mlp_residual_scale.", LAYERS - 1);
        let name = name.replace("model.res_scale.", &last);
        return (name.replace("final_norm", "norm"), false);
    };
    let (index, rest) = rest.split_once('.').unwrap();
    let index: usize = index.parse().unwrap();
    if let Some(part) = rest.strip_prefix("res_scale.") {
        let name = match index {
            0 => format!("model.input_{part}"),
            i if i % 2 == 1 => format!(
                "model.layers.{}.post_attention_residual_scale.{part}",
                i / 2
            ),
            i => format!("model.layers.{}.post_mlp_residual_scale.{part}", i / 2 - 1),
        };
        return (name, false);
    }
    let pairs = [
        ("self_attn.qkv.linear_q", "self_attn.qkv_proj.q_proj"),
        ("self_attn.qkv.linear_k", "self_attn.qkv_proj.k_proj"),
        (
            "self_attn.qkv.val_proj1",
            "self_attn.qkv_proj.v_proj_current",
        ),
        (
            "self_attn.qkv.val_proj2",
            "self_attn.qkv_proj.v_proj_delayed",
        ),
        (
            "self_attn.qkv.conv_qk.0",
            "self_attn.qkv_proj.conv_qk_depthwise",
        ),
        (
            "self_attn.qkv.conv_qk.1",
            "self_attn.qkv_proj.conv_qk_grouped",
        ),
        ("self_attn.qkv.temp", "self_attn.qk_norm.temp"),
        ("zaya_block.router.rmsnorm_eda", "mlp.gate.router_mlp.norm"),
        ("zaya_block.router.router_mlp.0", "mlp.gate.router_mlp.fc1"),
        ("zaya_block.router.router_mlp.2", "mlp.gate.router_mlp.fc2"),
        (
            "zaya_block.router.router_mlp.4",
            "mlp.gate.router_mlp.out_proj",
        ),
        ("zaya_block.router.", "mlp.gate."),
    ];
    let layer = format!("model.layers.{}", index / 2);
    if rest == "input_norm.weight" {
        let norm = if index.is_multiple_of(2) {
            "input_layernorm"
        } else {
            "post_attention_layernorm"
        };
        return (format!("{layer}.{norm}.weight"), false);
    }
    if rest.ends_with("linear_fc1.weight") {
        return (format!("{layer}.mlp.experts.gate_up_proj"), true);
    }
    if rest.ends_with("linear_fc2.weight") {
        return (format!("{layer}.mlp.experts.down_proj"), true);
    }
    for (old, new) in pairs {
        if let Some(tail) = rest.strip_prefix(old) {
            return (format!("{layer}.{new}{tail}"), false);
        }
    }
    (format!("{layer}.{rest}"), false)
}

/// A byte-level tokenizer with the chat and tool markers.
pub fn tokenizer() -> Value {
    let markers = [
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<|im_start|>",
        "<|im_end|>",
        "<think>",
        "</think>",
        "<zyphra_tool_call>",
        "</zyphra_tool_call>",
        "<zyphra_tool_response>",
        "</zyphra_tool_response>",
    ];
    let mut vocab = serde_json::Map::new();
    let pieces = [
        "a", "b", "c", "d", "e", "Ġ", "Ċ", "Ã", "©", "ab", "cd", "abcd", "Ġab",
    ];
    for (id, token) in markers.iter().chain(&pieces).enumerate() {
        vocab.insert((*token).to_owned(), id.into());
    }
    let added: Vec<Value> = markers
        .iter()
        .enumerate()
        .map(|(id, content)| json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": id < 6,
        }))
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": [["a", "b"], ["c", "d"], ["ab", "cd"], ["Ġ", "ab"]],
        },
    })
}
