//! A failed command: its exit code, what to print, and what to try next.

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

/// An error and its causes, each said once, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some libraries print their source in their own text.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    // Libraries that draw (TOML) use several lines; an error is one.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FileError;
    use std::path::Path;

    #[test]
    fn the_chain_is_said_once() {
        let error = FileError::at("read", Path::new("/x"))(std::io::Error::other("gone"));
        assert_eq!(chain(&error), "cannot read `/x`: gone");
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Outer(#[source] FileError);
        assert_eq!(chain(&Outer(error)), "outer: cannot read `/x`: gone");
    }
}
