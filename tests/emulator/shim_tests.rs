//! The emulator's numbers and simd functions, against computations in Rust.

use cairn::backend::kernels::{Dims, Element, Elements, HostArray, KernelSpec, Random};
use half::{bf16, f16};

use super::runner::{EmuRunner, Order};
use super::samples::{ADD, F32, port};

const WORDS: &[Element] = &[Element::U32];

/// Words in, words out, one thread each.
const WORDWISE: KernelSpec = KernelSpec {
    inputs: &[port("x", WORDS, &["N"])],
    outputs: &[port("out", WORDS, &["N"])],
    threadgroup: |_| [256, 1, 1],
    ..ADD
};

/// What `source` makes of `words`; `None` without a compiler.
fn map(name: &'static str, source: &'static str, words: Vec<u32>) -> Option<Vec<u32>> {
    let runner = EmuRunner::new()?;
    let spec = KernelSpec {
        name,
        source,
        ..WORDWISE
    };
    let n = words.len();
    let inputs = [HostArray::u32(&[n], words)];
    let outputs = runner.run_in(Order::Forward, &spec, &Dims::new(&[("N", n)]), &inputs);
    Some(outputs.unwrap()[0].as_u32().to_vec())
}

fn all_halves() -> Vec<u32> {
    (0..=0xffff).collect()
}

#[test]
fn every_half_widens_exactly_and_comes_back() {
    let source = "uint i = thread_position_in_grid.x; half h = as_type<half>(ushort(x[i]));
out[i] = as_type<uint>(float(h));";
    let Some(wide) = map("half_widen", source, all_halves()) else {
        return;
    };
    let source = "uint i = thread_position_in_grid.x;
out[i] = as_type<ushort>(half(as_type<float>(x[i])));";
    let back = map("half_narrow", source, wide.clone()).unwrap();
    for bits in 0..=0xffff_u16 {
        let exact = f16::from_bits(bits);
        let got = f32::from_bits(wide[usize::from(bits)]);
        assert!(got.to_bits() == exact.to_f32().to_bits() || got.is_nan() && exact.is_nan());
        let back = back[usize::from(bits)] as u16;
        assert!(back == bits || f16::from_bits(back).is_nan() && exact.is_nan());
    }
}

#[test]
fn every_bfloat_widens_exactly_and_comes_back() {
    let source = "uint i = thread_position_in_grid.x; bfloat h = as_type<bfloat>(ushort(x[i]));
out[i] = as_type<uint>(float(h));";
    let Some(wide) = map("bfloat_widen", source, all_halves()) else {
        return;
    };
    let source = "uint i = thread_position_in_grid.x;
out[i] = as_type<ushort>(bfloat(as_type<float>(x[i])));";
    let back = map("bfloat_narrow", source, wide.clone()).unwrap();
    for bits in 0..=0xffff_u16 {
        assert_eq!(wide[usize::from(bits)], u32::from(bits) << 16);
        let (exact, back) = (bf16::from_bits(bits), back[usize::from(bits)] as u16);
        assert!(back == bits || bf16::from_bits(back).is_nan() && exact.is_nan());
    }
}

/// Floats of all magnitudes, and what lies halfway between two halves of either
/// kind, just below and just above.
fn hard_to_round() -> Vec<u32> {
    let mut random = Random::new(3);
    let mut words: Vec<u32> = (0..20_000).map(|_| random.word()).collect();
    for bits in (0..=0xffff_u16).step_by(7) {
        let half = f16::from_bits(bits).to_f32().to_bits();
        words.extend([half + 0xfff, half + 0x1000, half + 0x1001]);
        // Subnormals: halfway is half a unit of 2^-24 away.
        let tiny = f16::from_bits(bits & 0x3ff).to_f32() + 2f32.powi(-25);
        words.extend([tiny.to_bits() - 1, tiny.to_bits(), tiny.to_bits() + 1]);
        let bfloat = u32::from(bits) << 16;
        words.extend([bfloat + 0x7fff, bfloat + 0x8000, bfloat + 0x8001]);
    }
    words
}

#[test]
fn rounding_is_to_nearest_even() {
    let words = hard_to_round();
    let source = "uint i = thread_position_in_grid.x; float f = as_type<float>(x[i]);
out[i] = uint(as_type<ushort>(half(f))) << 16 | uint(as_type<ushort>(bfloat(f)));";
    let Some(rounded) = map("rounding", source, words.clone()) else {
        return;
    };
    for (word, got) in words.into_iter().zip(rounded) {
        let float = f32::from_bits(word);
        let (half, bfloat) = ((got >> 16) as u16, got as u16);
        if float.is_nan() {
            assert!(f16::from_bits(half).is_nan() && bf16::from_bits(bfloat).is_nan());
        } else {
            assert_eq!(half, f16::from_f32(float).to_bits(), "{float:e}");
            assert_eq!(bfloat, bf16::from_f32(float).to_bits(), "{float:e}");
        }
    }
}

/// Mixed operands have Metal's result types: a half stays one with an integer,
/// and gives way to a float.
#[test]
fn half_arithmetic_rounds_each_result() {
    let source = "uint i = thread_position_in_grid.x;
half a = as_type<half>(ushort(x[i])), b = as_type<half>(ushort(x[i] >> 16));
half c = a * b + 1;
float d = a * as_type<float>(0x3f800001u);
c += b;
out[i] = uint(as_type<ushort>(-c)) ^ as_type<uint>(d);";
    let mut random = Random::new(4);
    let words: Vec<u32> = (0..5000).map(|_| random.word()).collect();
    let Some(got) = map("half_arithmetic", source, words.clone()) else {
        return;
    };
    for (word, got) in words.into_iter().zip(got) {
        let (a, b) = (
            f16::from_bits(word as u16),
            f16::from_bits((word >> 16) as u16),
        );
        let round = |x: f32| f16::from_f32(x).to_f32();
        let c = round(round(round(a.to_f32() * b.to_f32()) + 1.0) + b.to_f32());
        let d = a.to_f32() * f32::from_bits(0x3f80_0001);
        if !c.is_nan() && !d.is_nan() {
            assert_eq!(got, u32::from(f16::from_f32(-c).to_bits()) ^ d.to_bits());
        }
    }
}

/// Each simd function, on whole simdgroups and on a last one of 11 lanes.
#[test]
fn simd_functions_are_what_they_say() {
    const OPS: usize = 12;
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    const SPEC: KernelSpec = KernelSpec {
        name: "simd_functions",
        inputs: &[port("x", F32, &["N"])],
        outputs: &[port("out", F32, &["N", "12"])],
        source: "uint i = thread_position_in_grid.x; float v = x[i]; float r[12];
uint lane = thread_index_in_simdgroup;
r[0] = simd_sum(v);
r[1] = simd_max(v);
r[2] = simd_min(v);
r[3] = simd_prefix_exclusive_sum(v);
r[4] = simd_prefix_inclusive_sum(v);
r[5] = simd_shuffle(v, ushort(lane / 2));
r[6] = simd_broadcast(v, ushort(7));
r[7] = simd_broadcast_first(v);
r[8] = simd_shuffle_up(v, ushort(3));
r[9] = simd_shuffle_down(v, ushort(3));
r[10] = simd_shuffle_xor(v, ushort(5));
r[11] = float(simd_any(v > 1.0f)) + 2.0f * float(simd_all(v > 1.0f));
for (uint n = 0; n < 12; n++) out[i * 12 + n] = r[n];",
        threadgroup: |_| [64, 1, 1],
        ..ADD
    };
    let n = 64 + 43;
    let values: Vec<f32> = (0..n).map(|i| (i * 37 % 101) as f32).collect();
    let inputs = [HostArray::f32(&[n], values.clone())];
    let dims = Dims::new(&[("N", n)]);
    for order in [Order::Forward, Order::Reversed] {
        let outputs = runner.run_in(order, &SPEC, &dims, &inputs).unwrap();
        let Elements::F32(got) = &outputs[0].elements else {
            panic!("floats are asked for")
        };
        for (i, row) in got.chunks(OPS).enumerate() {
            let (lane, group) = (i % 32, &values[i / 32 * 32..n.min(i / 32 * 32 + 32)]);
            let at = |from: usize| group.get(from).copied().unwrap_or(f32::NAN);
            let bit = |yes: bool| f32::from(u8::from(yes));
            let expected = [
                group.iter().sum(),
                group.iter().copied().fold(f32::MIN, f32::max),
                group.iter().copied().fold(f32::MAX, f32::min),
                group[..lane].iter().sum(),
                group[..=lane].iter().sum(),
                at(lane / 2),
                at(7),
                at(0),
                at(if lane < 3 { lane } else { lane - 3 }),
                at(if lane + 3 < 32 { lane + 3 } else { lane }),
                at(lane ^ 5),
                bit(group.iter().any(|&v| v > 1.0)) + 2.0 * bit(group.iter().all(|&v| v > 1.0)),
            ];
            for (op, (got, expected)) in row.iter().zip(expected).enumerate() {
                let same = got == &expected || got.is_nan() && expected.is_nan();
                assert!(same, "function {op}, thread {i}: {got}, not {expected}");
            }
        }
    }
}

/// Loads with an origin, transposed ones, products of halves, and the diagonal.
#[test]
fn simdgroup_matrices_are_what_they_say() {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    const SPEC: KernelSpec = KernelSpec {
        name: "matrices",
        inputs: &[port("x", F32, &["20", "20"])],
        outputs: &[port("out", F32, &["3", "8", "8"])],
        source: "
simdgroup_float8x8 a, b, c;
simdgroup_load(a, x, 20, ulong2(3, 5));
simdgroup_load(b, x + 41, 20, ulong2(0, 0), true);
simdgroup_multiply(c, a, b);
simdgroup_store(c, out, 8);
simdgroup_store(c, out + 64, 8, ulong2(0, 0), true);
simdgroup_half8x8 twice = simdgroup_half8x8(half(2.0f));
simdgroup_multiply_accumulate(c, twice, a, simdgroup_float8x8(1.0f));
simdgroup_store(c, out + 128);",
        grid: |_| [32, 1, 1],
        threadgroup: |_| [32, 1, 1],
        ..ADD
    };
    let x: Vec<f32> = (0..400).map(|i| (i * 7 % 23) as f32).collect();
    let inputs = [HostArray::f32(&[20, 20], x.clone())];
    let outputs = runner
        .run_in(Order::Reversed, &SPEC, &Dims::default(), &inputs)
        .unwrap();
    let got = outputs[0].to_f64();
    let a = |r: usize, c: usize| f64::from(x[(r + 5) * 20 + c + 3]);
    let b = |r: usize, c: usize| f64::from(x[41 + c * 20 + r]);
    for r in 0..8 {
        for c in 0..8 {
            let product: f64 = (0..8).map(|k| a(r, k) * b(k, c)).sum();
            assert_eq!(got[r * 8 + c], product);
            assert_eq!(got[64 + c * 8 + r], product);
            let diagonal = if r == c { 1.0 } else { 0.0 };
            assert_eq!(got[128 + r * 8 + c], 2.0 * a(r, c) + diagonal);
        }
    }
}

/// At the edge of a grid groups are smaller, and say so.
#[test]
fn attributes_at_the_edge_of_the_grid() {
    let source = "uint i = thread_position_in_grid.x;
out[i] = threads_per_threadgroup.x | simdgroups_per_threadgroup << 12
  | dispatch_threads_per_threadgroup.x << 16 | x[i] * 0u
  | threadgroup_position_in_grid.x << 28;";
    let Some(got) = map("edges", source, vec![0; 300]) else {
        return;
    };
    assert_eq!(got[0], 256 | 8 << 12 | 256 << 16);
    assert_eq!(got[299], 44 | 2 << 12 | 256 << 16 | 1 << 28);
}
