//! What a record is to say, before it is signed.

use super::contact::ContactUri;
use super::field::Field;
use super::gateway::Gateway;
use super::grid_record::{FORMAT, GridRecord};
use super::key_digest::KeyDigest;
use super::nickname::Nickname;
use super::node_entry::NodeEntry;
use super::rates;
use super::time::{DEFAULT_LIFETIME, MAX_FINAL_LIFETIME};
use crate::cbor::MapWriter;
use crate::keys::GridId;
use crate::rate::RateLine;
use crate::signed::Identity;
use crate::units::{Seconds, UnixSeconds};
use minicbor::Encoder;

/// What a grid wants to say about itself. [`RecordDraft::sign`] makes a record of it, or says why none can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordDraft {
    /// Whose record it is.
    pub grid: GridId,
    /// From signing to expiry; 7 days if not said, 10 years for a record that is withdrawn or names a successor.
    pub lifetime: Option<Seconds>,
    /// Whether the grid takes itself off the network, for good. Such a record says nothing else.
    pub withdrawn: bool,
    /// The name that the grid gives itself.
    pub nickname: Option<Nickname>,
    /// Where its people can be reached.
    pub contact: Vec<ContactUri>,
    /// Its gateways, preferred ones first.
    pub gateways: Vec<Gateway>,
    /// What it charges, in any order.
    pub rates: Vec<RateLine>,
    /// Its own nodes.
    pub nodes: Vec<NodeEntry>,
    /// The grids that it settles through.
    pub clearing: Vec<GridId>,
    /// The digest of the grid key that would follow. Under a delegation it stands there.
    pub next: Option<KeyDigest>,
    /// The grid that this one has become.
    pub successor: Option<GridId>,
    /// The grid that this one was before.
    pub predecessor: Option<GridId>,
}

/// The fields that signing decides.
pub(super) struct Stamp<'a> {
    pub(super) sequence: u64,
    pub(super) issued_at: UnixSeconds,
    pub(super) expires_at: UnixSeconds,
    pub(super) authority: StampAuthority<'a>,
    pub(super) previous: Option<Identity>,
    pub(super) next: Option<KeyDigest>,
}

/// The authority field of a record to be signed.
pub(super) enum StampAuthority<'a> {
    Serial(UnixSeconds),
    Delegation(&'a [u8]),
}

impl RecordDraft {
    /// A record of `grid` that says nothing yet.
    pub fn new(grid: GridId) -> Self {
        Self {
            grid,
            lifetime: None,
            withdrawn: false,
            nickname: None,
            contact: Vec::new(),
            gateways: Vec::new(),
            rates: Vec::new(),
            nodes: Vec::new(),
            clearing: Vec::new(),
            next: None,
            successor: None,
            predecessor: None,
        }
    }

    /// The record by which `grid` takes itself off the network, for good.
    pub fn withdrawal(grid: GridId) -> Self {
        Self { withdrawn: true, ..Self::new(grid) }
    }

    /// What `record` says, to be signed again. `next` is left to the delegation where there is one.
    pub fn from_record(record: &GridRecord) -> Self {
        let delegated = record.signed().authority().delegation().is_some();
        Self {
            grid: *record.grid(),
            lifetime: None,
            withdrawn: record.signed().withdrawn(),
            nickname: record.nickname().cloned(),
            contact: record.contact().to_vec(),
            gateways: record.gateways().to_vec(),
            rates: record.rates().iter().map(|rate| *rate.line()).collect(),
            nodes: record.nodes().to_vec(),
            clearing: record.clearing().to_vec(),
            next: record.next().filter(|_| !delegated),
            successor: record.successor().copied(),
            predecessor: record.predecessor().copied(),
        }
    }

    /// Whether the record is to be a last one: withdrawn, or naming a successor.
    pub fn is_final(&self) -> bool {
        self.withdrawn || self.successor.is_some()
    }

    /// From signing to expiry.
    pub(super) fn lifetime_or_default(&self) -> Seconds {
        self.lifetime.unwrap_or(if self.is_final() { MAX_FINAL_LIFETIME } else { DEFAULT_LIFETIME })
    }

    /// The payload of the record.
    pub(super) fn payload(&self, stamp: &Stamp<'_>) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.uint(Field::Format.key(), FORMAT)
            .uint(Field::Sequence.key(), stamp.sequence)
            .uint(Field::IssuedAt.key(), stamp.issued_at.0)
            .uint(Field::ExpiresAt.key(), stamp.expires_at.0)
            .bool(Field::Withdrawn.key(), self.withdrawn);
        match stamp.authority {
            StampAuthority::Serial(serial) => map.uint(Field::Authority.key(), serial.0),
            StampAuthority::Delegation(bytes) => map.bytes(Field::Authority.key(), bytes),
        };
        if let Some(nickname) = &self.nickname {
            map.text(Field::Nickname.key(), nickname.as_str());
        }
        let mut rates = self.rates.clone();
        rates.sort_by_key(RateLine::asset);
        let issued = |line: &RateLine| rates::encode(&line.as_issued(stamp.issued_at, stamp.expires_at));
        let arrays = [
            (Field::Contact, self.contact.iter().map(|uri| encoded(|e| e.str(uri.as_str())?.ok())).collect()),
            (Field::Gateways, self.gateways.iter().map(Gateway::encode).collect()),
            (Field::Rates, rates.iter().map(issued).collect()),
            (Field::Nodes, self.nodes.iter().map(NodeEntry::encode).collect()),
            (Field::Clearing, self.clearing.iter().map(|grid| encoded(|e| e.bytes(grid.as_bytes())?.ok())).collect()),
        ];
        for (field, items) in arrays {
            let items: Vec<Vec<u8>> = items;
            if !items.is_empty() {
                map.array(field.key(), &items);
            }
        }
        let hashes = [
            (Field::Previous, stamp.previous.map(|identity| identity.0)),
            (Field::Next, stamp.next.map(|digest| digest.0)),
            (Field::Successor, self.successor.map(|grid| *grid.as_bytes())),
            (Field::Predecessor, self.predecessor.map(|grid| *grid.as_bytes())),
        ];
        for (field, hash) in hashes {
            if let Some(hash) = hash {
                map.bytes(field.key(), &hash);
            }
        }
        map.finish()
    }
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// One item by itself.
fn encoded(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Written) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).expect("memory takes every byte");
    out
}
