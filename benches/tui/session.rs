//! A long session that was never held: turns with Markdown and cards of tools, and the
//! tokens of an answer as the demo's tokenizer would cut them.

use std::path::Path;

use cairn::agent::session::Noted;
use cairn::agent::{Answer, Entry, Exit, Kind, Reason, ToolResult};
use cairn::backend::Alternative;
use cairn::bundle::Tokenizer;
use cairn::chat::ToolCall;
use serde_json::{Map, Value};

const PROSE: [&str; 2] = [
    include_str!("../../README.md"),
    include_str!("../../ARCHITECTURE.md"),
];
/// Tokens that are cut before they begin again.
const LENGTH: usize = 100_000;
const LAYERS: u64 = 40;
const EXPERTS: u64 = 17;

/// Tokens with all that is known of them, without end.
pub struct Tokens {
    tokenizer: Tokenizer,
    ids: Vec<u32>,
}

impl Tokens {
    pub fn new() -> Result<Self, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/tokenizer.json");
        let json = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let tokenizer = Tokenizer::from_json(&json)?;
        let lines = PROSE.iter().flat_map(|text| text.lines());
        let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
        let mut ids = Vec::new();
        // Lines come in any order: whole texts over and over would be a loop.
        for n in 0u64.. {
            let line = lines[mixed(n, 1) as usize % lines.len()];
            let end = if mixed(n, 2).is_multiple_of(4) {
                "\n\n"
            } else {
                "\n"
            };
            ids.extend(tokenizer.encode(&format!("{line}{end}")));
            if ids.len() >= LENGTH {
                break;
            }
        }
        Ok(Self { tokenizer, ids })
    }

    /// Most are certain, as most of a model's are; five alternatives, forty layers.
    pub fn noted(&self, at: usize) -> Noted {
        let number = at as u64;
        let id = self.ids[at % self.ids.len()];
        let entropy = match mixed(number, 3) % 100 {
            0..70 => 0.04,
            70..85 => 0.3,
            85..95 => 0.8,
            95..99 => 1.6,
            _ => 3.0,
        };
        let size = self.tokenizer.vocab_size() as u64;
        let others = (0..4).map(|k| (mixed(number, 10 + k) % size) as u32);
        let top = std::iter::once(id)
            .chain(others)
            .enumerate()
            .map(|(n, id)| {
                let logprob = -entropy - n as f32;
                (Alternative { id, logprob }, self.bytes(id))
            });
        Noted {
            id,
            bytes: self.bytes(id),
            position: 1000 + at as u32,
            logprob: -entropy,
            entropy,
            exact_logprobs: true,
            forced: false,
            millis: 50 * at as u32,
            top: top.collect(),
            experts: (0..LAYERS)
                .map(|layer| (mixed(number, 100 + layer) % EXPERTS) as u16)
                .collect(),
        }
    }

    fn bytes(&self, id: u32) -> Vec<u8> {
        self.tokenizer.token_bytes(id).unwrap_or_default().to_vec()
    }
}

/// Numbers without a pattern, the same in every run.
fn mixed(number: u64, stream: u64) -> u64 {
    let mut z =
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The log of so many turns.
pub fn entries(turns: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for turn in 0..turns {
        for kind in kinds(turn) {
            let parent = entries.last().map(|last| last.id);
            let id = parent.unwrap_or(0) + 1;
            entries.push(Entry { id, parent, kind });
        }
    }
    entries
}

fn kinds(turn: usize) -> [Kind; 6] {
    let arguments = Map::from_iter([(
        "command".to_owned(),
        Value::from(format!("cargo test --lib part_{turn}")),
    )]);
    let call = ToolCall {
        id: format!("call-{turn}"),
        name: "run_command".into(),
        arguments,
    };
    let output: String = (0..40)
        .map(|n| format!("test part_{turn}::case_{n} ... ok\n"))
        .collect();
    let reasoning = "The user wants to know what the parts do. ".repeat(20);
    [
        Kind::User {
            text: format!("What does part {turn} do, and is it tested?"),
            attached: Vec::new(),
        },
        Kind::Assistant(Answer {
            text: format!("I run the tests of part {turn}."),
            reasoning,
            calls: vec![call.clone()],
            ..Answer::default()
        }),
        Kind::ToolStarted {
            call: call.clone(),
            change: None,
        },
        Kind::ToolResult(ToolResult {
            call_id: call.id,
            ok: true,
            output,
            ..ToolResult::default()
        }),
        Kind::Assistant(Answer {
            text: markdown(turn),
            ..Answer::default()
        }),
        Kind::TurnEnded {
            exit: Exit::Done,
            reason: Reason::Done,
        },
    ]
}

/// An answer with most of what answers have in them.
pub fn markdown(turn: usize) -> String {
    format!(
        "## Part {turn}\n\nIt reads *every* line once, and keeps **{turn} of them**; what is \
         left out is said in `notes.txt`, so that nobody has to look for it. A long sentence \
         follows, as answers have them, until it is wider than the pane it is shown in.\n\n\
         1. It opens the file.\n2. It parses what is in there:\n   - numbers as numbers,\n   \
         - everything else as text.\n3. It writes `{turn}.json`.\n\n\
         | step | time | bytes |\n|---|---:|---:|\n| open | {turn} ms | 12 |\n\
         | parse | 4 ms | 1,200 |\n| write | 9 ms | 96 |\n\n\
         ```rust\nfn part_{turn}(lines: &[&str]) -> Vec<usize> {{\n    let mut kept = Vec::new();\n    \
         for (at, line) in lines.iter().enumerate() {{\n        if line.len() > {turn} {{\n            \
         kept.push(at); // from here on it counts\n        }}\n    }}\n    kept\n}}\n```\n\n\
         > All 40 tests pass.\n\nIs there anything else that you want to know of it?\n"
    )
}
