//! Which kernel runs.

use std::ops::Range;

use super::{Activations, FloatPanels, IntegerPanels, LazyPanels, PANEL, Spread, simd};
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::Level;

/// Takes results: token, panel, and the products of the panel's rows.
pub type Sink<'a> = &'a mut dyn FnMut(usize, usize, &[f32; PANEL]);

/// Takes results of two matrices: panel, and the products of its rows in either.
pub type PairSink<'a> = &'a mut dyn FnMut(usize, &[f32; PANEL], &[f32; PANEL]);

/// The panels `panels` times the tokens `tokens` of `x`, on this thread.
pub fn integer_product(
    cx: &Context,
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    w.check();
    x.check();
    assert!(x.width == w.width && x.order == w.order());
    assert!(x.group == w.group().unwrap_or(w.width).max(1));
    assert!(panels.end <= w.panels() && tokens.end <= x.tokens);
    match cx.level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Context::new` saw the features and the permission; the ranges
        // and lengths are checked above.
        Level::Avx512 if cx.amx && simd::amx::suits(w, tokens.len()) => unsafe {
            simd::amx::integer(w, panels, x, tokens, sink);
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::detect` saw the features on this processor; the ranges
        // and lengths are checked above.
        Level::Avx512 => unsafe { simd::avx512::integer(w, panels, x, tokens, sink) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { simd::avx2::integer(w, panels, x, tokens, sink) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Level::Neon => unsafe { simd::neon::integer(w, panels, x, tokens, sink) },
        Level::Baseline => simd::portable::integer(w, panels, x, tokens, sink),
    }
}

/// The panels `panels` of two matrices of one kind times the token `token` of
/// `x`, on this thread: what is read at a time is in both of them. `sink` takes
/// the panel, and the products of its rows in the one and the other.
pub fn pair_product(
    cx: &Context,
    [a, b]: [&IntegerPanels; 2],
    panels: Range<usize>,
    x: &Activations,
    token: usize,
    sink: PairSink<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if cx.level == Level::Avx512 && a.is_like(b) {
        a.check();
        b.check();
        x.check();
        assert!(x.width == a.width && x.order == a.order());
        assert!(x.group == a.group().unwrap_or(a.width).max(1));
        assert!(panels.end <= a.panels() && token < x.tokens);
        // SAFETY: `Level::detect` saw the features on this processor; the ranges
        // and lengths are checked above.
        return unsafe { simd::avx512::pair([a, b], panels, x, token, sink) };
    }
    for panel in panels {
        let [mut of_a, mut of_b] = [[0.0; PANEL]; 2];
        let (one, tokens) = (panel..panel + 1, token..token + 1);
        integer_product(cx, a, one.clone(), x, tokens.clone(), &mut |_, _, y| {
            of_a = *y
        });
        integer_product(cx, b, one, x, tokens, &mut |_, _, y| of_b = *y);
        sink(panel, &of_a, &of_b);
    }
}

/// [`integer_product`] with rows as they are stored; `spread` was made of `x`.
pub fn row_product(
    cx: &Context,
    w: &LazyPanels,
    panels: Range<usize>,
    (x, spread): (&Activations, &Spread),
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    let shape = w.shape();
    x.check();
    assert!(x.width == shape.width && x.order == shape.order());
    assert!(panels.end <= shape.panels() && tokens.end <= x.tokens);
    assert!(spread.high.len() == x.tokens * x.width && spread.low.len() == x.tokens * x.width);
    let (codes, norms) = w.stored();
    assert!(codes.len() == shape.rows * (codes.len() / shape.rows.max(1)));
    assert!(norms.len() >= 2 * shape.rows);
    match cx.level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::detect` saw the features on this processor; the ranges
        // and lengths are checked above.
        Level::Avx512 => unsafe { simd::avx512::rows(w, panels, (x, spread), tokens, sink) },
        // `LazyPanels::of` makes none for other levels.
        _ => {
            let _ = sink;
            unreachable!("no kernel for stored rows")
        }
    }
}

/// [`integer_product`] in floats: `x` is `[tokens, w.cols]`.
pub fn float_product(
    cx: &Context,
    w: &FloatPanels,
    panels: Range<usize>,
    x: &[f32],
    sink: Sink<'_>,
) {
    assert!(panels.end <= w.panels() && x.len().is_multiple_of(w.cols.max(1)));
    debug_assert!(w.data.as_ptr().addr().is_multiple_of(64));
    match cx.level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx512 => unsafe { simd::avx512::float(w, panels, x, sink) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { simd::avx2::float(w, panels, x, sink) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Level::Neon => unsafe { simd::neon::float(w, panels, x, sink) },
        Level::Baseline => simd::portable::float(w, panels, x, sink),
    }
}
