//! What there is to say about an opened bundle: the data behind `inspect`. The
//! field names are the keys of its JSON form and stay as they are.

use std::collections::BTreeSet;

use serde::Serialize;

use super::zaya::{self, Tensors, code_bits};
use super::{Bundle, Family, ThinkingSupport};
use crate::quant::{Format, Matrix};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub name: String,
    pub family: &'static str,
    /// "alternating" (80 layers for ZAYA1-8B) or "fused" (40).
    pub layout: zaya::Layout,
    /// Number format of the experts: "mxtq", "affine", "mxfp4", "bf16", ….
    pub format: &'static str,
    pub layers: usize,
    pub experts: usize,
    pub parameters: Parameters,
    pub bits: Bits,
    /// Bytes of all weight files.
    pub bytes: u64,
    pub context: usize,
    pub template: TemplateReport,
    pub capabilities: Capabilities,
    /// Whether any token can take the skip route, in any layer.
    pub skip_reachable: bool,
    pub fingerprint: String,
    pub warnings: Vec<String>,
    /// "usable", or "usable, with warnings".
    pub verdict: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parameters {
    pub total: u64,
    /// Used for one token: all but the experts that are not chosen.
    pub active: u64,
}

/// Bits per weight by role, scales not counted. Several where layers differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bits {
    pub attention: RoleBits,
    pub embedding: RoleBits,
    pub router: RoleBits,
    pub conv: RoleBits,
    pub gate: RoleBits,
    pub up: RoleBits,
    pub down: RoleBits,
}

/// Usually one number, and written as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleBits(pub BTreeSet<u32>);

impl Serialize for RoleBits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.first() {
            Some(bits) if self.0.len() == 1 => serializer.serialize_u32(*bits),
            _ => self.0.serialize(serializer),
        }
    }
}

impl std::fmt::Display for RoleBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&bits.join("/"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateReport {
    /// The file it is from; none means that the built-in one is used.
    pub source: Option<&'static str>,
    pub thinking: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    pub tools: bool,
    /// "none", "optional" (off by default) or "default".
    pub thinking: &'static str,
}

impl Report {
    pub(super) fn of(bundle: &Bundle) -> Self {
        let Family::Zaya(tensors) = &bundle.model;
        let thinking = match bundle.thinking {
            ThinkingSupport::None => "none",
            ThinkingSupport::Optional => "optional",
            ThinkingSupport::Default => "default",
        };
        let mentions_thinking = |template: &String| template.contains("think");
        Self {
            name: bundle.name.clone(),
            family: "zaya",
            layout: bundle.layout,
            format: format_name(tensors),
            layers: tensors.config.layers,
            experts: tensors.config.experts,
            parameters: parameters(tensors),
            bits: bits(tensors),
            bytes: bundle.bytes,
            context: bundle.context,
            template: TemplateReport {
                source: bundle.template_source.map(super::TemplateSource::file),
                thinking: bundle.template.as_ref().is_none_or(mentions_thinking),
            },
            capabilities: Capabilities {
                tools: bundle.tools,
                thinking,
            },
            skip_reachable: !tensors.layers_with_reachable_skip().is_empty(),
            fingerprint: bundle.fingerprint.clone(),
            warnings: bundle.warnings.clone(),
            verdict: match bundle.warnings.is_empty() {
                true => "usable",
                false => "usable, with warnings",
            },
        }
    }
}

pub(super) fn format_name(tensors: &Tensors) -> &'static str {
    let expert = tensors.layers.first().and_then(|l| l.experts.first());
    match expert.map(|e| &e.gate.format) {
        Some(Format::F32) => "f32",
        Some(Format::F16) => "f16",
        Some(Format::Bf16) | None => "bf16",
        Some(Format::Affine { .. }) => "affine",
        Some(Format::Mxtq { .. }) => "mxtq",
        Some(Format::Mxfp4 { .. }) => "mxfp4",
    }
}

fn parameters(t: &Tensors) -> Parameters {
    let size = |m: &Matrix| m.rows as u64 * m.cols as u64;
    let merge = |m: &zaya::Merge| {
        [
            &m.residual_scale,
            &m.residual_bias,
            &m.hidden_scale,
            &m.hidden_bias,
        ]
        .iter()
        .map(|v| v.len() as u64)
        .sum::<u64>()
    };
    let vectors = |list: &[&Vec<f32>]| list.iter().map(|v| v.len() as u64).sum::<u64>();
    let mut common = size(&t.embed) + vectors(&[&t.input_scale, &t.input_bias, &t.final_norm]);
    let (mut all, mut chosen) = (0, 0);
    for layer in &t.layers {
        let (a, r) = (&layer.attention, &layer.router);
        for m in [&a.q, &a.k, &a.v_current, &a.v_delayed, &a.o] {
            common += size(m);
        }
        common += size(&a.conv_depthwise) + size(&a.conv_grouped);
        for m in [&r.down, &r.fc1, &r.fc2, &r.out] {
            common += size(m);
        }
        common += vectors(&[
            &layer.input_norm,
            &layer.post_norm,
            &a.conv_depthwise_bias,
            &a.conv_grouped_bias,
            &a.temp,
            &r.down_bias,
            &r.norm,
            &r.fc1_bias,
            &r.fc2_bias,
            &r.balancing_biases,
        ]);
        common += r.state_scale.as_ref().map_or(0, |v| v.len() as u64);
        common += merge(&layer.after_attention) + merge(&layer.after_experts);
        let expert = |e: &zaya::Expert| size(&e.gate) + size(&e.up) + size(&e.down);
        all += layer.experts.iter().map(expert).sum::<u64>();
        chosen += layer.experts.first().map_or(0, expert);
    }
    Parameters {
        total: common + all,
        active: common + chosen,
    }
}

fn bits(t: &Tensors) -> Bits {
    let role =
        |of: &dyn Fn(&zaya::Layer) -> Vec<u32>| RoleBits(t.layers.iter().flat_map(of).collect());
    let experts = |of: &dyn Fn(&zaya::Expert) -> u32| {
        role(&|l: &zaya::Layer| l.experts.iter().map(of).collect())
    };
    Bits {
        attention: role(&|l| {
            let a = &l.attention;
            [&a.q, &a.k, &a.v_current, &a.v_delayed, &a.o]
                .map(code_bits)
                .to_vec()
        }),
        embedding: RoleBits([code_bits(&t.embed)].into()),
        router: role(&|l| {
            let r = &l.router;
            [&r.down, &r.fc1, &r.fc2, &r.out].map(code_bits).to_vec()
        }),
        conv: role(&|l| {
            let a = &l.attention;
            [&a.conv_depthwise, &a.conv_grouped].map(code_bits).to_vec()
        }),
        gate: experts(&|e| code_bits(&e.gate)),
        up: experts(&|e| code_bits(&e.up)),
        down: experts(&|e| code_bits(&e.down)),
    }
}
