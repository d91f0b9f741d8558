//! Which kernel does which call: a table. A call that no rule covers, or whose
//! kernel cannot do it, is put together from smaller operations.

use std::ops::RangeInclusive;

use super::{
    CCA_DECODE, CCA_PREFILL, Dims, HADAMARD_ROTATE, KernelSpec, MXTQ_DOWN, MXTQ_GATE_UP,
    MXTQ_MATMUL, MXTQ_MATVEC,
};

/// What a model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The MXTQ rotation of rows.
    Rotate,
    /// Rotated rows times their experts' matrices.
    ExpertLinear,
    /// `silu(gate) * up` of rotated rows.
    GateUp,
    /// The rotation and a product in one.
    Down,
    /// One token of each of several sequences.
    CcaDecode,
    /// Many tokens of one sequence.
    CcaPrefill,
}

/// A row of the table.
pub struct Rule {
    pub operation: Operation,
    /// Code widths (`BITS`); empty where there are no codes.
    pub bits: &'static [usize],
    /// Stacked matrices (`EXPERTS`); [`ANY`] where there are none.
    pub experts: RangeInclusive<usize>,
    /// Rows of activations (`ROWS`).
    pub rows: RangeInclusive<usize>,
    pub kernel: &'static KernelSpec,
}

/// A range that holds every number, and a dimension that a call lacks.
pub const ANY: RangeInclusive<usize> = 0..=usize::MAX;

/// Matrices that are not routed: each row after the first reuses the first's
/// codes, so tiles win early.
const ONE: RangeInclusive<usize> = 0..=1;
const SEVERAL: RangeInclusive<usize> = 2..=usize::MAX;

/// The first rule that covers a call decides.
///
/// The product of few rows reads an expert's codes once for each row, spread over
/// the whole device; a tile reads them once for 32 rows, but works through its
/// experts one after another. So tiles begin to win when an expert has a handful
/// of rows: at 9 rows of one matrix, at 65 rows of 16 experts. The fused kernels
/// are for few rows: with many, the work that they save is small against the
/// codes that tiles decode once.
pub static RULES: &[Rule] = &[
    Rule {
        operation: Operation::Rotate,
        bits: &[],
        experts: ANY,
        rows: ANY,
        kernel: &HADAMARD_ROTATE,
    },
    Rule {
        operation: Operation::ExpertLinear,
        bits: &[2, 4],
        experts: ONE,
        rows: 0..=8,
        kernel: &MXTQ_MATVEC,
    },
    Rule {
        operation: Operation::ExpertLinear,
        bits: &[2, 4],
        experts: SEVERAL,
        rows: 0..=64,
        kernel: &MXTQ_MATVEC,
    },
    Rule {
        operation: Operation::ExpertLinear,
        bits: &[2, 4],
        experts: ANY,
        rows: ANY,
        kernel: &MXTQ_MATMUL,
    },
    Rule {
        operation: Operation::GateUp,
        bits: &[2, 4],
        experts: ONE,
        rows: 0..=8,
        kernel: &MXTQ_GATE_UP,
    },
    Rule {
        operation: Operation::GateUp,
        bits: &[2, 4],
        experts: SEVERAL,
        rows: 0..=64,
        kernel: &MXTQ_GATE_UP,
    },
    Rule {
        operation: Operation::Down,
        bits: &[2, 4],
        experts: ANY,
        rows: 0..=8,
        kernel: &MXTQ_DOWN,
    },
    Rule {
        operation: Operation::CcaDecode,
        bits: &[],
        experts: ANY,
        rows: ANY,
        kernel: &CCA_DECODE,
    },
    Rule {
        operation: Operation::CcaPrefill,
        bits: &[],
        experts: ANY,
        rows: ANY,
        kernel: &CCA_PREFILL,
    },
];

impl Rule {
    /// Whether this rule is about a call; [`KernelSpec::supports`] is not asked.
    pub fn covers(&self, operation: Operation, dims: &Dims) -> bool {
        let find = |name| dims.iter().find(|(n, _)| *n == name).map(|(_, size)| size);
        let within = |range: &RangeInclusive<usize>, name| {
            find(name).map_or(*range == ANY, |size| range.contains(&size))
        };
        let bits = self.bits.is_empty() || find("BITS").is_some_and(|b| self.bits.contains(&b));
        self.operation == operation
            && bits
            && within(&self.experts, "EXPERTS")
            && within(&self.rows, "ROWS")
    }
}

/// The kernel for a call. `None` where it must be put together from smaller
/// operations, and in the end from those of arrays: many rows of [`Operation::Down`]
/// are a [`Operation::Rotate`] and an [`Operation::ExpertLinear`], of
/// [`Operation::GateUp`] two of the latter.
pub fn kernel_for(operation: Operation, dims: &Dims) -> Option<&'static KernelSpec> {
    RULES
        .iter()
        .find(|rule| rule.covers(operation, dims))
        .map(|rule| rule.kernel)
        .filter(|kernel| (kernel.supports)(dims))
}

#[cfg(test)]
mod tests {
    use super::super::{ALL, expert_dims};
    use super::*;

    fn name(operation: Operation, dims: &Dims) -> Option<&'static str> {
        kernel_for(operation, dims).map(|kernel| kernel.name)
    }

    #[test]
    fn every_kernel_is_somewhere_in_the_table() {
        for kernel in ALL {
            let listed = RULES.iter().any(|rule| std::ptr::eq(rule.kernel, *kernel));
            assert!(listed, "{} is never dispatched", kernel.name);
        }
        for rule in RULES {
            let known = ALL.iter().any(|kernel| std::ptr::eq(rule.kernel, *kernel));
            assert!(known, "{} is not tested", rule.kernel.name);
        }
    }

    /// A rule behind one that covers all of its calls would never be used.
    #[test]
    fn no_rule_is_shadowed() {
        let inside = |a: &RangeInclusive<usize>, b: &RangeInclusive<usize>| {
            b.start() <= a.start() && a.end() <= b.end()
        };
        for (i, late) in RULES.iter().enumerate() {
            for early in &RULES[..i] {
                let bits =
                    early.bits.is_empty() || late.bits.iter().all(|b| early.bits.contains(b));
                assert!(
                    early.operation != late.operation
                        || !bits
                        || !inside(&late.experts, &early.experts)
                        || !inside(&late.rows, &early.rows),
                    "rule {i} is never reached"
                );
            }
        }
    }

    /// Calls of one operation must agree on their sizes' names, or `covers` and
    /// `supports` would not find them.
    #[test]
    fn every_kernel_is_given_the_calls_that_its_tests_make() {
        for rule in RULES {
            let covered = rule
                .kernel
                .shapes
                .iter()
                .map(|shape| Dims::new(shape))
                .filter(|dims| rule.covers(rule.operation, dims));
            let supported = covered.filter(|dims| (rule.kernel.supports)(dims));
            assert!(
                supported.count() > 0,
                "no test of {} is a call of its rule",
                rule.kernel.name
            );
        }
    }

    #[test]
    fn calls_of_zaya1_8b() {
        let call = |rows, experts, bits| expert_dims(rows, 2048, 2048, experts, bits);
        let rotate = Dims::new(&[("ROWS", 1), ("WIDTH", 2048)]);
        assert_eq!(name(Operation::Rotate, &rotate), Some("hadamard_rotate"));
        for bits in [2, 4] {
            for (operation, rows, experts, expected) in [
                (Operation::ExpertLinear, 1, 16, Some("mxtq_matvec")),
                (Operation::ExpertLinear, 64, 16, Some("mxtq_matvec")),
                (Operation::ExpertLinear, 65, 16, Some("mxtq_matmul")),
                (Operation::ExpertLinear, 8, 1, Some("mxtq_matvec")),
                (Operation::ExpertLinear, 9, 1, Some("mxtq_matmul")),
                (Operation::GateUp, 1, 16, Some("mxtq_gate_up")),
                (Operation::GateUp, 256, 16, None),
                (Operation::Down, 8, 16, Some("mxtq_down")),
                (Operation::Down, 9, 16, None),
            ] {
                assert_eq!(name(operation, &call(rows, experts, bits)), expected);
            }
        }
    }

    #[test]
    fn other_code_widths_have_no_kernel() {
        for bits in [1, 3, 8] {
            let dims = expert_dims(1, 2048, 2048, 16, bits);
            for operation in [Operation::ExpertLinear, Operation::GateUp, Operation::Down] {
                assert_eq!(name(operation, &dims), None);
            }
        }
    }

    #[test]
    fn what_a_kernel_cannot_hold_has_none() {
        let wide = Dims::new(&[("ROWS", 1), ("WIDTH", 16384)]);
        assert_eq!(name(Operation::Rotate, &wide), None);
        let wide = expert_dims(1, 8192, 64, 1, 2);
        assert_eq!(name(Operation::Down, &wide), None);
        assert_eq!(name(Operation::ExpertLinear, &wide), Some("mxtq_matvec"));
    }
}
