//! Lines without a length that could be relied on, and files of a JSON object
//! on each line.

use std::io::{self, BufRead, Read};

use super::{At, Flow, Record, Walk};
use crate::{Reason, extract::Format};

/// Reads a line, its end included, of which no more than `max` bytes are kept.
/// Gives its length; 0 at the end.
pub(super) fn line(reader: &mut (impl BufRead + ?Sized), max: u64, line: &mut Vec<u8>) -> io::Result<u64> {
    line.clear();
    let mut length = 0;
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let (end, used) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (true, at + 1),
            None => (buffer.is_empty(), buffer.len()),
        };
        let room = max.saturating_sub(line.len() as u64).min(used as u64) as usize;
        line.extend_from_slice(&buffer[..room]);
        reader.consume(used);
        length += used as u64;
        if end {
            return Ok(length);
        }
    }
}

/// The encoding that a byte order mark tells of, when it is one of 16 bits.
pub(super) fn utf16(mark: &[u8]) -> Option<&'static str> {
    match mark {
        [0xff, 0xfe] => Some("utf-16le"),
        [0xfe, 0xff] => Some("utf-16be"),
        _ => None,
    }
}

/// UTF-16 read as UTF-8.
pub(super) struct Utf16<R> {
    inner: R,
    little: bool,
    /// UTF-8 that is not yet taken, and how much of it is.
    out: Vec<u8>,
    taken: usize,
    /// A byte, or the first half of a character, that waits for its other.
    odd: Option<u8>,
    high: Option<u16>,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(inner: R, encoding: &str) -> Self {
        Self { inner, little: encoding == "utf-16le", out: Vec::new(), taken: 0, odd: None, high: None }
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 8192];
        let kept = usize::from(self.odd.is_some());
        if let Some(odd) = self.odd.take() {
            bytes[0] = odd;
        }
        let read = self.inner.read(&mut bytes[kept..])?;
        let bytes = &bytes[..kept + read];
        self.out.clear();
        self.taken = 0;
        let pairs = bytes.chunks_exact(2);
        self.odd = pairs.remainder().first().copied().filter(|_| read > 0);
        let unit = |pair: &[u8]| match self.little {
            true => u16::from_le_bytes([pair[0], pair[1]]),
            false => u16::from_be_bytes([pair[0], pair[1]]),
        };
        let mut units: Vec<u16> = self.high.take().into_iter().chain(pairs.map(unit)).collect();
        if read > 0 && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            self.high = units.pop();
        }
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        // Half a character alone gives nothing yet, and is not the end.
        if read > 0 && self.out.is_empty() { self.refill() } else { Ok(()) }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.out.len() {
            self.refill()?;
        }
        let ready = &self.out[self.taken..];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.taken += count;
        Ok(count)
    }
}

impl Walk<'_> {
    pub(super) fn lines(&mut self, at: At<'_>, encoding: Option<&'static str>, reader: &mut dyn BufRead) -> Flow {
        let max = self.task.record_bytes_max;
        let mut content = Vec::new();
        for number in 1.. {
            // A line end is no part of a record that is as long as it may be.
            let bytes = line(reader, max.saturating_add(2), &mut content)?;
            if bytes == 0 {
                break;
            }
            let mut text = content.strip_suffix(b"\n").unwrap_or(&content);
            if number == 1 {
                text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let place = Some(("line", number));
            if bytes > max.saturating_add(2) || text.len() as u64 > max {
                self.refuse(at.part, place, (Reason::TooLarge, String::new()), bytes)?;
                continue;
            }
            let (text, bytes) = (text.strip_suffix(b"\r").unwrap_or(text).to_vec(), text.len() as u64);
            let format = Some(Format::Lines);
            self.emit(Record { part: at.part.to_owned(), place, format, encoding, content: Ok(text), bytes })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut reader = BufReader::new(io::repeat(b'a').take(50_000_000).chain(&b"\nb\n\nc"[..]));
        let mut found = Vec::new();
        let read: Vec<_> = std::iter::from_fn(|| {
            let length = line(&mut reader, 10, &mut found).unwrap();
            (length > 0).then(|| (length, String::from_utf8(found.clone()).unwrap()))
        })
        .collect();
        let expected = [(50_000_001, "aaaaaaaaaa"), (2, "b\n"), (1, "\n"), (1, "c")];
        assert_eq!(read, expected.map(|(length, text)| (length, text.to_owned())));
        assert!(found.capacity() < 1000);
    }

    #[test]
    fn utf_16_is_read_in_pieces_of_any_size() {
        struct OneByOne<'a>(&'a [u8], usize);
        impl Read for OneByOne<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = self.1.min(buffer.len());
                self.0.read(&mut buffer[..length])
            }
        }
        let text = "\u{feff}Ìjọba 🌽 na mahindi 🌽";
        for size in [1, 2, 3, 7, 4096] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            for bytes in [little, big] {
                let encoding = utf16(&bytes[..2]).unwrap();
                let read = io::read_to_string(Utf16::new(OneByOne(&bytes, size), encoding)).unwrap();
                assert_eq!(read, text);
            }
            // Half a character at the end is one that is not known.
            let cut = [0x3e, 0xd8];
            assert_eq!(io::read_to_string(Utf16::new(OneByOne(&cut, size), "utf-16le")).unwrap(), "\u{fffd}");
        }
    }
}
