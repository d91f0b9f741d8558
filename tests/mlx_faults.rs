#![cfg(feature = "mlx")]
//! What the device refuses becomes one line of the engine, and the sequence it
//! happened to is empty and usable.

use std::ops::ControlFlow;
use std::path::Path;

use cairn::backend::SampleSpec;
use cairn::bundle::zaya::Tensors;
use cairn::bundle::{Bundle, Family};
use cairn::model::{BackendKind, Cache, Engine, Error, LoadOptions, StepRow, load};
use cairn::quant::{Bytes, Format, Matrix};

fn bundle(change: impl FnOnce(&mut Tensors)) -> Bundle {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zaya/JANGTQ_K");
    let mut bundle = Bundle::open(&folder).unwrap();
    let Family::Zaya(tensors) = &mut bundle.model;
    change(tensors);
    bundle
}

fn options() -> LoadOptions {
    LoadOptions {
        backend: BackendKind::Mlx,
        chunk: Some(4),
        ..LoadOptions::default()
    }
}

fn matrix(rows: usize, cols: usize) -> Matrix {
    Matrix {
        rows,
        cols,
        data: Bytes::from_vec(vec![0; rows * cols * 4]),
        format: Format::F32,
    }
}

/// In the second layer, attention's output meets a matrix of another width.
fn broken() -> Box<dyn Engine> {
    let bundle = bundle(|tensors| {
        let o = &mut tensors.layers[1].attention.o;
        *o = matrix(o.rows, o.cols + 16);
    });
    load(&bundle, &options()).unwrap()
}

fn prefill(engine: &dyn Engine, cache: &mut Cache, tokens: &[u32]) -> Result<(), Error> {
    let flow = engine.prefill(cache, tokens, &mut |_, _| ControlFlow::Continue(()))?;
    assert!(flow.is_continue());
    Ok(())
}

fn one_line<T>(result: Result<T, Error>) {
    let Err(error) = result else {
        panic!("a product of matrices that don't fit was computed");
    };
    assert!(matches!(error, Error::Backend("mlx", _)), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("the mlx backend failed: "), "{text}");
    assert!(
        text.lines().count() == 1 && text.contains("matmul"),
        "{text}"
    );
}

/// A cache of ten tokens, and an engine that will fail with it.
fn pair() -> (Box<dyn Engine>, Cache, Box<dyn Engine>) {
    let sound = load(&bundle(|_| ()), &options()).unwrap();
    let mut cache = sound.new_cache();
    prefill(&*sound, &mut cache, &(0..10).collect::<Vec<u32>>()).unwrap();
    (sound, cache, broken())
}

fn usable(sound: &dyn Engine, mut cache: Cache) {
    assert!(cache.is_empty());
    assert_eq!(sound.truncate(&mut cache, 3).unwrap(), 0);
    cache.mark();
    let tokens = [5, 6, 7, 8, 9];
    let want = sound.logits(&mut sound.new_cache(), &tokens).unwrap();
    assert_eq!(sound.logits(&mut cache.fork(), &tokens).unwrap(), want);
    prefill(sound, &mut cache, &tokens[..4]).unwrap();
    let last = sound.logits(&mut cache, &tokens[4..]).unwrap();
    let vocab = sound.info().vocab;
    for (got, want) in last.iter().zip(&want[4 * vocab..]) {
        assert!((got - want).abs() < 2e-4);
    }
}

#[test]
fn in_a_prefill() {
    let (sound, mut cache, broken) = pair();
    one_line(prefill(&*broken, &mut cache, &[1, 2, 3, 4, 5, 6]));
    usable(&*sound, cache);
}

#[test]
fn in_a_step() {
    let (sound, mut cache, broken) = pair();
    let mut mate = cache.fork();
    let rows = [&mut cache, &mut mate].map(|cache| StepRow {
        cache,
        token: 1,
        spec: SampleSpec::default(),
    });
    one_line(broken.step(&mut { rows }));
    usable(&*sound, cache);
    usable(&*sound, mate);
    // The line is not said twice: another sequence of a sound engine runs.
    let mut cache = sound.new_cache();
    prefill(&*sound, &mut cache, &[1, 2]).unwrap();
}

#[test]
fn in_a_replay_and_in_logits() {
    let (sound, mut cache, broken) = pair();
    one_line(broken.truncate(&mut cache, 5));
    usable(&*sound, cache);
    let (sound, mut cache, broken) = pair();
    one_line(broken.logits(&mut cache, &[1, 2]));
    usable(&*sound, cache);
}

/// Weights that can't be put together are refused before anything runs.
#[test]
fn experts_that_are_not_alike() {
    let other_shape = bundle(|tensors| {
        let down = &mut tensors.layers[0].experts[1].down;
        *down = matrix(down.rows, down.cols + 32);
    });
    let other_format = bundle(|tensors| {
        let down = &mut tensors.layers[0].experts[1].down;
        *down = matrix(down.rows, down.cols);
    });
    let dense = bundle(|tensors| {
        for (index, expert) in tensors.layers[0].experts.iter_mut().enumerate() {
            expert.down = matrix(expert.down.rows, expert.down.cols);
            if index == 1 {
                expert.down.format = Format::F16;
                let bytes = expert.down.rows * expert.down.cols * 2;
                expert.down.data = Bytes::from_vec(vec![0; bytes]);
            }
        }
    });
    for (bundle, problem) in [
        (other_shape, "different shapes"),
        (other_format, "different formats"),
        (dense, "different formats"),
    ] {
        let Err(error) = load(&bundle, &options()) else {
            panic!("{problem} were taken");
        };
        let text = error.to_string();
        assert!(
            text.contains(problem) && text.lines().count() == 1,
            "{text}"
        );
    }
}
