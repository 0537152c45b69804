//! The one room that reads the clock. Everything else is told the time.

use crate::units::UnixSeconds;
use std::sync::atomic::{AtomicI64, Ordering};

/// How far ahead of the machine every clock of this process is.
static REHEARSED_SECONDS: AtomicI64 = AtomicI64::new(0);

/// Sets every clock of this process so many seconds ahead of the machine's, behind it if negative: for rehearsals in which
/// several processes live through the same days.
pub fn rehearse(ahead_seconds: i64) {
    REHEARSED_SECONDS.store(ahead_seconds, Ordering::Relaxed);
}

/// A clock that may be set off from the machine's, so that days pass in seconds and a wrong clock can be rehearsed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset_seconds: i64,
    /// Shared by all copies of a clock that is moved while it is in use.
    moved_seconds: Option<&'static AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self { offset_seconds: 0, moved_seconds: None }
    }

    /// The machine's clock plus `offset_seconds`.
    pub const fn with_offset(offset_seconds: i64) -> Self {
        Self { offset_seconds, moved_seconds: None }
    }

    /// The machine's clock, until [`Self::advance`] moves it and all its copies. Eight bytes for each such clock stay
    /// allocated until the process ends: for rehearsals.
    pub fn adjustable() -> Self {
        Self { offset_seconds: 0, moved_seconds: Some(Box::leak(Box::new(AtomicI64::new(0)))) }
    }

    /// Moves an adjustable clock, and every copy of it, by `seconds`, back if negative. Any other clock stays.
    pub fn advance(&self, seconds: i64) {
        if let Some(moved) = self.moved_seconds {
            moved.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    /// The time now. A clock before 1970 reads 0.
    #[expect(clippy::disallowed_methods, reason = "this is the room that reads the clock")]
    pub fn now(&self) -> UnixSeconds {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let moved = self.moved_seconds.map_or(0, |moved| moved.load(Ordering::Relaxed));
        let ahead = self.offset_seconds.saturating_add(moved).saturating_add(REHEARSED_SECONDS.load(Ordering::Relaxed));
        UnixSeconds(since_epoch.as_secs().saturating_add_signed(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_the_clock() {
        let system = Clock::system().now();
        let later = Clock::with_offset(86_400).now();
        assert!(later.0 - system.0 >= 86_400 && later.0 - system.0 <= 86_402);
        assert_eq!(Clock::with_offset(i64::MIN).now(), UnixSeconds(0));
    }

    #[test]
    fn an_adjustable_clock_moves_with_all_its_copies() {
        let clock = Clock::adjustable();
        let copy = clock;
        let before = copy.now();
        clock.advance(7 * 86_400);
        assert!(copy.now().0 - before.0 >= 7 * 86_400);
        Clock::system().advance(1 << 40);
        assert!(Clock::system().now() < copy.now());
    }
}
