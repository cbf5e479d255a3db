//! Questions about the documents of the build that is served, for programs and
//! for the page.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, RwLock, atomic::Ordering},
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::Response,
    routing::post,
};
use kwaya_ask::{Answer, Library, Passage};
use kwaya_base::{Error, Progress, Result, Unit};
use kwaya_text::withdrawn::WITHDRAWN;
use serde_json::{Value, json};

use crate::{
    api,
    fault::{Fault, again},
    fields::{self, Fields, wrong},
    log::log,
    service::{JSON, Service, User, reply},
    watch::Files,
};

/// In the folder of a recipe.
const CORPUS: &str = "build/corpus/documents.parquet";

/// Passages that an answer is made from, where nobody says, and at the most.
pub(crate) const COUNT: usize = 5;
const COUNT_MAX: i64 = 20;

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/v1/ask", post(ask))
}

/// The documents of a build, which take a while to be ready, and again when
/// they have changed.
pub(crate) struct Documents {
    /// The folder of the recipe; `None` where a model alone is served.
    folder: Option<PathBuf>,
    shelf: RwLock<Shelf>,
    /// What decides which documents there are, as it was.
    files: Mutex<Files>,
}

enum Shelf {
    /// The index is opened, or made first.
    Making,
    Ready(Library),
    Failed(Error),
}

impl Documents {
    /// Those of the build in the folder that is served, if it is one.
    pub(crate) fn of(named: &Path) -> Self {
        // A model that was put somewhere else has left its documents behind.
        let folder = named.join(CORPUS).exists().then(|| named.to_owned());
        Self { folder, shelf: RwLock::new(Shelf::Making), files: Mutex::new(Files::these(Vec::new())) }
    }

    /// The documents, once they are ready.
    ///
    /// # Errors
    /// `serve-no-documents` where there are none, `serve-documents-making`, and
    /// what kept them from being ready.
    pub(crate) fn get(&self) -> Result<Library> {
        if self.folder.is_none() {
            return Err(Error::new("serve-no-documents"));
        }
        match &*self.shelf.read().expect("nobody panics holding this") {
            Shelf::Making => Err(Error::new("serve-documents-making")),
            Shelf::Ready(library) => Ok(library.clone()),
            Shelf::Failed(error) => Err(again(error)),
        }
    }

    fn set(&self, shelf: Shelf) {
        *self.shelf.write().expect("nobody panics holding this") = shelf;
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("nobody panics holding this")
    }

    fn have_changed(&self) -> bool {
        let making = matches!(&*self.shelf.read().expect("nobody panics holding this"), Shelf::Making);
        self.folder.is_some() && !making && self.files().have_changed()
    }
}

/// Makes the documents ready, on a thread of their own.
pub(crate) fn open(service: &Arc<Service>) {
    let Some(folder) = service.documents.folder.clone() else { return };
    let service = Arc::clone(service);
    std::thread::spawn(move || {
        // Before they are read, so that no change is missed.
        *service.documents.files() = Files::these(vec![folder.join(CORPUS), folder.join(WITHDRAWN)]);
        match Library::open(&folder, &Watched(&service)) {
            Ok(library) => {
                log("info", "documents-ready", json!({ "passages": library.passages() }));
                service.documents.set(Shelf::Ready(library));
            }
            Err(error) => {
                log("error", "documents-failed", json!({ "cause": error.key(), "words": error.to_string() }));
                service.documents.set(Shelf::Failed(error));
            }
        }
    });
}

/// Makes them ready again where there was another build, or some were taken back:
/// what was taken back is not shown meanwhile.
pub(crate) fn renew(service: &Arc<Service>) {
    if service.documents.have_changed() {
        service.documents.set(Shelf::Making);
        open(service);
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
