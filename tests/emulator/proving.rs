//! What a start makes of kernels: it tests them once, keeps what it found, and
//! leaves out what does not agree.

use std::cell::Cell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cairn::backend::kernels::{Dims, HostArray, KernelSpec, Proof, Runner, prove};

use super::runner::EmuRunner;
use super::samples::{ADD, MEAN};

static GOOD: KernelSpec = KernelSpec {
    name: "good",
    ..ADD
};
static OTHER: KernelSpec = KernelSpec {
    name: "other",
    ..MEAN
};
static WRONG: KernelSpec = KernelSpec {
    name: "wrong",
    source: "uint i = thread_position_in_grid.x; out[i] = a[i] - b[i];",
    ..ADD
};
static TYPO: KernelSpec = KernelSpec {
    name: "typo",
    source: "uint i = thread_position_in_grid.x; out[i] = a[i] + c[i];",
    ..ADD
};
static KERNELS: &[&KernelSpec] = &[&GOOD, &WRONG, &TYPO, &OTHER];

/// A device that counts, and on which one kernel may end everything.
struct Device {
    emulator: EmuRunner,
    runs: Cell<usize>,
    deadly: &'static str,
}

impl Device {
    fn new() -> Option<Self> {
        Some(Self {
            emulator: EmuRunner::new()?,
            runs: Cell::new(0),
            deadly: "",
        })
    }
}

impl Runner for Device {
    fn device(&self) -> String {
        "Test GPU".into()
    }

    fn run(
        &self,
        spec: &KernelSpec,
        dims: &Dims,
        inputs: &[HostArray],
    ) -> Result<Vec<HostArray>, String> {
        assert_ne!(spec.name, self.deadly, "the whole program ends");
        self.runs.set(self.runs.get() + 1);
        self.emulator.run(spec, dims, inputs)
    }
}

fn start(device: &Device, folder: Option<&Path>) -> Proof {
    prove(device, KERNELS, "test 1", folder)
}

fn verdict_file(folder: &Path) -> PathBuf {
    let json = |path: &PathBuf| path.extension().is_some_and(|e| e == "json");
    let mut files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    files.find(json).unwrap()
}

#[test]
fn only_kernels_that_agree_are_proven_and_one_line_says_so() {
    let Some(device) = Device::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("made/on/the/way");
    let first = start(&device, Some(&cache));
    assert_eq!(first.proven, ["good", "other"]);
    let [notice] = &first.notices[..] else {
        panic!("{:?}", first.notices)
    };
    let refused = "can't be trusted on Test GPU: typo failed: it does not compile";
    assert!(notice.contains(refused), "{notice}");
    assert!(notice.contains("; wrong differs ("), "{notice}");
    assert!(!notice.contains('\n') && notice.len() < 1000, "{notice}");

    let runs = device.runs.replace(0);
    assert!(runs > 20, "{runs}");
    assert_eq!(start(&device, Some(&cache)), first);
    assert_eq!(device.runs.get(), 0, "a second start has nothing to run");

    // Other kernels, another system: another test.
    assert_eq!(
        prove(&device, &[&GOOD], "test 1", Some(&cache)).proven,
        ["good"]
    );
    assert!(device.runs.replace(0) > 0);
    assert_eq!(prove(&device, KERNELS, "test 2", Some(&cache)), first);
    assert_eq!(device.runs.get(), runs);
}

#[test]
fn a_damaged_file_is_no_verdict() {
    let Some(device) = Device::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let first = start(&device, Some(folder.path()));
    let runs = device.runs.replace(0);
    let file = verdict_file(folder.path());
    let sound = fs::read(&file).unwrap();
    for damaged in [&b"{}"[..], b"", &sound[..sound.len() / 2]] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(start(&device, Some(folder.path())), first);
        assert_eq!(device.runs.replace(0), runs);
        assert_eq!(fs::read(&file).unwrap(), sound, "it is written anew");
    }
}

#[test]
fn without_a_folder_to_write_to_kernels_are_tested_all_the_same() {
    let Some(device) = Device::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    // Below a file there can be no folder, whoever asks.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for (place, reason) in [
        (Some(file.join("cache")), "can't write to "),
        (None, "there is no cache folder"),
    ] {
        let proof = start(&device, place.as_deref());
        assert_eq!(proof.proven, ["good", "other"]);
        let [refused, kept] = &proof.notices[..] else {
            panic!("{:?}", proof.notices)
        };
        assert!(refused.contains("wrong differs"), "{refused}");
        assert!(kept.starts_with(reason), "{kept}");
        assert!(kept.contains("tested again at every start"), "{kept}");
        assert!(device.runs.replace(0) > 20);
    }
}

/// A driver that takes the program down does so once.
#[test]
fn a_kernel_whose_test_ends_the_program_is_not_tried_again() {
    let Some(mut device) = Device::new() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    device.deadly = "good";
    let crashed = catch_unwind(AssertUnwindSafe(|| start(&device, Some(folder.path()))));
    assert!(crashed.is_err());
    assert_eq!(device.runs.get(), 0);
    let proof = start(&device, Some(folder.path()));
    assert_eq!(proof.proven, ["other"]);
    let notice = &proof.notices[0];
    let expected = "good failed: its test never came to an end; typo ";
    assert!(notice.contains(expected), "{notice}");
    assert!(device.runs.get() > 0, "the others are tested");
}

/// What another start is about to find out is waited for.
#[test]
fn two_starts_at_once_test_once() {
    let Some(device) = Device::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let alone = start(&device, None).proven;
    let one_start = device.runs.get();
    let proofs: Vec<(Proof, usize)> = std::thread::scope(|scope| {
        let start = || {
            let device = Device::new().unwrap();
            let proof = start(&device, Some(folder.path()));
            (proof, device.runs.get())
        };
        let threads = [(); 3].map(|()| scope.spawn(start));
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let runs: usize = proofs.iter().map(|(_, runs)| runs).sum();
    assert_eq!(runs, one_start);
    for (proof, _) in proofs {
        assert_eq!(proof.proven, alone);
    }
}
