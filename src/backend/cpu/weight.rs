//! A stored matrix, made ready for products.

use super::context::Context;
use super::options::Precision;
use super::panels::{FloatPanels, IntegerPanels};
use super::rows::RowWeight;
use crate::quant::Matrix;

/// A matrix on the CPU.
pub struct Weight {
    /// As it is stored.
    pub(super) rows: RowWeight,
    pub(super) packed: Packed,
}

/// The same numbers rearranged.
pub(super) enum Packed {
    /// Not at all: products run in f32 on what is stored.
    No,
    Integer(IntegerPanels),
    Float(FloatPanels),
}

impl Weight {
    pub(super) fn new(cx: &Context, rows: RowWeight) -> Self {
        let packed = match cx.precision {
            Precision::F32 => Packed::No,
            Precision::Fast => Packed::of(cx, rows.matrix()),
        };
        Self { rows, packed }
    }

    /// Bytes that a product reads.
    pub(super) fn bytes(&self) -> usize {
        match &self.packed {
            Packed::No => self.matrix().bytes(),
            Packed::Integer(panels) => panels.bytes(),
            Packed::Float(panels) => panels.data.len(),
        }
    }

    pub(super) fn matrix(&self) -> &Matrix {
        self.rows.matrix()
    }
}

impl Packed {
    fn of(cx: &Context, matrix: &Matrix) -> Self {
        if let Some(panels) = IntegerPanels::pack(cx, matrix) {
            return Self::Integer(panels);
        }
        FloatPanels::pack(cx, matrix).map_or(Self::No, Self::Float)
    }
}
