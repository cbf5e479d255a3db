//! Tables as Parquet files, zstd, row groups bounded by bytes so that a reader
//! never holds much. Those of a corpus have columns of strings and whole numbers;
//! a [`Table`] of any other use has what it is told, and values may be missing.

use std::{
    fs::File,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    thread::{self, JoinHandle},
};

use kwaya_base::{Error, Result, error::At};
use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as PhysicalType, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        reader::{FileReader, SerializedFileReader},
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    record::{Field, reader::RowIter},
    schema::{parser::parse_message_type, types::Type},
};

/// A row group is closed when its strings pass this many bytes.
const GROUP_BYTES: usize = 16 << 20;
/// A row group of a file not ours may not unpack to more than this.
const GROUP_BYTES_MAX: i64 = 1 << 30;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A string.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A number.
    Real(f64),
    /// True or false.
    Flag(bool),
    /// No value, where the column allows that.
    Missing,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Strings.
    Text,
    /// Whole numbers of 64 bits.
    Number,
    /// Numbers of double precision.
    Real,
    /// True or false.
    Flag,
}

/// The values of a row, taken in the order of the columns.
pub(crate) struct Cells<'a>(&'a mut dyn Iterator<Item = Field>);

impl Cells<'_> {
    /// The next value, when it is a string.
    pub(crate) fn text(&mut self) -> Option<String> {
        match self.0.next()? {
            Field::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The next value, when it is a number.
    pub(crate) fn number(&mut self) -> Option<i64> {
        match self.0.next()? {
            Field::Long(number) => Some(number),
            _ => None,
        }
    }
}

/// A record that has a table of its own.
pub(crate) trait Row: Sized {
    /// The columns: required strings and 64-bit numbers.
    const SCHEMA: &str;
    /// The values, one per column.
    fn into_cells(self) -> Vec<Cell>;
    /// The record from its values; `None` when they do not make one.
    fn from_cells(cells: &mut Cells<'_>) -> Option<Self>;
}

fn schema<R: Row>() -> Type {
    parse_message_type(R::SCHEMA).expect("the schema is well formed")
}

/// The columns of a table, each with whether it holds numbers.
pub(crate) fn columns<R: Row>() -> Vec<(String, bool)> {
    let schema = schema::<R>();
    let number = |field: &Type| field.get_physical_type() == PhysicalType::INT64;
    schema.get_fields().iter().map(|field| (field.name().to_owned(), number(field))).collect()
}

/// Writes one table, row by row.
pub(crate) struct Writer<R> {
    table: Table,
    row: PhantomData<R>,
}

impl<R: Row> Writer<R> {
    /// Starts the table in `path`, which is not durable before it is
    /// published.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self { table: Table::of(path, schema::<R>())?, row: PhantomData })
    }

    pub(crate) fn push(&mut self, row: R) -> Result<()> {
        self.table.push(row.into_cells())
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.table.finish()
    }
}

/// A table that is being written. A thread of its own compresses what is whole.
pub struct Table {
    path: PathBuf,
    columns: Vec<Vec<Cell>>,
    bytes: usize,
    groups: SyncSender<Vec<Vec<Cell>>>,
    thread: JoinHandle<Result<()>>,
}

impl Table {
    /// Starts a table of these columns in `path`, which is not durable before it
    /// is published. Any value may be [`Cell::Missing`].
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, columns: &[(&str, Kind)]) -> Result<Self> {
        let column = |(name, kind): &(&str, Kind)| {
            let (physical, logical) = match kind {
                Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
                Kind::Number => (PhysicalType::INT64, None),
                Kind::Real => (PhysicalType::DOUBLE, None),
                Kind::Flag => (PhysicalType::BOOLEAN, None),
            };
            let column = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
            column.with_logical_type(logical).build().map(Arc::new)
        };
        let fields: Result<Vec<_>, _> = columns.iter().map(column).collect();
        let schema = fields.and_then(|fields| Type::group_type_builder("rows").with_fields(fields).build());
        Self::of(path, schema.map_err(|e| wrong(path, e))?)
    }

    fn of(path: &Path, schema: Type) -> Result<Self> {
        let columns = empty_columns(schema.get_fields().len());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by("kwaya".to_owned())
            // Every text is another one: a dictionary of them only costs time.
            .set_column_dictionary_enabled("text".into(), false)
            .set_column_dictionary_enabled("id".into(), false)
            .set_column_dictionary_enabled("letters".into(), false)
            .set_column_dictionary_enabled("start".into(), false)
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        let schema = Arc::new(schema);
        let fields = schema.get_fields().to_vec();
        let mut file = SerializedFileWriter::new(File::create(path).at(path)?, schema, Arc::new(properties))
            .map_err(|e| wrong(path, e))?;
        // One waits while one is written.
        let (groups, receiver) = mpsc::sync_channel(1);
        let written = path.to_owned();
        let thread = thread::spawn(move || {
            for columns in receiver {
                write_group(&mut file, &fields, columns).map_err(|e| wrong(&written, e))?;
            }
            file.close().map(drop).map_err(|e| wrong(&written, e))
        });
        Ok(Self { path: path.to_owned(), columns, bytes: 0, groups, thread })
    }

    /// Adds a row: a value for each column, of its kind.
    ///
    /// # Errors
    /// None now; an error of the disk is told at the end.
    pub fn push(&mut self, row: Vec<Cell>) -> Result<()> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            self.bytes += match &value {
                Cell::Text(text) => text.len(),
                Cell::Number(_) | Cell::Real(_) => 8,
                Cell::Flag(_) | Cell::Missing => 1,
            };
            column.push(value);
        }
        if self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What went wrong at any time.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        drop(self.groups);
        self.thread.join().unwrap_or_else(|_| Err(Error::new("corpus-damaged").path(&self.path).arg("cause", "panic")))
    }

    fn flush(&mut self) -> Result<()> {
        if self.bytes > 0 {
            let empty = empty_columns(self.columns.len());
            self.bytes = 0;
            // A thread that is gone has met an error, which `finish` brings.
            let _ = self.groups.send(std::mem::replace(&mut self.columns, empty));
        }
        Ok(())
    }
}

fn empty_columns(count: usize) -> Vec<Vec<Cell>> {
    (0..count).map(|_| Vec::new()).collect()
}

fn write_group(
    file: &mut SerializedFileWriter<File>,
    fields: &[Arc<Type>],
    columns: Vec<Vec<Cell>>,
) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for (field, column) in fields.iter().zip(columns) {
        let writer = group.next_column()?.expect("as many columns as in the schema");
        // A value that is missing, or of another kind, is told by its level.
        match field.get_physical_type() {
            PhysicalType::BYTE_ARRAY => write_column::<ByteArrayType>(writer, field, column, |cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.into_bytes())),
                _ => None,
            }),
            PhysicalType::INT64 => write_column::<Int64Type>(writer, field, column, |cell| match cell {
                Cell::Number(number) => Some(number),
                _ => None,
            }),
            PhysicalType::DOUBLE => write_column::<DoubleType>(writer, field, column, |cell| match cell {
                Cell::Real(number) => Some(number),
                _ => None,
            }),
            _ => write_column::<BoolType>(writer, field, column, |cell| match cell {
                Cell::Flag(flag) => Some(flag),
                _ => None,
            }),
        }?;
    }
    group.close().map(drop)
}

fn write_column<T: DataType>(
    mut writer: SerializedColumnWriter<'_>,
    field: &Type,
    column: Vec<Cell>,
    value: impl Fn(Cell) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<T::T>> = column.into_iter().map(value).collect();
    let levels = field.is_optional().then(|| values.iter().map(|value| i16::from(value.is_some())).collect::<Vec<_>>());
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    writer.typed::<T>().write_batch(&values, levels.as_deref(), None)?;
    writer.close()
}

/// Reads a table, row by row.
pub(crate) struct Reader<R> {
    path: PathBuf,
    total: u64,
    rows: RowIter<'static>,
    row: PhantomData<R>,
}

impl<R: Row> Reader<R> {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let reader = SerializedFileReader::new(File::open(path).at(path)?).map_err(|e| wrong(path, e))?;
        let metadata = reader.metadata();
        if metadata.file_metadata().schema() != &schema::<R>()
            || metadata.row_groups().iter().any(|group| group.total_byte_size() > GROUP_BYTES_MAX)
        {
            return Err(Error::new("corpus-damaged").path(path).arg("cause", "columns"));
        }
        let total = metadata.file_metadata().num_rows().max(0) as u64;
        Ok(Self { path: path.to_owned(), total, rows: RowIter::from_file_into(Box::new(reader)), row: PhantomData })
    }

    /// How many rows there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The rows of these numbers, which rise. Groups of rows that hold none of
    /// them are not unpacked.
    pub(crate) fn pick(path: &Path, numbers: &[u64]) -> Result<Vec<R>> {
        // It checks that the file is such a table.
        drop(Self::open(path)?);
        let reader = SerializedFileReader::new(File::open(path).at(path)?).map_err(|e| wrong(path, e))?;
        let mut found = Vec::with_capacity(numbers.len());
        let (mut first, mut left) = (0, numbers.iter().peekable());
        for at in 0..reader.num_row_groups() {
            let group = reader.get_row_group(at).map_err(|e| wrong(path, e))?;
            let end = first + group.metadata().num_rows().max(0) as u64;
            let (mut rows, mut row) = (None, first);
            while let Some(number) = left.next_if(|number| **number < end) {
                let rows = match &mut rows {
                    Some(rows) => rows,
                    None => rows.insert(group.get_row_iter(None).map_err(|e| wrong(path, e))?),
                };
                let next = rows.nth((number - row) as usize);
                row = number + 1;
                found.push(record(path, next.unwrap_or_else(|| Err(ParquetError::EOF("row".into()))))?);
            }
            first = end;
        }
        Ok(found)
    }

    /// Gives the strings of the column `name` to `each`, with the numbers of
    /// their rows, until it says that it has seen enough. Nothing else is
    /// unpacked.
    pub(crate) fn scan(path: &Path, name: &str, mut each: impl FnMut(u64, &str) -> bool) -> Result<()> {
        let reader = Self::open(path)?;
        let whole = schema::<R>();
        let field = whole.get_fields().iter().find(|field| field.name() == name).cloned();
        let fields = vec![field.expect("the table has the column")];
        let only = Type::group_type_builder(whole.name()).with_fields(fields).build().map_err(|e| wrong(path, e))?;
        let rows = reader.rows.project(Some(only)).map_err(|e| wrong(path, e))?;
        for (number, row) in (0..).zip(rows) {
            let fields = row.map_err(|e| wrong(path, e))?.into_columns();
            let Some((_, Field::Str(text))) = fields.first() else {
                return Err(Error::new("corpus-damaged").path(path).arg("cause", "row"));
            };
            if !each(number, text) {
                break;
            }
        }
        Ok(())
    }
}

fn record<R: Row>(path: &Path, row: Result<parquet::record::Row, ParquetError>) -> Result<R> {
    let mut fields = row.map_err(|e| wrong(path, e))?.into_columns().into_iter().map(|(_, field)| field);
    let record = R::from_cells(&mut Cells(&mut fields));
    record.ok_or_else(|| Error::new("corpus-damaged").path(path).arg("cause", "row"))
}

impl<R: Row> Iterator for Reader<R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        Some(record(&self.path, self.rows.next()?))
    }
}

/// An I/O error keeps its own message; all else means that the file is wrong.
fn wrong(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => Error::io(path, *io),
            Err(other) => Error::new("corpus-damaged").path(path).arg("cause", other),
        },
        other => Error::new("corpus-damaged").path(path).arg("cause", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_any_columns_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let columns = [("name", Kind::Text), ("a.b", Kind::Number), ("sum", Kind::Real), ("ill", Kind::Flag)];
        let mut table = Table::create(&path, &columns).unwrap();
        let row = |number: i64| match number % 3 {
            0 => vec![Cell::Missing, Cell::Missing, Cell::Missing, Cell::Missing],
            1 => vec![Cell::Text("ñ".repeat(70_000)), Cell::Number(number), Cell::Real(0.1), Cell::Flag(true)],
            _ => vec![Cell::Text(String::new()), Cell::Number(i64::MIN), Cell::Missing, Cell::Flag(false)],
        };
        // More than one row group.
        (0..400).for_each(|number| table.push(row(number)).unwrap());
        table.finish().unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert!(reader.metadata().num_row_groups() > 1);
        let names: Vec<_> = reader
            .metadata()
            .file_metadata()
            .schema()
            .get_fields()
            .iter()
            .map(|field| field.name().to_owned())
            .collect();
        assert_eq!(names, columns.map(|(name, _)| name));
        let cell = |field: Field| match field {
            Field::Null => Cell::Missing,
            Field::Str(text) => Cell::Text(text),
            Field::Long(number) => Cell::Number(number),
            Field::Double(number) => Cell::Real(number),
            Field::Bool(flag) => Cell::Flag(flag),
            other => panic!("{other}"),
        };
        let rows = RowIter::from_file_into(Box::new(reader));
        let rows: Vec<Vec<Cell>> =
            rows.map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| cell(field)).collect()).collect();
        assert_eq!(rows, (0..400).map(row).collect::<Vec<_>>());
        // A table of no rows is one.
        Table::create(&path, &columns).unwrap().finish().unwrap();
        assert_eq!(SerializedFileReader::new(File::open(&path).unwrap()).unwrap().metadata().num_row_groups(), 0);
    }
}
