//! `cairn selftest-kernels` from outside, on whatever this build has.

use std::process::{Command, Output};

use cairn::backend::kernels;
use tempfile::TempDir;

/// Without the user's own caches.
fn cairn(cache: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.env("XDG_CACHE_HOME", cache.path()).args(arguments);
    command.output().unwrap()
}

/// Checks a whole report: a line for every call, each agreeing.
fn complete(output: &Output, verdict: &str) -> String {
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

#[test]
fn the_cpu_backend_agrees_with_every_reference() {
    let cache = tempfile::tempdir().unwrap();
    for arguments in [
        ["selftest-kernels", "--backend", "cpu"],
        ["--backend", "cpu", "selftest-kernels"],
    ] {
        let title = complete(&cairn(&cache, &arguments), "agrees (cpu)");
        assert_eq!(title, "on the CPU backend (cpu, f32 activations)");
    }
}

#[cfg(not(any(feature = "mlx", target_os = "macos")))]
mod without_mlx {
    use super::*;

    #[test]
    fn the_cpu_backend_is_what_there_is() {
        let cache = tempfile::tempdir().unwrap();
        let title = complete(&cairn(&cache, &["selftest-kernels"]), "agrees (cpu)");
        assert!(title.starts_with("on the CPU backend: this build has no MLX"));
        assert_eq!(cache.path().read_dir().unwrap().count(), 0);
    }

    /// Wherever MLX is asked for: one line, and misuse.
    #[test]
    fn asking_for_mlx_is_refused_in_one_line() {
        let cache = tempfile::tempdir().unwrap();
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");
        let out = cache.path().join("logits");
        let out = out.to_str().unwrap();
        let logits = [
            "debug", "logits", "--model", dir, "--tokens", "1", "--out", out,
        ];
        let with = |arguments: &[&'static str]| [arguments, &["--backend", "mlx"]].concat();
        for arguments in [
            with(&["--prompt", "hello"]),
            with(&["repl"]),
            with(&["selftest-kernels"]),
            [&logits[..], &["--backend", "mlx"]].concat(),
        ] {
            let output = cairn(&cache, &arguments);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?} {stderr}");
            assert!(output.stdout.is_empty(), "{arguments:?}");
            assert_eq!(
                stderr,
                "cairn: error: this build has no mlx backend; use --backend cpu, \
                 or build with --features mlx (see README.md)\n",
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn asking_for_mlx_is_refused_in_json_too() {
        let cache = tempfile::tempdir().unwrap();
        let arguments = ["--prompt", "hello", "--backend", "mlx", "--output", "jsonl"];
        let output = cairn(&cache, &arguments);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stdout).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["type"], "done");
        assert_eq!(last["reason"], "usage");
        assert!(text.contains("this build has no mlx backend"), "{text}");
    }
}

#[cfg(all(feature = "mlx", target_os = "linux"))]
mod with_mlx {
    use super::*;

    /// What replaces kernels is tested; no verdict on any kernel is kept.
    #[test]
    fn the_replacements_are_what_there_is() {
        let cache = tempfile::tempdir().unwrap();
        for arguments in [
            &["selftest-kernels"][..],
            &["selftest-kernels", "--backend", "mlx"],
        ] {
            let title = complete(&cairn(&cache, arguments), "agrees (fallback)");
            assert!(title.contains("no Metal here"), "{title}");
        }
        assert_eq!(cache.path().read_dir().unwrap().count(), 0);
    }

    /// A conversation tests nothing and has nothing to say.
    #[test]
    fn a_start_without_metal_is_silent() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().to_str().unwrap();
        let arguments = [
            "--backend",
            "mlx",
            "--prompt",
            "hello",
            "--workspace",
            folder,
        ];
        let output = cairn(&cache, &arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        assert!(!stderr.contains("kernel"), "{stderr}");
        assert_eq!(cache.path().read_dir().unwrap().count(), 0);
    }
}
