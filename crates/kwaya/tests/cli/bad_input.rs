//! Whatever people have on their disks: one clear message with what to do,
//! exit code 1 or 2, and nothing that was finished is lost.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{BufRead, BufReader, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::common::{Place, Ran, TINY, document, fails, ledger, new, new_in, scratch};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/maize/documents");

/// A PNG of one pixel.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

/// A page with nothing on it but a filled square, as a scanner makes it.
fn pdf_without_text() -> Vec<u8> {
    let drawing = "0 0 100 100 re f";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{drawing}\nendstream", drawing.len()),
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(pdf.len());
        pdf += &format!("{} 0 obj\n{object}\nendobj\n", i + 1);
    }
    let table = pdf.len();
    pdf += "xref\n0 5\n0000000000 65535 f \n";
    for offset in offsets {
        pdf += &format!("{offset:010} 00000 n \n");
    }
    pdf += &format!("trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
    pdf.into_bytes()
}

/// The reason that `corpus dropped` gives for the file called `name`.
#[track_caller]
fn why_dropped(place: &Place, name: &str) -> (String, String) {
    let dropped = place.run(["corpus", "dropped", "m", "--json"]).good().json_lines();
    let row = dropped.iter().find(|row| row["source"] == name);
    let row = row.unwrap_or_else(|| panic!("{name} is not among the dropped: {dropped:?}"));
    let people = place.run(["corpus", "dropped", "m"]).good().out;
    assert!(people.contains(name), "{people}");
    (row["reason"].as_str().unwrap().to_owned(), people)
}

#[test]
fn a_folder_that_is_missing() {
    let place = Place::new();
    fails(&place, &["new", "m", "--from", "hakuna", "--language", "sw"], 1, "io-not-found", &["hakuna"]);
    assert!(!place.path("m").exists());
    fails(&place, &["build", "m"], 2, "recipe-missing", &["m", "kwaya new m"]);
    fails(&place, &["plan", "m"], 2, "recipe-missing", &["m"]);
    fails(&place, &["status", "m"], 2, "recipe-missing", &["m"]);
    for command in ["stats", "show", "dropped"] {
        fails(&place, &["corpus", command, "m"], 1, "corpus-missing", &["m", "kwaya plan m"]);
    }
    place.recipe(TINY);
    fails(&place, &["build", "m"], 1, "source-missing", &["m/documents"]);
    fails(&place, &["generate", "m", "Habari"], 1, "model-missing", &["kwaya build m"]);
    fails(&place, &["chat", "m"], 1, "model-missing", &["kwaya build m"]);
    fails(&place, &["generate", "hakuna", "Habari"], 1, "io-not-found", &["hakuna"]);
}

#[test]
fn a_folder_that_is_empty() {
    let place = Place::with_documents(0);
    fails(&place, &["build", "m"], 1, "source-empty", &["m/documents"]);
    fails(&place, &["generate", "m/documents", "Habari"], 1, "io-not-found", &["config.json"]);
}

#[test]
fn a_folder_of_pictures() {
    let place = Place::with_documents(0);
    for name in ["a.png", "b.png"] {
        place.write(&format!("m/documents/{name}"), PICTURE);
    }
    fails(&place, &["build", "m"], 1, "corpus-empty", &["2", "A picture", "kwaya corpus dropped"]);
    assert_eq!(why_dropped(&place, "a.png").0, "picture");
}

#[test]
fn a_pdf_without_text_may_need_ocr() {
    let place = Place::with_documents(0);
    place.write("m/documents/skani.pdf", pdf_without_text());
    fails(&place, &["build", "m"], 1, "corpus-empty", &["PDF", "1", "OCR"]);
    let (reason, people) = why_dropped(&place, "skani.pdf");
    assert_eq!(reason, "no-text");
    assert!(people.contains("OCR"), "{people}");
}

#[test]
fn a_word_file_cut_short_beside_good_documents() {
    let place = Place::with_documents(30);
    let whole = fs::read(Path::new(EXAMPLE).join("en/record-book.docx")).unwrap();
    place.write("m/documents/nusu.docx", &whole[..whole.len() / 2]);
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(built["corpus"]["documents"], 30);
    assert_eq!(why_dropped(&place, "nusu.docx").0, "damaged");
}

#[test]
fn a_file_of_two_gigabytes_is_not_read() {
    let place = Place::with_documents(30);
    File::create(place.path("m/documents/kubwa.txt")).unwrap().set_len(2 << 30).unwrap();
    let began = Instant::now();
    place.run(["build", "m"]).good();
    let took = began.elapsed();
    assert_eq!(why_dropped(&place, "kubwa.txt").0, "too-large");
    let build = place.command(["build", "m"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let read = bytes_read(build);
    assert!(read < 256 << 20, "{read} bytes were read, and the whole took {took:?}");
}

/// The most bytes that a process was seen to have read.
fn bytes_read(mut process: Child) -> u64 {
    let path = format!("/proc/{}/io", process.id());
    let mut read = 0;
    while process.try_wait().unwrap().is_none() {
        let io = fs::read_to_string(&path).unwrap_or_default();
        let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
        read = read.max(line.unwrap_or(0));
        thread::sleep(Duration::from_millis(2));
    }
    read
}

#[test]
fn a_file_name_that_is_not_utf_8() {
    let place = Place::with_documents(30);
    let name = OsStr::from_bytes(b"ma\xffhindi.txt");
    fs::write(place.path("m/documents").join(name), document(500)).unwrap();
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(built["corpus"]["documents"], 31);
    let show = place.run(["corpus", "show", "m", "--json", "--limit", "100"]).good().json_lines();
    assert!(show.iter().any(|d| d["source"] == "ma\\xFFhindi.txt"), "{show:?}");
}

#[test]
fn a_folder_name_that_is_not_utf_8() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"hati\xff");
    fs::create_dir(place.path("").join(name)).unwrap();
    let ran = Ran::from(
        place
            .command(["new", "../m", "--from", ".", "--language", "sw"])
            .current_dir(place.path("").join(name))
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("hati") && ran.err.contains("what to do"), "{ran:?}");
}

#[test]
fn a_link_that_goes_round_in_a_circle() {
    let place = Place::with_documents(30);
    fs::create_dir(place.path("m/documents/ndani")).unwrap();
    symlink("..", place.path("m/documents/ndani/mduara")).unwrap();
    symlink("mimi", place.path("m/documents/mimi")).unwrap();
    let built = place.run(["build", "m", "--json"]).good().json();
    assert_eq!(built["corpus"]["documents"], 30);
    assert_eq!(why_dropped(&place, "ndani/mduara").0, "link-loop");
    why_dropped(&place, "mimi");
}

#[test]
fn a_recipe_with_a_typing_error() {
    let place = Place::built();
    let hash = place.model_hash();
    place.recipe(&TINY.replace("layers", "layerz"));
    for command in ["build", "plan", "status"] {
        fails(&place, &[command, "m"], 2, "recipe-wrong", &["m/kwaya.toml", "layerz", "line 15"]);
    }
    place.recipe(&TINY.replace("steps = 12", "steps = \"twelve\""));
    fails(&place, &["build", "m"], 2, "recipe-wrong", &["line 12", "steps"]);
    place.recipe(&TINY.replace("layers = 1", "layers = 0"));
    fails(&place, &["build", "m"], 2, "recipe-value", &["train.layers", "1 – 256"]);
    place.recipe(&format!("{TINY}micro_batches = 1025\n"));
    fails(&place, &["build", "m"], 2, "recipe-value", &["train.micro_batches = 1025", "1 – 1024"]);
    place.write("m/kwaya.toml", b"name = \"\xff\"");
    fails(&place, &["build", "m"], 2, "recipe-wrong", &["kwaya.toml"]);
    assert_eq!(place.model_hash(), hash);
}

#[test]
fn wishes_that_do_not_go_together() {
    let place = Place::new();
    for language in ["Kiswahili sanifu", ""] {
        let arguments: Vec<_> = new(".").into_iter().map(|word| if word == "sw" { language } else { word }).collect();
        fails(&place, &arguments, 2, "recipe-value", &["languages", language]);
        assert!(!place.path("m/kwaya.toml").exists(), "no recipe that cannot be built");
    }
    place.run(new(".")).good();
    fails(&place, &["new", "m", "--from", ".", "--language", "sw"], 2, "recipe-exists", &["m"]);
    fails(&place, &["plan", "m", "--within", "3 weeks"], 2, "time-wrong", &["3 weeks", "30m"]);
    let place = Place::with_documents(30);
    place.recipe("");
    fails(&place, &["plan", "m", "--within", "1s"], 2, "time-too-short", &["1.0 s", "--within"]);
}

#[test]
fn a_lock_of_another_version() {
    let place = Place::built();
    let (lock, hash) = (place.text("m/kwaya.lock"), place.model_hash());
    for (other, word) in
        [(lock.replace("version = 1", "version = 99\nfuture = true"), "99"), (lock.replace("f32-1", "f32-7"), "f32-7")]
    {
        place.write("m/kwaya.lock", &other);
        fails(&place, &["build", "m"], 2, "lock-version", &["m/kwaya.lock", word, "kwaya plan m"]);
        assert_eq!(place.text("m/kwaya.lock"), other, "the lock is left as it is");
    }
    place.write("m/kwaya.lock", lock.replace("steps", "stops"));
    fails(&place, &["build", "m"], 2, "lock-wrong", &["m/kwaya.lock", "stops", "kwaya plan m"]);
    place.write("m/kwaya.lock", "hapana");
    fails(&place, &["build", "m"], 2, "lock-wrong", &["m/kwaya.lock", "kwaya plan m"]);
    assert_eq!(place.model_hash(), hash);
}

#[test]
fn a_corpus_too_small() {
    let place = Place::with_documents(5);
    let message = fails(&place, &["build", "m"], 1, "corpus-too-small", &["kB", "20.0 kB", "kwaya corpus dropped"]);
    assert!(!message.contains(" 0 "), "it says how much there is: {message}");
    let stats = place.run(["corpus", "stats", "m", "--json"]).good().json();
    assert_eq!(stats["documents"], 5, "what was read is kept");
}

/// A small file system of its own, unmounted with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        let options = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_and_then_is_not() {
    let place = Place::with_documents(30);
    fs::create_dir_all(place.path("m/build")).unwrap();
    let Some(_disk) = SmallDisk::mount(&place.path("m/build"), 2 << 20) else {
        eprintln!("SKIPPED: only root can mount the small disk of this test");
        return;
    };
    place.run(["plan", "m"]).good();
    // Less and less room: each stage meets the full disk in its turn.
    for keep in [4_096, 8_192, 24_576, 49_152, 98_304, 180_224, 262_144] {
        let taken = fill(&place.path("m/build"), keep);
        let ran = place.run(["build", "m"]);
        if ran.code != Some(0) {
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.err.contains("disk is full") && ran.err.contains("Free some space"), "{ran:?}");
        }
        fs::remove_file(taken).unwrap();
        ledger_is_whole(&place);
    }
    place.run(["build", "m"]).good();
    assert_eq!(ledger(&place).len(), 6, "each stage is finished once");
    assert_eq!(scratch(&place.path("m")), Vec::<PathBuf>::new());
}

fn ledger_is_whole(place: &Place) {
    if place.path("m/build/ledger.jsonl").exists() {
        ledger(place);
    }
}

/// Takes all room on the disk of `folder` but `keep` bytes.
fn fill(folder: &Path, keep: u64) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = File::create(&path).unwrap();
    let _ = std::io::copy(&mut std::io::repeat(7), &mut file);
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(keep)).unwrap();
    path
}

/// The way to run the program as somebody who is not root, if there is one.
fn as_nobody(place: &Place, arguments: &[&str]) -> Option<Ran> {
    let root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !root {
        return Some(place.run(arguments));
    }
    // The program itself must be where nobody may go.
    let program = place.path("kwaya");
    if !program.exists() {
        fs::hard_link(env!("CARGO_BIN_EXE_kwaya"), &program)
            .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_kwaya"), &program).map(drop))
            .unwrap();
    }
    fs::set_permissions(place.path(""), Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&program).args(arguments);
    let output = command.current_dir(place.path("")).output().ok()?;
    Some(Ran::from(output))
}

#[test]
fn no_permission_to_write_or_to_read() {
    let place = Place::built();
    let hash = place.model_hash();
    fs::set_permissions(place.path("m"), Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(place.path("m/build"), Permissions::from_mode(0o555)).unwrap();
    let Some(ran) = as_nobody(&place, &["build", "m"]) else {
        eprintln!("SKIPPED: running as somebody else needs setpriv");
        return;
    };
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("No permission") && ran.err.contains("m/build"), "{ran:?}");
    let new = as_nobody(&place, &new_in("m/another", "m/documents")).unwrap();
    assert!(new.code == Some(1) && new.err.contains("No permission") && new.err.contains("m/another"), "{new:?}");
    // Looking at what there is needs no right to write.
    for arguments in [&["status", "m"][..], &["corpus", "show", "m"], &["generate", "m", "Habari", "--tokens", "3"]] {
        assert_eq!(as_nobody(&place, arguments).unwrap().code, Some(0), "{arguments:?}");
    }
    for folder in ["m", "m/build"] {
        fs::set_permissions(place.path(folder), Permissions::from_mode(0o777)).unwrap();
    }
    assert_eq!(place.model_hash(), hash);

    // A document that may not be read is left out, and said so.
    let place = Place::with_documents(30);
    place.write("m/documents/siri.txt", document(77));
    fs::set_permissions(place.path("m/documents/siri.txt"), Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(place.path("m"), Permissions::from_mode(0o777)).unwrap();
    let built = as_nobody(&place, &["build", "m"]).unwrap();
    assert_eq!(built.code, Some(0), "{built:?}");
    assert_eq!(why_dropped(&place, "siri.txt").0, "unreadable");
}

/// Stops its process, however the test ends.
struct Stopped(Child);

impl Stopped {
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_builds_in_one_folder() {
    let place = Place::with_documents(30);
    let mut build = place.command(["build", "m"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(build.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let first = Stopped(build);
    first.signal("-STOP");
    let process = first.0.id().to_string();
    for command in ["build", "plan"] {
        fails(&place, &[command, "m"], 1, "folder-busy", &["m/build", &process]);
    }
    drop(first);
    place.run(["build", "m"]).good();
    assert_eq!(scratch(&place.path("m")), Vec::<PathBuf>::new());
}

#[test]
fn ctrl_c_stops_a_build_that_can_go_on() {
    let place = Place::with_documents(30);
    place.recipe(&TINY.replace("steps = 12", "steps = 1000000"));
    let mut build = place.command(["build", "m"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(build.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Training the") && !line.contains("raining …") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it never came to the training");
    }
    let mut build = Stopped(build);
    build.signal("-INT");
    line.clear();
    said.read_to_string(&mut line).unwrap();
    assert_eq!(build.0.wait().unwrap().code(), Some(1));
    assert!(line.contains("Run the same command again"), "{line}");
    let status = place.run(["status", "m"]).good();
    assert!(status.out.contains("kwaya build m"), "{}", status.out);
}

#[test]
fn a_ledger_that_was_changed() {
    let place = Place::built();
    let ledger = place.text("m/build/ledger.jsonl");
    place.write("m/build/ledger.jsonl", ledger.replacen("\"corpus\"", "\"korpus\"", 1));
    for command in [&["build", "m"][..], &["plan", "m"], &["status", "m"], &["corpus", "stats", "m"]] {
        fails(&place, command, 1, "ledger-broken", &["1", "m/build/ledger.jsonl"]);
    }
    place.write("m/build/ledger.jsonl", ledger);
    place.run(["build", "m"]).good();
}

#[test]
fn an_artefact_that_was_damaged_is_made_again() {
    let place = Place::built();
    let hash = place.model_hash();
    let store = place.path("m/build/store").join(&hash);
    let mut bytes = fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&store, &bytes).unwrap();
    assert_ne!(place.model_hash(), hash, "the model is another name of the artefact");
    place.run(["build", "m"]).good();
    assert_eq!(place.model_hash(), hash);
    let again = place.run(["build", "m", "--json"]).good().json();
    assert!(again["stages"].as_array().unwrap().iter().all(|stage| stage["skipped"] == true), "{}", again["stages"]);
}

#[test]
fn model_files_that_are_damaged() {
    let place = Place::built();
    for (name, key) in [
        ("config.json", "model-config-malformed"),
        ("model.safetensors", "tensors-damaged"),
        ("tokenizer.json", "tokenizer-failed"),
    ] {
        let path = format!("m/build/model/{name}");
        let good = place.bytes(&path);
        // The shown file is another name of the artefact: the test must not
        // write into that.
        fs::remove_file(place.path(&path)).unwrap();
        place.write(&path, "hapana");
        fails(&place, &["generate", "m", "Habari"], 1, key, &[name]);
        fs::remove_file(place.path(&path)).unwrap();
        place.write(&path, good);
    }
    for (name, key) in [("documents", "show"), ("dropped", "dropped")] {
        let path = format!("m/build/corpus/{name}.parquet");
        fs::remove_file(place.path(&path)).unwrap();
        place.write(&path, "PAR1 hapana PAR1");
        fails(&place, &["corpus", key, "m"], 1, "corpus-damaged", &[name]);
    }
    place.run(["build", "m"]).good();
    place.run(["corpus", "show", "m"]).good();
}

#[test]
fn nobody_reads_to_the_end() {
    let place = Place::built();
    for arguments in [
        "corpus show m --limit 10000",
        "corpus dropped m",
        "corpus stats m",
        "generate m Habari",
        "status m",
        "build m",
        "plan m --json",
        "--help",
    ] {
        // A pipe whose reader is gone before the first word is written.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(arguments.split(' ')).stdout(writer).output().unwrap();
        let ran = Ran::from(output);
        assert_eq!(ran.code, Some(0), "{arguments}: {ran:?}");
        assert!(!ran.err.contains("error"), "{arguments}: {ran:?}");
        // And one for what is said beside the data.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(arguments.split(' ')).stderr(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments}, standard error closed");
    }
}

#[test]
fn what_is_printed_does_not_fit() {
    let place = Place::built();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ran = Ran::from(place.command(["corpus", "show", "m"]).stdout(full).output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("disk is full"), "{ran:?}");
}

#[test]
fn words_that_are_not_of_the_command_line() {
    let place = Place::built();
    for arguments in [
        "",
        "bild m",
        "build m --qick",
        "build",
        "corpus m",
        "new m",
        "generate m Habari --tokens many",
        "generate m Habari --temperature -1",
        "generate m Habari --temperature nan",
        "generate m Habari --top-p 1.5",
        "generate m Habari --repetition-penalty 0",
        "build m --threads 0",
    ] {
        let ran = place.run(arguments.split(' ').filter(|a| !a.is_empty()));
        assert_eq!(ran.code, Some(2), "{arguments}: {ran:?}");
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{arguments}: {ran:?}");
        let as_json = place.run(arguments.split(' ').filter(|a| !a.is_empty()).chain(["--json"]));
        assert_eq!(as_json.code, Some(2), "{as_json:?}");
        assert_eq!(as_json.json()["error"]["key"], "command-wrong", "{as_json:?}");
    }
}

#[test]
fn prompts_of_every_kind() {
    let place = Place::built();
    let long = "mahindi ".repeat(2_000);
    for prompt in ["", " ", "\u{0}", "ሰላም 🌽", "<|endoftext|>", &long] {
        // A command line cannot hold the character zero.
        let prompt = prompt.replace('\0', "\u{1}");
        let ran = place.run(["generate", "m", &prompt, "--tokens", "5"]).good();
        assert!(ran.out.starts_with(&prompt), "{prompt:?}");
        place.run(["generate", "m", &prompt, "--tokens", "0"]).good();
    }
    let endless = place.run(["generate", "m", "Mahindi", "--tokens", "1000"]).good();
    assert!(endless.out.len() < 10_000);
    let chat = place.run_with_input(["chat", "m", "--tokens", "4"], &format!("\n{long}\n\n")).good();
    assert!(!chat.err.contains("error"), "{chat:?}");
}
