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
    // The kernels read by pointers: once per call this must hold.
    assert!(x.width == w.width && x.order == w.order());
    assert!(panels.end <= w.panels() && tokens.end <= x.tokens);
    assert!(cx.level.reads_planes() == x.whole.is_empty() || x.width * x.tokens == 0);
    debug_assert!(w.data.as_ptr().addr().is_multiple_of(64));
    match cx.level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::detect` saw the features on this processor; the ranges
        // are checked above, and lengths by the constructors.
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

/// The same in floats: `x` is `[tokens, w.cols]`.
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
