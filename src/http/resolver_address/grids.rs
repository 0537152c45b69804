//! Reading: a grid's record and the evidence beside it, from this node's own book.

use crate::http::problem::{Code, Problem};
use crate::http::resolver_address::accept::Form;
use crate::http::resolver_address::document::AddressProblems;
use crate::http::resolver_address::representation::{GridView, Representation, set_freshness, set_unchanging};
use crate::http::resolver_address::routes::Shared;
use crate::keys::GridId;
use crate::record::{GridRecord, TimeFault};
use crate::store::Row;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::time::timeout;

/// How long the book may take to answer: it is in memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// A grid's signed record, from this node's own book: nobody is asked on a stranger's behalf.
///
/// `Accept: application/json` gets what the record says with the bytes beside it, everybody else the bytes. Answers and tags
/// are described in `docs/spec/resolver-http.md`.
#[utoipa::path(
    method(get, head), path = "/v1/grids/{grid}", operation_id = "read_record",
    params(
        ("grid" = String, Path, description = "the grid id: `pub-v0-` and 52 characters", example = "pub-v0-lud7cgqdfnfsjynz66erjhywzqcx5otoxyrnugrspu2gt64d6q2q"),
        ("Accept" = Option<String>, Header, description = "`application/cose` (the default) or `application/json`"),
        ("If-None-Match" = Option<String>, Header, description = "the `ETag` of what the asker has"),
    ),
    responses(
        (status = 200, description = "the record",
            content((GridView = "application/json"), (inline(Vec<u8>) = "application/cose")),
            headers(
                ("ETag" = String, description = "the record's identity; of the JSON view, weak, a digest of it too"),
                ("Age" = u64, description = "seconds since somebody last confirmed to this node that it is the newest"),
                ("Cache-Control" = String, description = "`public, max-age=…`: fresh for 60 s more, never beyond the expiry"),
                ("Link" = String, description = "evidence of commitments that it does not keep; its successor"),
            )),
        (status = 304, description = "the asker has it already"),
        (status = 404, description = "this node holds no record of that grid; another may", body = crate::http::Problem,
            content_type = "application/problem+json"),
        (status = 406, description = "neither form is accepted, or the record's words are too new for JSON",
            body = crate::http::Problem, content_type = "application/problem+json"),
        (status = 410, description = "withdrawn for good: the signed withdrawal is the body, as with 200; or `expired`, as a problem",
            content((GridView = "application/json"), (inline(Vec<u8>) = "application/cose"),
                (crate::http::Problem = "application/problem+json"))),
        AddressProblems,
    ),
)]
pub(super) async fn read(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let grid = grid_id(path.ok().map(|Path(text)| text))?;
    let now = shared.clock.now();
    let Held { row, evidence } = held(&shared, &grid).await?;
    let current = match row {
        Some(row) => match row.record.time_fault(now) {
            None => Ok(row),
            Some(TimeFault::Expired { .. }) => Err(Problem::new(
                StatusCode::GONE,
                Code::Expired,
                "the record of this grid has expired: its grid has not renewed it",
            )),
            Some(_) => Err(not_held()),
        },
        None => Err(not_held()),
    };
    let row = match current {
        Ok(row) => row,
        // What a grid promised binds on, whether or not it has a record.
        Err(problem) => return Ok(linked(problem.into_response(), &grid, None, &evidence)),
    };
    let form = Form::preferred(&headers).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            Code::Malformed,
            "records are given as `application/cose` or `application/json`",
        )
    })?;
    let representation = Representation::new(form, &row.record, &evidence, now)?;
    let status = match () {
        () if row.record.withdrawn() => StatusCode::GONE,
        () if representation.is_had(&headers) => StatusCode::NOT_MODIFIED,
        () => StatusCode::OK,
    };
    let mut response = representation.answer(status);
    set_freshness(&mut response, &row, now);
    let successor = GridRecord::read(row.record).ok().and_then(|record| record.successor().copied());
    Ok(linked(response, &grid, successor.as_ref(), &evidence))
}

/// An earlier record of a grid that proves a commitment which its current record does not keep.
#[utoipa::path(
    method(get, head), path = "/v1/grids/{grid}/evidence/{sequence}", operation_id = "read_evidence",
    params(
        ("grid" = String, Path, description = "the grid id: `pub-v0-` and 52 characters"),
        ("sequence" = u64, Path, description = "the sequence of the earlier record, as a `Link` of the grid names it"),
    ),
    responses(
        (status = 200, description = "the earlier record, as it was signed", body = inline(Vec<u8>),
            content_type = "application/cose"),
        (status = 304, description = "the asker has it already"),
        (status = 404, description = "no such evidence is held", body = crate::http::Problem,
            content_type = "application/problem+json"),
        AddressProblems,
    ),
)]
pub(super) async fn read_evidence(
    State(shared): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path((grid, sequence)) = path.map_err(|_| bad_path())?;
    let grid = grid_id(Some(grid))?;
    let sequence: u64 = sequence.parse().map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, Code::Malformed, "a sequence is a number of decimal digits")
    })?;
    let evidence = held(&shared, &grid).await?.evidence;
    let proof = evidence.iter().find(|record| record.signed().sequence() == sequence).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "no evidence of that sequence is held about this grid")
    })?;
    let representation = Representation::bytes(proof.signed());
    let status = if representation.is_had(&headers) { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = representation.answer(status);
    set_unchanging(&mut response);
    Ok(response)
}

struct Held {
    row: Option<Row>,
    evidence: Vec<GridRecord>,
}

async fn held(shared: &Shared, grid: &GridId) -> Result<Held, Problem> {
    let look = async { Held { row: shared.dht.row(grid).await, evidence: shared.dht.evidence(grid).await } };
    let held = timeout(PATIENCE, look).await.map_err(|_| {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, Code::Unreachable, "this node is too busy to look into its book")
    })?;
    // "Nothing is held" of a node that has stopped would be a lie that others keep.
    if held.row.is_none() && shared.dht.has_stopped() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, "the node is stopping"));
    }
    Ok(held)
}

/// The grid id in a path. What was given instead is not repeated: it may be a cap, and so the key of a file.
pub(super) fn grid_id(text: Option<String>) -> Result<GridId, Problem> {
    text.and_then(|text| text.parse().ok()).ok_or_else(bad_path)
}

fn bad_path() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        Code::Malformed,
        "after `/v1/grids/` stands a grid id, `pub-v0-` and 52 characters; never a cap, which holds the key of a file",
    )
}

fn not_held() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        Code::NotFound,
        "this node holds no record of that grid, and asks nobody else; another may",
    )
}

/// `Link` to the evidence, and to the successor: following it is for whoever can judge whether it was announced.
fn linked(mut response: Response, grid: &GridId, successor: Option<&GridId>, evidence: &[GridRecord]) -> Response {
    let evidence = evidence.iter().map(|record| {
        format!("</v1/grids/{grid}/evidence/{}>; rel=\"related\"; title=\"evidence\"", record.signed().sequence())
    });
    let successor = successor.map(|successor| format!("</v1/grids/{successor}>; rel=\"related\"; title=\"successor\""));
    for link in evidence.chain(successor) {
        response.headers_mut().append(header::LINK, HeaderValue::try_from(link).expect("grid ids and digits"));
    }
    response
}
