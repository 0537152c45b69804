//! The format of a data directory: a number in a file, so that an older program does not misread what a newer one wrote.

use crate::config::{FileError, Home, PUBLIC_MODE, read_at_most, write_atomically};
use std::path::PathBuf;

/// The format that this program writes. It reads every one up to it.
const FORMAT: u64 = 1;
/// What stands before the number.
const WORDS: &str = "lafs-clearinghouse data directory, format ";
/// The words and any number.
const MAX_BYTES: usize = 128;

/// Reads the format of the directory: an error if a newer program wrote it. A directory without the file is as old as the
/// first format, which had none.
pub fn read_format(home: &Home) -> Result<Option<u64>, FormatError> {
    let path = home.format();
    let bytes = match read_at_most(&path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim_end().strip_prefix(WORDS).and_then(|number| number.parse::<u64>().ok()) {
        Some(found) if found > FORMAT => Err(FormatError::Newer { path, found }),
        Some(found) => Ok(Some(found)),
        None => Err(FormatError::Damaged { path }),
    }
}

/// Sees to it that the directory bears this program's format. To be called with the directory's lock held.
pub(super) fn stamp_format(home: &Home) -> Result<(), FormatError> {
    if read_format(home)? != Some(FORMAT) {
        let text = format!("{WORDS}{FORMAT}\n");
        // A full disk is no reason not to start: the stamp is for programs to come.
        let _ = write_atomically(&home.format(), text.as_bytes(), PUBLIC_MODE);
    }
    Ok(())
}

/// Why a data directory is not worked in.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A newer program wrote it.
    #[error("`{}` says format {found}, and this program knows formats up to {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that it names.
        found: u64,
    },
    /// The file holds something else.
    #[error("`{}` names no format", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_stamped_once_and_a_newer_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        assert_eq!(read_format(&home).unwrap(), None);
        stamp_format(&home).unwrap();
        assert_eq!(read_format(&home).unwrap(), Some(FORMAT));
        std::fs::write(home.format(), format!("{WORDS}{}\n", FORMAT + 1)).unwrap();
        assert!(matches!(stamp_format(&home), Err(FormatError::Newer { found: 2, .. })));
        std::fs::write(home.format(), "format one").unwrap();
        assert!(matches!(stamp_format(&home), Err(FormatError::Damaged { .. })));
    }
}
