//! A record as an answer: its bytes or its JSON, and how long either may be kept.

use crate::http::problem::{Code, Problem};
use crate::http::resolver_address::accept::Form;
use crate::record::{GridRecord, RecordView, SignedRecord};
use crate::store::Row;
use crate::units::UnixSeconds;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// The media type of the bytes (RFC 9052, 11.3.1).
pub(super) const COSE: &str = "application/cose; cose-type=\"cose-sign1\"";
/// For how many seconds an answer may be kept by whoever it passes: a new record is seen a minute later.
const KEEP: u64 = 60;

/// A grid's record in JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GridView {
    /// What the record says, and what binds beside it.
    #[serde(flatten)]
    record: RecordView,
    /// The record as it was signed, in base64url without padding: verify this, and believe nothing else.
    record_base64url: String,
    /// The earlier records that `evidence` names, as they were signed, in base64url without padding.
    evidence_base64url: Vec<String>,
}

impl GridView {
    fn new(record: &GridRecord, evidence: &[GridRecord], now: UnixSeconds) -> Self {
        Self {
            record: RecordView::new(record, evidence, None, now),
            record_base64url: base64url(record.signed()),
            evidence_base64url: evidence.iter().map(|record| base64url(record.signed())).collect(),
        }
    }
}

/// A record's bytes as they stand in JSON.
pub(super) fn base64url(record: &SignedRecord) -> String {
    BASE64URL_NOPAD.encode(record.bytes())
}

/// A form of a record, ready to be sent.
pub(super) struct Representation {
    etag: String,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Representation {
    /// `record` in `form`. Only what this program understands can be put in JSON.
    pub(super) fn new(
        form: Form,
        record: &SignedRecord,
        evidence: &[GridRecord],
        now: UnixSeconds,
    ) -> Result<Self, Problem> {
        match form {
            Form::Cose => Ok(Self::bytes(record)),
            Form::Json => {
                let record = GridRecord::read(record.clone()).map_err(|error| {
                    let detail = format!("{error}: only its bytes can be given, as `application/cose`");
                    Problem::new(StatusCode::NOT_ACCEPTABLE, Code::Failed, detail)
                })?;
                let body = serde_json::to_vec(&GridView::new(&record, evidence, now)).expect("a view is plain JSON");
                // Which price binds changes with time and with evidence: the view's tag is of what it says.
                let digest = HEXLOWER.encode(&Sha256::digest(&body)[..8]);
                let etag = format!("W/\"{}.{digest}\"", record.signed().identity());
                Ok(Self { etag, content_type: "application/json", body })
            }
        }
    }

    /// The bytes of `record`, named by its identity.
    pub(super) fn bytes(record: &SignedRecord) -> Self {
        Self { etag: format!("\"{}\"", record.identity()), content_type: COSE, body: record.bytes().to_vec() }
    }

    /// Whether `If-None-Match` names it: the asker has it.
    pub(super) fn is_had(&self, headers: &HeaderMap) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let own = opaque(&self.etag);
        let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        tags.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || opaque(tag) == own)
    }

    /// The answer with `status`, without a body where that is 304.
    pub(super) fn answer(self, status: StatusCode) -> Response {
        let body = if status == StatusCode::NOT_MODIFIED { Body::empty() } else { Body::from(self.body) };
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        if status != StatusCode::NOT_MODIFIED {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        headers.insert(header::ETAG, self.etag.parse().expect("hexadecimal digits in quotes"));
        response
    }
}

/// `Age` and `Cache-Control` of what is held: its age counts from when somebody last confirmed it, and it is fresh for
/// [`KEEP`] more seconds, never beyond its expiry.
pub(super) fn set_freshness(response: &mut Response, row: &Row, now: UnixSeconds) {
    let age = now.since(row.confirmed_at).0;
    let left = row.record.expires_at().since(now).0.min(KEEP);
    let headers = response.headers_mut();
    headers.insert(header::AGE, age.into());
    let control = format!("public, max-age={}", age.saturating_add(left));
    headers.insert(header::CACHE_CONTROL, control.parse().expect("digits"));
}

/// Evidence never changes; it is kept no longer than a day, after which it may have ended.
pub(super) fn set_unchanging(response: &mut Response) {
    let value = HeaderValue::from_static("public, max-age=86400, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
}
