//! The sum of a step's gradients: a fixed binary tree over its micro-batches
//! (docs/arithmetic.md, section 8), whatever number of ranks computes them.
//!
//! A rank computes neighbouring micro-batches and sums them as far as the
//! tree goes within them, which leaves it with a few subtrees:
//!
//! ```text
//! micro-batches   0 1 2 3 4 5 6 7        on three ranks: 0 1 | 2 3 4 | 5 6 7
//!                 └┬┘ └┬┘ └┬┘ └┬┘        rank 0 has [0 1]
//!                  └─┬─┘   └─┬─┘         rank 1 has [2 3] and [4]
//!                    └───┬───┘           rank 2 has [5] and [6 7]
//! ```
//!
//! The rest of the tree is added piece by piece of the weights, each rank
//! taking another piece, and each piece is given back to all. So a rank sends
//! about twice its subtrees, however many ranks there are.

use std::ops::Range;

use kwaya_math::{Pool, add_assign, zeros};

use crate::ranks::Ranks;

/// Floats that all ranks together exchange at once, at most: enough that a
/// message is worth its way, few enough that they need little memory.
const BLOCK: usize = 1 << 22;

/// How many partial sums a tree over `micro_batches` needs at once: one for
/// each bit of a counter.
pub(crate) fn tree_depth(micro_batches: usize) -> usize {
    micro_batches.ilog2() as usize + 1
}

/// The micro-batches of `rank`, of all that a step has.
pub(crate) fn share(micro_batches: usize, rank: usize, ranks: usize) -> Range<usize> {
    rank * micro_batches / ranks..(rank + 1) * micro_batches / ranks
}

/// Partial sums on a stack, by the micro-batches that each is of.
#[derive(Default)]
struct Counter(Vec<Range<usize>>);

impl Counter {
    /// Puts `part` on the stack, and says how often the two topmost sums are
    /// then to be added: as long as they are the two halves of a node of the
    /// tree, which begins at a multiple of its size.
    fn push(&mut self, part: Range<usize>) -> usize {
        self.0.push(part);
        let mut merges = 0;
        while let [.., lower, upper] = &self.0[..]
            && lower.len() == upper.len()
            && lower.start.is_multiple_of(2 * lower.len())
        {
            let whole = lower.start..upper.end;
            self.0.truncate(self.0.len() - 2);
            self.0.push(whole);
            merges += 1;
        }
        merges
    }
}

/// The subtrees that the micro-batches `range` sum to.
fn subtrees(range: Range<usize>) -> Vec<Range<usize>> {
    let mut counter = Counter::default();
    for micro_batch in range {
        counter.push(micro_batch..micro_batch + 1);
    }
    counter.0
}

/// How many partial sums a rank with the micro-batches `range` needs at once.
fn depth(range: Range<usize>) -> usize {
    let mut counter = Counter::default();
    // A pushed sum is merged only after it has been there.
    range.map(|m| counter.push(m..m + 1) + counter.0.len()).max().unwrap_or(1)
}

/// The subtrees of all ranks in the order of the micro-batches, with the rank
/// and the place among its own.
fn parts(micro_batches: usize, ranks: usize) -> Vec<Part> {
    let of_rank = |rank| {
        let own = subtrees(share(micro_batches, rank, ranks)).into_iter().enumerate();
        own.map(move |(place, range)| Part { rank, place, range })
    };
    (0..ranks).flat_map(of_rank).collect()
}

struct Part {
    rank: usize,
    place: usize,
    range: Range<usize>,
}

/// Adds `sums`, which are of `parts` in order, into the first of them.
fn add_all<T>(parts: &[Part], sums: &mut [T], add: impl Fn(&mut T, &T)) {
    // A sum stays where the first of its parts was; the stack holds places.
    let (mut counter, mut stack) = (Counter::default(), Vec::with_capacity(parts.len()));
    let mut merge = |stack: &mut Vec<usize>| {
        let upper = stack.pop().expect("two sums are there");
        let lower = *stack.last().expect("two sums are there");
        let (kept, merged) = sums.split_at_mut(upper);
        add(&mut kept[lower], &merged[0]);
    };
    for (place, part) in parts.iter().enumerate() {
        stack.push(place);
        for _ in 0..counter.push(part.range.clone()) {
            merge(&mut stack);
        }
    }
    while stack.len() > 1 {
        merge(&mut stack);
    }
}

/// The gradients of a step on their way to their sum. Takes no memory after
/// `new`, but for a few bytes where there are several ranks.
pub(crate) struct GradientTree<'a> {
    ranks: &'a dyn Ranks,
    pool: &'a Pool,
    /// The micro-batches of this rank.
    share: Range<usize>,
    /// The partial sums of this rank, in the order of the counter's stack.
    gradients: Vec<Vec<f32>>,
    counter: Counter,
    /// How many of the gradients are in use.
    used: usize,
    /// What all ranks have when each has done its share.
    parts: Vec<Part>,
    /// A piece of the sum of each part.
    pieces: Vec<Vec<f32>>,
}

impl<'a> GradientTree<'a> {
    pub(crate) fn new(parameters: usize, micro_batches: usize, pool: &'a Pool, ranks: &'a dyn Ranks) -> Self {
        let (rank, size) = (ranks.rank(), ranks.size());
        let share = share(micro_batches, rank, size);
        let parts = if size > 1 { parts(micro_batches, size) } else { Vec::new() };
        let blocks = (parameters * parts.len()).div_ceil(BLOCK * size).max(1);
        let piece = parameters.div_ceil(blocks * size).max(1);
        Self {
            ranks,
            pool,
            gradients: (0..depth(share.clone())).map(|_| zeros(parameters)).collect(),
            share,
            counter: Counter::default(),
            used: 0,
            pieces: parts.iter().map(|_| zeros(piece)).collect(),
            parts,
        }
    }

    /// The micro-batches that this rank computes.
    pub(crate) fn share(&self) -> Range<usize> {
        self.share.clone()
    }

    /// Forgets a step that was begun.
    pub(crate) fn begin(&mut self) {
        self.counter.0.clear();
        self.used = 0;
    }

    /// Where the gradient of the next micro-batch of the share goes; it may
    /// hold anything.
    pub(crate) fn next(&mut self) -> &mut [f32] {
        &mut self.gradients[self.used]
    }

    /// Adds what was put into [`GradientTree::next`].
    pub(crate) fn add(&mut self) {
        let micro_batch = self.counter.0.last().map_or(self.share.start, |part| part.end);
        self.used += 1;
        for _ in 0..self.counter.push(micro_batch..micro_batch + 1) {
            self.merge();
        }
    }

    fn merge(&mut self) {
        self.used -= 1;
        let (kept, merged) = self.gradients.split_at_mut(self.used);
        add_assign(self.pool, &mut kept[self.used - 1], &merged[0]);
    }

    /// Adds up what is there on all ranks; [`GradientTree::sum`] has it then
    /// on each. With several ranks, every share must be complete.
    pub(crate) fn close(&mut self) {
        if self.ranks.size() > 1 {
            debug_assert_eq!(self.counter.0, subtrees(self.share.clone()));
            self.add_ranks();
        } else {
            while self.used > 1 {
                self.merge();
            }
        }
    }

    /// The sum, once closed; until then its first part.
    pub(crate) fn sum(&self) -> &[f32] {
        &self.gradients[0]
    }

    fn add_ranks(&mut self) {
        let (rank, size, parameters) = (self.ranks.rank(), self.ranks.size(), self.gradients[0].len());
        let piece = self.pieces[0].len();
        for block in (0..parameters).step_by(piece * size) {
            let place = |rank: usize| (block + rank * piece).min(parameters);
            let of = |rank: usize| place(rank)..place(rank + 1);
            let mine = of(rank).len();
            self.collect(&of);
            add_all(&self.parts, &mut self.pieces, |lower, upper| {
                add_assign(self.pool, &mut lower[..mine], &upper[..mine]);
            });
            // What was here of the first part has been sent by now.
            let (sum, whole) = (&self.pieces[0][..mine], &mut self.gradients[0]);
            whole[of(rank)].copy_from_slice(sum);
            for (to, from) in rounds(rank, size) {
                self.ranks.exchange(to, sum, from, &mut whole[of(from)]);
            }
        }
    }

    /// Fills `pieces` with this rank's piece of every part. `of` gives the
    /// piece of a rank.
    fn collect(&mut self, of: &dyn Fn(usize) -> Range<usize>) {
        let (rank, size) = (self.ranks.rank(), self.ranks.size());
        let mine = of(rank).len();
        for (part, piece) in self.parts.iter().zip(&mut self.pieces).filter(|(part, _)| part.rank == rank) {
            piece[..mine].copy_from_slice(&self.gradients[part.place][of(rank)]);
        }
        // Every rank sends as often as the one with the most parts does.
        let most = self.parts.iter().map(|part| part.place + 1).max().unwrap_or(0);
        for (to, from) in rounds(rank, size) {
            for place in 0..most {
                let sent = if place < self.used { &self.gradients[place][of(to)] } else { &[] };
                let wanted = self.parts.iter().position(|part| part.rank == from && part.place == place);
                let received = wanted.map_or(&mut [][..], |index| &mut self.pieces[index][..mine]);
                self.ranks.exchange(to, sent, from, received);
            }
        }
    }
}

/// To whom `rank` sends and from whom it receives, one pair after the other,
/// so that every two ranks meet and all are busy.
fn rounds(rank: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..size).map(move |distance| ((rank + distance) % size, (rank + size - distance) % size))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as docs/arithmetic.md has it, with brackets for sums.
    fn plain(micro_batches: usize) -> String {
        let mut stack: Vec<String> = Vec::new();
        let merge = |stack: &mut Vec<String>| {
            let upper = stack.pop().unwrap();
            let lower = stack.pop().unwrap();
            stack.push(format!("({lower}+{upper})"));
        };
        for i in 1..=micro_batches {
            stack.push((i - 1).to_string());
            for _ in 0..i.trailing_zeros() {
                merge(&mut stack);
            }
        }
        while stack.len() > 1 {
            merge(&mut stack);
        }
        stack.pop().unwrap()
    }

    /// What a rank has after its share, and the most sums it had at once.
    fn own(range: Range<usize>) -> (Vec<String>, usize) {
        let (mut counter, mut stack, mut most) = (Counter::default(), Vec::<String>::new(), 0);
        for micro_batch in range {
            stack.push(micro_batch.to_string());
            most = most.max(stack.len());
            for _ in 0..counter.push(micro_batch..micro_batch + 1) {
                let upper = stack.pop().unwrap();
                let lower = stack.pop().unwrap();
                stack.push(format!("({lower}+{upper})"));
            }
        }
        (stack, most)
    }

    #[test]
    fn any_number_of_ranks_adds_up_the_same_tree() {
        for micro_batches in 1..=40 {
            assert_eq!(depth(0..micro_batches), tree_depth(micro_batches));
            for ranks in 1..=11 {
                let shares: Vec<_> = (0..ranks).map(|rank| own(share(micro_batches, rank, ranks))).collect();
                for (rank, (_, most)) in shares.iter().enumerate() {
                    assert_eq!(depth(share(micro_batches, rank, ranks)), (*most).max(1));
                }
                let parts = parts(micro_batches, ranks);
                let mut sums: Vec<String> = parts.iter().map(|part| shares[part.rank].0[part.place].clone()).collect();
                assert_eq!(sums.len(), shares.iter().map(|(own, _)| own.len()).sum::<usize>());
                add_all(&parts, &mut sums, |lower, upper| *lower = format!("({lower}+{upper})"));
                assert_eq!(sums[0], plain(micro_batches), "{micro_batches} micro-batches on {ranks} ranks");
            }
        }
    }
}
