//! Giving memory back to the operating system that connections took.
//!
//! glibc keeps what is freed between two things that live on, and a hundred connections leave a third of their memory so.
//! Nothing but `malloc_trim` returns it: `docs/decisions/006-memory-is-given-back.md`.

/// How many connections must have been closed before it is worth the while: about 3 MB.
const WORTH_IT: u32 = 32;

/// What was closed since memory was given back last.
#[derive(Debug, Default)]
pub(super) struct GiveBack {
    closed: u32,
}

impl GiveBack {
    /// Notes that a connection is gone.
    pub(super) fn closed(&mut self) {
        self.closed = self.closed.saturating_add(1);
    }

    /// Whether it is time to give back; begins to count anew if so.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.closed >= WORTH_IT;
        if due {
            self.closed = 0;
        }
        due
    }
}

/// Returns to the operating system what is free. Takes some milliseconds, and holds the allocator's locks meanwhile.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's only way to return free memory; it takes a number and touches nothing of ours")]
pub(super) fn give_back() {
    // SAFETY: `malloc_trim` may be called at any time from any thread, and moves or frees nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators see to it themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_many_connections_are_gone_and_not_for_each() {
        let mut back = GiveBack::default();
        for _ in 1..WORTH_IT {
            back.closed();
            assert!(!back.is_due());
        }
        back.closed();
        assert!(back.is_due() && !back.is_due());
    }
}
