//! An unfinished file beside its target: written under a name of its own, and renamed once it is whole.
//!
//! Only verified bytes come here. What is noted as verified was on the disk before the note was, so that after a crash
//! nothing is taken for verified that is not.

use crate::config::{FileError, PUBLIC_MODE, read_at_most, write_atomically};
use crate::reader::file_name::unfinished;
use crate::reader::resume::ResumeNote;
use crate::reader::write_back::WriteBack;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How much work a crash may undo.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// More than any note takes.
const MAX_NOTE_BYTES: usize = 4096;

/// A file in the making. Locked against a second process that would write it too.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    note_path: PathBuf,
    target: PathBuf,
    note: ResumeNote,
    verified: u64,
    noted_at: Instant,
    write_back: WriteBack,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The disk, or a permission.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process is fetching into the same file.
    #[error("another process is writing `{}`", .0.display())]
    InUse(PathBuf),
    /// A target that names no file.
    #[error("`{}` names no file", .0.display())]
    NoName(PathBuf),
}

/// How many bytes there are of an unfinished `target`; the same download goes on from them.
pub fn unfinished_bytes(target: &Path) -> u64 {
    let part = target.file_name().map(|name| target.with_file_name(unfinished(name).0));
    part.and_then(|part| fs::metadata(part).ok()).map_or(0, |part| part.len())
}

/// The bytes that a download of `wanted` to `target` is known to begin with, for [`crate::reader::Reader::open_before`]: none where
/// it goes on with what is there already, for from where is found out later.
pub fn read_first(wanted: Range<u64>, target: &Path) -> Range<u64> {
    if unfinished_bytes(target) > 0 { 0..0 } else { wanted }
}

impl Part {
    /// Opens what there is of `target` already, if it is what `note` is about, or begins anew.
    pub(super) fn open(target: &Path, note: ResumeNote) -> Result<Self, PartError> {
        let name = target.file_name().ok_or_else(|| PartError::NoName(target.to_owned()))?;
        let (part, note_name) = unfinished(name);
        let (path, note_path) = (target.with_file_name(part), target.with_file_name(note_name));
        let open = |error| FileError::at("create", &path)(error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(open)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PartError::InUse(target.to_owned())),
            Err(TryLockError::Error(error)) => return Err(open(error).into()),
        }
        let length = file.metadata().map_err(open)?.len();
        let noted = read_at_most(&note_path, MAX_NOTE_BYTES).ok().and_then(|bytes| note.verified_in(&bytes));
        let verified = noted.filter(|verified| *verified <= length).unwrap_or(0);
        // What lies behind was written after the last note, or is another file's.
        let ready = file.set_len(verified).and_then(|()| file.seek(SeekFrom::Start(verified)));
        ready.map_err(open)?;
        let (target, noted_at, write_back) = (target.to_owned(), Instant::now(), WriteBack::new(&path));
        Ok(Self { file, path, note_path, target, note, verified, noted_at, write_back })
    }

    /// How many bytes are there, verified.
    pub(super) fn verified(&self) -> u64 {
        self.verified
    }

    /// Adds the next verified bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(FileError::at("write", &self.path))?;
        self.verified += bytes.len() as u64;
        self.write_back.wrote(bytes.len() as u64);
        if self.noted_at.elapsed() >= NOTE_EVERY { self.keep() } else { Ok(()) }
    }

    /// Brings to the disk what is there, and then the note that says so.
    pub(super) fn keep(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(FileError::at("write", &self.path))?;
        write_atomically(&self.note_path, &self.note.at(self.verified).encode(), PUBLIC_MODE)?;
        self.noted_at = Instant::now();
        Ok(())
    }

    /// Leaves nothing behind.
    pub(super) fn discard(self) -> Result<(), FileError> {
        for path in [&self.path, &self.note_path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::at("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the whole file its name, in place of one that had it.
    pub(super) fn finish(self) -> Result<(), FileError> {
        self.file.sync_data().map_err(FileError::at("write", &self.path))?;
        fs::rename(&self.path, &self.target).map_err(FileError::at("write", &self.target))?;
        match fs::remove_file(&self.note_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::at("remove", &self.note_path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(etag: &str) -> ResumeNote {
        ResumeNote::new("d".to_owned(), etag.to_owned(), 0..10)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_whole_file_gets_its_name_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("photo.jpg");
        fs::write(&target, b"an older one").unwrap();
        let mut part = Part::open(&target, note("a")).unwrap();
        part.append(b"01234").unwrap();
        part.keep().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"an older one");
        part.append(b"56789").unwrap();
        part.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"0123456789");
        assert_eq!(names(folder.path()), ["photo.jpg"]);
    }

    #[test]
    fn what_was_noted_is_kept_and_what_came_after_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("f");
        let mut part = Part::open(&target, note("a")).unwrap();
        part.append(b"012").unwrap();
        part.keep().unwrap();
        part.append(b"345").unwrap();
        drop(part);
        let part = Part::open(&target, note("a")).unwrap();
        assert_eq!((part.verified(), fs::read(&part.path).unwrap()), (3, b"012".to_vec()));
    }

    #[test]
    fn another_version_or_a_shorter_file_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("f");
        let kept = |etag| {
            let mut part = Part::open(&target, note(etag)).unwrap();
            part.append(b"0123").unwrap();
            part.keep().unwrap();
            part.path.clone()
        };
        kept("a");
        assert_eq!(Part::open(&target, note("b")).unwrap().verified(), 0);
        let path = kept("a");
        fs::write(path, b"01").unwrap();
        assert_eq!(Part::open(&target, note("a")).unwrap().verified(), 0);
    }

    #[test]
    fn two_do_not_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("f");
        let first = Part::open(&target, note("a")).unwrap();
        assert!(matches!(Part::open(&target, note("a")), Err(PartError::InUse(_))));
        drop(first);
        assert!(Part::open(&target, note("a")).is_ok());
    }

    #[test]
    fn a_folder_is_no_target() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Part::open(&folder.path().join(".."), note("a")), Err(PartError::NoName(_))));
    }
}
