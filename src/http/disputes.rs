//! The local API's part in disputes: comparing with the other side, and closing what was found.

use crate::clearing::{CompareError, Compared, ComparedLanes};
use crate::http::compared_views::{ClosedView, ComparedLanesView, ComparedView, NotShownView};
use crate::http::openapi::LocalProblems;
use crate::http::problem::{Code, Problem};
use crate::http::routes::Shared;
use crate::http::settling::settler;
use crate::keys::GridId;
use crate::record::Nickname;
use crate::signed::Identity;
use crate::units::UnixSeconds;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CompareQuery {
    /// A lane, 64 hexadecimal digits.
    lane: Option<String>,
    /// Or all lanes with this grid.
    grid: Option<String>,
    /// Of these those that came into the books from this second on, in Unix time [default: 0]
    from: Option<u64>,
    /// And before this one [default: all].
    until: Option<u64>,
    /// And stand behind this lane in the order of their names: `next` of the last answer.
    after: Option<String>,
}

/// Compares vouchers of lanes with those that the other side holds, at most 256 lanes at once, and keeps where they differ.
#[utoipa::path(
    post, path = "/v1/disputes", params(CompareQuery),
    responses(
        (status = 200, description = "how far both agree, and where they part", body = ComparedLanesView),
        (status = 404, description = "no such lane is in the books, or the node has none", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
pub(super) async fn compare(
    State(shared): State<Shared>,
    query: Result<Query<CompareQuery>, QueryRejection>,
) -> Result<Json<ComparedLanesView>, Problem> {
    let Query(query) = query
        .map_err(|_| malformed("the query takes `lane`, or `grid`, `from`, `until` and `after`, and nothing else"))?;
    let settler = settler(&shared)?;
    let after = query.after.as_deref().map(lane_of).transpose()?;
    let view = match (&query.lane, &query.grid) {
        (Some(lane), None) => {
            let compared = settler.compare(lane_of(lane)?).await?;
            ComparedLanesView { compared: 1, lanes: vec![view(compared)], not_shown: Vec::new(), next: None }
        }
        (None, Some(grid)) => {
            let grid: GridId = grid.parse().map_err(|_| malformed("grid: not a grid id"))?;
            let period = (UnixSeconds(query.from.unwrap_or(0)), query.until.map_or(UnixSeconds::MAX, UnixSeconds));
            let ComparedLanes { compared, differing, unanswered, next } =
                settler.compare_all(&grid, period, after).await?;
            let not_shown = unanswered.into_iter();
            ComparedLanesView {
                compared,
                lanes: differing.into_iter().map(view).collect(),
                not_shown: not_shown.map(|(lane, reason)| NotShownView { lane: lane.to_string(), reason }).collect(),
                next: next.map(|next| next.to_string()),
            }
        }
        _ => return Err(malformed("the query takes `lane` or `grid`, one of the two")),
    };
    Ok(Json(view))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseQuery {
    /// The lane, 64 hexadecimal digits.
    lane: String,
    /// Who closes it, at most 64 octets.
    by: String,
    /// With what result, at most 64 octets.
    reason: String,
}

/// Closes what is in dispute of a lane.
#[utoipa::path(
    post, path = "/v1/disputes/close", params(CloseQuery),
    responses(
        (status = 200, description = "it is closed", body = ClosedView),
        (status = 404, description = "nothing of this lane is in dispute, or the node has no books", body = Problem,
            content_type = "application/problem+json"),
        LocalProblems,
    ),
)]
pub(super) async fn close(
    State(shared): State<Shared>,
    query: Result<Query<CloseQuery>, QueryRejection>,
) -> Result<Json<ClosedView>, Problem> {
    let Query(query) = query.map_err(|_| malformed("the query takes `lane`, `by` and `reason`, and nothing else"))?;
    let lane = lane_of(&query.lane)?;
    let name = |what, text: &str| Nickname::new(text).map_err(|error| malformed(format!("{what}: {error}")));
    let (by, reason) = (name("by", &query.by)?, name("reason", &query.reason)?);
    let closed = settler(&shared)?.close_dispute(lane, by, reason).await.map_err(CompareError::Books)?;
    if !closed {
        return Err(Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "nothing of this lane is in dispute"));
    }
    Ok(Json(ClosedView { lane: lane.to_string() }))
}

fn lane_of(text: &str) -> Result<Identity, Problem> {
    let lane = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    lane.map(Identity).ok_or_else(|| malformed("a lane is named by 64 hexadecimal digits"))
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Code::Malformed, detail.into())
}

fn view(compared: Compared) -> ComparedView {
    let Compared { lane, other, ours, theirs, agree_to, differ_at } = compared;
    ComparedView {
        lane: lane.to_string(),
        other: other.to_string(),
        our_bytes: ours.0.0,
        our_amount: ours.1.0.to_string(),
        their_bytes: theirs.0.0,
        their_amount: theirs.1.0.to_string(),
        agree_to_bytes: agree_to.0,
        differ_at_bytes: differ_at.map(|at| at.0),
    }
}

impl From<CompareError> for Problem {
    fn from(error: CompareError) -> Self {
        let (status, code) = match &error {
            CompareError::UnknownLane => (StatusCode::NOT_FOUND, Code::NotFound),
            CompareError::NotShown { .. } | CompareError::NoAnswer { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable)
            }
            CompareError::Books(_) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Failed),
        };
        Self::of(status, code, &error)
    }
}
