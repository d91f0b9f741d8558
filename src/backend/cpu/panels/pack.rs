//! From a stored matrix to panels. Codes are moved as they are, in words of four
//! bytes; only widths that no kernel has are widened first.

use std::sync::Arc;

use super::float::FloatWidth;
use super::integer::ScaleWidth;
use super::{Encoding, FloatPanels, IntegerPanels, PANEL};
use crate::backend::cpu::context::Context;
use crate::backend::cpu::huge::Region;
use crate::quant::{Format, Matrix, MxtqTables, ScaleType};

/// Columns of MXTQ panels are a multiple of this.
const STEP: usize = 64;

/// Most columns of MXTQ panels: kernels add up to 255 * 127 a column in 32 bits.
const MAX_WIDTH: usize = 1 << 16;
const _: () = assert!(MAX_WIDTH * 255 * 127 <= i32::MAX as usize);

/// Bytes that threads write at one place.
#[derive(Clone, Copy)]
struct Output(*mut u8);

// SAFETY: threads write disjoint panels.
unsafe impl Sync for Output {}

/// A new region of `panels` panels of `bytes` bytes, written by `fill(panel, out)`.
fn region(
    cx: &Context,
    panels: usize,
    bytes: usize,
    fill: impl Fn(usize, &mut [u8]) + Sync,
) -> Option<Region> {
    cx.arena.filled(&cx.pool, panels * bytes, |out| {
        let out = Output(out.as_mut_ptr());
        cx.pool.each(panels, |panel| {
            let out = &out;
            // SAFETY: panel `panel` of the region, visited once.
            let out = unsafe { std::slice::from_raw_parts_mut(out.0.add(panel * bytes), bytes) };
            fill(panel, out);
        });
    })
}

/// Copies words `words` of the 16 rows of a panel to `out`, word-major. Rows
/// beyond the matrix and words beyond a row are zeros.
fn transpose_words(rows: &[&[u8]; PANEL], words: std::ops::Range<usize>, out: &mut [u8]) {
    for (word, vector) in words.zip(out.as_chunks_mut::<{ 4 * PANEL }>().0) {
        for (row, place) in rows.iter().zip(vector.as_chunks_mut::<4>().0) {
            *place = match row.get(4 * word..4 * word + 4) {
                Some(bytes) => [bytes[0], bytes[1], bytes[2], bytes[3]],
                None => [0; 4],
            };
        }
    }
}

/// The stored bytes of each row of a panel; nothing for rows beyond the matrix.
fn rows_of(data: &[u8], row_bytes: usize, rows: usize, panel: usize) -> [&[u8]; PANEL] {
    std::array::from_fn(|r| match panel * PANEL + r {
        row if row < rows => &data[row * row_bytes..(row + 1) * row_bytes],
        _ => &[],
    })
}

impl IntegerPanels {
    /// `None` if the format has no integer panels, an MXTQ row is too wide for
    /// them, or there is no memory.
    pub fn pack(cx: &Context, matrix: &Matrix) -> Option<Self> {
        match &matrix.format {
            Format::Affine { .. } => Affine::of(matrix)?.pack(cx),
            Format::Mxtq {
                bits,
                norms,
                tables,
            } => mxtq(cx, matrix, *bits, norms, tables),
            _ => None,
        }
    }

    /// The panels that [`IntegerPanels::pack`] would make of an MXTQ matrix,
    /// without data.
    pub fn without_data(cx: &Context, matrix: &Matrix) -> Option<Self> {
        let Format::Mxtq { bits, tables, .. } = &matrix.format else {
            return None;
        };
        let data = cx.arena.filled(&cx.pool, 0, |_| ())?;
        Some(mxtq_panels(cx, matrix, *bits, tables, data))
    }

    /// 8-bit affine codes in two planes; `None` for other formats, or if there is
    /// no memory.
    pub fn pack_split(cx: &Context, matrix: &Matrix) -> Option<Self> {
        let affine = Affine::of(matrix)?;
        (affine.bits == 8).then(|| affine.pack_split(cx))?
    }
}

/// An affine matrix with codes of 4 or 8 bits.
struct Affine<'a> {
    matrix: &'a Matrix,
    data: std::borrow::Cow<'a, [u8]>,
    bits: u32,
    group: usize,
    pairs: [&'a [u8]; 2],
    dtype: ScaleType,
}

impl<'a> Affine<'a> {
    fn of(matrix: &'a Matrix) -> Option<Self> {
        let Format::Affine {
            bits,
            group,
            scales,
            biases,
            dtype,
        } = &matrix.format
        else {
            return None;
        };
        let (bits, data) = match bits {
            4 | 8 => (*bits, (&*matrix.data).into()),
            odd => (8, widened(matrix, *odd).into()),
        };
        Some(Self {
            matrix,
            data,
            bits,
            group: *group,
            pairs: [scales, biases],
            dtype: *dtype,
        })
    }

    fn scales(&self) -> ScaleWidth {
        match self.dtype {
            ScaleType::F16 => ScaleWidth::F16,
            ScaleType::Bf16 | ScaleType::F32 => ScaleWidth::F32,
        }
    }

    /// Words of 4 bytes of a row's group.
    fn group_words(&self) -> usize {
        self.group * self.bits as usize / 32
    }

    fn rows(&self, panel: usize) -> [&[u8]; PANEL] {
        let row_bytes = self.matrix.cols * self.bits as usize / 8;
        rows_of(&self.data, row_bytes, self.matrix.rows, panel)
    }

    /// The scales, then the biases, of a panel's group.
    fn write_pairs(&self, panel: usize, group: usize, out: &mut [u8]) {
        let groups = self.matrix.cols / self.group;
        let (scales, biases) = out.split_at_mut(out.len() / 2);
        for (numbers, out) in self.pairs.iter().zip([scales, biases]) {
            for r in 0..PANEL.min(self.matrix.rows - panel * PANEL) {
                let i = (panel * PANEL + r) * groups + group;
                match self.scales() {
                    ScaleWidth::F16 => {
                        out[2 * r..2 * r + 2].copy_from_slice(&numbers[2 * i..2 * i + 2]);
                    }
                    ScaleWidth::F32 => {
                        let number = self.dtype.get(numbers, i);
                        out[4 * r..4 * r + 4].copy_from_slice(&number.to_le_bytes());
                    }
                }
            }
        }
    }

    fn finish(&self, encoding: Encoding, data: Region) -> IntegerPanels {
        IntegerPanels {
            rows: self.matrix.rows,
            width: self.matrix.cols,
            encoding,
            data,
            tables: None,
        }
    }

    fn pack(&self, cx: &Context) -> Option<IntegerPanels> {
        let groups = self.matrix.cols / self.group;
        let words = self.group_words();
        let codes = words * 4 * PANEL;
        let block = codes + self.scales().block_bytes();
        let panels = self.matrix.rows.div_ceil(PANEL);
        let data = region(cx, panels, groups * block, |panel, out| {
            let rows = self.rows(panel);
            for (group, out) in out.chunks_exact_mut(block).enumerate() {
                let (codes, pairs) = out.split_at_mut(codes);
                transpose_words(&rows, group * words..(group + 1) * words, codes);
                self.write_pairs(panel, group, pairs);
            }
        })?;
        let encoding = Encoding::Affine {
            bits: self.bits,
            group: self.group,
            scales: self.scales(),
        };
        Some(self.finish(encoding, data))
    }

    fn pack_split(&self, cx: &Context) -> Option<IntegerPanels> {
        let groups = self.matrix.cols / self.group;
        let words = self.group_words();
        let plane = words * 4 * PANEL / 2;
        let block = plane + self.scales().block_bytes();
        let panels = self.matrix.rows.div_ceil(PANEL);
        let nibbles = |panel: usize, group: usize, shift: u32, out: &mut [u8]| {
            let rows = self.rows(panel);
            let mut pair = [0u8; 2 * 4 * PANEL];
            for (i, out) in out.chunks_exact_mut(4 * PANEL).enumerate() {
                let first = group * words + 2 * i;
                transpose_words(&rows, first..first + 2, &mut pair);
                let (a, b) = pair.split_at(4 * PANEL);
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = a >> shift & 15 | (b >> shift & 15) << 4;
                }
            }
        };
        let data = region(cx, panels, groups * block, |panel, out| {
            for (group, out) in out.chunks_exact_mut(block).enumerate() {
                let (codes, pairs) = out.split_at_mut(plane);
                nibbles(panel, group, 4, codes);
                self.write_pairs(panel, group, pairs);
            }
        })?;
        let low = region(cx, panels, groups * plane, |panel, out| {
            for (group, out) in out.chunks_exact_mut(plane).enumerate() {
                nibbles(panel, group, 0, out);
            }
        })?;
        let encoding = Encoding::Split {
            group: self.group,
            scales: self.scales(),
            low,
        };
        Some(self.finish(encoding, data))
    }
}

/// A dense stream of codes of other widths as bytes.
fn widened(matrix: &Matrix, bits: u32) -> Vec<u8> {
    let row_bytes = matrix.row_bytes();
    let mut codes = vec![0u8; matrix.rows * matrix.cols];
    for (codes, row) in codes
        .chunks_exact_mut(matrix.cols.max(1))
        .zip(matrix.data.chunks_exact(row_bytes.max(1)))
    {
        crate::quant::unpack_dense(row, bits, codes);
    }
    codes
}

fn mxtq(
    cx: &Context,
    matrix: &Matrix,
    bits: u32,
    norms: &[u8],
    tables: &Arc<MxtqTables>,
) -> Option<IntegerPanels> {
    let width = matrix.cols.next_multiple_of(STEP);
    if width > MAX_WIDTH {
        return None;
    }
    let row_bytes = matrix.row_bytes();
    let panels = matrix.rows.div_ceil(PANEL);
    let packed = packed_bits(bits);
    let words = width * packed as usize / 32;
    let data = region(cx, panels, words * 4 * PANEL + 4 * PANEL, |panel, out| {
        let (codes, out_norms) = out.split_at_mut(words * 4 * PANEL);
        let rows = rows_of(&matrix.data, row_bytes, matrix.rows, panel);
        if packed == bits {
            transpose_words(&rows, 0..words, codes);
        } else {
            let widened = rows.map(|row| match row.is_empty() {
                true => Vec::new(),
                false => repacked(row, matrix.cols, bits, packed),
            });
            let rows = std::array::from_fn(|r| widened[r].as_slice());
            transpose_words(&rows, 0..words, codes);
        }
        for (r, out) in out_norms.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let row = panel * PANEL + r;
            if row < matrix.rows {
                *out = ScaleType::F16.get(norms, row).to_le_bytes();
            }
        }
    })?;
    Some(mxtq_panels(cx, matrix, bits, tables, data))
}

/// Widths that do not divide a byte take the next one that does.
fn packed_bits(bits: u32) -> u32 {
    match bits {
        1 => 2,
        3 => 4,
        same => same,
    }
}

fn mxtq_panels(
    cx: &Context,
    matrix: &Matrix,
    bits: u32,
    tables: &Arc<MxtqTables>,
    data: Region,
) -> IntegerPanels {
    IntegerPanels {
        rows: matrix.rows,
        width: matrix.cols.next_multiple_of(STEP),
        encoding: Encoding::Mxtq {
            bits: packed_bits(bits),
            lut: cx.luts.of(&tables.codebook),
        },
        data,
        tables: Some(Arc::clone(tables)),
    }
}

/// A row of codes in words of another width.
fn repacked(row: &[u8], cols: usize, from: u32, to: u32) -> Vec<u8> {
    let mut codes = vec![0u8; cols];
    crate::quant::unpack_words(row, from, &mut codes);
    let words = crate::quant::pack_words(&codes, to);
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

impl FloatPanels {
    /// `None` if the format is not a float one or there is no memory.
    pub fn pack(cx: &Context, matrix: &Matrix) -> Option<Self> {
        let width = match matrix.format {
            Format::F16 => FloatWidth::F16,
            Format::Bf16 => FloatWidth::Bf16,
            Format::F32 => FloatWidth::F32,
            _ => return None,
        };
        let (size, row_bytes) = (width.size(), matrix.row_bytes());
        let panels = matrix.rows.div_ceil(PANEL);
        let data = region(cx, panels, matrix.cols * PANEL * size, |panel, out| {
            let rows = rows_of(&matrix.data, row_bytes, matrix.rows, panel);
            for (col, out) in out.chunks_exact_mut(PANEL * size).enumerate() {
                for (row, out) in rows.iter().zip(out.chunks_exact_mut(size)) {
                    if let Some(number) = row.get(col * size..(col + 1) * size) {
                        out.copy_from_slice(number);
                    }
                }
            }
        })?;
        Some(Self {
            rows: matrix.rows,
            cols: matrix.cols,
            width,
            data,
        })
    }
}
