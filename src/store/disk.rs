//! What the store takes on the disk.

use crate::config::Home;
use crate::units::Bytes;
use std::path::Path;

/// Folders within folders that are looked into: sled has one.
const DEPTH: usize = 3;

/// The octets of all files of the store in `home`; `None` if it cannot be looked at.
pub fn disk_usage(home: &Home) -> Option<Bytes> {
    usage(&home.store(), DEPTH).map(Bytes)
}

fn usage(folder: &Path, depth: usize) -> Option<u64> {
    let mut sum = 0_u64;
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        // What goes away meanwhile takes nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        let size = match metadata.is_dir() {
            true if depth > 0 => usage(&entry.path(), depth - 1).unwrap_or(0),
            true => 0,
            false => metadata.len(),
        };
        sum = sum.saturating_add(size);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_folders_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        assert_eq!(disk_usage(&home), None);
        std::fs::create_dir_all(home.store().join("blobs")).unwrap();
        std::fs::write(home.store().join("db"), [0; 100]).unwrap();
        std::fs::write(home.store().join("blobs/1"), [0; 11]).unwrap();
        assert_eq!(disk_usage(&home), Some(Bytes(111)));
    }
}
