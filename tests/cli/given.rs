//! Answers of the gateways that are made for tests.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};

/// JSON: what was asked for, or a problem.
pub(crate) fn given(status: StatusCode, json: &serde_json::Value) -> Response<Full<Bytes>> {
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let response = Response::builder().status(status).header("content-type", kind);
    response.body(Full::new(json.to_string().into())).unwrap()
}

/// A problem of this kind.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Response<Full<Bytes>> {
    given(status, &serde_json::json!({"status": status.as_u16(), "code": code, "detail": detail}))
}
