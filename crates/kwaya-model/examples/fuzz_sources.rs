//! Opens damaged models until the time is over, and says how many: folders
//! whose config.json, index and headers are changed as JSON, so that most of
//! the damage lies behind the parser, and GGUF files with other bytes in the
//! header. Nothing may panic.
//!
//!     cargo run --release -p kwaya-model --example fuzz_sources -- SECONDS [SEED]

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kwaya_math::philox::Stream;
use kwaya_model::Source;
use serde_json::{Map, Value, json};

/// The files of a good model, by name.
type Files = BTreeMap<String, Vec<u8>>;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let (seconds, seed) = (arguments.next().unwrap_or(10), arguments.next().unwrap_or(1));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families");
    let names = ["llama2", "llama3", "mistral", "qwen2", "qwen3", "gemma3"];
    let models: Vec<Files> = names.map(|name| read(&golden.join(name))).into();
    // Keys and values of one model make sense to the reader of another.
    let configs: Vec<Value> =
        models.iter().map(|files| serde_json::from_slice(&files["config.json"]).unwrap()).collect();
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();

    let (start, mut case, mut answers) = (Instant::now(), 0, BTreeMap::<String, u64>::new());
    while start.elapsed() < Duration::from_secs(seconds) {
        let mut stream = Stream::new(seed, 0, case);
        // One model after the other, so that most of its files stay in place.
        let good = &models[(case / 1000) as usize % models.len()];
        if case % 1000 == 0 {
            fs::read_dir(folder.path()).unwrap().for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
            good.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
        }
        if stream.below(4) == 0 {
            let path = folder.path().join("damaged");
            let name = names[(case / 1000) as usize % models.len()];
            fs::write(&path, damaged_gguf(&golden.join(format!("{name}.gguf")), &mut stream)).unwrap();
            let answer = catch_unwind(AssertUnwindSafe(|| open(&path)));
            let answer = answer.unwrap_or_else(|_| panic!("seed {seed}, case {case}: a panic over GGUF"));
            *answers.entry(format!("gguf: {answer}")).or_default() += 1;
            case += 1;
            continue;
        }
        let mut changed = Vec::new();
        for _ in 0..=stream.below(2) {
            let name = good.keys().nth(stream.below(good.len() as u64) as usize).unwrap();
            fs::write(folder.path().join(name), damaged(name, &good[name], &configs, &mut stream)).unwrap();
            changed.push(name);
        }
        let answer = catch_unwind(AssertUnwindSafe(|| open(folder.path())));
        let answer = answer.unwrap_or_else(|_| panic!("seed {seed}, case {case}: a panic over {changed:?}"));
        *answers.entry(answer).or_default() += 1;
        changed.into_iter().for_each(|name| fs::write(folder.path().join(name), &good[name]).unwrap());
        case += 1;
    }
    println!("{case} inputs in {seconds} s, seed {seed}: no panic");
    answers.iter().for_each(|(answer, times)| println!("{times:9} {answer}"));
}

fn read(folder: &PathBuf) -> Files {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// Does with a folder all that a program would. What it says may be wrong,
/// but must be possible.
fn open(folder: &Path) -> String {
    let source = match Source::open(folder) {
        Ok(source) => source,
        Err(error) => return error.key().into(),
    };
    let architecture = source.architecture();
    architecture.config();
    for rope in &architecture.ropes {
        assert_eq!(rope.inverse_frequencies(architecture.head_dim).len(), architecture.head_dim / 2);
    }
    let answer = source.check().map_or_else(|error| error.key().to_owned(), |_| "whole".into());
    if answer == "whole" {
        let mut parameters = 0;
        for (name, shape) in architecture.tensors() {
            let view = source.tensor(&name).unwrap();
            assert_eq!(view.values().len(), shape.iter().product::<usize>());
            (0..view.rows).for_each(|i| assert_eq!(Some(view.row(i).len()), view.format.bytes(view.cols)));
            parameters += view.values().len() as u64;
        }
        assert_eq!(architecture.parameters(), parameters);
    }
    answer
}

fn damaged_gguf(good: &Path, stream: &mut Stream) -> Vec<u8> {
    let mut bytes = fs::read(good).unwrap();
    // The keys and the tensors' places; what is between are tokens.
    let tokens = bytes.windows(8).position(|window| window == b"ml.token").unwrap();
    let tensors = bytes.windows(10).position(|window| window == b"token_embd").unwrap();
    for _ in 0..=stream.below(4) {
        let start = if stream.below(2) == 0 { 24 } else { tensors };
        let at = start + stream.below(if start == tensors { 1200 } else { tokens as u64 - 24 }) as usize;
        bytes[at] = match stream.below(4) {
            0 => 0,
            1 => bytes[at] ^ (1 << stream.below(8)),
            2 => bytes[at].wrapping_add(1),
            _ => stream.next_u32() as u8,
        };
    }
    bytes
}

fn damaged(name: &str, good: &[u8], configs: &[Value], stream: &mut Stream) -> Vec<u8> {
    let header = name.ends_with(".safetensors");
    let (json, rest) = if header {
        let length = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        good[8..].split_at(length)
    } else {
        (good, &[][..])
    };
    let mut value: Value = serde_json::from_slice(json).unwrap();
    for _ in 0..=stream.below(3) {
        change(&mut value, configs, stream);
    }
    let mut json = serde_json::to_vec(&value).unwrap();
    if stream.below(16) == 0 {
        let at = stream.below(json.len() as u64) as usize;
        json[at] = stream.next_u32() as u8;
    }
    if stream.below(64) == 0 {
        json.truncate(stream.below(json.len() as u64) as usize);
    }
    if !header {
        return json;
    }
    let length = match stream.below(32) {
        0 => stream.next_u64(),
        1 => json.len() as u64 + stream.below(9),
        _ => json.len() as u64,
    };
    let rest = if stream.below(32) == 0 { &rest[..stream.below(rest.len() as u64) as usize] } else { rest };
    [&length.to_le_bytes(), &json[..], rest].concat()
}

/// Changes one place of `value`.
fn change(value: &mut Value, configs: &[Value], stream: &mut Stream) {
    let below = |stream: &mut Stream, n: usize| stream.below(n as u64) as usize;
    match value {
        Value::Object(map) if !map.is_empty() && stream.below(8) > 0 => {
            let key = map.keys().nth(below(stream, map.len())).unwrap().clone();
            match stream.below(12) {
                0 => _ = map.remove(&key),
                1 => {
                    let taken = map.remove(&key).unwrap();
                    let name = key.chars().rev().collect::<String>();
                    map.insert([name, format!("{key}.x"), "model.layers.0.x".into()][below(stream, 3)].clone(), taken);
                }
                2 => {
                    // A key of another model, or the value of another key.
                    let other = configs[below(stream, configs.len())].as_object().unwrap();
                    let (from, taken) = other.iter().nth(below(stream, other.len())).unwrap();
                    map.insert(if stream.below(2) == 0 { from.clone() } else { key }, taken.clone());
                }
                3 => {
                    let from = map.values().nth(below(stream, map.len())).unwrap().clone();
                    map.insert(key, from);
                }
                _ => change(&mut map[&key], configs, stream),
            }
        }
        Value::Array(values) if !values.is_empty() && stream.below(4) > 0 => {
            let at = below(stream, values.len());
            match stream.below(6) {
                0 => _ = values.remove(at),
                1 => values.insert(at, values[at].clone()),
                _ => change(&mut values[at], configs, stream),
            }
        }
        Value::Number(number) if stream.below(2) == 0 => {
            let n = number.as_f64().unwrap_or(0.0);
            let near = [n + 1.0, n - 1.0, 2.0 * n, n / 2.0, -n, n + 0.5][below(stream, 6)];
            *value = if near.fract() == 0.0 { json!(near as i64) } else { json!(near) };
        }
        _ => *value = strange(stream),
    }
}

fn strange(stream: &mut Stream) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(2),
        json!(u32::MAX),
        json!(1u64 << 32),
        json!(1u64 << 63),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!(1e-300),
        json!(1e308),
        json!(""),
        json!("llama"),
        json!("gemma3_text"),
        json!("F16"),
        json!("BF16"),
        json!("F4"),
        json!("../x.safetensors"),
        json!("model-00001-of-00002.safetensors"),
        json!("sliding_attention"),
        json!("llama3"),
        json!("x".repeat(3000)),
        json!([]),
        json!([1, 2]),
        json!({}),
        json!({"full_attention": {"rope_type": "linear", "factor": 3}}),
        Value::Object(Map::from_iter((0..40).map(|i| (format!("k{i}"), json!(i))))),
    ];
    values[stream.below(values.len() as u64) as usize].clone()
}
