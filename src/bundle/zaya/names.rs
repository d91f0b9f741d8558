//! Tensor names of the two layouts that ZAYA checkpoints come in. Both hold
//! the same numbers: the original one alternates attention and expert layers
//! (80 for ZAYA1-8B), the one of transformers fuses each pair (40).

use std::borrow::Cow;

/// How a checkpoint names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Layer 2L is the attention of fused layer L, 2L+1 its experts.
    Alternating,
    /// One layer is attention and experts.
    Fused,
}

impl Layout {
    /// Tells the layout by the names; `None` if they are of neither or both.
    pub(super) fn detect<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut alternating, mut fused) = (false, false);
        for name in names {
            alternating |= name.contains(".zaya_block.") || name.contains(".self_attn.qkv.");
            fused |= name.contains(".self_attn.qkv_proj.") || name == "model.norm.weight";
        }
        match (alternating, fused) {
            (true, false) => Some(Self::Alternating),
            (false, true) => Some(Self::Fused),
            _ => None,
        }
    }

    /// File layers per fused layer.
    pub(super) fn stride(self) -> usize {
        match self {
            Self::Alternating => 2,
            Self::Fused => 1,
        }
    }

    fn pick(self, alternating: &'static str, fused: &'static str) -> &'static str {
        match self {
            Self::Alternating => alternating,
            Self::Fused => fused,
        }
    }

    pub(super) fn final_norm(self) -> &'static str {
        self.pick("model.final_norm.weight", "model.norm.weight")
    }

    /// Prefix of `scale` and `bias` of the embedded input.
    pub(super) fn input(self) -> &'static str {
        self.pick(
            "model.layers.0.res_scale.hidden_states_",
            "model.input_hidden_states_",
        )
    }

    /// A tensor of the attention half of fused layer `layer`.
    pub(super) fn attention(self, layer: usize, part: Attention) -> String {
        let (alternating, fused) = match part {
            Attention::Norm => ("input_norm.weight", "input_layernorm.weight"),
            Attention::Q => ("self_attn.qkv.linear_q", "self_attn.qkv_proj.q_proj"),
            Attention::K => ("self_attn.qkv.linear_k", "self_attn.qkv_proj.k_proj"),
            Attention::VCurrent => (
                "self_attn.qkv.val_proj1",
                "self_attn.qkv_proj.v_proj_current",
            ),
            Attention::VDelayed => (
                "self_attn.qkv.val_proj2",
                "self_attn.qkv_proj.v_proj_delayed",
            ),
            Attention::O => ("self_attn.o_proj", "self_attn.o_proj"),
            Attention::Depthwise => (
                "self_attn.qkv.conv_qk.0",
                "self_attn.qkv_proj.conv_qk_depthwise",
            ),
            Attention::Grouped => (
                "self_attn.qkv.conv_qk.1",
                "self_attn.qkv_proj.conv_qk_grouped",
            ),
            Attention::Temp => ("self_attn.qkv.temp", "self_attn.qk_norm.temp"),
        };
        let name = self.pick(alternating, fused);
        format!("model.layers.{}.{name}", layer * self.stride())
    }

    /// A tensor of the expert half.
    pub(super) fn moe(self, layer: usize, part: Moe) -> String {
        let (alternating, fused) = match part {
            Moe::Norm => ("input_norm.weight", "post_attention_layernorm.weight"),
            Moe::Down => ("zaya_block.router.down_proj", "mlp.gate.down_proj"),
            Moe::StateScale => (
                "zaya_block.router.router_states_scale",
                "mlp.gate.router_states_scale",
            ),
            Moe::RouterNorm => (
                "zaya_block.router.rmsnorm_eda.weight",
                "mlp.gate.router_mlp.norm.weight",
            ),
            Moe::Fc1 => ("zaya_block.router.router_mlp.0", "mlp.gate.router_mlp.fc1"),
            Moe::Fc2 => ("zaya_block.router.router_mlp.2", "mlp.gate.router_mlp.fc2"),
            Moe::Out => (
                "zaya_block.router.router_mlp.4",
                "mlp.gate.router_mlp.out_proj",
            ),
            Moe::Balancing => (
                "zaya_block.router.balancing_biases",
                "mlp.gate.balancing_biases",
            ),
            Moe::Experts => ("zaya_block.experts", "mlp.experts"),
        };
        let name = self.pick(alternating, fused);
        let index = layer * self.stride() + self.stride() - 1;
        format!("model.layers.{index}.{name}")
    }

    /// Prefix of the four vectors that merge the attention's output.
    pub(super) fn after_attention(self, layer: usize) -> String {
        match self {
            Self::Alternating => format!("model.layers.{}.res_scale.", 2 * layer + 1),
            Self::Fused => format!("model.layers.{layer}.post_attention_residual_scale."),
        }
    }

    /// Prefix of the four vectors that merge the experts' output. In the
    /// alternating layout they belong to the layer that consumes the result.
    pub(super) fn after_experts(self, layer: usize, layers: usize) -> String {
        match self {
            Self::Alternating if layer + 1 == layers => "model.res_scale.".to_owned(),
            Self::Alternating => format!("model.layers.{}.res_scale.", 2 * layer + 2),
            Self::Fused => format!("model.layers.{layer}.post_mlp_residual_scale."),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Attention {
    Norm,
    Q,
    K,
    VCurrent,
    VDelayed,
    O,
    Depthwise,
    Grouped,
    Temp,
}

#[derive(Clone, Copy)]
pub(super) enum Moe {
    Norm,
    Down,
    StateScale,
    RouterNorm,
    Fc1,
    Fc2,
    Out,
    Balancing,
    Experts,
}

/// Names in re-exports by third parties, and what they stand for.
const ALIASES: [(&str, &str); 6] = [
    (".self_attn.cca.", ".self_attn.qkv."),
    (".moe.zaya_block.", ".zaya_block."),
    (".moe.router.", ".zaya_block.router."),
    (".moe.experts.", ".zaya_block.experts."),
    (".gate.router_mlp.rmsnorm_eda.", ".gate.router_mlp.norm."),
    (".qkv_proj.temp", ".qk_norm.temp"),
];

/// The name that the layouts above use for `name`.
pub(super) fn canonical(name: &str) -> Cow<'_, str> {
    let mut name = Cow::Borrowed(name);
    for (alias, usual) in ALIASES {
        if name.contains(alias) {
            name = Cow::Owned(name.replacen(alias, usual, 1));
        }
    }
    name
}

/// Tensors that a ZAYA checkpoint may hold and this program has no use for:
/// the head, tied to the embedding, and multi-token prediction.
pub(super) fn is_ignorable(name: &str) -> bool {
    ["lm_head.", "mtp.", "model.mtp.", "eh_proj.", "shared_head."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The layer that `name` belongs to, as the file counts.
pub(super) fn layer_index(name: &str) -> Option<usize> {
    let rest = name.strip_prefix("model.layers.")?;
    rest.split_once('.')?.0.parse().ok()
}
