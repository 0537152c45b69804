//! What the servers' answers to one question amount to, without the network: which record is the newest valid one, who
//! holds it, who holds something older, and whether enough were heard.

use crate::address::Network;
use crate::dht::server::{Point, Server};
use crate::keys::GridId;
use crate::record::{Floor, MAX_RECORD_BYTES, SignedRecord, TimeFault};
use crate::resolver::question::Source;
use crate::signed::Identity;
use crate::units::UnixSeconds;
use libp2p_identity::PeerId;
use std::collections::{HashMap, HashSet};

/// How many records of evidence are taken from all answers together: each costs a verification.
const MAX_EVIDENCE: usize = 16;

/// The answers so far.
#[derive(Debug)]
pub(crate) struct Tally {
    grid: GridId,
    floor: Option<Floor>,
    best: Option<Best>,
    rolled_back: bool,
    expired_at: Option<UnixSeconds>,
    ahead: Option<TimeFault>,
    /// What each server gave that answered.
    given: HashMap<PeerId, Given>,
    silent: u32,
    /// The networks of those that gave a record which counts.
    networks: HashSet<Network>,
    evidence: Vec<Vec<u8>>,
    /// How many pieces of it were handed on.
    evidence_taken: usize,
}

#[derive(Debug)]
struct Best {
    record: SignedRecord,
    source: Source,
}

#[derive(Debug)]
struct Given {
    server: Server,
    record: GivenRecord,
}

/// What a server gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenRecord {
    Nothing,
    /// Something that is no current record of the grid, or one below the floor.
    Worthless,
    Valid(Identity),
}

impl Tally {
    pub(crate) fn new(grid: GridId, floor: Option<Floor>) -> Self {
        Self {
            grid,
            floor,
            best: None,
            rolled_back: false,
            expired_at: None,
            ahead: None,
            given: HashMap::new(),
            silent: 0,
            networks: HashSet::new(),
            evidence: Vec::new(),
            evidence_taken: 0,
        }
    }

    /// Takes our own copy into account: a candidate like any other, but nobody's word.
    pub(crate) fn own(&mut self, record: SignedRecord) {
        self.best = Some(Best { record, source: Source::Cache });
    }

    /// Counts an answer: the record's bytes and the evidence are looked at here, and nothing else of them is believed.
    pub(crate) fn answer(
        &mut self,
        server: Server,
        network: Option<Network>,
        source: Source,
        record: Option<&[u8]>,
        evidence: &[Vec<u8>],
        now: UnixSeconds,
    ) {
        for bytes in evidence {
            self.note_evidence(bytes);
        }
        let given = record.map_or(GivenRecord::Nothing, |bytes| self.judge(bytes, source, now));
        if matches!(given, GivenRecord::Valid(_)) {
            self.networks.extend(network);
        }
        self.given.insert(server.peer, Given { server, record: given });
    }

    /// Counts a server that did not answer.
    pub(crate) fn silence(&mut self) {
        self.silent += 1;
    }

    fn judge(&mut self, bytes: &[u8], source: Source, now: UnixSeconds) -> GivenRecord {
        // The same bytes as the best so far need no second verification.
        if let Some(best) = &mut self.best
            && best.record.bytes() == bytes
        {
            best.given_by(source);
            return GivenRecord::Valid(best.record.identity());
        }
        let Ok(record) = SignedRecord::from_bytes(bytes, &self.grid) else { return GivenRecord::Worthless };
        match record.time_fault(now) {
            None => {}
            Some(TimeFault::Expired { .. }) => {
                self.expired_at = self.expired_at.max(Some(record.expires_at()));
                self.note_evidence(bytes);
                return GivenRecord::Worthless;
            }
            Some(fault) => {
                self.ahead = Some(fault);
                return GivenRecord::Worthless;
            }
        }
        if self.floor.as_ref().is_some_and(|floor| !floor.admits(&record)) {
            self.rolled_back = true;
            self.note_evidence(bytes);
            return GivenRecord::Worthless;
        }
        let identity = record.identity();
        match &mut self.best {
            Some(best) if best.record.identity() == identity => best.given_by(source),
            // What is out of date may hold a promise that binds.
            Some(best) if !record.supersedes(&best.record) => self.note_evidence(bytes),
            replaced => {
                let older = replaced.replace(Best { record, source });
                if let Some(older) = older {
                    self.note_evidence(older.record.bytes());
                }
            }
        }
        GivenRecord::Valid(identity)
    }

    fn note_evidence(&mut self, bytes: &[u8]) {
        let known = self.evidence.iter().any(|known| known == bytes);
        if bytes.len() <= MAX_RECORD_BYTES && self.evidence.len() < MAX_EVIDENCE && !known {
            self.evidence.push(bytes.to_vec());
        }
    }

    /// The newest valid record so far, and where it came from first.
    pub(crate) fn best(&self) -> Option<(&SignedRecord, Source)> {
        self.best.as_ref().map(|best| (&best.record, best.source))
    }

    /// How many servers hold the best.
    pub(crate) fn holders(&self) -> u32 {
        let Some(best) = &self.best else { return 0 };
        let identity = best.record.identity();
        self.given.values().map(|given| u32::from(given.record == GivenRecord::Valid(identity))).sum()
    }

    /// How many servers answered, whatever they answered.
    pub(crate) fn answered(&self) -> u32 {
        u32::try_from(self.given.len()).unwrap_or(u32::MAX)
    }

    /// How many did not.
    pub(crate) fn silent(&self) -> u32 {
        self.silent
    }

    /// Whether a server answered.
    pub(crate) fn has_answered(&self, peer: &PeerId) -> bool {
        self.given.contains_key(peer)
    }

    /// In how many networks a holder was heard.
    pub(crate) fn networks(&self) -> usize {
        self.networks.len()
    }

    /// The floor's sequence, if a valid record below it was offered.
    pub(crate) fn rolled_back(&self) -> Option<u64> {
        self.floor.as_ref().map(Floor::sequence).filter(|_| self.rolled_back)
    }

    /// The latest expiry among the expired records offered.
    pub(crate) fn expired_at(&self) -> Option<UnixSeconds> {
        self.expired_at
    }

    /// What is wrong with a record that was offered and is dated in the future.
    pub(crate) fn ahead(&self) -> Option<TimeFault> {
        self.ahead
    }

    /// Records that may prove a promise and were not taken yet. Not looked at.
    pub(crate) fn take_evidence(&mut self) -> Vec<Vec<u8>> {
        let new = self.evidence.get(self.evidence_taken..).unwrap_or_default().to_vec();
        self.evidence_taken = self.evidence.len();
        new
    }

    /// Whom to give the best to: whoever gave something else, and of the `width` nearest also whoever gave nothing.
    pub(crate) fn outdated(&self, width: usize) -> Vec<Server> {
        let Some(best) = &self.best else { return Vec::new() };
        let identity = best.record.identity();
        let target = Point::of(self.grid.record_key().as_bytes());
        let mut all: Vec<&Given> = self.given.values().collect();
        all.sort_by_key(|given| target.distance(&given.server.point()));
        let lacks = |(place, given): (usize, &&Given)| match given.record {
            GivenRecord::Valid(held) => held != identity,
            GivenRecord::Worthless => true,
            GivenRecord::Nothing => place < width,
        };
        all.iter().enumerate().filter(|item| lacks(*item)).map(|(_, given)| given.server.clone()).collect()
    }
}

impl Best {
    /// Our own copy becomes the first holder's word for it.
    fn given_by(&mut self, source: Source) {
        if self.source == Source::Cache {
            self.source = source;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::record::{GridRecord, RecordDraft, Signer};
    use crate::units::Seconds;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn grid() -> GridId {
        GridId::new(SecretKey::from_seed(&[1; 32]).public())
    }

    /// The record that the grid signs `at` seconds after now.
    fn record(at: u64) -> GridRecord {
        let signer = Signer::Grid { key: &SecretKey::from_seed(&[1; 32]), serial: NOW };
        RecordDraft::new(grid()).sign(signer, None, &[], NOW.plus(Seconds(at))).unwrap()
    }

    fn server(n: u8) -> Server {
        Server {
            peer: libp2p_identity::Keypair::ed25519_from_bytes([n; 32]).unwrap().public().to_peer_id(),
            addrs: vec![format!("/ip4/127.0.{n}.1/tcp/1").parse().unwrap()],
        }
    }

    fn network(n: u8) -> Option<Network> {
        Network::of_multiaddr(&server(n).addrs[0])
    }

    fn tell(tally: &mut Tally, n: u8, record: Option<&GridRecord>) {
        let bytes = record.map(|record| record.signed().bytes());
        tally.answer(server(n), network(n), Source::Direct, bytes, &[], NOW.plus(Seconds(60)));
    }

    fn peers(servers: Vec<Server>) -> HashSet<PeerId> {
        servers.into_iter().map(|server| server.peer).collect()
    }

    #[test]
    fn whoever_gave_something_older_is_outdated_also_if_it_was_the_best_at_first() {
        let (old, new) = (record(0), record(1));
        let mut tally = Tally::new(grid(), None);
        tell(&mut tally, 1, Some(&old));
        assert_eq!((tally.holders(), tally.outdated(20).len()), (1, 0));
        tell(&mut tally, 2, Some(&new));
        tell(&mut tally, 3, Some(&old));
        tell(&mut tally, 4, None);
        assert_eq!(tally.best().unwrap().0, new.signed());
        assert_eq!(tally.holders(), 1);
        assert_eq!(peers(tally.outdated(20)), peers(vec![server(1), server(3), server(4)]));
        assert_eq!(peers(tally.outdated(0)), peers(vec![server(1), server(3)]), "who has nothing, only if it is near");
        assert_eq!(tally.networks(), 3);
        assert_eq!(tally.take_evidence(), [old.signed().bytes()], "it may hold a promise");
        assert!(tally.take_evidence().is_empty());
    }

    #[test]
    fn a_server_that_answers_twice_is_one_holder() {
        let mut tally = Tally::new(grid(), None);
        tell(&mut tally, 1, Some(&record(0)));
        tell(&mut tally, 1, Some(&record(0)));
        assert_eq!((tally.holders(), tally.answered()), (1, 1));
    }

    #[test]
    fn what_is_below_the_floor_does_not_count() {
        let (old, new) = (record(0), record(1));
        let mut tally = Tally::new(grid(), Floor::of(&new, NOW));
        tell(&mut tally, 1, Some(&old));
        assert!(tally.best().is_none());
        assert_eq!(tally.rolled_back(), Some(new.signed().sequence()));
        assert_eq!(tally.networks(), 0);
        tell(&mut tally, 2, Some(&new));
        assert_eq!(tally.holders(), 1);
    }

    #[test]
    fn our_own_copy_is_nobodys_word() {
        let held = record(0);
        let mut tally = Tally::new(grid(), None);
        tally.own(held.signed().clone());
        assert_eq!((tally.holders(), tally.best().unwrap().1), (0, Source::Cache));
        tell(&mut tally, 1, None);
        assert_eq!(tally.holders(), 0);
        tell(&mut tally, 2, Some(&held));
        assert_eq!((tally.holders(), tally.best().unwrap().1), (1, Source::Direct));
    }

    #[test]
    fn evidence_is_bounded() {
        let mut tally = Tally::new(grid(), None);
        let pieces: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 10]).collect();
        tally.answer(server(1), network(1), Source::Direct, None, &pieces, NOW);
        tally.answer(server(1), network(1), Source::Direct, None, &[vec![0; MAX_RECORD_BYTES + 1]], NOW);
        assert_eq!(tally.take_evidence().len(), MAX_EVIDENCE);
    }
}
