//! What this machine has: processors, memory, disk. Used by the forecast and
//! the report; never by anything that decides bits.

use std::path::Path;

use serde::Serialize;
use sysinfo::{Disks, System};

/// The machine as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Threads used.
    pub threads: usize,
    /// Instruction set of the kernels.
    pub instructions: &'static str,
    /// Bytes of memory in all.
    pub memory_bytes: u64,
    /// Bytes of memory that a new program can have.
    pub memory_free_bytes: u64,
    /// Bytes free on the disk of the build folder, when known.
    pub disk_free_bytes: Option<u64>,
}

impl Machine {
    /// Looks at the machine and at the disk that holds `folder`.
    pub fn look(folder: &Path, threads: usize) -> Self {
        // Where the system does not say, the figures are 0 and the forecast
        // is told so by the memory that is free.
        let system = System::new().map(|mut system| {
            system.refresh_memory();
            system.refresh_cpu_all();
            system
        });
        let ask = |figure: fn(&System) -> u64| system.as_ref().map_or(0, figure);
        let name = |system: &System| system.cpus().first().map(|c| c.brand().trim().to_owned());
        Self {
            processor: system.as_ref().ok().and_then(name).unwrap_or_default(),
            threads,
            instructions: kwaya_math::isa(),
            memory_bytes: ask(System::total_memory),
            memory_free_bytes: ask(System::available_memory),
            disk_free_bytes: disk_free(folder),
        }
    }
}

/// Threads to use: what was asked for, or all there are.
pub fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).clamp(1, 1024)
}

/// Free bytes on the file system with the longest mount point above `folder`.
fn disk_free(folder: &Path) -> Option<u64> {
    let folder = folder.canonicalize().ok()?;
    Disks::new_with_refreshed_list()
        .ok()?
        .iter()
        .filter(|disk| folder.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map(sysinfo::Disk::available_space)
}

/// Bytes of all files under `folder`, a file with several names counted once.
pub fn folder_bytes(folder: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut folders = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else if seen.insert(identity(&entry.path(), &meta)) {
                bytes += meta.len();
            }
        }
    }
    bytes
}

#[cfg(unix)]
fn identity(_: &Path, meta: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &std::fs::Metadata) -> std::path::PathBuf {
    path.to_owned()
}

/// The most memory this process has had, in bytes; `None` where the system
/// does not say.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Forgets the peak so far, so that the next [`peak_memory`] is of one build
/// alone. Does nothing where the system cannot.
pub fn reset_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
