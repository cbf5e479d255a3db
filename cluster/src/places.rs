//! Where documents, tickets and results lie: folders that all machines see, or
//! object stores. Credentials are those of the environment, as the tools of each
//! store read them.
//!
//! What is written appears whole or not at all. What is called from a thread that
//! waits for nothing else: I/O has a runtime of its own.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    future::Future,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
};

use datafusion::{
    common::DataFusionError,
    execution::{
        object_store::ObjectStoreRegistry,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};
use kwaya_base::{Error, Result, error::At};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, path::Path as Key};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt, runtime::Runtime};
use url::Url;

/// What the variables of the environment that stores read begin with.
const VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// Files that are brought at once: a store takes longer to answer than to send a
/// small one.
const AT_ONCE: usize = 16;
/// Files up to this size are written at once, larger ones in parts.
const PART_BYTES: u64 = 16 << 20;

/// Waits for I/O, on whatever thread.
///
/// # Panics
/// When `future` panics.
pub(crate) fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("threads can be started"));
    // A thread of its own may wait, one of a runtime may not.
    thread::scope(|scope| scope.spawn(move || runtime.block_on(future)).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// All stores, each opened once.
#[derive(Debug, Default)]
struct Stores(Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>);

fn stores() -> Arc<Stores> {
    static STORES: OnceLock<Arc<Stores>> = OnceLock::new();
    Arc::clone(STORES.get_or_init(Arc::default))
}

impl Stores {
    /// The store of an address, and the key in it.
    fn open(&self, url: &Url) -> object_store::Result<(Arc<dyn ObjectStore>, Key)> {
        let root = url[..url::Position::BeforePath].to_owned();
        let variables = std::env::vars().filter(|(name, _)| VARIABLES.iter().any(|begin| name.starts_with(begin)));
        let options = variables.map(|(name, value)| (name.to_ascii_lowercase(), value));
        let (store, key) = object_store::parse_url_opts(url, options)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((Arc::clone(known.entry(root).or_insert_with(|| Arc::from(store))), key))
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        let root = url[..url::Position::BeforePath].to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(root, store)
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        let opened = self.open(url).map(|(store, _)| store);
        opened.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))
    }
}

/// What DataFusion reads with, in all processes.
pub(crate) fn runtime() -> datafusion::common::Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new().with_object_store_registry(stores()).build_arc()
}

/// A place that files are put into and taken from by name.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    url: Url,
}

/// A file of this machine, perhaps only for as long as this is kept.
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    _temporary: Option<tempfile::TempPath>,
}

/// An error on a place in a store.
fn failed(at: &str, error: object_store::Error) -> Error {
    let key = match &error {
        object_store::Error::NotFound { .. } => "io-not-found",
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => "io-permission",
        _ => "io-other",
    };
    Error::new(key).arg("path", at).arg("cause", &error).source(error)
}

impl Place {
    /// The place at an address, or the folder at a path of this machine, which is
    /// made if it is not there.
    ///
    /// # Errors
    /// When it is no address, or one of a store that is not known.
    pub(crate) fn open(address: &str) -> Result<Self> {
        let url = match kwaya_recipe::recipe::is_address(Path::new(address)) {
            true => Url::parse(address).map_err(|error| wrong(address, &error))?,
            false => {
                let folder = Path::new(address);
                fs::create_dir_all(folder).at(folder)?;
                let folder = folder.canonicalize().at(folder)?;
                Url::from_directory_path(&folder).map_err(|()| wrong(address, &"no path"))?
            }
        };
        let (store, prefix) = stores().open(&url).map_err(|error| wrong(address, &error))?;
        Ok(Self { store, prefix, url })
    }

    /// The address.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The address of the file called `name`.
    pub(crate) fn address(&self, name: &str) -> String {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(name.split('/'));
        }
        url.to_string()
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// The folder that this is on this machine.
    fn folder(&self) -> Option<PathBuf> {
        (self.url.scheme() == "file").then(|| self.url.to_file_path().ok()).flatten()
    }

    /// Whether there is a file called `name`.
    pub(crate) fn holds(&self, name: &str) -> Result<bool> {
        let (store, key) = (&self.store, self.key(name));
        match wait(async { store.head(&key).await }) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(&self.address(name), error)),
        }
    }

    /// Puts a few bytes.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let (store, key) = (&self.store, self.key(name));
        let put = wait(async { store.put(&key, PutPayload::from(bytes)).await });
        put.map(|_| ()).map_err(|error| failed(&self.address(name), error))
    }

    /// Takes a few bytes.
    pub(crate) fn get(&self, name: &str) -> Result<Vec<u8>> {
        let (store, key) = (&self.store, self.key(name));
        let got = wait(async { store.get(&key).await?.bytes().await });
        got.map(|bytes| bytes.to_vec()).map_err(|error| failed(&self.address(name), error))
    }

    /// Puts what `fill` writes to a file that it is given; gives its size.
    pub(crate) fn put_file(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<u64> {
        let temporary = self.temporary()?;
        fill(&temporary)?;
        let size = fs::metadata(&temporary).at(&temporary)?.len();
        if let Some(folder) = self.folder() {
            let to = folder.join(name);
            let parent = to.parent().unwrap_or(&folder);
            fs::create_dir_all(parent).at(parent)?;
            kwaya_base::files::publish(&temporary, &to)?;
        } else if size <= PART_BYTES {
            self.put(name, fs::read(&temporary).at(&temporary)?)?;
        } else {
            wait(self.put_parts(name, &temporary))?;
        }
        Ok(size)
    }

    async fn put_parts(&self, name: &str, from: &Path) -> Result<()> {
        let broken = |error| failed(&self.address(name), error);
        let upload = self.store.put_multipart(&self.key(name)).await.map_err(broken)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES as usize);
        let mut file = tokio::fs::File::open(from).await.at(from)?;
        let mut buffer = vec![0; PART_BYTES as usize];
        loop {
            let read = tokio::io::AsyncReadExt::read(&mut file, &mut buffer).await.at(from)?;
            if read == 0 {
                break;
            }
            writer.wait_for_capacity(4).await.map_err(broken)?;
            writer.write(&buffer[..read]);
        }
        writer.finish().await.map(|_| ()).map_err(broken)
    }

    /// A file to be filled: of a folder, in it, so that it can be renamed.
    fn temporary(&self) -> Result<tempfile::TempPath> {
        let folder = self.folder().unwrap_or_else(std::env::temp_dir);
        let file = tempfile::Builder::new().prefix(".writing-").suffix(".tmp").tempfile_in(&folder).at(&folder)?;
        Ok(file.into_temp_path())
    }

    /// The file called `name`, on this machine.
    pub(crate) fn fetch(&self, name: &str) -> Result<Fetched> {
        match self.folder() {
            Some(folder) => Ok(Fetched { path: folder.join(name), _temporary: None }),
            None => wait(download(&self.store, &self.key(name))).map_err(|(at, error)| match error {
                Failure::Store(error) => failed(&self.address(name), error),
                Failure::Disk(error) => Error::io(&at, error),
            }),
        }
    }

    /// All files: their names and sizes.
    pub(crate) fn list(&self) -> Result<Vec<(String, u64)>> {
        let listed = wait(self.store.list(Some(&self.prefix)).try_collect::<Vec<_>>());
        let listed = listed.map_err(|error| failed(self.url.as_str(), error))?;
        let named = listed.into_iter().filter_map(|object| {
            let parts: Option<Vec<_>> = object.location.prefix_match(&self.prefix).map(|parts| parts.collect());
            let name = parts?.iter().map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            (!name.is_empty()).then_some((name, object.size))
        });
        Ok(named.collect())
    }

    /// Removes all files.
    pub(crate) fn clear(&self) -> Result<()> {
        if let Some(folder) = self.folder() {
            return fs::remove_dir_all(&folder).at(&folder);
        }
        let keys = self.store.list(Some(&self.prefix)).map_ok(|object| object.location);
        let removed = wait(self.store.delete_stream(Box::pin(keys)).try_collect::<Vec<_>>());
        removed.map(|_| ()).map_err(|error| failed(self.url.as_str(), error))
    }
}

fn wrong(address: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::usage("cluster-address").arg("address", address).arg("cause", cause)
}

enum Failure {
    Store(object_store::Error),
    Disk(std::io::Error),
}

/// Brings an object to this machine.
async fn download(store: &Arc<dyn ObjectStore>, key: &Key) -> Result<Fetched, (PathBuf, Failure)> {
    let folder = std::env::temp_dir();
    let disk = |error| (folder.clone(), Failure::Disk(error));
    let remote = |error| (folder.clone(), Failure::Store(error));
    let temporary = tempfile::Builder::new().prefix("kwaya-").tempfile_in(&folder).map_err(disk)?.into_temp_path();
    let mut stream = store.get(key).await.map_err(remote)?.into_stream();
    let mut file = tokio::fs::File::create(&temporary).await.map_err(disk)?;
    while let Some(bytes) = stream.try_next().await.map_err(remote)? {
        file.write_all(&bytes).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    Ok(Fetched { path: temporary.to_path_buf(), _temporary: Some(temporary) })
}

/// The files at these places, on this machine: for each, why it cannot be had.
pub(crate) fn fetch_all<'s>(spots: impl Iterator<Item = &'s Spot> + Send) -> Vec<Result<Fetched>> {
    wait(stream::iter(spots.map(Spot::fetch)).buffered(AT_ONCE).collect())
}

/// Where a document is, as it travels: names of files need not be text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Spot {
    Text(String),
    Bytes(Vec<u8>),
}

impl Spot {
    pub(crate) fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_bytes().to_vec()),
        }
    }

    async fn fetch(&self) -> Result<Fetched> {
        let path = match self {
            Self::Text(text) if kwaya_recipe::recipe::is_address(Path::new(text)) => {
                let url = Url::parse(text).map_err(|error| wrong(text, &error))?;
                let (store, key) = stores().open(&url).map_err(|error| wrong(text, &error))?;
                return download(&store, &key).await.map_err(|(at, error)| match error {
                    Failure::Store(error) => failed(text, error),
                    Failure::Disk(error) => Error::io(&at, error),
                });
            }
            Self::Text(text) => PathBuf::from(text),
            Self::Bytes(bytes) => PathBuf::from(OsStr::from_bytes(bytes)),
        };
        Ok(Fetched { path, _temporary: None })
    }
}
