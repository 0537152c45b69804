//! Manifests and ciphertext, of our own grid's files and, for our clients, of others'.

use crate::capability::{Capability, Power};
use crate::gateway::away::page_units;
use crate::gateway::file::Opened;
use crate::gateway::serve::access::{Admitted, Way, admit};
use crate::gateway::serve::ahead::Next;
use crate::gateway::serve::allowance::Allowance;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::lanes::wanted_lane;
use crate::gateway::serve::leases::Payer;
use crate::gateway::serve::range;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::room::{Room, Taken};
use crate::gateway::serve::sending::{Answer, Leased, begin, kind};
use crate::gateway::serve::shared::Shared;
use crate::gateway::traffic::Way as Direction;
use crate::keys::GridId;
use crate::lafs::manifest::{MAX_UNITS, UnitLayout};
use crate::peer::{AT_MOST, Came, USUAL_UNIT, manifest_estimate};
use crate::units::{Bytes as Octets, Seconds};
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::ops::Range;
use std::sync::Arc;

/// How often a manifest may turn out to be longer than what was held for it: once, and as often as a file changes meanwhile.
const LONGER: u32 = 3;
/// When somebody may come again who found too many being served.
const BUSY: Seconds = Seconds(2);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestQuery {
    first: Option<u64>,
    count: Option<u64>,
}

/// The manifest of some units of a file.
pub(super) async fn manifest(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<ManifestQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (grid, cap) = named(path)?;
    let Query(query) =
        query.map_err(|_| Refusal::malformed("the query takes `first` and `count`, and nothing else"))?;
    let (first, count) = (query.first.unwrap_or(0), query.count.unwrap_or(MAX_UNITS));
    if count == 0 || count > MAX_UNITS {
        return Err(Refusal::malformed(format!("`count` is 1 to {MAX_UNITS}")));
    }
    let admitted = admit(&shared, &connection, grid, wanted_lane(&headers)?)?;
    let allowance = Allowance::of(&shared, &admitted).await?;
    let room = Room::of(&shared, &admitted, &grid, &cap, allowance)?;
    let asked = first..first.saturating_add(count);
    let most = wanted_length(&headers)?;
    let (file, expected) = opened(&shared, &admitted, &cap, wanted_tag(&headers)?, asked, room.allowance()).await?;
    let units = file.layout().units();
    // Of an empty file too there is a manifest: it says that it is empty.
    if first > 0 && first >= units {
        return Err(Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            Code::Malformed,
            format!("the file has {units} units, and `first` is counted from 0"),
        ));
    }
    let units = first..first.saturating_add(count).min(units);
    let bytes = file.manifest(units.clone()).await.map_err(|error| error.refusal())?;
    drop(expected);
    let size = Octets(bytes.len() as u64);
    if let Some(most) = most.filter(|most| size > *most) {
        return Err(Refusal::longer(size, most));
    }
    // What strangers read is read when their share of the pool is taken, and what has a quota is counted as it goes out.
    if matches!(admitted.payer, Payer::Client(_)) && room.held().is_none() {
        begin_next(
            &shared,
            &connection,
            &headers,
            Next { grid, cap: cap.clone(), etag: file.etag(), units },
            &file,
            &room,
        );
    }
    let mut place = room.reserve(Came::Manifest { first }, size, size).await?;
    place.goes_out();
    room.finish();
    shared.traffic.count(&admitted.counterparty, Direction::Sent, size, shared.clock.now());
    shared.metrics.exchanged(kind(&admitted), "sent", size);
    let body = Bytes::from_owner(Leased { octets: bytes.into(), _place: Arc::new(place) });
    let mut response = body.into_response();
    set(&mut response, header::CONTENT_TYPE, "application/cbor");
    set(&mut response, header::ETAG, file.etag());
    Ok(response)
}

/// Begins to read what the headers say is asked for next, of the units that `covered` names.
fn begin_next(
    shared: &Shared,
    connection: &Connection,
    headers: &HeaderMap,
    covered: Next,
    file: &Opened,
    room: &Room,
) {
    let UnitLayout { size, unit } = file.layout();
    let Some(units) = range::next_units(headers, &covered.units, unit.0, size.0) else { return };
    if unit.min(size) <= room.unit_limit()
        && let Ok(stream) = Arc::clone(&shared.streams).try_acquire_owned()
    {
        connection.ahead.begin(Next { units: units.clone(), ..covered }, file.free_units(units), stream);
    }
}

/// Ciphertext, by whole units, each verified before its first octet goes out.
pub(super) async fn ciphertext(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    method: Method,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (grid, cap) = named(path)?;
    let tag = wanted_tag(&headers)?;
    let admitted = admit(&shared, &connection, grid, wanted_lane(&headers)?)?;
    let allowance = Allowance::of(&shared, &admitted).await?;
    let room = Room::of(&shared, &admitted, &grid, &cap, allowance)?;
    if cap.is_mutable() && tag.is_none() {
        return Err(Refusal::malformed("of a mutable file one version is asked for: `If-Match` names it")
            .hint("the `ETag` of the manifest is its name"));
    }
    // What was read of it a moment ago is at hand.
    let is_kept = shared.away.layout_of(&grid, &cap).is_some();
    let allowance = room.allowance().filter(|_| !is_kept);
    let (file, expected) = opened(&shared, &admitted, &cap, tag, 0..page_units(&cap), allowance).await?;
    drop(expected);
    let (layout, version) = (file.layout(), file.etag());
    let size = layout.size.0;
    if size == 0 {
        return Err(unsatisfiable(&range::RangeError::Outside { size }, size));
    }
    let octets = range::octets(&headers, size).map_err(|error| unsatisfiable(&error, size))?;
    let units = range::units(&octets, layout.unit.0, size).map_err(|error| unsatisfiable(&error, size))?;
    let limit = room.unit_limit();
    if layout.unit > limit && layout.size > limit {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            Code::Refused,
            format!("the file has units of {}, and at most {limit} are served at once", layout.unit),
        )
        .hint("a unit is a segment, and of an SDMF file the whole: store it as MDMF or immutable"));
    }
    let body = if method == Method::HEAD || units.is_empty() {
        Body::empty()
    } else {
        let place = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, "too many readers are being served")
                .after(BUSY)
        })?;
        let next = Next { grid, cap: cap.clone(), etag: version.clone(), units };
        let answer = Answer { admitted, connection, grid, layout, octets: octets.end - octets.start };
        begin(&shared, answer, room, file, next, place).await?
    };
    let mut response = body.into_response();
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::ETAG, version);
    set(&mut response, header::CONTENT_RANGE, format!("bytes {}-{}/{size}", octets.start, octets.end - 1));
    set(&mut response, header::CONTENT_LENGTH, (octets.end - octets.start).to_string());
    Ok(response)
}

/// Opens a file with what its manifest says of `units`. Where that comes from another grid so much is held of the quotas for it, if
/// there are any, as it has, before it is owed for; until what is returned is dropped.
pub(super) async fn opened(
    shared: &Shared,
    admitted: &Admitted,
    cap: &Capability,
    tag: Option<String>,
    units: Range<u64>,
    allowance: Option<&Arc<Allowance>>,
) -> Result<(Opened, Option<Taken>), Refusal> {
    let grid = match (admitted.way, &shared.files) {
        (Way::Own, Some(files)) => {
            let file = files.open(cap, tag).await.map_err(|error| error.refusal())?;
            return Ok((Opened::Own(file), None));
        }
        (Way::Own, None) => {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unreachable,
                "this gateway has no storage servers to read from",
            )
            .hint("its operator names a Tahoe-LAFS node in `tahoe-node`"));
        }
        (Way::Away(grid), _) => grid,
    };
    let reader = match &admitted.payer {
        Payer::Client(key) => *key,
        Payer::Stranger(stranger) => *stranger.grid.key(),
    };
    let (mut about, mut tries) = (manifest_bytes(cap, units.end - units.start), 0..LONGER);
    loop {
        let expected = match allowance {
            Some(allowance) => Some(Taken::expected(allowance, about).await?),
            None => None,
        };
        let most = allowance.filter(|allowance| allowance.held().is_some()).map(|_| about);
        match shared.away.open(&grid, cap, tag.clone(), (units.clone(), most), reader).await {
            Ok(file) => return Ok((Opened::Away(file), expected)),
            Err(error) => match error.longer().filter(|longer| *longer > about && tries.next().is_some()) {
                Some(longer) => about = longer,
                None => return Err(error.refusal()),
            },
        }
    }
}

/// The grid and the verify cap in a path. Nothing of a path is ever repeated: it may be somebody's key.
pub(super) fn named(path: Result<Path<(String, String)>, PathRejection>) -> Result<(GridId, Capability), Refusal> {
    let bad = || Refusal::malformed("no grid id and verify cap stand in the path");
    let Path((grid, cap)) = path.map_err(|_| bad())?;
    let grid = grid.parse().map_err(|_| bad())?;
    let cap: Capability = cap.parse().map_err(|_| bad())?;
    if cap.power() != Power::Verify {
        return Err(Refusal::malformed("that cap opens the file: this gateway takes verify caps only")
            .hint("whoever could read that request can read the file"));
    }
    // A directory is the file that it is kept in.
    Ok((grid, Capability::File(cap.file().clone())))
}

/// About how many octets the manifest of `count` units has.
fn manifest_bytes(cap: &Capability, count: u64) -> Octets {
    let size = cap.size().unwrap_or(Octets(count.saturating_mul(USUAL_UNIT)));
    manifest_estimate(size, Octets(USUAL_UNIT), count)
}

/// How many octets of a manifest are wanted at most.
fn wanted_length(headers: &HeaderMap) -> Result<Option<Octets>, Refusal> {
    let mut values = headers.get_all(AT_MOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str().ok().and_then(|text| text.parse().ok()), values.next()) {
        (Some(octets), None) => Ok(Some(Octets(octets))),
        _ => Err(Refusal::malformed("`At-Most` takes one number of octets")),
    }
}

/// The tag of the version that is asked for.
fn wanted_tag(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(tag), None) if tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"') => Ok(Some(tag.to_owned())),
        _ => Err(Refusal::malformed("`If-Match` takes one entity tag, quotes included")),
    }
}

fn unsatisfiable(error: &range::RangeError, size: u64) -> Refusal {
    match error {
        range::RangeError::Form => Refusal::because(StatusCode::BAD_REQUEST, Code::Malformed, error),
        _ => Refusal::because(StatusCode::RANGE_NOT_SATISFIABLE, Code::Malformed, error)
            .hint(format!("the ciphertext has {size} octets")),
    }
}

fn set(response: &mut Response, name: header::HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        response.headers_mut().insert(name, value);
    }
}
