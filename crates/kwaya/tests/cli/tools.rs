//! Tools in chats, through a real socket. One model here writes a call because
//! the call is a token of its vocabulary; another writes nonsense, but where a
//! call has to be made it is one.

use kwaya_model::{
    Gguf,
    gguf::{Texts, Value as Meta},
};
use serde_json::{Value, json};

use crate::{
    common::Place,
    exchange::{FAMILIES, with_metadata},
    serve::{Answer, Server, expected},
};

/// As templates of the Hermes kind go: tools first, then turns.
const HERMES: &str = "{% if tools %}{% for tool in tools %}{{ tool.function.name }};{% endfor %}<tool_call>\n{% endif %}\
    {% for m in messages %}{{ m.role }}:{{ m.content }}{% if m.tool_calls %}{% for call in m.tool_calls %}\
    {{ call.function.name }}{{ call.function.arguments.town }}{% endfor %}{% endif %}\
    {% if m.role == 'tool' %}{{ m.tool_call_id }}{% endif %}\n{% endfor %}";

fn weather() -> Value {
    let parameters = json!({
        "type": "object", "required": ["town", "days"],
        "properties": { "town": { "type": "string", "maxLength": 5 }, "days": { "$ref": "#/$defs/Days" } },
        "$defs": { "Days": { "type": "integer", "minimum": 1, "maximum": 7 } },
    });
    json!({ "type": "function", "function": { "name": "weather", "description": "How it is.", "parameters": parameters } })
}

fn time() -> Value {
    json!({ "type": "function", "function": { "name": "time" } })
}

fn ask(server: &Server, model: &str, content: &str, more: Value) -> Answer {
    let mut body = json!({
        "model": model, "messages": [{ "role": "user", "content": content }], "max_tokens": 300, "temperature": 0,
        "tools": [weather(), time()],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = server.post("/v1/chat/completions", &body);
    assert!(answer.status == 200 || answer.status == 400, "{}", answer.body);
    answer
}

/// The model of the golden files, whose likeliest first token is `call` whatever is
/// said: its template has the prompt, of which some is for no user to write.
fn caller(place: &Place, call: &str) {
    let golden = Gguf::open(std::path::Path::new(&format!("{FAMILIES}/llama2.gguf"))).unwrap();
    let first = expected()["greedy"][0].as_u64().unwrap() as usize;
    let tokens = golden.texts("tokenizer.ggml.tokens").unwrap();
    let tokens: Vec<&str> = tokens.iter().enumerate().map(|(at, text)| if at == first { call } else { text }).collect();
    let prompt = expected()["tokens"].as_array().unwrap().iter().map(|token| token.as_u64().unwrap() as usize);
    let prompt: String =
        prompt.map(|token| if token == first { call.to_owned() } else { format!("t{token}") }).collect();
    let template = format!("{{% raw %}}{prompt}{{% endraw %}}{{% if tools %}}{{% endif %}}");
    let more = [
        ("tokenizer.ggml.tokens", Meta::Texts(Texts::from_iter(tokens))),
        ("tokenizer.chat_template", template.as_str().into()),
        ("llama.context_length", Meta::Unsigned(4096)),
    ];
    with_metadata(place, "llama2", &more);
}

/// The calls of an answer, as names and arguments, in the shape that clients
/// read.
#[track_caller]
fn calls(message: &Value) -> Vec<(String, Value)> {
    let call = |call: &Value| {
        assert_eq!(call["type"], "function", "{call}");
        assert!(call["id"].as_str().is_some_and(|id| id.len() == 9 && id.chars().all(char::is_alphanumeric)), "{call}");
        let arguments = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        (call["function"]["name"].as_str().unwrap().to_owned(), arguments)
    };
    message["tool_calls"].as_array().unwrap_or_else(|| panic!("no calls: {message}")).iter().map(call).collect()
}

/// The calls of a stream, put together as clients do, and in how many pieces their
/// arguments came.
#[track_caller]
fn streamed(events: &[Value]) -> (Vec<(String, String)>, usize) {
    let (mut calls, mut pieces) = (Vec::<(String, String)>::new(), 0);
    for event in events {
        for part in event["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = part["index"].as_u64().unwrap() as usize;
            let arguments = part["function"]["arguments"].as_str().unwrap();
            if part["function"]["name"].is_string() {
                assert_eq!((index, arguments, &part["type"]), (calls.len(), "", &json!("function")), "{part}");
                assert!(part["id"].as_str().is_some_and(|id| id.len() == 9), "{part}");
                calls.push((part["function"]["name"].as_str().unwrap().to_owned(), String::new()));
            } else {
                assert!(index + 1 == calls.len() && !arguments.is_empty() && part["id"].is_null(), "{part}");
                calls[index].1 += arguments;
                pieces += 1;
            }
        }
    }
    (calls, pieces)
}

#[test]
fn a_call_that_a_model_writes_is_recognised_whole_and_as_a_stream() {
    for call in [
        "{\"name\": \"time\", \"parameters\": {}}",
        "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>",
        "[TOOL_CALLS][{\"name\": \"time\", \"arguments\": {}}]",
    ] {
        let place = Place::new();
        caller(&place, call);
        let server = Server::start(&place, "llama2.gguf", &[]);
        let stop = format!("t{}", expected()["greedy"][1]);
        let ask = |more: Value| {
            let mut with = json!({ "stop": stop });
            with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            ask(&server, "llama2", "Moshi?", with)
        };
        let choice = ask(json!({})).json()["choices"][0].take();
        assert_eq!(choice["finish_reason"], "tool_calls", "{choice}");
        assert_eq!(choice["message"]["content"], Value::Null, "{choice}");
        assert_eq!(calls(&choice["message"]), [("time".to_owned(), json!({}))]);
        let events = ask(json!({ "stream": true })).events();
        let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
        assert!(deltas.iter().all(|delta| delta["content"].as_str().unwrap_or_default().is_empty()), "{deltas:?}");
        assert_eq!(streamed(&events).0, [("time".to_owned(), "{}".to_owned())]);
        assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
        // A function that nobody offered, and no functions at all: words.
        for more in [json!({ "tools": [weather()] }), json!({ "tool_choice": "none" }), json!({ "tools": [] })] {
            let choice = ask(more.clone()).json()["choices"][0].take();
            assert_eq!(
                (&choice["message"]["content"], &choice["finish_reason"]),
                (&json!(call), &json!("stop")),
                "{more}"
            );
            let mut more = more;
            more["stream"] = true.into();
            let events = ask(more).events();
            let said: String =
                events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
            assert_eq!(said, call);
        }
    }
}

#[test]
fn a_call_that_has_to_be_made_has_the_arguments_of_its_function() {
    let place = crate::extract::place();
    let config = "m/build/model/tokenizer_config.json";
    let mut of_tokenizer: Value = serde_json::from_str(&place.text(config)).unwrap();
    of_tokenizer["chat_template"] = HERMES.into();
    place.write(config, of_tokenizer.to_string());
    let server = Server::start(&place, "m", &[]);
    let weather_named = json!({ "type": "function", "function": { "name": "weather" } });
    for (choice, only) in [(json!("required"), None), (weather_named, Some("weather"))] {
        for seed in 0..4 {
            let mut more = json!({ "tool_choice": choice, "temperature": 1.5, "seed": seed });
            let choice = ask(&server, "m", "Moshi?", more.clone()).json()["choices"][0].take();
            assert_eq!(choice["finish_reason"], "tool_calls", "{choice}");
            more["stream"] = true.into();
            let (parts, pieces) = streamed(&ask(&server, "m", "Moshi?", more).events());
            let call = &choice["message"]["tool_calls"][0]["function"];
            assert_eq!(
                parts,
                [[&call["name"], &call["arguments"]].map(|text| text.as_str().unwrap().to_owned()).into()]
            );
            assert!(parts[0].0 == "time" || pieces > 3, "{pieces} pieces of {parts:?}");
            let calls = calls(&choice["message"]);
            let [(name, arguments)] = &calls[..] else { panic!("{choice}") };
            assert!(only.is_none_or(|only| only == name));
            if name == "weather" {
                assert!(arguments["town"].as_str().unwrap().chars().count() <= 5, "{arguments}");
                assert!((1..=7).contains(&arguments["days"].as_i64().unwrap()), "{arguments}");
            } else {
                assert_eq!((name.as_str(), arguments), ("time", &json!({})));
            }
        }
    }
    // What came of a call goes back in; the template sees the arguments as an
    // object, and what it makes of them counts as a prompt.
    let past = |town: &str| {
        let arguments = json!({ "town": town, "days": 2 }).to_string();
        let call =
            json!({ "id": "a1b2c3d4e", "type": "function", "function": { "name": "weather", "arguments": arguments } });
        let messages = json!([
            { "role": "user", "content": "Moshi?" },
            { "role": "assistant", "content": null, "tool_calls": [call] },
            { "role": "tool", "tool_call_id": "a1b2c3d4e", "content": "31 C" },
        ]);
        let answer = ask(&server, "m", "", json!({ "messages": messages, "max_tokens": 1 })).json();
        answer["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    assert!(past("Mo") < past("Moshi Moshi"));

    for (more, code, param) in [
        (json!({ "tools": "x" }), "invalid_value", "tools"),
        (json!({ "tools": vec![time(); 129] }), "invalid_value", "tools"),
        (json!({ "tools": [{ "type": "web" }] }), "invalid_value", "tools[0].type"),
        (json!({ "tools": [{ "type": "function" }] }), "missing_required_parameter", "tools[0].function"),
        (
            json!({ "tools": [{ "type": "function", "function": { "name": "a b" } }] }),
            "invalid_value",
            "tools[0].function.name",
        ),
        (
            json!({ "tools": [{ "type": "function", "function": { "name": "a", "parameters": [] } }] }),
            "invalid_value",
            "tools[0].function.parameters",
        ),
        (
            json!({ "tools": [{ "type": "function", "function": { "name": "a", "description": "x".repeat(300_000) } }] }),
            "invalid_value",
            "tools",
        ),
        (json!({ "tool_choice": "always" }), "invalid_value", "tool_choice"),
        (json!({ "tools": [], "tool_choice": "required" }), "invalid_value", "tool_choice"),
        (
            json!({ "tool_choice": { "type": "function", "function": { "name": "other" } } }),
            "invalid_value",
            "tool_choice.function.name",
        ),
        (json!({ "parallel_tool_calls": "x" }), "invalid_value", "parallel_tool_calls"),
        (json!({ "response_format": { "type": "json_object" } }), "invalid_value", "response_format"),
        (
            json!({ "messages": [{ "role": "tool", "content": "x" }] }),
            "missing_required_parameter",
            "messages[0].tool_call_id",
        ),
        (
            json!({ "messages": [{ "role": "tool", "tool_call_id": "x" }] }),
            "missing_required_parameter",
            "messages[0].content",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": "x", "tool_calls": [{}] }] }),
            "unsupported_parameter",
            "messages[0].tool_calls",
        ),
        (json!({ "messages": [{ "role": "assistant", "tool_calls": [] }] }), "invalid_value", "messages[0].tool_calls"),
        (
            json!({ "messages": [{ "role": "assistant", "tool_calls": [
                { "id": "x", "function": { "name": "time", "arguments": "[1]" } }] }] }),
            "invalid_value",
            "messages[0].tool_calls[0].function.arguments",
        ),
    ] {
        assert_eq!(ask(&server, "m", "Moshi?", more.clone()).refused(400, code), param, "{more}");
    }
    let broken = json!({ "type": "function", "function": { "name": "a", "parameters": { "properties": { "b": { "type": "x" } } } } });
    ask(&server, "m", "Moshi?", json!({ "tools": [broken], "tool_choice": "required" })).refused(400, "invalid_schema");
    assert_eq!(ask(&server, "m", "Moshi?", json!({ "max_tokens": 1 })).status, 200);
}

#[test]
fn a_model_that_was_not_taught_to_call_tools_says_so() {
    let place = Place::new();
    crate::serve::model(&place);
    let server = Server::start(&place, "llama2.gguf", &[]);
    let refusal = ask(&server, "llama2", "t5", json!({}));
    assert_eq!(refusal.refused(400, "unsupported_parameter"), "tools");
    assert!(refusal.body.contains("chat template"), "{}", refusal.body);
    let messages = json!([{ "role": "tool", "tool_call_id": "x", "content": "t5" }]);
    let refusal = ask(&server, "llama2", "", json!({ "messages": messages, "tools": null }));
    assert_eq!(refusal.refused(400, "unsupported_parameter"), "messages");
    assert_eq!(
        ask(&server, "llama2", "t5", json!({ "tools": [], "tool_choice": "auto", "max_tokens": 1 })).status,
        200
    );
}
