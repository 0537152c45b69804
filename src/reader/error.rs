//! Why something could not be read.

use crate::lafs::directory::{DirectoryError, RefusedCap};
use crate::reader::child::ChildFault;
use crate::reader::file_name::shown_name;
use crate::reader::floors::FloorError;
use crate::reader::source::SourceError;
use crate::reader::trouble::Trouble;

/// Why something could not be read. No variant shows a cap.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The gateway gave nothing, or not what the cap says.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An older version than one that was seen, or no telling.
    #[error(transparent)]
    Floor(#[from] FloorError),
    /// The file changed between two questions for it.
    #[error("the file was changed while it was read")]
    Changed,
    /// A path that goes on behind a file.
    #[error("{} is no directory", .name.as_ref().map_or("the cap".to_owned(), |name| format!("`{}`", shown_name(name))))]
    NotADirectory {
        /// The file; `None` for the cap that the path begins with.
        name: Option<String>,
    },
    /// A file was asked for.
    #[error("this is a directory, and a file was asked for")]
    IsDirectory,
    /// A directory without such a child.
    #[error("the directory has no `{}`", shown_name(.name))]
    NoChild {
        /// The name that was looked for.
        name: String,
    },
    /// A child that is not followed.
    #[error("`{}` is {fault}", shown_name(.name))]
    Child {
        /// Its name.
        name: String,
        /// Why not.
        fault: ChildFault,
    },
    /// A directory whose content is verified and makes no sense.
    #[error("the directory is none that can be read")]
    Directory(#[from] DirectoryError),
}

impl ReadError {
    /// What kind of failure it is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Source(error) => error.trouble,
            Self::Floor(FloorError::RolledBack { .. }) => Trouble::Integrity,
            Self::Floor(FloorError::Damaged(_)) => Trouble::Integrity,
            Self::Floor(FloorError::File(_)) | Self::Changed => Trouble::Failed,
            Self::NotADirectory { .. } | Self::NoChild { .. } => Trouble::NotFound,
            Self::IsDirectory | Self::Directory(_) => Trouble::Malformed,
            Self::Child { fault, .. } => fault.trouble(),
        }
    }

    /// The next thing to try, where the gateway or the failure itself says one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint.clone(),
            Self::Changed => Some("ask again: the newer version is read from its beginning".to_owned()),
            Self::Floor(FloorError::Damaged(path)) => Some(format!(
                "put `{}` back from a backup, or delete it: then the next version is believed as the first one was",
                path.display()
            )),
            _ => None,
        }
    }
}

impl ChildFault {
    /// What kind of failure it is to ask for such a child.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Unknown => Trouble::Failed,
            Self::Refused(RefusedCap::ForeignWrite { .. } | RefusedCap::Write { .. }) => Trouble::Refused,
            Self::Refused(RefusedCap::Mutable { .. }) | Self::OpensNothing(_) | Self::Area => Trouble::Malformed,
        }
    }
}
