//! `cairn selftest-kernels`: the calls of every Metal kernel on whatever this
//! machine computes with, against plain references, a line each.

#[cfg_attr(
    any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")),
    path = "mlx.rs"
)]
#[cfg_attr(
    not(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64"))),
    path = "no_mlx.rs"
)]
mod mlx;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use super::fail;
use crate::agent::Exit;
use crate::backend::cpu::CpuRunner;
use crate::backend::kernels::{self, KernelSpec, Line, Record, Runner, SEED, Verdict, overall};
use crate::model::BackendKind;
use crate::sandbox::sanitize;

/// What is tested, in the order in which it is relied on.
pub struct Bench<'a> {
    /// The first line: what this is.
    pub title: String,
    pub by: By,
    pub runner: &'a dyn Runner,
    /// What replaces the kernels that don't agree.
    pub fallback: Option<&'a dyn Runner>,
    /// Where the verdicts go that later starts look up.
    pub record: Option<Record<'a>>,
}

/// What does a kernel's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Kernel,
    Fallback,
    Cpu,
}

impl By {
    fn suffix(self) -> &'static str {
        match self {
            Self::Kernel => "",
            Self::Fallback => " (fallback)",
            Self::Cpu => " (cpu)",
        }
    }
}

/// The command. Without `asked` it tests MLX where the build has it.
pub fn run(asked: Option<BackendKind>) -> Exit {
    match asked {
        Some(BackendKind::Cpu) => on_cpu("on the CPU backend"),
        Some(BackendKind::Mlx) => mlx::run(),
        None => mlx::preferred(),
    }
}

fn on_cpu(what: &str) -> Exit {
    let runner = match CpuRunner::new(0) {
        Ok(runner) => runner,
        Err(error) => return fail(Exit::Internal, &error.to_string()),
    };
    printed(Bench {
        title: format!("{what} ({})", runner.device()),
        by: By::Cpu,
        runner: &runner,
        fallback: None,
        record: None,
    })
}

fn printed(bench: Bench<'_>) -> Exit {
    match report(bench, kernels::ALL, &mut io::stdout().lock()) {
        Ok(exit) => exit,
        // A reader that went away is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => fail(Exit::Internal, &format!("stdout: {error}")),
    }
}

/// Tests each kernel, a line per call, and says what will be used. Failure is
/// when something is used that does not agree.
///
/// # Errors
/// If `out` can't be written to.
pub fn report(
    mut bench: Bench<'_>,
    specs: &[&KernelSpec],
    out: &mut dyn Write,
) -> io::Result<Exit> {
    writeln!(out, "{}", sanitize::for_line(&bench.title))?;
    let (mut summary, mut replaced, mut wrong) = (String::new(), 0, 0);
    for spec in specs {
        let verdict = match &mut bench.record {
            Some(record) => each(spec, bench.by, out, |progress| {
                record.test(bench.runner, spec, progress)
            })?,
            None => tested(spec, bench.by, bench.runner, out)?,
        };
        let mut verdicts = vec![(verdict, bench.by)];
        if let Some(fallback) = bench.fallback.filter(|_| !agrees(&verdicts)) {
            replaced += 1;
            let verdict = tested(spec, By::Fallback, fallback, out)?;
            verdicts.push((verdict, By::Fallback));
        }
        wrong += usize::from(!agrees(&verdicts));
        let verdicts: Vec<String> = verdicts.iter().map(|(v, by)| shown(v, *by)).collect();
        summary += &format!("{:<15}  {}\n", spec.name, verdicts.join("; "));
    }
    write!(out, "\n{summary}")?;
    if let Some(trouble) = bench.record.as_ref().and_then(Record::trouble) {
        let trouble = sanitize::for_line(trouble);
        writeln!(out, "the verdicts were not kept: {trouble}")?;
    }
    let all = specs.len();
    match (wrong, replaced) {
        (0, 0) => writeln!(out, "all {all} agree")?,
        (0, _) => {
            let kept = all - replaced;
            writeln!(
                out,
                "{kept} of {all} kernels are used, slower operations replace {replaced}"
            )?;
        }
        _ => writeln!(
            out,
            "{wrong} of {all} can't be trusted and have no replacement: answers may be wrong"
        )?,
    }
    out.flush()?;
    Ok(match wrong {
        0 => Exit::Done,
        _ => Exit::Internal,
    })
}

/// Whether the last of them does.
fn agrees(verdicts: &[(Verdict, By)]) -> bool {
    verdicts
        .last()
        .is_some_and(|(verdict, _)| *verdict == Verdict::Agrees)
}

fn tested(
    spec: &KernelSpec,
    by: By,
    runner: &dyn Runner,
    out: &mut dyn Write,
) -> io::Result<Verdict> {
    each(spec, by, out, |progress| {
        let lines = kernels::selftest(runner, &[spec], SEED, progress);
        overall(&lines, spec.name)
    })
}

/// Prints the lines of a test as they come.
fn each(
    spec: &KernelSpec,
    by: By,
    out: &mut dyn Write,
    test: impl FnOnce(&mut dyn FnMut(&Line)) -> Verdict,
) -> io::Result<Verdict> {
    let shapes = kernels::calls(spec, SEED)
        .into_iter()
        .map(|c| c.to_string());
    let width = shapes.map(|shape| shape.len()).max().unwrap_or(0);
    let mut written = Ok(());
    let verdict = test(&mut |line| {
        let error = line.max_error.map_or("-".into(), |e| format!("{e:.1e}"));
        let verdict = shown(&line.verdict, by);
        if written.is_ok() {
            written = writeln!(
                out,
                "{:<15}  {:<width$}  {error:>7}  {verdict}",
                line.name, line.shape
            )
            .and_then(|()| out.flush());
        }
    });
    written.map(|()| verdict)
}

/// `agrees (fallback)`
fn shown(verdict: &Verdict, by: By) -> String {
    let verdict = verdict.to_string();
    format!("{}{}", sanitize::for_line(&verdict), by.suffix())
}
