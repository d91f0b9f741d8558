//! The self-test's two devices: our kernels on Metal, and what replaces them.

use mlx_rs::error::Exception;
use mlx_rs::{Array, ArrayElement, Dtype};

use super::sample::host;
use super::session::Session;
use super::tensor::int;
use super::{fallback, kernels};
use crate::backend::kernels::{Dims, Elements, HostArray, KernelSpec, Runner};

type Result<T> = std::result::Result<T, Exception>;

/// Kernels as they are, compiled by Metal.
pub struct MetalRunner<'a>(pub(super) &'a Session);

/// Kernels' computations put together from MLX's own operations.
pub struct FallbackRunner<'a>(pub(super) &'a Session);

impl Runner for MetalRunner<'_> {
    fn device(&self) -> String {
        format!("{} (Metal)", self.0.device().name)
    }

    fn run(
        &self,
        spec: &KernelSpec,
        dims: &Dims,
        inputs: &[HostArray],
    ) -> std::result::Result<Vec<HostArray>, String> {
        on(self.0, inputs, |arrays| {
            kernels::on_metal(spec, dims, arrays)
        })
    }
}

impl Runner for FallbackRunner<'_> {
    fn device(&self) -> String {
        format!("{} (MLX's own operations)", self.0.device().name)
    }

    fn run(
        &self,
        spec: &KernelSpec,
        dims: &Dims,
        inputs: &[HostArray],
    ) -> std::result::Result<Vec<HostArray>, String> {
        on(self.0, inputs, |arrays| fallback::run(spec, dims, arrays))
    }
}

/// Up to the device, through `compute`, and back.
fn on(
    session: &Session,
    inputs: &[HostArray],
    compute: impl FnOnce(&[&Array]) -> Result<Vec<Array>> + Send,
) -> std::result::Result<Vec<HostArray>, String> {
    let computed: Result<_> = session.enter(|| {
        let arrays: Vec<Array> = inputs.iter().map(upload).collect::<Result<_>>()?;
        let outputs = compute(&arrays.iter().collect::<Vec<_>>())?;
        outputs.iter().map(download).collect()
    });
    computed.map_err(|error| error.what().to_owned())
}

fn upload(array: &HostArray) -> Result<Array> {
    let shape: Vec<i32> = array.shape.iter().map(|&extent| int(extent)).collect();
    let halves = |bits: &[u16], dtype| Array::from_slice(bits, &shape).view_dtype(dtype);
    match &array.elements {
        Elements::F32(values) => Ok(Array::from_slice(values, &shape)),
        Elements::U32(values) => Ok(Array::from_slice(values, &shape)),
        Elements::F16(bits) => halves(bits, Dtype::Float16),
        Elements::Bf16(bits) => halves(bits, Dtype::Bfloat16),
    }
}

/// Waits for an array, whose errors come out here.
fn download(array: &Array) -> Result<HostArray> {
    let shape: Vec<usize> = array
        .shape()
        .iter()
        .map(|&extent| extent as usize)
        .collect();
    let array = array.contiguous()?;
    let halves = || read(&array.view_dtype(Dtype::Uint16)?);
    let elements = match array.dtype() {
        Dtype::Float32 => Elements::F32(read(&array)?),
        Dtype::Uint32 => Elements::U32(read(&array)?),
        Dtype::Float16 => Elements::F16(halves()?),
        Dtype::Bfloat16 => Elements::Bf16(halves()?),
        other => return Err(Exception::custom(format!("a result of type {other:?}"))),
    };
    Ok(HostArray::new(&shape, elements))
}

/// Arrays without elements have no memory to read.
fn read<T: ArrayElement + Clone>(array: &Array) -> Result<Vec<T>> {
    array.eval()?;
    match array.size() {
        0 => Ok(Vec::new()),
        _ => host(array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::kernels::Element;

    #[test]
    fn arrays_come_back_as_they_went_up() {
        let session = Session::start().unwrap();
        let values = [1.0, -2.5, 0.0, 3e4, 7.0, 0.125];
        for element in [Element::F32, Element::F16, Element::Bf16, Element::U32] {
            for shape in [&[2, 3][..], &[6], &[0, 3], &[1, 0, 2]] {
                let count = shape.iter().product();
                let array = HostArray::rounded(shape, &values[..count], element);
                let back = session.enter(|| download(&upload(&array).unwrap()));
                assert_eq!(back.unwrap(), array);
            }
        }
    }
}
