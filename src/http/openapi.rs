//! The OpenAPI documents, made from the routes and the types that are answered with.

use crate::http::problem::Problem;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa::openapi::OpenApi as Document;
use utoipa::{IntoResponses, OpenApi, ToSchema};

/// What the local API's document says beside its paths.
#[derive(OpenApi)]
#[openapi(info(
    title = "clearinghouse: the local API of a node",
    description = "For programs on the same machine: the `Host` must be a loopback name, and requests of web pages are refused. It \
        is asked for grid ids and never for caps. Where it listens stands in `api.json` of the data directory, unless the \
        settings name a port.\n\nTimes are whole seconds since 1970 (`…_unix_seconds`), prices and amounts are strings of digits \
        in minor units of their asset (10^−`scale` of it). Errors are RFC 9457 problems; `code` is the name of the exit code that \
        `clearinghouse` ends with.",
))]
pub(super) struct LocalDocument;

/// What any path of the local API may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "says what the middleware and the parsing of queries answer; never made")]
pub(super) enum LocalProblems {
    /// The query or the body is malformed.
    #[response(status = 400, content_type = "application/problem+json", example = json!({
        "status": 400, "title": "Bad Request", "detail": "grid: a public key begins with `pub-v0-`", "code": "malformed",
    }))]
    Malformed(#[to_schema] Problem),
    /// The request is not from a program on this machine.
    #[response(status = 403, content_type = "application/problem+json")]
    Refused(#[to_schema] Problem),
    /// This path takes another method: the one in `Allow`.
    #[response(status = 405, content_type = "application/problem+json")]
    Method(#[to_schema] Problem),
    /// Too many requests are being worked on, or the node is stopping, or nobody could be reached.
    #[response(status = 503, content_type = "application/problem+json")]
    Unreachable(#[to_schema] Problem),
}

/// A body of text.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a name for the document")]
pub(super) struct Text(String);

/// A document as it is served.
#[derive(Debug, Clone)]
pub(super) struct DocumentBody(Arc<str>);

/// The served form of `api`.
pub(super) fn document(api: &Document) -> DocumentBody {
    DocumentBody(api.to_pretty_json().expect("a document is plain JSON").into())
}

impl IntoResponse for DocumentBody {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0.to_string()).into_response()
    }
}
