//! Progress on the terminal: a bar with the time left; a line now and then
//! where there is no terminal.

use std::{
    io::{self, Write},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kwaya_base::{Progress, Unit, messages};

/// Set by Ctrl-C.
pub(crate) static STOPPED: AtomicBool = AtomicBool::new(false);

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Says a line beside the data, on standard error. That nobody reads it must
/// not end a build.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Draws on standard error.
pub(crate) struct Bar {
    bar: Mutex<ProgressBar>,
    line: Mutex<Instant>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        Self { bar: Mutex::new(ProgressBar::hidden()), line: Mutex::new(Instant::now()) }
    }
}

impl Progress for Bar {
    fn begin(&self, key: &'static str, total: u64, unit: Unit) {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
        let count =
            if unit == Unit::Bytes { "{decimal_bytes}/{decimal_total_bytes}" } else { "{human_pos}/{human_len}" };
        let style = format!("{{prefix:<32}} {{wide_bar}} {count} {{msg}} {{eta}}");
        bar.set_style(ProgressStyle::with_template(&style).expect("the template is well formed"));
        let label = messages::format(key, &[]);
        if bar.is_hidden() {
            note(&format!("{label} …"));
        }
        bar.set_prefix(label);
        *self.bar.lock().expect("nobody panics holding this") = bar;
        *self.line.lock().expect("nobody panics holding this") = Instant::now();
    }

    fn at(&self, done: u64) {
        let bar = self.bar.lock().expect("nobody panics holding this");
        bar.set_position(done);
        let mut line = self.line.lock().expect("nobody panics holding this");
        if bar.is_hidden() && line.elapsed() > LINE_EVERY {
            *line = Instant::now();
            let left = kwaya_recipe::words::duration(bar.eta().as_secs_f64());
            note(&format!("  {done}/{} {} {left}", bar.length().unwrap_or(0), bar.message()));
        }
    }

    fn figures(&self, text: &str) {
        self.bar.lock().expect("nobody panics holding this").set_message(text.to_owned());
    }

    fn warn(&self, text: &str) {
        self.bar.lock().expect("nobody panics holding this").suspend(|| note(text));
    }

    fn end(&self) {
        self.bar.lock().expect("nobody panics holding this").finish();
    }

    fn stopped(&self) -> bool {
        STOPPED.load(Ordering::Relaxed)
    }
}
