//! The exit codes, one meaning each, never reused.

/// How a command ended. The number is the process's exit code, the name is the `code` of a `--json` error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ExitCode {
    /// Done.
    Done = 0,
    /// Failed for a reason that has no code of its own.
    Failed = 1,
    /// A wrong command line, or malformed input.
    Malformed = 2,
    /// Not found.
    NotFound = 3,
    /// Refused by policy, quota, credit or the home grid.
    Refused = 4,
    /// Expired.
    Expired = 5,
    /// The grid has withdrawn for good.
    Withdrawn = 6,
    /// The grid has moved and its successor cannot be followed.
    Moved = 7,
    /// Unreachable, or out of time.
    Unreachable = 8,
    /// The foreign gateway refused.
    ForeignRefused = 9,
    /// Too few shares could be read.
    TooFewShares = 10,
    /// Something does not match its signature or hash.
    Integrity = 11,
    /// Interrupted; the same command goes on where it stopped.
    Interrupted = 12,
}

impl ExitCode {
    /// Every code, in order.
    pub(super) const ALL: [Self; 13] = [
        Self::Done,
        Self::Failed,
        Self::Malformed,
        Self::NotFound,
        Self::Refused,
        Self::Expired,
        Self::Withdrawn,
        Self::Moved,
        Self::Unreachable,
        Self::ForeignRefused,
        Self::TooFewShares,
        Self::Integrity,
        Self::Interrupted,
    ];

    /// The name in `{"error":{"code":…}}`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Malformed => "malformed",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Moved => "moved",
            Self::Unreachable => "unreachable",
            Self::ForeignRefused => "foreign_refused",
            Self::TooFewShares => "too_few_shares",
            Self::Integrity => "integrity",
            Self::Interrupted => "interrupted",
        }
    }

    /// The line of `--help`.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Malformed => "wrong command line or malformed input",
            Self::NotFound => "not found",
            Self::Refused => "refused by policy, quota, credit or the home grid",
            Self::Expired => "expired",
            Self::Withdrawn => "the grid has withdrawn",
            Self::Moved => "the grid has moved and its successor cannot be followed",
            Self::Unreachable => "unreachable or timed out",
            Self::ForeignRefused => "refused by the foreign gateway",
            Self::TooFewShares => "not enough shares",
            Self::Integrity => "something does not match its signature or hash",
            Self::Interrupted => "interrupted, can be resumed",
        }
    }

    /// The table for `--help`.
    pub(super) fn table() -> String {
        let lines = Self::ALL.map(|code| format!("  {:>2}  {:<16} {}\n", code as u8, code.name(), code.meaning()));
        format!("Exit codes of every command, and their names in --json errors:\n{}", lines.concat())
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_scripts_rely_on() {
        for (expected, code) in ExitCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, expected);
        }
        assert!(ExitCode::table().contains(" 11  integrity"));
    }
}
