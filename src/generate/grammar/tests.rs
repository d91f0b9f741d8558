//! Calls drawn at random from what the masks allow: worse than any model.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::backend::uniform;
use crate::bundle::Bundle;
use crate::chat::{ChatEvent, MarkerIds, Parser, ParserOptions, ToolCall, ToolSpec};

fn demo() -> Bundle {
    Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")).unwrap()
}

fn spec(name: &str, required: &[&str], properties: Value) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: json!({"type": "object", "required": required, "properties": properties}),
    }
}

/// Every type that a schema may name, and names that begin alike.
fn specs() -> Vec<ToolSpec> {
    vec![
        spec("list", &[], json!({})),
        spec(
            "list_all",
            &["path", "pat"],
            json!({"path": {"type": "string"}, "pat": {"type": "string"}, "n": {"type": "integer"}}),
        ),
        spec(
            "tune",
            &["level", "on"],
            json!({
                "level": {"type": "number"}, "on": {"type": "boolean"},
                "mode": {"type": "string", "enum": ["fast", "fast and loose", "slow"]},
                "limit": {"type": ["integer", "null"]},
                "other": {}, "either": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
            }),
        ),
        spec(
            "send",
            &["where", "parts"],
            json!({
                "parts": {"type": "array", "items": {"type": "string"}},
                "where": {"type": "object", "required": ["host", "port"], "properties": {
                    "host": {"type": "string"}, "port": {"type": "integer"},
                    "tags": {"type": "array", "items": {"enum": ["a", "b"]}}}},
                "any": {"type": "object"}, "things": {"type": "array"},
            }),
        ),
    ]
}

fn grammar(bundle: &Bundle, specs: &[ToolSpec], value_tokens: usize) -> Arc<Grammar> {
    Grammar::with_value_tokens(&bundle.tokenizer, specs, &bundle.stop_ids, value_tokens)
        .unwrap()
        .unwrap()
}

/// Whether `value` fits what of JSON schemas these tests use.
fn fits(value: &Value, schema: &Value) -> bool {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return choices.contains(value);
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        return any.iter().any(|one| fits(value, one));
    }
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.as_array().is_some_and(|items| {
            let schema = schema.get("items");
            schema.is_none_or(|schema| items.iter().all(|item| fits(item, schema)))
        }),
        "object" => value
            .as_object()
            .is_some_and(|object| complete(object, schema)),
        other => panic!("{other}"),
    };
    match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// Whether an object has what is required, and nothing that is not declared.
fn complete(object: &Map<String, Value>, schema: &Value) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required = required.filter_map(Value::as_str);
    let Some(properties) = schema["properties"].as_object() else {
        return true;
    };
    required.all(|name| object.contains_key(name))
        && object.iter().all(|(name, value)| {
            properties
                .get(name)
                .is_some_and(|schema| fits(value, schema))
        })
}

/// What the parser makes of the ids of one answer.
fn parsed(bundle: &Bundle, specs: &[ToolSpec], ids: &[u32]) -> Vec<ChatEvent> {
    let mut parser = Parser::new(ParserOptions {
        tools: specs.to_vec(),
        markers: MarkerIds::of(&bundle.tokenizer),
        ..ParserOptions::default()
    });
    let mut text = crate::generate::Utf8Stream::default();
    let mut events = Vec::new();
    for &id in ids {
        let bytes = bundle.tokenizer.token_bytes(id).unwrap();
        events.extend(parser.push(Some(id), &text.push(bytes)));
    }
    events.extend(parser.finish());
    events
}

fn the_call(bundle: &Bundle, specs: &[ToolSpec], ids: &[u32]) -> ToolCall {
    let events = parsed(bundle, specs, ids);
    match &events[..] {
        [ChatEvent::ToolCall(call)] => {
            let spec = specs.iter().find(|spec| spec.name == call.name).unwrap();
            assert!(complete(&call.arguments, &spec.parameters), "{call:?}");
            call.clone()
        }
        other => panic!("{other:?} of {:?}", spelled(bundle, ids)),
    }
}

fn spelled(bundle: &Bundle, ids: &[u32]) -> String {
    let bytes = ids
        .iter()
        .flat_map(|&id| bundle.tokenizer.token_bytes(id).unwrap());
    String::from_utf8_lossy(&bytes.copied().collect::<Vec<u8>>()).into_owned()
}

/// One call of at most `tokens` ids, drawn from the masks; tags are likelier than
/// their share of the vocabulary. `None` if it did not end.
fn draw(bundle: &Bundle, grammar: &Arc<Grammar>, seed: u64, tokens: usize) -> Option<Vec<u32>> {
    let mut constraint = Constraint::new(Arc::clone(grammar), &[]);
    let mut ids = vec![grammar.open];
    constraint.push(grammar.open);
    let tags = [
        "<",
        "/",
        "<parameter=",
        "</parameter>",
        "parameter",
        "\n",
        "\"",
        "VALUE",
        ">",
    ];
    let tags: Vec<u32> = tags
        .iter()
        .filter_map(|tag| bundle.tokenizer.id_of(tag))
        .collect();
    let mut step = 0;
    let mut number = |most: usize| {
        step += 1;
        (uniform(seed, step) * most as f64) as usize
    };
    while ids.len() <= tokens {
        let id = match constraint.next(tokens + 1 - ids.len()) {
            Next::Free => panic!("free within a call: {:?}", spelled(bundle, &ids)),
            Next::Forced(id) => id,
            Next::OneOf(mask) => {
                let allowed = |id: &&u32| mask.allows(**id);
                let likely: Vec<u32> = tags.iter().filter(allowed).copied().collect();
                let vocabulary = 0..bundle.tokenizer.vocab_size() as u32;
                let all: Vec<u32> = match number(4) == 0 && !likely.is_empty() {
                    true => likely,
                    false => vocabulary.filter(|&id| mask.allows(id)).collect(),
                };
                assert!(!all.is_empty(), "no way on: {:?}", spelled(bundle, &ids));
                all[number(all.len())]
            }
        };
        ids.push(id);
        constraint.push(id);
        if id == grammar.close {
            assert!(constraint.call.is_none());
            return Some(ids);
        }
    }
    None
}

#[test]
fn whatever_is_drawn_is_a_call_that_fits() {
    let bundle = demo();
    let specs = specs();
    let grammar = grammar(&bundle, &specs, 12);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let ids = draw(&bundle, &grammar, seed, 1000).expect("values are bounded");
        let call = the_call(&bundle, &specs, &ids);
        seen.insert(call.name.clone());
        seen.extend(call.arguments.into_iter().map(|(name, _)| name));
    }
    let all = specs.iter().flat_map(|spec| {
        let properties = spec.parameters["properties"].as_object().unwrap();
        properties.keys().chain([&spec.name])
    });
    for name in all {
        assert!(seen.contains(name), "{name} was never drawn");
    }
}

#[test]
fn calls_are_closed_before_the_tokens_run_out() {
    let bundle = demo();
    let specs = specs();
    let grammar = grammar(&bundle, &specs, 4096);
    let compiled = grammar.compiled().unwrap();
    let least = grammar
        .way(compiled, &crate::chat::Place::default())
        .unwrap()
        .len();
    for tokens in (least..least + 12).chain([60, 80, 110, 150, 250, 400]) {
        for seed in 0..25 {
            let seed = seed + 1000 * tokens as u64;
            let Some(ids) = draw(&bundle, &grammar, seed, tokens) else {
                panic!("{tokens} tokens are enough");
            };
            the_call(&bundle, &specs, &ids);
        }
    }
    // Too few for any call: what is sampled still fits, and does not end.
    assert!(draw(&bundle, &grammar, 1, least - 1).is_none());
}

#[test]
fn kept_masks_are_those_that_would_be_computed() {
    let bundle = demo();
    let specs = specs();
    let (used, fresh) = (grammar(&bundle, &specs, 64), grammar(&bundle, &specs, 64));
    let mut kept = 0;
    for seed in 0..60 {
        let ids = draw(&bundle, &used, seed, 400).unwrap();
        let mut constraint = Constraint::new(Arc::clone(&fresh), &[]);
        for id in ids {
            constraint.push(id);
            let Some(call) = &constraint.call else { break };
            let Some(plain) = call.place.plain(&fresh.form) else {
                continue;
            };
            let compiled = used.compiled().unwrap();
            let Some(mask) = compiled.masks.lock().unwrap().get(&plain).cloned() else {
                continue;
            };
            kept += 1;
            // Nothing is kept in this one.
            fresh.compiled().unwrap().masks.lock().unwrap().clear();
            match constraint.next(100_000) {
                Next::OneOf(own) => assert!(own == mask, "{plain:?}"),
                Next::Forced(_) => {}
                Next::Free => panic!("free"),
            }
        }
    }
    assert!(kept > 500, "{kept}");
}

#[test]
fn what_templates_write_is_allowed_token_by_token() {
    let bundle = demo();
    let specs = specs();
    let grammar = grammar(&bundle, &specs, 4096);
    for body in [
        "\n<function=list>\n</function>\n",
        "\n<function=list_all>\n<parameter=pat>\n\n</parameter>\n<parameter=path>\nsrc/a b.rs\n\
         </parameter>\n</function>\n",
        "\n<function=list_all>\n<parameter=path>\n  if a < b {\n\n    </div>\n}\n\n</parameter>\n\
         <parameter=pat>\nnaïve 日本 \"x\"\n</parameter>\n</function>\n",
        "\n<function=tune>\n<parameter=level>\n-0.5\n</parameter>\n<parameter=on>\nfalse\n\
         </parameter>\n<parameter=mode>\nfast and loose\n</parameter>\n<parameter=limit>\nnull\n\
         </parameter>\n</function>\n",
        "\n<function=send>\n<parameter=parts>\n[\"commit\", \"-m\", \"a \\\"b\\\" <i>\"]\n\
         </parameter>\n<parameter=where>\n{\"host\": \"h\", \"port\": 80, \"tags\": [\"a\",\"b\"]}\n\
         </parameter>\n</function>\n",
    ] {
        let mut constraint = Constraint::new(Arc::clone(&grammar), &[grammar.open]);
        let mut ids = bundle.tokenizer.encode(body);
        ids.push(grammar.close);
        for &id in &ids {
            match constraint.next(10_000) {
                Next::OneOf(mask) => {
                    let token = bundle.tokenizer.token_bytes(id).unwrap();
                    let token = String::from_utf8_lossy(token);
                    assert!(mask.allows(id), "{token:?} in {body}");
                }
                other => panic!("{other:?}"),
            }
            constraint.push(id);
        }
        ids.insert(0, grammar.open);
        the_call(&bundle, &specs, &ids);
    }
}

#[test]
fn nothing_is_computed_outside_of_calls() {
    let bundle = demo();
    let specs = specs();
    let grammar = grammar(&bundle, &specs, 64);
    let text = "let me see <function=list>\n</function> and <zyphra_tool_cal";
    let spelled = bundle.tokenizer.encode(text);
    let mut constraint = Constraint::new(Arc::clone(&grammar), &spelled);
    for &id in &spelled {
        constraint.push(id);
        assert!(matches!(constraint.next(100), Next::Free));
    }
    assert_eq!(constraint.computed, 0);
    assert!(grammar.compiled.get().is_none(), "no call, no trie");
    constraint.push(grammar.open);
    assert!(matches!(constraint.next(1000), Next::OneOf(_)));
    assert_eq!(constraint.computed, 1);
}

/// A log may hold anything.
#[test]
fn a_call_that_fits_no_grammar_is_left_alone() {
    let bundle = demo();
    let grammar = grammar(&bundle, &specs(), 64);
    let mut constraint = Constraint::new(Arc::clone(&grammar), &[]);
    let ids = bundle.tokenizer.encode("\n<function=nothing>\n");
    for id in [grammar.open].into_iter().chain(ids) {
        constraint.push(id);
    }
    assert!(matches!(constraint.next(100), Next::Free));
    constraint.push(grammar.close);
    constraint.push(grammar.open);
    assert!(matches!(constraint.next(1000), Next::OneOf(_)));
}
