//! The results as an object: what `--json` prints. Rates are tokens per second,
//! speeds GB (10^9 bytes) per second, shares fractions of 1.

use serde::Serialize;

use super::machine::Machine;
use super::runs::{Decode, Plan, Results};
use super::samples::Spread;

/// Opening the bundle, its files in the page cache.
pub struct Loading {
    /// Until the engine is ready.
    pub load_s: f64,
    /// Until the first token after a prompt of 16.
    pub ttft_s: f64,
}

/// What was measured on what.
pub struct Setting {
    pub model: String,
    pub backend: String,
    pub threads: usize,
    pub roof_bytes: usize,
    pub machine: Machine,
    pub plan: Plan,
    pub vocab: usize,
    pub notices: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Report {
    /// Bytes read per second of decode over the roof: full head, first context.
    pub decode_share: f64,
    pub decode_tok_s: f64,
    pub prefill_tok_s: f64,
    pub roof_gb_s: f64,
    pub bytes_per_token: u64,
    pub ttft_s: f64,
    pub load_s: f64,
    pub contexts: Vec<Context>,
    pub batches: Vec<Batch>,
    pub screened: Screened,
    pub operations: Vec<Operation>,
    /// The parts of `bytes_per_token`.
    pub bytes: Parts,
    pub prefill: Prefill,
    pub roof: Roof,
    pub model: String,
    pub backend: String,
    pub threads: usize,
    /// Tokens decoded in each run.
    pub generate: usize,
    /// Most runs of each measurement; `spread.repeats` says how many it had.
    pub repeats: usize,
    pub machine: Machine,
    pub notices: Vec<String>,
}

/// Decode of one sequence with the full head.
#[derive(Debug, Serialize)]
pub struct Context {
    pub context: usize,
    pub tok_s: f64,
    pub share: f64,
    pub bytes_per_token: u64,
    /// Of these, keys and values.
    pub kv_bytes: u64,
    pub spread: Spread,
}

/// Decode of several sequences with the full head, at the first context.
#[derive(Debug, Serialize)]
pub struct Batch {
    pub batch: usize,
    pub tok_s: f64,
    /// Over the rate of one sequence in the same turns.
    pub per_one: f64,
    pub share: f64,
    pub bytes_per_step: u64,
    /// In a layer and step, on average.
    pub distinct_experts: f64,
    pub spread: Spread,
}

/// Decode of one sequence with the screened head, at the first context.
#[derive(Debug, Serialize)]
pub struct Screened {
    pub tok_s: f64,
    /// Over the rate with the full head in the same turns.
    pub ratio: f64,
    pub share: f64,
    pub bytes_per_token: u64,
    /// Rows of the head that a step computed exactly, on average.
    pub rows_computed: f64,
    pub rows: usize,
    pub spread: Spread,
}

/// Part of a decode step: one sequence, full head, first context.
#[derive(Debug, Serialize)]
pub struct Operation {
    pub name: &'static str,
    pub seconds: f64,
    pub bytes: u64,
    pub gb_s: f64,
    /// Of the step's time.
    pub share: f64,
}

#[derive(Debug, Serialize)]
pub struct Parts {
    pub experts: u64,
    pub attention: u64,
    pub head: u64,
    pub router: u64,
    pub convolutions: u64,
    pub kv: u64,
    pub other: u64,
}

#[derive(Debug, Serialize)]
pub struct Prefill {
    pub tokens: usize,
    /// The first one, before which some weights had not been used.
    pub first_tok_s: f64,
    pub spread: Spread,
    pub operations: Vec<PrefillOperation>,
}

/// Part of a prefill.
#[derive(Debug, Serialize)]
pub struct PrefillOperation {
    pub name: &'static str,
    /// Per token.
    pub seconds: f64,
    pub share: f64,
}

#[derive(Debug, Serialize)]
pub struct Roof {
    /// Memory that was read each time.
    pub bytes: usize,
    /// GB per second.
    pub spread: Spread,
}

fn whole(bytes: f64) -> u64 {
    bytes.round() as u64
}

/// 0 where there is nothing to divide by.
fn ratio(of: f64, by: f64) -> f64 {
    match by > 0.0 {
        true => of / by,
        false => 0.0,
    }
}

impl Report {
    pub fn new(setting: Setting, loading: Loading, results: &Results) -> Self {
        let nothing = Decode::default();
        let first = results.contexts.first().map_or(&nothing, |(_, d)| d);
        let giga = |s: Spread| Spread {
            min: s.min / 1e9,
            max: s.max / 1e9,
            ..s
        };
        let parts = &first.bytes;
        Self {
            decode_share: first.share.median(),
            decode_tok_s: first.tok_s.median(),
            prefill_tok_s: results.prefill.median(),
            roof_gb_s: results.roof.median() / 1e9,
            bytes_per_token: whole(parts.total()),
            ttft_s: loading.ttft_s,
            load_s: loading.load_s,
            contexts: results.contexts.iter().map(context).collect(),
            batches: batches(&results.batches, first),
            screened: screened(results, first, setting.vocab),
            operations: operations(results),
            bytes: Parts {
                experts: whole(parts.experts),
                attention: whole(parts.attention),
                head: whole(parts.head),
                router: whole(parts.router),
                convolutions: whole(parts.convolutions),
                kv: whole(parts.kv),
                other: whole(parts.other),
            },
            prefill: Prefill {
                tokens: setting.plan.prompt,
                first_tok_s: results.first_prefill,
                spread: results.prefill.spread(),
                operations: prefill_operations(results),
            },
            roof: Roof {
                bytes: setting.roof_bytes,
                spread: giga(results.roof.spread()),
            },
            model: setting.model,
            backend: setting.backend,
            threads: setting.threads,
            generate: setting.plan.generate,
            repeats: setting.plan.repeats,
            machine: setting.machine,
            notices: setting.notices,
        }
    }

    /// One line.
    pub fn json(&self) -> String {
        // It has no maps and no keys that are not strings: nothing can fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

fn context((context, decode): &(usize, Decode)) -> Context {
    Context {
        context: *context,
        tok_s: decode.tok_s.median(),
        share: decode.share.median(),
        bytes_per_token: whole(decode.bytes.total()),
        kv_bytes: whole(decode.bytes.kv),
        spread: decode.tok_s.spread(),
    }
}

fn batches(batches: &[(usize, Decode)], first: &Decode) -> Vec<Batch> {
    let one = batches.iter().find(|(size, _)| *size == 1);
    let one = one.map_or(first, |(_, decode)| decode).tok_s.median();
    let batch = |(size, decode): &(usize, Decode)| Batch {
        batch: *size,
        tok_s: decode.tok_s.median(),
        per_one: ratio(decode.tok_s.median(), one),
        share: decode.share.median(),
        bytes_per_step: whole(decode.bytes.total()),
        distinct_experts: decode.bytes.distinct,
        spread: decode.tok_s.spread(),
    };
    batches.iter().map(batch).collect()
}

fn screened(results: &Results, full: &Decode, rows: usize) -> Screened {
    let decode = &results.screened;
    let per_token = |total: u64, tokens: u64| ratio(total as f64, tokens as f64);
    let (exact, head) = match results.head_reads {
        Some(reads) => (
            per_token(reads.exact, reads.tokens),
            per_token(reads.bytes, reads.tokens),
        ),
        None => (rows as f64, decode.bytes.head),
    };
    let all = decode.bytes.total();
    let read = all - decode.bytes.head + head;
    Screened {
        tok_s: decode.tok_s.median(),
        ratio: ratio(decode.tok_s.median(), full.tok_s.median()),
        share: decode.share.median() * ratio(read, all),
        bytes_per_token: whole(read),
        rows_computed: exact,
        rows,
        spread: decode.tok_s.spread(),
    }
}

fn prefill_operations(results: &Results) -> Vec<PrefillOperation> {
    let total: f64 = results.prefill_operations.iter().map(|(_, s)| s).sum();
    let operation = |&(stage, seconds): &(crate::model::Stage, f64)| PrefillOperation {
        name: stage.name(),
        seconds,
        share: ratio(seconds, total),
    };
    let of_prompts = results.prefill_operations.iter();
    of_prompts
        .filter(|(stage, _)| *stage != crate::model::Stage::Head)
        .map(operation)
        .collect()
}

fn operations(results: &Results) -> Vec<Operation> {
    let total: f64 = results.operations.iter().map(|(_, s, _)| s).sum();
    let operation = |(stage, seconds, bytes): &(crate::model::Stage, f64, f64)| Operation {
        name: stage.name(),
        seconds: *seconds,
        bytes: whole(*bytes),
        gb_s: ratio(*bytes, *seconds) / 1e9,
        share: ratio(*seconds, total),
    };
    results.operations.iter().map(operation).collect()
}
