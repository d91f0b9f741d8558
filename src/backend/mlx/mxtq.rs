//! Products with MXTQ matrices, by our kernels: the rotation, then the codes.
//! Which kernel does a call is looked up in the dispatch table.

use mlx_rs::Array;
use mlx_rs::error::Exception;

use super::MlxBackend;
use super::elementwise::swiglu;
use super::experts;
use super::routes::Routes;
use super::tensor::Tensor;
use super::weight::{Mxtq, Store, Weight};
use crate::backend::ExpertWeights;
use crate::backend::kernels::dispatch::{Operation, kernel_for};
use crate::backend::kernels::{Dims, HADAMARD_ROTATE, MXTQ_MATVEC, expert_dims};

type Result<T> = std::result::Result<T, Exception>;

fn dims(w: &Weight, m: &Mxtq, rows: usize) -> Dims {
    expert_dims(rows, w.cols, w.rows, w.experts, m.bits as u32)
}

fn only(outputs: Vec<Array>) -> Result<Array> {
    let mut outputs = outputs.into_iter();
    match (outputs.next(), outputs.next()) {
        (Some(output), None) => Ok(output),
        _ => Err(Exception::custom("a kernel gave not one result")),
    }
}

fn rotated(b: &MlxBackend, m: &Mxtq, x: &Tensor) -> Result<Array> {
    let dims = Dims::new(&[("ROWS", x.rows), ("WIDTH", x.cols)]);
    let inputs = [&x.array, &*m.tables.signs];
    let spec = kernel_for(Operation::Rotate, &dims).unwrap_or(&HADAMARD_ROTATE);
    only(b.kernels.call(spec, &dims, &inputs)?)
}

/// Each row of rotated `x` times the matrix of its class.
fn product(
    b: &MlxBackend,
    w: &Weight,
    m: &Mxtq,
    rotated: &Array,
    rows: usize,
    classes: &Array,
    order: Option<&Array>,
) -> Result<Array> {
    let dims = dims(w, m, rows);
    let mut inputs = vec![rotated, &*m.packed, &m.norms, &m.tables.codebook, classes];
    let spec = kernel_for(Operation::ExpertLinear, &dims).unwrap_or(&MXTQ_MATVEC);
    if spec.inputs.len() > inputs.len() {
        let order = order.ok_or_else(|| Exception::custom("rows without an order"))?;
        inputs.push(order);
    }
    only(b.kernels.call(spec, &dims, &inputs)?)
}

/// `x W^T` for a lone matrix: a stack of one.
pub fn linear(b: &MlxBackend, w: &Weight, m: &Mxtq, x: &Tensor) -> Result<Array> {
    expert_linear(b, w, m, x, &Routes::zeros(x.rows))
}

pub fn expert_linear(
    b: &MlxBackend,
    w: &Weight,
    m: &Mxtq,
    x: &Tensor,
    routes: &Routes,
) -> Result<Array> {
    let order = experts::order(routes)?;
    let x_rotated = rotated(b, m, x)?;
    product(b, w, m, &x_rotated, x.rows, &routes.classes, Some(&order))
}

/// `silu(gate x) * (up x)`; `None` if these are not both MXTQ over one rotation.
pub fn gate_up(
    b: &MlxBackend,
    w: &ExpertWeights<MlxBackend>,
    x: &Tensor,
    routes: &Routes,
) -> Option<Result<Array>> {
    let (Store::Mxtq(gate), Store::Mxtq(up)) = (&w.gate.store, &w.up.store) else {
        return None;
    };
    if !std::sync::Arc::ptr_eq(&gate.tables, &up.tables) || gate.bits != up.bits {
        return None;
    }
    Some(gate_up_mxtq(b, w, [gate, up], x, routes))
}

fn gate_up_mxtq(
    b: &MlxBackend,
    w: &ExpertWeights<MlxBackend>,
    [gate, up]: [&Mxtq; 2],
    x: &Tensor,
    routes: &Routes,
) -> Result<Array> {
    let x_rotated = rotated(b, gate, x)?;
    let dims = dims(&w.gate, gate, x.rows);
    if let Some(spec) = kernel_for(Operation::GateUp, &dims) {
        let inputs = [
            &x_rotated,
            &gate.packed,
            &gate.norms,
            &up.packed,
            &up.norms,
            &gate.tables.codebook,
            &routes.classes,
        ];
        return only(b.kernels.call(spec, &dims, &inputs)?);
    }
    let order = experts::order(routes)?;
    let part = |weight, m| {
        let classes = &routes.classes;
        product(b, weight, m, &x_rotated, x.rows, classes, Some(&order))
    };
    swiglu(b.device.kind, &part(&w.gate, gate)?, &part(&w.up, up)?)
}

/// The down projection with its own rotation, where one kernel does both.
pub fn down(b: &MlxBackend, w: &Weight, x: &Tensor, routes: &Routes) -> Option<Result<Array>> {
    let Store::Mxtq(m) = &w.store else {
        return None;
    };
    let dims = dims(w, m, x.rows);
    let spec = kernel_for(Operation::Down, &dims)?;
    let inputs = [
        &x.array,
        &m.tables.signs,
        &m.packed,
        &m.norms,
        &m.tables.codebook,
        &routes.classes,
    ];
    Some(b.kernels.call(spec, &dims, &inputs).and_then(only))
}
