//! The kernels for AVX-512 with VNNI and VBMI. Codes are the unsigned operand of
//! `vpdpbusd`, one plane of activations, four columns broadcast to all 16 rows,
//! the signed one. Codebooks are looked up by `vpermb`, which looks at the low
//! six bits of an index: tables that repeat take packed bytes without masking.

use std::arch::x86_64::*;
use std::ops::Range;

use super::portable::finish;
use crate::backend::cpu::panels::float::FloatWidth;
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::{
    Activations, Encoding, FloatPanels, IntegerPanels, Lut, PANEL, Sink,
};

/// Bytes ahead of a load that are fetched.
const AHEAD: usize = 4096;

/// A source of vectors of `[16 rows][4 columns]` codes.
trait Codes: Copy {
    /// Vectors made of one 64-byte vector of each plane.
    const VECTORS: usize;

    /// # Safety
    /// `at` and, where there is a second plane, `low` point to 64 readable bytes;
    /// the processor has the features of [`integer`].
    unsafe fn load(self, at: *const u8, low: *const u8, out: &mut [__m512i; 4]);
}

#[derive(Clone, Copy)]
struct Bytes;

impl Codes for Bytes {
    const VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn load(self, at: *const u8, _: *const u8, out: &mut [__m512i; 4]) {
        // SAFETY: the caller's.
        unsafe { out[0] = _mm512_loadu_si512(at.cast()) };
    }
}

#[derive(Clone, Copy)]
struct Nibbles {
    mask: __m512i,
}

impl Codes for Nibbles {
    const VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn load(self, at: *const u8, _: *const u8, out: &mut [__m512i; 4]) {
        // SAFETY: the caller's.
        unsafe {
            let both = _mm512_loadu_si512(at.cast());
            out[0] = _mm512_and_si512(both, self.mask);
            out[1] = _mm512_and_si512(_mm512_srli_epi16::<4>(both), self.mask);
        }
    }
}

/// High and low nibbles from two planes.
#[derive(Clone, Copy)]
struct Split {
    mask: __m512i,
}

impl Codes for Split {
    const VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn load(self, at: *const u8, low: *const u8, out: &mut [__m512i; 4]) {
        // Bits of the first operand where the mask is set, else of the second.
        const SELECT: i32 = 0xCA;
        // SAFETY: the caller's.
        unsafe {
            let high = _mm512_loadu_si512(at.cast());
            let low = _mm512_loadu_si512(low.cast());
            out[0] =
                _mm512_ternarylogic_epi32::<SELECT>(self.mask, low, _mm512_slli_epi16::<4>(high));
            out[1] =
                _mm512_ternarylogic_epi32::<SELECT>(self.mask, _mm512_srli_epi16::<4>(low), high);
        }
    }
}

macro_rules! features {
    ($(#[$doc:meta])* $vis:vis unsafe fn $($rest:tt)*) => {
        $(#[$doc])*
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,fma,f16c"
        )]
        $vis unsafe fn $($rest)*
    };
}

features! {
/// # Safety
/// The processor has these features; `panels` and `tokens` lie within `w` and `x`.
pub unsafe fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    let mask = _mm512_set1_epi8(15);
    for panel in panels {
        let mut token = tokens.start;
        while token < tokens.end {
            let left = tokens.end - token;
            // SAFETY: the features are enabled here, the ranges the caller's.
            let count = unsafe {
                match left {
                    1 => tile::<1>(w, panel, x, token, mask, sink),
                    2 | 3 => tile::<2>(w, panel, x, token, mask, sink),
                    4..8 => tile::<4>(w, panel, x, token, mask, sink),
                    _ => tile::<8>(w, panel, x, token, mask, sink),
                }
            };
            token += count;
        }
    }
}
}

features! {
#[inline]
unsafe fn tile<const T: usize>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    mask: __m512i,
    sink: Sink<'_>,
) -> usize {
    // SAFETY: the caller's.
    let y = unsafe {
        match &w.encoding {
            Encoding::Affine { bits: 4, group, scales } => {
                affine::<T, _>(w, panel, x, token, *group, *scales, Nibbles { mask })
            }
            Encoding::Affine { group, scales, .. } => {
                affine::<T, _>(w, panel, x, token, *group, *scales, Bytes)
            }
            Encoding::Split { group, scales, .. } => {
                affine::<T, _>(w, panel, x, token, *group, *scales, Split { mask })
            }
            Encoding::Mxtq { bits, lut } => match (*bits, &lut.low) {
                (2, None) => mxtq::<T, 1, _>(w, panel, x, token, lut, Crumb::new(&lut.high, None)),
                (2, Some(low)) => mxtq::<T, 2, _>(w, panel, x, token, lut, Crumb::new(&lut.high, Some(low))),
                (4, None) => mxtq::<T, 1, _>(w, panel, x, token, lut, Nibble::new(&lut.high, None)),
                (4, Some(low)) => mxtq::<T, 2, _>(w, panel, x, token, lut, Nibble::new(&lut.high, Some(low))),
                (_, None) => mxtq::<T, 1, _>(w, panel, x, token, lut, Byte::new(&lut.high, None)),
                (_, Some(low)) => mxtq::<T, 2, _>(w, panel, x, token, lut, Byte::new(&lut.high, Some(low))),
            },
        }
    };
    for (t, y) in y.iter().enumerate() {
        sink(token + t, panel, y);
    }
    T
}
}

features! {
/// Four columns of a token's plane, for all rows.
#[inline]
unsafe fn broadcast(plane: *const i8) -> __m512i {
    // SAFETY: the caller's four readable bytes.
    _mm512_set1_epi32(unsafe { plane.cast::<i32>().read_unaligned() })
}
}

features! {
/// Scales and biases of a block's 16 rows.
#[inline]
unsafe fn pairs(at: *const u8, width: ScaleWidth) -> [__m512; 2] {
    // SAFETY: the caller's: a block's scales and biases lie at `at`.
    unsafe {
        match width {
            ScaleWidth::F16 => [0, 32].map(|offset| {
                _mm512_cvtph_ps(_mm256_loadu_si256(at.add(offset).cast()))
            }),
            ScaleWidth::F32 => [0, 64].map(|offset| _mm512_loadu_ps(at.add(offset).cast())),
        }
    }
}
}

features! {
#[inline]
unsafe fn affine<const T: usize, C: Codes>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    group: usize,
    scales: ScaleWidth,
    codes: C,
) -> [[f32; PANEL]; T] {
    let groups = w.width / group;
    let data = w.panel(panel);
    let steps = group / (4 * C::VECTORS);
    let block_bytes = steps * 64 + scales.block_bytes();
    let mut at = data.as_ptr();
    let mut low_at = match &w.encoding {
        Encoding::Split { low, .. } => low[panel * groups * steps * 64..].as_ptr(),
        _ => at,
    };
    let high: [*const i8; T] = std::array::from_fn(|t| x.high[(token + t) * x.width..].as_ptr());
    let low: [*const i8; T] = std::array::from_fn(|t| x.low[(token + t) * x.width..].as_ptr());
    let sums: [*const i32; T] = std::array::from_fn(|t| x.sums[(token + t) * groups..].as_ptr());
    let mut totals = [_mm512_setzero_ps(); T];
    let mut vectors = [_mm512_setzero_si512(); 4];
    for g in 0..groups {
        let mut upper = [_mm512_setzero_si512(); T];
        let mut lower = [_mm512_setzero_si512(); T];
        // SAFETY: `steps` vectors, scales and biases of block `g` of the panel;
        // `group` columns of each token. A prefetch may point anywhere.
        unsafe {
            for step in 0..steps {
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(step * 64 + AHEAD).cast());
                if C::VECTORS == 2 && low_at != at {
                    _mm_prefetch::<_MM_HINT_T0>(low_at.wrapping_add(step * 64 + AHEAD).cast());
                }
                codes.load(at.add(step * 64), low_at.add(step * 64), &mut vectors);
                for (v, vector) in vectors.iter().take(C::VECTORS).enumerate() {
                    let column = g * group + (step * C::VECTORS + v) * 4;
                    for t in 0..T {
                        upper[t] = _mm512_dpbusd_epi32(upper[t], *vector, broadcast(high[t].add(column)));
                        lower[t] = _mm512_dpbusd_epi32(lower[t], *vector, broadcast(low[t].add(column)));
                    }
                }
            }
            let pairs_at = at.add(steps * 64);
            _mm_prefetch::<_MM_HINT_T0>(pairs_at.wrapping_add(AHEAD).cast());
            let [scale, bias] = pairs(pairs_at, scales);
            for t in 0..T {
                let dot = _mm512_add_epi32(_mm512_slli_epi32::<7>(upper[t]), lower[t]);
                totals[t] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(dot), totals[t]);
                let sum = _mm512_set1_ps(sums[t].add(g).read() as f32);
                totals[t] = _mm512_fmadd_ps(bias, sum, totals[t]);
            }
        }
        at = at.wrapping_add(block_bytes);
        low_at = low_at.wrapping_add(steps * 64);
        if !matches!(w.encoding, Encoding::Split { .. }) {
            low_at = at;
        }
    }
    std::array::from_fn(|t| {
        let mut y = [0.0f32; PANEL];
        let total = _mm512_mul_ps(totals[t], _mm512_set1_ps(x.scales[token + t]));
        // SAFETY: 16 floats.
        unsafe { _mm512_storeu_ps(y.as_mut_ptr(), total) };
        y
    })
}
}

/// Codebook values, plus 128, of packed codes: `P` planes of vectors.
trait Lookup<const P: usize>: Copy {
    /// Vectors of `[16 rows][4 columns]` made of one packed vector.
    const VECTORS: usize;

    /// Vector `v` of those, in each plane.
    ///
    /// # Safety
    /// The processor has the features of [`integer`].
    unsafe fn look(&self, packed: __m512i, v: usize) -> [__m512i; P];
}

/// Tables of 64 entries for `vpermb`.
#[inline(always)]
fn table(entry: impl Fn(usize) -> u8) -> __m512i {
    let bytes: [u8; 64] = std::array::from_fn(entry);
    // SAFETY: 64 readable bytes; the processor has the features of `integer`.
    unsafe { std::mem::transmute(bytes) }
}

fn plane<'a, const P: usize>(
    high: &'a [u8; 256],
    low: Option<&'a [u8; 256]>,
) -> [&'a [u8; 256]; P] {
    std::array::from_fn(|p| match (p, low) {
        (1, Some(low)) => low,
        _ => high,
    })
}

/// Two bits: the first three codes of a byte lie within its low six bits, each
/// with a table of its own; the fourth is shifted down to the first.
#[derive(Clone, Copy)]
struct Crumb<const P: usize> {
    tables: [[__m512i; 3]; P],
}

impl<const P: usize> Crumb<P> {
    #[inline(always)]
    fn new(high: &[u8; 256], low: Option<&[u8; 256]>) -> Self {
        let tables = plane::<P>(high, low)
            .map(|lut| std::array::from_fn(|c| table(|i| lut[i >> (2 * c) & 3])));
        Self { tables }
    }
}

impl<const P: usize> Lookup<P> for Crumb<P> {
    const VECTORS: usize = 4;

    #[inline(always)]
    unsafe fn look(&self, packed: __m512i, v: usize) -> [__m512i; P] {
        // SAFETY: the caller's features.
        unsafe {
            let (index, which) = match v {
                3 => (_mm512_srli_epi16::<6>(packed), 0),
                v => (packed, v),
            };
            self.tables
                .map(|tables| _mm512_permutexvar_epi8(index, tables[which]))
        }
    }
}

/// Four bits.
#[derive(Clone, Copy)]
struct Nibble<const P: usize> {
    tables: [__m512i; P],
}

impl<const P: usize> Nibble<P> {
    #[inline(always)]
    fn new(high: &[u8; 256], low: Option<&[u8; 256]>) -> Self {
        Self {
            tables: plane::<P>(high, low).map(|lut| table(|i| lut[i & 15])),
        }
    }
}

impl<const P: usize> Lookup<P> for Nibble<P> {
    const VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn look(&self, packed: __m512i, v: usize) -> [__m512i; P] {
        // SAFETY: the caller's features.
        unsafe {
            let index = match v {
                0 => packed,
                _ => _mm512_srli_epi16::<4>(packed),
            };
            self.tables
                .map(|table| _mm512_permutexvar_epi8(index, table))
        }
    }
}

/// Eight bits: two tables of 128 entries, chosen by the upper bit.
#[derive(Clone, Copy)]
struct Byte<const P: usize> {
    tables: [[__m512i; 4]; P],
}

impl<const P: usize> Byte<P> {
    #[inline(always)]
    fn new(high: &[u8; 256], low: Option<&[u8; 256]>) -> Self {
        Self {
            tables: plane::<P>(high, low)
                .map(|lut| std::array::from_fn(|q| table(|i| lut[64 * q + i]))),
        }
    }
}

impl<const P: usize> Lookup<P> for Byte<P> {
    const VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn look(&self, packed: __m512i, _: usize) -> [__m512i; P] {
        // SAFETY: the caller's features.
        unsafe {
            let upper = _mm512_movepi8_mask(packed);
            self.tables.map(|[a, b, c, d]| {
                let first = _mm512_permutex2var_epi8(a, packed, b);
                let second = _mm512_permutex2var_epi8(c, packed, d);
                _mm512_mask_blend_epi8(upper, first, second)
            })
        }
    }
}

features! {
#[inline]
unsafe fn mxtq<const T: usize, const P: usize, L: Lookup<P>>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    lut: &Lut,
    look: L,
) -> [[f32; PANEL]; T] {
    let data = w.panel(panel);
    let steps = w.width / (4 * L::VECTORS);
    let at = data.as_ptr();
    let high: [*const i8; T] = std::array::from_fn(|t| x.high[(token + t) * x.width..].as_ptr());
    let low: [*const i8; T] = std::array::from_fn(|t| x.low[(token + t) * x.width..].as_ptr());
    let mut upper = [[_mm512_setzero_si512(); P]; T];
    let mut lower = [[_mm512_setzero_si512(); P]; T];
    for step in 0..steps {
        // SAFETY: `steps` vectors of the panel; the width's columns of each token.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(step * 64 + AHEAD).cast());
            let packed = _mm512_loadu_si512(at.add(step * 64).cast());
            for v in 0..L::VECTORS {
                let vectors = look.look(packed, v);
                let column = (step * L::VECTORS + v) * 4;
                for t in 0..T {
                    let (h, l) = (broadcast(high[t].add(column)), broadcast(low[t].add(column)));
                    for p in 0..P {
                        upper[t][p] = _mm512_dpbusd_epi32(upper[t][p], vectors[p], h);
                        lower[t][p] = _mm512_dpbusd_epi32(lower[t][p], vectors[p], l);
                    }
                }
            }
        }
    }
    // SAFETY: the norms of 16 rows follow the codes.
    let norms = unsafe { at.add(steps * 64).cast::<[f32; PANEL]>().read_unaligned() };
    std::array::from_fn(|t| {
        let total = i64::from(x.total(token + t));
        let unit = lut.unit * x.scales[token + t];
        let planes: [[[i32; PANEL]; 2]; P] = std::array::from_fn(|p| {
            [upper[t][p], lower[t][p]].map(|v| {
                let mut lanes = [0i32; PANEL];
                // SAFETY: 16 integers.
                unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), v) };
                lanes
            })
        });
        std::array::from_fn(|r| {
            let dot = planes.iter().fold(0i64, |dot, [upper, lower]| {
                let plane = 128 * i64::from(upper[r]) + i64::from(lower[r]) - 128 * total;
                128 * dot + plane
            });
            finish(dot, norms[r], unit)
        })
    })
}
}

/// Panels that are multiplied at a time, so that sums wait less for each other.
const FLOAT_PANELS: usize = 4;

features! {
/// # Safety
/// The processor has these features; `panels` lie within `w`, and `x` holds rows
/// of `w.cols`.
pub unsafe fn float(w: &FloatPanels, panels: Range<usize>, x: &[f32], sink: Sink<'_>) {
    let mut panel = panels.start;
    while panel < panels.end {
        // SAFETY: the caller's.
        unsafe {
            if panels.end - panel >= FLOAT_PANELS {
                float_tokens::<FLOAT_PANELS>(w, panel, x, sink);
                panel += FLOAT_PANELS;
            } else {
                float_tokens::<1>(w, panel, x, sink);
                panel += 1;
            }
        }
    }
}
}

features! {
#[inline]
unsafe fn float_tokens<const P: usize>(w: &FloatPanels, panel: usize, x: &[f32], sink: Sink<'_>) {
    let tokens = x.len() / w.cols.max(1);
    let mut token = 0;
    while token < tokens {
        // SAFETY: the caller's.
        token += unsafe {
            match tokens - token {
                1 => float_tile::<P, 1>(w, panel, x, token, sink),
                2 | 3 => float_tile::<P, 2>(w, panel, x, token, sink),
                _ => float_tile::<P, 4>(w, panel, x, token, sink),
            }
        };
    }
}
}

features! {
#[inline]
unsafe fn float_tile<const P: usize, const T: usize>(
    w: &FloatPanels,
    panel: usize,
    x: &[f32],
    token: usize,
    sink: Sink<'_>,
) -> usize {
    let step = PANEL * w.width.size();
    let data: [*const u8; P] = std::array::from_fn(|p| w.panel(panel + p).as_ptr());
    let rows: [*const f32; T] = std::array::from_fn(|t| x[(token + t) * w.cols..].as_ptr());
    let mut sums = [[_mm512_setzero_ps(); P]; T];
    // SAFETY: `w.cols` columns of 16 numbers in each panel, `w.cols` numbers in
    // each row of `x`.
    unsafe {
        macro_rules! columns {
            ($load:expr) => {
                for c in 0..w.cols {
                    let weights: [__m512; P] = std::array::from_fn(|p| {
                        let at = data[p].add(c * step);
                        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                        $load(at)
                    });
                    for t in 0..T {
                        let x = _mm512_set1_ps(rows[t].add(c).read());
                        for p in 0..P {
                            sums[t][p] = _mm512_fmadd_ps(weights[p], x, sums[t][p]);
                        }
                    }
                }
            };
        }
        match w.width {
            FloatWidth::F16 => columns!(|at: *const u8| _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()))),
            FloatWidth::Bf16 => columns!(|at: *const u8| {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }),
            FloatWidth::F32 => columns!(|at: *const u8| _mm512_loadu_ps(at.cast())),
        }
    }
    for (t, sums) in sums.iter().enumerate() {
        for (p, sum) in sums.iter().enumerate() {
            let mut y = [0.0f32; PANEL];
            // SAFETY: 16 floats.
            unsafe { _mm512_storeu_ps(y.as_mut_ptr(), *sum) };
            sink(token + t, panel + p, &y);
        }
    }
    T
}
}
