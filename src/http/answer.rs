//! The answer to a question for a grid's record: as the CLI and the API show it, and as one hands it to the other.
//!
//! The API sends the signed bytes along, and the CLI makes its answer of those: what a process on a port says is believed
//! no more than what a peer says.

use crate::http::record_text::RecordText;
use crate::keys::GridId;
use crate::record::{GridRecord, RecordError, RecordView};
use crate::resolver::{Answer, Source};
use crate::units::{Seconds, UnixSeconds};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use utoipa::ToSchema;

/// What `resolve` prints.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AnswerView {
    /// What the record says, and what binds beside it.
    #[serde(flatten)]
    pub record: RecordView,
    /// `cache`, `direct` or `walk`; `home` where a home gateway gave it.
    pub source: String,
    /// How long ago the network last confirmed the record.
    pub age_seconds: u64,
    /// How many holders gave this very record.
    pub agreeing_holders: u32,
    /// Of a `fresh` question: the grid's own node was asked and did not answer.
    pub own_node_silent: bool,
    /// From the question to the answer.
    pub elapsed_ms: u64,
    /// The cap as it is on its own grid, where a foreign cap was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_cap: Option<String>,
}

impl AnswerView {
    /// The view of `answer` at `now`.
    pub fn new(answer: &Answer, elapsed: Duration, now: UnixSeconds) -> Self {
        Self {
            record: RecordView::new(&answer.record, &answer.evidence, answer.moved_from.as_ref(), now),
            source: answer.source.to_string(),
            age_seconds: answer.age.0,
            agreeing_holders: answer.agreeing_holders,
            own_node_silent: answer.own_node_silent,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            home_cap: None,
        }
    }
}

impl fmt::Display for AnswerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RecordText(&self.record).fmt(f)?;
        if let Some(cap) = &self.home_cap {
            writeln!(f, "home cap    {cap}")?;
        }
        let Self { source, agreeing_holders, age_seconds, elapsed_ms, .. } = self;
        write!(f, "\n{source}")?;
        match agreeing_holders {
            0 => {}
            1 => write!(f, ", one holder has it")?,
            holders => write!(f, ", {holders} holders agree")?,
        }
        if *age_seconds > 0 {
            write!(f, ", confirmed {} ago", Seconds(*age_seconds))?;
        }
        if self.own_node_silent {
            write!(f, ", the grid's own node does not answer")?;
        }
        writeln!(f, ", {elapsed_ms} ms")
    }
}

/// An answer with its proof.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct AnswerBody {
    #[serde(flatten)]
    view: AnswerView,
    /// The record as it was signed, in base64url without padding: verify this, and believe nothing else.
    record_base64url: String,
    /// The earlier records that `evidence` names, as they were signed, in base64url without padding.
    evidence_base64url: Vec<String>,
}

impl AnswerBody {
    pub(super) fn new(answer: &Answer, elapsed: Duration, now: UnixSeconds) -> Self {
        let base64 = |record: &GridRecord| BASE64URL_NOPAD.encode(record.signed().bytes());
        Self {
            view: AnswerView::new(answer, elapsed, now),
            record_base64url: base64(&answer.record),
            evidence_base64url: answer.evidence.iter().map(base64).collect(),
        }
    }
}

/// The part of the body that an answer is made of: all that is signed comes from the signed bytes.
#[derive(Debug, Deserialize)]
struct Proof {
    grid_id: GridId,
    moved_from: Option<GridId>,
    source: String,
    age_seconds: u64,
    agreeing_holders: u32,
    own_node_silent: bool,
    record_base64url: String,
    evidence_base64url: Vec<String>,
}

/// Why the body of an API's answer is none to the question.
#[derive(Debug, thiserror::Error)]
pub enum AnswerBodyError {
    /// Not the JSON that a node of this version sends.
    #[error("not an answer of this version")]
    Json(#[from] serde_json::Error),
    /// A field holds something else than it should.
    #[error("`{0}` in the answer is malformed")]
    Field(&'static str),
    /// The answer is about another grid.
    #[error("the answer is about `{found}`")]
    OtherGrid {
        /// That grid.
        found: GridId,
    },
    /// The record in it is none.
    #[error("the record in the answer does not verify")]
    Record(#[from] RecordError),
}

/// Verifies the body of an API's answer to the question for `grid`, and makes an answer of it.
pub fn answer_from_body(body: &[u8], grid: &GridId) -> Result<Answer, AnswerBodyError> {
    let proof: Proof = serde_json::from_slice(body)?;
    if proof.moved_from.unwrap_or(proof.grid_id) != *grid {
        return Err(AnswerBodyError::OtherGrid { found: proof.grid_id });
    }
    let record = |field, text: &str| {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| AnswerBodyError::Field(field))?;
        Ok::<_, AnswerBodyError>(GridRecord::from_bytes(&bytes, &proof.grid_id)?)
    };
    let sources = [Source::Cache, Source::Direct, Source::Walk, Source::Home];
    let source = sources.into_iter().find(|source| source.to_string() == proof.source);
    Ok(Answer {
        record: record("record_base64url", &proof.record_base64url)?,
        source: source.ok_or(AnswerBodyError::Field("source"))?,
        age: Seconds(proof.age_seconds),
        agreeing_holders: proof.agreeing_holders,
        evidence: proof
            .evidence_base64url
            .iter()
            .map(|text| record("evidence_base64url", text))
            .collect::<Result<_, _>>()?,
        moved_from: proof.moved_from,
        own_node_silent: proof.own_node_silent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::record::{RecordDraft, Signer};

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn record(key: &SecretKey, rate: &str, at: UnixSeconds) -> GridRecord {
        let draft = RecordDraft { rates: vec![rate.parse().unwrap()], ..RecordDraft::new(GridId::new(key.public())) };
        draft.sign(Signer::Grid { key, serial: NOW }, None, &[], at).unwrap()
    }

    fn answer() -> Answer {
        let key = SecretKey::from_seed(&[1; 32]);
        Answer {
            record: record(&key, "0.03 USD/GiB", NOW.plus(Seconds(5))),
            source: Source::Walk,
            age: Seconds(0),
            agreeing_holders: 3,
            evidence: vec![record(&key, "0.02 USD/GiB until 2027-06-01", NOW)],
            moved_from: None,
            own_node_silent: false,
        }
    }

    fn body(answer: &Answer) -> serde_json::Value {
        serde_json::to_value(AnswerBody::new(answer, Duration::from_millis(7), NOW)).unwrap()
    }

    fn read(body: &serde_json::Value, grid: &GridId) -> Result<Answer, AnswerBodyError> {
        answer_from_body(body.to_string().as_bytes(), grid)
    }

    #[test]
    fn an_answer_survives_the_way_through_the_api() {
        let given = answer();
        let read = read(&body(&given), given.record.grid()).unwrap();
        assert_eq!(read.record, given.record);
        assert_eq!(read.evidence, given.evidence);
        let view = |answer| AnswerView::new(answer, Duration::ZERO, NOW);
        assert_eq!(view(&read), view(&given));
    }

    #[test]
    fn what_a_stranger_on_the_port_says_is_not_believed() {
        let given = answer();
        let other = GridId::new(SecretKey::from_seed(&[2; 32]).public());
        assert!(matches!(read(&body(&given), &other), Err(AnswerBodyError::OtherGrid { .. })));
        let mut relabelled = body(&given);
        relabelled["grid_id"] = other.to_string().into();
        assert!(matches!(read(&relabelled, &other), Err(AnswerBodyError::Record(_))));
        let mut dearer = body(&given);
        dearer["rates"][0]["price_per_gib"] = "1".into();
        let view = AnswerView::new(&read(&dearer, given.record.grid()).unwrap(), Duration::ZERO, NOW);
        assert_eq!(view, AnswerView::new(&given, Duration::ZERO, NOW));
    }
}
