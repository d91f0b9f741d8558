//! The conversation's cache on disk: what a prompt can take from there, and what is
//! put there as it comes to be. Nothing here waits for a disk but a load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::disk::{BLOCK, Block, Fault, Key, Parts, Queued, Store};
use crate::model::{Cache, Engine, Error, Persist, Piece};

/// Tokens that are prefilled before what has come to be is kept.
const SEGMENT: usize = 512;

/// Times that a prompt is looked up, if what was found is damaged.
const TRIES: usize = 3;

/// How much of the current sequence is on disk, for whoever asks.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Option<Kept>>>);

struct Kept {
    store: Store,
    /// The whole blocks of the sequence, from its beginning.
    chain: Vec<Link>,
}

struct Link {
    key: Key,
    /// It is on the disk.
    done: Arc<AtomicBool>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leading tokens of the sequence that are on the disk. As many as there can be,
    /// if nothing is kept: nobody needs to wait then.
    pub fn durable(&self) -> usize {
        match &*self.lock() {
            Some(kept) if !kept.store.stopped() => {
                let done = |link: &&Link| link.done.load(Ordering::Acquire);
                kept.chain.iter().take_while(done).count() * BLOCK
            }
            _ => usize::MAX,
        }
    }

    pub fn keep_in(&self, store: Store) {
        *self.lock() = Some(Kept {
            store,
            chain: Vec::new(),
        });
    }

    /// The sequence has changed from this position on.
    pub fn cut(&self, len: usize) {
        if let Some(kept) = &mut *self.lock() {
            kept.chain.truncate(len / BLOCK);
        }
    }

    fn store(&self) -> Option<Store> {
        self.lock().as_ref().map(|kept| kept.store.clone())
    }
}

/// What [`Keeper::load`] took from the disk.
pub(super) struct FromDisk {
    /// Tokens of the prompt that are in the cache now.
    pub reused: usize,
    /// How many of them came from the disk.
    pub loaded: usize,
    pub replayed: usize,
}

/// One run's view of the store.
pub(super) struct Keeper<'a> {
    engine: &'a dyn Persist,
    store: Store,
    ledger: &'a Ledger,
}

impl<'a> Keeper<'a> {
    /// `None` if nothing is kept.
    pub fn new(engine: &'a dyn Engine, ledger: &'a Ledger) -> Option<Self> {
        Some(Self {
            engine: engine.persist()?,
            store: ledger.store()?,
            ledger,
        })
    }

    /// Takes from the disk what is longer there than the `memory` tokens that cache and
    /// prompt have in common. Of the tokens so many are wanted: a block that goes on
    /// beyond them is cut. A damaged block ends it: what comes after is prefilled, and a
    /// line says so.
    pub fn load(
        &self,
        cache: &mut Cache,
        (tokens, wanted): (&[u32], usize),
        memory: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<(Option<FromDisk>, Option<String>), Error> {
        let mut notice = None;
        if wanted < tokens.len() {
            // They were computed not long ago, and may still wait to be written.
            self.store.flush();
        }
        for _ in 0..TRIES {
            let places = self.store.find(tokens);
            self.store
                .touch(places.iter().map(|place| place.key).collect());
            let end = places.last().map_or(0, |place| place.end().min(wanted));
            if end <= memory {
                return Ok((None, notice));
            }
            let keep = memory / BLOCK * BLOCK;
            let before = cache.fork();
            let mut fault = None;
            let mut last = None;
            let mut due = places.iter().filter(|place| place.position >= keep);
            let mut pieces = std::iter::from_fn(|| {
                let place = due.next().filter(|_| !stopped())?;
                match self.store.load(place, tokens) {
                    Ok(block) => {
                        let block = block?;
                        last = Some(place);
                        Some(Piece {
                            tokens: block.tokens,
                            rows: block.rows,
                            state: block.state,
                        })
                    }
                    Err(error) => {
                        fault = Some((place.position, error));
                        None
                    }
                }
            });
            let imported = self.engine.append(cache, keep..wanted, &mut pieces)?;
            if let Some(place) = last.filter(|_| imported.refused) {
                self.store.refuse(place);
                fault = Some((place.position, Fault::Numbers));
            }
            let reused = cache.len();
            let better = reused > memory;
            if !better {
                *cache = before;
            }
            if let Some((position, fault)) = fault {
                // Where one is damaged others may be, and what is there is not written
                // again: damaged ones are removed here.
                let later = places.iter().filter(|place| place.position > position);
                later.for_each(|place| drop(self.store.load(place, tokens)));
                notice.get_or_insert_with(|| refused(position, &fault));
                // What is left may still have a shorter block there.
                if !better {
                    continue;
                }
            }
            let loaded = better.then(|| FromDisk {
                reused,
                loaded: reused - keep,
                replayed: imported.replayed,
            });
            return Ok((loaded, notice));
        }
        Ok((None, notice))
    }

    /// Where to stop on the way from `position` to `len`, to keep what there is: at
    /// borders of blocks, so that they get a state.
    pub fn stop(position: usize, len: usize) -> usize {
        len.min((position + SEGMENT) / BLOCK * BLOCK)
    }

    /// Keeps the whole blocks that are new in the cache.
    pub fn checkpoint(&self, cache: &mut Cache) -> Result<(), Error> {
        while !self.store.stopped() {
            let (count, before) = self.end();
            let start = count * BLOCK;
            if start + BLOCK > cache.len() {
                break;
            }
            let Some(done) = self.keep(cache, before, start, start + BLOCK)? else {
                break;
            };
            let key = before.then(&cache.tokens()[start..start + BLOCK]);
            if let Some(kept) = &mut *self.ledger.lock() {
                kept.chain.push(Link { key, done });
            }
        }
        Ok(())
    }

    /// Keeps everything in the cache, the begun block at its end too: here a prompt may
    /// be cut, or another one begin.
    pub fn boundary(&self, cache: &mut Cache) -> Result<(), Error> {
        self.checkpoint(cache)?;
        let (count, before) = self.end();
        let start = count * BLOCK;
        if self.store.stopped() || cache.len() <= start || cache.len() >= start + BLOCK {
            return Ok(());
        }
        let len = cache.len();
        self.keep(cache, before, start, len).map(drop)
    }

    /// Notes that all of the sequence was in use until now.
    pub fn touch(&self) {
        if let Some(kept) = &*self.ledger.lock() {
            self.store
                .touch(kept.chain.iter().map(|link| link.key).collect());
        }
    }

    /// What the user should hear of the store, once.
    pub fn take_warning(&self) -> Option<String> {
        self.store.take_warning()
    }

    /// Number of whole blocks that are kept, and the key of all of them.
    fn end(&self) -> (usize, Key) {
        let kept = self.ledger.lock();
        let chain = kept.as_ref().map_or(&[][..], |kept| &kept.chain);
        let key = chain.last().map_or(self.store.root(), |link| link.key);
        (chain.len(), key)
    }

    /// Has these positions written, with the state after them if it is at hand; `None`
    /// if that has to wait. A begun block is of no use without a state.
    fn keep(
        &self,
        cache: &mut Cache,
        before: Key,
        start: usize,
        end: usize,
    ) -> Result<Option<Arc<AtomicBool>>, Error> {
        let tokens = cache.tokens()[start..end].to_vec();
        let key = before.then(&tokens);
        if self.store.has(&key, tokens.len(), Parts::RowsAndState) {
            return Ok(Some(Arc::new(AtomicBool::new(true))));
        }
        let state = self.engine.state(cache, end)?;
        if state.is_none() && self.store.has(&key, tokens.len(), Parts::Rows) {
            return Ok(Some(Arc::new(AtomicBool::new(true))));
        }
        if state.is_none() && end - start < BLOCK {
            return Ok(None);
        }
        let done = Arc::new(AtomicBool::new(false));
        let block = Block {
            before,
            position: start,
            tokens,
            rows: self.engine.rows(cache, start..end)?,
            state,
        };
        match self.store.save(block, Arc::clone(&done)) {
            Queued::Yes => Ok(Some(done)),
            Queued::Full => Ok(None),
        }
    }
}

fn refused(position: usize, fault: &Fault) -> String {
    format!(
        "a block of the cache on disk was refused, what follows token {position} is computed \
         again: {fault}"
    )
}
