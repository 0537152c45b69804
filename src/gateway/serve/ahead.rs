//! Units that are read before they are asked for. A client says with a manifest's request which octets it will ask for next; where
//! they lie far away, the first of them is here by then, and the client waits for one round trip less.
//!
//! Nothing is owed for what is never asked for: what has a price, or a quota, is not begun ([`crate::gateway::file`]).

use crate::capability::Capability;
use crate::gateway::file::UnitStream;
use crate::keys::GridId;
use futures::StreamExt;
use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::sleep;

/// How long it is waited for whoever said that they would ask.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How many transfers are begun for one connection: a client that reads a tree has a few files at once.
const AT_ONCE: usize = 4;

/// Some units of one version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) grid: GridId,
    /// The verify cap of the file.
    pub(super) cap: Capability,
    /// The version.
    pub(super) etag: String,
    pub(super) units: Range<u64>,
}

/// What was begun for one connection, the oldest in front.
pub(super) struct Ahead {
    begun: Mutex<VecDeque<Begun>>,
    kept_for: Duration,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { begun: Mutex::default(), kept_for: KEPT_FOR }
    }
}

struct Begun {
    next: Next,
    /// Where the transfer is asked for. Dropped, it ends the transfer.
    claim: oneshot::Sender<oneshot::Sender<UnitStream>>,
}

impl Ahead {
    /// Begins to read `next` out of `units`, in place of what was begun longest ago where too much was. `stream` is the place of a
    /// transfer among all.
    pub(super) fn begin(&self, next: Next, units: UnitStream, stream: OwnedSemaphorePermit) {
        let mut begun = self.begun();
        begun.retain(|begun| !begun.claim.is_closed());
        if begun.iter().any(|begun| begun.next == next) {
            return;
        }
        if begun.len() >= AT_ONCE {
            begun.pop_front();
        }
        let (claim, claimed) = oneshot::channel();
        begun.push_back(Begun { next, claim });
        tokio::spawn(read_ahead(units, claimed, self.kept_for, stream));
    }

    /// The transfer of `next`, if it was begun and goes well so far.
    pub(super) async fn claim(&self, next: &Next) -> Option<UnitStream> {
        let begun = {
            let mut begun = self.begun();
            let place = begun.iter().position(|begun| begun.next == *next)?;
            begun.remove(place)?
        };
        let (reply, units) = oneshot::channel();
        begun.claim.send(reply).ok()?;
        let mut units = units.await.ok()?.peekable();
        // What went wrong may go right for whoever asks in earnest.
        matches!(Pin::new(&mut units).peek().await, Some(Ok(_))).then(|| units.boxed())
    }

    /// Ends all that was begun: another caller is on the connection.
    pub(super) fn clear(&self) {
        self.begun().clear();
    }

    fn begun(&self) -> MutexGuard<'_, VecDeque<Begun>> {
        // Nothing that is done under this lock can panic.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.begun().iter().map(|begun| &begun.next)).finish()
    }
}

/// Reads the first unit, and hands the transfer over to who claims it in time.
async fn read_ahead(
    units: UnitStream,
    claimed: oneshot::Receiver<oneshot::Sender<UnitStream>>,
    kept_for: Duration,
    _stream: OwnedSemaphorePermit,
) {
    let mut units = units.peekable();
    let first = async {
        Pin::new(&mut units).peek().await;
        pending().await
    };
    let claimed = tokio::select! {
        claimed = claimed => claimed,
        () = first => return,
        () = sleep(kept_for) => return,
    };
    if let Ok(reply) = claimed {
        // Who claimed it may have gone.
        let _ = reply.send(units.boxed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::file::FetchError;
    use crate::gateway::shares::ReadError;
    use crate::gateway::unit::Unit;
    use crate::keys::SecretKey;
    use futures::stream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::sync::Semaphore;

    const VERIFIER: &str =
        "URI:SSK-Verifier:atnxn235qwowi2kosbbayke46m:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

    fn next(etag: &str, units: Range<u64>) -> Next {
        let grid = GridId::new(SecretKey::from_seed(&[1; 32]).public());
        Next { grid, cap: VERIFIER.parse().expect("a cap"), etag: etag.to_owned(), units }
    }

    /// Empty units, and how many of them were read.
    fn units(range: Range<u64>) -> (UnitStream, Arc<AtomicU64>) {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&read);
        let units = stream::iter(range).map(move |index| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Unit { index, pieces: Vec::new() })
        });
        (units.boxed(), read)
    }

    fn place() -> (Arc<Semaphore>, OwnedSemaphorePermit) {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().expect("a place");
        (places, place)
    }

    async fn indexes(units: UnitStream) -> Vec<u64> {
        units.map(|unit: Result<Unit, FetchError>| unit.expect("a unit").index).collect().await
    }

    #[tokio::test]
    async fn the_first_unit_is_read_before_it_is_asked_for_and_no_more() {
        let ahead = Ahead::default();
        let (stream, read) = units(3..6);
        let (places, place) = place();
        ahead.begin(next("a", 3..6), stream, place);
        while read.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for other in [next("a", 3..5), next("b", 3..6)] {
            assert!(ahead.claim(&other).await.is_none(), "{other:?}");
        }
        assert_eq!((read.load(Ordering::SeqCst), places.available_permits()), (1, 0));
        let claimed = ahead.claim(&next("a", 3..6)).await.expect("what was begun");
        assert_eq!(indexes(claimed).await, [3, 4, 5]);
        assert!(ahead.claim(&next("a", 3..6)).await.is_none(), "it is handed over once");
        drop(places.acquire().await);
    }

    #[tokio::test]
    async fn what_nobody_asks_for_ends() {
        let ahead = Ahead { kept_for: Duration::from_millis(10), ..Ahead::default() };
        let (places, place) = place();
        ahead.begin(next("a", 0..1), units(0..1).0, place);
        drop(places.acquire().await);
        assert!(ahead.claim(&next("a", 0..1)).await.is_none());
    }

    #[tokio::test]
    async fn the_oldest_makes_room_and_another_caller_ends_all() {
        let ahead = Ahead::default();
        let mut all = Vec::new();
        for number in 0..=AT_ONCE as u64 {
            let (places, place) = place();
            ahead.begin(next("a", number..number + 1), units(number..number + 1).0, place);
            all.push(places);
        }
        drop(all[0].acquire().await);
        assert!(ahead.claim(&next("a", 0..1)).await.is_none());
        assert!(ahead.claim(&next("a", 1..2)).await.is_some());
        ahead.clear();
        for places in &all {
            drop(places.acquire().await);
        }
    }

    #[tokio::test]
    async fn what_went_wrong_is_not_handed_over() {
        let ahead = Ahead::default();
        let wrong = stream::iter([Err(FetchError::from(ReadError::NoServers))]);
        ahead.begin(next("a", 0..1), wrong.boxed(), place().1);
        assert!(ahead.claim(&next("a", 0..1)).await.is_none());
    }
}
