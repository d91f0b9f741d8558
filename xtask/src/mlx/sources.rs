//! Where cargo keeps mlx-sys, and which MLX it is written against.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// mlx-sys as the lock file names it.
pub struct MlxSys {
    pub version: String,
    /// Its copy of mlx-c, the C interface to MLX.
    pub mlx_c: PathBuf,
    /// The version of MLX that this mlx-c is compiled against.
    pub wants: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
}

/// Finds mlx-sys, fetching it first if cargo has to.
pub fn find() -> Result<MlxSys> {
    let output = crate::cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--features", "mlx"])
        .output()
        .context("cargo can't be started")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        super::last_line(&output.stderr)
    );
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("cargo metadata's answer")?;
    let Some(package) = metadata
        .packages
        .into_iter()
        .find(|package| package.name == "mlx-sys")
    else {
        bail!("mlx-sys is not among the packages that cargo metadata lists");
    };
    let mlx_c = package.manifest_path.with_file_name("src").join("mlx-c");
    let cmake = mlx_c.join("CMakeLists.txt");
    let text = std::fs::read_to_string(&cmake).with_context(|| cmake.display().to_string())?;
    let wants = wanted(&text)
        .with_context(|| format!("{}: names no version of MLX", cmake.display()))?
        .to_owned();
    Ok(MlxSys {
        version: package.version,
        mlx_c,
        wants,
    })
}

/// The version in mlx-c's CMake file, which fetches MLX as a tag `v1.2.3`.
fn wanted(cmake: &str) -> Option<&str> {
    let tag = cmake
        .lines()
        .find_map(|line| line.trim().strip_prefix("GIT_TAG v"))?;
    tag.split(|c: char| c == ')' || c.is_whitespace()).next()
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn the_version_is_the_tag_that_is_fetched() {
        let cmake = "  FetchContent_Declare(\n    mlx\n    GIT_REPOSITORY x\n    GIT_TAG v0.32.2)";
        assert_eq!(wanted(cmake), Some("0.32.2"));
        assert_eq!(wanted("find_package(MLX REQUIRED)"), None);
    }
}
