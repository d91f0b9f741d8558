//! The kernels for AVX2, which has no dot product of bytes that is exact: codes
//! are taken apart into columns 0 and 2 and columns 1 and 3 of each four, as 16
//! bits each, so that `vpmaddwd` with 16-bit activations adds two columns of a
//! row into the row's lane. Codebooks are looked up by `vpshufb`.

use std::arch::x86_64::*;
use std::ops::Range;

use super::portable::finish;
use crate::backend::cpu::panels::float::FloatWidth;
use crate::backend::cpu::panels::integer::ScaleWidth;
use crate::backend::cpu::panels::lut::OFFSET;
use crate::backend::cpu::panels::{
    Activations, Encoding, FloatPanels, IntegerPanels, Lut, PANEL, Sink,
};

/// Bytes ahead of a load that are fetched.
const AHEAD: usize = 4096;

/// Columns after which MXTQ sums move to 64 bits: each adds at most 255 * 16256
/// to a lane of 32 bits.
const COLUMNS: usize = 512;
const _: () = assert!(COLUMNS * 255 * 16_256 < i32::MAX as usize);

/// Sums of 16 rows, or numbers of them.
type Rows = [__m256i; 2];

/// How bytes are read: as `P` planes of `V` vectors of `[8 rows][4 columns]`
/// codes without signs, made of 32 bytes.
trait Codes<const V: usize, const P: usize> {
    /// # Safety
    /// `at` and, where there is a second plane in memory, `low` point to 32
    /// readable bytes; the processor has the features of [`integer`].
    unsafe fn load(&self, at: *const u8, low: *const u8) -> [[__m256i; V]; P];
}

macro_rules! features {
    ($(#[$doc:meta])* $vis:vis unsafe fn $($rest:tt)*) => {
        $(#[$doc])*
        #[target_feature(enable = "avx2,fma,f16c")]
        $vis unsafe fn $($rest)*
    };
}

/// Affine codes of eight bits.
struct Bytes;

impl Codes<1, 1> for Bytes {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 1]; 1] {
        // SAFETY: the caller's.
        unsafe { [[_mm256_loadu_si256(at.cast())]] }
    }
}

/// Affine codes of four bits.
struct Nibbles;

impl Codes<2, 1> for Nibbles {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 2]; 1] {
        // SAFETY: the caller's.
        unsafe { [nibbles(_mm256_loadu_si256(at.cast()))] }
    }
}

/// Affine codes of eight bits in two planes of nibbles.
struct Split;

impl Codes<2, 1> for Split {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, low: *const u8) -> [[__m256i; 2]; 1] {
        // SAFETY: the caller's.
        unsafe {
            let [a, b] = nibbles(_mm256_loadu_si256(at.cast()));
            let [c, d] = nibbles(_mm256_loadu_si256(low.cast()));
            [[
                _mm256_or_si256(_mm256_slli_epi16::<4>(a), c),
                _mm256_or_si256(_mm256_slli_epi16::<4>(b), d),
            ]]
        }
    }
}

/// Low nibbles, high nibbles.
///
/// # Safety
/// The processor has the features of [`integer`].
#[inline(always)]
unsafe fn nibbles(packed: __m256i) -> [__m256i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let mask = _mm256_set1_epi8(15);
        [
            _mm256_and_si256(packed, mask),
            _mm256_and_si256(_mm256_srli_epi16::<4>(packed), mask),
        ]
    }
}

// Loops below, not `map`: what a closure calls is not always inlined into code
// that has the features.

/// A table of 16 bytes for `vpshufb`.
///
/// # Safety
/// The processor has the features of [`integer`].
#[inline(always)]
unsafe fn table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 readable bytes; the caller's features.
    unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast())) }
}

/// The planes of a codebook.
fn planes<const P: usize>(lut: &Lut) -> [&[u8; 256]; P] {
    std::array::from_fn(|p| match (p, &lut.low) {
        (1, Some(low)) => &**low,
        _ => &lut.high,
    })
}

/// MXTQ of two bits. A nibble holds two codes: a table for each of them takes
/// the nibble as it is.
struct Crumb<const P: usize> {
    tables: [[[u8; 16]; 2]; P],
}

impl<const P: usize> Crumb<P> {
    fn new(lut: &Lut) -> Self {
        let entries =
            |lut: &[u8; 256], shift: usize| std::array::from_fn(|nibble| lut[nibble >> shift & 3]);
        Self {
            tables: planes::<P>(lut).map(|lut| [entries(lut, 0), entries(lut, 2)]),
        }
    }
}

impl<const P: usize> Codes<4, P> for Crumb<P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 4]; P] {
        // SAFETY: the caller's.
        unsafe {
            let [low, high] = nibbles(_mm256_loadu_si256(at.cast()));
            let mut out = [[low; 4]; P];
            for (out, [first, second]) in out.iter_mut().zip(&self.tables) {
                let (first, second) = (table(first), table(second));
                out[0] = _mm256_shuffle_epi8(first, low);
                out[1] = _mm256_shuffle_epi8(second, low);
                out[2] = _mm256_shuffle_epi8(first, high);
                out[3] = _mm256_shuffle_epi8(second, high);
            }
            out
        }
    }
}

/// MXTQ of four bits.
struct Nibble<'a, const P: usize> {
    planes: [&'a [u8; 256]; P],
}

impl<const P: usize> Codes<2, P> for Nibble<'_, P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 2]; P] {
        // SAFETY: the caller's.
        unsafe {
            let [low, high] = nibbles(_mm256_loadu_si256(at.cast()));
            let mut out = [[low; 2]; P];
            for (out, lut) in out.iter_mut().zip(&self.planes) {
                let table = table(&lut.as_chunks().0[0]);
                out[0] = _mm256_shuffle_epi8(table, low);
                out[1] = _mm256_shuffle_epi8(table, high);
            }
            out
        }
    }
}

/// MXTQ of eight bits: looked up in 16 tables, of which each gives zero for what
/// lies in another.
struct Byte<'a, const P: usize> {
    planes: [&'a [u8; 256]; P],
}

impl<const P: usize> Codes<1, P> for Byte<'_, P> {
    #[inline(always)]
    unsafe fn load(&self, at: *const u8, _: *const u8) -> [[__m256i; 1]; P] {
        // SAFETY: the caller's.
        unsafe {
            let packed = _mm256_loadu_si256(at.cast());
            let mut out = [[_mm256_setzero_si256()]; P];
            for upper in 0..16 {
                // A nibble above that is not this one sets the highest bit.
                let own = _mm256_xor_si256(packed, _mm256_set1_epi8((upper << 4) as i8));
                let index = _mm256_adds_epu8(own, _mm256_set1_epi8(0x70));
                for (out, lut) in out.iter_mut().zip(&self.planes) {
                    let found = _mm256_shuffle_epi8(table(&lut.as_chunks().0[upper]), index);
                    out[0] = _mm256_or_si256(out[0], found);
                }
            }
            out
        }
    }
}

features! {
/// # Safety
/// The processor has these features; `panels` and `tokens` lie within `w` and
/// `x`, and `x` has whole integers.
pub unsafe fn integer(
    w: &IntegerPanels,
    panels: Range<usize>,
    x: &Activations,
    tokens: Range<usize>,
    sink: Sink<'_>,
) {
    // Registers hold the sums of four tokens, or of two with two planes.
    let most = match &w.encoding {
        Encoding::Mxtq { lut, .. } if lut.low.is_some() => 2,
        _ => 4,
    };
    for panel in panels {
        let mut token = tokens.start;
        while token < tokens.end {
            // SAFETY: the features are enabled here, the ranges the caller's.
            token += unsafe {
                match most.min(tokens.end - token) {
                    1 => tile::<1>(w, panel, x, token, sink),
                    2 | 3 => tile::<2>(w, panel, x, token, sink),
                    _ => tile::<4>(w, panel, x, token, sink),
                }
            };
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
    sink: Sink<'_>,
) -> usize {
    // SAFETY: the caller's.
    let y: [[f32; PANEL]; T] = unsafe {
        match &w.encoding {
            Encoding::Affine { bits: 4, group, scales } => {
                affine(w, panel, x, token, *group, *scales, &Nibbles)
            }
            Encoding::Affine { group, scales, .. } => {
                affine(w, panel, x, token, *group, *scales, &Bytes)
            }
            Encoding::Split { group, scales, .. } => {
                affine(w, panel, x, token, *group, *scales, &Split)
            }
            Encoding::Mxtq { bits, lut } => match (*bits, &lut.low) {
                (2, None) => mxtq(w, panel, x, token, lut, &Crumb::<1>::new(lut)),
                (2, Some(_)) => mxtq(w, panel, x, token, lut, &Crumb::<2>::new(lut)),
                (4, None) => mxtq(w, panel, x, token, lut, &Nibble::<1> { planes: planes(lut) }),
                (4, Some(_)) => mxtq(w, panel, x, token, lut, &Nibble::<2> { planes: planes(lut) }),
                (_, None) => mxtq(w, panel, x, token, lut, &Byte::<1> { planes: planes(lut) }),
                (_, Some(_)) => mxtq(w, panel, x, token, lut, &Byte::<2> { planes: planes(lut) }),
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
/// Sums over the columns of `steps` packed vectors.
///
/// # Safety
/// `at`, and `low` where the codes use it, point to `steps` vectors of 64 bytes;
/// each of `x` to their columns.
#[inline]
unsafe fn dots<const T: usize, const V: usize, const P: usize, C: Codes<V, P>>(
    codes: &C,
    at: *const u8,
    low: *const u8,
    steps: usize,
    x: [*const i16; T],
) -> [[Rows; P]; T] {
    // Columns 0 and 2 of each four, and 1 and 3, as pairs.
    let even = _mm256_set1_epi32(0x0504_0100);
    let odd = _mm256_set1_epi32(0x0706_0302);
    let byte = _mm256_set1_epi16(0xff);
    let mut sums = [[[_mm256_setzero_si256(); 2]; P]; T];
    for step in 0..steps {
        let (at, low) = (at.wrapping_add(64 * step), low.wrapping_add(64 * step));
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
        if low != at {
            _mm_prefetch::<_MM_HINT_T0>(low.wrapping_add(AHEAD).cast());
        }
        // SAFETY: 64 bytes of this step, and its columns, are the caller's.
        unsafe {
            let halves = [codes.load(at, low), codes.load(at.add(32), low.wrapping_add(32))];
            for v in 0..V {
                let column = (step * V + v) * 4;
                let mut wide = [[[byte; 2]; P]; 2];
                for (wide, planes) in wide.iter_mut().zip(&halves) {
                    for (wide, plane) in wide.iter_mut().zip(planes) {
                        wide[0] = _mm256_and_si256(plane[v], byte);
                        wide[1] = _mm256_srli_epi16::<8>(plane[v]);
                    }
                }
                for t in 0..T {
                    let four = x[t].add(column).cast::<i64>().read_unaligned();
                    let four = _mm256_set1_epi64x(four);
                    let evens = _mm256_shuffle_epi8(four, even);
                    let odds = _mm256_shuffle_epi8(four, odd);
                    for p in 0..P {
                        for (half, wide) in wide.iter().enumerate() {
                            let a = _mm256_madd_epi16(wide[p][0], evens);
                            let b = _mm256_madd_epi16(wide[p][1], odds);
                            let sum = &mut sums[t][p][half];
                            *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(a, b));
                        }
                    }
                }
            }
        }
    }
    sums
}
}

features! {
/// Scales and biases of a block's 16 rows.
#[inline]
unsafe fn pairs(at: *const u8, width: ScaleWidth) -> [[__m256; 2]; 2] {
    let mut pairs = [[_mm256_setzero_ps(); 2]; 2];
    for (i, half) in pairs.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: the caller's: a block's scales and biases lie at `at`.
        *half = unsafe {
            match width {
                ScaleWidth::F16 => _mm256_cvtph_ps(_mm_loadu_si128(at.add(16 * i).cast())),
                ScaleWidth::F32 => _mm256_loadu_ps(at.add(32 * i).cast()),
            }
        };
    }
    pairs
}
}

features! {
#[inline]
unsafe fn affine<const T: usize, const V: usize, C: Codes<V, 1>>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    group: usize,
    scales: ScaleWidth,
    codes: &C,
) -> [[f32; PANEL]; T] {
    let groups = w.width / group;
    let steps = group / (4 * V);
    let block_bytes = steps * 64 + scales.block_bytes();
    let data = w.panel(panel);
    debug_assert_eq!(data.len(), groups * block_bytes);
    let low = match &w.encoding {
        Encoding::Split { low, .. } => Some(&low[panel * groups * steps * 64..][..groups * steps * 64]),
        _ => None,
    };
    let integers: [&[i16]; T] =
        std::array::from_fn(|t| &x.whole[(token + t) * x.width..][..x.width]);
    let sums: [&[i32]; T] = std::array::from_fn(|t| &x.sums[(token + t) * groups..][..groups]);
    let mut totals = [[_mm256_setzero_ps(); 2]; T];
    for g in 0..groups {
        // SAFETY: block `g` of the panel, of its lower plane and of each token,
        // all within the slices above.
        unsafe {
            let at = data.as_ptr().add(g * block_bytes);
            let low_at = low.map_or(at, |low| low.as_ptr().add(g * steps * 64));
            let dots = dots(codes, at, low_at, steps, integers.map(|x| x.as_ptr().add(g * group)));
            let pairs_at = at.add(steps * 64);
            _mm_prefetch::<_MM_HINT_T0>(pairs_at.wrapping_add(AHEAD).cast());
            let [scale, bias] = pairs(pairs_at, scales);
            for t in 0..T {
                let sum = _mm256_set1_ps(sums[t][g] as f32);
                for half in 0..2 {
                    let dot = _mm256_cvtepi32_ps(dots[t][0][half]);
                    let total = &mut totals[t][half];
                    *total = _mm256_fmadd_ps(scale[half], dot, *total);
                    *total = _mm256_fmadd_ps(bias[half], sum, *total);
                }
            }
        }
    }
    std::array::from_fn(|t| {
        let scale = _mm256_set1_ps(x.scales[token + t]);
        // SAFETY: the features are enabled here.
        unsafe { stored(totals[t].map(|total| _mm256_mul_ps(total, scale))) }
    })
}
}

features! {
#[inline]
unsafe fn stored(rows: [__m256; 2]) -> [f32; PANEL] {
    let mut y = [0.0f32; PANEL];
    // SAFETY: two times 8 floats.
    unsafe {
        _mm256_storeu_ps(y.as_mut_ptr(), rows[0]);
        _mm256_storeu_ps(y.as_mut_ptr().add(8), rows[1]);
    }
    y
}
}

features! {
#[inline]
unsafe fn mxtq<const T: usize, const V: usize, const P: usize, C: Codes<V, P>>(
    w: &IntegerPanels,
    panel: usize,
    x: &Activations,
    token: usize,
    lut: &Lut,
    codes: &C,
) -> [[f32; PANEL]; T] {
    let data = w.panel(panel);
    let steps = w.width / (4 * V);
    let (vectors, norms) = data.split_at(steps * 64);
    let (norms, _) = norms.as_chunks::<4>();
    debug_assert_eq!(norms.len(), PANEL);
    let integers: [&[i16]; T] =
        std::array::from_fn(|t| &x.whole[(token + t) * x.width..][..x.width]);
    let mut wide = [[[0i64; PANEL]; P]; T];
    for first in (0..steps).step_by(COLUMNS / (4 * V)) {
        let count = (steps - first).min(COLUMNS / (4 * V));
        // SAFETY: `count` vectors of the panel and the columns they hold.
        let sums = unsafe {
            let at = vectors.as_ptr().add(first * 64);
            dots(codes, at, at, count, integers.map(|x| x.as_ptr().add(first * 4 * V)))
        };
        for (wide, sums) in wide.iter_mut().flatten().zip(sums.iter().flatten()) {
            let mut lanes = [0i32; PANEL];
            // SAFETY: two times 8 integers.
            unsafe {
                _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sums[0]);
                _mm256_storeu_si256(lanes.as_mut_ptr().add(8).cast(), sums[1]);
            }
            for (wide, lane) in wide.iter_mut().zip(lanes) {
                *wide += i64::from(lane);
            }
        }
    }
    std::array::from_fn(|t| {
        let offset = i64::from(OFFSET) * i64::from(x.total(token + t));
        let unit = lut.unit * x.scales[token + t];
        std::array::from_fn(|r| {
            let dot = wide[t].iter().fold(0, |dot, plane| 128 * dot + plane[r] - offset);
            finish(dot, f32::from_le_bytes(norms[r]), unit)
        })
    })
}
}

/// Panels that are multiplied at a time with one token, so that sums wait less
/// for each other. Several tokens do that by themselves.
const FLOAT_PANELS: usize = 4;

features! {
/// # Safety
/// The processor has these features; `panels` lie within `w`, and `x` holds rows
/// of `w.cols`.
pub unsafe fn float(w: &FloatPanels, panels: Range<usize>, x: &[f32], sink: Sink<'_>) {
    let tokens = x.len() / w.cols.max(1);
    let mut panel = panels.start;
    while panel < panels.end {
        // SAFETY: the caller's.
        panel += unsafe {
            match tokens {
                1 if panels.end - panel >= FLOAT_PANELS => {
                    float_tile::<FLOAT_PANELS, 1>(w, panel, x, 0, sink);
                    FLOAT_PANELS
                }
                _ => {
                    float_tokens(w, panel, x, tokens, sink);
                    1
                }
            }
        };
    }
}
}

features! {
#[inline]
unsafe fn float_tokens(w: &FloatPanels, panel: usize, x: &[f32], tokens: usize, sink: Sink<'_>) {
    let mut token = 0;
    while token < tokens {
        // SAFETY: the caller's.
        token += unsafe {
            match tokens - token {
                1 => float_tile::<1, 1>(w, panel, x, token, sink),
                2 | 3 => float_tile::<1, 2>(w, panel, x, token, sink),
                _ => float_tile::<1, 4>(w, panel, x, token, sink),
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
    let rows: [&[f32]; T] = std::array::from_fn(|t| &x[(token + t) * w.cols..][..w.cols]);
    let mut sums = [[[_mm256_setzero_ps(); 2]; P]; T];
    // SAFETY: `w.cols` columns of 16 numbers in each panel.
    unsafe {
        macro_rules! columns {
            ($load:expr) => {
                for c in 0..w.cols {
                    let mut weights = [[_mm256_setzero_ps(); 2]; P];
                    for (data, weights) in data.iter().zip(&mut weights) {
                        let at = data.add(c * step);
                        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                        weights[0] = $load(at);
                        weights[1] = $load(at.add(step / 2));
                    }
                    for t in 0..T {
                        let x = _mm256_set1_ps(rows[t][c]);
                        for p in 0..P {
                            for half in 0..2 {
                                let sum = &mut sums[t][p][half];
                                *sum = _mm256_fmadd_ps(weights[p][half], x, *sum);
                            }
                        }
                    }
                }
            };
        }
        match w.width {
            FloatWidth::F16 => columns!(|at: *const u8| _mm256_cvtph_ps(_mm_loadu_si128(at.cast()))),
            FloatWidth::Bf16 => columns!(|at: *const u8| {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            }),
            FloatWidth::F32 => columns!(|at: *const u8| _mm256_loadu_ps(at.cast())),
        }
    }
    for (t, sums) in sums.iter().enumerate() {
        for (p, sum) in sums.iter().enumerate() {
            // SAFETY: the features are enabled here.
            sink(token + t, panel + p, &unsafe { stored(*sum) });
        }
    }
    T
}
}
