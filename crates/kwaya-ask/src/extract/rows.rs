//! The table of what was found out: CSV (RFC 4180) or Parquet, written whole or
//! not at all.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use csv_core::{Terminator, WriteResult, WriterBuilder};
use kwaya_base::{Error, Result, error::At, files};
use kwaya_text::table::{Cell, Kind, Table};
use serde_json::{Value, json};

use super::{
    journal::{Answer, Place},
    schema::{Column, Schema, What},
};

/// Columns that every table has.
const DOCUMENT: &str = "document";
const RECORD: &str = "record";
const PROBLEM: &str = "problem";

/// What a row says in [`PROBLEM`] when the model did not come to an end, and when
/// a whole number has more digits than 64 bits hold.
const CUT: &str = "cut";
const NUMBER: &str = "number";

/// The forms of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Parquet,
}

impl Format {
    /// That which the name of a file asks for.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(Error::usage("extract-output").path(path)),
        }
    }
}

/// The columns of the table of a schema.
pub(super) struct Layout {
    names: Vec<(String, Kind)>,
}

impl Layout {
    /// # Errors
    /// `extract-columns` when two of them would have one name.
    pub(super) fn of(schema: &Schema) -> Result<Self> {
        let mut names = vec![(DOCUMENT.to_owned(), Kind::Text), (RECORD.to_owned(), Kind::Text)];
        names.extend(schema.columns.iter().map(|column| (column.name.clone(), column.what.kind())));
        for column in schema.columns.iter().filter(|column| column.placed) {
            let lists = column.what == What::Json;
            let number = if lists { Kind::Text } else { Kind::Number };
            let flag = if lists { Kind::Text } else { Kind::Flag };
            for (part, kind) in [("passage", Kind::Text), ("start", number), ("end", number), ("found", flag)] {
                names.push((format!("{}.{part}", column.name), kind));
            }
        }
        names.push((PROBLEM.to_owned(), Kind::Text));
        for (at, (name, _)) in names.iter().enumerate() {
            if names[..at].iter().any(|(other, _)| other == name) {
                return Err(Error::usage("extract-columns").arg("name", name));
            }
        }
        Ok(Self { names })
    }
}

/// The cells of a document; with `only_found` without values that stand nowhere
/// in it.
pub(super) fn cells(schema: &Schema, name: &str, record: &str, answer: &Answer, only_found: bool) -> Vec<Cell> {
    let mut problem = answer.cut.then(|| CUT.to_owned());
    let mut cells = vec![Cell::Text(name.to_owned()), Cell::Text(record.to_owned())];
    let of = |(at, column): (usize, &Column)| {
        let (mut value, places) = (answer.values[at].clone(), &answer.places[at]);
        if only_found && column.placed {
            without_invented(&mut value, &mut places.iter());
        }
        let cell = cell(column.what, &value);
        if cell == Cell::Missing && !value.is_null() {
            problem.get_or_insert_with(|| NUMBER.to_owned());
        }
        cell
    };
    cells.extend(schema.columns.iter().enumerate().map(of));
    for (column, places) in schema.columns.iter().zip(&answer.places).filter(|(column, _)| column.placed) {
        cells.extend(of_places(column.what, places));
    }
    cells.push(problem.map_or(Cell::Missing, Cell::Text));
    cells
}

fn cell(what: What, value: &Value) -> Cell {
    let cell = match (what, value) {
        (_, Value::Null) => None,
        (What::Text, Value::String(text)) => Some(Cell::Text(text.clone())),
        (What::Whole, value) => value.as_i64().map(Cell::Number),
        (What::Real, value) => value.as_f64().map(Cell::Real),
        (What::Flag, value) => value.as_bool().map(Cell::Flag),
        (What::Json | What::Text, value) => Some(Cell::Text(value.to_string())),
    };
    cell.unwrap_or(Cell::Missing)
}

/// Four columns: of one value, or of the values of a list as lists of JSON.
fn of_places(what: What, places: &[Option<Place>]) -> [Cell; 4] {
    if what != What::Json {
        return match places.first() {
            None => [Cell::Missing, Cell::Missing, Cell::Missing, Cell::Missing],
            Some(None) => [Cell::Missing, Cell::Missing, Cell::Missing, Cell::Flag(false)],
            Some(Some(Place { start, end, passage })) => {
                [Cell::Text(passage.clone()), Cell::Number(*start as i64), Cell::Number(*end as i64), Cell::Flag(true)]
            }
        };
    }
    if places.is_empty() {
        return [Cell::Missing, Cell::Missing, Cell::Missing, Cell::Missing];
    }
    let list = |part: &dyn Fn(&Place) -> Value| {
        let parts = places.iter().map(|place| place.as_ref().map_or(Value::Null, part));
        Cell::Text(Value::from_iter(parts).to_string())
    };
    let found: Vec<bool> = places.iter().map(Option::is_some).collect();
    [
        list(&|place| json!(place.passage)),
        list(&|place| json!(place.start)),
        list(&|place| json!(place.end)),
        Cell::Text(json!(found).to_string()),
    ]
}

/// Makes null of each string and number that has no place, in the order of the
/// places.
fn without_invented<'a>(value: &mut Value, places: &mut impl Iterator<Item = &'a Option<Place>>) {
    match value {
        Value::String(_) | Value::Number(_) => {
            if places.next().is_none_or(Option::is_none) {
                *value = Value::Null;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| without_invented(value, places)),
        Value::Object(object) => object.values_mut().for_each(|value| without_invented(value, places)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Writes the table durably.
///
/// # Errors
/// What the disk or `rows` bring.
pub(super) fn write(
    path: &Path,
    format: Format,
    layout: &Layout,
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
) -> Result<()> {
    match format {
        Format::Csv => write_csv(path, layout, rows),
        Format::Parquet => write_parquet(path, layout, rows),
    }
}

fn write_parquet(path: &Path, layout: &Layout, rows: impl Iterator<Item = Result<Vec<Cell>>>) -> Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(PathBuf::from("."), PathBuf::from);
    let scratch = tempfile::Builder::new().prefix(".rows-").suffix(".tmp").tempfile_in(&folder).at(&folder)?;
    let columns: Vec<(&str, Kind)> = layout.names.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    let mut table = Table::create(scratch.path(), &columns)?;
    for row in rows {
        table.push(row?)?;
    }
    table.finish()?;
    // The name is gone afterwards, and nothing is left to remove.
    let scratch = scratch.into_temp_path();
    files::publish(&scratch, path)
}

fn write_csv(path: &Path, layout: &Layout, rows: impl Iterator<Item = Result<Vec<Cell>>>) -> Result<()> {
    files::write_with(path, |out| {
        let mut line = Csv::new();
        let names = layout.names.iter().map(|(name, _)| Cell::Text(name.clone())).collect();
        for row in std::iter::once(Ok(names)).chain(rows) {
            out.write_all(line.of(row?)).at(path)?;
        }
        Ok(())
    })
}

/// Rows as lines of CSV.
struct Csv {
    writer: csv_core::Writer,
    line: Vec<u8>,
}

impl Csv {
    fn new() -> Self {
        Self { writer: WriterBuilder::new().terminator(Terminator::CRLF).build(), line: Vec::new() }
    }

    fn of(&mut self, row: Vec<Cell>) -> &[u8] {
        self.line.clear();
        for (at, cell) in row.into_iter().enumerate() {
            if at > 0 {
                self.put(csv_core::Writer::delimiter);
            }
            let text = match cell {
                Cell::Text(text) => text,
                Cell::Number(number) => number.to_string(),
                Cell::Real(number) => json!(number).to_string(),
                Cell::Flag(flag) => flag.to_string(),
                Cell::Missing => String::new(),
            };
            let mut rest = text.as_bytes();
            self.put(|writer, out| {
                let (result, read, written) = writer.field(rest, out);
                rest = &rest[read..];
                (result, written)
            });
        }
        self.put(csv_core::Writer::terminator);
        &self.line
    }

    /// Writes what `write` gives until it has no more.
    fn put(&mut self, mut write: impl FnMut(&mut csv_core::Writer, &mut [u8]) -> (WriteResult, usize)) {
        let mut buffer = [0; 1024];
        loop {
            let (result, written) = write(&mut self.writer, &mut buffer);
            self.line.extend(&buffer[..written]);
            if result == WriteResult::InputEmpty {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(start: u64, passage: &str) -> Option<Place> {
        Some(Place { start, end: start + 4, passage: passage.to_owned() })
    }

    fn example() -> (Schema, Answer) {
        let schema = r#"{"properties": {
            "name": {"type": "string"}, "age": {"type": "integer"}, "sum": {"type": "number"},
            "ill": {"type": "boolean"}, "who": {"type": "array", "items": {"type": "string"}}}}"#;
        let answer = Answer {
            values: vec![json!("Asha \"Mama\", B\n"), json!(7), json!(1500.5), json!(true), json!(["Asha", "Zed"])],
            places: vec![
                vec![place(3, "Mimi Asha,\r\nleo")],
                vec![None],
                vec![place(9, "=1+1")],
                Vec::new(),
                vec![place(3, "Mimi"), None],
            ],
            cut: false,
        };
        (Schema::parse(schema).unwrap(), answer)
    }

    #[test]
    fn a_row_is_written_as_rfc_4180_says() {
        let (schema, answer) = example();
        let row = cells(&schema, "barua/1.txt", "", &answer, false);
        let line = String::from_utf8(Csv::new().of(row).to_vec()).unwrap();
        assert_eq!(
            line,
            "barua/1.txt,,\"Asha \"\"Mama\"\", B\n\",7,1500.5,true,\"[\"\"Asha\"\",\"\"Zed\"\"]\",\
             \"Mimi Asha,\r\nleo\",3,7,true,,,,false,=1+1,9,13,true,\
             \"[\"\"Mimi\"\",null]\",\"[3,null]\",\"[7,null]\",\"[true,false]\",\r\n"
        );
        let long = "a\"".repeat(5000);
        let line = Csv::new().of(vec![Cell::Text(long.clone())]).to_vec();
        assert_eq!(String::from_utf8(line).unwrap(), format!("\"{}\"\r\n", long.replace('"', "\"\"")));
    }

    #[test]
    fn only_what_was_found_is_left_where_that_is_wanted() {
        let (schema, answer) = example();
        let row = cells(&schema, "1.txt", "2", &answer, true);
        assert_eq!(row[3], Cell::Missing);
        assert_eq!(row[5], Cell::Flag(true));
        assert_eq!(row[6], Cell::Text("[\"Asha\",null]".into()));
        assert_eq!(row.last(), Some(&Cell::Missing));
    }

    #[test]
    fn what_a_row_cannot_hold_is_told() {
        let (schema, mut answer) = example();
        answer.values[1] = serde_json::from_str("123456789012345678901").unwrap();
        let row = cells(&schema, "1.txt", "", &answer, false);
        assert_eq!((&row[3], row.last()), (&Cell::Missing, Some(&Cell::Text("number".into()))));
        answer.cut = true;
        assert_eq!(cells(&schema, "1.txt", "", &answer, false).last(), Some(&Cell::Text("cut".into())));
        for name in ["document", "record", "problem"] {
            let schema = format!(r#"{{"properties": {{"{name}": {{"type": "string"}}}}}}"#);
            assert_eq!(Layout::of(&Schema::parse(&schema).unwrap()).err().unwrap().key(), "extract-columns");
        }
        let schema = r#"{"properties": {"a": {"type": "string"}, "a.found": {"type": "boolean"}}}"#;
        assert!(Layout::of(&Schema::parse(schema).unwrap()).is_err());
    }
}
