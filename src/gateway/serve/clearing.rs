//! The clearing node's paths: claims, positions, payments. Grids only. Specification: `docs/spec/clearing.md`, "Clearing node
//! on the wire".

use crate::clearing::{
    CheckpointsDocument, CompareError, DeskError, NETTINGS_AT_ONCE, NettingsDocument, PositionsDocument, TakeError,
};
use crate::gateway::serve::access::caller;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::shared::Shared;
use crate::keys::GridId;
use crate::rate::Asset;
use crate::session::Caller;
use crate::signed::Identity;
use crate::tariff::wire::{ClaimBody, ConsentBody, Payload, PaymentBody, Revoke, RevokeBody};
use crate::units::UnixSeconds;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The paths, each with the most octets of its body.
pub(super) fn paths() -> Router<Shared> {
    Router::new()
        .route("/v1/claims", post(claim).layer(DefaultBodyLimit::max(ClaimBody::MAX_BYTES)))
        .route("/v1/positions/{grid}", get(positions))
        .route("/v1/statements/{grid}", get(statement))
        .route("/v1/revocations", post(revocation).layer(DefaultBodyLimit::max(RevokeBody::MAX_BYTES)))
        .route("/v1/nettings", get(nettings))
        .route("/v1/consents", post(consent).layer(DefaultBodyLimit::max(ConsentBody::MAX_BYTES)))
        .route("/v1/lanes/{lane}/checkpoints", get(checkpoints))
        .route("/v1/payments", post(payment).layer(DefaultBodyLimit::max(PaymentBody::MAX_BYTES)))
}

async fn claim(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let grid = grid(&shared, &connection)?;
    let body = body.map_err(|_| Refusal::malformed("no claim is so long"))?;
    let receipt = shared.settler.desk().claim(&body, &grid).await.map_err(|error| refusal(&error))?;
    Ok(([(header::CONTENT_TYPE, cose())], receipt.bytes().to_vec()).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PositionsQuery {
    asset: String,
    #[serde(default)]
    after: u64,
}

async fn positions(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<PositionsQuery>, QueryRejection>,
) -> Result<Json<PositionsDocument>, Refusal> {
    let grid = grid(&shared, &connection)?;
    let other = other(path)?;
    let Query(query) = query.map_err(|_| Refusal::malformed("the query takes `asset` and `after`"))?;
    let asset = Asset::from_code(&query.asset).map_err(|error| Refusal::malformed(format!("asset: {error}")))?;
    let posted = shared.settler.desk().positions(&grid, &other, asset, query.after).await;
    Ok(Json(PositionsDocument::of(&posted.map_err(|error| refusal(&error))?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementQuery {
    asset: String,
    from: u64,
    until: u64,
}

async fn statement(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<StatementQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let grid = grid(&shared, &connection)?;
    let other = other(path)?;
    let Query(query) = query.map_err(|_| Refusal::malformed("the query takes `asset`, `from` and `until`"))?;
    let asset = Asset::from_code(&query.asset).map_err(|error| Refusal::malformed(format!("asset: {error}")))?;
    let period = UnixSeconds(query.from)..UnixSeconds(query.until);
    let statement = shared.settler.desk().statement(&grid, &other, asset, period).await;
    let statement = statement.map_err(|error| refusal(&error))?;
    Ok(([(header::CONTENT_TYPE, cose())], statement.bytes().to_vec()).into_response())
}

/// The grid that stands in the path.
fn other(path: Result<Path<String>, PathRejection>) -> Result<GridId, Refusal> {
    let grid = path.ok().and_then(|Path(text)| text.parse().ok());
    grid.ok_or_else(|| Refusal::malformed("no grid id stands in the path"))
}

/// The media type of a signed object.
fn cose() -> HeaderValue {
    HeaderValue::from_static("application/cose; cose-type=\"cose-sign1\"")
}

/// What a payment was taken as.
#[derive(Serialize)]
struct Taken {
    identity_base64url: String,
}

async fn payment(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Taken>, Refusal> {
    let grid = grid(&shared, &connection)?;
    let body = body.map_err(|_| Refusal::malformed("no payment is so long"))?;
    let payment = shared.settler.desk().payment(&body, &grid).await.map_err(|error| refusal(&error))?;
    Ok(Json(Taken { identity_base64url: BASE64URL_NOPAD.encode(&payment.identity().0) }))
}

async fn nettings(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
) -> Result<Json<NettingsDocument>, Refusal> {
    let grid = grid(&shared, &connection)?;
    let open = shared.settler.desk().nettings(&grid).await.map_err(|error| refusal(&error))?;
    let nettings_base64url =
        open.iter().take(NETTINGS_AT_ONCE).map(|netting| BASE64URL_NOPAD.encode(&netting.to_bytes())).collect();
    Ok(Json(NettingsDocument { nettings_base64url }))
}

async fn consent(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Taken>, Refusal> {
    let grid = grid(&shared, &connection)?;
    let body = body.map_err(|_| Refusal::malformed("no consent is so long"))?;
    let consent = shared.settler.desk().consent(&body, &grid).await.map_err(|error| refusal(&error))?;
    Ok(Json(Taken { identity_base64url: BASE64URL_NOPAD.encode(&consent.identity().0) }))
}

async fn checkpoints(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CheckpointsDocument>, Refusal> {
    let grid = grid(&shared, &connection)?;
    let lane = path.ok().and_then(|Path(text)| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok());
    let lane = lane.map(Identity).ok_or_else(|| Refusal::malformed("a lane is named by 64 hexadecimal digits"))?;
    let vouchers = shared.settler.checkpoints(lane, &grid).await.map_err(|error| match &error {
        CompareError::UnknownLane => Refusal::because(StatusCode::NOT_FOUND, Code::NotFound, &error),
        CompareError::NotShown { .. } | CompareError::NoAnswer { .. } | CompareError::Books(_) => {
            Refusal::because(StatusCode::SERVICE_UNAVAILABLE, Code::Failed, &error)
        }
    })?;
    let vouchers_base64url = vouchers.iter().map(|voucher| BASE64URL_NOPAD.encode(voucher.bytes())).collect();
    Ok(Json(CheckpointsDocument { vouchers_base64url }))
}

async fn revocation(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Taken>, Refusal> {
    let grid = grid(&shared, &connection)?;
    let body = body.map_err(|_| Refusal::malformed("no revocation is so long"))?;
    let revoke = Revoke::from_bytes(&body).map_err(|error| Refusal::malformed(error.to_string()))?;
    if revoke.body().issuer != grid {
        return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, "another grid has issued it"));
    }
    let taken = shared.settler.take(&body).await.map_err(|error| {
        let (status, code) = match &error {
            TakeError::Desk(error) => return refusal(error),
            TakeError::Neither => (StatusCode::BAD_REQUEST, Code::Malformed),
            TakeError::OtherGrids | TakeError::NoAuthority { .. } => (StatusCode::FORBIDDEN, Code::Refused),
            TakeError::NothingEnded => (StatusCode::NOT_FOUND, Code::NotFound),
            TakeError::NotConsented | TakeError::NotTaken { .. } => (StatusCode::CONFLICT, Code::Refused),
            TakeError::Resolve(_) | TakeError::File(_) | TakeError::Books(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::Failed)
            }
        };
        Refusal::because(status, code, &error)
    })?;
    Ok(Json(Taken { identity_base64url: BASE64URL_NOPAD.encode(&taken.identity.0) }))
}

/// The grid that calls; clients have no business here.
fn grid(shared: &Shared, connection: &Connection) -> Result<GridId, Refusal> {
    match caller(shared, connection)? {
        Caller::Grid { id, .. } => Ok(id),
        Caller::Client { .. } | Caller::Pending { .. } => {
            Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, "books are kept between grids, not with clients"))
        }
    }
}

fn refusal(error: &DeskError) -> Refusal {
    let (status, code) = match error {
        DeskError::Wire(_) | DeskError::NotSigned(_) => (StatusCode::BAD_REQUEST, Code::Malformed),
        DeskError::OtherClearing(_) | DeskError::OtherGrid(_) | DeskError::NoAuthority { .. } => {
            (StatusCode::FORBIDDEN, Code::Refused)
        }
        DeskError::NoBooks => (StatusCode::NOT_FOUND, Code::NotFound),
        DeskError::NoNetting(_) | DeskError::InForce(_) => (StatusCode::CONFLICT, Code::Refused),
        DeskError::Record { .. } => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
        // What was not acknowledged may be sent again.
        DeskError::Books(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Failed),
    };
    Refusal::because(status, code, error)
}
