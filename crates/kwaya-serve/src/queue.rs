//! Who waits, and who is next: fair between users, however many requests
//! each of them sends.

use std::collections::{BTreeMap, VecDeque};

/// Waiting requests of many users.
pub(crate) struct Queue<T> {
    waiting: BTreeMap<String, VecDeque<T>>,
    /// Users in the order of their turn.
    turns: VecDeque<String>,
    count: usize,
    count_max: usize,
}

impl<T> Queue<T> {
    /// Room for `count_max` in all; one user has half of it at the most, so
    /// that nobody shuts the others out.
    pub(crate) fn new(count_max: usize) -> Self {
        Self { waiting: BTreeMap::new(), turns: VecDeque::new(), count: 0, count_max }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether `user` may let one more wait.
    pub(crate) fn has_room(&self, user: &str) -> bool {
        let own = self.waiting.get(user).map_or(0, VecDeque::len);
        self.count < self.count_max && own < self.count_max.div_ceil(2)
    }

    pub(crate) fn push(&mut self, user: &str, item: T) {
        let items = self.waiting.entry(user.to_owned()).or_insert_with(|| {
            self.turns.push_back(user.to_owned());
            VecDeque::new()
        });
        items.push_back(item);
        self.count += 1;
    }

    /// The first request of whoever is served least now, as `served` counts;
    /// among equals whose turn it is. It is taken out if `fits` says so.
    pub(crate) fn next(
        &mut self,
        served: impl Fn(&str) -> usize,
        fits: impl FnOnce(&T) -> bool,
    ) -> Option<(String, T)> {
        let (at, user) = self.turns.iter().enumerate().min_by_key(|(at, user)| (served(user), *at))?;
        let user = user.clone();
        let items = self.waiting.get_mut(&user)?;
        if !items.front().is_some_and(fits) {
            return None;
        }
        let item = items.pop_front()?;
        self.turns.remove(at);
        if items.is_empty() {
            self.waiting.remove(&user);
        } else {
            self.turns.push_back(user.clone());
        }
        self.count -= 1;
        Some((user, item))
    }

    /// Takes out what nobody waits for any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.waiting.retain(|_, items| {
            items.retain(&keep);
            !items.is_empty()
        });
        self.turns.retain(|user| self.waiting.contains_key(user));
        self.count = self.waiting.values().map(VecDeque::len).sum();
    }

    /// All that waits, taken out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.turns.clear();
        self.count = 0;
        std::mem::take(&mut self.waiting).into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(queue: &mut Queue<u32>, served: impl Fn(&str) -> usize + Copy) -> Vec<u32> {
        std::iter::from_fn(|| queue.next(served, |_| true).map(|(_, item)| item)).collect()
    }

    #[test]
    fn users_take_turns_and_whoever_has_least_comes_first() {
        let mut queue = Queue::new(20);
        for item in 0..5 {
            queue.push("many", item);
        }
        queue.push("one", 10);
        queue.push("two", 20);
        queue.push("two", 21);
        assert_eq!(order(&mut queue, |_| 0), [0, 10, 20, 1, 21, 2, 3, 4]);
        assert_eq!(queue.len(), 0);
        queue.push("many", 0);
        queue.push("one", 10);
        assert_eq!(order(&mut queue, |user| if user == "many" { 3 } else { 2 }), [10, 0]);
    }

    #[test]
    fn nobody_shuts_the_others_out() {
        let mut queue = Queue::new(4);
        queue.push("a", 1);
        assert!(queue.has_room("a"));
        queue.push("a", 2);
        assert!(!queue.has_room("a") && queue.has_room("b"));
        queue.push("b", 3);
        queue.push("c", 4);
        assert!(!queue.has_room("d"));
        queue.retain(|item| *item > 1);
        assert!(queue.has_room("a") && queue.has_room("d"));
        assert_eq!(queue.len(), 3);
        assert!(queue.next(|_| 0, |item| *item == 9).is_none());
        assert_eq!(queue.drain().collect::<Vec<_>>(), [2, 3, 4]);
        assert!(queue.next(|_| 0, |_| true).is_none() && queue.has_room("a"));
    }
}
