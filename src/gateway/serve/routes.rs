//! The paths.

use crate::clearing::{MAX_SHOWN_BYTES, MAX_VOUCHER_BYTES};
use crate::gateway::serve::access::caller;
use crate::gateway::serve::clearing;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::files;
use crate::gateway::serve::lanes;
use crate::gateway::serve::quotes;
use crate::gateway::serve::records;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::session;
use crate::gateway::serve::shared::Shared;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

/// All paths. Specification: `docs/spec/gateway.md`.
pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/gateway", get(session::greeting))
        .route("/v1/session", post(session::open).layer(DefaultBodyLimit::max(session::MAX_BODY_BYTES)))
        .route("/v1/grids/{grid}", get(records::read))
        .route("/v1/grids/{grid}/manifest/{cap}", get(files::manifest))
        .route("/v1/grids/{grid}/ciphertext/{cap}", get(files::ciphertext))
        .route("/v1/grids/{grid}/quote/{cap}", get(quotes::quote))
        .route("/v1/lanes/offer", post(lanes::offer))
        .route("/v1/lanes/shown", post(lanes::shown).layer(DefaultBodyLimit::max(MAX_SHOWN_BYTES)))
        .route("/v1/lanes", post(lanes::open))
        .route("/v1/lanes/{lane}", get(lanes::standing).delete(lanes::close))
        .route("/v1/lanes/{lane}/vouchers", post(lanes::voucher).layer(DefaultBodyLimit::max(MAX_VOUCHER_BYTES)))
        .route("/v1/terms", post(lanes::terms))
        .merge(clearing::paths())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(lanes::MAX_BODY_BYTES))
        .layer(from_fn_with_state(shared.clone(), finish))
        .with_state(shared)
}

/// Counts each answer, and sees to it that nobody keeps one that is not his to keep.
async fn finish(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    shared.metrics.request("gateway", response.status().as_u16());
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Who has no session learns not even which paths there are.
async fn unknown(State(shared): State<Shared>, Extension(connection): Extension<Arc<Connection>>) -> Response {
    let refusal = match caller(&shared, &connection) {
        Ok(_) => Refusal::new(StatusCode::NOT_FOUND, Code::NotFound, "no such path"),
        Err(refusal) => refusal,
    };
    refusal.into_response()
}

async fn wrong_method() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::Malformed, "this path takes another method")
}
