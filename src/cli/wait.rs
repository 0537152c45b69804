//! Waiting for another process, which tells of itself by its files alone.

use std::time::{Duration, Instant};

/// How often it is looked again.
const LOOK: Duration = Duration::from_millis(50);

/// What `look` finds, as soon as it finds something; `None` when `patience` is over. It looks at least once.
pub(super) fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        pause(LOOK.min(left));
    }
}

/// Lets `span` go by.
#[expect(clippy::disallowed_methods, reason = "another process is waited for, which tells of itself by a file alone")]
pub(super) fn pause(span: Duration) {
    std::thread::sleep(span);
}
