//! What a person wants to know of each document: a JSON schema of an object, as
//! columns of a table, as words for the model, and as the form of its answer.

use std::{fs, path::Path};

use kwaya_base::{Error, Result, error::At};
use kwaya_text::table::Kind;
use serde_json::{Map, Value, json};

/// Bytes of a schema, fields that it may have, and how deep they may lie.
const BYTES_MAX: usize = 1 << 20;
const COLUMNS_MAX: usize = 256;
const DEPTH_MAX: usize = 16;
/// How often one schema may lead to another by `$ref`.
const HOPS_MAX: usize = 16;

/// A field of the schema that has a column of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// Its name, with a dot between the names of objects in one another.
    pub(super) name: String,
    path: Vec<String>,
    pub(super) what: What,
    /// Whether its values are to stand in the document. Where there is a list to
    /// choose from, or yes and no, they need not.
    pub(super) placed: bool,
    /// What the model is told of it.
    words: String,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Text,
    Whole,
    Real,
    Flag,
    /// All else, as the text of JSON.
    Json,
}

impl What {
    /// The same for a table.
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Text | Self::Json => Kind::Text,
            Self::Whole => Kind::Number,
            Self::Real => Kind::Real,
            Self::Flag => Kind::Flag,
        }
    }
}

/// A schema, understood.
pub(super) struct Schema {
    pub(super) columns: Vec<Column>,
    /// The schema that the model is held to.
    pub(super) form: String,
}

impl Schema {
    /// Reads and understands a schema.
    ///
    /// # Errors
    /// `extract-schema`, with what is wrong.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::parse(&fs::read_to_string(path).at(path)?).map_err(|error| error.path(path))
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > BYTES_MAX {
            return Err(refused(format!("more than {BYTES_MAX} bytes")));
        }
        let mut root: Value = serde_json::from_str(text).map_err(refused)?;
        let mut columns = Vec::new();
        let top = resolve(&root, &root)?;
        if properties(top).is_none() {
            return Err(refused("\"type\": \"object\" with \"properties\" is needed at the top"));
        }
        collect(&root, top, &mut Vec::new(), &mut columns)?;
        if columns.is_empty() {
            return Err(refused("\"properties\" has no field"));
        }
        close(&mut root, 0)?;
        Ok(Self { columns, form: root.to_string() })
    }

    /// The fields in words, a line each.
    pub(super) fn words(&self) -> String {
        self.columns.iter().map(|column| format!("- {} {}\n", column.name, column.words)).collect()
    }
}

impl Column {
    /// Its value in an object of the schema; null where there is none.
    pub(super) fn of(&self, object: &Value) -> Value {
        let value = self.path.iter().try_fold(object, |object, name| object.get(name));
        value.cloned().unwrap_or(Value::Null)
    }
}

fn refused(cause: impl std::fmt::Display) -> Error {
    let cause: String = cause.to_string().chars().take(200).collect();
    Error::usage("extract-schema").arg("cause", cause)
}

/// The properties of an object, where the schema is one.
fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    let object = match schema.get("type") {
        None => true,
        Some(kind) => kinds(kind).any(|kind| kind == "object"),
    };
    schema.get("properties").filter(|_| object)?.as_object()
}

/// The names in `type`, which may be one or several.
fn kinds(kind: &Value) -> impl Iterator<Item = &str> {
    let one = kind.as_str().into_iter();
    one.chain(kind.as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// What a schema is once references are followed, and once the way of many
/// programs to say that a value may be missing, a choice between it and null, is
/// seen through.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> Result<&'s Value> {
    let mut schema = schema;
    for _ in 0..HOPS_MAX {
        if let Some(to) = schema.get("$ref") {
            let pointer = to.as_str().and_then(|to| to.strip_prefix('#'));
            let found = pointer.and_then(|pointer| root.pointer(pointer));
            schema = found.ok_or_else(|| refused(format!("\"$ref\": {to} leads to nothing in it")))?;
            continue;
        }
        let plain = schema.get("type").is_some() || schema.get("properties").is_some();
        let choice = ["anyOf", "oneOf", "allOf"].iter().find_map(|name| schema.get(name)?.as_array());
        let choice = choice.filter(|_| !plain);
        let mut others = choice.into_iter().flatten().filter(|schema| schema["type"] != "null");
        match (others.next(), others.next()) {
            (Some(only), None) => schema = only,
            _ => return Ok(schema),
        }
    }
    Err(refused("\"$ref\" leads in a circle"))
}

fn collect(root: &Value, object: &Value, path: &mut Vec<String>, columns: &mut Vec<Column>) -> Result<()> {
    if path.len() >= DEPTH_MAX {
        return Err(refused(format!("objects more than {DEPTH_MAX} deep in one another")));
    }
    for (name, field) in properties(object).into_iter().flatten() {
        path.push(name.clone());
        let schema = resolve(root, field)?;
        if !schema.is_object() {
            return Err(refused(format!("{} is no schema", path.join("."))));
        }
        if properties(schema).is_some_and(|properties| !properties.is_empty()) {
            collect(root, schema, path, columns)?;
        } else {
            columns.push(column(path, field, schema));
        }
        if columns.len() > COLUMNS_MAX {
            return Err(refused(format!("more than {COLUMNS_MAX} fields")));
        }
        path.pop();
    }
    Ok(())
}

fn column(path: &[String], field: &Value, schema: &Value) -> Column {
    let mut kinds = schema.get("type").into_iter().flat_map(kinds).filter(|kind| *kind != "null");
    let what = match (kinds.next(), kinds.next()) {
        (Some("string"), None) => What::Text,
        (Some("integer"), None) => What::Whole,
        (Some("number"), None) => What::Real,
        (Some("boolean"), None) => What::Flag,
        (None, _) if strings(schema).is_some() => What::Text,
        _ => What::Json,
    };
    let chosen = schema.get("enum").is_some() || schema.get("const").is_some();
    let word = match (strings(schema), what) {
        (Some(words), _) => format!("one of {}", words.join(", ")),
        (None, What::Text) => schema["format"].as_str().unwrap_or("text").to_owned(),
        (None, What::Whole) => "whole number".to_owned(),
        (None, What::Real) => "number".to_owned(),
        (None, What::Flag) => "true or false".to_owned(),
        (None, What::Json) if schema["type"] == "array" => "list".to_owned(),
        (None, What::Json) => "JSON".to_owned(),
    };
    let described = [field, schema].into_iter().find_map(|schema| schema["description"].as_str());
    let words = described.map_or(format!("({word})"), |described| format!("({word}): {described}"));
    let placed = what != What::Flag && !chosen;
    Column { name: path.join("."), path: path.to_owned(), what, placed, words: words.replace('\n', " ") }
}

/// The strings to choose from.
fn strings(schema: &Value) -> Option<Vec<&str>> {
    schema.get("enum")?.as_array()?.iter().filter(|choice| !choice.is_null()).map(Value::as_str).collect()
}

/// Says of each object what a person who writes a schema means: that it is one,
/// and that all its fields are wanted, unless it says which, and no others.
fn close(schema: &mut Value, depth: usize) -> Result<()> {
    if depth > 4 * DEPTH_MAX {
        return Err(refused("it lies too deep in itself"));
    }
    if let Some(names) = properties(schema).map(|properties| properties.keys().cloned().collect::<Vec<_>>())
        && let Some(object) = schema.as_object_mut()
    {
        object.entry("type").or_insert("object".into());
        object.entry("required").or_insert_with(|| json!(names));
        object.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    // What is chosen from is data, and may look like anything.
    let children: Vec<&mut Value> = match schema {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(object) => {
            let of_schema = |name: &str| !matches!(name, "enum" | "const" | "default" | "examples" | "required");
            object.iter_mut().filter(|(name, _)| of_schema(name)).map(|(_, value)| value).collect()
        }
        _ => Vec::new(),
    };
    children.into_iter().try_for_each(|child| close(child, depth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a person writes it, and as pydantic does.
    const LETTER: &str = r##"{
        "$defs": {"Place": {"type": "object", "properties": {"village": {"type": "string"}, "district": {"type": "string"}}}},
        "type": "object",
        "properties": {
            "sender": {"type": "string", "description": "who wrote\nit"},
            "date": {"type": "string", "format": "date"},
            "kind": {"enum": ["complaint", "request", null]},
            "amount": {"anyOf": [{"type": "number"}, {"type": "null"}], "description": "in shillings"},
            "people": {"type": ["integer", "null"]},
            "urgent": {"type": "boolean"},
            "place": {"$ref": "#/$defs/Place"},
            "names": {"type": "array", "items": {"type": "string"}}
        }
    }"##;

    #[test]
    fn fields_become_columns_in_their_order() {
        let schema = Schema::parse(LETTER).unwrap();
        let columns: Vec<(&str, What, bool)> =
            schema.columns.iter().map(|column| (column.name.as_str(), column.what, column.placed)).collect();
        assert_eq!(
            columns,
            [
                ("sender", What::Text, true),
                ("date", What::Text, true),
                ("kind", What::Text, false),
                ("amount", What::Real, true),
                ("people", What::Whole, true),
                ("urgent", What::Flag, false),
                ("place.village", What::Text, true),
                ("place.district", What::Text, true),
                ("names", What::Json, true),
            ]
        );
        let words = schema.words();
        for line in [
            "- sender (text): who wrote it\n",
            "- date (date)\n",
            "- kind (one of complaint, request)\n",
            "- amount (number): in shillings\n",
        ] {
            assert!(words.contains(line), "{words}");
        }
        let answer = json!({"sender": "Asha", "place": {"village": "Moshi"}});
        assert_eq!(schema.columns[6].of(&answer), "Moshi");
        assert_eq!(schema.columns[7].of(&answer), Value::Null);
    }

    #[test]
    fn all_fields_are_wanted_and_no_others_unless_the_schema_says_so() {
        let form: Value = serde_json::from_str(&Schema::parse(LETTER).unwrap().form).unwrap();
        assert_eq!(form["required"].as_array().unwrap().len(), 8);
        assert_eq!(form["$defs"]["Place"]["required"], json!(["village", "district"]));
        assert_eq!(form["$defs"]["Place"]["additionalProperties"], false);
        let said = r#"{"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]}"#;
        let form: Value = serde_json::from_str(&Schema::parse(said).unwrap().form).unwrap();
        assert_eq!((&form["required"], &form["type"]), (&json!(["b"]), &json!("object")));
    }

    #[test]
    fn what_is_no_schema_of_fields_is_refused() {
        let deep = |count: usize| {
            let open = r#"{"properties": {"a": "#.repeat(count);
            format!(r#"{open}{{"type": "string"}}{}"#, "}}".repeat(count))
        };
        for (text, words) in [
            ("", "EOF"),
            ("[]", "top"),
            (r#"{"type": "string"}"#, "top"),
            (r#"{"type": "array", "items": {"properties": {"a": {}}}}"#, "top"),
            (r#"{"type": "object", "properties": {}}"#, "no field"),
            (r#"{"properties": {"a": 5}}"#, "a is no schema"),
            (r##"{"properties": {"a": {"$ref": "#/$defs/b"}}}"##, "leads to nothing"),
            (r##"{"properties": {"a": {"$ref": "#/properties/a"}}}"##, "circle"),
            (r##"{"properties": {"a": {"$ref": "#"}}}"##, "deep"),
            (&deep(17), "deep"),
        ] {
            let error = Schema::parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
        assert!(Schema::parse(&deep(15)).is_ok());
    }
}
