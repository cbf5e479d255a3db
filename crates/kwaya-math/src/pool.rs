//! Threads that wait between operations instead of being made for each one.
//!
//! Work is handed out in pieces by one atomic counter, so a slow core or a
//! core that runs something else takes fewer pieces and nobody waits long.
//! Which thread does a piece never decides a bit: pieces write disjoint
//! outputs.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    ptr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

thread_local! {
    /// Set while this thread works on a piece: a run inside a run is done by
    /// the thread alone, which cannot deadlock.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// How long a thread looks for work before it sleeps. Steps of training
/// follow one another within microseconds; waking takes tens of them.
const SPINS: usize = 2_000;

type Task<'a> = dyn Fn(usize) + Sync + 'a;

/// What the threads and the caller share. A run takes no memory: it is the
/// number of the run and of its next piece in one word, so that a thread that
/// comes late cannot take a piece of a run that it does not know.
struct Shared {
    /// The number of the run in the high half, its next piece in the low one.
    ticket: AtomicU64,
    pieces: AtomicUsize,
    done: AtomicUsize,
    /// Where the caller keeps the reference to its task while the run lasts.
    task: AtomicPtr<&'static Task<'static>>,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
    ended: AtomicBool,
    /// How many threads sleep, or are about to.
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

const HALF: u32 = 32;

impl Shared {
    /// Does pieces of run `number` until none is left.
    fn work(&self, number: u64) {
        INSIDE.set(true);
        loop {
            // Read before the piece is taken: taking it shows that the run
            // still lasts, and that these are its own.
            let (pieces, task) = (self.pieces.load(Ordering::Acquire), self.task.load(Ordering::Acquire));
            let ticket = self.ticket.load(Ordering::Acquire);
            let piece = (ticket & u64::from(u32::MAX)) as usize;
            if ticket >> HALF != number || piece >= pieces {
                break;
            }
            if self.ticket.compare_exchange_weak(ticket, ticket + 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
                continue;
            }
            // SAFETY: this piece is not done, so `Pool::run` has not returned,
            // and what it put there is alive.
            let task = unsafe { *task };
            if let Err(cause) = panic::catch_unwind(AssertUnwindSafe(|| task(piece))) {
                self.panicked.lock().expect("nobody panics holding this").get_or_insert(cause);
            }
            self.done.fetch_add(1, Ordering::Release);
        }
        INSIDE.set(false);
    }

    /// What a thread of the pool does until the pool ends.
    fn serve(&self) {
        let mut seen = 0;
        let news = |seen: u64| self.ticket.load(Ordering::SeqCst) >> HALF != seen || self.ended.load(Ordering::SeqCst);
        loop {
            for _ in 0..SPINS {
                if news(seen) {
                    break;
                }
                std::hint::spin_loop();
            }
            if !news(seen) {
                let mut asleep = self.sleep.lock().expect("nobody panics holding this");
                self.sleepers.fetch_add(1, Ordering::SeqCst);
                while !news(seen) {
                    asleep = self.wake.wait(asleep).expect("nobody panics holding this");
                }
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            seen = self.ticket.load(Ordering::SeqCst) >> HALF;
            self.work(seen);
        }
    }

    /// Wakes those who sleep. Whoever is about to has counted itself before
    /// it looked for news, so it is seen here or sees the news.
    fn call(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.sleep.lock().expect("nobody panics holding this"));
            self.wake.notify_all();
        }
    }
}

/// A set of threads that runs one piece of work at a time.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    one_at_a_time: Mutex<()>,
}

impl Pool {
    /// A pool of `threads` threads, the caller's included; 0 means 1.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            ticket: AtomicU64::new(0),
            pieces: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            task: AtomicPtr::new(ptr::null_mut()),
            panicked: Mutex::new(None),
            ended: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let threads = (1..threads.max(1))
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve())
            })
            .collect();
        Self { shared, threads, one_at_a_time: Mutex::new(()) }
    }

    /// How many threads work, the caller's included.
    pub fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `task(0)`, `task(1)`, … `task(pieces - 1)`, in any order, on any
    /// thread, and returns when all are done. A run inside a run is done by
    /// its thread alone.
    ///
    /// # Panics
    /// With the first panic of a task, after all pieces are done, and for
    /// 2^32 pieces.
    pub fn run(&self, pieces: usize, task: impl Fn(usize) + Sync) {
        if pieces <= 1 || self.threads.is_empty() || INSIDE.get() {
            (0..pieces).for_each(task);
            return;
        }
        assert!(pieces < u32::MAX as usize, "pool: {pieces} pieces");
        let _turn = self.one_at_a_time.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let shared = &*self.shared;
        let task: &Task<'_> = &task;
        // SAFETY: only the lifetime is dropped; this function returns after
        // all pieces are done, and no piece is begun afterwards.
        let mut task: &Task<'static> = unsafe { std::mem::transmute::<&Task<'_>, &'static Task<'static>>(task) };
        // The old run has no pieces left. It is closed before its numbers are
        // changed: a thread that reads the new ones finds it closed.
        let old = shared.ticket.fetch_or(u64::from(u32::MAX), Ordering::AcqRel) >> HALF;
        shared.done.store(0, Ordering::Relaxed);
        shared.pieces.store(pieces, Ordering::Release);
        shared.task.store(&raw mut task, Ordering::Release);
        let number = (old + 1) & u64::from(u32::MAX);
        shared.ticket.store(number << HALF, Ordering::SeqCst);
        shared.call();
        shared.work(number);
        let mut spins = 0;
        while shared.done.load(Ordering::Acquire) < pieces {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let cause = shared.panicked.lock().expect("nobody panics holding this").take();
        if let Some(cause) = cause {
            panic::resume_unwind(cause);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.call();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A slice that several threads write, each its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shards<'a, T> {
    start: *mut T,
    length: usize,
    _slice: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: a `Shards` only gives out parts that the caller promises are
// disjoint, of a slice that is borrowed mutably for as long.
unsafe impl<T: Send> Send for Shards<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shards<'_, T> {}

impl<'a, T> Shards<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len(), _slice: std::marker::PhantomData }
    }

    /// Where the part `range` of the slice begins.
    pub(crate) fn pointer(&self, range: std::ops::Range<usize>) -> *mut T {
        assert!(range.start <= range.end && range.end <= self.length, "{range:?} of {}", self.length);
        // SAFETY: in bounds by the assertion.
        unsafe { self.start.add(range.start) }
    }

    /// The part `range` of the slice.
    ///
    /// # Safety
    /// No two parts that are alive at once may overlap.
    pub(crate) unsafe fn part(&self, range: std::ops::Range<usize>) -> &'a mut [T] {
        // SAFETY: in bounds as `pointer` asserts, disjoint by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(range.clone()), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads);
            for pieces in [0, 1, 2, 7, 1000] {
                let counts: Vec<AtomicU64> = (0..pieces).map(|_| AtomicU64::new(0)).collect();
                pool.run(pieces, |i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "{threads} threads, {pieces} pieces");
            }
        }
    }

    /// Runs of few pieces one after the other, where a thread that is late
    /// for one meets the next; with pauses, so that threads fall asleep.
    #[test]
    fn no_piece_is_done_for_another_run() {
        let pool = Pool::new(4);
        for run in 0..20_000_u64 {
            let sum = AtomicU64::new(0);
            pool.run(2 + (run % 3) as usize, |_| {
                sum.fetch_add(run + 1, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), (2 + run % 3) * (run + 1));
            if run % 4_000 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn a_run_inside_a_run_ends() {
        let pool = Pool::new(3);
        let sum = AtomicU64::new(0);
        pool.run(10, |i| {
            pool.run(10, |j| {
                sum.fetch_add((i * 10 + j) as u64, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 4950);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let caught = panic::catch_unwind(AssertUnwindSafe(|| pool.run(50, |i| assert_ne!(i, 31))));
        assert!(caught.is_err());
        let count = AtomicU64::new(0);
        pool.run(50, |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 50);
    }
}
