//! Texts that somebody took back: `withdrawn.jsonl` beside the recipe, one
//! line for each time. A text is known by its letters and a file by its
//! content, so neither comes back under another name, in another format, with
//! other line ends or quotation marks, or after the rules that replace
//! personal data have changed.

use std::{
    collections::HashSet,
    fmt,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    str::FromStr,
    sync::Arc,
};

use kwaya_base::{Error, Result, error::At};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The file, beside the recipe.
pub const WITHDRAWN: &str = "withdrawn.jsonl";

/// The longest line: room for some five million texts of one source.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// What a text is known by, however it is set: half of the BLAKE3 hash of its
/// letters and digits, with those of ASCII in lower case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letters(pub(crate) [u8; 16]);

/// What is kept of each byte of ASCII: letters in lower case and digits.
const SMALL: [u8; 256] = {
    let mut small = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        if byte.is_ascii_alphanumeric() {
            small[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    small
};

impl Letters {
    /// Those of `text`, which is NFC.
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut kept, mut count, mut at) = (vec![0; bytes.len()], 0, 0);
        while let Some(&byte) = bytes.get(at) {
            let small = SMALL[usize::from(byte)];
            kept[count] = small;
            count += usize::from(small != 0);
            at += match (byte, bytes.get(at + 1)) {
                (0..0x80, _) => 1,
                // No-break space, soft hyphen, «» and other signs of Latin-1.
                (0xc2, _) => 2,
                // General punctuation: quotation marks, dashes, joiners. And the
                // punctuation of Chinese and Japanese.
                (0xe2, Some(0x80 | 0x81)) | (0xe3, Some(0x80)) => 3,
                _ => {
                    // Of UTF-8 no byte is 0 but the sign for it.
                    kept[count] = byte;
                    count += 1;
                    1
                }
            };
        }
        kept.truncate(count);
        let hash = blake3::hash(&kept);
        Self(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes"))
    }
}

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Letters {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "32 hexadecimal digits are needed";
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong);
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| wrong)
    }
}

impl Serialize for Letters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Letters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One line: what was taken back at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// What was named: a document, a file or a source.
    pub what: String,
    /// The day, as 2026-11-25.
    pub on: String,
    /// Who asked for it or why, where that was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// The texts.
    pub texts: Vec<Letters>,
    /// BLAKE3 of the files that hold nothing else, in hex.
    pub files: Vec<String>,
}

/// All that was taken back. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Withdrawn(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    texts: HashSet<Letters>,
    files: HashSet<blake3::Hash>,
    hash: Option<blake3::Hash>,
}

impl Withdrawn {
    /// What [`WITHDRAWN`] in `folder` says; nothing where there is no such
    /// file.
    ///
    /// # Errors
    /// `withdrawn-wrong`, with the line.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(WITHDRAWN);
        if !path.exists() {
            return Ok(Self::default());
        }
        let mut reader = BufReader::new(File::open(&path).at(&path)?);
        let (mut known, mut hasher) = (Known::default(), blake3::Hasher::new());
        for number in 1.. {
            let mut line = Vec::new();
            let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).at(&path)?;
            if read == 0 {
                break;
            }
            let wrong =
                |cause: String| Error::usage("withdrawn-wrong").path(&path).arg("line", number).arg("cause", cause);
            if line.trim_ascii().is_empty() {
                continue;
            }
            let withdrawal: Withdrawal = serde_json::from_slice(&line).map_err(|e| wrong(e.to_string()))?;
            for file in &withdrawal.files {
                let hash = blake3::Hash::from_hex(file).map_err(|e| wrong(e.to_string()))?;
                known.files.insert(hash);
                hasher.update(hash.as_bytes());
            }
            for text in withdrawal.texts {
                known.texts.insert(text);
                hasher.update(&text.0);
            }
        }
        let some = !known.texts.is_empty() || !known.files.is_empty();
        known.hash = some.then(|| hasher.finalize());
        Ok(Self(Arc::new(known)))
    }

    /// Whether this text was taken back.
    pub fn text(&self, letters: &Letters) -> bool {
        self.0.texts.contains(letters)
    }

    /// Whether all of the file with this content was taken back.
    pub fn file(&self, content: &blake3::Hash) -> bool {
        self.0.files.contains(content)
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.hash.is_none()
    }

    /// The hash of documents of which these were taken back; the same where
    /// nothing was.
    pub fn without(&self, documents: &str) -> String {
        let Some(hash) = self.0.hash else { return documents.to_owned() };
        let mut hasher = blake3::Hasher::new();
        hasher.update(documents.as_bytes());
        hasher.update(hash.as_bytes());
        hasher.finalize().to_hex().to_string()
    }
}

/// Adds a line to [`WITHDRAWN`] in `folder`, durably.
///
/// # Errors
/// When it cannot be written.
pub fn withdraw(folder: &Path, withdrawal: &Withdrawal) -> Result<()> {
    let path = folder.join(WITHDRAWN);
    let line = serde_json::to_string(withdrawal).expect("a withdrawal is plain data");
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path).at(&path)?;
    // A file that somebody edited may lack its last line end.
    let length = file.metadata().at(&path)?.len();
    let mut last = [b'\n'];
    if length > 0 {
        use std::io::{Seek, SeekFrom};
        file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).at(&path)?;
    }
    let before = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{before}{line}\n").as_bytes()).and_then(|()| file.sync_all()).at(&path)?;
    kwaya_base::files::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_is_known_however_it_is_set() {
        let known = Letters::of("«Mvua ya kwanza» — ilinyesha.\n\nMahindi, sawa!");
        assert_eq!(Letters::of("\"MVUA ya\nkwanza\" - ilinyesha. Mahindi\u{a0}sawa"), known);
        assert_eq!(Letters::of("mvuayakwanzailinyeshamahindisawa"), known);
        assert_ne!(Letters::of("Mvua ya pili ilinyesha. Mahindi, sawa!"), known);
        // Letters and vowel signs of other scripts are letters.
        for pair in [["ሰላም", "ሰላ"], ["नमस्ते", "नमसते"], ["你好。", "你们好。"], ["bàbá", "baba"]]
        {
            assert_ne!(Letters::of(pair[0]), Letters::of(pair[1]));
        }
        assert_eq!(Letters::of("你 好。"), Letters::of("你好"));
        assert_eq!(known.to_string().parse(), Ok(known));
        for wrong in ["", "+", "123", &"g".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert!(Letters::from_str(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_taken_back_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = Withdrawn::read(dir.path()).unwrap();
        assert!(nothing.is_empty());
        assert_eq!(nothing.without("abc"), "abc");
        let (text, file) = (Letters::of("mahindi"), blake3::hash(b"mahindi"));
        let mut withdrawal = Withdrawal {
            what: "barua.txt".into(),
            on: "2026-11-25".into(),
            because: String::new(),
            texts: vec![text],
            files: vec![],
        };
        withdraw(dir.path(), &withdrawal).unwrap();
        let path = dir.path().join(WITHDRAWN);
        let first = fs::read_to_string(&path).unwrap();
        let one = Withdrawn::read(dir.path()).unwrap();
        fs::write(&path, first.trim_end()).unwrap();
        withdrawal.files = vec![file.to_hex().to_string()];
        withdraw(dir.path(), &withdrawal).unwrap();
        let both = Withdrawn::read(dir.path()).unwrap();
        assert!(both.text(&text) && both.file(&file) && !both.text(&Letters::of("mtama")));
        assert_ne!(one.without("abc"), both.without("abc"));

        fs::write(&path, format!("{first}\n{{\"what\": 3}}\n")).unwrap();
        let error = Withdrawn::read(dir.path()).unwrap_err();
        assert_eq!((error.key(), error.args()[1].1.as_str()), ("withdrawn-wrong", "3"));
    }

    #[test]
    fn damage_never_panics() {
        let dir = tempfile::tempdir().unwrap();
        let good = format!(
            "{{\"what\":\"a\",\"on\":\"2026-11-25\",\"texts\":[\"{}\"],\"files\":[\"{}\"]}}\n",
            "0".repeat(32),
            "0".repeat(64)
        );
        let mut state = 1u64;
        let mut next = move |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut whole = 0;
        for _ in 0..2000 {
            let mut bytes = good.clone().into_bytes();
            for _ in 0..=next(2) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            fs::write(dir.path().join(WITHDRAWN), bytes).unwrap();
            whole += u32::from(Withdrawn::read(dir.path()).is_ok());
        }
        assert!((1..2000).contains(&whole), "{whole}");
    }
}
