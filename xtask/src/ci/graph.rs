//! What a build consists of on each system, read off cargo's resolved graph. A Mac
//! needs a C++ compiler and CMake for MLX and nothing else; a plain build on Linux
//! knows nothing of MLX.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// Crates that a build script uses to compile or to read C and C++.
const NATIVE: &[&str] = &["bindgen", "cc", "cmake"];
/// The one crate that may: its own dependencies are not looked at.
const MLX_SYS: &str = "mlx-sys";
const MLX: &[&str] = &["mlx-rs", MLX_SYS];
const LINUX: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

pub fn macos() -> Result<String> {
    let graph = Graph::of(crate::mlx::MAC)?;
    let reached = graph.reach(MLX_SYS)?;
    refuse(&graph, &reached, NATIVE)?;
    // Otherwise this would be a check of nothing.
    for name in MLX {
        ensure!(
            reached.iter().any(|package| graph.name(package) == *name),
            "a build for macOS no longer has {name}"
        );
    }
    Ok(format!("{} crates", reached.len()))
}

pub fn linux() -> Result<String> {
    let mut counts = Vec::new();
    for triple in LINUX {
        let graph = Graph::of(triple)?;
        let reached = graph.reach("")?;
        refuse(&graph, &reached, MLX)?;
        counts.push(reached.len().to_string());
    }
    let config = crate::root().join(".cargo/config.toml");
    let text = std::fs::read_to_string(&config).with_context(|| config.display().to_string())?;
    ensure!(
        !text.contains("mlx/config.toml") && !text.contains(".mlx]"),
        "{}: a plain build must not read what mlx-setup makes",
        config.display()
    );
    Ok(format!("{} crates", counts.join(" and ")))
}

fn refuse(graph: &Graph, reached: &HashSet<&str>, names: &[&str]) -> Result<()> {
    for package in reached {
        let name = graph.name(package);
        if names.contains(&name) {
            let mut users: Vec<&str> = reached
                .iter()
                .filter(|user| graph.name(user) != MLX_SYS)
                .filter(|user| graph.uses(user).any(|used| used == *package))
                .map(|user| graph.name(user))
                .collect();
            users.sort_unstable();
            bail!("{} is in the graph, for {}", name, users.join(", "));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    root: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `None` for a normal one.
    kind: Option<String>,
}

struct Graph {
    root: String,
    names: HashMap<String, String>,
    nodes: HashMap<String, Vec<Dependency>>,
}

impl Graph {
    /// What the program needs on `triple` with its default features.
    fn of(triple: &str) -> Result<Self> {
        let output = crate::cargo()
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", triple])
            .output()
            .context("cargo can't be started")?;
        if !output.status.success() {
            bail!(
                "cargo metadata: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Self::read(&output.stdout)
    }

    fn read(json: &[u8]) -> Result<Self> {
        let metadata: Metadata = serde_json::from_slice(json).context("cargo metadata's answer")?;
        let named = |package: Package| (package.id, package.name);
        let with_id = |node: Node| (node.id, node.deps);
        Ok(Self {
            root: metadata.resolve.root.context("no root package")?,
            names: metadata.packages.into_iter().map(named).collect(),
            nodes: metadata.resolve.nodes.into_iter().map(with_id).collect(),
        })
    }

    fn name<'a>(&'a self, package: &'a str) -> &'a str {
        self.names.get(package).map_or(package, String::as_str)
    }

    /// What `package` needs to be built and to run; not what its tests need.
    fn uses(&self, package: &str) -> impl Iterator<Item = &str> {
        let dependencies = self.nodes.get(package).into_iter().flatten();
        dependencies
            .filter(|dependency| {
                let kinds = &dependency.dep_kinds;
                kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"))
            })
            .map(|dependency| dependency.pkg.as_str())
    }

    /// Everything that the root needs, without looking behind `end`.
    fn reach(&self, end: &str) -> Result<HashSet<&str>> {
        let mut reached = HashSet::new();
        let mut open = vec![self.root.as_str()];
        while let Some(package) = open.pop() {
            if reached.insert(package) && self.name(package) != end {
                open.extend(self.uses(package));
            }
        }
        ensure!(reached.len() > 1, "the graph is empty");
        Ok(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packages named by the letters before the arrow use those behind it.
    fn graph(edges: &[(&str, &str, Option<&str>)]) -> Graph {
        let mut nodes: HashMap<String, Vec<Dependency>> = HashMap::new();
        for (from, to, kind) in edges {
            let kind = kind.map(str::to_owned);
            let dependency = Dependency {
                pkg: (*to).to_owned(),
                dep_kinds: vec![DependencyKind { kind }],
            };
            nodes
                .entry((*from).to_owned())
                .or_default()
                .push(dependency);
        }
        Graph {
            root: "cairn".into(),
            names: HashMap::new(),
            nodes,
        }
    }

    fn verdict(edges: &[(&str, &str, Option<&str>)]) -> Result<(), String> {
        let graph = graph(edges);
        let reached = graph.reach(MLX_SYS).unwrap();
        refuse(&graph, &reached, NATIVE).map_err(|error| error.to_string())
    }

    #[test]
    fn a_native_build_is_found_wherever_it_hides() {
        let mlx = ("cairn", "mlx-sys", None);
        let cmake = ("mlx-sys", "cmake", Some("build"));
        assert_eq!(verdict(&[mlx, cmake, ("cmake", "cc", None)]), Ok(()));
        assert_eq!(verdict(&[mlx, ("cairn", "cc", Some("dev"))]), Ok(()));
        let onig = ("tokenizers", "onig", None);
        let refused = verdict(&[
            mlx,
            ("cairn", "tokenizers", None),
            onig,
            ("onig", "cc", Some("build")),
        ]);
        assert_eq!(refused, Err("cc is in the graph, for onig".into()));
        // Also when MLX uses it too.
        let both = verdict(&[
            mlx,
            ("mlx-sys", "cc", Some("build")),
            ("cairn", "cc", Some("build")),
        ]);
        assert_eq!(both, Err("cc is in the graph, for cairn".into()));
    }

    #[test]
    fn cargo_s_answer_is_understood() {
        let json = br#"{"packages": [{"id": "r", "name": "cairn"}, {"id": "c", "name": "cc"}],
            "resolve": {"root": "r", "nodes": [
                {"id": "r", "deps": [{"pkg": "c", "dep_kinds": [{"kind": null}]}]},
                {"id": "c", "deps": []}]}}"#;
        let graph = Graph::read(json).unwrap();
        let reached = graph.reach("").unwrap();
        assert_eq!(reached.len(), 2);
        assert!(refuse(&graph, &reached, NATIVE).is_err());
    }
}
