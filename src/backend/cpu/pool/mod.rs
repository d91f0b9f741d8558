//! The threads of the CPU backend. A region is a range of items that whoever
//! comes claims piece by piece: a thread that the system has taken away is not
//! waited for unless it holds a piece. Threads spin between regions, so that a
//! token needs no system call, and park when nothing has come for a while.
//!
//! Which thread computes what is left to chance; results must not depend on it.

mod ahead;
mod topology;

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

pub use ahead::Stream;

use ahead::{Ahead, Fetch};
use topology::usable_cores;

/// How long a thread without work spins before it parks. Longer than anything
/// between two regions of a token, shorter than anybody notices.
const SPIN: Duration = Duration::from_millis(2);

/// Rounds of waiting after which a thread lets others run: the one it waits for
/// may be waiting for its processor.
const YIELD_AFTER: u32 = 20_000;

/// Bits of the claim word that hold the items left; the rest number the region.
const ITEM_BITS: u32 = 24;
const ITEM_MASK: u64 = (1 << ITEM_BITS) - 1;

pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the thread whose region is running.
    owner: Mutex<()>,
    /// Processor that no worker is pinned to; `None` if workers are not pinned.
    home: Option<usize>,
}

/// What a region runs: a closure's address and the function that calls it.
#[derive(Clone, Copy)]
struct Job {
    data: *const (),
    call: unsafe fn(*const (), Range<usize>),
}

struct Shared {
    /// Number of the region, and how many of its items nobody has claimed. Once
    /// none is left nothing of the region can be claimed, whatever the other
    /// fields hold by then.
    claim: AtomicU64,
    /// Items of the region, and the fewest worth claiming at once.
    len: AtomicUsize,
    grain: AtomicUsize,
    done: AtomicUsize,
    /// Written by the owner between regions, read by those who hold a claim.
    job: UnsafeCell<Option<Job>>,
    /// The first panic of the region.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    parked: AtomicUsize,
    ahead: Ahead,
    threads: Mutex<Vec<Thread>>,
    stop: AtomicBool,
    count: usize,
}

// SAFETY: `job` is the only field that is not `Sync` by itself. It is written
// only while no claim is held (the owner waits for all items before it starts
// another region) and read only by holders of a claim; publishing the region
// number with `Release` and claiming with `Acquire` orders the two. The closure
// behind it is `Sync` and outlives the region.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Pool {
    /// A pool of `threads` threads, the one that calls included; 0 takes one for
    /// each physical core that this process may use.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub fn new(threads: usize) -> io::Result<Self> {
        let cores = usable_cores();
        let count = if threads == 0 { cores.count } else { threads };
        // Only a pool that has all cores keeps its threads on them: of several
        // smaller ones, each would take the first.
        let pinned = cores.pinned.as_ref().filter(|cores| cores.len() == count);
        let shared = Arc::new(Shared {
            claim: AtomicU64::new(0),
            len: AtomicUsize::new(0),
            grain: AtomicUsize::new(1),
            done: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            panic: Mutex::new(None),
            parked: AtomicUsize::new(0),
            ahead: Ahead::default(),
            threads: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
            count,
        });
        let mut pool = Self {
            shared: Arc::clone(&shared),
            workers: Vec::new(),
            owner: Mutex::new(()),
            home: pinned.filter(|_| count > 1).map(|cores| cores[0]),
        };
        for i in 1..count {
            let shared = Arc::clone(&shared);
            let core = pinned.map(|cores| cores[i]);
            let worker = std::thread::Builder::new()
                .name(format!("cairn-cpu-{i}"))
                .spawn(move || {
                    if let Some(core) = core {
                        topology::pin_to(core);
                    }
                    shared.work(i);
                })?;
            lock(&pool.shared.threads).push(worker.thread().clone());
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Threads that compute, the calling one included.
    pub fn threads(&self) -> usize {
        self.shared.count
    }

    /// Pins the calling thread to the processor that the workers leave free. A
    /// thread that calls all the time and may run anywhere is at times put on a
    /// worker's processor, and then one core does the work of two.
    pub fn adopt_thread(&self) {
        if let Some(core) = self.home {
            topology::pin_to(core);
        }
    }

    /// Calls `work` with parts of `0..len` that together are all of it, each
    /// item once, on this thread and the pool's; returns when all are done. Parts
    /// get smaller towards the end, down to `grain` items. A call from within a
    /// region, or while another thread's region runs, is run by its caller alone.
    ///
    /// # Panics
    /// With the first panic of `work`, after all parts have ended.
    pub fn run(&self, len: usize, grain: usize, work: impl Fn(Range<usize>) + Sync) {
        let grain = grain.max(1);
        let alone = self.shared.count == 1 || len <= grain || len as u64 > ITEM_MASK;
        if alone {
            if len > 0 {
                work(0..len);
            }
            return;
        }
        let _owner = match self.owner.try_lock() {
            Ok(owner) => owner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return work(0..len),
        };
        self.shared.run(len, grain, &work);
    }

    /// What the next region but this one will most likely read: threads that find
    /// nothing to do fetch the beginning of their part.
    pub fn expect(&self, stream: Option<Stream>) {
        if self.shared.count > 1 {
            self.shared.ahead.set(stream.unwrap_or_default());
        }
    }

    /// [`Pool::run`], one call per item.
    pub fn each(&self, len: usize, work: impl Fn(usize) + Sync) {
        self.run(len, 1, |items| items.for_each(&work));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake();
        for worker in self.workers.drain(..) {
            // A worker ends by itself; it catches the panics of what it runs.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn run<F: Fn(Range<usize>) + Sync>(&self, len: usize, grain: usize, work: &F) {
        unsafe fn call<F: Fn(Range<usize>)>(data: *const (), items: Range<usize>) {
            // SAFETY: `data` is the address of the `F` that `Shared::run` borrows
            // until the region has ended.
            let work = unsafe { &*data.cast::<F>() };
            work(items);
        }
        // From here to the end of the loop below nothing may unwind: the region
        // runs `work`, which lives no longer than this call.
        // SAFETY: this thread owns the region (`Pool::owner`), and none is
        // running: nobody holds a claim, so nobody reads the job.
        unsafe {
            *self.job.get() = Some(Job {
                data: std::ptr::from_ref(work).cast(),
                call: call::<F>,
            });
        }
        self.len.store(len, Ordering::Relaxed);
        self.grain.store(grain, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        let region = (self.claim.load(Ordering::Relaxed) >> ITEM_BITS) + 1;
        // The first part is the owner's, so that all know beforehand where they
        // are likely to start.
        let first = part_size(len, self.count, grain);
        // Sequentially consistent against `parked`: either this thread sees that
        // a worker has parked, or that worker sees the new region.
        self.claim
            .store(region << ITEM_BITS | (len - first) as u64, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) > 0 {
            self.wake();
        }
        self.run_part(0..first);
        while self.take_part(region) {}
        let mut rounds = 0u32;
        let mut ahead = self.ahead.start(0, self.count);
        while self.done.load(Ordering::Acquire) < len {
            if ahead.step() {
                continue;
            }
            rounds = rounds.saturating_add(1);
            if rounds > YIELD_AFTER {
                std::thread::yield_now();
            } else {
                spin_loop();
            }
        }
        if let Some(panic) = lock(&self.panic).take() {
            resume_unwind(panic);
        }
    }

    /// Claims a part of region `region` and runs it. False if nothing is left.
    fn take_part(&self, region: u64) -> bool {
        let mut claim = self.claim.load(Ordering::Acquire);
        let size = loop {
            let left = (claim & ITEM_MASK) as usize;
            if claim >> ITEM_BITS != region || left == 0 {
                return false;
            }
            // Should the region have ended since, the exchange fails.
            let grain = self.grain.load(Ordering::Relaxed);
            let size = part_size(left, self.count, grain);
            match self.claim.compare_exchange_weak(
                claim,
                claim - size as u64,
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => break size,
                Err(now) => claim = now,
            }
        };
        let start = self.len.load(Ordering::Relaxed) - (claim & ITEM_MASK) as usize;
        self.run_part(start..start + size);
        true
    }

    /// Runs a part that this thread has claimed.
    fn run_part(&self, part: Range<usize>) {
        let size = part.len();
        // SAFETY: this thread holds a claim on the region that is running, so the
        // job is that region's and is not written until `done` counts this part.
        let job = unsafe { *self.job.get() };
        if let Some(job) = job {
            // SAFETY: the closure lives until the owner has seen `done` reach the
            // region's length, which needs this part.
            let run = || unsafe { (job.call)(job.data, part) };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                let mut first = lock(&self.panic);
                match &*first {
                    // A payload that panics when dropped would leave this part
                    // uncounted and its owner waiting.
                    Some(_) => std::mem::forget(panic),
                    None => *first = Some(panic),
                }
            }
        }
        self.done.fetch_add(size, Ordering::Release);
    }

    /// A worker's life.
    fn work(&self, place: usize) {
        let mut since = Instant::now();
        let mut rounds = 0u32;
        let mut fetch = Fetch::default();
        while !self.stop.load(Ordering::Relaxed) {
            if self.has_work() {
                let region = self.claim.load(Ordering::Acquire) >> ITEM_BITS;
                while self.take_part(region) {}
                since = Instant::now();
                rounds = 0;
                continue;
            }
            if !self.ahead.is_current(&fetch) {
                fetch = self.ahead.start(place, self.count);
            }
            if fetch.step() {
                continue;
            }
            spin_loop();
            rounds = rounds.wrapping_add(1);
            // Reading the clock is cheap, but not as cheap as a glance at a word.
            if rounds.is_multiple_of(64) && since.elapsed() > SPIN {
                self.parked.fetch_add(1, Ordering::SeqCst);
                if !self.has_work() && !self.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                self.parked.fetch_sub(1, Ordering::SeqCst);
                since = Instant::now();
            }
        }
    }

    fn has_work(&self) -> bool {
        self.claim.load(Ordering::SeqCst) & ITEM_MASK > 0
    }

    fn wake(&self) {
        for thread in lock(&self.threads).iter() {
            thread.unpark();
        }
    }
}

/// How many of `left` items a thread claims: much at first, little in the end; a
/// multiple of `grain`, but for the last part.
fn part_size(left: usize, threads: usize, grain: usize) -> usize {
    let grain = grain.max(1);
    (3 * left / (4 * threads))
        .max(1)
        .next_multiple_of(grain)
        .min(left)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
