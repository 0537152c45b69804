//! Records of grids that nobody runs.

use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::rate::RateLine;
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::units::UnixSeconds;

/// The grid of a seed. Seeds below 100 are those of a federation's own grids.
pub(crate) fn grid(seed: u16) -> GridId {
    GridId::new(key(seed).public())
}

/// A record of that grid, signed now.
pub(crate) fn record(seed: u16) -> GridRecord {
    record_at(seed, Clock::system().now())
}

/// A record of that grid, signed at `now`. The later, the newer.
pub(crate) fn record_at(seed: u16, now: UnixSeconds) -> GridRecord {
    signed(seed, now, Vec::new())
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
