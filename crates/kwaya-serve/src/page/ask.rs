//! Questions that the documents answer, each statement with the passage that it
//! rests on.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::Response,
};
use kwaya_ask::{Answer, Citation};
use kwaya_base::{Error, Result};
use minijinja::{Value, context};

use super::{
    Visit,
    chat::ways,
    template::{self, plain},
};
use crate::{
    ask,
    fault::Fault,
    service::{Service, User},
};

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response<Body>, Fault> {
    // Where there are no documents there is no such room.
    match service.documents.get() {
        Err(error) if error.key() == "serve-no-documents" => Err(Error::new("serve-path").into()),
        _ => Ok(page(&service, &visit, None, "")?),
    }
}

pub(super) async fn answer(
    State(service): State<Arc<Service>>,
    Extension(visit): Extension<Visit>,
    Extension(user): Extension<User>,
    request: Request,
) -> Result<Response<Body>, Fault> {
    let form = visit.form(&service, request).await?;
    let question = form.get("question").unwrap_or_default().trim();
    let answer = ask::answer(&service, &user.0, question, ask::COUNT, false).await?;
    Ok(page(&service, &visit, Some(&answer), question)?)
}

fn page(service: &Service, visit: &Visit, answer: Option<&Answer>, written: &str) -> Result<Response<Body>> {
    let passages = answer.map(|answer| answer.citations.iter().map(passage).collect::<Vec<_>>());
    let page = context! { csrf => &visit.csrf, answer => plain(answer), passages, written };
    let main = ways(service, visit, "/try/ask")? + &template::render(visit.language, "ask.html", page)?;
    Ok(visit.page(service, &visit.language.text("try-ask", &[]), &main))
}

fn passage(citation: &Citation) -> Value {
    let passage = &citation.found.passage;
    context! {
        number => citation.number,
        url => ask::url(passage),
        source => &passage.source,
        language => &passage.language,
        text => passage.text.trim(),
    }
}
