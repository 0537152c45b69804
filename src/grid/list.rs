//! The servers that a Tahoe node's files name, read again when a file changes, and what becomes of those that vanish.
//!
//! Files: `private/introducer_*_cache.yaml`, one for each introducer, and `private/servers.yaml`, which the operator writes and
//! which goes before them. A node that starts writes its cache from nothing, server by server: a server that is missing is
//! kept for a while, and a file that cannot be read changes nothing.

use crate::config::{FileError, read_at_most};
use crate::grid::announcement::{Announcement, Announcements, MAX_SERVERS};
use crate::grid::server_id::ServerId;
use crate::grid::yaml::YamlError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The operator's own list.
const STATIC_LIST: &str = "servers.yaml";
/// An introducer's cache lists every server of the grid, at a kilobyte or two each.
const MAX_FILE_BYTES: usize = 16 << 20;
/// Introducers of one node.
const MAX_FILES: usize = 16;

/// Why a list of servers is not read: what it said before still holds.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// The file, or the folder of them, cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not in Tahoe's format, or it is being written just now.
    #[error("`{}` is no list of servers", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Where in it, and what.
        source: YamlError,
    },
    /// Some of its entries name no server.
    #[error("`{}` has {entries} entries that name no server", path.display())]
    Entries {
        /// The file.
        path: PathBuf,
        /// How many.
        entries: usize,
    },
}

/// How a file looked when it was read: if it looks so again, it is not read again.
type Look = (SystemTime, u64);

/// One file.
#[derive(Default)]
struct Source {
    look: Option<Look>,
    announcements: Announcements,
    fault: Option<ListFault>,
}

/// All that the files of one node say.
pub(super) struct ServerList {
    private: PathBuf,
    /// How long a server is kept that no file names any more.
    grace: Duration,
    sources: BTreeMap<PathBuf, Source>,
    folder_fault: Option<ListFault>,
    /// The servers that count, and since when they are missing.
    servers: BTreeMap<ServerId, (Announcement, Option<Instant>)>,
}

impl ServerList {
    /// The list of the node whose `private` folder this is; nothing is read yet.
    pub(super) fn new(private: PathBuf, grace: Duration) -> Self {
        Self { private, grace, sources: BTreeMap::new(), folder_fault: None, servers: BTreeMap::new() }
    }

    /// Reads what has changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        match list_files(&self.private) {
            Ok(files) => {
                self.folder_fault = None;
                self.sources.retain(|path, _| files.contains_key(path));
                for (path, look) in files {
                    self.sources.entry(path.clone()).or_default().refresh(&path, look);
                }
            }
            Err(error) => self.folder_fault = Some(error.into()),
        }
        self.gather(now);
    }

    /// The servers that count, by their ids.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Announcement> {
        self.servers.values().map(|(announcement, _)| announcement)
    }

    /// What could not be read, for people.
    pub(super) fn faults(&self) -> impl Iterator<Item = &ListFault> {
        self.folder_fault.iter().chain(self.sources.values().filter_map(|source| source.fault.as_ref()))
    }

    fn gather(&mut self, now: Instant) {
        let named = self.named();
        for (id, (_, missing)) in &mut self.servers {
            if !named.contains_key(id) {
                missing.get_or_insert(now);
            }
        }
        let grace = self.grace;
        self.servers.retain(|_, (_, missing)| missing.is_none_or(|since| now.saturating_duration_since(since) < grace));
        for (id, announcement) in named {
            self.servers.insert(id, (announcement, None));
        }
        // Those that are missing yield first; they are the only ones above the bound of a file.
        let mut surplus = self.servers.len().saturating_sub(MAX_SERVERS);
        self.servers.retain(|_, (_, missing)| {
            let goes = surplus > 0 && missing.is_some();
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// What the files name now: the operator's list first, then of several announcements the newest.
    fn named(&self) -> BTreeMap<ServerId, Announcement> {
        let is_static = |path: &Path| path.file_name().is_some_and(|name| name == STATIC_LIST);
        let mut named: BTreeMap<ServerId, Announcement> = BTreeMap::new();
        let mut fixed = BTreeSet::new();
        for (path, source) in &self.sources {
            for (id, announcement) in &source.announcements.servers {
                let is_newer = named.get(id).is_none_or(|known| known.sequence < announcement.sequence);
                if is_static(path) || (is_newer && !fixed.contains(id)) {
                    named.insert(*id, announcement.clone());
                }
                if is_static(path) {
                    fixed.insert(*id);
                }
            }
        }
        named
    }
}

impl Source {
    fn refresh(&mut self, path: &Path, look: Look) {
        if self.look == Some(look) {
            return;
        }
        match read(path) {
            Ok(announcements) => {
                let entries = announcements.unreadable;
                self.fault = (entries > 0).then(|| ListFault::Entries { path: path.to_owned(), entries });
                self.announcements = announcements;
                self.look = Some(look);
            }
            // The look is not remembered: a file that is half written may look the same when it is whole.
            Err(fault) => self.fault = Some(fault),
        }
    }
}

/// The files of interest in `private`, with their looks.
fn list_files(private: &Path) -> Result<BTreeMap<PathBuf, Look>, FileError> {
    let read = || {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(private)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name != STATIC_LIST && !(name.starts_with("introducer_") && name.ends_with("_cache.yaml")) {
                continue;
            }
            match fs::metadata(&path).and_then(|metadata| Ok((metadata.modified()?, metadata.len()))) {
                Ok(look) if files.len() < MAX_FILES || name == STATIC_LIST => drop(files.insert(path, look)),
                Ok(_) => {}
                // Replaced or removed since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    };
    read().map_err(FileError::at("read", private))
}

fn read(path: &Path) -> Result<Announcements, ListFault> {
    let bytes = read_at_most(path, MAX_FILE_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    let read = match path.file_name() {
        Some(name) if name == STATIC_LIST => Announcements::of_static_list(&text),
        _ => Announcements::of_cache(&text),
    };
    read.map_err(|source| ListFault::Yaml { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(120);
    const CACHE: &str = "introducer_default_cache.yaml";

    fn entry(n: u8, nickname: &str, sequence: u64) -> String {
        let id = ServerId::new([n; 32]);
        format!("- ann: {{nickname: {nickname}, seqnum: {sequence}}}\n  key_s: {id}\n")
    }

    struct Folder {
        dir: tempfile::TempDir,
        list: ServerList,
        start: Instant,
        writes: u64,
    }

    impl Folder {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let list = ServerList::new(dir.path().to_owned(), GRACE);
            Self { dir, list, start: Instant::now(), writes: 0 }
        }

        /// Writes a file, with a time of its own.
        fn write(&mut self, name: &str, text: &str) {
            let path = self.dir.path().join(name);
            fs::write(&path, text).unwrap();
            self.writes += 1;
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.writes);
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }

        fn at(&mut self, seconds: u64) -> Vec<String> {
            self.list.refresh(self.start + Duration::from_secs(seconds));
            self.list.servers().map(|server| server.nickname.clone()).collect()
        }

        fn faults(&self) -> Vec<String> {
            self.list.faults().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let mut folder = Folder::new();
        assert!(folder.at(0).is_empty());
        folder.write(CACHE, &entry(1, "one", 1));
        assert_eq!(folder.at(1), ["one"]);
        folder.write(CACHE, &(entry(1, "renamed", 2) + &entry(2, "two", 1)));
        assert_eq!(folder.at(2), ["renamed", "two"]);
        assert!(folder.faults().is_empty());
    }

    #[test]
    fn all_introducers_are_heard_and_the_operators_own_list_goes_before_them() {
        let mut folder = Folder::new();
        folder.write("introducer_a_cache.yaml", &(entry(1, "old", 1) + &entry(2, "two", 1)));
        folder.write("introducer_b_cache.yaml", &(entry(1, "new", 5) + &entry(3, "three", 1)));
        folder.write("introducer_z_cache.yaml", &entry(1, "older", 2));
        folder.write("introducers.yaml", "introducers: {default: {furl: x}}\n");
        assert_eq!(folder.at(0), ["new", "two", "three"]);
        let id = ServerId::new([1; 32]);
        folder.write(STATIC_LIST, &format!("storage: {{{id}: {{ann: {{nickname: mine}}}}}}\n"));
        assert_eq!(folder.at(1), ["mine", "two", "three"]);
    }

    #[test]
    fn a_node_that_starts_anew_does_not_empty_the_list() {
        let mut folder = Folder::new();
        folder.write(CACHE, &(entry(1, "one", 1) + &entry(2, "two", 1)));
        folder.at(0);
        folder.write(CACHE, "[]\n");
        assert_eq!(folder.at(1), ["one", "two"]);
        folder.write(CACHE, &entry(2, "two", 1));
        assert_eq!(folder.at(60), ["one", "two"]);
        // The one that stays away goes when its time is over; the other is back for good.
        assert_eq!(folder.at(120), ["one", "two"]);
        assert_eq!(folder.at(121), ["two"]);
        fs::remove_file(folder.dir.path().join(CACHE)).unwrap();
        assert_eq!(folder.at(130), ["two"]);
        assert!(folder.at(250).is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_read_changes_nothing_and_is_named() {
        let mut folder = Folder::new();
        folder.write(CACHE, &entry(1, "one", 1));
        folder.at(0);
        folder.write(CACHE, "- ann: {nickname: [\n");
        assert_eq!(folder.at(1_000), ["one"]);
        assert_eq!(folder.faults().len(), 1);
        assert!(folder.faults()[0].ends_with("is no list of servers"), "{:?}", folder.faults());
        // Whole again, of the same length and time: it is looked at all the same.
        let path = folder.dir.path().join(CACHE);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "- ann: {nickname: a}\n").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        folder.at(1_001);
        assert!(folder.faults()[0].ends_with("has 1 entries that name no server"), "{:?}", folder.faults());
        folder.write(CACHE, &entry(1, "again", 1));
        assert_eq!((folder.at(1_002), folder.faults().len()), (vec!["again".to_owned()], 0));
    }

    #[test]
    fn a_file_or_a_list_beyond_the_bounds_is_refused_or_cut() {
        let mut folder = Folder::new();
        folder.write(CACHE, &" ".repeat(MAX_FILE_BYTES + 1));
        assert!(folder.at(0).is_empty());
        assert!(folder.faults()[0].starts_with("cannot read"), "{:?}", folder.faults());
        let many: String = (0..MAX_SERVERS as u64 + 10)
            .map(|n| {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&n.to_be_bytes());
                format!("- {{ann: {{nickname: s}}, key_s: {}}}\n", ServerId::new(key))
            })
            .collect();
        folder.write(CACHE, &many);
        assert_eq!(folder.at(1).len(), MAX_SERVERS);
    }

    #[test]
    fn a_folder_that_is_gone_is_named() {
        let mut folder = Folder::new();
        folder.write(CACHE, &entry(1, "one", 1));
        folder.at(0);
        fs::remove_dir_all(folder.dir.path()).unwrap();
        assert_eq!(folder.at(1), ["one"]);
        assert_eq!(folder.faults().len(), 1);
    }
}
