//! The note beside an unfinished tree: which of its files are whole, and in which version.

use crate::config::{FileError, PUBLIC_MODE, read_at_most, write_atomically};
use crate::reader::file_name::unfinished;
use crate::reader::target::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The form of the note. Another one is not read.
const FORMAT: u32 = 1;
/// Room for the paths of a million files.
const MAX_NOTE_BYTES: usize = 256 << 20;
/// How much work a crash may undo.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// The files of a tree that are whole.
#[derive(Debug)]
pub(super) struct TreeNote {
    /// `None` where the tree has no name that a note could stand beside: then nothing is remembered.
    path: Option<PathBuf>,
    text: Text,
    kept_at: Instant,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: u32,
    /// [`Target::digest`] of the directory.
    target: String,
    whole: BTreeMap<PathBuf, Whole>,
}

/// A whole file, and how it stood when it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    version: String,
    size_bytes: u64,
    modified: (i64, i64),
}

impl TreeNote {
    /// What is noted of the tree at `root`, if it is of the directory `target`.
    pub(super) fn open(root: &Path, target: &Target) -> Self {
        let path = root.file_name().map(|name| root.with_file_name(unfinished(name).1));
        let read =
            |path: &PathBuf| -> Option<Text> { serde_json::from_slice(&read_at_most(path, MAX_NOTE_BYTES).ok()?).ok() };
        let digest = target.digest();
        let is_ours = |text: &Text| text.format == FORMAT && text.target == digest;
        let text = path.as_ref().and_then(read).filter(is_ours);
        let text = text.unwrap_or_else(|| Text { format: FORMAT, target: digest, whole: BTreeMap::new() });
        Self { path, text, kept_at: Instant::now() }
    }

    /// The size of the file at `path` in the tree, if it is noted as whole in this `version` and was not touched since.
    pub(super) fn has(&self, path: &Path, version: &str, place: &Path) -> Option<u64> {
        let noted = self.text.whole.get(path).filter(|noted| noted.version == version)?;
        (whole(version.to_owned(), place).ok()? == *noted).then_some(noted.size_bytes)
    }

    /// Notes a file that became whole. A crash may lose the notes of the last seconds.
    pub(super) fn add(&mut self, path: &Path, version: String, place: &Path) -> Result<(), FileError> {
        let whole = whole(version, place).map_err(FileError::at("read", place))?;
        self.text.whole.insert(path.to_owned(), whole);
        if self.kept_at.elapsed() >= NOTE_EVERY { self.keep() } else { Ok(()) }
    }

    /// Writes the note.
    pub(super) fn keep(&mut self) -> Result<(), FileError> {
        self.kept_at = Instant::now();
        match &self.path {
            // Names that are not UTF-8 do not come out of a directory, so that a note is always JSON.
            Some(path) => write_atomically(path, &serde_json::to_vec(&self.text).unwrap_or_default(), PUBLIC_MODE),
            None => Ok(()),
        }
    }

    /// Takes the note away: the tree is whole.
    pub(super) fn remove(&mut self) -> Result<(), FileError> {
        let Some(path) = self.path.take() else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::at("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}

impl Drop for TreeNote {
    /// Broken off, as by Ctrl-C: what was noted last is written all the same, if it can be.
    fn drop(&mut self) {
        if !self.text.whole.is_empty() {
            let _ = self.keep();
        }
    }
}

fn whole(version: String, place: &Path) -> io::Result<Whole> {
    let file = fs::symlink_metadata(place)?;
    Ok(Whole { version, size_bytes: file.len(), modified: (file.mtime(), file.mtime_nsec()) })
}
