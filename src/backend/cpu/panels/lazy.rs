//! Panels that are made when they begin to pay. A mixture of experts has many
//! more weights than a token reads: rearranging all of them before the first
//! token would take longer than the token. Until a matrix has been used a few
//! times, or is met by several tokens at once, its rows are multiplied as they
//! lie in the file; integer sums are exact, so the bits are the same.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Activations, Encoding, IntegerPanels, PANEL, Sink};
use crate::backend::cpu::context::Context;
use crate::quant::{Format, Matrix};

/// Tokens in one call from which on panels are worth making at once.
const MANY_TOKENS: usize = 8;

/// Uses from which on they are, too.
const MANY_USES: u32 = 3;

/// A matrix whose panels are made later.
pub struct LazyPanels {
    matrix: Matrix,
    /// Panels without data: what inputs and results look like.
    shape: IntegerPanels,
    panels: OnceLock<Option<IntegerPanels>>,
    uses: AtomicU32,
}

/// How a matrix is multiplied in one call.
#[derive(Clone, Copy)]
pub enum Form<'a> {
    Panels(&'a IntegerPanels),
    Rows(&'a LazyPanels),
}

/// Activations as products with stored rows want them: what a vector of packed
/// codes meets lies together.
pub struct Spread {
    pub high: Vec<i8>,
    pub low: Vec<i8>,
}

impl LazyPanels {
    /// `None` if there is no kernel for the matrix as it is stored.
    pub fn of(cx: &Context, matrix: &Matrix) -> Option<Self> {
        let Format::Mxtq { bits: 2 | 4, .. } = matrix.format else {
            return None;
        };
        let shape = IntegerPanels::without_data(cx, matrix)?;
        let fits = matrix.row_bytes().is_multiple_of(64) && shape.width == matrix.cols;
        (fits && cx.level.multiplies_rows()).then(|| Self {
            matrix: matrix.clone(),
            shape,
            panels: OnceLock::new(),
            uses: AtomicU32::new(0),
        })
    }

    pub fn shape(&self) -> &IntegerPanels {
        &self.shape
    }

    /// Bytes that a product reads.
    pub fn bytes(&self) -> usize {
        self.matrix.data.len() + 4 * self.shape.panels() * PANEL
    }

    /// How to multiply it with `tokens` tokens now.
    pub fn form(&self, cx: &Context, tokens: usize) -> Form<'_> {
        let uses = self.uses.fetch_add(1, Ordering::Relaxed) + 1;
        let panels = match self.panels.get() {
            Some(panels) => panels,
            None if tokens >= MANY_TOKENS || uses >= MANY_USES => {
                self.panels.get_or_init(|| self.pack(cx))
            }
            None => &None,
        };
        match panels {
            Some(panels) => Form::Panels(panels),
            None => Form::Rows(self),
        }
    }

    fn pack(&self, cx: &Context) -> Option<IntegerPanels> {
        self.matrix.will_read();
        let panels = IntegerPanels::pack(cx, &self.matrix);
        if panels.is_some() {
            self.matrix.release();
        }
        panels
    }

    /// Codes and norms as they are stored.
    pub fn stored(&self) -> (&[u8], &[u8]) {
        match &self.matrix.format {
            Format::Mxtq { norms, .. } => (&self.matrix.data, norms),
            _ => (&self.matrix.data, &[]),
        }
    }
}

impl Form<'_> {
    pub fn shape(&self) -> &IntegerPanels {
        match self {
            Self::Panels(panels) => panels,
            Self::Rows(lazy) => lazy.shape(),
        }
    }

    /// The panels, if it has them.
    pub fn panels(&self) -> Option<&IntegerPanels> {
        match self {
            Self::Panels(panels) => Some(panels),
            Self::Rows(_) => None,
        }
    }

    /// [`super::integer_product`], in whichever form it is. `spread` was made of
    /// `x` if the matrix is in rows.
    pub fn product(
        &self,
        cx: &Context,
        panels: Range<usize>,
        x: &Activations,
        spread: Option<&Spread>,
        tokens: Range<usize>,
        sink: Sink<'_>,
    ) {
        match (self, spread) {
            (Self::Panels(w), _) => super::integer_product(cx, w, panels, x, tokens, sink),
            (Self::Rows(w), Some(spread)) => {
                super::product::row_product(cx, w, panels, (x, spread), tokens, sink);
            }
            (Self::Rows(w), None) => {
                let spread = Spread::of(x, w.shape());
                super::product::row_product(cx, w, panels, (x, &spread), tokens, sink);
            }
        }
    }
}

impl Spread {
    /// Each vector of 16 words of codes becomes `32 / bits / 4` vectors of 64
    /// values; the activations of one are four columns of every word.
    pub fn of(x: &Activations, w: &IntegerPanels) -> Self {
        let vectors = match w.encoding {
            Encoding::Mxtq { bits, .. } => 8 / bits as usize,
            _ => 1,
        };
        let spread = |row: fn(&Activations, usize) -> &[i8]| {
            let mut out = vec![0i8; x.tokens * x.width];
            for (token, out) in out.chunks_exact_mut(x.width.max(1)).enumerate() {
                let (from, _) = row(x, token).as_chunks::<4>();
                let (to, _) = out.as_chunks_mut::<4>();
                for (i, to) in to.iter_mut().enumerate() {
                    let (step, v, word) = (i / (16 * vectors), i / 16 % vectors, i % 16);
                    *to = from[(step * 16 + word) * vectors + v];
                }
            }
            out
        };
        Self {
            high: spread(Activations::high),
            low: spread(Activations::low),
        }
    }
}
