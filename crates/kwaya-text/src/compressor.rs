//! A baseline that has learned nothing: how well zstd packs the held-out text
//! when it may look back at all the training text. A model that is worse has
//! learned less than a list of repeated strings.

use std::{collections::BTreeMap, io::Write};

use kwaya_base::{Error, Result};
use zstd::stream::{raw::CParameter, write::Encoder};

use crate::tokenizer::Text;

/// The hardest level that needs no more memory for its own sake.
const LEVEL: i32 = 19;

/// Training text that the compressor may look back at: the last so many bytes.
const LOOK_BACK_BYTES: usize = 64 << 20;

/// What the compressor makes of one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// The language.
    pub language: String,
    /// Bytes of held-out text.
    pub bytes: u64,
    /// Bits of compressed data per byte of text.
    pub bits_per_byte: f64,
}

/// Packs the held-out documents of each language, one after another, with
/// zstd -19 and all training text (of every language) as a prefix.
///
/// # Errors
/// What the documents bring, or the library.
pub fn bits_per_byte(documents: impl Iterator<Item = Result<Text>>) -> Result<Vec<Packed>> {
    let mut training = Vec::new();
    let mut held_out: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for document in documents {
        let document = document?;
        let to = if document.held_out { held_out.entry(document.language).or_default() } else { &mut training };
        to.extend(document.text.as_bytes());
        to.push(b'\n');
        if training.len() > 2 * LOOK_BACK_BYTES {
            training.drain(..training.len() - LOOK_BACK_BYTES);
        }
    }
    let look_back = &training[training.len().saturating_sub(LOOK_BACK_BYTES)..];
    let failed = |cause: std::io::Error| Error::new("compressor-failed").arg("cause", &cause).source(cause);
    held_out
        .into_iter()
        .map(|(language, text)| {
            let window = (look_back.len() + text.len()).next_power_of_two().trailing_zeros().clamp(20, 27);
            let mut encoder = Encoder::with_ref_prefix(Vec::new(), LEVEL, look_back).map_err(failed)?;
            for parameter in [
                CParameter::WindowLog(window),
                CParameter::EnableLongDistanceMatching(true),
                CParameter::ChecksumFlag(false),
            ] {
                encoder.set_parameter(parameter).map_err(failed)?;
            }
            encoder.write_all(&text).map_err(failed)?;
            let packed = encoder.finish().map_err(failed)?;
            let bytes = text.len() as u64;
            Ok(Packed { language, bytes, bits_per_byte: 8.0 * packed.len() as f64 / bytes as f64 })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: String, language: &str, held_out: bool) -> Result<Text> {
        Ok(Text { text, language: language.to_owned(), held_out, hash: 0, messages: None })
    }

    /// Letters that nothing foretells, 4 bits each.
    fn noise(bytes: usize, mut state: u64) -> String {
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (state >> 60) as u8)
        };
        (0..bytes).map(|_| letter()).collect()
    }

    #[test]
    fn what_was_in_the_training_text_costs_next_to_nothing() {
        let known = noise(50_000, 1);
        let documents = [
            document(noise(300_000, 2), "sw", false),
            document(known.clone(), "en", true),
            document(noise(50_000, 3), "sw", true),
            document(known, "sw", false),
        ];
        let packed = bits_per_byte(documents.into_iter()).unwrap();
        let languages: Vec<_> = packed.iter().map(|p| (p.language.as_str(), p.bytes)).collect();
        assert_eq!(languages, [("en", 50_001), ("sw", 50_001)]);
        assert!(packed[0].bits_per_byte < 0.02, "{packed:?}");
        assert!((4.0..4.2).contains(&packed[1].bits_per_byte), "{packed:?}");
    }
}
