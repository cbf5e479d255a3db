//! The machine's limits: memory that is short, instructions that are missing,
//! numbers that overflow, checkpoints of which only a part is there.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::common::{Place, Ran, TINY, fails};

/// A model that needs some hundred megabytes.
const LARGE: &str = "[train]\nsteps = 2\nvocabulary = 1024\nhidden_size = 512\nlayers = 8\ncontext = 256\n";

#[track_caller]
fn refusal(place: &Place, arguments: &[&str]) -> serde_json::Value {
    let ran = place.run(arguments.iter().chain(&["--json"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    ran.json()["error"].clone()
}

#[test]
fn a_recipe_that_needs_more_memory_than_there_is() {
    let place = Place::with_documents(30);
    place.recipe(LARGE);
    let arguments = ["plan", "m", "--memory", "100MB"];
    fails(&place, &arguments, 1, "memory-too-short", &["100.0 MB", "hidden_size = ", "[train]"]);
    assert!(!place.path("m/kwaya.lock").exists());
    // What it says would fit does fit, as it stands.
    let lines = refusal(&place, &arguments)["args"]["lines"].as_str().unwrap().to_owned();
    let keys: Vec<_> = lines.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let kept: String =
        LARGE.lines().filter(|l| !keys.iter().any(|k| l.starts_with(k))).map(|l| format!("{l}\n")).collect();
    place.recipe(&format!("{kept}{lines}\n"));
    let plan = place.run(["plan", "m", "--memory", "100MB", "--json"]).good().json();
    assert!(plan["forecast"]["memory_bytes"].as_u64().unwrap() < 115_000_000, "{plan}");
    let built = place.run(["build", "m", "--memory", "100MB", "--json"]).good().json();
    assert!(built["truth"]["memory_bytes"].as_u64().unwrap() < 115_000_000, "{}", built["truth"]);
    fails(&place, &["plan", "m", "--memory", "10MB"], 1, "memory-none", &["10.0 MB", "--memory"]);
    fails(&place, &["plan", "m", "--memory", "much"], 2, "memory-wrong", &["much", "2GB"]);
}

#[test]
fn a_lock_that_needs_more_memory_than_there_is_is_refused_before_any_work() {
    let place = Place::with_documents(30);
    place.recipe(LARGE);
    place.run(["plan", "m"]).good();
    let lock = place.text("m/kwaya.lock");
    fs::remove_dir_all(place.path("m/build")).unwrap();
    let words = ["m/kwaya.lock", "120.0 MB", "hidden_size = ", "kwaya plan m"];
    fails(&place, &["build", "m", "--memory", "120MB"], 1, "memory-lock", &words);
    assert!(!place.path("m/build/corpus").exists(), "the documents were not read");
    assert_eq!(place.text("m/kwaya.lock"), lock);
    // Half of what it wants: layers are computed again, and nothing is asked.
    place.recipe(TINY);
    place.run(["plan", "m"]).good();
    place.run(["build", "m", "--memory", "120MB"]).good();
    let again = place.run(["build", "m", "--memory", "1MB", "--json"]).good().json();
    assert!(again["stages"].as_array().unwrap().iter().all(|s| s["skipped"] == true), "what is done needs nothing");
}

#[test]
fn an_instruction_set_that_is_missing() {
    let place = Place::new();
    for isa in ["nonsense", "neon2"] {
        for arguments in [&["machine"][..], &["generate", "m", "Habari"]] {
            let ran = Ran::from(place.command(arguments).env("KWAYA_ISA", isa).output().unwrap());
            assert_eq!(ran.code, Some(2), "{ran:?}");
            for word in [isa, "portable", "what to do"] {
                assert!(ran.err.contains(word), "{ran:?}");
            }
            let as_json = place.command(arguments).arg("--json").env("KWAYA_ISA", isa).output().unwrap();
            assert_eq!(Ran::from(as_json).json()["error"]["key"], "isa-missing");
        }
    }
    let listed = Ran::from(place.command(["--help"]).env("KWAYA_ISA", "nonsense").output().unwrap());
    assert_eq!(listed.code, Some(0), "help needs no instructions");
}

#[test]
fn bf16_is_another_arithmetic_with_the_same_bits_everywhere() {
    let place = Place::built();
    let hash = place.model_hash();
    assert!(place.text("m/kwaya.lock").contains("\"f32-1\""));
    place.recipe(&format!("{TINY}precision = \"bf16\"\n"));
    let said = place.run(["plan", "m"]).good().out;
    assert!(said.contains("bf16-1"), "{said}");
    let lock = place.text("m/kwaya.lock");
    assert!(lock.contains("\"bf16-1\"") && lock.contains("precision = \"bf16\""), "{lock}");
    place.run(["build", "m"]).good();
    let rounded = place.model_hash();
    assert_ne!(rounded, hash);
    fs::remove_dir_all(place.path("m/build")).unwrap();
    let ran = place.command(["build", "m", "--threads", "1"]).env("KWAYA_ISA", "portable").output().unwrap();
    Ran::from(ran).good();
    assert_eq!(place.model_hash(), rounded, "emulated");

    place.write("m/kwaya.lock", lock.replace("bf16-1", "f32-1"));
    fails(&place, &["build", "m"], 2, "lock-wrong", &["arithmetic", "kwaya plan m"]);
    place.write("m/kwaya.lock", lock.replace("bf16-1", "bf16-9"));
    fails(&place, &["build", "m"], 2, "lock-version", &["bf16-9", "f32-1 or bf16-1"]);
    place.recipe(&format!("{TINY}precision = \"f16\"\n"));
    fails(&place, &["plan", "m"], 2, "recipe-wrong", &["f16", "bf16"]);
}

#[test]
fn a_training_that_breaks_down() {
    let place = Place::with_documents(30);
    place.run(["plan", "m"]).good();
    let wild = |line: &str| {
        let mut line = line.to_owned();
        for (key, value) in [("learning_rate = ", "1000.0"), ("weight_decay = ", "1000.0"), ("steps = ", "60")] {
            if line.starts_with(key) {
                line = format!("{key}{value}");
            }
        }
        line + "\n"
    };
    let lock: String = place.text("m/kwaya.lock").lines().map(wild).collect();
    place.write("m/kwaya.lock", lock);
    let ran = place.run(["build", "m", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let error = ran.json()["error"].clone();
    assert_eq!(error["key"], "train-not-finite", "{error}");
    let number = |name: &str| error["args"][name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(number("kept") < number("step"), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(".weight") && message.contains("m/build/checkpoints"), "{message}");
    assert!(error["remedy"].as_str().unwrap().contains("learning_rate = 0.004"), "{error}");
    let kept = checkpoints(&place);
    let name = format!("step-{:08}.safetensors", number("kept"));
    assert!(kept.iter().any(|path| path.ends_with(&name)), "{kept:?}");
    // What it says to do helps.
    place.run(["plan", "m"]).good();
    place.run(["build", "m"]).good();
}

/// All checkpoints, oldest first.
fn checkpoints(place: &Place) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir(place.path("m/build/checkpoints")).into_iter().flatten().flatten() {
        let files = fs::read_dir(folder.path()).into_iter().flatten().flatten().map(|file| file.path());
        found.extend(files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("step-")));
    }
    found.sort();
    found
}

/// Stops its process, however the test ends.
struct Build(Child);

impl Drop for Build {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds until two checkpoints are there, and kills the build.
fn half_built(place: &Place) {
    let arguments = ["build", "m", "--checkpoint-every", "0.01s"];
    let build = place.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut build, began) = (Build(build), Instant::now());
    while checkpoints(place).len() < 2 {
        assert!(build.0.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint came");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn checkpoints_cut_short_or_of_another_version() {
    let place = Place::with_documents(30);
    place.recipe(&TINY.replace("steps = 12", "steps = 600"));
    place.run(["build", "m"]).good();
    let hash = place.model_hash();
    fs::remove_dir_all(place.path("m/build")).unwrap();

    half_built(&place);
    let newest = checkpoints(&place).pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    let at = whole.windows(13).position(|w| w == b"\"version\":\"1\"").expect("the version is stated");
    let mut other = whole.clone();
    other[at + 11] = b'7';
    fs::write(&newest, &other).unwrap();
    fails(&place, &["build", "m"], 2, "checkpoint-version", &["format is 7", "knows 1", ".safetensors"]);
    assert_eq!(fs::read(&newest).unwrap(), other, "it is left as it is");

    fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
    let ran = place.run(["build", "m"]).good();
    assert!(ran.err.contains("passed over") && ran.err.contains("damaged"), "{}", ran.err);
    assert_eq!(place.model_hash(), hash, "the one before leads to the same bits");
}

#[test]
fn the_benchmark_in_the_memory_that_was_said() {
    let place = Place::new();
    let bench = place.run(["bench", "--memory", "60MB", "--json"]).good().json();
    let kernels = bench["kernels"].as_array().unwrap();
    for precision in ["f32", "bf16"] {
        let products = kernels.iter().filter(|k| k["name"] == "matmul" && k["precision"] == precision);
        assert!(products.clone().count() == 2 && products.clone().all(|k| k["share"].as_f64().unwrap() > 0.0));
    }
    assert_eq!(bench["trainings"].as_array().unwrap().len(), 0, "none fits into that");
}
