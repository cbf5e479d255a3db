//! The server, through a real socket: answers, refusals, clients that go
//! away, and how it starts and stops.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use kwaya_model::gguf::Value as Meta;
use serde_json::{Value, json};

use crate::{
    common::{Place, fails},
    exchange::{FAMILIES, spelled, with_metadata},
};

/// Longer than any test takes, on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The model reads so many tokens: an answer can be made to last.
const CONTEXT: usize = 1 << 18;

/// A server, ended with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

/// What was answered; its head in small letters.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|cause| panic!("{cause}: {}\n{}", self.head, self.body))
    }

    /// The objects of a stream, which ends as one does.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        assert!(self.head.contains("text/event-stream"), "{}", self.head);
        let mut lines: Vec<&str> = self.body.split("\n\n").filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.pop(), Some("data: [DONE]"), "{}", self.body);
        lines.into_iter().map(|line| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap()).collect()
    }

    /// It must be a refusal in the shape of OpenAI.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().is_some_and(|words| words.len() > 20), "{error}");
        assert!(error["type"].is_string(), "{error}");
        error["param"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    pub(crate) fn start(place: &Place, model: &str, flags: &[&str]) -> Self {
        let arguments = ["serve", model, "--listen", "127.0.0.1:0", "--threads", "2"];
        let mut child = place.command(arguments.iter().chain(flags)).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        // What is told before it listens (an index being made, say) is no
        // less in order, and may come or not.
        let said = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it listened");
            let said: Value = serde_json::from_str(&line).unwrap_or_else(|cause| panic!("{cause}: {line}"));
            if said["event"] == "listening" {
                break said;
            }
            assert_eq!(said["level"], "info", "{line}");
        };
        let port = said["address"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        // Every line of the log is JSON; and somebody has to read it.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
            }
        });
        Self { child, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request as it stands here. HTTP/1.0, so that the answer ends
    /// with the connection.
    pub(crate) fn raw(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        // A refusal may come before all is sent.
        let _ = stream.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        let _ = stream.write_all(body);
        read(stream)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.raw(&format!("GET {path} HTTP/1.0"), b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.raw(&format!("POST {path} HTTP/1.0\r\nContent-Type: application/json"), body.to_string().as_bytes())
    }

    /// Sends a request whose answer is long, and reads none of it.
    fn long(&self, tokens: usize) -> TcpStream {
        let body = json!({
            "model": "llama2", "prompt": "t41t8", "max_tokens": tokens, "stream": true, "temperature": 0,
            "logit_bias": { "2": -100 },
        });
        let mut stream = self.connect();
        let (head, body) = ("POST /v1/completions HTTP/1.0\r\nContent-Type: application/json", body.to_string());
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream
    }

    fn figure(&self, name: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[track_caller]
    fn wait_for(&self, name: &str, value: u64) {
        let begun = Instant::now();
        while self.figure(name) != value {
            assert!(begun.elapsed() < PATIENCE, "{name} is {}", self.figure(name));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
    }

    fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

pub(crate) fn model(place: &Place) {
    with_metadata(place, "llama2", &[("llama.context_length", Meta::Unsigned(CONTEXT as u64))]);
}

pub(crate) fn expected() -> &'static Value {
    static EXPECTED: OnceLock<Value> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let text = fs::read_to_string(Path::new(FAMILIES).join("expected.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["models"]["llama2"].take()
    })
}

#[test]
fn answers_are_those_of_transformers_however_they_are_asked_for() {
    let place = Place::new();
    model(&place);
    let server = Server::start(&place, "llama2.gguf", &[]);
    let (prompt, greedy) = (spelled(&expected()["tokens"]), spelled(&expected()["greedy"]));
    let asked = |more: Value| {
        let mut body = json!({ "model": "llama2", "prompt": prompt, "max_tokens": 16, "temperature": 0 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post("/v1/completions", &body)
    };
    let whole = asked(json!({})).json();
    assert_eq!(whole["choices"][0]["text"], greedy.as_str());
    assert_eq!(whole["choices"][0]["finish_reason"], "length");
    assert_eq!(whole["object"], "text_completion");
    assert_eq!((&whole["usage"]["prompt_tokens"], &whole["usage"]["completion_tokens"]), (&json!(24), &json!(16)));
    let by_tokens = asked(json!({ "prompt": expected()["tokens"] })).json();
    assert_eq!(by_tokens["choices"][0]["text"], greedy.as_str());

    // Piece by piece, and in the middle of others.
    let chat = json!({
        "model": "llama2", "messages": [{ "role": "user", "content": [{ "type": "text", "text": prompt }] }],
        "max_completion_tokens": 16, "temperature": 0, "stream": true, "stream_options": { "include_usage": true },
    });
    std::thread::scope(|scope| {
        let asked = &asked;
        let wild = |seed: usize| asked(json!({ "temperature": 1.5, "seed": seed, "max_tokens": 200 })).json();
        let others: Vec<_> = (0..7).map(|seed| scope.spawn(move || wild(seed))).collect();
        let events = server.post("/v1/chat/completions", &chat).events();
        let pieces = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
        assert_eq!(pieces.collect::<String>(), greedy);
        assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 16);
        assert!(
            events.iter().all(|event| event["object"] == "chat.completion.chunk" && event["id"] == events[0]["id"])
        );
        // With the same seed, alone or among others, the same.
        for (seed, other) in others.into_iter().enumerate() {
            assert_eq!(other.join().unwrap()["choices"], wild(seed)["choices"]);
        }
    });

    // Likelihoods, stops, several answers.
    let likely = asked(json!({ "logprobs": 2, "max_tokens": 3 })).json();
    let likely = &likely["choices"][0]["logprobs"];
    assert_eq!(likely["tokens"], json!(["t27", "t66", "t27"]));
    assert!(likely["token_logprobs"][0].as_f64().unwrap() < 0.0 && likely["top_logprobs"][0]["t27"].is_number());
    assert_eq!(likely["text_offset"], json!([0, 3, 6]));
    let stopped = asked(json!({ "stop": ["7t30", "t99"] })).json();
    assert_eq!(stopped["choices"][0]["text"], "t27t66t2");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let several = asked(json!({ "prompt": [prompt, "t5"], "n": 2 })).json();
    let several = several["choices"].as_array().unwrap();
    assert_eq!(several.len(), 4);
    assert_eq!(several[1]["text"], greedy.as_str());
    assert_eq!(several[3]["index"], 3);

    let models = server.get("/v1/models").json();
    assert_eq!(models["data"][0]["id"], "llama2");
    assert_eq!(server.get("/v1/models/llama2").json(), models["data"][0]);
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").json()["status"], "ready");
    let head = server.get("/v1/models").head;
    for guard in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "no-store"] {
        assert!(head.contains(guard), "{head}");
    }
    // What was read once is known, in whole pages of 32.
    let long = vec![5; 100];
    let cached = |answer: &Value| answer["usage"]["prompt_tokens_details"]["cached_tokens"].clone();
    let [first, again] = [(); 2].map(|()| asked(json!({ "prompt": long })).json());
    assert_eq!((cached(&first), cached(&again)), (json!(0), json!(96)));
    assert_eq!(first["choices"], again["choices"]);
    assert_eq!(server.figure("kwaya_tokens_known_total"), 96);
    let embedded = json!({ "model": "llama2", "input": ["t5t6", "t7", [5, 6]] });
    let embedded = server.post("/v1/embeddings", &embedded).json();
    let vectors: Vec<Vec<f64>> =
        (0..3).map(|i| serde_json::from_value(embedded["data"][i]["embedding"].clone()).unwrap()).collect();
    assert!((vectors[0].iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    assert!(vectors[0] == vectors[2] && vectors[0] != vectors[1]);
}

#[test]
fn what_cannot_be_answered_is_refused_and_nothing_else_disturbed() {
    let place = Place::new();
    model(&place);
    let server = Server::start(&place, "llama2.gguf", &["--body", "20000", "--body-time", "1s"]);
    let chat = |change: Value| {
        let mut body = json!({ "model": "llama2", "messages": [{ "role": "user", "content": "t5" }], "max_tokens": 3 });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        server.post("/v1/chat/completions", &body)
    };
    assert_eq!(chat(json!({})).status, 200);
    for (change, code, param) in [
        (json!({ "model": null }), "missing_required_parameter", "model"),
        (json!({ "messages": [] }), "invalid_value", "messages"),
        (json!({ "messages": [{ "role": "judge", "content": "t5" }] }), "invalid_value", "messages[0].role"),
        (json!({ "messages": [{ "role": "user" }] }), "missing_required_parameter", "messages[0].content"),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
            "invalid_value",
            "messages[0].content.type",
        ),
        (json!({ "temperature": 2.5 }), "invalid_value", "temperature"),
        (json!({ "temperature": "hot" }), "invalid_value", "temperature"),
        (json!({ "top_p": -0.1 }), "invalid_value", "top_p"),
        (json!({ "max_tokens": 0 }), "invalid_value", "max_tokens"),
        (json!({ "n": 17 }), "invalid_value", "n"),
        (json!({ "stop": [""] }), "invalid_value", "stop"),
        (json!({ "seed": 1.5 }), "invalid_value", "seed"),
        (json!({ "stream": "yes" }), "invalid_value", "stream"),
        (json!({ "logit_bias": { "x": 1 } }), "invalid_value", "logit_bias"),
        (json!({ "top_logprobs": 3 }), "invalid_value", "logprobs"),
        (json!({ "tools": [{ "type": "function" }] }), "unsupported_parameter", "tools"),
        (json!({ "response_format": { "type": "xml" } }), "invalid_value", "response_format.type"),
        (json!({ "max_tokens": CONTEXT }), "context_length_exceeded", "max_tokens"),
    ] {
        assert_eq!(chat(change.clone()).refused(400, code), param, "{change}");
    }
    assert_eq!(chat(json!({ "model": "gpt-4o" })).refused(404, "model_not_found"), "model");
    server.get("/v1/models/other").refused(404, "model_not_found");
    let wrong = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "nonsense" } } });
    chat(json!({ "response_format": wrong })).refused(400, "invalid_schema");

    let post = "POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json";
    for body in [&b"{\"model\""[..], b"", b"[]x", &[b'['; 5000], b"{\"model\": \"\xff\xfe\"}"] {
        server.raw(post, body).refused(400, "invalid_json");
    }
    server.raw(post, b"[]").refused(400, "invalid_value");
    server.raw("POST /v1/completions HTTP/1.0", b"{}").refused(415, "unsupported_media_type");
    server.raw(post, &vec![b' '; 20_001]).refused(413, "request_too_large");
    // Two lengths at once, by which one request can be hidden in another.
    assert_eq!(server.raw(&format!("{post}\r\nContent-Length: 5"), b"{}").status, 400);
    server.get("/v1/chat/completions").refused(405, "method_not_allowed");
    server.get("/v1/nothing").refused(404, "not_found");
    server.get("/../../etc/passwd").refused(404, "not_found");
    server.get("/v1/models/../../../etc/passwd").refused(404, "model_not_found");
    server.raw("GET /v1/models HTTP/1.0\r\nHost: evil.example", b"").refused(403, "host_not_allowed");

    // More headers than anybody needs, and longer ones.
    let many = (0..2000).map(|i| format!("\r\nX-{i}: 1")).collect::<String>();
    assert_eq!(server.raw(&format!("GET /healthz HTTP/1.0{many}"), b"").status, 431);
    let long = format!("GET /healthz HTTP/1.0\r\nX: {}", "x".repeat(100_000));
    assert!([400, 431].contains(&server.raw(&long, b"").status));
    assert_eq!(server.raw("GARBAGE", b"\0\x01").status, 400);

    // A body that does not come, and one that ends early.
    let mut slow = server.connect();
    write!(slow, "{post}\r\nContent-Length: 100\r\n\r\n{{").unwrap();
    read(slow).refused(408, "request_timeout");
    let mut short = server.connect();
    write!(short, "{post}\r\nContent-Length: 100\r\n\r\n{{").unwrap();
    drop(short);
    assert_eq!(chat(json!({})).status, 200);

    // Two servers on one port.
    let taken = format!("127.0.0.1:{}", server.port);
    fails(&place, &["serve", "llama2.gguf", "--listen", &taken], 2, "serve-port", &[&taken]);
    fails(&place, &["serve", "llama2.gguf", "--listen", "0.0.0.0:0"], 2, "serve-no-tokens", &["token add"]);
    fails(&place, &["serve", "llama2.gguf", "--queue", "0"], 2, "setting-wrong", &["--queue"]);
    fails(&place, &["serve", "missing.gguf"], 1, "io-not-found", &["missing.gguf"]);
}

#[test]
fn a_client_that_goes_away_frees_its_place_and_the_rest_wait_their_turn() {
    let place = Place::new();
    model(&place);
    let server = Server::start(&place, "llama2.gguf", &["--answers", "1", "--queue", "2", "--cache", "300MB"]);
    let first = server.long(200_000);
    server.wait_for("kwaya_answers_writing", 1);
    let second = server.long(5);
    server.wait_for("kwaya_answers_waiting", 1);
    let short = json!({ "model": "llama2", "prompt": "t5", "max_tokens": 2 });
    server.post("/v1/completions", &short).refused(429, "queue_full");
    // The second is answered as soon as nobody waits for the first.
    assert_eq!(server.figure("kwaya_answers_unwanted_total"), 0);
    drop(first);
    let events = read(second).events();
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "length");
    assert_eq!(server.figure("kwaya_answers_unwanted_total"), 1);
    server.wait_for("kwaya_answers_writing", 0);
    assert!(server.figure("kwaya_tokens_written_total") < 150_000, "the first went on");
    // Who waits and goes away takes no place either.
    let first = server.long(200_000);
    server.wait_for("kwaya_answers_writing", 1);
    drop(server.long(5));
    std::thread::sleep(Duration::from_millis(100));
    let third = server.long(5);
    server.wait_for("kwaya_answers_waiting", 1);
    drop(first);
    read(third).events();
}

#[test]
#[cfg(unix)]
fn a_stop_finishes_the_answers_under_way() {
    let place = Place::new();
    model(&place);
    let mut server = Server::start(&place, "llama2.gguf", &["--answers", "1", "--stop-time", "10m"]);
    let under_way = server.long(5_000);
    server.wait_for("kwaya_answers_writing", 1);
    let waits = server.long(5);
    server.wait_for("kwaya_answers_waiting", 1);
    server.signal("-TERM");
    // Whoever waited is told, and so is whoever comes.
    let told = read(waits);
    assert!(told.body.contains("\"code\":\"stopping\""), "{}", told.body);
    assert_eq!(server.get("/readyz").status, 503);
    server.get("/v1/models").refused(503, "stopping");
    let events = read(under_way).events();
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "length");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn with_tokens_nobody_gets_in_without() {
    let place = Place::new();
    model(&place);
    let token = |arguments: &[&str]| place.run(["token"].iter().chain(arguments)).good();
    let of = |name: &str, role: &str| token(&["add", name, "llama2.gguf", "--role", role]).out.trim().to_owned();
    let (asha, admin) = (of("asha", "use"), of("juma", "administer"));
    fails(&place, &["token", "add", "asha", "llama2.gguf", "--role", "use"], 2, "token-exists", &["asha"]);
    let server = Server::start(&place, "llama2.gguf", &["--rate", "20"]);
    let get =
        |path: &str, token: &str| server.raw(&format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {token}"), b"");
    server.get("/v1/models").refused(401, "missing_api_key");
    get("/v1/models", "kwaya-00000000-0").refused(401, "invalid_api_key");
    get("/v1/models", &format!("{asha}0")).refused(401, "invalid_api_key");
    assert_eq!(get("/v1/models", &asha).status, 200);
    get("/metrics", &asha).refused(403, "insufficient_role");
    assert_eq!(get("/metrics", &admin).status, 200);
    assert_eq!(server.get("/healthz").status, 200);
    // The twentieth is one too many for her, and not for others.
    let statuses: Vec<u16> = (0..30).map(|_| get("/v1/models", &asha).status).collect();
    assert!(statuses.contains(&429) && statuses[0] == 200, "{statuses:?}");
    assert_eq!(get("/v1/models", &admin).status, 200);
    // Taken away while the server runs.
    token(&["remove", "juma", "llama2.gguf"]);
    let begun = Instant::now();
    while get("/v1/models", &admin).status == 200 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }
    let audit = place.text("serve/audit.jsonl");
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines.iter().any(|line| line["who"] == "asha" && line["what"] == "GET /v1/models" && line["status"] == 200)
    );
    assert!(!audit.contains(&asha) && !place.text("serve/tokens.json").contains(&asha));
    assert!(token(&["list", "llama2.gguf"]).out.contains("asha"));
}

#[test]
fn a_build_is_served_and_its_files_may_change_under_it() {
    let place = Place::built();
    let server = Server::start(&place, "m", &[]);
    let ask = || {
        let schema = json!({ "name": "x", "schema": { "enum": ["mvua", "jua"] } });
        server.post(
            "/v1/chat/completions",
            &json!({
                "model": "m", "messages": [{ "role": "user", "content": "Habari?" }], "seed": 1,
                "response_format": { "type": "json_schema", "json_schema": schema },
            }),
        )
    };
    let before = ask().json()["choices"].take();
    let word = before[0]["message"]["content"].as_str().unwrap();
    assert!(["\"mvua\"", "\"jua\""].contains(&word), "{before}");
    // Written over in its place, which would change the numbers under a map.
    let weights = place.path("m/build/model/model.safetensors");
    let length = fs::metadata(&weights).unwrap().len() as usize;
    fs::write(&weights, vec![0; length]).unwrap();
    let begun = Instant::now();
    while server.get("/readyz").json()["model_file_changed"] != true {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(ask().json()["choices"], before);
    // Cut short, which would end a program that reads a map.
    fs::write(&weights, "").unwrap();
    assert_eq!(ask().json()["choices"], before);
}

#[test]
fn the_description_says_what_the_server_does() {
    let place = crate::classify::trained();
    model(&place);
    let server = Server::start(&place, "llama2.gguf", &["--classifier", "m.safetensors"]);
    let tried = is_as_described(&server, "llama2", |path| path != "/v1/ask");
    assert!(tried > 20, "{tried}");
}

/// Whether the server of `model` does on the paths that are `wanted` what it
/// says of them; how many bounds were tried.
pub(crate) fn is_as_described(server: &Server, model: &str, wanted: impl Fn(&str) -> bool) -> usize {
    let description = server.get("/openapi.json").json();
    let schemas = &description["components"]["schemas"];
    let mut tried = 0;
    for (path, ways) in description["paths"].as_object().unwrap() {
        if !wanted(path) {
            continue;
        }
        for (method, way) in ways.as_object().unwrap() {
            let path = path.replace("{id}", model);
            if method == "get" {
                assert_eq!(server.get(&path).status, 200, "{path}");
                continue;
            }
            let schema = &way["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let schema = &schemas[schema.as_str().unwrap().rsplit('/').next().unwrap()];
            if path != "/v1/classify" {
                assert_eq!(schema["properties"]["model"]["enum"], json!([model]));
            }
            let good = json!({
                "model": model, "max_tokens": 1, "prompt": "t5", "input": "t5", "question": "t5",
                "messages": [{ "role": "user", "content": "t5" }],
            });
            assert_eq!(server.post(&path, &good).status, 200, "{path}");
            let with = |name: &str, value: Value| {
                let mut body = good.clone();
                body[name] = value;
                server.post(&path, &body)
            };
            for name in schema["required"].as_array().unwrap() {
                let name = name.as_str().unwrap();
                assert_eq!(with(name, Value::Null).refused(400, "missing_required_parameter"), name);
            }
            for (name, property) in schema["properties"].as_object().unwrap() {
                let kinds = property["type"].as_array().cloned().unwrap_or_default();
                if kinds.contains(&json!("null")) {
                    assert_eq!(with(name, Value::Null).status, 200, "{path} {name}");
                    let other = if name == "encoding_format" { json!("hex") } else { json!("x") };
                    assert_eq!(with(name, other).refused(400, "invalid_value"), *name, "{path}");
                }
                for (bound, beyond) in [("minimum", -1.0), ("maximum", 1.0)] {
                    let Some(limit) = property[bound].as_f64() else { continue };
                    assert_eq!(with(name, json!(limit + beyond)).refused(400, "invalid_value"), *name, "{path}");
                    tried += 1;
                }
            }
        }
    }
    tried
}

#[test]
fn a_classifier_answers_beside_the_model() {
    let place = crate::classify::trained();
    model(&place);
    let ask = |server: &Server, body: Value| server.post("/v1/classify", &body);
    let without = Server::start(&place, "llama2.gguf", &[]);
    ask(&without, json!({ "input": "mpira" })).refused(404, "classifier_not_found");
    let server = Server::start(&place, "llama2.gguf", &["--classifier", "m.safetensors"]);
    let texts = ["timu goli mpira uwanja kocha", "mahindi shamba mbegu mvua mavuno", "leo"];
    let answer = ask(&server, json!({ "input": texts, "explain": true })).json();
    let data = answer["data"].as_array().unwrap();
    let labels: Vec<&str> = data.iter().map(|found| found["label"].as_str().unwrap()).collect();
    assert_eq!(labels[..2], ["michezo", "kilimo"]);
    assert_eq!(data[2]["unsure"], true, "{answer}");
    for found in &data[..2] {
        let sum: f64 = found["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9 && found["unsure"] == false, "{answer}");
    }
    assert!(texts[0].contains(data[0]["because"][0]["word"].as_str().unwrap()), "{answer}");
    assert_eq!(ask(&server, json!({ "input": "timu goli mpira uwanja kocha" })).json()["data"][0]["label"], "michezo");
    for wrong in [json!([]), json!([1]), json!(7), json!(vec!["a"; 257])] {
        assert_eq!(ask(&server, json!({ "input": wrong })).refused(400, "invalid_value"), "input");
    }
}
