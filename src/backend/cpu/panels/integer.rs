//! Panels of integer codes.

use std::sync::Arc;

use super::{Lut, PANEL};
use crate::backend::cpu::huge::Region;

/// How the codes of a panel are to be read. Widths of codes are in bits.
#[derive(Clone)]
pub enum Encoding {
    /// Affine over groups of columns. A panel is a run of blocks, one per group:
    /// codes `[group * bits / 32]` vectors of 64 bytes, then 16 scales and 16
    /// biases ([`ScaleWidth`]). Vectors of 8-bit codes are `[16 rows][4 columns]`.
    /// Those of 4-bit codes are `[16 rows][8 columns]`, low nibble first.
    Affine {
        bits: u32,
        group: usize,
        scales: ScaleWidth,
    },
    /// Affine with 8-bit codes in two planes: `data` holds blocks of high nibbles
    /// with the scales and biases, `low` blocks of low nibbles. A vector holds
    /// two of the 8-bit vectors `a` and `b`: byte i is `a[i] | b[i] << 4` of
    /// the plane's nibbles.
    Split {
        group: usize,
        scales: ScaleWidth,
        low: Region,
    },
    /// MXTQ: vectors of `[16 rows][32 / bits columns]`, low bits first, for all
    /// columns, then 16 norms in f32. `bits` is 2, 4 or 8.
    Mxtq { bits: u32, lut: Arc<Lut> },
}

/// Type of scales and biases in the panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleWidth {
    F16,
    F32,
}

impl ScaleWidth {
    /// Bytes of the scales and biases of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F16 => 2 * PANEL * 2,
            Self::F32 => 2 * PANEL * 4,
        }
    }
}

/// The order in which a kernel meets the columns: that of the activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they come.
    Natural,
    /// Each 8 columns as 0 2 4 6, 1 3 5 7.
    Nibbles,
    /// Each 16 columns as 0 4 8 12, 1 5 9 13, ...
    Crumbs,
}

/// `[rows, cols]` in panels.
#[derive(Clone)]
pub struct IntegerPanels {
    pub rows: usize,
    /// Columns in the panels: what follows the last real one meets activations
    /// that are zero.
    pub width: usize,
    pub encoding: Encoding,
    pub data: Region,
    /// Signs of the rotation that inputs need, for MXTQ.
    pub tables: Option<Arc<crate::quant::MxtqTables>>,
}

impl IntegerPanels {
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    /// Bytes of a panel in `data`.
    pub fn panel_bytes(&self) -> usize {
        self.data.len() / self.panels().max(1)
    }

    /// The bytes of panel `panel` in `data`.
    pub fn panel(&self, panel: usize) -> &[u8] {
        let bytes = self.panel_bytes();
        &self.data[panel * bytes..(panel + 1) * bytes]
    }

    /// Bytes that a product reads.
    pub fn bytes(&self) -> usize {
        let low = match &self.encoding {
            Encoding::Split { low, .. } => low.len(),
            _ => 0,
        };
        self.data.len() + low
    }

    /// Whether activations made for one serve the other.
    pub fn shares_inputs_with(&self, other: &Self) -> bool {
        let tables = match (&self.tables, &other.tables) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.signs == b.signs,
            (a, b) => a.is_none() && b.is_none(),
        };
        let sums = self.group() == other.group();
        tables && sums && self.width == other.width && self.order() == other.order()
    }

    /// Whether they differ in nothing but their numbers.
    #[cfg(target_arch = "x86_64")]
    pub fn is_like(&self, other: &Self) -> bool {
        let encodings = match (&self.encoding, &other.encoding) {
            (
                Encoding::Affine {
                    bits,
                    group,
                    scales,
                },
                Encoding::Affine {
                    bits: other_bits,
                    group: other_group,
                    scales: other_scales,
                },
            ) => (bits, group, scales) == (other_bits, other_group, other_scales),
            (
                Encoding::Mxtq { bits, lut },
                Encoding::Mxtq {
                    bits: other_bits,
                    lut: other_lut,
                },
            ) => bits == other_bits && (Arc::ptr_eq(lut, other_lut) || lut == other_lut),
            _ => false,
        };
        encodings && self.rows == other.rows && self.width == other.width
    }

    pub fn order(&self) -> Order {
        match self.encoding {
            Encoding::Affine { bits: 4, .. } | Encoding::Mxtq { bits: 4, .. } => Order::Nibbles,
            Encoding::Mxtq { bits: 2, .. } => Order::Crumbs,
            _ => Order::Natural,
        }
    }

    /// Columns over which activations are summed; `None` for all of them.
    pub fn group(&self) -> Option<usize> {
        match self.encoding {
            Encoding::Affine { group, .. } | Encoding::Split { group, .. } => Some(group),
            Encoding::Mxtq { .. } => None,
        }
    }

    /// Kernels rely on this.
    ///
    /// # Panics
    /// If the panels' bytes are not those of their encoding.
    pub fn check(&self) {
        let codes = |bits: usize| self.width * bits * PANEL / 8;
        let (bytes, low_bytes) = match &self.encoding {
            Encoding::Affine {
                bits,
                group,
                scales,
            } => {
                assert!(self.width.is_multiple_of(*group));
                let pairs = self.width / group * scales.block_bytes();
                (codes(*bits as usize) + pairs, 0)
            }
            Encoding::Split { group, scales, .. } => {
                assert!(self.width.is_multiple_of(*group));
                let pairs = self.width / group * scales.block_bytes();
                (codes(4) + pairs, codes(4))
            }
            Encoding::Mxtq { bits, .. } => {
                assert!(self.width.is_multiple_of(64));
                (codes(*bits as usize) + 4 * PANEL, 0)
            }
        };
        assert!(self.data.len() == self.panels() * bytes);
        if let Encoding::Split { low, .. } = &self.encoding {
            assert!(low.len() == self.panels() * low_bytes);
        }
    }
}
