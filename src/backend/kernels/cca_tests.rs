//! The reference against the CPU backend, which computes the same in f32, by
//! other loops.

use super::cca::random_inputs;
use super::{CCA_DECODE, CCA_PREFILL, Dims, Element, HostArray, Random, cca_dims};
use crate::backend::cpu::{CpuBackend, CpuOptions, Precision, selftest};
use crate::backend::{AttentionShape, KvMode, Rows, Segment};

fn shapes() -> Vec<AttentionShape> {
    let shape = |query_heads, kv_heads, head_dim, conv_kernels, rotary_dims| AttentionShape {
        query_heads,
        kv_heads,
        head_dim,
        conv_kernels,
        rotary_dims,
        rope_theta: 5e6,
    };
    vec![
        shape(8, 2, 128, [2, 2], 64),
        shape(4, 2, 16, [2, 2], 8),
        shape(6, 2, 8, [3, 2], 8),
        shape(3, 1, 24, [1, 3], 10),
        shape(2, 2, 8, [2, 1], 2),
    ]
}

fn on_cpu(shape: &AttentionShape, inputs: &[HostArray], rows: &Rows) -> [Vec<f32>; 5] {
    let cpu = CpuBackend::new(&CpuOptions {
        threads: 1,
        precision: Precision::F32,
        ..CpuOptions::default()
    })
    .expect("one thread");
    selftest::cca(&cpu, shape, inputs, rows)
}

/// Each value within 2e-6 of the largest.
fn assert_close(expected: &HostArray, found: &[f32], what: &str, dims: &Dims) {
    let expected = expected.to_f64();
    assert_eq!(expected.len(), found.len(), "{what}, {dims}");
    let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for (i, (&e, &f)) in expected.iter().zip(found).enumerate() {
        let error = (e - f64::from(f)).abs();
        assert!(error <= 2e-6 * largest, "{what} {i}: {f} for {e}, {dims}");
    }
}

fn assert_all_close(expected: &[HostArray], found: &[Vec<f32>; 5], dims: &Dims) {
    assert_eq!(expected.len(), found.len());
    let names = ["q", "k", "v", "frames", "previous"];
    for ((expected, found), name) in expected.iter().zip(found).zip(names) {
        assert_close(expected, found, name, dims);
    }
}

#[test]
fn one_sequence_agrees_with_the_cpu_backend() {
    let random = &mut Random::new(11);
    for shape in shapes() {
        for len in [1, 2, 7] {
            let dims = cca_dims(&shape, len);
            let position = 1000 * len;
            let positions: Vec<usize> = (position..position + len).collect();
            let inputs = random_inputs(&dims, None, &positions, random);
            let rows = Rows {
                segments: vec![Segment { len, position }],
                kv: KvMode::Append,
            };
            let found = on_cpu(&shape, &inputs, &rows);
            let expected = (CCA_PREFILL.reference)(&dims, &inputs);
            assert_all_close(&expected, &found, &dims);
        }
    }
}

#[test]
fn several_sequences_agree_with_the_cpu_backend() {
    let random = &mut Random::new(12);
    for shape in shapes() {
        let dims = cca_dims(&shape, 3);
        let positions = [5, 70_000, 0];
        let inputs = random_inputs(&dims, Some(3), &positions, random);
        let segments = positions.map(|position| Segment { len: 1, position });
        let rows = Rows {
            segments: segments.to_vec(),
            kv: KvMode::Append,
        };
        let found = on_cpu(&shape, &inputs, &rows);
        let expected = (CCA_DECODE.reference)(&dims, &inputs);
        assert_all_close(&expected, &found, &dims);
    }
}

/// Token by token is the same as all at once: values and states too.
#[test]
fn decoding_continues_where_prefill_ends() {
    let random = &mut Random::new(13);
    for shape in shapes() {
        let len = 4;
        let whole = cca_dims(&shape, len);
        let inputs = random_inputs(&whole, None, &[9, 10, 11, 12], random);
        let expected = (CCA_PREFILL.reference)(&whole, &inputs);
        let one = cca_dims(&shape, 1);
        let mut state = [inputs[4].clone(), inputs[5].clone()];
        let mut found: Vec<Vec<f64>> = vec![vec![]; 3];
        for t in 0..len {
            let mut step = inputs.clone();
            for (i, port) in CCA_DECODE.inputs.iter().enumerate() {
                if port.shape[0] == "ROWS" {
                    let source = if (4..6).contains(&i) {
                        &state[i - 4]
                    } else {
                        &inputs[i]
                    };
                    let values = source.to_f64();
                    let rows = if (4..6).contains(&i) { 1 } else { len };
                    let width = values.len() / rows;
                    let row = if rows == 1 { 0 } else { t };
                    step[i] = HostArray::rounded(
                        &port.shape(&one),
                        &values[row * width..][..width],
                        Element::F32,
                    );
                }
            }
            let out = (CCA_DECODE.reference)(&one, &step);
            for (all, out) in found.iter_mut().zip(&out) {
                all.extend(out.to_f64());
            }
            state = [out[3].clone(), out[4].clone()];
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(*found, expected.to_f64());
        }
        for (state, expected) in state.iter().zip(&expected[3..]) {
            assert_eq!(state.elements, expected.elements);
        }
    }
}

#[test]
fn specs_name_only_dimensions_that_a_call_has() {
    for spec in [&CCA_DECODE, &CCA_PREFILL] {
        let mut random = Random::new(14);
        let mut calls: Vec<Dims> = spec.shapes.iter().map(|s| Dims::new(s)).collect();
        calls.extend((0..20).map(|_| (spec.random_shape)(&mut random)));
        for dims in calls {
            assert!((spec.supports)(&dims), "{}: {dims}", spec.name);
            let inputs = (spec.random_inputs)(&dims, &mut random);
            assert_eq!(inputs.len(), spec.inputs.len());
            for (input, port) in inputs.iter().zip(spec.inputs) {
                assert_eq!(input.shape, port.shape(&dims), "{} of {dims}", port.name);
                assert!(port.elements.contains(&input.element()));
            }
            for (output, port) in (spec.reference)(&dims, &inputs).iter().zip(spec.outputs) {
                assert_eq!(output.shape, port.shape(&dims), "{} of {dims}", port.name);
            }
            let threads: usize = (spec.threadgroup)(&dims).iter().product();
            assert!(threads <= 512 && threads.is_multiple_of(32), "{dims}");
            for name in spec.template {
                dims.get(name);
            }
        }
    }
}

#[test]
fn heads_that_do_not_fit_the_tiles_are_left_to_the_fallback() {
    let supports = |query_heads, kv_heads, head_dim, conv_kernels, rotary_dims| {
        let shape = AttentionShape {
            query_heads,
            kv_heads,
            head_dim,
            conv_kernels,
            rotary_dims,
            rope_theta: 1e4,
        };
        (CCA_DECODE.supports)(&cca_dims(&shape, 1))
    };
    assert!(supports(8, 2, 128, [2, 2], 64));
    assert!(!supports(8, 2, 256, [2, 2], 64));
    assert!(!supports(8, 2, 12, [2, 2], 4));
    assert!(!supports(8, 3, 16, [2, 2], 8));
    assert!(!supports(8, 2, 16, [1, 1], 8));
    assert!(!supports(8, 2, 16, [2, 4], 8));
}
