//! `kwaya ask`: answers from the documents of a build, and how good they are.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use clap::ArgMatches;
use kwaya_ask::{ANSWER_TOKENS, Answer, Asked, Finder, Library};
use kwaya_base::{Error, Result, say};
use kwaya_model::{SamplerOptions, Source};
use kwaya_recipe::{
    codec::Codec,
    machine,
    text_model::{self, Options, TextModel},
    words,
};

use crate::{
    bar::{Bar, STOPPED, note},
    commands::{self, json, json_line, print, text},
};

/// What puts an answer into words: a model that knows chats, or nobody, and then
/// the documents are quoted.
struct Writer(Option<TextModel>);

impl Writer {
    /// The model that was `named`, or else that of the build in `folder`.
    fn new(m: &ArgMatches, folder: &Path, named: Option<&String>) -> Result<Self> {
        if m.get_flag("quote") {
            return Ok(Self(None));
        }
        let built = folder.join("build/model");
        let place = match named {
            Some(named) => text_model::place(Path::new(named))?,
            None if built.exists() => built,
            None => return Ok(Self(None)),
        };
        // Before the weights are read.
        if !Codec::open(&Source::open(&place)?)?.has_chat_template() {
            return match named {
                Some(_) => Err(Error::usage("ask-model-no-chat").path(&place)),
                None => Ok(Self(None)),
            };
        }
        TextModel::load(&place, machine::threads(m.get_one("threads").copied())).map(|model| Self(Some(model)))
    }

    fn answer(&self, asked: &Asked) -> Result<Answer> {
        let Some(model) = self.0.as_ref().filter(|_| asked.is_supported()) else { return Ok(asked.quoted()) };
        let Some(messages) = asked.prompt(model, model.architecture().context)? else { return Ok(asked.quoted()) };
        let sampler = SamplerOptions { temperature: 0.0, ..SamplerOptions::default() };
        let options = Options { sampler, tokens_max: ANSWER_TOKENS, form: None };
        let mut said = String::new();
        model.answer(&mut model.conversations(), &messages, &options, |piece| {
            said.push_str(piece);
            !STOPPED.load(Ordering::Relaxed)
        })?;
        asked.written(&said)
    }
}

fn count(m: &ArgMatches) -> usize {
    *m.get_one::<usize>("count").expect("has a default")
}

/// The documents of the build, found by vectors too where a model is named or
/// was named before.
fn library(m: &ArgMatches, folder: &Path) -> Result<Library> {
    let bar = Bar::new();
    let finder = Finder::of(folder, m.get_one::<String>("vectors").map(String::as_str))?;
    let library = Library::open(folder, &bar)?;
    match finder {
        Finder::Words => Ok(library),
        Finder::Gone(place) => {
            note(&say!("ask-vectors-gone", path = place.display()));
            Ok(library)
        }
        Finder::Model(place) => {
            let model = TextModel::load(&place, machine::threads(m.get_one("threads").copied()))?;
            let library = library.with_vectors(Arc::new(model), &bar)?;
            Finder::note(folder, &place)?;
            Ok(library)
        }
    }
}

pub(crate) fn ask(m: &ArgMatches) -> Result<()> {
    let folder = commands::folder(m);
    let library = library(m, &folder)?;
    let one = m.get_one::<String>("question");
    if let Some(question) = one {
        // Before a model is read.
        library.question(question)?;
    }
    let writer = Writer::new(m, &folder, m.get_one("model"))?;
    if let Some(question) = one {
        let answer = writer.answer(&library.ask(question, count(m))?)?;
        if !json(m, &answer) {
            show(m, &answer);
        }
        return Ok(());
    }
    note(&say!("ask-hello"));
    while let Some(question) = commands::ask(&say!("ask-you"))?.filter(|question| !question.is_empty()) {
        match library.ask(&question, count(m)) {
            Ok(asked) => {
                let answer = writer.answer(&asked)?;
                if !json_line(m, || serde_json::to_value(&answer).expect("an answer is plain data")) {
                    show(m, &answer);
                    print("");
                }
            }
            // The next question may be better.
            Err(error) if error.key().starts_with("ask-question") => note(&error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn show(m: &ArgMatches, answer: &Answer) {
    if !answer.supported {
        print(&say!("ask-nothing"));
        return;
    }
    print(&answer.text);
    for text in &answer.unsupported {
        print(&say!("ask-unsupported", text = text));
    }
    print("");
    for citation in &answer.citations {
        let passage = &citation.found.passage;
        print(&say!("ask-citation", number = citation.number, source = passage.source, passage = passage.number));
        if m.get_flag("passages") {
            passage.text.lines().for_each(|line| print(&format!("    {line}")));
        }
    }
}

/// `kwaya eval --ask`.
pub(crate) fn eval(m: &ArgMatches) -> Result<()> {
    let folder = PathBuf::from(text(m, "model"));
    let rows = kwaya_ask::read_questions(Path::new(text(m, "ask")))?;
    let bar = Bar::new();
    let library = library(m, &folder)?;
    let writer = Writer::new(m, &folder, None)?;
    let measured = kwaya_ask::measure(&library, &rows, count(m), |asked| writer.answer(asked), &bar)?;
    if json(m, &measured) {
        return Ok(());
    }
    let share = |part: u64, all: u64| format!("{:.1}", 100.0 * part as f64 / all.max(1) as f64);
    print(&say!(
        "ask-measured",
        questions = words::count(measured.questions),
        with = words::count(measured.with_document),
        first = share(measured.hit_at_1, measured.with_document),
        five = share(measured.hit_at_5, measured.with_document),
        mrr = format!("{:.3}", measured.mrr),
        answered = share(measured.answered, measured.with_document),
    ));
    if measured.without_document > 0 {
        let refused = share(measured.refused, measured.without_document);
        print(&say!("ask-measured-refused", without = words::count(measured.without_document), refused = refused));
    }
    let supported = share(measured.supported, measured.answers);
    print(&say!("ask-measured-supported", answers = words::count(measured.answers), supported = supported));
    if measured.with_answer > 0 {
        let right = share(measured.right, measured.with_answer);
        print(&say!("ask-measured-right", known = words::count(measured.with_answer), right = right));
    }
    Ok(())
}
