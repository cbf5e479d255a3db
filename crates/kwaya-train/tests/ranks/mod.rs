//! Several ranks train as one does: here the ranks are threads.

use std::{
    cell::Cell,
    fs,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use kwaya_base::{Progress, Result, Silent};
use kwaya_math::Pool;
use kwaya_model::{Adapters, Frozen, Lora, Model, Source, Target};
use kwaya_train::{Alone, Options, Outcome, Ranks, Schedule, TokenFile, agree, train, train_from, tune};

use crate::{Bench, StopAt, bits, config, corpus, schedule};

/// A rank in a thread; a channel from each to each.
struct Local {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
    sent: Cell<u64>,
    /// Whether a number is wrong in what it is given.
    faulty: Cell<bool>,
}

impl Local {
    fn all(size: usize) -> Vec<Self> {
        let new = |rank| Self { rank, to: Vec::new(), from: Vec::new(), sent: Cell::new(0), faulty: Cell::new(false) };
        let mut all: Vec<Self> = (0..size).map(new).collect();
        for from in 0..size {
            for to in 0..size {
                let (sender, receiver) = channel();
                all[from].to.push(sender);
                all[to].from.push(receiver);
            }
        }
        all
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        self.to[to].send(bytes.to_vec()).expect("the others are there");
        self.sent.set(self.sent.get() + bytes.len() as u64);
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        self.from[from].recv_timeout(Duration::from_secs(60)).expect("the others have sent something")
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn fill(values: &mut [f32], bytes: &[u8]) {
    assert_eq!(size_of_val(values), bytes.len(), "a message is as long as expected");
    for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(4)) {
        *value = f32::from_le_bytes(bytes.try_into().unwrap());
    }
}

impl Ranks for Local {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.to.len()
    }
    fn beside(&self) -> usize {
        self.size()
    }
    fn host(&self) -> String {
        "here".into()
    }
    fn exchange(&self, to: usize, sent: &[f32], from: usize, received: &mut [f32]) {
        self.send(to, &bytes(sent));
        fill(received, &self.receive(from));
    }
    fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        (0..self.size()).for_each(|to| self.send(to, mine));
        (0..self.size()).map(|from| self.receive(from)).collect()
    }
    fn broadcast(&self, values: &mut [f32]) {
        if self.rank == 0 {
            (1..self.size()).for_each(|to| self.send(to, &bytes(values)));
        } else {
            fill(values, &self.receive(0));
            values[0] += if self.faulty.get() { 1e-3 } else { 0.0 };
        }
    }
    fn tell(&self, word: &[u8]) {
        (1..self.size()).for_each(|to| self.send(to, word));
    }
    fn listen(&self) -> Vec<u8> {
        self.receive(0)
    }
    fn sent(&self) -> u64 {
        self.sent.get()
    }
}

/// What each of `size` ranks comes to; `work` is given its ranks.
fn each<T: Send>(size: usize, work: impl Fn(&Local) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = Local::all(size).into_iter().map(|ranks| scope.spawn(move || work(&ranks))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

impl Bench {
    /// Trains on several ranks; what rank 0 has comes first. Only rank 0 may
    /// see the folder of checkpoints.
    fn train_on(
        &self,
        size: usize,
        name: &str,
        schedule: &Schedule,
        watcher: &(dyn Progress + Sync),
    ) -> Vec<Result<Outcome>> {
        each(size, |ranks| {
            let options = Options { checkpoint_every: Duration::ZERO, ranks, ..Options::default() };
            let folder = self.folder(if ranks.rank == 0 { name } else { "nobody" });
            let watcher = if ranks.rank == 0 { watcher } else { &Silent };
            train(&config(), schedule, &self.training, &self.held_out, &folder, &options, &Pool::new(1), watcher)
        })
    }
}

fn curve(outcome: &Outcome) -> Vec<(u64, u32, u32, Option<u32>, u64)> {
    let figures = outcome.log.iter();
    let bits = |e: &kwaya_train::LogEntry| {
        (e.step, e.loss.to_bits(), e.gradient_norm.to_bits(), e.held_out.map(f32::to_bits), e.tokens)
    };
    figures.map(bits).collect()
}

#[test]
fn ranks_change_no_bit() {
    let bench = Bench::new();
    for micro_batches in [1, 3, 4, 5, 7] {
        let schedule = Schedule { steps: 6, micro_batches_per_step: micro_batches, ..schedule() };
        let alone = bench.train(&format!("alone-{micro_batches}"), &schedule, 1, &Silent).unwrap();
        assert_eq!(alone.bytes_per_step, 0);
        for size in [2, 3, 4, 6] {
            let name = format!("{size}-{micro_batches}");
            for outcome in bench.train_on(size, &name, &schedule, &Silent) {
                let outcome = outcome.unwrap();
                assert!(bits(&outcome) == bits(&alone), "{micro_batches} micro-batches on {size} ranks");
                assert_eq!(curve(&outcome), curve(&alone), "every rank has every figure");
            }
        }
    }
    assert!(!bench.folder("nobody").exists(), "rank 0 alone keeps checkpoints");
}

/// All weights of a model that was read, and adapters beside them.
#[test]
fn ranks_that_begin_with_a_model_change_no_bit() {
    let (bench, pool) = (Bench::new(), Pool::new(1));
    let source = bench.saved("base", &Model::random(config(), 8, &pool));
    let lora = Lora { rank: 2, alpha: 4.0, targets: Target::ALL.to_vec(), tokens: None };
    let first = Adapters::random(source.architecture(), lora, 1);
    let (training, held_out) = (&bench.training, &bench.held_out);
    let work = |ranks: &dyn Ranks, name: &str, watcher: &dyn Progress| {
        let options = Options { checkpoint_every: Duration::ZERO, ranks, ..Options::default() };
        let (schedule, pool) = (schedule(), Pool::new(1));
        let folder = |what: &str| bench.folder(&format!("{}-{what}", if ranks.rank() == 0 { name } else { "nobody" }));
        let whole = train_from(&source, &schedule, training, held_out, &folder("whole"), &options, &pool, watcher)
            .map(|o| bits(&o));
        let frozen = Frozen::new(&source, &pool).unwrap();
        let beside = tune(&frozen, &first, &schedule, training, held_out, &folder("beside"), &options, &pool, watcher)
            .map(|o| o.model.weights().iter().map(|w| w.to_bits()).collect());
        [whole, beside]
    };
    let alone: [Vec<u32>; 2] = work(&Alone, "alone", &Silent).map(Result::unwrap);
    for size in [2, 3] {
        let name = format!("{size}");
        for stopped in each(size, |ranks| work(ranks, &name, &StopAt::step(if ranks.rank == 0 { 4 } else { 99 }))) {
            assert!(stopped.into_iter().all(|o| o.err().unwrap().key() == "interrupted"));
        }
        for outcome in each(size, |ranks| work(ranks, &name, &Silent)) {
            assert!(outcome.map(Result::unwrap) == alone, "{size} ranks");
        }
    }
}

#[test]
fn a_rank_that_cannot_read_the_model_is_named_by_all() {
    let bench = Bench::new();
    let good = Model::random(config(), 8, &Pool::new(1));
    let mut broken = Model::random(config(), 8, &Pool::new(1));
    broken.weights_mut()[70] = f32::INFINITY;
    let (same, other) = (bench.saved("good", &good), bench.saved("other", &Model::random(config(), 9, &Pool::new(1))));
    let broken = bench.saved("broken", &broken);
    let work = |ranks: &Local, source: &Source| {
        let (options, folder) = (Options { ranks, ..Options::default() }, bench.folder("a"));
        let (training, held_out) = (&bench.training, &bench.held_out);
        train_from(source, &schedule(), training, held_out, &folder, &options, &Pool::new(1), &Silent)
            .err()
            .unwrap()
            .key()
    };
    let keys = each(3, |ranks| work(ranks, if ranks.rank == 1 { &other } else { &same }));
    assert_eq!(keys, ["ranks-differ"; 3]);
    let keys = each(3, |ranks| work(ranks, &broken));
    assert_eq!(keys, ["model-not-finite"; 3]);
}

#[test]
fn a_training_goes_on_with_another_number_of_ranks() {
    let bench = Bench::new();
    let whole = bench.train("whole", &schedule(), 2, &Silent).unwrap();
    for (stop, sizes) in [(1, [3, 2]), (5, [2, 1]), (8, [1, 4])] {
        let name = format!("stopped-{stop}");
        for outcome in bench.train_on(sizes[0], &name, &schedule(), &StopAt::step(stop)) {
            assert_eq!(outcome.err().unwrap().key(), "interrupted", "all ranks end");
        }
        let resumed = bench.train_on(sizes[1], &name, &schedule(), &Silent);
        for (rank, outcome) in resumed.into_iter().enumerate() {
            let outcome = outcome.unwrap();
            assert_eq!(outcome.resumed_at, (rank == 0).then_some(stop));
            assert!(bits(&outcome) == bits(&whole), "stopped after step {stop}, {sizes:?} ranks");
        }
    }
}

#[test]
fn each_rank_sends_about_twice_the_gradient_however_many_there_are() {
    let bench = Bench::new();
    let gradient = 4 * config().parameters();
    for size in [2, 4, 8] {
        let schedule = Schedule { steps: 3, micro_batches_per_step: 8, evaluate_every: 3, ..schedule() };
        let outcomes = bench.train_on(size, &format!("sent-{size}"), &schedule, &Silent);
        let sent: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().bytes_per_step).collect();
        let expected = 2 * gradient * (size as u64 - 1) / size as u64;
        for sent in sent {
            assert!((expected..expected + expected / 20).contains(&sent), "{sent}, expected {expected}");
        }
    }
}

#[test]
fn ranks_with_different_inputs_are_refused_by_all() {
    let bench = Bench::new();
    let other = corpus(&bench.folder("other.safetensors"), 59, 1);
    let steeper = Schedule { learning_rate: 0.02, ..schedule() };
    let plain = schedule();
    let refused: [(&TokenFile, &TokenFile, &Schedule, &str); 3] = [
        (&other, &bench.held_out, &plain, "file of training text"),
        (&bench.training, &other, &plain, "file of text that is kept out"),
        (&bench.training, &bench.held_out, &steeper, "plan"),
    ];
    for (training, held_out, schedule, what) in refused {
        let errors = each(3, |ranks| {
            let options = Options { ranks, ..Options::default() };
            let (training, held_out, schedule) = if ranks.rank == 1 {
                (training, held_out, schedule)
            } else {
                (&bench.training, &bench.held_out, &plain)
            };
            let folder = bench.folder("refused");
            train(&config(), schedule, training, held_out, &folder, &options, &Pool::new(1), &Silent).err().unwrap()
        });
        for error in errors {
            assert_eq!(error.key(), "ranks-differ");
            let text = error.to_string();
            assert!(text.contains("Process 1 on here") && text.contains(what), "{text}");
        }
    }
    assert!(fs::read_dir(bench.folder("refused")).unwrap().next().is_none(), "no step was made");
}

/// A file that is open in one version and mapped in another, a full disk:
/// whatever one rank cannot do, all must hear of.
#[test]
fn the_error_of_one_rank_is_told_to_all() {
    let results = each(3, |ranks| {
        let mine = if ranks.rank == 2 { Err(kwaya_base::Error::new("train-nothing")) } else { Ok(()) };
        agree(ranks, mine, &[("version", "1".into())]).unwrap_err()
    });
    assert_eq!(
        results.iter().map(|error| error.key()).collect::<Vec<_>>(),
        ["rank-failed", "rank-failed", "train-nothing"]
    );
    assert!(results[0].to_string().contains("Process 2 on here"), "{}", results[0]);
    // A difference says more than what follows from it.
    let results = each(2, |ranks| {
        let mine = if ranks.rank == 1 { Err(kwaya_base::Error::new("train-nothing")) } else { Ok(()) };
        agree(ranks, mine, &[("version", ranks.rank.to_string())]).unwrap_err()
    });
    assert_eq!(results[0].key(), "ranks-differ");
}

/// A memory or a processor that is not sound, or a program that computes in
/// another way.
#[test]
fn a_rank_that_computes_something_else_is_refused_before_the_first_step() {
    let bench = Bench::new();
    bench.train("faulty", &schedule(), 1, &StopAt::step(2)).err().unwrap();
    let before = bench.checkpoints("faulty");
    let errors = each(3, |ranks| {
        ranks.faulty.set(ranks.rank == 2);
        let options = Options { checkpoint_every: Duration::ZERO, ranks, ..Options::default() };
        let (folder, pool) = (bench.folder("faulty"), Pool::new(1));
        train(&config(), &schedule(), &bench.training, &bench.held_out, &folder, &options, &pool, &Silent)
            .err()
            .unwrap()
            .to_string()
    });
    for error in errors {
        assert!(error.contains("Process 2 on here has another result of the same computation"), "{error}");
    }
    assert_eq!(bench.checkpoints("faulty"), before, "no step was made");
}

#[test]
fn a_checkpoint_that_cannot_be_written_ends_all_ranks() {
    let bench = Bench::new();
    // The folder goes away under the training.
    struct Vandal<'a>(&'a Bench);
    impl Progress for Vandal<'_> {
        fn begin(&self, _: &'static str, _: u64, _: kwaya_base::Unit) {}
        fn at(&self, done: u64) {
            if done == 2 {
                fs::remove_dir_all(self.0.folder("lost")).unwrap();
            }
        }
    }
    let keys: Vec<_> =
        bench.train_on(3, "lost", &schedule(), &Vandal(&bench)).into_iter().map(|o| o.err().unwrap().key()).collect();
    assert_eq!(keys, ["io-not-found", "interrupted", "interrupted"]);
}

#[test]
fn a_breakdown_is_the_same_error_on_all_ranks() {
    let bench = Bench::new();
    let wild = Schedule { learning_rate: 1e3, weight_decay: 1e3, warmup_steps: 0, ..schedule() };
    for outcome in bench.train_on(3, "wild", &wild, &Silent) {
        assert_eq!(outcome.err().unwrap().key(), "train-not-finite");
    }
}
