//! What cairn computes with: this build, the processor, the memory, and the bundle
//! that would be opened.

use std::path::PathBuf;

use super::{Check, Status};
use crate::backend::cpu::{CpuBackend, CpuOptions};
use crate::backend::{Backend, available_memory};
use crate::bundle::Bundle;
use crate::cli::bench::machine::Machine;
use crate::cli::demo;
use crate::cli::setup::Failure;
use crate::model::BackendKind;

const GROUP: &str = "machine";

/// `model` is the bundle's folder, none for the demo, or why there is no such one.
pub fn checks(model: Result<Option<PathBuf>, Failure>) -> Vec<Check> {
    let here = Machine::here();
    vec![
        version(),
        backend(),
        mlx(),
        processor(&here),
        memory(&here),
        bundle(model),
    ]
}

fn version() -> Check {
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let build = match cfg!(debug_assertions) {
        true => ", a slow debug build",
        false => "",
    };
    let detail = format!("cairn {}{build}, {system}", env!("CARGO_PKG_VERSION"));
    Check::new(GROUP, "version", Status::Ok, detail)
}

fn backend() -> Check {
    match CpuBackend::new(&CpuOptions::default()) {
        Ok(backend) => Check::new(GROUP, "backend", Status::Ok, backend.describe()),
        Err(error) => Check::new(GROUP, "backend", Status::Fail, format!("cpu: {error}")),
    }
}

fn mlx() -> Check {
    let built_in = cfg!(any(
        feature = "mlx",
        all(target_os = "macos", target_arch = "aarch64")
    ));
    let (status, detail) = match (built_in, BackendKind::default()) {
        (true, BackendKind::Mlx) => (Status::Ok, "built in, used by default"),
        (true, BackendKind::Cpu) => (Status::Ok, "built in, used with --backend mlx"),
        (false, _) => (Status::None, "not in this build"),
    };
    Check::new(GROUP, "mlx", status, detail)
}

fn processor(here: &Machine) -> Check {
    let count = match here.processors {
        1 => "1 processor".to_owned(),
        n => format!("{n} processors"),
    };
    let features = features();
    let features = match features.is_empty() {
        true => "none of the known instruction sets".to_owned(),
        false => features.join(" "),
    };
    let detail = format!("{}, {count}: {features}", here.cpu);
    Check::new(GROUP, "processor", Status::Ok, detail)
}

/// Instruction sets that kernels are written for, or could be.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let all = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vbmi", is_x86_feature_detected!("avx512vbmi")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
    ];
    #[cfg(target_arch = "aarch64")]
    let all = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        (
            "dotprod",
            std::arch::is_aarch64_feature_detected!("dotprod"),
        ),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let all: [(&str, bool); 0] = [];
    let there = all.into_iter().filter(|(_, there)| *there);
    there.map(|(name, _)| name).collect()
}

fn memory(here: &Machine) -> Check {
    let detail = match (here.memory_bytes, available_memory()) {
        (Some(all), Some(left)) => format!("{} in all, {} available", size(all), size(left)),
        (Some(all), None) => format!("{} in all", size(all)),
        _ => return Check::new(GROUP, "memory", Status::None, "the system does not say"),
    };
    Check::new(GROUP, "memory", Status::Ok, detail)
}

fn bundle(model: Result<Option<PathBuf>, Failure>) -> Check {
    let opened = match model {
        Err(failure) => return Check::new(GROUP, "bundle", Status::Fail, failure.message),
        Ok(Some(dir)) => Bundle::open(&dir),
        Ok(None) => Bundle::embedded(demo::NAME, &demo::FILES),
    };
    let report = match opened {
        Ok(bundle) => bundle.report(),
        Err(error) => return Check::new(GROUP, "bundle", Status::Fail, error.to_string()),
    };
    let what = format!(
        "{}, {}, {}",
        report.name,
        size(report.bytes),
        report.verdict
    );
    let (status, detail) = match available_memory() {
        Some(left) if left < report.bytes => (
            Status::Warn,
            format!("{what}; only {} of memory are available", size(left)),
        ),
        Some(_) => (Status::Ok, format!("{what}, fits in memory")),
        None => (Status::Ok, what),
    };
    Check::new(GROUP, "bundle", status, detail)
}

/// 3_600_000_000 as "3.6 GB".
pub fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.1} GB", bytes as f64 / 1e9),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
