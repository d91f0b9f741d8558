//! [`Engine`] over a ZAYA model on some backend.

use std::any::Any;
use std::ops::ControlFlow;

use super::engine::{
    Cache, CacheState, Engine, EngineInfo, Error, Interrupted, Progress, Step, StepRow,
};
use super::load::LoadOptions;
use super::zaya::{Output, Zaya, rows_of};
use crate::backend::{Backend, KvDtype, KvMode, Rows, SampleSpec, Segment};
use crate::bundle::zaya::Tensors;
use crate::cache::{SequenceState, Truncation};

/// Tokens per prefill chunk, unless asked otherwise. Each chunk decodes the
/// weights of all experts that its tokens are routed to, so small chunks are slow.
const CHUNK: usize = 256;

pub(super) struct ZayaEngine<B: Backend> {
    backend: B,
    model: Zaya<B>,
    info: EngineInfo,
    kv: KvDtype,
    chunk: usize,
}

impl<B: Backend> CacheState for SequenceState<B> {
    fn fork(&self) -> Box<dyn CacheState> {
        Box::new(self.clone())
    }

    fn mark(&mut self) {
        SequenceState::mark(self);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl<B: Backend> ZayaEngine<B> {
    pub fn new(backend: B, tensors: &Tensors, options: &LoadOptions) -> Self {
        let config = &tensors.config;
        let info = EngineInfo {
            vocab: config.vocab,
            layers: config.layers,
            experts: config.experts,
            backend: format!("{}, f32 activations", backend.name()),
        };
        Self {
            model: Zaya::new(&backend, tensors, options.skip),
            backend,
            info,
            kv: options.kv,
            chunk: options.chunk.unwrap_or(CHUNK).max(1),
        }
    }

    fn check(&self, tokens: &[u32]) -> Result<(), Error> {
        match tokens.iter().find(|&&id| id as usize >= self.info.vocab) {
            Some(&id) => Err(Error::UnknownToken(id, self.info.vocab)),
            None => Ok(()),
        }
    }

    /// Runs tokens of one sequence after what its state holds.
    fn append(&self, state: &mut SequenceState<B>, tokens: &[u32]) -> Output<B> {
        let rows = rows_of(tokens.len(), state.len(), KvMode::Append);
        let ids = self.backend.ids(tokens);
        self.backend
            .enter(move || self.model.forward(&self.backend, &ids, &rows, &mut [state]))
    }
}

fn state_of<B: Backend>(cache: &mut Cache) -> Result<&mut SequenceState<B>, Error> {
    cache
        .state
        .as_any()
        .downcast_mut()
        .ok_or(Error::ForeignCache)
}

impl<B: Backend> Engine for ZayaEngine<B> {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn new_cache(&self) -> Cache {
        Cache {
            tokens: Vec::new(),
            state: Box::new(self.model.new_state(&self.backend, self.kv)),
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
        for chunk in tokens.chunks(self.chunk) {
            let state = state_of::<B>(cache)?;
            let before = state.clone();
            let rows = rows_of(chunk.len(), state.len(), KvMode::Append);
            let ids = self.backend.ids(chunk);
            let mut go_on = || progress(done, tokens.len());
            let flow = self.backend.enter(move || {
                self.model
                    .forward_while(&self.backend, &ids, &rows, &mut [&mut *state], &mut go_on)
                    .map_continue(|_| ())
            });
            if flow.is_break() {
                *state_of(cache)? = before;
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
        let tokens: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let specs: Vec<SampleSpec> = rows.iter().map(|row| row.spec.clone()).collect();
        self.check(&tokens)?;
        let mut states = Vec::with_capacity(rows.len());
        for row in rows.iter_mut() {
            states.push(state_of::<B>(row.cache)?);
        }
        let step = Rows {
            segments: states
                .iter()
                .map(|s| Segment {
                    len: 1,
                    position: s.len(),
                })
                .collect(),
            kv: KvMode::Append,
        };
        let ids = self.backend.ids(&tokens);
        let (stats, routes) = self.backend.enter(move || {
            let output = self.model.forward(&self.backend, &ids, &step, &mut states);
            let (_, stats) = self
                .backend
                .sample(self.model.embed(), &output.hidden, &specs);
            (stats, output.routes)
        });
        for row in rows.iter_mut() {
            row.cache.tokens.push(row.token);
        }
        let routes: Vec<Vec<u16>> = routes.iter().map(|r| self.backend.read_routes(r)).collect();
        let stats = self.backend.read_stats(stats);
        Ok(stats
            .into_iter()
            .enumerate()
            .map(|(row, stats)| Step {
                stats,
                routes: routes.iter().map(|layer| layer[row]).collect(),
            })
            .collect())
    }

    fn truncate(&self, cache: &mut Cache, len: usize) -> Result<usize, Error> {
        let state = state_of::<B>(cache)?;
        let truncation = state.truncate(len, self.model.replay_span());
        let len = state.len();
        cache.tokens.truncate(len);
        let Truncation::Replay { from } = truncation else {
            return Ok(0);
        };
        let replayed = &cache.tokens[from..];
        let rows = rows_of(replayed.len(), from, KvMode::Stored);
        let ids = self.backend.ids(replayed);
        let count = replayed.len();
        let state = state_of::<B>(cache)?;
        self.backend
            .enter(move || self.model.forward(&self.backend, &ids, &rows, &mut [state]));
        Ok(count)
    }

    fn logits(&self, cache: &mut Cache, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        self.check(tokens)?;
        let mut logits = Vec::with_capacity(tokens.len() * self.info.vocab);
        for chunk in tokens.chunks(self.chunk) {
            let output = self.append(state_of(cache)?, chunk);
            cache.tokens.extend_from_slice(chunk);
            let (backend, head) = (&self.backend, self.model.embed());
            let head = backend.enter(move || backend.linear(head, &output.hidden, None));
            logits.extend(backend.read(&head));
        }
        Ok(logits)
    }
}
