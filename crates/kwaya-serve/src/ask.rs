//! Questions about the documents of the build that is served, for programs and
//! for the page.

use std::sync::{Arc, RwLock, atomic::Ordering};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::Response,
    routing::post,
};
use kwaya_ask::{Answer, Library, Passage};
use kwaya_base::{Error, Progress, Result, Unit};
use serde_json::{Value, json};

use crate::{
    api,
    fault::{Fault, again},
    fields::{self, Fields, wrong},
    log::log,
    service::{JSON, Service, User, reply},
};

/// Passages that an answer is made from, where nobody says, and at the most.
pub(crate) const COUNT: usize = 5;
const COUNT_MAX: i64 = 20;

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/v1/ask", post(ask))
}

/// The documents of a build, which take a while to be ready.
pub(crate) struct Documents(RwLock<Shelf>);

enum Shelf {
    /// It is a model alone that is served.
    None,
    /// The index is opened, or made first.
    Making,
    Ready(Library),
    Failed(Error),
}

impl Documents {
    /// Those of a server of a build, or of a model alone.
    pub(crate) fn new(of_build: bool) -> Self {
        Self(RwLock::new(if of_build { Shelf::Making } else { Shelf::None }))
    }

    /// The documents, once they are ready.
    ///
    /// # Errors
    /// `serve-no-documents` where there are none, `serve-documents-making`, and
    /// what kept them from being ready.
    pub(crate) fn get(&self) -> Result<Library> {
        match &*self.0.read().expect("nobody panics holding this") {
            Shelf::None => Err(Error::new("serve-no-documents")),
            Shelf::Making => Err(Error::new("serve-documents-making")),
            Shelf::Ready(library) => Ok(library.clone()),
            Shelf::Failed(error) => Err(again(error)),
        }
    }

    fn set(&self, shelf: Shelf) {
        *self.0.write().expect("nobody panics holding this") = shelf;
    }
}

/// Makes the documents of the build in `folder` ready.
pub(crate) fn open(service: &Service, folder: &std::path::Path) {
    match Library::open(folder, &Watched(service)) {
        Ok(library) => {
            log("info", "documents-ready", json!({ "passages": library.passages() }));
            service.documents.set(Shelf::Ready(library));
        }
        Err(error) => {
            log("error", "documents-failed", json!({ "cause": error.key(), "words": error.to_string() }));
            service.documents.set(Shelf::Failed(error));
        }
    }
}

/// Stops when the server does.
struct Watched<'s>(&'s Service);

impl Progress for Watched<'_> {
    fn begin(&self, key: &'static str, total: u64, _: Unit) {
        log("info", "documents-indexing", json!({ "phase": key, "documents": total }));
    }

    fn at(&self, _: u64) {}

    fn stopped(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }
}

async fn ask(
    State(service): State<Arc<Service>>,
    Extension(user): Extension<User>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let body = fields::parse(&service.body(request, JSON).await?)?;
    let fields = Fields::of(&body, "")?;
    if let Some(model) = fields.text("model")? {
        service.is_model(model)?;
    }
    fields.refuse(&["stream"])?;
    let question = fields.need("question")?.as_str().ok_or_else(|| wrong("question", "a text"))?;
    let count = fields.whole("count", 1, COUNT_MAX)?.map_or(COUNT, |count| count as usize);
    let answer = answer(&service, &user.0, question, count, fields.flag("quote")?).await?;
    Ok(reply(&shown(&answer)))
}

/// Answers a question from `count` passages of the documents: in the words of
/// the model, if it knows chats and `quote` does not ask for theirs.
///
/// # Errors
/// As [`Documents::get`]; when there is no question; as an answer to a chat.
pub(crate) async fn answer(
    service: &Arc<Service>,
    user: &str,
    question: &str,
    count: usize,
    quote: bool,
) -> Result<Answer> {
    let (library, question) = (service.documents.get()?, question.to_owned());
    let asked = Arc::new(blocking(move || library.ask(&question, count)).await?);
    if !quote && asked.is_supported() && service.model.codec().has_chat_template() {
        let (of_prompt, model, context) = (Arc::clone(&asked), Arc::clone(&service.model), service.engine.context);
        if let Some(messages) = blocking(move || of_prompt.prompt(&model, context)).await? {
            let said = api::say(service, user, messages, kwaya_ask::ANSWER_TOKENS).await?;
            return blocking(move || asked.written(&said)).await;
        }
    }
    blocking(move || Ok(asked.quoted())).await
}

/// Others are not to wait for it.
async fn blocking<T: Send + 'static>(task: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(task).await.unwrap_or_else(|_| Err(Error::new("serve-engine-lost")))
}

/// Where a page shows a passage in its document.
pub(crate) fn url(passage: &Passage) -> String {
    format!("/documents/{}?from={}&to={}#here", passage.document, passage.start, passage.end)
}

fn shown(answer: &Answer) -> Value {
    let citations = answer.citations.iter().map(|citation| {
        let passage = &citation.found.passage;
        let mut shown = json!(citation);
        shown["url"] = url(passage).into();
        shown
    });
    let mut shown = json!(answer);
    shown["object"] = "answer".into();
    shown["citations"] = citations.collect();
    shown
}
