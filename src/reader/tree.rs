//! A directory and all below it, brought to the disk.
//!
//! What fails is told and left out, and the rest goes on. A tree that was broken off goes on too: the note beside it says
//! which of its files are whole.

use crate::config::FileError;
use crate::reader::cap_path::MAX_DEPTH;
use crate::reader::child::ChildFault;
use crate::reader::download::{DownloadError, download};
use crate::reader::error::ReadError;
use crate::reader::file_name::{NameFault, file_name};
use crate::reader::handle::Reader;
use crate::reader::listing::Entry;
use crate::reader::part::{PartError, read_first};
use crate::reader::target::Target;
use crate::reader::tree_note::TreeNote;
use crate::reader::trouble::Trouble;
use std::path::{Path, PathBuf};

/// The most children that are visited in one tree. A directory that is found at several places counts at each.
pub(super) const MAX_VISITED: usize = 1_000_000;

/// What happens to a tree, as it happens.
#[derive(Debug)]
pub enum TreeEvent<'e> {
    /// A file is begun.
    Begun {
        /// Where it is in the tree.
        path: &'e Path,
        /// Its size in bytes.
        size: u64,
    },
    /// So much of it is there.
    Progress {
        /// In bytes.
        there: u64,
    },
    /// It is whole.
    Whole {
        /// Its size in bytes.
        size: u64,
    },
    /// It was whole already, since an earlier attempt.
    Had {
        /// Where it is in the tree.
        path: &'e Path,
        /// Its size in bytes.
        size: u64,
    },
    /// A child is left out.
    Failed {
        /// Where it would be in the tree. Not a path to be opened: its last name may be anything.
        path: &'e Path,
        /// Why.
        error: &'e TreeError,
    },
}

/// Why a child of a tree is left out, or the whole tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// It could not be read or written.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// Its name cannot be a file's.
    #[error("{0}")]
    Name(NameFault),
    /// It is not followed.
    #[error("{0}")]
    Child(ChildFault),
    /// A directory that contains itself.
    #[error("a directory that stands in itself: it would never end")]
    Cycle,
    /// More directories in one another than are followed.
    #[error("deeper than {MAX_DEPTH} directories")]
    TooDeep,
    /// More children than are visited.
    #[error("the tree has more than {MAX_VISITED} entries")]
    TooMany,
}

impl From<ReadError> for TreeError {
    fn from(error: ReadError) -> Self {
        Self::Download(error.into())
    }
}

impl From<FileError> for TreeError {
    fn from(error: FileError) -> Self {
        Self::Download(error.into())
    }
}

impl TreeError {
    /// What kind of failure it is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Download(error) => error.trouble(),
            Self::Name(_) => Trouble::Malformed,
            Self::Child(fault) => fault.trouble(),
            Self::Cycle | Self::TooDeep | Self::TooMany => Trouble::Failed,
        }
    }

    /// Whether what follows would fail as well: the disk is full, or nobody can be reached.
    fn is_everywhere(&self) -> bool {
        match self {
            Self::Download(DownloadError::Write(PartError::File(error))) => error.is_full(),
            Self::Download(DownloadError::Read(error)) => error.trouble() == Trouble::Unreachable,
            Self::TooMany => true,
            _ => false,
        }
    }
}

/// What became of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeReport {
    /// Files that are whole.
    pub files: u64,
    /// How many of them were whole before.
    pub had: u64,
    /// Folders, the first not counted.
    pub directories: u64,
    /// The bytes of all files.
    pub size: u64,
    /// What the first failure was, if there was one.
    pub first_trouble: Option<Trouble>,
    /// How many children were left out.
    pub failed: u64,
}

/// What is still to be done in one folder.
struct Folder {
    digest: String,
    path: PathBuf,
    /// The next one last.
    entries: Vec<Entry>,
}

struct Climb<'c> {
    reader: &'c Reader,
    root: &'c Path,
    note: TreeNote,
    report: TreeReport,
    tell: &'c (dyn Fn(TreeEvent<'_>) + Sync),
}

/// Brings the directory `target` and all below it to the folder `root`. An error is the tree's as a whole; what fails below is
/// told by `tell` and counted. Dropping the future halfway is safe: the same call goes on.
pub async fn download_tree(
    reader: &Reader,
    target: &Target,
    root: &Path,
    tell: &(dyn Fn(TreeEvent<'_>) + Sync),
) -> Result<TreeReport, TreeError> {
    let mut climb = Climb { reader, root, note: TreeNote::open(root, target), report: TreeReport::default(), tell };
    let first = climb.enter(target, PathBuf::new()).await?;
    let outcome = climb.all(first).await;
    if outcome.is_ok() && climb.report.failed == 0 { climb.note.remove() } else { climb.note.keep() }?;
    outcome.map(|()| climb.report)
}

impl Climb<'_> {
    async fn all(&mut self, first: Folder) -> Result<(), TreeError> {
        let mut open = vec![first];
        let mut visited = 0;
        while let Some(folder) = open.last_mut() {
            let Some(entry) = folder.entries.pop() else {
                open.pop();
                continue;
            };
            visited += 1;
            let path = folder.path.join(&entry.name);
            let outcome = match visited > MAX_VISITED {
                true => Err(TreeError::TooMany),
                false => self.child(&entry, &open).await,
            };
            match outcome {
                Ok(Some(folder)) => open.push(folder),
                Ok(None) => {}
                Err(error) => {
                    (self.tell)(TreeEvent::Failed { path: &path, error: &error });
                    self.report.failed += 1;
                    self.report.first_trouble.get_or_insert(error.trouble());
                    if error.is_everywhere() {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Fetches a child of the innermost of the `open` folders, or opens it if it is a folder.
    async fn child(&mut self, entry: &Entry, open: &[Folder]) -> Result<Option<Folder>, TreeError> {
        let name = file_name(&entry.name).map_err(TreeError::Name)?;
        let target = entry.child.as_ref().map_err(|fault| TreeError::Child(*fault))?;
        let folder = open.last().map(|folder| folder.path.as_path()).unwrap_or(Path::new(""));
        let path = folder.join(name);
        if !target.is_directory() {
            self.file(target, &path).await?;
            return Ok(None);
        }
        let digest = target.digest();
        if open.iter().any(|folder| folder.digest == digest) {
            return Err(TreeError::Cycle);
        }
        if open.len() > MAX_DEPTH {
            return Err(TreeError::TooDeep);
        }
        let folder = self.enter(target, path).await?;
        self.report.directories += 1;
        Ok(Some(folder))
    }

    async fn enter(&self, target: &Target, path: PathBuf) -> Result<Folder, TreeError> {
        let mut entries = self.reader.list(target).await?.entries;
        entries.reverse();
        let place = self.root.join(&path);
        std::fs::create_dir_all(&place).map_err(FileError::at("create", &place))?;
        Ok(Folder { digest: target.digest(), path, entries })
    }

    async fn file(&mut self, target: &Target, path: &Path) -> Result<(), TreeError> {
        let place = self.root.join(path);
        let mutable = target.cap().is_mutable();
        // What never changes needs no question.
        if !mutable && let Some(size) = self.note.has(path, &target.digest(), &place) {
            return self.had(path, size);
        }
        let file = self.reader.open_before(target, read_first(0..u64::MAX, &place)).await?;
        let version = if mutable { format!("{} {}", target.digest(), file.etag()) } else { target.digest() };
        if mutable && let Some(size) = self.note.has(path, &version, &place) {
            return self.had(path, size);
        }
        (self.tell)(TreeEvent::Begun { path, size: file.size() });
        let progress = |there| (self.tell)(TreeEvent::Progress { there });
        let done = download(&file, 0..file.size(), &place, &progress).await?;
        self.note.add(path, version, &place)?;
        self.report.files += 1;
        self.report.size += done.size;
        (self.tell)(TreeEvent::Whole { size: done.size });
        Ok(())
    }

    fn had(&mut self, path: &Path, size: u64) -> Result<(), TreeError> {
        self.report.files += 1;
        self.report.had += 1;
        self.report.size += size;
        (self.tell)(TreeEvent::Had { path, size });
        Ok(())
    }
}
