//! An order-preserving parallel map: work is done by several threads, results
//! are taken in the order of the items, and only a few wait at any time: few in
//! number, and few by a weight such as their bytes.

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
    /// The weight of the items from `taken` to `next`.
    weight: u64,
    /// Results with the weight of their items.
    ready: BTreeMap<usize, (R, u64)>,
    /// How many items there are, once that is known.
    count: usize,
    stopped: bool,
}

/// Calls `work(state, i)` for `i` in `0..count` on `threads` threads, each
/// with a `state` of its own from `start`, and `take` with each result in
/// order on this thread. Items that weigh more than `weight_max` together are
/// not under way at once, unless it is one alone. Ends early with the first
/// error of `take`.
///
/// # Panics
/// When `work` panics.
pub(crate) fn map<S, R: Send, E>(
    count: usize,
    threads: usize,
    (weight, weight_max): (impl Fn(usize) -> u64 + Sync, u64),
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> R + Sync,
    take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let mut items = 0..count;
    let weight = (|&index: &usize| weight(index), weight_max);
    stream(|| items.next(), threads.clamp(1, count.max(1)), weight, start, work, take)
}

/// [`map`] over items that `next` gives one after another until there are no
/// more; it may wait for them.
///
/// # Panics
/// When `work` or `next` panics.
pub(crate) fn stream<T, S, R: Send, E>(
    next: impl FnMut() -> Option<T> + Send,
    threads: usize,
    (weight, weight_max): (impl Fn(&T) -> u64 + Sync, u64),
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> R + Sync,
    mut take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.max(1);
    let window = 4 * threads;
    let state =
        Mutex::new(State { next: 0, taken: 0, weight: 0, ready: BTreeMap::new(), count: usize::MAX, stopped: false });
    let changed = Condvar::new();
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = |guard| changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
    // Who holds it takes the next item and waits until there is room for it,
    // so that items are begun in order.
    let source = Mutex::new(next);
    let begin = || {
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |state: &State<R>| state.stopped || state.count != usize::MAX;
        if over(&lock()) {
            return None;
        }
        let item = source();
        let mut guard = lock();
        let Some(item) = item else {
            guard.count = guard.next;
            drop(guard);
            changed.notify_all();
            return None;
        };
        let heaviness = weight(&item);
        while !guard.stopped {
            let many = guard.next >= guard.taken + window;
            let heavy = guard.weight > 0 && guard.weight + heaviness > weight_max;
            if !many && !heavy {
                guard.next += 1;
                guard.weight += heaviness;
                return Some((guard.next - 1, item, heaviness));
            }
            guard = wait(guard);
        }
        None
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let stop = StopOnPanic { state: &state, changed: &changed };
                let mut own = start();
                while let Some((index, item, heaviness)) = begin() {
                    let result = work(&mut own, item);
                    lock().ready.insert(index, (result, heaviness));
                    changed.notify_all();
                }
                drop(stop);
            });
        }
        for index in 0.. {
            let mut guard: MutexGuard<'_, State<R>> = lock();
            let (result, heaviness) = loop {
                if let Some(ready) = guard.ready.remove(&index) {
                    break ready;
                }
                if guard.stopped || index >= guard.count {
                    return Ok(());
                }
                guard = wait(guard);
            };
            drop(guard);
            let taken = take(index, result);
            let mut guard = lock();
            guard.taken = index + 1;
            guard.weight -= heaviness;
            guard.stopped |= taken.is_err();
            drop(guard);
            changed.notify_all();
            taken?;
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
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_threads() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            let done: Result<(), ()> = map(
                100,
                threads,
                (|_| 1, u64::MAX),
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
    fn heavy_items_are_under_way_alone() {
        let under_way = AtomicU64::new(0);
        let weight = |i: usize| if i.is_multiple_of(5) { 100 } else { 3 };
        let done: Result<(), ()> = map(
            60,
            4,
            (weight, 10),
            || (),
            |(), i| {
                let others = under_way.fetch_add(weight(i), SeqCst);
                assert!(others == 0 || others + weight(i) <= 10, "{others} and {i}");
                thread::yield_now();
            },
            |i, ()| {
                under_way.fetch_sub(weight(i), SeqCst);
                Ok(())
            },
        );
        assert!(done.is_ok());
    }

    #[test]
    fn a_stream_ends_when_its_source_does() {
        for threads in [1, 3] {
            let (send, items) = std::sync::mpsc::sync_channel(1);
            thread::scope(|scope| {
                scope.spawn(move || (0..50).try_for_each(|i| send.send(i)));
                let mut seen = Vec::new();
                let next = move || items.recv().ok();
                let done: Result<(), ()> = stream(
                    next,
                    threads,
                    (|_: &u64| 1, 9),
                    || (),
                    |(), i| i + 1,
                    |at, i| {
                        seen.push((at as u64 + 1, i));
                        if seen.len() == 40 { Err(()) } else { Ok(()) }
                    },
                );
                assert_eq!(done, Err(()));
                assert_eq!(seen, (1..=40).map(|i| (i, i)).collect::<Vec<_>>());
            });
        }
    }

    #[test]
    fn an_error_ends_it() {
        let done = map(1000, 3, (|_| 1, u64::MAX), || (), |(), i| i, |i, _| if i == 5 { Err("five") } else { Ok(()) });
        assert_eq!(done, Err("five"));
    }
}
