//! Short runs of `cairn bench` on the demo, and of the bench of the full-screen
//! program: they end, and their objects have what others read from them. Speed is not
//! judged here.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const NUMBERS: [&str; 7] = [
    "decode_share",
    "decode_tok_s",
    "prefill_tok_s",
    "roof_gb_s",
    "bytes_per_token",
    "ttft_s",
    "load_s",
];

pub fn smoke() -> Result<String> {
    let mut command = crate::cargo();
    command
        .args([
            "run",
            "--quiet",
            "--package",
            "cairn",
            "--",
            "bench",
            "--json",
        ])
        .args(["--prompt", "64", "--gen", "16", "--repeats", "2"])
        .env_remove("CAIRN_MODEL");
    let output = command.output().context("cargo can't be started")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {complaint}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).context("the report")?;
    for key in NUMBERS {
        let number = report[key].as_f64().unwrap_or(0.0);
        ensure!(number > 0.0, "{key} is {}", report[key]);
    }
    for key in ["contexts", "batches", "operations"] {
        let rows = report[key].as_array().map_or(0, Vec::len);
        ensure!(rows > 0, "{key} is {}", report[key]);
    }
    ensure!(
        report["screened"]["tok_s"].is_number(),
        "screened is {}",
        report["screened"]
    );
    Ok(format!(
        "{:.0} tok/s, roof {:.1} GB/s",
        report["decode_tok_s"].as_f64().unwrap_or(0.0),
        report["roof_gb_s"].as_f64().unwrap_or(0.0)
    ))
}

const FIGURES: [&str; 5] = [
    "memory of a token",
    "frame: one more token",
    "frame: the next token",
    "frame: another width",
    "first frame, demo",
];

pub fn smoke_tui() -> Result<String> {
    let mut command = crate::bench_tui::smoke();
    let output = command.arg("--json").output();
    let output = output.context("cargo can't be started")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {complaint}", output.status);
    let figures: Value = serde_json::from_slice(&output.stdout).context("the figures")?;
    let value = |name: &str| figures[name]["value"].as_f64().unwrap_or(0.0);
    for name in FIGURES {
        ensure!(value(name) > 0.0, "{name} is {}", figures[name]);
    }
    let [memory, frame, .., first] = FIGURES.map(value);
    Ok(format!(
        "{memory:.0} bytes a token, {frame:.1} ms a frame, the first after {first:.0} ms"
    ))
}
