//! Tables as text, with commas, semicolons, tabs or bars between the columns:
//! a document in each row.

use std::io::{self, BufRead, Cursor, Read};

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use super::{At, End, Flow, Record, TEXT_KEYS, Walk};
use crate::{Reason, extract::Format};

/// What is looked at to see how a table is written.
const SAMPLE_BYTES: u64 = 256 << 10;
/// Columns of a table.
const COLUMNS_MAX: usize = 1 << 14;
/// A cell of a sample is kept to this length.
const SAMPLE_CELL_BYTES: u64 = 1 << 10;

/// How a table is written: what is between the columns, and whether `"` may
/// enclose a field.
type Dialect = (u8, bool);

/// The cells of a row, with their true lengths.
type Row = Vec<(u64, Vec<u8>)>;

/// Where the text is in a table.
struct Layout {
    dialect: Dialect,
    column: usize,
    /// Whether the first row has names, and no text.
    header: bool,
}

/// The fields of a table, one after another.
struct Fields<R> {
    input: R,
    reader: Reader,
}

impl<R: BufRead> Fields<R> {
    fn new(input: R, (delimiter, quotes): Dialect) -> Self {
        Self { input, reader: ReaderBuilder::new().delimiter(delimiter).quoting(quotes).build() }
    }

    /// Reads a field, of which no more than `max` bytes are put into `cell`.
    /// Gives its length and whether it is the last of its row; `None` at the
    /// end of the table.
    fn next(&mut self, max: u64, cell: &mut Vec<u8>) -> io::Result<Option<(u64, bool)>> {
        cell.clear();
        let mut length = 0;
        let mut part = [0; 4096];
        loop {
            let input = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                input => input?,
            };
            let (result, read, written) = self.reader.read_field(input, &mut part);
            self.input.consume(read);
            let room = max.saturating_sub(cell.len() as u64).min(written as u64) as usize;
            cell.extend_from_slice(&part[..room]);
            length += written as u64;
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => return Ok(Some((length, record_end))),
                ReadFieldResult::End => return Ok(None),
            }
        }
    }
}

/// The rows of a sample, with the true lengths of their cells. Where the
/// sample is not the whole table its last row is cut off.
fn sample_rows(sample: &[u8], whole: bool, dialect: Dialect) -> Vec<Row> {
    let mut fields = Fields::new(sample, dialect);
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), Vec::new());
    while let Ok(Some((length, last))) = fields.next(SAMPLE_CELL_BYTES, &mut cell) {
        if row.len() < COLUMNS_MAX {
            row.push((length, cell.clone()));
        }
        if last {
            rows.push(std::mem::take(&mut row));
        }
    }
    if !whole && rows.len() > 1 {
        rows.pop();
    }
    rows
}

/// How the table is written and where its text is; the names of its columns
/// where the one that is wanted is not among them.
fn layout(name: &str, sample: &[u8], whole: bool, wanted: Option<&str>) -> Result<Layout, String> {
    let comma = name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("csv"));
    // Tables with tabs often have quotation marks that enclose nothing.
    let possible: &[Dialect] = match comma {
        true => &[(b',', true), (b';', true), (b'\t', true), (b'|', true)],
        false => &[(b'\t', true), (b'\t', false)],
    };
    // The rows of a table are alike in length; more columns tell more than one,
    // and more rows than few.
    let alike = |rows: &[Row]| {
        let width = rows.first().map_or(0, Vec::len);
        let alike = rows.iter().filter(|row| row.len() == width).count() as u64;
        let score = alike * 1000 / (rows.len() as u64).max(1);
        (if width > 1 { score } else { score / 2 }, alike)
    };
    let mut best: Option<((u64, u64), Dialect, Vec<Row>)> = None;
    for &dialect in possible {
        let rows = sample_rows(sample, whole, dialect);
        let score = alike(&rows);
        if best.as_ref().is_none_or(|(best, ..)| score > *best) {
            best = Some((score, dialect, rows));
        }
    }
    let (_, dialect, rows) = best.expect("there is a dialect to try");
    let first = rows.first().map_or(&[] as &[_], Vec::as_slice);
    let names: Vec<String> =
        first.iter().map(|(_, cell)| String::from_utf8_lossy(cell).trim().to_lowercase()).collect();
    let named = |key: &str| names.iter().position(|name| *name == key.trim().to_lowercase());
    if let Some(wanted) = wanted {
        return match named(wanted) {
            Some(column) => Ok(Layout { dialect, column, header: true }),
            None => Err(names.join(", ")),
        };
    }
    if let Some(column) = TEXT_KEYS.iter().find_map(|key| named(key)) {
        return Ok(Layout { dialect, column, header: true });
    }
    let mut lengths = vec![0; first.len()];
    for row in rows.iter().skip(usize::from(rows.len() > 1)) {
        for (sum, (length, _)) in lengths.iter_mut().zip(row) {
            *sum += length;
        }
    }
    let column = (0..lengths.len()).rev().max_by_key(|&column| lengths[column]).unwrap_or(0);
    // Names are full, and short beside a text.
    let mean = lengths.get(column).copied().unwrap_or(0) / (rows.len() as u64).saturating_sub(1).max(1);
    let short = first.get(column).is_some_and(|(length, _)| length * 4 < mean);
    let header = rows.len() > 1 && short && first.iter().all(|(length, _)| *length > 0);
    Ok(Layout { dialect, column, header })
}

impl Walk<'_> {
    pub(super) fn rows(&mut self, at: At<'_>, encoding: Option<&'static str>, reader: &mut dyn BufRead) -> Flow {
        let mut sample = Vec::new();
        reader.take(SAMPLE_BYTES).read_to_end(&mut sample)?;
        let mark = if sample.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let whole = (sample.len() as u64) < SAMPLE_BYTES;
        let layout = layout(at.name, &sample[mark..], whole, self.task.column).map_err(|names| {
            let names = names.chars().take(200).collect::<String>();
            End::refused(Reason::NoColumn, format!("{:?}: {names}", self.task.column.unwrap_or("")))
        })?;
        let max = self.task.record_bytes_max;
        let mut fields = Fields::new(Cursor::new(&sample[mark..]).chain(reader), layout.dialect);
        let (mut cell, mut text, mut length) = (Vec::new(), Vec::new(), None);
        let (mut column, mut row) = (0, 1);
        loop {
            let keep = if column == layout.column { max } else { 0 };
            let Some((bytes, last)) = fields.next(keep, &mut cell)? else { break };
            if column == layout.column {
                length = Some(bytes);
                std::mem::swap(&mut cell, &mut text);
            }
            column += 1;
            if !last {
                continue;
            }
            if row > 1 || !layout.header {
                let content = match length {
                    Some(length) if length > max => Err((Reason::TooLarge, String::new())),
                    Some(_) => Ok(text.clone()),
                    None => Err((Reason::BadLine, format!("{column} of at least {} columns", layout.column + 1))),
                };
                let (bytes, place) = (length.unwrap_or(0), Some(("row", row)));
                let format = Some(Format::Rows);
                self.emit(Record { part: at.part.to_owned(), place, format, encoding, content, bytes })?;
            }
            (column, length) = (0, None);
            row += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, table: &str) -> (u8, bool, usize, bool) {
        let Layout { dialect, column, header } = layout(name, table.as_bytes(), true, None).unwrap();
        (dialect.0, dialect.1, column, header)
    }

    #[test]
    fn the_column_of_the_text_is_found() {
        assert_eq!(found("a.csv", "id,Text ,n\n1,\"a, b\",2\n"), (b',', true, 1, true));
        assert_eq!(found("a.csv", "id;body;text\n1;\"a; b\";x, y\n2;x, z;b\n"), (b';', true, 2, true));
        // No name that is known: the longest text, with names or without.
        let text = "mahindi huvunwa yakikauka shambani";
        assert_eq!(found("a.csv", &format!("jina,maelezo\na,{text}\nb,{text}\n")), (b',', true, 1, true));
        assert_eq!(found("a.csv", &format!("{text},1\n{text},2\n")), (b',', true, 0, false));
        assert_eq!(found("a.tsv", "1\ten\tit's 5\" long\n2\tsw\t\"sijui\n3\ten\t\"no\" he said\n").0, b'\t');
        // A quotation mark that encloses nothing swallows no row.
        assert!(!found("a.tsv", "1\tsw\t\"sijui\n2\ten\tyes\n3\ten\tno\n4\ten\tyes\n").1);
        assert_eq!(found("a.csv", "mahindi\nnyama\n"), (b',', true, 0, false));
        assert_eq!(found("a.csv", ""), (b',', true, 0, false));
        let missing = layout("a.csv", b"id,text\n1,a\n", true, Some("matini")).err();
        assert_eq!(missing.as_deref(), Some("id, text"));
    }

    #[test]
    fn a_quotation_mark_without_its_second_takes_no_memory() {
        let mut fields =
            Fields::new(io::BufReader::new((&b"a,\""[..]).chain(io::repeat(b'x').take(9_000_000))), (b',', true));
        let mut cell = Vec::new();
        assert_eq!(fields.next(10, &mut cell).unwrap(), Some((1, false)));
        assert_eq!(fields.next(10, &mut cell).unwrap(), Some((9_000_000, true)));
        assert_eq!((cell.as_slice(), fields.next(10, &mut cell.clone()).unwrap()), (&b"xxxxxxxxxx"[..], None));
    }
}
