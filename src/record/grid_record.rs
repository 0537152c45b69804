//! A record as a reader acts on it: every field understood.

use super::contact::ContactUri;
use super::delegation::DelegationLimits;
use super::error::{Fault, FieldError, RecordError, Unknown};
use super::field::Field;
use super::gateway::Gateway;
use super::key_digest::KeyDigest;
use super::nickname::Nickname;
use super::node_entry::NodeEntry;
use super::rates;
use super::signed_record::{OBJECT, SignedRecord};
use crate::cbor::{FIRST_IGNORABLE_KEY, Reader};
use crate::keys::GridId;
use crate::rate::{Asset, Commitment, DatedRate};
use crate::signed::Identity;
use std::fmt;
use std::sync::Arc;

/// The most entries of `contact`.
pub const MAX_CONTACTS: usize = 4;
/// The most entries of `gateways`.
pub const MAX_GATEWAYS: usize = 4;
/// The most entries of `nodes`.
pub const MAX_NODES: usize = 4;
/// The most entries of `clearing`.
pub const MAX_CLEARING: usize = 2;

/// The only format that this program reads.
pub(super) const FORMAT: u64 = 1;

/// What a grid says about itself, verified and understood. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct GridRecord {
    signed: SignedRecord,
    fields: Arc<Fields>,
}

/// The fields from key 6 on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Fields {
    nickname: Option<Nickname>,
    contact: Vec<ContactUri>,
    gateways: Vec<Gateway>,
    rates: Vec<DatedRate>,
    nodes: Vec<NodeEntry>,
    clearing: Vec<GridId>,
    previous: Option<Identity>,
    next: Option<KeyDigest>,
    successor: Option<GridId>,
    predecessor: Option<GridId>,
    work: Option<u64>,
}

impl GridRecord {
    /// The record of `grid` in `bytes`. Asks no clock: see [`SignedRecord::time_fault`].
    pub fn from_bytes(bytes: &[u8], grid: &GridId) -> Result<Self, RecordError> {
        Self::read(SignedRecord::from_bytes(bytes, grid)?)
    }

    /// What `signed` says; [`RecordError::Upgrade`] if that takes a newer version of this program.
    pub fn read(signed: SignedRecord) -> Result<Self, RecordError> {
        let (payload, base) = signed.payload();
        let fields = Walk::over(payload, &signed).map_err(|error| error.shifted(base))?;
        Ok(Self { fields: Arc::new(fields), signed })
    }

    /// The signed bytes, their age and authority.
    pub fn signed(&self) -> &SignedRecord {
        &self.signed
    }

    /// Whose record it is.
    pub fn grid(&self) -> &GridId {
        self.signed.grid()
    }

    /// The name that the grid gives itself.
    pub fn nickname(&self) -> Option<&Nickname> {
        self.fields.nickname.as_ref()
    }

    /// Where its people can be reached.
    pub fn contact(&self) -> &[ContactUri] {
        &self.fields.contact
    }

    /// Its gateways, preferred ones first.
    pub fn gateways(&self) -> &[Gateway] {
        &self.fields.gateways
    }

    /// What it charges, ascending by asset, with the dates that the record gives each line.
    pub fn rates(&self) -> &[DatedRate] {
        &self.fields.rates
    }

    /// The line of `asset`.
    pub fn rate(&self, asset: Asset) -> Option<&DatedRate> {
        self.fields.rates.iter().find(|rate| rate.asset() == asset)
    }

    /// What it promises, one for each rate line.
    pub fn commitments(&self) -> impl Iterator<Item = Commitment> {
        self.fields.rates.iter().map(DatedRate::commitment)
    }

    /// Its own nodes, where the freshest copy is.
    pub fn nodes(&self) -> &[NodeEntry] {
        &self.fields.nodes
    }

    /// The grids that it settles through.
    pub fn clearing(&self) -> &[GridId] {
        &self.fields.clearing
    }

    /// The identity of the record before it, as the signer knew it.
    pub fn previous(&self) -> Option<Identity> {
        self.fields.previous
    }

    /// The digest of the grid key that would follow: the delegation's where there is one.
    pub fn next(&self) -> Option<KeyDigest> {
        self.fields.next
    }

    /// The grid that this one has become.
    pub fn successor(&self) -> Option<&GridId> {
        self.fields.successor.as_ref()
    }

    /// The grid that this one was before.
    pub fn predecessor(&self) -> Option<&GridId> {
        self.fields.predecessor.as_ref()
    }

    /// The nonce of its proof of work; none is asked for today.
    pub fn work(&self) -> Option<u64> {
        self.fields.work
    }
}

impl fmt::Debug for GridRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signed.fmt(f)
    }
}

/// One walk over a payload whose head and form the holder's rules have passed.
struct Walk<'r> {
    signed: &'r SignedRecord,
    limits: Option<DelegationLimits>,
    fields: Fields,
}

impl<'r> Walk<'r> {
    fn over(payload: &[u8], signed: &'r SignedRecord) -> Result<Fields, RecordError> {
        if signed.format() > FORMAT {
            let unknown = Unknown::Format { object: OBJECT, format: signed.format() };
            return Err(FieldError::unknown(0, unknown).in_field(Field::Format.name()));
        }
        let mut walk = Self { signed, limits: None, fields: Fields::default() };
        Reader::new(payload).map(|key, reader| match Field::from_key(key) {
            Some(field) => walk.read(field, reader).map_err(|error| error.in_field(field.name())),
            None if key < FIRST_IGNORABLE_KEY => {
                let unknown = Unknown::Key { map: "the record", key };
                Err(FieldError::unknown(reader.offset(), unknown).in_field(OBJECT))
            }
            None => Ok(reader.skip()?),
        })?;
        Ok(walk.fields)
    }

    fn read(&mut self, field: Field, reader: &mut Reader<'_>) -> Result<(), FieldError> {
        let Self { signed, limits, fields } = self;
        let start = reader.offset();
        if signed.withdrawn() && (Field::Nickname..=Field::Predecessor).contains(&field) {
            match field {
                Field::Previous | Field::Next => {}
                _ => return Err(FieldError::new(start, Fault::InWithdrawn)),
            }
        }
        match field {
            Field::Nickname => {
                let text = reader.text(Nickname::MAX_BYTES)?;
                fields.nickname = Some(Nickname::new(text).map_err(|error| FieldError::new(start, error))?);
            }
            Field::Contact => {
                fields.contact = distinct(reader, MAX_CONTACTS, |reader| {
                    let start = reader.offset();
                    let text = reader.text(ContactUri::MAX_BYTES)?;
                    ContactUri::new(text).map_err(|error| FieldError::new(start, error))
                })?;
            }
            Field::Gateways => {
                let max = limits.as_ref().map(|limits| limits.max_limit.as_ref());
                fields.gateways = distinct(reader, MAX_GATEWAYS, |reader| {
                    let start = reader.offset();
                    let gateway = Gateway::read(reader)?;
                    match (gateway.limit(), max) {
                        (Some(limit), Some(max)) if !max.is_some_and(|max| limit.is_within(max)) => {
                            Err(FieldError::new(start, Fault::OverMaxLimit))
                        }
                        _ => Ok(gateway),
                    }
                })?;
            }
            Field::Rates => {
                let latest = limits.as_ref().map(|limits| limits.committed_until);
                fields.rates = rates::read(reader, signed.issued_at(), signed.expires_at(), latest)?;
            }
            Field::Nodes => {
                fields.nodes = reader.array(MAX_NODES, NodeEntry::read)?;
                let twice = |(index, node): (usize, &NodeEntry)| {
                    fields.nodes[..index].iter().any(|earlier| earlier.peer_id() == node.peer_id())
                };
                if fields.nodes.iter().enumerate().any(twice) {
                    return Err(FieldError::new(start, Fault::Twice));
                }
            }
            Field::Clearing => fields.clearing = distinct(reader, MAX_CLEARING, read_grid)?,
            Field::Previous => fields.previous = Some(Identity(reader.array_of()?)),
            Field::Next => fields.next = Some(KeyDigest(reader.array_of()?)),
            Field::Successor => fields.successor = Some(read_other_grid(reader, signed.grid())?),
            Field::Predecessor => fields.predecessor = Some(read_other_grid(reader, signed.grid())?),
            Field::Work => fields.work = Some(reader.uint()?),
            Field::Authority => match signed.authority().delegation() {
                Some(delegation) => {
                    let bytes = reader.bytes(delegation.bytes().len())?;
                    let base = reader.offset() - bytes.len();
                    let known = delegation.read_limits().map_err(|error| error.shifted(base))?;
                    fields.next = known.next;
                    *limits = Some(known);
                }
                None => reader.skip()?,
            },
            // The rest of the head, which the holder's rules have read already.
            _ => reader.skip()?,
        }
        Ok(())
    }
}

/// An array without equal elements.
fn distinct<T: PartialEq>(
    reader: &mut Reader<'_>,
    limit: usize,
    mut element: impl FnMut(&mut Reader<'_>) -> Result<T, FieldError>,
) -> Result<Vec<T>, FieldError> {
    let start = reader.offset();
    let elements = reader.array(limit, |reader| element(reader))?;
    if elements.iter().enumerate().any(|(index, element)| elements[..index].contains(element)) {
        return Err(FieldError::new(start, Fault::Twice));
    }
    Ok(elements)
}

fn read_grid(reader: &mut Reader<'_>) -> Result<GridId, FieldError> {
    let start = reader.offset();
    GridId::from_bytes(&reader.array_of()?).map_err(|error| FieldError::new(start, error))
}

fn read_other_grid(reader: &mut Reader<'_>, own: &GridId) -> Result<GridId, FieldError> {
    let start = reader.offset();
    let grid = read_grid(reader)?;
    if grid == *own { Err(FieldError::new(start, Fault::OwnGrid)) } else { Ok(grid) }
}
