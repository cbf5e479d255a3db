//! The harness: an empty folder, the program run in it, what it said, and
//! documents that are the same on every machine.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A recipe for a model that trains in a blink.
pub(crate) const TINY: &str =
    "[train]\nsteps = 12\nvocabulary = 300\nhidden_size = 32\nlayers = 1\ncontext = 32\nlearning_rate = 0.004\n";

/// What a recipe says of the rights to a source.
pub(crate) const CONSENT: &str = "licence = \"CC0-1.0\"\nallowed_by = \"Chama cha wakulima\"\n\
    allowed_on = \"2026-01-01\"\nallowed_for = [\"any\"]\nallowed_until = \"no-end\"\n";

/// A command that writes the recipe `m` for the documents in `from`, with all
/// that it would ask for.
pub(crate) fn new(from: &str) -> Vec<&str> {
    new_in("m", from)
}

/// The same for the recipe `folder`.
pub(crate) fn new_in<'a>(folder: &'a str, from: &'a str) -> Vec<&'a str> {
    let typed = "--language sw --licence CC0-1.0 --allowed-by wakulima --allowed-on 2026-01-01 --use research";
    ["new", folder, "--from", from].into_iter().chain(typed.split(' ')).collect()
}

/// An empty folder that goes away with the test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("kwaya-test-").tempdir().unwrap())
    }

    /// An empty folder that many tests share. Nothing takes it away at the end, so
    /// it lies in the target folder, and the one of the last time goes.
    pub(crate) fn shared() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(tempfile::tempdir_in(folder).unwrap())
    }

    /// A place with a recipe for `count` documents, all of it under `m`.
    pub(crate) fn with_documents(count: u64) -> Self {
        let place = Self::new();
        write_documents(&place.path("m/documents"), 0..count);
        place.recipe(TINY);
        place
    }

    /// A place with a finished tiny build under `m`.
    pub(crate) fn built() -> Self {
        let place = Self::with_documents(30);
        place.run(["build", "m"]).good();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `m/kwaya.toml` with `train` as its end.
    pub(crate) fn recipe(&self, train: &str) {
        let recipe = format!(
            "name = \"m\"\nlanguages = [\"sw\"]\nuse = [\"research\"]\n[[source]]\npath = \"documents\"\n{CONSENT}{train}"
        );
        self.write("m/kwaya.toml", recipe);
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// The program, to be run here.
    pub(crate) fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kwaya"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs the program with `input` typed.
    pub(crate) fn run_with_input(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &str) -> Ran {
        self.write("input", input);
        let input = fs::File::open(self.path("input")).unwrap();
        Ran::from(self.command(arguments).stdin(input).output().unwrap())
    }

    /// The BLAKE3 of the model's weights.
    pub(crate) fn model_hash(&self) -> String {
        blake3::hash(&self.bytes("m/build/model/model.safetensors")).to_hex().to_string()
    }
}

/// What a run came to. Nothing that a person types may crash the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        let ran = Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!ran.err.contains("panicked"), "{ran:?}");
        ran
    }
}

impl Ran {
    /// It must have gone well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self
    }

    /// Standard output, which must be one JSON document and nothing else.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }

    /// Standard output, which must be one JSON document a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

/// Runs a command that must fail with exit code `code`, once for people and
/// once with `--json`: the same key, every one of `words` in the message or
/// its remedy, and a remedy. Gives the message.
#[track_caller]
pub(crate) fn fails(place: &Place, arguments: &[&str], code: i32, key: &str, words: &[&str]) -> String {
    let ran = place.run(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {}\n{}", ran.out, ran.err);
    assert!(ran.out.is_empty(), "data beside an error: {}", ran.out);
    for word in words.iter().chain(&["error: ", "what to do: "]) {
        assert!(ran.err.contains(word), "no {word:?} in: {}", ran.err);
    }
    assert!(!ran.err.contains("{$"), "a value is missing: {}", ran.err);
    let as_json = place.run(arguments.iter().chain(&["--json"]));
    assert_eq!(as_json.code, Some(code), "{as_json:?}");
    let error = &as_json.json()["error"];
    assert_eq!(error["key"], key, "{error}");
    assert!(error["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    ran.err
}

/// The lines of the ledger, and a proof that its chain is whole: every line
/// hashes to what it says, and names the line before.
pub(crate) fn ledger(place: &Place) -> Vec<Value> {
    let mut previous = "0".repeat(64);
    let mut lines = Vec::new();
    for (index, line) in place.text("m/build/ledger.jsonl").lines().enumerate() {
        let (open, rest) = line.rsplit_once(",\"hash\":\"").expect("a line ends in its hash");
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["index"], index);
        assert_eq!(value["previous"], previous.as_str());
        previous = blake3::hash(format!("{open}}}").as_bytes()).to_hex().to_string();
        assert_eq!(rest, format!("{previous}\"}}"));
        lines.push(value);
    }
    lines
}

/// Every file under `folder` that a finished build has no use for.
pub(crate) fn scratch(folder: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "checkpoints" || name.ends_with(".tmp") {
            left.push(path);
        } else if path.is_dir() {
            if name == "scratch" && fs::read_dir(&path).unwrap().next().is_some() {
                left.push(path.clone());
            }
            left.extend(scratch(&path));
        }
    }
    left
}

/// Words of farming in Swahili, so that the language is recognised.
const WORDS: [&str; 64] = [
    "mahindi",
    "shamba",
    "mvua",
    "mkulima",
    "mbegu",
    "mbolea",
    "mavuno",
    "kupanda",
    "kuvuna",
    "kuhifadhi",
    "ghala",
    "wadudu",
    "magonjwa",
    "udongo",
    "maji",
    "jua",
    "msimu",
    "mwaka",
    "kijiji",
    "soko",
    "bei",
    "watoto",
    "mama",
    "baba",
    "mzee",
    "kazi",
    "jembe",
    "ng'ombe",
    "mbuzi",
    "kuku",
    "samadi",
    "mboji",
    "palizi",
    "magugu",
    "majani",
    "shina",
    "mizizi",
    "nafaka",
    "unga",
    "ugali",
    "makande",
    "kukausha",
    "unyevu",
    "gunia",
    "mifuko",
    "panya",
    "dumuzi",
    "funza",
    "viwavi",
    "dawa",
    "asili",
    "ushirika",
    "mkutano",
    "mwenyekiti",
    "fedha",
    "akiba",
    "kwa",
    "ya",
    "wa",
    "na",
    "katika",
    "kwamba",
    "hii",
    "sana",
];

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers everywhere.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A text of about 1.5 kB; another for each number.
pub(crate) fn document(number: u64) -> String {
    let mut state = number;
    let mut text = String::new();
    for _ in 0..20 {
        for i in 0..12 {
            let word = WORDS[random(&mut state) as usize % WORDS.len()];
            text += if i == 0 { "" } else { " " };
            text += word;
        }
        text += ".\n";
    }
    text
}

/// The documents with these numbers, as text files.
pub(crate) fn write_documents(folder: &Path, numbers: std::ops::Range<u64>) {
    fs::create_dir_all(folder).unwrap();
    for number in numbers {
        fs::write(folder.join(format!("{number:03}.txt")), document(number)).unwrap();
    }
}
