//! Looks for a file that makes an extractor panic, hang or take too much:
//! `cargo run --release -p kwaya-text --example fuzz_extract SECONDS [SEED] [FOLDER]`
//!
//! The seeds are files of every format, made here or taken from FOLDER (or
//! the example of the repository); each input is one of them with bytes
//! changed, parts moved, cut or doubled, packed once more, or under another
//! name. All runs in this process. Panics are listed by their place in the
//! source, even where they are caught; so are files that take more than ten
//! seconds. The first input of each is left in the folder for temporary files.
//! It is a failure where the place is in this repository: the panics of
//! libraries are caught, and in a build they are those of the child process.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write},
    panic,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kwaya_base::{Result, error::At};
use kwaya_text::extract::{Worker, texts};

const SLOW: Duration = Duration::from_secs(10);
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What formats are made of.
const ODD: &[u8] = b"\0\xff\x7f\x80\"'<>[]{}|\r\n=&;,:-";

static PANICS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("memory can be written to")
}

fn bzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("memory can be written to")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory can be written to")
}

fn zipped(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in [name, "pili.txt"] {
        let written = zip.start_file(name, options).map(|()| zip.write_all(bytes));
        written.expect("memory can be written to").expect("memory can be written to");
    }
    zip.finish().expect("memory can be written to").into_inner()
}

fn tarred(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in [name, &"mahindi/".repeat(40)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("{name}x.txt"), bytes).expect("memory can be written to");
    }
    tar.into_inner().expect("memory can be written to")
}

/// Files of the formats that are made of text.
fn written() -> Vec<(String, Vec<u8>)> {
    let text = "Mahindi ni zao la \"chakula\", hulimwa &amp; huvunwa. ".repeat(20);
    let http = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n<html><body><article><p>{text}</p></article></body></html>\r\n0\r\n\r\n",
        text.len() + 58
    );
    let warc = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.org/\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: {}\r\n\r\n{http}\r\n\r\n",
        http.len()
    );
    let markup = format!(
        "'''Mahindi''' ni [[zao|mazao]]<ref>{text}</ref> {{{{Kigezo|a={{{{b}}}}}}}}\n{{| class=x\n|-\n| a\n|}}\n[[Faili:a.jpg|thumb|[[b]]]]\n== Kilimo ==\n* {text}\n[http://x.org tovuti] &nbsp; <nowiki>[[</nowiki> <!-- a -->"
    );
    let markup = markup.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let page = format!(
        "  <page>\n    <title>Mahindi &amp; maji</title>\n    <ns>0</ns>\n    <revision><model>wikitext</model><text xml:space=\"preserve\">{markup}</text></revision>\n  </page>\n"
    );
    let wiki = format!(
        "<mediawiki version=\"0.11\">\n<siteinfo>\n<namespace key=\"6\" case=\"first-letter\">Faili</namespace>\n</siteinfo>\n{page}{page}</mediawiki>\n"
    );
    let mail = format!(
        "From a@x.org Mon Mar  3 10:00:00 2025\nFrom: A <a@x.org>\nSubject: =?utf-8?B?SGFiYXJp?=\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n{text}=E9\nOn Monday A wrote:\n> {text}\n-- \nA\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\n{text}\n--b--\n\n"
    );
    let named = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    let utf16 = format!("\u{feff}id\ttext\n1\t{text}🌽\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        named("a.txt", text.clone()),
        named("a.md", format!("# Kichwa\n\n* {text}\n\n| a | b |\n|---|---|\n| {text} | c |\n")),
        named("a.html", format!("<!doctype html><title>T</title><body><nav>x</nav><article><p>{text}<table><tr><td>{text}</table></article>")),
        named("a.jsonl", format!("{{\"text\": {text:?}}}\n{{\"messages\": [{{\"role\": \"user\", \"content\": \"?\"}}, {{\"role\": \"assistant\", \"content\": {text:?}}}]}}\n").repeat(3)),
        named("a.csv", format!("id,text\n1,\"{}\"\n2,b\n", text.replace('"', "\"\"")).repeat(3)),
        ("a.tsv".to_owned(), utf16),
        named("a.warc", warc.repeat(2)),
        named("a.xml", wiki),
        named("a.mbox", mail.repeat(2)),
        named("a.eml", mail.split_once('\n').map_or(String::new(), |(_, mail)| mail.to_owned())),
    ]
}

/// A table in Parquet with a column of texts and one of numbers.
fn table() -> Vec<u8> {
    use parquet::{
        basic::{Compression, ZstdLevel},
        data_type::{ByteArray, ByteArrayType, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    let write = |codec| -> std::result::Result<Vec<u8>, parquet::errors::ParquetError> {
        let schema = parse_message_type("message a { required int64 id; optional binary text (STRING); }")?;
        let properties = WriterProperties::builder().set_compression(codec).build();
        let mut file = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into())?;
        for _ in 0..2 {
            let mut group = file.next_row_group()?;
            if let Some(mut column) = group.next_column()? {
                column.typed::<Int64Type>().write_batch(&[1, 2, 3], None, None)?;
                column.close()?;
            }
            if let Some(mut column) = group.next_column()? {
                let texts = ["Mahindi ni zao.", "Maji ni uhai."].map(ByteArray::from);
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&[1, 0, 1]), None)?;
                column.close()?;
            }
            group.close()?;
        }
        file.into_inner()
    };
    let codec = ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD);
    write(codec).expect("memory can be written to")
}

fn seeds(folder: PathBuf) -> Result<Vec<(String, Vec<u8>)>> {
    let mut seeds = written();
    seeds.push(("a.parquet".to_owned(), table()));
    let packed: Vec<_> = seeds
        .iter()
        .flat_map(|(name, bytes)| {
            [
                (format!("{name}.gz"), gzipped(bytes)),
                (format!("{name}.bz2"), bzipped(bytes)),
                (format!("{name}.zst"), zstd(bytes)),
                (format!("{name}.zip"), zipped(name, bytes)),
                (format!("{name}.tar"), tarred(name, bytes)),
                (format!("{name}.tar.gz"), gzipped(&tarred(name, bytes))),
            ]
        })
        .collect();
    seeds.extend(packed);
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.metadata().at(&path)?.len() < FILE_BYTES_MAX {
                let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
                seeds.push((name, fs::read(&path).at(&path)?));
            }
        }
    }
    seeds.sort();
    Ok(seeds)
}

/// An input made from a seed.
fn mutated(seeds: &[(String, Vec<u8>)], random: &mut Random) -> (String, Vec<u8>) {
    let (mut name, mut bytes) = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(4) {
        let length = bytes.len();
        if length == 0 {
            break;
        }
        match random.below(9) {
            0 => bytes.truncate(random.below(length)),
            1 => (0..1 + random.below(30)).for_each(|_| bytes[random.below(length)] = random.below(256) as u8),
            2 => (0..1 + random.below(5)).for_each(|_| {
                let at = random.below(length);
                bytes[at] = ODD[random.below(ODD.len())];
            }),
            3 => {
                let (from, to) = (random.below(length), random.below(length));
                let size = random.below(300).min(length - from.max(to));
                bytes.copy_within(from..from + size, to);
            }
            4 => {
                let from = random.below(length);
                let part = bytes[from..(from + random.below(200)).min(length)].to_vec();
                let times = 1 + random.below(if part.len() < 8 { 5000 } else { 50 });
                let at = random.below(length);
                bytes.splice(at..at, part.repeat(times));
            }
            5 => {
                let from = random.below(length);
                bytes.drain(from..(from + random.below(200)).min(length));
            }
            6 => {
                // A number of two, four or eight bytes, large.
                let at = random.below(length);
                let end = (at + [2, 4, 8][random.below(3)]).min(length);
                bytes[at..end].fill([0xff, 0x7f, 0][random.below(3)]);
            }
            7 => {
                let (other, tail) = &seeds[random.below(seeds.len())];
                bytes.extend_from_slice(&tail[random.below(tail.len())..]);
                if random.below(4) == 0 {
                    name.clone_from(other);
                }
            }
            _ => match random.below(4) {
                0 => bytes = gzipped(&bytes),
                1 => bytes = zipped(&name, &bytes),
                2 => bytes = zstd(&bytes),
                _ => bytes = tarred(&name, &bytes),
            },
        }
    }
    (name, bytes)
}

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(60);
    let seed = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/maize/documents");
    let seeds = seeds(arguments.next().map_or(example, PathBuf::from))?;
    panic::set_hook(Box::new(|info| {
        // Where, and not what: the words may be those of the input.
        let place = info.location().map_or(String::new(), ToString::to_string);
        *PANICS.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default() += 1;
    }));
    let (started, mut random) = (Instant::now(), Random(seed));
    let (mut inputs, mut bytes, mut good, mut slowest) = (0_u64, 0_u64, 0_u64, Duration::ZERO);
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let (mut known, mut slow) = (0, 0);
    while started.elapsed() < Duration::from_secs(seconds) {
        let (name, input) = mutated(&seeds, &mut random);
        let begun = Instant::now();
        texts(&name, &input, FILE_BYTES_MAX, &Worker::InProcess, &mut |_, text| match text {
            Ok(_) => good += 1,
            Err((reason, _)) => *refused.entry(reason.to_string()).or_default() += 1,
        })?;
        let took = begun.elapsed();
        let places = PANICS.lock().unwrap_or_else(PoisonError::into_inner).len();
        if places > known || took > SLOW {
            let path = std::env::temp_dir().join(format!("fuzz-{seed}-{inputs}-{name}"));
            fs::write(&path, &input).at(&path)?;
            println!("{}: {took:?}", path.display());
        }
        known = places;
        slow += u64::from(took > SLOW);
        inputs += 1;
        bytes += input.len() as u64;
        slowest = slowest.max(took);
    }
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!("seed {seed}: {} seeds, {inputs} inputs, {bytes} bytes, {good} texts", seeds.len());
    println!("slowest {slowest:?}, {slow} too slow; refused: {refused:?}\npanics: {panics:?}");
    let ours = panics.keys().any(|place| place.contains("kwaya-text"));
    Ok(if ours || slow > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
