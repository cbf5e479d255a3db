//! An order-preserving parallel map: work is done by several threads, results
//! are taken in the order of the items, and only a few wait at any time.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

struct State<R> {
    /// The next item to be worked on.
    next: usize,
    /// The next result to be taken.
    taken: usize,
    ready: BTreeMap<usize, R>,
    stopped: bool,
}

/// Calls `work(state, i)` for `i` in `0..count` on `threads` threads, each
/// with a `state` of its own from `start`, and `take` with each result in
/// order on this thread. Ends early with the first error of `take`.
///
/// # Panics
/// When `work` panics.
pub(crate) fn map<S, R: Send, E>(
    count: usize,
    threads: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> R + Sync,
    mut take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.clamp(1, count.max(1));
    let window = 4 * threads;
    let state = Mutex::new(State { next: 0, taken: 0, ready: BTreeMap::new(), stopped: false });
    let changed = Condvar::new();
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = |guard| changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let stop = StopOnPanic { state: &state, changed: &changed };
                let mut own = start();
                loop {
                    let mut guard = lock();
                    while !guard.stopped && guard.next < count && guard.next >= guard.taken + window {
                        guard = wait(guard);
                    }
                    if guard.stopped || guard.next >= count {
                        break;
                    }
                    let index = guard.next;
                    guard.next += 1;
                    drop(guard);
                    let result = work(&mut own, index);
                    lock().ready.insert(index, result);
                    changed.notify_all();
                }
                drop(stop);
            });
        }
        for index in 0..count {
            let mut guard: MutexGuard<'_, State<R>> = lock();
            let result = loop {
                if let Some(result) = guard.ready.remove(&index) {
                    break result;
                }
                if guard.stopped {
                    return Ok(());
                }
                guard = wait(guard);
            };
            guard.taken = index + 1;
            drop(guard);
            changed.notify_all();
            if let Err(error) = take(index, result) {
                lock().stopped = true;
                changed.notify_all();
                return Err(error);
            }
        }
        Ok(())
    })
}

/// A thread that panics must not leave the others waiting; the scope then
/// passes the panic on.
struct StopOnPanic<'a, R> {
    state: &'a Mutex<State<R>>,
    changed: &'a Condvar,
}

impl<R> Drop for StopOnPanic<'_, R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_threads() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            let done: Result<(), ()> = map(
                100,
                threads,
                || (),
                |(), i| i * i,
                |i, r| {
                    seen.push((i, r));
                    Ok(())
                },
            );
            assert!(done.is_ok());
            assert_eq!(seen, (0..100).map(|i| (i, i * i)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_it() {
        let done = map(1000, 3, || (), |(), i| i, |i, _| if i == 5 { Err("five") } else { Ok(()) });
        assert_eq!(done, Err("five"));
    }
}
