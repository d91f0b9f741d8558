//! Address spaces checked by types rather than by text, where a clang is found:
//! Metal's compiler is one, and has the same rules. What `lint` can't see, as a
//! pointer that reaches the wrong space through a template or a `?:`, shows here.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use cairn::backend::kernels::{Dims, Element, KernelSpec};

use super::lint::CONSTANT_BELOW;
use super::runner::{complaint, replace, say};
use super::unit::typed_unit;

/// `None`, and it is said so, if there is no clang.
fn clang() -> Option<&'static str> {
    static CLANG: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let versions = (14..40).rev().map(|version| format!("clang++-{version}"));
        let mut names = std::iter::once("clang++".to_owned()).chain(versions);
        let found = names.find(|name| {
            let status = Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        });
        if found.is_none() {
            say("no clang: address spaces of kernels are checked by their text alone");
        }
        found
    };
    CLANG.get_or_init(find).as_deref()
}

/// What clang says of a kernel at each of its listed calls, each combination of
/// element types and address spaces once.
pub fn check(spec: &KernelSpec) -> Vec<String> {
    let Some(clang) = clang() else {
        return Vec::new();
    };
    let (mut seen, mut complaints) = (BTreeSet::new(), Vec::new());
    for pairs in spec.shapes {
        let dims = Dims::new(pairs);
        for elements in combinations(spec) {
            let spaces: Vec<&str> = spec
                .inputs
                .iter()
                .map(|port| {
                    let count: usize = port.shape(&dims).iter().product();
                    if count < CONSTANT_BELOW {
                        "constant"
                    } else {
                        "device"
                    }
                })
                .collect();
            let text = match typed_unit(spec, &dims, &elements, &spaces) {
                Ok(unit) => unit.text,
                Err(error) => return vec![error],
            };
            if (spec.grid)(&dims).contains(&0) || !seen.insert(text.clone()) {
                continue;
            }
            if let Err(error) = compile(clang, &text) {
                complaints.push(format!("{} {dims} {elements:?}: {error}", spec.name));
            }
        }
    }
    complaints
}

/// All choices of one element type per input.
fn combinations(spec: &KernelSpec) -> Vec<Vec<Element>> {
    let mut all = vec![Vec::new()];
    for port in spec.inputs {
        all = all
            .iter()
            .flat_map(|chosen: &Vec<Element>| {
                port.elements.iter().map(move |&element| {
                    let mut next = chosen.clone();
                    next.push(element);
                    next
                })
            })
            .collect();
    }
    all
}

fn compile(clang: &str, text: &str) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spaces");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    replace(&folder.join("spaces.hpp"), include_str!("shim/spaces.hpp"));
    let mut child = Command::new(clang)
        // A target with 16-bit floats; no headers of any system are used.
        .args([
            "--target=aarch64-unknown-none",
            "-std=c++14",
            "-w",
            "-nostdinc",
        ])
        .args(["-fsyntax-only", "-x", "c++", "-"])
        .arg("-I")
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        std::io::Write::write_all(&mut stdin, text.as_bytes()).map_err(|e| e.to_string())?;
    }
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(complaint(&output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::samples::{ADD, F32, FLOATS, MATMUL, MEAN, TRANSPOSE, port};

    fn complains(header: &'static str, source: &'static str, about: &str) {
        if clang().is_none() {
            return;
        }
        let found = check(&KernelSpec {
            header,
            source,
            ..ADD
        });
        assert!(
            found.iter().any(|complaint| complaint.contains(about)),
            "{source}: {found:?}"
        );
    }

    #[test]
    fn good_kernels_pass() {
        for spec in [&ADD, &MEAN, &TRANSPOSE, &MATMUL] {
            assert_eq!(check(spec), [""; 0], "{}", spec.name);
        }
    }

    /// Halves can't be loaded into a matrix of floats.
    #[test]
    fn a_matrix_is_loaded_from_its_own_type() {
        const HALVES: KernelSpec = KernelSpec {
            inputs: &[port("a", FLOATS, &["M", "K"]), port("b", F32, &["K", "N"])],
            ..MATMUL
        };
        let found = check(&HALVES);
        assert_eq!(found.is_empty(), clang().is_none());
        for complaint in found {
            assert!(!complaint.contains("[F32, F32]"), "{complaint}");
            assert!(complaint.contains("simdgroup_load"), "{complaint}");
        }
    }

    #[test]
    fn spaces_do_not_mix() {
        complains("", "device float* p = a; out[0] = *p;", "add.metal:1");
        complains(
            "",
            "const thread float* p = out; out[0] = *p;",
            "add.metal:1",
        );
        complains(
            "",
            "threadgroup float t[64]; device float* p = t; out[0] = *p;",
            "add.metal:1",
        );
        complains(
            "float f(const device float* x) { return x[0]; }",
            "out[0] = f(a + 1);",
            "no matching function",
        );
        complains(
            "template <typename X, typename Y> float f(X x, Y y, bool c) { return *(c ? x : y); }",
            "out[0] = f(a, out, true);",
            "add.header.metal:1",
        );
    }
}
