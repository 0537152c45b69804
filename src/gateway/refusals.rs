//! How failures of the rooms below are told to whoever asked: the one place that knows which has which status.

use crate::gateway::serve::{Code, Refusal};
use crate::peer::{PeerError, RefusalCode};
use crate::resolver::ResolveError;
use axum::http::StatusCode;

/// Why a record was not found.
pub(super) fn resolve_refusal(error: &ResolveError) -> Refusal {
    let (status, code) = match error {
        ResolveError::NotFound { .. } | ResolveError::Ahead { .. } => (StatusCode::NOT_FOUND, Code::NotFound),
        ResolveError::RolledBack { .. } => (StatusCode::NOT_FOUND, Code::Integrity),
        ResolveError::Expired { .. } => (StatusCode::GONE, Code::Expired),
        ResolveError::Withdrawn { .. } => (StatusCode::GONE, Code::Withdrawn),
        ResolveError::Moved { .. } => (StatusCode::GONE, Code::Moved),
        ResolveError::Upgrade { .. } => (StatusCode::BAD_GATEWAY, Code::Failed),
        ResolveError::Unreachable { .. } | ResolveError::Busy => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
        ResolveError::TimedOut { .. } => (StatusCode::GATEWAY_TIMEOUT, Code::Unreachable),
        ResolveError::Floor(_) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Failed),
    };
    Refusal::because(status, code, error)
}

/// Why another grid's gateway gave nothing.
pub(super) fn peer_refusal(error: &PeerError) -> Refusal {
    let Some(refused) = error.refusal() else {
        let (status, code) = match error.code() {
            RefusalCode::Unreachable if matches!(error, PeerError::TimedOut { .. }) => {
                (StatusCode::GATEWAY_TIMEOUT, Code::Unreachable)
            }
            RefusalCode::Unreachable => (StatusCode::BAD_GATEWAY, Code::Unreachable),
            RefusalCode::Integrity => (StatusCode::BAD_GATEWAY, Code::Integrity),
            RefusalCode::Refused => (StatusCode::FORBIDDEN, Code::Refused),
            _ => (StatusCode::BAD_GATEWAY, Code::Failed),
        };
        return Refusal::because(status, code, error);
    };
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let (status, code) = match (status, refused.code) {
        // Its answers about the file are the answer.
        (StatusCode::NOT_FOUND, _) | (_, RefusalCode::NotFound) => (StatusCode::NOT_FOUND, Code::NotFound),
        (StatusCode::PRECONDITION_FAILED, _) => (StatusCode::PRECONDITION_FAILED, Code::NotFound),
        (StatusCode::RANGE_NOT_SATISFIABLE, _) => (StatusCode::RANGE_NOT_SATISFIABLE, Code::Malformed),
        (_, RefusalCode::TooFewShares) => (StatusCode::BAD_GATEWAY, Code::TooFewShares),
        (_, RefusalCode::Integrity) => (StatusCode::BAD_GATEWAY, Code::Integrity),
        (_, RefusalCode::Unreachable) => (StatusCode::BAD_GATEWAY, Code::Unreachable),
        // Ours, not the client's: we may wait, pay or be refused.
        (StatusCode::PAYMENT_REQUIRED, _) => (StatusCode::PAYMENT_REQUIRED, Code::ForeignRefused),
        (StatusCode::TOO_MANY_REQUESTS, _) => (StatusCode::TOO_MANY_REQUESTS, Code::ForeignRefused),
        _ => (StatusCode::FORBIDDEN, Code::ForeignRefused),
    };
    let mut answer = Refusal::because(status, code, error);
    if let Some(hint) = &refused.hint {
        answer = answer.hint(hint.clone());
    }
    if let Some(wait) = refused.retry_after {
        answer = answer.after(wait);
    }
    if let Some(offers) = refused.offers.as_ref().filter(|_| status == StatusCode::PAYMENT_REQUIRED) {
        answer = answer.offers(offers.clone());
    }
    answer
}
