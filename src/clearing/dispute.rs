//! Where two sides' vouchers of a lane part: the first point that both have and that differs.

use crate::clearing::settle::{RoundError, Settler};
use crate::keys::GridId;
use crate::ledger::{LedgerError, Part};
use crate::tariff::wire::{LaneId, LaneOpen, Voucher};
use crate::units::{Bytes, MinorUnits};
use data_encoding::BASE64URL_NOPAD;
use hyper::Method;
use hyper::body::Bytes as Body;
use serde::{Deserialize, Serialize};

/// A lane lives for 24 hours and has a voucher kept for each, and its best one.
const MAX_POINTS: usize = 32;
/// So many in base64url.
const MAX_ANSWER_BYTES: usize = 32 << 10;

/// Vouchers on their way.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckpointsDocument {
    /// Each a `voucher/1`.
    pub vouchers_base64url: Vec<String>,
}

/// What came of comparing a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
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

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// No such lane between grids.
    #[error("no such lane with another grid is in these books")]
    UnknownLane,
    /// The other side says nothing that could be compared.
    #[error("{other} shows nothing to compare: {why}")]
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
fn compare(other: GridId, ours: &[Voucher], theirs: &[Voucher]) -> Compared {
    let at = |vouchers: &[Voucher], octets: Bytes| {
        vouchers.iter().find(|voucher| voucher.body().cum_bytes == octets).map(|voucher| voucher.body().transcript)
    };
    let common: Vec<Bytes> =
        ours.iter().map(|voucher| voucher.body().cum_bytes).filter(|octets| at(theirs, *octets).is_some()).collect();
    // Transcripts run on: once they differ they differ for ever, so that the first difference is found by halving.
    let same = common.partition_point(|octets| at(ours, *octets) == at(theirs, *octets));
    let best = |vouchers: &[Voucher]| {
        vouchers.last().map_or((Bytes(0), MinorUnits(0)), |best| (best.body().cum_bytes, best.body().cum_amount))
    };
    Compared {
        other,
        ours: best(ours),
        theirs: best(theirs),
        agree_to: same.checked_sub(1).map_or(Bytes(0), |last| common[last]),
        differ_at: common.get(same).copied(),
    }
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

    /// Compares our vouchers of a lane with those of the other side.
    pub async fn compare(&self, lane: LaneId) -> Result<Compared, CompareError> {
        let (open, part) = self.of_lane(lane).await?.ok_or(CompareError::UnknownLane)?;
        let other = if part == Part::Payer { open.body().payee } else { GridId::new(open.body().payer) };
        let ours = self.ledger().checkpoints(part, &open).await?;
        let no_answer = |why: String| CompareError::NoAnswer { other, why };
        let path = format!("/v1/lanes/{}/checkpoints", data_encoding::HEXLOWER.encode(&lane.0));
        let answer = self.ask(&other, Method::GET, &path, Body::new(), MAX_ANSWER_BYTES).await;
        let answer = answer.map_err(|error: RoundError| no_answer(error.to_string()))?;
        let document: CheckpointsDocument =
            serde_json::from_slice(&answer).map_err(|_| no_answer("not the JSON of vouchers".to_owned()))?;
        let mut theirs = Vec::new();
        for text in document.vouchers_base64url.iter().take(MAX_POINTS) {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|error| no_answer(error.to_string()))?;
            theirs.push(Voucher::of_lane(&bytes, &open).map_err(|error| no_answer(error.to_string()))?);
        }
        theirs.sort_by_key(|voucher| voucher.body().cum_bytes);
        Ok(compare(other, &ours, &theirs))
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
        let found = compare(grid(2), &ours, &theirs);
        assert_eq!((found.agree_to, found.differ_at), (Bytes(20), Some(Bytes(30))));
        assert_eq!((found.ours.0, found.theirs.0), (Bytes(40), Bytes(50)));
    }

    #[test]
    fn two_that_agree_differ_nowhere_and_two_without_a_common_point_say_so() {
        let both = [voucher(10, 1), voucher(20, 2)];
        let found = compare(grid(2), &both, &both[..1]);
        assert_eq!((found.agree_to, found.differ_at), (Bytes(10), None));
        let found = compare(grid(2), &both, &[voucher(15, 5)]);
        assert_eq!((found.agree_to, found.differ_at), (Bytes(0), None));
    }
}
