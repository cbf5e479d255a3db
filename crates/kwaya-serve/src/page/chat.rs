//! The room to try the model in. A form is enough to talk with it: the page
//! comes as the answer is written, and carries all that was said to the next.
//! A script, where there is one, asks the API instead and stays on the page.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Request, State},
    http::Response,
};
use futures_util::stream;
use kwaya_base::{Error, Result};
use minijinja::{Value, context};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{
    Visit,
    template::{self, plain},
};
use crate::{
    answer::Event,
    api::{self, Waiting},
    chance,
    fault::Fault,
    request::Way,
    service::{Service, User, text},
};

/// What was said, and by whom.
#[derive(Clone, Serialize)]
struct Turn {
    role: &'static str,
    content: String,
}

/// One of the ways to try the model.
#[derive(Serialize)]
struct Choice {
    path: &'static str,
    name: &'static str,
    here: bool,
}

/// The head of the room, from which one comes to the other ways.
pub(super) fn ways(service: &Service, visit: &Visit, here: &str) -> Result<String> {
    let has_documents = !matches!(service.documents.get(), Err(error) if error.key() == "serve-no-documents");
    let ways = [
        ("/try", "try-chat", true),
        ("/try/ask", "try-ask", has_documents),
        ("/try/classify", "try-classify", service.classifier.is_some()),
    ];
    let ways = ways.into_iter().filter(|(.., is_there)| *is_there);
    let ways: Vec<Choice> = ways.map(|(path, name, _)| Choice { path, name, here: path == here }).collect();
    template::render(visit.language, "ways.html", context! { ways => plain(ways) })
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    let main = said(&service, &visit, &[], None)? + &form(&visit, &[], "")?;
    Ok(text("text/html; charset=utf-8", page(&service, &visit, &main)?))
}

fn page(service: &Service, visit: &Visit, main: &str) -> Result<String> {
    visit.frame(service, &visit.language.text("try-chat", &[]), main, true)
}

/// What was said; with `split`, a mark where the answer is to come.
fn said(service: &Service, visit: &Visit, turns: &[Turn], split: Option<&str>) -> Result<String> {
    let page = context! {
        model => &service.name, csrf => &visit.csrf, turns => plain(turns), answering => split.is_some(),
        split => split.map(|split| Value::from_safe_string(split.to_owned())),
    };
    Ok(ways(service, visit, "/try")? + &template::render(visit.language, "chat.html", page)?)
}

/// The form for what is said next.
fn form(visit: &Visit, turns: &[Turn], note: &str) -> Result<String> {
    template::render(visit.language, "chat_form.html", context! { csrf => &visit.csrf, turns => plain(turns), note })
}

pub(super) async fn answer(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
    Extension(user): Extension<User>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let filled = visit.form(&service, request).await?;
    let turn = |(role, content): &(String, String)| {
        let role = ["user", "assistant"].into_iter().find(|known| known == role)?;
        Some(Turn { role, content: content.clone() })
    };
    let mut turns: Vec<Turn> = filled.0.iter().filter_map(turn).collect();
    let message = filled.get("message").unwrap_or_default().trim().replace("\r\n", "\n");
    if message.is_empty() {
        return Err(Error::new("serve-form").into());
    }
    turns.push(Turn { role: "user", content: message });
    let body = json!({ "model": service.name, "messages": turns }).to_string();
    let (_, waiting) = api::begin(Way::Chat, &service, &user.0, Bytes::from(body)).await?;
    // Marks that nothing in the page can be.
    let [here, end] = [(); 2].map(|()| format!("<!--{}-->", chance::name()));
    let main = said(&service, &visit, &turns, Some(&here))? + &end;
    let whole = page(&service, &visit, &main)?;
    let parts = whole.split_once(&here).and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
    let (before, (between, after)) = parts.ok_or_else(|| Error::new("report-failed").arg("cause", "split"))?;
    let deadline = Instant::now() + service.settings.answer_time;
    let [between, after] = [between, after].map(str::to_owned);
    let coming = Coming {
        before: Some(before.to_owned()),
        between,
        after,
        visit,
        turns,
        written: String::new(),
        waiting,
        deadline,
        over: false,
    };
    let pieces = stream::unfold(coming, |mut coming| async move {
        let piece = coming.next().await?;
        Some((Ok::<_, Infallible>(piece), coming))
    });
    Ok(text("text/html; charset=utf-8", Body::from_stream(pieces)))
}

/// A page on its way, with an answer in its middle.
struct Coming {
    before: Option<String>,
    between: String,
    after: String,
    visit: Visit,
    turns: Vec<Turn>,
    written: String,
    waiting: Waiting,
    deadline: Instant,
    over: bool,
}

impl Coming {
    /// The next piece of the page, as HTML.
    async fn next(&mut self) -> Option<String> {
        if let Some(before) = self.before.take() {
            return Some(before);
        }
        while !self.over {
            match timeout_at(self.deadline, self.waiting.next()).await {
                Ok(Some((_, Event::Piece(piece)))) => {
                    // A first word often has a blank before it.
                    let text = if self.written.is_empty() { piece.text.trim_start() } else { &piece.text };
                    if !text.is_empty() {
                        self.written += text;
                        return Some(template::escape(text));
                    }
                }
                Ok(Some((_, Event::End(end)))) => return Some(self.end(if end.cut { "chat-cut" } else { "" })),
                _ => return Some(self.end("chat-failed")),
            }
        }
        None
    }

    /// The rest of the page: the form carries what was said.
    fn end(&mut self, note: &str) -> String {
        self.over = true;
        self.waiting.end();
        let content = std::mem::take(&mut self.written);
        self.turns.push(Turn { role: "assistant", content });
        // It was filled before, in other words; half a page is better than none.
        let form = form(&self.visit, &self.turns, note).unwrap_or_default();
        format!("{}{form}{}", self.between, self.after)
    }
}
