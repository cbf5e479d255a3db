//! GGUF files: what is written is read, and whatever a stranger's file holds,
//! the answer is an error, not a panic and not a demand for memory.

mod damage;

use std::{fs, path::PathBuf};

use damage::{TENSORS, content, entries, metadata, replaced};
use kwaya_math::{Format, philox::Stream};
use kwaya_model::gguf::{self, Gguf, Value};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("model.gguf")
    }

    /// The key of the error that reading these bytes gives, and all that it
    /// names.
    fn error(&self, bytes: &[u8]) -> (&'static str, String) {
        fs::write(self.path(), bytes).unwrap();
        match Gguf::open(&self.path()) {
            Ok(_) => ("read", String::new()),
            Err(error) => {
                let names: Vec<_> = error.args().iter().map(|(name, value)| format!("{name}={value}")).collect();
                assert!(error.args().iter().any(|(name, _)| *name == "path"));
                (error.key(), names.join(" "))
            }
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(name)[..], &kind.to_le_bytes(), value].concat()
}

/// The head of a list of `count` elements of the type `kind`.
fn list(kind: u32, count: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat()
}

/// A tensor's part of the header; sizes in the order of the file.
fn tensor(name: &str, sizes: &[u64], format: u32, offset: u64) -> Vec<u8> {
    let mut out = [&text(name)[..], &(sizes.len() as u32).to_le_bytes()].concat();
    sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
    [&out[..], &format.to_le_bytes(), &offset.to_le_bytes()].concat()
}

/// A file of version 3 with 128 bytes for tensors.
fn file(keys: &[Vec<u8>], tensors: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((keys.len() as u64).to_le_bytes());
    keys.iter().chain(tensors).for_each(|part| out.extend(part));
    out.resize(out.len().next_multiple_of(32) + 128, 0);
    out
}

#[test]
fn what_is_written_is_read() {
    let folder = Folder::new();
    let write = || {
        // In pieces of whatever length.
        gguf::write(&folder.path(), &metadata(), &entries(), |index, take| content(index).chunks(7).try_for_each(take))
            .unwrap();
        fs::read(folder.path()).unwrap()
    };
    assert_eq!(write(), write(), "the same input, the same bytes");

    let file = Gguf::open(&folder.path()).unwrap();
    assert_eq!(file.metadata.len(), metadata().len());
    for (key, value) in metadata() {
        assert_eq!(file.metadata[key], value, "{key}");
    }
    assert_eq!(file.tensors().len(), TENSORS.len());
    for (index, (name, shape, format)) in TENSORS.into_iter().enumerate() {
        let tensor = file.tensor(name).unwrap();
        assert_eq!(*tensor, file.tensors()[index]);
        assert_eq!((&tensor.name[..], &tensor.shape[..], tensor.format), (name, shape, format));
        assert!(tensor.range.start.is_multiple_of(gguf::ALIGNMENT));
        assert_eq!(file.bytes(tensor), content(index), "{name}");
    }
    assert!(file.tensor("none").is_none());
}

#[test]
fn formats_have_one_name_everywhere() {
    for format in Format::ALL {
        assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
}

#[test]
fn values_are_got_by_key_and_type() {
    let folder = Folder::new();
    gguf::write(&folder.path(), &metadata(), &[], |_, _| Ok(())).unwrap();
    let file = Gguf::open(&folder.path()).unwrap();
    assert_eq!(file.text("general.architecture").unwrap(), "llama");
    assert_eq!(file.unsigned("llama.context_length").unwrap(), 2048);
    assert_eq!(file.float("llama.rope.freq_base").unwrap(), 1e4);
    assert!(file.flag("tokenizer.ggml.add_bos_token").unwrap());
    assert_eq!(file.texts("tokenizer.ggml.tokens").unwrap().get(39), Some("▁word39"));
    assert_eq!(file.texts("tokenizer.ggml.tokens").unwrap().get(40), None);
    assert_eq!(file.floats("tokenizer.ggml.scores").unwrap()[3], -1.5);
    assert_eq!(file.signeds("tokenizer.ggml.token_type").unwrap()[..3], [-1, 0, 1]);
    assert_eq!(file.unsigneds("some.counts").unwrap(), [0, 1, u64::MAX]);

    let error = file.text("llama.context_length").unwrap_err();
    assert_eq!(error.key(), "gguf-key-type");
    assert!(error.to_string().contains("llama.context_length is an unsigned number where text is needed"), "{error}");
    assert_eq!(file.unsigned("a.negative").unwrap_err().key(), "gguf-key-type");
    assert_eq!(file.float("someday").unwrap_err().key(), "gguf-key-missing");
}

/// Widths that the writer does not use.
#[test]
fn numbers_of_every_width_are_read() {
    let folder = Folder::new();
    let bytes = file(
        &[
            key("u8", 0, &[200]),
            key("i8", 1, &[0x80]),
            key("u16", 2, &[1, 2]),
            key("i16", 3, &[0xff, 0xff]),
            key("u8s", 9, &[&list(0, 3)[..], &[1, 2, 255]].concat()),
            key("f64", 12, &0.1f64.to_le_bytes()),
            key("general.alignment", 4, &64u32.to_le_bytes()),
        ],
        &[tensor("a", &[2, 4], 0, 0), tensor("b", &[1], 0, 64)],
    );
    fs::write(folder.path(), &bytes).unwrap();
    let file = Gguf::open(&folder.path()).unwrap();
    assert_eq!(file.metadata["u8"], Value::Unsigned(200));
    assert_eq!(file.metadata["i8"], Value::Signed(-128));
    assert_eq!(file.metadata["u16"], Value::Unsigned(513));
    assert_eq!(file.metadata["i16"], Value::Signed(-1));
    assert_eq!(file.metadata["u8s"], Value::Unsigneds(vec![1, 2, 255]));
    assert_eq!(file.metadata["f64"], Value::Float(0.1));
    assert_eq!(file.tensors()[0].shape, [4, 2], "rows, then columns");
    assert!(file.tensors().iter().all(|tensor| tensor.range.start.is_multiple_of(64)));

    // Written again, it has our alignment, and says so by saying nothing.
    let again = folder.0.path().join("again.gguf");
    let metadata: Vec<_> = file.metadata.iter().map(|(key, value)| (&key[..], value.clone())).collect();
    let tensors = file.tensors().iter();
    let entries: Vec<_> = tensors.map(|t| gguf::Entry { name: &t.name, shape: &t.shape, format: t.format }).collect();
    gguf::write(&again, &metadata, &entries, |index, take| take(file.bytes(&file.tensors()[index]))).unwrap();
    let again = Gguf::open(&again).unwrap();
    assert_eq!(again.metadata.len(), metadata.len() - 1);
    assert_eq!(again.tensors()[1].range.len(), 4);
}

#[test]
fn each_damage_is_named() {
    let folder = Folder::new();
    let one = |tensor: Vec<u8>| file(&[], &[tensor]);
    let keyed = |kind: u32, value: &[u8]| file(&[key("k", kind, value)], &[]);
    let aligned = |kind: u32, value: &[u8]| file(&[key("general.alignment", kind, value)], &[]);
    let nested = |depth: usize| keyed(9, &list(9, 1).repeat(depth));
    let good = one(tensor("a", &[8, 4], 0, 0));
    let with = |at: usize, bytes: &[u8]| [&good[..at], bytes, &good[at + bytes.len()..]].concat();
    assert_eq!(folder.error(&good).0, "read");

    let long = "x".repeat(1 << 16);
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("empty", vec![], "gguf-damaged", "magic"),
        ("three bytes", b"GGU".to_vec(), "gguf-damaged", "magic"),
        ("other magic", with(0, b"ggml"), "gguf-damaged", "magic"),
        ("version 1", with(4, &1u32.to_le_bytes()), "gguf-version", "found=1 "),
        ("version 4", with(4, &4u32.to_le_bytes()), "gguf-version", "found=4 "),
        ("big-endian", with(4, &3u32.to_be_bytes()), "gguf-version", "found=3, big-endian"),
        ("no counts", good[..12].to_vec(), "gguf-short", "missing=4"),
        ("tensors 2^64-1", with(8, &[0xff; 8]), "gguf-damaged", "tensor count"),
        ("tensors 1000", with(8, &1000u64.to_le_bytes()), "gguf-short", "missing="),
        ("keys 2^63", with(16, &(1u64 << 63).to_le_bytes()), "gguf-damaged", "key count"),
        ("keys 1000", with(16, &1000u64.to_le_bytes()), "gguf-short", "missing="),
        ("no key", file(&[key("", 4, &[0; 4])], &[]), "gguf-damaged", "the name is empty"),
        ("long key", file(&[key(&long, 4, &[0; 4])], &[]), "gguf-damaged", "longer than 65535"),
        (
            "key twice",
            file(&[key("k", 7, &[1]), key("k", 7, &[1])], &[]),
            "gguf-damaged",
            "field=k cause=the key is there twice",
        ),
        ("key not UTF-8", replaced(&keyed(7, &[1]), b"k", &[0xff]), "gguf-damaged", "UTF-8"),
        ("type 13", keyed(13, &[0; 8]), "gguf-damaged", "field=k cause=there is no type of values 13"),
        ("list of type 99", keyed(9, &list(99, 1)), "gguf-damaged", "field=k cause=there is no type of values 99"),
        ("text 2^64-1", keyed(8, &[0xff; 8]), "gguf-damaged", "field=k"),
        ("text too long", keyed(8, &4000u64.to_le_bytes()), "gguf-short", "missing="),
        ("text not UTF-8", keyed(8, &[&text("aé")[..10], b"b"].concat()), "gguf-damaged", "UTF-8"),
        ("yes or no is 2", keyed(7, &[2]), "gguf-damaged", "yes or no"),
        ("list 2^62", keyed(9, &list(4, 1 << 62)), "gguf-damaged", "field=k"),
        ("list 2^24 of texts", keyed(9, &list(8, 1 << 24)), "gguf-short", "missing="),
        ("list 2^24 of numbers", keyed(9, &list(12, 1 << 24)), "gguf-short", "missing="),
        ("list 2^20 of lists", keyed(9, &list(9, 1 << 20)), "gguf-short", "missing="),
        ("list 5 deep", nested(5), "gguf-damaged", "deep"),
        ("list 5000 deep", nested(5000), "gguf-damaged", "deep"),
        ("alignment 0", aligned(4, &[0; 4]), "gguf-damaged", "general.alignment"),
        ("alignment 48", aligned(4, &48u32.to_le_bytes()), "gguf-damaged", "general.alignment"),
        ("alignment 2^21", aligned(4, &(1u32 << 21).to_le_bytes()), "gguf-damaged", "general.alignment"),
        ("alignment 2^63", aligned(10, &(1u64 << 63).to_le_bytes()), "gguf-damaged", "general.alignment"),
        ("alignment is text", aligned(8, &text("32")), "gguf-damaged", "general.alignment"),
        ("no tensor name", one(tensor("", &[8], 0, 0)), "gguf-damaged", "tensor 0"),
        (
            "tensor twice",
            file(&[], &[tensor("a", &[8], 0, 0), tensor("a", &[8], 0, 32)]),
            "gguf-damaged",
            "field=a cause=the tensor is there twice",
        ),
        ("5 sizes", one(tensor("a", &[1; 5], 0, 0)), "gguf-damaged", "5 sizes"),
        ("size 0", one(tensor("a", &[8, 0], 0, 0)), "gguf-damaged", "a size of 0"),
        ("product 2^64", one(tensor("a", &[1 << 32, 1 << 32], 0, 0)), "gguf-damaged", "beyond every file"),
        ("product 2^62", one(tensor("a", &[1 << 31, 1 << 31], 0, 0)), "gguf-damaged", "beyond every file"),
        ("columns 33", one(tensor("a", &[33, 32], 8, 0)), "gguf-damaged", "33 columns"),
        ("IQ4_XS", one(tensor("a", &[256], 23, 0)), "gguf-type", "tensor=a found=IQ4_XS (23)"),
        ("format 1000", one(tensor("a", &[8], 1000, 0)), "gguf-type", "tensor=a found=1000"),
        ("place 4", one(tensor("a", &[8], 0, 4)), "gguf-damaged", "its place 4"),
        ("place 2^64-32", one(tensor("a", &[8], 0, u64::MAX - 31)), "gguf-damaged", "beyond every file"),
        ("place 2^64-64", one(tensor("a", &[8], 0, u64::MAX - 63)), "gguf-damaged", "beyond every file"),
        ("place 128", one(tensor("a", &[8], 0, 128)), "gguf-short", "missing=32"),
        (
            "overlap",
            file(&[], &[tensor("a", &[8, 2], 0, 32), tensor("b", &[9], 0, 0)]),
            "gguf-damaged",
            "field=a cause=it overlaps b",
        ),
        ("same place", file(&[], &[tensor("a", &[1], 0, 0), tensor("b", &[1], 0, 0)]), "gguf-damaged", "overlaps"),
        ("cut in the tensor", good[..good.len() - 1].to_vec(), "gguf-short", "missing=1"),
        ("cut in the header", good[..60].to_vec(), "gguf-short", "missing="),
    ];
    for (what, bytes, key, names) in cases {
        let (found, named) = folder.error(&bytes);
        assert_eq!(found, key, "{what}: {named}");
        assert!(format!("{named} ").contains(names), "{what}: {named}");
    }
    fs::remove_file(folder.path()).unwrap();
    assert_eq!(Gguf::open(&folder.path()).err().unwrap().key(), "io-not-found");
}

/// A large file does not justify a large header.
#[test]
fn a_header_has_a_limit() {
    let folder = Folder::new();
    let bytes = file(&[key("k", 9, &list(12, 1 << 24))], &[]);
    fs::write(folder.path(), &bytes).unwrap();
    // A hole, which takes no room on the disk.
    fs::File::options().write(true).open(folder.path()).unwrap().set_len(1 << 28).unwrap();
    let error = Gguf::open(&folder.path()).err().unwrap();
    assert!(error.to_string().contains("longer than 67108864 bytes"), "{error}");
}

/// Lists four deep, and what comes last, are still good.
#[test]
fn limits_include_what_they_name() {
    let folder = Folder::new();
    let deep = [&list(9, 1).repeat(3)[..], &list(0, 1), &[7]].concat();
    assert_eq!(folder.error(&file(&[key("k", 9, &deep)], &[])).0, "read");
    let name = "x".repeat(65535);
    assert_eq!(folder.error(&file(&[key(&name, 7, &[0])], &[tensor(&name, &[32; 1], 0, 0)])).0, "read");
    let end = file(&[], &[tensor("a", &[8], 0, 96), tensor("b", &[24], 0, 0)]);
    assert_eq!(folder.error(&end).0, "read");
}

/// A name that would move the cursor of a terminal is shown as what it is.
#[test]
fn names_from_strangers_are_quoted() {
    let folder = Folder::new();
    let name = format!("\x1b[2J{}", "y".repeat(1000));
    let (_, named) = folder.error(&file(&[], &[tensor(&name, &[8], 99, 0)]));
    assert!(named.contains(r"tensor=\u{1b}[2Jyyy") && named.len() < 400, "{named}");
}

#[test]
fn random_damage_never_panics() {
    const CASES: u64 = 2000;
    let folder = Folder::new();
    let seeds = damage::seeds(folder.0.path());
    let mut buffer = vec![];
    for seed in &seeds {
        fs::write(folder.path(), &seed.bytes).unwrap();
        damage::read_all(&folder.path(), &mut buffer).unwrap();
    }
    let mut read = 0;
    for case in 0..CASES {
        fs::write(folder.path(), damage::damaged(&seeds, &mut Stream::new(8, 1, case))).unwrap();
        let result = std::panic::catch_unwind(|| damage::read_all(&folder.path(), &mut vec![]).is_ok());
        read += u64::from(result.unwrap_or_else(|_| panic!("case {case}: a panic")));
    }
    println!("{read} of {CASES} damaged files were still read");
    assert!(read < CASES / 2, "most damage is noticed");
}
