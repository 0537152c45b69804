//! Answers that refuse: RFC 9457 problems whose `code` is a name of the program's exit codes.

use crate::ledger::LedgerError;
use crate::units::{Bytes, Seconds};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::error::Error;

/// When somebody may come again whose request the books did not take.
const BOOKS: Seconds = Seconds(30);

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// No reason with a name of its own.
    Failed,
    /// The request is malformed.
    Malformed,
    /// There is no such thing.
    NotFound,
    /// Refused by this gateway.
    Refused,
    /// Refused by the gateway that this one asked.
    ForeignRefused,
    /// Too few shares could be read.
    TooFewShares,
    /// Something does not match its signature or hash.
    Integrity,
    /// Nobody could be reached, or not in time.
    Unreachable,
    /// Expired.
    Expired,
    /// The grid has withdrawn.
    Withdrawn,
    /// The grid has moved and cannot be followed.
    Moved,
    /// The lane that the request names is open no more.
    LaneClosed,
}

/// A refusal and what is to be said of it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: Code,
    detail: String,
    hint: Option<String>,
    retry_after: Option<Seconds>,
    offers: Option<serde_json::Value>,
    octets: Option<u64>,
}

#[derive(Serialize)]
struct Document {
    status: u16,
    title: &'static str,
    detail: String,
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offers: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets: Option<u64>,
}

impl Refusal {
    /// A refusal in words of its own.
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), hint: None, retry_after: None, offers: None, octets: None }
    }

    /// A refusal that an error explains, with all its causes.
    pub(crate) fn because(status: StatusCode, code: Code, error: &(dyn Error + 'static)) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail = format!("{detail}: {error}");
            cause = error.source();
        }
        Self::new(status, code, detail)
    }

    /// 400: what is wrong with the request. Never repeats a part of it, which may be a key.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Malformed, detail)
    }

    /// The same with the next thing to try.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the time after which it is worth to ask again.
    #[must_use]
    pub(crate) fn after(mut self, wait: Seconds) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same with ways to pay.
    #[must_use]
    pub(crate) fn offers(mut self, offers: serde_json::Value) -> Self {
        self.offers = Some(offers);
        self
    }

    /// 413: what is asked for has more octets than are wanted.
    pub(crate) fn longer(octets: Bytes, most: Bytes) -> Self {
        let detail = format!("what is asked for has {octets}, and at most {most} are wanted");
        let refusal = Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::Refused, detail);
        Self { octets: Some(octets.0), ..refusal }
    }

    /// The status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is said.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<LedgerError> for Refusal {
    /// Nothing that the books decide on is decided while they cannot be read or written.
    fn from(error: LedgerError) -> Self {
        Self::because(StatusCode::SERVICE_UNAVAILABLE, Code::Failed, &error).after(BOOKS)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, detail, hint, retry_after, offers, octets } = self;
        let title = status.canonical_reason().unwrap_or("Error");
        let document = Document { status: status.as_u16(), title, detail, code, hint, offers, octets };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, wait.0.into());
        }
        response
    }
}
