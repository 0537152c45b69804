//! The bounds in time of a record, judged against a clock that somebody else reads.

use crate::units::{Seconds, UnixSeconds};

/// How far in the future a time of issue or a serial may lie: clocks differ.
pub const CLOCK_TOLERANCE: Seconds = Seconds::hours(2);

/// The longest life of a record.
pub const MAX_LIFETIME: Seconds = Seconds::days(30);

/// The longest life of a record that is withdrawn or names a successor: ten years.
pub const MAX_FINAL_LIFETIME: Seconds = Seconds::days(3660);

/// The life of a record unless its draft says otherwise.
pub const DEFAULT_LIFETIME: Seconds = Seconds::days(7);

/// Why a valid record is not for this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// Its time is over.
    #[error("expired on {expires_at}, and it is {now}")]
    Expired {
        /// When it expired.
        expires_at: UnixSeconds,
        /// The time of judgement.
        now: UnixSeconds,
    },
    /// Issued later than now and [`CLOCK_TOLERANCE`]: some clock is wrong.
    #[error("issued on {issued_at}, and it is only {now}: one of the two clocks is wrong")]
    IssuedInFuture {
        /// When it says it was issued.
        issued_at: UnixSeconds,
        /// The time of judgement.
        now: UnixSeconds,
    },
    /// A serial later than now and [`CLOCK_TOLERANCE`]: it would bar all others until then.
    #[error("serial {serial}, and it is only {now}")]
    SerialInFuture {
        /// The serial, read as a time.
        serial: UnixSeconds,
        /// The time of judgement.
        now: UnixSeconds,
    },
}
