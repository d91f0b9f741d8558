//! The header of a safetensors file: eight bytes of length, a JSON object of
//! tensors, then their bytes without gaps. Parsed here rather than by the
//! format's own crate, so that every refusal can name the tensor and so that
//! no length in the file is believed before it was compared with the file.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{DOWNLOAD_AGAIN, Error, shown};

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F32,
    F16,
    Bf16,
    U32,
    U8,
    /// A type that no bundle of a known family uses; its width in bytes.
    Other(&'static str, usize),
}

/// The types of the format that nothing here reads.
const OTHER: [(&str, usize); 10] = [
    ("F64", 8),
    ("I64", 8),
    ("U64", 8),
    ("I32", 4),
    ("I16", 2),
    ("U16", 2),
    ("I8", 1),
    ("BOOL", 1),
    ("F8_E4M3", 1),
    ("F8_E5M2", 1),
];

impl Dtype {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "U32" => Self::U32,
            "U8" => Self::U8,
            other => {
                let (name, size) = OTHER.iter().find(|(name, _)| *name == other)?;
                Self::Other(name, *size)
            }
        })
    }

    /// Bytes per element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
            Self::Other(_, size) => size,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::U32 => "U32",
            Self::U8 => "U8",
            Self::Other(name, _) => name,
        })
    }
}

/// One tensor of a shard.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Where its bytes are in the file.
    pub(super) range: Range<usize>,
}

/// A header longer than this is damage; ZAYA1-8B's is 300 KB.
const HEADER_LIMIT: u64 = 100_000_000;
/// Dimensions of a tensor; nothing known has more than 4.
const RANK_LIMIT: usize = 8;

/// Next to a dimension of 0 any other would fit the data; bounded, sums and
/// small multiples of dimensions can't overflow.
const DIM_LIMIT: usize = 1 << 40;

/// Reads and checks the header of `file`. Entries come in the order of their
/// bytes, which are disjoint and cover the file.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let bad = |problem: String| Error::file(file, problem, DOWNLOAD_AGAIN);
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(bad(format!(
            "is truncated: {} bytes, no header",
            bytes.len()
        )));
    };
    let length = u64::from_le_bytes(*length);
    if length > rest.len() as u64 {
        return Err(bad(format!(
            "the header claims {length} bytes, longer than the file's {}",
            bytes.len()
        )));
    }
    if length > HEADER_LIMIT {
        return Err(bad(format!("the header claims {length} bytes")));
    }
    let (header, data) = rest.split_at(length as usize);
    let raw: RawHeader = serde_json::from_slice(header)
        .map_err(|e| bad(format!("the header is not a valid tensor list ({e})")))?;

    let mut entries = Vec::with_capacity(raw.0.len());
    for tensor in raw.0 {
        entries.push(check(file, tensor, 8 + length as usize, data.len())?);
    }
    entries.sort_unstable_by_key(|e| (e.range.start, e.range.end));
    let mut end = 8 + length as usize;
    for entry in &entries {
        if entry.range.start != end {
            let problem = if entry.range.start < end {
                "its offsets overlap the tensor before it"
            } else {
                "its offsets leave a gap after the tensor before it"
            };
            return Err(Error::tensor(file, &entry.name, problem, DOWNLOAD_AGAIN));
        }
        end = entry.range.end;
    }
    if end != bytes.len() {
        return Err(bad(format!(
            "{} bytes at its end belong to no tensor",
            bytes.len() - end
        )));
    }
    Ok(entries)
}

fn check(file: &str, raw: RawTensor, base: usize, data: usize) -> Result<Entry, Error> {
    let RawTensor { name, fields } = raw;
    let bad = |problem: String| Error::tensor(file, &name, problem, DOWNLOAD_AGAIN);
    let dtype = Dtype::parse(&fields.dtype)
        .ok_or_else(|| bad(format!("unknown dtype {}", shown(&fields.dtype))))?;
    let [start, end] = fields.data_offsets;
    if start > end {
        return Err(bad(format!("its offsets {start}..{end} run backwards")));
    }
    if end > data as u64 {
        return Err(bad(format!(
            "its offsets {start}..{end} are out of range: the file holds {data} bytes of data (truncated?)"
        )));
    }
    let mut shape = Vec::with_capacity(fields.shape.0.len());
    let mut size = Some(dtype.size());
    for dim in fields.shape.0 {
        let dim = usize::try_from(dim).ok().filter(|dim| *dim <= DIM_LIMIT);
        size = size.zip(dim).and_then(|(a, b)| a.checked_mul(b));
        shape.push(dim.unwrap_or(usize::MAX));
    }
    let have = (end - start) as usize;
    if size != Some(have) {
        let dims = dims(&shape);
        return Err(bad(format!(
            "{dims} of {dtype} does not fill its {have} bytes"
        )));
    }
    Ok(Entry {
        dtype,
        shape,
        // Both are within the data, whose length is a `usize`.
        range: base + start as usize..base + end as usize,
        name,
    })
}

/// A shape as text: `[2048, 512]`.
pub(super) fn dims(shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", dims.join(", "))
}

struct RawHeader(Vec<RawTensor>);

struct RawTensor {
    name: String,
    fields: RawFields,
}

#[derive(Deserialize)]
struct RawFields {
    dtype: String,
    shape: RawShape,
    data_offsets: [u64; 2],
}

struct RawShape(Vec<u64>);

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Header;
        impl<'de> Visitor<'de> for Header {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let fields = map.next_value()?;
                        tensors.push(RawTensor { name, fields });
                    }
                }
                Ok(RawHeader(tensors))
            }
        }
        deserializer.deserialize_map(Header)
    }
}

impl<'de> Deserialize<'de> for RawShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = RawShape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {RANK_LIMIT} dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawShape, A::Error> {
                let mut shape = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if shape.len() == RANK_LIMIT {
                        return Err(A::Error::invalid_length(RANK_LIMIT + 1, &self));
                    }
                    shape.push(dim);
                }
                Ok(RawShape(shape))
            }
        }
        deserializer.deserialize_seq(Shape)
    }
}
