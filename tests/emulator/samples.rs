//! Kernels that only test the emulator: good ones, each of another kind.

use cairn::backend::kernels::{Dims, Element, HostArray, KernelSpec, Port, Random};

pub const F32: &[Element] = &[Element::F32];
pub const FLOATS: &[Element] = &[Element::F32, Element::F16, Element::Bf16];

pub const fn port(
    name: &'static str,
    elements: &'static [Element],
    shape: &'static [&'static str],
) -> Port {
    Port {
        name,
        elements,
        shape,
    }
}

fn normals(shape: &[usize], element: Element, random: &mut Random) -> HostArray {
    let values = random.normals(shape.iter().product());
    HostArray::rounded(shape, &values, element)
}

/// One thread per element.
pub const ADD: KernelSpec = KernelSpec {
    name: "add",
    inputs: &[port("a", F32, &["N"]), port("b", F32, &["N"])],
    outputs: &[port("out", F32, &["N"])],
    header: "",
    source: "uint i = thread_position_in_grid.x;\nout[i] = a[i] + b[i];\n",
    template: &[],
    grid: |dims| [dims.get("N"), 1, 1],
    threadgroup: |_| [64, 1, 1],
    supports: |_| true,
    reference: |dims, inputs| {
        let (a, b) = (inputs[0].to_f64(), inputs[1].to_f64());
        let sums: Vec<f64> = a.iter().zip(&b).map(|(x, y)| x + y).collect();
        vec![HostArray::rounded(&[dims.get("N")], &sums, Element::F32)]
    },
    shapes: &[&[("N", 0)], &[("N", 1)], &[("N", 64)], &[("N", 1000)]],
    random_shape: |random| Dims::new(&[("N", random.between(1, 300))]),
    random_inputs: |dims, random| {
        let shape = [dims.get("N")];
        vec![
            normals(&shape, Element::F32, random),
            normals(&shape, Element::F32, random),
        ]
    },
};

/// One simdgroup per row, of any of the float types; a width that is compiled
/// in, a helper that takes any pointer.
pub const MEAN: KernelSpec = KernelSpec {
    name: "mean",
    inputs: &[port("x", FLOATS, &["ROWS", "WIDTH"])],
    outputs: &[port("out", &[Element::F16], &["ROWS"])],
    header: "
template <typename X>
float lane_sum(X x, uint lane, uint width) {
  float sum = 0.0f;
  for (uint i = lane; i < width; i += 32) {
    sum += float(x[i]);
  }
  return sum;
}
",
    source: "
uint row = threadgroup_position_in_grid.x;
uint lane = thread_index_in_simdgroup;
float sum = simd_sum(lane_sum(x + row * WIDTH, lane, WIDTH));
if (lane == 0) {
  out[row] = half(sum / float(x_shape[1]));
}
",
    template: &["WIDTH"],
    grid: |dims| [dims.get("ROWS") * 32, 1, 1],
    threadgroup: |_| [32, 1, 1],
    supports: |dims| dims.get("WIDTH") > 0,
    reference: |dims, inputs| {
        let width = dims.get("WIDTH");
        let values = inputs[0].to_f64();
        let means: Vec<f64> = values
            .chunks(width)
            .map(|row| row.iter().sum::<f64>() / width as f64)
            .collect();
        vec![HostArray::rounded(
            &[dims.get("ROWS")],
            &means,
            Element::F16,
        )]
    },
    shapes: &[
        &[("ROWS", 0), ("WIDTH", 7)],
        &[("ROWS", 1), ("WIDTH", 1)],
        &[("ROWS", 3), ("WIDTH", 7)],
        &[("ROWS", 40), ("WIDTH", 100)],
    ],
    random_shape: |random| {
        let width = random.pick(&[7, 100]);
        Dims::new(&[("ROWS", random.between(1, 20)), ("WIDTH", width)])
    },
    random_inputs: |dims, random| {
        let element = random.pick(FLOATS);
        let shape = [dims.get("ROWS"), dims.get("WIDTH")];
        vec![normals(&shape, element, random)]
    },
};

/// Tiles of 16x16 through threadgroup memory; groups at the edges are smaller
/// in no direction, their threads only have less to do.
pub const TRANSPOSE: KernelSpec = KernelSpec {
    name: "transpose",
    inputs: &[port("x", F32, &["ROWS", "COLUMNS"])],
    outputs: &[port("out", F32, &["COLUMNS", "ROWS"])],
    header: "",
    source: "
threadgroup float tile[16][17];
uint rows = uint(x_shape[0]), columns = uint(x_shape[1]);
uint2 at = uint2(threadgroup_position_in_grid.x, threadgroup_position_in_grid.y) * 16u;
uint2 me = uint2(thread_position_in_threadgroup.x, thread_position_in_threadgroup.y);
if (at.y + me.y < rows && at.x + me.x < columns) {
  tile[me.y][me.x] = x[(at.y + me.y) * columns + at.x + me.x];
}
threadgroup_barrier(mem_flags::mem_threadgroup);
if (at.x + me.y < columns && at.y + me.x < rows) {
  out[(at.x + me.y) * rows + at.y + me.x] = tile[me.x][me.y];
}
",
    template: &[],
    grid: |dims| {
        let tiles = |name| dims.get(name).div_ceil(16) * 16;
        [tiles("COLUMNS"), tiles("ROWS"), 1]
    },
    threadgroup: |_| [16, 16, 1],
    supports: |_| true,
    reference: |dims, inputs| {
        let (rows, columns) = (dims.get("ROWS"), dims.get("COLUMNS"));
        let x = inputs[0].to_f64();
        let turned: Vec<f64> = (0..columns)
            .flat_map(|c| (0..rows).map(move |r| (r, c)))
            .map(|(r, c)| x[r * columns + c])
            .collect();
        vec![HostArray::rounded(&[columns, rows], &turned, Element::F32)]
    },
    shapes: &[
        &[("ROWS", 0), ("COLUMNS", 5)],
        &[("ROWS", 1), ("COLUMNS", 1)],
        &[("ROWS", 17), ("COLUMNS", 40)],
    ],
    random_shape: |random| {
        let mut extent = || random.between(1, 50);
        Dims::new(&[("ROWS", extent()), ("COLUMNS", extent())])
    },
    random_inputs: |dims, random| {
        let shape = [dims.get("ROWS"), dims.get("COLUMNS")];
        vec![normals(&shape, Element::F32, random)]
    },
};

/// A product of matrices whose extents are multiples of 8, on simdgroup
/// matrices: one simdgroup per tile of the output.
pub const MATMUL: KernelSpec = KernelSpec {
    name: "matmul",
    inputs: &[port("a", F32, &["M", "K"]), port("b", F32, &["K", "N"])],
    outputs: &[port("out", F32, &["M", "N"])],
    header: "#include <metal_simdgroup_matrix>\n",
    source: "
uint row = threadgroup_position_in_grid.y * 8u, column = threadgroup_position_in_grid.x * 8u;
simdgroup_float8x8 sum = simdgroup_float8x8(0.0f);
for (int k = 0; k < K; k += 8) {
  simdgroup_float8x8 left, right;
  simdgroup_load(left, a + row * K + k, K);
  simdgroup_load(right, b, N, ulong2(column, k));
  simdgroup_multiply_accumulate(sum, left, right, sum);
}
simdgroup_store(sum, out + row * N + column, N);
",
    template: &["K", "N"],
    grid: |dims| [dims.get("N") * 4, dims.get("M") / 8, 1],
    threadgroup: |_| [32, 1, 1],
    supports: |dims| dims.iter().all(|(_, extent)| extent % 8 == 0),
    reference: |dims, inputs| {
        let (m, k, n) = (dims.get("M"), dims.get("K"), dims.get("N"));
        let (a, b) = (inputs[0].to_f64(), inputs[1].to_f64());
        let mut out = vec![0.0; m * n];
        for (at, sum) in out.iter_mut().enumerate() {
            let (row, column) = (at / n, at % n);
            *sum = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
        }
        vec![HostArray::rounded(&[m, n], &out, Element::F32)]
    },
    shapes: &[
        &[("M", 0), ("K", 8), ("N", 8)],
        &[("M", 8), ("K", 8), ("N", 8)],
        &[("M", 24), ("K", 40), ("N", 16)],
    ],
    random_shape: |random| Dims::new(&[("M", 8 * random.between(1, 4)), ("K", 40), ("N", 16)]),
    random_inputs: |dims, random| {
        let (m, k, n) = (dims.get("M"), dims.get("K"), dims.get("N"));
        vec![
            normals(&[m, k], Element::F32, random),
            normals(&[k, n], Element::F32, random),
        ]
    },
};
