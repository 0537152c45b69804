//! What goes wrong on the way to a file, to a person: an exit code and the next thing to try.

use crate::cli::exit::ExitCode;
use crate::cli::failure::Failure;
use crate::reader::{CapPathError, DownloadError, PartError, ReadError, TreeError, Trouble};

impl From<Trouble> for ExitCode {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Failed => Self::Failed,
            Trouble::Malformed => Self::Malformed,
            Trouble::NotFound => Self::NotFound,
            Trouble::Refused | Trouble::Price => Self::Refused,
            Trouble::Expired => Self::Expired,
            Trouble::Withdrawn => Self::Withdrawn,
            Trouble::Moved => Self::Moved,
            Trouble::Unreachable => Self::Unreachable,
            Trouble::ForeignRefused | Trouble::ForeignPrice => Self::ForeignRefused,
            Trouble::TooFewShares => Self::TooFewShares,
            Trouble::Integrity => Self::Integrity,
        }
    }
}

impl From<CapPathError> for Failure {
    fn from(error: CapPathError) -> Self {
        Self::because(ExitCode::Malformed, &error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self { hint: error.hint(), ..Self::because(error.trouble().into(), &error) }
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Read(error) => error.into(),
            DownloadError::Write(PartError::File(error)) => Self::because(ExitCode::Failed, &error),
            DownloadError::Write(error @ PartError::InUse(_)) => {
                Self::because(ExitCode::Failed, &error).hint("wait for it, or name another file with `-o FILE`")
            }
            DownloadError::Write(error @ PartError::NoName(_)) => Self::because(ExitCode::Malformed, &error),
        }
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Download(error) => error.into(),
            error => Self::because(error.trouble().into(), &error),
        }
    }
}
