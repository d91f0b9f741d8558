//! Every Metal kernel in the emulator, against its reference; and the emulator
//! itself, against kernels that are wrong on purpose.

mod emulator;

use cairn::backend::kernels::{self, Verdict, overall, selftest};
use emulator::runner::EmuRunner;

const SEED: u64 = 0x5eed;

fn all_agree(specs: &[&kernels::KernelSpec]) {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let mut complaints = Vec::new();
    let lines = selftest(&runner, specs, SEED, &mut |line| {
        let error = line.max_error.map_or("-".into(), |e| format!("{e:.1e}"));
        println!(
            "{:<24} {:<48} {error:>8}  {}",
            line.name, line.shape, line.verdict
        );
        if line.verdict != Verdict::Agrees {
            complaints.push(format!(
                "{} {}: {} {error}",
                line.name, line.shape, line.verdict
            ));
        }
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for spec in specs {
        assert_eq!(overall(&lines, spec.name), Verdict::Agrees, "{}", spec.name);
    }
}

#[test]
fn every_kernel_agrees_with_its_reference() {
    all_agree(kernels::ALL);
}

#[test]
fn every_kernel_stays_within_the_subset() {
    let complaints: Vec<String> = kernels::ALL
        .iter()
        .flat_map(|spec| emulator::lint::check(spec))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn samples_agree() {
    use emulator::samples::{ADD, MATMUL, MEAN, TRANSPOSE};
    all_agree(&[&ADD, &MEAN, &TRANSPOSE, &MATMUL]);
}
