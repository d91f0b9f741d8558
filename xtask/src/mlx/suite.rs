//! `cargo xtask mlx-test`: the tests that need MLX, and the proof that they ran.
//! They are known by their names: files `tests/mlx_*.rs`, and the library's unit
//! tests under `backend::mlx`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

const UNIT_TESTS: &str = "backend::mlx";

/// Runs them all, even after a failure. Says how many passed.
pub fn run() -> Result<String> {
    let files = files()?;
    let mut build = super::cargo("test")?;
    build.args(["--no-run", "--package", "cairn", "--lib"]);
    for file in &files {
        build.args(["--test", file]);
    }
    crate::execute(&mut build, "building the MLX tests")?;

    let mut total = Count::default();
    let mut failed = Vec::new();
    let mut note = |name: &str, outcome: Result<Count>, may_be_empty: bool| match outcome {
        Ok(count) if count.passed == 0 && !may_be_empty => {
            failed.push(format!("{name}: no test ran"));
        }
        Ok(count) => {
            total.passed += count.passed;
            total.ignored += count.ignored;
        }
        Err(error) => failed.push(format!("{name}: {error:#}")),
    };
    note(UNIT_TESTS, test(&["--lib", UNIT_TESTS]), true);
    for file in &files {
        note(file, test(&["--test", file]), false);
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    ensure!(
        total.passed > 0,
        "no MLX tests found: neither tests/mlx_*.rs nor unit tests in {UNIT_TESTS}"
    );
    let ignored = match total.ignored {
        0 => String::new(),
        ignored => format!(", {ignored} ignored"),
    };
    let places = [&[UNIT_TESTS.to_owned()], files.as_slice()].concat();
    Ok(format!(
        "{} tests passed{ignored} in {}",
        total.passed,
        places.join(", ")
    ))
}

/// The names of `tests/mlx_*.rs`, without the ending.
fn files() -> Result<Vec<String>> {
    let folder = crate::root().join("tests");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name();
        if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".rs"))
            && stem.starts_with("mlx_")
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    passed: usize,
    ignored: usize,
}

/// Runs the tests of one target, passing on what they print.
fn test(target: &[&str]) -> Result<Count> {
    let mut command = super::cargo("test")?;
    command.args(["--quiet", "--package", "cairn"]).args(target);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo can't be started")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let count = count(BufReader::new(output), &mut std::io::stdout())?;
    let status = child.wait()?;
    ensure!(status.success(), "tests failed ({status})");
    Ok(count)
}

/// Adds up what the test programs say of themselves, passing it on.
fn count(output: impl BufRead, echo: &mut impl Write) -> Result<Count> {
    let mut count = Count::default();
    for line in output.split(b'\n') {
        let mut line = line?;
        line.push(b'\n');
        echo.write_all(&line)?;
        if let Some(more) = result(&String::from_utf8_lossy(&line)) {
            count.passed += more.passed;
            count.ignored += more.ignored;
        }
    }
    Ok(count)
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn result(line: &str) -> Option<Count> {
    let counts = line.trim().strip_prefix("test result:")?;
    let number = |what: &str| {
        let before = counts.split_once(what)?.0;
        before.split_whitespace().last()?.parse().ok()
    };
    Some(Count {
        passed: number(" passed")?,
        ignored: number(" ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 4 filtered out";
        let count = Count {
            passed: 12,
            ignored: 3,
        };
        assert_eq!(result(line), Some(count));
        assert_eq!(result("test tools::result: ok"), None);
        let (two, mut echo) = (format!("{line}\n.\n{line}\n"), Vec::new());
        assert_eq!(super::count(two.as_bytes(), &mut echo).unwrap().passed, 24);
        assert_eq!(echo, two.as_bytes());
    }
}
