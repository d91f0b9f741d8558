//! `cairn inspect`: what a bundle is and whether it can be used, as text for
//! people or as one JSON object.

use std::fmt::Write;
use std::path::Path;

use super::demo;
use crate::agent::present::thousands;
use crate::bundle::{Bundle, Error, Report};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Opens the bundle in `dir`, or the demo, and describes it. The text ends with a
/// newline.
pub fn run(dir: Option<&Path>, format: Format) -> Result<String, Error> {
    let bundle = match dir {
        Some(dir) => Bundle::open(dir),
        None => Bundle::embedded(demo::NAME, &demo::FILES),
    };
    let report = bundle?.report();
    Ok(match format {
        Format::Text => text(&report),
        Format::Json => json(&report),
    })
}

fn json(report: &Report) -> String {
    // Strings, numbers and lists always serialise; the fallback is unreachable.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}

fn text(r: &Report) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        // Writing to a String can't fail.
        let _ = writeln!(out, "{key:<12} {value}");
    };
    line("bundle", &r.name);
    line("family", r.family);
    let layout = serde_json::to_value(r.layout).unwrap_or_default();
    let layout = layout.as_str().unwrap_or_default();
    line(
        "layout",
        &format!("{layout}, {} layers, {} experts", r.layers, r.experts),
    );
    line(
        "parameters",
        &format!(
            "{} total, {} active per token",
            count(r.parameters.total),
            count(r.parameters.active)
        ),
    );
    let b = &r.bits;
    line(
        "bits",
        &format!(
            "attention {}, embedding {}, router {}, conv {}, gate {}, up {}, down {} ({})",
            b.attention, b.embedding, b.router, b.conv, b.gate, b.up, b.down, r.format
        ),
    );
    line("size", &format!("{} bytes", thousands(r.bytes as usize)));
    line("context", &format!("{} tokens", thousands(r.context)));
    let thinking = match r.template.thinking {
        true => "with thinking",
        false => "without thinking",
    };
    let source = r.template.source.unwrap_or("built in");
    line("template", &format!("{source}, {thinking}"));
    let tools = if r.capabilities.tools { "yes" } else { "no" };
    line(
        "capabilities",
        &format!("tools {tools}, thinking {}", r.capabilities.thinking),
    );
    let skip = match r.skip_reachable {
        true => "reachable",
        false => "unreachable",
    };
    line("skip route", skip);
    line("fingerprint", &r.fingerprint);
    for warning in &r.warnings {
        line("warning", warning);
    }
    line("verdict", r.verdict);
    out
}

/// 8840489464 as "8.84 B".
fn count(n: u64) -> String {
    match n {
        1_000_000_000.. => format!("{:.2} B", n as f64 / 1e9),
        1_000_000.. => format!("{:.2} M", n as f64 / 1e6),
        _ => thousands(n as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(131_072), "131,072");
        assert_eq!(count(8_840_489_464), "8.84 B");
        assert_eq!(count(2_120_000), "2.12 M");
    }
}
