//! Is the forecast true? Plans and builds three models of different shapes
//! from a folder of text, each in processes of their own, and prints what the
//! plan foretold, what the build took, and the ratio of the two: time, peak
//! memory and disk. `benches/forecast.sh FOLDER LANGUAGE [SHAPE...]` runs it.
//!
//! SHAPE is width/layers/context/steps; without one, three are taken that need
//! a minute or two each on two cores. Memory is looked at from outside, by
//! `/proc`, so it works on Linux alone. The plan's own time is printed too.

use std::{
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use kwaya_recipe::machine;
use serde_json::Value;

const SHAPES: [&str; 3] = ["128/3/128/400", "256/6/256/90", "384/8/512/30"];

type Anyhow<T> = Result<T, Box<dyn Error>>;

#[expect(clippy::print_stdout, reason = "a program, not a library")]
fn main() -> Anyhow<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kwaya, text, language, shapes @ ..] = &arguments[..] else {
        return Err("arguments: KWAYA FOLDER LANGUAGE [WIDTH/LAYERS/CONTEXT/STEPS...]".into());
    };
    let shapes = if shapes.is_empty() { SHAPES.map(String::from).to_vec() } else { shapes.to_vec() };
    println!("shape              plan      what      foretold       truth   ratio");
    for shape in shapes {
        let folder = tempfile::tempdir()?;
        recipe(folder.path(), Path::new(text), language, &shape)?;
        let plan = run(kwaya, "plan", folder.path())?;
        let build = run(kwaya, "build", folder.path())?;
        let foretold = &plan.answer["forecast"];
        let truth = &build.answer["truth"];
        let figure = |of: &Value, name: &str| of[name].as_f64().unwrap_or(f64::NAN);
        let stages = stage_seconds(&build.answer);
        for (what, foretold, truth) in [
            ("seconds", figure(foretold, "seconds"), figure(truth, "seconds")),
            ("training", figure(foretold, "training_seconds"), figure(truth, "training_seconds")),
            ("MB", figure(foretold, "memory_bytes") / 1e6, build.peak_bytes as f64 / 1e6),
            ("MB disk", figure(foretold, "disk_bytes") / 1e6, build.disk_bytes as f64 / 1e6),
        ] {
            let ratio = foretold / truth;
            println!("{shape:18} {:4.1} s  {what:9} {foretold:9.1}   {truth:9.1}   {ratio:5.2}", plan.seconds);
        }
        println!("{shape:18} {stages}");
    }
    Ok(())
}

/// What each stage of the build took.
fn stage_seconds(built: &Value) -> String {
    let stages = built["stages"].as_array().map_or(&[][..], |stages| stages);
    let of = |stage: &Value| {
        let memory = stage["peak_memory_bytes"].as_f64().unwrap_or(0.0) / 1e6;
        format!(
            "{} {:.1} s {memory:.0} MB",
            stage["stage"].as_str().unwrap_or("?"),
            stage["seconds"].as_f64().unwrap_or(0.0)
        )
    };
    stages.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn recipe(folder: &Path, text: &Path, language: &str, shape: &str) -> Anyhow<()> {
    let numbers: Vec<u64> = shape.split('/').map(str::parse).collect::<Result<_, _>>()?;
    let [width, layers, context, steps] = numbers[..] else { return Err(format!("not a shape: {shape}").into()) };
    let text = text.canonicalize()?;
    let recipe = format!(
        "name = \"forecast\"\nuse = [\"research\"]\nlanguages = [{language:?}]\n[[source]]\npath = {:?}\nlicence = \"LicenseRef-unknown\"\nallowed_by = \"its owner\"\nallowed_on = \"2026-01-01\"\nallowed_for = [\"any\"]\nallowed_until = \"no-end\"\n\
         [train]\nhidden_size = {width}\nlayers = {layers}\ncontext = {context}\nsteps = {steps}\n",
        text.display().to_string(),
    );
    Ok(fs::write(folder.join("kwaya.toml"), recipe)?)
}

struct Ran {
    answer: Value,
    seconds: f64,
    peak_bytes: u64,
    disk_bytes: u64,
}

/// Runs a command of Kwaya on `folder` and looks at it until it ends.
fn run(kwaya: &str, command: &str, folder: &Path) -> Anyhow<Ran> {
    let began = Instant::now();
    let answer = folder.join("answer.json");
    let mut process = Command::new(kwaya)
        .args([command, "--json"])
        .arg(folder)
        .stdout(fs::File::create(&answer)?)
        .stderr(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", process.id());
    let (mut peak_bytes, mut disk_bytes) = (0, 0);
    // The process forgets its own peak between stages; nobody else does.
    let ended = loop {
        peak_bytes =
            peak_bytes.max(machine::peak_memory_in(&fs::read_to_string(&status).unwrap_or_default()).unwrap_or(0));
        disk_bytes = disk_bytes.max(machine::folder_bytes(&folder.join("build")));
        if let Some(ended) = process.try_wait()? {
            break ended;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let text = fs::read_to_string(&answer)?;
    if !ended.success() {
        return Err(format!("kwaya {command}: {text}").into());
    }
    Ok(Ran { answer: serde_json::from_str(&text)?, seconds: began.elapsed().as_secs_f64(), peak_bytes, disk_bytes })
}
