//! Feeds damaged vocabularies, tokenizer files and chat templates for some
//! seconds: `fuzz_words vocabularies|templates SECONDS [SEED]`. Each must be
//! used or refused; a panic, or one that takes more than a minute, ends the
//! program. The seed of each input is counted up from the first.

use std::time::{Duration, Instant};

use kwaya_text::{
    chat::{Date, Message, Setting, Template},
    vocabulary::Vocabulary,
};
use serde_json::Value;

const WORDS: &str = include_str!("../tests/golden/words.json");
const CHATS: &str = include_str!("../tests/golden/chats.json");

/// What one input may take, on a machine that is busy with other things.
const SLOW: Duration = Duration::from_secs(60);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

const ODD_TEXTS: &[&str] = &[
    "", " ", "a", "▁", "<0x00>", "<0xZZ>", "é", "\0", "a b", " a", "a ", "Ġ", "$A", "BOS:1", "<s>", "𝒳", "\u{301}",
    "[PAD1]",
];

/// Changes some leaf or branch of a JSON value.
fn damage(value: &mut Value, random: &mut Random) {
    match value {
        Value::Array(list) if !list.is_empty() && random.below(8) > 0 => {
            let at = random.below(list.len());
            match random.below(12) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, list[at].clone()),
                2 => list.swap(0, at),
                3 => list.truncate(at),
                _ => damage(&mut list[at], random),
            }
        }
        Value::Object(map) if !map.is_empty() && random.below(8) > 0 => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let key = random.of(&keys).clone();
            match random.below(12) {
                0 => drop(map.remove(&key)),
                1 => {
                    let other = map[random.of(&keys)].clone();
                    map.insert(key, other);
                }
                2 => {
                    let other = map[&key].clone();
                    map.insert((*random.of(ODD_TEXTS)).to_owned(), other);
                }
                _ => damage(&mut map[&key], random),
            }
        }
        Value::String(text) if random.below(3) > 0 => {
            let mut characters: Vec<char> = text.chars().collect();
            let at = random.below(characters.len() + 1);
            match random.below(3) {
                0 => characters.truncate(at),
                1 => characters.insert(at, *random.of(&[' ', 'a', '\\', '(', '|', '▁', 'Ġ', '\0', '*'])),
                _ => characters.extend(random.of(ODD_TEXTS).chars()),
            }
            *text = characters.into_iter().collect();
        }
        other => {
            let numbers = [0, 1, -1, 5, 699, 700, 1 << 20, i64::from(u32::MAX), i64::MAX, i64::MIN];
            *other = match random.below(6) {
                0 => Value::Null,
                1 => (random.below(2) == 0).into(),
                2 => (*random.of(&numbers)).into(),
                3 => (*random.of(&[0.5, -1e30, 1e30])).into(),
                4 => Value::Array(vec![other.clone(), other.clone()]),
                _ => (*random.of(ODD_TEXTS)).into(),
            };
        }
    }
}

fn use_vocabulary(vocabulary: &Vocabulary, line: &str) -> bool {
    let Ok(mut tokenizer) = vocabulary.tokenizer() else { return false };
    for special in [false, true] {
        tokenizer.set_encode_special_tokens(special);
        if let Ok(encoding) = tokenizer.encode(line, true) {
            let size = vocabulary.tokens.len() as u32;
            assert!(encoding.get_ids().iter().all(|&id| id < size), "an id that is no token");
            let _ = tokenizer.decode(encoding.get_ids(), special);
        }
    }
    true
}

/// One damaged vocabulary or tokenizer file; whether it could be used.
fn vocabulary(golden: &Value, random: &mut Random) -> bool {
    let line = random.of(golden["lines"].as_array().unwrap()).as_str().unwrap().to_owned();
    let pieces = random.of(golden["pieces"].as_array().unwrap())["vocabulary"].clone();
    let way = random.of(golden["ways"].as_array().unwrap()).clone();
    let mut file = golden["tokenizer"].clone();
    file["pre_tokenizer"] = way["pre_tokenizer"].clone();
    let rounds = 1 + random.below(4);
    match random.below(4) {
        0 => {
            for _ in 0..rounds {
                damage(&mut file, random);
            }
            let mut config = serde_json::json!({"bos_token": "<|endoftext|>", "chat_template": [{"name": "default"}]});
            damage(&mut config, random);
            Vocabulary::of(file.to_string().as_bytes(), Some(config.to_string().as_bytes()))
                .is_ok_and(|vocabulary| use_vocabulary(&vocabulary, &line))
        }
        1 => {
            let whole: Vocabulary = serde_json::from_value(pieces).unwrap();
            let json = whole.tokenizer().unwrap().to_string(false).unwrap();
            let mut file: Value = serde_json::from_str(&json).unwrap();
            for _ in 0..rounds {
                damage(&mut file, random);
            }
            Vocabulary::of(file.to_string().as_bytes(), None).is_ok_and(|vocabulary| use_vocabulary(&vocabulary, &line))
        }
        kind => {
            let mut plain = match kind {
                2 => pieces,
                _ => serde_json::to_value(Vocabulary::of(file.to_string().as_bytes(), None).unwrap()).unwrap(),
            };
            for _ in 0..rounds {
                damage(&mut plain, random);
            }
            serde_json::from_value(plain).is_ok_and(|mut vocabulary: Vocabulary| {
                let _ = random.below(4) == 0 && vocabulary.pad(random.below(2000)).is_ok();
                use_vocabulary(&vocabulary, &line)
            })
        }
    }
}

const SNIPPETS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{%-",
    "-%}",
    "{#",
    "#}",
    "(",
    ")",
    "[",
    "]",
    "[::-1]",
    "[1:]",
    "|",
    "~",
    " * 99999",
    "'",
    " if ",
    " else ",
    "{% endif %}",
    "{% endfor %}",
    "{% for x in range(99999) %}",
    "{% set ns.x = ns.x ~ ns.x %}",
    "messages",
    "ns",
    "loop",
    "| tojson(indent=2)",
    ".split('a')",
    ".replace('a', 'aaaa')",
    "strftime_now('%Y%')",
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{% generation %}",
    "{% break %}",
    "{% raw %}",
    "\u{0}",
    "é",
    "range(99999) | list",
    "{% set ns = namespace(x=[messages]) %}",
    "{{ messages | string * 999 }}",
    "recursive",
    "{% include 'chat' %}",
    "{% extends 'chat' %}",
    "{% import 'chat' as c %}",
    "{{ self }}",
    "'%999999999s' | format(1)",
    "| batch(1)",
    "| slice(99999999)",
    "| indent(99999999)",
    "'{:>999999999}'.format(1)",
    "{{ 2 ** 999 ** 99 }}",
];

/// One damaged template; whether it made a text.
fn template(golden: &Value, random: &mut Random) -> bool {
    let templates: Vec<&Value> = golden["templates"].as_object().unwrap().values().collect();
    let mut source: Vec<char> = random.of(&templates).as_str().unwrap().chars().collect();
    for _ in 0..1 + random.below(6) {
        let at = random.below(source.len() + 1);
        let end = (at + random.below(30)).min(source.len());
        match random.below(5) {
            0 => drop(source.drain(at..end)),
            1 => {
                let copy = source[at..end].to_vec();
                let to = random.below(source.len() + 1);
                source.splice(to..to, copy);
            }
            _ => drop(source.splice(at..at, random.of(SNIPPETS).chars())),
        }
    }
    let source: String = source.into_iter().collect();
    let chats: Vec<&Value> = golden["chats"].as_object().unwrap().values().collect();
    let messages: Vec<Message> = random
        .of(&chats)
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| Message::new(turn["role"].as_str().unwrap(), turn["content"].as_str().unwrap()))
        .collect();
    let date = Date { year: random.below(3000) as u32, month: random.below(15) as u32, day: random.below(40) as u32 };
    let setting = Setting {
        add_generation_prompt: random.below(2) == 0,
        bos_token: "<s>",
        eos_token: "</s>",
        tools: [None, golden["tools"].as_str(), Some("[[[")][random.below(3)],
        date: Some(date).filter(|_| random.below(2) == 0),
    };
    Template::new(&source).and_then(|template| template.render(&messages, &setting)).is_ok()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().expect("vocabularies or templates");
    let seconds = arguments.next().and_then(|text| text.parse().ok()).expect("seconds");
    let first: u64 = arguments.next().map_or(1, |text| text.parse().expect("a seed"));
    let (golden, one): (&str, fn(&Value, &mut Random) -> bool) = match what.as_str() {
        "vocabularies" => (WORDS, vocabulary),
        "templates" => (CHATS, template),
        _ => panic!("vocabularies or templates"),
    };
    let golden: Value = serde_json::from_str(golden).unwrap();
    let start = Instant::now();
    let (mut inputs, mut used, mut slowest) = (0, 0, (Duration::ZERO, first));
    while start.elapsed() < Duration::from_secs(seconds) {
        let seed = first + inputs;
        let began = Instant::now();
        let result = std::panic::catch_unwind(|| one(&golden, &mut Random(seed)));
        let took = began.elapsed();
        match result {
            Ok(good) => used += u64::from(good),
            Err(_) => panic!("input {seed} of {what}"),
        }
        assert!(took < SLOW, "input {seed} of {what} took {took:?}");
        slowest = slowest.max((took, seed));
        inputs += 1;
    }
    let (took, seed) = slowest;
    #[allow(clippy::print_stdout)]
    {
        println!("{inputs} {what}, {used} of them usable; the slowest, {seed}, took {took:?}");
    }
}
