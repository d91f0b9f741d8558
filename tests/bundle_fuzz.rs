//! Ten thousand damaged bundles: each is opened or refused with one line, never
//! a panic, never a hang, and never with much more memory than the files have.
//! Alone in this binary, because it counts every allocation of the process.

mod bundle_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bundle_support::Build;
use cairn::backend::SampleSpec;
use cairn::backend::cpu::CpuOptions;
use cairn::bundle::{Bundle, Family};
use cairn::model::{BackendKind, LoadOptions, StepRow, load};
use serde_json::{Value, json};

/// The system's allocator, counting the bytes in use and their peak.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    let used = USED.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(used, Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged; counting has no
// influence on what is returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Counted as if both existed for a moment.
        grown(size);
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many cases, and the first one's seed: `CAIRN_FUZZ=100000,7` runs others.
fn cases() -> (u64, u64) {
    let given = std::env::var("CAIRN_FUZZ").unwrap_or_default();
    let mut numbers = given.split(',').map_while(|n| n.trim().parse().ok());
    (
        numbers.next().unwrap_or(10_000),
        numbers.next().unwrap_or(0),
    )
}

/// splitmix64: the same damage on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

type Files = Vec<(String, Vec<u8>)>;

/// One test at a time: they share the counters.
static COUNTERS: Mutex<()> = Mutex::new(());

/// Opens `files` and checks what that took. `case` says which they are.
fn open(files: Files, case: &str) -> Result<Bundle, String> {
    let size: usize = files.iter().map(|(_, content)| content.len()).sum();
    let before = USED.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = Instant::now();
    let result = Bundle::from_memory("damaged", files);
    if let Ok(bundle) = &result {
        exercise(bundle);
    }
    let result = result.map_err(|e| e.to_string());
    if let Err(line) = &result {
        assert!(line.chars().all(|c| !c.is_control()), "{case}: {line}");
        assert!(line.len() < 4000, "{case}: {line}");
    }
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    let limit = 16 * size + (16 << 20);
    assert!(peak <= limit, "{case}: {peak} bytes, {limit} allowed");
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(10), "{case}: {elapsed:?}");
    result
}

#[test]
fn damaged_bundles_are_opened_or_refused() {
    let _alone = COUNTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sharded = Build::jangtq([2, 2, 4]).with_sidecar(&[(64, 2), (32, 4)]);
    sharded.shards = 2;
    let bases: Vec<Files> = [
        Build::alternating(),
        Build::fused(),
        Build::jangtq([2, 2, 4]).with_sidecar(&[(64, 2), (32, 4)]),
        Build::affine(),
        Build::mxfp4(),
        sharded,
    ]
    .iter()
    .map(Build::write)
    .collect();
    let (mut opened, mut refused) = (0u64, 0u64);
    let (count, seed) = cases();
    for case in 0..count {
        let mut random = Random(seed << 40 | case);
        let mut files = bases[random.below(bases.len())].clone();
        let mut log = Vec::new();
        for _ in 0..1 + random.below(3) {
            log.push(damage(&mut files, &mut random));
        }
        match open(files, &format!("case {case}, {log:?}")) {
            Ok(_) => opened += 1,
            Err(_) => refused += 1,
        }
    }
    // Both ends are reached, or the damage is not what it should be.
    assert!(opened > count / 20, "only {opened} opened");
    assert!(refused > count / 2, "only {refused} refused");
}

/// Text of which every byte or two become a value.
#[test]
fn dense_files_do_not_unfold() {
    let _alone = COUNTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut build = Build::jangtq([2, 2, 4]);
    build.shards = 2;
    let files = build.write();
    let many =
        |n: usize, item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(",");
    let zeros = "0,".repeat(1_500_000) + "0";
    let tokenizer = |vocab: &str, merges: &str, more: &str| {
        format!(r#"{{"model":{{"type":"BPE","vocab":{{{vocab}}},"merges":[{merges}]}}{more}}}"#)
    };
    let letter = |i: usize| char::from_u32(0x4e00 + (i % 20_000) as u32).unwrap_or('x');
    let token = |i: usize| format!(r#""{}{}":{i}"#, letter(i), letter(i / 20_000));
    let added = |i: usize| format!(r#"{{"id":{i},"content":"{}"}}"#, letter(i));
    let header = |i: usize| format!(r#""{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    let mut shard = many(60_000, &header);
    shard = format!("{{{shard}}}");
    let shard = [&(shard.len() as u64).to_le_bytes(), shard.as_bytes()].concat();
    let one = r#""a":0"#;
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("config.json", format!(r#"{{"model_type":"zaya","x":[{zeros}]}}"#).into()),
        ("jang_config.json", format!("[{zeros}]").into()),
        ("generation_config.json", format!(r#"{{"eos_token_id":[{zeros}]}}"#).into()),
        ("chat_template.jinja", "{".repeat(4 << 20).into()),
        (
            "model.safetensors.index.json",
            format!(r#"{{"weight_map":{{{}}}}}"#, many(200_000, &|i| format!(r#""{i:x}":"a""#))).into(),
        ),
        ("model-00001-of-00002.safetensors", shard),
        ("tokenizer.json", tokenizer(&many(200_000, &token), "", "").into()),
        ("tokenizer.json", tokenizer(one, &many(300_000, &|_| r#""a a""#.into()), "").into()),
        ("tokenizer.json", tokenizer(one, &many(300_000, &|_| r#"["a","a"]"#.into()), "").into()),
        (
            "tokenizer.json",
            tokenizer(&many(20_000, &token), "", &format!(r#","added_tokens":[{}]"#, many(20_000, &added))).into(),
        ),
        ("tokenizer.json", tokenizer(one, "", &format!(r#","normalizer":[{zeros}]"#)).into()),
        (
            "tokenizer.json",
            tokenizer(one, "", r#","pre_tokenizer":{"type":"Split","pattern":{"Regex":"((a{999}){999}){999}"},"behavior":"Isolated","invert":false}"#).into(),
        ),
    ];
    let pattern = |regex: &str| {
        let split = json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
        (
            "tokenizer.json",
            tokenizer(one, "", &format!(r#","pre_tokenizer":{split}"#)).into_bytes(),
        )
    };
    cases.extend([
        pattern(&r"\p{L}".repeat(250)),
        pattern(&r"\w\W\b.".repeat(60)),
        pattern(&"(?i:k)".repeat(8000)),
        pattern(&"[a-zα-ω]".repeat(200)),
        pattern(r"\p{L}{1,250}"),
    ]);
    let plain = json!({"type": "Split", "pattern": {"String": "k".repeat(25_000)}, "behavior": "Isolated", "invert": false});
    let several = |n: usize, part: &Value| {
        let parts = vec![part.clone(); n];
        let sequence = json!({"type": "Sequence", "pretokenizers": parts});
        (
            "tokenizer.json",
            tokenizer(one, "", &format!(r#","pre_tokenizer":{sequence}"#)).into_bytes(),
        )
    };
    cases.extend([several(1, &plain), several(4, &plain)]);
    for (i, (name, content)) in cases.into_iter().enumerate() {
        let mut files = files.clone();
        files.retain(|(n, _)| n != name);
        files.push((name.to_owned(), content));
        // Whether it opens is not the question.
        let _ = open(files, &format!("dense {i}, {name}"));
    }
}

/// Uses what was opened: nothing in it may lead out of bounds.
fn exercise(bundle: &Bundle) {
    let Family::Zaya(tensors) = &bundle.model;
    for layer in &tensors.layers {
        layer.attention.q.validate().unwrap();
        for expert in &layer.experts {
            for matrix in [&expert.gate, &expert.up, &expert.down] {
                matrix.validate().unwrap();
            }
        }
    }
    assert!(bundle.report().parameters.total > 0);
    run(bundle);
    let t = &bundle.tokenizer;
    for id in t.encode("ab cd é <think>\n<|im_end|>") {
        assert!(t.token_bytes(id).is_some());
    }
    for control in t.control_tokens() {
        assert_eq!(t.id_of(&control.text), Some(control.id));
    }
}

/// Computes with what was opened: sizes that opening let pass must fit together.
fn run(bundle: &Bundle) {
    let options = LoadOptions {
        backend: BackendKind::Cpu,
        cpu: CpuOptions {
            threads: 1,
            ..CpuOptions::default()
        },
        chunk: Some(2),
        ..LoadOptions::default()
    };
    let engine = load(bundle, &options).unwrap();
    let last = engine.info().vocab as u32 - 1;
    let mut cache = engine.new_cache();
    let logits = engine.logits(&mut cache, &[0, last, last / 2]).unwrap();
    assert_eq!(logits.len(), 3 * engine.info().vocab);
    engine.truncate(&mut cache, 1).unwrap();
    let row = StepRow {
        cache: &mut cache,
        token: last,
        spec: SampleSpec {
            temperature: 1.0,
            ..SampleSpec::default()
        },
    };
    engine.step(&mut [row]).unwrap();
}

/// Damages one file; says how.
fn damage(files: &mut Files, random: &mut Random) -> String {
    let at = random.below(files.len());
    let weights: Vec<usize> = (0..files.len())
        .filter(|i| files[*i].0.ends_with(".safetensors"))
        .collect();
    match random.below(12) {
        10 if !weights.is_empty() => {
            let (name, content) = &mut files[weights[random.below(weights.len())]];
            let what = reshape(content, random).unwrap_or_default();
            format!("{name}: {what}")
        }
        11 => set_known_key(files, random),
        0 => {
            let (name, content) = &mut files[at];
            content.truncate(random.below(content.len() + 1));
            format!("{name} cut to {}", content.len())
        }
        1 => {
            let (name, content) = &mut files[at];
            for _ in 0..1 + random.below(8) {
                let i = random.below(content.len());
                if let Some(byte) = content.get_mut(i) {
                    *byte = random.next() as u8;
                }
            }
            format!("bytes of {name}")
        }
        2 => {
            let (name, _) = files.remove(at);
            format!("no {name}")
        }
        3 => {
            // Text put in: nesting, repetition, binary.
            let (name, content) = &mut files[at];
            let text = match random.below(4) {
                0 => "[".repeat(1 + random.below(20_000)),
                1 => "0,".repeat(1 + random.below(50_000)),
                2 => "\"a\":{\"b\":[1e999,".repeat(1 + random.below(3_000)),
                _ => "\u{0}\u{ffff}\\u0000".repeat(1 + random.below(100)),
            };
            let i = random.below(content.len() + 1);
            content.splice(i..i, text.into_bytes());
            format!("text into {name}")
        }
        4 if !weights.is_empty() => {
            let (name, content) = &mut files[weights[random.below(weights.len())]];
            let length = match random.below(5) {
                0 => random.next(),
                1 => u64::MAX - random.below(16) as u64,
                2 => 0,
                3 => content.len() as u64,
                _ => random.below(2 * content.len() + 1) as u64,
            };
            if let Some(field) = content.get_mut(..8) {
                field.copy_from_slice(&length.to_le_bytes());
            }
            format!("header of {name} claims {length}")
        }
        5 | 6 if !weights.is_empty() => {
            let (name, content) = &mut files[weights[random.below(weights.len())]];
            let what = damage_header(content, random).unwrap_or_default();
            format!("header of {name}: {what}")
        }
        _ => {
            let json: Vec<usize> = (0..files.len())
                .filter(|i| files[*i].0.ends_with(".json"))
                .collect();
            if json.is_empty() {
                return "nothing".into();
            }
            let (name, content) = &mut files[json[random.below(json.len())]];
            let Ok(mut value) = serde_json::from_slice::<Value>(content) else {
                return format!("nothing, {name} is broken");
            };
            let what = damage_value(&mut value, random);
            *content = value.to_string().into_bytes();
            format!("{name}: {what}")
        }
    }
}

/// Says of one tensor's bytes that they are of another type or shape: the file
/// stays well-formed, and only the tensor is wrong.
fn reshape(content: &mut Vec<u8>, random: &mut Random) -> Option<String> {
    rewrite_header(content, |header| {
        let map = header.as_object_mut()?;
        let at = random.below(map.len());
        let (name, tensor) = map.iter_mut().nth(at)?;
        let offset = |i: usize| tensor["data_offsets"][i].as_u64();
        let bytes = (offset(1)?.checked_sub(offset(0)?))? as usize;
        let types = [
            ("U8", 1),
            ("I8", 1),
            ("F16", 2),
            ("BF16", 2),
            ("F32", 4),
            ("U32", 4),
            ("F64", 8),
        ];
        let (dtype, width) = types[random.below(types.len())];
        let n = bytes / width;
        // Any factorisation, of any rank from 1 to 4.
        let mut shape = vec![n];
        for _ in 0..random.below(4) {
            let last = shape.pop()?;
            let divisors: Vec<usize> = (1..=last.min(256)).filter(|d| last % d == 0).collect();
            let d = *divisors.get(random.below(divisors.len()))?;
            shape.extend([d, last / d]);
        }
        let what = format!("{name} as {dtype} {shape:?}");
        tensor["dtype"] = json!(dtype);
        tensor["shape"] = json!(shape);
        Some(what)
    })
}

/// Gives a key that matters a value that it should not have.
fn set_known_key(files: &mut Files, random: &mut Random) -> String {
    let keys = [
        ("jang_config.json", "mxtq_seed"),
        ("jang_config.json", "cairn"),
        ("jang_config.json", "quantization"),
        ("jang_config.json", "weight_format"),
        ("config.json", "num_hidden_layers"),
        ("config.json", "partial_rotary_factor"),
        ("config.json", "rope_theta"),
        ("config.json", "rope_parameters"),
        ("config.json", "norm_epsilon"),
        ("config.json", "clamp_temp"),
        ("config.json", "max_position_embeddings"),
        ("config.json", "eos_token_id"),
        ("config.json", "quantization"),
        ("tokenizer.json", "added_tokens"),
        ("tokenizer.json", "pre_tokenizer"),
        ("tokenizer.json", "normalizer"),
    ];
    let (name, key) = keys[random.below(keys.len())];
    let value = match random.below(6) {
        0 if key == "cairn" => json!({
            "notice": strange(random), "system_prompt": "", "tools": [],
            "context": 1u64 << random.below(64), "max_tokens": u64::MAX,
        }),
        1 => json!(random.next() as f64 / 1e9),
        2 => json!({"hybrid": {"rope_theta": strange(random)}, "bits": strange(random)}),
        3 => json!([{"id": strange(random), "content": strange(random), "special": true}]),
        _ => strange(random),
    };
    if let Some((_, content)) = files.iter_mut().find(|(n, _)| n == name)
        && let Ok(mut object) = serde_json::from_slice::<Value>(content)
        && let Some(map) = object.as_object_mut()
    {
        map.insert(key.to_owned(), value.clone());
        *content = object.to_string().into_bytes();
    }
    let value: String = value.to_string().chars().take(60).collect();
    format!("{name}: {key} = {value}")
}

/// Changes a value of the header.
fn damage_header(content: &mut Vec<u8>, random: &mut Random) -> Option<String> {
    rewrite_header(content, |header| Some(damage_value(header, random)))
}

/// Changes the header and writes it back with the right length.
fn rewrite_header(
    content: &mut Vec<u8>,
    change: impl FnOnce(&mut Value) -> Option<String>,
) -> Option<String> {
    let length = u64::from_le_bytes(*content.first_chunk::<8>()?);
    let end = usize::try_from(length).ok()?.checked_add(8)?;
    let mut value: Value = serde_json::from_slice(content.get(8..end)?).ok()?;
    let what = change(&mut value)?;
    let text = value.to_string().into_bytes();
    let mut new = (text.len() as u64).to_le_bytes().to_vec();
    new.extend(text);
    new.extend_from_slice(&content[end..]);
    *content = new;
    Some(what)
}

/// Replaces, removes or adds something at a random place.
fn damage_value(value: &mut Value, random: &mut Random) -> String {
    let mut path = String::new();
    let mut here = value;
    loop {
        let len = match here {
            Value::Object(map) => map.len(),
            Value::Array(list) => list.len(),
            _ => 0,
        };
        if len == 0 || random.below(4) == 0 {
            break;
        }
        let i = random.below(len);
        here = match here {
            Value::Object(map) => {
                let (key, inner) = map.iter_mut().nth(i).unwrap();
                path = format!("{path}/{key}");
                inner
            }
            Value::Array(list) => {
                path = format!("{path}/{i}");
                &mut list[i]
            }
            _ => unreachable!("only containers have a length"),
        };
    }
    match (random.below(4), &mut *here) {
        (0, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len())).unwrap().clone();
            map.remove(&key);
            format!("{path} without {key}")
        }
        (1, Value::Object(map)) if !map.is_empty() => {
            let from = map.values().nth(random.below(map.len())).unwrap().clone();
            let to = map.keys().nth(random.below(map.len())).unwrap().clone();
            map.insert(format!("{to}x"), from);
            format!("{path} with {to}x")
        }
        (0, Value::Array(list)) if !list.is_empty() => {
            list.remove(random.below(list.len()));
            format!("{path} shorter")
        }
        (1, Value::Array(list)) if !list.is_empty() => {
            let copy = list[random.below(list.len())].clone();
            list.push(copy);
            format!("{path} longer")
        }
        _ => {
            *here = strange(random);
            let text: String = here.to_string().chars().take(40).collect();
            format!("{path} = {text}")
        }
    }
}

fn strange(random: &mut Random) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(1e308),
        5 => json!(u32::MAX),
        6 => json!(i64::MIN),
        7 => json!(random.below(100)),
        8 => json!(1u64 << random.below(64)),
        9 => json!(0.5),
        10 => json!(""),
        11 => json!("x".repeat(random.below(10_000))),
        12 => json!("\u{1b}[31m\u{202e}\n"),
        13 => json!([]),
        14 => json!({}),
        _ => (0..random.below(100)).fold(json!(0), |inner, _| json!([inner])),
    }
}
