//! Manifests and ciphertext, of our own grid's files and, for our clients, of others'.

use crate::capability::{Capability, Power};
use crate::gateway::away::page_units;
use crate::gateway::file::{Opened, UnitStream};
use crate::gateway::serve::access::{Admitted, Way, admit};
use crate::gateway::serve::ahead::Next;
use crate::gateway::serve::allowance::Allowance;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::lanes::wanted_lane;
use crate::gateway::serve::leases::Payer;
use crate::gateway::serve::range;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::room::{Place, Room};
use crate::gateway::serve::shared::Shared;
use crate::gateway::traffic::Way as Direction;
use crate::gateway::unit::Unit;
use crate::keys::GridId;
use crate::lafs::manifest::{MAX_UNITS, UnitLayout};
use crate::peer::{Came, USUAL_UNIT, manifest_estimate};
use crate::units::{Bytes as Octets, Seconds};
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::debug;

/// How long a reader may take none of what is ready for it.
const STALL: Duration = Duration::from_secs(60);
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
    let room = Room::of(&shared, &admitted, &grid, allowance)?;
    let asked = first..first.saturating_add(count);
    room.expect(manifest_bytes(&cap, count)).await?;
    let file = opened(&shared, &admitted, &cap, wanted_tag(&headers)?, asked).await?;
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
    let size = Octets(bytes.len() as u64);
    let mut place = room.reserve(&index(&cap), Came::Manifest { first }, size, size).await?;
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
    let room = Room::of(&shared, &admitted, &grid, allowance)?;
    if cap.is_mutable() && tag.is_none() {
        return Err(Refusal::malformed("of a mutable file one version is asked for: `If-Match` names it")
            .hint("the `ETag` of the manifest is its name"));
    }
    room.expect(manifest_bytes(&cap, page_units(&cap))).await?;
    let file = opened(&shared, &admitted, &cap, tag, 0..page_units(&cap)).await?;
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
        let answer =
            Answer { admitted, connection, grid, index: index(&cap), layout, octets: octets.end - octets.start };
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

/// Waits for the first unit, so that what cannot be read is told with a status, and has the rest follow.
async fn begin(
    shared: &Shared,
    answer: Answer,
    room: Room,
    file: Opened,
    next: Next,
    stream: OwnedSemaphorePermit,
) -> Result<Body, Refusal> {
    let first_place = answer.place(&room, next.units.start, Octets(answer.octets)).await?;
    let last = next.units.end;
    let _stream = stream;
    let next = Next { units: part(&room, &answer.layout, next.units.clone()), ..next };
    let asked = next.units.clone();
    let mut stream = match answer.connection.ahead.claim(&next).await {
        Some(begun) => begun,
        None => file.units(asked.clone()),
    };
    let first = match stream.next().await {
        Some(Ok(unit)) => unit,
        Some(Err(error)) => return Err(error.refusal()),
        None => return Err(Refusal::new(StatusCode::BAD_GATEWAY, Code::Failed, "the file ends before it begins")),
    };
    let (sender, receiver) = mpsc::channel(1);
    let sending = Sending { shared: shared.clone(), answer, file, last, sender, _stream };
    tokio::spawn(sending.run(first, first_place, (stream, asked.end), room));
    let pieces = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece: io::Result<Bytes>| (piece, receiver))
    });
    Ok(Body::from_stream(pieces))
}

/// Of units, the first of which has room, as many as may be asked for at once: of another grid no more than is held of a quota.
fn part(room: &Room, layout: &UnitLayout, units: Range<u64>) -> Range<u64> {
    let Some(held) = room.held() else { return units };
    let whole = held.0 / layout.unit.0.max(1);
    units.start..units.end.min(units.start.saturating_add(whole.max(1)))
}

/// Hands the units of one answer to its connection.
struct Sending {
    shared: Shared,
    answer: Answer,
    file: Opened,
    /// Behind the last unit.
    last: u64,
    sender: mpsc::Sender<io::Result<Bytes>>,
    _stream: OwnedSemaphorePermit,
}

/// What is being answered, to whom.
struct Answer {
    admitted: Admitted,
    connection: Arc<Connection>,
    grid: GridId,
    index: [u8; 16],
    layout: UnitLayout,
    /// Of all its units.
    octets: u64,
}

impl Answer {
    /// Waits for room for unit `unit`, where so much may follow with it.
    async fn place(&self, room: &Room, unit: u64, ahead: Octets) -> Result<Place, Refusal> {
        let offset = self.layout.unit_range(unit).start;
        room.reserve(&self.index, Came::Ciphertext { offset }, self.layout.unit_len(unit), ahead).await
    }
}

impl Sending {
    async fn run(self, first: Unit, place: Place, (mut stream, mut asked): (UnitStream, u64), room: Room) {
        let mut next = Some((first, place));
        let mut left = self.answer.octets;
        let mut decided_by = self.shared.rules.version();
        while let Some((unit, place)) = next.take() {
            let after = unit.index + 1;
            left -= unit.len().0.min(left);
            if !self.send(unit, place).await {
                return;
            }
            if after == self.last {
                return room.finish();
            }
            // Who was served a moment ago may be a client no more, or refused.
            let Answer { admitted, connection, grid, layout, .. } = &self.answer;
            if let Err(refusal) = admit(&self.shared, connection, *grid, admitted.lane) {
                return self.break_off(refusal.detail()).await;
            }
            let rules = self.shared.rules.version();
            if rules != decided_by {
                decided_by = rules;
                if let Err(refusal) = room.still_allowed().await {
                    return self.break_off(refusal.detail()).await;
                }
            }
            let reserved = tokio::select! {
                reserved = self.answer.place(&room, after, Octets(left)) => reserved,
                () = self.sender.closed() => return,
            };
            if after == asked && reserved.is_ok() {
                let next = part(&room, layout, after..self.last);
                asked = next.end;
                stream = self.file.units(next);
            }
            let unit = tokio::select! {
                unit = stream.next() => unit,
                () = self.sender.closed() => return,
            };
            match (reserved, unit) {
                (Ok(_), None) => return,
                (Ok(place), Some(Ok(unit))) => next = Some((unit, place)),
                (Err(refusal), _) => return self.break_off(refusal.detail()).await,
                (_, Some(Err(error))) => return self.break_off(&error.to_string()).await,
            }
        }
    }

    /// Hands over one unit. `false` where nobody takes it.
    async fn send(&self, unit: Unit, mut place: Place) -> bool {
        place.goes_out();
        let size = unit.len();
        let place = Arc::new(place);
        for octets in unit.pieces {
            let piece = Bytes::from_owner(Leased { octets, _place: Arc::clone(&place) });
            match tokio::time::timeout(STALL, self.sender.send(Ok(piece))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return false,
                Err(_) => {
                    debug!("a reader takes nothing of what is ready for it: broken off");
                    return false;
                }
            }
        }
        self.shared.traffic.count(&self.answer.admitted.counterparty, Direction::Sent, size, self.shared.clock.now());
        self.shared.metrics.exchanged(kind(&self.answer.admitted), "sent", size);
        true
    }

    /// Ends the answer so that nobody takes it for a whole one. Who asks for the rest is told why.
    async fn break_off(&self, reason: &str) {
        debug!(reason, "an answer is broken off");
        let _ = self.sender.send(Err(io::Error::other(reason.to_owned()))).await;
    }
}

/// Octets that are under way as long as they are held: until the connection has written them.
struct Leased {
    octets: Bytes,
    _place: Arc<Place>,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

pub(super) async fn opened(
    shared: &Shared,
    admitted: &Admitted,
    cap: &Capability,
    tag: Option<String>,
    units: Range<u64>,
) -> Result<Opened, Refusal> {
    match (admitted.way, &shared.files) {
        (Way::Own, Some(files)) => files.open(cap, tag).await.map(Opened::Own).map_err(|error| error.refusal()),
        (Way::Own, None) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unreachable,
            "this gateway has no storage servers to read from",
        )
        .hint("its operator names a Tahoe-LAFS node in `tahoe-node`")),
        (Way::Away(grid), _) => {
            let reader = match &admitted.payer {
                Payer::Client(key) => *key,
                Payer::Stranger(stranger) => *stranger.grid.key(),
            };
            shared.away.open(&grid, cap, tag, units, reader).await.map(Opened::Away).map_err(|error| error.refusal())
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

/// The storage index of the file: of a literal none ever comes here.
fn index(cap: &Capability) -> [u8; 16] {
    cap.storage_index().map_or([0; 16], |index| *index.as_bytes())
}

/// About how many octets the manifest of `count` units has.
fn manifest_bytes(cap: &Capability, count: u64) -> Octets {
    let size = cap.size().unwrap_or(Octets(count.saturating_mul(USUAL_UNIT)));
    manifest_estimate(size, Octets(USUAL_UNIT), count)
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

fn kind(admitted: &Admitted) -> &'static str {
    match admitted.counterparty {
        crate::gateway::traffic::Counterparty::Client(_) => "client",
        crate::gateway::traffic::Counterparty::Grid(_) => "grid",
    }
}

fn set(response: &mut Response, name: header::HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        response.headers_mut().insert(name, value);
    }
}
