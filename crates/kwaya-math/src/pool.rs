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
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
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

/// One run: the task, how many pieces, which is next, how many are done.
struct Run {
    /// Valid until `done` reaches `pieces`; see the SAFETY notes.
    task: *const Task<'static>,
    pieces: usize,
    next: AtomicUsize,
    done: AtomicUsize,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `task` points to a `Sync` closure; `Pool::run` keeps it alive until
// every piece is done, and no piece is started afterwards.
unsafe impl Send for Run {}
// SAFETY: as above; everything else in it is atomic or locked.
unsafe impl Sync for Run {}

impl Run {
    fn work(&self) {
        INSIDE.set(true);
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= self.pieces {
                break;
            }
            // SAFETY: this piece is not done, so `Pool::run` has not returned
            // and the closure is alive.
            let task = unsafe { &*self.task };
            if let Err(cause) = panic::catch_unwind(AssertUnwindSafe(|| task(piece))) {
                self.panicked.lock().expect("nobody panics holding this").get_or_insert(cause);
            }
            self.done.fetch_add(1, Ordering::Release);
        }
        INSIDE.set(false);
    }

    fn finished(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.pieces
    }
}

/// What the threads and the caller share.
struct Shared {
    /// Number of the newest run, readable without the lock.
    number: AtomicUsize,
    current: Mutex<Slot>,
    wake: Condvar,
}

struct Slot {
    number: usize,
    run: Option<Arc<Run>>,
    ended: bool,
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
            number: AtomicUsize::new(0),
            current: Mutex::new(Slot { number: 0, run: None, ended: false }),
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
    /// With the first panic of a task, after all pieces are done.
    pub fn run(&self, pieces: usize, task: impl Fn(usize) + Sync) {
        if pieces <= 1 || self.threads.is_empty() || INSIDE.get() {
            (0..pieces).for_each(task);
            return;
        }
        let _turn = self.one_at_a_time.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let task: &Task<'_> = &task;
        // SAFETY: only the lifetime is dropped; this function returns after
        // all pieces are done, and a thread that comes later finds no piece.
        let task: *const Task<'static> = unsafe { std::mem::transmute::<&Task<'_>, &'static Task<'static>>(task) };
        let run = Arc::new(Run {
            task,
            pieces,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            panicked: Mutex::new(None),
        });
        self.shared.publish(Some(Arc::clone(&run)), false);
        run.work();
        let mut spins = 0;
        while !run.finished() {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let cause = run.panicked.lock().expect("nobody panics holding this").take();
        if let Some(cause) = cause {
            panic::resume_unwind(cause);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.publish(None, true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn publish(&self, run: Option<Arc<Run>>, ended: bool) {
        let mut slot = self.current.lock().expect("nobody panics holding this");
        slot.number += 1;
        slot.run = run;
        slot.ended = ended;
        self.number.store(slot.number, Ordering::Release);
        drop(slot);
        self.wake.notify_all();
    }

    fn serve(&self) {
        let mut seen = 0;
        loop {
            for _ in 0..SPINS {
                if self.number.load(Ordering::Acquire) != seen {
                    break;
                }
                std::hint::spin_loop();
            }
            let mut slot = self.current.lock().expect("nobody panics holding this");
            while slot.number == seen {
                slot = self.wake.wait(slot).expect("nobody panics holding this");
            }
            seen = slot.number;
            if slot.ended {
                return;
            }
            let run = slot.run.clone();
            drop(slot);
            if let Some(run) = run {
                run.work();
            }
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
    use std::sync::atomic::AtomicU64;

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
