//! A failure that shows only when something is computed, or at once: noted, said
//! once, and what follows works.

use mlx_rs::{Array, Dtype, ops};

use crate::backend::Backend;
use crate::backend::mlx::device::Kind;
use crate::backend::mlx::routes::Routes;
use crate::backend::mlx::tensor::Tensor;
use crate::backend::mlx::{Ids, MlxBackend, Stats};

fn tensor(array: Array, rows: usize, cols: usize) -> Tensor {
    Tensor { array, rows, cols }
}

/// A product that is refused when it is evaluated, not before.
fn refused_late() -> Array {
    let half = |shape: &[i32]| {
        let zeros = ops::zeros_dtype(shape, Dtype::Float16);
        zeros.unwrap()
    };
    let index = Array::from_slice(&[0u32], &[1]);
    ops::gather_mm(half(&[1, 2, 2]), half(&[1, 2, 2]), None, &index, None).unwrap()
}

#[test]
fn what_fails_late_is_noted_where_it_is_needed() {
    let b = MlxBackend::new().unwrap();
    if b.device.kind != Kind::Cpu {
        return;
    }
    let one_fault = |work: &(dyn Fn() + Sync)| {
        b.enter(work);
        let fault = b.fault().unwrap();
        assert!(
            fault.contains("float32") && !fault.contains('\n'),
            "{fault}"
        );
        assert_eq!(b.fault(), None);
        let sound = b.enter(|| b.read(&tensor(Array::from_slice(&[2.0f32], &[1]), 1, 1)));
        assert_eq!((sound, b.fault()), (vec![2.0], None));
    };
    one_fault(&|| b.finish(&tensor(refused_late(), 2, 2)));
    one_fault(&|| {
        let single = refused_late().as_dtype(Dtype::Float32).unwrap();
        assert_eq!(b.read(&tensor(single, 2, 2)), [0.0f32; 0]);
    });
    one_fault(&|| {
        let ids = refused_late().as_dtype(Dtype::Uint32).unwrap();
        b.start(&Ids(ids), &Stats::Host(Vec::new()), &[]);
    });
    one_fault(&|| {
        let classes = refused_late().as_dtype(Dtype::Uint32).unwrap();
        let routes = Routes {
            classes,
            ..Routes::zeros(2)
        };
        assert_eq!(b.read_routes(&routes), [0u16; 0]);
    });
}

#[test]
fn only_the_first_of_several_faults_is_told() {
    let b = MlxBackend::new().unwrap();
    b.enter(|| {
        let x = tensor(Array::from_slice(&[1.0f32; 6], &[2, 3]), 2, 3);
        let y = tensor(Array::from_slice(&[1.0f32; 8], &[2, 4]), 2, 4);
        let z = b.swiglu(&x, &y);
        assert_eq!((z.rows, z.cols, b.read(&z)), (2, 3, vec![0.0; 6]));
        let gain = b.vector(&[1.0; 5]);
        let normed = b.rms_norm(&x, &gain, 1e-5);
        assert_eq!(b.read(&normed), [0.0; 6]);
    });
    let fault = b.fault().unwrap();
    assert!(fault.contains("broadcast"), "{fault}");
    assert_eq!(b.fault(), None);
}
