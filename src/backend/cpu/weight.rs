//! A stored matrix, made ready for products.

use std::borrow::Cow;

use super::context::Context;
use super::head::HeadWeight;
use super::options::Precision;
use super::panels::{FloatPanels, Form, IntegerPanels, LazyPanels};
use super::rows::RowWeight;
use crate::quant::Matrix;

/// Below this many columns a filter is a depthwise one.
const FEW_COLUMNS: usize = 8;

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
    /// One of many experts' matrices: packed once it is used.
    Lazy(Box<LazyPanels>),
    Float(FloatPanels),
    /// As f32, column-major: the taps of a depthwise convolution.
    Taps(Vec<f32>),
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

    /// Bytes that a product reads.
    pub(super) fn bytes(&self) -> usize {
        match &self.packed {
            Packed::No => self.matrix().bytes(),
            Packed::Integer(panels) => panels.bytes(),
            Packed::Head(head) => head.panels.bytes(),
            Packed::Float(panels) => panels.data.len(),
            Packed::Taps(taps) => size_of_val(taps.as_slice()),
            Packed::Lazy(lazy) => lazy.bytes(),
        }
    }

    /// One of many matrices, most of which a token does not read.
    pub(super) fn expert(cx: &Context, rows: RowWeight) -> Self {
        let lazy = match cx.precision {
            Precision::F32 => None,
            Precision::Fast => LazyPanels::of(cx, rows.matrix()),
        };
        match lazy {
            Some(lazy) => Self {
                rows,
                packed: Packed::Lazy(Box::new(lazy)),
            },
            None => Self::new(cx, rows),
        }
    }

    /// The embedding and head.
    pub(super) fn head(cx: &Context, rows: RowWeight) -> Self {
        let head = match cx.precision {
            Precision::F32 => None,
            Precision::Fast => {
                rows.matrix().will_read();
                HeadWeight::pack(cx, rows.matrix())
            }
        };
        let Some(head) = head else {
            return Self::new(cx, rows);
        };
        rows.matrix().release();
        let packed = Packed::Head(Box::new(head));
        Self { rows, packed }
    }

    /// The taps of a convolution.
    pub(super) fn filter(cx: &Context, rows: RowWeight) -> Self {
        if rows.matrix().cols >= FEW_COLUMNS {
            return Self::new(cx, rows);
        }
        let packed = Packed::Taps(columns(rows.matrix()));
        Self { rows, packed }
    }

    /// `[cols, rows]` in f32.
    pub(super) fn taps(&self) -> Cow<'_, [f32]> {
        match &self.packed {
            Packed::Taps(taps) => taps.into(),
            _ => columns(self.matrix()).into(),
        }
    }

    pub(super) fn matrix(&self) -> &Matrix {
        self.rows.matrix()
    }
}

/// A matrix in f32, column after column.
fn columns(matrix: &Matrix) -> Vec<f32> {
    let mut columns = vec![0.0; matrix.rows * matrix.cols];
    let mut numbers = vec![0.0; matrix.cols];
    for row in 0..matrix.rows {
        matrix.decode_row(row, &mut numbers);
        for (column, x) in numbers.iter().enumerate() {
            columns[column * matrix.rows + row] = *x;
        }
    }
    columns
}

impl Packed {
    /// What integer panels of it look like.
    pub(super) fn shape(&self) -> Option<&IntegerPanels> {
        match self {
            Self::Integer(panels) => Some(panels),
            Self::Lazy(lazy) => Some(lazy.shape()),
            Self::Head(head) => Some(&head.panels),
            _ => None,
        }
    }

    /// How it is multiplied with `tokens` tokens, in integers.
    pub(super) fn form(&self, cx: &Context, tokens: usize) -> Option<Form<'_>> {
        match self {
            Self::Integer(panels) => Some(Form::Panels(panels)),
            Self::Lazy(lazy) => Some(lazy.form(cx, tokens)),
            Self::Head(head) => Some(Form::Panels(&head.panels)),
            _ => None,
        }
    }

    fn of(cx: &Context, matrix: &Matrix) -> Self {
        matrix.will_read();
        let packed = match IntegerPanels::pack(cx, matrix) {
            Some(panels) => Self::Integer(panels),
            None => FloatPanels::pack(cx, matrix).map_or(Self::No, Self::Float),
        };
        if !matches!(packed, Self::No) {
            matrix.release();
        }
        packed
    }
}
