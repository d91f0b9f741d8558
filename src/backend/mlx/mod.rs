//! The MLX backend: the default on Apple Silicon. A step is a graph of lazy
//! arrays on one stream; nothing waits until something is read, so the next
//! step is queued while the device still works on the last. MXTQ and CCA run as
//! our own kernels, everything else as MLX's operations. Activations are f32.

mod attention;
mod cca;
mod device;
mod elementwise;
mod experts;
mod fallback;
mod faults;
mod kernels;
mod kv;
mod linear;
mod mxtq;
mod raw;
mod routes;
mod sample;
mod selftest;
mod session;
mod system;
mod tensor;
mod uploads;
mod weight;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;

use mlx_rs::error::Exception;
use mlx_rs::{Array, transforms};

use super::kernels::{ALL, Proof, prove};
use super::{
    AttentionShape, Backend, CcaWeights, ExpertWeights, KvDtype, MergeWeights, Projected, Qkv,
    Rows, SampleSpec, SkipMode, TokenStats, sample_row,
};
use crate::quant::Matrix;

pub use cca::CcaState;
pub use kv::Kv;
pub use routes::Routes;
pub use sample::{Ids, Stats};
pub use selftest::{FallbackRunner, MetalRunner};
pub use session::{Session, StartError};
pub use system::version;
pub use tensor::{Resident, Tensor};
pub use weight::Weight;

use elementwise::Function;
use faults::Faults;
use kernels::Kernels;
use tensor::int;
use uploads::Uploads;
use weight::Leading;

pub struct MlxBackend {
    session: Session,
    device: device::Info,
    kernels: Kernels,
    uploads: Uploads,
    faults: Faults,
    rotations: cca::Rotations,
    masks: sample::Masks,
    notices: Vec<String>,
}

impl MlxBackend {
    /// With nothing remembered of the device.
    ///
    /// # Errors
    /// If MLX can't start here.
    pub fn new() -> Result<Self, StartError> {
        Self::open(None)
    }

    /// Finds out which of our kernels this device may use, if it runs any;
    /// `cache` is the folder where that is remembered.
    ///
    /// # Errors
    /// If MLX can't start here.
    pub fn open(cache: Option<&Path>) -> Result<Self, StartError> {
        let session = Session::start()?;
        let proof = match session.metal() {
            Some(metal) => prove(&metal, ALL, &version(), cache),
            None => Proof::default(),
        };
        Ok(Self {
            device: session.device().clone(),
            session,
            kernels: Kernels::new(proof.proven),
            uploads: Uploads::default(),
            faults: Faults::default(),
            rotations: cca::Rotations::default(),
            masks: sample::Masks::default(),
            notices: proof.notices,
        })
    }

    /// What the user should know, a line each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    fn uploaded(&self, matrices: &[&Matrix], leading: Leading) -> Weight {
        let weight = Weight::new(&self.uploads, matrices, leading);
        self.faults.or(weight, || Weight::nothing(matrices))
    }

    fn tensor(&self, rows: usize, cols: usize, result: Result<Array, Exception>) -> Tensor {
        self.faults.tensor(rows, cols, result)
    }

    /// As `x`.
    fn like(&self, x: &Tensor, result: Result<Array, Exception>) -> Tensor {
        self.faults.tensor(x.rows, x.cols, result)
    }
}

/// "3.61 GB", "34 MB"
fn size(bytes: usize) -> String {
    match bytes as f64 / 1e6 {
        mb if mb >= 1000.0 => format!("{:.2} GB", mb / 1000.0),
        mb => format!("{mb:.0} MB"),
    }
}

impl Backend for MlxBackend {
    type Tensor = Tensor;
    type Weight = Weight;
    type Stack = Weight;
    type Vector = Resident;
    type Ids = Ids;
    type Routes = Routes;
    type Kv = Kv;
    type CcaState = CcaState;
    type Stats = Stats;

    fn name(&self) -> &'static str {
        "mlx"
    }

    /// Says where the weights are: what was copied lies in memory twice, once in
    /// the file's pages.
    fn describe(&self) -> String {
        let placement = self.uploads.placement();
        format!(
            "mlx ({}), f32 activations, weights {} mapped and {} copied",
            self.device.name,
            size(placement.mapped),
            size(placement.copied)
        )
    }

    fn loaded(&self) {
        let placement = self.uploads.placement();
        self.device.set_limits(placement.mapped + placement.copied);
    }

    fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.session.enter(work)
    }

    fn fault(&self) -> Option<String> {
        self.faults.take()
    }

    fn runs_ahead(&self) -> bool {
        true
    }

    fn start(&self, ids: &Ids, stats: &Stats, routes: &[Routes]) {
        let mut outputs = vec![&ids.0];
        if let Stats::Device(lazy) = stats {
            outputs.extend(lazy.arrays());
        }
        outputs.extend(routes.iter().map(|r| &r.classes));
        self.faults.or(transforms::async_eval(outputs), || ());
    }

    fn finish(&self, tensor: &Tensor) {
        self.faults.or(tensor.array.eval(), || ());
    }

    fn weight(&self, matrix: &Matrix) -> Weight {
        self.uploaded(&[matrix], Leading::None)
    }

    /// Our kernels read halves; without them the taps are widened, once.
    fn filter(&self, matrix: &Matrix) -> Weight {
        match self.device.kind {
            device::Kind::Cpu => self.weight(matrix),
            device::Kind::Metal => {
                let weight = Weight::as_stored(&self.uploads, matrix);
                self.faults.or(weight, || Weight::nothing(&[matrix]))
            }
        }
    }

    fn stack(&self, matrices: &[&Matrix]) -> Weight {
        self.uploaded(matrices, Leading::Experts)
    }

    fn vector(&self, values: &[f32]) -> Resident {
        let vector = self.uploads.vector(values);
        self.faults.or(vector, || Resident::zeros(values.len()))
    }

    fn ids(&self, ids: &[u32]) -> Ids {
        Ids(Array::from_slice(ids, &[int(ids.len())]))
    }

    fn kv(&self, shape: &AttentionShape, dtype: KvDtype) -> Kv {
        Kv::new(dtype, shape.kv_heads, shape.head_dim)
    }

    fn cca_state(&self, shape: &AttentionShape) -> CcaState {
        CcaState::zeros(shape)
    }

    fn read_kv(&self, kv: &Kv, positions: Range<usize>) -> Vec<u8> {
        self.faults.or(kv.to_bytes(positions), Vec::new)
    }

    fn write_kv(&self, kv: &mut Kv, positions: usize, bytes: &[u8]) {
        self.faults.or(kv.append_bytes(positions, bytes), || ());
    }

    fn read_cca(&self, state: &CcaState) -> Vec<f32> {
        self.faults.or(state.numbers(), Vec::new)
    }

    fn write_cca(&self, shape: &AttentionShape, numbers: &[f32]) -> CcaState {
        CcaState::of(shape, numbers)
    }

    fn read(&self, tensor: &Tensor) -> Vec<f32> {
        self.faults.or(sample::host(&tensor.array), Vec::new)
    }

    fn read_routes(&self, routes: &Routes) -> Vec<u16> {
        let classes = self
            .faults
            .or(sample::host::<u32>(&routes.classes), Vec::new);
        classes.into_iter().map(|class| class as u16).collect()
    }

    fn read_stats(&self, stats: Stats) -> Vec<TokenStats> {
        match stats {
            Stats::Host(stats) => stats,
            Stats::Device(lazy) => self.faults.or(lazy.read(), Vec::new),
        }
    }

    fn embed(&self, weight: &Weight, ids: &Ids) -> Tensor {
        let rows = ids.0.size();
        self.tensor(rows, weight.cols, linear::embed(weight, &ids.0))
    }

    fn linear(&self, weight: &Weight, x: &Tensor, bias: Option<&Resident>) -> Tensor {
        let y = linear::linear(self, weight, x, bias.map(|b| &**b));
        self.tensor(x.rows, weight.rows, y)
    }

    fn rms_norm(&self, x: &Tensor, gain: &Resident, eps: f32) -> Tensor {
        self.like(x, elementwise::rms_norm(&x.array, gain, eps))
    }

    fn add_scaled(&self, x: &Tensor, y: &Tensor, scale: &Resident) -> Tensor {
        let inputs = [&x.array, &y.array, &**scale];
        self.like(x, Function::AddScaled.call(self.device.kind, &inputs))
    }

    fn gelu(&self, x: &Tensor) -> Tensor {
        self.like(x, Function::Gelu.call(self.device.kind, &[&x.array]))
    }

    fn merge(
        &self,
        residual: Option<&Tensor>,
        block: &Tensor,
        weights: &MergeWeights<Self>,
    ) -> Tensor {
        let residual = residual.map(|r| &r.array);
        let merged = elementwise::merge(self.device.kind, residual, &block.array, weights);
        self.like(block, merged)
    }

    fn cca_mix(
        &self,
        projected: &Projected<Self>,
        weights: &CcaWeights<Self>,
        shape: &AttentionShape,
        rows: &Rows,
        states: &mut [&mut CcaState],
    ) -> Qkv<Self> {
        let mixed = cca::mix(self, projected, weights, shape, rows, states);
        cca::qkv(self, projected, mixed)
    }

    fn attend(
        &self,
        qkv: &Qkv<Self>,
        shape: &AttentionShape,
        rows: &Rows,
        caches: &mut [&mut Kv],
    ) -> Tensor {
        let attended = attention::attend(self.device.kind, qkv, shape, rows, caches);
        self.like(&qkv.q, attended)
    }

    fn choose(&self, logits: &Tensor, biases: &Resident) -> Routes {
        let routes = routes::choose(logits, biases);
        self.faults.or(routes, || Routes::zeros(logits.rows))
    }

    fn expert_linear(&self, stack: &Weight, x: &Tensor, routes: &Routes) -> Tensor {
        let y = experts::expert_linear(self, stack, x, routes);
        self.tensor(x.rows, stack.rows, y)
    }

    fn swiglu(&self, gate: &Tensor, up: &Tensor) -> Tensor {
        let product = elementwise::swiglu(self.device.kind, &gate.array, &up.array);
        self.like(gate, product)
    }

    fn combine(
        &self,
        y: &Tensor,
        x: &Tensor,
        routes: &Routes,
        experts: usize,
        skip: SkipMode,
    ) -> Tensor {
        self.like(
            y,
            routes::combine(&y.array, &x.array, routes, experts, skip),
        )
    }

    fn experts(
        &self,
        x: &Tensor,
        routes: &Routes,
        w: &ExpertWeights<Self>,
        skip: SkipMode,
    ) -> Tensor {
        self.like(x, experts::experts(self, x, routes, w, skip))
    }

    fn sample(&self, head: &Weight, hidden: &Tensor, specs: &[SampleSpec]) -> (Ids, Stats) {
        let logits = self.linear(head, hidden, None);
        if sample::possible(specs, head.rows) {
            let sampled = sample::sample(&self.masks, &logits.array, specs);
            return self.faults.or(sampled, || {
                (self.ids(&vec![0; specs.len()]), Stats::Host(Vec::new()))
            });
        }
        let logits = self.read(&logits);
        let rows = logits.chunks_exact(head.rows.max(1));
        let stats: Vec<TokenStats> = rows
            .zip(specs)
            .map(|(row, spec)| sample_row(row, spec))
            .collect();
        let ids: Vec<u32> = stats.iter().map(|s| s.id).collect();
        (self.ids(&ids), Stats::Host(stats))
    }
}
