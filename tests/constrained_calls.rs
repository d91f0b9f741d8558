//! Calls sampled at temperature 1.5, by the model that comes along and by random
//! weights: every one parses and fits what the tool takes.

mod bundle_support;

use std::path::Path;
use std::sync::Arc;

use bundle_support::{Build, HIDDEN, Tensor};
use cairn::backend::cpu::{CpuOptions, HeadMode};
use cairn::bundle::Bundle;
use cairn::chat::{
    ChatEvent, GenerationPrompt, MarkerIds, Message, Parser, ParserOptions, RenderOptions,
    Renderer, Role, Start, Thinking, ToolCall, ToolSpec,
};
use cairn::generate::{
    Cancel, Event, FinishReason, Generator, Grammar, Request, Sampling, ThinkingKeys, Token,
};
use cairn::model::{BackendKind, LoadOptions, load};
use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};

const CALLS: u64 = 1000;
const VALUE_TOKENS: usize = 64;
/// More than a call of bounded values can take.
const MAX_TOKENS: usize = 1500;

/// What the built-in tools take, and what no built-in tool does.
fn specs() -> Vec<ToolSpec> {
    let spec = |name: &str, required: &[&str], properties: Value| ToolSpec {
        name: name.into(),
        description: "Do it.".into(),
        parameters: json!({"type": "object", "required": required, "properties": properties}),
    };
    let text = json!({"type": "string"});
    vec![
        spec("list_dir", &["path"], json!({"path": text})),
        spec(
            "read_file",
            &["path"],
            json!({"path": text, "start": {"type": "integer"}, "end": {"type": "integer"}}),
        ),
        spec(
            "edit_file",
            &["path", "old", "new"],
            json!({"path": text, "old": text, "new": text}),
        ),
        spec(
            "run_command",
            &["command"],
            json!({"command": text, "background": {"type": "boolean"}}),
        ),
        spec(
            "git",
            &["args"],
            json!({"args": {"type": "array", "items": {"type": "string"}}}),
        ),
        spec(
            "tune",
            &["level", "mode"],
            json!({
                "level": {"type": "number"},
                "mode": {"type": "string", "enum": ["fast", "slow"]},
                "where": {"type": "object", "required": ["line"], "properties": {
                    "line": {"type": "integer"}, "file": {"type": "string"}}},
            }),
        ),
        spec("stop", &[], json!({})),
    ]
}

/// What is wrong with the arguments of a call, if anything is: said by nothing
/// that the grammar is made from.
fn wrong(call: &ToolCall, specs: &[ToolSpec]) -> Option<String> {
    let Some(spec) = specs.iter().find(|spec| spec.name == call.name) else {
        return Some(format!("no tool {}", call.name));
    };
    misfit(&Value::Object(call.arguments.clone()), &spec.parameters)
}

fn misfit(value: &Value, schema: &Value) -> Option<String> {
    let fits = match schema["type"].as_str().expect("a type") {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => match value.as_array() {
            Some(items) => return items.iter().find_map(|item| misfit(item, &schema["items"])),
            None => false,
        },
        "object" => match value.as_object() {
            Some(object) => return misfits(object, schema),
            None => false,
        },
        other => panic!("{other}"),
    };
    let named = schema.get("enum").and_then(Value::as_array);
    let fits = fits && named.is_none_or(|all| all.contains(value));
    (!fits).then(|| format!("{value} is not {schema}"))
}

fn misfits(object: &Map<String, Value>, schema: &Value) -> Option<String> {
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required = required.filter_map(Value::as_str);
    if let Some(name) = required.find(|name| !object.contains_key(*name)) {
        return Some(format!("{name} is missing"));
    }
    object
        .iter()
        .find_map(|(name, value)| match schema["properties"].get(name) {
            Some(schema) => misfit(value, schema),
            None => Some(format!("{name} is unknown")),
        })
}

struct Model {
    bundle: Bundle,
    generator: Generator,
    specs: Vec<ToolSpec>,
    grammar: Arc<Grammar>,
}

impl Model {
    fn new(bundle: Bundle, threads: usize, head: HeadMode) -> Self {
        let options = LoadOptions {
            backend: BackendKind::Cpu,
            cpu: CpuOptions {
                threads,
                head,
                ..CpuOptions::default()
            },
            ..LoadOptions::default()
        };
        let engine = load(&bundle, &options).unwrap();
        let specs = specs();
        let grammar =
            Grammar::with_value_tokens(&bundle.tokenizer, &specs, &bundle.stop_ids, VALUE_TOKENS);
        Self {
            generator: Generator::start(engine, Arc::clone(&bundle.tokenizer)).unwrap(),
            grammar: grammar
                .unwrap()
                .expect("the bundle's tokens open and close calls"),
            specs,
            bundle,
        }
    }

    fn call_id(&self) -> u32 {
        self.bundle.tokenizer.id_of("<zyphra_tool_call>").unwrap()
    }

    /// Runs from a prompt that has just opened a call, until the call is closed.
    fn sample(&self, prompt: &[u32], seed: u64, constraint: Option<Arc<Grammar>>) -> Vec<Token> {
        let mut prompt = prompt.to_vec();
        prompt.push(self.call_id());
        let close = self.bundle.tokenizer.id_of("</zyphra_tool_call>").unwrap();
        let request = Request {
            context: prompt.len() + 2 * MAX_TOKENS,
            prompt,
            sampling: Sampling {
                temperature: 1.5,
                seed,
                ..Sampling::GREEDY
            },
            // Nothing is of interest after the call.
            stop_ids: vec![close],
            max_tokens: MAX_TOKENS,
            thinking: None,
            nudges: Vec::new(),
            keys: ThinkingKeys::default(),
            pause: Cancel::default(),
            given: Vec::new(),
            forced: Vec::new(),
            after: Vec::new(),
            boundaries: Vec::new(),
            constraint,
        };
        let mut tokens = Vec::new();
        for event in self.generator.submit(request, Cancel::default()) {
            match event {
                Event::Token(token) => tokens.push(token),
                Event::Finished { reason, .. } => {
                    assert!(
                        matches!(reason, FinishReason::Stop),
                        "{reason:?}, seed {seed}"
                    );
                }
                Event::Failed(why) => panic!("{why}"),
                Event::Notice(_) | Event::Prefill { .. } | Event::Started(_) | Event::Nudged(_) => {
                }
            }
        }
        tokens
    }

    /// The one call that the parser finds, and nothing else.
    fn read(&self, tokens: &[Token]) -> Result<ToolCall, String> {
        let mut parser = Parser::new(ParserOptions {
            tools: self.specs.clone(),
            start: Start::Content,
            markers: MarkerIds::of(&self.bundle.tokenizer),
            ..ParserOptions::default()
        });
        let mut events = parser.push(Some(self.call_id()), "<zyphra_tool_call>");
        for token in tokens {
            events.extend(parser.push(Some(token.id), &token.text));
        }
        let close = "</zyphra_tool_call>";
        events.extend(parser.push(self.bundle.tokenizer.id_of(close), close));
        events.extend(parser.finish());
        match events.as_slice() {
            [ChatEvent::ToolCall(call)] => match wrong(call, &self.specs) {
                Some(why) => Err(why),
                None => Ok(call.clone()),
            },
            other => Err(format!("{other:?}")),
        }
    }

    /// Samples calls; every one has to fit. Returns the tokens of all.
    fn all_fit(&self, prompts: &[Vec<u32>], calls: u64) -> usize {
        let (mut seen, mut tokens) = (std::collections::BTreeSet::new(), 0);
        for seed in 0..calls {
            // One after the other, so that the cache holds its prompt.
            let prompt = &prompts[seed as usize * prompts.len() / calls as usize];
            let sampled = self.sample(prompt, seed, Some(Arc::clone(&self.grammar)));
            match self.read(&sampled) {
                Ok(call) => seen.insert(call.name),
                Err(why) => {
                    let text: String = sampled.iter().map(|token| token.text.as_str()).collect();
                    panic!("seed {seed}: {why} of {text}");
                }
            };
            tokens += sampled.len();
        }
        assert!(seen.len() > 1, "only {seen:?}");
        tokens
    }
}

fn demo() -> Bundle {
    Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")).unwrap()
}

/// Up to where the answer has reasoned.
fn demo_prompt(model: &Model, request: &str) -> Vec<u32> {
    let message = |role, content: &str| Message {
        role,
        content: content.into(),
        reasoning_content: String::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
    };
    let system = { model.bundle.persona.as_ref() }.map_or("", |persona| &persona.system_prompt);
    let messages = [message(Role::System, system), message(Role::User, request)];
    let options = RenderOptions {
        thinking: Thinking::Off,
        generation_prompt: GenerationPrompt::Add,
    };
    let renderer = Renderer::for_bundle(&model.bundle).unwrap();
    let prompt = renderer.render(&messages, &[], options).unwrap();
    prompt.ids(&model.bundle.tokenizer)
}

/// Random weights and a vocabulary of bytes, some words, and the markers.
fn random_weights() -> Bundle {
    let mut build = Build::alternating();
    let mut vocabulary: Vec<String> = byte_alphabet();
    let words = [
        "path",
        "name",
        "the",
        "\u{10a}\u{10a}",
        "</",
        "\u{120}a",
        "para",
        "meter",
        "true",
    ];
    vocabulary.extend(words.map(str::to_owned));
    let tokens = vocabulary.iter().enumerate();
    let tokens: Map<String, Value> = tokens.map(|(id, t)| (t.clone(), json!(id))).collect();
    let markers = [
        "<bos>",
        "<eos>",
        "<|im_start|>",
        "<|im_end|>",
        "<think>",
        "</think>",
        "<zyphra_tool_call>",
        "</zyphra_tool_call>",
    ];
    let added: Vec<Value> = { markers.iter().enumerate() }
        .map(|(at, content)| {
            json!({
                "id": tokens.len() + at, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let size = tokens.len() + markers.len();
    build.tokenizer["model"]["vocab"] = Value::Object(tokens);
    build.tokenizer["model"]["merges"] = json!([]);
    build.tokenizer["added_tokens"] = Value::Array(added);
    build.config["vocab_size"] = json!(size);
    build.config["eos_token_id"] = json!(size - 5);
    build.config["bos_token_id"] = json!(size - 8);
    build.config["max_position_embeddings"] = json!(8192);
    let name = "model.embed_tokens.weight";
    let embedding = Tensor::float(Dtype::BF16, name, &[size, HIDDEN]);
    build.tensors.insert(name.into(), embedding);
    build.open().unwrap()
}

/// How byte-level vocabularies spell the 256 bytes.
fn byte_alphabet() -> Vec<String> {
    let plain = |byte: u32| {
        (33..=126).contains(&byte) || (161..=172).contains(&byte) || (174..=255).contains(&byte)
    };
    let mut next = 256;
    (0..256)
        .map(|byte| {
            let code = match plain(byte) {
                true => byte,
                false => {
                    next += 1;
                    next - 1
                }
            };
            char::from_u32(code).unwrap().to_string()
        })
        .collect()
}

fn calls_of_the_demo_model_fit(calls: u64) {
    let model = Model::new(demo(), 2, HeadMode::Screened);
    let requests = [
        "which files are in src?",
        "read notes.txt",
        "run the tests",
        "replace zero by one in src/lib.rs",
    ];
    let prompts = requests.map(|request| demo_prompt(&model, request));
    model.all_fit(&prompts, calls);
}

#[test]
fn calls_of_the_demo_model_fit_in_short() {
    calls_of_the_demo_model_fit(CALLS / 10);
}

#[test]
#[ignore = "takes minutes; cargo xtask ci --long runs it"]
fn a_thousand_calls_of_the_demo_model_fit() {
    calls_of_the_demo_model_fit(CALLS);
}

#[test]
fn a_thousand_calls_of_random_weights_fit() {
    let model = Model::new(random_weights(), 2, HeadMode::Screened);
    let prompt = model.bundle.tokenizer.encode("<bos>hello");
    let tokens = model.all_fit(&[prompt], CALLS);
    // Nothing ends a value there but chance and the bound.
    assert!(tokens > 50 * CALLS as usize, "{tokens}");
}

#[test]
fn the_same_calls_for_any_threads_and_either_head() {
    let run = |threads, head| {
        let model = Model::new(demo(), threads, head);
        let prompt = demo_prompt(&model, "which files are in src?");
        let calls =
            (0..12).flat_map(|seed| model.sample(&prompt, seed, Some(Arc::clone(&model.grammar))));
        calls
            .map(|token| (token.id, token.forced))
            .collect::<Vec<_>>()
    };
    let first = run(1, HeadMode::Full);
    for (threads, head) in [
        (1, HeadMode::Screened),
        (2, HeadMode::Screened),
        (4, HeadMode::Screened),
    ] {
        assert!(run(threads, head) == first, "{threads} threads");
    }
}

#[test]
fn without_a_grammar_such_calls_do_not_fit() {
    let model = Model::new(demo(), 2, HeadMode::Screened);
    let prompt = demo_prompt(&model, "which files are in src?");
    let mut bad = 0;
    for seed in 0..20 {
        let mut request = Vec::new();
        request.extend_from_slice(&prompt);
        request.push(model.call_id());
        let events = model.generator.submit(
            Request {
                context: 3000,
                prompt: request,
                sampling: Sampling {
                    temperature: 1.5,
                    seed,
                    ..Sampling::GREEDY
                },
                stop_ids: model.bundle.stop_ids.clone(),
                max_tokens: 100,
                thinking: None,
                nudges: Vec::new(),
                keys: ThinkingKeys::default(),
                pause: Cancel::default(),
                given: Vec::new(),
                forced: Vec::new(),
                after: Vec::new(),
                boundaries: Vec::new(),
                constraint: None,
            },
            Cancel::default(),
        );
        let tokens: Vec<Token> = { events.into_iter() }
            .filter_map(|event| match event {
                Event::Token(token) => Some(token),
                _ => None,
            })
            .collect();
        bad += usize::from(model.read(&tokens).is_err());
    }
    assert!(bad > 5, "the grammar would have nothing to do: {bad}");
}
