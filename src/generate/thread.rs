//! The thread that owns the engine and the conversation's cache.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use super::keep::Ledger;
use super::run::{Loaded, Run};
use super::{Cancel, Event, Request};
use crate::backend::TokenMask;
use crate::bundle::Tokenizer;
use crate::cache::disk::Store;
use crate::model::{Engine, EngineInfo};

/// The generation thread. Dropping it cancels what runs and ends the thread.
pub struct Generator {
    info: EngineInfo,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Cancels everything when the generator goes away.
    closing: Cancel,
    ledger: Ledger,
}

enum Job {
    Run(Box<Request>, Cancel, Sender<Event>),
    Clear,
}

impl Generator {
    /// Starts the thread. `tokenizer` turns ids into text; ids that it can't
    /// turn into text are never sampled.
    ///
    /// # Errors
    /// If the operating system refuses a thread.
    pub fn start(engine: Box<dyn Engine>, tokenizer: Arc<Tokenizer>) -> std::io::Result<Self> {
        let info = engine.info().clone();
        let all_decodable = (0..info.vocab as u32).all(|id| tokenizer.token_bytes(id).is_some());
        let decodable = (!all_decodable).then(|| {
            Arc::new(TokenMask::new(info.vocab, |id| {
                tokenizer.token_bytes(id).is_some()
            }))
        });
        let closing = Cancel::default();
        let ledger = Ledger::default();
        let loaded = Loaded {
            engine,
            tokenizer,
            decodable,
            closing: closing.clone(),
            ledger: ledger.clone(),
        };
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("cairn-generate".into())
            .spawn(move || serve(&loaded, &queue))?;
        Ok(Self {
            info,
            jobs: Some(jobs),
            thread: Some(thread),
            closing,
            ledger,
        })
    }

    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// Keeps caches there from the next run on, and takes them from there.
    pub fn keep_in(&self, store: Store) {
        self.ledger.keep_in(store);
    }

    /// Leading tokens of the sequence at hand that are on disk and survive this
    /// process; `usize::MAX` if none are kept, or no more of them.
    pub fn durable(&self) -> usize {
        self.ledger.durable()
    }

    /// Queues a run; its events arrive on the receiver, which ends after
    /// `Finished` or `Failed`. Dropping the receiver cancels the run.
    pub fn submit(&self, request: Request, cancel: Cancel) -> Receiver<Event> {
        let (events, receiver) = mpsc::channel();
        self.send(Job::Run(Box::new(request), cancel, events));
        receiver
    }

    /// Forgets the conversation.
    pub fn clear(&self) {
        self.send(Job::Clear);
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread outlives every job; if it is gone, the receiver of the
            // events says so by ending.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.closing.cancel();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(loaded: &Loaded, queue: &Receiver<Job>) {
    loaded.engine.adopt_thread();
    let mut cache = loaded.engine.new_cache();
    for job in queue {
        match job {
            Job::Clear => {
                cache = loaded.engine.new_cache();
                loaded.ledger.cut(0);
            }
            Job::Run(request, cancel, events) => {
                let on_panic = events.clone();
                let run = Run {
                    loaded,
                    cache: &mut cache,
                    request: *request,
                    cancel,
                    events,
                };
                if catch_unwind(AssertUnwindSafe(|| run.run())).is_err() {
                    // The cache may be half-written: start afresh.
                    cache = loaded.engine.new_cache();
                    loaded.ledger.cut(0);
                    let message =
                        "internal error while generating; the conversation's cache was dropped";
                    let _ = on_panic.send(Event::Failed(message.into()));
                }
            }
        }
    }
}
