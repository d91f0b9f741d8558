//! Reports on devices that are right, wrong, or can't run a kernel.

use super::*;
use crate::backend::kernels::{ALL, Dims, HADAMARD_ROTATE, HostArray, Key, MXTQ_MATVEC, prove};

/// A device that computes what a reference says, except for one kernel.
struct Device {
    flaw: Option<(&'static str, Flaw)>,
}

#[derive(Clone, Copy)]
enum Flaw {
    Differs,
    Refuses,
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
        let outputs = (spec.reference)(dims, inputs);
        match self.flaw.filter(|(name, _)| *name == spec.name) {
            None => Ok(outputs),
            Some((_, Flaw::Refuses)) => Err("program_source:7:\n\u{1b}[31mno".into()),
            Some((_, Flaw::Differs)) => {
                let doubled = |y: &HostArray| {
                    let values: Vec<f64> = y.to_f64().iter().map(|y| 2.0 * y).collect();
                    HostArray::rounded(&y.shape, &values, y.element())
                };
                Ok(outputs.iter().map(doubled).collect())
            }
        }
    }
}

const SPECS: &[&KernelSpec] = &[&HADAMARD_ROTATE, &MXTQ_MATVEC];
const SOUND: Device = Device { flaw: None };

fn flawed(flaw: Flaw) -> Device {
    Device {
        flaw: Some(("mxtq_matvec", flaw)),
    }
}

fn bench<'a>(runner: &'a Device, fallback: Option<&'a dyn Runner>) -> Bench<'a> {
    Bench {
        title: "on Test GPU".into(),
        by: By::Kernel,
        runner,
        fallback,
        record: None,
    }
}

/// The status, the lines of calls and what stands below them.
fn reported(bench: Bench<'_>) -> (Exit, Vec<String>, String) {
    let mut out = Vec::new();
    let exit = report(bench, SPECS, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let (calls, end) = text.split_once("\n\n").unwrap();
    let calls = calls.lines().map(str::to_owned).collect();
    (exit, calls, end.to_owned())
}

#[test]
fn kernels_that_agree_are_used() {
    let (exit, calls, end) = reported(bench(&SOUND, Some(&SOUND)));
    assert_eq!(exit, Exit::Done);
    assert_eq!(calls[0], "on Test GPU");
    let expected = "hadamard_rotate  ROWS=2 WIDTH=7       0.0e0  agrees";
    assert_eq!(calls[3], expected);
    assert!(calls.iter().all(|line| line.len() <= 80), "{calls:#?}");
    assert_eq!(
        end,
        "hadamard_rotate  agrees\nmxtq_matvec      agrees\nall 2 agree\n"
    );
}

#[test]
fn a_kernel_that_differs_is_replaced() {
    let (exit, calls, end) = reported(bench(&flawed(Flaw::Differs), Some(&SOUND)));
    assert_eq!(exit, Exit::Done);
    let differs = calls.iter().filter(|l| l.ends_with(" 1.0e0  differs"));
    assert!(differs.count() > 5, "{calls:#?}");
    let replaced = calls.iter().filter(|l| l.ends_with(" agrees (fallback)"));
    assert!(replaced.count() > 5, "{calls:#?}");
    assert_eq!(
        end,
        "hadamard_rotate  agrees\nmxtq_matvec      differs; agrees (fallback)\n\
         1 of 2 kernels are used, slower operations replace 1\n"
    );
}

#[test]
fn what_nothing_replaces_is_a_failure() {
    let wrong = flawed(Flaw::Refuses);
    for fallback in [None, Some(&wrong as &dyn Runner)] {
        let (exit, calls, end) = reported(bench(&wrong, fallback));
        assert_eq!(exit, Exit::Internal);
        let refused = "       -  failed: program_source:7: [31mno";
        assert!(calls.iter().any(|l| l.ends_with(refused)), "{calls:#?}");
        assert!(
            end.ends_with(
                "1 of 2 can't be trusted and have no replacement: answers may be wrong\n"
            )
        );
    }
}

/// The next start looks the verdicts up.
#[test]
fn verdicts_on_kernels_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let record = |folder| {
        Some(Record::fresh(
            Some(folder),
            Key::new("Test GPU", "1", SPECS),
        ))
    };
    let wrong = flawed(Flaw::Differs);
    let on = |device, record| Bench {
        record,
        ..bench(device, Some(&SOUND))
    };
    reported(on(&wrong, record(folder.path())));
    // This device would agree, but is not asked.
    let proof = prove(&SOUND, SPECS, "1", Some(folder.path()));
    assert_eq!(proof.proven, ["hadamard_rotate"]);
    assert!(proof.notices[0].contains("mxtq_matvec differs"));
    // The command asks.
    reported(on(&SOUND, record(folder.path())));
    let proof = prove(&wrong, SPECS, "1", Some(folder.path()));
    assert_eq!(proof.proven, ["hadamard_rotate", "mxtq_matvec"]);
    assert!(proof.notices.is_empty());

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (exit, _, end) = reported(on(&SOUND, record(&file)));
    assert_eq!(exit, Exit::Done);
    assert!(end.contains("\nthe verdicts were not kept: can't write to "));
}

/// Names fill their column, and no more.
#[test]
fn every_name_fits_its_column() {
    assert!(ALL.iter().all(|spec| spec.name.len() <= 15));
}
