//! Every item once, whatever threads, panics and pauses do.

use super::*;

/// Miri takes thousands of times as long, and finds races in few rounds.
const fn rounds(many: u64) -> u64 {
    if cfg!(miri) { many / 100 } else { many }
}

/// Under Miri all threads share one processor, and all of them spin.
fn affordable(threads: &usize) -> bool {
    !cfg!(miri) || *threads < 4
}

#[test]
fn every_item_is_run_once_by_any_number_of_threads() {
    for threads in [1, 2, 4, 7].into_iter().filter(affordable) {
        let pool = Pool::new(threads).expect("threads");
        for len in [0, 1, 2, 3, 16, 10 * rounds(100) as usize] {
            let seen: Vec<AtomicUsize> = (0..len).map(|_| AtomicUsize::new(0)).collect();
            for grain in [1, 5] {
                pool.run(len, grain, |items| {
                    for i in items {
                        seen[i].fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 2));
        }
    }
}

#[test]
fn many_short_regions_and_pauses_between_them() {
    let pool = Pool::new(3).expect("threads");
    let sum = AtomicUsize::new(0);
    for round in 0..rounds(3000) {
        pool.each(8, |i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        if round % 500 == 0 {
            std::thread::sleep(SPIN * 2);
        }
    }
    assert_eq!(sum.into_inner() as u64, rounds(3000) * 28);
}

#[test]
fn a_panic_comes_out_and_the_pool_goes_on() {
    let pool = Pool::new(2).expect("threads");
    let caught = catch_unwind(AssertUnwindSafe(|| {
        pool.each(10, |i| assert!(i != 7, "seven"));
    }));
    assert!(caught.is_err());
    let count = AtomicUsize::new(0);
    pool.each(10, |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(count.into_inner(), 10);
}

#[test]
fn regions_of_regions_and_of_other_threads_do_not_wait_for_each_other() {
    let pool = Pool::new(2).expect("threads");
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                pool.each(20, |_| {
                    pool.each(5, |_| {
                        count.fetch_add(1, Ordering::Relaxed);
                    });
                });
            });
        }
    });
    assert_eq!(count.into_inner(), 300);
}

/// Regions of all sizes in quick succession, from several threads at once, with
/// more threads than processors and pauses long enough to park: each region's
/// closure and memory are its own, so a part that is run late, twice or never is
/// seen at once (and by a sanitizer as a use after free).
#[test]
fn regions_under_stress() {
    for threads in [2, 3, 8].into_iter().filter(affordable) {
        let pool = Pool::new(threads).expect("threads");
        std::thread::scope(|scope| {
            for caller in 0..3u64 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..rounds(4000).div_ceil(if cfg!(miri) { 8 } else { 1 }) {
                        stress_round(pool, caller, round);
                    }
                });
            }
        });
    }
}

fn stress_round(pool: &Pool, caller: u64, round: u64) {
    let draw = |of: u64| (crate::backend::uniform(caller, 4 * round + of) * 64.0) as usize;
    let (len, grain) = (draw(0) * draw(1) / 8, draw(2) % 5);
    let seen: Vec<AtomicUsize> = (0..len).map(|_| AtomicUsize::new(0)).collect();
    let run = || {
        pool.run(len, grain, |items| {
            for i in items {
                seen[i].fetch_add(i + 1, Ordering::Relaxed);
                assert!(draw(3) != 0 || i != len / 2, "now and then");
            }
        });
    };
    let outcome = catch_unwind(AssertUnwindSafe(run));
    if outcome.is_ok() {
        for (i, seen) in seen.iter().enumerate() {
            assert_eq!(seen.load(Ordering::Relaxed), i + 1);
        }
    }
    assert_eq!(outcome.is_err(), draw(3) == 0 && len > 0);
    if round % 1000 == 999 {
        std::thread::sleep(SPIN * 2);
    }
}

#[test]
fn a_pool_ends_while_its_threads_spin_park_or_have_just_begun() {
    for pause in [0, 1, 3] {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads).expect("threads");
            let sum = AtomicUsize::new(0);
            pool.each(threads, |i| {
                sum.fetch_add(i + 1, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), threads * (threads + 1) / 2);
            std::thread::sleep(Duration::from_millis(pause));
        }
    }
}

#[test]
fn panics_whose_payloads_panic_do_not_hang_the_pool() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let pool = Pool::new(3).expect("threads");
    let caught = catch_unwind(AssertUnwindSafe(|| {
        pool.each(30, |_| std::panic::panic_any(Bomb));
    }));
    std::mem::forget(caught.expect_err("a panic"));
    let count = AtomicUsize::new(0);
    pool.each(10, |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(count.into_inner(), 10);
}

#[test]
fn more_items_than_a_claim_holds_are_run_by_the_caller() {
    let pool = Pool::new(2).expect("threads");
    let len = ITEM_MASK as usize + 1;
    let parts: Mutex<Vec<Range<usize>>> = Mutex::default();
    pool.run(len, 1, |items| lock(&parts).push(items));
    {
        let mut parts = lock(&parts);
        assert_eq!((parts.len(), parts.pop()), (1, Some(0..len)));
    }
    pool.run(len - 1, 1, |items| {
        lock(&parts).push(items);
    });
    let items: usize = lock(&parts).iter().map(Range::len).sum();
    assert_eq!(items, len - 1);
}

#[test]
fn a_pinned_thread_makes_pools_of_all_cores() {
    let all = Pool::new(0).expect("threads").threads();
    let pinned = std::thread::spawn(|| {
        let pool = Pool::new(2).expect("threads");
        pool.adopt_thread();
        Pool::new(0).expect("threads").threads()
    });
    assert_eq!(pinned.join().expect("a thread"), all);
}
