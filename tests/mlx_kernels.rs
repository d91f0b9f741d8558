#![cfg(feature = "mlx")]
//! What replaces the Metal kernels: every call that a kernel is tested with, in
//! MLX's own operations, against the same references.

mod selftest_support;

use cairn::backend::kernels::{
    self, Dims, HADAMARD_ROTATE, HostArray, KernelSpec, Line, Random, Runner, SEED, Verdict,
};
use cairn::backend::mlx::Session;
use selftest_support::{cairn, complete};

/// All calls of a kernel through its replacement.
fn agrees(spec: &KernelSpec) -> Vec<Line> {
    let session = Session::start().unwrap();
    let lines = kernels::selftest(&session.fallbacks(), &[spec], SEED, &mut |_| {});
    for line in &lines {
        let error = line.max_error;
        assert_eq!(line.verdict, Verdict::Agrees, "{} {error:?}", line.shape);
        assert!(error.is_some_and(|e| e <= 1e-5), "{} {error:?}", line.shape);
    }
    assert!(lines.len() > spec.shapes.len(), "random calls, too");
    let without_rows = |line: &&Line| line.shape.starts_with("ROWS=0 ");
    assert!(lines.iter().any(|line| without_rows(&line)), "no rows");
    lines
}

#[test]
fn the_table_of_replacements_is_complete_and_every_one_agrees() {
    for spec in kernels::ALL {
        agrees(spec);
    }
}

/// The state of a sequence that gets no row is what it was.
#[test]
fn prefill_without_rows_hands_the_state_on() {
    let session = Session::start().unwrap();
    let spec = &kernels::CCA_PREFILL;
    let dims = Dims::new(spec.shapes[0]);
    assert_eq!(dims.get("ROWS"), 0);
    let inputs = (spec.random_inputs)(&dims, &mut Random::new(SEED));
    let outputs = session.fallbacks().run(spec, &dims, &inputs).unwrap();
    assert!(outputs[..3].iter().all(HostArray::is_empty));
    assert_eq!(outputs[3..], inputs[4..6]);
}

/// Where there is no Metal there is no kernel, and what MLX says against inputs
/// is a line, not the end.
#[test]
fn what_mlx_refuses_is_a_line() {
    let session = Session::start().unwrap();
    assert!(session.metal().is_none());
    let spec = &HADAMARD_ROTATE;
    let dims = Dims::new(&[("ROWS", 2), ("WIDTH", 8)]);
    let mut inputs = (spec.random_inputs)(&dims, &mut Random::new(SEED));
    inputs[1] = HostArray::f32(&[3], vec![1.0; 3]);
    let refused = session.fallbacks().run(spec, &dims, &inputs).unwrap_err();
    assert!(refused.contains("broadcast"), "{refused}");
    inputs.pop();
    let refused = session.fallbacks().run(spec, &dims, &inputs).unwrap_err();
    assert!(refused.contains("the inputs of another"), "{refused}");
}

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
        "--cache",
        "off",
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
