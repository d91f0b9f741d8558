//! Histories of a sequence on any backend: prefill, step, truncate, mark, fork,
//! snapshot and restore in any order. After each, the sequence must be that of a
//! fresh run of the same tokens, within the backend's tolerance (0: bit for bit).

use std::ops::ControlFlow;
use std::path::Path;

use cairn::backend::cpu::{CpuOptions, Precision};
use cairn::backend::{KvDtype, SampleSpec, sample_row};
use cairn::bundle::Bundle;
use cairn::model::{BackendKind, Cache, Engine, LoadOptions, Piece, Step, StepRow, load};

const LENGTH: usize = 200;

/// What is tested: a bundle on a backend, and how exact it has to be.
pub struct Subject {
    pub backend: BackendKind,
    pub bundle: &'static str,
    pub kv: KvDtype,
    pub tolerance: f32,
    /// On the CPU backend.
    pub precision: Precision,
}

impl Subject {
    pub fn engine(&self, chunk: usize) -> Box<dyn Engine> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zaya");
        let bundle = Bundle::open(&folder.join(self.bundle)).unwrap();
        let options = LoadOptions {
            backend: self.backend,
            cpu: CpuOptions {
                threads: 2,
                precision: self.precision,
                ..CpuOptions::default()
            },
            kv: self.kv,
            chunk: Some(chunk),
            ..LoadOptions::default()
        };
        load(&bundle, &options).unwrap()
    }

    fn compare(&self, got: &[f32], want: &[f32], what: &str) {
        let bundle = self.bundle;
        if self.tolerance == 0.0 {
            assert_eq!(got, want, "{bundle}, {what}");
        }
        assert_eq!(got.len(), want.len(), "{bundle}, {what}");
        let distance = |(a, b): (&f32, &f32)| (a - b).abs();
        let worst = got.iter().zip(want).map(distance).fold(0.0, f32::max);
        assert!(worst <= self.tolerance, "{bundle}, {what}: {worst}");
    }
}

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    pub fn tokens(&mut self, n: usize, vocab: usize) -> Vec<u32> {
        (0..n).map(|_| self.below(vocab) as u32).collect()
    }
}

pub fn prefill(engine: &dyn Engine, cache: &mut Cache, tokens: &[u32]) {
    let flow = engine.prefill(cache, tokens, &mut |_, _| ControlFlow::Continue(()));
    assert!(flow.unwrap().is_continue());
}

/// Logits of `probe` after `cache`, without changing it.
fn probe(engine: &dyn Engine, cache: &Cache, probe: u32) -> Vec<f32> {
    engine.logits(&mut cache.fork(), &[probe]).unwrap()
}

fn fresh(engine: &dyn Engine, tokens: &[u32], token: u32) -> Vec<f32> {
    let mut cache = engine.new_cache();
    prefill(engine, &mut cache, tokens);
    probe(engine, &cache, token)
}

/// `length` tokens one by one, then back to every position, by cutting and by
/// restoring.
pub fn every_position_can_be_returned_to(subject: &Subject, length: usize) {
    let engine = subject.engine(64);
    let vocab = engine.info().vocab;
    let tokens = Random(1).tokens(length, vocab);
    let mut full = engine.new_cache();
    let mut snapshots = Vec::new();
    let mut want = Vec::new();
    for &token in &tokens {
        want.push(probe(&*engine, &full, 7));
        snapshots.push(full.snapshot());
        prefill(&*engine, &mut full, &[token]);
    }
    let mut restored = full.fork();
    for (len, snapshot) in snapshots.iter().enumerate().rev() {
        let mut cut = full.fork();
        let replayed = engine.truncate(&mut cut, len).unwrap();
        assert!(replayed <= 2 * engine.info().layers, "{replayed} replayed");
        assert_eq!(cut.tokens(), &tokens[..len]);
        let got = probe(&*engine, &cut, 7);
        subject.compare(&got, &want[len], &format!("cut to {len}"));
        restored.restore(snapshot);
        let got = probe(&*engine, &restored, 7);
        subject.compare(&got, &want[len], &format!("restored to {len}"));
    }
}

/// A sequence, another one, snapshots, and what is done to them.
struct History<'a> {
    subject: &'a Subject,
    /// Short chunks; what is compared with runs in one.
    engine: Box<dyn Engine>,
    reference: Box<dyn Engine>,
    random: Random,
    cache: Cache,
    mate: Cache,
    round: usize,
}

pub fn any_history_leaves_the_state_of_its_tokens(subject: &Subject, seed: u64, rounds: usize) {
    let engine = subject.engine(5);
    let mut history = History {
        subject,
        reference: subject.engine(usize::MAX),
        random: Random(seed),
        cache: engine.new_cache(),
        mate: engine.new_cache(),
        engine,
        round: 0,
    };
    let mut kept = vec![history.cache.snapshot()];
    for round in 0..rounds {
        history.round = round;
        let below = |n: usize, history: &mut History<'_>| history.random.below(n);
        match below(11, &mut history) {
            0 | 1 if history.cache.len() < LENGTH => {
                let n = 1 + below(40, &mut history);
                history.prefill(n);
            }
            2 => history.truncate(),
            3 => history.cache.mark(),
            4 => kept.push(history.cache.snapshot()),
            5 => {
                let which = below(kept.len(), &mut history);
                history.cache.restore(&kept[which]);
            }
            6 => history.interrupted_prefill(),
            7 | 8 => history.decode(),
            9 => history.put_aside(),
            _ => history.step_together(),
        }
        history.check("");
    }
}

impl History<'_> {
    fn vocab(&self) -> usize {
        self.engine.info().vocab
    }

    fn check(&self, what: &str) {
        let (round, tokens) = (self.round, self.cache.tokens());
        let want = fresh(&*self.reference, tokens, 9);
        let got = probe(&*self.engine, &self.cache, 9);
        self.subject
            .compare(&got, &want, &format!("round {round}{what}"));
    }

    fn prefill(&mut self, n: usize) {
        let tokens = self.random.tokens(n, self.vocab());
        prefill(&*self.engine, &mut self.cache, &tokens);
    }

    fn truncate(&mut self) {
        let len = self.random.below(self.cache.len() + 1);
        self.engine.truncate(&mut self.cache, len).unwrap();
        assert_eq!(self.cache.len(), len);
    }

    /// Some of the sequence goes out as bytes, and comes back in pieces, some of which
    /// have a state.
    fn put_aside(&mut self) {
        let len = self.cache.len();
        if len == 0 {
            return;
        }
        let keep = self.random.below(len);
        let end = keep + 1 + self.random.below(len - keep);
        let persist = self.engine.persist().unwrap();
        let mut pieces = Vec::new();
        let mut start = keep;
        while start < end {
            let to = end.min(start + 1 + self.random.below(70));
            let state = match self.random.below(3) {
                0 => None,
                1 => persist.state(&mut self.cache, to).unwrap(),
                _ => {
                    let mut cut = self.cache.fork();
                    self.engine.truncate(&mut cut, to).unwrap();
                    persist.state(&mut cut, to).unwrap()
                }
            };
            pieces.push(Piece {
                tokens: self.cache.tokens()[start..to].to_vec(),
                rows: persist.rows(&mut self.cache, start..to).unwrap(),
                state,
            });
            start = to;
        }
        // What goes beyond this is not wanted.
        let most = match self.random.below(2) {
            0 => end,
            _ => keep + 1 + self.random.below(end - keep),
        };
        let whole = pieces.last().is_some_and(|piece| piece.state.is_some());
        let exact = whole && most == end;
        // What is there to be replaced is a fork's.
        let mut restored = self.cache.fork();
        let mut pieces = pieces.into_iter();
        let imported = persist
            .append(&mut restored, keep..most, &mut pieces)
            .unwrap();
        assert!(!imported.refused);
        assert!(imported.replayed <= 2 * self.engine.info().layers);
        assert!(!exact || imported.replayed == 0);
        assert_eq!(restored.tokens(), &self.cache.tokens()[..most]);
        self.cache = restored;
    }

    /// It leaves whole chunks, or nothing.
    fn interrupted_prefill(&mut self) {
        let tokens = self.random.tokens(12, self.vocab());
        let stop = self.random.below(12);
        let before = self.cache.tokens().to_vec();
        let mut calls = 0;
        let flow = self.engine.prefill(&mut self.cache, &tokens, &mut |_, _| {
            calls += 1;
            match calls > stop {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert_eq!(flow.unwrap().is_break(), calls > stop);
        let whole = [&before[..], &tokens].concat();
        assert_eq!(self.cache.tokens(), &whole[..self.cache.len()]);
    }

    fn spec(&mut self, position: usize) -> SampleSpec {
        SampleSpec {
            temperature: [0.0, 0.8][self.random.below(2)],
            seed: u64::MAX - self.round as u64,
            position: position as u64,
            ..SampleSpec::default()
        }
    }

    /// Some steps, each of the id sampled last, as a generation does them; in the
    /// end, in the middle or never, something else than that.
    fn decode(&mut self) {
        let mut token = self.random.tokens(1, self.vocab())[0];
        let mut spec = self.spec(self.cache.len() + 1);
        let other = self.random.below(6);
        for turn in 0..1 + self.random.below(5) {
            match other {
                1 if turn == 2 => token = (token + 1) % self.vocab() as u32,
                2 if turn == 2 => spec.temperature = 0.5,
                3 if turn == 2 => (spec.presence_penalty, spec.penalised) = (1.0, vec![token]),
                4 => spec.forced = Some(3),
                5 if turn == 1 => {
                    let mut fork = self.cache.fork();
                    std::mem::swap(&mut fork, &mut self.cache);
                    self.mate = fork;
                }
                _ => {}
            }
            let before = self.cache.tokens().to_vec();
            let row = StepRow {
                cache: &mut self.cache,
                token,
                spec: spec.clone(),
            };
            let step = self.engine.step(&mut [row]).unwrap().remove(0);
            self.check_step(&step, &before, token, &spec);
            assert_eq!(self.cache.tokens(), [&before[..], &[token]].concat());
            spec.position += 1;
            token = step.stats.id;
        }
        self.check(", decoded");
    }

    /// What was read belongs to this step, not to one that was started for another.
    fn check_step(&self, step: &Step, before: &[u32], token: u32, spec: &SampleSpec) {
        let logits = fresh(&*self.reference, before, token);
        let spec = SampleSpec {
            forced: Some(step.stats.id),
            ..spec.clone()
        };
        let want = sample_row(&logits, &spec);
        let numbers = |stats: &cairn::backend::TokenStats| {
            let top = stats.top.iter().map(|a| a.logprob);
            [stats.logprob, stats.entropy]
                .into_iter()
                .chain(top)
                .collect::<Vec<f32>>()
        };
        let what = format!("round {}, statistics", self.round);
        // In sums of this many terms, statistics are good to a few units in the last place.
        for (got, want) in numbers(&step.stats).iter().zip(numbers(&want)) {
            let tolerance = self.subject.tolerance.max(1e-5);
            assert!((got - want).abs() <= tolerance, "{what}: {got} {want}");
        }
        assert_eq!(step.routes.len(), self.engine.info().layers);
    }

    /// Two sequences in one step.
    fn step_together(&mut self) {
        if self.random.below(2) == 0 {
            self.mate = self.cache.fork();
        }
        let mut run = self.random.tokens(2, self.vocab());
        let lens = [self.cache.len(), self.mate.len()];
        let mut specs = lens.map(|len| self.spec(len + 1));
        for _ in 0..1 + self.random.below(3) {
            let before = [self.cache.tokens().to_vec(), self.mate.tokens().to_vec()];
            let mut rows: Vec<StepRow<'_>> = [&mut self.cache, &mut self.mate]
                .into_iter()
                .zip(&run)
                .zip(&specs)
                .map(|((cache, &token), spec)| StepRow {
                    cache,
                    token,
                    spec: spec.clone(),
                })
                .collect();
            let steps = self.engine.step(&mut rows).unwrap();
            let caches = [&self.cache, &self.mate];
            for row in 0..2 {
                let tokens = [&before[row][..], &[run[row]]].concat();
                assert_eq!(caches[row].tokens(), tokens);
                self.check_step(&steps[row], &before[row], run[row], &specs[row]);
                run[row] = steps[row].stats.id;
                specs[row].position += 1;
            }
        }
        let want = fresh(&*self.reference, self.mate.tokens(), 9);
        let got = probe(&*self.engine, &self.mate, 9);
        self.subject
            .compare(&got, &want, &format!("round {}, mate", self.round));
    }
}

pub fn a_refused_call_changes_nothing(subject: &Subject) {
    let engine = subject.engine(4);
    let vocab = engine.info().vocab as u32;
    let mut cache = engine.new_cache();
    let good: Vec<u32> = (0..10).collect();
    prefill(&*engine, &mut cache, &good);
    // The unknown one is in the third chunk.
    let bad: Vec<u32> = (0..9).chain([vocab]).collect();
    let refused = engine.prefill(&mut cache, &bad, &mut |_, _| ControlFlow::Continue(()));
    assert!(refused.is_err());
    assert!(engine.logits(&mut cache, &bad).is_err());
    let mut mate = cache.fork();
    let row = |cache, token| StepRow {
        cache,
        token,
        spec: SampleSpec::default(),
    };
    let mut rows = [row(&mut mate, 1), row(&mut cache, u32::MAX)];
    assert!(engine.step(&mut rows).is_err());
    assert_eq!(engine.step(&mut []).unwrap(), []);
    for cache in [&cache, &mate] {
        assert_eq!(cache.tokens(), good);
        let want = fresh(&*engine, &good, 3);
        subject.compare(&probe(&*engine, cache, 3), &want, "refused");
    }
    // Longer than it is, and to where it is: nothing to do.
    assert_eq!(engine.truncate(&mut cache, 11).unwrap(), 0);
    assert_eq!(engine.truncate(&mut cache, 10).unwrap(), 0);
    assert_eq!(cache.tokens(), good);
}

/// Pieces of the wrong size, with ids that there are none of, or with numbers that are
/// not finite.
pub fn a_piece_that_can_not_be_is_refused(subject: &Subject) {
    let engine = subject.engine(64);
    let persist = engine.persist().unwrap();
    let vocab = engine.info().vocab;
    let tokens = Random(4).tokens(30, vocab);
    let mut full = engine.new_cache();
    prefill(&*engine, &mut full, &tokens);
    let piece = Piece {
        tokens: tokens[10..].to_vec(),
        rows: persist.rows(&mut full, 10..30).unwrap(),
        state: persist.state(&mut full, 30).unwrap(),
    };
    let infinite = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[40..44].copy_from_slice(&[0, 0x7c, 0x80, 0x7f]);
        bytes
    };
    let state = piece.state.clone().unwrap();
    let mut cases = vec![piece.clone(); 6];
    cases[0].tokens[3] = vocab as u32;
    cases[1].tokens.pop();
    cases[2].rows.pop();
    cases[3].rows = infinite(&piece.rows);
    cases[4].state = Some(state[4..].to_vec());
    cases[5].state = Some(infinite(&state));
    let want = fresh(&*engine, &tokens[..10], 3);
    for (at, case) in cases.into_iter().enumerate() {
        let mut cache = full.fork();
        let imported = persist
            .append(
                &mut cache,
                10..usize::MAX,
                &mut [case, piece.clone()].into_iter(),
            )
            .unwrap();
        assert!(imported.refused, "{at}");
        assert_eq!(cache.tokens(), &tokens[..10], "{at}");
        subject.compare(&probe(&*engine, &cache, 3), &want, &format!("case {at}"));
    }
}
