//! Taking in what the grid key signed elsewhere: a record, or a delegation.

use crate::config::{FileError, Home, KeyFileError, PUBLIC_MODE, read_at_most, read_key, write_atomically};
use crate::keys::{GridId, PublicKey};
use crate::record::{Breach, Delegation, GridRecord, RecordError, TimeFault, breaches};
use crate::store::{OwnRecordError, load_evidence, load_own_record, save_own_record};
use crate::units::UnixSeconds;
use std::path::PathBuf;

/// Neither a record nor a delegation is longer.
pub const MAX_INSTALL_BYTES: usize = 1024;

/// What was taken in.
#[derive(Debug, Clone)]
pub enum Installed {
    /// The grid's newest record, to be published.
    Record(GridRecord),
    /// A permission to sign records here.
    Delegation(Delegation),
}

/// Why nothing was taken in. The data directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Neither a record nor a delegation of this grid. The error is about the one that it is nearer to.
    #[error("neither a record nor a delegation of this grid: {0}")]
    Neither(Box<RecordError>),
    /// Not for this time.
    #[error(transparent)]
    Time(#[from] TimeFault),
    /// A record that the one here supersedes.
    #[error("the record here is newer: its sequence is {held}, and that of the one offered {offered}")]
    Stale {
        /// The sequence of the record in the data directory.
        held: u64,
        /// The sequence of the one offered.
        offered: u64,
    },
    /// A record that would break a promise.
    #[error("a promise binds: {0}")]
    Breach(Box<Breach>),
    /// A delegation to another key.
    #[error("the delegation is for `{found}`, and the publisher key here is `{expected}`")]
    OtherPublisher {
        /// The key that it names.
        found: PublicKey,
        /// The key in the data directory.
        expected: PublicKey,
    },
    /// A delegation that a higher serial has revoked.
    #[error("the delegation is revoked: its serial is {offered}, and {held} is here")]
    Revoked {
        /// The serial here.
        held: u64,
        /// Its serial.
        offered: u64,
    },
    /// A delegation whose time is over.
    #[error("the delegation ended on {0}")]
    Ended(UnixSeconds),
    /// The publisher key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The record here cannot be read or replaced.
    #[error(transparent)]
    Own(#[from] OwnRecordError),
    /// The delegation here cannot be read or replaced.
    #[error(transparent)]
    File(#[from] FileError),
    /// The delegation here is none of this grid's.
    #[error("`{}` is no delegation of this grid", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordError,
    },
}

/// Takes in a record or a delegation of `grid`, whichever `bytes` are, and has it on the disk when it returns.
pub fn install(home: &Home, grid: &GridId, bytes: &[u8], now: UnixSeconds) -> Result<Installed, InstallError> {
    let record = match GridRecord::from_bytes(bytes, grid) {
        Ok(record) => return install_record(home, record, now).map(Installed::Record),
        Err(error) => error,
    };
    match Delegation::from_bytes(bytes, grid) {
        Ok(delegation) => install_delegation(home, grid, delegation, now).map(Installed::Delegation),
        // Well-formed as a delegation, and another grid's.
        Err(error @ RecordError::BadSignature { .. }) => Err(InstallError::Neither(Box::new(error))),
        Err(_) => Err(InstallError::Neither(Box::new(record))),
    }
}

fn install_record(home: &Home, record: GridRecord, now: UnixSeconds) -> Result<GridRecord, InstallError> {
    if let Some(fault) = record.signed().time_fault(now) {
        return Err(fault.into());
    }
    let held = load_own_record(home, record.grid())?;
    let (offered, same) = (record.signed(), |held: &GridRecord| held.signed().identity() == record.signed().identity());
    if let Some(held) = held.as_ref().filter(|held| !same(held) && !offered.supersedes(held.signed())) {
        return Err(InstallError::Stale { held: held.signed().sequence(), offered: offered.sequence() });
    }
    let evidence = load_evidence(home, record.grid());
    if let Some(breach) = held.iter().chain(&evidence).flat_map(|earlier| breaches(earlier, &record)).next() {
        return Err(InstallError::Breach(Box::new(breach)));
    }
    save_own_record(home, &record)?;
    Ok(record)
}

fn install_delegation(
    home: &Home,
    grid: &GridId,
    delegation: Delegation,
    now: UnixSeconds,
) -> Result<Delegation, InstallError> {
    if delegation.not_after() <= now {
        return Err(InstallError::Ended(delegation.not_after()));
    }
    let expected = read_key(&home.publisher_key())?.public();
    if *delegation.publisher() != expected {
        return Err(InstallError::OtherPublisher { found: *delegation.publisher(), expected });
    }
    let held = held_delegation(home, grid)?.map(|held| held.serial());
    let published = load_own_record(home, grid)?.map(|record| record.signed().serial());
    if let Some(highest) = held.max(published).filter(|highest| *highest > delegation.serial()) {
        return Err(InstallError::Revoked { held: highest.0, offered: delegation.serial().0 });
    }
    write_atomically(&home.delegation(), delegation.bytes(), PUBLIC_MODE)?;
    Ok(delegation)
}

fn held_delegation(home: &Home, grid: &GridId) -> Result<Option<Delegation>, InstallError> {
    let path = home.delegation();
    match read_at_most(&path, MAX_INSTALL_BYTES) {
        Ok(bytes) => match Delegation::from_bytes(&bytes, grid) {
            Ok(delegation) => Ok(Some(delegation)),
            Err(source) => Err(InstallError::Damaged { path, source }),
        },
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::create_key;
    use crate::keys::SecretKey;
    use crate::record::{DelegationDraft, RecordDraft, Signer};
    use crate::units::Seconds;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    struct Place {
        _dir: tempfile::TempDir,
        home: Home,
        publisher: PublicKey,
    }

    fn grid_key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn grid() -> GridId {
        GridId::new(grid_key().public())
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let publisher = create_key(&home.publisher_key()).unwrap().public();
        Place { _dir: dir, home, publisher }
    }

    fn record(rate: &str, at: UnixSeconds) -> GridRecord {
        let draft = RecordDraft { rates: vec![rate.parse().unwrap()], ..RecordDraft::new(grid()) };
        draft.sign(Signer::Grid { key: &grid_key(), serial: NOW }, None, &[], at).unwrap()
    }

    fn delegation(publisher: PublicKey, serial: UnixSeconds) -> Delegation {
        let not_after = serial.plus(Seconds::days(30));
        let draft =
            DelegationDraft { serial, publisher, not_after, next: None, max_limit: None, committed_until: None };
        Delegation::issue(&grid_key(), &draft).unwrap()
    }

    #[test]
    fn a_record_and_a_delegation_are_told_apart_and_put_in_their_places() {
        let place = place();
        let record = record("free", NOW);
        assert!(matches!(install(&place.home, &grid(), record.signed().bytes(), NOW), Ok(Installed::Record(_))));
        assert_eq!(std::fs::read(place.home.own_record()).unwrap(), record.signed().bytes());
        let delegation = delegation(place.publisher, NOW);
        assert!(matches!(install(&place.home, &grid(), delegation.bytes(), NOW), Ok(Installed::Delegation(_))));
        assert_eq!(std::fs::read(place.home.delegation()).unwrap(), delegation.bytes());
    }

    #[test]
    fn an_older_record_does_not_take_the_place_of_a_newer_one() {
        let place = place();
        let (older, newer) = (record("free", NOW), record("free", NOW.plus(Seconds(1))));
        let later = NOW.plus(Seconds(2));
        install(&place.home, &grid(), newer.signed().bytes(), later).unwrap();
        let error = install(&place.home, &grid(), older.signed().bytes(), later).unwrap_err();
        assert!(matches!(error, InstallError::Stale { .. }), "{error}");
        install(&place.home, &grid(), newer.signed().bytes(), later).unwrap();
        assert_eq!(std::fs::read(place.home.own_record()).unwrap(), newer.signed().bytes());
    }

    #[test]
    fn a_record_that_breaks_a_promise_stays_out() {
        let place = place();
        let cheap = record("0.02 USD/GiB until 2027-06-01", NOW);
        install(&place.home, &grid(), cheap.signed().bytes(), NOW).unwrap();
        let later = NOW.plus(Seconds(10));
        let error = install(&place.home, &grid(), record("0.03 USD/GiB", later).signed().bytes(), later).unwrap_err();
        assert!(matches!(error, InstallError::Breach(_)), "{error}");
    }

    #[test]
    fn a_record_of_another_time_stays_out() {
        let place = place();
        let record = record("free", NOW);
        let error = install(&place.home, &grid(), record.signed().bytes(), NOW.plus(Seconds::days(8))).unwrap_err();
        assert!(matches!(error, InstallError::Time(TimeFault::Expired { .. })), "{error}");
    }

    #[test]
    fn a_delegation_for_another_key_or_revoked_or_ended_stays_out() {
        let place = place();
        let other = SecretKey::from_seed(&[9; 32]).public();
        let try_at = |delegation: &Delegation, at| install(&place.home, &grid(), delegation.bytes(), at);
        let error = try_at(&delegation(other, NOW), NOW).unwrap_err();
        assert!(matches!(error, InstallError::OtherPublisher { .. }), "{error}");
        try_at(&delegation(place.publisher, NOW), NOW).unwrap();
        let error = try_at(&delegation(place.publisher, NOW.minus(Seconds(1))), NOW).unwrap_err();
        assert!(matches!(error, InstallError::Revoked { .. }), "{error}");
        let error = try_at(&delegation(place.publisher, NOW), NOW.plus(Seconds::days(30))).unwrap_err();
        assert!(matches!(error, InstallError::Ended(_)), "{error}");
    }

    #[test]
    fn anything_else_is_refused_for_the_nearer_reason() {
        let place = place();
        let other = GridId::new(SecretKey::from_seed(&[8; 32]).public());
        let error = |bytes: &[u8], grid: &GridId| install(&place.home, grid, bytes, NOW).unwrap_err().to_string();
        assert!(error(b"", &grid()).ends_with("the record is empty: no bytes at all"));
        assert!(error(record("free", NOW).signed().bytes(), &other).contains("the signature on the record"));
        let delegation = delegation(place.publisher, NOW);
        assert!(error(delegation.bytes(), &other).contains("the signature on the delegation"));
    }
}
