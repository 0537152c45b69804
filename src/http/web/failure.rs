//! What went wrong, as a page for a browser and as an RFC 9457 problem for a program.

use crate::clearing::Quote;
use crate::http::web::pages;
use crate::reader::{CapPathError, ReadError, Trouble};
use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::error::Error;

/// Why a request got no content.
#[derive(Debug)]
pub(super) struct WebFailure {
    status: StatusCode,
    /// The name of the exit code that a command would end with.
    code: &'static str,
    /// For people.
    title: &'static str,
    detail: String,
    hint: Option<String>,
    offers: Option<Value>,
    /// What it costs, and how to have it all the same.
    price: Option<Box<(Quote, String)>>,
}

impl WebFailure {
    /// A request that is wrong by itself.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "This is no cap", detail)
    }

    /// A request that this address does not answer.
    pub(super) fn refused(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "refused", "Not answered", detail)
    }

    /// A path of none of the forms.
    pub(super) fn unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Nothing here", "caps are opened at `/uri/CAP`")
    }

    /// A method other than GET and HEAD.
    pub(super) fn method() -> Self {
        let detail = "this address only reads: `GET` and `HEAD`";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "malformed", "Not answered", detail)
    }

    /// The same with what it costs in all; `command` has it fetched, and pays so much.
    pub(super) fn costing(self, quote: Quote, command: String) -> Self {
        Self { price: Some(Box::new((quote, command))), ..self }
    }

    /// Whether it is for want of leave to pay.
    pub(super) fn is_price(&self) -> bool {
        self.status == StatusCode::PAYMENT_REQUIRED && self.code == "refused"
    }

    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), hint: None, offers: None, price: None }
    }

    /// The answer, in the form that who asked takes.
    pub(super) fn answer(self, headers: &HeaderMap) -> Response {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let browser = accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"));
        if let Some(price) = self.price.as_ref().filter(|_| browser) {
            return pages::price(self.status, &self.detail, &price.0, &price.1).into_response();
        }
        if browser {
            return pages::error(self.status, self.title, &self.detail, self.hint.as_deref()).into_response();
        }
        let mut problem = json!({
            "status": self.status.as_u16(),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "detail": self.detail,
            "code": self.code,
        });
        for (name, value) in [("hint", self.hint.map(Value::from)), ("offers", self.offers)] {
            if let Some(value) = value {
                problem[name] = value;
            }
        }
        if let Some((quote, command)) = self.price.map(|price| *price) {
            problem["quote"] = json!(quote);
            problem["hint"] = Value::from(format!("`{command}` pays up to so much"));
        }
        let mut response = (self.status, Json(problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<CapPathError> for WebFailure {
    fn from(error: CapPathError) -> Self {
        Self::malformed(error.to_string())
    }
}

impl From<ReadError> for WebFailure {
    fn from(error: ReadError) -> Self {
        let (status, code, title) = match error.trouble() {
            Trouble::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "failed", "That did not work"),
            Trouble::Malformed => (StatusCode::UNPROCESSABLE_ENTITY, "malformed", "This cannot be opened"),
            Trouble::NotFound => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Trouble::Refused => (StatusCode::FORBIDDEN, "refused", "Refused"),
            Trouble::Price => (StatusCode::PAYMENT_REQUIRED, "refused", "It costs more than you allow"),
            Trouble::ForeignPrice => (StatusCode::PAYMENT_REQUIRED, "foreign_refused", "The other grid asks a price"),
            Trouble::Expired => (StatusCode::GONE, "expired", "The grid’s record has expired"),
            Trouble::Withdrawn => (StatusCode::GONE, "withdrawn", "The grid is gone"),
            Trouble::Moved => (StatusCode::GONE, "moved", "The grid has moved"),
            Trouble::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, "unreachable", "Nobody answers"),
            Trouble::ForeignRefused => (StatusCode::FORBIDDEN, "foreign_refused", "Refused by the other grid"),
            Trouble::TooFewShares => (StatusCode::BAD_GATEWAY, "too_few_shares", "Too little of it is left"),
            Trouble::Integrity => (StatusCode::BAD_GATEWAY, "integrity", "This is not what the cap says"),
        };
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail = format!("{detail}: {error}");
            cause = error.source();
        }
        let hint = error.hint();
        let offers = match error {
            ReadError::Source(error) => error.offers,
            _ => None,
        };
        Self { hint, offers, ..Self::new(status, code, title, detail) }
    }
}
