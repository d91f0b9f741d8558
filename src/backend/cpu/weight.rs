//! A stored matrix, made ready for products.

use super::context::Context;
use super::head::HeadWeight;
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
    /// The head, in two planes.
    Head(Box<HeadWeight>),
}

impl Weight {
    pub(super) fn new(cx: &Context, rows: RowWeight) -> Self {
        let packed = match cx.precision {
            Precision::F32 => Packed::No,
            Precision::Fast => Packed::of(cx, rows.matrix()),
        };
        Self { rows, packed }
    }

    /// The embedding and head.
    pub(super) fn head(cx: &Context, rows: RowWeight) -> Self {
        let head = match cx.precision {
            Precision::F32 => None,
            Precision::Fast => HeadWeight::pack(cx, rows.matrix()),
        };
        match head {
            Some(head) => Self {
                rows,
                packed: Packed::Head(Box::new(head)),
            },
            None => Self::new(cx, rows),
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
