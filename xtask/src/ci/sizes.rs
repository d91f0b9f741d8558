//! No file of code grows past 600 lines. Tables and data may reach 1,000, each
//! listed here by name with its reason.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

const LIMIT: usize = 600;
const TABLE_LIMIT: usize = 1000;

/// Files that are one table, and what is in it.
const TABLES: &[(&str, &str)] = &[(
    "models/demo/recipe/datagen.py",
    "wordings and word lists that the demo model is trained on",
)];

/// What counts as code. Data (JSON, safetensors, logs, the lock file) does not.
const CODE: &[&str] = &[
    "rs", "py", "sh", "toml", "jinja", "metal", "h", "hpp", "cpp",
];

pub fn check() -> Result<String> {
    let files = tracked()?;
    let (mut count, mut longest, mut wrong) = (0, (0, String::new()), Vec::new());
    for name in files.iter().filter(|name| is_code(name)) {
        let path = crate::root().join(name);
        if !path.is_file() {
            continue; // deleted, not yet committed
        }
        let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
        let lines = text.lines().count();
        let table = TABLES.iter().any(|(table, _)| table == name);
        let limit = if table { TABLE_LIMIT } else { LIMIT };
        if lines > limit {
            wrong.push(format!("{name}: {lines} lines, {limit} at most: split it"));
        }
        if !table {
            longest = longest.max((lines, name.clone()));
        }
        count += 1;
    }
    for (table, _) in TABLES {
        if !files.iter().any(|name| name == table) {
            wrong.push(format!("{table}: listed as a table, but not there"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let (lines, name) = longest;
    Ok(format!(
        "{count} files, the longest {name} with {lines} lines"
    ))
}

fn is_code(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| CODE.iter().any(|code| extension == *code))
}

/// Files that git tracks or would track.
fn tracked() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(crate::root())
        .output()
        .context("git can't be started")?;
    if !output.status.success() {
        bail!(
            "git ls-files: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}
