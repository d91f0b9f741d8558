//! Tensors by name, as matrices and vectors: works out which number format a
//! matrix is in from the tensors that are there, checks their types and shapes
//! against each other, and notes which numbers have to be finite.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::quant::{Bytes, Format, Matrix, MxtqTables, ScaleType};

use super::error::{CONVERT_AGAIN, DOWNLOAD_AGAIN, Error, shown};
use super::index::{Index, Stored};
use super::scan::{Check, Rule};
use super::shard::{Dtype, dims};

/// A matrix to be found: its base name (without `.weight`), and `[rows, cols]`
/// (outputs, inputs), which the architecture knows.
#[derive(Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) base: &'a str,
    /// Leading dimension of a stack of matrices.
    pub(super) stack: Option<usize>,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Want<'_> {
    fn dims(&self, rest: &[usize]) -> Vec<usize> {
        self.stack.iter().chain(rest).copied().collect()
    }
}

/// Looks tensors up and remembers which were used.
pub(super) struct Reader<'a> {
    index: &'a Index,
    /// By the name that the architecture uses.
    tensors: HashMap<String, &'a Stored>,
    used: HashSet<String>,
    /// Seed of the MXTQ signs.
    seed: u64,
    tables: HashMap<(usize, u32), Arc<MxtqTables>>,
    pub(super) checks: Vec<Check>,
}

impl<'a> Reader<'a> {
    /// `canonical` maps the name in the file to the architecture's.
    pub(super) fn new(
        index: &'a Index,
        seed: u64,
        canonical: impl Fn(&str) -> String,
    ) -> Result<Self, Error> {
        let mut tensors = HashMap::with_capacity(index.tensors.len());
        for (name, stored) in &index.tensors {
            if tensors.insert(canonical(name), stored).is_some() {
                let problem = "is here under two names";
                let file = index.file_of(stored);
                return Err(Error::tensor(file, name, problem, CONVERT_AGAIN));
            }
        }
        Ok(Self {
            index,
            tensors,
            used: HashSet::new(),
            seed,
            tables: HashMap::new(),
            checks: Vec::new(),
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Names that nothing asked for, sorted.
    pub(super) fn unused(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.names().filter(|n| !self.used.contains(*n)).collect();
        names.sort_unstable();
        names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether there is a matrix of this base name, in any format.
    pub(super) fn has_matrix(&self, base: &str) -> bool {
        ["", ".weight", ".tq_packed"]
            .iter()
            .any(|suffix| self.has(&format!("{base}{suffix}")))
    }

    /// The (n, bits) of all MXTQ matrices read so far, and their tables.
    pub(super) fn tables(&self) -> &HashMap<(usize, u32), Arc<MxtqTables>> {
        &self.tables
    }

    /// Shape of a tensor that has to be there.
    pub(super) fn shape(&self, name: &str) -> Result<&'a [usize], Error> {
        Ok(&self.peek(name)?.shape)
    }

    /// Rows of a matrix: the second to last dimension, in every format.
    pub(super) fn rows(&self, base: &str) -> Result<usize, Error> {
        let name = ["", ".weight", ".tq_packed"]
            .iter()
            .map(|suffix| format!("{base}{suffix}"))
            .find(|name| self.has(name))
            .unwrap_or_else(|| format!("{base}.weight"));
        let stored = self.peek(&name)?;
        match stored.shape.len().checked_sub(2) {
            Some(dim) => Ok(stored.shape[dim]),
            None => Err(self.misshapen(&name, stored, "a matrix")),
        }
    }

    /// A vector as fp32; all its numbers must be finite.
    pub(super) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        let stored = self.take(name, &[len])?;
        let float = stored.dtype.is_float();
        if !float {
            return Err(self.mistyped(name, stored, "F16, BF16 or F32"));
        }
        let values = to_f32(stored.dtype, &stored.data);
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let problem = format!("element {at} is {}, not a finite number", values[at]);
            return Err(self.error(name, stored, problem));
        }
        Ok(values)
    }

    /// A float matrix that may be stored with more dimensions than two.
    pub(super) fn float_matrix(
        &mut self,
        name: &str,
        shape: &[usize],
        rows: usize,
        cols: usize,
    ) -> Result<Matrix, Error> {
        let stored = self.take(name, shape)?;
        let Some(format) = float_format(stored.dtype) else {
            return Err(self.mistyped(name, stored, "F16, BF16 or F32"));
        };
        self.note(name, stored, Rule::Finite);
        let data = stored.data.clone();
        Ok(Matrix {
            rows,
            cols,
            data,
            format,
        })
    }

    /// One matrix, in whatever format it is stored.
    pub(super) fn matrix(&mut self, base: &str, rows: usize, cols: usize) -> Result<Matrix, Error> {
        let stack = None;
        let want = Want {
            base,
            stack,
            rows,
            cols,
        };
        Ok(self.matrices(want)?.swap_remove(0))
    }

    /// The matrices of a stack, each a part of the stacked tensors (or, without
    /// a stack, the only one).
    pub(super) fn matrices(&mut self, want: Want<'_>) -> Result<Vec<Matrix>, Error> {
        let base = want.base;
        let weight = format!("{base}.weight");
        let plain = !self.has(&weight) && self.has(base);
        let name = if plain { base } else { weight.as_str() };
        let packed = self.has(&format!("{base}.tq_packed"));
        if packed {
            if self.has(name) {
                let stored = self.peek(name)?;
                let problem = "is stored both plain and as .tq_packed";
                return Err(self.error(name, stored, problem));
            }
            return self.mxtq(want);
        }
        let stored = self.peek(name)?;
        match stored.dtype {
            Dtype::U32 => self.coded(want, name),
            dtype => {
                let Some(format) = float_format(dtype) else {
                    return Err(self.mistyped(name, stored, "F16, BF16, F32 or packed U32"));
                };
                self.no_scales(base, name)?;
                let stored = self.take(name, &want.dims(&[want.rows, want.cols]))?;
                let count = want.stack.unwrap_or(1);
                Ok((0..count)
                    .map(|i| Matrix {
                        rows: want.rows,
                        cols: want.cols,
                        data: part(&stored.data, i, count),
                        format: format.clone(),
                    })
                    .collect())
            }
        }
    }

    /// A float weight with scales next to it is of a format unknown here, such
    /// as fp8 with block scales.
    fn no_scales(&self, base: &str, name: &str) -> Result<(), Error> {
        for suffix in [".scales", ".weight_scale", "_scale", ".weight_scale_inv"] {
            if self.has(&format!("{base}{suffix}")) {
                let stored = self.peek(name)?;
                let problem = format!("is {} with {suffix}, an unknown format", stored.dtype);
                let remedy = "use a JANGTQ, affine or bf16 bundle";
                let file = self.index.file_of(stored);
                return Err(Error::tensor(file, name, problem, remedy));
            }
        }
        Ok(())
    }

    /// Affine or MX float, told apart by the type of the scales.
    fn coded(&mut self, want: Want<'_>, name: &str) -> Result<Vec<Matrix>, Error> {
        let Want {
            base, rows, cols, ..
        } = want;
        let weight = self.peek(name)?;
        let scales_name = format!("{base}.scales");
        let biases_name = format!("{base}.biases");
        if !self.has(&scales_name) {
            let problem = "is packed U32, but has no .scales";
            return Err(self.error(name, weight, problem));
        }
        let scales = self.peek(&scales_name)?;
        let words = weight.shape.last().copied().unwrap_or(0);
        let groups = scales.shape.last().copied().unwrap_or(0);
        let bits = (32 * words).checked_div(cols).unwrap_or(0);
        let group = cols.checked_div(groups).unwrap_or(0);
        if bits * cols != 32 * words || group * groups != cols {
            let problem = format!(
                "{words} words and {groups} scales per row don't divide {cols} inputs evenly"
            );
            return Err(self.error(name, weight, problem));
        }
        let weight = self.take(name, &want.dims(&[rows, words]))?;
        let scales = self.take(&scales_name, &want.dims(&[rows, groups]))?;
        let count = want.stack.unwrap_or(1);
        if scales.dtype == Dtype::U8 {
            if self.has(&biases_name) {
                let problem = "has U8 scales and also .biases, an unknown format";
                return Err(self.error(name, weight, problem));
            }
            if (bits, group) != (4, 32) {
                let problem = format!(
                    "is MX float of {bits} bits in groups of {group}; only mxfp4 (4, 32) is known"
                );
                return Err(self.error(name, weight, problem));
            }
            // An e8m0 scale of 255 is NaN.
            self.note(&scales_name, scales, Rule::E8m0);
            return Ok((0..count)
                .map(|i| Matrix {
                    rows,
                    cols,
                    data: part(&weight.data, i, count),
                    format: Format::Mxfp4 {
                        scales: part(&scales.data, i, count),
                    },
                })
                .collect());
        }
        let dtype = match scales.dtype {
            Dtype::F16 => ScaleType::F16,
            Dtype::Bf16 => ScaleType::Bf16,
            Dtype::F32 => ScaleType::F32,
            _ => return Err(self.mistyped(&scales_name, scales, "F16, BF16, F32 or U8")),
        };
        if !matches!(bits, 2..=6 | 8) || !matches!(group, 32 | 64 | 128) {
            let problem = format!(
                "is affine of {bits} bits in groups of {group}; known are 2-6 and 8 bits, groups of 32, 64 and 128"
            );
            return Err(self.error(name, weight, problem));
        }
        let biases = self.take(&biases_name, &want.dims(&[rows, groups]))?;
        if biases.dtype != scales.dtype {
            let expected = scales.dtype.to_string();
            return Err(self.mistyped(&biases_name, biases, &expected));
        }
        self.note(&scales_name, scales, Rule::Finite);
        self.note(&biases_name, biases, Rule::Finite);
        Ok((0..count)
            .map(|i| Matrix {
                rows,
                cols,
                data: part(&weight.data, i, count),
                format: Format::Affine {
                    bits: bits as u32,
                    group,
                    scales: part(&scales.data, i, count),
                    biases: part(&biases.data, i, count),
                    dtype,
                },
            })
            .collect())
    }

    fn mxtq(&mut self, want: Want<'_>) -> Result<Vec<Matrix>, Error> {
        let Want {
            base, rows, cols, ..
        } = want;
        let packed_name = format!("{base}.tq_packed");
        let norms_name = format!("{base}.tq_norms");
        let bits_name = format!("{base}.tq_bits");
        let bits_tensor = self.take(&bits_name, &[1])?;
        if bits_tensor.dtype != Dtype::U8 {
            return Err(self.mistyped(&bits_name, bits_tensor, "U8"));
        }
        let bits = u32::from(bits_tensor.data[0]);
        if !matches!(bits, 1..=4 | 8) {
            let problem = format!("says {bits} bits; known are 1, 2, 3, 4 and 8");
            return Err(self.error(&bits_name, bits_tensor, problem));
        }
        let words = cols.div_ceil(32 / bits as usize);
        let packed = self.peek(&packed_name)?;
        if packed.dtype != Dtype::U32 {
            return Err(self.mistyped(&packed_name, packed, "U32"));
        }
        let have = packed.shape.last().copied().unwrap_or(0);
        if have != words {
            let problem = format!(
                "has {have} packed columns, but .tq_bits says {bits}, which takes {words} for {cols} inputs"
            );
            return Err(self.error(&packed_name, packed, problem));
        }
        let packed = self.take(&packed_name, &want.dims(&[rows, words]))?;
        let norms = self.take(&norms_name, &want.dims(&[rows]))?;
        if norms.dtype != Dtype::F16 {
            return Err(self.mistyped(&norms_name, norms, "F16"));
        }
        self.note(&norms_name, norms, Rule::FiniteNonNegative);
        let seed = self.seed;
        let tables = self
            .tables
            .entry((cols, bits))
            .or_insert_with(|| MxtqTables::new(cols, bits, seed));
        let tables = Arc::clone(tables);
        let count = want.stack.unwrap_or(1);
        Ok((0..count)
            .map(|i| Matrix {
                rows,
                cols,
                data: part(&packed.data, i, count),
                format: Format::Mxtq {
                    bits,
                    norms: part(&norms.data, i, count),
                    tables: Arc::clone(&tables),
                },
            })
            .collect())
    }

    /// A problem with a tensor whose shape decides the geometry.
    pub(super) fn wrong(&self, name: &str, problem: &str) -> Error {
        let stored = self.tensors.get(name);
        let stored = stored.or_else(|| self.tensors.get(&format!("{name}.weight")));
        let file = stored.map_or("the weights", |s| self.index.file_of(s));
        Error::tensor(file, name, problem, CONVERT_AGAIN)
    }

    pub(super) fn is_float(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|s| s.dtype.is_float())
    }

    fn peek(&self, name: &str) -> Result<&'a Stored, Error> {
        self.tensors.get(name).copied().ok_or_else(|| {
            let place = self.index.files.first().map_or("", |f| f.name.as_str());
            Error::tensor(place, name, "is missing", DOWNLOAD_AGAIN)
        })
    }

    /// Looks up a tensor of exactly this shape and marks it as used.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<&'a Stored, Error> {
        let stored = self.peek(name)?;
        if stored.shape != shape {
            return Err(self.misshapen(name, stored, &dims(shape)));
        }
        self.used.insert(name.to_owned());
        Ok(stored)
    }

    fn note(&mut self, name: &str, stored: &Stored, rule: Rule) {
        self.checks.push(Check {
            file: self.index.file_of(stored).to_owned(),
            tensor: name.to_owned(),
            dtype: stored.dtype,
            data: stored.data.clone(),
            rule,
        });
    }

    fn error(&self, name: &str, stored: &Stored, problem: impl Into<String>) -> Error {
        Error::tensor(self.index.file_of(stored), name, problem, CONVERT_AGAIN)
    }

    fn mistyped(&self, name: &str, stored: &Stored, expected: &str) -> Error {
        let problem = format!("is {}, expected {expected}", stored.dtype);
        self.error(name, stored, problem)
    }

    fn misshapen(&self, name: &str, stored: &Stored, expected: &str) -> Error {
        let problem = format!("is {}, expected {expected}", dims(&stored.shape));
        self.error(name, stored, problem)
    }
}

/// The refusal of a bundle that lacks tensors: the first five and the count.
pub(super) fn missing(file: &str, names: &[String], count: usize) -> Error {
    let first: Vec<String> = names.iter().take(5).map(|n| shown(n)).collect();
    let (noun, verb) = if count == 1 {
        ("tensor", "is")
    } else {
        ("tensors", "are")
    };
    let more = if count > first.len() { ", …" } else { "" };
    let problem = format!("{count} {noun} {verb} missing: {}{more}", first.join(", "));
    Error::file(file, problem, "download the complete bundle")
}

/// Part `i` of `count` equal parts.
fn part(data: &Bytes, i: usize, count: usize) -> Bytes {
    let size = data.len() / count;
    data.slice(i * size..(i + 1) * size)
}

/// Rows `range` of `matrix`, in place. Rows never share bytes in any format.
pub(super) fn row_range(matrix: &Matrix, range: Range<usize>) -> Matrix {
    let part = |data: &Bytes| {
        let row = data.len() / matrix.rows;
        data.slice(range.start * row..range.end * row)
    };
    let format = match &matrix.format {
        Format::F32 => Format::F32,
        Format::F16 => Format::F16,
        Format::Bf16 => Format::Bf16,
        Format::Affine {
            bits,
            group,
            scales,
            biases,
            dtype,
        } => Format::Affine {
            bits: *bits,
            group: *group,
            scales: part(scales),
            biases: part(biases),
            dtype: *dtype,
        },
        Format::Mxtq {
            bits,
            norms,
            tables,
        } => Format::Mxtq {
            bits: *bits,
            norms: part(norms),
            tables: Arc::clone(tables),
        },
        Format::Mxfp4 { scales } => Format::Mxfp4 {
            scales: part(scales),
        },
    };
    Matrix {
        rows: range.len(),
        cols: matrix.cols,
        data: part(&matrix.data),
        format,
    }
}

fn float_format(dtype: Dtype) -> Option<Format> {
    match dtype {
        Dtype::F32 => Some(Format::F32),
        Dtype::F16 => Some(Format::F16),
        Dtype::Bf16 => Some(Format::Bf16),
        _ => None,
    }
}

fn to_f32(dtype: Dtype, data: &[u8]) -> Vec<f32> {
    let half = |b: &[u8]| u16::from_le_bytes([b[0], b[1]]);
    match dtype {
        Dtype::F16 => data
            .chunks_exact(2)
            .map(|b| half::f16::from_bits(half(b)).to_f32())
            .collect(),
        Dtype::Bf16 => data
            .chunks_exact(2)
            .map(|b| half::bf16::from_bits(half(b)).to_f32())
            .collect(),
        _ => data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
    }
}
