//! Errors as RFC 9457 problems: the one place that knows which error has which status.

use crate::publisher::{InstallError, PublishError};
use crate::record::{RecordError, TimeFault};
use crate::resolver::ResolveError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::error::Error;
use utoipa::ToSchema;

/// What kind of failure it was, for scripts: the names of the program's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No reason with a name of its own.
    Failed,
    /// The request, or what it carried, is malformed.
    Malformed,
    /// There is no such thing.
    NotFound,
    /// Refused by a rule.
    Refused,
    /// Expired.
    Expired,
    /// The grid has withdrawn for good.
    Withdrawn,
    /// The grid has moved and cannot be followed.
    Moved,
    /// Nobody could be reached, or not in time.
    Unreachable,
    /// Something does not match its signature.
    Integrity,
}

/// A problem: what happened, in `detail`, and of what kind it was, in `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What is wrong and where, the chain of causes included.
    pub detail: String,
    /// The kind.
    pub code: Code,
    /// The record that stands against the one offered, as it was signed, in base64url without padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_base64url: Option<String>,
}

impl Problem {
    /// A problem in words of its own.
    pub(super) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into(), code, record_base64url: None }
    }

    pub(super) fn of(status: StatusCode, code: Code, error: &(dyn Error + 'static)) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail = format!("{detail}: {error}");
            cause = error.source();
        }
        Self::new(status, code, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        let (status, code) = match &error {
            ResolveError::NotFound { .. } | ResolveError::Ahead { .. } => (StatusCode::NOT_FOUND, Code::NotFound),
            ResolveError::RolledBack { .. } => (StatusCode::NOT_FOUND, Code::Integrity),
            ResolveError::Expired { .. } => (StatusCode::GONE, Code::Expired),
            ResolveError::Withdrawn { .. } => (StatusCode::GONE, Code::Withdrawn),
            ResolveError::Moved { .. } => (StatusCode::GONE, Code::Moved),
            ResolveError::Upgrade { .. } => (StatusCode::BAD_GATEWAY, Code::Failed),
            ResolveError::Unreachable { .. } => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
            ResolveError::Busy => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
            ResolveError::TimedOut { .. } => (StatusCode::GATEWAY_TIMEOUT, Code::Unreachable),
            ResolveError::Floor(_) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Failed),
        };
        Self::of(status, code, &error)
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        let (status, code) = match &error {
            PublishError::NoRecord { .. } => (StatusCode::NOT_FOUND, Code::NotFound),
            PublishError::Own(_) | PublishError::Reported(_) => (StatusCode::CONFLICT, Code::Refused),
            PublishError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
        };
        Self::of(status, code, &error)
    }
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        let (status, code) = match &error {
            InstallError::Neither(error) if matches!(**error, RecordError::BadSignature { .. }) => {
                (StatusCode::BAD_REQUEST, Code::Integrity)
            }
            InstallError::Neither(_) => (StatusCode::BAD_REQUEST, Code::Malformed),
            InstallError::Time(TimeFault::Expired { .. }) => (StatusCode::BAD_REQUEST, Code::Expired),
            InstallError::Time(_) => (StatusCode::BAD_REQUEST, Code::Malformed),
            InstallError::Ended(_) => (StatusCode::BAD_REQUEST, Code::Expired),
            InstallError::Stale { .. } | InstallError::Revoked { .. } | InstallError::Breach(_) => {
                (StatusCode::CONFLICT, Code::Refused)
            }
            InstallError::OtherPublisher { .. } => (StatusCode::FORBIDDEN, Code::Refused),
            InstallError::Key(_) | InstallError::Own(_) | InstallError::File(_) | InstallError::Damaged { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, Code::Failed)
            }
        };
        Self::of(status, code, &error)
    }
}
