//! Who is a client: asked, added to and taken from.

use crate::config::{FileError, Home, PUBLIC_MODE, create_private_dir, write_atomically};
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::members::folder::{Folder, SUFFIX};
use crate::record::Nickname;
use crate::session::{Group, Membership, MembershipDraft, MembershipError, NoClient, Standing};
use crate::units::UnixSeconds;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// The clients of a grid, as the files of a data directory say. Cheap to clone.
///
/// Each question looks whether the folder has changed, which is one or two calls to the operating system; what has changed is
/// read. So an answer is never older than the file, nor does it wait for the network.
#[derive(Debug, Clone)]
pub struct Members {
    home: Home,
    grid: GridId,
    folder: Arc<Mutex<Folder>>,
}

/// Somebody who is to become a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// What the operator calls it: no two clients have one name.
    pub label: Nickname,
    /// Its accounting key.
    pub key: PublicKey,
    /// The groups that it is in.
    pub groups: Vec<Group>,
    /// From when on it is none any more; [`UnixSeconds::MAX`] for until it is removed.
    pub not_after: UnixSeconds,
    /// The SPKI hashes of the gateways that it may use; none named: every gateway of the grid.
    pub servers: Vec<[u8; 32]>,
}

/// The memberships cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the list of clients cannot be read")]
pub struct MembersError(#[from] FileError);

/// Why nobody was added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Another client has the name.
    #[error("`{label}` is a client already, with the key {key}")]
    NameTaken {
        /// The name.
        label: Nickname,
        /// The key of the one that has it.
        key: PublicKey,
    },
    /// What it is to say does not make a membership: groups twice, or too many.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why nobody was removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Nobody has that name.
    #[error("no client is called `{label}`")]
    Unknown {
        /// The name.
        label: Nickname,
    },
    /// The removal could not be signed.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Members {
    /// The clients of `grid` in `home`, whose folder is made where it is missing.
    pub fn open(home: &Home, grid: GridId) -> Result<Self, FileError> {
        create_private_dir(&home.members())?;
        let members = Self { home: home.clone(), grid, folder: Arc::new(Mutex::new(Folder::new(home, grid))) };
        members.folder().refresh()?;
        Ok(members)
    }

    /// The grid whose clients they are.
    pub fn grid(&self) -> &GridId {
        &self.grid
    }

    /// The membership of `key`, if it has one that is current at `now` and holds at the gateway whose TLS key hashes to this.
    pub fn client(&self, key: &PublicKey, spki_hash: &[u8; 32], now: UnixSeconds) -> Option<Arc<Membership>> {
        let folder = self.refreshed();
        folder.of(key).filter(|membership| membership.is_current(now) && membership.holds_at(spki_hash)).cloned()
    }

    /// Why `key` is no client's at `now` at that gateway, if it is none.
    pub fn why_none(&self, key: &PublicKey, spki_hash: &[u8; 32], now: UnixSeconds) -> NoClient {
        match self.refreshed().of(key) {
            None => NoClient::Unknown,
            Some(membership) if membership.draft().standing == Standing::Removed => NoClient::Removed,
            Some(membership) if !membership.is_current(now) => NoClient::Ended,
            Some(membership) if !membership.holds_at(spki_hash) => NoClient::Elsewhere,
            // It has become one since.
            Some(_) => NoClient::Unknown,
        }
    }

    /// All that are current at `now`, by name.
    pub fn clients(&self, now: UnixSeconds) -> Vec<Arc<Membership>> {
        let folder = self.refreshed();
        let mut clients: Vec<_> = folder.all().filter(|membership| membership.is_current(now)).cloned().collect();
        clients.sort_by(|a, b| a.label().as_str().cmp(b.label().as_str()));
        clients
    }

    /// How many are current at `now`.
    pub fn count(&self, now: UnixSeconds) -> usize {
        self.refreshed().all().filter(|membership| membership.is_current(now)).count()
    }

    /// Makes somebody a client, or changes what is said of one that is: on the disk when this returns. `signer` is the grid key,
    /// or the publisher's.
    pub fn add(&self, signer: &SecretKey, client: NewClient, now: UnixSeconds) -> Result<Arc<Membership>, AddError> {
        let _alone = self.alone()?;
        let mut folder = self.folder();
        folder.refresh()?;
        let NewClient { label, key, groups, not_after, servers } = client;
        let namesake =
            folder.all().find(|other| other.is_current(now) && other.label() == &label && other.key() != &key);
        if let Some(other) = namesake {
            return Err(AddError::NameTaken { label, key: *other.key() });
        }
        let draft = MembershipDraft {
            serial: serial(folder.of(&key), now),
            standing: Standing::Member,
            key,
            label,
            groups,
            not_after,
            servers,
        };
        let membership = Membership::issue(signer, &self.grid, &draft)?;
        self.write(&mut folder, &membership)?;
        Ok(Arc::new(membership))
    }

    /// Ends the membership of the client called `label`: on the disk when this returns. What is left is the word that it is none
    /// any more, for the other gateways of the grid.
    pub fn remove(
        &self,
        signer: &SecretKey,
        label: &Nickname,
        now: UnixSeconds,
    ) -> Result<Arc<Membership>, RemoveError> {
        let _alone = self.alone()?;
        let mut folder = self.folder();
        folder.refresh()?;
        let is_it = |membership: &&Arc<Membership>| {
            membership.label() == label && membership.draft().standing == Standing::Member
        };
        // One that is over may bear the name of one that is not.
        let found =
            folder.all().filter(is_it).max_by_key(|membership| (membership.is_current(now), membership.draft().serial));
        let found = found.cloned().ok_or_else(|| RemoveError::Unknown { label: label.clone() })?;
        let draft = MembershipDraft {
            serial: serial(Some(&found), now),
            standing: Standing::Removed,
            groups: Vec::new(),
            ..found.draft().clone()
        };
        let removal = Membership::issue(signer, &self.grid, &draft)?;
        self.write(&mut folder, &removal)?;
        Ok(found)
    }

    fn write(&self, folder: &mut Folder, membership: &Membership) -> Result<(), FileError> {
        write_atomically(&self.path(membership.key()), membership.bytes(), PUBLIC_MODE)?;
        folder.refresh()
    }

    fn path(&self, key: &PublicKey) -> PathBuf {
        self.home.members().join(format!("{key}{SUFFIX}"))
    }

    /// Held while the list is looked at and then changed, also by another process.
    fn alone(&self) -> Result<File, FileError> {
        let path = self.home.members().join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(FileError::at("open", &path))?;
        file.lock().map_err(FileError::at("lock", &path))?;
        Ok(file)
    }

    /// What the files say; what they said last where they cannot be read.
    fn refreshed(&self) -> MutexGuard<'_, Folder> {
        let mut folder = self.folder();
        if let Err(error) = folder.refresh() {
            warn!(error = %error.source, "the list of clients cannot be read: what it said last holds");
        }
        folder
    }

    /// Nothing that is done under this lock can panic.
    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The serial of the membership after `before`.
fn serial(before: Option<&Arc<Membership>>, now: UnixSeconds) -> u64 {
    let least = before.map_or(1, |before| before.draft().serial.saturating_add(1));
    now.0.saturating_mul(1000).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Delegation, DelegationDraft};
    use crate::units::Seconds;
    use std::fs;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const HERE: [u8; 32] = [4; 32];

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn grid() -> GridId {
        GridId::new(secret(1).public())
    }

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn home(&self) -> Home {
            Home::new(self.dir.path())
        }

        /// The list as another process sees it.
        fn members(&self) -> Members {
            Members::open(&self.home(), grid()).unwrap()
        }
    }

    fn new(label: &str, key: u8) -> NewClient {
        NewClient {
            label: label.parse().unwrap(),
            key: secret(key).public(),
            groups: vec!["staff".parse().unwrap()],
            not_after: UnixSeconds::MAX,
            servers: Vec::new(),
        }
    }

    fn names(members: &Members, now: UnixSeconds) -> Vec<String> {
        members.clients(now).iter().map(|membership| membership.label().to_string()).collect()
    }

    #[test]
    fn who_is_added_and_removed_by_one_process_is_at_once_so_to_another() {
        let place = Place::new();
        let (node, command) = (place.members(), place.members());
        let key = secret(9).public();
        assert_eq!(node.client(&key, &HERE, NOW), None);
        // Within a tick of the file system, again and again.
        for _ in 0..20 {
            command.add(&secret(1), new("Ada", 9), NOW).unwrap();
            assert_eq!(node.client(&key, &HERE, NOW).unwrap().label().as_str(), "Ada");
            command.remove(&secret(1), &"Ada".parse().unwrap(), NOW).unwrap();
            assert_eq!(node.client(&key, &HERE, NOW), None);
        }
        assert_eq!((node.count(NOW), names(&place.members(), NOW).len()), (0, 0));
    }

    #[test]
    fn two_changes_within_one_tick_of_the_file_system_are_two() {
        let place = Place::new();
        let (node, command) = (place.members(), place.members());
        command.add(&secret(1), new("Ada", 9), NOW).unwrap();
        let folder = File::open(place.home().members()).unwrap();
        let tick = folder.metadata().unwrap().modified().unwrap();
        assert_eq!(node.count(NOW), 1);
        command.add(&secret(1), new("Bob", 10), NOW).unwrap();
        // As a file system would have it that counts in ticks.
        folder.set_modified(tick).unwrap();
        assert_eq!(node.count(NOW), 2);
    }

    #[test]
    fn a_name_is_one_clients_alone() {
        let place = Place::new();
        let members = place.members();
        members.add(&secret(1), new("Ada", 9), NOW).unwrap();
        let taken = members.add(&secret(1), new("Ada", 10), NOW);
        assert!(matches!(taken, Err(AddError::NameTaken { key, .. }) if key == secret(9).public()), "{taken:?}");
        // The same key by another name is renamed, by the same name renewed.
        members.add(&secret(1), NewClient { groups: vec![], ..new("Ada", 9) }, NOW).unwrap();
        members.add(&secret(1), new("Ada of the house", 9), NOW).unwrap();
        members.add(&secret(1), new("Ada", 10), NOW).unwrap();
        assert_eq!(names(&members, NOW), ["Ada", "Ada of the house"]);
        let unknown = members.remove(&secret(1), &"Bob".parse().unwrap(), NOW);
        assert!(matches!(unknown, Err(RemoveError::Unknown { .. })), "{unknown:?}");
    }

    #[test]
    fn a_membership_ends_on_its_day_and_makes_room_for_its_name() {
        let place = Place::new();
        let members = place.members();
        let until = NOW.plus(Seconds::days(1));
        members.add(&secret(1), NewClient { not_after: until, ..new("Ada", 9) }, NOW).unwrap();
        assert_eq!((members.count(NOW), members.count(until)), (1, 0));
        members.add(&secret(1), new("Ada", 10), until).unwrap();
        let removed = members.remove(&secret(1), &"Ada".parse().unwrap(), until).unwrap();
        assert_eq!(removed.key(), &secret(10).public(), "the one that is current");
    }

    #[test]
    fn a_copy_of_the_folder_from_before_a_removal_does_not_undo_it() {
        let place = Place::new();
        let members = place.members();
        members.add(&secret(1), new("Ada", 9), NOW).unwrap();
        let path = members.path(&secret(9).public());
        let before = fs::read(&path).unwrap();
        members.remove(&secret(1), &"Ada".parse().unwrap(), NOW).unwrap();
        assert_eq!(members.count(NOW), 0);
        write_atomically(&path, &before, PUBLIC_MODE).unwrap();
        assert_eq!(members.count(NOW), 0);
        // Nor for one that begins after it.
        let later = place.members();
        assert_eq!((later.count(NOW), later.why_none(&secret(9).public(), &HERE, NOW)), (0, NoClient::Removed));
        // Added again, it is newer than both.
        members.add(&secret(1), new("Ada", 9), NOW).unwrap();
        assert_eq!((members.count(NOW), place.members().count(NOW)), (1, 1));
    }

    #[test]
    fn a_removal_that_came_with_a_copy_is_kept_as_well() {
        let (one, two) = (Place::new(), Place::new());
        let path = |place: &Place| place.home().members().join(format!("{}{SUFFIX}", secret(9).public()));
        one.members().add(&secret(1), new("Ada", 9), NOW).unwrap();
        let before = fs::read(path(&one)).unwrap();
        one.members().remove(&secret(1), &"Ada".parse().unwrap(), NOW).unwrap();
        assert_eq!(two.members().count(NOW), 0);
        fs::copy(path(&one), path(&two)).unwrap();
        assert_eq!(two.members().count(NOW), 0);
        fs::write(path(&two), &before).unwrap();
        assert_eq!(two.members().count(NOW), 0);
        // The folder gone, as after a restored backup of the whole directory, there is nothing to tell it by.
        fs::remove_dir_all(two.home().removed_members()).unwrap();
        assert_eq!(two.members().count(NOW), 1);
    }

    #[test]
    fn each_reason_why_somebody_is_no_client_is_told_apart() {
        let place = Place::new();
        let members = place.members();
        let why = |key: u8| members.why_none(&secret(key).public(), &HERE, NOW);
        members.add(&secret(1), new("Ada", 9), NOW).unwrap();
        members.remove(&secret(1), &"Ada".parse().unwrap(), NOW).unwrap();
        let until = NOW.minus(Seconds::days(1));
        members.add(&secret(1), NewClient { not_after: until, ..new("Bob", 10) }, NOW).unwrap();
        members.add(&secret(1), NewClient { servers: vec![[5; 32]], ..new("Eve", 11) }, NOW).unwrap();
        let reasons = [9, 10, 11, 12].map(why);
        assert_eq!(reasons, [NoClient::Removed, NoClient::Ended, NoClient::Elsewhere, NoClient::Unknown]);
    }

    #[test]
    fn another_gateway_of_the_grid_needs_the_files_alone() {
        let (one, two) = (Place::new(), Place::new());
        one.members().add(&secret(1), new("Ada", 9), NOW).unwrap();
        one.members().add(&secret(1), NewClient { servers: vec![[5; 32]], ..new("Bob", 10) }, NOW).unwrap();
        let other = two.members();
        for entry in fs::read_dir(one.home().members()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), two.home().members().join(entry.file_name())).unwrap();
        }
        assert_eq!(names(&other, NOW), ["Ada", "Bob"]);
        assert!(other.client(&secret(10).public(), &HERE, NOW).is_none(), "not at this gateway");
        assert!(other.client(&secret(10).public(), &[5; 32], NOW).is_some());
    }

    #[test]
    fn the_publishers_word_counts_while_the_delegation_names_it() {
        let place = Place::new();
        let members = place.members();
        members.add(&secret(2), new("Ada", 9), NOW).unwrap();
        assert_eq!(members.count(NOW), 0, "nobody has delegated to it");
        let delegate_to = |publisher: u8, serial: u64| {
            let draft = DelegationDraft {
                serial: UnixSeconds(NOW.0 + serial),
                publisher: secret(publisher).public(),
                not_after: NOW.plus(Seconds::days(300)),
                next: None,
                max_limit: None,
                committed_until: None,
            };
            let delegation = Delegation::issue(&secret(1), &draft).unwrap();
            write_atomically(&place.home().delegation(), delegation.bytes(), PUBLIC_MODE).unwrap();
        };
        delegate_to(2, 0);
        assert_eq!(members.count(NOW), 1);
        delegate_to(3, 1);
        assert_eq!(members.count(NOW), 0, "its delegation was revoked");
    }

    #[test]
    fn what_is_no_membership_does_no_harm() {
        let place = Place::new();
        let members = place.members();
        members.add(&secret(1), new("Ada", 9), NOW).unwrap();
        let good = fs::read(members.path(&secret(9).public())).unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(place.home().members().join(name), bytes).unwrap();
        write("notes.txt", b"by hand");
        write("x.membership", &good);
        write(&format!("{}{SUFFIX}", secret(10).public()), &good);
        write(&format!("{}{SUFFIX}", secret(11).public()), &good[..50]);
        write(&format!("{}{SUFFIX}", secret(12).public()), &vec![0; 1 << 20]);
        fs::create_dir(place.home().members().join(format!("{}{SUFFIX}", secret(13).public()))).unwrap();
        assert_eq!(names(&members, NOW), ["Ada"]);
        // What the operator deletes is gone.
        fs::remove_file(members.path(&secret(9).public())).unwrap();
        assert_eq!(members.count(NOW), 0);
    }
}
