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

#[cfg(test)]
mod tests {
    use super::super::fixtures::{
        DAY, NOW, any_draft, by_grid, delegation_draft, grid, grid_key, hand_made, other_grid, publisher_key, realistic,
    };
    use super::super::{Delegation, DelegationDraft, RecordDraft, SignError, Signer};
    use super::*;
    use crate::cbor::MapWriter;
    use crate::rate::RateLine;
    use crate::units::Seconds;
    use minicbor::Encoder;
    use proptest::prelude::*;

    fn refused(more: impl FnOnce(&mut MapWriter) -> &mut MapWriter) -> String {
        let bytes = hand_made(more);
        SignedRecord::from_bytes(&bytes, &grid()).expect("a holder keeps it");
        GridRecord::from_bytes(&bytes, &grid()).expect_err("refused").to_string()
    }

    fn text(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out).str(text).expect("memory");
        out
    }

    fn bytes(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out).bytes(bytes).expect("memory");
        out
    }

    fn line(asset: &str, price: u64) -> MapWriter {
        let mut map = MapWriter::new();
        map.text(0, asset).uint(1, price);
        map
    }

    #[test]
    fn each_field_is_refused_by_its_name() {
        let own = *grid().as_bytes();
        let other = *other_grid(9).as_bytes();
        let node = realistic().nodes[0].encode();
        assert!(refused(|map| map.array(10, &[node.clone(), node.clone()])).contains("the same entry twice"));
        assert!(refused(|map| map.text(6, "")).starts_with("nickname, byte "));
        assert!(refused(|map| map.uint(6, 1)).contains("a text string expected"));
        assert!(refused(|map| map.array(7, &[text("http://x")])).starts_with("contact, byte "));
        assert!(refused(|map| map.array(7, &[text("tel:1"), text("tel:1")])).contains("the same entry twice"));
        assert!(refused(|map| map.array(7, &[])).contains("0 where at least 1"));
        assert!(refused(|map| map.array(7, &vec![text("tel:1"); 5])).contains("5 where at most 4"));
        assert!(refused(|map| map.array(8, &[MapWriter::new().finish()])).starts_with("gateways, byte "));
        assert!(refused(|map| map.array(11, &[bytes(&other), bytes(&other)])).contains("the same entry twice"));
        assert!(refused(|map| map.array(11, &[bytes(&[0; 32])])).contains("small order"));
        assert!(refused(|map| map.bytes(12, &[1; 31])).contains("31 where at least 32"));
        assert!(refused(|map| map.bytes(13, &[1; 33])).contains("33 where at most 32"));
        assert!(refused(|map| map.bytes(14, &own)).contains("names the grid itself"));
        assert!(refused(|map| map.bytes(15, &own)).contains("names the grid itself"));
        assert!(refused(|map| map.bool(16, true)).starts_with("work, byte "));
    }

    #[test]
    fn offsets_count_from_the_first_byte_of_the_record() {
        let bytes = hand_made(|map| map.text(6, "a\nb"));
        let offset = bytes.windows(3).position(|window| window == b"a\nb").expect("it is there") - 1;
        let error = GridRecord::from_bytes(&bytes, &grid()).expect_err("refused");
        assert!(matches!(error, RecordError::Form { field: "nickname", offset: at, .. } if at == offset), "{error}");
    }

    #[test]
    fn rates_are_refused_where_they_contradict_the_record() {
        let rates = |lines: Vec<Vec<u8>>| refused(|map| map.array(9, &lines));
        assert!(rates(vec![line("USD", 1).finish(), line("EUR", 1).finish()]).contains("ascend by asset"));
        assert!(rates(vec![line("USD", 1).finish(), line("USD", 1).finish()]).contains("ascend by asset"));
        assert!(rates(vec![line("XXX", 1).finish()]).contains("its price is 0, not 1"));
        assert!(rates(vec![line("usd", 1).finish()]).contains("not an asset code"));
        assert!(rates(vec![line("USD", 1 << 63).finish()]).contains("is not within 0 to 9223372036854775807"));
        assert!(
            rates(vec![line("USD", 1).uint(2, NOW.0).finish()]).contains("`not_before` says what its absence says")
        );
        assert!(rates(vec![line("USD", 1).uint(3, NOW.0 + 86_400).finish()]).contains("`committed_until` says"));
        assert!(rates(vec![MapWriter::new().text(0, "USD").finish()]).contains("the price is missing"));
        let next = MapWriter::new().uint(0, 2).uint(1, NOW.0 + 5).finish();
        assert!(rates(vec![line("USD", 1).encoded(4, &next).finish()]).contains("higher and begins on"));
    }

    #[test]
    fn words_of_a_later_day_ask_for_an_upgrade() {
        let upgrade = |more: &dyn Fn(&mut MapWriter) -> &mut MapWriter| {
            let bytes = hand_made(more);
            GridRecord::from_bytes(&bytes, &grid()).expect_err("refused")
        };
        let next = MapWriter::new().uint(0, 1).uint(1, NOW.0 + 86_400).uint(2, 0).finish();
        type More<'a> = &'a dyn Fn(&mut MapWriter) -> &mut MapWriter;
        let later: [More<'_>; 6] = [
            &|map| map.uint(17, 0),
            &|map| map.uint(63, 0),
            &|map| map.array(9, &[line("QQQ", 1).finish()]),
            &|map| map.array(9, &[line("XAU", 1).finish()]),
            &|map| map.array(9, &[line("USD", 1).uint(5, 0).finish()]),
            &|map| map.array(9, &[line("USD", 1).encoded(4, &next).finish()]),
        ];
        for more in later {
            assert!(upgrade(more).is_upgrade(), "{}", upgrade(more));
        }
        let record = GridRecord::from_bytes(
            &hand_made(|map| map.array(9, &[line("USD", 1).uint(64, 0).finish()]).text(64, "later")),
            &grid(),
        );
        assert_eq!(record.expect("what may be ignored is").rates().len(), 1);
    }

    #[test]
    fn a_withdrawn_record_says_nothing_else() {
        let gone = RecordDraft { nickname: realistic().nickname, ..RecordDraft::withdrawal(grid()) };
        let error = gone.sign(by_grid(&grid_key()), None, &[], NOW).expect_err("a name").to_string();
        assert!(error.starts_with("nickname, byte ") && error.ends_with("not in a withdrawn record"), "{error}");
        let gone = RecordDraft { next: Some(KeyDigest([1; 32])), ..RecordDraft::withdrawal(grid()) };
        let gone = gone.sign(by_grid(&grid_key()), None, &[], NOW).expect("signed");
        assert_eq!(RecordDraft::withdrawal(grid()).sign(by_grid(&grid_key()), Some(&gone), &[], NOW).map(drop), Ok(()));
    }

    #[test]
    fn a_last_record_has_room_for_all_of_succession() {
        let first = realistic().sign(by_grid(&grid_key()), None, &[], NOW).expect("signed");
        let draft = RecordDraft {
            next: Some(KeyDigest(other_grid(7).digest())),
            successor: Some(other_grid(7)),
            predecessor: Some(other_grid(8)),
            ..RecordDraft::new(grid())
        };
        let breach = draft.sign(by_grid(&grid_key()), Some(&first), &[], NOW).expect_err("rates are promised");
        assert!(matches!(breach, SignError::Breach(_)));
        let free = RecordDraft::new(grid()).sign(by_grid(&grid_key()), None, &[], NOW).expect("signed");
        let last = draft.sign(by_grid(&grid_key()), Some(&free), &[], NOW.plus(DAY)).expect("signed");
        assert_eq!(last.successor(), Some(&other_grid(7)));
        assert!(last.signed().expires_at() > NOW.plus(Seconds::days(3600)));
    }

    #[test]
    fn a_publisher_promises_no_more_than_it_may() {
        let sign = |change: &dyn Fn(&mut DelegationDraft)| {
            let mut draft = delegation_draft();
            change(&mut draft);
            let delegation = Delegation::issue(&grid_key(), &draft).expect("a delegation");
            let key = publisher_key();
            realistic().sign(Signer::Publisher { key: &key, delegation: &delegation }, None, &[], NOW)
        };
        let record = sign(&|draft| draft.next = Some(KeyDigest([5; 32]))).expect("signed");
        assert_eq!(record.next(), Some(KeyDigest([5; 32])), "from the delegation");
        for max in [None, Some("49.99 USD"), Some("1000 EUR")] {
            let error = sign(&|draft| draft.max_limit = max.map(|max| max.parse().expect(max))).expect_err("credit");
            assert!(error.to_string().contains("more than the delegation lets the publisher give"), "{error}");
        }
        let error = sign(&|draft| draft.committed_until = Some(NOW.plus(Seconds::days(30)))).expect_err("a promise");
        assert!(error.to_string().contains("rates, byte "), "{error}");
    }

    #[test]
    fn a_delegation_of_a_later_day_is_for_holders_only() {
        let mut map = MapWriter::new();
        map.uint(0, 1).uint(1, NOW.0).bytes(2, publisher_key().public().as_bytes()).uint(3, NOW.0 + 86_400).uint(7, 1);
        let delegation = crate::signed::seal(crate::signed::ObjectType::Delegation, &map.finish(), &grid_key());
        let mut map = MapWriter::new();
        map.uint(0, 1).uint(1, NOW.0 * 1000).uint(2, NOW.0).uint(3, NOW.0 + 9).bool(4, false).bytes(5, &delegation);
        let bytes = crate::signed::seal(crate::signed::ObjectType::Record, &map.finish(), &publisher_key());
        let signed = SignedRecord::from_bytes(&bytes, &grid()).expect("kept");
        let key_7 = bytes.windows(2).position(|window| window == [7, 1]).expect("it is there") + 1;
        let error = GridRecord::read(signed).expect_err("not read");
        assert!(matches!(error, RecordError::Upgrade { offset, .. } if offset == key_7), "{error}");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(draft in any_draft()) {
            match draft.sign(by_grid(&grid_key()), None, &[], NOW) {
                Ok(record) => {
                    let bytes = record.signed().bytes();
                    prop_assert_eq!(GridRecord::from_bytes(bytes, &grid()), Ok(record.clone()));
                    let mut expected = draft;
                    expected.rates.sort_by_key(RateLine::asset);
                    let (issued_at, expires_at) = (record.signed().issued_at(), record.signed().expires_at());
                    expected.rates.iter_mut().for_each(|line| *line = line.as_issued(issued_at, expires_at));
                    let again = RecordDraft { lifetime: expected.lifetime, ..RecordDraft::from_record(&record) };
                    prop_assert_eq!(again, expected);
                    let weights = record.signed().weights();
                    prop_assert_eq!(weights.used(), bytes.len());
                    prop_assert_eq!(weights.used() + weights.left(), weights.limit());
                }
                Err(SignError::Overweight(weights)) => prop_assert!(weights.used() > weights.limit()),
                // Only what the draft's own types cannot exclude: the same entry twice.
                Err(error) => prop_assert!(error.to_string().contains("twice") || error.to_string().contains("one line"), "{error}"),
            }
        }
    }
}
