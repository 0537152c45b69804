//! Writing files so that a crash leaves the old content or the new one, and a secret is never readable, not even for a moment.

use crate::config::home::Home;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The mode of a file that only its owner may read.
pub const SECRET_MODE: u32 = 0o600;
/// The mode of a file that anybody may read who reaches its folder.
pub const PUBLIC_MODE: u32 = 0o644;

/// A file or folder that could not be worked with. The source says why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct FileError {
    /// What was tried: `read`, `write`, `create`.
    pub action: &'static str,
    /// Where.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl FileError {
    /// The failure of `action` at `path`: for `map_err`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }

    /// Whether the disk takes nothing more, which somebody will mend: full, over quota, read-only.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem)
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Replaces the file at `path` by one with these bytes and this mode: temporary file, fsync, rename, fsync of the folder.
///
/// Whoever reads `path` sees the old bytes or the new ones, also after a crash at any moment.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut replacing = Replacing::begin(path, mode)?;
    replacing.write_all(bytes).map_err(FileError::at("write", path))?;
    replacing.finish()
}

/// The same piece by piece: what is written here takes the place of the file once it is finished. Dropped before that, it leaves
/// everything as it was.
#[derive(Debug)]
pub struct Replacing {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Replacing {
    /// Begins a file that is to stand at `path` with this mode.
    pub fn begin(path: &Path, mode: u32) -> Result<Self, FileError> {
        // Two threads that replace one file must not share a temporary one.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
        let temporary = folder_of(path).join(name);
        // What an earlier process of this number left when it was killed.
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(FileError::at("replace", &temporary)(error));
        }
        let file = create(&temporary, mode).map_err(FileError::at("write", path))?;
        Ok(Self { path: path.to_owned(), temporary, file })
    }

    /// Puts it in its place.
    pub fn finish(self) -> Result<(), FileError> {
        let placed = self.file.sync_all().and_then(|()| fs::rename(&self.temporary, &self.path));
        let placed = placed.and_then(|()| File::open(folder_of(&self.path))?.sync_all());
        placed.map_err(FileError::at("write", &self.path))
    }
}

impl Write for Replacing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        // Where it was finished there is nothing under this name any more.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Creates a file that must not exist yet, with this mode from its first moment, and sees to it that it is on the disk.
pub fn create_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    create_synced(path, bytes, mode)
        .and_then(|()| File::open(folder_of(path))?.sync_all())
        .map_err(FileError::at("create", path))
}

/// Creates a folder that only its owner may enter, and the folders above it. One that exists is left as it is.
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::at("create", path))
}

/// The content of a file of at most `limit` octets; a longer one is refused without being read whole.
pub fn read_at_most(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
        }
        Ok(bytes)
    };
    read().map_err(FileError::at("read", path))
}

/// Names the content of the settings file in `home`, so that a newer file than the one in force is noticed; `None` where
/// there is none.
pub fn settings_digest(home: &Home) -> Option<String> {
    let text = fs::read(home.config()).ok()?;
    let digest = Sha256::digest(text);
    Some(data_encoding::HEXLOWER.encode(&digest[..8]))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn create_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = create(path, mode)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_replaced_file_has_the_new_bytes_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.record");
        write_atomically(&path, b"one", PUBLIC_MODE).unwrap();
        write_atomically(&path, b"two", SECRET_MODE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(mode(&path), SECRET_MODE);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_was_not_finished_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("may.bundle");
        write_atomically(&path, b"one", PUBLIC_MODE).unwrap();
        let mut replacing = Replacing::begin(&path, PUBLIC_MODE).unwrap();
        replacing.write_all(b"half").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        drop(replacing);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_keeps_the_old_file_and_cleans_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_atomically(&path, b"x", PUBLIC_MODE).unwrap_err();
        assert!(error.to_string().starts_with("cannot write `"), "{error}");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_is_private_from_the_start_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        create_new(&path, b"one", SECRET_MODE).unwrap();
        assert_eq!(mode(&path), SECRET_MODE);
        let error = create_new(&path, b"two", SECRET_MODE).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, [0; 11]).unwrap();
        assert_eq!(read_at_most(&path, 11).unwrap().len(), 11);
        assert_eq!(read_at_most(&path, 10).unwrap_err().source.kind(), io::ErrorKind::FileTooLarge);
        assert!(read_at_most(&dir.path().join("none"), 10).unwrap_err().is_missing());
    }
}
