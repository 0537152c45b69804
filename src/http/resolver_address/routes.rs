//! The paths, and what holds for all of them: who may read, and how much.

use crate::address::Network;
use crate::clock::Clock;
use crate::dht::Dht;
use crate::http::openapi::{DocumentBody, document};
use crate::http::problem::{Code, Problem};
use crate::http::resolver_address::client::Client;
use crate::http::resolver_address::document::{AddressDocument, AddressProblems};
use crate::http::resolver_address::grids;
use crate::http::resolver_address::offers;
use crate::http::resolver_address::quota::{Quota, READ, WRITE};
use crate::http::routes::{unknown, wrong_method};
use crate::units::Seconds;
use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What a page of another site may see of an answer beside its body.
const EXPOSED: &str = "Age, ETag, Link, Retry-After";

#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) dht: Dht,
    pub(super) clock: Clock,
    proxies: Arc<[IpAddr]>,
    quota: Arc<Mutex<Quota>>,
    document: DocumentBody,
}

/// All paths, over `dht`. `proxies` are believed when they say who asks.
pub(super) fn router(dht: Dht, clock: Clock, proxies: Vec<IpAddr>) -> Router {
    let (routes, api) = OpenApiRouter::with_openapi(AddressDocument::openapi())
        .routes(routes!(grids::read, offers::offer))
        .routes(routes!(grids::read_evidence))
        .routes(routes!(description))
        .split_for_parts();
    let document = document(&api);
    let shared = Shared { dht, clock, proxies: proxies.into(), quota: Arc::default(), document };
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), admit))
        .layer(from_fn_with_state(shared.clone(), finish))
        .with_state(shared)
}

/// This description.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), AddressProblems),
)]
async fn description(State(shared): State<Shared>) -> DocumentBody {
    shared.document
}

/// Lets a request through that its network has tokens for.
async fn admit(
    State(shared): State<Shared>,
    Extension(client): Extension<Client>,
    mut request: Request,
    next: Next,
) -> Response {
    let network = client.network(request.headers(), &shared.proxies);
    let tokens = if request.method() == Method::PUT { WRITE } else { READ };
    // A thread that panicked with the lock leaves the buckets as they were.
    let taken =
        shared.quota.lock().unwrap_or_else(PoisonError::into_inner).take(network.clone(), tokens, Instant::now());
    if let Err(wait) = taken {
        return too_soon(wait, "too many requests from your network");
    }
    if request.method() == Method::OPTIONS {
        return preflight();
    }
    request.extensions_mut().insert::<Network>(network);
    next.run(request).await
}

/// What each answer carries: any page may read it, it is what it says it is, and errors are not kept.
async fn finish(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    shared.dht.metrics().request("resolver", status.as_u16());
    let headers = response.headers_mut();
    let constant = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, constant("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, constant(EXPOSED));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, constant("nosniff"));
    headers.insert(header::VARY, constant("Accept"));
    headers.entry(header::CACHE_CONTROL).or_insert(constant("no-store"));
    response
}

/// A page may read; what a page would publish, its visitor did not mean to.
fn preflight() -> Response {
    let headers = [
        (header::ALLOW, "GET, HEAD, OPTIONS, PUT"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, If-None-Match"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// 429, and when to come again.
pub(super) fn too_soon(wait: Seconds, why: &str) -> Response {
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::Refused, format!("{why}: again in {} s", wait.0));
    let mut response = problem.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, wait.0.into());
    response
}
