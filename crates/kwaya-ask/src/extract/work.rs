//! Documents on their way through the model: cut into parts, asked about, put
//! together again, and the values looked for.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    ops::Range,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    time::{Duration, Instant},
};

use kwaya_base::{Error, Progress, Result, messages, say};
use kwaya_recipe::text_model::TextModel;
use kwaya_text::{chat::Message, constraint::Form, units::sentence_at};
use serde_json::Value;

use super::{
    Outcome, Read, Settings, Unread,
    check::Check,
    journal::{Answer, Journal, Key, Place},
    parts::parts,
    place::Searched,
    rows::{self, Format, Layout},
    schema::{Column, Schema},
    writer::{Writer, Written},
};

/// What the model is told. What it is asked for alone stands before the document,
/// so that all prompts begin alike.
const PROMPT: &str = include_str!("prompt.txt");
/// The version of all that decides over an answer.
const VERSION: &[u8] = b"extract 1";
/// Tokens of a document that there has to be room for.
const ROOM_MIN: usize = 64;
/// Tokens by which a part may be longer in its place than by itself.
const SLACK: usize = 8;
/// Bytes of a passage at the most.
const PASSAGE_MAX: usize = 2000;
/// How long nothing comes before it is asked whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);

/// A row of the table that is to be.
struct Entry {
    name: String,
    record: String,
    key: Key,
}

/// A document that is being asked about.
struct Open {
    entry: usize,
    text: String,
    parts: Vec<Range<usize>>,
    /// For each part, what was written and whether it was cut.
    answers: Vec<Option<(Value, bool)>>,
    position: u64,
}

/// A part that waits: the document, its number, and the prompt.
type Waiting = ((usize, usize), Vec<u32>);

pub(super) struct Work<'m> {
    model: &'m TextModel,
    writer: Writer<'m, (usize, usize)>,
    schema: Schema,
    /// What comes before a document in the prompt, and after it.
    around: [String; 2],
    /// Of all that decides over an answer but the document.
    setting: blake3::Hasher,
    tokens_max: usize,
    at_once: usize,
    /// Tokens of a document that there is room for.
    room: usize,
    journal: Journal,
    progress: &'m dyn Progress,
    entries: Vec<Entry>,
    seen: HashSet<Key>,
    open: BTreeMap<usize, Open>,
    waiting: VecDeque<Waiting>,
    unread: Vec<Unread>,
    known: u64,
    asked: u64,
    reached: u64,
    begun: Instant,
}

impl<'m> Work<'m> {
    /// # Errors
    /// What keeps the model from it; `extract-no-room` when the fields alone are
    /// as long as what it reads.
    pub(super) fn new(
        model: &'m TextModel,
        model_hash: &blake3::Hash,
        schema: Schema,
        settings: &Settings,
        journal: Journal,
        progress: &'m dyn Progress,
    ) -> Result<Self> {
        let writer = Writer::new(model, Form::JsonSchema(schema.form.clone()))?;
        let told = settings.instructions.as_ref().map_or(String::new(), |told| format!("\n{told}\n"));
        let prompt = PROMPT.replace("{fields}", &(schema.words() + &told));
        let (before, after) = prompt.split_once("{document}").expect("the prompt has a document");
        let around = [before.to_owned(), after.trim_end().to_owned()];
        let mut setting = blake3::Hasher::new();
        let tokens = settings.tokens_max.to_le_bytes();
        for part in [VERSION, model_hash.as_bytes(), schema.form.as_bytes(), prompt.as_bytes(), &tokens] {
            setting.update(&(part.len() as u64).to_le_bytes());
            setting.update(part);
        }
        let mut work = Self {
            model,
            writer,
            schema,
            around,
            setting,
            tokens_max: settings.tokens_max,
            at_once: settings.at_once,
            room: 0,
            journal,
            progress,
            entries: Vec::new(),
            seen: HashSet::new(),
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            unread: Vec::new(),
            known: 0,
            asked: 0,
            reached: 0,
            begun: Instant::now(),
        };
        work.make_room()?;
        Ok(work)
    }

    fn prompt(&self, text: &str) -> Result<Vec<u32>> {
        let [before, after] = &self.around;
        Ok(self.model.chat_prompt(&[Message::new("user", &format!("{before}{}{after}", text.trim()))])?.0)
    }

    /// Finds out how much of a document can be asked about at once, and reads
    /// what all prompts begin with.
    fn make_room(&mut self) -> Result<()> {
        let [one, other] = [self.prompt("1")?, self.prompt("A")?];
        let context = self.writer.context();
        let taken = one.len().max(other.len()) + self.tokens_max + SLACK;
        self.room = context.saturating_sub(taken);
        if self.room < ROOM_MIN {
            let error = Error::new("extract-no-room").arg("context", context).arg("taken", taken);
            return Err(error.arg("needed", ROOM_MIN));
        }
        let alike = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        self.writer.read_beginning(&one[..alike])
    }

    /// Asks about what `documents` brings until there is no more; true when
    /// somebody wanted it to stop.
    pub(super) fn ask(&mut self, documents: Receiver<Read>) -> Result<bool> {
        self.begun = Instant::now();
        let mut over = false;
        let stopped = loop {
            if self.progress.stopped() {
                break true;
            }
            while self.writer.count() < self.at_once {
                if self.begin_waiting()? {
                    continue;
                }
                if over || !self.waiting.is_empty() {
                    break;
                }
                match self.next(&documents) {
                    Ok(Some(read)) => self.take(read)?,
                    Ok(None) => break,
                    Err(()) => over = true,
                }
            }
            if over && self.writer.count() == 0 && self.waiting.is_empty() {
                break false;
            }
            for written in self.writer.step()? {
                self.finish(written)?;
            }
        };
        self.journal.sync()?;
        Ok(stopped)
    }

    /// Begins the part that waits longest, where there is one and room for it.
    fn begin_waiting(&mut self) -> Result<bool> {
        let length_max = |prompt: &[u32]| (prompt.len() + self.tokens_max).min(self.writer.context());
        let Some(length_max) = self.waiting.front().map(|(_, prompt)| length_max(prompt)) else { return Ok(false) };
        if !self.writer.has_room(length_max) {
            return Ok(false);
        }
        let Some((tag, prompt)) = self.waiting.pop_front() else { return Ok(false) };
        self.writer.begin(tag, prompt, length_max)?;
        Ok(true)
    }

    /// The next document, for which nobody waits who has work; an error when there
    /// are no more.
    fn next(&self, documents: &Receiver<Read>) -> Result<Option<Read>, ()> {
        if self.writer.count() > 0 {
            return match documents.try_recv() {
                Ok(read) => Ok(Some(read)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => Err(()),
            };
        }
        match documents.recv_timeout(PATIENCE) {
            Ok(read) => Ok(Some(read)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        }
    }

    /// Takes in a document.
    fn take(&mut self, read: Read) -> Result<()> {
        let (name, record, text, position) = match read {
            Read::Text { name, record, text, position } => (name, record, text, position),
            Read::Unread(unread) => {
                let reason = messages::format(&unread.reason.message(), &[]);
                let record = if unread.record.is_empty() { String::new() } else { format!(" {}", unread.record) };
                self.progress.warn(&say!(
                    "extract-unread",
                    document = unread.document,
                    record = record,
                    reason = reason
                ));
                self.unread.push(unread);
                return Ok(());
            }
        };
        let key = *self.setting.clone().update(text.as_bytes()).finalize().as_bytes();
        let entry = self.entries.len();
        self.entries.push(Entry { name, record, key });
        // The same text again has the same answer.
        if !self.seen.insert(key) {
            return Ok(());
        }
        if self.journal.knows(&key) {
            self.known += 1;
            self.at(position);
            return Ok(());
        }
        let codec = self.model.codec();
        let parts = parts(&text, self.room, &|text| Ok(codec.encode_rest(text)?.len()))?;
        for (number, part) in parts.iter().enumerate() {
            let prompt = self.prompt(&text[part.clone()])?;
            // What does not fit after all cannot be asked about.
            if prompt.len() < self.writer.context() {
                self.waiting.push_back(((entry, number), prompt));
            }
        }
        let mut answers = vec![Some((Value::Null, true)); parts.len()];
        self.waiting.iter().filter(|((of, _), _)| *of == entry).for_each(|((_, number), _)| answers[*number] = None);
        let open = Open { entry, text, parts, answers, position };
        self.open.insert(entry, open);
        self.put_together(entry)
    }

    fn finish(&mut self, written: Written<(usize, usize)>) -> Result<()> {
        let (entry, number) = written.tag;
        let Some(open) = self.open.get_mut(&entry) else { return Ok(()) };
        let text = if written.cut { whole_members(&written.text) } else { written.text };
        let value = serde_json::from_str(&text).unwrap_or(Value::Null);
        open.answers[number] = Some((value, written.cut));
        self.put_together(entry)
    }

    /// Makes a row of a document once all its parts have been asked about.
    fn put_together(&mut self, entry: usize) -> Result<()> {
        if !self.open.get(&entry).is_some_and(|open| open.answers.iter().all(Option::is_some)) {
            return Ok(());
        }
        let Some(open) = self.open.remove(&entry) else { return Ok(()) };
        self.journal.add(&self.entries[open.entry].key, &open.answer(&self.schema))?;
        self.asked += 1;
        self.at(open.position);
        let speed = self.asked as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        self.progress.figures(&say!("extract-figures", documents = self.asked, speed = format!("{speed:.2}")));
        Ok(())
    }

    fn at(&mut self, position: u64) {
        self.reached = self.reached.max(position);
        self.progress.at(self.reached);
    }

    /// Writes what there is as a table, unless there is nothing.
    ///
    /// # Errors
    /// What the disk brings.
    pub(super) fn write(
        mut self,
        path: &Path,
        format: Format,
        layout: &Layout,
        mut check: Option<Check>,
        only_found: bool,
    ) -> Result<Outcome> {
        let mut outcome = Outcome {
            rows: 0,
            known: self.known,
            unread: self.unread,
            found: 0,
            not_found: 0,
            cut: 0,
            seconds: 0.0,
            documents_per_second: 0.0,
            check: None,
        };
        let (schema, journal) = (&self.schema, &mut self.journal);
        let row = |entry: &Entry| {
            let answer = match journal.get(&entry.key) {
                Ok(answer) => answer?,
                Err(error) => return Some(Err(error)),
            };
            outcome.rows += 1;
            outcome.cut += u64::from(answer.cut);
            for place in answer.places.iter().flatten() {
                *(if place.is_some() { &mut outcome.found } else { &mut outcome.not_found }) += 1;
            }
            check.iter_mut().for_each(|check| check.add(schema, &entry.name, &entry.record, &answer));
            Some(Ok(rows::cells(schema, &entry.name, &entry.record, &answer, only_found)))
        };
        let mut rows = self.entries.iter().filter_map(row).peekable();
        if rows.peek().is_some() {
            rows::write(path, format, layout, rows)?;
        }
        outcome.check = check.map(|check| check.finish(schema));
        Ok(outcome)
    }
}

impl Open {
    /// The values of all parts as those of one document: of each field that of
    /// the first part in which it stands, else the first there is.
    fn answer(&self, schema: &Schema) -> Answer {
        let searched: Vec<Searched<'_>> =
            self.parts.iter().map(|part| Searched::new(&self.text[part.clone()])).collect();
        let mut answer = Answer::default();
        for column in &schema.columns {
            let mut best: Option<(Value, Vec<Option<Place>>)> = None;
            for ((part, searched), (object, _)) in self.parts.iter().zip(&searched).zip(self.answers.iter().flatten()) {
                let value = column.of(object);
                if value.is_null() {
                    continue;
                }
                let places = self.places(column, &value, part.start, searched);
                let stands = !column.placed || places.iter().any(Option::is_some);
                if stands || best.is_none() {
                    best = Some((value, places));
                }
                if stands {
                    break;
                }
            }
            let (value, places) = best.unwrap_or_default();
            answer.values.push(value);
            answer.places.push(places);
        }
        answer.cut = self.answers.iter().flatten().any(|(_, cut)| *cut);
        answer
    }

    fn places(&self, column: &Column, value: &Value, from: usize, searched: &Searched<'_>) -> Vec<Option<Place>> {
        let mut values = Vec::new();
        if column.placed {
            leaves(value, &mut values);
        }
        let place = |place: Range<usize>| {
            let place = from + place.start..from + place.end;
            let mut around = sentence_at(&self.text, &place);
            if around.len() > PASSAGE_MAX.max(place.len()) {
                let before = place.start.saturating_sub(PASSAGE_MAX / 2).max(around.start);
                let after = (place.end + PASSAGE_MAX / 2).min(around.end);
                around = self.text.ceil_char_boundary(before)..self.text.floor_char_boundary(after);
            }
            Place { start: place.start as u64, end: place.end as u64, passage: self.text[around].to_owned() }
        };
        values.into_iter().map(|value| searched.find(value).map(place)).collect()
    }
}

/// The strings and numbers of a value, in their order.
fn leaves<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::String(_) | Value::Number(_) => found.push(value),
        Value::Array(list) => list.iter().for_each(|value| leaves(value, found)),
        Value::Object(object) => object.values().for_each(|value| leaves(value, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// An object that was cut, with the members that are whole.
fn whole_members(text: &str) -> String {
    let (mut depth, mut quoted, mut escaped, mut end) = (0, false, false, None);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 1 => end = Some(at),
            _ => {}
        }
    }
    end.map_or_else(|| "{}".to_owned(), |end| format!("{}}}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_whole_of_an_answer_that_was_cut_is_kept() {
        for (text, whole) in [
            ("", "{}"),
            (r#"{"a": "b"#, "{}"),
            (r#"{"a": "b, \"c", "d": [1, 2"#, r#"{"a": "b, \"c"}"#),
            (r#"{"a": {"b": 1, "c": 2}, "d": "x, y"#, r#"{"a": {"b": 1, "c": 2}}"#),
            (r#"{"a": 1, "b": "\\", "c": "#, r#"{"a": 1, "b": "\\"}"#),
        ] {
            assert_eq!(whole_members(text), whole);
        }
    }

    #[test]
    fn of_several_parts_the_first_gives_a_field_in_which_it_stands() {
        let fields = ["name", "village", "sum", "kind"].map(|name| format!(r#""{name}": {{"type": "string"}}"#));
        let schema = Schema::parse(&format!(
            r#"{{"properties": {{{}, "urgent": {{"type": "boolean"}}, "names": {{"type": "array"}}}}}}"#,
            fields.join(", ")
        ))
        .unwrap();
        let text = "Mimi ni Asha.\n\nNinatoka Moshi. Asha tena.";
        let first = json!({"name": "Juma", "village": "Moshi", "sum": null, "urgent": false, "names": ["Zed"]});
        let second = json!({"name": "Asha", "village": "Moshi", "sum": "5", "urgent": true, "names": ["Zed", "Asha"]});
        let open = Open {
            entry: 0,
            text: text.to_owned(),
            parts: vec![0..15, 15..text.len()],
            answers: vec![Some((first, false)), Some((second, true))],
            position: 0,
        };
        let answer = open.answer(&schema);
        assert_eq!(json!(answer.values), json!(["Asha", "Moshi", "5", null, false, ["Zed", "Asha"]]));
        let at = |at: usize, length: usize, passage: &str| {
            Some(Place { start: at as u64, end: (at + length) as u64, passage: passage.to_owned() })
        };
        let asha = at(text.rfind("Asha").unwrap(), 4, "Asha tena.");
        let moshi = at(text.find("Moshi").unwrap(), 5, "Ninatoka Moshi.");
        assert_eq!(
            answer.places,
            [vec![asha.clone()], vec![moshi], vec![None], Vec::new(), Vec::new(), vec![None, asha]]
        );
        assert!(answer.cut);
        let mut open = open;
        open.text = format!("x{}Asha{}", "y ".repeat(3000), " z".repeat(3000));
        open.parts = std::iter::once(0..open.text.len()).collect();
        open.answers.remove(0);
        let place = open.answer(&schema).places[0][0].clone().unwrap();
        assert!(place.passage.len() <= PASSAGE_MAX + 10 && place.passage.contains("Asha"), "{}", place.passage.len());
    }
}
