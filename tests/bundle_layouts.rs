//! Every layout and number format that bundles come in, opened from tiny
//! bundles, and what is derived from their configuration.

mod bundle_support;

use bundle_support::{Build, EXPERTS, HIDDEN, LAYERS, Tensor, VOCAB, WIDTH, refusal};
use cairn::bundle::zaya::{Layout, Tensors};
use cairn::bundle::{Bundle, Family, TemplateSource, ThinkingSupport};
use cairn::quant::{Format, Matrix};
use safetensors::Dtype;
use serde_json::{Value, json};

fn open(build: &Build) -> Bundle {
    build.open().unwrap_or_else(|e| panic!("{e}"))
}

fn tensors(bundle: &Bundle) -> &Tensors {
    let Family::Zaya(tensors) = &bundle.model;
    tensors
}

fn bits(build: &Build) -> Value {
    serde_json::to_value(open(build).report().bits).unwrap()
}

fn matrices(t: &Tensors) -> Vec<&Matrix> {
    let mut all = vec![&t.embed];
    for l in &t.layers {
        let (a, r) = (&l.attention, &l.router);
        all.extend([&a.q, &a.k, &a.v_current, &a.v_delayed, &a.o]);
        all.extend([
            &a.conv_depthwise,
            &a.conv_grouped,
            &r.down,
            &r.fc1,
            &r.fc2,
            &r.out,
        ]);
        for e in &l.experts {
            all.extend([&e.gate, &e.up, &e.down]);
        }
    }
    all
}

#[test]
fn both_layouts_give_the_same_model() {
    let (alternating, fused) = (open(&Build::alternating()), open(&Build::fused()));
    assert_eq!(alternating.layout, Layout::Alternating);
    assert_eq!(fused.layout, Layout::Fused);
    let (a, b) = (tensors(&alternating), tensors(&fused));
    assert_eq!(a.config, b.config);
    let (ma, mb) = (matrices(a), matrices(b));
    assert_eq!(ma.len(), mb.len());
    for (x, y) in ma.iter().zip(&mb) {
        assert_eq!((x.rows, x.cols), (y.rows, y.cols));
        assert_eq!(&x.data[..], &y.data[..]);
    }
    // Matrices print without their data, vectors in full.
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    assert_eq!(alternating.warnings, Vec::<String>::new());
    assert_eq!(fused.warnings, Vec::<String>::new());
}

#[test]
fn geometry_comes_from_shapes() {
    let bundle = open(&Build::alternating());
    let c = &tensors(&bundle).config;
    assert_eq!((c.hidden, c.layers, c.vocab), (HIDDEN, LAYERS, VOCAB));
    assert_eq!((c.query_heads, c.kv_heads, c.head_dim), (4, 2, 8));
    assert_eq!(
        (c.experts, c.expert_width, c.router_width),
        (EXPERTS, WIDTH, 8)
    );
    assert_eq!((c.conv_kernels, c.rotary_dims), ([2, 2], 4));
    assert_eq!((c.rope_theta, c.norm_eps, c.clamp_temp), (5e6, 1e-5, false));
}

#[test]
fn parts_are_where_the_original_layout_has_them() {
    let build = Build::alternating();
    let bundle = open(&build);
    let t = tensors(&bundle);
    let fc1 = &build.tensors["model.layers.3.zaya_block.experts.local_experts.2.linear_fc1.weight"];
    let (gate, up) = fc1.data.split_at(fc1.data.len() / 2);
    assert_eq!(&t.layers[1].experts[2].gate.data[..], gate);
    assert_eq!(&t.layers[1].experts[2].up.data[..], up);
    let vector = |name: &str| -> Vec<f32> {
        build.tensors[name]
            .data
            .chunks(2)
            .map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect()
    };
    let l = &t.layers;
    assert_eq!(
        t.input_bias,
        vector("model.layers.0.res_scale.hidden_states_bias")
    );
    assert_eq!(
        l[0].after_attention.residual_scale,
        vector("model.layers.1.res_scale.residual_scale")
    );
    assert_eq!(
        l[0].after_experts.residual_bias,
        vector("model.layers.2.res_scale.residual_bias")
    );
    assert_eq!(
        l[1].after_attention.hidden_bias,
        vector("model.layers.3.res_scale.hidden_states_bias")
    );
    assert_eq!(
        l[1].after_experts.hidden_scale,
        vector("model.res_scale.hidden_states_scale")
    );
    assert_eq!(l[1].input_norm, vector("model.layers.2.input_norm.weight"));
    assert_eq!(l[1].post_norm, vector("model.layers.3.input_norm.weight"));
    assert!(l[0].router.state_scale.is_none() && l[1].router.state_scale.is_some());
}

#[test]
fn bits_come_from_the_tensors() {
    let of = |attention, gate, up, down| json!({"attention": attention, "embedding": 8, "router": 16, "conv": 16, "gate": gate, "up": up, "down": down});
    for b in [1, 2, 3, 4, 8] {
        assert_eq!(bits(&Build::jangtq([b; 3])), of(8, b, b, b));
    }
    assert_eq!(bits(&Build::jangtq([2, 2, 4])), of(8, 2, 2, 4));
    assert_eq!(bits(&Build::affine()), of(4, 4, 4, 4));
    assert_eq!(bits(&Build::mxfp4()), of(8, 4, 4, 4));
    // What the configuration says about bits does not count.
    let mut lying = Build::jangtq([2, 2, 4]);
    lying.config["mxtq_bits"] = json!(8);
    lying.jang()["profile"] = json!("JANGTQ4");
    assert_eq!(bits(&lying), of(8, 2, 2, 4));
}

#[test]
fn every_matrix_passes_its_own_validation() {
    let kinds = [
        Build::alternating(),
        Build::fused(),
        Build::jangtq([2, 2, 4]),
        Build::jangtq([3; 3]),
        Build::affine(),
        Build::mxfp4(),
    ];
    for build in kinds {
        let bundle = open(&build);
        for matrix in matrices(tensors(&bundle)) {
            matrix.validate().unwrap();
        }
    }
}

#[test]
fn experts_are_slices_of_the_stack() {
    let build = Build::jangtq([2, 2, 4]);
    let bundle = open(&build);
    let expert = &tensors(&bundle).layers[1].experts[1];
    let base = "model.layers.3.zaya_block.experts.switch_mlp.down_proj";
    let third = |name: &str| {
        let data = &build.tensors[&format!("{base}{name}")].data;
        data[data.len() / 3..2 * data.len() / 3].to_vec()
    };
    assert_eq!(expert.down.data.to_vec(), third(".tq_packed"));
    let Format::Mxtq {
        bits,
        norms,
        tables,
    } = &expert.down.format
    else {
        panic!("not MXTQ")
    };
    assert_eq!((*bits, norms.to_vec()), (4, third(".tq_norms")));
    assert_eq!((tables.signs.len(), tables.codebook.len()), (WIDTH, 16));
    // All experts, and the mapping, share one owner: nothing was copied.
    let other = &tensors(&bundle).layers[0].experts[0].gate.data;
    assert!(std::sync::Arc::ptr_eq(
        expert.down.data.owner().0,
        other.owner().0
    ));
}

#[test]
fn other_float_types_are_read() {
    for dtype in [Dtype::F16, Dtype::F32] {
        let mut build = Build::fused();
        for (name, tensor) in &mut build.tensors {
            *tensor = Tensor::float(dtype, name, &tensor.shape);
        }
        open(&build);
    }
}

#[test]
fn names_of_re_exports_are_known() {
    let mut build = Build::alternating();
    let old = std::mem::take(&mut build.tensors);
    build.tensors = old
        .into_iter()
        .map(|(name, t)| {
            let name = name
                .replace(".self_attn.qkv.", ".self_attn.cca.")
                .replace(".zaya_block.router.", ".moe.router.")
                .replace(".zaya_block.experts.", ".moe.experts.");
            (name, t)
        })
        .collect();
    let (renamed, usual) = (open(&build), open(&Build::alternating()));
    assert_eq!(
        format!("{:?}", tensors(&renamed)),
        format!("{:?}", tensors(&usual))
    );
    let mut early = Build::fused();
    for l in 0..LAYERS {
        let name = format!("model.layers.{l}.mlp.gate.router_mlp.norm.weight");
        let tensor = early.tensors.remove(&name).unwrap();
        early
            .tensors
            .insert(name.replace(".norm.", ".rmsnorm_eda."), tensor);
    }
    open(&early);
}

#[test]
fn shards_open_with_and_without_an_index() {
    let mut build = Build::jangtq([2, 2, 4]);
    build.shards = 3;
    let files = build.write();
    let whole = format!("{:?}", tensors(&open(&Build::jangtq([2, 2, 4]))));
    assert_eq!(format!("{:?}", tensors(&open(&build))), whole);
    let no_index: Vec<_> = files
        .iter()
        .filter(|(n, _)| !n.ends_with("index.json"))
        .cloned()
        .collect();
    let bundle = Bundle::from_memory("tiny", no_index.clone()).unwrap();
    assert_eq!(format!("{:?}", tensors(&bundle)), whole);
    let incomplete = no_index
        .into_iter()
        .filter(|(n, _)| !n.contains("00002-of"))
        .collect();
    assert_eq!(
        refusal(Bundle::from_memory("tiny", incomplete)),
        "model-00001-of-00003.safetensors: is one of 3 shards, of which 2 are here; download the missing shards"
    );
}

#[test]
fn a_folder_and_embedded_bytes_give_the_same_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let files = Build::jangtq([2, 2, 4]).write();
    for (name, content) in &files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let folder = Bundle::open(dir.path()).unwrap();
    let files: Vec<(&str, &'static [u8])> = files
        .iter()
        .map(|(name, content)| (name.as_str(), &*content.clone().leak()))
        .collect();
    let embedded = Bundle::embedded("demo (embedded)", &files).unwrap();
    assert_eq!(embedded.name, "demo (embedded)");
    assert_eq!(
        folder.name,
        dir.path().file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(folder.fingerprint, embedded.fingerprint);
    assert_eq!(
        format!("{:?}", tensors(&folder)),
        format!("{:?}", tensors(&embedded))
    );
}

#[test]
fn the_fingerprint_tells_bundles_apart() {
    let base = open(&Build::jangtq([2, 2, 4])).fingerprint;
    assert_eq!(base, open(&Build::jangtq([2, 2, 4])).fingerprint);
    assert_eq!(base.len(), 32);
    let mut weights = Build::jangtq([2, 2, 4]);
    weights
        .tensor("model.layers.3.zaya_block.experts.switch_mlp.down_proj.tq_packed")
        .data[5] ^= 1;
    let mut config = Build::jangtq([2, 2, 4]);
    config.config["rope_theta"] = json!(1e6);
    let mut tokenizer = Build::jangtq([2, 2, 4]);
    tokenizer.tokenizer["model"]["merges"]
        .as_array_mut()
        .unwrap()
        .pop();
    for other in [weights, config, tokenizer] {
        assert_ne!(base, open(&other).fingerprint);
    }
}

#[test]
fn a_matching_sidecar_is_accepted() {
    let build = Build::jangtq([2, 2, 4]).with_sidecar(&[(HIDDEN, 2), (WIDTH, 4)]);
    assert_eq!(open(&build).warnings, Vec::<String>::new());
    // The converter writes a wrong width for 3 bits: it is no one's width.
    open(&Build::jangtq([3; 3]).with_sidecar(&[(70, 3)]));
}

#[test]
fn stop_ids_are_a_union() {
    // 5 by config.json and as <|im_end|>, 1 by generation_config.json.
    let mut build = Build::alternating();
    assert_eq!(open(&build).stop_ids, [1, 5]);
    build.config["eos_token_id"] = json!([7, 5, 4_000_000_000u64, "x"]);
    build.files.insert(
        "generation_config.json".into(),
        br#"{"eos_token_id": 1}"#.to_vec(),
    );
    assert_eq!(open(&build).stop_ids, [1, 5, 7]);
    build.files.remove("generation_config.json");
    build.config["eos_token_id"] = Value::Null;
    assert_eq!(open(&build).stop_ids, [5]);
}

#[test]
fn thinking_depends_on_markers_template_and_bits() {
    assert_eq!(
        open(&Build::jangtq([2, 2, 4])).thinking,
        ThinkingSupport::Default
    );
    assert_eq!(
        open(&Build::jangtq([2; 3])).thinking,
        ThinkingSupport::Optional
    );
    let mut plain = Build::jangtq([2, 2, 4]);
    plain
        .files
        .insert("chat_template.jinja".into(), b"{{ messages }}".to_vec());
    assert_eq!(open(&plain).thinking, ThinkingSupport::None);
}

#[test]
fn missing_markers_are_warnings() {
    let mut build = Build::alternating();
    let text = build.tokenizer.to_string();
    let text = text
        .replace("<think>", "<x1>")
        .replace("<zyphra_tool_call>", "<x2>")
        .replace("<|im_start|>", "<x3>");
    build.tokenizer = serde_json::from_str(&text).unwrap();
    let bundle = open(&build);
    assert!(!bundle.tools);
    assert_eq!(bundle.thinking, ThinkingSupport::None);
    assert_eq!(
        bundle.warnings,
        [
            "tokenizer.json lacks the tool markers: no tools",
            "tokenizer.json or the template lacks the think markers: no thinking",
            "tokenizer.json lacks the turn markers: the model can't hold a conversation",
        ]
    );
}

#[test]
fn templates_have_an_order() {
    let mut build = Build::alternating();
    build.files.insert(
        "chat_template.json".into(),
        br#"{"chat_template": "json <think>"}"#.to_vec(),
    );
    let list = json!({"chat_template": [{"name": "tool_use", "template": "other"}, {"name": "default", "template": "config <think>"}]});
    build.files.insert(
        "tokenizer_config.json".into(),
        list.to_string().into_bytes(),
    );
    let found = |build: &Build| {
        let bundle = open(build);
        (bundle.template.unwrap_or_default(), bundle.template_source)
    };
    assert_eq!(
        found(&build),
        ("{{ messages }}<think>".into(), Some(TemplateSource::Jinja))
    );
    build.files.remove("chat_template.jinja");
    assert_eq!(
        found(&build),
        ("json <think>".into(), Some(TemplateSource::Json))
    );
    build.files.remove("chat_template.json");
    assert_eq!(
        found(&build),
        (
            "config <think>".into(),
            Some(TemplateSource::TokenizerConfig)
        )
    );
    build.files.insert(
        "tokenizer_config.json".into(),
        br#"{"chat_template": "plain <think>"}"#.to_vec(),
    );
    assert_eq!(
        found(&build),
        (
            "plain <think>".into(),
            Some(TemplateSource::TokenizerConfig)
        )
    );
    build.files.remove("tokenizer_config.json");
    assert_eq!(found(&build), (String::new(), None));
    let bundle = open(&build);
    assert_eq!(bundle.thinking, ThinkingSupport::Default);
    assert_eq!(
        bundle.warnings,
        ["there is no chat template: a built-in one is used"]
    );
}

#[test]
fn a_persona_caps_the_context() {
    let mut build = Build::jangtq([2, 2, 4]);
    assert_eq!((open(&build).context, open(&build).persona), (512, None));
    build.jang()["cairn"] = json!({
        "notice": "a small demo", "system_prompt": "You help.", "tools": ["list_dir"],
        "context": 300, "max_tokens": 64,
    });
    let bundle = open(&build);
    assert_eq!(bundle.context, 300);
    let persona = bundle.persona.unwrap();
    assert_eq!(
        (persona.tools, persona.max_tokens),
        (vec!["list_dir".to_owned()], 64)
    );
}

#[test]
fn odd_but_usable_is_a_warning() {
    let mut build = Build::alternating();
    build.config["head_dim"] = json!(16);
    build.config["ffn_hidden_size"] = json!(7);
    build
        .tensors
        .insert("model.extra".into(), Tensor::float(Dtype::F16, "x", &[2]));
    build.tensors.insert(
        "lm_head.weight".into(),
        Tensor::float(Dtype::F16, "x", &[VOCAB, HIDDEN]),
    );
    let biases = Tensor::of(
        Dtype::BF16,
        &[EXPERTS + 1],
        [0.0, 0.0, 0.0, -0.5].into_iter(),
    );
    build.tensors.insert(
        "model.layers.1.zaya_block.router.balancing_biases".into(),
        biases,
    );
    let bundle = open(&build);
    assert_eq!(
        bundle.warnings,
        [
            "config.json: head_dim = 16, but the tensors have 8, which counts",
            "config.json: ffn_hidden_size = 7, but the experts are 32 wide, which counts",
            "tensor model.extra is unknown and ignored",
            "the skip route is reachable in 1 of 2 layers",
        ]
    );
    assert!(bundle.report().skip_reachable);
    assert_eq!(bundle.report().verdict, "usable, with warnings");
}

#[test]
fn counts_per_layer_are_not_compared() {
    let mut build = Build::alternating();
    build.config["cca_num_q_heads"] = json!([4, 0, 4, 0]);
    build.config["ffn_hidden_size"] = json!([0, 64, 0, 64]);
    assert_eq!(open(&build).warnings, Vec::<String>::new());
}

#[test]
fn the_model_type_may_be_missing() {
    let mut build = Build::fused();
    build.config.as_object_mut().unwrap().remove("model_type");
    open(&build);
}

#[test]
fn the_report_keeps_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tiny");
    std::fs::create_dir(&folder).unwrap();
    for (name, content) in Build::jangtq([2, 2, 4]).write() {
        std::fs::write(folder.join(name), content).unwrap();
    }
    use cairn::cli::inspect::{Format, run};
    let report: Value = serde_json::from_str(&run(Some(&folder), Format::Json).unwrap()).unwrap();
    let fingerprint = report["fingerprint"].clone();
    let bytes = std::fs::metadata(folder.join("model.safetensors"))
        .unwrap()
        .len();
    assert_eq!(
        report,
        json!({
            "name": "tiny", "family": "zaya", "layout": "alternating", "format": "mxtq",
            "layers": 2, "experts": 3,
            "parameters": {"total": 58_068, "active": 33_492},
            "bits": {"attention": 8, "embedding": 8, "router": 16, "conv": 16, "gate": 2, "up": 2, "down": 4},
            "bytes": bytes, "context": 512,
            "template": {"source": "chat_template.jinja", "thinking": true},
            "capabilities": {"tools": true, "thinking": "default"},
            "skip_reachable": false, "fingerprint": fingerprint, "warnings": [], "verdict": "usable",
        })
    );
    let text = run(Some(&folder), Format::Text).unwrap();
    assert!(text.contains(
        "bits         attention 8, embedding 8, router 16, conv 16, gate 2, up 2, down 4 (mxtq)\n"
    ));
    assert!(text.ends_with("verdict      usable\n"));
}

#[test]
fn parameters_are_those_of_the_checkpoint() {
    let build = Build::alternating();
    let stored: usize = build.tensors.values().map(|t| t.data.len() / 2).sum();
    let p = open(&build).report().parameters;
    assert_eq!(p.total, stored as u64);
    let idle = LAYERS * (EXPERTS - 1) * 3 * WIDTH * HIDDEN;
    assert_eq!(p.active, (stored - idle) as u64);
}

/// Bundles made by the reference converters, sidecars included.
#[test]
fn bundles_of_the_reference_converters_open() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zaya");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let bundle = Bundle::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for matrix in matrices(tensors(&bundle)) {
            matrix.validate().unwrap();
        }
        let bits = bundle.report().bits;
        seen.push(format!(
            "{}: {} {}/{}/{}",
            bundle.name,
            bundle.report().format,
            bits.gate,
            bits.up,
            bits.down
        ));
    }
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "BF16: bf16 16/16/16",
            "JANGTQ2: mxtq 2/2/2",
            "JANGTQ3: mxtq 3/3/3",
            "JANGTQ4: mxtq 4/4/4",
            "JANGTQ_K-96: mxtq 2/2/4",
            "JANGTQ_K: mxtq 2/2/4",
            "MXFP4: affine 4/4/4",
            "transformers: bf16 16/16/16",
        ]
    );
}
