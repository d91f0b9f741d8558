//! `cargo xtask oracle`: does cairn agree with the programs that define ZAYA
//! and its bundles? Makes tiny checkpoints and bundles with jang and
//! transformers in a Python environment of its own, then compares logits of
//! the whole forward pass and the bytes of the encoders.

mod logits;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use logits::{Case, Skip};

/// The versions whose numbers are the reference.
const PACKAGES: &[&str] = &[
    "jang==2.5.50",
    "mlx==0.32.4",
    "mlx-cpu==0.32.4",
    "mlx-lm==0.32.2",
    "transformers==5.23.0",
    "numpy",
    "safetensors",
    "torch",
];

const HIDDEN: [&str; 2] = ["256", "320"];

#[derive(clap::Args)]
pub struct Args {
    /// Where environment, checkpoints and bundles are kept; what is already
    /// there is used again
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no parent folder")?;
    let dir = args
        .dir
        .clone()
        .unwrap_or_else(|| root.join("target/oracle"));
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    let script = shared_script(root)?;

    let python = environment(&dir)?;
    make(root, &dir, &python, &script)?;

    println!("encoders, byte for byte:");
    let mut test = cargo(root);
    test.args(["test", "--quiet", "--test", "quant_bundles"])
        .args(["--", "--ignored", "--nocapture"])
        .env("CAIRN_ORACLE_DIR", &dir);
    execute(&mut test, "comparing encoder bytes")?;

    execute(
        cargo(root).args(["build", "--release", "--quiet", "--bin", "cairn"]),
        "building cairn",
    )?;
    logits::compare(&release_binary()?, &cases(&dir), &dir)
}

/// The script that runs jang on a tiny checkpoint.
fn shared_script(root: &Path) -> Result<PathBuf> {
    let shared =
        std::env::var_os("CAIRN_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let script = shared.join("oracle/jang_zaya_bundle.py");
    if !script.is_file() {
        bail!(
            "{} is missing: set CAIRN_SHARED to the folder that has oracle/jang_zaya_bundle.py",
            script.display()
        );
    }
    Ok(script.canonicalize()?)
}

/// A virtual environment with [`PACKAGES`]; returns its Python.
fn environment(dir: &Path) -> Result<PathBuf> {
    let venv = dir.join("venv");
    let python = venv.join("bin/python");
    // Written last, so an interrupted installation is done again.
    let stamp = venv.join("cairn-packages");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("installing the reference packages in {}", venv.display());
    execute(
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
        "making a Python environment (python3 with venv is needed)",
    )?;
    execute(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(PACKAGES),
        "installing the reference packages",
    )?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

/// Runs the Python scripts whose output is not there yet.
fn make(root: &Path, dir: &Path, python: &Path, script: &Path) -> Result<()> {
    for hidden in HIDDEN {
        let out = dir.join(hidden);
        // The last file that the script writes.
        if !out.join("BF16.ids.json").exists() {
            println!("making bundles of hidden size {hidden}");
            let mut command = Command::new(python);
            command
                .arg(root.join("xtask/oracle/zaya_bundles.py"))
                .arg(script)
                .arg(&out)
                .args(["--hidden", hidden]);
            logged(&mut command, &dir.join(format!("{hidden}.log")))?;
        }
    }
    if !dir.join("transformers.ids.json").exists() {
        println!("making the transformers checkpoint");
        let mut command = Command::new(python);
        command
            .arg(root.join("xtask/oracle/transformers_zaya.py"))
            .arg(dir);
        logged(&mut command, &dir.join("transformers.log"))?;
    }
    Ok(())
}

fn cases(dir: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for hidden in HIDDEN {
        for kind in ["JANGTQ2", "JANGTQ3", "JANGTQ4", "JANGTQ_K", "MXFP4", "BF16"] {
            let folder = if kind == "BF16" { "source" } else { kind };
            cases.push(Case {
                name: format!("{kind} {hidden}"),
                folder: dir.join(hidden).join(folder),
                reference: dir.join(hidden).join(kind),
                skip: Skip::Scaled,
            });
        }
    }
    cases.push(Case {
        name: "transformers".into(),
        folder: dir.join("transformers"),
        reference: dir.join("transformers"),
        skip: Skip::Zero,
    });
    cases
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// `release/cairn` next to the profile folder this program runs from.
fn release_binary() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let target = me
        .ancestors()
        .nth(2)
        .context("xtask does not run from a target folder")?;
    Ok(target.join("release/cairn"))
}

fn execute(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| what.to_owned())?;
    if !status.success() {
        bail!("{what} failed: {status}");
    }
    Ok(())
}

/// Runs with all output in a file, which the error names.
fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let file = std::fs::File::create(log)?;
    let status = command
        .stderr(file.try_clone()?)
        .stdout(file)
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{status}; see {}", log.display());
    }
    Ok(())
}
