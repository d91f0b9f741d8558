//! What `config.json` says about a ZAYA model. Shapes are derived from the
//! tensors; the configuration supplies what shapes can't (rope, eps), refuses
//! variants that the model code doesn't compute, and is cross-checked.

use serde_json::Value;

use crate::bundle::error::Error;
use crate::bundle::json::Object;

use super::Config;

/// The parts of `config.json` that the tensors don't tell.
#[derive(Debug)]
pub(in crate::bundle) struct Claims {
    pub(super) num_hidden_layers: usize,
    pub(super) norm_eps: f32,
    pub(super) rope_theta: f64,
    partial_rotary: f64,
    pub(super) clamp_temp: bool,
}

const UNSUPPORTED: &str = "use a ZAYA1-8B bundle, whose configuration is supported";

impl Claims {
    pub(in crate::bundle) fn read(config: &Object) -> Result<Self, Error> {
        refuse_variants(config)?;
        let layers = &["num_hidden_layers"];
        let Some(num_hidden_layers) = config.count(layers)? else {
            return Err(missing(config, layers[0]));
        };
        let norm_eps = config
            .number(&["norm_epsilon", "rms_norm_eps"])?
            .unwrap_or(1e-5);
        if !(norm_eps > 0.0 && norm_eps < 0.1) {
            let problem = format!("norm_epsilon = {norm_eps} is not a small positive number");
            return Err(Error::file(&config.file, problem, UNSUPPORTED));
        }
        let (theta, partial) = rope(config);
        // Old configuration classes default to other values: never guess.
        let Some(rope_theta) = theta else {
            return Err(missing(config, "rope_theta"));
        };
        if !(rope_theta > 1.0 && rope_theta < 1e12) {
            let problem = format!("rope_theta = {rope_theta} is out of range");
            return Err(Error::file(&config.file, problem, UNSUPPORTED));
        }
        Ok(Self {
            num_hidden_layers,
            norm_eps: norm_eps as f32,
            rope_theta,
            partial_rotary: partial.unwrap_or(0.5),
            clamp_temp: config.flag("clamp_temp").unwrap_or(false),
        })
    }

    /// Dimensions of a head that are rotated.
    pub(super) fn rotary_dims(&self, config: &Object, head_dim: usize) -> Result<usize, Error> {
        let dims = (head_dim as f64 * self.partial_rotary).round();
        if dims >= 2.0 && dims <= head_dim as f64 && dims % 2.0 == 0.0 {
            return Ok(dims as usize);
        }
        let problem = format!(
            "partial_rotary_factor = {} does not leave an even part of {head_dim} dimensions",
            self.partial_rotary
        );
        Err(Error::file(&config.file, problem, UNSUPPORTED))
    }
}

/// Compares the derived geometry with what `config.json` claims. What the
/// first upload of the model got wrong is a warning, anything else an error.
pub(super) fn cross_check(
    config: &Object,
    shapes: &Config,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let hard: [(&[&str], usize); 6] = [
        (&["hidden_size"], shapes.hidden),
        (&["num_experts"], shapes.experts),
        (&["num_key_value_heads"], shapes.kv_heads),
        (&["num_query_groups"], shapes.kv_heads),
        (&["vocab_size"], shapes.vocab),
        (&["cca_num_q_heads"], shapes.query_heads),
    ];
    for (keys, actual) in hard {
        if let Some(claimed) = config.count(keys)?
            && claimed != actual
        {
            let problem = format!("{} = {claimed}, but the tensors have {actual}", keys[0]);
            let remedy = "use the config.json that belongs to these weights";
            return Err(Error::file(&config.file, problem, remedy));
        }
    }
    let mut soft: Vec<(&str, usize)> = vec![
        ("head_dim", shapes.head_dim),
        ("kv_channels", shapes.head_dim),
        ("cca_time0", shapes.conv_kernels[0]),
        ("cca_time1", shapes.conv_kernels[1]),
        ("zaya_mlp_expansion", shapes.router_width),
        ("router_hidden_size", shapes.router_width),
        ("moe_intermediate_size", shapes.expert_width),
    ];
    // With `cca_num_q_heads`, `num_attention_heads` is the uncompressed count.
    if config.get(&["cca_num_q_heads"]).is_none() {
        soft.push(("num_attention_heads", shapes.query_heads));
    }
    for (key, actual) in soft {
        if let Some(claimed) = config.count(&[key])?
            && claimed != actual
        {
            warnings.push(format!(
                "{}: {key} = {claimed}, but the tensors have {actual}, which counts",
                config.file
            ));
        }
    }
    // The fused width of gate and up; some configurations give one branch.
    if let Some(claimed) = config.count(&["ffn_hidden_size", "intermediate_size"])?
        && claimed != 2 * shapes.expert_width
        && claimed != shapes.expert_width
    {
        warnings.push(format!(
            "{}: ffn_hidden_size = {claimed}, but the experts are {} wide, which counts",
            config.file, shapes.expert_width
        ));
    }
    Ok(())
}

/// `rope_theta` and `partial_rotary_factor`, wherever they are.
fn rope(config: &Object) -> (Option<f64>, Option<f64>) {
    let nested = config.get(&["rope_parameters"]);
    let hybrid = nested.and_then(|p| p.get("hybrid"));
    let find = |key: &str| {
        [hybrid, nested]
            .into_iter()
            .flatten()
            .find_map(|p| p.get(key)?.as_f64())
            .or_else(|| config.get(&[key])?.as_f64())
    };
    (find("rope_theta"), find("partial_rotary_factor"))
}

fn refuse_variants(config: &Object) -> Result<(), Error> {
    let refuse = |keys: &[&str], value: &Value, why: &str| {
        let mut error = config.bad(keys, value, why);
        error.remedy = UNSUPPORTED.to_owned();
        Err(error)
    };
    let flags = [
        ("cca", true),
        ("scale_residual_merge", true),
        ("zaya_use_eda", true),
        ("zaya_use_mod", true),
        ("gated_linear_unit", true),
        ("tie_word_embeddings", true),
        ("attention_bias", false),
        ("add_bias_linear", false),
        ("lm_head_bias", false),
    ];
    for (key, wanted) in flags {
        if config.flag(key) == Some(!wanted) {
            let why = format!("is not supported; only {wanted} is");
            return refuse(&[key], &Value::Bool(!wanted), &why);
        }
    }
    let keys = &["moe_router_topk", "num_experts_per_tok"];
    if let Some(k) = config.count(keys)?
        && k != 1
    {
        return refuse(keys, &k.into(), "is not supported; only 1 is");
    }
    let words: [(&str, &[&str]); 3] = [
        ("normalization", &["RMSNorm"]),
        ("activation_func", &["swiglu", "silu"]),
        ("hidden_act", &["silu", "swiglu"]),
    ];
    for (key, known) in words {
        if let Some(value) = config.get(&[key])
            && !value.as_str().is_some_and(|v| known.contains(&v))
        {
            return refuse(
                &[key],
                value,
                &format!("is unknown; known: {}", known.join(", ")),
            );
        }
    }
    if let Some(value @ Value::Object(scaling)) = config.get(&["rope_scaling"]) {
        let kind = scaling.get("rope_type").or(scaling.get("type"));
        if kind.is_some_and(|k| k != "default") {
            return refuse(&["rope_scaling"], value, "is not supported");
        }
    }
    if let Some(Value::Array(kinds)) = config.get(&["layer_types"])
        && let Some(kind) = kinds
            .iter()
            .find(|k| *k != "hybrid" && *k != "full_attention")
    {
        return refuse(&["layer_types"], kind, "is not supported; only hybrid is");
    }
    if let Some(value @ Value::Array(windows)) = config.get(&["swa_layers"])
        && windows.iter().any(|w| w.as_u64().is_some_and(|w| w > 0))
    {
        return refuse(&["swa_layers"], value, "is not supported");
    }
    Ok(())
}

fn missing(config: &Object, key: &str) -> Error {
    let problem = format!("{key} is missing");
    Error::file(&config.file, problem, "use the model's own config.json")
}
