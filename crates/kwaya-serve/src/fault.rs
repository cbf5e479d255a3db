//! What went wrong with a request, as HTTP says it and as clients of OpenAI
//! expect it.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use kwaya_base::Error;
use serde_json::json;

/// A request that is not answered.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    code: &'static str,
    error: Error,
}

/// The status of each mistake, and the code that programs know it by. All
/// others are the server's own.
const KNOWN: [(&str, StatusCode, &str); 33] = [
    ("ask-question-empty", StatusCode::BAD_REQUEST, "invalid_value"),
    ("ask-question-long", StatusCode::BAD_REQUEST, "invalid_value"),
    ("chat-template", StatusCode::BAD_REQUEST, "invalid_messages"),
    ("form-without-end", StatusCode::BAD_REQUEST, "unsupported_parameter"),
    ("form-wrong", StatusCode::BAD_REQUEST, "invalid_schema"),
    ("prompt-failed", StatusCode::BAD_REQUEST, "invalid_prompt"),
    ("serve-body-large", StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
    ("serve-body-lost", StatusCode::BAD_REQUEST, "incomplete_request"),
    ("serve-body-slow", StatusCode::REQUEST_TIMEOUT, "request_timeout"),
    ("serve-content-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
    ("serve-context", StatusCode::BAD_REQUEST, "context_length_exceeded"),
    ("serve-document", StatusCode::NOT_FOUND, "document_not_found"),
    ("serve-documents-making", StatusCode::SERVICE_UNAVAILABLE, "documents_not_ready"),
    ("serve-form", StatusCode::BAD_REQUEST, "invalid_form"),
    ("serve-host", StatusCode::FORBIDDEN, "host_not_allowed"),
    ("serve-json", StatusCode::BAD_REQUEST, "invalid_json"),
    ("serve-mark", StatusCode::FORBIDDEN, "missing_csrf_token"),
    ("serve-method", StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
    ("serve-missing", StatusCode::BAD_REQUEST, "missing_required_parameter"),
    ("serve-model-changed", StatusCode::SERVICE_UNAVAILABLE, "model_changed"),
    ("serve-model-unknown", StatusCode::NOT_FOUND, "model_not_found"),
    ("serve-no-classifier", StatusCode::NOT_FOUND, "classifier_not_found"),
    ("serve-no-documents", StatusCode::NOT_FOUND, "documents_not_found"),
    ("serve-path", StatusCode::NOT_FOUND, "not_found"),
    ("serve-queue-full", StatusCode::TOO_MANY_REQUESTS, "queue_full"),
    ("serve-rate", StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
    ("serve-role", StatusCode::FORBIDDEN, "insufficient_role"),
    ("serve-stopping", StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    ("serve-token-missing", StatusCode::UNAUTHORIZED, "missing_api_key"),
    ("serve-token-wrong", StatusCode::UNAUTHORIZED, "invalid_api_key"),
    ("serve-tools", StatusCode::BAD_REQUEST, "unsupported_parameter"),
    ("serve-unsupported", StatusCode::BAD_REQUEST, "unsupported_parameter"),
    ("serve-value", StatusCode::BAD_REQUEST, "invalid_value"),
];

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let known = KNOWN.iter().find(|(key, ..)| *key == error.key());
        let (_, status, code) = known.copied().unwrap_or(("", StatusCode::INTERNAL_SERVER_ERROR, "internal_error"));
        Self { status, code, error }
    }
}

impl Fault {
    /// As JSON in the shape of OpenAI.
    pub(crate) fn json(&self) -> serde_json::Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        };
        // What broke inside is for the log; it may name files.
        let own = self.status == StatusCode::INTERNAL_SERVER_ERROR;
        let told = if own { Error::new("serve-internal") } else { again(&self.error) };
        let remedy = told.remedy().map_or_else(String::new, |remedy| format!(". {remedy}"));
        let param = self.error.args().iter().find(|(name, _)| *name == "param").map(|(_, value)| value);
        json!({ "error": { "message": format!("{told}{remedy}"), "type": kind, "param": param, "code": self.code } })
    }
}

/// Errors cannot be cloned; what people see of them can.
pub(crate) fn again(error: &Error) -> Error {
    error.args().iter().fold(Error::new(error.key()), |again, (name, value)| again.arg(name, value))
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.json().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response.extensions_mut().insert(Cause(Arc::new(self.error)));
        response
    }
}

/// Why a request was not answered, for the log and for pages.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) Arc<Error>);
