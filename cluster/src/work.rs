//! What an executor does: the function that a query calls on each ticket.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use datafusion::{
    arrow::{array::StringArray, datatypes::DataType},
    common::{DataFusionError, cast::as_string_array},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};
use kwaya_base::{Error, Result, error::At};
use kwaya_recipe::build::Settings;
use kwaya_text::{
    extract::Worker,
    quality::Knowledge,
    shares,
    sources::{File, hash_of},
};

use crate::{
    places::{Fetched, Place, fetch_all},
    tickets::{self, Item, Part, Receipt, Task, Ticket},
};

/// The name of the function.
pub(crate) const NAME: &str = "kwaya_work";
/// How long one document may take to be taken apart.
const EXTRACTION_LIMIT: Duration = Duration::from_secs(60);

/// Files that are on this machine at once to be hashed.
const HASH_AT_ONCE: usize = 256;

/// What the hash of a file is said with; an error has a cause instead.
pub(crate) type Hashed = std::result::Result<(String, u64), String>;

/// Takes documents apart: this program, in a process of its own.
///
/// # Errors
/// When the system does not say where the program is.
pub(crate) fn worker() -> Result<Worker> {
    let program = std::env::current_exe().map_err(|error| Error::io(Path::new("kwaya-cluster"), error))?;
    Ok(Worker::Child { program, arguments: vec!["extract-worker".into()], time_limit: EXTRACTION_LIMIT })
}

/// The function, for the registries of all processes.
pub(crate) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Work { signature: Signature::exact(vec![DataType::Utf8], Volatility::Volatile) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Work {
    signature: Signature,
}

impl ScalarUDFImpl for Work {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        let broken = |cause: &str| DataFusionError::Execution(cause.to_owned());
        let rows = args.args.first().ok_or_else(|| broken("no ticket"))?.to_array(args.number_rows)?;
        let done = as_string_array(&rows)?.iter().flatten().map(|ticket| {
            let receipt = work(ticket).map_err(|error| broken(&tickets::wrap(&error)))?;
            Ok(serde_json::to_string(&receipt).expect("a receipt is plain data"))
        });
        let done: Vec<String> = done.collect::<datafusion::common::Result<_>>()?;
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(done))))
    }
}

/// Does what a ticket says, unless that was done.
///
/// # Errors
/// `cluster-version` for a ticket of another program, and what the work brings.
pub(crate) fn work(ticket: &str) -> Result<Receipt> {
    static PROGRAM: LazyLock<Result<String>> = LazyLock::new(tickets::program);
    let began = Instant::now();
    let ticket: Ticket = serde_json::from_str(ticket).map_err(|_| Error::new("cluster-version"))?;
    if PROGRAM.as_ref().ok() != Some(&ticket.program) {
        return Err(Error::new("cluster-version"));
    }
    let place = Place::open(&ticket.work)?;
    if place.holds(&ticket.name)? {
        return Ok(Receipt::default());
    }
    let bytes = place.put_file(&ticket.name, |out| carry_out(&ticket, &place, out))?;
    Ok(Receipt { seconds: began.elapsed().as_secs_f64(), bytes })
}

fn carry_out(ticket: &Ticket, place: &Place, out: &Path) -> Result<()> {
    let settings = settings(ticket)?;
    let options = &settings.options;
    match &ticket.task {
        Task::Hash { files } => {
            let chunks = files.chunks(HASH_AT_ONCE);
            let hashed: Vec<Hashed> = chunks.flat_map(|files| hash(files, options.max_file_bytes)).collect();
            std::fs::write(out, serde_json::to_vec(&hashed).expect("hashes are plain data")).at(out)
        }
        Task::Prepare { share, files } => {
            let fetched = fetch_all(files.iter().map(|file| &file.spot));
            let fetched: Vec<Fetched> = fetched.into_iter().collect::<Result<_>>()?;
            let files = files.iter().zip(&fetched).map(|(file, fetched)| listed(file, &fetched.path));
            shares::prepare(share, &files.collect::<Result<Vec<_>>>()?, &settings.sources, options, out)
        }
        Task::Learn { parts, amounts } => {
            let fetched: Vec<Fetched> = parts.iter().map(|part| place.fetch(&part.file)).collect::<Result<_>>()?;
            let parts: Vec<_> =
                parts.iter().zip(&fetched).map(|(part, fetched)| part_at(part, &fetched.path)).collect();
            let knowledge = shares::learn(&parts, amounts, options)?;
            shares::write_knowledge(&knowledge, out)
        }
        Task::Measure { part, knowledge } => {
            let knowledge = known(place, knowledge)?;
            let fetched = place.fetch(&part.file)?;
            shares::measure(&part_at(part, &fetched.path), &knowledge, options, out)
        }
    }
}

fn hash(files: &[Item], max_file_bytes: u64) -> Vec<Hashed> {
    let fetched = fetch_all(files.iter().map(|file| &file.spot));
    let hashed = files.iter().zip(fetched).map(|(file, fetched)| {
        let fetched = fetched.map_err(|error| error.to_string())?;
        let hashed = hash_of(&fetched.path, &file.name, file.bytes, max_file_bytes);
        hashed.map(|(hash, bytes)| (hash.to_hex().to_string(), bytes)).map_err(|error| error.to_string())
    });
    hashed.collect()
}

fn listed(file: &Item, path: &Path) -> Result<File> {
    let Item { name, source, bytes, hash, .. } = file;
    let hash = blake3::Hash::from_hex(hash).map_err(|_| Error::new("cluster-version"))?;
    Ok(File { path: path.to_owned(), name: name.clone(), source: *source, bytes: *bytes, hash })
}

fn part_at<'a>(part: &'a Part, path: &'a Path) -> shares::Part<'a> {
    shares::Part { path, first: part.first, names: &part.names }
}

/// What the recipe says; read once, and again when it is another one.
fn settings(ticket: &Ticket) -> Result<Arc<Settings>> {
    type Known = BTreeMap<PathBuf, (String, Arc<Settings>)>;
    static KNOWN: Mutex<Known> = Mutex::new(Known::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((hash, settings)) = known.get(&ticket.recipe)
        && *hash == ticket.settings
    {
        return Ok(Arc::clone(settings));
    }
    let settings = Arc::new(Settings::read(&ticket.recipe, 1, worker()?)?);
    let hash = settings.hash();
    if hash != ticket.settings {
        return Err(Error::new("cluster-recipe").path(&ticket.recipe));
    }
    known.insert(ticket.recipe.clone(), (hash, Arc::clone(&settings)));
    Ok(settings)
}

/// What was learned; the last one is kept.
fn known(place: &Place, name: &str) -> Result<Arc<Knowledge>> {
    static KNOWN: Mutex<Option<(String, Arc<Knowledge>)>> = Mutex::new(None);
    let address = place.address(name);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, knowledge)) = &*known
        && *of == address
    {
        return Ok(Arc::clone(knowledge));
    }
    let knowledge = Arc::new(shares::read_knowledge(&place.fetch(name)?.path)?);
    *known = Some((address, Arc::clone(&knowledge)));
    Ok(knowledge)
}
