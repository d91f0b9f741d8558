//! The measurements. Whatever is compared is taken in turns: the memory's speed,
//! a run with the full head, the memory again, a run with the screened one, so
//! that other load on the machine meets all of them.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::samples::Samples;
use crate::backend::cpu::{HeadMode, ReadRoof};
use crate::backend::{HeadReads, SampleSpec, uniform};
use crate::model::{Cache, Engine, Error, Measure, Stage, Step, StepBytes, StepRow};

/// A measurement is repeated no more once it has taken this long.
const PATIENCE: Duration = Duration::from_secs(40);

/// Tokens of the prompt behind the time to the first token.
const SHORT_PROMPT: usize = 16;

#[derive(Clone, Debug)]
pub struct Plan {
    pub prompt: usize,
    /// Tokens of a prompt after which all weights have been used.
    pub warm: usize,
    pub generate: usize,
    /// Never empty.
    pub contexts: Vec<usize>,
    pub batches: Vec<usize>,
    pub repeats: usize,
}

/// What a decode step is given to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Ids drawn from the whole vocabulary, the same in each run: sequences of a
    /// batch then differ, as they would.
    Drawn,
    /// What the step before sampled.
    Sampled,
}

/// Runs of one kind: steps of some sequences at some context.
#[derive(Clone, Debug, Default)]
pub struct Decode {
    /// Tokens of all sequences per second.
    pub tok_s: Samples,
    /// Bytes per second, over the memory's at the same time.
    pub share: Samples,
    /// Of a step.
    pub bytes: StepBytes,
}

pub struct Results {
    pub prefill: Samples,
    /// Tokens per second of the first prompt, which finds weights as loading left
    /// them.
    pub first_prefill: f64,
    /// Seconds of each stage in a prefill, per token.
    pub prefill_operations: Vec<(Stage, f64)>,
    /// Bytes per second.
    pub roof: Samples,
    /// One per context; the head is computed in full.
    pub contexts: Vec<(usize, Decode)>,
    /// At the first context.
    pub batches: Vec<(usize, Decode)>,
    /// At the first context, one sequence.
    pub screened: Decode,
    pub head_reads: Option<HeadReads>,
    /// Seconds of each stage in a step at the first context, and its bytes.
    pub operations: Vec<(Stage, f64, f64)>,
}

pub struct Runner<'a> {
    engine: &'a dyn Engine,
    measure: &'a dyn Measure,
    roof: ReadRoof,
    plan: Plan,
    feed: Feed,
    say: &'a mut dyn FnMut(&str),
    roofs: Samples,
}

/// One run.
struct Run {
    seconds: f64,
    bytes: StepBytes,
}

/// A token that is the same whenever it is asked for.
fn drawn(vocab: usize, sequence: usize, position: usize) -> u32 {
    let share = uniform(0xbe0c + sequence as u64, position as u64);
    ((share * vocab as f64) as usize).min(vocab.saturating_sub(1)) as u32
}

fn prompt(vocab: usize, len: usize) -> Vec<u32> {
    (0..len).map(|i| drawn(vocab, 0, i)).collect()
}

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Runs a short prompt on a fresh cache and samples one token.
pub fn first_token(engine: &dyn Engine) -> Result<(), Error> {
    let ids = prompt(engine.info().vocab, SHORT_PROMPT);
    let (last, before) = (ids[SHORT_PROMPT - 1], &ids[..SHORT_PROMPT - 1]);
    let mut cache = engine.new_cache();
    let _ = engine.prefill(&mut cache, before, &mut go_on)?;
    engine.step(&mut [row(&mut cache, last)]).map(drop)
}

/// A step that takes the most likely token.
fn row(cache: &mut Cache, token: u32) -> StepRow<'_> {
    let spec = SampleSpec {
        position: cache.len() as u64,
        ..SampleSpec::default()
    };
    StepRow { cache, token, spec }
}

/// Whether to measure once more.
struct Repeats {
    left: usize,
    since: Instant,
}

impl Repeats {
    fn new(most: usize) -> Self {
        Self {
            left: most,
            since: Instant::now(),
        }
    }

    fn again(&mut self) -> bool {
        let first = self.left > 0 && self.since.elapsed() < PATIENCE;
        self.left = self.left.saturating_sub(1);
        first
    }
}

impl<'a> Runner<'a> {
    /// `None` for an engine that can't be measured.
    pub fn new(
        engine: &'a dyn Engine,
        roof: ReadRoof,
        plan: Plan,
        feed: Feed,
        say: &'a mut dyn FnMut(&str),
    ) -> Option<Self> {
        Some(Self {
            measure: engine.measure()?,
            engine,
            roof,
            plan,
            feed,
            say,
            roofs: Samples::default(),
        })
    }

    pub fn run(mut self) -> Result<Results, Error> {
        (self.say)("the first prompt");
        let first_prefill = self.prompt(self.plan.prompt)?;
        if self.plan.prompt < self.plan.warm {
            self.prompt(self.plan.warm)?;
        }
        let prefill = self.prefill()?;
        let prefill_operations = self.prefill_operations()?;
        let mut screened = Decode::default();
        let mut head_reads = None;
        let mut contexts = Vec::new();
        for (index, context) in self.plan.contexts.clone().into_iter().enumerate() {
            (self.say)(&format!("decode after {context} tokens"));
            let mut cache = self.engine.new_cache();
            self.measure.fill(&mut cache, context)?;
            let caches = [cache];
            let mut full = Decode::default();
            let mut repeats = Repeats::new(self.plan.repeats);
            let mut before = self.roof();
            while repeats.again() {
                self.measure.set_head(HeadMode::Full);
                before = self.sample(&caches, &mut full, before)?;
                if index == 0 {
                    self.measure.set_head(HeadMode::Screened);
                    self.measure.head_reads();
                    before = self.sample(&caches, &mut screened, before)?;
                    head_reads = self.measure.head_reads();
                }
            }
            contexts.push((context, full));
        }
        self.measure.set_head(HeadMode::Full);
        let batches = self.batches()?;
        let operations = self.operations()?;
        Ok(Results {
            prefill,
            first_prefill,
            prefill_operations,
            roof: self.roofs,
            contexts,
            batches,
            screened,
            head_reads,
            operations,
        })
    }

    fn prefill(&mut self) -> Result<Samples, Error> {
        (self.say)(&format!("prefill of {} tokens", self.plan.prompt));
        let mut samples = Samples::default();
        let mut repeats = Repeats::new(self.plan.repeats);
        while repeats.again() {
            samples.push(self.prompt(self.plan.prompt)?);
        }
        Ok(samples)
    }

    fn prefill_operations(&self) -> Result<Vec<(Stage, f64)>, Error> {
        let Some(clock) = self.measure.clock() else {
            return Ok(Vec::new());
        };
        clock.start();
        let run = self.prompt(self.plan.prompt);
        let times = clock.stop();
        run?;
        let tokens = self.plan.prompt.max(1) as f64;
        let per_token = |(stage, time): (Stage, Duration)| (stage, time.as_secs_f64() / tokens);
        Ok(times.into_iter().map(per_token).collect())
    }

    /// Tokens per second of a prompt on a fresh cache.
    fn prompt(&self, len: usize) -> Result<f64, Error> {
        let ids = prompt(self.engine.info().vocab, len);
        let mut cache = self.engine.new_cache();
        let start = Instant::now();
        let _ = self.engine.prefill(&mut cache, &ids, &mut go_on)?;
        Ok(ids.len() as f64 / start.elapsed().as_secs_f64())
    }

    /// Each batch in turn, so that their ratio is of one time.
    fn batches(&mut self) -> Result<Vec<(usize, Decode)>, Error> {
        let sizes = self.plan.batches.clone();
        let context = self.plan.contexts[0];
        let mut caches = Vec::new();
        for _ in 0..sizes.iter().copied().max().unwrap_or(0) {
            let mut cache = self.engine.new_cache();
            self.measure.fill(&mut cache, context)?;
            caches.push(cache);
        }
        let mut results: Vec<(usize, Decode)> =
            sizes.iter().map(|&n| (n, Decode::default())).collect();
        let mut repeats = Repeats::new(self.plan.repeats);
        let mut before = self.roof();
        while repeats.again() {
            for (size, decode) in &mut results {
                (self.say)(&format!("decode of {size} sequences"));
                before = self.sample(&caches[..*size], decode, before)?;
            }
        }
        Ok(results)
    }

    /// One run between two looks at the memory's speed; the latter is returned.
    fn sample(&mut self, caches: &[Cache], decode: &mut Decode, before: f64) -> Result<f64, Error> {
        let run = self.decode(caches)?;
        let after = self.roof();
        let steps = self.plan.generate as f64;
        let tokens = steps * caches.len() as f64;
        decode.tok_s.push(tokens / run.seconds);
        let speed = run.bytes.total() * steps / run.seconds;
        decode.share.push(speed / ((before + after) / 2.0));
        decode.bytes = run.bytes;
        Ok(after)
    }

    fn roof(&mut self) -> f64 {
        let speed = self.roof.measure();
        self.roofs.push(speed);
        speed
    }

    /// Decodes after copies of these caches.
    fn decode(&self, caches: &[Cache]) -> Result<Run, Error> {
        let mut caches: Vec<Cache> = caches.iter().map(Cache::fork).collect();
        let vocab = self.engine.info().vocab;
        let mut tokens: Vec<u32> = (0..caches.len()).map(|s| drawn(vocab, s, 0)).collect();
        // The first one copies what the fork shares, and wakes threads.
        self.step(&mut caches, &mut tokens)?;
        let positions = caches.first().map_or(0, Cache::len);
        let mut steps: Vec<Vec<Step>> = Vec::with_capacity(self.plan.generate);
        let start = Instant::now();
        for _ in 0..self.plan.generate {
            steps.push(self.step(&mut caches, &mut tokens)?);
        }
        let seconds = start.elapsed().as_secs_f64();
        let traffic = self.measure.traffic();
        let bytes: Vec<StepBytes> = steps
            .iter()
            .enumerate()
            .map(|(i, rows)| {
                let routes: Vec<&[u16]> = rows.iter().map(|r| r.routes.as_slice()).collect();
                traffic.step(&routes, &vec![positions + i + 1; rows.len()])
            })
            .collect();
        Ok(Run {
            seconds,
            bytes: StepBytes::mean(&bytes),
        })
    }

    fn step(&self, caches: &mut [Cache], tokens: &mut [u32]) -> Result<Vec<Step>, Error> {
        let mut rows: Vec<StepRow<'_>> = caches
            .iter_mut()
            .zip(tokens.iter())
            .map(|(cache, &token)| row(cache, token))
            .collect();
        let steps = self.engine.step(&mut rows)?;
        let vocab = self.engine.info().vocab;
        for (s, (token, step)) in tokens.iter_mut().zip(&steps).enumerate() {
            *token = match self.feed {
                Feed::Drawn => drawn(vocab, s, caches[s].len()),
                Feed::Sampled => step.stats.id,
            };
        }
        Ok(steps)
    }

    fn operations(&mut self) -> Result<Vec<(Stage, f64, f64)>, Error> {
        let Some(clock) = self.measure.clock() else {
            return Ok(Vec::new());
        };
        (self.say)("operations of a step");
        let mut cache = self.engine.new_cache();
        self.measure.fill(&mut cache, self.plan.contexts[0])?;
        clock.start();
        let run = self.decode(std::slice::from_ref(&cache));
        let times = clock.stop();
        let bytes = run?.bytes;
        let traffic = self.measure.traffic();
        // The run's steps, and the one before them.
        let steps = (self.plan.generate + 1) as f64;
        Ok(times
            .into_iter()
            .map(|(stage, time)| {
                let bytes = match stage {
                    Stage::Embed => traffic.embedding as f64,
                    Stage::Norms => traffic.vectors as f64,
                    Stage::Qkv => traffic.qkv as f64,
                    Stage::Cca => bytes.convolutions,
                    Stage::Attend => bytes.kv,
                    Stage::Output => traffic.output as f64,
                    Stage::Router => bytes.router,
                    Stage::Experts => bytes.experts,
                    Stage::Head => bytes.head,
                };
                (stage, time.as_secs_f64() / steps, bytes)
            })
            .collect())
    }
}
