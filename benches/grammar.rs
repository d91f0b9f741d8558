//! What a constrained call costs per token at a vocabulary of 262,272:
//!
//!     cargo bench --bench grammar
//!
//! The vocabulary is made, not a model's: the 256 bytes, runs of spaces and line
//! breaks, and words of two to four syllables with and without a space before
//! them, in the byte-level spelling. Calls are walked by the longest tokens that
//! spell them.

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cairn::backend::own_memory;
use cairn::bundle::Tokenizer;
use cairn::chat::ToolSpec;
use cairn::generate::{Constraint, Grammar, Next};
use serde_json::{Map, Value, json};

const VOCABULARY: usize = 262_272;
const MARKERS: [&str; 4] = [
    "<|im_start|>",
    "<|im_end|>",
    "<zyphra_tool_call>",
    "</zyphra_tool_call>",
];

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), String> {
    let tokenizer = Arc::new(Tokenizer::from_json(&vocabulary())?);
    let (before, start) = (own_memory(), Instant::now());
    let grammar = Grammar::with_value_tokens(&tokenizer, &tools(), &[], 4096)?;
    let grammar = grammar.ok_or("no token opens a call")?;
    println!("grammar: {:.1} ms", milliseconds(start.elapsed()));
    let open = tokenizer.id_of(MARKERS[2]).ok_or("no opener")?;
    let start = Instant::now();
    drop(Constraint::new(Arc::clone(&grammar), &[open]));
    let memory = before.zip(own_memory());
    println!(
        "trie of {} tokens: {:.0} ms, {} MB",
        tokenizer.vocab_size(),
        milliseconds(start.elapsed()),
        memory.map_or(0, |(before, after)| after.saturating_sub(before) >> 20)
    );
    let mut times = Vec::new();
    for _ in 0..3 {
        for call in calls() {
            walk(&call, &tokenizer, &grammar, open, &mut times)?;
        }
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "mask per token, {} tokens: median {:.3} ms, p90 {:.3}, p99 {:.3}, max {:.3}",
        times.len(),
        milliseconds(at(0.5)),
        milliseconds(at(0.9)),
        milliseconds(at(0.99)),
        milliseconds(at(1.0))
    );
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// Everything that a token of the call costs: its mask, and taking note of it.
fn walk(
    call: &str,
    tokenizer: &Tokenizer,
    grammar: &Arc<Grammar>,
    open: u32,
    times: &mut Vec<Duration>,
) -> Result<(), String> {
    let mut constraint = Constraint::new(Arc::clone(grammar), &[open]);
    let mut rest = call;
    while !rest.is_empty() {
        let start = Instant::now();
        let next = constraint.next(100_000);
        let mut time = start.elapsed();
        let ends = (1..=rest.len().min(24)).rev();
        let token =
            ends.filter_map(|end| tokenizer.id_of(&spelling(rest.get(..end)?)).zip(Some(end)));
        let (id, end) = token
            .into_iter()
            .next()
            .ok_or("a call that no tokens spell")?;
        match next {
            Next::OneOf(mask) if mask.allows(id) => {}
            _ => return Err(format!("not allowed: {rest}")),
        }
        let start = Instant::now();
        constraint.push(id);
        time += start.elapsed();
        times.push(time);
        rest = &rest[end..];
    }
    Ok(())
}

fn tools() -> Vec<ToolSpec> {
    let text = json!({"type": "string"});
    let spec = |name: &str, required: &[&str], properties: Value| ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: json!({"required": required, "properties": properties}),
    };
    vec![
        spec(
            "read_file",
            &["path"],
            json!({"path": text, "start": {"type": "integer"}}),
        ),
        spec(
            "write_file",
            &["path", "content"],
            json!({"path": text, "content": text}),
        ),
        spec("run_command", &["command"], json!({"command": text})),
        spec(
            "git",
            &["args"],
            json!({"args": {"type": "array", "items": text}}),
        ),
    ]
}

fn calls() -> [String; 4] {
    let code = include_str!("../src/generate/loops.rs");
    [
        "\n<function=read_file>\n<parameter=path>\nsrc/generate/loops.rs\n</parameter>\n\
         <parameter=start>\n120\n</parameter>\n</function>\n"
            .into(),
        "\n<function=run_command>\n<parameter=command>\ncargo test --lib 2>&1 | grep -v \"ok$\"\n\
         </parameter>\n</function>\n"
            .into(),
        "\n<function=git>\n<parameter=args>\n[\"commit\", \"-m\", \"Say what is measured\"]\n\
         </parameter>\n</function>\n"
            .into(),
        format!(
            "\n<function=write_file>\n<parameter=path>\nloops.rs\n</parameter>\n\
             <parameter=content>\n{code}\n</parameter>\n</function>\n"
        ),
    ]
}

/// How byte-level vocabularies spell a text.
fn spelling(text: &str) -> String {
    text.bytes().map(letter).collect()
}

fn letter(byte: u8) -> char {
    let plain = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let before = (0..byte).filter(|&b| !plain(b)).count() as u32;
    match plain(byte) {
        true => char::from(byte),
        false => char::from_u32(256 + before).unwrap_or(' '),
    }
}

fn vocabulary() -> Vec<u8> {
    let mut seen = HashSet::new();
    let mut tokens: Vec<String> = Vec::new();
    let mut add = |token: String| {
        let new = tokens.len() < VOCABULARY - MARKERS.len() && seen.insert(token.clone());
        if new {
            tokens.push(token);
        }
    };
    (0..=u8::MAX).for_each(|byte| add(letter(byte).to_string()));
    for n in 2..32 {
        add(spelling(&" ".repeat(n)));
        add(spelling(&"\n".repeat(n)));
    }
    for word in [
        "</",
        "parameter",
        "function",
        "path",
        "content",
        ">\n",
        "\", \"",
        "::",
        "()",
        "//",
    ] {
        add(spelling(word));
    }
    for word in include_str!("../src/generate/loops.rs").split_whitespace() {
        add(spelling(word));
        add(spelling(&format!(" {word}")));
    }
    let syllables: Vec<String> = { "bcdfghjklmnprstvwz".chars() }
        .flat_map(|c| "aeiou".chars().map(move |v| format!("{c}{v}")))
        .collect();
    let n = syllables.len();
    'all: for number in 0.. {
        let parts = [number % n, number / n % n, number / n / n % n];
        let mut word = String::new();
        for part in parts {
            word.push_str(&syllables[part]);
            add(word.clone());
            add(spelling(&format!(" {word}")));
        }
        let last = number / 7 % n;
        add(format!("{word}{}", syllables[last]));
        if number > 3 * VOCABULARY {
            break 'all;
        }
    }
    let size = tokens.len();
    let vocab: Map<String, Value> = tokens.into_iter().zip((0..size).map(Value::from)).collect();
    let added: Vec<Value> = { MARKERS.iter().enumerate() }
        .map(|(at, content)| {
            json!({
                "id": size + at, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
    });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": [],
        },
    });
    tokenizer.to_string().into_bytes()
}
