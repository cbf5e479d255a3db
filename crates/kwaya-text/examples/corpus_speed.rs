//! How fast a folder of plain text becomes a corpus:
//! `cargo run --release -p kwaya-text --example corpus_speed FOLDER THREADS [LANGUAGE...]`
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Instant;

use kwaya_base::{Error, Result, Silent, error::At};
use kwaya_text::{
    corpus::{self, Options},
    sources::{self, Source},
};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or_else(|| Error::usage("source-missing").arg("path", "FOLDER"))?.into();
    let threads = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let sources = [Source { path, licence: String::new(), language: None, column: None }];
    let start = Instant::now();
    let listing = sources::scan(&sources, u64::MAX, &Silent)?;
    let scanned = start.elapsed().as_secs_f64();
    let temporary = std::env::temp_dir();
    let out = tempfile::tempdir_in(&temporary).at(&temporary)?;
    let options = Options { languages: arguments.collect(), threads, ..Options::default() };
    let start = Instant::now();
    let stats = corpus::build(&listing, &sources, &options, &out.path().join("unfinished"), out.path(), &Silent)?;
    let seconds = start.elapsed().as_secs_f64();
    let megabytes = stats.file_bytes as f64 / 1e6;
    println!("scan {scanned:.2} s, build {seconds:.2} s, {:.1} MB/s\n{stats:#?}", megabytes / seconds);
    // Whatever is made faster, these stay.
    for table in ["documents.parquet", "dropped.parquet"] {
        let path = out.path().join(table);
        println!("{table} {}", blake3::hash(&std::fs::read(&path).at(&path)?));
    }
    Ok(())
}
