//! The one room that reads the clock. Everything else is told the time.

use crate::units::UnixSeconds;

/// A clock that may be set off from the machine's, so that days pass in seconds and a wrong clock can be rehearsed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset_seconds: i64,
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self { offset_seconds: 0 }
    }

    /// The machine's clock plus `offset_seconds`.
    pub const fn with_offset(offset_seconds: i64) -> Self {
        Self { offset_seconds }
    }

    /// The time now. A clock before 1970 reads 0.
    #[expect(clippy::disallowed_methods, reason = "this is the room that reads the clock")]
    pub fn now(&self) -> UnixSeconds {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        UnixSeconds(since_epoch.as_secs().saturating_add_signed(self.offset_seconds))
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
}
