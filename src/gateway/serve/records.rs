//! The records of other grids, which a home resolves for its clients. They verify them again.

use crate::gateway::refusals::resolve_refusal;
use crate::gateway::serve::access::caller;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::shared::Shared;
use crate::keys::GridId;
use crate::resolver::{Answer, DEFAULT_DEADLINE, Policy, Question, ResolveError};
use crate::session::Caller;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordQuery {
    policy: Option<String>,
}

/// The signed bytes and those of what binds beside them.
#[derive(Serialize)]
struct Given {
    grid_id: String,
    record_base64url: String,
    evidence_base64url: Vec<String>,
}

/// The record of a grid, of that very grid wherever it has moved.
pub(super) async fn read(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<RecordQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if let Caller::Grid { .. } = caller(&shared, &connection)? {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            Code::Refused,
            "nobody is asked on another grid's behalf: resolve it in the network of nodes",
        ));
    }
    let grid: GridId = path
        .ok()
        .and_then(|Path(text)| text.parse().ok())
        .ok_or_else(|| Refusal::malformed("no grid id stands in the path"))?;
    let Query(query) = query.map_err(|_| Refusal::malformed("the query takes `policy`, and nothing else"))?;
    let policy = query.policy.map(|text| text.parse::<Policy>()).transpose();
    let policy = policy.map_err(|_| Refusal::malformed("policy: choose `cached`, `fast` or `fresh`"))?;
    let question = Question { grid, policy: policy.unwrap_or_default(), deadline: DEFAULT_DEADLINE };
    let Answer { record, age, evidence, .. } =
        shared.resolver.resolve_in_place(question).await.map_err(|error: ResolveError| resolve_refusal(&error))?;
    let cose = headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/cose");
    let mut response = if cose {
        let kind = HeaderValue::from_static("application/cose; cose-type=\"cose-sign1\"");
        ([(header::CONTENT_TYPE, kind)], record.signed().bytes().to_vec()).into_response()
    } else {
        let text = |record: &crate::record::GridRecord| BASE64URL_NOPAD.encode(record.signed().bytes());
        Json(Given {
            grid_id: grid.to_string(),
            record_base64url: text(&record),
            evidence_base64url: evidence.iter().map(text).collect(),
        })
        .into_response()
    };
    response.headers_mut().insert(header::AGE, age.0.into());
    Ok(response)
}
