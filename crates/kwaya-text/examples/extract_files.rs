//! The text of files as Kwaya reads them, and how long that takes. The scripts
//! `benches/peers/main_text.py` and `benches/peers/pdf_text.py` compare it with peers.
//!
//! `cargo run --release -p kwaya-text --example extract_files -- FILE... > texts.jsonl`
//!
//! For each file a line of JSON: `name`, `seconds`, and `text` or `refused`.
//! With `--ocr swa+eng` pictures are read, too.

use std::{env, fs, io::Write, path::Path, time::Instant};

use kwaya_text::extract::{self, Worker, ocr::Ocr};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let mut ocr = None;
    if arguments.first().is_some_and(|first| first == "--ocr") {
        let languages: Vec<String> =
            arguments.get(1).ok_or("which languages?")?.split('+').map(str::to_owned).collect();
        ocr = Some(Ocr::find(&languages).map_err(|error| error.to_string())?);
        arguments.drain(..2);
    }
    let mut out = std::io::stdout().lock();
    for name in arguments {
        let bytes = fs::read(Path::new(&name))?;
        let started = Instant::now();
        let read = extract::text(&name, &bytes, &Worker::InProcess, ocr.as_ref()).map_err(|error| error.to_string())?;
        let seconds = started.elapsed().as_secs_f64();
        let line = match read {
            Ok(text) => serde_json::json!({ "name": name, "seconds": seconds, "text": text }),
            Err((reason, detail)) => {
                serde_json::json!({ "name": name, "seconds": seconds, "refused": format!("{reason}: {detail}") })
            }
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}
