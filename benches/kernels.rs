//! Each kernel of the CPU backend by itself, beside a plain read of memory by
//! the same threads:
//!
//!     cargo bench --bench kernels -- [--threads N] [NAME ...]
//!
//! A NAME selects the groups that contain it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use cairn::backend::cpu::bench::{Case, GROUPS};
use cairn::backend::cpu::{CpuBackend, CpuOptions, read_roof};

/// Time given to each case.
const TIME: Duration = Duration::from_millis(400);

fn main() -> ExitCode {
    let mut options = CpuOptions::default();
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What cargo itself passes.
            "--bench" => {}
            "--threads" => match arguments.next().and_then(|n| n.parse().ok()) {
                Some(threads) => options.threads = threads,
                None => return misuse("--threads takes a number"),
            },
            flag if flag.starts_with('-') => return misuse(&format!("unknown flag {flag}")),
            _ => names.push(argument),
        }
    }
    let (Ok(backend), Ok(roof)) = (CpuBackend::new(&options), read_roof(&options, 1 << 30)) else {
        return misuse("no threads or no memory to measure with");
    };
    println!(
        "{:<20} {:<22} {:>10} {:>8} {:>8} {:>12}",
        "kernel", "", "us", "GB/s", "% roof", "Gweights/s"
    );
    for group in GROUPS {
        if !names.is_empty() && !names.iter().any(|name| group.name.contains(name)) {
            continue;
        }
        for case in group.cases(&backend) {
            let read = roof.measure();
            let seconds = median(&case, &backend);
            let speed = case.bytes as f64 / seconds;
            println!(
                "{:<20} {:<22} {:>10.1} {:>8.1} {:>8.0} {:>12.1}",
                group.name,
                case.name,
                1e6 * seconds,
                speed / 1e9,
                100.0 * speed / read,
                case.products as f64 / seconds / 1e9
            );
        }
    }
    ExitCode::SUCCESS
}

fn misuse(message: &str) -> ExitCode {
    eprintln!("kernels: {message}");
    ExitCode::from(2)
}

/// Seconds of the run in the middle.
fn median(case: &Case, backend: &CpuBackend) -> f64 {
    case.run(backend);
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < TIME || times.len() < 3 {
        let start = Instant::now();
        case.run(backend);
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2].as_secs_f64()
}
