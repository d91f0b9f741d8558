//! Runs `cairn` and reads the report of `cairn selftest-kernels`.

use std::process::{Command, Output};

use cairn::backend::kernels;
use tempfile::TempDir;

/// Without the user's own caches.
pub fn cairn(cache: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.env("XDG_CACHE_HOME", cache.path()).args(arguments);
    command.output().unwrap()
}

/// Checks a whole report: a line for every call, each agreeing.
pub fn complete(output: &Output, verdict: &str) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(output.stderr.is_empty());
    let mut lines = text.lines();
    let title = lines.next().unwrap().to_owned();
    for spec in kernels::ALL {
        for call in kernels::calls(spec, kernels::SEED) {
            let words: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
            let shape = call.to_string();
            let expected: Vec<&str> = shape.split_whitespace().collect();
            assert_eq!(words[0], spec.name);
            assert_eq!(words[1..=expected.len()], expected);
            let error: f64 = words[expected.len() + 1].parse().unwrap();
            assert!((0.0..=1e-5).contains(&error), "{error}");
            assert_eq!(words[expected.len() + 2..].join(" "), verdict);
        }
    }
    assert_eq!(lines.next(), Some(""));
    for spec in kernels::ALL {
        let expected = format!("{:<15}  {verdict}", spec.name);
        assert_eq!(lines.next(), Some(&*expected));
    }
    let all = format!("all {} agree", kernels::ALL.len());
    assert_eq!(lines.next(), Some(&*all));
    assert_eq!(lines.next(), None);
    title
}
