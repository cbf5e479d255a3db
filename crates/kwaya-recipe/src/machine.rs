//! What this machine has and what it can do: processors, memory, disk. Used by
//! the forecast and the report; never by anything that decides bits.

use std::{
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};

use kwaya_base::{Error, Progress, Result, Unit, error::At};
use kwaya_math::{Pool, limits};
use kwaya_train::Precision;
use serde::Serialize;
use sysinfo::{CGroupLimits, Disks, System};

use crate::{bench, memory::Room};

/// The machine as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Threads used.
    pub threads: usize,
    /// Instruction set of the kernels.
    pub instructions: &'static str,
    /// Bytes of memory in all, or of the group of processes that a container
    /// or a batch system holds this one in.
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
        let group = system.as_ref().ok().and_then(System::cgroup_limits);
        let ask = |figure: fn(&System) -> u64, limit: fn(&CGroupLimits) -> u64| {
            let whole = system.as_ref().map_or(0, figure);
            group.as_ref().map_or(whole, |group| whole.min(limit(group)))
        };
        let name = |system: &System| system.cpus().first().map(|c| c.brand().trim().to_owned());
        Self {
            processor: system.as_ref().ok().and_then(name).unwrap_or_default(),
            threads,
            instructions: kwaya_math::isa(),
            memory_bytes: ask(System::total_memory, |group| group.total_memory),
            memory_free_bytes: ask(System::available_memory, |group| group.free_memory),
            disk_free_bytes: disk_free(folder),
        }
    }
}

/// What was measured, and what follows from it.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What there is.
    pub machine: Machine,
    /// Operations a second in f32.
    pub f32: Speeds,
    /// Operations a second where products are of bf16.
    pub bf16: Speeds,
    /// Operations a second in f32 that the processor has on paper: threads by
    /// the frequency that it can reach by what it does in a cycle. `None`
    /// where the system does not tell that frequency.
    pub paper_peak: Option<f64>,
    /// Bytes of memory read a second by one thread, and by all.
    pub bandwidth: [f64; 2],
    /// Bytes a second written to the disk and made safe.
    pub disk_write: f64,
    /// Seconds until a small file is safe on the disk.
    pub disk_sync_seconds: f64,
    /// What can be done in an hour, a night and a week.
    pub abilities: [Ability; 3],
}

/// Floating-point operations a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speeds {
    /// At most: multiply-adds in registers alone.
    pub peak: f64,
    /// Of a large matrix product.
    pub product: f64,
    /// Of a training, 6 for each weight and token.
    pub training: f64,
}

impl Speeds {
    fn measure(pool: &Pool, precision: Precision) -> Result<Self> {
        let peak = limits::peak(pool, precision);
        Ok(Self { peak, product: bench::product(pool, precision), training: bench::training(pool, precision)? })
    }
}

/// What can be done in some time, as an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ability {
    /// The time.
    pub seconds: f64,
    /// Weights of the largest model that can be trained from scratch on
    /// [`TOKENS_PER_WEIGHT`] tokens for each.
    pub train: f64,
    /// Weights of the largest model all of which can be trained further on
    /// [`FINE_TUNING_TOKENS`] tokens.
    pub fine_tune: f64,
    /// Weights of the largest model that writes [`READING_SPEED`] tokens a
    /// second.
    pub serve: f64,
    /// Answers of [`ANSWER_TOKENS`] tokens that it writes in this time.
    pub answers: f64,
}

/// Tokens for each weight that make the best of a training (Hoffmann et al.
/// 2022).
pub const TOKENS_PER_WEIGHT: f64 = 20.0;
/// About 2,000 pages.
pub const FINE_TUNING_TOKENS: f64 = 1e6;
/// Tokens a second, somewhat faster than people read.
pub const READING_SPEED: f64 = 10.0;
/// Tokens of an answer of a few sentences.
pub const ANSWER_TOKENS: f64 = 200.0;

/// Bytes for each weight: itself, its gradient and two averages, and a fourth
/// more for activations.
const TRAINING_BYTES: f64 = 20.0;
const SERVING_BYTES: f64 = 4.0;

impl Measured {
    /// Measures this machine and the disk that holds `folder`: some seconds
    /// of work. What it can do is said for at most `memory` bytes.
    ///
    /// # Errors
    /// When a file cannot be written to `folder`, and `interrupted`.
    pub fn now(folder: &Path, threads: usize, memory: Option<u64>, progress: &dyn Progress) -> Result<Self> {
        let machine = Machine::look(folder, threads);
        let pool = Pool::new(threads);
        let room = Room::of(&machine, memory);
        let memory = usize::try_from(room.bytes / 8).unwrap_or(usize::MAX).clamp(64 << 20, 512 << 20);
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress.at(done);
            if progress.stopped() { Err(Error::new("interrupted")) } else { Ok(()) }
        };
        progress.begin("machine-measure", 4, Unit::Steps);
        let bandwidth = [limits::bandwidth(&Pool::new(1), memory), limits::bandwidth(&pool, memory)];
        step()?;
        let f32 = Speeds::measure(&pool, Precision::F32)?;
        step()?;
        let bf16 = Speeds::measure(&pool, Precision::Bf16)?;
        step()?;
        let (disk_write, disk_sync_seconds) = disk(folder)?;
        step()?;
        progress.end();
        let abilities =
            [1.0, 10.0, 168.0].map(|hours| ability(3600.0 * hours, f32.training, bandwidth[1], room.bytes as f64));
        let paper_peak = frequency_max().and_then(|frequency| paper_peak(f32.peak, threads, frequency));
        Ok(Self { machine, f32, bf16, paper_peak, bandwidth, disk_write, disk_sync_seconds, abilities })
    }
}

/// Cycles a second that the processor can reach, where Linux tells: a virtual
/// machine does not, and the figure of `/proc/cpuinfo` is of another thing.
fn frequency_max() -> Option<f64> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").ok()?;
    Some(1e3 * text.trim().parse::<f64>().ok()?)
}

/// Operations a second on paper. What a thread does in a cycle is not told
/// either, but it is a power of two, and what was measured is not above it and
/// should be more than half of it. `None` where it is not of this kind, as
/// where the system tells a frequency that is not the processor's.
fn paper_peak(measured: f64, threads: usize, frequency: f64) -> Option<f64> {
    let in_a_cycle = measured / (threads as f64 * frequency);
    let whole = [4.0, 8.0, 16.0, 32.0, 64.0, 128.0].into_iter().find(|whole| in_a_cycle <= whole * 1.02)?;
    (in_a_cycle > 0.5 * whole).then_some(whole * frequency * threads as f64)
}

fn ability(seconds: f64, training: f64, bandwidth: f64, memory: f64) -> Ability {
    let work = seconds * training / 6.0;
    Ability {
        seconds,
        train: (work / TOKENS_PER_WEIGHT).sqrt().min(memory / TRAINING_BYTES),
        fine_tune: (work / FINE_TUNING_TOKENS).min(memory / TRAINING_BYTES),
        serve: (bandwidth / READING_SPEED).min(memory) / SERVING_BYTES,
        answers: seconds * READING_SPEED / ANSWER_TOKENS,
    }
}

/// Bytes a second written and made safe in `folder`, and the seconds that a
/// small write takes to be safe, in the median.
fn disk(folder: &Path) -> Result<(f64, f64)> {
    const BYTES: usize = 64 << 20;
    let mut file = tempfile::tempfile_in(folder).at(folder)?;
    // Nothing that a disk could store as less.
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"kwaya machine");
    let mut bytes = vec![0; BYTES];
    hasher.finalize_xof().fill(&mut bytes);
    let start = Instant::now();
    file.write_all(&bytes).and_then(|()| file.sync_all()).at(folder)?;
    let speed = BYTES as f64 / start.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&bytes[..4096])).at(folder)?;
        file.sync_all().at(folder)?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok((speed, times[times.len() / 2].as_secs_f64()))
}

/// Threads to use: what was asked for, or all there are.
pub fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).clamp(1, 1024)
}

/// Free bytes on the file system with the longest mount point above `folder`.
pub(crate) fn disk_free(folder: &Path) -> Option<u64> {
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
    peak_memory_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The memory that this process has now; `None` where the system does not say.
pub(crate) fn resident_memory() -> Option<u64> {
    memory_in(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The peak in what `/proc/PID/status` says of a process.
pub fn peak_memory_in(status: &str) -> Option<u64> {
    memory_in(status, "VmHWM:")
}

fn memory_in(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Forgets the peak so far, so that the next [`peak_memory`] is of one stage
/// alone. Does nothing where the system cannot.
pub fn reset_peak_memory() {
    release_memory();
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Gives memory that was freed in small pieces back to the system, where the
/// C library would keep it for later.
pub fn release_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` may be called at any time, on any thread; it
    // touches no memory that is in use.
    #[expect(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Tells the C library of Linux to take large pieces of memory from the system
/// and to give each back when it is freed. By itself it begins to keep them
/// after the first is freed, and then a stage holds what the one before it
/// used: 90 MB more in the build of 4 MB of text. For programs, at their start.
pub fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` sets a number; it may be called at any time.
    #[expect(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_on_paper_follows_from_frequency_and_measurement() {
        // Two threads of 3.7 GHz with two units of eight lanes.
        assert_eq!(paper_peak(228e9, 2, 3.7e9), Some(236.8e9));
        assert_eq!(paper_peak(236.8e9, 2, 3.7e9), Some(236.8e9));
        assert_eq!(paper_peak(1e15, 2, 3.7e9), None, "no processor does so much");
    }

    #[test]
    fn time_and_memory_bound_what_can_be_done() {
        // 120 GFLOPS, 20 GB/s, 9 GB.
        let hour = ability(3600.0, 1.2e11, 2e10, 9e9);
        assert!((hour.train - 1.897e6).abs() < 1e3, "{hour:?}");
        assert!((hour.fine_tune - 7.2e7).abs() < 1.0, "{hour:?}");
        assert!((hour.serve - 5e8).abs() < 1.0 && hour.answers == 180.0, "{hour:?}");
        let week = ability(604_800.0, 1.2e11, 2e10, 9e8);
        assert!((week.fine_tune - 4.5e7).abs() < 1.0 && (week.serve - 2.25e8).abs() < 1.0, "{week:?}");
    }
}
