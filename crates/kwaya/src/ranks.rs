//! The processes that `mpirun` has started beside this one.

use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_recipe::together::{Alone, Ranks};
use std::{env, sync::atomic::Ordering};

use crate::bar::STOPPED;

/// Commands in which several processes work together.
const SHARED: [&str; 2] = ["plan", "build"];

/// Joins the processes that were started together for `command`.
///
/// # Errors
/// `ranks-without-mpi` when there are several and this program was built to
/// work alone: they would all do the same, in the same place.
pub(crate) fn join(command: &str) -> Result<Box<dyn Ranks>> {
    if !SHARED.contains(&command) || started_together() == 1 {
        return Ok(Box::new(Alone));
    }
    join_all().ok_or_else(|| Error::usage("ranks-without-mpi").arg("size", started_together()))
}

#[cfg(feature = "mpi")]
fn join_all() -> Option<Box<dyn Ranks>> {
    let ranks = kwaya_recipe::together::Mpi::join()?;
    Some(Box::new(ranks))
}

#[cfg(not(feature = "mpi"))]
fn join_all() -> Option<Box<dyn Ranks>> {
    None
}

/// How many there are, as Open MPI and MPICH (and what follows it) tell them.
fn started_together() -> usize {
    let told = |name| env::var(name).ok()?.parse().ok();
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].into_iter().find_map(told).unwrap_or(1)
}

/// Watches for a stop request and says nothing: what every rank but the first
/// has.
pub(crate) struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _: &'static str, _: u64, _: Unit) {}
    fn at(&self, _: u64) {}
    fn stopped(&self) -> bool {
        STOPPED.load(Ordering::Relaxed)
    }
}
