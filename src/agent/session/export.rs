//! A session for reading elsewhere: Markdown for people, JSON with everything for
//! programs.

use serde_json::{Value, json};

use super::log::path_to;
use super::read::Log;
use super::record::Noted;
use super::trace::Span;
use crate::agent::entry::{Answer, Kind, Shell};
use crate::agent::present;
use crate::chat::ToolCall;

/// Log-probabilities in it are rounded to this many digits after the point.
const DIGITS: f64 = 1e4;

/// The header, all entries, other branches included, and which are on the path to
/// the head. `tokens` gives those of an answer.
///
/// # Errors
/// When an entry has no JSON, which none should.
pub fn json(log: &Log, tokens: &dyn Fn(Span) -> Vec<Noted>) -> serde_json::Result<Value> {
    let head = log.entries.last().map(|entry| entry.id);
    let path: Vec<u64> = path_to(&log.entries, head).iter().map(|e| e.id).collect();
    let mut entries = Vec::with_capacity(log.entries.len());
    for (entry, at) in log.entries.iter().zip(&log.times) {
        let mut value = serde_json::to_value(entry)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("at".into(), (*at).into());
            if let Kind::Assistant(Answer {
                trace: Some(span), ..
            }) = &entry.kind
            {
                let tokens = tokens(*span).iter().map(token).collect();
                object.insert("tokens".into(), Value::Array(tokens));
            }
        }
        entries.push(value);
    }
    Ok(json!({
        "header": serde_json::to_value(&log.header)?,
        "path": path,
        "entries": entries,
    }))
}

/// A token with what the model thought of it.
pub fn token(noted: &Noted) -> Value {
    let round = |number: f32| (f64::from(number) * DIGITS).round() / DIGITS;
    let top = noted.top.iter().map(|(one, bytes)| {
        json!({
            "id": one.id,
            "text": String::from_utf8_lossy(bytes),
            "logprob": round(one.logprob),
        })
    });
    json!({
        "id": noted.id,
        "text": String::from_utf8_lossy(&noted.bytes),
        "bytes": noted.bytes,
        "position": noted.position,
        "ms": noted.millis,
        "logprob": round(noted.logprob),
        "entropy": round(noted.entropy),
        "exact": noted.exact_logprobs,
        "forced": noted.forced,
        "top": top.collect::<Vec<Value>>(),
        "experts": noted.experts,
    })
}

/// The conversation that the head ends. Reasoning, calls and results are in
/// fences that nothing in them closes.
pub fn markdown(log: &Log) -> String {
    let header = &log.header;
    let mut text = format!(
        "# Session {}\n\n- model: {} ({})\n- workspace: {}\n- seed: {}\n",
        header.id,
        header.bundle.name,
        header.numerics,
        header.workspace.display(),
        header.settings.sampling.seed,
    );
    if let Some(from) = &header.forked_from {
        text.push_str(&format!("- fork of {} at {}\n", from.session, from.entry));
    }
    let head = log.entries.last().map(|entry| entry.id);
    for entry in path_to(&log.entries, head) {
        let part = match &entry.kind {
            Kind::User { text, .. } | Kind::Steer { text, .. } => format!("## User\n\n{text}"),
            Kind::Assistant(answer) => assistant(answer),
            Kind::ToolResult(result) => {
                let outcome = if result.ok { "Result" } else { "Failed" };
                format!("### {outcome}\n\n{}", fenced("", &result.output))
            }
            Kind::Shell(Shell {
                command, output, ..
            }) => {
                let ran = format!("! {command}\n{output}");
                format!("### Run by the user\n\n{}", fenced("", &ran))
            }
            Kind::Interrupted => "*(stopped by the user)*".to_owned(),
            Kind::Failed { message } => format!("*(failed: {message})*"),
            _ => continue,
        };
        text.push_str(&format!("\n{}\n", part.trim_end()));
    }
    text
}

fn assistant(answer: &Answer) -> String {
    let mut text = "## Assistant\n".to_owned();
    if !answer.reasoning.trim().is_empty() {
        let reasoning = fenced("reasoning", answer.reasoning.trim());
        text.push_str(&format!("\n{reasoning}\n"));
    }
    if !answer.text.trim().is_empty() {
        text.push_str(&format!("\n{}\n", answer.text.trim()));
    }
    for ToolCall {
        name, arguments, ..
    } in &answer.calls
    {
        let call = fenced("", &present::whole_call(name, arguments));
        text.push_str(&format!("\n### Call\n\n{call}\n"));
    }
    text
}

/// A code block with a fence that is longer than any run of backticks in it.
fn fenced(language: &str, text: &str) -> String {
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!(
        "{fence}{language}\n{}\n{fence}",
        text.trim_end_matches('\n')
    )
}
