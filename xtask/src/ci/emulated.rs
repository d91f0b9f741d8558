//! The jobs that run the CPU backend's tests on something else than this
//! processor: NEON under qemu, and what watches for undefined behaviour. valgrind
//! sees reads of memory that nobody wrote or that is gone, in the vector kernels
//! too (AVX2: it knows no AVX-512). Miri sees every rule of Rust that is broken
//! and every race, of the pool's threads.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::cargo::install_target;

const ARM: &str = "aarch64-unknown-linux-gnu";

/// What the emulated tests are: kernels, pool, memory, and the operations on top.
const CPU: &str = "backend::cpu::";

/// The CPU backend's tests on aarch64, against the bits that x86-64 gives.
pub fn neon() -> Result<String> {
    if cfg!(target_arch = "aarch64") {
        return Ok("the job `test` ran them on this processor".into());
    }
    install_target(ARM)?;
    install(&["qemu-aarch64"], &["qemu-user"])?;
    install(
        &["aarch64-linux-gnu-gcc"],
        &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    )?;
    let runner = "qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu max";
    let mut command = crate::cargo();
    command
        .args(["test", "--package", "cairn", "--lib", "--target", ARM])
        // Half of the time to build is dependencies, which do no work here.
        .args(["--config", "profile.dev.package.\"*\".opt-level=0"])
        .args(["--quiet", CPU])
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
            "aarch64-linux-gnu-gcc",
        )
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner)
        .env("CAIRN_REQUIRE_LEVEL", "Neon");
    crate::execute(&mut command, "the tests on aarch64")?;
    Ok(String::new())
}

/// The kernels' and the pool's tests under valgrind.
pub fn valgrind() -> Result<String> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "valgrind is run on x86-64 Linux only"
    );
    install(&["valgrind"], &["valgrind", "libc6-dbg"])?;
    let runner = "valgrind --quiet --error-exitcode=9 --fair-sched=yes";
    let mut command = crate::cargo();
    command
        .args(["test", "--package", "cairn", "--lib", "--quiet", "--"])
        .args([
            "cpu::panels::",
            "cpu::pool::",
            "cpu::huge::",
            "cpu::level::",
        ])
        .args(["--test-threads", "1"])
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner)
        .env("CAIRN_REQUIRE_LEVEL", "Avx2");
    crate::execute(&mut command, "the tests under valgrind")?;
    Ok(String::new())
}

/// The pool's tests under Miri, which has no mappings for the others.
pub fn miri() -> Result<String> {
    let installed =
        runs(Command::new("rustup").args(["run", "nightly", "cargo-miri", "--version"]));
    if !installed {
        let mut rustup = Command::new("rustup");
        rustup
            .args(["toolchain", "install", "nightly", "--profile", "minimal"])
            .args(["--component", "miri,rust-src"]);
        crate::execute(&mut rustup, "rustup, installing Miri")?;
    }
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "cargo", "miri", "test"])
        .args(["--package", "cairn", "--lib", "--quiet", "--"])
        .arg("cpu::pool::")
        .current_dir(crate::root())
        .stdin(Stdio::null())
        // The clock and the processors are the machine's.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("RUST_BACKTRACE", "0");
    crate::execute(&mut command, "the tests under Miri")?;
    Ok(String::new())
}

/// Whether a command ends well, its output unseen.
fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Sees to it that `programs` are there, which Debian has in `packages`.
fn install(programs: &[&str], packages: &[&str]) -> Result<()> {
    let missing = |programs: &[&str]| {
        programs
            .iter()
            .any(|program| !runs(Command::new(program).arg("--version")))
    };
    if !missing(programs) {
        return Ok(());
    }
    let remedy = format!(
        "{} is missing: as root, `apt-get install {}`",
        programs.join(", "),
        packages.join(" ")
    );
    let id = Command::new("id").arg("-u").output().context("id")?;
    if id.stdout.trim_ascii() != b"0" {
        bail!("{remedy}");
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        apt
    };
    crate::execute(apt().args(["update", "--quiet"]), "apt-get").context(remedy.clone())?;
    let arguments = ["install", "--yes", "--quiet", "--no-install-recommends"];
    crate::execute(apt().args(arguments).args(packages), "apt-get").context(remedy.clone())?;
    ensure!(!missing(programs), remedy);
    Ok(())
}
