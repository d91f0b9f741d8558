//! Every Metal kernel in the emulator, against its reference; and the emulator
//! itself, against kernels that are wrong on purpose.

mod emulator;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn::backend::kernels::{
    self, Dims, KernelSpec, Random, Runner, Verdict, compare_all, overall, selftest,
};
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

/// Takes away each threadgroup barrier of each kernel in turn: a listed call must
/// notice. A header's may be of no use to some of the kernels that share it.
///
/// A simdgroup's barrier can't be missed like this where a simd function stands
/// beside it, because in the emulator lanes wait for each other there as well.
#[test]
fn every_barrier_is_missed() {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let mut noticed = BTreeMap::new();
    for spec in kernels::ALL {
        for text in [spec.header, spec.source] {
            for barrier in barriers(text) {
                let without = [&text[..barrier.start], &text[barrier.end..]].concat();
                let without: &'static str = without.leak();
                let broken = if text == spec.header {
                    KernelSpec {
                        header: without,
                        ..**spec
                    }
                } else {
                    KernelSpec {
                        source: without,
                        ..**spec
                    }
                };
                // What stands before it names it, whatever kernel it is read for.
                let before: Vec<&str> = text[..barrier.end].lines().rev().take(4).collect();
                *noticed.entry(before).or_insert(false) |= is_noticed(&runner, spec, &broken);
            }
        }
    }
    for (place, noticed) in noticed {
        assert!(noticed, "nothing misses the barrier after {place:?}");
    }
}

/// From the name to the semicolon.
fn barriers(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("threadgroup_barrier(")
        .map(|(start, _)| start..start + text[start..].find(';').unwrap())
}

/// Whether a broken kernel fails or differs; on the last listed calls, which are
/// the large ones.
fn is_noticed(runner: &EmuRunner, spec: &KernelSpec, broken: &KernelSpec) -> bool {
    let calls = spec.shapes.iter().rev().map(|pairs| Dims::new(pairs));
    let calls = calls.filter(|dims| !(spec.grid)(dims).contains(&0));
    calls.take(3).any(|dims| {
        let inputs = (spec.random_inputs)(&dims, &mut Random::new(SEED));
        runner.run(broken, &dims, &inputs).map_or(true, |got| {
            let reference = (spec.reference)(&dims, &inputs);
            !compare_all(&got, &reference).unwrap().agrees
        })
    })
}
