//! Which kernel runs.

use std::ops::Range;

use super::{Activations, FloatPanels, IntegerPanels, PANEL, simd};
use crate::backend::cpu::context::Context;
use crate::backend::cpu::level::Level;

/// Takes results: token, panel, and the products of the panel's rows.
pub type Sink<'a> = &'a mut dyn FnMut(usize, usize, &[f32; PANEL]);

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
        _ => simd::portable::integer(w, panels, x, tokens, sink),
    }
}

/// The same in floats: `x` is `[tokens, w.cols]`.
pub fn float_product(
    cx: &Context,
    w: &FloatPanels,
    panels: Range<usize>,
    x: &[f32],
    sink: Sink<'_>,
) {
    assert!(panels.end <= w.panels() && x.len().is_multiple_of(w.cols.max(1)));
    match cx.level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx512 => unsafe { simd::avx512::float(w, panels, x, sink) },
        _ => simd::portable::float(w, panels, x, sink),
    }
}
