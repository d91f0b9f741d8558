#![cfg(feature = "mlx")]
//! The demo model on MLX and on the CPU: the same conversation, and the same
//! tokens one by one.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use cairn::backend::cpu::{CpuOptions, Precision};
use cairn::backend::{KvDtype, SampleSpec};
use cairn::bundle::Bundle;
use cairn::model::{BackendKind, Engine, LoadOptions, Step, StepRow, load};
use serde_json::Value;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");
const TURNS: [&str; 3] = [
    "list the files in src",
    "read src/main.rs",
    "replace hi with ho in src/main.rs",
];

fn workspace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    std::fs::write(dir.path().join("src/main.rs"), "say hi\n").unwrap();
    std::fs::write(dir.path().join("src/lib.rs"), "nothing\n").unwrap();
    dir
}

/// The objects that three turns print, but for what names the run.
fn conversation(backend: &str) -> Vec<Value> {
    let dir = workspace();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.env_remove("CAIRN_MODEL");
    command.env(
        "XDG_STATE_HOME",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/state"),
    );
    command.env(
        "XDG_CACHE_HOME",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"),
    );
    command.env(
        "XDG_CONFIG_HOME",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/config"),
    );
    // What a run before has kept of one backend is nothing that the other has.
    command.args(["--cache", "off"]);
    command.args(["--backend", backend, "--temperature", "0", "--workspace"]);
    command.arg(dir.path());
    command.args(["--allow", "write", "--output", "jsonl"]);
    for turn in TURNS {
        command.args(["--prompt", turn]);
    }
    let output = command.output().unwrap();
    let aside = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{backend}: {aside}");
    // An engine that can't start is replaced by the CPU's, with a line that says so.
    assert!(!aside.contains("on the CPU"), "{aside}");
    let edited = std::fs::read_to_string(dir.path().join("src/main.rs")).unwrap();
    assert_eq!(edited, "say ho\n", "{backend}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let mut object: Value = serde_json::from_str(line).unwrap();
            if let Some(fields) = object.as_object_mut() {
                fields.remove("session");
            }
            object
        })
        .collect()
}

#[test]
fn three_turns_are_those_of_the_cpu() {
    let [mlx, cpu] = ["mlx", "cpu"].map(conversation);
    for (mlx, cpu) in mlx.iter().zip(&cpu) {
        assert_eq!(mlx, cpu);
    }
    assert_eq!(mlx.len(), cpu.len());
    let of_type = |kind: &str| mlx.iter().filter(|object| object["type"] == kind).count();
    let counts = ["usage", "tool_call", "tool_result", "done"].map(of_type);
    assert_eq!(counts, [6, 3, 3, 3]);
}

/// Token by token: ids, what the model thought of them, and the experts.
#[test]
fn every_token_is_that_of_the_cpu() {
    let bundle = Bundle::open(Path::new(DEMO)).unwrap();
    let text = "list the files in src, then read src/main.rs and replace hi with ho";
    let prompt = bundle.tokenizer.encode(text);
    // In halves, numbers that differ in the last place may round to neighbours;
    // what halves cost altogether is a multiple of that.
    for (kv, temperature, within) in [
        (KvDtype::F32, 0.0, 1e-3),
        (KvDtype::F32, 0.8, 1e-3),
        (KvDtype::F16, 0.0, 1e-2),
    ] {
        let [want, got] = [BackendKind::Cpu, BackendKind::Mlx].map(|backend| {
            let options = LoadOptions {
                backend,
                kv,
                cpu: CpuOptions {
                    threads: 2,
                    precision: Precision::F32,
                    ..CpuOptions::default()
                },
                ..LoadOptions::default()
            };
            let engine = load(&bundle, &options).unwrap();
            let name = &engine.info().backend;
            let is_mlx = backend == BackendKind::Mlx;
            assert_eq!(name.starts_with("mlx"), is_mlx, "{name}");
            decode(&*engine, &prompt, temperature)
        });
        for (turn, (got, want)) in got.iter().zip(&want).enumerate() {
            let place = format!("{kv:?}, temperature {temperature}, token {turn}");
            assert_eq!(got.stats.id, want.stats.id, "{place}");
            assert_eq!(got.routes, want.routes, "{place}");
            let near = |a: f32, b: f32| {
                assert!((a - b).abs() < within, "{place}: {a} {b}");
            };
            near(got.stats.logprob, want.stats.logprob);
            near(got.stats.entropy, want.stats.entropy);
            for (got, want) in got.stats.top.iter().zip(&want.stats.top) {
                near(got.logprob, want.logprob);
            }
        }
    }
}

/// 120 tokens after `prompt`, each fed back.
fn decode(engine: &dyn Engine, prompt: &[u32], temperature: f32) -> Vec<Step> {
    let mut cache = engine.new_cache();
    let (last, head) = prompt.split_last().unwrap();
    let flow = engine.prefill(&mut cache, head, &mut |_, _| ControlFlow::Continue(()));
    assert!(flow.unwrap().is_continue());
    let mut token = *last;
    (0..120)
        .map(|_| {
            let spec = SampleSpec {
                temperature,
                seed: 3,
                position: cache.len() as u64 + 1,
                ..SampleSpec::default()
            };
            let row = StepRow {
                cache: &mut cache,
                token,
                spec,
            };
            let step = engine.step(&mut [row]).unwrap().remove(0);
            token = step.stats.id;
            step
        })
        .collect()
}
