//! Asking a home gateway for a grid's record.

use crate::keys::GridId;
use crate::peer::client::GatewayClient;
use crate::peer::error::PeerError;
use crate::record::{GridRecord, RecordError};
use crate::units::Seconds;
use data_encoding::BASE64URL_NOPAD;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use std::fmt;

/// A view of a record with eight pieces of evidence takes about 20 kB.
const MAX_ANSWER_BYTES: usize = 1 << 16;
/// The most pieces of evidence that are looked at.
const MAX_EVIDENCE: usize = 16;

/// How fresh a record must be. None ever goes below the gateway's floor, nor may it go below the asker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Freshness {
    /// What the gateway has at hand.
    Cached,
    /// The first valid answer.
    #[default]
    Fast,
    /// The newest of three networks.
    Fresh,
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cached => "cached",
            Self::Fast => "fast",
            Self::Fresh => "fresh",
        })
    }
}

/// A record that a gateway gave, verified. Whether it is current, and above the asker's floor, is still to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenRecord {
    /// The record.
    pub record: GridRecord,
    /// Earlier records of the grid that bind beside it; what does not verify is left out.
    pub evidence: Vec<GridRecord>,
    /// How long ago somebody confirmed to the gateway that it is the newest.
    pub age: Seconds,
}

/// What is read of an answer in JSON: all the rest is what the gateway says about these bytes.
#[derive(Deserialize)]
struct Document {
    record_base64url: String,
    #[serde(default)]
    evidence_base64url: Vec<String>,
}

impl GatewayClient {
    /// The record of `grid` that the gateway has or finds. Of that very grid, wherever it has moved; a withdrawal is a record
    /// too.
    pub async fn record(&self, grid: &GridId, freshness: Freshness) -> Result<GivenRecord, PeerError> {
        let path = format!("/v1/grids/{grid}?policy={freshness}");
        let accept = HeaderValue::from_static("application/json, application/cose;q=0.5");
        let answer = self.get(&path, &[(header::ACCEPT, accept)]).await?;
        // A withdrawal comes with 410 and is a record all the same: what was signed counts, not the status.
        let is_record = matches!(answer.status(), StatusCode::OK | StatusCode::GONE) && !is_problem(answer.headers());
        if !is_record {
            return Err(answer.refusal(self).await);
        }
        let headers = answer.headers().clone();
        let body = answer.whole(self, MAX_ANSWER_BYTES).await?;
        self.given(grid, &headers, &body)
    }

    fn given(&self, grid: &GridId, headers: &HeaderMap, body: &[u8]) -> Result<GivenRecord, PeerError> {
        let read = |bytes: &[u8]| GridRecord::from_bytes(bytes, grid);
        let bad = |source: RecordError| PeerError::Record { place: self.place().nurl.place().clone(), source };
        let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.parse().ok()).map(Seconds);
        let age = age.unwrap_or_default();
        if has_type(headers, "application/cose") {
            return Ok(GivenRecord { record: read(body).map_err(bad)?, evidence: Vec::new(), age });
        }
        let document: Document =
            serde_json::from_slice(body).map_err(|_| self.malformed("neither a record nor the JSON of one"))?;
        let decoded = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes());
        let bytes = decoded(&document.record_base64url).map_err(|_| self.malformed("the record is no base64url"))?;
        let evidence = document.evidence_base64url.iter().take(MAX_EVIDENCE);
        let evidence = evidence.filter_map(|text| read(&decoded(text).ok()?).ok()).collect();
        Ok(GivenRecord { record: read(&bytes).map_err(bad)?, evidence, age })
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    has_type(headers, "application/problem+json")
}

fn has_type(headers: &HeaderMap, name: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::fixtures::{Gateway, Speaks, client_of, record_of, secret};
    use crate::peer::place::CallerIdentity;
    use crate::peer::refusal::RefusalCode;

    #[tokio::test]
    async fn a_record_is_verified_in_whichever_form_it_comes() {
        let gateway = Gateway::start(Speaks::Both).await;
        let client = client_of(&gateway, CallerIdentity::Client(secret(9))).await.unwrap();
        let record = record_of(7, 8);
        let text = BASE64URL_NOPAD.encode(record.signed().bytes());
        let json =
            serde_json::json!({"record_base64url": text, "evidence_base64url": [text, "AAAA"], "more": 1}).to_string();
        for (kind, body) in [
            ("application/cose; cose-type=\"cose-sign1\"", record.signed().bytes().to_vec()),
            ("application/json", json.into_bytes()),
        ] {
            gateway.give_record(kind, body);
            let given = client.record(record.grid(), Freshness::Fast).await.unwrap();
            assert_eq!(given.record, record);
            assert_eq!(given.age, Seconds(3));
            // Neither is believed to be another grid's.
            let other = GridId::new(secret(6).public());
            let error = client.record(&other, Freshness::Fast).await.unwrap_err();
            assert_eq!(error.code(), RefusalCode::Integrity, "{error}");
        }
        gateway.give_record("application/json", b"{}".to_vec());
        let error = client.record(record.grid(), Freshness::Fresh).await.unwrap_err();
        assert!(matches!(error, PeerError::Malformed { .. }), "{error}");
    }
}
