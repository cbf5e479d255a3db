//! How good what was found out is, beside what a person says that is right.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use kwaya_base::{Error, Result, error::At};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{journal::Answer, place::fold, schema::Schema};

/// A line of the file of a person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    document: String,
    #[serde(default)]
    record: String,
    fields: Value,
}

/// How good the values of a field are.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// Its name.
    pub field: String,
    /// The share of documents whose value is the very one, but for case, blanks
    /// and the form of characters.
    pub exact: f64,
    /// The mean over documents of the F1 of the words of the value.
    pub f1: f64,
}

/// How good all values are.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Documents that were compared.
    pub documents: u64,
    /// Documents that a person has filled in and that have no row.
    pub missing: u64,
    /// For each field.
    pub fields: Vec<Score>,
}

/// What is right, and what was compared with it so far.
pub(super) struct Check {
    labels: HashMap<(String, String), Value>,
    documents: u64,
    /// Of each column.
    sums: Vec<[f64; 2]>,
}

impl Check {
    /// Reads what is right.
    ///
    /// # Errors
    /// `extract-label` for a line that is none.
    pub(super) fn read(path: &Path, schema: &Schema) -> Result<Self> {
        let known: BTreeSet<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
        let mut labels = HashMap::new();
        for (number, line) in (1_u64..).zip(BufReader::new(File::open(path).at(path)?).split(b'\n')) {
            let line = line.at(path)?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let wrong = |cause: String| Error::new("extract-label").path(path).arg("line", number).arg("cause", cause);
            let label: Label = serde_json::from_slice(&line).map_err(|cause| wrong(cause.to_string()))?;
            let mut values = BTreeMap::new();
            flatten(&label.fields, "", &known, &mut values);
            if let Some(name) = values.keys().find(|name| !known.contains(name.as_str())) {
                return Err(wrong(format!("the schema has no field {name}")));
            }
            labels.insert((label.document, label.record), Value::from_iter(values));
        }
        if labels.is_empty() {
            return Err(Error::new("extract-label").path(path).arg("line", 1).arg("cause", "it is empty"));
        }
        Ok(Self { labels, documents: 0, sums: vec![[0.0; 2]; schema.columns.len()] })
    }

    /// Compares a row, where a person has filled it in.
    pub(super) fn add(&mut self, schema: &Schema, document: &str, record: &str, answer: &Answer) {
        let Some(right) = self.labels.remove(&(document.to_owned(), record.to_owned())) else { return };
        self.documents += 1;
        for ((column, found), sums) in schema.columns.iter().zip(&answer.values).zip(&mut self.sums) {
            let [right, found] = [&right[&column.name], found].map(text);
            sums[0] += f64::from(u8::from(right == found));
            sums[1] += f1(&right, &found);
        }
    }

    pub(super) fn finish(self, schema: &Schema) -> Checked {
        let share = |sum: f64| sum / self.documents.max(1) as f64;
        let score = |(column, sums): (&super::schema::Column, &[f64; 2])| Score {
            field: column.name.clone(),
            exact: share(sums[0]),
            f1: share(sums[1]),
        };
        let fields = schema.columns.iter().zip(&self.sums).map(score).collect();
        Checked { documents: self.documents, missing: self.labels.len() as u64, fields }
    }
}

/// The values of an object by the names of columns: `{"a": {"b": 1}}` as `a.b`.
fn flatten(value: &Value, name: &str, known: &BTreeSet<&str>, values: &mut BTreeMap<String, Value>) {
    match value.as_object().filter(|_| !known.contains(name)) {
        Some(object) => object.iter().for_each(|(part, value)| {
            let name = if name.is_empty() { part.clone() } else { format!("{name}.{part}") };
            flatten(value, &name, known, values);
        }),
        None => drop(values.insert(name.to_owned(), value.clone())),
    }
}

/// A value as it is compared; nothing and an empty text are the same.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => fold(text),
        // 5 and 5.0 are one number.
        Value::Number(number) if !number.is_i64() => number.as_f64().unwrap_or(f64::NAN).to_string(),
        value => fold(&value.to_string()),
    }
}

/// The F1 of words, each counted as often as it is there (as in SQuAD).
fn f1(right: &str, found: &str) -> f64 {
    let words = |text: &str| {
        let mut counts = BTreeMap::<String, i64>::new();
        text.split_whitespace().for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
        counts
    };
    let (right, found) = (words(right), words(found));
    let both: i64 = right.iter().map(|(word, count)| *count.min(found.get(word).unwrap_or(&0))).sum();
    match right.values().chain(found.values()).sum::<i64>() {
        0 => 1.0,
        all => 2.0 * both as f64 / all as f64,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let place = r#"{"properties": {"village": {"type": "string"}}}"#;
        Schema::parse(&format!(
            r#"{{"properties": {{"name": {{"type": "string"}}, "sum": {{"type": "number"}}, "place": {place}}}}}"#
        ))
        .unwrap()
    }

    fn read(text: &str) -> Result<Check> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Check::read(file.path(), &schema())
    }

    #[test]
    fn values_are_compared_with_what_is_right() {
        let labels = r#"{"document": "1", "fields": {"name": "Asha Said", "sum": 1500, "place": {"village": "Moshi"}}}

            {"document": "2", "record": "7", "fields": {"name": "", "place.village": "Kibo"}}
            {"document": "3", "fields": {}}"#;
        let mut check = read(labels).unwrap();
        let answer = |values: Value| Answer { values: values.as_array().unwrap().clone(), ..Answer::default() };
        let schema = schema();
        check.add(&schema, "1", "", &answer(json!(["ASHA  Juma", 1500.0, "moshi"])));
        check.add(&schema, "2", "7", &answer(json!([null, 3, "Kibo"])));
        check.add(&schema, "2", "", &answer(json!(["x", 3, "x"])));
        let checked = check.finish(&schema);
        assert_eq!((checked.documents, checked.missing), (2, 1));
        let scores: Vec<(f64, f64)> = checked.fields.iter().map(|score| (score.exact, score.f1)).collect();
        assert_eq!(scores, [(0.5, 0.75), (0.5, 0.5), (1.0, 1.0)]);
    }

    #[test]
    fn a_line_that_is_no_label_is_told() {
        for (text, words) in [
            ("", "empty"),
            ("{", "line 1"),
            (r#"{"document": "1"}"#, "fields"),
            ("{\"document\": \"1\", \"fields\": {}}\n{\"document\": \"1\", \"fields\": {\"nam\": 1}}", "nam"),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.to_string().to_lowercase().contains(words), "{error}");
        }
    }
}
