//! One answer with ciphertext on its way: unit after unit, each where there is room for it, until the last or a reason to stop.

use crate::gateway::file::{Opened, UnitStream};
use crate::gateway::serve::access::{Admitted, admit};
use crate::gateway::serve::ahead::Next;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::room::{Place, Room, Taken};
use crate::gateway::serve::shared::Shared;
use crate::gateway::traffic::{Counterparty, Way as Direction};
use crate::gateway::unit::Unit;
use crate::keys::GridId;
use crate::lafs::manifest::UnitLayout;
use crate::peer::Came;
use crate::units::Bytes as Octets;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::StreamExt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::debug;

/// How long a reader may take none of what is ready for it.
const STALL: Duration = Duration::from_secs(60);

/// Waits for the first unit, so that what cannot be read is told with a status, and has the rest follow.
pub(super) async fn begin(
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
    let (units, expected) = part(&room, &file, next.units.clone()).await?;
    let next = Next { units, ..next };
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
    tokio::spawn(sending.run(first, first_place, Coming { stream, end: asked.end, _expected: expected }, room));
    let pieces = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece: io::Result<Bytes>| (piece, receiver))
    });
    Ok(Body::from_stream(pieces))
}

/// Of units, the first of which has room, as many as may be asked for at once: of another grid no more than is held of a quota,
/// with what verifies them where that is not at hand.
async fn part(room: &Room, file: &Opened, units: Range<u64>) -> Result<(Range<u64>, Option<Taken>), Refusal> {
    let Some(held) = room.held() else { return Ok((units, None)) };
    let layout = file.layout();
    let within = |octets: u64| {
        let whole = octets / layout.unit.0.max(1);
        units.start..units.end.min(units.start.saturating_add(whole.max(1)))
    };
    let all = within(held.0);
    if file.covers(all.clone()) {
        return Ok((all, None));
    }
    let about = file.manifest_at_most(&all);
    let expected = room.expect(about).await?;
    let held = room.held().map_or(u64::MAX, |held| held.0.saturating_sub(about.0));
    Ok((within(held), expected))
}

/// Units that were asked for.
struct Coming {
    stream: UnitStream,
    /// Behind the last of them.
    end: u64,
    /// What is held for what verifies them.
    _expected: Option<Taken>,
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
pub(super) struct Answer {
    pub(super) admitted: Admitted,
    pub(super) connection: Arc<Connection>,
    pub(super) grid: GridId,
    pub(super) layout: UnitLayout,
    /// Of all its units.
    pub(super) octets: u64,
}

impl Answer {
    /// Waits for room for unit `unit`, where so much may follow with it.
    async fn place(&self, room: &Room, unit: u64, ahead: Octets) -> Result<Place, Refusal> {
        let offset = self.layout.unit_range(unit).start;
        room.reserve(Came::Ciphertext { offset }, self.layout.unit_len(unit), ahead).await
    }
}

impl Sending {
    async fn run(self, first: Unit, place: Place, mut coming: Coming, room: Room) {
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
            let Answer { admitted, connection, grid, .. } = &self.answer;
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
            if after == coming.end && reserved.is_ok() {
                match part(&room, &self.file, after..self.last).await {
                    Ok((next, expected)) => {
                        let end = next.end;
                        coming = Coming { stream: self.file.units(next), end, _expected: expected };
                    }
                    Err(refusal) => return self.break_off(refusal.detail()).await,
                }
            }
            let unit = tokio::select! {
                unit = coming.stream.next() => unit,
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
pub(super) struct Leased {
    pub(super) octets: Bytes,
    pub(super) _place: Arc<Place>,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

/// What the counterparty of whoever was admitted is called in the figures.
pub(super) fn kind(admitted: &Admitted) -> &'static str {
    match admitted.counterparty {
        Counterparty::Client(_) => "client",
        Counterparty::Grid(_) => "grid",
    }
}
