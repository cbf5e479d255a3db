//! Progress, a line now and then, with the rate; and what the engine warns of.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use kwaya_base::{Progress, Unit, messages};
use kwaya_recipe::words;

/// Set by Ctrl-C.
pub(crate) static STOPPED: AtomicBool = AtomicBool::new(false);

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Says a line on standard error. That nobody reads it must not end anything.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The phase that is under way.
struct Phase {
    key: &'static str,
    label: String,
    total: u64,
    unit: Unit,
    began: Instant,
    said: Instant,
    done: u64,
}

/// Says on standard error how far the work is.
#[derive(Default)]
pub(crate) struct Lines {
    phase: Mutex<Option<Phase>>,
    /// The seconds that each phase took.
    took: Mutex<BTreeMap<&'static str, f64>>,
}

impl Lines {
    /// The seconds that each phase took.
    pub(crate) fn took(&self) -> BTreeMap<&'static str, f64> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn phase(&self) -> MutexGuard<'_, Option<Phase>> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    fn say(&self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = (self.done as f64 / seconds.max(1e-3)) as u64;
        let count = |number| if self.unit == Unit::Bytes { words::bytes(number) } else { words::count(number) };
        let Self { label, done, total, .. } = self;
        note(&format!("{label}: {} / {}, {}/s, {seconds:.1} s", count(*done), count(*total), count(rate)));
    }
}

impl Progress for Lines {
    fn begin(&self, key: &'static str, total: u64, unit: Unit) {
        let now = Instant::now();
        let phase = Phase { key, label: messages::format(key, &[]), total, unit, began: now, said: now, done: 0 };
        *self.phase() = Some(phase);
    }

    fn at(&self, done: u64) {
        if let Some(phase) = &mut *self.phase() {
            phase.done = done;
            if phase.said.elapsed() >= LINE_EVERY {
                phase.said = Instant::now();
                phase.say();
            }
        }
    }

    fn warn(&self, text: &str) {
        note(text);
    }

    fn end(&self) {
        if let Some(mut phase) = self.phase().take() {
            phase.done = phase.total;
            phase.say();
            let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
            *took.entry(phase.key).or_default() += phase.began.elapsed().as_secs_f64();
        }
    }

    fn stopped(&self) -> bool {
        STOPPED.load(Relaxed)
    }
}

/// What the engine says, where `KWAYA_LOG` asks for it: `error`, `warn`, `info`.
struct Log;

/// Listens to the engine.
pub(crate) fn listen() {
    let level = std::env::var("KWAYA_LOG").ok().and_then(|level| level.parse().ok());
    log::set_max_level(level.unwrap_or(log::LevelFilter::Off));
    // Nobody else has set one.
    let _ = log::set_logger(&Log);
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        note(&format!("{} {}: {}", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}
