//! What a custom kernel is: text, signature and geometry, as data. A spec says
//! everything that a device, an emulator or a test needs to run it, and holds
//! the plain computation that its results must equal.

use super::{Element, HostArray, Random};

/// Named sizes of one call, e.g. `ROWS = 3`. A kernel's shapes, template
/// arguments and geometry are all functions of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dims(Vec<(&'static str, usize)>);

impl Dims {
    pub fn new(pairs: &[(&'static str, usize)]) -> Self {
        Self(pairs.to_vec())
    }

    /// # Panics
    /// If there is no such name: a spec names only dimensions that its callers
    /// give, which the tests of each spec see.
    pub fn get(&self, name: &str) -> usize {
        match self.0.iter().find(|(n, _)| *n == name) {
            Some(&(_, value)) => value,
            None => panic!("no dimension {name} among {:?}", self.0),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.0.iter().copied()
    }
}

/// Sizes that follow from others.
const DERIVED: &[&str] = &[
    "WORDS",
    "LEVELS",
    "QUERY_WIDTH",
    "KEY_WIDTH",
    "CHANNELS",
    "HALF",
    "CONTEXT",
    "COLUMNS",
    "PAIRS",
];

/// `ROWS=3 IN=256`, for reports; without what follows from the rest.
impl std::fmt::Display for Dims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = self.0.iter().filter(|(name, _)| !DERIVED.contains(name));
        for (i, (name, value)) in told.enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

/// An array that a kernel reads or writes. Row-major, without gaps.
#[derive(Debug)]
pub struct Port {
    /// The pointer's name in the kernel's text.
    pub name: &'static str,
    /// Element types it may have; an output has exactly one.
    pub elements: &'static [Element],
    /// Each extent is a dimension's name or a number.
    pub shape: &'static [&'static str],
}

impl Port {
    pub fn shape(&self, dims: &Dims) -> Vec<usize> {
        self.shape
            .iter()
            .map(|extent| extent.parse().unwrap_or_else(|_| dims.get(extent)))
            .collect()
    }
}

/// A custom kernel. The body in `source` becomes a function whose parameters
/// are `inputs`, then `outputs`, then whatever Metal thread attributes it
/// mentions (`thread_position_in_grid`, ...); where it mentions `NAME_shape`,
/// that input's extents. Dimensions in `template` are integer constants in it.
/// An input of fewer than 8 elements comes in the `constant` address space.
pub struct KernelSpec {
    pub name: &'static str,
    pub inputs: &'static [Port],
    pub outputs: &'static [Port],
    /// Functions that the body calls.
    pub header: &'static str,
    pub source: &'static str,
    /// Dimensions that are compiled in. One that changes from call to call, as
    /// the number of rows, must not be among them.
    pub template: &'static [&'static str],
    /// Threads (not groups) in each direction; 0 anywhere means no work.
    pub grid: fn(&Dims) -> [usize; 3],
    pub threadgroup: fn(&Dims) -> [usize; 3],
    /// Whether the kernel can do such a call at all.
    pub supports: fn(&Dims) -> bool,
    /// Outputs for inputs, computed plainly in f64 and rounded at the end.
    pub reference: fn(&Dims, &[HostArray]) -> Vec<HostArray>,
    /// Calls to test: the edges, and the shapes of ZAYA1-8B.
    pub shapes: &'static [&'static [(&'static str, usize)]],
    /// A random small call.
    pub random_shape: fn(&mut Random) -> Dims,
    /// Random inputs for a call.
    pub random_inputs: fn(&Dims, &mut Random) -> Vec<HostArray>,
}
