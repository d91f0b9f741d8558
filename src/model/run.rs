//! [`Engine`] over a ZAYA model on some backend.

use std::ops::ControlFlow;

use super::engine::{Cache, Engine, EngineInfo, Error, Interrupted, Progress, Step, StepRow};
use super::load::LoadOptions;
use super::measure::{Clock, Measure, Stage, Traffic};
use super::persist::Persist;
use super::sequence::{Queued, Sequence, put_ahead, settled, take_ahead};
use super::zaya::{Output, Zaya, rows_of};
use crate::backend::cpu::HeadMode;
use crate::backend::{
    Backend, HeadAudit, HeadReads, KvDtype, KvMode, KvStore, Rows, SampleSpec, Segment, SkipMode,
};
use crate::bundle::zaya::Tensors;
use crate::cache::{SequenceState, Truncation};

pub(super) struct ZayaEngine<B: Backend> {
    pub(super) backend: B,
    pub(super) model: Zaya<B>,
    pub(super) info: EngineInfo,
    traffic: Traffic,
    pub(super) kv: KvDtype,
    chunk: usize,
    /// Start each step before the last one's results are read.
    ahead: bool,
}

impl<B: Backend> ZayaEngine<B> {
    /// # Errors
    /// If the backend can't take the weights.
    pub fn new(
        backend: B,
        tensors: &Tensors,
        options: &LoadOptions,
        notices: Vec<String>,
    ) -> Result<Self, Error> {
        let config = &tensors.config;
        let model = backend.enter(|| {
            let model = Zaya::new(&backend, tensors, options.skip, &options.loading);
            backend.loaded();
            model
        });
        let engine = Self {
            info: EngineInfo {
                vocab: config.vocab,
                layers: config.layers,
                experts: config.experts,
                backend: backend.describe(),
                numerics: numerics(&backend, options),
                notices: notices.into_iter().chain(backend.notices()).collect(),
            },
            traffic: model.traffic(&backend, tensors, options.kv),
            model,
            kv: options.kv,
            chunk: options.chunk.unwrap_or_else(|| backend.chunk()).max(1),
            ahead: backend.runs_ahead(),
            backend,
        };
        engine.sound()?;
        Ok(engine)
    }

    /// The same engine, starting steps ahead whether its backend gains by it or not.
    #[cfg(test)]
    pub fn running_ahead(self) -> Self {
        Self {
            ahead: true,
            ..self
        }
    }

    pub(super) fn check(&self, tokens: &[u32]) -> Result<(), Error> {
        match tokens.iter().find(|&&id| id as usize >= self.info.vocab) {
            Some(&id) => Err(Error::UnknownToken(id, self.info.vocab)),
            None => Ok(()),
        }
    }

    /// Nothing has gone wrong on the device.
    pub(super) fn sound(&self) -> Result<(), Error> {
        match self.backend.fault() {
            Some(reason) => Err(Error::Backend(self.backend.name(), reason)),
            None => Ok(()),
        }
    }

    fn new_sequence(&self) -> Sequence<B> {
        Sequence::new(self.model.new_state(&self.backend, self.kv))
    }

    /// Nothing, after a fault: what its state holds can't be trusted.
    pub(super) fn clear(&self, cache: &mut Cache) {
        cache.tokens.clear();
        cache.state = Box::new(self.new_sequence());
    }

    /// Rebuilds the CCA states where they are not here; says how many tokens that took.
    pub(super) fn replay(&self, cache: &mut Cache, what: Truncation) -> Result<usize, Error> {
        let Truncation::Replay { from } = what else {
            return Ok(0);
        };
        let replayed = &cache.tokens[from..];
        let rows = rows_of(replayed.len(), from, KvMode::Stored);
        let ids = self.backend.ids(replayed);
        let count = replayed.len();
        let state = Sequence::<B>::of(cache)?.settled();
        let (backend, model) = (&self.backend, &self.model);
        backend.enter(move || {
            let output = model.forward(backend, &ids, &rows, &mut [state]);
            backend.finish(&output.hidden);
        });
        self.sound().inspect_err(|_| self.clear(cache))?;
        Ok(count)
    }

    /// Queues one token of each sequence, after what its state holds.
    fn queue(
        &self,
        ids: B::Ids,
        specs: &[SampleSpec],
        states: &mut [&mut SequenceState<B>],
    ) -> Queued<B> {
        let rows = Rows {
            segments: states
                .iter()
                .map(|s| Segment {
                    len: 1,
                    position: s.len(),
                })
                .collect(),
            kv: KvMode::Append,
        };
        let (backend, model) = (&self.backend, &self.model);
        backend.enter(move || {
            let Output { hidden, routes } = model.forward(backend, &ids, &rows, states);
            model.clock.mark(Stage::Head);
            let (ids, stats) = backend.sample(model.embed(), &hidden, specs);
            model.clock.pause();
            backend.start(&ids, &stats, &routes);
            Queued { ids, stats, routes }
        })
    }

    /// Reads a step's results: one per row.
    fn read(&self, stats: B::Stats, routes: Vec<B::Routes>) -> Result<Vec<Step>, Error> {
        let backend = &self.backend;
        let (stats, routes) = backend.enter(move || {
            let routes: Vec<Vec<u16>> = routes.iter().map(|r| backend.read_routes(r)).collect();
            (backend.read_stats(stats), routes)
        });
        self.sound()?;
        Ok(stats
            .into_iter()
            .enumerate()
            .map(|(row, stats)| Step {
                stats,
                routes: routes.iter().map(|layer| layer[row]).collect(),
            })
            .collect())
    }

    /// One step of each sequence. The next is started before this one's results
    /// are read, if what it will be asked to do can be guessed.
    fn step_sequences(
        &self,
        sequences: &mut [&mut Sequence<B>],
        asked: &[(u32, SampleSpec)],
    ) -> Result<Vec<Step>, Error> {
        let specs: Vec<SampleSpec> = asked.iter().map(|(_, spec)| spec.clone()).collect();
        let queued = take_ahead(sequences, asked).unwrap_or_else(|| {
            let tokens: Vec<u32> = asked.iter().map(|(token, _)| *token).collect();
            let ids = self.backend.ids(&tokens);
            self.queue(ids, &specs, &mut settled(sequences))
        });
        let next: Option<Vec<SampleSpec>> = match self.ahead {
            true => specs.iter().map(following).collect(),
            false => None,
        };
        let Some(next) = next else {
            return self.read(queued.stats, queued.routes);
        };
        let mut states = settled(sequences);
        let before = states.iter().map(|state| state.cca()).collect();
        let started = self.queue(queued.ids, &next, &mut states);
        let steps = self.read(queued.stats, queued.routes);
        let tokens = steps.iter().flatten().map(|step| step.stats.id);
        put_ahead(sequences, started, before, tokens.zip(next).collect());
        steps
    }
}

/// The backend's id, and what else an engine computes with.
fn numerics<B: Backend>(backend: &B, options: &LoadOptions) -> String {
    let skip = match options.skip {
        SkipMode::ScaledInput => "scaled",
        SkipMode::Zero => "zero",
    };
    let kv = match options.kv {
        KvDtype::F16 => "f16",
        KvDtype::F32 => "f32",
    };
    format!("{}/skip-{skip}/kv-{kv}", backend.numerics())
}

/// What the step after one with this spec will most likely be asked to do;
/// `None` if that depends on what is sampled.
fn following(spec: &SampleSpec) -> Option<SampleSpec> {
    let history = spec.repetition_penalty != 1.0 || spec.presence_penalty != 0.0;
    (!history && spec.forced.is_none()).then(|| SampleSpec {
        position: spec.position + 1,
        ..spec.clone()
    })
}

impl<B: Backend> Engine for ZayaEngine<B> {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn new_cache(&self) -> Cache {
        Cache {
            tokens: Vec::new(),
            state: Box::new(self.new_sequence()),
        }
    }

    fn prefill(
        &self,
        cache: &mut Cache,
        tokens: &[u32],
        progress: &mut Progress<'_>,
    ) -> Result<ControlFlow<Interrupted>, Error> {
        self.check(tokens)?;
        let mut done = 0;
        let (backend, model) = (&self.backend, &self.model);
        for chunk in tokens.chunks(self.chunk) {
            let state = Sequence::<B>::of(cache)?.settled();
            let rows = rows_of(chunk.len(), state.len(), KvMode::Append);
            let ids = backend.ids(chunk);
            let mut go_on = || progress(done, tokens.len());
            let flow = backend.enter(move || {
                let before = state.clone();
                let flow =
                    model.forward_while(backend, &ids, &rows, &mut [&mut *state], &mut go_on);
                match flow {
                    ControlFlow::Continue(output) => {
                        // While it lives, appending means copying.
                        drop(before);
                        backend.finish(&output.hidden);
                        ControlFlow::Continue(())
                    }
                    ControlFlow::Break(()) => {
                        *state = before;
                        ControlFlow::Break(())
                    }
                }
            });
            self.sound().inspect_err(|_| self.clear(cache))?;
            if flow.is_break() {
                return Ok(ControlFlow::Break(Interrupted));
            }
            cache.tokens.extend_from_slice(chunk);
            done += chunk.len();
        }
        Ok(match progress(done, tokens.len()) {
            ControlFlow::Break(()) => ControlFlow::Break(Interrupted),
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
        })
    }

    fn step(&self, rows: &mut [StepRow<'_>]) -> Result<Vec<Step>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<(u32, SampleSpec)> = rows
            .iter()
            .map(|row| (row.token, row.spec.clone()))
            .collect();
        let tokens: Vec<u32> = rows.iter().map(|row| row.token).collect();
        self.check(&tokens)?;
        let mut sequences = Vec::with_capacity(rows.len());
        for row in rows.iter_mut() {
            sequences.push(Sequence::<B>::of(row.cache)?);
        }
        let steps = self.step_sequences(&mut sequences, &asked);
        for row in rows.iter_mut() {
            match steps {
                Ok(_) => row.cache.tokens.push(row.token),
                Err(_) => self.clear(row.cache),
            }
        }
        steps
    }

    fn truncate(&self, cache: &mut Cache, len: usize) -> Result<usize, Error> {
        let state = Sequence::<B>::of(cache)?.settled();
        let truncation = state.truncate(len, self.model.replay_span());
        let len = state.len();
        cache.tokens.truncate(len);
        self.replay(cache, truncation)
    }

    fn adopt_thread(&self) {
        self.backend.adopt_thread();
    }

    fn persist(&self) -> Option<&dyn Persist> {
        Some(self)
    }

    fn measure(&self) -> Option<&dyn Measure> {
        Some(self)
    }

    fn logits(&self, cache: &mut Cache, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        self.check(tokens)?;
        let mut logits = Vec::with_capacity(tokens.len() * self.info.vocab);
        let (backend, model) = (&self.backend, &self.model);
        for chunk in tokens.chunks(self.chunk) {
            let state = Sequence::<B>::of(cache)?.settled();
            let rows = rows_of(chunk.len(), state.len(), KvMode::Append);
            let ids = backend.ids(chunk);
            let read = backend.enter(move || {
                let output = model.forward(backend, &ids, &rows, &mut [state]);
                backend.read(&backend.linear(model.embed(), &output.hidden, None))
            });
            self.sound().inspect_err(|_| self.clear(cache))?;
            cache.tokens.extend_from_slice(chunk);
            logits.extend(read);
        }
        Ok(logits)
    }

    fn head_audit(&self) -> Option<HeadAudit> {
        self.backend.head_audit()
    }
}

impl<B: Backend> Measure for ZayaEngine<B> {
    fn fill(&self, cache: &mut Cache, tokens: usize) -> Result<(), Error> {
        let made_up = vec![0; tokens];
        let state = Sequence::<B>::of(cache)?.settled();
        if state.layers.iter_mut().all(|layer| layer.kv.fill(tokens)) {
            cache.tokens.extend(made_up);
            return Ok(());
        }
        self.prefill(cache, &made_up, &mut |_, _| ControlFlow::Continue(()))
            .map(drop)
    }

    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn set_head(&self, mode: HeadMode) {
        self.backend.set_head(mode);
    }

    fn head_reads(&self) -> Option<HeadReads> {
        self.backend.head_reads()
    }

    fn clock(&self) -> Option<&Clock> {
        (!self.backend.runs_ahead()).then_some(&self.model.clock)
    }
}
