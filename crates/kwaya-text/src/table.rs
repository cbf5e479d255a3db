//! Tables of a corpus as Parquet files: columns of strings and whole numbers,
//! zstd, row groups bounded by bytes so that a reader never holds much.

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
    basic::{Compression, Type as PhysicalType, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    record::{Field, reader::RowIter},
    schema::{parser::parse_message_type, types::Type},
};

/// A row group is closed when its strings pass this many bytes.
const GROUP_BYTES: usize = 16 << 20;
/// A row group of a file not ours may not unpack to more than this.
const GROUP_BYTES_MAX: i64 = 1 << 30;

/// One value of a row.
pub(crate) enum Cell {
    Text(String),
    Number(i64),
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

/// Writes one table, row by row. A thread of its own compresses what is whole.
pub(crate) struct Writer<R> {
    path: PathBuf,
    columns: Vec<Vec<Cell>>,
    bytes: usize,
    groups: SyncSender<Vec<Vec<Cell>>>,
    thread: JoinHandle<Result<()>>,
    row: PhantomData<R>,
}

impl<R: Row> Writer<R> {
    /// Starts the table in `path`, which is not durable before it is
    /// published.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let schema = schema::<R>();
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
        let mut file = SerializedFileWriter::new(File::create(path).at(path)?, Arc::new(schema), Arc::new(properties))
            .map_err(|e| wrong(path, e))?;
        // One waits while one is written.
        let (groups, receiver) = mpsc::sync_channel(1);
        let written = path.to_owned();
        let thread = thread::spawn(move || {
            for columns in receiver {
                write_group(&mut file, columns).map_err(|e| wrong(&written, e))?;
            }
            file.close().map(drop).map_err(|e| wrong(&written, e))
        });
        Ok(Self { path: path.to_owned(), columns, bytes: 0, groups, thread, row: PhantomData })
    }

    pub(crate) fn push(&mut self, row: R) -> Result<()> {
        for (column, value) in self.columns.iter_mut().zip(row.into_cells()) {
            self.bytes += match &value {
                Cell::Text(text) => text.len(),
                Cell::Number(_) => 8,
            };
            column.push(value);
        }
        if self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Result<()> {
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

fn write_group(file: &mut SerializedFileWriter<File>, columns: Vec<Vec<Cell>>) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for column in columns {
        let mut writer = group.next_column()?.expect("as many columns as in the schema");
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for cell in column {
            match cell {
                Cell::Text(text) => texts.push(ByteArray::from(text.into_bytes())),
                Cell::Number(number) => numbers.push(number),
            }
        }
        if numbers.is_empty() {
            writer.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
        } else {
            writer.typed::<Int64Type>().write_batch(&numbers, None, None)?;
        }
        writer.close()?;
    }
    group.close().map(drop)
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
