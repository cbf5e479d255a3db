//! Questions about the documents of the build that is served, for programs and
//! for the page.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, atomic::Ordering},
    thread::{self, JoinHandle},
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::Response,
    routing::post,
};
use kwaya_ask::{Answer, Finder, Library, Passage};
use kwaya_base::{Error, Progress, Result, Unit, error::At, say};
use kwaya_recipe::text_model::TextModel;
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
    near: Near,
    shelf: RwLock<Shelf>,
    /// What decides which documents there are, as it was.
    files: Mutex<Files>,
    /// Who makes them ready.
    maker: Mutex<Option<JoinHandle<()>>>,
}

/// What finds passages beside their words.
enum Near {
    None,
    /// The model that was named before is not in this place any more.
    Gone(PathBuf),
    Model(Arc<TextModel>, PathBuf),
}

struct Shelf {
    /// How often the documents were begun with; whoever makes ready what has
    /// changed since puts nothing here.
    turn: u64,
    stage: Stage,
}

enum Stage {
    /// The index is opened, or made first.
    Making,
    Ready(Library, Vectors),
    Failed(Error),
}

/// What has become of the vectors. Meanwhile passages are found by their words.
#[derive(Clone, Copy)]
enum Vectors {
    None,
    Making,
    Ready,
    Failed,
}

/// What finds the passages of the build in the folder that is served, as the
/// settings name it.
///
/// # Errors
/// When there is no such model, and when there are no documents to be found.
pub(crate) fn finder(served: &Path, named: Option<&str>) -> Result<Finder> {
    if has_documents(served) {
        return Finder::of(served, named);
    }
    match named {
        None | Some(Finder::OFF) => Ok(Finder::Words),
        Some(_) => Err(Error::usage("serve-vectors-alone").path(served)),
    }
}

/// A model that was put somewhere else has left its documents behind.
fn has_documents(served: &Path) -> bool {
    served.join(CORPUS).exists()
}

impl Documents {
    /// Those of the build in the folder that is `served`, if it is one, with the
    /// `model` that is served from `place`: often it is the one to find by, too.
    ///
    /// # Errors
    /// When the model to find by cannot be loaded.
    pub(crate) fn of(
        served: &Path,
        finder: Finder,
        (place, model): (&Path, &Arc<TextModel>),
        threads: usize,
    ) -> Result<Self> {
        let near = match finder {
            Finder::Words => Near::None,
            Finder::Gone(gone) => Near::Gone(gone),
            Finder::Model(of) if of.canonicalize().at(&of)? == place.canonicalize().at(place)? => {
                Near::Model(Arc::clone(model), of)
            }
            Finder::Model(of) => {
                let mut model = TextModel::load(&of, threads)?;
                model.let_go_of_files();
                Near::Model(Arc::new(model), of)
            }
        };
        let shelf = RwLock::new(Shelf { turn: 0, stage: Stage::Making });
        let files = Mutex::new(Files::these(Vec::new()));
        let folder = has_documents(served).then(|| served.to_owned());
        Ok(Self { folder, near, shelf, files, maker: Mutex::new(None) })
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
        match &self.shelf().stage {
            Stage::Making => Err(Error::new("serve-documents-making")),
            Stage::Ready(library, _) => Ok(library.clone()),
            Stage::Failed(error) => Err(again(error)),
        }
    }

    /// How far the documents and their vectors are, in a word each.
    pub(crate) fn stages(&self) -> (&'static str, &'static str) {
        let vectors = match self.near {
            Near::Model(..) => "making",
            Near::None | Near::Gone(_) => "none",
        };
        match &self.shelf().stage {
            _ if self.folder.is_none() => ("none", "none"),
            Stage::Making => ("making", vectors),
            Stage::Failed(_) => ("failed", "none"),
            Stage::Ready(_, Vectors::None) => ("ready", "none"),
            Stage::Ready(_, Vectors::Making) => ("ready", "making"),
            Stage::Ready(_, Vectors::Ready) => ("ready", "ready"),
            Stage::Ready(_, Vectors::Failed) => ("ready", "failed"),
        }
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().expect("nobody panics holding this")
    }

    /// Begins with the documents again: nothing is shown meanwhile.
    fn begin(&self) -> u64 {
        let mut shelf = self.shelf.write().expect("nobody panics holding this");
        *shelf = Shelf { turn: shelf.turn + 1, stage: Stage::Making };
        shelf.turn
    }

    fn set(&self, turn: u64, stage: Stage) {
        let mut shelf = self.shelf.write().expect("nobody panics holding this");
        if shelf.turn == turn {
            shelf.stage = stage;
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("nobody panics holding this")
    }

    fn have_changed(&self) -> bool {
        let making = matches!(self.shelf().stage, Stage::Making);
        self.folder.is_some() && !making && self.files().have_changed()
    }
}

/// Makes the documents ready, on a thread of their own.
pub(crate) fn open(service: &Arc<Service>) {
    let Some(folder) = service.documents.folder.clone() else { return };
    let (shared, turn) = (Arc::clone(service), service.documents.begin());
    let mut maker = service.documents.maker.lock().expect("nobody panics holding this");
    let before = maker.take();
    *maker = Some(thread::spawn(move || {
        // It stops soon, and would write where this one clears away.
        let _ = before.map(JoinHandle::join);
        let documents = &shared.documents;
        // Before they are read, so that no change is missed.
        *documents.files() = Files::these(vec![folder.join(CORPUS), folder.join(WITHDRAWN)]);
        let watched = Watched { service: &shared, turn };
        match Library::open(&folder, &watched) {
            Ok(library) => {
                log("info", "documents-ready", json!({ "passages": library.passages() }));
                find_by_vectors(&folder, library, &watched);
            }
            Err(error) => {
                failed("documents-failed", &error);
                documents.set(turn, Stage::Failed(error));
            }
        }
    }));
}

/// Puts the documents up to be found by their words, then by their vectors too.
fn find_by_vectors(folder: &Path, library: Library, watched: &Watched<'_>) {
    let documents = &watched.service.documents;
    let set = |library, vectors| documents.set(watched.turn, Stage::Ready(library, vectors));
    match &documents.near {
        Near::None => set(library, Vectors::None),
        Near::Gone(place) => {
            log("warning", "vectors-gone", json!({ "words": say!("ask-vectors-gone", path = place.display()) }));
            set(library, Vectors::None);
        }
        Near::Model(model, place) => {
            set(library.clone(), Vectors::Making);
            let made = library.clone().with_vectors(Arc::clone(model), watched);
            match made.and_then(|found| Finder::note(folder, place).map(|()| found)) {
                Ok(found) => {
                    log("info", "vectors-ready", json!({ "bytes": found.vector_bytes() }));
                    set(found, Vectors::Ready);
                }
                // The server stops, or other documents are made ready.
                Err(_) if watched.stopped() => {}
                Err(error) => {
                    failed("vectors-failed", &error);
                    set(library, Vectors::Failed);
                }
            }
        }
    }
}

fn failed(event: &str, error: &Error) {
    log("error", event, json!({ "cause": error.key(), "words": error.to_string() }));
}

/// Makes them ready again where there was another build, or some were taken back:
/// what was taken back is not shown meanwhile.
pub(crate) fn renew(service: &Arc<Service>) {
    if service.documents.have_changed() {
        open(service);
    }
}

/// Stops when the server does, and when the documents are begun with again.
struct Watched<'s> {
    service: &'s Service,
    turn: u64,
}

impl Progress for Watched<'_> {
    fn begin(&self, key: &'static str, total: u64, _: Unit) {
        log("info", "documents-indexing", json!({ "phase": key, "documents": total }));
    }

    fn at(&self, _: u64) {}

    fn stopped(&self) -> bool {
        self.service.stopping.load(Ordering::Relaxed) || self.service.documents.shelf().turn != self.turn
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
