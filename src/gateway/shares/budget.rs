//! How much of all files is in memory at once: what is read ahead for a hundred readers must not be a hundred times what is
//! read ahead for one.

use crate::units::Bytes as Octets;
use hyper::body::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// For all readers together. With what is decoded beside what was read, and what connections hold, a gateway stays below
/// 256 MiB.
const BUDGET: Octets = Octets(96 << 20);
/// A permit is for so many octets.
const GRAIN: u64 = 4 << 10;

/// Memory for octets of files.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// A part of it, given back when the last octets that it was taken for are dropped.
#[derive(Debug, Clone)]
pub(super) struct Held {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new((BUDGET.0 / GRAIN) as usize)))
    }

    fn grains(octets: Octets) -> u32 {
        u32::try_from(octets.0.min(BUDGET.0).div_ceil(GRAIN)).unwrap_or(u32::MAX)
    }

    /// Waits for room. First come, first served; only for what is wanted at once, never for what is read ahead, so that
    /// nobody waits for room that is held by what comes after.
    pub(super) async fn take(&self, octets: Octets) -> Held {
        let permit = Arc::clone(&self.0).acquire_many_owned(Self::grains(octets)).await;
        Held { _permit: Arc::new(permit.expect("the budget is never closed")) }
    }

    /// Room, if there is some now and half of all is left for others.
    pub(super) fn try_take(&self, octets: Octets) -> Option<Held> {
        let grains = Self::grains(octets);
        let left = self.0.available_permits() as u64;
        if left < u64::from(grains) + BUDGET.0 / GRAIN / 2 {
            return None;
        }
        let permit = Arc::clone(&self.0).try_acquire_many_owned(grains).ok()?;
        Some(Held { _permit: Arc::new(permit) })
    }
}

impl Held {
    /// `octets`, which hold this part of the budget as long as they are.
    pub(super) fn tie(&self, octets: Bytes) -> Bytes {
        struct Tied(Bytes, #[expect(dead_code, reason = "dropped with the octets")] Held);
        impl AsRef<[u8]> for Tied {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Tied(octets, self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_back_when_the_last_octets_are_dropped() {
        let budget = Budget::new();
        let half = Octets(BUDGET.0 / 2);
        let held = budget.take(half).await;
        let octets = held.tie(Bytes::from_static(b"abc"));
        drop(held);
        assert!(budget.try_take(Octets(1)).is_none(), "half is for who waits");
        let clone = octets.slice(1..2);
        drop(octets);
        assert!(budget.try_take(Octets(1)).is_none());
        drop(clone);
        assert!(budget.try_take(half).is_some());
        // Nothing asks for more than there is.
        budget.take(Octets(u64::MAX)).await;
    }
}
