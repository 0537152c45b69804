//! Grids whose keys the test holds, so that it can sign for them whatever it likes.

use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{GridRecord, KeyDigest, RecordDraft, Signer};
use lafs_clearinghouse::resolver::{Policy, Question};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use std::sync::OnceLock;
use std::time::Duration;

/// A grid that signs with the key that grows from its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid(pub(crate) u16);

impl Grid {
    pub(crate) fn key(self) -> SecretKey {
        let mut seed = [200; 32];
        seed[..2].copy_from_slice(&self.0.to_be_bytes());
        SecretKey::from_seed(&seed)
    }

    pub(crate) fn id(self) -> GridId {
        GridId::new(self.key().public())
    }

    /// What an earlier record says so that this grid may follow.
    pub(crate) fn announced(self) -> Option<KeyDigest> {
        Some(KeyDigest(self.id().digest()))
    }

    /// The record that the grid key signs `at` seconds after the test began.
    pub(crate) fn sign(self, at: u64, change: impl FnOnce(&mut RecordDraft)) -> GridRecord {
        let mut draft = RecordDraft::new(self.id());
        change(&mut draft);
        let signer = Signer::Grid { key: &self.key(), serial: begun() };
        draft.sign(signer, None, &[], begun().plus(Seconds(at))).unwrap()
    }

    /// The record that says nothing, signed `at` seconds after the test began.
    pub(crate) fn plain(self, at: u64) -> GridRecord {
        self.sign(at, |_| {})
    }

    /// Asks for this grid.
    pub(crate) fn question(self, policy: Policy) -> Question {
        Question { grid: self.id(), policy, deadline: Duration::from_secs(30) }
    }
}

/// When this process began to test.
pub(crate) fn begun() -> UnixSeconds {
    static BEGUN: OnceLock<UnixSeconds> = OnceLock::new();
    *BEGUN.get_or_init(|| Clock::system().now())
}
