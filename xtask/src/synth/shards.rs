//! Writes tensors as safetensors shards, streaming: a header, then each
//! tensor's bytes a few megabytes at a time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use half::f16;
use serde_json::{Map, Value, json};

use super::random::Stream;
use super::tensors::{Fill, Tensor};

/// Elements made at a time; a multiple of no particular row.
const CHUNK: u64 = 1 << 20;

pub struct Shards {
    pub files: Vec<Shard>,
}

pub struct Shard {
    pub name: String,
    pub tensors: Vec<String>,
    pub size: u64,
}

impl Shards {
    /// Bytes of all files, headers included.
    pub fn total_size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Writes `tensors` into `folder`; a shard is closed once it holds `limit` bytes.
pub fn write(folder: &Path, tensors: &[Tensor], limit: u64, seed: u64) -> Result<Shards> {
    let mut groups: Vec<Vec<&Tensor>> = vec![Vec::new()];
    let mut bytes = 0;
    for tensor in tensors {
        if bytes >= limit {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += tensor.bytes();
        if let Some(group) = groups.last_mut() {
            group.push(tensor);
        }
    }
    let count = groups.len();
    let mut files = Vec::new();
    for (index, mut group) in groups.into_iter().enumerate() {
        let name = format!("model-{:05}-of-{count:05}.safetensors", index + 1);
        // The order of the common writer: wide elements first, then by name.
        group.sort_by(|a, b| (a.dtype, &a.name).cmp(&(b.dtype, &b.name)));
        let path = folder.join(&name);
        let size = write_shard(&path, &group, seed).with_context(|| path.display().to_string())?;
        let tensors = group.iter().map(|tensor| tensor.name.clone()).collect();
        files.push(Shard {
            name,
            tensors,
            size,
        });
    }
    Ok(Shards { files })
}

fn write_shard(path: &Path, tensors: &[&Tensor], seed: u64) -> Result<u64> {
    let mut header = Map::new();
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.bytes();
        let entry = json!({
            "dtype": tensor.dtype.name(),
            "shape": tensor.shape,
            "data_offsets": [start, end],
        });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&Value::Object(header))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for tensor in tensors {
        write_tensor(&mut file, tensor, seed)?;
    }
    file.flush()?;
    Ok(8 + header.len() as u64 + end)
}

fn write_tensor(file: &mut impl Write, tensor: &Tensor, seed: u64) -> Result<()> {
    // Scales and biases of one matrix must agree, so they share a stream.
    let base = tensor.name.replace(".biases", ".scales");
    let stream = Stream::new(&base, seed);
    let total = tensor.elements();
    let mut buffer = Vec::new();
    let mut at = 0;
    while at < total {
        let end = total.min(match tensor.fill {
            Fill::ZeroSum { columns, .. } => at + columns as u64,
            _ => at + CHUNK,
        });
        buffer.clear();
        fill(&mut buffer, &tensor.fill, stream, at, end, total);
        file.write_all(&buffer)?;
        at = end;
    }
    Ok(())
}

/// Appends the elements `at..end` of a tensor of `total` elements.
fn fill(out: &mut Vec<u8>, fill: &Fill, stream: Stream, at: u64, end: u64, total: u64) {
    let half = |value: f32| f16::from_f32(value).to_le_bytes();
    match *fill {
        Fill::Around { mean, spread } => {
            out.extend((at..end).flat_map(|i| half(mean + spread * stream.signed(i))));
        }
        Fill::ZeroSum { spread, .. } => {
            let row: Vec<f32> = (at..end).map(|i| spread * stream.signed(i)).collect();
            let mean = row.iter().sum::<f32>() / row.len() as f32;
            out.extend(row.iter().flat_map(|value| half(value - mean)));
        }
        Fill::LastOf(value) => {
            out.extend((at..end).flat_map(|i| half(if i + 1 == total { value } else { 0.0 })));
        }
        Fill::Codes => {
            out.extend((at..end).flat_map(|i| word(stream, i).to_le_bytes()));
        }
        Fill::PackedCodes {
            bits,
            words,
            columns,
        } => {
            let (per_word, words) = (32 / bits as usize, words as u64);
            let full = mask(bits, per_word);
            let last = mask(bits, columns - (words as usize - 1) * per_word);
            out.extend((at..end).flat_map(|i| {
                let mask = if i % words + 1 == words { last } else { full };
                (word(stream, i) & mask).to_le_bytes()
            }));
        }
        Fill::Scales { bits, width } => {
            out.extend((at..end).flat_map(|i| half(scale(stream, i, bits, width))));
        }
        Fill::Biases { bits, width } => {
            let centre = -(((1u32 << bits) - 1) as f32) / 2.0;
            out.extend((at..end).flat_map(|i| half(centre * scale(stream, i, bits, width))));
        }
        Fill::Byte(value) => out.extend((at..end).map(|_| value)),
    }
}

fn word(stream: Stream, index: u64) -> u32 {
    (stream.bits(index / 2) >> (index % 2 * 32)) as u32
}

/// Ones where the first `codes` codes of a word lie.
fn mask(bits: u32, codes: usize) -> u32 {
    u32::MAX >> (32 - bits * codes as u32)
}

/// The scale of group `index`, as stored: of either sign, a quarter around its mean.
fn scale(stream: Stream, index: u64, bits: u32, width: f32) -> f32 {
    let random = stream.signed(index);
    let step = width / ((1u32 << bits) - 1) as f32;
    f16::from_f32(step * (0.75 + 0.5 * random.abs()) * random.signum()).to_f32()
}
