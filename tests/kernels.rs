//! Every Metal kernel in the emulator, against its reference; and the emulator
//! itself, against kernels that are wrong on purpose.

mod emulator;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn::backend::kernels::{self, KernelSpec, Verdict, overall, selftest};
use emulator::runner::EmuRunner;

const SEED: u64 = 0x5eed;

/// Each spec on a thread of its own: compiling them is most of the work.
fn all_agree(specs: &[&KernelSpec]) {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let complaints = Mutex::new(Vec::new());
    let one = |spec: &KernelSpec| {
        let lines = selftest(&runner, &[spec], SEED, &mut |line| {
            let error = line.max_error.map_or("-".into(), |e| format!("{e:.1e}"));
            let (name, shape, verdict) = (line.name, &line.shape, &line.verdict);
            println!("{name:<16} {error:>8}  {verdict}  {shape}");
            if *verdict != Verdict::Agrees {
                let complaint = format!("{name} {shape}: {verdict} {error}");
                complaints.lock().unwrap().push(complaint);
            }
        });
        assert_eq!(overall(&lines, spec.name), Verdict::Agrees, "{}", spec.name);
    };
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(spec) = specs.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(spec);
        }
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let finished = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().all(|thread| thread.join().is_ok())
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(
        finished && complaints.is_empty(),
        "{}",
        complaints.join("\n")
    );
}

#[test]
fn every_kernel_agrees_with_its_reference() {
    all_agree(kernels::ALL);
}

#[test]
fn every_kernel_stays_within_the_subset() {
    let complaints: Vec<String> = kernels::ALL
        .iter()
        .flat_map(|spec| [emulator::lint::check(spec), emulator::spaces::check(spec)])
        .flatten()
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn samples_agree() {
    use emulator::samples::{ADD, MATMUL, MEAN, TRANSPOSE};
    all_agree(&[&ADD, &MEAN, &TRANSPOSE, &MATMUL]);
}

/// Not only as near as any kernel: rotated activations have the bits that the
/// encoder's own rotation gives.
#[test]
fn rotations_are_those_of_the_encoder() {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let spec = &kernels::HADAMARD_ROTATE;
    for width in [7, 255, 1280, 2048] {
        let dims = kernels::Dims::new(&[("ROWS", 2), ("WIDTH", width)]);
        let inputs = (spec.random_inputs)(&dims, &mut kernels::Random::new(SEED));
        let outputs = kernels::Runner::run(&runner, spec, &dims, &inputs).unwrap();
        let floats = |array: &kernels::HostArray| -> Vec<f32> {
            array.to_f64().iter().map(|&x| x as f32).collect()
        };
        let (mut expected, signs) = (floats(&inputs[0]), floats(&inputs[1]));
        for row in expected.chunks_mut(width) {
            cairn::quant::rotate(row, &signs);
        }
        assert_eq!(floats(&outputs[0]), expected, "width {width}");
    }
}
