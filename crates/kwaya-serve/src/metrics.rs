//! Figures for Prometheus (<https://prometheus.io>), in its text format.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::engine::Figures;

/// Upper bounds of the classes of times, in seconds.
const BOUNDS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// How often something took how long.
#[derive(Default)]
struct Times {
    classes: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Times {
    fn add(&self, time: Duration) {
        let class = BOUNDS.iter().position(|bound| time.as_secs_f64() <= *bound).unwrap_or(BOUNDS.len());
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    fn write(&self, out: &mut String, name: &str, help: &str) {
        head(out, name, "histogram", help);
        let mut count = 0;
        for (class, bound) in self.classes.iter().zip(BOUNDS.map(Some).into_iter().chain([None])) {
            count += class.load(Ordering::Relaxed);
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let sum = self.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {count}");
    }
}

/// What the server counts beside the engine.
#[derive(Default)]
pub(crate) struct Metrics {
    /// By the path as the router knows it, which is one of few, and the status.
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    times: Times,
    first_tokens: Times,
    pub(crate) connections: AtomicU64,
    pub(crate) gone: AtomicU64,
}

impl Metrics {
    pub(crate) fn request(&self, path: &str, status: u16, time: Duration) {
        let mut requests = self.requests.lock().expect("nobody panics holding this");
        *requests.entry((path.to_owned(), status)).or_default() += 1;
        self.times.add(time);
    }

    pub(crate) fn first_token(&self, time: Duration) {
        self.first_tokens.add(time);
    }

    pub(crate) fn text(&self, engine: &Figures) -> String {
        let mut out = String::new();
        head(&mut out, "kwaya_requests_total", "counter", "Requests by path and status.");
        for ((path, status), count) in self.requests.lock().expect("nobody panics holding this").iter() {
            let _ = writeln!(out, "kwaya_requests_total{{path=\"{path}\",status=\"{status}\"}} {count}");
        }
        self.times.write(&mut out, "kwaya_request_seconds", "Time until a request was answered or its stream began.");
        self.first_tokens.write(&mut out, "kwaya_first_token_seconds", "Time until the first token of an answer.");
        let mut one = |name: &str, kind: &str, help: &str, value: &AtomicU64| {
            head(&mut out, name, kind, help);
            let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
        };
        one("kwaya_connections", "gauge", "Connections that are open.", &self.connections);
        one("kwaya_answers_writing", "gauge", "Answers that are being written.", &engine.writing);
        one("kwaya_answers_waiting", "gauge", "Answers that wait for their turn.", &engine.waiting);
        one("kwaya_answers_unwanted_total", "counter", "Answers whose client went away.", &self.gone);
        one("kwaya_steps_total", "counter", "Passes of the model.", &engine.steps);
        one("kwaya_tokens_read_total", "counter", "Tokens that the model read.", &engine.tokens_read);
        one(
            "kwaya_tokens_known_total",
            "counter",
            "Tokens of prompts that need not be read again.",
            &engine.tokens_known,
        );
        one("kwaya_tokens_written_total", "counter", "Tokens that the model wrote.", &engine.tokens_written);
        out
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
