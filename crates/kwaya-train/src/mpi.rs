//! Ranks over MPI: what `mpirun` starts.

use std::{cell::Cell, thread, time::Duration};

use mpi::{
    Threading,
    collective::CommunicatorCollectives,
    datatype::PartitionMut,
    environment::{self, Universe},
    point_to_point::{self, Destination, Source},
    topology::{Communicator, SimpleCommunicator},
    traits::Root,
};

use crate::ranks::Ranks;

/// Floats in one message: counts in MPI are 32 bits wide.
const MESSAGE: usize = 1 << 28;

/// Between two looks for a word of rank 0: MPI's own waiting would keep a
/// processor busy.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// This process among those that `mpirun` has started. They leave together:
/// dropping it waits for all others to drop theirs.
pub struct Mpi {
    world: SimpleCommunicator,
    beside: usize,
    sent: Cell<u64>,
    /// Dropped last.
    _universe: Universe,
}

impl Mpi {
    /// Joins the others; `None` when this process has joined before.
    pub fn join() -> Option<Self> {
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
        let world = universe.world();
        let beside = world.split_shared(world.rank()).size() as usize;
        Some(Self { world, beside, sent: Cell::new(0), _universe: universe })
    }

    fn count(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        // The others would wait for this one for ever.
        if thread::panicking() {
            self.world.abort(1);
        }
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn beside(&self) -> usize {
        self.beside
    }

    fn host(&self) -> String {
        environment::processor_name().unwrap_or_default()
    }

    fn exchange(&self, to: usize, sent: &[f32], from: usize, received: &mut [f32]) {
        let (to, from) = (self.world.process_at_rank(to as i32), self.world.process_at_rank(from as i32));
        point_to_point::send_receive_into(sent, &to, received, &from);
        self.count(size_of_val(sent));
    }

    fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        let mut lengths = vec![0i32; self.size()];
        self.world.all_gather_into(&[i32::try_from(mine.len()).expect("a report is short")], &mut lengths[..]);
        let starts: Vec<i32> = lengths
            .iter()
            .scan(0, |end, length| {
                let start = *end;
                *end += length;
                Some(start)
            })
            .collect();
        let mut all = vec![0u8; lengths.iter().sum::<i32>() as usize];
        self.world.all_gather_varcount_into(mine, &mut PartitionMut::new(&mut all[..], &lengths[..], &starts[..]));
        self.count((mine.len() + size_of::<i32>()) * (self.size() - 1));
        let pieces = lengths.iter().zip(&starts);
        pieces.map(|(&length, &start)| all[start as usize..(start + length) as usize].to_vec()).collect()
    }

    fn broadcast(&self, values: &mut [f32]) {
        let leader = self.world.process_at_rank(0);
        for values in values.chunks_mut(MESSAGE) {
            leader.broadcast_into(values);
        }
    }

    fn tell(&self, word: &[u8]) {
        for rank in 1..self.world.size() {
            self.world.process_at_rank(rank).send(word);
        }
    }

    fn listen(&self) -> Vec<u8> {
        let leader = self.world.process_at_rank(0);
        while leader.immediate_probe().is_none() {
            thread::sleep(LOOK_EVERY);
        }
        leader.receive_vec().0
    }

    fn sent(&self) -> u64 {
        self.sent.get()
    }
}
