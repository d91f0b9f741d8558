//! Tensor names of the 40-layer layout, which the checkpoint has, as those of
//! the 80-layer layout, which bundles have: layer `L` becomes attention layer
//! `2L` and expert layer `2L + 1`, and each merge's scales move to the layer that
//! comes after it.

use anyhow::{Result, bail};

/// The 80-layer name of `name` in a model of `layers` fused layers. The stacked
/// experts have no such name: they are split and re-encoded.
pub fn legacy(name: &str, layers: usize) -> Result<String> {
    if let Some(rest) = name.strip_prefix("model.input_hidden_states_") {
        return Ok(format!("model.layers.0.res_scale.hidden_states_{rest}"));
    }
    if name == "model.norm.weight" {
        return Ok("model.final_norm.weight".to_owned());
    }
    let Some((layer, rest)) = layer(name) else {
        if name == "model.embed_tokens.weight" {
            return Ok(name.to_owned());
        }
        bail!("{name}: not a tensor of the 40-layer layout");
    };
    let (attention, expert, next) = (2 * layer, 2 * layer + 1, 2 * layer + 2);
    let (module, part) = match rest.rsplit_once('.') {
        Some(split) => split,
        None => bail!("{name}: not a tensor of the 40-layer layout"),
    };
    Ok(match module {
        "input_layernorm" => format!("model.layers.{attention}.input_norm.{part}"),
        "post_attention_layernorm" => format!("model.layers.{expert}.input_norm.{part}"),
        "post_attention_residual_scale" => format!("model.layers.{expert}.res_scale.{part}"),
        "post_mlp_residual_scale" if layer + 1 == layers => format!("model.res_scale.{part}"),
        "post_mlp_residual_scale" => format!("model.layers.{next}.res_scale.{part}"),
        "self_attn.o_proj" => format!("model.layers.{attention}.self_attn.o_proj.{part}"),
        "self_attn.qk_norm" => format!("model.layers.{attention}.self_attn.qkv.{part}"),
        _ => match (
            module.strip_prefix("self_attn.qkv_proj."),
            module.strip_prefix("mlp.gate"),
        ) {
            (Some(module), _) => {
                let module = projection(module, name)?;
                format!("model.layers.{attention}.self_attn.qkv.{module}.{part}")
            }
            (_, Some(module)) => {
                let module = router(module, name)?;
                format!("model.layers.{expert}.zaya_block.router{module}.{part}")
            }
            _ => bail!("{name}: not a tensor of the 40-layer layout"),
        },
    })
}

/// Layer and the rest of the name, for a name that has a layer.
pub fn layer(name: &str) -> Option<(usize, &str)> {
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}

fn projection(module: &str, name: &str) -> Result<&'static str> {
    Ok(match module {
        "q_proj" => "linear_q",
        "k_proj" => "linear_k",
        "v_proj_current" => "val_proj1",
        "v_proj_delayed" => "val_proj2",
        "conv_qk_depthwise" => "conv_qk.0",
        "conv_qk_grouped" => "conv_qk.1",
        _ => bail!("{name}: not a tensor of the 40-layer layout"),
    })
}

fn router(module: &str, name: &str) -> Result<&'static str> {
    Ok(match module {
        "" => "",
        ".down_proj" => ".down_proj",
        ".router_mlp.norm" => ".rmsnorm_eda",
        ".router_mlp.fc1" => ".router_mlp.0",
        ".router_mlp.fc2" => ".router_mlp.2",
        ".router_mlp.out_proj" => ".router_mlp.4",
        _ => bail!("{name}: not a tensor of the 40-layer layout"),
    })
}

#[cfg(test)]
mod tests {
    use super::legacy;

    #[test]
    fn every_kind_of_name_maps() {
        for (name, expected) in [
            ("model.embed_tokens.weight", "model.embed_tokens.weight"),
            ("model.norm.weight", "model.final_norm.weight"),
            (
                "model.input_hidden_states_bias",
                "model.layers.0.res_scale.hidden_states_bias",
            ),
            (
                "model.layers.0.post_mlp_residual_scale.residual_bias",
                "model.layers.2.res_scale.residual_bias",
            ),
            (
                "model.layers.3.post_mlp_residual_scale.residual_bias",
                "model.res_scale.residual_bias",
            ),
            (
                "model.layers.1.post_attention_residual_scale.hidden_states_scale",
                "model.layers.3.res_scale.hidden_states_scale",
            ),
            (
                "model.layers.1.input_layernorm.weight",
                "model.layers.2.input_norm.weight",
            ),
            (
                "model.layers.1.post_attention_layernorm.weight",
                "model.layers.3.input_norm.weight",
            ),
            (
                "model.layers.1.self_attn.qkv_proj.conv_qk_grouped.bias",
                "model.layers.2.self_attn.qkv.conv_qk.1.bias",
            ),
            (
                "model.layers.1.self_attn.qk_norm.temp",
                "model.layers.2.self_attn.qkv.temp",
            ),
            (
                "model.layers.1.mlp.gate.router_states_scale",
                "model.layers.3.zaya_block.router.router_states_scale",
            ),
            (
                "model.layers.1.mlp.gate.router_mlp.out_proj.weight",
                "model.layers.3.zaya_block.router.router_mlp.4.weight",
            ),
        ] {
            assert_eq!(legacy(name, 4).unwrap(), expected);
        }
        assert!(legacy("model.layers.1.mlp.gate.surprise.weight", 4).is_err());
        assert!(legacy("lm_head.weight", 4).is_err());
    }
}
