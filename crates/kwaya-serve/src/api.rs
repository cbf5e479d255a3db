//! The routes that clients of OpenAI know: request in, engine asked, answer
//! out.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{Path, Request as HttpRequest, State},
    http::Response,
    response::IntoResponse,
    routing::{get, post},
};
use futures_util::stream;
use kwaya_base::{Error, Result};
use kwaya_recipe::text_model::TextModel;
use kwaya_text::chat::Message;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    answer::{Event, Job, Sender, Writing},
    chance,
    engine::Refusal,
    fault::Fault,
    fields::{self, Fields},
    log,
    reply::{self, Events, Head, Stream},
    request::{Bounds, Embedding, Request, Way},
    service::{JSON, Service, User, reply, text},
};

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(complete))
        .route("/v1/embeddings", post(embed))
}

impl Service {
    fn model_card(&self) -> Value {
        json!({ "id": self.name, "object": "model", "created": self.started, "owned_by": "kwaya" })
    }

    pub(crate) fn is_model(&self, name: &str) -> Result<()> {
        if name == self.name {
            return Ok(());
        }
        let name: String = name.chars().take(80).collect();
        Err(Error::new("serve-model-unknown").arg("name", name).arg("known", &self.name).arg("param", "model"))
    }
}

async fn models(State(service): State<Arc<Service>>) -> Response<Body> {
    reply(&json!({ "object": "list", "data": [service.model_card()] }))
}

async fn model(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    service.is_model(&id)?;
    Ok(reply(&service.model_card()))
}

async fn chat(
    State(service): State<Arc<Service>>,
    Extension(user): Extension<User>,
    request: HttpRequest,
) -> Result<Response<Body>, Fault> {
    answer(Way::Chat, service, &user.0, request).await
}

async fn complete(
    State(service): State<Arc<Service>>,
    Extension(user): Extension<User>,
    request: HttpRequest,
) -> Result<Response<Body>, Fault> {
    answer(Way::Text, service, &user.0, request).await
}

/// Understands a request and lets its answers wait for their turn.
pub(crate) async fn begin(way: Way, service: &Arc<Service>, user: &str, body: Bytes) -> Result<(Request, Waiting)> {
    let begun = Instant::now();
    let read = move |body: &_, model: &_, bounds| Request::read(way, body, model, bounds);
    let mut request = understood(service, body, read).await?;
    let answers = std::mem::take(&mut request.answers).into_iter();
    let events = ask(service, user, answers.map(|(prompt, writing)| (prompt, Some(writing))))?;
    Ok((request, Waiting { service: Arc::clone(service), begun, events, first: true, over: false }))
}

async fn answer(way: Way, service: Arc<Service>, user: &str, request: HttpRequest) -> Result<Response<Body>, Fault> {
    let body = service.body(request, JSON).await?;
    let (request, mut waiting) = begin(way, &service, user, body).await?;
    let head = Head {
        way,
        id: format!("{}-{}", if way == Way::Chat { "chatcmpl" } else { "cmpl" }, chance::name()),
        model: service.name.clone(),
        created: log::now(),
    };
    let stream = request.stream.then(|| Stream::new(head.clone(), &request));
    let Some(stream) = stream else {
        let whole = reply::whole(&head, &request, &service.model, &mut waiting);
        let whole = tokio::time::timeout(service.settings.answer_time, whole).await;
        waiting.over = whole.is_ok();
        return Ok(reply(&whole.map_err(|_| too_slow(&service))??));
    };
    let begin = stream.begin();
    let deadline = tokio::time::Instant::now() + service.settings.answer_time;
    let pieces = stream::unfold((begin, stream, waiting), move |(begin, mut stream, mut waiting)| async move {
        if !begin.is_empty() {
            return Some((Ok::<_, Infallible>(begin), (String::new(), stream, waiting)));
        }
        if stream.is_over() {
            return None;
        }
        let sent = match tokio::time::timeout_at(deadline, waiting.next()).await {
            Err(_) => stream.failed(too_slow(&waiting.service)),
            Ok(None) => stream.failed(Error::new("serve-engine-lost")),
            Ok(Some((at, event))) => {
                let mut sent = stream.event(&waiting.service.model, at, event);
                // What is there already goes out in one piece.
                while !stream.is_over()
                    && let Ok((at, event)) = waiting.events.try_recv()
                {
                    sent += &stream.event(&waiting.service.model, at, event);
                }
                sent
            }
        };
        waiting.over = stream.is_over();
        Some((Ok(sent), (String::new(), stream, waiting)))
    });
    Ok(text("text/event-stream; charset=utf-8", Body::from_stream(pieces)).into_response())
}

/// What the model makes of texts: vectors, of which those of texts that are
/// alike point the same way.
async fn embed(
    State(service): State<Arc<Service>>,
    Extension(user): Extension<User>,
    request: HttpRequest,
) -> Result<Response<Body>, Fault> {
    let begun = Instant::now();
    let body = service.body(request, JSON).await?;
    let request = understood(&service, body, Embedding::read).await?;
    let count = request.texts.len();
    let events = ask(&service, &user.0, request.texts.into_iter().map(|text| (text, None)))?;
    let mut waiting = Waiting { service: Arc::clone(&service), begun, events, first: true, over: false };
    let states = tokio::time::timeout(service.settings.answer_time, reply::states(count, &mut waiting)).await;
    waiting.over = states.is_ok();
    let states = states.map_err(|_| too_slow(&service))??;
    Ok(reply(&reply::embeddings(&service.name, &states, request.base64, request.tokens)))
}

pub(crate) fn too_slow(service: &Service) -> Error {
    Error::new("serve-answer-slow").arg("seconds", service.settings.answer_time.as_secs())
}

/// The likeliest answer of the model to a chat, whole.
pub(crate) async fn say(
    service: &Arc<Service>,
    user: &str,
    messages: Vec<Message>,
    tokens_max: usize,
) -> Result<String> {
    let begun = Instant::now();
    let model = Arc::clone(&service.model);
    let task = move || model.chat_prompt(&messages);
    let task = tokio::task::spawn_blocking(task).await.unwrap_or_else(|_| Err(Error::new("serve-engine-lost")));
    let (prompt, end) = task?;
    let events = ask(service, user, [(prompt, Some(Writing::likeliest(tokens_max, end)))].into_iter())?;
    let mut waiting = Waiting { service: Arc::clone(service), begun, events, first: true, over: false };
    let said = async {
        let mut said = String::new();
        loop {
            match waiting.next().await {
                Some((_, Event::Piece(piece))) => said += &piece.text,
                Some((_, Event::End(_))) => return Ok(said),
                Some((_, Event::Failed(error))) => return Err(error),
                _ => return Err(Error::new("serve-engine-lost")),
            }
        }
    };
    let said = tokio::time::timeout(service.settings.answer_time, said).await;
    waiting.over = said.is_ok();
    said.map_err(|_| too_slow(service))?
}

/// Making tokens of a long text takes its time, which others are not to wait
/// for.
async fn understood<T: Send + 'static>(
    service: &Arc<Service>,
    body: Bytes,
    read: impl FnOnce(&Value, &TextModel, Bounds) -> Result<T> + Send + 'static,
) -> Result<T> {
    let service = Arc::clone(service);
    let task = move || {
        let body = fields::parse(&body)?;
        let fields = Fields::of(&body, "")?;
        let named = fields.need("model")?.as_str().ok_or_else(|| fields::wrong("model", "a text"))?;
        service.is_model(named)?;
        let seed = chance::number();
        let bounds = Bounds { context: service.engine.context, tokens: service.settings.tokens, seed };
        read(&body, &service.model, bounds)
    };
    tokio::task::spawn_blocking(task).await.unwrap_or_else(|_| Err(Error::new("serve-engine-lost")))
}

/// Lets the answers of a request wait for their turn.
fn ask(service: &Service, user: &str, jobs: impl Iterator<Item = (Vec<u32>, Option<Writing>)>) -> Result<Events> {
    let (to, events) = mpsc::unbounded_channel();
    for (index, (prompt, writing)) in jobs.enumerate() {
        let job = Job { prompt, writing, events: Sender { index, to: to.clone() } };
        service.engine.submit(user, job).map_err(|refusal| match refusal {
            Refusal::Full => Error::new("serve-queue-full").arg("places", service.settings.queue),
            Refusal::Stopping => Error::new("serve-stopping"),
        })?;
    }
    Ok(events)
}

/// Waits for the events of answers, and counts what becomes of it.
pub(crate) struct Waiting {
    service: Arc<Service>,
    begun: Instant,
    events: Events,
    first: bool,
    over: bool,
}

impl Waiting {
    pub(crate) async fn next(&mut self) -> Option<(usize, Event)> {
        let event = self.events.recv().await;
        if self.first && matches!(event, Some((_, Event::Piece(_) | Event::State(_)))) {
            self.first = false;
            self.service.metrics.first_token(self.begun.elapsed());
        }
        event
    }

    /// Says that all that was waited for has come.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.over {
            self.service.metrics.gone.fetch_add(1, Ordering::Relaxed);
        }
    }
}
