//! `cargo xtask oracle`: does cairn agree with the programs that define ZAYA
//! and its bundles? Makes tiny checkpoints and bundles with jang and
//! transformers in a Python environment of its own, then compares logits of
//! the whole forward pass and the bytes of the encoders.

mod logits;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

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

#[derive(Default, clap::Args)]
pub struct Args {
    /// Where environment, checkpoints and bundles are kept; what is already
    /// there is used again
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let default = || crate::root().join("target/oracle");
    let dir = args.dir.clone().unwrap_or_else(default);
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    let script = crate::shared()?.join("oracle/jang_zaya_bundle.py");
    ensure!(script.is_file(), "{}: not there", script.display());

    make(&dir, &script)?;

    println!("encoders, byte for byte:");
    let mut test = crate::cargo();
    test.args(["test", "--quiet", "--test", "quant_bundles"])
        .args(["--", "--ignored", "--nocapture"])
        .env("CAIRN_ORACLE_DIR", &dir);
    crate::execute(&mut test, "comparing encoder bytes")?;

    let mut build = crate::cargo();
    build.args(["build", "--release", "--quiet", "--bin", "cairn"]);
    crate::execute(&mut build, "building cairn")?;
    logits::compare(&release_binary()?, &cases(&dir), &dir)
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
    crate::execute(
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
        "making a Python environment (python3 with venv is needed)",
    )?;
    crate::execute(
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

/// Runs the Python scripts whose output is not there yet; what is there needs no
/// Python.
fn make(dir: &Path, script: &Path) -> Result<()> {
    let scripts = crate::root().join("xtask/oracle");
    for hidden in HIDDEN {
        let out = dir.join(hidden);
        // The last file that the script writes.
        if !out.join("BF16.ids.json").exists() {
            let python = environment(dir)?;
            println!("making bundles of hidden size {hidden}");
            let mut command = Command::new(python);
            command
                .arg(scripts.join("zaya_bundles.py"))
                .arg(script)
                .arg(&out)
                .args(["--hidden", hidden]);
            logged(&mut command, &dir.join(format!("{hidden}.log")))?;
        }
    }
    if !dir.join("transformers.ids.json").exists() {
        let python = environment(dir)?;
        println!("making the transformers checkpoint");
        let mut command = Command::new(python);
        command.arg(scripts.join("transformers_zaya.py")).arg(dir);
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

/// `release/cairn` next to the profile folder this program runs from.
fn release_binary() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let target = me
        .ancestors()
        .nth(2)
        .context("xtask does not run from a target folder")?;
    Ok(target.join("release/cairn"))
}

/// Runs with all output in a file, which the error names.
fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let file = std::fs::File::create(log)?;
    let status = command
        .stderr(file.try_clone()?)
        .stdout(file)
        .status()
        .with_context(|| format!("{command:?} can't be started"))?;
    if !status.success() {
        bail!("{status}; see {}", log.display());
    }
    Ok(())
}
