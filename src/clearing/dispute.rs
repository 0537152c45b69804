//! Where two sides' vouchers of a lane part: the first point that both have and that differs. What is found is kept in the books.

use crate::causes::chain;
use crate::clearing::settle::{RoundError, Settler};
use crate::keys::GridId;
use crate::ledger::{Closed, Kept, LedgerError, NewDispute, Part};
use crate::record::Nickname;
use crate::signed::Identity;
use crate::tariff::wire::{LaneId, LaneOpen, Voucher};
use crate::units::{Bytes, MinorUnits, UnixSeconds};
use data_encoding::BASE64URL_NOPAD;
use hyper::Method;
use hyper::body::Bytes as Body;
use serde::{Deserialize, Serialize};

/// A lane lives for 24 hours and has a voucher kept for each, and its best one.
const MAX_POINTS: usize = 32;
/// So many in base64url.
const MAX_ANSWER_BYTES: usize = 32 << 10;

/// The most lanes that are compared at once; each is a question to the other side.
const LANES_AT_ONCE: u32 = 256;

/// Vouchers on their way.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckpointsDocument {
    /// Each a `voucher/1`.
    pub vouchers_base64url: Vec<String>,
}

/// What came of comparing a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The lane.
    pub lane: LaneId,
    /// The other side.
    pub other: GridId,
    /// How much our best voucher is for.
    pub ours: (Bytes, MinorUnits),
    /// And theirs.
    pub theirs: (Bytes, MinorUnits),
    /// Up to where both have the same transcript; 0 if there is no such point.
    pub agree_to: Bytes,
    /// The first point beyond it at which the transcripts differ.
    pub differ_at: Option<Bytes>,
}

/// What came of comparing lanes with one grid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComparedLanes {
    /// How many were compared.
    pub compared: u64,
    /// Those that differ.
    pub differing: Vec<Compared>,
    /// Those of which the other side shows nothing that could be compared, and why.
    pub unanswered: Vec<(LaneId, String)>,
    /// The last lane that was looked at, if there may be more behind it.
    pub next: Option<LaneId>,
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// No such lane between grids.
    #[error("no such lane with another grid is in these books")]
    UnknownLane,
    /// The other side does not show what it holds of this lane, or something else.
    #[error("{other} shows nothing to compare: {why}")]
    NotShown {
        /// The other side.
        other: GridId,
        /// Why, for people.
        why: String,
    },
    /// The other side cannot be asked.
    #[error("{other} cannot be asked: {why}")]
    NoAnswer {
        /// The other side.
        other: GridId,
        /// Why, for people.
        why: String,
    },
    /// The books.
    #[error(transparent)]
    Books(#[from] LedgerError),
}

/// Compares two sides' vouchers of a lane. Both lists are in the order of octets.
fn compare(other: GridId, lane: LaneId, ours: &[Voucher], theirs: &[Voucher]) -> Compared {
    let transcript = |vouchers: &[Voucher], octets| at(vouchers, octets).map(|voucher| voucher.body().transcript);
    let common: Vec<Bytes> =
        ours.iter().map(|voucher| voucher.body().cum_bytes).filter(|octets| at(theirs, *octets).is_some()).collect();
    // Transcripts run on: once they differ they differ for ever, so that the first difference is found by halving.
    let same = common.partition_point(|octets| transcript(ours, *octets) == transcript(theirs, *octets));
    let best = |vouchers: &[Voucher]| {
        vouchers.last().map_or((Bytes(0), MinorUnits(0)), |best| (best.body().cum_bytes, best.body().cum_amount))
    };
    Compared {
        lane,
        other,
        ours: best(ours),
        theirs: best(theirs),
        agree_to: same.checked_sub(1).map_or(Bytes(0), |last| common[last]),
        differ_at: common.get(same).copied(),
    }
}

/// The voucher for so many octets.
fn at(vouchers: &[Voucher], octets: Bytes) -> Option<&Voucher> {
    vouchers.iter().find(|voucher| voucher.body().cum_bytes == octets)
}

impl Settler {
    /// What is kept of a lane, for `caller`, who is the other side of it.
    pub async fn checkpoints(&self, lane: LaneId, caller: &GridId) -> Result<Vec<Voucher>, CompareError> {
        let (open, part) = self.of_lane(lane).await?.ok_or(CompareError::UnknownLane)?;
        let body = open.body();
        let other = if part == Part::Payer { *body.payee.key() } else { body.payer };
        if other != *caller.key() {
            return Err(CompareError::UnknownLane);
        }
        Ok(self.ledger().checkpoints(part, &open).await?)
    }

    /// Compares our vouchers of a lane with those of the other side. Where they differ, that is kept.
    pub async fn compare(&self, lane: LaneId) -> Result<Compared, CompareError> {
        let (open, part) = self.of_lane(lane).await?.ok_or(CompareError::UnknownLane)?;
        self.compare_lane(part, &open).await
    }

    /// Compares the lanes with `other` that came into the books from `from` to before `until`, from the one after `after` on, and
    /// keeps what differs. An error if the other side cannot be asked at all; one lane that it does not show is no error.
    pub async fn compare_all(
        &self,
        other: &GridId,
        period: (UnixSeconds, UnixSeconds),
        after: Option<LaneId>,
    ) -> Result<ComparedLanes, CompareError> {
        let after = after.unwrap_or(Identity([0; 32]));
        let lanes = self.ledger().lanes_with(other, period, after, LANES_AT_ONCE).await?;
        let mut all = ComparedLanes::default();
        if lanes.len() == LANES_AT_ONCE as usize {
            all.next = lanes.last().map(|(_, open)| open.identity());
        }
        for (part, open) in &lanes {
            match self.compare_lane(*part, open).await {
                Ok(compared) => {
                    all.compared += 1;
                    all.differing.extend(compared.differ_at.is_some().then_some(compared));
                }
                Err(CompareError::NotShown { why, .. }) => all.unanswered.push((open.identity(), why)),
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Closes what is open of a lane, in the words of whoever does; false if nothing is.
    pub async fn close_dispute(&self, lane: LaneId, by: Nickname, reason: Nickname) -> Result<bool, LedgerError> {
        let closed = Closed { at: self.clock().now(), by, reason };
        Ok(self.ledger().close_dispute(lane, closed).await? == Kept::New)
    }

    async fn compare_lane(&self, part: Part, open: &LaneOpen) -> Result<Compared, CompareError> {
        let other = if part == Part::Payer { open.body().payee } else { GridId::new(open.body().payer) };
        let ours = self.ledger().checkpoints(part, open).await?;
        let theirs = self.checkpoints_of(&other, open).await?;
        let compared = compare(other, open.identity(), &ours, &theirs);
        let differing = compared.differ_at.and_then(|octets| Some((at(&ours, octets)?, at(&theirs, octets)?)));
        if let Some((ours, theirs)) = differing {
            let (ours, theirs) = (ours.clone(), theirs.clone());
            let found = NewDispute { open: open.clone(), part, agree_to: compared.agree_to, ours, theirs };
            self.ledger().dispute(found, self.clock().now()).await?;
        }
        Ok(compared)
    }

    /// What the other side holds of a lane, verified.
    async fn checkpoints_of(&self, other: &GridId, open: &LaneOpen) -> Result<Vec<Voucher>, CompareError> {
        let path = format!("/v1/lanes/{}/checkpoints", data_encoding::HEXLOWER.encode(&open.identity().0));
        let answer = self.ask(other, Method::GET, &path, Body::new(), MAX_ANSWER_BYTES).await;
        let answer = answer.map_err(|error| match &error {
            RoundError::Peer(peer) if peer.refusal().is_some() => {
                CompareError::NotShown { other: *other, why: chain(&error) }
            }
            _ => CompareError::NoAnswer { other: *other, why: chain(&error) },
        })?;
        let not_shown = |why: String| CompareError::NotShown { other: *other, why };
        let document: CheckpointsDocument =
            serde_json::from_slice(&answer).map_err(|_| not_shown("not the JSON of vouchers".to_owned()))?;
        let mut theirs = Vec::new();
        for text in document.vouchers_base64url.iter().take(MAX_POINTS) {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|error| not_shown(error.to_string()))?;
            theirs.push(Voucher::of_lane(&bytes, open).map_err(|error| not_shown(error.to_string()))?);
        }
        theirs.sort_by_key(|voucher| voucher.body().cum_bytes);
        Ok(theirs)
    }

    async fn of_lane(&self, lane: LaneId) -> Result<Option<(LaneOpen, Part)>, LedgerError> {
        for part in [Part::Payer, Part::Payee] {
            if let Some(state) = self.ledger().lane(part, lane).await? {
                return Ok(Some((state.open, part)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::tariff::wire::fixtures::{grid, lane, voucher_body};

    fn voucher(octets: u64, transcript: u8) -> Voucher {
        let mut body = voucher_body(octets);
        body.transcript = [transcript; 32];
        Voucher::issue(&body, &lane(), &SecretKey::from_seed(&[21; 32])).unwrap()
    }

    #[test]
    fn the_first_point_that_both_have_and_that_differs_is_found() {
        let ours = [voucher(10, 1), voucher(20, 2), voucher(25, 9), voucher(30, 3), voucher(40, 4)];
        let theirs = [voucher(10, 1), voucher(20, 2), voucher(30, 7), voucher(40, 8), voucher(50, 9)];
        let found = compare(grid(2), lane().identity(), &ours, &theirs);
        assert_eq!((found.agree_to, found.differ_at), (Bytes(20), Some(Bytes(30))));
        assert_eq!((found.ours.0, found.theirs.0), (Bytes(40), Bytes(50)));
    }

    #[test]
    fn two_that_agree_differ_nowhere_and_two_without_a_common_point_say_so() {
        let both = [voucher(10, 1), voucher(20, 2)];
        let found = compare(grid(2), lane().identity(), &both, &both[..1]);
        assert_eq!((found.agree_to, found.differ_at), (Bytes(10), None));
        let found = compare(grid(2), lane().identity(), &both, &[voucher(15, 5)]);
        assert_eq!((found.agree_to, found.differ_at), (Bytes(0), None));
    }
}
