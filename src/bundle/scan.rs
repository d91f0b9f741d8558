//! The numbers that have to be finite (scales, biases, norms, small matrices),
//! checked all at once on all cores. A value is not finite when all bits of
//! its exponent are set, so nothing is converted.

use rayon::prelude::*;

use crate::quant::Bytes;

use super::error::{CONVERT_AGAIN, Error};
use super::shard::Dtype;

pub(super) struct Check {
    pub(super) file: String,
    pub(super) tensor: String,
    pub(super) dtype: Dtype,
    pub(super) data: Bytes,
    pub(super) rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Finite,
    /// Norms: neither infinite nor negative. F16 only.
    FiniteNonNegative,
    /// Exponent bytes: 255 stands for NaN.
    E8m0,
}

/// Bytes that one task looks at.
const BLOCK: usize = 1 << 20;

/// The first violation, in the order of `checks`.
pub(super) fn run(checks: &[Check]) -> Result<(), Error> {
    let bad = checks
        .par_iter()
        .find_first(|c| c.data.par_chunks(BLOCK).any(|block| violates(c, block)));
    let Some(check) = bad else { return Ok(()) };
    let width = check.dtype.size();
    let at = check
        .data
        .chunks_exact(width)
        .position(|value| violates(check, value))
        .unwrap_or(0);
    let what = match check.rule {
        Rule::Finite => "is not a finite number",
        Rule::FiniteNonNegative => "is not a finite number of at least 0",
        Rule::E8m0 => "is not a number",
    };
    let problem = format!("element {at} {what}");
    Err(Error::tensor(
        &check.file,
        &check.tensor,
        problem,
        CONVERT_AGAIN,
    ))
}

fn violates(check: &Check, block: &[u8]) -> bool {
    match (check.rule, check.dtype) {
        (Rule::E8m0, _) => block.contains(&0xff),
        (Rule::FiniteNonNegative, _) => any16(block, |v| {
            // Above +infinity's bits: NaN or negative; -0 is harmless.
            v >= 0x7c00 && v != 0x8000
        }),
        (Rule::Finite, Dtype::F16) => any16(block, |v| v & 0x7c00 == 0x7c00),
        (Rule::Finite, Dtype::Bf16) => any16(block, |v| v & 0x7f80 == 0x7f80),
        (Rule::Finite, _) => block.as_chunks::<4>().0.iter().fold(false, |bad, b| {
            bad | (u32::from_le_bytes(*b) & 0x7f80_0000 == 0x7f80_0000)
        }),
    }
}

/// Without an early exit, so that the loop is vectorised.
fn any16(block: &[u8], bad: impl Fn(u16) -> bool) -> bool {
    block
        .as_chunks::<2>()
        .0
        .iter()
        .fold(false, |any, b| any | bad(u16::from_le_bytes(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dtype: Dtype, data: Vec<u8>, rule: Rule) -> Result<(), Error> {
        run(&[Check {
            file: "f".into(),
            tensor: "t".into(),
            dtype,
            data: Bytes::from_vec(data),
            rule,
        }])
    }

    #[test]
    fn finds_each_kind_of_bad_number() {
        let f16 = |v: f32| half::f16::from_f32(v).to_le_bytes();
        let bf16 = |v: f32| half::bf16::from_f32(v).to_le_bytes();
        let good = [0.0, -0.0, 1.5, 65504.0, 1e-7];
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let with = |to: &dyn Fn(f32) -> Vec<u8>, last: Option<f32>| -> Vec<u8> {
            good.iter().copied().chain(last).flat_map(to).collect()
        };
        type Encode<'a> = &'a dyn Fn(f32) -> Vec<u8>;
        let kinds: [(Dtype, Encode<'_>); 3] = [
            (Dtype::F16, &|v| f16(v).to_vec()),
            (Dtype::Bf16, &|v| bf16(v).to_vec()),
            (Dtype::F32, &|v| v.to_le_bytes().to_vec()),
        ];
        for (dtype, to) in kinds {
            assert!(check(dtype, with(to, Some(-3.0)), Rule::Finite).is_ok());
            for value in bad {
                let error = check(dtype, with(to, Some(value)), Rule::Finite).unwrap_err();
                assert!(error.problem.starts_with("element 5 "), "{error}");
            }
        }
        let norms = |v: f32| {
            check(
                Dtype::F16,
                with(&|v| f16(v).to_vec(), Some(v)),
                Rule::FiniteNonNegative,
            )
        };
        assert!(norms(2.0).is_ok());
        for value in [-1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
            assert!(norms(value).is_err(), "{value}");
        }
        assert!(check(Dtype::U8, vec![0, 254], Rule::E8m0).is_ok());
        assert!(check(Dtype::U8, vec![0, 255], Rule::E8m0).is_err());
    }
}
