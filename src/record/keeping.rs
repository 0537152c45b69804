//! What a holder keeps, what it fetches from other holders, and what has to go first.
//!
//! Distances are those of Kademlia, as numbers in big-endian form: of a grid's record key from a node's id.

use super::signed_record::SignedRecord;
use crate::units::{Seconds, UnixSeconds};

/// How many servers hold a record where not all do: Kademlia's k.
pub const HOLDERS: usize = 20;
/// A row is kept this long after its record expired, so that a question can be answered with "expired".
pub const KEPT_AFTER_EXPIRY: Seconds = Seconds::days(1);

/// Whether the row of `record` is of no more use. Until then it is kept, whoever published it and wherever they are.
pub fn is_over(record: &SignedRecord, now: UnixSeconds) -> bool {
    now >= record.expires_at().plus(KEPT_AFTER_EXPIRY)
}

/// Whether a node at `distance` from a record's key is among those who hold it, when it knows `servers` others, of which
/// the nearest to the key are at the distances `nearest`: all do in a network of at most `whole_network_limit`, else the
/// nearest [`HOLDERS`].
///
/// So the next one takes over when one of them is gone: it has one fewer before it.
pub fn falls_to(
    distance: &[u8; 32],
    servers: usize,
    nearest: impl IntoIterator<Item = [u8; 32]>,
    whole_network_limit: usize,
) -> bool {
    servers <= whole_network_limit || nearest.into_iter().filter(|other| other < distance).count() < HOLDERS
}

/// What a holder does about a row that another one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Nothing: it holds the same, or the row is for others to hold.
    No,
    /// It fetches the row: it holds another version, and what comes is judged like any offer.
    Yes,
    /// It fetches the row of a grid that is new to it, if somebody vouches for it: grids cost nothing.
    IfVouched,
}

/// What a holder of `ours` does about a row with the digest `theirs`. `falls_to_us` is asked for a row of a new grid only.
pub fn want<D: PartialEq>(ours: Option<&D>, theirs: &D, falls_to_us: impl FnOnce() -> bool) -> Want {
    match ours {
        Some(ours) if ours == theirs => Want::No,
        Some(_) => Want::Yes,
        None if falls_to_us() => Want::IfVouched,
        None => Want::No,
    }
}

/// Whether the farthest record of a full book makes way for a new one: only for a nearer one, so that no flood of new
/// grids empties the books of those who should hold the others.
pub fn makes_way(farthest: &[u8; 32], new: &[u8; 32]) -> bool {
    new < farthest
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, grid, realistic};
    use super::super::sign::Signer;
    use super::*;

    fn at(distance: u8) -> [u8; 32] {
        [distance; 32]
    }

    #[test]
    fn a_row_is_kept_to_the_day_after_its_records_expiry() {
        let key = super::super::fixtures::grid_key();
        let record = realistic().sign(Signer::Grid { key: &key, serial: NOW }, None, &[], NOW).expect("a record");
        let record = record.signed();
        assert_eq!(record.grid(), &grid());
        assert!(!is_over(record, record.expires_at()));
        assert!(!is_over(record, record.expires_at().plus(Seconds(86_399))));
        assert!(is_over(record, record.expires_at().plus(Seconds(86_400))));
    }

    #[test]
    fn in_a_small_network_everybody_holds_everything() {
        assert!(falls_to(&at(255), 200, (0..200).map(at), 200));
        assert!(!falls_to(&at(255), 201, (0..200).map(at), 200));
    }

    #[test]
    fn in_a_large_one_the_next_takes_over_when_a_holder_is_gone() {
        let holders = |count: u8| (0..count).map(at);
        assert!(!falls_to(&at(100), 50, holders(20), 0));
        assert!(falls_to(&at(100), 49, holders(19), 0));
        assert!(falls_to(&at(19), 50, holders(50), 0), "nineteen are nearer");
        assert!(!falls_to(&at(20), 50, holders(50), 0), "twenty are nearer");
    }

    #[test]
    fn what_differs_is_fetched_and_what_is_new_needs_a_voucher() {
        assert_eq!(want(Some(&1), &1, || true), Want::No);
        assert_eq!(want(Some(&1), &2, || false), Want::Yes, "held already, whoever should hold it");
        assert_eq!(want(None, &2, || true), Want::IfVouched);
        assert_eq!(want(None, &2, || false), Want::No);
    }

    #[test]
    fn the_far_make_way_for_the_near_alone() {
        assert!(makes_way(&at(9), &at(8)));
        assert!(!makes_way(&at(9), &at(9)) && !makes_way(&at(9), &at(10)));
    }
}
