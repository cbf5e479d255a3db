//! Whether a plan fits into memory; and where it does not, the plan nearest to
//! it that does.

use std::path::Path;

use kwaya_base::{Error, Result};
use kwaya_train::{Keep, Memory, Schedule};
use serde::Serialize;

use crate::{
    forecast,
    learning::Learning,
    lock::{LOCK, Lock, Sizes},
    machine::Machine,
    plan::{self, CorpusSize},
    recipe::TrainWishes,
    words,
};

/// The memory that a build may use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Room {
    /// Bytes that may be used.
    pub bytes: u64,
    /// Bytes that are free.
    pub free: u64,
}

impl Room {
    /// What is free on `machine` but a tenth, for what else goes on there; and
    /// no more than was `asked`.
    pub fn of(machine: &Machine, asked: Option<u64>) -> Self {
        let free = machine.memory_free_bytes;
        Self { bytes: (free / 10 * 9).min(asked.unwrap_or(u64::MAX)), free }
    }

    /// One's own part, where several processes share the machine.
    #[must_use]
    pub fn shared(self, processes: usize) -> Self {
        Self { bytes: self.bytes / processes.max(1) as u64, ..self }
    }
}

/// How a training is carried out: what changes its memory and its speed, and
/// none of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Way {
    /// What the forward pass keeps for the backward pass.
    pub activations: Keep,
    /// Bytes that the training takes, by what they are for.
    pub memory: Memory,
}

/// The fastest way to carry out a training within `room` bytes; where there is
/// none, the one that takes least. Only here is that decided.
pub fn way(learning: &Learning<'_>, schedule: &Schedule, room: u64) -> Way {
    let ways =
        [Keep::Everything, Keep::Inputs].map(|keep| Way { activations: keep, memory: learning.memory(schedule, keep) });
    let beside = forecast::PROGRAM_BYTES + learning.file_bytes();
    let fits = ways.iter().find(|way| way.memory.total() + beside <= room);
    *fits.or(ways.iter().min_by_key(|way| way.memory.total())).expect("there is a way")
}

/// The most bytes that a build of this training needs, as far as that is known
/// before anything is measured. Without a corpus it is that of the training.
pub fn needed(learning: &Learning<'_>, schedule: &Schedule, corpus: Option<CorpusSize>, room: u64) -> u64 {
    let beside = forecast::PROGRAM_BYTES + learning.file_bytes();
    let training = beside + way(learning, schedule, room).memory.total();
    training.max(corpus.map_or(0, forecast::text_bytes))
}

/// The way of the training of `lock` by each of `ranks` processes.
pub fn way_of(lock: &Lock, learning: &Learning<'_>, room: Room, ranks: usize) -> Way {
    way(learning, &plan::share(&lock.train, ranks), room.bytes)
}

/// A plan that fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The wishes that lead to it.
    pub wishes: TrainWishes,
    /// Bytes that it needs.
    pub bytes: u64,
    /// Weights of its model.
    pub parameters: u64,
}

impl Fit {
    /// What the recipe has to say under `[train]`, a line for each wish that
    /// it does not have yet.
    pub fn lines(&self, recipe: &TrainWishes) -> String {
        let (new, old) = (&self.wishes, recipe);
        [
            ("vocabulary", new.vocabulary, old.vocabulary),
            ("hidden_size", new.hidden_size, old.hidden_size),
            ("layers", new.layers, old.layers),
            ("context", new.context, old.context),
            ("micro_batches", new.micro_batches, old.micro_batches),
        ]
        .into_iter()
        .filter(|(_, new, old)| new != old)
        .filter_map(|(key, new, _)| new.map(|value| format!("{key} = {value}")))
        .collect::<Vec<_>>()
        .join("\n")
    }
}

/// The plan nearest to a model of `wanted` sizes that fits into `room` bytes:
/// of the ones with fewer layers, less width, a shorter context and, last, a
/// smaller vocabulary, the one that keeps most weights and context. `None`
/// where not even the smallest fits.
pub fn nearest(
    wishes: &TrainWishes,
    wanted: &Sizes,
    vocabulary: usize,
    corpus: Option<CorpusSize>,
    room: u64,
) -> Option<Fit> {
    let vocabularies = halvings(vocabulary, 512);
    vocabularies.into_iter().find_map(|tokens| {
        let mut best: Option<(f64, Fit)> = None;
        for width in eighths(wanted.hidden_size).chain([64, 32]).map(|width| width.next_multiple_of(32)) {
            if width > wanted.hidden_size.next_multiple_of(32) {
                continue;
            }
            for layers in eighths(wanted.layers) {
                for context in halvings(wanted.context, 32) {
                    let wishes = TrainWishes {
                        vocabulary: if tokens == vocabulary { wishes.vocabulary } else { Some(tokens) },
                        hidden_size: Some(width),
                        layers: Some(layers),
                        context: Some(context),
                        ..wishes.clone()
                    };
                    let fit = fit(wishes, tokens, corpus, room);
                    let worth = (fit.parameters as f64).ln() + 0.5 * (context as f64).ln();
                    if fit.bytes <= room && best.as_ref().is_none_or(|(most, _)| worth > *most) {
                        best = Some((worth, fit));
                    }
                }
            }
        }
        best.map(|(_, fit)| fit)
    })
}

fn fit(wishes: TrainWishes, vocabulary: usize, corpus: Option<CorpusSize>, room: u64) -> Fit {
    let sizes = plan::sized(plan::LADDER[0], &wishes);
    let learning = Learning::from_nothing(sizes.config(vocabulary));
    let schedule = plan::schedule(&sizes, &wishes, vocabulary, 1, room);
    Fit { bytes: needed(&learning, &schedule, corpus, room), parameters: learning.parameters(), wishes }
}

/// What is said of a recipe that does not fit, and of a lock.
pub(crate) const RECIPE_TOO_LARGE: &str = "memory-too-short";
const LOCK_TOO_LARGE: &str = "memory-lock";

/// Refuses a lock whose training by `ranks` processes does not fit into the
/// memory of each, before anything is done.
///
/// # Errors
/// `memory-lock` with a plan that would fit; `memory-none` where none does.
pub fn check(
    lock: &Lock,
    learning: &Learning<'_>,
    wishes: &TrainWishes,
    room: Room,
    ranks: usize,
    folder: &Path,
) -> Result<()> {
    let share = plan::share(&lock.train, ranks);
    let need = needed(learning, &share, None, room.bytes);
    if need <= room.bytes {
        return Ok(());
    }
    if learning.base.is_some() {
        return Err(too_short_for_base(wishes, learning, need, room));
    }
    let error = too_short(LOCK_TOO_LARGE, wishes, &lock.model, lock.vocabulary, None, need, room);
    Err(error.path(&folder.join(LOCK)).arg("folder", folder.display()))
}

/// The error that `need` bytes are not there, with what would fit.
pub(crate) fn too_short(
    key: &'static str,
    wishes: &TrainWishes,
    wanted: &Sizes,
    vocabulary: usize,
    corpus: Option<CorpusSize>,
    need: u64,
    room: Room,
) -> Error {
    let error = match nearest(wishes, wanted, vocabulary, corpus, room.bytes) {
        Some(fit) => Error::new(key)
            .arg("lines", fit.lines(wishes))
            .arg("fits", words::bytes(fit.bytes))
            .arg("millions", format!("{:.1}", fit.parameters as f64 / 1e6)),
        None => Error::new("memory-none"),
    };
    error.arg("needed", words::bytes(need)).arg("room", words::bytes(room.bytes)).arg("free", words::bytes(room.free))
}

/// The error that teaching a base takes `need` bytes, which are not there,
/// with what would do: fewer tokens at a time, and adapters.
pub(crate) fn too_short_for_base(wishes: &TrainWishes, learning: &Learning<'_>, need: u64, room: Room) -> Error {
    let wished = plan::schedule_for_base(learning, wishes, f64::MAX, 1).sequence_length;
    let fit = halvings(wished, 32).into_iter().find_map(|context| {
        let lora = plan::lora_of(&TrainWishes { method: None, ..wishes.clone() });
        let taught = Learning { architecture: learning.architecture.clone(), lora: Some(lora), ..*learning };
        let wishes = TrainWishes { context: Some(context), ..wishes.clone() };
        let bytes = needed(&taught, &plan::schedule_for_base(&taught, &wishes, f64::MAX, 1), None, room.bytes);
        (bytes <= room.bytes).then_some((context, bytes))
    });
    let error = match fit {
        Some((context, bytes)) => Error::new("memory-base")
            .arg("lines", format!("method = \"lora\"\ncontext = {context}"))
            .arg("fits", words::bytes(bytes)),
        None => Error::new("memory-base-none"),
    };
    error.arg("needed", words::bytes(need)).arg("room", words::bytes(room.bytes)).arg("free", words::bytes(room.free))
}

/// `value` and its eighths, from large to small; the least is 1.
fn eighths(value: usize) -> impl Iterator<Item = usize> {
    (1..=8).rev().map(move |part| (value * part).div_ceil(8))
}

/// `value` and its halves, down to `least`.
fn halvings(value: usize, least: usize) -> Vec<usize> {
    let halves = std::iter::successors(Some(value), |value| Some(value / 2));
    halves.take_while(|&half| half == value || half >= least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Sizes {
        plan::sized((768, 12, 12, 4, 2048), &TrainWishes { context: Some(512), ..TrainWishes::default() })
    }

    #[test]
    fn the_nearest_plan_fits_and_no_larger_one_of_its_kind_does() {
        let wishes = TrainWishes::default();
        for room in [60_000_000, 200_000_000, 800_000_000] {
            let fit = nearest(&wishes, &wanted(), 4096, None, room).unwrap();
            assert!(fit.bytes <= room && fit.bytes > room / 2, "{fit:?} in {room}");
            let lines = fit.lines(&wishes);
            assert!(lines.contains("hidden_size = ") && !lines.contains("vocabulary"), "{lines}");
            let again: TrainWishes = toml::from_str(&lines).unwrap();
            let sizes = plan::sized(plan::LADDER[6], &again);
            let schedule = plan::schedule(&sizes, &again, 4096, 100, room);
            let learning = Learning::from_nothing(sizes.config(4096));
            assert!(needed(&learning, &schedule, None, room) <= room, "what it says can be done");
        }
        let whole = nearest(&wishes, &wanted(), 4096, None, 1 << 40).unwrap();
        assert_eq!(
            (whole.wishes.hidden_size, whole.wishes.layers, whole.wishes.context),
            (Some(768), Some(12), Some(512))
        );
        assert_eq!(nearest(&wishes, &wanted(), 4096, None, 1 << 20), None);
    }

    #[test]
    fn a_vocabulary_that_is_too_large_is_cut_last() {
        let wishes = TrainWishes { vocabulary: Some(262_144), ..TrainWishes::default() };
        let fit = nearest(&wishes, &wanted(), 262_144, None, 120_000_000).unwrap();
        assert!(fit.lines(&wishes).contains("vocabulary = "), "{}", fit.lines(&wishes));
    }

    #[test]
    fn no_more_is_used_than_was_asked_for_or_is_free() {
        let mut machine = Machine::look(std::path::Path::new("."), 1);
        machine.memory_free_bytes = 1_000;
        assert_eq!(Room::of(&machine, None).bytes, 900);
        assert_eq!(Room::of(&machine, Some(500)).bytes, 500);
        assert_eq!(Room::of(&machine, Some(5_000)), Room { bytes: 900, free: 1_000 });
    }
}
