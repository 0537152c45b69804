//! What each path does.

use crate::clock::Clock;
use crate::config::Home;
use crate::dht::Dht;
use crate::http::answer::AnswerBody;
use crate::http::guard::guard;
use crate::http::problem::{Code, Problem};
use crate::http::views::{InstalledView, ReceiptView, StatusView};
use crate::keys::GridId;
use crate::publisher::{MAX_INSTALL_BYTES, Publisher, install};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question, Resolver};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// How many requests are worked on at once; more are told to come back. Each may wait for the network.
const AT_ONCE: usize = 64;
/// The longest that a question may take, or that a status may be waited for.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// How often a status that is waited for is looked at again.
const LOOK: Duration = Duration::from_millis(50);

/// The parts of the node that the API speaks for.
#[derive(Debug, Clone)]
pub struct ApiParts {
    /// The data directory.
    pub home: Home,
    /// The network's name.
    pub network: String,
    /// The node's place in the network.
    pub dht: Dht,
    /// Answers questions.
    pub resolver: Resolver,
    /// Keeps the own record published; `None` where the node speaks for no grid.
    pub publisher: Option<Publisher>,
    /// The time.
    pub clock: Clock,
}

#[derive(Clone)]
struct Shared {
    parts: ApiParts,
    stopping: watch::Receiver<bool>,
}

/// All paths. Who waits for a status is let go once `stopping` says so.
pub(super) fn router(parts: ApiParts, stopping: watch::Receiver<bool>) -> Router {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    Router::new()
        .route("/health", get(health))
        .route("/v1/status", get(status))
        .route("/v1/resolve", get(resolve))
        .route("/v1/publish", post(publish))
        .route("/v1/install", post(install_bytes))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_INSTALL_BYTES))
        .layer(from_fn_with_state(places, bound))
        .layer(from_fn(guard))
        .with_state(Shared { parts, stopping })
}

async fn bound(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match places.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unreachable,
            format!("{AT_ONCE} requests are being worked on: try again"),
        )
        .into_response(),
    }
}

async fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "no such path")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::Malformed, "this path takes another method")
}

async fn health(State(shared): State<Shared>) -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "ok", "peer_id": shared.parts.dht.peer_id().to_string()}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    wait_ms: Option<u64>,
}

async fn status(
    State(mut shared): State<Shared>,
    query: Result<Query<StatusQuery>, QueryRejection>,
) -> Result<Json<StatusView>, Problem> {
    let wait = millis(query.map_err(bad_query)?.wait_ms, "wait_ms", Duration::ZERO)?;
    let until = Instant::now() + wait;
    loop {
        let view = view(&shared.parts).await?;
        if view.is_ready() || Instant::now() >= until {
            return Ok(Json(view));
        }
        // An end of the node is an answer too: as it stands.
        if let Ok(Ok(_)) = tokio::time::timeout(LOOK, shared.stopping.wait_for(|stopping| *stopping)).await {
            return Ok(Json(view));
        }
    }
}

async fn view(parts: &ApiParts) -> Result<StatusView, Problem> {
    let dht = parts.dht.status().await;
    let dht =
        dht.ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, "the node is stopping"))?;
    let own = parts.publisher.as_ref().map(|publisher| (*publisher.grid(), publisher.published()));
    Ok(StatusView::of(&parts.network, &dht, own.as_ref().map(|(grid, published)| (grid, published))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveQuery {
    grid: String,
    policy: Option<String>,
    deadline_ms: Option<u64>,
}

async fn resolve(
    State(shared): State<Shared>,
    query: Result<Query<ResolveQuery>, QueryRejection>,
) -> Result<Json<AnswerBody>, Problem> {
    let Query(query) = query.map_err(bad_query)?;
    let bad = |field: &str, error: &dyn std::fmt::Display| bad_request(format!("{field}: {error}"));
    // A grid id and never a cap: this service has no use for a key.
    let grid: GridId = query.grid.parse().map_err(|error| bad("grid", &error))?;
    let policy = query.policy.map(|text| text.parse::<Policy>()).transpose().map_err(|error| bad("policy", &error))?;
    let deadline = millis(query.deadline_ms, "deadline_ms", DEFAULT_DEADLINE)?;
    let started = Instant::now();
    let question = Question { grid, policy: policy.unwrap_or_default(), deadline };
    let answer = shared.parts.resolver.resolve(question).await?;
    Ok(Json(AnswerBody::new(&answer, started.elapsed(), shared.parts.clock.now())))
}

async fn publish(State(shared): State<Shared>) -> Result<Json<ReceiptView>, Problem> {
    let receipt = publisher(&shared.parts)?.publish().await?;
    Ok(Json(ReceiptView::from(&receipt)))
}

async fn install_bytes(
    State(shared): State<Shared>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<InstalledView>, Problem> {
    let bytes = body.map_err(|error| Problem::new(error.status(), Code::Malformed, error.body_text()))?;
    let publisher = publisher(&shared.parts)?.clone();
    let (home, now) = (shared.parts.home.clone(), shared.parts.clock.now());
    let grid = *publisher.grid();
    // Reads and writes files, with fsync.
    let installed = tokio::task::spawn_blocking(move || install(&home, &grid, &bytes, now)).await;
    let installed = installed
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Failed, "the installation was cut off"))??;
    // It is on the disk; publishing takes as long as it takes.
    tokio::spawn(async move { publisher.publish().await });
    Ok(Json(InstalledView::from(&installed)))
}

fn publisher(parts: &ApiParts) -> Result<&Publisher, Problem> {
    parts.publisher.as_ref().ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "this node speaks for no grid and has no record of its own")
    })
}

fn millis(asked: Option<u64>, name: &str, default: Duration) -> Result<Duration, Problem> {
    let wait = asked.map_or(default, Duration::from_millis);
    if wait <= MAX_WAIT { Ok(wait) } else { Err(bad_request(format!("{name}: at most {} ms", MAX_WAIT.as_millis()))) }
}

fn bad_query(error: QueryRejection) -> Problem {
    bad_request(error.body_text())
}

fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Code::Malformed, detail)
}
