//! Labelled rows out of tables (TSV, CSV) and lines of JSON, by the names of
//! their columns.
//!
//! A file is a stranger's: a row takes no more memory than [`ROW_BYTES_MAX`],
//! and what is wrong is told with file and line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use kwaya_base::{Error, Result, error::At};
use serde_json::{Map, Value};

/// The most bytes of one row.
const ROW_BYTES_MAX: usize = 16 << 20;
/// The most columns of a table.
const COLUMNS_MAX: usize = 1 << 12;
/// The most columns with text that a classifier reads.
pub(crate) const TEXTS_MAX: usize = 1 << 8;
/// The longest label.
const LABEL_BYTES_MAX: usize = 256;
/// Names of columns that an error repeats.
const NAMES_SHOWN: usize = 300;

/// Which columns are read.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Those with text.
    pub text: Vec<String>,
    /// That with the label; `None` where there are no labels to be read.
    pub label: Option<String>,
}

impl Columns {
    /// Whether a classifier can read so many.
    ///
    /// # Errors
    /// `classify-many-columns`.
    pub fn check(&self) -> Result<()> {
        if self.text.len() > TEXTS_MAX {
            let error = Error::usage("classify-many-columns").arg("count", self.text.len());
            return Err(error.arg("max", TEXTS_MAX));
        }
        Ok(())
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line that it begins on.
    pub line: u64,
    /// Its label; empty where none was asked for.
    pub label: String,
    /// Its texts, in the order asked for.
    pub texts: Vec<String>,
}

enum Form {
    Table(Box<Reader>),
    Lines,
}

/// The rows of a file, one after another.
pub struct Rows {
    path: PathBuf,
    input: BufReader<Box<dyn Read>>,
    form: Form,
    /// Where the texts and the label are in a table, and how wide it is.
    places: Vec<usize>,
    width: usize,
    columns: Columns,
    /// Lines and bytes that were read, and bytes that there are.
    line: u64,
    read: u64,
    total: u64,
    failed: bool,
}

impl Rows {
    /// Opens a file of rows: `.tsv` and `.tab` are tables with tabs, `.csv`
    /// tables with commas, `.jsonl` and `.ndjson` lines of JSON. `-` is the
    /// standard input: lines of JSON when it begins with `{`, else a table with
    /// tabs.
    ///
    /// # Errors
    /// `classify-format` for another ending, `classify-column` when a column is
    /// not there, `classify-row` when the first row is wrong, and what the disk
    /// brings.
    pub fn open(path: &Path, columns: &Columns) -> Result<Self> {
        let standard = path == Path::new("-");
        let (source, total): (Box<dyn Read>, u64) = if standard {
            (Box::new(io::stdin()), 0)
        } else {
            let file = File::open(path).at(path)?;
            let total = file.metadata().at(path)?.len();
            (Box::new(file), total)
        };
        let mut input = BufReader::with_capacity(1 << 16, source);
        let mark = "\u{feff}".as_bytes();
        if input.fill_buf().at(path)?.starts_with(mark) {
            input.consume(mark.len());
        }
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let table = |delimiter| Form::Table(Box::new(ReaderBuilder::new().delimiter(delimiter).build()));
        let form = match ending.as_str() {
            "tsv" | "tab" => table(b'\t'),
            "csv" => table(b','),
            "jsonl" | "ndjson" => Form::Lines,
            _ if !standard => return Err(Error::usage("classify-format").path(path)),
            _ if input.fill_buf().at(path)?.starts_with(b"{") => Form::Lines,
            _ => table(b'\t'),
        };
        let (path, columns) = (path.to_owned(), columns.clone());
        let (places, line, read, failed) = (Vec::new(), 0, 0, false);
        let mut rows = Self { path, input, form, places, width: 0, columns, line, read, total, failed };
        if matches!(rows.form, Form::Table(_)) {
            rows.header()?;
        }
        Ok(rows)
    }

    /// Bytes read, and how many there are; 0 where that is not known.
    pub fn progress(&self) -> (u64, u64) {
        (self.read, self.total)
    }

    fn header(&mut self) -> Result<()> {
        let (_, cells) = self.cells()?.unwrap_or_default();
        let names: Vec<String> =
            cells.into_iter().map(|cell| String::from_utf8_lossy(&cell).trim().to_owned()).collect();
        let place = |wanted: &String| match names.iter().filter(|name| *name == wanted).count() {
            1 => Ok(names.iter().position(|name| name == wanted).expect("there is one")),
            count => Err(self.no_column(wanted, names.join(", "), count)),
        };
        self.places = self.columns.text.iter().chain(&self.columns.label).map(place).collect::<Result<_>>()?;
        self.width = names.len();
        Ok(())
    }

    fn no_column(&self, wanted: &str, names: impl Into<String>, count: usize) -> Error {
        let names: String = names.into().chars().take(NAMES_SHOWN).collect();
        Error::usage("classify-column").path(&self.path).arg("column", wanted).arg("names", names).arg("count", count)
    }

    fn wrong(&self, line: u64, cause: impl std::fmt::Display) -> Error {
        Error::new("classify-row").path(&self.path).arg("line", line).arg("cause", cause)
    }

    /// Takes bytes that are in the buffer, and counts their lines.
    fn consume(&mut self, bytes: usize) {
        let read = &self.input.buffer()[..bytes];
        self.line += memchr::memchr_iter(b'\n', read).count() as u64;
        self.read += bytes as u64;
        self.input.consume(bytes);
    }

    /// The next row of a table, with the line that it begins on.
    fn cells(&mut self) -> Result<Option<(u64, Vec<Vec<u8>>)>> {
        // Empty lines are no rows: a row begins where something is written.
        loop {
            let input = self.input.fill_buf().at(&self.path)?;
            let blank = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if blank == 0 {
                break;
            }
            self.consume(blank);
        }
        let line = self.line + 1;
        let (mut cells, mut cell, mut part, mut bytes) = (Vec::new(), Vec::new(), [0; 8192], 0);
        loop {
            let Form::Table(reader) = &mut self.form else { return Ok(None) };
            let input = self.input.fill_buf().at(&self.path)?;
            let (result, read, written) = reader.read_field(input, &mut part);
            self.consume(read);
            cell.extend_from_slice(&part[..written]);
            bytes += written;
            if bytes > ROW_BYTES_MAX {
                return Err(self.wrong(line, format_args!("> {ROW_BYTES_MAX} bytes")));
            }
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    cells.push(std::mem::take(&mut cell));
                    if cells.len() > COLUMNS_MAX {
                        return Err(self.wrong(line, format_args!("> {COLUMNS_MAX} columns")));
                    }
                    if record_end {
                        return Ok(Some((line, cells)));
                    }
                }
                ReadFieldResult::End => return Ok(None),
            }
        }
    }

    fn table_row(&mut self) -> Result<Option<Row>> {
        let Some((line, cells)) = self.cells()? else { return Ok(None) };
        if cells.len() != self.width {
            let error = Error::new("classify-width").path(&self.path).arg("line", line);
            return Err(error.arg("found", cells.len()).arg("wanted", self.width));
        }
        let mut values = Vec::with_capacity(self.places.len());
        for &place in &self.places {
            // A column may be asked for twice.
            let cell = cells[place].clone();
            values.push(String::from_utf8(cell).map_err(|_| self.wrong(line, "UTF-8"))?);
        }
        self.row(line, values).map(Some)
    }

    fn json_row(&mut self) -> Result<Option<Row>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut limited = (&mut self.input).take(ROW_BYTES_MAX as u64 + 1);
            let read = limited.read_until(b'\n', &mut bytes).at(&self.path)?;
            self.line += 1;
            self.read += read as u64;
            let line = self.line;
            if read == 0 {
                return Ok(None);
            }
            if read > ROW_BYTES_MAX {
                return Err(self.wrong(line, format_args!("> {ROW_BYTES_MAX} bytes")));
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let object: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| self.wrong(line, error))?;
            let mut values = Vec::new();
            for wanted in self.columns.text.iter().chain(&self.columns.label) {
                values.push(match object.get(wanted) {
                    Some(Value::String(text)) => text.clone(),
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
                    Some(Value::Null) => String::new(),
                    Some(_) => return Err(self.wrong(line, format_args!("{wanted:?}"))),
                    None => {
                        let names: Vec<&str> = object.keys().map(String::as_str).collect();
                        return Err(self.no_column(wanted, names.join(", "), 0).arg("line", line));
                    }
                });
            }
            return self.row(line, values).map(Some);
        }
    }

    fn row(&self, line: u64, mut values: Vec<String>) -> Result<Row> {
        let label = match self.columns.label {
            Some(_) => values.pop().unwrap_or_default().trim().to_owned(),
            None => String::new(),
        };
        if self.columns.label.is_some() && (label.is_empty() || label.len() > LABEL_BYTES_MAX) {
            return Err(Error::new("classify-label-wrong")
                .path(&self.path)
                .arg("line", line)
                .arg("bytes", label.len())
                .arg("max", LABEL_BYTES_MAX));
        }
        Ok(Row { line, label, texts: values })
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    /// The next row. After an error there are no more.
    fn next(&mut self) -> Option<Result<Row>> {
        if self.failed {
            return None;
        }
        let row = match self.form {
            Form::Table(_) => self.table_row(),
            Form::Lines => self.json_row(),
        };
        self.failed = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kwaya_math::philox::Stream;

    use super::*;

    fn columns() -> Columns {
        Columns { text: vec!["title".into(), "text".into()], label: Some("topic".into()) }
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<Row>> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(name);
        fs::write(&path, bytes).unwrap();
        Rows::open(&path, &columns())?.collect()
    }

    fn row(line: u64, label: &str, title: &str, text: &str) -> Row {
        Row { line, label: label.into(), texts: vec![title.into(), text.into()] }
    }

    #[test]
    fn rows_are_read_from_each_kind_of_file() {
        let wanted = [row(2, "a b", "T", "one\n\"two\""), row(5, "c", "", "x")];
        let tsv = "\u{feff}text\ttopic\tid\ttitle\n\"one\n\"\"two\"\"\"\ta b\t1\tT\n\nx\tc\t2\t\n";
        assert_eq!(read("a.tsv", tsv.as_bytes()).unwrap(), wanted);
        let csv = tsv.replace('\t', ",").replace("x,", "\"x\",").replace('\n', "\r\n").replace("one\r", "one");
        assert_eq!(read("a.csv", csv.as_bytes()).unwrap(), wanted);
        let lines = "{\"text\": \"one\\n\\\"two\\\"\", \"topic\": \"a b\", \"title\": \"T\"}\n\n\
            {\"topic\": \"c\", \"title\": null, \"text\": \"x\", \"n\": [1]}";
        assert_eq!(
            read("a.jsonl", lines.as_bytes()).unwrap(),
            [wanted[0].clone(), row(3, "c", "", "x")].map(|mut row| {
                row.line = if row.label == "c" { 3 } else { 1 };
                row
            })
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let refused = |name: &str, bytes: &[u8]| {
            let error = read(name, bytes).unwrap_err();
            let line = error.args().iter().find(|(name, _)| *name == "line").map(|(_, line)| line.clone());
            (error.key(), line.unwrap_or_default())
        };
        let head = "topic\ttitle\ttext\n";
        let table = |rest: &str| format!("{head}{rest}").into_bytes();
        assert_eq!(refused("a.tsv", &table("a\tb\tc\na\tb\n")), ("classify-width", "3".into()));
        assert_eq!(refused("a.tsv", &table("a\tb\tc\n\n  \tb\tc\n")), ("classify-label-wrong", "4".into()));
        assert_eq!(refused("a.tsv", &table("a\t\"b\tc\na\tb\tc\n")), ("classify-width", "2".into()));
        let long = "l".repeat(LABEL_BYTES_MAX + 1);
        assert_eq!(refused("a.tsv", &table(&format!("{long}\tb\tc\n"))), ("classify-label-wrong", "2".into()));
        let latin = [head.as_bytes(), b"a\tb\t\xe9\n"].concat();
        assert_eq!(refused("a.tsv", &latin), ("classify-row", "2".into()));
        assert_eq!(refused("a.tsv", b"topic\ttext\n"), ("classify-column", String::new()));
        assert_eq!(refused("a.csv", b"topic,title,text,text\n"), ("classify-column", String::new()));
        assert_eq!(refused("a.tsv", b""), ("classify-column", String::new()));
        assert_eq!(refused("a.xlsx", b""), ("classify-format", String::new()));
        assert_eq!(refused("a.jsonl", b"\n{\"topic\": 1}\n"), ("classify-column", "2".into()));
        assert_eq!(refused("a.jsonl", b"{\"topic\": [\n"), ("classify-row", "1".into()));
        let deep = format!("{{\"topic\": {}", "[".repeat(100_000));
        assert_eq!(refused("a.jsonl", deep.as_bytes()), ("classify-row", "1".into()));
        let endless = table(&format!("a\tb\t\"{}", "x".repeat(ROW_BYTES_MAX)));
        assert_eq!(refused("a.tsv", &endless), ("classify-row", "2".into()));
        let line = vec![b' '; ROW_BYTES_MAX + 1];
        assert_eq!(refused("a.jsonl", &line), ("classify-row", "1".into()));
    }

    #[test]
    fn damaged_files_are_read_or_refused() {
        let tsv = "topic\ttitle\ttext\na\tb\t\"c\nd\"\ne\tf\tg\n".repeat(3).into_bytes();
        let lines = "{\"topic\": \"a\", \"title\": \"b\", \"text\": \"c\"}\n".repeat(5).into_bytes();
        let mut random = Stream::new(3, 0, 0);
        for round in 0..3_000 {
            let (name, good) = if round % 2 == 0 { ("a.tsv", &tsv) } else { ("a.jsonl", &lines) };
            let mut bytes = good.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len() as u64) as usize;
                match random.below(3) {
                    0 => bytes[at] = random.next_u32() as u8,
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, b"\"\t\n\r{}[\\,"[random.below(9) as usize]),
                }
            }
            let _ = read(name, &bytes);
        }
    }
}
