//! Same recipe, same bits: whatever the threads, the place, the clock and the
//! language of the system, and however often the power failed.

use std::{
    env, fs,
    process::Stdio,
    thread,
    time::{Instant, SystemTime},
};

use crate::common::{Place, TINY, ledger, random, scratch};

#[test]
fn threads_place_time_zone_and_language_change_no_bit() {
    let first = Place::with_documents(30);
    first.run(["build", "m", "--threads", "1"]).good();
    for (threads, zone, language) in [("2", "Africa/Nairobi", "sw_TZ.UTF-8"), ("3", "America/St_Johns", "tr_TR.UTF-8")]
    {
        let other = Place::with_documents(30);
        other.write("m/kwaya.lock", first.bytes("m/kwaya.lock"));
        // Another path to the recipe, and the folder of documents elsewhere.
        fs::rename(other.path("m/documents"), other.path("hati na barua")).unwrap();
        let recipe = other.text("m/kwaya.toml").replace("\"documents\"", "\"../hati na barua\"");
        other.write("m/kwaya.toml", recipe);
        let path = other.path("m").into_os_string();
        let mut build = other.command(["build".as_ref(), path.as_os_str(), "--threads".as_ref(), threads.as_ref()]);
        let output = build.env("TZ", zone).env("LANG", language).env("LC_ALL", language).output().unwrap();
        crate::common::Ran::from(output).good();
        for name in ["model/model.safetensors", "model/tokenizer.json", "corpus/documents.parquet", "model/config.json"]
        {
            let name = format!("m/build/{name}");
            assert!(first.bytes(&name) == other.bytes(&name), "{name} differs with {threads} threads");
        }
    }
}

/// A few kills at random moments of a build of a second or two.
#[test]
fn a_build_that_is_killed_goes_on_to_the_same_bits() {
    kills(4, &TINY.replace("steps = 12", "steps = 300"), 60);
}

/// Twenty kills of a build of half a minute; run by hand with
/// `cargo test --release -p kwaya -- --ignored twenty_kills --nocapture`.
#[test]
#[ignore = "takes some minutes"]
fn twenty_kills() {
    kills(20, "[train]\nsteps = 250\nvocabulary = 600\nhidden_size = 128\nlayers = 3\ncontext = 128\n", 200);
}

/// Builds once in peace, then again with SIGKILL at `count` random moments,
/// wherever they fall. A build that comes to its end between them is compared
/// and begun anew. The seed of the moments is printed and may be given.
fn kills(count: usize, train: &str, documents: u64) {
    let seed = env::var("KWAYA_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
    });
    eprintln!("KWAYA_TEST_SEED={seed}");
    let mut state = seed;

    let peaceful = Place::with_documents(documents);
    peaceful.recipe(train);
    peaceful.run(["plan", "m"]).good();
    let began = Instant::now();
    peaceful.run(["build", "m"]).good();
    let whole = began.elapsed();

    let lock = peaceful.bytes("m/kwaya.lock");
    let mut killed = unbuilt(documents, train, &lock);
    let mut number = 0;
    while number < count {
        let mut build = killed.command(["build", "m", "--checkpoint-every", "0.2s"]);
        let mut build = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Short enough that a build needs several runs.
        let moment = whole.mul_f64((random(&mut state) % 1_000) as f64 / 2_500.0);
        thread::sleep(moment);
        if build.try_wait().unwrap().is_some() {
            same(&killed, &peaceful);
            killed = unbuilt(documents, train, &lock);
            continue;
        }
        build.kill().unwrap();
        build.wait().unwrap();
        number += 1;
        let reached = fs::read_to_string(killed.path("m/build/ledger.jsonl")).map_or(0, |text| text.lines().count());
        eprintln!("kill {number}: after {moment:.2?} of {whole:.2?}, in stage {}", reached + 1);
        if number == count / 2 {
            // What an interrupted write of a file leaves behind.
            killed.write("m/build/.writing-x.tmp", "half a file");
        }
    }
    same(&killed, &peaceful);
}

/// A place with documents, recipe and lock, and no build yet.
fn unbuilt(documents: u64, train: &str, lock: &[u8]) -> Place {
    let place = Place::with_documents(documents);
    place.recipe(train);
    place.write("m/kwaya.lock", lock);
    place
}

/// Lets the build in `killed` come to its end and compares it.
fn same(killed: &Place, peaceful: &Place) {
    let built = killed.run(["build", "m", "--json"]).good().json();
    assert_eq!(killed.model_hash(), peaceful.model_hash());
    for name in ["model/tokenizer.json", "corpus/documents.parquet"] {
        let name = format!("m/build/{name}");
        assert!(killed.bytes(&name) == peaceful.bytes(&name), "{name} differs");
    }
    let (truth, training) = (&built["truth"]["seconds"], &built["training"]["seconds"]);
    assert!(truth.as_f64() >= training.as_f64(), "all runs count: {truth} and {training}");
    assert_eq!(ledger(killed).len(), 6, "each stage is finished once");
    assert_eq!(scratch(&killed.path("m")), Vec::<std::path::PathBuf>::new());
}
