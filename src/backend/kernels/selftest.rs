//! Runs kernels on a device, against their references: every shape that a spec
//! lists, and a few random ones. Whether a kernel may be used is decided here,
//! the same way on a user's machine and in the emulator's tests.

use super::{Comparison, Dims, HostArray, KernelSpec, Port, Random, compare_all};

/// Something that runs kernels.
pub trait Runner {
    /// For people, and to tell devices apart.
    fn device(&self) -> String;

    /// Outputs in the order of the spec. Never called with an empty grid.
    ///
    /// # Errors
    /// What the device or its compiler says.
    fn run(
        &self,
        spec: &KernelSpec,
        dims: &Dims,
        inputs: &[HostArray],
    ) -> Result<Vec<HostArray>, String>;
}

/// Random calls per kernel.
pub const RANDOM_CALLS: usize = 12;

/// Random inputs per call, at most.
const MOST_INPUTS: usize = 5;

/// Characters of a reason; a compiler's complaint can fill screens.
const LONGEST_REASON: usize = 1000;

/// What came of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: &'static str,
    /// The call's dimensions, but for those that follow from others.
    pub shape: String,
    /// Relative to the largest magnitude of a row; `None` if it did not run.
    pub max_error: Option<f64>,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Agrees,
    Differs,
    /// It could not be run; one line why.
    Failed(String),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agrees => f.write_str("agrees"),
            Self::Differs => f.write_str("differs"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

/// The calls that [`selftest`] makes: listed ones, then random ones.
pub fn calls(spec: &KernelSpec, seed: u64) -> Vec<Dims> {
    drawn(spec, &mut Random::new(seed))
}

fn drawn(spec: &KernelSpec, random: &mut Random) -> Vec<Dims> {
    let mut calls: Vec<Dims> = spec.shapes.iter().map(|pairs| Dims::new(pairs)).collect();
    // Random calls that the kernel can't do are not made; listed ones
    // that it can't do are a mistake in the list, and fail.
    calls.extend(
        (0..RANDOM_CALLS)
            .map(|_| (spec.random_shape)(random))
            .filter(|dims| (spec.supports)(dims)),
    );
    calls
}

/// Calls every kernel; `progress` sees each line as it comes. The same seed
/// makes the same calls.
pub fn selftest(
    runner: &dyn Runner,
    specs: &[&KernelSpec],
    seed: u64,
    progress: &mut dyn FnMut(&Line),
) -> Vec<Line> {
    let mut lines = Vec::new();
    for spec in specs {
        let mut random = Random::new(seed);
        for dims in drawn(spec, &mut random) {
            let line = call(runner, spec, &dims, &mut random);
            progress(&line);
            lines.push(line);
        }
    }
    lines
}

/// A kernel as a whole: as bad as its worst call. One without calls failed.
pub fn overall(lines: &[Line], name: &str) -> Verdict {
    let mut verdict = Verdict::Failed("it was not tested".into());
    for (i, line) in lines.iter().filter(|line| line.name == name).enumerate() {
        match (&verdict, &line.verdict) {
            (Verdict::Agrees, worse) => verdict = worse.clone(),
            (Verdict::Differs, Verdict::Failed(_)) => verdict = line.verdict.clone(),
            _ if i == 0 => verdict = line.verdict.clone(),
            _ => {}
        }
    }
    verdict
}

fn call(runner: &dyn Runner, spec: &KernelSpec, dims: &Dims, random: &mut Random) -> Line {
    let outcome = attempt(runner, spec, dims, random);
    let (max_error, verdict) = match outcome {
        Ok(comparison) if comparison.agrees => (Some(comparison.max_error), Verdict::Agrees),
        Ok(comparison) => (Some(comparison.max_error), Verdict::Differs),
        Err(reason) => {
            let reason = one_line(&reason, LONGEST_REASON);
            (None, Verdict::Failed(reason))
        }
    };
    Line {
        name: spec.name,
        shape: dims.to_string(),
        max_error,
        verdict,
    }
}

/// Words with single spaces between them, no controls, at most so many characters.
pub(super) fn one_line(text: &str, longest: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: Vec<char> = words.join(" ").chars().collect();
    let shown = line.iter().filter(|c| !c.is_control());
    match line.len() > longest {
        true => shown.take(longest).chain(['…'].iter()).collect(),
        false => shown.collect(),
    }
}

/// One call. Where all that it computes is zero, as for rows that skip, it shows
/// little: other inputs follow, until one shows more.
fn attempt(
    runner: &dyn Runner,
    spec: &KernelSpec,
    dims: &Dims,
    random: &mut Random,
) -> Result<Comparison, String> {
    if !(spec.supports)(dims) {
        return Err("a listed call that the kernel does not support".into());
    }
    let mut worst = Comparison {
        max_error: 0.0,
        agrees: true,
    };
    for _ in 0..MOST_INPUTS {
        let (comparison, telling) = compute(runner, spec, dims, random)?;
        worst.max_error = worst.max_error.max(comparison.max_error);
        worst.agrees &= comparison.agrees;
        if telling {
            break;
        }
    }
    Ok(worst)
}

/// Whether outputs agree, and whether there is anything but zeros in them or
/// there never can be.
fn compute(
    runner: &dyn Runner,
    spec: &KernelSpec,
    dims: &Dims,
    random: &mut Random,
) -> Result<(Comparison, bool), String> {
    let inputs = (spec.random_inputs)(dims, random);
    check_ports("input", spec.inputs, dims, &inputs)?;
    let reference = (spec.reference)(dims, &inputs);
    check_ports("output", spec.outputs, dims, &reference)?;
    let got = if (spec.grid)(dims).contains(&0) {
        // Nothing to launch, so there must be nothing to compute.
        if reference.iter().any(|output| !output.is_empty()) {
            return Err("an empty grid, but outputs to write".into());
        }
        reference.clone()
    } else {
        runner.run(spec, dims, &inputs)?
    };
    let values: Vec<f64> = reference.iter().flat_map(HostArray::to_f64).collect();
    let telling = values.is_empty() || values.iter().any(|&x| x != 0.0);
    Ok((compare_all(&got, &reference)?, telling))
}

/// Whether arrays are what the spec says of them: a mistake in a spec is not
/// to look like one in a kernel.
fn check_ports(
    what: &str,
    ports: &[Port],
    dims: &Dims,
    arrays: &[HostArray],
) -> Result<(), String> {
    if ports.len() != arrays.len() {
        return Err(format!("{} {what}s, not {}", arrays.len(), ports.len()));
    }
    for (port, array) in ports.iter().zip(arrays) {
        let shape = port.shape(dims);
        if array.shape != shape || !port.elements.contains(&array.element()) {
            return Err(format!(
                "{what} {} is {:?} {:?}, declared {:?} {shape:?}",
                port.name,
                array.element(),
                array.shape,
                port.elements
            ));
        }
    }
    Ok(())
}
