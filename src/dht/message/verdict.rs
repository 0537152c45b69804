//! What became of a record that was offered, as it is told.

/// What became of a record that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireVerdict {
    /// Newer than what was held, or the first: stored.
    Stored,
    /// The very same is held.
    Held,
    /// A newer one is held, and attached.
    Stale,
    /// Not a record of that grid: malformed, wrongly signed, dated in the future.
    Bad,
    /// Past its expiry.
    Expired,
    /// More octets than a record may have.
    TooBig,
    /// Not now: too many new keys from there. Try again later.
    Busy,
}

impl WireVerdict {
    const ALL: [Self; 7] = [Self::Stored, Self::Held, Self::Stale, Self::Bad, Self::Expired, Self::TooBig, Self::Busy];

    pub(super) fn code(self) -> u64 {
        self as u64
    }

    pub(super) fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.code() == code)
    }
}
