//! How fast files that hold many documents become a corpus, and in how much
//! memory: `cargo run --release -p kwaya-text --example containers_speed LINES MEGABYTES [THREADS]`
//!
//! LINES is a file of text. Documents of about 2 KB are drawn from its lines,
//! by a fixed seed, until they have MEGABYTES, and the same documents are
//! written as a folder of files and as one file of each kind. Each is then
//! read by a process of its own, twice: for its texts alone (from memory, on
//! one thread), and for the whole corpus. MB are 10^6 bytes of text; memory is
//! the peak of the process that builds, not of the ones that parse for it.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use kwaya_base::{Error, Result, Silent, error::At};
use kwaya_text::{
    corpus::{self, Options},
    extract::{Worker, texts, worker_main},
    sources::{self, Source},
};

const DOCUMENT_BYTES: usize = 2000;
/// Documents of each folder.
const FOLDER: usize = 1000;

fn documents(lines: &[&str], bytes: usize) -> Vec<String> {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let (mut documents, mut sum) = (Vec::new(), 0);
    while sum < bytes {
        let mut text = String::new();
        while text.len() < DOCUMENT_BYTES {
            text.push_str(lines[random() % lines.len()]);
            text.push('\n');
        }
        sum += text.len();
        documents.push(text);
    }
    documents
}

fn name(index: usize) -> String {
    format!("{:04}/{index:07}.txt", index / FOLDER)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn tar(out: impl Write, documents: &[String]) -> io::Result<()> {
    let mut tar = tar::Builder::new(out);
    for (index, text) in documents.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name(index), text.as_bytes())?;
    }
    tar.into_inner()?.flush()
}

fn warc(mut out: impl Write, documents: &[String]) -> io::Result<()> {
    let menu = "<nav><ul><li><a href=/>Nyumbani</a><li><a href=/habari>Habari</a></ul></nav>";
    for (index, text) in documents.iter().enumerate() {
        let text = escaped(text).trim_end().replace('\n', "</p>\n<p>");
        let page = format!(
            "<!doctype html><html><head><title>Habari {index}</title></head><body>{menu}<article><p>{text}</p></article><footer>x</footer></body></html>"
        );
        let http = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        );
        let record = format!(
            "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.org/{index}\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: {}\r\n\r\n{http}\r\n\r\n",
            http.len()
        );
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(record.as_bytes())?;
        out.write_all(&packed.finish()?)?;
    }
    out.flush()
}

fn wiki(mut out: impl Write, documents: &[String]) -> io::Result<()> {
    writeln!(out, "<mediawiki version=\"0.11\">\n<siteinfo>\n</siteinfo>")?;
    for (index, text) in documents.iter().enumerate() {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let text = escaped(&format!(
            "{{{{Kigezo|a={index}}}}}'''{first}''' [[Zao|mazao]]<ref>Kitabu</ref> {rest}\n== Tazama ==\n"
        ));
        writeln!(
            out,
            "  <page>\n    <title>Makala {index}</title>\n    <ns>0</ns>\n    <revision>\n      <model>wikitext</model>\n      <text xml:space=\"preserve\">{text}</text>\n    </revision>\n  </page>"
        )?;
    }
    writeln!(out, "</mediawiki>")?;
    out.flush()
}

fn zip(out: File, documents: &[String]) -> io::Result<()> {
    let mut zip = zip::ZipWriter::new(BufWriter::new(out));
    for (index, text) in documents.iter().enumerate() {
        zip.start_file(name(index), zip::write::SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish()?.flush()
}

fn parquet(out: File, documents: &[String]) -> std::result::Result<(), parquet::errors::ParquetError> {
    use parquet::{
        basic::Compression,
        data_type::{ByteArray, ByteArrayType},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    let schema = parse_message_type("message a { required binary text (STRING); }")?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(out, schema.into(), properties.into())?;
    for documents in documents.chunks(10_000) {
        let texts: Vec<_> = documents.iter().map(|text| ByteArray::from(text.as_str())).collect();
        let mut group = file.next_row_group()?;
        if let Some(mut column) = group.next_column()? {
            column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
            column.close()?;
        }
        group.close()?;
    }
    file.close().map(drop)
}

/// Writes the documents in every way, each a folder or a file.
fn write(folder: &Path, documents: &[String]) -> Result<Vec<PathBuf>> {
    let path = |name: &str| folder.join(name);
    let create = |name: &str| File::create(path(name)).at(&path(name));
    let files = path("files");
    for (index, text) in documents.iter().enumerate() {
        let file = files.join(name(index));
        if index.is_multiple_of(FOLDER) {
            fs::create_dir_all(file.parent().unwrap_or(&files)).at(&file)?;
        }
        fs::write(&file, text).at(&file)?;
    }
    let json = |text: &String| serde_json::json!({ "text": text }).to_string();
    let mut lines = BufWriter::new(create("a.jsonl")?);
    let mut rows = BufWriter::new(create("a.csv")?);
    writeln!(rows, "id,text").at(folder)?;
    for (index, text) in documents.iter().enumerate() {
        writeln!(lines, "{}", json(text)).at(folder)?;
        writeln!(rows, "{index},\"{}\"", text.replace('"', "\"\"")).at(folder)?;
    }
    lines.flush().and_then(|()| rows.flush()).at(folder)?;
    tar(BufWriter::new(create("a.tar")?), documents).at(folder)?;
    let mut packed = zstd::Encoder::new(create("a.tar.zst")?, 3).at(folder)?;
    tar(&mut packed, documents).and_then(|()| packed.finish().map(drop)).at(folder)?;
    zip(create("a.zip")?, documents).at(folder)?;
    warc(BufWriter::new(create("a.warc.gz")?), documents).at(folder)?;
    wiki(BufWriter::new(create("a.xml")?), documents).at(folder)?;
    let mut packed = bzip2::write::BzEncoder::new(create("b.xml.bz2")?, bzip2::Compression::default());
    wiki(&mut packed, documents).and_then(|()| packed.finish().map(drop)).at(folder)?;
    parquet(create("a.parquet")?, documents).map_err(io::Error::other).at(folder)?;
    let mut mail = BufWriter::new(create("a.mbox")?);
    for text in documents {
        writeln!(mail, "From a@x.org Mon Mar  3 10:00:00 2025\nFrom: A <a@x.org>\nContent-Type: text/plain; charset=utf-8\n\n{text}\n").at(folder)?;
    }
    mail.flush().at(folder)?;
    let names = [
        "files",
        "a.jsonl",
        "a.csv",
        "a.parquet",
        "a.tar",
        "a.tar.zst",
        "a.zip",
        "a.xml",
        "b.xml.bz2",
        "a.warc.gz",
        "a.mbox",
    ];
    Ok(names.iter().map(|name| path(name)).collect())
}

/// Seconds of processor that this process and those it has ended have taken.
/// Beside other work they say more than the time on the wall.
fn processor() -> f64 {
    let status = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = status.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// The most memory this process has had, in megabytes.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0) * 1024.0 / 1e6
}

fn worker() -> Result<Worker> {
    let program = std::env::current_exe().at(Path::new("containers_speed"))?;
    Ok(Worker::Child { program, arguments: vec!["worker".into()], time_limit: Duration::from_secs(60) })
}

fn read(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let bytes = fs::read(path).at(path)?;
    let (mut count, mut length) = (0_u64, 0_usize);
    let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let (start, before) = (Instant::now(), processor());
    texts(&name, &bytes, 64 << 20, &worker()?, &mut |_, text| {
        count += u64::from(text.is_ok());
        length += text.map_or(0, str::len);
    })?;
    let megabytes = length as f64 / 1e6;
    let (wall, taken) = (start.elapsed().as_secs_f64(), processor() - before);
    println!(
        "  texts alone: {count} documents, {megabytes:.1} MB, {wall:.2} s, {taken:.2} s of processor, {:.0} MB/s of it",
        megabytes / taken
    );
    Ok(())
}

fn build(path: &Path, threads: usize) -> Result<()> {
    let sources = [Source { path: path.to_owned(), licence: String::new(), language: None, column: None }];
    let start = Instant::now();
    let listing = sources::scan(&sources, 64 << 20, &Silent)?;
    let scan = start.elapsed().as_secs_f64();
    let temporary = std::env::temp_dir();
    let out = tempfile::tempdir_in(&temporary).at(&temporary)?;
    let options = Options { threads, near_duplicate: 2.0, worker: worker()?, ..Options::default() };
    let (start, before) = (Instant::now(), processor());
    let stats = corpus::build(&listing, &sources, &options, &out.path().join("unfinished"), out.path(), &Silent)?;
    let (wall, taken, megabytes) = (start.elapsed().as_secs_f64(), processor() - before, stats.bytes as f64 / 1e6);
    let (documents, rate) = (stats.documents, megabytes / taken);
    println!(
        "  corpus: {documents} documents, {megabytes:.1} MB, scan {scan:.2} s, build {wall:.2} s, {taken:.2} s of processor, {rate:.1} MB/s of it, peak {:.0} MB; dropped {:?}",
        peak(),
        stats.dropped
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
    let number = |index: usize, or: usize| argument(index).parse().unwrap_or(or);
    match argument(0) {
        "worker" => return worker_main(io::stdin().lock(), io::stdout().lock()),
        "read" => return read(Path::new(argument(1))),
        "build" => return build(Path::new(argument(1)), number(2, 1)),
        "" => return Err(Error::usage("source-missing").arg("path", "LINES")),
        _ => {}
    }
    let lines = Path::new(argument(0));
    let text = fs::read_to_string(lines).at(lines)?;
    let lines: Vec<&str> = text.lines().filter(|line| line.len() > 20).collect();
    let temporary = std::env::temp_dir();
    let folder = tempfile::tempdir_in(&temporary).at(&temporary)?;
    let documents = documents(&lines, number(1, 100) * 1_000_000);
    let program = std::env::current_exe().at(folder.path())?;
    for path in write(folder.path(), &documents)? {
        let size = if path.is_dir() { 0 } else { fs::metadata(&path).at(&path)?.len() };
        println!("{} ({:.1} MB)", path.file_name().unwrap_or_default().display(), size as f64 / 1e6);
        for mode in ["read", "build"] {
            let done = Command::new(&program).arg(mode).arg(&path).arg(number(2, 1).to_string()).status();
            if !done.at(&path)?.success() {
                println!("  {mode} failed");
            }
        }
    }
    Ok(())
}
