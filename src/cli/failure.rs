//! A failed command: its exit code, what to print, and what to try next.

use crate::causes::chain;
use crate::cli::exit::ExitCode;
use std::error::Error;

/// Why a command failed, as people and scripts are told.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the process exits with.
    pub(super) exit: ExitCode,
    /// What is wrong and where, the chain of causes included, on one line.
    pub(super) message: String,
    /// The next thing to try.
    pub(super) hint: Option<String>,
    /// Whether all that there is to say was said on standard output: only the exit code is left.
    pub(super) told: bool,
}

/// What every fallible step of a command returns.
pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure in words of its own.
    pub(super) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, told: false }
    }

    /// An exit code alone, after a result that says why.
    pub(super) fn told(exit: ExitCode) -> Self {
        Self { told: true, ..Self::new(exit, "") }
    }

    /// A failure that an error explains, with all its causes.
    pub(super) fn because(exit: ExitCode, error: &(dyn Error + 'static)) -> Self {
        Self::new(exit, chain(error))
    }

    /// The same with the next thing to try.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, said to be about `subject`: a field, a file, an option.
    #[must_use]
    pub(super) fn about(mut self, subject: impl std::fmt::Display) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }
}
