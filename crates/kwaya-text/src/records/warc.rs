//! Web archives (WARC): the pages that servers answered with, and the texts of
//! WET files. The headers of WARC and of HTTP are read here, with a limit for
//! each; `body` is what a browser would have got.

use std::io::{self, BufRead, Read};

use super::{At, Budget, End, Flow, Unpacked, Walk, below, lines::line};
use crate::{
    Reason,
    extract::{Format, Refusal},
};

/// A line of a header.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// A header of HTTP.
const HTTP_HEADER_MAX: usize = 64 << 10;
/// Lines of a header.
const LINES_MAX: usize = 1000;

#[derive(Default)]
struct Header {
    kind: String,
    uri: String,
    content_type: String,
    length: Option<u64>,
}

impl Walk<'_> {
    pub(super) fn warc(&mut self, at: At<'_>, reader: &mut dyn BufRead) -> Flow {
        for number in 1.. {
            let Some(header) = header(reader)? else { break };
            let length = header.length.ok_or_else(|| damaged(number))?;
            let mut block = reader.take(length);
            if matches!(header.kind.as_str(), "response" | "resource" | "conversion") {
                let uri = header.uri.trim_matches(['<', '>']);
                let part = if uri.is_empty() { at.part.to_owned() } else { below(at.part, uri.as_bytes()) };
                let place = Some(("record", number));
                let content = self.whole(&mut block)?;
                let page = match content {
                    None => Err((Reason::TooLarge, String::new())),
                    Some(block) if header.kind == "response" => {
                        response(&header.content_type, block, self.task.record_bytes_max, self.budget)
                    }
                    Some(block) => format(&header.content_type).map(|format| (format, block)),
                };
                match page {
                    Ok((format, body)) => self.give(&part, place, Some(format), body, length)?,
                    Err(refusal) => self.refuse(&part, place, refusal, length)?,
                }
            }
            let left = block.limit();
            if io::copy(&mut reader.take(left), &mut io::sink())? != left {
                return Err(damaged(number));
            }
        }
        Ok(())
    }
}

fn damaged(record: u64) -> End {
    End::refused(Reason::Damaged, format!("record {record}"))
}

/// The header of the next record.
fn header(reader: &mut dyn BufRead) -> Result<Option<Header>, End> {
    let wrong = |what: &str| End::refused(Reason::Damaged, what);
    let mut text = Vec::new();
    // Records are followed by empty lines.
    loop {
        if line(reader, LINE_BYTES_MAX, &mut text)? == 0 {
            return Ok(None);
        }
        if !text.trim_ascii().is_empty() {
            break;
        }
    }
    if !text.starts_with(b"WARC/") {
        return Err(wrong("no record where one should begin"));
    }
    let mut header = Header::default();
    for _ in 0..LINES_MAX {
        let length = line(reader, LINE_BYTES_MAX, &mut text)?;
        if length == 0 {
            return Err(wrong("a record without an end"));
        }
        if text.trim_ascii().is_empty() {
            return Ok(Some(header));
        }
        let text = String::from_utf8_lossy(&text);
        let Some((name, value)) = text.split_once(':') else { continue };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "warc-type" => header.kind = value.to_ascii_lowercase(),
            "warc-target-uri" => header.uri = value.to_owned(),
            "content-type" => header.content_type = value.to_ascii_lowercase(),
            "content-length" => header.length = value.parse().ok(),
            _ => {}
        }
    }
    Err(wrong("the header of a record is too long"))
}

/// What a page of this type is.
fn format(content_type: &str) -> Result<Format, Refusal> {
    match content_type.split(';').next().unwrap_or("").trim() {
        "text/html" | "application/xhtml+xml" => Ok(Format::Html),
        "text/plain" => Ok(Format::Text),
        picture if picture.starts_with("image/") => Err((Reason::Picture, picture.to_owned())),
        other => Err((Reason::UnknownFormat, other.chars().take(100).collect())),
    }
}

/// The page in an answer of HTTP.
fn response(content_type: &str, block: Vec<u8>, max: u64, budget: &Budget) -> Result<(Format, Vec<u8>), Refusal> {
    if !content_type.starts_with("application/http") {
        return format(content_type).map(|format| (format, block));
    }
    let broken = || (Reason::Damaged, "the header of HTTP".to_owned());
    let head = &block[..block.len().min(HTTP_HEADER_MAX)];
    let lines = head.windows(4).position(|end| end == b"\r\n\r\n").map(|at| (at, at + 4));
    let (end, body) =
        lines.or_else(|| head.windows(2).position(|end| end == b"\n\n").map(|at| (at, at + 2))).ok_or_else(broken)?;
    let header = String::from_utf8_lossy(&block[..end]).into_owned();
    let mut lines = header.lines();
    let status = lines.next().and_then(|status| status.split_whitespace().nth(1)).ok_or_else(broken)?;
    if !status.starts_with('2') {
        return Err((Reason::NoDocument, format!("HTTP {}", status.chars().take(10).collect::<String>())));
    }
    let mut value = [const { String::new() }; 3];
    for line in lines.take(LINES_MAX) {
        let Some((name, found)) = line.split_once(':') else { continue };
        let names = ["content-type", "content-encoding", "transfer-encoding"];
        if let Some(which) = names.iter().position(|wanted| name.trim().eq_ignore_ascii_case(wanted)) {
            value[which] = found.trim().to_ascii_lowercase();
        }
    }
    let [content_type, packed, sent] = value;
    let format = format(&content_type)?;
    let mut content = block;
    content.drain(..body);
    if sent.contains("chunked") {
        // Some crawlers join the chunks and leave the header as it was.
        content = chunks(&content).unwrap_or(content);
    }
    let unpacked = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        let mut reader = Unpacked { inner: reader.take(max.saturating_add(1)), budget };
        match reader.read_to_end(&mut out) {
            Ok(_) if out.len() as u64 > max => Err((Reason::TooLarge, String::new())),
            Ok(_) => Ok((format, out)),
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => Err((Reason::ArchiveLimit, String::new())),
            Err(error) => Err((Reason::Damaged, error.to_string())),
        }
    };
    match packed.as_str() {
        "gzip" | "x-gzip" if content.starts_with(&[0x1f, 0x8b]) => {
            unpacked(&mut flate2::bufread::MultiGzDecoder::new(content.as_slice()))
        }
        "deflate" if content.first().is_some_and(|first| first & 0x0f == 8) => {
            unpacked(&mut flate2::bufread::ZlibDecoder::new(content.as_slice()))
        }
        // Some crawlers unpack a page and leave its header as it was.
        _ if str::from_utf8(&content).is_ok() => Ok((format, content)),
        "" | "identity" | "none" | "gzip" | "x-gzip" | "deflate" => Ok((format, content)),
        other => {
            Err((Reason::UnknownFormat, format!("content-encoding: {}", other.chars().take(40).collect::<String>())))
        }
    }
}

/// A body that was sent in chunks; `None` when it was not.
fn chunks(body: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::with_capacity(body.len()), body);
    loop {
        let end = memchr::memchr(b'\n', &rest[..rest.len().min(LINE_BYTES_MAX as usize)])?;
        let size = str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 1..];
        if size == 0 {
            return Some(out);
        }
        // The last chunk may be cut off with the record.
        let chunk = &rest[..size.min(rest.len())];
        out.extend_from_slice(chunk);
        rest = &rest[chunk.len()..];
        rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        if rest.is_empty() {
            return Some(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(header: &str, body: &[u8]) -> Result<(Format, Vec<u8>), Refusal> {
        let block = [format!("HTTP/1.1 {header}\r\n\r\n").as_bytes(), body].concat();
        response("application/http; msgtype=response", block, 1000, &Budget::of(1000))
    }

    #[test]
    fn pages_are_what_a_browser_would_have_got() {
        let html = "200 OK\r\nContent-Type: text/HTML; charset=utf-8";
        assert_eq!(page(html, b"<p>Mahindi").unwrap(), (Format::Html, b"<p>Mahindi".to_vec()));
        let chunked = format!("{html}\r\nTransfer-Encoding: chunked");
        assert_eq!(page(&chunked, b"4\r\n<p>M\r\n6;x=1\r\nahindi\r\n0\r\n\r\n").unwrap().1, b"<p>Mahindi");
        assert_eq!(page(&chunked, b"<p>Mahindi").unwrap().1, b"<p>Mahindi");
        assert_eq!(page(&chunked, b"ffffffffffffffff\r\n<p>").unwrap().1, b"<p>");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut packed, b"<p>Mahindi").unwrap();
        let packed = packed.finish().unwrap();
        let gzip = format!("{html}\r\nContent-Encoding: gzip");
        assert_eq!(page(&gzip, &packed).unwrap().1, b"<p>Mahindi");
        assert_eq!(page(&gzip, b"<p>Mahindi").unwrap().1, b"<p>Mahindi");
        assert_eq!(page(&gzip, &packed[..20]).unwrap_err().0, Reason::Damaged);
        assert_eq!(page("404 No\r\nContent-Type: text/html", b"").unwrap_err().0, Reason::NoDocument);
        assert_eq!(page("200 OK\r\nContent-Type: image/png", b"").unwrap_err().0, Reason::Picture);
        assert_eq!(page("200 OK", b"").unwrap_err().0, Reason::UnknownFormat);
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::copy(&mut io::repeat(b'a').take(1_000_000), &mut bomb).unwrap();
        assert_eq!(page(&gzip, &bomb.finish().unwrap()).unwrap_err().0, Reason::TooLarge);
    }
}
