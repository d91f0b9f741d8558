//! Every crate that the project builds on is under a licence from this list.
//! `deny.toml` says the same to cargo-deny; a test keeps the two together.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::spdx;

/// Licences that any crate may have.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates under MPL-2.0, which asks for more: each was looked at.
const MPL: &[&str] = &["nucleo-matcher"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

/// Every graph of the repository: the workspace's, and that of the package beside
/// it which writes MLX's declarations.
pub fn check() -> Result<String> {
    let mut packages = packages("Cargo.toml")?;
    packages.extend(self::packages(crate::mlx::BINDINGS)?);
    let complaints: Vec<String> = packages.iter().filter_map(complaint).collect();
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(format!("{} crates", packages.len()))
}

fn packages(manifest: &str) -> Result<Vec<Package>> {
    let output = crate::cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--all-features", "--manifest-path", manifest])
        .output()
        .context("cargo can't be started")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("cargo metadata's answer")?;
    Ok(metadata.packages)
}

fn complaint(package: &Package) -> Option<String> {
    let Package {
        name,
        version,
        license,
    } = package;
    let Some(expression) = license else {
        return Some(format!("{name} {version} names no licence"));
    };
    let allowed = |licence: &str| {
        ALLOWED.contains(&licence) || licence == "MPL-2.0" && MPL.contains(&name.as_str())
    };
    match spdx::satisfied(expression, &allowed) {
        Ok(true) => None,
        Ok(false) => Some(format!("{name} {version}: {expression} is not allowed")),
        Err(error) => Some(format!("{name} {version}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, license: Option<&str>) -> Package {
        let (name, version) = (name.to_owned(), "1.0.0".to_owned());
        let license = license.map(str::to_owned);
        Package {
            name,
            version,
            license,
        }
    }

    #[test]
    fn only_listed_licences_pass() {
        assert_eq!(complaint(&package("a", Some("GPL-3.0 OR MIT"))), None);
        let refused = complaint(&package("a", Some("MPL-2.0")));
        assert_eq!(refused.as_deref(), Some("a 1.0.0: MPL-2.0 is not allowed"));
        let silent = complaint(&package("a", None));
        assert_eq!(silent.as_deref(), Some("a 1.0.0 names no licence"));
    }

    #[test]
    fn deny_toml_has_the_same_list() {
        let text = std::fs::read_to_string(crate::root().join("deny.toml")).unwrap();
        let list = text
            .split_once("allow = [")
            .unwrap()
            .1
            .split_once(']')
            .unwrap()
            .0;
        let listed: Vec<&str> = list
            .split(',')
            .map(|entry| entry.trim().trim_matches('"'))
            .collect();
        let listed: Vec<&str> = listed
            .into_iter()
            .filter(|entry| !entry.is_empty())
            .collect();
        assert_eq!(listed, ALLOWED);
    }
}
