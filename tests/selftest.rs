//! `cairn selftest-kernels` from outside, on the CPU backend; what MLX adds to it
//! is in `mlx_kernels.rs`.

mod selftest_support;

use selftest_support::{cairn, complete};

#[test]
fn the_cpu_backend_agrees_with_every_reference() {
    let cache = tempfile::tempdir().unwrap();
    for arguments in [
        ["selftest-kernels", "--backend", "cpu"],
        ["--backend", "cpu", "selftest-kernels"],
    ] {
        let title = complete(&cairn(&cache, &arguments), "agrees (cpu)");
        assert!(title.starts_with("on the CPU backend (cpu, f32 activations, "));
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
