//! A problem document (RFC 9457) that another gateway answers with, as far as it is believed and repeated.

use crate::units::Seconds;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap};
use serde::Deserialize;
use std::fmt;

/// The most octets of a problem document.
pub(super) const MAX_PROBLEM_BYTES: usize = 1 << 16;
/// The most characters of its words that are repeated.
const MAX_TEXT: usize = 600;

/// What kind of failure it was: the names of the program's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The request is malformed, to the other's mind.
    Malformed,
    /// There is no such thing.
    NotFound,
    /// The gateway that was asked refuses.
    Refused,
    /// The gateway that it asked in turn refuses.
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
    /// Anything else.
    #[serde(other)]
    Failed,
}

/// A request that was answered, and refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("answers {status}{}", Detail(detail))]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The kind.
    pub code: RefusalCode,
    /// In the other's words, without what controls a terminal; empty where it said nothing.
    pub detail: String,
    /// What it says could be tried next, likewise.
    pub hint: Option<String>,
    /// When to ask again.
    pub retry_after: Option<Seconds>,
    /// What it offers to be paid by, with status 402, as it stands in the document.
    pub offers: Option<serde_json::Value>,
    /// How many octets what was asked for has, with status 413.
    pub octets: Option<u64>,
}

struct Detail<'t>(&'t str);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

#[derive(Deserialize)]
struct Document {
    code: Option<RefusalCode>,
    detail: Option<String>,
    hint: Option<String>,
    offers: Option<serde_json::Value>,
    octets: Option<u64>,
}

impl Refusal {
    /// The refusal that this answer is.
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let empty = Document { code: None, detail: None, hint: None, offers: None, octets: None };
        let document = serde_json::from_slice(body).unwrap_or(empty);
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            status: status.as_u16(),
            code: document.code.unwrap_or(by_status(status)),
            detail: document.detail.as_deref().map(plain).unwrap_or_default(),
            hint: document.hint.as_deref().map(plain),
            retry_after: retry_after.map(Seconds),
            offers: document.offers,
            octets: document.octets,
        }
    }
}

fn by_status(status: StatusCode) -> RefusalCode {
    match status {
        StatusCode::BAD_REQUEST => RefusalCode::Malformed,
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PAYMENT_REQUIRED
        | StatusCode::TOO_MANY_REQUESTS => RefusalCode::Refused,
        StatusCode::NOT_FOUND => RefusalCode::NotFound,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => RefusalCode::Unreachable,
        _ => RefusalCode::Failed,
    }
}

/// A text of somebody else's, fit for a terminal and a log.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
    };
    text.chars().map(|c| if c == '\n' { ' ' } else { c }).filter(is_plain).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        Refusal::new(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn a_problem_keeps_its_code_and_its_words() {
        let found = refusal(502, r#"{"code":"too_few_shares","detail":"2 of 3","hint":"later","status":502}"#);
        assert_eq!((found.code, found.retry_after), (RefusalCode::TooFewShares, Some(Seconds(7))));
        assert_eq!(found.to_string(), "answers 502: 2 of 3");
        assert_eq!(found.hint.as_deref(), Some("later"));
    }

    #[test]
    fn what_is_no_problem_is_judged_by_its_status() {
        for (status, code) in [(403, RefusalCode::Refused), (404, RefusalCode::NotFound), (500, RefusalCode::Failed)] {
            for body in ["", "<html>", "[]"] {
                assert_eq!(refusal(status, body).code, code, "{status} {body}");
            }
        }
        assert_eq!(refusal(403, r#"{"code":"of_a_later_day"}"#).code, RefusalCode::Failed);
        assert_eq!(refusal(418, "").to_string(), "answers 418");
    }

    #[test]
    fn a_strangers_words_do_not_control_the_terminal() {
        let long = "x".repeat(2000);
        let found = refusal(403, &format!(r#"{{"detail":"a\u001b[2Jb\u202ec\nd{long}"}}"#));
        assert!(found.detail.starts_with("a[2Jbc d"), "{}", found.detail);
        assert_eq!(found.detail.chars().count(), MAX_TEXT);
    }
}
