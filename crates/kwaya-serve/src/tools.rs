//! Functions that a client offers to a model: what a request says of them. The
//! calls that a model writes are read in `calls.rs`.
//!
//! Whoever asks for a call to be made gets one: the answer is then held to the
//! parameters of the functions. Where the model may choose, its answer is read
//! for calls, and what is none is an answer in words.

use kwaya_base::{Error, Result};
use kwaya_recipe::text_model::TextModel;
use kwaya_text::{
    chat::{Message, ToolStyle},
    constraint::Form,
};
use serde_json::{Map, Value, json};

use crate::{
    calls::{Known, LIST_MARK},
    fields::{Fields, wrong},
};

/// Functions that may be offered, and bytes of all their descriptions.
const TOOLS_MAX: usize = 128;
const BYTES_MAX: usize = 256 << 10;
/// Bytes of the name of a function, and of the name of a call.
const NAME_MAX: usize = 64;
/// Calls in one answer, and in one message of the past.
const CALLS_MAX: usize = 128;

/// The functions that an answer may call.
pub(crate) struct Tools {
    functions: Vec<Function>,
    /// As they were sent, for the template.
    list: String,
    style: ToolStyle,
    choice: Choice,
    /// Whether there may be several calls.
    parallel: bool,
}

struct Function {
    name: String,
    parameters: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Auto,
    Required,
    /// This function.
    Named(usize),
}

impl Tools {
    /// Reads what a request says of functions; `None` when none may be called.
    ///
    /// # Errors
    /// Naming what is wrong; `serve-tools` for a model that was not taught to
    /// call any.
    pub(crate) fn read(fields: &Fields<'_>, style: Option<ToolStyle>) -> Result<Option<Self>> {
        let parallel = fields.get("parallel_tool_calls").is_none() || fields.flag("parallel_tool_calls")?;
        let functions = match fields.get("tools") {
            None => Vec::new(),
            Some(list) => {
                let list = list.as_array().filter(|list| list.len() <= TOOLS_MAX);
                list.ok_or_else(|| wrong("tools", format!("a list of at most {TOOLS_MAX} functions")))?.iter().collect()
            }
        };
        if functions.is_empty() {
            return match fields.get("tool_choice") {
                None => Ok(None),
                Some(Value::String(choice)) if choice == "none" || choice == "auto" => Ok(None),
                Some(_) => Err(wrong("tool_choice", "none or auto where there are no tools")),
            };
        }
        let style = style.ok_or_else(|| Error::new("serve-tools").arg("param", "tools"))?;
        let list = Value::from_iter(functions.iter().map(|tool| (*tool).clone())).to_string();
        if list.len() > BYTES_MAX {
            return Err(wrong("tools", format!("at most {BYTES_MAX} bytes in all")));
        }
        let functions: Vec<Function> = functions.iter().enumerate().map(function).collect::<Result<_>>()?;
        let choice = match fields.get("tool_choice") {
            None => Choice::Auto,
            Some(choice) => match choice_of(choice, &functions)? {
                Some(choice) => choice,
                None => return Ok(None),
            },
        };
        Ok(Some(Self { functions, list, style, choice, parallel }))
    }

    /// The form of an answer that has to be a call.
    pub(crate) fn form(&self) -> Option<Form> {
        let chosen = match self.choice {
            Choice::Auto => return None,
            Choice::Required => 0..self.functions.len(),
            Choice::Named(at) => at..at + 1,
        };
        let key = if self.style == ToolStyle::Bare { "parameters" } else { "arguments" };
        let mut definitions = Map::new();
        let call = |at: usize| {
            let (function, place) = (&self.functions[at], format!("{at}"));
            let mut parameters = function.parameters.clone();
            rebase(&mut parameters, &place);
            definitions.insert(place.clone(), parameters);
            json!({
                "type": "object",
                "properties": { "name": { "const": function.name }, key: { "$ref": format!("#/$defs/{place}") } },
                "required": ["name", key],
                "additionalProperties": false,
            })
        };
        let several = self.parallel && !matches!(self.choice, Choice::Named(_));
        let calls: Vec<Value> = chosen.map(call).collect();
        let mut schema = if calls.len() == 1 { calls[0].clone() } else { json!({ "anyOf": calls }) };
        if self.style == ToolStyle::List {
            let most = if several { CALLS_MAX } else { 1 };
            schema = json!({ "type": "array", "items": schema, "minItems": 1, "maxItems": most });
        }
        schema["$defs"] = definitions.into();
        Some(Form::JsonSchema(schema.to_string()))
    }

    /// What an answer that has to be a call begins with, which is not asked of
    /// the model.
    fn begun(&self) -> &'static str {
        match (self.choice, self.style) {
            (Choice::Auto, _) | (_, ToolStyle::Bare) => "",
            (_, ToolStyle::Marked) => "<tool_call>\n",
            (_, ToolStyle::List) => LIST_MARK,
        }
    }
}

impl Known for Tools {
    fn has(&self, name: &str) -> bool {
        self.functions.iter().any(|function| function.name == name)
    }

    fn most(&self) -> usize {
        if self.parallel { CALLS_MAX } else { 1 }
    }
}

fn function((at, tool): (usize, &&Value)) -> Result<Function> {
    let fields = Fields::of(tool, &format!("tools[{at}]"))?;
    if fields.need("type")?.as_str() != Some("function") {
        return Err(wrong(fields.path("type"), "function"));
    }
    fields.need("function")?;
    let of = Fields::of(fields.need("function")?, &fields.path("function"))?;
    let name = of.need("name")?.as_str().filter(|name| is_name(name));
    let name = name.ok_or_else(|| wrong(of.path("name"), "1 to 64 letters, digits, - and _"))?;
    of.text("description")?;
    let mut parameters = of.get("parameters").cloned().unwrap_or_else(|| json!({}));
    let object =
        parameters.as_object_mut().ok_or_else(|| wrong(of.path("parameters"), "a JSON schema of an object"))?;
    if object.get("type").is_some_and(|kind| kind != "object") {
        return Err(wrong(of.path("parameters.type"), "object"));
    }
    // What a function does not name it does not take.
    object.entry("type").or_insert("object".into());
    object.entry("properties").or_insert(json!({}));
    object.entry("additionalProperties").or_insert(false.into());
    Ok(Function { name: name.to_owned(), parameters })
}

fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What is to be chosen; nothing for no call at all.
fn choice_of(choice: &Value, functions: &[Function]) -> Result<Option<Choice>> {
    match choice.as_str() {
        Some("none") => return Ok(None),
        Some("auto") => return Ok(Some(Choice::Auto)),
        Some("required") => return Ok(Some(Choice::Required)),
        _ if choice.is_object() => {}
        _ => return Err(wrong("tool_choice", "none, auto, required, or a function of tools")),
    }
    let fields = Fields::of(choice, "tool_choice")?;
    if fields.need("type")?.as_str() != Some("function") {
        return Err(wrong(fields.path("type"), "function"));
    }
    fields.need("function")?;
    let of = Fields::of(fields.need("function")?, &fields.path("function"))?;
    let name = of.need("name")?.as_str();
    let at = functions.iter().position(|function| Some(function.name.as_str()) == name);
    at.map(|at| Some(Choice::Named(at))).ok_or_else(|| wrong(of.path("name"), "the name of one of the tools"))
}

/// Lets the references in a schema lead to where it is put, `place` among the
/// definitions of another.
fn rebase(schema: &mut Value, place: &str) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|schema| rebase(schema, place)),
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(to) if name == "$ref" && to.starts_with('#') => {
                        *to = format!("#/$defs/{place}{}", &to[1..]);
                    }
                    value => rebase(value, place),
                }
            }
        }
        _ => {}
    }
}

/// What a message of a chat says of calls, as templates expect it: those that an
/// assistant asked for, and the one that a tool answers.
pub(crate) fn of_message(fields: &Fields<'_>, role: &str) -> Result<Map<String, Value>> {
    let mut more = Map::new();
    if role != "assistant" {
        fields.refuse(&["tool_calls"])?;
    } else if let Some(calls) = fields.get("tool_calls") {
        let calls = calls.as_array().filter(|calls| (1..=CALLS_MAX).contains(&calls.len()));
        let calls =
            calls.ok_or_else(|| wrong(fields.path("tool_calls"), format!("a list of 1 to {CALLS_MAX} calls")))?;
        let calls =
            calls.iter().enumerate().map(|(at, call)| past_call(fields, at, call)).collect::<Result<Vec<_>>>()?;
        more.insert("tool_calls".into(), calls.into());
    }
    if role == "tool" {
        more.insert("tool_call_id".into(), call_name(fields, "tool_call_id")?.into());
        if let Some(name) = fields.text("name")? {
            more.insert("name".into(), name.into());
        }
    }
    Ok(more)
}

fn call_name<'v>(fields: &Fields<'v>, name: &str) -> Result<&'v str> {
    let id = fields.need(name)?.as_str().filter(|id| (1..=NAME_MAX).contains(&id.len()));
    id.ok_or_else(|| wrong(fields.path(name), format!("a text of 1 to {NAME_MAX} bytes")))
}

/// A call of the past, with its arguments as an object, not as text.
fn past_call(message: &Fields<'_>, at: usize, call: &Value) -> Result<Value> {
    let fields = Fields::of(call, &message.path(&format!("tool_calls[{at}]")))?;
    fields.need("function")?;
    let function = Fields::of(fields.need("function")?, &fields.path("function"))?;
    let name = function.need("name")?.as_str().filter(|name| is_name(name));
    let name = name.ok_or_else(|| wrong(function.path("name"), "the name of a function"))?;
    let arguments = function.need("arguments")?.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let arguments = arguments.filter(Value::is_object);
    let arguments = arguments.ok_or_else(|| wrong(function.path("arguments"), "the text of a JSON object"))?;
    let id = call_name(&fields, "id")?;
    Ok(json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }))
}

/// The prompt of a chat, each message with what [`of_message`] says, and the text
/// that would begin the turn of somebody else.
pub(crate) fn prompt(
    model: &TextModel,
    messages: Vec<(Message, Map<String, Value>)>,
    tools: Option<&Tools>,
) -> Result<(Vec<u32>, Option<String>)> {
    let plain = messages.iter().all(|(message, more)| more.is_empty() && message.role != "tool");
    if plain && tools.is_none() {
        let messages: Vec<Message> = messages.into_iter().map(|(message, _)| message).collect();
        return model.chat_prompt(&messages);
    }
    let object = |(message, more): (Message, Map<String, Value>)| {
        let mut object =
            Map::from_iter([("role".into(), message.role.into()), ("content".into(), message.content.into())]);
        object.extend(more);
        Value::Object(object)
    };
    let untaught = || Error::new("serve-tools").arg("param", "messages");
    model.codec().tools().ok_or_else(untaught)?;
    let objects: Vec<Value> = messages.into_iter().map(object).collect();
    let (list, begun) = tools.map_or((None, ""), |tools| (Some(tools.list.as_str()), tools.begun()));
    let tokens = model.codec().encode_objects(&objects, list, begun)?.ok_or_else(untaught)?;
    Ok((tokens, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(more: Value, style: ToolStyle) -> Result<Option<Tools>> {
        let weather = json!({ "type": "function", "function": { "name": "weather", "parameters": {
            "$defs": { "Unit": { "enum": ["C", "F"] } },
            "type": "object", "properties": { "town": { "type": "string" }, "unit": { "$ref": "#/$defs/Unit" } },
        } } });
        let time = json!({ "type": "function", "function": { "name": "time" } });
        let mut body = json!({ "tools": [weather, time] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Tools::read(&Fields::of(&body, "").unwrap(), Some(style))
    }

    #[test]
    fn a_call_that_is_asked_for_has_the_form_of_its_function() {
        let form = |choice: Value, style| {
            let tools = tools(json!({ "tool_choice": choice }), style).unwrap().unwrap();
            let Some(Form::JsonSchema(schema)) = tools.form() else { panic!("no form") };
            serde_json::from_str::<Value>(&schema).unwrap()
        };
        let named = json!({ "type": "function", "function": { "name": "weather" } });
        let schema = form(named.clone(), ToolStyle::Marked);
        assert_eq!(schema["properties"]["name"]["const"], "weather");
        assert_eq!(schema["properties"]["arguments"]["$ref"], "#/$defs/0");
        assert_eq!(schema["$defs"]["0"]["properties"]["unit"]["$ref"], "#/$defs/0/$defs/Unit");
        assert_eq!(schema["$defs"]["0"]["additionalProperties"], false);
        assert_eq!(form("required".into(), ToolStyle::Bare)["anyOf"].as_array().unwrap().len(), 2);
        assert_eq!(form("required".into(), ToolStyle::List)["maxItems"], CALLS_MAX);
        assert_eq!(form(named, ToolStyle::List)["maxItems"], 1);
        assert!(tools(json!({ "tool_choice": "auto" }), ToolStyle::Bare).unwrap().unwrap().form().is_none());
        assert!(tools(json!({ "tool_choice": "none" }), ToolStyle::Bare).unwrap().is_none());
    }
}
