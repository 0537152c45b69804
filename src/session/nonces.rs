//! The nonces of claims that were accepted lately: none is accepted twice.

use crate::units::{Seconds, UnixSeconds};
use std::collections::{BTreeSet, VecDeque};

/// How long a nonce is remembered: as long as a claim that bears it could pass for current, on either side of its time.
pub const NONCE_KEPT: Seconds = Seconds(240);

/// How many are remembered at once, some 5 MB. Beyond it the oldest is forgotten: whoever floods a server with claims must
/// not keep others out, and a claim also holds for one connection alone.
pub const MAX_NONCES: usize = 65_536;

/// A nonce that was used already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the claim was used already")]
pub struct Replayed;

/// The nonces seen within [`NONCE_KEPT`].
#[derive(Debug, Default)]
pub struct Nonces {
    seen: BTreeSet<[u8; 16]>,
    /// The same in the order in which they came, each with the time after which it is forgotten.
    order: VecDeque<(UnixSeconds, [u8; 16])>,
}

impl Nonces {
    /// None seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a nonce that was never seen, and refuses one that was.
    pub fn take(&mut self, nonce: [u8; 16], now: UnixSeconds) -> Result<(), Replayed> {
        while self.order.front().is_some_and(|(until, _)| *until < now) {
            self.forget_oldest();
        }
        if !self.seen.insert(nonce) {
            return Err(Replayed);
        }
        self.order.push_back((now.plus(NONCE_KEPT), nonce));
        if self.order.len() > MAX_NONCES {
            self.forget_oldest();
        }
        Ok(())
    }

    fn forget_oldest(&mut self) {
        if let Some((_, nonce)) = self.order.pop_front() {
            self.seen.remove(&nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn nonce(n: u32) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..4].copy_from_slice(&n.to_be_bytes());
        nonce
    }

    #[test]
    fn a_nonce_is_taken_once_and_again_when_no_claim_could_bear_it() {
        let mut nonces = Nonces::new();
        assert_eq!(nonces.take(nonce(1), NOW), Ok(()));
        assert_eq!(nonces.take(nonce(1), NOW.plus(NONCE_KEPT)), Err(Replayed));
        assert_eq!(nonces.take(nonce(2), NOW.plus(NONCE_KEPT)), Ok(()));
        assert_eq!(nonces.take(nonce(1), NOW.plus(Seconds(241))), Ok(()));
    }

    #[test]
    fn a_flood_forgets_the_oldest_and_grows_no_further() {
        let mut nonces = Nonces::new();
        for n in 0..=MAX_NONCES as u32 {
            assert_eq!(nonces.take(nonce(n), NOW), Ok(()));
        }
        assert_eq!((nonces.seen.len(), nonces.order.len()), (MAX_NONCES, MAX_NONCES));
        assert_eq!(nonces.take(nonce(1), NOW), Err(Replayed));
        assert_eq!(nonces.take(nonce(0), NOW), Ok(()), "the oldest made way");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list_of_what_was_taken(steps in proptest::collection::vec((0..8u32, 0..100u64), 1..200)) {
            let (mut nonces, mut model, mut now) = (Nonces::new(), HashMap::new(), NOW);
            for (n, passed) in steps {
                now = now.plus(Seconds(passed));
                let fresh = model.get(&n).is_none_or(|taken: &UnixSeconds| taken.plus(NONCE_KEPT) < now);
                prop_assert_eq!(nonces.take(nonce(n), now).is_ok(), fresh);
                if fresh {
                    model.insert(n, now);
                }
            }
        }
    }
}
