//! The pages of the server, as a browser asks for them: what they say and in
//! which language, that strangers' words stay words, and that nobody gets in or
//! sends a form from elsewhere.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use regex::Regex;
use serde_json::Value;

use crate::{
    common::{Place, TINY},
    serve::{Answer, PATIENCE, Server, model},
};

const LANGUAGES: [&str; 9] = ["en", "sw", "fr", "es", "pt", "ar", "hi", "ru", "zh"];
/// What a first look at any room may weigh, with its style and its script.
const FIRST_VIEW_BYTES: usize = 60_000;
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const HOSTILE: &str = "<script>alert('x')</script>\"'&";

/// Looks at a page as a browser does, with `more` headers.
fn look(server: &Server, path: &str, more: &[&str]) -> Answer {
    let head = format!("GET {path} HTTP/1.0\r\nAccept: text/html,*/*;q=0.8\r\nHost: 127.0.0.1:{}", server.port);
    server.raw(&[&[head.as_str()], more].concat().join("\r\n"), b"")
}

fn send(server: &Server, path: &str, more: &[&str], body: &str) -> Answer {
    let head = format!("POST {path} HTTP/1.0\r\nAccept: text/html\r\nHost: 127.0.0.1:{}", server.port);
    server.raw(&[&[head.as_str()], more].concat().join("\r\n"), body.as_bytes())
}

/// It must be a page in `language`, whole and guarded. Gives it.
#[track_caller]
fn page(answer: &Answer, status: u16, language: &str) -> String {
    let Answer { head, body, .. } = answer;
    assert_eq!(answer.status, status, "{head}\n{body}");
    let dir = if language == "ar" { "rtl" } else { "ltr" };
    assert!(body.starts_with("<!doctype html>") && body.trim_end().ends_with("</html>"), "{body}");
    assert!(body.contains(&format!("<html lang=\"{language}\" dir=\"{dir}\">")), "{body}");
    for guard in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(head.contains(guard), "no {guard}: {head}");
    }
    // Nothing runs or looks otherwise than what the server has; no other host.
    for part in [r"(?i)<script>", r"(?i)<[^>]*\son[a-z]+=", r"(?i)<[^>]*\sstyle=", r"(?i)javascript:", r"<style"] {
        assert!(!Regex::new(part).unwrap().is_match(body), "{part}: {body}");
    }
    for (_, [address]) in
        Regex::new(r#"(?:src|href|action)="([^"]*)""#).unwrap().captures_iter(body).map(|c| c.extract())
    {
        assert!(address.starts_with(['/', '#', '?']) && !address.starts_with("//"), "{address}");
    }
    // No key without words, no value that is missing.
    let text = Regex::new(r"<[^>]*>").unwrap().replace_all(body, " ").into_owned();
    let key = Regex::new(r"(?:^|\s)(?:error|overview|data|stage|reason|room|now|curve|chat)-[a-z-]+\s").unwrap();
    assert!(!key.is_match(&text), "{:?}", key.find(&text));
    assert!(!body.contains("{$") && !body.contains("{ $"), "{body}");
    body.clone()
}

/// What a browser would keep.
fn cookies(answer: &Answer) -> Vec<String> {
    let kept = answer.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    kept.map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
}

fn value(page: &str, name: &str) -> String {
    let found = Regex::new(&format!(r#"name="{name}" value="([^"]*)""#)).unwrap();
    found.captures(page).unwrap_or_else(|| panic!("no {name}: {page}"))[1].to_owned()
}

/// A browser that has looked at `path`: its cookies, and the mark of a form.
fn visit(server: &Server, path: &str) -> (String, String) {
    let answer = look(server, path, &[]);
    (format!("Cookie: {}", cookies(&answer).join("; ")), value(&answer.body, "csrf"))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The weight of a page with all that it loads.
fn weight(server: &Server, page: &str) -> usize {
    let assets = Regex::new(r#"(?:src|href)="(/assets/[^"]+)""#).unwrap();
    let loaded = assets.captures_iter(page).map(|found| {
        let asset = server.get(&found[1]);
        assert_eq!(asset.status, 200);
        assert!(asset.head.contains("max-age=31536000, immutable") && asset.head.contains("nosniff"), "{}", asset.head);
        asset.head.len() + asset.body.len()
    });
    loaded.sum::<usize>() + page.len()
}

#[test]
fn every_reader_gets_their_own_language() {
    let place = Place::new();
    model(&place);
    let server = Server::start(&place, "llama2.gguf", &[]);
    let mut seen = Vec::new();
    for language in LANGUAGES {
        let wanted = format!("Accept-Language: {language};q=0.9,de;q=1,en;q=0.1");
        for path in ["/", "/try"] {
            let text = page(&look(&server, path, &[&wanted]), 200, language);
            assert!(weight(&server, &text) < FIRST_VIEW_BYTES, "{}", weight(&server, &text));
            assert!(!seen.contains(&text));
            seen.push(text);
        }
        let missing = page(&look(&server, "/nothing/here", &[&wanted]), 404, language);
        assert!(!seen.iter().any(|other| other.contains(&title(&missing))), "{missing}");
        // Chosen once, kept, and stronger than what the browser says.
        let chosen = look(&server, &format!("/?lang={language}"), &["Accept-Language: ru"]);
        page(&chosen, 200, language);
        let kept = cookies(&chosen).into_iter().find(|cookie| cookie.contains("language")).unwrap();
        page(&look(&server, "/try", &[&format!("Cookie: {kept}"), "Accept-Language: ru"]), 200, language);
    }
    for odd in ["xx", "../../etc", "%00", &"a".repeat(9000), "en%0d%0aSet-Cookie:%20a=b"] {
        let answer = look(&server, &format!("/?lang={odd}"), &["Accept-Language: ;;;q=,"]);
        page(&answer, 200, "en");
        assert!(!answer.head.contains("a=b"), "{}", answer.head);
    }
    page(&look(&server, "/", &["Cookie: kwaya-language=<b>; =; ;;"]), 200, "en");
}

fn title(page: &str) -> String {
    page.split("<title>").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

#[test]
fn what_is_not_there_is_absent_and_programs_are_answered_as_ever() {
    let place = Place::new();
    model(&place);
    let server = Server::start(&place, "llama2.gguf", &[]);
    let overview = page(&look(&server, "/", &[]), 200, "en");
    assert!(overview.contains("href=\"/try\"") && overview.contains("/openapi.json"), "{overview}");
    assert!(overview.contains(&format!("http://127.0.0.1:{}/v1", server.port)), "{overview}");
    for absent in ["/data", "/training", "/report", "/cards/model", "/try/classify", "/try/ask"] {
        assert!(!overview.contains(&format!("\"{absent}\"")), "{absent}");
        page(&look(&server, absent, &[]), 404, "en");
    }
    for hostile in [
        "/documents/..%2f..%2fetc%2fpasswd",
        "/documents/%00",
        "/documents/../../../etc/passwd",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/page.css",
        "//evil.example/",
        "/data/documents?page=18446744073709551616&language=%27%22",
        "/cards/../serve/tokens.json",
    ] {
        let answer = look(&server, hostile, &[]);
        assert!(answer.status == 404 || answer.status == 400, "{hostile}: {}", answer.status);
        assert!(!answer.body.contains("root:") && !answer.body.contains("[package]"), "{hostile}");
    }
    // No link of a page leads to another host, whatever address it was asked by.
    for elsewhere in ["//evil.example/a?b=c", "/\\evil.example", "///evil.example", "/a\"onclick=\"alert(1)"] {
        page(&look(&server, elsewhere, &[]), 404, "en");
    }
    page(&send(&server, "/", &[FORM], ""), 405, "en");
    // Whoever is no browser gets JSON, and so do those who ask the API.
    server.get("/nothing").refused(404, "not_found");
    look(&server, "/v1/nothing", &[]).refused(404, "not_found");
    let host = "GET / HTTP/1.0\r\nHost: evil.example";
    page(&server.raw(host, b""), 403, "en");
    assert_eq!(server.raw("HEAD / HTTP/1.0", b"").body, "");
    assert_eq!(server.get("/favicon.ico").status, 200);
}

#[test]
fn a_form_counts_only_from_its_own_page() {
    let place = crate::classify::trained();
    model(&place);
    let server = Server::start(&place, "llama2.gguf", &["--classifier", "m.safetensors", "--tokens", "5"]);
    let (cookie, mark) = visit(&server, "/try");
    let (other_cookie, other) = visit(&server, "/try");
    assert_ne!(mark, other);
    let body = |mark: &str| format!("csrf={mark}&message=t5");
    for (headers, body) in [
        (vec![FORM, &cookie], "message=t5".to_owned()),
        (vec![FORM, &cookie], body("")),
        (vec![FORM, &cookie], body(&other)),
        (vec![FORM, &other_cookie], body(&mark)),
        (vec![FORM], body(&mark)),
        (vec![FORM, &cookie, "Origin: http://evil.example"], body(&mark)),
        (vec![FORM, &cookie, "Sec-Fetch-Site: cross-site"], body(&mark)),
        (vec![FORM, &cookie, "Sec-Fetch-Site: same-site"], body(&mark)),
    ] {
        page(&send(&server, "/try", &headers, &body), 403, "en");
        page(&send(&server, "/try/classify", &headers, &body.replace("message", "text")), 403, "en");
    }
    page(&send(&server, "/try", &["Content-Type: application/json", &cookie], "{}"), 415, "en");
    page(&send(&server, "/try", &[FORM, &cookie], &format!("csrf={mark}&message=++")), 400, "en");
    let own = format!("Origin: http://127.0.0.1:{}", server.port);
    for header in [own.as_str(), "Origin: null", "Sec-Fetch-Site: same-origin"] {
        let answer = send(&server, "/try", &[FORM, &cookie, header], &body(&mark));
        let text = page(&answer, 200, "en");
        // What was said is in the form, for the next time.
        assert_eq!(value(&text, "user"), "t5");
        assert!(value(&text, "assistant").starts_with('t'), "{text}");
        let said = format!("<div class=\"plain\" dir=\"auto\">{}</div>", value(&text, "assistant"));
        assert!(text.contains(&said), "{text}");
    }
    let long = format!("csrf={mark}&user=t5&assistant={}&message=t7", "t5".repeat(300_000));
    page(&send(&server, "/try", &[FORM, &cookie], &long), 400, "en");
    let text = format!("csrf={mark}&text={}", encoded("timu goli mpira uwanja kocha"));
    let classified = page(&send(&server, "/try/classify", &[FORM, &cookie], &text), 200, "en");
    assert!(classified.contains("michezo") && classified.contains("timu goli mpira uwanja kocha</textarea>"));
    let hostile = format!("csrf={mark}&text={}", encoded(&format!("</textarea>{HOSTILE}")));
    page(&send(&server, "/try/classify", &[FORM, &cookie], &hostile), 200, "en");
    let hostile = format!("csrf={mark}&user=t5&assistant={}&message=t5", encoded(HOSTILE));
    let answer = send(&server, "/try", &[FORM, &cookie], &hostile);
    assert!(answer.status == 400 || !page(&answer, 200, "en").contains("alert('x')"));
}

/// A build with documents that mean harm.
fn hostile_build() -> Place {
    let place = Place::with_documents(60);
    let harmless = first_document(&place);
    // Words of its own, or it would be a copy.
    let own: String = harmless.split(' ').rev().collect::<Vec<_>>().join(" ");
    place.write("m/documents/<img src=x onerror=alert(1)>&'.txt", format!("{own}\n</div></article>{HOSTILE}\n"));
    place.write("m/documents/short.txt", "fupi");
    place.run(["build", "m"]).good();
    place
}

/// Some words in a row, to be asked for.
fn marked_words(text: &str) -> String {
    text.split_whitespace().skip(3).take(8).collect::<Vec<_>>().join(" ")
}

fn first_document(place: &Place) -> String {
    let mut paths: Vec<_> =
        fs::read_dir(place.path("m/documents")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    fs::read_to_string(&paths[0]).unwrap()
}

#[test]
fn a_build_shows_its_data_and_strangers_words_stay_words() {
    let place = hostile_build();
    let server = Server::start(&place, "m", &[]);
    for path in ["/", "/data", "/data/documents", "/data/dropped", "/training", "/try", "/try/ask"] {
        for language in ["en", "ar"] {
            let text = page(&look(&server, path, &[&format!("Accept-Language: {language}")]), 200, language);
            assert!(weight(&server, &text) < FIRST_VIEW_BYTES, "{path}: {}", weight(&server, &text));
            for room in ["/", "/data", "/training", "/try"] {
                assert!(text.contains(&format!("href=\"{room}\"")), "{path}: {room}");
            }
        }
    }
    let overview = page(&look(&server, "/", &[]), 200, "en");
    for part in ["CC0-1.0", "research", "href=\"/report\"", "href=\"/cards/model\"", "href=\"/cards/data\""] {
        assert!(overview.contains(part), "{part}");
    }
    // All documents, page by page, each once; each opens.
    let link = Regex::new(r#"href="(/documents/[0-9a-f]{64})""#).unwrap();
    let following = Regex::new(r#"rel="next" href="([^"]+)""#).unwrap();
    let mut documents = Vec::new();
    let mut next = "/data/documents?language=sw".to_owned();
    loop {
        let text = page(&look(&server, &next, &[]), 200, "en");
        documents.extend(link.captures_iter(&text).map(|found| found[1].to_owned()));
        let Some(found) = following.captures(&text) else { break };
        next = found[1].replace("&amp;", "&");
    }
    let all = documents.len();
    documents.sort();
    documents.dedup();
    let kept = place.run(["corpus", "show", "m", "--json", "--limit", "1000"]).good().json_lines();
    assert!(documents.len() == all && all == kept.len() && all > 40, "{all} {}", documents.len());
    assert!(page(&look(&server, "/data/documents?language=yo", &[]), 200, "en").contains("There is nothing here."));
    // The one that means harm.
    let harm = kept.iter().find(|row| row["source"].as_str().unwrap().starts_with('<')).unwrap();
    let path = format!("/documents/{}", harm["id"].as_str().unwrap());
    let text = page(&look(&server, &path, &[]), 200, "en");
    assert!(text.contains("&lt;script&gt;alert(&#39;x&#39;)") && text.contains("&lt;img src=x"), "{text}");
    // A passage, by the bytes of the text.
    let passage = page(&look(&server, &format!("{path}?from=5&to=12"), &[]), 200, "en");
    let whole = place.run(["corpus", "show", "m", harm["id"].as_str().unwrap(), "--json"]).good().json();
    let marked = whole["text"].as_str().unwrap()[5..12].to_owned();
    assert!(passage.contains(&format!("<mark id=\"here\" tabindex=\"-1\">{marked}</mark>")), "{passage}");
    assert!(passage.contains("href=\"#here\""));
    for odd in ["from=9&to=2", "from=x&to=", "from=99999999999999999999&to=1", "to=5"] {
        assert!(!page(&look(&server, &format!("{path}?{odd}"), &[]), 200, "en").contains("<mark"), "{odd}");
    }
    page(&look(&server, &format!("/documents/{}", "0".repeat(64)), &[]), 404, "en");
    page(&look(&server, &path[..path.len() - 1], &[]), 404, "en");
    // A question, answered from a passage that opens in its place.
    let (cookie, mark) = visit(&server, "/try");
    let question = marked_words(whole["text"].as_str().unwrap());
    let asked = format!("csrf={mark}&question={}", encoded(&question));
    let begun = Instant::now();
    let answer = loop {
        let answer = send(&server, "/try/ask", &[FORM, &cookie], &asked);
        if answer.status != 503 {
            break page(&answer, 200, "en");
        }
        page(&answer, 503, "en");
        assert!(begun.elapsed() < PATIENCE, "the documents are never ready");
        std::thread::sleep(Duration::from_millis(100));
    };
    let cited = Regex::new(r#"href="(/documents/[0-9a-f]{64}\?from=[0-9]+&amp;to=[0-9]+)#here""#).unwrap();
    let cited = cited.captures(&answer).unwrap_or_else(|| panic!("no passage: {answer}"))[1].replace("&amp;", "&");
    assert!(page(&look(&server, &cited, &[]), 200, "en").contains("<mark id=\"here\""));
    let none = format!("csrf={mark}&question={}", encoded("zzqx vvkjw <script>?"));
    assert!(page(&send(&server, "/try/ask", &[FORM, &cookie], &none), 200, "en").contains("The documents do not say."));
    page(&send(&server, "/try/ask", &[FORM, &cookie], &format!("csrf={mark}&question=")), 400, "en");
    page(&send(&server, "/try/ask", &[FORM, &cookie], "question=a"), 403, "en");
    let dropped = page(&look(&server, "/data/dropped?reason=too-short", &[]), 200, "en");
    assert!(dropped.contains("short.txt") && dropped.contains("The text is too short"), "{dropped}");
    page(&look(&server, "/data/dropped?reason=%3Cscript%3E&page=-1", &[]), 200, "en");
    let training = page(&look(&server, "/training", &[]), 200, "en");
    assert!(training.contains("<polyline class=\"training\"") && training.contains("No build is at work now."));
    let report = look(&server, "/report", &[]);
    assert!(report.status == 200 && report.head.contains("sandbox") && report.body.starts_with("<!doctype html>"));
    assert!(look(&server, "/cards/data", &[]).head.contains("content-type: text/plain; charset=utf-8"));
    // Taken back while it is served.
    place.run(["corpus", "withdraw", "m", harm["source"].as_str().unwrap()]).good();
    page(&look(&server, &path, &[]), 404, "en");
}

#[test]
fn with_tokens_the_rooms_are_behind_a_door() {
    let place = Place::built();
    let token =
        |name: &str, role: &str| place.run(["token", "add", name, "m", "--role", role]).good().out.trim().to_owned();
    let (asha, juma) = (token("asha", "use"), token("juma", "build"));
    let server = Server::start(&place, "m", &["--tokens", "5"]);
    for path in ["/", "/data", "/documents/x", "/try", "/report", "/cards/model"] {
        let door = page(&look(&server, path, &[]), 401, "en");
        assert!(door.contains("type=\"password\"") && !door.contains("href=\"/try\""), "{door}");
        assert_eq!(value(&door, "then"), path);
    }
    let (cookie, mark) = visit(&server, "/");
    let enter = |secret: &str, then: &str| {
        send(&server, "/sign-in", &[FORM, &cookie], &format!("csrf={mark}&token={secret}&then={}", encoded(then)))
    };
    page(&send(&server, "/sign-in", &[FORM], &format!("token={asha}")), 403, "en");
    let wrong = page(&enter("kwaya-00000000-0", "/data"), 401, "en");
    assert!(wrong.contains("role=\"alert\"") && !wrong.contains("kwaya-00000000"), "{wrong}");
    for elsewhere in ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nSet-Cookie: a=b"] {
        let answer = enter(&asha, elsewhere);
        assert!(answer.status == 303 && answer.head.contains("location: /\r\n"), "{}", answer.head);
    }
    let entered = enter(&format!("{asha}%0a"), "/try?x=1");
    assert!(entered.status == 303 && entered.head.contains("location: /try?x=1\r\n"), "{}", entered.head);
    let kept = entered.head.lines().find(|line| line.contains("session")).unwrap();
    for flag in ["httponly", "samesite=strict", "path=/", "max-age=43200"] {
        assert!(kept.contains(flag), "{kept}");
    }
    let signed_in = |answer: &Answer| {
        format!("Cookie: {}", cookies(answer).into_iter().find(|cookie| cookie.contains("session")).unwrap())
    };
    let (of_asha, of_juma) = (signed_in(&entered), signed_in(&enter(&juma, "/")));
    // Each sees the rooms of their role.
    let home = page(&look(&server, "/", &[&of_asha]), 200, "en");
    assert!(
        home.contains("Signed in as asha") && !home.contains("\"/data\"") && !home.contains("\"/report\""),
        "{home}"
    );
    for path in ["/data", "/data/documents", "/data/dropped", "/training", "/report"] {
        let refused = page(&look(&server, path, &[&of_asha]), 403, "en");
        assert!(refused.contains("Your token does not allow this") && refused.contains("Signed in as asha"));
        assert_eq!(look(&server, path, &[&of_juma]).status, 200, "{path}");
    }
    page(&look(&server, "/cards/model/", &[&of_asha]), 404, "en");
    assert_eq!(look(&server, "/cards/model", &[&of_asha]).status, 200);
    let documents = page(&look(&server, "/data/documents", &[&of_juma]), 200, "en");
    let one = &Regex::new(r#"href="(/documents/[0-9a-f]{64})""#).unwrap().captures(&documents).unwrap()[1];
    let cited = page(&look(&server, &format!("{one}?from=0&to=9"), &[&of_asha]), 200, "en");
    assert!(cited.contains("<mark id=\"here\"") && !cited.contains("\"/data/documents\""), "{cited}");
    // The cookie alone opens nothing of the API.
    let mark_of_asha = value(&home, "csrf");
    let models = |headers: &[&str]| server.raw(&[&["GET /v1/models HTTP/1.0"], headers].concat().join("\r\n"), b"");
    models(&[&of_asha]).refused(403, "missing_csrf_token");
    models(&[&of_asha, &format!("X-CSRF-Token: {mark}")]).refused(403, "missing_csrf_token");
    models(&[&of_juma, &format!("X-CSRF-Token: {mark_of_asha}")]).refused(403, "missing_csrf_token");
    assert_eq!(models(&[&of_asha, &format!("X-CSRF-Token: {mark_of_asha}")]).status, 200);
    let metrics = format!("GET /metrics HTTP/1.0\r\n{of_juma}\r\nX-CSRF-Token: {}", value(&documents, "csrf"));
    server.raw(&metrics, b"").refused(403, "insufficient_role");
    // The mark of whoever was not signed in yet is none of the session.
    page(&send(&server, "/try", &[FORM, &of_asha], &format!("csrf={mark}&message=Habari")), 403, "en");
    page(&send(&server, "/try", &[FORM, &of_asha], &format!("csrf={mark_of_asha}&message=Habari")), 200, "en");
    // Out by oneself, or because the token is gone.
    page(&send(&server, "/sign-out", &[FORM, &of_asha], ""), 403, "en");
    let out = send(&server, "/sign-out", &[FORM, &of_asha], &format!("csrf={mark_of_asha}"));
    assert!(out.status == 303 && out.head.contains("max-age=0"), "{}", out.head);
    page(&look(&server, "/", &[&of_asha]), 401, "en");
    place.run(["token", "remove", "juma", "m"]).good();
    let begun = Instant::now();
    while look(&server, "/", &[&of_juma]).status == 200 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }
    // Whoever guesses has to wait.
    let statuses: Vec<u16> = (0..15).map(|at| enter(&format!("kwaya-{at:08}-1"), "/").status).collect();
    assert!(statuses[0] == 401 && statuses[14] == 429, "{statuses:?}");
    let audit = place.text("m/serve/audit.jsonl");
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (who, what, status) in [("asha", "POST /sign-in", 303), ("asha", "GET /data", 403), ("asha", "POST /try", 200)]
    {
        let is = |line: &&Value| line["who"] == who && line["what"] == what && line["status"] == status;
        assert!(lines.iter().find(is).is_some(), "{who} {what}: {audit}");
    }
    assert!(!audit.contains(&asha[16..]) && !audit.contains(of_asha.rsplit('=').next().unwrap()));
}

/// The training that a page tells to be under way, if it does.
fn under_way(server: &Server) -> Option<String> {
    let training = page(&look(server, "/training", &[]), 200, "en");
    let now = Regex::new(r#"<li class="now">.*?</li>"#).unwrap();
    let now = now.find(&training).map(|stage| stage.as_str().to_owned());
    assert!(now.is_none() || training.contains("A build is at work now."), "{training}");
    now
}

#[test]
fn a_training_is_under_way_when_a_process_is_at_it_and_not_by_what_one_left_behind() {
    let place = Place::built();
    let server = Server::start(&place, "m", &[]);
    assert_eq!(under_way(&server), None);
    place.recipe(&TINY.replace("steps = 12", "steps = 1000000"));
    place.run(["plan", "m"]).good();
    let mut build = place.command(["build", "m"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let stage = loop {
        if let Some(stage) = under_way(&server) {
            break stage;
        }
        assert!(begun.elapsed() < PATIENCE && build.try_wait().unwrap().is_none(), "it never trains");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(stage.contains("of 1,000,000"), "{stage}");
    build.kill().unwrap();
    build.wait().unwrap();
    let training = page(&look(&server, "/training", &[]), 200, "en");
    assert!(training.contains("No build is at work now."), "{training}");

    // That plan is given up, and another build has not come to its training.
    let logs = fs::read_dir(place.path("m/build/checkpoints")).unwrap();
    assert_eq!(logs.filter(|folder| folder.as_ref().unwrap().path().join("log.jsonl").exists()).count(), 1);
    place.recipe(TINY);
    place.run(["plan", "m"]).good();
    let other = fs::File::options().write(true).open(place.path("m/build/lock")).unwrap();
    other.lock().unwrap();
    assert_eq!(under_way(&server), None);
    let training = page(&look(&server, "/training", &[]), 200, "en");
    assert!(training.contains("A build is at work now.") && !training.contains("1,000,000"), "{training}");
}
