//! Tables in Parquet: a document in each row, read column chunk by column
//! chunk in the child process, which sends its rows in batches as it goes.

use std::{fs::File, path::Path};

use bytes::Bytes;
use parquet::{
    basic::{ConvertedType, LogicalType, Type as PhysicalType},
    column::reader::ColumnReader,
    errors::ParquetError,
    file::reader::{ChunkReader, FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};
use serde::{Deserialize, Serialize};

use super::{At, End, Flow, Record, TEXT_KEYS, Walk};
use crate::{
    Reason,
    extract::{Format, Refusal},
};

/// Rows that are decoded at once, and bytes that are sent at once.
const BATCH_ROWS: usize = 64;
const BATCH_BYTES: usize = 256 << 10;
/// What a row counts for beside its text, so that rows without one end too.
const ROW_BYTES: u64 = 16;
/// Stands for the length of a text that is too long.
const TOO_LONG: u32 = u32::MAX;

/// Where a table is.
pub(super) enum Place<'a> {
    File(&'a Path),
    Content(&'a [u8]),
}

/// What is asked of the child; after it, and a line end, comes the table where
/// it is in no file.
#[derive(Serialize, Deserialize)]
struct Request {
    path: Option<String>,
    column: Option<String>,
    max: u64,
}

impl Walk<'_> {
    pub(super) fn parquet(&mut self, at: At<'_>, place: Place<'_>) -> Flow {
        let max = self.task.record_bytes_max.min(u64::from(TOO_LONG) - 1);
        let mut request = Request { path: None, column: self.task.column.map(str::to_owned), max };
        let mut content: &[u8] = &[];
        match place {
            Place::Content(bytes) => content = bytes,
            Place::File(path) => {
                let absolute = std::path::absolute(path)?;
                let name = absolute.to_str();
                request.path =
                    Some(name.ok_or_else(|| End::refused(Reason::Unreadable, "a name that is not UTF-8"))?.to_owned());
            }
        }
        let mut message = serde_json::to_vec(&request).expect("a request is plain data");
        message.push(b'\n');
        message.extend_from_slice(content);
        let (budget, sink) = (self.budget, &mut *self.sink);
        let mut flow = Ok(());
        let mut take = |batch: &[u8]| {
            flow = rows(batch, |row, text| {
                let bytes = text.map_or(0, |text| text.len() as u64);
                let left = budget.left.get().checked_sub(bytes + ROW_BYTES).ok_or(End::Spent)?;
                budget.left.set(left);
                let content = text.map(<[u8]>::to_vec).ok_or((Reason::TooLarge, String::new()));
                let (place, format) = (Some(("row", row)), Some(Format::Parquet));
                match sink(Record { part: at.part.to_owned(), place, format, encoding: None, content, bytes }) {
                    true => Ok(()),
                    false => Err(End::Stopped),
                }
            });
            flow.is_ok()
        };
        let done = self.extractor.rows(message, &mut take).map_err(End::Failed)?;
        flow?;
        done.map_err(End::Refused)
    }
}

/// The rows of a batch: each a number, a length, and so many bytes.
fn rows(mut batch: &[u8], mut each: impl FnMut(u64, Option<&[u8]>) -> Flow) -> Flow {
    let wrong = || End::refused(Reason::Damaged, "the reply of the parser");
    while !batch.is_empty() {
        let (row, rest) = batch.split_first_chunk().ok_or_else(wrong)?;
        let (length, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let length = u32::from_le_bytes(*length);
        let kept = if length == TOO_LONG { 0 } else { length as usize };
        let (text, rest) = rest.split_at_checked(kept).ok_or_else(wrong)?;
        each(u64::from_le_bytes(*row), (length != TOO_LONG).then_some(text))?;
        batch = rest;
    }
    Ok(())
}

/// The child's side: reads the table that is asked for and gives its rows in
/// batches, until `give` wants no more.
pub(crate) fn serve(message: &[u8], give: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<(), Refusal> {
    let damaged = |cause: String| (Reason::Damaged, cause);
    let line = memchr::memchr(b'\n', message).ok_or_else(|| damaged("no request".to_owned()))?;
    let (request, content) = message.split_at(line);
    let request: Request = serde_json::from_slice(request).map_err(|error| damaged(error.to_string()))?;
    match &request.path {
        Some(path) => table(File::open(path).map_err(|error| (Reason::Unreadable, error.to_string()))?, &request, give),
        None => table(Bytes::copy_from_slice(&content[1..]), &request, give),
    }
}

fn damaged(error: ParquetError) -> Refusal {
    (Reason::Damaged, error.to_string().chars().take(200).collect())
}

fn table<R: ChunkReader + 'static>(
    file: R,
    request: &Request,
    give: &mut dyn FnMut(Vec<u8>) -> bool,
) -> Result<(), Refusal> {
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let column = column(&reader, request.column.as_deref())?;
    let present = reader.metadata().file_metadata().schema_descr().column(column).max_def_level();
    let (mut batch, mut row) = (Vec::new(), 0_u64);
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(damaged)?;
        let ColumnReader::ByteArrayColumnReader(mut texts) = group.get_column_reader(column).map_err(damaged)? else {
            return Err((Reason::Damaged, "the column is of another type than it says".to_owned()));
        };
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        loop {
            levels.clear();
            values.clear();
            let (records, _, _) =
                texts.read_records(BATCH_ROWS, Some(&mut levels), None, &mut values).map_err(damaged)?;
            if records == 0 {
                break;
            }
            let mut values = values.iter();
            for index in 0..records {
                row += 1;
                if present > 0 && levels.get(index).is_none_or(|level| *level < present) {
                    continue;
                }
                let Some(text) = values.next() else { break };
                let text = text.data();
                let long = text.len() as u64 > request.max;
                batch.extend_from_slice(&row.to_le_bytes());
                batch.extend_from_slice(&if long { TOO_LONG } else { text.len() as u32 }.to_le_bytes());
                batch.extend_from_slice(if long { &[] } else { text });
                if batch.len() >= BATCH_BYTES && !give(std::mem::take(&mut batch)) {
                    return Ok(());
                }
            }
        }
    }
    give(batch);
    Ok(())
}

/// The column of the text: the one that is wanted, or that has the name of a
/// text, or the largest.
fn column(reader: &dyn FileReader, wanted: Option<&str>) -> Result<usize, Refusal> {
    let metadata = reader.metadata();
    let columns = metadata.file_metadata().schema_descr().columns();
    let is_text = |column: &ColumnDescriptor| {
        let marked =
            column.logical_type_ref() == Some(&LogicalType::String) || column.converted_type() == ConvertedType::UTF8;
        let bare = column.logical_type_ref().is_none() && column.converted_type() == ConvertedType::NONE;
        column.physical_type() == PhysicalType::BYTE_ARRAY && column.max_rep_level() == 0 && (marked || bare)
    };
    let texts: Vec<usize> = (0..columns.len()).filter(|&index| is_text(&columns[index])).collect();
    let named = |key: &str| {
        let is = |name: &str| name.eq_ignore_ascii_case(key);
        texts.iter().copied().find(|&index| is(columns[index].name()) || is(&columns[index].path().string()))
    };
    let largest = || {
        let size = |index: usize| {
            let sizes = metadata.row_groups().iter().filter_map(|group| group.columns().get(index));
            sizes.map(|chunk| u128::from(chunk.uncompressed_size().unsigned_abs())).sum::<u128>()
        };
        texts.iter().copied().rev().max_by_key(|&index| size(index))
    };
    let found = match wanted {
        Some(wanted) => named(wanted),
        None => TEXT_KEYS.iter().find_map(|key| named(key)).or_else(largest),
    };
    found.ok_or_else(|| {
        let names: Vec<String> = columns.iter().take(100).map(|column| column.path().string()).collect();
        (Reason::NoColumn, format!("{:?}: {}", wanted.unwrap_or(""), names.join(", ")).chars().take(300).collect())
    })
}
