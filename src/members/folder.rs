//! The folder of memberships as it was read last.

use crate::config::{FileError, Home, PUBLIC_MODE, create_private_dir, read_at_most, write_atomically};
use crate::keys::{GridId, PublicKey};
use crate::record::Delegation;
use crate::session::{MAX_MEMBERSHIP_BYTES, Membership, Standing};
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// What the name of a membership's file ends with.
pub(super) const SUFFIX: &str = ".membership";
/// How many memberships are read, 2 KB each in memory.
const MAX_MEMBERS: usize = 50_000;
/// A folder whose time of change is younger than this may have changed again at the same time: file systems count in ticks of
/// some milliseconds.
const TICK: Duration = Duration::from_millis(100);
/// How often the folder is looked through though its own time has not changed: a file may be overwritten in its place.
const LOOK_THROUGH: Duration = Duration::from_secs(2);
/// More than a delegation takes.
const MAX_DELEGATION_BYTES: usize = 1024;

/// Memberships by their keys.
#[derive(Debug)]
pub(super) struct Folder {
    home: Home,
    grid: GridId,
    /// The publisher that the delegation beside names: it may sign memberships.
    publisher: Option<PublicKey>,
    members: HashMap<PublicKey, (Stamp, Option<Arc<Membership>>)>,
    /// The removals that were ever seen here, the newest of each key.
    removals: HashMap<PublicKey, Arc<Membership>>,
    /// The folder of these when it was read.
    removals_stamp: Option<Stamp>,
    seen: Option<Seen>,
}

/// When the folder was looked at.
#[derive(Debug, Clone, Copy)]
struct Seen {
    stamps: (Stamp, Option<Stamp>, Option<Stamp>),
    /// When these stamps were seen first.
    first: Instant,
    /// When the folder was looked through last.
    last: Instant,
}

/// What tells one version of a file or a folder from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self { inode: file.ino(), modified: (file.mtime(), file.mtime_nsec()), size: file.len() }
    }
}

impl Folder {
    pub(super) fn new(home: &Home, grid: GridId) -> Self {
        Self {
            home: home.clone(),
            grid,
            publisher: None,
            members: HashMap::new(),
            removals: HashMap::new(),
            removals_stamp: None,
            seen: None,
        }
    }

    /// Reads what has changed since the last time.
    pub(super) fn refresh(&mut self) -> Result<(), FileError> {
        let path = self.home.members();
        let folder = fs::metadata(&path).map_err(FileError::at("read", &path))?;
        let delegation = fs::metadata(self.home.delegation()).ok();
        let removals = fs::metadata(self.home.removed_members()).ok();
        let stamps = (Stamp::of(&folder), delegation.as_ref().map(Stamp::of), removals.as_ref().map(Stamp::of));
        let now = Instant::now();
        let first = match self.seen {
            Some(seen) if seen.stamps == stamps => {
                // What was looked through once the tick was over has all that the tick brought.
                if seen.last - seen.first >= TICK && now - seen.last < LOOK_THROUGH {
                    return Ok(());
                }
                seen.first
            }
            _ => now,
        };
        self.look_through(&path)?;
        self.seen = Some(Seen { stamps, first, last: now });
        Ok(())
    }

    /// All memberships, current or not.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Membership>> {
        self.members.values().filter_map(|(_, membership)| membership.as_ref())
    }

    /// The membership of a key, current or not.
    pub(super) fn of(&self, key: &PublicKey) -> Option<&Arc<Membership>> {
        self.members.get(key).and_then(|(_, membership)| membership.as_ref())
    }

    fn look_through(&mut self, path: &Path) -> Result<(), FileError> {
        let publisher = self.delegated();
        if publisher != self.publisher {
            self.publisher = publisher;
            // Whether each is signed by a key that may is another question now.
            self.members.clear();
            self.removals_stamp = None;
        }
        self.read_removals();
        let mut found = HashMap::new();
        for entry in fs::read_dir(path).map_err(FileError::at("read", path))? {
            let entry = entry.map_err(FileError::at("read", path))?;
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
            let Ok(key) = key.parse::<PublicKey>() else {
                debug!(file = %entry.path().display(), "not named by a key: no membership");
                continue;
            };
            if found.len() == MAX_MEMBERS {
                warn!(limit = MAX_MEMBERS, "more memberships than are read");
                break;
            }
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            let stamp = Stamp::of(&metadata);
            let known = self.members.remove(&key);
            let membership = match known {
                Some((of, membership)) if of == stamp => membership,
                known => self.read(&entry.path(), &key, known.and_then(|(_, membership)| membership)),
            };
            found.insert(key, (stamp, membership));
        }
        self.members = found;
        self.heed_removals();
        Ok(())
    }

    /// Reads the removals that are kept, if there are others than were read last.
    fn read_removals(&mut self) {
        let path = self.home.removed_members();
        let stamp = fs::metadata(&path).ok().as_ref().map(Stamp::of);
        if stamp == self.removals_stamp {
            return;
        }
        self.removals_stamp = stamp;
        for entry in fs::read_dir(&path).into_iter().flatten().flatten().take(MAX_MEMBERS) {
            let name = entry.file_name();
            let key = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<PublicKey>().ok());
            let Some(key) = key else { continue };
            let known = self.removals.remove(&key);
            if let Some(removal) = self.read(&entry.path(), &key, known) {
                self.removals.insert(key, removal);
            }
        }
    }

    /// Has removals win over files from before them, and keeps those that are new.
    fn heed_removals(&mut self) {
        let mut new = Vec::new();
        for (key, (_, membership)) in &mut self.members {
            let Some(membership) = membership else { continue };
            match self.removals.get(key) {
                Some(removal) if removal.supersedes(membership) => {
                    warn!(client = %removal.label(), "the file of this client's membership is from before its removal, which counts");
                    *membership = Arc::clone(removal);
                }
                Some(removal) if !membership.supersedes(removal) => {}
                _ if membership.draft().standing == Standing::Removed => new.push(Arc::clone(membership)),
                _ => {}
            }
        }
        for removal in new {
            if let Err(error) = self.keep(&removal) {
                warn!(client = %removal.label(), %error, "a removal could not be kept apart: a copy of the folder from before would undo it");
            }
            self.removals.insert(*removal.key(), removal);
        }
    }

    fn keep(&self, removal: &Membership) -> Result<(), FileError> {
        let path = self.home.removed_members();
        create_private_dir(&path)?;
        write_atomically(&path.join(format!("{}{SUFFIX}", removal.key())), removal.bytes(), PUBLIC_MODE)
    }

    /// The membership in a file; the one `known` where that is newer.
    fn read(&self, path: &Path, key: &PublicKey, known: Option<Arc<Membership>>) -> Option<Arc<Membership>> {
        let bytes = match read_at_most(path, MAX_MEMBERSHIP_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return None,
            Err(error) => {
                warn!(file = %path.display(), error = %error.source, "a membership cannot be read");
                return None;
            }
        };
        let read = match Membership::from_bytes(&bytes, &self.grid, self.publisher.as_ref()) {
            Ok(membership) if membership.key() == key => Arc::new(membership),
            Ok(_) => {
                warn!(file = %path.display(), "a membership of another key than its name says does not count");
                return None;
            }
            Err(error) => {
                warn!(file = %path.display(), %error, "a membership does not count");
                return None;
            }
        };
        match known {
            // A copy of the folder from before a removal must not undo it.
            Some(known) if known.supersedes(&read) => {
                warn!(client = %known.label(), "the file of this client's membership is older than what it was: the newer counts");
                Some(known)
            }
            _ => Some(read),
        }
    }

    fn delegated(&self) -> Option<PublicKey> {
        let path = self.home.delegation();
        let bytes = match read_at_most(&path, MAX_DELEGATION_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(error = %error.source, "the delegation cannot be read: only the grid key's memberships count");
                return None;
            }
        };
        Delegation::from_bytes(&bytes, &self.grid).ok().map(|delegation| *delegation.publisher())
    }
}
