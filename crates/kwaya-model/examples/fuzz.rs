//! Reads damaged GGUF files for some seconds. A panic, or more memory than the
//! file justifies, ends it, and the file stays for a look.
//!
//!     TMPDIR=/dev/shm cargo run --release -p kwaya-model --example fuzz -- SECONDS [SEED]

#[path = "../tests/damage/mod.rs"]
mod damage;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use kwaya_math::philox::Stream;

/// Bytes of memory for each byte of the file: numbers of 8 bits become 64, and
/// lists grow by doubling.
const BYTES_PER_BYTE: usize = 16;
/// And for the program's own paths, messages and buffers.
const BYTES_MORE: usize = 1 << 16;

/// The system's allocator, which notes the most that was in use at a time.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's, unchanged.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(clippy::print_stdout, reason = "a program, not a library")]
fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a whole number"));
    let seconds = arguments.next().expect("how many seconds");
    let seed = arguments.next().unwrap_or(1);

    let folder = tempfile::tempdir().expect("a folder for the files");
    let path = folder.path().join("damaged.gguf");
    let seeds = damage::seeds(folder.path());
    // Weights are read into a buffer that does not count.
    let mut buffer = Vec::with_capacity(1 << 18);
    let (mut read, mut most) = (0u64, 0.0f64);
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    let mut case = 0;
    while start.elapsed() < limit {
        let bytes = damage::damaged(&seeds, &mut Stream::new(seed, 1, case));
        fs::write(&path, &bytes).expect("room for a small file");

        let before = NOW.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| damage::read_all(&path, &mut buffer).is_ok()));
        let taken = MOST.load(Ordering::Relaxed) - before;
        if result.is_err() || taken > BYTES_PER_BYTE * bytes.len() + BYTES_MORE {
            let kept = folder.keep().join("damaged.gguf");
            panic!("case {case} of seed {seed} took {taken} bytes of memory; the file is {}", kept.display());
        }
        read += u64::from(result.unwrap_or_default());
        most = most.max(taken as f64 / bytes.len().max(1 << 10) as f64);
        case += 1;
    }
    println!(
        "{case} inputs, {read} of them read, none failed; at most {most:.1} bytes of memory for a byte of the file"
    );
}
