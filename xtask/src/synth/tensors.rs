//! Which tensors a bundle has, and what to fill each with.
//!
//! Linear maps have rows of about unit length for a unit-variance input, so an
//! output has about unit variance; the residual stream grows slowly and every
//! block normalises its input. Router rows sum to zero behind each GELU, whose
//! positive mean would otherwise favour the same expert for every token.

use super::geometry::Geometry;
use crate::jang::{GROUP, Profile};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dtype {
    U32,
    F16,
    U8,
}

impl Dtype {
    pub fn name(self) -> &'static str {
        match self {
            Self::U32 => "U32",
            Self::F16 => "F16",
            Self::U8 => "U8",
        }
    }

    pub fn size(self) -> u64 {
        match self {
            Self::U32 => 4,
            Self::F16 => 2,
            Self::U8 => 1,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Fill {
    /// Uniform in `mean - spread .. mean + spread`.
    Around {
        mean: f32,
        spread: f32,
    },
    /// As above around 0, each row of `columns` shifted to sum to zero.
    ZeroSum {
        columns: usize,
        spread: f32,
    },
    /// Zeros, and this as the last element.
    LastOf(f32),
    /// Random words of any value.
    Codes,
    /// MXTQ rows of `words` words holding `columns` codes of `bits` bits each;
    /// unused bits and codes are zero.
    PackedCodes {
        bits: u32,
        words: usize,
        columns: usize,
    },
    /// Affine scales, half of them negative, for values that span `width`.
    Scales {
        bits: u32,
        width: f32,
    },
    /// The biases that centre those scales' values on zero.
    Biases {
        bits: u32,
        width: f32,
    },
    Byte(u8),
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub fill: Fill,
}

impl Tensor {
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|n| *n as u64).product()
    }

    pub fn bytes(&self) -> u64 {
        self.elements() * self.dtype.size()
    }
}

struct Inventory<'a> {
    geometry: &'a Geometry,
    profile: Profile,
    out: Vec<Tensor>,
}

/// All tensors of a bundle, in the order in which a converter meets them.
pub fn inventory(geometry: &Geometry, profile: Profile) -> Vec<Tensor> {
    let out = Vec::new();
    let mut inventory = Inventory {
        geometry,
        profile,
        out,
    };
    inventory.top();
    for layer in 0..geometry.layers {
        let prefix = format!("model.layers.{layer}.");
        inventory.norm(&format!("{prefix}input_norm.weight"));
        inventory.residual_scales(&prefix, layer > 0);
        if layer % 2 == 0 {
            inventory.attention(&format!("{prefix}self_attn."));
        } else {
            inventory.router(&format!("{prefix}zaya_block.router."), layer > 1);
            inventory.experts(&format!("{prefix}zaya_block.experts.switch_mlp."));
        }
    }
    inventory.out
}

impl Inventory<'_> {
    fn top(&mut self) {
        let Geometry { vocab, hidden, .. } = *self.geometry;
        self.affine("model.embed_tokens", &[vocab, hidden], 8, 1.0);
        // Larger than 1, so that the next token is not equally likely everywhere.
        let gain = self.geometry.output_gain;
        self.around("model.final_norm.weight", &[hidden], gain, 0.1 * gain);
        self.residual_scales("model.", true);
    }

    fn attention(&mut self, prefix: &str) {
        let g = self.geometry;
        let (hidden, queries, keys) = (g.hidden, g.query_rows(), g.kv_rows());
        let bits = self.profile.attention_bits();
        for (name, rows) in [
            ("linear_q", queries),
            ("linear_k", keys),
            ("val_proj1", keys / 2),
            ("val_proj2", keys / 2),
        ] {
            self.affine(&format!("{prefix}qkv.{name}"), &[rows, hidden], bits, 1.0);
        }
        self.affine(&format!("{prefix}o_proj"), &[hidden, queries], bits, 1.0);
        let channels = queries + keys;
        let convolutions = [
            ("0", 1, 0.7),
            ("1", g.head_dim, (1.5 / g.head_dim as f32).sqrt()),
        ];
        for (index, inputs, spread) in convolutions {
            let name = format!("{prefix}qkv.conv_qk.{index}");
            self.around(
                &format!("{name}.weight"),
                &[channels, inputs, 2],
                0.0,
                spread,
            );
            self.around(&format!("{name}.bias"), &[channels], 0.0, 0.05);
        }
        self.around(&format!("{prefix}qkv.temp"), &[g.kv_heads], 4.0, 3.0);
    }

    fn router(&mut self, prefix: &str, has_state: bool) {
        let Geometry {
            hidden,
            router_width: width,
            experts,
            ..
        } = *self.geometry;
        let spread = |inputs: usize, gain: f32| gain * (3.0 / inputs as f32).sqrt();
        let weight = |name: &str| format!("{prefix}{name}.weight");
        let bias = |name: &str| format!("{prefix}{name}.bias");
        self.around(
            &weight("down_proj"),
            &[width, hidden],
            0.0,
            spread(hidden, 1.0),
        );
        self.around(&bias("down_proj"), &[width], 0.0, 0.1);
        if has_state {
            self.around(&format!("{prefix}router_states_scale"), &[width], 0.5, 0.3);
        }
        self.around(&weight("rmsnorm_eda"), &[width], 1.0, 0.1);
        self.around(
            &weight("router_mlp.0"),
            &[width, width],
            0.0,
            spread(width, 1.5),
        );
        self.around(&bias("router_mlp.0"), &[width], 0.0, 0.05);
        self.zero_sum(&weight("router_mlp.2"), &[width, width], spread(width, 2.0));
        self.around(&bias("router_mlp.2"), &[width], 0.0, 0.05);
        self.zero_sum(
            &weight("router_mlp.4"),
            &[experts + 1, width],
            spread(width, 4.0),
        );
        let name = format!("{prefix}balancing_biases");
        // The skip route is out of reach, as in the published checkpoints.
        self.push(name, Dtype::F16, &[experts + 1], Fill::LastOf(-1.0));
    }

    fn experts(&mut self, prefix: &str) {
        let Geometry {
            hidden,
            expert_width,
            experts,
            ..
        } = *self.geometry;
        let shapes = [
            ("gate_proj", [experts, expert_width, hidden]),
            ("up_proj", [experts, expert_width, hidden]),
            ("down_proj", [experts, hidden, expert_width]),
        ];
        for (index, (name, shape)) in shapes.into_iter().enumerate() {
            let base = format!("{prefix}{name}");
            match self.profile.mxtq_bits() {
                Some(bits) => self.mxtq(&base, shape, bits[index]),
                None => self.affine(&base, &shape, 4, 1.0),
            }
        }
    }

    fn residual_scales(&mut self, prefix: &str, has_residual: bool) {
        let hidden = self.geometry.hidden;
        let mut streams = vec!["hidden_states"];
        // The embedding's rows have unit length: bring elements to unit size.
        let scale = if has_residual {
            1.0
        } else {
            (hidden as f32).sqrt() * self.geometry.input_gain
        };
        if has_residual {
            streams.push("residual");
        }
        for stream in streams {
            let name = format!("{prefix}res_scale.{stream}");
            self.around(&format!("{name}_scale"), &[hidden], scale, scale * 0.1);
            self.around(&format!("{name}_bias"), &[hidden], 0.0, 0.01 / scale);
        }
    }

    fn norm(&mut self, name: &str) {
        self.around(name, &[self.geometry.hidden], 1.0, 0.1);
    }

    /// An affine triple whose rows have length `gain` on average.
    fn affine(&mut self, base: &str, shape: &[usize], bits: u32, gain: f32) {
        let (columns, outer) = (shape[shape.len() - 1], &shape[..shape.len() - 1]);
        let with = |last: usize| [outer, &[last]].concat();
        // A uniform distribution of this width has the variance gain^2 / columns.
        let width = gain * (12.0 / columns as f32).sqrt();
        let codes = with(columns * bits as usize / 32);
        self.push(format!("{base}.weight"), Dtype::U32, &codes, Fill::Codes);
        let groups = with(columns / GROUP);
        let scales = Fill::Scales { bits, width };
        self.push(format!("{base}.scales"), Dtype::F16, &groups, scales);
        let biases = Fill::Biases { bits, width };
        self.push(format!("{base}.biases"), Dtype::F16, &groups, biases);
    }

    fn mxtq(&mut self, base: &str, [experts, rows, columns]: [usize; 3], bits: u32) {
        let words = columns.div_ceil(32 / bits as usize);
        let fill = Fill::PackedCodes {
            bits,
            words,
            columns,
        };
        self.push(
            format!("{base}.tq_packed"),
            Dtype::U32,
            &[experts, rows, words],
            fill,
        );
        self.around(&format!("{base}.tq_norms"), &[experts, rows], 1.0, 0.2);
        let fill = Fill::Byte(bits as u8);
        self.push(format!("{base}.tq_bits"), Dtype::U8, &[1], fill);
    }

    fn around(&mut self, name: &str, shape: &[usize], mean: f32, spread: f32) {
        let fill = Fill::Around { mean, spread };
        self.push(name.to_owned(), Dtype::F16, shape, fill);
    }

    fn zero_sum(&mut self, name: &str, shape: &[usize], spread: f32) {
        let fill = Fill::ZeroSum {
            columns: shape[shape.len() - 1],
            spread,
        };
        self.push(name.to_owned(), Dtype::F16, shape, fill);
    }

    fn push(&mut self, name: String, dtype: Dtype, shape: &[usize], fill: Fill) {
        let shape = shape.to_vec();
        self.out.push(Tensor {
            name,
            dtype,
            shape,
            fill,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::Preset;

    #[test]
    fn the_census_of_zaya1_8b() {
        let geometry = Geometry::of(Preset::Zaya1_8b);
        for profile in [Profile::JangtqK, Profile::Mxfp4] {
            assert_eq!(inventory(&geometry, profile).len(), 1965);
        }
        let tensors = inventory(&geometry, Profile::Jangtq3);
        let shape = |name: &str| {
            let name = format!("model.layers.{name}");
            let found = tensors.iter().find(|tensor| tensor.name == name);
            found.map(|tensor| tensor.shape.clone()).unwrap_or_default()
        };
        assert_eq!(
            shape("79.zaya_block.experts.switch_mlp.down_proj.tq_packed"),
            [16, 2048, 205]
        );
        assert_eq!(shape("0.self_attn.o_proj.scales"), [2048, 32]);
        assert!(shape("1.zaya_block.router.router_states_scale").is_empty());
        assert!(shape("0.res_scale.residual_scale").is_empty());
        assert_eq!(shape("2.res_scale.residual_scale"), [2048]);
    }
}
