//! From tensor names to tensors by role: finds the layout, derives the
//! geometry from shapes, and builds [`Tensors`] out of parts of the mapping.

use crate::bundle::error::{CONVERT_AGAIN, Error, shown};
use crate::bundle::index::Index;
use crate::bundle::json::Object;
use crate::bundle::reader::{self, Reader, Want};
use crate::quant::Matrix;

use super::claims::{self, Claims};
use super::names::{self, Attention as A, Layout, Moe as M};
use super::{Attention, Config, Expert, Layer, Merge, Router, Tensors};

/// More layers or experts than this are damage.
const LAYER_LIMIT: usize = 1024;
const EXPERT_LIMIT: usize = 4096;

const VECTORS: [&str; 4] = [
    "hidden_states_scale",
    "hidden_states_bias",
    "residual_scale",
    "residual_bias",
];

/// How the experts of a checkpoint are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExpertStorage {
    /// `switch_mlp.{gate,up,down}_proj`, experts stacked.
    Stacked,
    /// `local_experts.{e}.linear_fc1` (gate rows, then up rows) and `linear_fc2`.
    Separate,
    /// `gate_up_proj` and `down_proj`, experts stacked.
    FusedStack,
}

pub(in crate::bundle) struct Loaded {
    pub(in crate::bundle) tensors: Tensors,
    pub(in crate::bundle) layout: Layout,
}

/// Builds the model out of `reader`'s tensors.
pub(in crate::bundle) fn load(
    reader: &mut Reader<'_>,
    index: &Index,
    config: &Object,
    warnings: &mut Vec<String>,
) -> Result<Loaded, Error> {
    let file = index.files.first().map_or("", |f| f.name.as_str());
    let claims = Claims::read(config)?;
    let layout = Layout::detect(reader.names()).ok_or_else(|| {
        let problem = "the tensor names are of neither ZAYA layout (or of both)";
        Error::file(file, problem, CONVERT_AGAIN)
    })?;
    let layers = count_layers(reader, layout, &claims, config, file)?;
    let storage = expert_storage(reader, layout, file)?;
    let loader = Loader {
        layout,
        layers,
        storage,
    };
    loader.require_all(reader, file)?;
    let shapes = loader.geometry(reader, &claims, config)?;
    claims::cross_check(config, &shapes, warnings)?;
    let tensors = loader.tensors(reader, shapes)?;
    Ok(Loaded { tensors, layout })
}

/// Warns of tensors that nothing uses.
pub(in crate::bundle) fn leftovers(reader: &Reader<'_>, warnings: &mut Vec<String>) {
    let names: Vec<&str> = reader
        .unused()
        .into_iter()
        .filter(|name| !names::is_ignorable(name))
        .collect();
    let Some(first) = names.first().map(|name| shown(name)) else {
        return;
    };
    warnings.push(match names.len() {
        1 => format!("tensor {first} is unknown and ignored"),
        n => format!("{n} tensors are unknown and ignored: {first}, …"),
    });
}

/// Fused layers: by the configuration, which the names must not exceed.
fn count_layers(
    reader: &Reader<'_>,
    layout: Layout,
    claims: &Claims,
    config: &Object,
    file: &str,
) -> Result<usize, Error> {
    let claimed = claims.num_hidden_layers;
    let bad = |problem: String| {
        let remedy = "use the config.json that belongs to these weights";
        Err(Error::file(&config.file, problem, remedy))
    };
    if claimed == 0 || claimed > LAYER_LIMIT {
        return bad(format!("num_hidden_layers = {claimed} is out of range"));
    }
    if !claimed.is_multiple_of(layout.stride()) {
        return bad(format!(
            "num_hidden_layers = {claimed} is odd, but attention and expert layers alternate"
        ));
    }
    let highest = reader.names().filter_map(names::layer_index).max();
    if let Some(highest) = highest
        && highest >= claimed
    {
        return bad(format!(
            "num_hidden_layers = {claimed}, but {file} has a layer {highest}"
        ));
    }
    Ok(claimed / layout.stride())
}

fn expert_storage(reader: &Reader<'_>, layout: Layout, file: &str) -> Result<ExpertStorage, Error> {
    let kinds = [
        (".switch_mlp.", ExpertStorage::Stacked),
        (".local_experts.", ExpertStorage::Separate),
        (".experts.gate_up_proj", ExpertStorage::FusedStack),
    ];
    let mut found = kinds
        .iter()
        .filter(|(part, _)| reader.names().any(|name| name.contains(part)));
    match (found.next(), found.next()) {
        (Some((a, _)), Some((b, _))) => {
            let problem = format!("the experts are stored twice, as {a} and as {b}");
            Err(Error::file(file, problem, CONVERT_AGAIN))
        }
        (Some((_, storage)), None) => Ok(*storage),
        // Nothing found: the names that will be reported as missing.
        (None, _) => Ok(match layout {
            Layout::Alternating => ExpertStorage::Separate,
            Layout::Fused => ExpertStorage::FusedStack,
        }),
    }
}

struct Loader {
    layout: Layout,
    layers: usize,
    storage: ExpertStorage,
}

impl Loader {
    /// Checks that everything is there before anything is looked at, so that
    /// the refusal can count what is missing.
    fn require_all(&self, reader: &Reader<'_>, file: &str) -> Result<(), Error> {
        let (mut first, mut count) = (Vec::new(), 0);
        let mut need = |present: bool, name: String| {
            if !present {
                count += 1;
                if first.len() < 5 {
                    first.push(name);
                }
            }
        };
        let mut tensor = |name: String| need(reader.has(&name), name);
        tensor(self.layout.final_norm().to_owned());
        for part in ["scale", "bias"] {
            tensor(format!("{}{part}", self.layout.input()));
        }
        for l in 0..self.layers {
            tensor(self.layout.attention(l, A::Norm));
            for conv in [A::Depthwise, A::Grouped] {
                let base = self.layout.attention(l, conv);
                tensor(format!("{base}.weight"));
                tensor(format!("{base}.bias"));
            }
            tensor(self.layout.attention(l, A::Temp));
            for part in [M::Norm, M::RouterNorm, M::Balancing] {
                tensor(self.layout.moe(l, part));
            }
            if l > 0 {
                tensor(self.layout.moe(l, M::StateScale));
            }
            for part in [M::Down, M::Fc1, M::Fc2] {
                tensor(format!("{}.bias", self.layout.moe(l, part)));
            }
            for prefix in [
                self.layout.after_attention(l),
                self.layout.after_experts(l, self.layers),
            ] {
                for vector in VECTORS {
                    tensor(format!("{prefix}{vector}"));
                }
            }
        }
        let mut matrix = |base: String| {
            let present = reader.has_matrix(&base);
            need(present, base + ".weight");
        };
        matrix("model.embed_tokens".to_owned());
        for l in 0..self.layers {
            for part in [A::Q, A::K, A::VCurrent, A::VDelayed, A::O] {
                matrix(self.layout.attention(l, part));
            }
            for part in [M::Down, M::Fc1, M::Fc2, M::Out] {
                matrix(self.layout.moe(l, part));
            }
            // Their number is known once the router's biases are.
            let experts = reader
                .shape(&self.layout.moe(l, M::Balancing))
                .map_or(0, |s| s.first().map_or(0, |n| n.saturating_sub(1)));
            for name in self.expert_names(l, experts.min(EXPERT_LIMIT)) {
                matrix(name);
            }
        }
        match count {
            0 => Ok(()),
            _ => Err(reader::missing(file, &first, count)),
        }
    }

    fn expert_names(&self, layer: usize, experts: usize) -> Vec<String> {
        let prefix = self.layout.moe(layer, M::Experts);
        match self.storage {
            ExpertStorage::Stacked => ["gate_proj", "up_proj", "down_proj"]
                .map(|p| format!("{prefix}.switch_mlp.{p}"))
                .to_vec(),
            ExpertStorage::Separate => (0..experts)
                .flat_map(|e| {
                    ["linear_fc1", "linear_fc2"].map(|p| format!("{prefix}.local_experts.{e}.{p}"))
                })
                .collect(),
            ExpertStorage::FusedStack => ["gate_up_proj", "down_proj"]
                .map(|p| format!("{prefix}.{p}"))
                .to_vec(),
        }
    }

    /// Derives all sizes from the shapes of the first layer.
    fn geometry(
        &self,
        reader: &Reader<'_>,
        claims: &Claims,
        config: &Object,
    ) -> Result<Config, Error> {
        let layout = self.layout;
        let len = |name: String| {
            let shape = reader.shape(&name)?;
            match shape {
                [n] if *n > 0 => Ok(*n),
                _ => Err(reader.wrong(&name, "is not a vector")),
            }
        };
        let hidden = len(layout.final_norm().to_owned())?;
        let temp = layout.attention(0, A::Temp);
        let kv_heads = len(temp.clone())?;
        let k_rows = reader.rows(&layout.attention(0, A::K))?;
        let q_rows = reader.rows(&layout.attention(0, A::Q))?;
        let head_dim = k_rows / kv_heads;
        if head_dim == 0 || head_dim * kv_heads != k_rows || !k_rows.is_multiple_of(2) {
            let problem = format!("has {kv_heads} heads, which don't divide {k_rows} key rows");
            return Err(reader.wrong(&temp, &problem));
        }
        let query_heads = q_rows / head_dim;
        if query_heads == 0 || query_heads * head_dim != q_rows || query_heads % kv_heads != 0 {
            let problem =
                format!("has {q_rows} rows, not whole groups of {kv_heads} heads of {head_dim}");
            return Err(reader.wrong(&layout.attention(0, A::Q), &problem));
        }
        let kernel = |part| {
            let name = format!("{}.weight", layout.attention(0, part));
            match reader.shape(&name)? {
                [_, _, k] if (1..=16).contains(k) => Ok(*k),
                _ => Err(reader.wrong(&name, "is not [channels, inputs, 1 to 16 taps]")),
            }
        };
        let conv_kernels = [kernel(A::Depthwise)?, kernel(A::Grouped)?];
        let balancing = layout.moe(0, M::Balancing);
        let classes = len(balancing.clone())?;
        if classes < 2 || classes - 1 > EXPERT_LIMIT {
            let problem =
                format!("has {classes} classes; expected the experts and one to skip them");
            return Err(reader.wrong(&balancing, &problem));
        }
        let gate = &self.expert_names(0, 1)[0];
        let fused = self.storage != ExpertStorage::Stacked;
        let gate_rows = reader.rows(gate)?;
        let expert_width = if fused { gate_rows / 2 } else { gate_rows };
        if expert_width == 0 || (fused && !gate_rows.is_multiple_of(2)) {
            let problem = format!("has {gate_rows} rows; expected as many for gate as for up");
            return Err(reader.wrong(gate, &problem));
        }
        let vocab = reader.rows("model.embed_tokens")?;
        if vocab == 0 {
            return Err(reader.wrong("model.embed_tokens", "has no rows"));
        }
        Ok(Config {
            hidden,
            layers: self.layers,
            query_heads,
            kv_heads,
            head_dim,
            conv_kernels,
            experts: classes - 1,
            expert_width,
            router_width: len(layout.moe(0, M::RouterNorm))?,
            vocab,
            norm_eps: claims.norm_eps,
            rope_theta: claims.rope_theta,
            rotary_dims: claims.rotary_dims(config, head_dim)?,
            clamp_temp: claims.clamp_temp,
        })
    }

    fn tensors(&self, reader: &mut Reader<'_>, c: Config) -> Result<Tensors, Error> {
        let embed = reader.matrix("model.embed_tokens", c.vocab, c.hidden)?;
        let input = self.layout.input();
        let input_scale = reader.vector(&format!("{input}scale"), c.hidden)?;
        let input_bias = reader.vector(&format!("{input}bias"), c.hidden)?;
        let final_norm = reader.vector(self.layout.final_norm(), c.hidden)?;
        let layers = (0..self.layers)
            .map(|l| self.layer(reader, &c, l))
            .collect::<Result<_, _>>()?;
        Ok(Tensors {
            config: c,
            embed,
            input_scale,
            input_bias,
            final_norm,
            layers,
        })
    }

    fn layer(&self, reader: &mut Reader<'_>, c: &Config, l: usize) -> Result<Layer, Error> {
        let layout = self.layout;
        Ok(Layer {
            input_norm: reader.vector(&layout.attention(l, A::Norm), c.hidden)?,
            attention: self.attention(reader, c, l)?,
            after_attention: merge(reader, &layout.after_attention(l), c.hidden)?,
            post_norm: reader.vector(&layout.moe(l, M::Norm), c.hidden)?,
            router: self.router(reader, c, l)?,
            experts: self.experts(reader, c, l)?,
            after_experts: merge(reader, &layout.after_experts(l, self.layers), c.hidden)?,
        })
    }

    fn attention(&self, r: &mut Reader<'_>, c: &Config, l: usize) -> Result<Attention, Error> {
        let name = |part| self.layout.attention(l, part);
        let (q_rows, k_rows) = (c.query_heads * c.head_dim, c.kv_heads * c.head_dim);
        let channels = q_rows + k_rows;
        let [k0, k1] = c.conv_kernels;
        let (depthwise, grouped) = (name(A::Depthwise), name(A::Grouped));
        Ok(Attention {
            q: r.matrix(&name(A::Q), q_rows, c.hidden)?,
            k: r.matrix(&name(A::K), k_rows, c.hidden)?,
            v_current: r.matrix(&name(A::VCurrent), k_rows / 2, c.hidden)?,
            v_delayed: r.matrix(&name(A::VDelayed), k_rows / 2, c.hidden)?,
            o: r.matrix(&name(A::O), c.hidden, q_rows)?,
            conv_depthwise: r.float_matrix(
                &format!("{depthwise}.weight"),
                &[channels, 1, k0],
                channels,
                k0,
            )?,
            conv_depthwise_bias: r.vector(&format!("{depthwise}.bias"), channels)?,
            conv_grouped: r.float_matrix(
                &format!("{grouped}.weight"),
                &[channels, c.head_dim, k1],
                channels,
                c.head_dim * k1,
            )?,
            conv_grouped_bias: r.vector(&format!("{grouped}.bias"), channels)?,
            temp: r.vector(&name(A::Temp), c.kv_heads)?,
        })
    }

    fn router(&self, r: &mut Reader<'_>, c: &Config, l: usize) -> Result<Router, Error> {
        let name = |part| self.layout.moe(l, part);
        let width = c.router_width;
        let (down, fc1, fc2) = (name(M::Down), name(M::Fc1), name(M::Fc2));
        Ok(Router {
            down: small_matrix(r, &down, width, c.hidden)?,
            down_bias: r.vector(&format!("{down}.bias"), width)?,
            state_scale: match l {
                0 => None,
                _ => Some(r.vector(&name(M::StateScale), width)?),
            },
            norm: r.vector(&name(M::RouterNorm), width)?,
            fc1: small_matrix(r, &fc1, width, width)?,
            fc1_bias: r.vector(&format!("{fc1}.bias"), width)?,
            fc2: small_matrix(r, &fc2, width, width)?,
            fc2_bias: r.vector(&format!("{fc2}.bias"), width)?,
            out: small_matrix(r, &name(M::Out), c.experts + 1, width)?,
            balancing_biases: r.vector(&name(M::Balancing), c.experts + 1)?,
        })
    }

    fn experts(&self, r: &mut Reader<'_>, c: &Config, l: usize) -> Result<Vec<Expert>, Error> {
        let names = self.expert_names(l, c.experts);
        let (inner, outer) = (c.expert_width, c.hidden);
        let stack = Some(c.experts);
        let want = |base, rows, cols| Want {
            base,
            stack,
            rows,
            cols,
        };
        match self.storage {
            ExpertStorage::Stacked => {
                let gate = r.matrices(want(&names[0], inner, outer))?;
                let up = r.matrices(want(&names[1], inner, outer))?;
                let down = r.matrices(want(&names[2], outer, inner))?;
                let parts = gate.into_iter().zip(up).zip(down);
                Ok(parts
                    .map(|((gate, up), down)| Expert { gate, up, down })
                    .collect())
            }
            ExpertStorage::FusedStack => {
                let gate_up = r.matrices(want(&names[0], 2 * inner, outer))?;
                let down = r.matrices(want(&names[1], outer, inner))?;
                Ok(gate_up
                    .iter()
                    .zip(down)
                    .map(|(gate_up, down)| {
                        let (gate, up) = halves(gate_up);
                        Expert { gate, up, down }
                    })
                    .collect())
            }
            ExpertStorage::Separate => names
                .chunks_exact(2)
                .map(|pair| {
                    let (gate, up) = halves(&r.matrix(&pair[0], 2 * inner, outer)?);
                    let down = r.matrix(&pair[1], outer, inner)?;
                    Ok(Expert { gate, up, down })
                })
                .collect(),
        }
    }
}

fn merge(reader: &mut Reader<'_>, prefix: &str, hidden: usize) -> Result<Merge, Error> {
    let mut vector = |part: &str| reader.vector(&format!("{prefix}{part}"), hidden);
    Ok(Merge {
        hidden_scale: vector(VECTORS[0])?,
        hidden_bias: vector(VECTORS[1])?,
        residual_scale: vector(VECTORS[2])?,
        residual_bias: vector(VECTORS[3])?,
    })
}

/// A router matrix: kept as it is, and small enough to be checked if float.
fn small_matrix(
    reader: &mut Reader<'_>,
    base: &str,
    rows: usize,
    cols: usize,
) -> Result<Matrix, Error> {
    let name = format!("{base}.weight");
    if reader.is_float(&name) {
        return reader.float_matrix(&name, &[rows, cols], rows, cols);
    }
    reader.matrix(base, rows, cols)
}

/// Gate and up of a matrix whose first half of rows is gate.
fn halves(both: &Matrix) -> (Matrix, Matrix) {
    let rows = both.rows / 2;
    let part = |range| reader::row_range(both, range);
    (part(0..rows), part(rows..both.rows))
}
