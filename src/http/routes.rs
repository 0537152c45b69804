//! What each path of the local API does.

use crate::clearing::{Disagreement, Settler};
use crate::clock::Clock;
use crate::config::Home;
use crate::dht::{Dht, DhtStatus};
use crate::grid::Grid;
use crate::http::answer::AnswerBody;
use crate::http::disputes;
use crate::http::guard::guard;
use crate::http::openapi::{DocumentBody, LocalDocument, LocalProblems, Text, document};
use crate::http::problem::{Code, Problem};
use crate::http::settling;
use crate::http::standing::standing;
use crate::http::status::{DisagreementView, StatusView};
use crate::http::views::{HealthView, InstalledView, ReceiptView, ReloadedView};
use crate::keys::GridId;
use crate::members::Members;
use crate::metrics::Metrics;
use crate::publisher::{MAX_INSTALL_BYTES, Publisher, install};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question, Resolver};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many requests are worked on at once; more are told to come back. Each may wait for the network.
const AT_ONCE: usize = 64;
/// The longest that a question may take, or that a status may be waited for.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// How often a status that is waited for is looked at again.
const LOOK: Duration = Duration::from_millis(50);
/// The format of the figures.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
    /// The clients of its grid; `None` where the node speaks for no grid.
    pub members: Option<Members>,
    /// What its grid is owed and owes; `None` where the node has no gateway.
    pub settler: Option<Settler>,
    /// The NURL of its own gateway.
    pub gateway_nurl: Option<String>,
    /// The same for programs on this machine.
    pub gateway_local_nurl: Option<String>,
    /// Where this machine's browser reads.
    pub web_url: Option<String>,
    /// The storage servers that the gateway reads from.
    pub storage: Option<Grid>,
    /// The time.
    pub clock: Clock,
    /// Whether the operator states a public address.
    pub stated_external: bool,
    /// How many nodes the settings name to begin with.
    pub bootstraps: usize,
    /// How it stands with the settings.
    pub settings: watch::Receiver<SettingsStanding>,
    /// Where a request to read the settings again goes.
    pub reload: mpsc::Sender<ReloadRequest>,
}

/// How many requests to read the settings again may wait.
pub const RELOADS: usize = 4;
/// How long the settings may take to be read again, with a probe of each gateway.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

/// How it stands with the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsStanding {
    /// Names the file that was read last.
    pub digest: Option<String>,
    /// The keys whose new values wait for the next start.
    pub at_next_start: Vec<&'static str>,
    /// Why newer settings are not in force.
    pub refused: Option<String>,
}

/// Somebody wants the settings to be read again, and to be told what came of it.
#[derive(Debug)]
pub struct ReloadRequest {
    /// What came of it, or why nothing did.
    pub reply: oneshot::Sender<Result<ReloadedView, String>>,
}

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) parts: ApiParts,
    stopping: watch::Receiver<bool>,
    document: DocumentBody,
}

/// All paths. Who waits for a status is let go once `stopping` says so.
pub(super) fn router(parts: ApiParts, stopping: watch::Receiver<bool>) -> Router {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let metrics = parts.dht.metrics().clone();
    let (routes, api) = OpenApiRouter::with_openapi(LocalDocument::openapi())
        .routes(routes!(health))
        .routes(routes!(status))
        .routes(routes!(resolve))
        .routes(routes!(publish))
        .routes(routes!(install_bytes))
        .routes(routes!(settling::settle))
        .routes(routes!(settling::take_signed))
        .routes(routes!(disputes::compare))
        .routes(routes!(disputes::close))
        .routes(routes!(reload))
        .routes(routes!(figures))
        .routes(routes!(description))
        .split_for_parts();
    let document = document(&api);
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_INSTALL_BYTES))
        .layer(from_fn_with_state(places, bound))
        .layer(from_fn(guard))
        .layer(from_fn_with_state(metrics, count))
        .with_state(Shared { parts, stopping, document })
}

async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    metrics.request("local", response.status().as_u16());
    response
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

pub(super) async fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "no such path")
}

pub(super) async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::Malformed, "this path takes another method")
}

/// Whether the node answers at all, and which node it is.
#[utoipa::path(get, path = "/health", responses((status = 200, description = "it does", body = HealthView), LocalProblems))]
async fn health(State(shared): State<Shared>) -> Json<HealthView> {
    Json(HealthView { status: "ok".to_owned(), peer_id: shared.parts.dht.peer_id().to_string() })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    /// Answer once the node is ready, or after so many milliseconds as it stands then. At most 600,000.
    #[param(maximum = 600_000)]
    wait_ms: Option<u64>,
}

/// How the node stands: what it does for others, whom it knows, and who holds its own record.
#[utoipa::path(
    get, path = "/v1/status", params(StatusQuery),
    responses((status = 200, description = "how it stands", body = StatusView), LocalProblems),
)]
async fn status(
    State(mut shared): State<Shared>,
    query: Result<Query<StatusQuery>, QueryRejection>,
) -> Result<Json<StatusView>, Problem> {
    let query = query.map_err(|_| bad_request("the query takes `wait_ms`, in milliseconds, and nothing else"))?;
    let wait = millis(query.wait_ms, "wait_ms", Duration::ZERO)?;
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
    let dht: DhtStatus = parts.dht.status().await.ok_or_else(stopping)?;
    let contested = match &parts.publisher {
        Some(publisher) => parts.resolver.is_contested(publisher.grid()).await,
        None => false,
    };
    let floors = parts.resolver.write_floors().await;
    let books = parts.settler.as_ref().and_then(|settler| settler.ledger().disk_problem());
    let disagreements = parts.settler.as_ref().map(Settler::disagreed).unwrap_or_default();
    let own = parts.publisher.as_ref().map(|publisher| (*publisher.grid(), publisher.published()));
    let settings = parts.settings.borrow().clone();
    let of_dht = StatusView::of(
        &parts.network,
        &dht,
        own.as_ref().map(|(grid, published)| (grid, published)),
        parts.clock.now(),
    );
    Ok(StatusView {
        disk_problem: of_dht.disk_problem.clone().or(floors).or(books),
        disagreements: disagreements
            .into_iter()
            .map(|Disagreement { lane, what }| DisagreementView { lane: lane.map(|lane| lane.to_string()), what })
            .collect(),
        stated_external: parts.stated_external,
        bootstraps: parts.bootstraps,
        contested,
        clients: parts.members.as_ref().map(|members| members.count(parts.clock.now())),
        gateway_nurl: parts.gateway_nurl.clone(),
        gateway_local_nurl: parts.gateway_local_nurl.clone(),
        web_url: parts.web_url.clone(),
        settings_digest: settings.digest,
        settings_at_next_start: settings.at_next_start.into_iter().map(str::to_owned).collect(),
        settings_refused: settings.refused,
        ..of_dht
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ResolveQuery {
    /// The grid's id. Never a cap: this service has no use for a key.
    #[param(example = "pub-v0-lud7cgqdfnfsjynz66erjhywzqcx5otoxyrnugrspu2gt64d6q2q")]
    grid: String,
    /// `cached`: what is at hand, no network. `fast`, unless told otherwise: the first valid answer. `fresh`: the newest
    /// among holders in three networks.
    policy: Option<String>,
    /// How many milliseconds it may take: 10,000 unless told otherwise, at most 600,000.
    #[param(maximum = 600_000)]
    deadline_ms: Option<u64>,
    /// Whether a grid that has moved is followed to its successor: `true`, unless told otherwise.
    #[param(required = false, nullable = false)]
    follow: Option<bool>,
}

/// A grid's newest record, verified, with where it came from and what binds beside it. Successors are followed.
#[utoipa::path(
    get, path = "/v1/resolve", params(ResolveQuery),
    responses(
        (status = 200, description = "the record", body = AnswerBody),
        (status = 404, description = "`not_found`: servers were asked and none has it. `integrity`: only records older than one \
            seen before were found", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "`expired`, `withdrawn`, or `moved` to a grid that cannot be followed", body = Problem,
            content_type = "application/problem+json"),
        (status = 502, description = "the record has words that this version does not know", body = Problem,
            content_type = "application/problem+json"),
        (status = 504, description = "no answer before the deadline", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
async fn resolve(
    State(shared): State<Shared>,
    query: Result<Query<ResolveQuery>, QueryRejection>,
) -> Result<Json<AnswerBody>, Problem> {
    // What was given is never repeated: it may be a cap, and so the key of a file.
    let Query(query) = query
        .map_err(|_| bad_request("the query takes `grid`, `policy`, `deadline_ms` and `follow`, and nothing else"))?;
    let grid: GridId = query.grid.parse().map_err(|error| bad_request(format!("grid: {error}")))?;
    let policy = query.policy.map(|text| text.parse::<Policy>()).transpose();
    let policy = policy.map_err(|_| bad_request("policy: choose `cached`, `fast` or `fresh`"))?;
    let deadline = millis(query.deadline_ms, "deadline_ms", DEFAULT_DEADLINE)?;
    let started = Instant::now();
    let question = Question { grid, policy: policy.unwrap_or_default(), deadline };
    let resolver = &shared.parts.resolver;
    let answer = match query.follow.unwrap_or(true) {
        true => resolver.resolve(question).await?,
        false => resolver.resolve_in_place(question).await?,
    };
    Ok(Json(AnswerBody::new(&answer, started.elapsed(), shared.parts.clock.now())))
}

/// Signs the own record anew where something changed, brings it to its holders and reads it back from them.
#[utoipa::path(
    post, path = "/v1/publish",
    responses(
        (status = 200, description = "who holds it now", body = ReceiptView),
        (status = 404, description = "the node speaks for no grid, or has no record and no key to sign one", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "the record cannot be brought up to date", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
async fn publish(State(shared): State<Shared>) -> Result<Json<ReceiptView>, Problem> {
    let receipt = publisher(&shared.parts)?.publish().await?;
    Ok(Json(ReceiptView::from(&receipt)))
}

/// Takes in a record or a delegation of the node's own grid that was signed elsewhere, and publishes.
#[utoipa::path(
    post, path = "/v1/install",
    request_body(content = inline(Vec<u8>), content_type = "application/octet-stream",
        description = "the signed bytes, as `record sign` or `delegate` wrote them"),
    responses(
        (status = 200, description = "what was taken in", body = InstalledView),
        (status = 404, description = "the node speaks for no grid", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "older than what is there, revoked, or a breach of a commitment", body = Problem,
            content_type = "application/problem+json"),
        (status = 413, description = "more bytes than either may have", body = Problem,
            content_type = "application/problem+json"),
        (status = 500, description = "a key or a file of the node is missing or damaged", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
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

/// Figures for Prometheus, in the OpenMetrics text format.
#[utoipa::path(
    get, path = "/metrics",
    responses(
        (status = 200, description = "the figures; each has its unit and meaning in `# UNIT` and `# HELP`", body = Text,
            content_type = "application/openmetrics-text"),
        LocalProblems,
    ),
)]
async fn figures(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    let standing = standing(&shared.parts).await.ok_or_else(stopping)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], shared.parts.dht.metrics().text(standing)))
}

/// This description.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), LocalProblems),
)]
async fn description(State(shared): State<Shared>) -> DocumentBody {
    shared.document
}

/// Read the settings, the grid manager's key and the delegation again, as SIGHUP does.
#[utoipa::path(
    post, path = "/v1/reload",
    responses(
        (status = 200, description = "what is in force now, and what waits for the next start", body = ReloadedView),
        (status = 409, description = "the settings are refused, and the old ones stay", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
async fn reload(State(shared): State<Shared>) -> Result<Json<ReloadedView>, Problem> {
    let busy = |detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, detail);
    let (reply, answer) = oneshot::channel();
    let sent = shared.parts.reload.try_send(ReloadRequest { reply });
    sent.map_err(|_| busy("the settings are being read again already: try again"))?;
    match tokio::time::timeout(RELOAD_PATIENCE, answer).await {
        Ok(Ok(Ok(view))) => Ok(Json(view)),
        Ok(Ok(Err(reason))) => Err(Problem::new(StatusCode::CONFLICT, Code::Refused, reason)),
        Ok(Err(_)) | Err(_) => Err(busy("the settings could not be read again in time")),
    }
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

fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Code::Malformed, detail)
}

fn stopping() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, "the node is stopping")
}
