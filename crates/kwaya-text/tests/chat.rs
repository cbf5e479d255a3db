//! Chat templates give the text that `transformers` gives, and none can
//! harm. `golden/make_chats.py` makes what is compared with.

use std::{collections::BTreeMap, time::Instant};

use kwaya_text::chat::{Date, Message, Setting, Template};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    templates: BTreeMap<String, String>,
    chats: BTreeMap<String, Vec<BTreeMap<String, String>>>,
    tools: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    chat: String,
    tools: bool,
    date: Option<(u32, u32, u32)>,
    add_generation_prompt: bool,
    text: Option<String>,
}

fn say(messages: &[(&str, &str)]) -> Vec<Message> {
    messages.iter().map(|(role, content)| Message::new(role, content)).collect()
}

#[test]
fn text_is_that_of_transformers() {
    let golden: Golden = serde_json::from_str(include_str!("golden/chats.json")).unwrap();
    assert!(golden.cases.len() > 150);
    let mut wrong = 0;
    for case in &golden.cases {
        let template = Template::new(&golden.templates[&case.template]).unwrap();
        let messages: Vec<Message> =
            golden.chats[&case.chat].iter().map(|turn| Message::new(&turn["role"], &turn["content"])).collect();
        let setting = Setting {
            add_generation_prompt: case.add_generation_prompt,
            bos_token: "<s>",
            eos_token: "</s>",
            tools: case.tools.then_some(golden.tools.as_str()),
            date: case.date.map(|(year, month, day)| Date { year, month, day }),
        };
        let text = template.render(&messages, &setting);
        match (&text, &case.text) {
            (Ok(text), Some(expected)) if text == expected => {}
            (Err(error), None) if error.key() == "chat-template" => {}
            (text, expected) => {
                eprintln!("{} / {} / {}: {text:?}\nbut: {expected:?}", case.template, case.chat, case.tools);
                wrong += 1;
            }
        }
    }
    assert_eq!(wrong, 0, "of {}", golden.cases.len());
}

#[test]
fn an_error_names_line_and_cause() {
    let template = Template::new("a\nb\n{{ raise_exception('no system here') }}").unwrap();
    let error = template.render(&[], &Setting::default()).unwrap_err();
    assert_eq!(error.key(), "chat-template");
    assert!(error.args().contains(&("line", "3".to_owned())), "{error:?}");
    assert!(error.to_string().contains("no system here"), "{error}");
    assert!(error.remedy().is_some());
    let error = Template::new("{% for %}").unwrap_err();
    assert!(error.args().contains(&("line", "1".to_owned())), "{error:?}");
}

#[test]
fn a_template_that_does_too_much_ends() {
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = a * b %}{% endfor %}{% endfor %}";
    let doubling =
        "{% set ns = namespace(x='abcdefgh') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    let output = "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}";
    let recursion = "{% macro f(x) %}{{ f(x + 1) }}{% endmacro %}{{ f(0) }}";
    let repeat = "{{ ('x' * 99999999) ~ ('x' * 99999999) }}";
    let replace =
        "{% set ns = namespace(x='aa') %}{% for a in range(60) %}{% set ns.x = ns.x.replace('a', 'aaa') %}{% endfor %}";
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    let json = "{% set ns = namespace(x=[1]) %}{% for a in range(999) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}";
    for source in [endless, doubling, output, recursion, repeat, replace, &nested, json] {
        let start = Instant::now();
        let result = Template::new(source).and_then(|t| t.render(&say(&[("user", "a")]), &Setting::default()));
        let seconds = start.elapsed().as_secs_f64();
        let shown = &source[..source.len().min(60)];
        eprintln!("{seconds:.2} s for {shown}");
        let error = result.map(|text| text.len()).expect_err(shown);
        assert_eq!(error.key(), "chat-template");
        // Two seconds would be about right; the machine may be busy.
        assert!(seconds < 20.0, "{seconds} s for {shown}");
    }
}

#[test]
fn a_day_is_written_as_c_does() {
    let template = Template::new("{{ strftime_now('%A %a %-d %d %B %b %Y %y %m %F %H:%M:%S %% %Q') }}").unwrap();
    let date = Some(Date { year: 2024, month: 2, day: 29 });
    let text = template.render(&[], &Setting { date, ..Setting::default() }).unwrap();
    assert_eq!(text, "Thursday Thu 29 29 February Feb 2024 24 02 2024-02-29 00:00:00 % %Q");
    assert!(template.render(&[], &Setting::default()).is_err());
}
