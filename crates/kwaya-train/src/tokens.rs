//! Token files: the curated corpus as numbers, in one safetensors file.
//!
//! ```text
//! tokens             U16 or U32 (tokens)     each document's tokens, then one end-of-text
//! loss_mask          U8  (tokens)            1 for tokens to be predicted, 0 for others; may be absent: all are
//! document_ends      U64 (documents)         index after each document's end-of-text
//! document_opening   U32 (documents)         the token that each document is read after; may be absent: end-of-text
//! document_bytes     U32 (documents)         bytes of each document's UTF-8 text, or of what of it is to be predicted
//! document_language  U8  (documents)         index into the metadata "languages"
//! metadata           vocab_size, end_of_text, languages (comma-separated tags)
//! ```

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result};
use kwaya_model::tensors::Mapped;
use safetensors::Dtype;

/// One document of a token file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its tokens, with the end-of-text that closes it.
    pub tokens: Range<u64>,
    /// The token that it is read after.
    pub opening: u32,
    /// The bytes of its text in UTF-8, as far as it is to be predicted.
    pub bytes: u32,
    /// An index into [`TokenFile::languages`].
    pub language: u8,
}

/// A token file, mapped into memory and checked whole.
pub struct TokenFile {
    mapped: Mapped,
    /// Where the tokens lie in the file, in bytes.
    tokens: Range<usize>,
    /// Bytes of one token: 2 or 4.
    width: usize,
    /// Where the mask of the loss lies, if there is one.
    mask: Option<Range<usize>>,
    documents: Vec<Document>,
    languages: Vec<String>,
    vocab_size: u32,
    end_of_text: u32,
    hash: blake3::Hash,
}

impl TokenFile {
    /// Maps and checks the file at `path`. It may come from anywhere.
    ///
    /// # Errors
    /// Naming the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self> {
        let mapped = Mapped::open(path)?;
        let reader = Reader::new(path, &mapped)?;
        let (vocab_size, end_of_text) = (reader.number("vocab_size")?, reader.number("end_of_text")?);
        let languages: Vec<String> = reader.text("languages")?.split(',').map(str::to_owned).collect();
        let (width, tokens) = match reader.tensor("tokens")? {
            (Dtype::U16, range) => (2, range),
            (Dtype::U32, range) => (4, range),
            _ => return Err(reader.refuse("tokens: dtype")),
        };
        let mask = reader.mask(tokens.len() / width)?;
        let documents = reader.documents(tokens.len() / width, languages.len(), end_of_text)?;
        let hash = blake3::hash(mapped.bytes());
        let file = Self { tokens, width, mask, documents, languages, vocab_size, end_of_text, hash, mapped };
        file.check(path)?;
        Ok(file)
    }

    /// Every token is in the vocabulary, and end-of-text ends each document.
    fn check(&self, path: &Path) -> Result<()> {
        let refuse = |what: &str| Err(Error::new("token-file-wrong").path(path).arg("what", what));
        if self.end_of_text >= self.vocab_size {
            return refuse("end_of_text");
        }
        for document in &self.documents {
            let last = document.tokens.end - 1;
            for index in document.tokens.clone() {
                let token = self.token(index);
                if token >= self.vocab_size || (index == last && token != self.end_of_text) {
                    return refuse(&format!("tokens[{index}] = {token}"));
                }
            }
            if document.opening >= self.vocab_size {
                return refuse(&format!("document_opening = {}", document.opening));
            }
        }
        Ok(())
    }

    /// The number of tokens, end-of-text ones among them.
    pub fn tokens(&self) -> u64 {
        (self.tokens.len() / self.width) as u64
    }

    /// The token at `index`, which is below [`TokenFile::tokens`].
    pub fn token(&self, index: u64) -> u32 {
        let bytes = &self.mapped.bytes()[self.tokens.clone()][index as usize * self.width..][..self.width];
        match *bytes {
            [a, b] => u32::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => unreachable!("a token has 2 or 4 bytes"),
        }
    }

    /// Whether the token at `index` is to be predicted: of a conversation only
    /// the answers are.
    pub fn counts(&self, index: u64) -> bool {
        self.mask.as_ref().is_none_or(|mask| self.mapped.bytes()[mask.clone()][index as usize] != 0)
    }

    /// How many of the tokens `range` are to be predicted.
    pub(crate) fn counted(&self, range: Range<u64>) -> u64 {
        let count = range.end - range.start;
        let Some(mask) = &self.mask else { return count };
        let mask = &self.mapped.bytes()[mask.clone()][range.start as usize..range.end as usize];
        mask.iter().filter(|&&counts| counts != 0).count() as u64
    }

    /// The place of the document that the token at `index` belongs to.
    pub(crate) fn document_of(&self, index: u64) -> usize {
        self.documents.partition_point(|document| document.tokens.end <= index)
    }

    /// The documents in order.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The bytes of all texts, in UTF-8.
    pub fn bytes(&self) -> u64 {
        self.documents.iter().map(|document| u64::from(document.bytes)).sum()
    }

    /// The tags of the languages.
    pub fn languages(&self) -> &[String] {
        &self.languages
    }

    /// The number of different tokens.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// The token that ends each document.
    pub fn end_of_text(&self) -> u32 {
        self.end_of_text
    }

    /// The BLAKE3 hash of the file.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// The path-free error for a use that the file does not fit.
    pub(crate) fn unfit(what: &str) -> Error {
        Error::new("token-file-unfit").arg("what", what)
    }
}

/// Reads checked pieces out of the header.
struct Reader<'a> {
    path: PathBuf,
    bytes: &'a [u8],
    start: usize,
    header: safetensors::tensor::Metadata,
}

impl<'a> Reader<'a> {
    fn new(path: &Path, mapped: &'a Mapped) -> Result<Self> {
        let (start, header) = mapped.header(path)?;
        Ok(Self { path: path.to_owned(), bytes: mapped.bytes(), start, header })
    }

    fn refuse(&self, what: &str) -> Error {
        Error::new("token-file-wrong").path(&self.path).arg("what", what)
    }

    fn text(&self, key: &str) -> Result<&str> {
        let metadata = self.header.metadata().as_ref();
        metadata.and_then(|m| m.get(key)).map(String::as_str).ok_or_else(|| self.refuse(key))
    }

    fn number(&self, key: &str) -> Result<u32> {
        self.text(key)?.parse().map_err(|_| self.refuse(key))
    }

    /// The type of a one-dimensional tensor and its place in the file.
    fn tensor(&self, name: &str) -> Result<(Dtype, Range<usize>)> {
        let info = self.header.info(name).filter(|info| info.shape.len() == 1).ok_or_else(|| self.refuse(name))?;
        let (start, end) = info.data_offsets;
        Ok((info.dtype, self.start + start..self.start + end))
    }

    fn values<const N: usize>(&self, name: &str, dtype: Dtype) -> Result<&'a [[u8; N]]> {
        let (found, range) = self.tensor(name)?;
        if found != dtype {
            return Err(self.refuse(name));
        }
        Ok(self.bytes[range].as_chunks().0)
    }

    fn mask(&self, tokens: usize) -> Result<Option<Range<usize>>> {
        if self.header.info("loss_mask").is_none() {
            return Ok(None);
        }
        match self.tensor("loss_mask")? {
            (Dtype::U8, range) if range.len() == tokens && self.bytes[range.clone()].iter().all(|&byte| byte < 2) => {
                Ok(Some(range))
            }
            _ => Err(self.refuse("loss_mask")),
        }
    }

    fn documents(&self, tokens: usize, languages: usize, end_of_text: u32) -> Result<Vec<Document>> {
        let ends = self.values::<8>("document_ends", Dtype::U64)?;
        let bytes = self.values::<4>("document_bytes", Dtype::U32)?;
        let language = self.values::<1>("document_language", Dtype::U8)?;
        let opening = match self.header.info("document_opening") {
            None => None,
            Some(_) => Some(self.values::<4>("document_opening", Dtype::U32)?),
        };
        let openings = opening.map_or(ends.len(), <[_]>::len);
        if [bytes.len(), language.len(), openings] != [ends.len(); 3] {
            return Err(self.refuse("documents"));
        }
        let mut start = 0;
        let mut documents = Vec::with_capacity(ends.len());
        for ((&end, &bytes), &[language]) in ends.iter().zip(bytes).zip(language) {
            let end = u64::from_le_bytes(end);
            if end <= start || end > tokens as u64 || usize::from(language) >= languages {
                return Err(self.refuse(&format!("documents[{}]", documents.len())));
            }
            let opening = opening.map_or(end_of_text, |opening| u32::from_le_bytes(opening[documents.len()]));
            documents.push(Document { tokens: start..end, opening, bytes: u32::from_le_bytes(bytes), language });
            start = end;
        }
        if start != tokens as u64 {
            return Err(self.refuse("document_ends"));
        }
        Ok(documents)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{collections::HashMap, fs};

    use kwaya_math::philox::Stream;
    use safetensors::tensor::TensorView;

    use super::*;

    /// A token file of documents without their end-of-text, which is 0, over a
    /// vocabulary of 9.
    pub(crate) fn write(folder: &Path, documents: &[&[u16]]) -> TokenFile {
        let path = folder.join("tokens.safetensors");
        let closed: Vec<Vec<u16>> = documents.iter().map(|tokens| [tokens, &[0][..]].concat()).collect();
        let mut end = 0;
        let ends = closed.iter().map(|tokens| {
            end += tokens.len() as u64;
            end.to_le_bytes()
        });
        let ends: Vec<u8> = ends.flatten().collect();
        let bytes: Vec<u8> = documents.iter().flat_map(|tokens| (tokens.len() as u32).to_le_bytes()).collect();
        let languages: Vec<u8> = (0..documents.len()).map(|i| (i % 2) as u8).collect();
        let tokens: Vec<u8> = closed.iter().flatten().flat_map(|token| token.to_le_bytes()).collect();
        let n = documents.len();
        let view = |dtype, length, data| TensorView::new(dtype, vec![length], data).unwrap();
        let tensors = [
            ("document_ends", view(Dtype::U64, n, &ends)),
            ("document_bytes", view(Dtype::U32, n, &bytes)),
            ("document_language", view(Dtype::U8, n, &languages)),
            ("tokens", view(Dtype::U16, tokens.len() / 2, &tokens)),
        ];
        let metadata = [("vocab_size", "9"), ("end_of_text", "0"), ("languages", "sw,en")];
        let metadata: HashMap<String, String> =
            metadata.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        fs::write(&path, safetensors::serialize(tensors, Some(metadata)).unwrap()).unwrap();
        TokenFile::open(&path).unwrap()
    }

    /// The same file with a mask.
    pub(crate) fn masked(folder: &Path, documents: &[&[u16]], mask: &[u8]) -> Result<TokenFile> {
        with(folder, documents, Some(mask), None)
    }

    /// The same file with openings.
    pub(crate) fn opened(folder: &Path, documents: &[&[u16]], opening: &[u32]) -> Result<TokenFile> {
        with(folder, documents, None, Some(opening))
    }

    /// The same file with a mask, openings, or both.
    pub(crate) fn with(
        folder: &Path,
        documents: &[&[u16]],
        mask: Option<&[u8]>,
        opening: Option<&[u32]>,
    ) -> Result<TokenFile> {
        write(folder, documents);
        let path = folder.join("tokens.safetensors");
        let bytes = fs::read(&path).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let mut tensors = read.tensors();
        let opening = opening.map(|opening| opening.iter().flat_map(|token| token.to_le_bytes()).collect::<Vec<u8>>());
        if let Some(mask) = mask {
            tensors.push(("loss_mask".into(), TensorView::new(Dtype::U8, vec![mask.len()], mask).unwrap()));
        }
        if let Some(bytes) = &opening {
            let view = TensorView::new(Dtype::U32, vec![bytes.len() / 4], bytes).unwrap();
            tensors.push(("document_opening".into(), view));
        }
        let path = folder.join("more.safetensors");
        fs::write(&path, safetensors::serialize(tensors, header.metadata().clone()).unwrap()).unwrap();
        TokenFile::open(&path)
    }

    #[test]
    fn a_mask_says_what_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = masked(dir.path(), &[&[1, 2], &[8]], &[0, 1, 1, 0, 0]).unwrap();
        assert_eq!((0..5).map(|i| file.counts(i)).collect::<Vec<_>>(), [false, true, true, false, false]);
        assert_eq!((file.counted(0..5), file.counted(1..2), file.counted(3..5)), (2, 1, 0));
        for wrong in [&[1, 1][..], &[0, 1, 2, 0, 0]] {
            assert_eq!(masked(dir.path(), &[&[1, 2], &[8]], wrong).err().unwrap().key(), "token-file-wrong");
        }
    }

    #[test]
    fn a_document_may_open_with_a_token_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        // The end of a text may stand in a document too.
        let file = opened(dir.path(), &[&[1, 0, 2], &[8]], &[5, 6]).unwrap();
        assert_eq!(file.documents().iter().map(|d| d.opening).collect::<Vec<_>>(), [5, 6]);
        assert_eq!([0, 3, 4, 5].map(|index| file.document_of(index)), [0, 0, 1, 1]);
        for wrong in [&[][..], &[5], &[5, 9], &[5, 6, 7]] {
            assert_eq!(opened(dir.path(), &[&[1, 2], &[8]], wrong).err().unwrap().key(), "token-file-wrong");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), &[&[1, 2], &[], &[8]]);
        assert_eq!((file.tokens(), file.bytes(), file.vocab_size(), file.end_of_text()), (6, 3, 9, 0));
        assert_eq!((0..6).map(|i| file.token(i)).collect::<Vec<_>>(), [1, 2, 0, 0, 8, 0]);
        assert_eq!(file.documents()[2], Document { tokens: 4..6, opening: 0, bytes: 1, language: 0 });
        assert_eq!(file.languages(), ["sw", "en"]);
        assert_eq!(write(dir.path(), &[]).tokens(), 0);
        assert_eq!(opened(dir.path(), &[], &[]).unwrap().tokens(), 0);
    }

    #[test]
    fn a_document_ends_with_end_of_text() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[&[1, 2], &[8]]);
        let path = dir.path().join("tokens.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        // The file ends in five tokens, of which the third closes a document,
        // and two languages.
        let at = bytes.len() - 8;
        bytes[at] = 3;
        fs::write(&path, &bytes).unwrap();
        let error = TokenFile::open(&path).err().unwrap();
        assert!(error.key() == "token-file-wrong" && error.to_string().contains("tokens[2] = 3"), "{error}");
    }

    /// Damage is refused or leaves a file that is as consistent as a good one.
    #[test]
    fn random_damage_never_panics() {
        const CASES: u64 = 3000;
        let dir = tempfile::tempdir().unwrap();
        opened(dir.path(), &[&[1, 2, 3], &[4; 9], &[5, 6], &[7]], &[8, 0, 8, 1]).unwrap();
        let path = dir.path().join("more.safetensors");
        let good = fs::read(&path).unwrap();
        let mut opened = 0;
        for case in 0..CASES {
            let mut stream = Stream::new(6, 1, case);
            let mut bytes = good.clone();
            for _ in 0..=stream.below(3) {
                let at = stream.below(bytes.len() as u64) as usize;
                bytes[at] = match stream.below(2) {
                    0 => bytes[at] ^ (1 << stream.below(8)),
                    _ => b"0123456789[]{},:"[stream.below(16) as usize],
                };
            }
            if stream.below(8) == 0 {
                bytes.truncate(stream.below(bytes.len() as u64) as usize);
            }
            fs::write(&path, &bytes).unwrap();
            if let Ok(file) = TokenFile::open(&path) {
                opened += 1;
                assert!((0..file.tokens()).all(|i| file.token(i) < file.vocab_size()), "case {case}");
                assert!(file.documents().iter().all(|d| usize::from(d.language) < file.languages().len()));
                assert!(file.documents().iter().all(|d| d.opening < file.vocab_size()), "case {case}");
            }
        }
        println!("{opened} of {CASES} damaged files were still consistent");
        assert!(opened < CASES / 2);
    }
}
