//! What the servers' answers to one question amount to, without the network: which record is the newest valid one, who
//! agrees, and whether that is enough.

use crate::address::Network;
use crate::keys::GridId;
use crate::record::{Floor, MAX_RECORD_BYTES, SignedRecord, TimeFault};
use crate::resolver::question::Source;
use crate::units::UnixSeconds;
use std::collections::HashSet;

/// In how many networks holders must have answered before the newest of theirs is believed to be the newest there is.
const FRESH_NETWORKS: usize = 3;
/// How many records of evidence are taken from all answers together.
const MAX_EVIDENCE: usize = 16;

/// The answers so far.
#[derive(Debug)]
pub(crate) struct Tally {
    grid: GridId,
    floor: Option<Floor>,
    best: Option<Best>,
    /// A valid record below the floor was offered.
    pub(crate) rolled_back: bool,
    /// The latest expiry among the expired records offered.
    pub(crate) expired_at: Option<UnixSeconds>,
    /// Servers that answered, whatever they answered.
    pub(crate) answered: u32,
    /// Servers that did not.
    pub(crate) silent: u32,
    networks: HashSet<Network>,
    evidence: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Best {
    record: SignedRecord,
    source: Source,
    holders: u32,
}

impl Best {
    fn confirmed_by(&mut self, source: Source) {
        if self.holders == 0 {
            self.source = source;
        }
        self.holders += 1;
    }
}

/// What one server's answer was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It holds the newest record known so far.
    Newest,
    /// It holds an older one, or one that does not count.
    Stale,
    /// It holds nothing.
    Nothing,
}

impl Tally {
    pub(crate) fn new(grid: GridId, floor: Option<Floor>) -> Self {
        Self {
            grid,
            floor,
            best: None,
            rolled_back: false,
            expired_at: None,
            answered: 0,
            silent: 0,
            networks: HashSet::new(),
            evidence: Vec::new(),
        }
    }

    /// Counts an answer: the record's bytes and the evidence are looked at here, and nothing else of them is believed.
    pub(crate) fn answer(
        &mut self,
        source: Source,
        network: Option<Network>,
        record: Option<&[u8]>,
        evidence: &[Vec<u8>],
        now: UnixSeconds,
    ) -> Worth {
        self.answered += 1;
        self.networks.extend(network);
        for bytes in evidence.iter().filter(|bytes| bytes.len() <= MAX_RECORD_BYTES) {
            if self.evidence.len() < MAX_EVIDENCE && !self.evidence.contains(bytes) {
                self.evidence.push(bytes.clone());
            }
        }
        let Some(bytes) = record else { return Worth::Nothing };
        // The same bytes as the best so far need no second verification.
        if let Some(best) = &mut self.best
            && best.record.bytes() == bytes
        {
            best.confirmed_by(source);
            return Worth::Newest;
        }
        let Ok(record) = SignedRecord::from_bytes(bytes, &self.grid) else { return Worth::Stale };
        match record.time_fault(now) {
            None => {}
            Some(TimeFault::Expired { .. }) => {
                self.expired_at = self.expired_at.max(Some(record.expires_at()));
                return Worth::Stale;
            }
            Some(_) => return Worth::Stale,
        }
        if self.floor.as_ref().is_some_and(|floor| !floor.admits(&record)) {
            self.rolled_back = true;
            return Worth::Stale;
        }
        match &mut self.best {
            Some(best) if best.record.identity() == record.identity() => {
                best.confirmed_by(source);
                Worth::Newest
            }
            Some(best) if !record.supersedes(&best.record) => Worth::Stale,
            _ => {
                self.best = Some(Best { record, source, holders: 1 });
                Worth::Newest
            }
        }
    }

    /// Takes our own copy into account: a candidate like any other, but nobody's word.
    pub(crate) fn own(&mut self, record: SignedRecord) {
        self.best = Some(Best { record, source: Source::Cache, holders: 0 });
    }

    /// The sequence below which nothing is accepted; 0 without a floor.
    pub(crate) fn floor_sequence(&self) -> u64 {
        self.floor.as_ref().map_or(0, Floor::sequence)
    }

    /// Counts a server that did not answer.
    pub(crate) fn silence(&mut self) {
        self.silent += 1;
    }

    /// The newest valid record so far, where it came from first, and how many hold it.
    pub(crate) fn best(&self) -> Option<(&SignedRecord, Source, u32)> {
        self.best.as_ref().map(|best| (&best.record, best.source, best.holders))
    }

    /// Whether servers of enough networks have answered for the best to be called the newest.
    pub(crate) fn is_broad(&self) -> bool {
        self.networks.len() >= FRESH_NETWORKS
    }

    /// The evidence offered, each once; not looked at yet.
    pub(crate) fn evidence(&self) -> &[Vec<u8>] {
        &self.evidence
    }
}
