//! Panels of floats: what a bundle stores unquantized, the router and the
//! convolutions among it.

use super::PANEL;
use crate::backend::cpu::huge::Region;

/// Type of the stored numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatWidth {
    F16,
    Bf16,
    F32,
}

impl FloatWidth {
    pub const fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
        }
    }
}

/// `[rows, cols]` in panels of `[cols][16 rows]`.
#[derive(Clone)]
pub struct FloatPanels {
    pub rows: usize,
    pub cols: usize,
    pub width: FloatWidth,
    pub data: Region,
}

impl FloatPanels {
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    pub fn panel(&self, panel: usize) -> &[u8] {
        let bytes = self.cols * PANEL * self.width.size();
        &self.data[panel * bytes..(panel + 1) * bytes]
    }
}
