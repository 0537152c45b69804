//! The local API's part in clearing: a round now, and what the operator has signed.

use crate::clearing::{DeskError, Round, Settler, TakeError};
use crate::http::openapi::LocalProblems;
use crate::http::problem::{Code, Problem};
use crate::http::routes::Shared;
use crate::http::views::{SettledView, TakenView, UntoldView};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;

/// Claims everything that is owed, hands on payments, and fetches and checks what clearing nodes have booked.
#[utoipa::path(
    post, path = "/v1/settle",
    responses(
        (status = 200, description = "what it came to; what failed is tried again by itself", body = SettledView),
        (status = 404, description = "the node has no gateway and so no books", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
pub(super) async fn settle(State(shared): State<Shared>) -> Result<Json<SettledView>, Problem> {
    let rounded = settler(&shared)?.round(Round::Everything).await;
    let crate::clearing::Rounded { claimed, positions, problems } = rounded;
    Ok(Json(SettledView { claimed, positions, problems }))
}

/// Takes in what the operator has signed: agreed terms, a payment that has arrived, a consent, a revocation.
#[utoipa::path(
    post, path = "/v1/signed",
    request_body(content = inline(Vec<u8>), content_type = "application/octet-stream",
        description = "the signed bytes, as `terms` or `statement paid` made them"),
    responses(
        (status = 200, description = "it is in the books", body = TakenView),
        (status = 403, description = "signed by a key that may not sign it", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "the node has no gateway and so no books", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "a consent that cannot be taken back, or not any more", body = Problem,
            content_type = "application/problem+json"),
        (status = 413, description = "more bytes than any of them has", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
pub(super) async fn take_signed(
    State(shared): State<Shared>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<TakenView>, Problem> {
    let bytes = body.map_err(|error| Problem::new(error.status(), Code::Malformed, error.body_text()))?;
    let taken = settler(&shared)?.take(&bytes).await?;
    Ok(Json(TakenView {
        kind: taken.kind.to_owned(),
        identity: taken.identity.to_string(),
        told: taken.told.iter().map(ToString::to_string).collect(),
        untold: taken
            .untold
            .into_iter()
            .map(|(grid, reason)| UntoldView { grid_id: grid.to_string(), reason })
            .collect(),
    }))
}

pub(super) fn settler(shared: &Shared) -> Result<&Settler, Problem> {
    shared.parts.settler.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            Code::NotFound,
            "this node has no gateway and so no books: set `gateway-listen`",
        )
    })
}

impl From<TakeError> for Problem {
    fn from(error: TakeError) -> Self {
        let (status, code) = match &error {
            TakeError::Neither => (StatusCode::BAD_REQUEST, Code::Malformed),
            TakeError::OtherGrids
            | TakeError::NoAuthority { .. }
            | TakeError::Desk(DeskError::NoAuthority { .. } | DeskError::OtherGrid(_)) => {
                (StatusCode::FORBIDDEN, Code::Refused)
            }
            TakeError::NotConsented
            | TakeError::NotTaken { .. }
            | TakeError::Desk(DeskError::NoNetting(_) | DeskError::InForce(_)) => (StatusCode::CONFLICT, Code::Refused),
            TakeError::NothingEnded => (StatusCode::NOT_FOUND, Code::NotFound),
            TakeError::Resolve(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
            TakeError::Desk(DeskError::Record { .. }) => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
            TakeError::Desk(_) | TakeError::File(_) | TakeError::Books(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, Code::Failed)
            }
        };
        Self::of(status, code, &error)
    }
}
