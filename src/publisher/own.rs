//! The own record on the disk and the keys that may sign the next: whether it is due, and signing it.

use crate::config::{GridManager, Home, KeyFileError, NodeConfig, read_at_most, read_key};
use crate::keys::{GridId, SecretKey};
use crate::record::{Delegation, GridRecord, MAX_RECORD_BYTES, NodeEntry, RecordDraft, RecordError, SignError, Signer};
use crate::store::{OwnRecordError, load_evidence, load_own_record, save_own_record};
use crate::units::{Seconds, UnixSeconds};
use std::path::PathBuf;

/// A record is signed anew once this part of its life is left: time enough to notice that signing fails.
const RENEW_AT: u64 = 2;

/// The own record of the grid that a data directory speaks for.
#[derive(Debug, Clone)]
pub(crate) struct OwnRecord {
    home: Home,
    config: NodeConfig,
    grid: GridId,
}

/// A key that may sign, and by what right.
enum Hand {
    Grid(SecretKey),
    Publisher(SecretKey, Delegation),
}

impl Hand {
    /// Whether this hand may sign what takes the place of `held`. A publisher may not once its delegation is revoked, nor undo
    /// what only the grid key can say: that the grid has moved.
    fn may_replace(&self, held: Option<&GridRecord>) -> bool {
        match (self, held) {
            (Self::Publisher(_, delegation), Some(held)) => {
                delegation.serial() >= held.signed().serial() && held.successor().is_none()
            }
            (Self::Grid(_), _) | (_, None) => true,
        }
    }
}

impl OwnRecord {
    pub(crate) fn new(home: Home, config: NodeConfig, grid: GridId) -> Self {
        // Settings that name only the grid manager leave the grid to its key.
        let config = NodeConfig { grid_id: Some(grid), ..config };
        Self { home, config, grid }
    }

    pub(crate) fn grid(&self) -> &GridId {
        &self.grid
    }

    /// The record to publish: the one on the disk, or a new one where what it should say has changed, half its life is
    /// over, or there is none; in the latter cases it is on the disk when this returns. Without a key at hand, what was
    /// installed. `None` if there is nothing and nobody to sign.
    pub(crate) fn current(&self, nodes: Vec<NodeEntry>, now: UnixSeconds) -> Result<Option<GridRecord>, OwnError> {
        let held = load_own_record(&self.home, &self.grid)?;
        let Some(hand) = self.hand()?.filter(|hand| hand.may_replace(held.as_ref())) else { return Ok(held) };
        let mut draft = self.config.draft(self.grid, nodes);
        if let Hand::Publisher(..) = hand {
            // The next key is the grid key's to announce, and stands in the delegation.
            draft.next = None;
        }
        draft.rates.sort_by_key(|rate| rate.asset());
        if let Some(held) = held.as_ref().filter(|held| !is_due(held, &draft, &hand, now)) {
            return Ok(Some(held.clone()));
        }
        let evidence = load_evidence(&self.home, &self.grid);
        let signer = match &hand {
            // The serial stays: a higher one would revoke what the grid key has delegated meanwhile.
            Hand::Grid(key) => Signer::Grid { key, serial: held.as_ref().map_or(now, |held| held.signed().serial()) },
            Hand::Publisher(key, delegation) => Signer::Publisher { key, delegation },
        };
        let record = draft.sign(signer, held.as_ref(), &evidence, now)?;
        save_own_record(&self.home, &record)?;
        Ok(Some(record))
    }

    /// Puts `bytes` in the place of the record on the disk if they are a newer one of this grid. Returns whether they were.
    pub(crate) fn take_over(&self, bytes: &[u8]) -> Result<bool, OwnError> {
        let record = GridRecord::from_bytes(bytes, &self.grid).map_err(OwnError::Newer)?;
        let held = load_own_record(&self.home, &self.grid)?;
        if held.is_some_and(|held| !record.signed().supersedes(held.signed())) {
            return Ok(false);
        }
        Ok(save_own_record(&self.home, &record)?)
    }

    /// The key at hand: the publisher's where the grid key has delegated, else the grid manager's.
    fn hand(&self) -> Result<Option<Hand>, OwnError> {
        let path = self.home.delegation();
        match read_at_most(&path, MAX_RECORD_BYTES) {
            Ok(bytes) => {
                let delegation = Delegation::from_bytes(&bytes, &self.grid)
                    .map_err(|source| OwnError::Delegation { path, source })?;
                Ok(Some(Hand::Publisher(read_key(&self.home.publisher_key())?, delegation)))
            }
            Err(error) if !error.is_missing() => Err(OwnError::Key(error.into())),
            Err(_) => match &self.config.grid_manager {
                Some(path) => Ok(Some(Hand::Grid(GridManager::open(path)?.key().clone()))),
                None => Ok(None),
            },
        }
    }
}

/// Whether `held` is to be replaced.
fn is_due(held: &GridRecord, draft: &RecordDraft, hand: &Hand, now: UnixSeconds) -> bool {
    let signed = held.signed();
    if signed.withdrawn() {
        // Final: nothing takes its place.
        return false;
    }
    let life = signed.expires_at().since(signed.issued_at());
    let delegation_changed = match hand {
        Hand::Publisher(_, delegation) => {
            signed.authority().delegation().map(Delegation::bytes) != Some(delegation.bytes())
        }
        Hand::Grid(_) => signed.authority().delegation().is_some(),
    };
    let mut says = RecordDraft { lifetime: draft.lifetime, ..RecordDraft::from_record(held) };
    says.rates.sort_by_key(|rate| rate.asset());
    signed.expires_at().since(now) <= Seconds(life.0 / RENEW_AT) || delegation_changed || says != *draft
}

/// Why the own record cannot be brought up to date. What was published before stays published until it expires.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The file of the own record.
    #[error(transparent)]
    Record(#[from] OwnRecordError),
    /// A key file, or the delegation's.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// What lies in the delegation's place is none of this grid's.
    #[error("`{}` is no delegation of this grid", path.display())]
    Delegation {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A newer record of this grid is about, which this version cannot read.
    #[error("a newer record of this grid is about, which this version cannot read")]
    Newer(#[source] RecordError),
    /// The record may not be signed as the settings would have it.
    #[error("the record cannot be signed as the settings would have it")]
    Sign(#[from] SignError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::create_key;
    use crate::record::{DelegationDraft, KeyDigest};

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    struct Place {
        _dir: tempfile::TempDir,
        home: Home,
        own: OwnRecord,
    }

    fn grid_key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    /// A node whose publisher key has a delegation of this serial.
    fn delegated(serial: UnixSeconds) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let grid = GridId::new(grid_key().public());
        let publisher = create_key(&home.publisher_key()).unwrap().public();
        let draft = DelegationDraft {
            serial,
            publisher,
            not_after: NOW.plus(Seconds::days(100)),
            next: None,
            max_limit: None,
            committed_until: None,
        };
        std::fs::write(home.delegation(), Delegation::issue(&grid_key(), &draft).unwrap().bytes()).unwrap();
        let config = NodeConfig { grid_id: Some(grid), ..NodeConfig::default() };
        let own = OwnRecord::new(home.clone(), config, grid);
        Place { _dir: dir, home, own }
    }

    fn signed_by_grid(draft: &RecordDraft, serial: UnixSeconds) -> GridRecord {
        draft.sign(Signer::Grid { key: &grid_key(), serial }, None, &[], NOW).unwrap()
    }

    #[test]
    fn a_publisher_takes_up_a_record_that_the_grid_key_signed() {
        let place = delegated(NOW);
        let record = signed_by_grid(&RecordDraft::new(*place.own.grid()), NOW);
        save_own_record(&place.home, &record).unwrap();
        let current = place.own.current(Vec::new(), NOW).unwrap().unwrap();
        assert!(current.signed().supersedes(record.signed()));
        assert!(current.signed().authority().delegation().is_some());
    }

    #[test]
    fn a_revoked_publisher_leaves_what_the_grid_key_signed_since() {
        let place = delegated(NOW.minus(Seconds(1)));
        let record = signed_by_grid(&RecordDraft::new(*place.own.grid()), NOW);
        save_own_record(&place.home, &record).unwrap();
        assert_eq!(place.own.current(Vec::new(), NOW).unwrap(), Some(record));
    }

    #[test]
    fn a_publisher_does_not_undo_a_move() {
        let place = delegated(NOW);
        let heir = GridId::new(SecretKey::from_seed(&[2; 32]).public());
        let draft = RecordDraft {
            next: Some(KeyDigest(heir.digest())),
            successor: Some(heir),
            ..RecordDraft::new(*place.own.grid())
        };
        let record = signed_by_grid(&draft, NOW);
        save_own_record(&place.home, &record).unwrap();
        assert_eq!(place.own.current(Vec::new(), NOW).unwrap(), Some(record));
    }
}
