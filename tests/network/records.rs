//! Records of grids that nobody runs.

use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::rate::RateLine;
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use std::sync::LazyLock;

/// The grid of a seed. Seeds below 100 are those of a federation's own grids.
pub(crate) fn grid(seed: u16) -> GridId {
    GridId::new(key(seed).public())
}

/// The record of that grid: the same each time in one test.
pub(crate) fn record(seed: u16) -> GridRecord {
    static NOW: LazyLock<UnixSeconds> = LazyLock::new(|| Clock::system().now());
    record_at(seed, *NOW)
}

/// A record of that grid, signed at `now`. The later, the newer.
pub(crate) fn record_at(seed: u16, now: UnixSeconds) -> GridRecord {
    signed(seed, now, Vec::new())
}

/// A record that promises for `life`, longer than its own, to charge nothing.
pub(crate) fn with_promise(seed: u16, now: UnixSeconds, life: Seconds) -> GridRecord {
    signed(seed, now, vec![RateLine::free(Some(now.plus(life)))])
}

fn signed(seed: u16, now: UnixSeconds, rates: Vec<RateLine>) -> GridRecord {
    let draft = RecordDraft { rates, ..RecordDraft::new(grid(seed)) };
    draft.sign(Signer::Grid { key: &key(seed), serial: now }, None, &[], now).unwrap()
}

fn key(seed: u16) -> SecretKey {
    let mut octets = [0xee; 32];
    octets[..2].copy_from_slice(&seed.to_be_bytes());
    SecretKey::from_seed(&octets)
}
