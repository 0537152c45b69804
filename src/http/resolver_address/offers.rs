//! Writing: a record that a stranger brings, with the true verdict on it.

use crate::address::Network;
use crate::http::problem::{Code, Problem};
use crate::http::resolver_address::document::AddressProblems;
use crate::http::resolver_address::grids::grid_id;
use crate::http::resolver_address::representation::base64url;
use crate::http::resolver_address::routes::{Shared, too_soon};
use crate::record::{MAX_RECORD_BYTES, RecordError, SignedRecord, Verdict};
use crate::units::Seconds;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long the body may take: it fits in one packet.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Read beyond what a record may have, so that "too big" is found by the judge and said in one way.
const READ_BYTES: usize = MAX_RECORD_BYTES + 512;
/// One more new grid comes free for a network each such span (`dht`'s admission).
const NEW_GRID_EVERY: Seconds = Seconds(60);
/// When to come again to a node whose book is full, or that is stopping.
const COME_AGAIN: Seconds = Seconds(60);

/// What became of a record that was offered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OfferView {
    /// `stored`: the first that this node holds of the grid, or newer than the one it held. `held`: it has this one.
    verdict: &'static str,
    /// The grid.
    grid_id: String,
}

/// Offers a record. It is held if it is the newest; others fetch it from here when they compare books with this node.
#[utoipa::path(
    put, path = "/v1/grids/{grid}", operation_id = "offer_record",
    params(("grid" = String, Path, description = "the grid id: `pub-v0-` and 52 characters")),
    request_body(content = inline(Vec<u8>), content_type = "application/cose", description = "the signed record, at most 995 bytes"),
    responses(
        (status = 200, description = "stored in the place of an older one, or held already", body = OfferView),
        (status = 201, description = "stored: the first of this grid", body = OfferView),
        (status = 408, description = "the body did not come in time", body = crate::http::Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "a newer one is held: it is in `record_base64url`", body = crate::http::Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "`expired`; or `withdrawn`: the grid has ended, and the proof is in `record_base64url`",
            body = crate::http::Problem, content_type = "application/problem+json"),
        (status = 413, description = "more bytes than a record of its kind may have", body = crate::http::Problem,
            content_type = "application/problem+json"),
        (status = 415, description = "a body of another type", body = crate::http::Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "well-formed, and not signed by this grid (`integrity`) or dated in the future (`refused`)",
            body = crate::http::Problem, content_type = "application/problem+json"),
        AddressProblems,
    ),
)]
pub(super) async fn offer(
    State(shared): State<Shared>,
    Extension(network): Extension<Network>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let grid = grid_id(path.ok().map(|Path(text)| text))?;
    refuse_other_types(&headers)?;
    let bytes = timeout(BODY_TIMEOUT, to_bytes(body, READ_BYTES)).await.map_err(|_| {
        let detail = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, Code::Unreachable, detail)
    })?;
    // What cannot be read to its end is too long, or was cut off, and then nobody hears the answer.
    let bytes = bytes.map_err(|_| too_big(format!("more than {READ_BYTES} bytes")))?;
    let was_held = shared.dht.row(&grid).await.is_some();
    let Some(verdict) = shared.dht.offer_from(network, &grid, &bytes).await else {
        return Ok(too_soon(NEW_GRID_EVERY, "too many new grids from your network"));
    };
    let answer = |status, verdict| Ok((status, Json(OfferView { verdict, grid_id: grid.to_string() })).into_response());
    match verdict {
        Verdict::Stored if was_held => answer(StatusCode::OK, "stored"),
        Verdict::Stored => answer(StatusCode::CREATED, "stored"),
        Verdict::Held => answer(StatusCode::OK, "held"),
        Verdict::Stale(newer) => Err(stale(&newer)),
        Verdict::Bad(error) => Err(bad(&error)),
        Verdict::Expired => Err(Problem::new(StatusCode::GONE, Code::Expired, "the record has expired")),
        Verdict::TooBig => Err(too_big(format!("{} bytes are more than a record of its kind may have", bytes.len()))),
        Verdict::Busy => {
            let problem =
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, "this node takes in no more now");
            let mut response = problem.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, COME_AGAIN.0.into());
            Ok(response)
        }
    }
}

fn refuse_other_types(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(stated) = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) else { return Ok(()) };
    let name = stated.ok().and_then(|stated| stated.split(';').next()).map(|name| name.trim().to_ascii_lowercase());
    match name.as_deref() {
        Some("application/cose" | "application/octet-stream") => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::Malformed,
            "a record comes as `application/cose` or `application/octet-stream`",
        )),
    }
}

fn stale(newer: &SignedRecord) -> Problem {
    let (status, code, detail) = match newer.withdrawn() {
        true => (StatusCode::GONE, Code::Withdrawn, "this grid has withdrawn its record, for good"),
        false => (StatusCode::CONFLICT, Code::Refused, "a newer record of this grid is held"),
    };
    Problem { record_base64url: Some(base64url(newer)), ..Problem::new(status, code, detail) }
}

fn bad(error: &RecordError) -> Problem {
    let (status, code) = match error {
        RecordError::BadSignature { .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::Integrity),
        RecordError::Time(_) => (StatusCode::UNPROCESSABLE_ENTITY, Code::Refused),
        _ => (StatusCode::BAD_REQUEST, Code::Malformed),
    };
    Problem::new(status, code, error.to_string())
}

fn too_big(detail: String) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::Malformed, detail)
}
