//! Logits of `cairn debug logits` against the reference's, for every way of
//! feeding the same tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use safetensors::{Dtype, SafeTensors};

/// Both sides compute in f32 and differ in summation order only.
const LIMIT: f32 = 2e-4;

/// What a token without an expert gets in place of the expert's output.
#[derive(Clone, Copy)]
pub enum Skip {
    /// Its input times the skip's probability: jang, and the model's authors.
    Scaled,
    /// Nothing: transformers.
    Zero,
}

pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    /// `{reference}.expected.safetensors` and `{reference}.ids.json`.
    pub reference: PathBuf,
    pub skip: Skip,
}

/// One prompt with the logits that the reference gives for each token.
struct Prompt {
    name: &'static str,
    tokens: Vec<u32>,
    logits: Vec<f32>,
    /// Tokens the reference fed at once; it decoded the others one by one.
    prefill: usize,
}

/// Compares all cases, prints a table, and fails if any is off.
pub fn compare(cairn: &Path, cases: &[Case], scratch: &Path) -> Result<()> {
    println!(
        "\n{:<16} {:<6} {:<14} {:>9}",
        "bundle", "prompt", "mode", "max diff"
    );
    let out = scratch.join("logits.safetensors");
    let mut off = 0;
    for case in cases {
        for prompt in prompts(&case.reference)? {
            let mut modes = vec![("whole".to_owned(), vec![])];
            for chunk in ["1", "3", "7"] {
                modes.push((format!("chunks of {chunk}"), vec!["--chunk", chunk]));
            }
            let split = prompt.prefill.to_string();
            modes.push(("decode".into(), vec!["--decode-from", "1"]));
            if prompt.prefill < prompt.tokens.len() {
                modes.push((
                    format!("decode from {split}"),
                    vec!["--decode-from", &split],
                ));
            }
            for (mode, flags) in modes {
                let verdict = match run(cairn, case, &prompt, &flags, &out) {
                    Ok(diff) if diff <= LIMIT => format!("{diff:9.1e} ok"),
                    Ok(diff) => {
                        off += 1;
                        format!("{diff:9.1e} OFF (limit {LIMIT:.0e})")
                    }
                    Err(error) => {
                        off += 1;
                        format!("FAILED: {error:#}")
                    }
                };
                println!("{:<16} {:<6} {mode:<14} {verdict}", case.name, prompt.name);
            }
        }
    }
    ensure!(off == 0, "{off} comparisons are off");
    Ok(())
}

/// Largest absolute difference of the logits.
fn run(cairn: &Path, case: &Case, prompt: &Prompt, flags: &[&str], out: &Path) -> Result<f32> {
    let tokens: Vec<String> = prompt.tokens.iter().map(u32::to_string).collect();
    let skip = match case.skip {
        Skip::Scaled => "scaled",
        Skip::Zero => "zero",
    };
    let run = Command::new(cairn)
        .args(["debug", "logits", "--f32-cache", "--skip", skip])
        .args(["--tokens", &tokens.join(",")])
        .args(flags)
        .arg("--model")
        .arg(&case.folder)
        .arg("--out")
        .arg(out)
        .output()
        .with_context(|| format!("cannot run {}", cairn.display()))?;
    if !run.status.success() {
        let message = String::from_utf8_lossy(&run.stderr);
        bail!("{}", message.lines().last().unwrap_or("no message"));
    }
    let file = std::fs::read(out)?;
    let logits = floats(&SafeTensors::deserialize(&file)?, "logits")?;
    ensure!(
        logits.len() == prompt.logits.len(),
        "{} logits, {} expected",
        logits.len(),
        prompt.logits.len()
    );
    // In this order a NaN is the largest, so it cannot look like agreement.
    Ok(logits
        .iter()
        .zip(&prompt.logits)
        .map(|(ours, theirs)| (ours - theirs).abs())
        .max_by(f32::total_cmp)
        .unwrap_or(0.0))
}

fn prompts(reference: &Path) -> Result<Vec<Prompt>> {
    let with = |suffix: &str| {
        let mut path = reference.as_os_str().to_owned();
        path.push(suffix);
        let path = PathBuf::from(path);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let ids: BTreeMap<String, Vec<u32>> = serde_json::from_slice(&with(".ids.json")?)?;
    let file = with(".expected.safetensors")?;
    let expected = SafeTensors::deserialize(&file)?;
    if let Some(tokens) = ids.get("tokens") {
        return Ok(vec![Prompt {
            name: "-",
            tokens: tokens.clone(),
            logits: floats(&expected, "logits")?,
            prefill: tokens.len(),
        }]);
    }
    ["short", "long"]
        .into_iter()
        .map(|name| {
            let part = |name: &str| {
                ids.get(name)
                    .cloned()
                    .with_context(|| format!("no ids {name}"))
            };
            let mut tokens = part(name)?;
            let prefill = tokens.len();
            tokens.extend(part(&format!("{name}_decode"))?);
            let mut logits = floats(&expected, &format!("f32.{name}.prefill_logits"))?;
            logits.extend(floats(&expected, &format!("f32.{name}.decode_logits"))?);
            Ok(Prompt {
                name,
                tokens,
                logits,
                prefill,
            })
        })
        .collect()
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>> {
    let tensor = file
        .tensor(name)
        .with_context(|| format!("no tensor {name}"))?;
    ensure!(tensor.dtype() == Dtype::F32, "{name} is not F32");
    let (values, _) = tensor.data().as_chunks::<4>();
    Ok(values.iter().map(|v| f32::from_le_bytes(*v)).collect())
}
