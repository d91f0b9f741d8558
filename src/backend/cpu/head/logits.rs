//! A token's logits, some of them estimated. Everything that samples asks for
//! what it needs by [`Logits::ensure`]: panels that might hold a row at or above
//! some value are then computed exactly. A full pass is the case in which nothing
//! is left to compute, so both go through the same code.

use crate::backend::cpu::context::Context;
use crate::backend::cpu::output::Output;
use crate::backend::cpu::panels::{Activations, IntegerPanels, PANEL, integer_product};
use crate::backend::sample::by_rank;
use crate::backend::{SampleSpec, TokenMask};

/// Deviations that an estimate may be off. Errors are sums of independent even
/// ones, so the chance to be off by more is below 2 exp(-72).
pub const MARGIN: f32 = 12.0;

/// Where logits are computed exactly: one token of these activations.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub w: &'a IntegerPanels,
    pub x: &'a Activations,
    pub token: usize,
}

/// Buffers of one token, kept from one to the next.
#[derive(Default)]
pub struct Logits {
    rows: usize,
    /// `[panels * 16]`; rows beyond the matrix are -inf.
    pub values: Vec<f32>,
    /// Deviations of the errors; 0 for what is exact.
    pub sigmas: Vec<f32>,
    /// Per panel: no row is larger than this.
    pub uppers: Vec<f32>,
    pub computed: Vec<bool>,
    /// Panels computed exactly.
    pub count: usize,
    /// What rounding may add to an error.
    pub slack: f32,
    /// Logits after mask and penalties, where a sampler needs them all.
    pub adjusted: Vec<f32>,
    list: Vec<u32>,
}

/// What may be sampled.
pub struct Filter<'a> {
    pub mask: Option<&'a TokenMask>,
    /// Penalised ids, ascending.
    pub penalised: Vec<u32>,
    pub spec: &'a SampleSpec,
}

impl Filter<'_> {
    /// The logit that sampling sees; `None` if the id can't be sampled.
    pub fn adjusted(&self, id: u32, x: f32) -> Option<f32> {
        let x = match self.penalised.binary_search(&id) {
            Ok(_) => self.spec.penalty(x),
            Err(_) => x,
        };
        let allowed = self.mask.is_none_or(|mask| mask.allows(id));
        (allowed && x.is_finite()).then_some(x)
    }
}

/// Where threads write the logits of one token.
pub struct Shared<'a> {
    values: Output<'a>,
    sigmas: Output<'a>,
    uppers: Output<'a>,
    rows: usize,
    slack: f32,
}

impl Shared<'_> {
    /// # Safety
    /// No other thread writes this panel of this token.
    #[inline]
    unsafe fn write(&self, panel: usize, mut y: [f32; PANEL], sigma: &[f32; PANEL], slack: f32) {
        let real = self.rows - panel * PANEL;
        if real < PANEL {
            y[real..].fill(f32::NEG_INFINITY);
        }
        let mut uppers: [f32; PANEL] = std::array::from_fn(|r| y[r] + MARGIN * sigma[r] + slack);
        // In pairs: a chain of 16 comparisons would be waited for.
        let mut width = PANEL / 2;
        while width > 0 {
            for r in 0..width {
                let (a, b) = (uppers[r], uppers[r + width]);
                uppers[r] = if a > b { a } else { b };
            }
            width /= 2;
        }
        let upper = uppers[0];
        // SAFETY: the caller's.
        unsafe {
            self.values.panel(0, panel, &y, None);
            self.sigmas.panel(0, panel, sigma, None);
            self.uppers.columns(0, panel, 1)[0] = upper;
        }
    }

    /// # Safety
    /// As [`Shared::write`].
    pub unsafe fn estimate(&self, panel: usize, y: &[f32; PANEL], sigma: &[f32; PANEL]) {
        // SAFETY: the caller's.
        unsafe { self.write(panel, *y, sigma, self.slack) };
    }

    /// # Safety
    /// As [`Shared::write`].
    pub unsafe fn exact(&self, panel: usize, y: &[f32; PANEL]) {
        // SAFETY: the caller's.
        unsafe { self.write(panel, *y, &[0.0; PANEL], 0.0) };
    }
}

impl Logits {
    /// For `rows` rows, of which nothing is known. `slack` is what rounding may
    /// add to an estimate's error.
    pub fn begin(&mut self, rows: usize, slack: f32) {
        let panels = rows.div_ceil(PANEL);
        self.rows = rows;
        self.slack = slack;
        self.values.resize(panels * PANEL, 0.0);
        self.sigmas.resize(panels * PANEL, 0.0);
        self.uppers.resize(panels, 0.0);
        self.computed.clear();
        self.computed.resize(panels, false);
        self.count = 0;
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn panels(&self) -> usize {
        self.uppers.len()
    }

    /// Every row is exact.
    pub fn is_exact(&self) -> bool {
        self.count == self.panels()
    }

    /// All panels have been written exactly.
    pub fn complete(&mut self) {
        self.computed.fill(true);
        self.count = self.panels();
    }

    pub fn shared(&mut self) -> Shared<'_> {
        let (rows, panels) = (self.values.len(), self.uppers.len());
        Shared {
            values: Output::new(&mut self.values, rows),
            sigmas: Output::new(&mut self.sigmas, rows),
            uppers: Output::new(&mut self.uppers, panels),
            rows: self.rows,
            slack: self.slack,
        }
    }

    /// Takes exact logits from elsewhere.
    pub fn fill(&mut self, logits: &[f32]) {
        self.begin(logits.len(), 0.0);
        let shared = self.shared();
        for (panel, row) in logits.chunks(PANEL).enumerate() {
            let mut y = [0.0; PANEL];
            y[..row.len()].copy_from_slice(row);
            // SAFETY: one thread.
            unsafe { shared.exact(panel, &y) };
        }
        self.complete();
    }

    /// Computes those of these panels that are not yet exact.
    pub fn compute(
        &mut self,
        cx: &Context,
        source: Option<Source<'_>>,
        panels: impl Iterator<Item = usize>,
    ) {
        let Some(source) = source else {
            // Nothing is ever estimated without it.
            return;
        };
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        for panel in panels {
            if !std::mem::replace(&mut self.computed[panel], true) {
                list.push(panel as u32);
            }
        }
        self.count += list.len();
        let shared = self.shared();
        let (w, x, token) = (source.w, source.x, source.token);
        cx.pool.run(list.len(), 1, |part| {
            for panel in &list[part] {
                let panel = *panel as usize;
                let mut write = |_: usize, panel: usize, y: &[f32; PANEL]| {
                    // SAFETY: each panel is in the list once.
                    unsafe { shared.exact(panel, y) };
                };
                integer_product(cx, w, panel..panel + 1, x, token..token + 1, &mut write);
            }
        });
        self.list = list;
    }

    /// Makes every row exact that may be sampled (without a filter: every row)
    /// and may be `cut` or more.
    pub fn ensure(
        &mut self,
        cx: &Context,
        source: Option<Source<'_>>,
        cut: f32,
        filter: Option<&Filter<'_>>,
    ) {
        if self.is_exact() {
            return;
        }
        let wanted: Vec<usize> = (0..self.panels())
            .filter(|&panel| !self.computed[panel] && self.upper(panel, filter) >= cut)
            .collect();
        self.compute(cx, source, wanted.into_iter());
    }

    /// No row of the panel that may be sampled is larger; -inf if there is none.
    /// Penalised rows count with what they were before.
    pub fn upper(&self, panel: usize, filter: Option<&Filter<'_>>) -> f32 {
        let Some(mask) = filter.and_then(|filter| filter.mask) else {
            return self.uppers[panel];
        };
        match mask.sixteen(panel) {
            u16::MAX => self.uppers[panel],
            0 => f32::NEG_INFINITY,
            bits => (0..PANEL)
                .filter(|r| bits >> r & 1 == 1)
                .map(|r| panel * PANEL + r)
                .map(|row| match self.computed[panel] {
                    true => self.values[row],
                    false => self.values[row] + MARGIN * self.sigmas[row] + self.slack,
                })
                .fold(f32::NEG_INFINITY, f32::max),
        }
    }

    /// The `count` panels with the highest bounds, in no order.
    fn highest(&self, count: usize, filter: Option<&Filter<'_>>) -> Vec<usize> {
        let panels = (0..self.panels()).map(|panel| (self.upper(panel, filter), panel as u32));
        largest(panels, count)
            .into_iter()
            .map(|(_, panel)| panel as usize)
            .collect()
    }

    /// A value that at least `k` rows that may be sampled reach, close to the
    /// largest such; -inf if there are fewer. Computes what it has to.
    pub fn kth(
        &mut self,
        cx: &Context,
        source: Option<Source<'_>>,
        k: usize,
        filter: Option<&Filter<'_>>,
    ) -> f32 {
        /// So many panels' bounds say more than one's.
        const FEWEST: usize = 8;
        let seeds = self.highest(k.max(FEWEST), filter);
        self.compute(cx, source, seeds.iter().copied());
        let penalised = filter.map_or(&[][..], |filter| &filter.penalised);
        let others = penalised
            .iter()
            .filter_map(|&id| self.candidate(id, filter));
        let rows = seeds.iter().flat_map(|&panel| self.plain(panel, filter));
        let best = largest(rows.chain(others), k);
        match best.len() == k {
            true => best.iter().map(|b| b.0).fold(f32::INFINITY, f32::min),
            false => f32::NEG_INFINITY,
        }
    }

    /// Rows that may be sampled and are `cut` or more, which must be exact.
    pub fn from(&self, cut: f32, filter: Option<&Filter<'_>>) -> Vec<(f32, u32)> {
        let penalised = filter.map_or(&[][..], |filter| &filter.penalised);
        let mut found: Vec<(f32, u32)> = (0..self.panels())
            .filter(|&panel| self.computed[panel] && self.upper(panel, filter) >= cut)
            .flat_map(|panel| self.plain(panel, filter))
            .chain(
                penalised
                    .iter()
                    .filter_map(|&id| self.candidate(id, filter)),
            )
            .filter(|(x, _)| *x >= cut)
            .collect();
        found.sort_unstable_by_key(|&(_, id)| id);
        found
    }

    /// The rows of a panel that may be sampled, without penalised ones.
    fn plain<'a>(
        &'a self,
        panel: usize,
        filter: Option<&'a Filter<'a>>,
    ) -> impl Iterator<Item = (f32, u32)> + 'a {
        let rows = panel * PANEL..self.rows.min((panel + 1) * PANEL);
        rows.map(|row| row as u32).filter_map(move |id| {
            let penalised = filter.is_some_and(|f| f.penalised.binary_search(&id).is_ok());
            (!penalised).then(|| self.candidate(id, filter)).flatten()
        })
    }

    fn candidate(&self, id: u32, filter: Option<&Filter<'_>>) -> Option<(f32, u32)> {
        let x = *self.values[..self.rows].get(id as usize)?;
        match filter {
            Some(filter) => Some((filter.adjusted(id, x)?, id)),
            None => Some((x, id)),
        }
    }
}

/// The `count` best by rank, in no order.
pub fn largest(items: impl Iterator<Item = (f32, u32)>, count: usize) -> Vec<(f32, u32)> {
    /// Up to so many are kept in order while they come.
    const FEW: usize = 64;
    if count > FEW {
        let mut all: Vec<(f32, u32)> = items.collect();
        if count < all.len() {
            all.select_nth_unstable_by(count - 1, |a, b| by_rank(*a, *b));
            all.truncate(count);
        }
        return all;
    }
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    let mut least = f32::NEG_INFINITY;
    for item in items {
        if best.len() == count
            && (count == 0 || item.0 < least || by_rank(item, best[count - 1]).is_gt())
        {
            continue;
        }
        let at = best.partition_point(|b| by_rank(*b, item).is_lt());
        best.insert(at, item);
        best.truncate(count);
        least = best.last().map_or(least, |b| b.0);
    }
    best
}
