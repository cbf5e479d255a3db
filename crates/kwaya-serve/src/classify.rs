//! The labels that a classifier gives to texts, where one is served beside the
//! model.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::Response,
    routing::post,
};
use kwaya_base::{Error, Result, Silent};
use kwaya_recipe::classifier::Classifier;
use serde_json::{Map, Value, json};

use crate::{
    fault::Fault,
    fields::{self, Fields},
    service::{JSON, Service, reply},
};

/// Texts of one request.
const TEXTS_MAX: usize = 256;
/// Words that are said to have spoken for an answer.
pub(crate) const WORDS: usize = 8;

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/v1/classify", post(classify))
}

async fn classify(State(service): State<Arc<Service>>, request: Request) -> Result<Response<Body>, Fault> {
    let body = service.body(request, JSON).await?;
    // A language model takes long, and threads for requests are few: it gets one.
    let turn = match service.classifier {
        Some(Classifier::Taught(_)) => Some(Arc::clone(&service.classifying).lock_owned().await),
        _ => None,
    };
    let task = move || {
        let _turn = turn;
        let classifier = service.classifier.as_ref().ok_or_else(|| Error::new("serve-no-classifier"))?;
        answer(classifier, &fields::parse(&body)?)
    };
    let answer = tokio::task::spawn_blocking(task).await.unwrap_or_else(|_| Err(Error::new("serve-engine-lost")))?;
    Ok(reply(&answer))
}

fn answer(classifier: &Classifier, body: &Value) -> Result<Value> {
    let fields = Fields::of(body, "")?;
    let wrong = || fields::wrong("input", format!("a text, or 1 to {TEXTS_MAX} texts"));
    let texts: Vec<&str> = match fields.need("input")? {
        Value::String(text) => vec![text],
        Value::Array(texts) if (1..=TEXTS_MAX).contains(&texts.len()) => {
            texts.iter().map(|text| text.as_str().ok_or_else(wrong)).collect::<Result<_>>()?
        }
        _ => return Err(wrong()),
    };
    let (explain, labels) = (fields.flag("explain")?, classifier.labels());
    let rows: Vec<Vec<String>> = texts.into_iter().map(|text| classifier.row(text)).collect();
    let answers = classifier.answers(&rows, &Silent)?;
    let data = rows.iter().zip(answers).enumerate().map(|(index, (row, answer))| {
        let likely = labels.iter().cloned().zip(answer.probabilities.iter().map(|p| json!(p)));
        let mut found = json!({
            "index": index, "label": labels[answer.label], "probability": answer.probabilities[answer.label],
            "unsure": !answer.sure, "probabilities": likely.collect::<Map<_, _>>(),
        });
        if explain {
            found["because"] = json!(classifier.because(row, answer.label, WORDS));
        }
        found
    });
    Ok(json!({ "object": "list", "data": data.collect::<Vec<_>>() }))
}
