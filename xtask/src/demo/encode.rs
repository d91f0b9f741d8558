//! The checkpoint's tensors in a bundle's formats: experts in MXTQ, attention and
//! embedding affine, everything else as 16-bit floats. Which is which follows
//! the converter of published bundles.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::names;
use crate::jang::{GROUP, Profile, SEED};

/// The tensors of a bundle.
pub struct Tensors {
    all: Vec<Tensor>,
    /// Base name, input width and code width of every MXTQ matrix.
    pub mxtq: Vec<(String, usize, u32)>,
}

struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

/// A matrix, or several of the same shape: `[.., rows, columns]` in fp32.
struct Floats {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Floats {
    fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    fn rows(&self) -> usize {
        self.values.len() / self.columns().max(1)
    }

    /// The shape with another last dimension.
    fn with_last(&self, last: usize) -> Vec<usize> {
        let outer = self.shape.len().saturating_sub(1);
        [&self.shape[..outer], &[last]].concat()
    }
}

/// Encodes the checkpoint in `file`, which has `layers` fused layers.
pub fn encode(file: &Path, layers: usize, profile: Profile) -> Result<Tensors> {
    let place = || file.display().to_string();
    let bytes = std::fs::read(file).with_context(place)?;
    let checkpoint = SafeTensors::deserialize(&bytes).with_context(place)?;
    let (all, mxtq) = (Vec::new(), Vec::new());
    let mut out = Tensors { all, mxtq };
    let mut list = checkpoint.tensors();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, view) in &list {
        let floats = floats(view).with_context(|| name.clone())?;
        match names::layer(name) {
            Some((layer, "mlp.experts.gate_up_proj")) => {
                let [gate, up] = halves(&floats)?;
                out.expert(layer, "gate_proj", &gate, profile)?;
                out.expert(layer, "up_proj", &up, profile)?;
            }
            Some((layer, "mlp.experts.down_proj")) => {
                out.expert(layer, "down_proj", &floats, profile)?;
            }
            _ => out.regular(&names::legacy(name, layers)?, &floats, profile)?,
        }
    }
    Ok(out)
}

impl Tensors {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|tensor| tensor.name.as_str())
    }

    /// Writes a safetensors file; returns its size.
    pub fn write(&self, path: &Path) -> Result<u64> {
        let mut views = Vec::new();
        for tensor in &self.all {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data);
            views.push((
                tensor.name.as_str(),
                view.with_context(|| tensor.name.clone())?,
            ));
        }
        let file = safetensors::serialize(views, None)?;
        std::fs::write(path, &file).with_context(|| path.display().to_string())?;
        Ok(file.len() as u64)
    }

    fn expert(
        &mut self,
        layer: usize,
        part: &str,
        floats: &Floats,
        profile: Profile,
    ) -> Result<()> {
        let layer = 2 * layer + 1;
        let base = format!("model.layers.{layer}.zaya_block.experts.switch_mlp.{part}");
        match profile.mxtq_bits() {
            Some([_, _, down]) if part == "down_proj" => self.mxtq(&base, floats, down),
            Some([gate, ..]) => self.mxtq(&base, floats, gate),
            None => self.affine(&base, floats, 4),
        }
    }

    fn regular(&mut self, name: &str, floats: &Floats, profile: Profile) -> Result<()> {
        let kept = ["norm", ".res_scale.", ".router.", ".conv_qk."];
        let matrix = name
            .strip_suffix(".weight")
            .filter(|_| floats.shape.len() > 1);
        match matrix.filter(|_| !kept.iter().any(|part| name.contains(part))) {
            Some(base) if base == "model.embed_tokens" => self.affine(base, floats, 8),
            Some(base) => self.affine(base, floats, profile.attention_bits()),
            None => {
                let values: Vec<f16> = floats.values.iter().map(|v| f16::from_f32(*v)).collect();
                self.push(name, Dtype::F16, floats.shape.clone(), halves_le(&values));
                Ok(())
            }
        }
    }

    fn mxtq(&mut self, base: &str, floats: &Floats, bits: u32) -> Result<()> {
        let (rows, width) = (floats.rows(), floats.columns());
        let coded = cairn::quant::encode_mxtq(&floats.values, rows, width, bits, SEED);
        let words = cairn::quant::words_per_row(width, bits);
        let outer = floats.shape[..floats.shape.len() - 1].to_vec();
        let name = |suffix: &str| format!("{base}.{suffix}");
        let packed = floats.with_last(words);
        self.push(
            &name("tq_packed"),
            Dtype::U32,
            packed,
            words_le(&coded.words),
        );
        self.push(
            &name("tq_norms"),
            Dtype::F16,
            outer,
            halves_le(&coded.norms),
        );
        self.push(&name("tq_bits"), Dtype::U8, vec![1], vec![bits as u8]);
        self.mxtq.push((base.to_owned(), width, bits));
        Ok(())
    }

    fn affine(&mut self, base: &str, floats: &Floats, bits: u32) -> Result<()> {
        let (rows, width) = (floats.rows(), floats.columns());
        ensure!(
            width % GROUP == 0,
            "{base}: {width} inputs are no multiple of {GROUP}"
        );
        let coded = cairn::quant::encode_affine(&floats.values, rows, width, bits, GROUP);
        let codes = floats.with_last(width * bits as usize / 32);
        let groups = floats.with_last(width / GROUP);
        let name = |suffix: &str| format!("{base}.{suffix}");
        self.push(&name("weight"), Dtype::U32, codes, words_le(&coded.words));
        let (scales, biases) = (halves_le(&coded.scales), halves_le(&coded.biases));
        self.push(&name("scales"), Dtype::F16, groups.clone(), scales);
        self.push(&name("biases"), Dtype::F16, groups, biases);
        Ok(())
    }

    fn push(&mut self, name: &str, dtype: Dtype, shape: Vec<usize>, data: Vec<u8>) {
        let name = name.to_owned();
        self.all.push(Tensor {
            name,
            dtype,
            shape,
            data,
        });
    }
}

fn words_le(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn halves_le(values: &[f16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn floats(view: &TensorView<'_>) -> Result<Floats> {
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F32 => data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
        Dtype::BF16 => data
            .as_chunks::<2>()
            .0
            .iter()
            .map(|bytes| bf16::from_le_bytes(*bytes).to_f32())
            .collect(),
        other => bail!("{other:?} where F32 or BF16 should be"),
    };
    let shape = view.shape().to_vec();
    Ok(Floats { shape, values })
}

/// The gate half and the up half of every expert's fused matrix.
fn halves(fused: &Floats) -> Result<[Floats; 2]> {
    let [experts, rows, columns] = fused.shape[..] else {
        bail!("fused experts of shape {:?}", fused.shape);
    };
    ensure!(
        experts > 0 && rows > 0 && rows % 2 == 0 && columns > 0,
        "odd fused experts"
    );
    let half = rows / 2 * columns;
    let part = |which: usize| Floats {
        shape: vec![experts, rows / 2, columns],
        values: fused
            .values
            .chunks_exact(half)
            .skip(which)
            .step_by(2)
            .flatten()
            .copied()
            .collect(),
    };
    Ok([part(0), part(1)])
}
