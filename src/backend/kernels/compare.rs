//! Whether what a kernel computed agrees with its reference.
//!
//! A float output may be off by 1e-5 of the largest magnitude in its row. A
//! 16-bit output may be off by one unit in the last place, or by as much as a
//! float would be: where terms cancel, the units are finer than the sums that
//! were rounded. Integers, infinities and NaN must be the same.

use super::{Elements, HostArray};

/// Of a row's largest magnitude.
const RELATIVE: f64 = 1e-5;

/// A row of nothing but smaller magnitudes is measured against this one.
const TINY: f64 = 1e-30;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The largest difference, relative to the largest magnitude in its row of
    /// the reference; infinite where NaN or infinities differ.
    pub max_error: f64,
    pub agrees: bool,
}

/// The worst of all outputs.
///
/// # Errors
/// If there are not as many outputs, or one has another shape or type.
pub fn compare_all(got: &[HostArray], reference: &[HostArray]) -> Result<Comparison, String> {
    if got.len() != reference.len() {
        return Err(format!("{} outputs, not {}", got.len(), reference.len()));
    }
    let mut worst = Comparison {
        max_error: 0.0,
        agrees: true,
    };
    for (got, reference) in got.iter().zip(reference) {
        let one = compare(got, reference)?;
        worst.max_error = worst.max_error.max(one.max_error);
        worst.agrees &= one.agrees;
    }
    Ok(worst)
}

/// # Errors
/// If shapes or types differ.
pub fn compare(got: &HostArray, reference: &HostArray) -> Result<Comparison, String> {
    if got.shape != reference.shape || got.element() != reference.element() {
        return Err(format!(
            "an output is {:?} {:?}, not {:?} {:?}",
            got.element(),
            got.shape,
            reference.element(),
            reference.shape
        ));
    }
    let mut result = Comparison {
        max_error: 0.0,
        agrees: true,
    };
    let width = reference.shape.last().copied().unwrap_or(1).max(1);
    let (got_values, values) = (got.to_f64(), reference.to_f64());
    for (row, (got_row, row_values)) in got_values
        .chunks(width)
        .zip(values.chunks(width))
        .enumerate()
    {
        let finite = row_values.iter().map(|x| x.abs()).filter(|x| x.is_finite());
        let scale = finite.fold(TINY, f64::max);
        for (column, (&g, &r)) in got_row.iter().zip(row_values).enumerate() {
            let error = difference(g, r) / scale;
            result.max_error = result.max_error.max(error);
            result.agrees &= match (&got.elements, &reference.elements) {
                (Elements::F32(_), _) => error <= RELATIVE,
                (Elements::U32(_), _) => error == 0.0,
                (Elements::F16(g), Elements::F16(r)) | (Elements::Bf16(g), Elements::Bf16(r)) => {
                    let at = row * width + column;
                    error <= RELATIVE || error.is_finite() && ulps(g[at], r[at]) <= 1
                }
                _ => false,
            };
        }
    }
    Ok(result)
}

fn difference(got: f64, reference: f64) -> f64 {
    if got == reference || got.is_nan() && reference.is_nan() {
        0.0
    } else if got.is_finite() && reference.is_finite() {
        (got - reference).abs()
    } else {
        f64::INFINITY
    }
}

/// How many numbers of its type `a` is away from `b`. Both zeros are one.
fn ulps(a: u16, b: u16) -> u32 {
    let ordered = |bits: u16| {
        let magnitude = i32::from(bits & 0x7fff);
        if bits & 0x8000 == 0 {
            magnitude
        } else {
            -magnitude
        }
    };
    ordered(a).abs_diff(ordered(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::kernels::Element;

    fn halves(values: &[f64], element: Element) -> HostArray {
        HostArray::rounded(&[1, values.len()], values, element)
    }

    fn verdict(got: &HostArray, reference: &HostArray) -> bool {
        compare(got, reference).unwrap().agrees
    }

    #[test]
    fn floats_are_measured_against_their_own_row() {
        let reference = HostArray::f32(&[2, 2], vec![1000.0, 1.0, 1.0, 0.5]);
        let near = HostArray::f32(&[2, 2], vec![1000.0, 1.009, 1.0, 0.5]);
        let far = HostArray::f32(&[2, 2], vec![1000.0, 1.0, 1.009, 0.5]);
        assert!(verdict(&near, &reference));
        let result = compare(&far, &reference).unwrap();
        assert!(!result.agrees && (result.max_error - 0.009).abs() < 1e-6);
    }

    #[test]
    fn halves_may_be_off_by_one_unit() {
        for (bits, element) in [(0x3c00_u16, Element::F16), (0x3f80, Element::Bf16)] {
            let with = |bits| match element {
                Element::F16 => HostArray::new(&[1], Elements::F16(vec![bits])),
                _ => HostArray::new(&[1], Elements::Bf16(vec![bits])),
            };
            assert!(verdict(&with(bits + 1), &with(bits)));
            assert!(verdict(&with(bits - 1), &with(bits)));
            assert!(!verdict(&with(bits + 2), &with(bits)));
        }
        assert_eq!(ulps(0x8001, 0x0001), 2);
        assert_eq!(ulps(0x8000, 0x0000), 0);
    }

    #[test]
    fn cancelled_halves_are_held_to_what_floats_are() {
        let reference = halves(&[1.0, 1e-7], Element::Bf16);
        assert!(verdict(&halves(&[1.0, 3e-7], Element::Bf16), &reference));
        assert!(!verdict(&halves(&[1.0, 3e-5], Element::Bf16), &reference));
    }

    #[test]
    fn nan_and_infinity_must_match() {
        let array = |x| HostArray::f32(&[2], vec![1.0, x]);
        assert!(verdict(&array(f32::NAN), &array(f32::NAN)));
        assert!(verdict(&array(f32::INFINITY), &array(f32::INFINITY)));
        for (got, reference) in [
            (f32::NAN, 1.0),
            (1.0, f32::NAN),
            (f32::INFINITY, 1.0),
            (f32::INFINITY, f32::NEG_INFINITY),
        ] {
            assert!(!verdict(&array(got), &array(reference)));
        }
        // The number next to infinity is not within a unit of it.
        let top = HostArray::new(&[1], Elements::F16(vec![0x7bff]));
        let infinite = HostArray::new(&[1], Elements::F16(vec![0x7c00]));
        assert!(!verdict(&top, &infinite) && !verdict(&infinite, &top));
    }

    #[test]
    fn integers_must_be_equal() {
        let array = |x| HostArray::u32(&[2], vec![u32::MAX, x]);
        assert!(verdict(&array(7), &array(7)));
        assert!(!verdict(&array(8), &array(7)));
    }

    #[test]
    fn other_shapes_and_types_are_errors() {
        let a = HostArray::f32(&[2], vec![0.0; 2]);
        assert!(compare(&a, &HostArray::f32(&[1, 2], vec![0.0; 2])).is_err());
        assert!(compare(&a, &HostArray::u32(&[2], vec![0; 2])).is_err());
        assert!(compare_all(&[], &[a]).is_err());
    }
}
