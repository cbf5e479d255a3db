//! What the tests of training share.

use std::{collections::HashMap, fs, path::Path};

use kwaya_train::TokenFile;
use safetensors::{Dtype, tensor::TensorView};

/// Writes a token file of `documents`, whose tokens are not 0, in a vocabulary
/// of `vocabulary` where 0 is end-of-text. They are in two languages by turns.
pub(crate) fn write(path: &Path, vocabulary: u64, documents: &[Vec<u32>]) -> TokenFile {
    let (mut tokens, mut ends, mut bytes, mut languages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, document) in documents.iter().enumerate() {
        tokens.extend(document.iter().chain([&0]).flat_map(|token| token.to_le_bytes()));
        ends.extend((tokens.len() as u64 / 4).to_le_bytes());
        bytes.extend((document.len() as u32 * 3).to_le_bytes());
        languages.push((index % 2) as u8);
    }
    let n = documents.len();
    let view = |dtype, length, data| TensorView::new(dtype, vec![length], data).unwrap();
    let tensors = [
        ("document_ends", view(Dtype::U64, n, &ends)),
        ("document_bytes", view(Dtype::U32, n, &bytes)),
        ("document_language", view(Dtype::U8, n, &languages)),
        ("tokens", view(Dtype::U32, tokens.len() / 4, &tokens)),
    ];
    let metadata = [("vocab_size", &*vocabulary.to_string()), ("end_of_text", "0"), ("languages", "sw,en,ha")];
    let metadata: HashMap<String, String> = metadata.map(|(key, value)| (key.into(), value.into())).into();
    fs::write(path, safetensors::serialize(tensors, Some(metadata)).unwrap()).unwrap();
    TokenFile::open(path).unwrap()
}
