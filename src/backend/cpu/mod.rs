//! The CPU backend in portable Rust: the default off Apple Silicon, and the
//! reference. Deterministic: the same bits for any number of threads, chunking,
//! batch and instruction set.

mod attention;
#[doc(hidden)]
pub mod bench;
mod buffer;
mod cca;
mod context;
mod elementwise;
mod experts;
mod head;
mod huge;
mod kv;
mod kv_bytes;
mod lanes;
mod level;
mod linear;
mod math;
mod options;
mod output;
mod panels;
mod pool;
mod roof;
mod router;
mod rows;
pub(super) mod selftest;
mod slab;
mod streams;
mod tensor;
mod weight;

use std::ops::Range;

use super::{
    AttentionShape, Backend, CcaWeights, ExpertWeights, HeadAudit, HeadReads, KvDtype,
    MergeWeights, Projected, Qkv, RouterWeights, Rows, SampleSpec, SkipMode, TokenStats,
    route_in_parts,
};
use crate::quant::Matrix;

pub use cca::CcaState;
pub use experts::Routes;
pub use kv::Kv;
pub use options::{CpuOptions, HeadMode, Instructions, Precision};
pub use roof::{ReadRoof, read_roof};
pub use selftest::CpuRunner;
pub use tensor::Tensor;
pub use weight::Weight;

use buffer::Buffer;
use context::Context;
use head::Head;
use output::Output;
use rows::RowWeight;
use weight::Packed;

/// Raised when the bits of any result change.
const NUMERICS: u32 = 1;

/// Rows of an embedding that a thread decodes at once.
const EMBED_GRAIN: usize = 8;

pub struct CpuBackend {
    cx: Context,
    head: Head,
}

impl CpuBackend {
    /// # Errors
    /// If the threads can't be started.
    pub fn new(options: &CpuOptions) -> std::io::Result<Self> {
        let cx = Context::new(options)?;
        Ok(Self {
            cx,
            head: Head::new(options.head),
        })
    }
}

impl Backend for CpuBackend {
    type Tensor = Tensor;
    type Weight = Weight;
    type Stack = Vec<Weight>;
    type Vector = Vec<f32>;
    type Ids = Vec<u32>;
    type Routes = Routes;
    type Kv = Kv;
    type CcaState = CcaState;
    type Stats = Vec<TokenStats>;

    fn name(&self) -> &'static str {
        "cpu"
    }

    fn describe(&self) -> String {
        let activations = match self.cx.precision {
            Precision::F32 => "f32",
            Precision::Fast => "15-bit",
        };
        let threads = match self.cx.pool.threads() {
            1 => "1 thread".to_owned(),
            n => format!("{n} threads"),
        };
        let instructions = self.cx.instructions();
        format!("cpu, {activations} activations, {instructions}, {threads}")
    }

    /// All instruction sets give the same bits.
    fn numerics(&self) -> String {
        match self.cx.precision {
            Precision::F32 => format!("cpu-f32-{NUMERICS}"),
            Precision::Fast => format!("cpu-int15-{NUMERICS}"),
        }
    }

    fn notices(&self) -> Vec<String> {
        let refused = self.cx.arena.refused() >> 20;
        if refused == 0 {
            return Vec::new();
        }
        vec![format!(
            "{refused} MB of weights stay as they are in the file, which is many times slower: \
             there is no memory to rearrange them"
        )]
    }

    fn adopt_thread(&self) {
        self.cx.pool.adopt_thread();
    }

    /// Half as many passes over all experts as with the default; the most memory
    /// taken beside the weights stays what it is with that.
    fn chunk(&self) -> usize {
        512
    }

    fn weight(&self, matrix: &Matrix) -> Weight {
        Weight::new(&self.cx, RowWeight::new(matrix))
    }

    fn filter(&self, matrix: &Matrix) -> Weight {
        Weight::filter(&self.cx, RowWeight::new(matrix))
    }

    fn head(&self, matrix: &Matrix) -> Weight {
        Weight::head(&self.cx, RowWeight::new(matrix))
    }

    fn head_reads(&self) -> Option<HeadReads> {
        Some(self.head.reads())
    }

    fn head_audit(&self) -> Option<HeadAudit> {
        Some(self.head.audit())
    }

    fn sample(
        &self,
        head: &Weight,
        hidden: &Tensor,
        specs: &[SampleSpec],
    ) -> (Vec<u32>, Vec<TokenStats>) {
        let stats = self.head.sample(&self.cx, head, hidden, specs);
        (stats.iter().map(|s| s.id).collect(), stats)
    }

    fn stack(&self, matrices: &[&Matrix]) -> Vec<Weight> {
        RowWeight::stack(matrices)
            .into_iter()
            .map(|rows| Weight::expert(&self.cx, rows))
            .collect()
    }

    fn vector(&self, values: &[f32]) -> Vec<f32> {
        values.to_vec()
    }

    fn ids(&self, ids: &[u32]) -> Vec<u32> {
        ids.to_vec()
    }

    fn kv(&self, shape: &AttentionShape, dtype: KvDtype) -> Kv {
        Kv::new(&self.cx.slabs, dtype, shape.kv_heads, shape.head_dim)
    }

    fn cca_state(&self, shape: &AttentionShape) -> CcaState {
        CcaState {
            frames: vec![0.0; shape.context_frames() * shape.channels()],
            previous: vec![0.0; shape.half_values()],
        }
    }

    fn read_kv(&self, kv: &Kv, positions: Range<usize>) -> Vec<u8> {
        kv.to_bytes(positions)
    }

    fn write_kv(&self, kv: &mut Kv, positions: usize, bytes: &[u8]) {
        kv.append_bytes(positions, bytes);
    }

    fn read_cca(&self, state: &CcaState) -> Vec<f32> {
        [&state.frames[..], &state.previous[..]].concat()
    }

    fn write_cca(&self, shape: &AttentionShape, numbers: &[f32]) -> CcaState {
        let (frames, previous) = numbers.split_at(numbers.len() - shape.half_values());
        CcaState {
            frames: frames.to_vec(),
            previous: previous.to_vec(),
        }
    }

    fn weight_bytes(&self, weight: &Weight) -> Option<u64> {
        Some(weight.bytes() as u64)
    }

    fn stack_bytes(&self, stack: &Vec<Weight>) -> Option<Vec<u64>> {
        Some(stack.iter().map(|w| w.bytes() as u64).collect())
    }

    fn set_head(&self, mode: HeadMode) {
        self.head.set(mode);
    }

    fn read(&self, tensor: &Tensor) -> Vec<f32> {
        tensor.data().to_vec()
    }

    fn read_routes(&self, routes: &Routes) -> Vec<u16> {
        routes.classes.to_vec()
    }

    fn read_stats(&self, stats: Vec<TokenStats>) -> Vec<TokenStats> {
        stats
    }

    fn embed(&self, weight: &Weight, ids: &Vec<u32>) -> Tensor {
        let cols = weight.matrix().cols;
        let mut data = Buffer::of(ids.len() * cols);
        let out = Output::new(&mut data, cols);
        self.cx.pool.run(ids.len(), EMBED_GRAIN, |rows| {
            for row in rows {
                let id = ids[row] as usize;
                // SAFETY: each row is one thread's.
                let out = unsafe { out.row(row) };
                match &weight.packed {
                    Packed::Head(head) => head.decode(id, out),
                    _ => weight.rows.decode(self.cx.level, id, out),
                }
            }
        });
        Tensor::new(ids.len(), cols, data)
    }

    fn linear(&self, weight: &Weight, x: &Tensor, bias: Option<&Vec<f32>>) -> Tensor {
        linear::linear(&self.cx, weight, x, bias.map(Vec::as_slice))
    }

    fn linears<const N: usize>(&self, weights: [&Weight; N], x: &Tensor) -> [Tensor; N] {
        linear::linears(&self.cx, weights, x)
    }

    fn rms_norm(&self, x: &Tensor, gain: &Vec<f32>, eps: f32) -> Tensor {
        elementwise::rms_norm(&self.cx, x, gain, eps)
    }

    fn add_scaled(&self, x: &Tensor, y: &Tensor, scale: &Vec<f32>) -> Tensor {
        elementwise::add_scaled(&self.cx, x, y, scale)
    }

    fn gelu(&self, x: &Tensor) -> Tensor {
        elementwise::gelu(&self.cx, x)
    }

    fn merge(
        &self,
        residual: Option<&Tensor>,
        block: &Tensor,
        weights: &MergeWeights<Self>,
    ) -> Tensor {
        elementwise::merge(&self.cx, residual, block, weights)
    }

    fn merge_norm(
        &self,
        residual: Option<Tensor>,
        block: Tensor,
        weights: &MergeWeights<Self>,
        gain: &Vec<f32>,
        eps: f32,
    ) -> (Tensor, Tensor) {
        elementwise::merge_norm(&self.cx, residual, block, weights, gain, eps)
    }

    fn cca_mix(
        &self,
        projected: &Projected<Self>,
        weights: &CcaWeights<Self>,
        shape: &AttentionShape,
        rows: &Rows,
        states: &mut [&mut CcaState],
    ) -> Qkv<Self> {
        cca::mix(&self.cx, projected, weights, shape, rows, states)
    }

    fn attend(
        &self,
        qkv: &Qkv<Self>,
        shape: &AttentionShape,
        rows: &Rows,
        caches: &mut [&mut Kv],
    ) -> Tensor {
        attention::attend(&self.cx, qkv, shape, rows, caches)
    }

    fn route(
        &self,
        x: &Tensor,
        previous: Option<&Tensor>,
        w: &RouterWeights<Self>,
    ) -> (Routes, Tensor) {
        router::route(&self.cx, x, previous, w)
            .unwrap_or_else(|| route_in_parts(self, x, previous, w))
    }

    fn choose(&self, logits: &Tensor, biases: &Vec<f32>) -> Routes {
        experts::choose(logits, biases)
    }

    fn expert_linear(&self, stack: &Vec<Weight>, x: &Tensor, routes: &Routes) -> Tensor {
        experts::expert_linear(&self.cx, stack, x, routes)
    }

    fn experts(
        &self,
        x: &Tensor,
        routes: &Routes,
        w: &ExpertWeights<Self>,
        skip: SkipMode,
    ) -> Tensor {
        experts::experts(&self.cx, x, routes, w, skip)
    }

    fn swiglu(&self, gate: &Tensor, up: &Tensor) -> Tensor {
        elementwise::swiglu(gate, up)
    }

    fn combine(
        &self,
        y: &Tensor,
        x: &Tensor,
        routes: &Routes,
        experts: usize,
        skip: SkipMode,
    ) -> Tensor {
        experts::combine(y, x, routes, experts, skip)
    }
}
