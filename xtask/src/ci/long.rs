//! The jobs of `--long`: what needs material from beside the repository, the
//! shapes of a real model, or more time than a push should take.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cairn::agent::Calls;

use super::{Job, bits, cargo, emulated, job};
use crate::jang::Profile;
use crate::{demo, probe, synth};

pub const JOBS: &[Job] = &[
    job("oracle", oracle),
    job("soak", soak),
    job("replay", replay),
    job("calls", calls),
    job("head-audit", head_audit),
    job("neon", emulated::neon),
    job("valgrind", emulated::valgrind),
    job("miri", emulated::miri),
    job("demo-made", demo_made),
    job("demo-bf16", demo_bf16),
    job("demo-bundle", demo_bundle),
    job("8b-jangtq_k", || real_shapes(Profile::JangtqK)),
    job("8b-bits", real_bits),
    job("8b-mxfp4", || real_shapes(Profile::Mxfp4)),
];

/// Logits and encoders against the programs that define them.
fn oracle() -> Result<String> {
    crate::oracle::run(&crate::oracle::Args::default())?;
    Ok("logits and bytes agree".into())
}

/// Every property with many more random cases.
fn soak() -> Result<String> {
    let arguments = ["test", "--workspace", "--quiet", "--no-fail-fast"];
    cargo::cargo(&arguments, &[("PROPTEST_CASES", "4096")])
}

/// Every recorded session with each number of threads, chunk and cache.
fn replay() -> Result<String> {
    let arguments = ["test", "--quiet", "--test", "sessions", "twenty_sessions"];
    cargo::cargo(&arguments, &[("CAIRN_REPLAY_ALL", "1")])
}

/// A thousand calls of the demo model, sampled within the grammar.
fn calls() -> Result<String> {
    let arguments = ["test", "--test", "constrained_calls", "--", "--ignored"];
    cargo::cargo(&arguments, &[])
}

/// A million tokens through the screened head and the full one.
fn head_audit() -> Result<String> {
    let text = crate::head_audit::measure(&crate::head_audit::Args::default())?;
    let (table, outcome) = text.rsplit_once('\n').unwrap_or(("", &text));
    println!("{table}");
    Ok(outcome.to_owned())
}

/// models/demo is what the encoders make of the checkpoint today.
fn demo_made() -> Result<String> {
    let folder = crate::root().join("target/demo-made");
    remove(&folder)?;
    demo::write(Profile::JangtqK, &folder)?;
    let mut count = 0;
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name();
        let made = std::fs::read(folder.join(&name))?;
        let kept = demo::demo_folder().join(&name);
        let kept = std::fs::read(&kept).with_context(|| kept.display().to_string())?;
        let name = name.display();
        ensure!(
            made == kept,
            "models/demo/{name}: run `cargo xtask demo-bundle`"
        );
        count += 1;
    }
    remove(&folder)?;
    Ok(format!("{count} files as committed"))
}

/// Percent of the cases that transformers answers exactly, on the checkpoint and
/// on the values of the bundle (models/demo/README.md).
const BF16_PERCENT: f64 = 95.7;
const BUNDLE_PERCENT: f64 = 94.7;
/// How far cairn may be from that, in points.
const TOLERANCE: f64 = 2.0;

fn demo_bf16() -> Result<String> {
    demo_score(&crate::shared()?.join("demo-model"), BF16_PERCENT)
}

fn demo_bundle() -> Result<String> {
    demo_score(&demo::demo_folder(), BUNDLE_PERCENT)
}

fn demo_score(model: &Path, expected: f64) -> Result<String> {
    let score = demo::measure(model, None, Calls::Constrained, |miss| println!("{miss}"))?;
    let (right, all) = score.total();
    let percent = score.percent();
    ensure!(
        (percent - expected).abs() <= TOLERANCE,
        "{right} of {all} exact, {percent:.1} %; the reference has {expected} %"
    );
    Ok(format!("{right} of {all} exact, {percent:.1} %"))
}

/// Tokens in the cache at the end of a run in real shapes.
const CONTEXT: usize = 2048;
const GENERATE: usize = 32;
const OPEN_SECONDS: f64 = 2.0;
const MEMORY_BYTES: u64 = 450_000_000;

/// Does something with a synthetic bundle in ZAYA1-8B's shapes.
fn with_real_shapes<T>(profile: Profile, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let folder = crate::root()
        .join("target")
        .join(format!("synth-{}", profile.name()));
    remove(&folder)?;
    let outcome = synth::write(
        synth::Preset::Zaya1_8b,
        profile,
        synth::Logits::Flat,
        &folder,
        1,
    )
    .and_then(|()| work(&folder));
    remove(&folder)?;
    outcome
}

fn real_bits() -> Result<String> {
    with_real_shapes(Profile::JangtqK, bits::check)
}

/// Opens and runs such a bundle.
fn real_shapes(profile: Profile) -> Result<String> {
    let report = with_real_shapes(profile, probe_apart)?;
    let probe::Report {
        open_seconds: open,
        load_seconds: load,
        prefill_seconds: prefill,
        generate_seconds: generate,
        beyond_bytes: memory,
        resident_bytes: resident,
        weight_bytes: weights,
        busiest_expert: busiest,
        experts_used: experts,
        finite,
        ..
    } = report;
    let text = format!(
        "open {open:.2} s, load {load:.2} s, {} MB beyond the weights, prefill {:.1} and decode {:.1} tokens/s, \
         {experts:.1} experts used",
        memory / 1_000_000,
        (CONTEXT - GENERATE) as f64 / prefill,
        GENERATE as f64 / generate,
    );
    ensure!(finite, "numbers that are not finite; {text}");
    ensure!(
        open < OPEN_SECONDS,
        "slower to open than {OPEN_SECONDS} s: {text}"
    );
    ensure!(
        weights > 1_000_000_000,
        "weights of {weights} bytes: {text}"
    );
    ensure!(
        memory.max(resident.saturating_sub(weights)) < MEMORY_BYTES,
        "more than {} MB beyond the weights ({} MB resident at the end): {text}",
        MEMORY_BYTES / 1_000_000,
        resident / 1_000_000
    );
    ensure!(
        busiest < 0.6,
        "one expert takes {:.0} %: {text}",
        100.0 * busiest
    );
    Ok(text)
}

/// Runs the probe in a process of its own.
fn probe_apart(folder: &Path) -> Result<probe::Report> {
    let output = Command::new(this_program()?)
        .arg("probe")
        .arg(folder)
        .args([
            "--context",
            &CONTEXT.to_string(),
            "--generate",
            &GENERATE.to_string(),
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("the probe can't be started")?;
    if !output.status.success() {
        bail!("the probe failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the probe's report")
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("this program's own path")
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}
