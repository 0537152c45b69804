//! Who else can reach a file: its own mode and that of every folder above it.
//!
//! Tahoe's tools write a key as 0644 inside a folder of 0700: the file alone looks open, and is not. So a key file is refused
//! only if another user really gets to it. Access control lists beyond the mode are not looked at.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const READ_OR_WRITE: u32 = 0o6;
const ENTER: u32 = 0o1;

/// Where a file stands that other users can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The file's permission bits.
    pub mode: u32,
    /// The folder it lies in, links followed.
    pub folder: PathBuf,
}

/// Whether a user who is neither the owner nor root can read or write the open file `metadata` belongs to, at `path`.
pub(super) fn exposure(path: &Path, metadata: &Metadata) -> io::Result<Option<Exposure>> {
    if !grants(metadata, READ_OR_WRITE) {
        return Ok(None);
    }
    let path = fs::canonicalize(path)?;
    for folder in path.ancestors().skip(1) {
        if !grants(&fs::metadata(folder)?, ENTER) {
            return Ok(None);
        }
    }
    let folder = path.parent().unwrap_or(&path).to_owned();
    Ok(Some(Exposure { mode: metadata.permissions().mode() & 0o777, folder }))
}

/// Whether `metadata` gives one of these rights to somebody else. A group with its owner's number is taken for the owner's
/// private one, as `useradd` makes them.
fn grants(metadata: &Metadata, rights: u32) -> bool {
    let mode = metadata.permissions().mode();
    mode & rights != 0 || (metadata.gid() != metadata.uid() && (mode >> 3) & rights != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(folder_mode: u32, file_mode: u32) -> bool {
        // Under /tmp itself, which everybody may enter.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(folder_mode)).unwrap();
        let exposure = exposure(&path, &fs::metadata(&path).unwrap()).unwrap();
        if let Some(exposure) = &exposure {
            assert_eq!(exposure.mode, file_mode);
        }
        exposure.is_some()
    }

    #[test]
    fn an_open_file_in_a_closed_folder_is_out_of_reach() {
        assert!(!exposed(0o700, 0o644));
        assert!(!exposed(0o755, 0o600));
    }

    #[test]
    fn an_open_file_in_an_open_folder_is_reached() {
        assert!(exposed(0o755, 0o644));
        assert!(exposed(0o711, 0o604));
        assert!(exposed(0o755, 0o602));
    }
}
