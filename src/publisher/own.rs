//! The own record on the disk and the keys that may sign the next: whether it is due, and signing it.

use crate::config::{GridManager, Home, KeyFileError, NodeConfig, read_at_most, read_key};
use crate::keys::{GridId, SecretKey};
use crate::record::{
    CLOCK_TOLERANCE, Delegation, GridRecord, MAX_NODES, MAX_RECORD_BYTES, NodeEntry, RecordDraft, RecordError,
    SignError, Signer, TimeFault,
};
use crate::signed::Identity;
use crate::store::{OwnRecordError, load_evidence, load_own_record, save_own_record};
use crate::units::{Seconds, UnixSeconds};
use libp2p::PeerId;
use std::collections::HashSet;
use std::path::PathBuf;

/// The own record of the grid that a data directory speaks for.
#[derive(Debug, Clone)]
pub(crate) struct OwnRecord {
    home: Home,
    config: NodeConfig,
    grid: GridId,
    /// The record that was taken over from another node of this grid, and whether it says what our settings do.
    taken: Option<(Identity, Says)>,
}

/// What the record of another node of this grid says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// What our own settings say.
    TheSame,
    /// Something else: the two nodes have different settings.
    SomethingElse,
}

/// What is known when the own record is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    /// Our own node as the record names it; nothing while nobody could reach it.
    pub(crate) node: Vec<NodeEntry>,
    /// The servers known, among them perhaps other nodes of this grid.
    pub(crate) servers: HashSet<PeerId>,
    /// By how many seconds the others' clocks are ahead of ours, where it is known.
    pub(crate) clock_behind_seconds: Option<i64>,
    /// Now, by our own clock.
    pub(crate) now: UnixSeconds,
}

/// The delegation in a data directory, as far as an operator has to mind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegationStanding {
    /// When it was signed.
    pub serial: UnixSeconds,
    /// No record under it expires later.
    pub not_after: UnixSeconds,
    /// Whether a higher serial has revoked it.
    pub revoked: bool,
}

impl DelegationStanding {
    /// Whether less than a third of its life is left: time to sign the next.
    pub fn ends_soon(&self, now: UnixSeconds) -> bool {
        let life = self.not_after.since(self.serial);
        self.not_after.since(now).0 < life.0 / 3
    }
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
        Self { home, config, grid, taken: None }
    }

    /// The same with other settings. What another node of this grid said is weighed anew against them.
    pub(crate) fn with_settings(&self, config: NodeConfig) -> Self {
        Self::new(self.home.clone(), config, self.grid)
    }

    pub(crate) fn grid(&self) -> &GridId {
        &self.grid
    }

    /// The record on the disk.
    pub(crate) fn held(&self) -> Result<Option<GridRecord>, OwnError> {
        Ok(load_own_record(&self.home, &self.grid)?)
    }

    /// The record to publish: the one on the disk, or a new one where what it should say has changed, half its life is
    /// over, or there is none; in the latter cases it is on the disk when this returns. Without a key at hand, what was
    /// installed. `None` if there is nothing and nobody to sign.
    pub(crate) fn current(&self, situation: &Situation) -> Result<Option<GridRecord>, OwnError> {
        let now = situation.now;
        let held = self.held()?;
        let Some(hand) = self.hand()?.filter(|hand| hand.may_replace(held.as_ref())) else { return Ok(held) };
        if let Some(held) = held.as_ref().filter(|held| held.successor().is_some() && self.config.successor.is_none()) {
            // The grid's last word, which was signed elsewhere.
            return Ok(Some(held.clone()));
        }
        let mut draft = self.draft(&hand);
        let due = held.as_ref().is_none_or(|held| self.is_due(held, now));
        if !draft.is_final() {
            draft.nodes = nodes(held.as_ref(), situation, due);
        }
        if let Some(held) = held.as_ref().filter(|held| !due && !self.has_changed(held, &draft, &hand, now)) {
            return Ok(Some(held.clone()));
        }
        if held.as_ref().is_some_and(|held| held.signed().withdrawn()) {
            return Ok(held);
        }
        // Nobody would accept it, and the next one could not be dated before it. Behind the others' a record is only older.
        let ahead = situation.clock_behind_seconds.map_or(0, |behind| behind.saturating_neg());
        if u64::try_from(ahead).is_ok_and(|ahead| ahead > CLOCK_TOLERANCE.0) {
            return Err(OwnError::Clock { ahead_seconds: ahead });
        }
        let evidence = load_evidence(&self.home, &self.grid);
        let record = match self.sign(&draft, &hand, held.as_ref(), &evidence, now) {
            // The other nodes of this grid leave no room for this one. It stays unnamed; what it holds is found all the same.
            Err(SignError::Overweight(_)) if draft.nodes.len() > situation.node.len() => {
                let Some(held) = &held else { return Ok(None) };
                draft.nodes = held.nodes().to_vec();
                if !due && !self.has_changed(held, &draft, &hand, now) {
                    return Ok(Some(held.clone()));
                }
                self.sign(&draft, &hand, Some(held), &evidence, now)?
            }
            signed => signed?,
        };
        save_own_record(&self.home, &record)?;
        Ok(Some(record))
    }

    /// Puts `bytes` in the place of the record on the disk if they are a newer one of this grid, which another node of it
    /// must have signed, or this one in a time that a restored backup has forgotten. Returns what it says if so.
    pub(crate) fn take_over(&mut self, bytes: &[u8], now: UnixSeconds) -> Result<Option<Says>, OwnError> {
        let record = GridRecord::from_bytes(bytes, &self.grid).map_err(OwnError::Newer)?;
        if matches!(
            record.signed().time_fault(now),
            Some(TimeFault::IssuedInFuture { .. } | TimeFault::SerialInFuture { .. })
        ) {
            // Nobody keeps it, and nothing could be signed after it until that time has come.
            return Ok(None);
        }
        let held = self.held()?;
        if held.is_some_and(|held| !record.signed().supersedes(held.signed())) || !save_own_record(&self.home, &record)?
        {
            return Ok(None);
        }
        let says = match self.hand()? {
            Some(hand) if !says_the_same(&record, &self.draft(&hand), now) => Says::SomethingElse,
            _ => Says::TheSame,
        };
        self.taken = Some((record.signed().identity(), says));
        Ok(Some(says))
    }

    /// Forgets that the record on the disk came from elsewhere: the settings here are to have their way.
    pub(crate) fn insist(&mut self) {
        self.taken = None;
    }

    /// Whether the record on the disk is another node's and says something else than our settings.
    pub(crate) fn yields_to(&self, held: &GridRecord) -> bool {
        self.taken == Some((held.signed().identity(), Says::SomethingElse))
    }

    /// How the delegation stands, if there is one.
    pub(crate) fn delegation(&self, held: Option<&GridRecord>) -> Option<DelegationStanding> {
        let Ok(Some(Hand::Publisher(_, delegation))) = self.hand() else { return None };
        let (serial, not_after) = (delegation.serial(), delegation.not_after());
        Some(DelegationStanding {
            serial,
            not_after,
            revoked: held.is_some_and(|held| held.signed().serial() > serial),
        })
    }

    /// What the settings make the record say; its nodes are still to be named.
    fn draft(&self, hand: &Hand) -> RecordDraft {
        let mut draft = self.config.draft(self.grid, Vec::new());
        if let Hand::Publisher(..) = hand {
            // The next key is the grid key's to announce, and stands in the delegation.
            draft.next = None;
        }
        draft.rates.sort_by_key(|rate| rate.asset());
        draft
    }

    fn sign(
        &self,
        draft: &RecordDraft,
        hand: &Hand,
        held: Option<&GridRecord>,
        evidence: &[GridRecord],
        now: UnixSeconds,
    ) -> Result<GridRecord, SignError> {
        let signer = match hand {
            // A last word ends what was delegated. Any other keeps its serial: a higher one would revoke what the grid key
            // has delegated meanwhile.
            Hand::Grid(key) if draft.is_final() && held.is_none_or(|held| held.successor().is_none()) => {
                Signer::Grid { key, serial: now.max(held.map_or(now, |held| held.signed().serial())) }
            }
            Hand::Grid(key) => Signer::Grid { key, serial: held.map_or(now, |held| held.signed().serial()) },
            Hand::Publisher(key, delegation) => Signer::Publisher { key, delegation },
        };
        draft.sign(signer, held, evidence, now)
    }

    /// Whether so much of the life of `held` is over that it is to be signed anew.
    ///
    /// Half of it, which is time enough to notice that signing fails. Whoever signed it comes first: the others of its grid
    /// wait for a tenth more, and those who would say something else until a third is left, so that nobody who is at work is
    /// talked over.
    fn is_due(&self, held: &GridRecord, now: UnixSeconds) -> bool {
        let signed = held.signed();
        let life = signed.expires_at().since(signed.issued_at());
        let tenths = match self.taken {
            Some((identity, Says::SomethingElse)) if identity == signed.identity() => 3,
            Some((identity, Says::TheSame)) if identity == signed.identity() => 4,
            _ => 5,
        };
        signed.expires_at().since(now) <= Seconds(life.0 / 10 * tenths)
    }

    /// Whether `held` is not what we would sign now. What another node of this grid signed counts as ours: for the same
    /// words, or because we do not quarrel.
    fn has_changed(&self, held: &GridRecord, draft: &RecordDraft, hand: &Hand, now: UnixSeconds) -> bool {
        let signed = held.signed();
        let other = self.taken.filter(|(identity, _)| *identity == signed.identity());
        // What our delegation revokes is no word of another node of ours, but perhaps a thief's: nobody yields to it.
        let revoked = matches!(hand, Hand::Publisher(_, delegation) if delegation.serial() > signed.serial());
        if other.is_some() && !revoked {
            // To be named beside the other node, and where we are, is worth a record.
            return !self.yields_to(held) && draft.nodes != held.nodes();
        }
        let delegation_changed = match hand {
            Hand::Publisher(_, delegation) => {
                signed.authority().delegation().map(Delegation::bytes) != Some(delegation.bytes())
            }
            Hand::Grid(_) => signed.authority().delegation().is_some(),
        };
        delegation_changed || words(held, draft.lifetime) != as_issued(draft, held, now)
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

/// What `held` says, to be compared with a draft.
fn words(held: &GridRecord, lifetime: Option<Seconds>) -> RecordDraft {
    let mut says = RecordDraft { lifetime, ..RecordDraft::from_record(held) };
    says.rates.sort_by_key(|rate| rate.asset());
    says
}

/// What a record that ends as `held` does would say by `draft` if it were issued now: a price that has begun since, or a promise
/// that has ended, makes another one of it, and once.
fn as_issued(draft: &RecordDraft, held: &GridRecord, now: UnixSeconds) -> RecordDraft {
    let rates = draft.rates.iter().map(|rate| rate.as_issued(now, held.signed().expires_at())).collect();
    RecordDraft { rates, ..draft.clone() }
}

/// Whether `record` says what `draft` does, but for the nodes that it names and for what only the hand that signed decides.
fn says_the_same(record: &GridRecord, draft: &RecordDraft, now: UnixSeconds) -> bool {
    let says = RecordDraft { nodes: draft.nodes.clone(), next: draft.next, ..words(record, draft.lifetime) };
    as_issued(&says, record, now) == as_issued(draft, record, now)
}

/// The nodes to be named: those of `held` in their order, ours among them, and ours at the end where it is new. When the
/// record is `due`, those that are no longer known are left out.
fn nodes(held: Option<&GridRecord>, situation: &Situation, due: bool) -> Vec<NodeEntry> {
    let own = situation.node.first().map(NodeEntry::peer_id);
    let mut nodes: Vec<NodeEntry> = Vec::new();
    for entry in held.into_iter().flat_map(|held| held.nodes()) {
        if Some(entry.peer_id()) == own {
            nodes.extend(situation.node.first().cloned());
        } else if !due || situation.servers.contains(entry.peer_id()) {
            nodes.push(entry.clone());
        }
    }
    if nodes.len() < MAX_NODES && !nodes.iter().any(|entry| Some(entry.peer_id()) == own) {
        nodes.extend(situation.node.first().cloned());
    }
    nodes
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
    /// Our clock is ahead of the others' by more than a record may be.
    #[error(
        "this machine's clock is {ahead_seconds} s ahead of the other nodes': nothing is signed until it is set right"
    )]
    Clock {
        /// By how many seconds.
        ahead_seconds: i64,
    },
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

    /// Nobody else is known, and nobody knows where we are.
    fn at(now: UnixSeconds) -> Situation {
        Situation { node: Vec::new(), servers: HashSet::new(), clock_behind_seconds: None, now }
    }

    fn signed_by_grid(draft: &RecordDraft, serial: UnixSeconds) -> GridRecord {
        draft.sign(Signer::Grid { key: &grid_key(), serial }, None, &[], NOW).unwrap()
    }

    #[test]
    fn a_publisher_takes_up_a_record_that_the_grid_key_signed() {
        let place = delegated(NOW);
        let record = signed_by_grid(&RecordDraft::new(*place.own.grid()), NOW);
        save_own_record(&place.home, &record).unwrap();
        let current = place.own.current(&at(NOW)).unwrap().unwrap();
        assert!(current.signed().supersedes(record.signed()));
        assert!(current.signed().authority().delegation().is_some());
    }

    /// The settings go on saying what has come true since: it was taken for something that the record does not say, and the
    /// record was signed anew at every look.
    #[test]
    fn a_price_that_has_begun_is_signed_once() {
        let mut place = delegated(NOW);
        let rises = NOW.plus(Seconds::days(1));
        place.own.config.rate = vec![format!("5 USD/GiB until {rises} then 8 from {rises}").parse().unwrap()];
        let first = place.own.current(&at(NOW)).unwrap().unwrap();
        assert_eq!(place.own.current(&at(rises.minus(Seconds(1)))).unwrap(), Some(first.clone()));
        let second = place.own.current(&at(rises)).unwrap().unwrap();
        assert_ne!(second, first);
        let rates: Vec<String> = second.rates().iter().map(ToString::to_string).collect();
        assert_eq!(rates, ["8 USD/GiB"]);
        assert_eq!(place.own.current(&at(rises.plus(Seconds(60)))).unwrap(), Some(second));
    }

    #[test]
    fn a_revoked_publisher_leaves_what_the_grid_key_signed_since() {
        let place = delegated(NOW.minus(Seconds(1)));
        let record = signed_by_grid(&RecordDraft::new(*place.own.grid()), NOW);
        save_own_record(&place.home, &record).unwrap();
        assert_eq!(place.own.current(&at(NOW)).unwrap(), Some(record));
    }

    /// A thief of the old publisher key published something else just before the grid key revoked it. The node took that
    /// for another node's word and left it standing, so that the revocation was never signed, nor brought to anybody.
    #[test]
    fn what_the_delegation_revokes_is_not_left_to_stand() {
        let mut place = delegated(NOW);
        let says = Some("Something else".parse().unwrap());
        let draft = RecordDraft { nickname: says, ..RecordDraft::new(*place.own.grid()) };
        let stolen = signed_by_grid(&draft, NOW.minus(Seconds(1)));
        assert_eq!(place.own.take_over(stolen.signed().bytes(), NOW).unwrap(), Some(Says::SomethingElse));
        let current = place.own.current(&at(NOW)).unwrap().unwrap();
        assert!(current.signed().supersedes(stolen.signed()));
        assert_eq!(current.signed().serial(), NOW);
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
        assert_eq!(place.own.current(&at(NOW)).unwrap(), Some(record));
    }
}
