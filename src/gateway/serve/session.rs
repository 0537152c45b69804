//! Saying who one is: the gateway to anybody, and a caller to the gateway.

use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::leases::CLIENT_WINDOW;
use crate::gateway::serve::refresh::refresh;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::room::split_pool;
use crate::gateway::serve::shared::Shared;
use crate::session::{Caller, Channel, ClaimError, Claimant, MAX_CLAIM_BYTES, SessionClaim};
use crate::units::Bytes as Octets;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use std::sync::{Arc, PoisonError};
use tracing::debug;

/// The most octets that a claim has.
pub(super) const MAX_BODY_BYTES: usize = MAX_CLAIM_BYTES;

/// What anybody may know.
#[derive(Serialize)]
pub(super) struct Greeting {
    grid_id: String,
    network: String,
    now_unix_seconds: u64,
    key: String,
}

/// What a caller is told when its session is open.
#[derive(Serialize)]
pub(super) struct Welcome {
    caller: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    grid_id: String,
    window_bytes: Octets,
    unit_limit_bytes: Octets,
}

pub(super) async fn greeting(State(shared): State<Shared>) -> Json<Greeting> {
    Json(Greeting {
        grid_id: shared.grid.to_string(),
        network: shared.network.clone(),
        now_unix_seconds: shared.clock.now().0,
        key: shared.key.to_string(),
    })
}

pub(super) async fn open(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Welcome>, Refusal> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/cose") {
        return Err(Refusal::malformed("a claim is sent as `application/cose`"));
    }
    let body = body.map_err(|_| Refusal::malformed("no claim is so long"))?;
    if !connection.may_claim() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, "too many claims on one connection"));
    }
    let now = shared.clock.now();
    let channel = Channel { grid: shared.grid, spki_hash: shared.spki_hash, exporter: connection.exporter };
    let claim = SessionClaim::from_bytes(&body, &channel, now).map_err(|error| refusal(&error))?;
    if let Claimant::Grid(record) = claim.claimant() {
        // What was seen of that grid before binds it here as everywhere: the floor rises with what it shows.
        shared.resolver.admits_shown(record).await.map_err(|error| {
            Refusal::because(StatusCode::FORBIDDEN, Code::Refused, &error)
                .hint("wait until your grid's newest record has reached your own gateway")
        })?;
    }
    let nonce = shared.nonces.lock().unwrap_or_else(PoisonError::into_inner).take(claim.nonce(), now);
    nonce.map_err(|error| Refusal::because(StatusCode::FORBIDDEN, Code::Refused, &error))?;
    let key = *claim.key();
    let caller = match claim.claimant() {
        Claimant::Grid(record) => Caller::Grid { id: *record.grid(), key },
        Claimant::Client => match shared.client(&key) {
            Some(label) => Caller::Client { key, label },
            None => Caller::Pending { key },
        },
    };
    debug!(%caller, "a session is open");
    connection.open(caller.clone());
    if let Caller::Grid { id, key } = &caller {
        refresh(&shared, &connection, *id, *key);
    }
    let window = match &caller {
        Caller::Grid { .. } => {
            split_pool(&shared);
            shared.leases.stranger_window()
        }
        Caller::Client { .. } | Caller::Pending { .. } => CLIENT_WINDOW,
    };
    let label = match &caller {
        Caller::Client { label, .. } => Some(label.to_string()),
        Caller::Grid { .. } | Caller::Pending { .. } => None,
    };
    let reason = match &caller {
        Caller::Pending { key } => Some(shared.members.why_none(key, &shared.spki_hash, now).word()),
        Caller::Grid { .. } | Caller::Client { .. } => None,
    };
    Ok(Json(Welcome {
        caller: caller.kind(),
        label,
        reason,
        grid_id: shared.grid.to_string(),
        window_bytes: window,
        unit_limit_bytes: window,
    }))
}

fn refusal(error: &ClaimError) -> Refusal {
    let (status, code) = match error {
        ClaimError::Form(_) => (StatusCode::BAD_REQUEST, Code::Malformed),
        ClaimError::BadSignature | ClaimError::Record(_) => (StatusCode::FORBIDDEN, Code::Integrity),
        ClaimError::Withdrawn => (StatusCode::FORBIDDEN, Code::Withdrawn),
        ClaimError::RecordTime(_) => (StatusCode::FORBIDDEN, Code::Expired),
        _ => (StatusCode::FORBIDDEN, Code::Refused),
    };
    Refusal::because(status, code, error)
}
