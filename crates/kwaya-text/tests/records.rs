//! Files that hold many documents, from end to end: archives, tables, lines,
//! web archives, wiki dumps and mailboxes, what is wrong with them, and that
//! neither threads nor the way a file is read show.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Cursor, Read, Write},
    path::Path,
    time::Instant,
};

use kwaya_base::Silent;
use kwaya_text::{
    Reason,
    corpus::{self, Document, Dropped, Options, Stats},
    quality::{Level, Wishes},
    sources::{self, Source},
};

/// A sentence that no other seed gives.
fn sentence(seed: usize) -> String {
    format!("Hati ya {seed}: wakulima wa kijiji cha {seed} walivuna magunia {} ya mahindi baada ya mvua.", seed * 7 + 3)
}

struct Built {
    stats: Stats,
    documents: Vec<Document>,
    dropped: Vec<Dropped>,
}

impl Built {
    fn names(&self) -> Vec<&str> {
        self.documents.iter().map(|document| document.source.as_str()).collect()
    }

    fn texts(&self) -> Vec<&str> {
        self.documents.iter().map(|document| document.text.as_str()).collect()
    }

    fn dropped(&self) -> Vec<(&str, Reason, &str)> {
        self.dropped.iter().map(|d| (d.source.as_str(), d.reason, d.detail.as_str())).collect()
    }
}

fn options() -> Options {
    // What the texts here say is said again and again.
    let quality = Wishes { level: Level::Off, ..Wishes::default() };
    Options { min_characters: 5, near_duplicate: 2.0, privacy: None, quality, ..Options::default() }
}

fn try_build(folder: &Path, options: &Options, column: Option<&str>) -> kwaya_base::Result<Built> {
    let column = column.map(str::to_owned);
    let language = Some("sw".to_owned());
    let sources = [Source { path: folder.to_owned(), licence: "CC0-1.0".into(), language, column }];
    let listing = sources::scan(&sources, options.max_file_bytes, &Silent)?;
    let out = tempfile::tempdir().unwrap();
    let stats = corpus::build(&listing, &sources, options, &out.path().join("unfinished"), out.path(), &Silent)?;
    let documents = corpus::documents(&out.path().join("documents.parquet")).unwrap().map(Result::unwrap).collect();
    let dropped = corpus::dropped(&out.path().join("dropped.parquet")).unwrap().map(Result::unwrap).collect();
    Ok(Built { stats, documents, dropped })
}

/// The corpus of one file.
fn build(name: &str, bytes: &[u8], options: &Options) -> Built {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    // Where all is dropped there is no corpus.
    fs::write(folder.path().join("zz.txt"), "Hati nyingine kabisa. ".repeat(9)).unwrap();
    let mut built = try_build(folder.path(), options, None).unwrap();
    let last = built.documents.pop().unwrap();
    assert_eq!(last.source, "zz.txt");
    built
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tarred(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // The library itself writes no name that leaves the archive.
        if name.len() < 100 {
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        } else {
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn bzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn archives_are_read_member_by_member() {
    let [a, b, c, d] = [1, 2, 3, 4].map(sentence);
    let page = format!("<!doctype html><body><article><p>{c}</p></article>");
    let rows = format!("id,text\n1,\"{d}\"\n");
    let members: [(&str, &[u8]); 6] = [
        ("b/../../etc.txt", b"Hati ya siri kabisa."),
        ("b/pili.txt", b.as_bytes()),
        ("a/kwanza.txt", a.as_bytes()),
        ("__MACOSX/._kwanza.txt", b"\0\0"),
        ("c.html", page.as_bytes()),
        ("d.csv", rows.as_bytes()),
    ];
    let expected = [("a/kwanza.txt", &a), ("b/pili.txt", &b), ("c.html", &c), ("d.csv", &d)];
    let zip = build("x.zip", &zipped(&members), &options());
    assert_eq!(zip.names(), expected.map(|(name, _)| format!("x.zip/{name}")));
    assert_eq!(zip.texts(), expected.map(|(_, text)| text.as_str()));
    let refused = |name: &str| (format!("{name}/b/../../etc.txt"), Reason::BadMember);
    let (name, reason) = refused("x.zip");
    assert_eq!(zip.dropped(), [(name.as_str(), reason, "a name that leaves the archive")]);
    let tar = tarred(&members);
    for (name, bytes) in [
        ("x.tar", tar.clone()),
        ("x.tar.gz", gzipped(&tar)),
        ("x.tgz", gzipped(&tar)),
        ("x.tar.zst", zstd(&tar)),
        ("x.tar.bz2", bzipped(&tar)),
        ("x", zstd(&gzipped(&tar))),
    ] {
        let built = build(name, &bytes, &options());
        // A stream has its own order.
        let mut found: Vec<_> = built.documents.iter().map(|d| (d.source.clone(), d.text.as_str())).collect();
        found.sort();
        assert_eq!(found, expected.map(|(part, text)| (format!("{name}/{part}"), text.as_str())));
        let (name, reason) = refused(name);
        assert_eq!(built.dropped(), [(name.as_str(), reason, "a name that leaves the archive")]);
    }
    for (name, bytes) in
        [("y.txt.gz", gzipped(a.as_bytes())), ("y.zst", zstd(a.as_bytes())), ("y.bz2", bzipped(a.as_bytes()))]
    {
        let built = build(name, &bytes, &options());
        assert_eq!((built.names(), built.texts()), (vec![name], vec![a.as_str()]));
    }
    // What is under the wrap is told by its own name.
    let built = build("y.md.gz", &gzipped(format!("# {a}\n").as_bytes()), &options());
    assert_eq!((built.texts(), built.stats.formats.get("md")), (vec![a.as_str()], Some(&1)));
}

#[test]
fn long_and_double_names_and_links_of_tar() {
    let [a, b] = [1, 2].map(sentence);
    let long = format!("{}/x.txt", "mahindi".repeat(30));
    let tar = tarred(&[
        (&long, a.as_bytes()),
        ("b.txt", b.as_bytes()),
        ("b.txt", b"Hati ya pili."),
        ("/c.txt", b"Hati ya tatu."),
    ]);
    let built = build("x.tar", &tar, &options());
    assert_eq!(built.names(), [format!("x.tar/{long}"), "x.tar/b.txt".into(), "x.tar/c.txt".into()]);
    assert_eq!(built.dropped(), [("x.tar/b.txt", Reason::BadMember, "a name that was there before")]);
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "link.txt", "/etc/passwd").unwrap();
    let built = build("x.tar", &tar.into_inner().unwrap(), &options());
    assert_eq!(built.dropped(), [("x.tar/link.txt", Reason::SpecialFile, "")]);
}

#[test]
fn double_and_locked_members_of_zip() {
    let [a, b, c] = [1, 2, 3].map(sentence);
    let zip = zipped(&[("a.txt", a.as_bytes()), ("b.txt", b.as_bytes()), ("c.txt", c.as_bytes())]);
    let replace = |zip: &[u8], from: &[u8], to: &[u8]| {
        let mut zip = zip.to_vec();
        for at in 0..zip.len() - from.len() {
            if zip[at..].starts_with(from) {
                zip[at..at + to.len()].copy_from_slice(to);
            }
        }
        zip
    };
    let double = build("x.zip", &replace(&zip, b"b.txt", b"a.txt"), &options());
    assert_eq!(double.texts(), [&a, &c]);
    assert_eq!(double.dropped(), [("x.zip/a.txt", Reason::BadMember, "a name that was there before")]);
    // The bit that says so, in the directory and before the member itself.
    let (mut locked, mut found) = (zip.clone(), 0);
    for at in 0..zip.len() - 12 {
        let flags = match &zip[at..at + 4] {
            b"PK\x01\x02" => at + 8,
            b"PK\x03\x04" => at + 6,
            _ => continue,
        };
        found += 1;
        locked[flags] |= u8::from(found % 3 == 1);
    }
    let locked = build("x.zip", &locked, &options());
    assert_eq!(locked.texts(), [&b, &c]);
    assert_eq!(locked.dropped(), [("x.zip/a.txt", Reason::BadMember, "locked with a password")]);
    // A member whose bytes are not those that were packed.
    let mut damaged = zip.clone();
    damaged[60] ^= 0x55;
    let damaged = build("x.zip", &damaged, &options());
    assert_eq!(damaged.texts(), [&b, &c]);
    assert_eq!(damaged.dropped()[0].1, Reason::Damaged);
}

#[test]
fn documents_that_are_zip_files_stay_documents() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/maize/documents/sw");
    let mut members = Vec::new();
    for entry in fs::read_dir(example).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".docx") || name.ends_with(".epub") {
            members.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    members.sort();
    assert!(members.len() >= 2);
    let borrowed: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let options = Options { min_characters: 100, ..options() };
    let built = build("x.zip", &zipped(&borrowed), &options);
    for (name, bytes) in &members {
        let alone = build(name, bytes, &options);
        let within = built.documents.iter().filter(|d| d.source == format!("x.zip/{name}"));
        assert_eq!(within.map(|d| d.text.as_str()).collect::<Vec<_>>(), alone.texts(), "{name}");
        assert!(!alone.documents.is_empty());
    }
}

#[test]
fn bombs_cost_little_and_only_themselves() {
    let started = Instant::now();
    let good = sentence(5);
    let zeros = vec![b'a'; 100 << 20];
    // One member larger than a document may be.
    let bomb = zipped(&[("a.txt", zeros.as_slice()), ("b.txt", good.as_bytes())]);
    let built = build("x.zip", &bomb, &options());
    assert_eq!(built.names(), ["x.zip/b.txt"]);
    assert_eq!(built.dropped(), [("x.zip/a.txt", Reason::TooLarge, "")]);
    // Many of them: a stop after a multiple of the size of the file.
    let packed = zstd(&zeros);
    let many: Vec<(String, &[u8])> = (0..500).map(|i| (format!("{i}.zst"), packed.as_slice())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    for (name, bytes) in [("x.tar", tarred(&many)), ("x.zip", zipped(&many)), ("x.tar.zst", zstd(&tarred(&many)))] {
        let built = build(name, &bytes, &options());
        let last = built.dropped.last().unwrap();
        assert_eq!((last.source.as_str(), last.reason), (name, Reason::ArchiveLimit));
        assert!(built.dropped.len() < 100, "{}", built.dropped.len());
    }
    // Archives within archives.
    let mut nested = good.into_bytes();
    for _ in 0..12 {
        nested = gzipped(&nested);
    }
    assert_eq!(build("x.gz", &nested, &options()).dropped()[0].1, Reason::ArchiveLimit);
    let mut nested = zipped(&[("a.txt", b"Hati ya ndani.")]);
    for _ in 0..12 {
        nested = zipped(&[("a.zip", &nested)]);
    }
    assert_eq!(build("x.zip", &nested, &options()).dropped()[0].1, Reason::ArchiveLimit);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn a_truncated_archive_gives_what_is_whole() {
    let members: Vec<(String, String)> = (0..200).map(|i| (format!("{i:03}.txt"), sentence(i).repeat(20))).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(n, t)| (n.as_str(), t.as_bytes())).collect();
    let tar = tarred(&members);
    for (name, bytes) in [("x.tar", tar.clone()), ("x.tar.gz", gzipped(&tar)), ("x.tar.zst", zstd(&tar))] {
        let built = build(name, &bytes[..bytes.len() / 2], &options());
        assert!(!built.documents.is_empty() && built.documents.len() < 200, "{name}: {}", built.documents.len());
        assert!(built.dropped().iter().any(|(_, reason, _)| *reason == Reason::Damaged), "{name}");
    }
    assert_eq!(build("x.zip", &zipped(&members)[..5000], &options()).dropped()[0].1, Reason::UnknownFormat);
}

#[test]
fn tables_have_a_document_in_each_row() {
    let texts: Vec<String> = (0..5).map(sentence).collect();
    let csv: String = texts.iter().enumerate().map(|(i, t)| format!("{i},\"{t}\n\"\"x\"\"\"\r\n")).collect();
    let expected: Vec<String> = texts.iter().map(|t| format!("{t}\n\"x\"")).collect();
    for (name, head, bytes) in
        [("a.csv", "id,Text\r\n", None), ("b.csv", "\u{feff}id,maelezo\n", None), ("c.csv.gz", "id,text\n", Some(()))]
    {
        let bytes = match bytes {
            Some(()) => gzipped(format!("{head}{csv}").as_bytes()),
            None => format!("{head}{csv}").into_bytes(),
        };
        let built = build(name, &bytes, &options());
        assert_eq!(built.texts(), expected, "{name}");
        assert_eq!(built.names(), vec![name; 5]);
        assert!(built.dropped.is_empty(), "{:?}", built.dropped());
    }
    let tsv: String = format!("id\tsentence\n1\t{}\n2\t\n3\n", texts[0]);
    let utf16: Vec<u8> = format!("\u{feff}{tsv}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [tsv.into_bytes(), utf16] {
        let built = build("x.tsv", &bytes, &options());
        assert_eq!(built.texts(), [&texts[0]]);
        let expected =
            [("x.tsv", Reason::Empty, "row 3"), ("x.tsv", Reason::BadLine, "row 4: 1 of at least 2 columns")];
        assert_eq!(built.dropped(), expected);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), format!("text,matini\nx,{}\n", texts[0])).unwrap();
    fs::write(folder.path().join("b.jsonl"), format!("{{\"matini\": \"{}\", \"text\": \"x\"}}\n", texts[1])).unwrap();
    fs::write(folder.path().join("c.csv"), "text\nhabari za leo\n").unwrap();
    let built = try_build(folder.path(), &options(), Some("matini")).unwrap();
    assert_eq!(built.texts(), [&texts[0], &texts[1]]);
    assert_eq!(built.dropped(), [("c.csv", Reason::NoColumn, "\"matini\": text")]);
}

#[test]
fn parquet_has_a_document_in_each_row() {
    // What a corpus is written as, with columns of numbers and of strings.
    let folder = tempfile::tempdir().unwrap();
    let (from, table) = (folder.path().join("in"), folder.path().join("out"));
    for path in [&from, &table] {
        fs::create_dir(path).unwrap();
    }
    let texts: Vec<String> = (0..3000).map(sentence).collect();
    let lines: String = texts.iter().map(|text| format!("{{\"body\": \"{text}\"}}\n")).collect();
    fs::write(from.join("a.jsonl"), lines).unwrap();
    let sources = [Source { path: from, licence: "CC0-1.0".into(), language: Some("sw".into()), column: None }];
    let listing = sources::scan(&sources, u64::MAX, &Silent).unwrap();
    corpus::build(&listing, &sources, &options(), &table.join("unfinished"), &table, &Silent).unwrap();
    let bytes = fs::read(table.join("documents.parquet")).unwrap();
    for (name, bytes) in
        [("x.parquet", bytes.clone()), ("x.zip", zipped(&[("x.parquet", &bytes)])), ("x.parquet.gz", gzipped(&bytes))]
    {
        let built = build(name, &bytes, &options());
        assert_eq!(built.texts(), texts, "{name}");
        assert_eq!(built.stats.formats["parquet"], 3000);
    }
    let cut = build("x.parquet", &bytes[..bytes.len() - 9], &options());
    assert_eq!(cut.dropped()[0].1, Reason::Damaged);
}

#[test]
fn web_archives_wikis_and_mailboxes() {
    let [a, b, c, d] = [1, 2, 3, 4].map(sentence);
    let http =
        |status: &str, kind: &str, body: &str| format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n{body}");
    let record = |kind: &str, uri: &str, content_type: &str, block: &str| {
        let length = block.len();
        format!(
            "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{block}\r\n\r\n"
        )
    };
    let page = format!(
        "<html><head><title>T</title></head><body><nav>Nyumbani</nav><article><p>{a}</p></article></body></html>"
    );
    let records = [
        record("warcinfo", "", "application/warc-fields", "software: x\r\n"),
        record("request", "http://x.org/a", "application/http; msgtype=request", "GET / HTTP/1.1\r\n\r\n"),
        record("response", "http://x.org/a", "application/http; msgtype=response", &http("200 OK", "text/html", &page)),
        record("response", "http://x.org/b", "application/http; msgtype=response", &http("404 No", "text/html", &page)),
        record("response", "http://x.org/c", "application/http", &http("200 OK", "image/png", "x")),
        record("conversion", "http://x.org/d", "text/plain", &d),
    ];
    let gz = records.iter().flat_map(|record| gzipped(record.as_bytes())).collect::<Vec<u8>>();
    for (name, bytes) in [("x.warc", records.concat().into_bytes()), ("x.warc.gz", gz)] {
        let built = build(name, &bytes, &options());
        assert_eq!(built.names(), ["a", "d"].map(|page| format!("{name}/http://x.org/{page}")));
        assert!(built.texts()[0].contains(&a) && !built.texts()[0].contains("Nyumbani"), "{}", built.texts()[0]);
        assert_eq!(built.texts()[1], d);
        let reasons: Vec<_> =
            built.dropped().into_iter().map(|(_, reason, detail)| (reason, detail.to_owned())).collect();
        let expected = [(Reason::NoDocument, "record 4: HTTP 404"), (Reason::Picture, "record 5: image/png")];
        assert_eq!(reasons, expected.map(|(reason, detail)| (reason, detail.to_owned())));
    }
    let wiki = format!(
        "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.11/\" version=\"0.11\" xml:lang=\"sw\">\n  <siteinfo>\n    <namespaces>\n      <namespace key=\"6\" case=\"first-letter\">Faili</namespace>\n    </namespaces>\n  </siteinfo>\n\
         <page>\n    <title>Mahindi &amp; maji</title>\n    <ns>0</ns>\n    <revision>\n      <model>wikitext</model>\n      <text bytes=\"9\" xml:space=\"preserve\">'''{a}'''\n[[Faili:x.jpg|thumb|picha]]{{{{Kigezo}}}} [[Zao|{b}]]</text>\n    </revision>\n  </page>\n\
         <page>\n    <title>Nafaka</title>\n    <ns>0</ns>\n    <redirect title=\"Mahindi\" />\n    <revision><text xml:space=\"preserve\">#REDIRECT [[Mahindi]]</text></revision>\n  </page>\n\
         <page>\n    <title>Jadiliano:Mahindi</title>\n    <ns>1</ns>\n    <revision><text xml:space=\"preserve\">{c}</text></revision>\n  </page>\n</mediawiki>\n"
    );
    for (name, bytes) in [("wiki.xml", wiki.clone().into_bytes()), ("wiki.xml.bz2", bzipped(wiki.as_bytes()))] {
        let built = build(name, &bytes, &options());
        assert_eq!(built.names(), [format!("{name}/Mahindi & maji")]);
        assert_eq!(built.texts(), [format!("{a}\n{b}")]);
        let reasons: Vec<_> =
            built.dropped().into_iter().map(|(_, reason, detail)| (reason, detail.to_owned())).collect();
        let expected = [(Reason::NoDocument, "page 2: redirect"), (Reason::NoDocument, "page 3: namespace 1")];
        assert_eq!(reasons, expected.map(|(reason, detail)| (reason, detail.to_owned())));
    }
    let mail = format!(
        "From asha@x.org Mon Mar  3 10:00:00 2025\nFrom: Asha Juma <asha@x.org>\nSubject: Mavuno\n\n{a}\n\n>From hapa.\n\n\
         From juma@x.org Mon Mar  3 11:00:00 2025\nFrom: Juma <juma@x.org>\nContent-Type: text/html\n\n<html><body><p>{b}</p></body></html>\n\n"
    );
    let alone = mail.split_once('\n').unwrap().1.split_once("\n\nFrom juma").unwrap().0;
    assert_eq!(build("barua.eml", alone.as_bytes(), &options()).texts(), [a.as_str()]);
    let built = build("barua.mbox", mail.as_bytes(), &options());
    assert_eq!(built.names(), ["barua.mbox/1", "barua.mbox/2"]);
    assert_eq!(built.texts(), [format!("{a}\n\nFrom hapa."), b]);
}

/// A file too large for one thread and one too large for memory, read by any
/// number of threads, gives what its members give as files.
#[test]
fn the_way_a_file_is_read_does_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..20_000)
        .map(|i| if i % 7 == 3 { "{}".to_owned() } else { format!("{{\"text\": \"{}\"}}", sentence(i)) })
        .collect();
    let whole = lines.join("\n");
    fs::write(folder.path().join("a.jsonl"), &whole).unwrap();
    fs::write(folder.path().join("b.jsonl.zst"), zstd(whole.replace("Hati", "Barua").as_bytes())).unwrap();
    let members: Vec<(String, String)> =
        (0..2000).map(|i| (format!("{i:04}.txt"), sentence(i + 50_000).repeat(9))).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(n, t)| (n.as_str(), t.as_bytes())).collect();
    fs::write(folder.path().join("c.zip"), zipped(&members)).unwrap();
    let mut first: Option<Built> = None;
    for threads in [1, 3] {
        for max_file_bytes in [64 << 20, 100_000] {
            let built = try_build(folder.path(), &Options { threads, max_file_bytes, ..options() }, None).unwrap();
            assert_eq!(built.documents.len(), 2 * (20_000 - 2857) + 2000);
            assert_eq!(built.stats.dropped, BTreeMap::from([(Reason::BadLine, 2 * 1001)]));
            let more = built.dropped.iter().filter(|d| d.detail.ends_with("more")).map(|d| d.detail.as_str());
            assert_eq!(more.collect::<Vec<_>>(), ["1857 more"; 2]);
            if let Some(first) = &first {
                assert!(first.documents == built.documents && first.dropped == built.dropped);
                assert_eq!(first.stats, built.stats);
            }
            first = Some(built);
        }
    }
}

#[test]
fn what_is_too_large_costs_itself_alone() {
    // A line, a cell, a page and a member over the limit among good ones.
    let long = "a ".repeat(60_000);
    let options = Options { max_file_bytes: 100_000, ..options() };
    let [a, b] = [1, 2].map(sentence);
    let lines = format!("{{\"text\": \"{a}\"}}\n{{\"text\": \"{long}\"}}\n{{\"text\": \"{b}\"}}");
    let rows = format!("text\n{a}\n{long}\n{b}\n");
    let mail = |text: &str| format!("From x Mon Mar  3 10:00:00 2025\nSubject: x\n\n{text}\n\n");
    let page = |text: &str| format!("<page>\n<title>A</title>\n<ns>0</ns>\n<text>{text}</text>\n</page>\n");
    let files = [
        ("x.jsonl", lines.into_bytes(), "line 2"),
        ("x.csv", rows.into_bytes(), "row 3"),
        ("x.mbox", [mail(&a), mail(&long), mail(&b)].concat().into_bytes(), "message 2"),
        ("x.xml", format!("<mediawiki>\n{}{}{}</mediawiki>", page(&a), page(&long), page(&b)).into_bytes(), "page 2"),
        ("x.tar", tarred(&[("a.txt", a.as_bytes()), ("l.txt", long.as_bytes()), ("z.txt", b.as_bytes())]), ""),
    ];
    for (name, bytes, place) in files {
        assert!(bytes.len() > 100_000);
        let built = build(name, &bytes, &options);
        assert_eq!(built.texts(), [&a, &b], "{name}");
        let dropped = built.dropped();
        assert_eq!((dropped.len(), dropped[0].1, dropped[0].2), (1, Reason::TooLarge, place), "{name}");
    }
}

#[test]
fn a_file_that_changes_is_noticed_whatever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..20_000).map(sentence).collect();
    let lines: String = texts.iter().map(|text| format!("{{\"text\": \"{text}\"}}\n")).collect();
    let members: Vec<(String, &str)> =
        texts.iter().enumerate().map(|(i, text)| (format!("{i}.txt"), text.as_str())).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    for (name, bytes) in [("a.jsonl", lines.into_bytes()), ("a.tar", tarred(&members)), ("a.zip", zipped(&members))] {
        assert!(bytes.len() > 1 << 20);
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let sources = [Source { path: path.clone(), licence: "CC0-1.0".into(), language: None, column: None }];
        let listing = sources::scan(&sources, 1000, &Silent).unwrap();
        let change = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let out = tempfile::tempdir().unwrap();
            corpus::build(&listing, &sources, &options(), &out.path().join("unfinished"), out.path(), &Silent)
                .unwrap_err()
                .key()
                .to_owned()
        };
        assert_eq!(change(5000), "source-changed", "{name}");
        assert_eq!(change(bytes.len() - 1), "source-changed", "{name}");
        fs::write(&path, [bytes.as_slice(), b"more"].concat()).unwrap();
        let out = tempfile::tempdir().unwrap();
        assert_eq!(
            corpus::build(&listing, &sources, &options(), &out.path().join("unfinished"), out.path(), &Silent)
                .unwrap_err()
                .key(),
            "source-changed"
        );
    }
}

#[test]
fn a_line_of_gigabytes_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let mut file = fs::File::create(&path).unwrap();
    let text = sentence(1);
    write!(file, "{{\"text\": \"{text}\"}}\n{{\"text\": \"").unwrap();
    io::copy(&mut io::repeat(b'a').take(200 << 20), &mut file).unwrap();
    writeln!(file, "\"}}\n{{\"text\": \"{}\"}}", sentence(2)).unwrap();
    drop(file);
    let options = Options { max_file_bytes: 1 << 20, ..options() };
    let built = try_build(folder.path(), &options, None).unwrap();
    assert_eq!(built.texts(), [sentence(1), sentence(2)]);
    assert_eq!(built.dropped(), [("x.jsonl", Reason::TooLarge, "line 2")]);
}
