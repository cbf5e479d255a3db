//! The coordinator: lists the documents, writes tickets, and takes what comes back
//! in the order of the listing, so that the build that goes on from there makes the
//! bits that it would make alone.
//!
//! ```text
//! hash     → the listing
//! prepare  → documents, added to what the build has done
//! learn    → what was learned, merged
//! measure  → figures, added to what the build has done
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::future::{join_all, try_join_all};
use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_recipe::{
    build::{Hands, Settings},
    recipe::is_address,
};
use kwaya_text::{
    shares::{self, Gathered, Share},
    sources::{Found, Listing},
};
use serde::Serialize;
use tokio::runtime::Runtime;
use url::Url;

use crate::{
    places::{Fetched, Place},
    queries::{self, Query},
    tickets::{self, Item, Part, Receipt, Task, Ticket},
    work::{self, Hashed},
};

/// The size of a share: some seconds of work, so that little is lost with an
/// executor.
pub(crate) const SHARE_BYTES: u64 = 32 << 20;
/// Files that are hashed with one ticket at most, in bytes and in number.
const HASH_BYTES: u64 = 256 << 20;
const HASH_FILES: usize = 10_000;
/// Tickets that learn: what each of them learned is merged here.
const LEARN_TICKETS: usize = 256;
/// Tickets of one query: each task is told of all.
const QUERY_TICKETS: usize = 500;
/// How often it is looked whether the next ticket is done.
const LOOK: Duration = Duration::from_millis(100);
/// A query that ends without all that it was to do is asked again for the rest.
const ROUNDS: usize = 5;

/// What a stage cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cost {
    /// Tickets that were done.
    pub(crate) tickets: usize,
    /// Seconds from its beginning to its end.
    pub(crate) seconds: f64,
    /// Seconds of executors, one for each of their threads.
    pub(crate) executor_seconds: f64,
    /// Seconds that the coordinator took to take what came back, which no executor
    /// shortens.
    pub(crate) taking_seconds: f64,
    /// Bytes that the executors wrote.
    pub(crate) written_bytes: u64,
}

/// Who does what a ticket says.
pub(crate) enum Crew {
    /// The executors of the scheduler at this address.
    Executors(Url),
    /// So many threads of this process.
    Threads(usize),
}

/// Executors, as hands that help with a corpus.
pub(crate) struct Coordinator {
    folder: PathBuf,
    crew: Crew,
    work: String,
    program: String,
    share_bytes: u64,
    runtime: Runtime,
    costs: Mutex<BTreeMap<&'static str, Cost>>,
}

/// A ticket before it is written: the name of what it makes, and what it is.
type Order = (String, Task);

/// What is below the work place for one corpus.
struct Bench<'a> {
    coordinator: &'a Coordinator,
    place: Place,
    settings: String,
    progress: &'a dyn Progress,
}

impl Coordinator {
    /// One for the recipe in `folder`; what the executors make lies at `work`.
    ///
    /// # Errors
    /// When the scheduler is not there or has no executors.
    pub(crate) fn new(folder: &Path, crew: Crew, work: String, share_bytes: u64) -> Result<Self> {
        if let Crew::Executors(scheduler) = &crew {
            queries::ask(scheduler)?;
        }
        let runtime = Runtime::new().map_err(|error| Error::io(folder, error))?;
        let program = tickets::program()?;
        Ok(Self { folder: folder.to_owned(), crew, work, program, share_bytes, runtime, costs: Mutex::default() })
    }

    /// What each stage cost.
    pub(crate) fn costs(&self) -> BTreeMap<&'static str, Cost> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn bench<'a>(&'a self, settings: &Settings, name: &str, progress: &'a dyn Progress) -> Result<Bench<'a>> {
        let place = Place::open(&format!("{}/{name}", self.work.trim_end_matches('/')))?;
        Ok(Bench { coordinator: self, place, settings: settings.hash(), progress })
    }
}

impl Hands for Coordinator {
    fn list(&self, settings: &Settings, progress: &dyn Progress) -> Result<Listing> {
        let mut found = Found::default();
        for (index, source) in settings.sources.iter().enumerate() {
            match source.path.to_str().filter(|_| is_address(&source.path)) {
                Some(address) => {
                    let place = Place::open(address)?;
                    let listed = place.list()?;
                    let files =
                        listed.into_iter().map(|(name, bytes)| (PathBuf::from(place.address(&name)), name, bytes));
                    found.add(index, files);
                }
                None => found.walk(index, source)?,
            }
        }
        // Of a listing that was broken off nothing is kept: files may have changed.
        let bench = self.bench(settings, &format!("listing-{}", std::process::id()), progress)?;
        let hashed = bench.hash(&found);
        bench.place.clear()?;
        found.list(&settings.sources, hashed?)
    }

    fn help(&self, settings: &Settings, listing: &Listing, unfinished: &Path, progress: &dyn Progress) -> Result<()> {
        let key = format!("{}\n{}\n{}\n{}", self.program, settings.hash(), listing.hash, self.share_bytes);
        let key = blake3::hash(key.as_bytes()).to_hex();
        let bench = self.bench(settings, &key[..16], progress)?;
        let shares = shares::cut(listing, self.share_bytes);
        let mut gathered = Gathered::open(unfinished, &shares)?;
        bench.prepare(&shares, listing, &mut gathered)?;
        if let Some(amounts) = gathered.to_learn(&settings.options)? {
            let parts = || shares.iter().enumerate().map(|(number, share)| part(number, share, listing));
            let knowledge = bench.learn(parts().collect(), &amounts)?;
            let name = "knowledge".to_owned();
            bench.place.put_file(&name, |out| shares::write_knowledge(&knowledge, out))?;
            bench.measure(parts().collect(), &name, &shares, gathered.measured(knowledge)?)?;
        }
        bench.place.clear()
    }
}

fn prepared(number: usize) -> String {
    format!("prepare/{number:06}")
}

fn part(number: usize, share: &Share, listing: &Listing) -> Part {
    let names = listing.files[share.files.clone()].iter().map(|file| file.name.clone());
    Part { file: prepared(number), first: share.files.start, names: names.collect() }
}

impl Bench<'_> {
    fn hash(&self, found: &Found) -> Result<Vec<std::result::Result<(blake3::Hash, u64), String>>> {
        let mut batches: Vec<(Vec<Item>, u64)> = Vec::new();
        for file in &found.files {
            match batches.last_mut() {
                Some((batch, bytes)) if *bytes + file.bytes <= HASH_BYTES && batch.len() < HASH_FILES => {
                    batch.push(Item::of(file));
                    *bytes += file.bytes;
                }
                _ => batches.push((vec![Item::of(file)], file.bytes)),
            }
        }
        let (batches, sizes): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let orders =
            (0..).zip(batches).map(|(number, files): (usize, _)| (format!("hash/{number:06}"), Task::Hash { files }));
        let mut hashed = Vec::with_capacity(found.files.len());
        self.stage("cluster-hash", orders.collect(), &sizes, |_, name| {
            let wrong = || Error::new("cluster-version");
            let batch: Vec<Hashed> = serde_json::from_slice(&self.place.get(name)?).map_err(|_| wrong())?;
            for file in batch {
                hashed.push(match file {
                    Ok((hash, bytes)) => Ok((blake3::Hash::from_hex(hash).map_err(|_| wrong())?, bytes)),
                    Err(cause) => Err(cause),
                });
            }
            Ok(())
        })?;
        Ok(hashed)
    }

    fn prepare(&self, shares: &[Share], listing: &Listing, gathered: &mut Gathered) -> Result<()> {
        let order = |(number, share): (usize, &Share)| {
            let files = listing.files[share.files.clone()].iter().map(Item::of).collect();
            (prepared(number), Task::Prepare { share: share.clone(), files })
        };
        let bytes = |share: &Share| listing.files[share.files.clone()].iter().map(|file| file.bytes).sum::<u64>();
        let sizes: Vec<u64> = shares.iter().map(|share| bytes(share) / share.portions).collect();
        let mut portions = Vec::new();
        let gathering = |number: usize, name: &str| -> Result<()> {
            let share: &Share = &shares[number];
            if share.files.start < gathered.files() {
                return Ok(());
            }
            portions.push(self.place.fetch(name)?);
            if share.portion + 1 < share.portions {
                return Ok(());
            }
            gathered.add(&share.files, &paths(&portions))?;
            portions.clear();
            Ok(())
        };
        self.stage("cluster-prepare", shares.iter().enumerate().map(order).collect(), &sizes, gathering)?;
        gathered.save()
    }

    fn learn(&self, parts: Vec<Part>, amounts: &shares::Amounts) -> Result<kwaya_text::quality::Knowledge> {
        let of_each = parts.len().div_ceil(LEARN_TICKETS).max(1);
        let mut parts = parts.into_iter().peekable();
        let mut orders: Vec<Order> = Vec::new();
        while parts.peek().is_some() {
            let parts = parts.by_ref().take(of_each).collect();
            orders.push((format!("learn/{:06}", orders.len()), Task::Learn { parts, amounts: amounts.clone() }));
        }
        let sizes = vec![1; orders.len()];
        let mut knowledge = kwaya_text::quality::Knowledge::default();
        self.stage("cluster-learn", orders, &sizes, |_, name| {
            knowledge.merge(&shares::read_knowledge(&self.place.fetch(name)?.path)?);
            Ok(())
        })?;
        Ok(knowledge)
    }

    fn measure(
        &self,
        parts: Vec<Part>,
        knowledge: &str,
        shares: &[Share],
        mut measured: shares::Measured<'_>,
    ) -> Result<()> {
        let order = |(number, part): (usize, Part)| {
            (format!("measure/{number:06}"), Task::Measure { part, knowledge: knowledge.to_owned() })
        };
        let orders: Vec<Order> = parts.into_iter().enumerate().map(order).collect();
        let (sizes, mut portions) = (vec![1; orders.len()], Vec::new());
        self.stage("cluster-measure", orders, &sizes, |number, name| {
            portions.push(self.place.fetch(name)?);
            if shares[number].portion + 1 < shares[number].portions {
                return Ok(());
            }
            measured.add(&paths(&portions))?;
            portions.clear();
            Ok(())
        })?;
        measured.finish()
    }

    /// Has all of it done, and calls `take` with the number and the name of each,
    /// in order, as they are done.
    fn stage(
        &self,
        key: &'static str,
        orders: Vec<Order>,
        sizes: &[u64],
        mut take: impl FnMut(usize, &str) -> Result<()>,
    ) -> Result<()> {
        let began = Instant::now();
        let unit = if sizes.iter().all(|size| *size == 1) { Unit::Documents } else { Unit::Bytes };
        self.progress.begin(key, sizes.iter().sum(), unit);
        let names: Vec<String> = orders.iter().map(|(name, _)| name.clone()).collect();
        self.write(orders)?;
        let mut cost = Cost { tickets: names.len(), ..Cost::default() };
        let (mut next, mut done, mut taking) = (0, 0, Duration::ZERO);
        for round in 1.. {
            let before = next;
            let failure = self.round(&names[next..], &mut cost, |index| {
                let began = Instant::now();
                take(before + index, &names[before + index])?;
                taking += began.elapsed();
                done += sizes[next];
                next += 1;
                self.progress.at(done);
                Ok(())
            })?;
            match failure {
                _ if next == names.len() => break,
                // What was lost with an executor may be all that is missing.
                Some(error) if next > before && round < ROUNDS => self.progress.warn(&error.to_string()),
                None if round < ROUNDS => {}
                Some(error) => return Err(error),
                None => return Err(Error::new("cluster-lost").arg("name", self.place.address(&names[next]))),
            }
        }
        (cost.seconds, cost.taking_seconds) = (began.elapsed().as_secs_f64(), taking.as_secs_f64());
        let stage = key.trim_start_matches("cluster-");
        self.coordinator.costs.lock().unwrap_or_else(PoisonError::into_inner).insert(stage, cost);
        self.progress.end();
        Ok(())
    }

    /// Writes the tickets.
    fn write(&self, orders: Vec<Order>) -> Result<()> {
        let Coordinator { program, folder, .. } = self.coordinator;
        for (name, task) in orders {
            let ticket = Ticket {
                program: program.clone(),
                recipe: folder.clone(),
                settings: self.settings.clone(),
                work: self.place.url().to_string(),
                name: name.clone(),
                task,
            };
            let ticket = serde_json::to_string(&ticket).expect("a ticket is plain data");
            self.place.put(&ticket_of(&name), queries::row(&ticket))?;
        }
        Ok(())
    }

    /// Has `names` done, of which some may be, and takes those that are done in
    /// order, until all are or the crew has ended; gives what ended it.
    fn round(&self, names: &[String], cost: &mut Cost, take: impl FnMut(usize) -> Result<()>) -> Result<Option<Error>> {
        let there: BTreeSet<String> = self.place.list()?.into_iter().map(|(name, _)| name).collect();
        let missing = names.iter().filter(|name| !there.contains(*name)).map(|name| ticket_of(name)).collect();
        match &self.coordinator.crew {
            Crew::Executors(scheduler) => self.by_executors(scheduler, names, missing, cost, take),
            Crew::Threads(threads) => self.by_threads(*threads, names, missing, cost, take),
        }
    }

    fn by_threads(
        &self,
        threads: usize,
        names: &[String],
        missing: Vec<String>,
        cost: &mut Cost,
        mut take: impl FnMut(usize) -> Result<()>,
    ) -> Result<Option<Error>> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || -> Result<Vec<Receipt>> {
            let mut receipts = Vec::new();
            while !stop.load(Relaxed)
                && let Some(ticket) = missing.get(next.fetch_add(1, Relaxed))
            {
                let done = self.place.get(ticket).and_then(|row| work::work(&queries::ticket_in(&row)?));
                // What one thread meets, another may as well.
                receipts.push(done.inspect_err(|_| stop.store(true, Relaxed))?);
            }
            Ok(receipts)
        };
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            scope.spawn(move || {
                let joined = workers.into_iter().map(|worker| worker.join());
                let all = joined.map(|all| all.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
                // As below.
                let _ = send.send(all.collect());
            });
            let taken = self.take_all(names, &receive, cost, &mut take);
            stop.store(true, Relaxed);
            taken
        })
    }

    fn by_executors(
        &self,
        scheduler: &Url,
        names: &[String],
        missing: Vec<String>,
        cost: &mut Cost,
        mut take: impl FnMut(usize) -> Result<()>,
    ) -> Result<Option<Error>> {
        let runtime = &self.coordinator.runtime;
        let missing: Vec<String> = missing.iter().map(|ticket| self.place.address(ticket)).collect();
        let plan = |tickets: &[String]| runtime.block_on(Query::plan(scheduler, tickets.to_vec()));
        let queries: Vec<Query> = missing.chunks(QUERY_TICKETS).map(plan).collect::<Result<_>>()?;
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let queries = &queries;
            scope.spawn(move || {
                let all = runtime.block_on(try_join_all(queries.iter().map(Query::run)));
                // Who waits for it may have given up.
                let _ = send.send(all);
            });
            let taken = self.take_all(names, &receive, cost, &mut take);
            if !matches!(taken, Ok(None)) {
                runtime.block_on(join_all(queries.iter().map(Query::cancel)));
            }
            taken
        })
    }

    fn take_all(
        &self,
        names: &[String],
        queries: &mpsc::Receiver<Result<Vec<Vec<Receipt>>>>,
        cost: &mut Cost,
        take: &mut impl FnMut(usize) -> Result<()>,
    ) -> Result<Option<Error>> {
        let (mut next, mut ended) = (0, None);
        while next < names.len() {
            if self.progress.stopped() {
                return Err(Error::new("interrupted"));
            }
            if self.place.holds(&names[next])? {
                take(next)?;
                next += 1;
            } else if let Some(ended) = ended {
                return Ok(ended);
            } else if let Ok(all) = queries.recv_timeout(LOOK) {
                ended = Some(all.map(|all| count(cost, &all)).err());
            }
        }
        // All is there: how the queries end is no matter, but for what they cost.
        if ended.is_none()
            && let Ok(Ok(all)) = queries.recv()
        {
            count(cost, &all);
        }
        Ok(None)
    }
}

fn count(cost: &mut Cost, all: &[Vec<Receipt>]) {
    for receipt in all.iter().flatten() {
        cost.executor_seconds += receipt.seconds;
        cost.written_bytes += receipt.bytes;
    }
}

fn ticket_of(name: &str) -> String {
    format!("tickets/{name}.json")
}

fn paths(fetched: &[Fetched]) -> Vec<PathBuf> {
    fetched.iter().map(|fetched| fetched.path.clone()).collect()
}
