//! The prebuilt libraries: fetched by pip from the index that it is set up for,
//! each checked against the hash in `xtask/mlx/requirements.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The version of MLX that the requirements ask for.
pub fn mlx_version(requirements: &str) -> Option<&str> {
    let line = requirements
        .lines()
        .find_map(|line| line.strip_prefix("mlx-cpu=="))?;
    line.split([' ', ';', '\\']).next()
}

/// Fetches what `requirements` lists into `folder` and unpacks it there.
pub fn fetch(requirements: &Path, folder: &Path) -> Result<()> {
    let pip = python().args(["-m", "pip", "--version"]).output();
    match pip {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("python3 is not there: fetching MLX needs it, with pip")
        }
        Err(error) => return Err(error).context("python3 can't be started"),
        Ok(output) if !output.status.success() => {
            bail!("python3 has no pip, which fetches MLX: install it (Debian: python3-pip)")
        }
        Ok(_) => {}
    }
    let wheels = folder.join("wheels");
    let output = python()
        .args(["-m", "pip", "download", "--no-deps", "--require-hashes"])
        .args(["--only-binary", ":all:", "--retries", "2"])
        .args(["--disable-pip-version-check", "--progress-bar", "off"])
        .arg("--dest")
        .arg(&wheels)
        .arg("--requirement")
        .arg(requirements)
        .output()
        .context("python3 can't be started")?;
    ensure!(
        output.status.success(),
        "{}",
        complaint(&String::from_utf8_lossy(&output.stderr))
    );
    for entry in fs::read_dir(&wheels).with_context(|| wheels.display().to_string())? {
        let wheel = entry?.path();
        let what = format!("unpacking {}", wheel.display());
        let mut unzip = python();
        unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder);
        crate::execute(&mut unzip, &what)?;
    }
    fs::remove_dir_all(&wheels).with_context(|| wheels.display().to_string())
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.stdin(Stdio::null());
    command
}

/// What went wrong, in one line, from what pip wrote.
fn complaint(stderr: &str) -> String {
    if stderr.contains("DO NOT MATCH THE HASHES") {
        return "what the Python package index sent is not what xtask/mlx/requirements.txt names: \
                its hash differs"
            .into();
    }
    // pip retries a dead connection and then says that there is no such version.
    let unreachable = ["Retrying (", "ConnectionError", "Temporary failure"];
    if unreachable.iter().any(|sign| stderr.contains(sign)) {
        return "the Python package index can't be reached, and MLX comes from there: \
                go online or set pip up for a mirror"
            .into();
    }
    let last = stderr
        .lines()
        .rfind(|line| line.starts_with("ERROR"))
        .or_else(|| stderr.lines().last())
        .unwrap_or("it says nothing");
    format!("pip download: {last} (MLX is prebuilt for Linux with glibc 2.35 or newer)")
}

/// The folder in which libclang's wheel keeps its library.
pub fn libclang(folder: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let library = entry?.path().join("platlib/clang/native");
        if library.join("libclang.so").is_file() {
            return Ok(library);
        }
    }
    bail!("{}: no libclang.so in any wheel", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_is_quoted_in_one_line() {
        let dead = "WARNING: Retrying (Retry(total=1)) after connection broken\n\
                    ERROR: No matching distribution found for mlx-cpu==0.32.2";
        assert!(complaint(dead).contains("can't be reached"));
        let other = "ERROR: Could not find a version\nERROR: No matching distribution found for x";
        assert!(complaint(other).contains("No matching distribution found for x"));
        assert!(complaint("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES").contains("hash"));
        for text in [dead, other, ""] {
            assert_eq!(complaint(text).lines().count(), 1);
        }
    }

    #[test]
    fn the_requirements_pin_every_package_by_hash() {
        let text = fs::read_to_string(super::super::requirements()).unwrap();
        assert!(mlx_version(&text).is_some());
        let packages = text.lines().filter(|line| line.contains("==")).count();
        assert_eq!(text.matches("--hash=sha256:").count(), 2 * packages);
        assert!(!text.contains("://"));
    }
}
