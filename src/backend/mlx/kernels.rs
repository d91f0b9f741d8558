//! Running a [`KernelSpec`]: on Metal if the kernel has proven itself on this
//! device, and otherwise as the same computation in MLX's own operations.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use mlx_rs::error::Exception;
use mlx_rs::fast::{
    MetalKernel, MetalKernelApplyOptions, MetalKernelOptions, MetalKernelOutput, TemplateArg,
};
use mlx_rs::{Array, Dtype};

use super::fallback;
use super::tensor::int;
use crate::backend::kernels::{Dims, Element, KernelSpec};

type Result<T> = std::result::Result<T, Exception>;

/// Which kernels may be used.
#[derive(Default)]
pub struct Kernels {
    proven: BTreeSet<&'static str>,
}

impl Kernels {
    pub fn new(proven: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            proven: proven.into_iter().collect(),
        }
    }

    /// The outputs for these inputs, which must be as the spec says.
    ///
    /// # Errors
    /// If MLX refuses an operation.
    pub fn call(
        &self,
        spec: &'static KernelSpec,
        dims: &Dims,
        inputs: &[&Array],
    ) -> Result<Vec<Array>> {
        match self.proven.contains(spec.name) && (spec.supports)(dims) {
            true => on_metal(spec, dims, inputs),
            false => fallback::run(spec, dims, inputs),
        }
    }
}

thread_local! {
    /// Kernels are used on the backend's thread only. Never freed: the thread may
    /// end while the process does, when MLX's own statics are gone already.
    static COMPILED: RefCell<ManuallyDrop<HashMap<String, Rc<MetalKernel>>>> = RefCell::default();
}

/// Queues the kernel itself.
///
/// # Errors
/// If this MLX has no Metal, or refuses the call.
pub fn on_metal(spec: &KernelSpec, dims: &Dims, inputs: &[&Array]) -> Result<Vec<Array>> {
    let outputs: Vec<MetalKernelOutput> = spec
        .outputs
        .iter()
        .map(|port| MetalKernelOutput {
            shape: port.shape(dims).into_iter().map(int).collect(),
            dtype: dtype(port.elements[0]),
        })
        .collect();
    let triple = |[x, y, z]: [usize; 3]| (int(x), int(y), int(z));
    let grid = (spec.grid)(dims);
    if grid.contains(&0) {
        return outputs
            .iter()
            .map(|output| Array::from_slice::<f32>(&[], &[0]).reshape(&output.shape))
            .collect();
    }
    let options = MetalKernelApplyOptions {
        template_args: spec
            .template
            .iter()
            .map(|name| ((*name).to_owned(), TemplateArg::Int(int(dims.get(name)))))
            .collect(),
        ..MetalKernelApplyOptions::default()
    };
    let kernel = compiled(spec, inputs)?;
    // SAFETY: a kernel runs here only after it has agreed with its reference on
    // this device, or in the self-test that finds that out; in the emulator every
    // access outside of its buffers, and every output left unwritten, is an error.
    unsafe {
        kernel.apply(
            inputs,
            &outputs,
            triple(grid),
            triple((spec.threadgroup)(dims)),
            options,
        )
    }
}

/// The kernel for these element types. MLX keeps compiled kernels by name, so
/// the name says which types it is for.
fn compiled(spec: &KernelSpec, inputs: &[&Array]) -> Result<Rc<MetalKernel>> {
    let types: String = inputs.iter().map(|input| letter(input.dtype())).collect();
    let name = format!("cairn_{}_{types}", spec.name);
    if let Some(kernel) = COMPILED.with_borrow(|all| all.get(&name).cloned()) {
        return Ok(kernel);
    }
    let names = |ports: &'static [crate::backend::kernels::Port]| -> Vec<&str> {
        ports.iter().map(|port| port.name).collect()
    };
    let kernel = Rc::new(MetalKernel::new(
        &name,
        &names(spec.inputs),
        &names(spec.outputs),
        spec.source,
        MetalKernelOptions {
            header: spec.header.to_owned(),
            ensure_row_contiguous: true,
            atomic_outputs: false,
        },
    )?);
    COMPILED.with_borrow_mut(|all| all.insert(name, Rc::clone(&kernel)));
    Ok(kernel)
}

fn letter(dtype: Dtype) -> char {
    match dtype {
        Dtype::Float32 => 'f',
        Dtype::Float16 => 'h',
        Dtype::Bfloat16 => 'b',
        Dtype::Uint32 => 'u',
        _ => 'x',
    }
}

pub fn dtype(element: Element) -> Dtype {
    match element {
        Element::F32 => Dtype::Float32,
        Element::F16 => Dtype::Float16,
        Element::Bf16 => Dtype::Bfloat16,
        Element::U32 => Dtype::Uint32,
    }
}
