//! Office documents. Those of Microsoft are taken apart by `undoc`; those of
//! OpenDocument are one XML file in an archive, which is walked here.
//!
//! Of both the text of the body is taken: paragraphs, the rows of tables with
//! ` | ` between cells, footnotes after the paragraph or section that they are
//! of, and what speakers noted beside slides. Left out are running heads,
//! comments, text that was deleted while changes were tracked, tables of
//! contents, and marks of lists and notes.

use std::io::{Cursor, Read};

use undoc::model::{Block, Document, Paragraph, RevisionType, Table};
use zip::ZipArchive;

use crate::{
    Reason,
    extract::{
        Refusal, damaged,
        xml::{Node, attribute, name, walk},
    },
};

/// What a part of an archive may unpack to.
const PART_BYTES_MAX: u64 = 256 << 20;
/// Tables within cells of tables, at most.
const TABLES_DEEP_MAX: usize = 8;
/// Blanks that one mark may stand for.
const BLANKS_MAX: usize = 100;
/// What stands between the cells of a row.
const CELL: &str = " | ";

/// The text of a document of Word, Excel or PowerPoint, old or new.
pub(crate) fn microsoft(bytes: &[u8]) -> Result<String, Refusal> {
    let document = undoc::parse_bytes(bytes).map_err(|error| match error {
        undoc::Error::Encrypted => (Reason::Encrypted, String::new()),
        other => damaged(other),
    })?;
    Ok(text(&document))
}

fn text(document: &Document) -> String {
    let mut out = String::new();
    for section in &document.sections {
        for block in &section.content {
            match block {
                Block::Paragraph(paragraph) => push_paragraph(&mut out, &words(paragraph)),
                Block::Table(table) => {
                    rows(&mut out, table, 0);
                    out.push('\n');
                }
                Block::Note { content, .. } => content.iter().for_each(|p| push_paragraph(&mut out, &words(p))),
                Block::PageBreak | Block::SectionBreak | Block::Image { .. } => {}
            }
        }
        section.notes.iter().flatten().for_each(|note| push_paragraph(&mut out, &words(note)));
    }
    out
}

fn push_paragraph(out: &mut String, text: &str) {
    if !text.trim().is_empty() {
        out.push_str(text);
        out.push_str("\n\n");
    }
}

fn words(paragraph: &Paragraph) -> String {
    let mut out = String::new();
    for run in paragraph.runs.iter().filter(|run| run.revision != RevisionType::Deleted) {
        out.push_str(&run.text);
        if run.line_break || run.page_break {
            out.push('\n');
        }
    }
    out
}

fn rows(out: &mut String, table: &Table, depth: usize) {
    for row in &table.rows {
        let cells = row.cells.iter().map(|cell| {
            let paragraphs: Vec<String> = cell.content.iter().map(words).collect();
            paragraphs.join(" ")
        });
        push_row(out, cells.collect());
        if depth < TABLES_DEEP_MAX {
            let nested = row.cells.iter().flat_map(|cell| &cell.nested_tables);
            nested.for_each(|table| rows(out, table, depth + 1));
        }
    }
}

fn push_row(out: &mut String, cells: Vec<String>) {
    let cells = cells.iter().map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "));
    let cells: Vec<String> = cells.filter(|cell| !cell.is_empty()).collect();
    if !cells.is_empty() {
        out.push_str(&cells.join(CELL));
        out.push('\n');
    }
}

/// The text of an OpenDocument archive.
pub(crate) fn open_document(bytes: &[u8]) -> Result<String, Refusal> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if part(&mut archive, "META-INF/manifest.xml").is_ok_and(|manifest| manifest.contains("encryption-data")) {
        return Err((Reason::Encrypted, String::new()));
    }
    flat_open_document(&part(&mut archive, "content.xml")?)
}

fn part(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    let mut file = archive.by_name(name).map_err(damaged)?.take(PART_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() as u64 > PART_BYTES_MAX {
        return Err((Reason::TooLarge, format!("{name} unpacks to more than {} MB", PART_BYTES_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(damaged)
}

/// Elements with text that is not the author's running text.
const HIDDEN: [&str; 18] = [
    "tracked-changes",
    "annotation",
    "note-citation",
    "title",
    "desc",
    "forms",
    "event-listeners",
    "number",
    "page-number",
    "page-count",
    "table-of-content",
    "alphabetical-index",
    "illustration-index",
    "table-index",
    "object-index",
    "user-index",
    "ruby-text",
    "shapes",
];

/// What is being read of an OpenDocument text.
#[derive(Default)]
struct Reading {
    out: String,
    /// Paragraphs that are open: one may stand in a frame in another.
    open: Vec<String>,
    /// The cells of each row that is open, the last one perhaps not whole.
    rows: Vec<Vec<String>>,
    /// Footnotes of the paragraph, and how deep in one this is.
    notes: Vec<String>,
    in_note: usize,
    /// How deep in what is hidden this is, and whether in the body.
    hidden: usize,
    in_body: bool,
}

/// The text of an OpenDocument text, sheet or slides as one XML file.
pub(crate) fn flat_open_document(xml: &str) -> Result<String, Refusal> {
    let mut reading = Reading::default();
    walk(xml, |node| match node {
        Node::Open(element) => {
            let name = name(element);
            match name {
                "body" => reading.in_body = true,
                "p" | "h" => reading.open.push(String::new()),
                "s" => {
                    let count = attribute(element, "c").and_then(|count| count.parse().ok()).unwrap_or(1);
                    reading.push(&" ".repeat(BLANKS_MAX.min(count)));
                }
                "tab" => reading.push("\t"),
                "line-break" => reading.push("\n"),
                "note" => reading.in_note += 1,
                "table-row" => reading.rows.push(Vec::new()),
                "table-cell" => reading.rows.last_mut().into_iter().for_each(|row| row.push(String::new())),
                _ => {}
            }
            reading.hidden += usize::from(HIDDEN.contains(&name));
        }
        Node::Close(name) => {
            reading.hidden = reading.hidden.saturating_sub(usize::from(HIDDEN.contains(&name)));
            match name {
                "body" => reading.in_body = false,
                "p" | "h" => reading.close_paragraph(),
                "note" => reading.in_note = reading.in_note.saturating_sub(1),
                "table-row" => reading.close_row(),
                "table" if reading.rows.is_empty() => reading.out.push('\n'),
                _ => {}
            }
        }
        // Blanks and line ends of the file are one blank of the text.
        Node::Text(text) if text.contains(['\n', '\r', '\t']) || text.contains("  ") => {
            let mut parts = text.split([' ', '\n', '\r', '\t']).enumerate().peekable();
            while let Some((at, part)) = parts.next() {
                if at == 0 || !part.is_empty() || parts.peek().is_none() {
                    reading.push(if at == 0 { "" } else { " " });
                    reading.push(part);
                }
            }
        }
        Node::Text(text) => reading.push(text),
    })?;
    Ok(reading.out)
}

impl Reading {
    fn push(&mut self, text: &str) {
        if let (true, 0, Some(paragraph)) = (self.in_body, self.hidden, self.open.last_mut()) {
            paragraph.push_str(text);
        }
    }

    fn close_paragraph(&mut self) {
        let Some(text) = self.open.pop() else { return };
        if self.in_note > 0 {
            self.notes.push(text);
            return;
        }
        match self.rows.last_mut().and_then(|row| row.last_mut()) {
            Some(cell) => {
                cell.push(' ');
                cell.push_str(&text);
            }
            None => push_paragraph(&mut self.out, &text),
        }
        if self.open.is_empty() && self.rows.is_empty() {
            std::mem::take(&mut self.notes).iter().for_each(|note| push_paragraph(&mut self.out, note));
        }
    }

    fn close_row(&mut self) {
        let Some(cells) = self.rows.pop() else { return };
        // A table in a cell: its rows are lines of their own.
        push_row(&mut self.out, cells);
        if self.rows.is_empty() {
            std::mem::take(&mut self.notes).iter().for_each(|note| push_paragraph(&mut self.out, note));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b">
        <office:automatic-styles><style:p>not text</style:p></office:automatic-styles><office:body><office:text>
        <text:tracked-changes><text:changed-region><text:deletion><text:p>deleted</text:p></text:deletion></text:changed-region></text:tracked-changes>
        <text:h>Mahindi &amp; maharage</text:h><text:p>Mvua<text:s text:c="3"/>nyingi<text:note><text:note-citation>1</text:note-citation>
        <text:note-body><text:p>Mwezi Machi.</text:p></text:note-body></text:note><office:annotation><text:p>a comment</text:p></office:annotation><text:line-break/>leo</text:p>
        <table:table><table:table-row><table:table-cell><text:p>Jina</text:p></table:table-cell><table:table-cell table:number-columns-repeated="16000"/>
        <table:table-cell><text:p>Umri</text:p><text:p>(miaka)</text:p></table:table-cell></table:table-row></table:table>
        <text:table-of-content><text:p>Mahindi 1</text:p></text:table-of-content><text:p>Mwisho</text:p></office:text></office:body></office:document-content>"#;

    #[test]
    fn open_document_gives_its_body() {
        let text = "Mahindi & maharage\n\nMvua   nyingi \nleo\n\nMwezi Machi.\n\nJina | Umri (miaka)\n\nMwisho\n\n";
        assert_eq!(flat_open_document(BODY).unwrap(), text);
        for end in 0..BODY.len() {
            assert!(flat_open_document(&BODY[..end]).is_err() || end < 40, "{end}");
        }
    }

    #[test]
    fn what_was_deleted_and_marks_of_notes_are_left_out() {
        let mut document = Document::new();
        let mut section = undoc::Section::new(0);
        let run = |text: &str, revision| undoc::TextRun { revision, ..undoc::TextRun::plain(text) };
        let mut paragraph = Paragraph::new();
        paragraph.runs = vec![
            run("Mvua ", RevisionType::None),
            run("ndogo", RevisionType::Deleted),
            run("kubwa", RevisionType::Inserted),
        ];
        paragraph.runs[2].note = Some("1".to_owned());
        section.content.push(Block::Paragraph(paragraph));
        section.content.push(Block::Note { label: "1".to_owned(), content: vec![Paragraph::with_text("Machi.")] });
        document.sections.push(section);
        assert_eq!(text(&document), "Mvua kubwa\n\nMachi.\n\n");
    }
}
