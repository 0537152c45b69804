//! `membership/1`: a grid's word that an accounting key is one of its clients, or is no more.
//!
//! Signed by the grid key, or by the publisher key that the grid's delegation names, so that another gateway of the grid
//! needs no more than a copy. One key has one membership: the newer supersedes the older.

use crate::cbor::{FIRST_IGNORABLE_KEY, MapWriter};
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::record::Nickname;
use crate::session::form::{FormError, FormFault, date, envelope, fault, grid, in_field, key, number, required, walk};
use crate::session::group::Group;
use crate::signed::{Envelope, ObjectType, seal};
use crate::units::UnixSeconds;
use std::fmt;

/// The most groups of a client.
pub const MAX_GROUPS: usize = 8;
/// The most gateways that a membership is confined to.
pub const MAX_SERVERS: usize = 8;
/// The most octets: 8 groups of 34, 8 hashes of 34, a label of 66, 150 for the rest and the envelope, and room for new words.
pub const MAX_MEMBERSHIP_BYTES: usize = 1_024;

const GRID: u64 = 0;
const SIGNER: u64 = 1;
const KEY: u64 = 2;
const SERIAL: u64 = 3;
const LABEL: u64 = 4;
const GROUPS: u64 = 5;
const NOT_AFTER: u64 = 6;
const SERVERS: u64 = 7;
const REMOVED: u64 = 8;

/// A verified membership.
#[derive(Clone, PartialEq, Eq)]
pub struct Membership {
    bytes: Box<[u8]>,
    grid: GridId,
    signer: PublicKey,
    draft: MembershipDraft,
}

/// What a membership is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipDraft {
    /// The client's accounting key.
    pub key: PublicKey,
    /// Orders the memberships of a key: Unix milliseconds when it was signed, or one more than the one before.
    pub serial: u64,
    /// What the operator calls the client.
    pub label: Nickname,
    /// The groups that it is in, which a policy may speak of.
    pub groups: Vec<Group>,
    /// From when on it counts no more; [`UnixSeconds::MAX`] for one that ends when it is removed.
    pub not_after: UnixSeconds,
    /// The SPKI hashes of the gateways that it holds at; none named: every gateway of the grid.
    pub servers: Vec<[u8; 32]>,
    /// Whether the client is one or is one no more.
    pub standing: Standing,
}

/// What a membership says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is a client's.
    Member,
    /// It was, and is no more.
    Removed,
}

/// Why bytes are no membership of a grid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Not a membership.
    #[error("the membership: {0}")]
    Form(#[from] FormError),
    /// Of another grid.
    #[error("the membership is one of {found}")]
    OtherGrid {
        /// That grid.
        found: GridId,
    },
    /// Signed by a key that may not sign memberships of this grid.
    #[error(
        "the membership is signed by {found}, which is neither the grid key nor the publisher that it delegated to"
    )]
    OtherSigner {
        /// That key.
        found: PublicKey,
    },
    /// The key in it did not sign it.
    #[error("the signature on the membership is not one of the key that it names")]
    BadSignature,
}

impl Membership {
    /// The membership of `grid` in `bytes`, signed by the grid key or by this `publisher`.
    pub fn from_bytes(bytes: &[u8], grid: &GridId, publisher: Option<&PublicKey>) -> Result<Self, MembershipError> {
        let envelope = envelope(bytes, MAX_MEMBERSHIP_BYTES)?;
        let (found, signer, draft) = read(&envelope)?;
        if found != *grid {
            return Err(MembershipError::OtherGrid { found });
        }
        if signer != *grid.key() && Some(&signer) != publisher {
            return Err(MembershipError::OtherSigner { found: signer });
        }
        envelope.verify(ObjectType::Membership, &signer).map_err(|_| MembershipError::BadSignature)?;
        Ok(Self { bytes: bytes.into(), grid: *grid, signer, draft })
    }

    /// Signs what `draft` says of a client of `grid`; `signer` is the grid key or its publisher. Refuses what could not be
    /// read again: too many groups or servers, the same one twice, a time that has no date.
    pub fn issue(signer: &SecretKey, grid: &GridId, draft: &MembershipDraft) -> Result<Self, MembershipError> {
        let mut map = MapWriter::new();
        map.bytes(GRID, grid.as_bytes()).bytes(SIGNER, signer.public().as_bytes());
        map.bytes(KEY, draft.key.as_bytes()).uint(SERIAL, draft.serial).text(LABEL, draft.label.as_str());
        if !draft.groups.is_empty() {
            map.entry(GROUPS, |encoder| {
                encoder.array(draft.groups.len() as u64)?;
                draft.groups.iter().try_for_each(|group| encoder.str(group.as_str()).map(drop))
            });
        }
        map.uint(NOT_AFTER, draft.not_after.0);
        if !draft.servers.is_empty() {
            map.entry(SERVERS, |encoder| {
                encoder.array(draft.servers.len() as u64)?;
                draft.servers.iter().try_for_each(|hash| encoder.bytes(hash).map(drop))
            });
        }
        if draft.standing == Standing::Removed {
            map.bool(REMOVED, true);
        }
        Self::from_bytes(&seal(ObjectType::Membership, &map.finish(), signer), grid, Some(&signer.public()))
    }

    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whose client it is.
    pub fn grid(&self) -> &GridId {
        &self.grid
    }

    /// The key that signed.
    pub fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// What it says.
    pub fn draft(&self) -> &MembershipDraft {
        &self.draft
    }

    /// The client's accounting key.
    pub fn key(&self) -> &PublicKey {
        &self.draft.key
    }

    /// What the operator calls the client.
    pub fn label(&self) -> &Nickname {
        &self.draft.label
    }

    /// Whether the key is a client's at `now`.
    pub fn is_current(&self, now: UnixSeconds) -> bool {
        self.draft.standing == Standing::Member && now < self.draft.not_after
    }

    /// Whether it holds at the gateway whose TLS key hashes to this.
    pub fn holds_at(&self, spki_hash: &[u8; 32]) -> bool {
        self.draft.servers.is_empty() || self.draft.servers.contains(spki_hash)
    }

    /// Whether it takes the place of `other`: of the same key and grid, and newer. Compares the serial, then whether it
    /// removes, then the bytes.
    pub fn supersedes(&self, other: &Self) -> bool {
        let position = |one: &Self| (one.draft.serial, one.draft.standing == Standing::Removed, one.bytes.to_vec());
        (self.grid, self.draft.key) == (other.grid, other.draft.key) && position(self) > position(other)
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Membership {} of {} in {}", self.draft.serial, self.draft.key, self.grid)
    }
}

fn read(envelope: &Envelope<'_>) -> Result<(GridId, PublicKey, MembershipDraft), FormError> {
    let (mut of, mut signer, mut client, mut serial, mut label) = (None, None, None, None, None);
    let (mut groups, mut not_after, mut servers, mut standing) = (Vec::new(), None, Vec::new(), Standing::Member);
    walk(envelope, |field, reader| {
        let start = reader.offset();
        match field {
            GRID => of = Some(grid("grid", reader)?),
            SIGNER => signer = Some(key("signer", reader)?),
            KEY => client = Some(key("key", reader)?),
            SERIAL => serial = Some(number("serial", reader, 1, u64::MAX)?),
            LABEL => {
                let text = reader.text(Nickname::MAX_BYTES).map_err(|error| in_field("label", error))?;
                label = Some(Nickname::new(text).map_err(|error| fault("label", start, error))?);
            }
            GROUPS => {
                groups = reader.array(MAX_GROUPS, |reader| {
                    let start = reader.offset();
                    let text = reader.text(Group::MAX_BYTES).map_err(|error| in_field("groups", error))?;
                    text.parse::<Group>().map_err(|error| fault("groups", start, error))
                })?;
                distinct("groups", start, &groups)?;
            }
            NOT_AFTER => not_after = Some(date("not_after", reader)?),
            SERVERS => {
                servers = reader
                    .array(MAX_SERVERS, |reader| reader.array_of().map_err(|error| in_field("servers", error)))?;
                distinct("servers", start, &servers)?;
            }
            REMOVED => {
                standing = match reader.bool().map_err(|error| in_field("removed", error))? {
                    true => Standing::Removed,
                    false => return Err(fault("removed", start, FormFault::FalseFlag)),
                }
            }
            FIRST_IGNORABLE_KEY.. => reader.skip()?,
            key => return Err(FormError::Upgrade { offset: start, key }),
        }
        Ok(())
    })?;
    let base = envelope.payload_offset();
    let missing = |error: FormError| error.shifted(base);
    let draft = MembershipDraft {
        key: required("key", client).map_err(missing)?,
        serial: required("serial", serial).map_err(missing)?,
        label: required("label", label).map_err(missing)?,
        groups,
        not_after: required("not_after", not_after).map_err(missing)?,
        servers,
        standing,
    };
    Ok((required("grid", of).map_err(missing)?, required("signer", signer).map_err(missing)?, draft))
}

fn distinct<T: PartialEq>(field: &'static str, start: usize, elements: &[T]) -> Result<(), FormError> {
    match elements.iter().enumerate().any(|(index, element)| elements[..index].contains(element)) {
        true => Err(fault(field, start, FormFault::Twice)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn home() -> GridId {
        GridId::new(secret(1).public())
    }

    fn draft() -> MembershipDraft {
        MembershipDraft {
            key: secret(9).public(),
            serial: NOW.0 * 1000,
            label: Nickname::new("Ada").unwrap(),
            groups: vec!["staff".parse().unwrap(), "night shift".parse().unwrap()],
            not_after: UnixSeconds(NOW.0 + 86_400),
            servers: vec![[4; 32], [5; 32]],
            standing: Standing::Member,
        }
    }

    fn by_grid(draft: &MembershipDraft) -> Membership {
        Membership::issue(&secret(1), &home(), draft).unwrap()
    }

    fn sealed(build: impl FnOnce(&mut MapWriter) -> &mut MapWriter) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.bytes(0, home().as_bytes()).bytes(1, secret(1).public().as_bytes());
        build(&mut map);
        seal(ObjectType::Membership, &map.finish(), &secret(1))
    }

    fn class(bytes: &[u8]) -> &'static str {
        match Membership::from_bytes(bytes, &home(), None) {
            Err(MembershipError::Form(error)) => error.class(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_issued_is_what_is_read() {
        for draft in [draft(), MembershipDraft { groups: vec![], servers: vec![], ..draft() }] {
            let membership = by_grid(&draft);
            assert_eq!(Membership::from_bytes(membership.bytes(), &home(), None), Ok(membership.clone()));
            assert_eq!((membership.draft(), membership.signer()), (&draft, home().key()));
            assert!(membership.bytes().len() <= MAX_MEMBERSHIP_BYTES);
        }
    }

    #[test]
    fn the_grid_key_and_its_publisher_may_sign_and_nobody_else() {
        let membership = Membership::issue(&secret(2), &home(), &draft()).unwrap();
        let read = |publisher: Option<u8>| {
            let publisher = publisher.map(|n| secret(n).public());
            Membership::from_bytes(membership.bytes(), &home(), publisher.as_ref())
        };
        assert!(read(Some(2)).is_ok());
        let refused = Err(MembershipError::OtherSigner { found: secret(2).public() });
        assert_eq!((read(None), read(Some(3))), (refused.clone(), refused));
        let other = GridId::new(secret(3).public());
        assert_eq!(
            Membership::from_bytes(by_grid(&draft()).bytes(), &other, None),
            Err(MembershipError::OtherGrid { found: home() })
        );
    }

    #[test]
    fn it_counts_from_its_day_to_its_end_and_where_it_says() {
        let membership = by_grid(&draft());
        assert!(membership.is_current(NOW) && !membership.is_current(draft().not_after));
        assert!(membership.holds_at(&[5; 32]) && !membership.holds_at(&[6; 32]));
        let everywhere = by_grid(&MembershipDraft { servers: vec![], ..draft() });
        assert!(everywhere.holds_at(&[6; 32]));
        let removed = by_grid(&MembershipDraft { standing: Standing::Removed, ..draft() });
        assert!(!removed.is_current(NOW));
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        let membership = by_grid(&draft());
        for i in 0..membership.bytes().len() {
            let mut bytes = membership.bytes().to_vec();
            bytes[i] ^= 1;
            assert!(Membership::from_bytes(&bytes, &home(), Some(&secret(2).public())).is_err(), "byte {i}");
        }
    }

    #[test]
    fn what_is_no_membership_is_refused_by_class() {
        let key = secret(9).public();
        let rest = |map: &mut MapWriter| {
            map.bytes(2, key.as_bytes()).uint(3, 1).text(4, "Ada").uint(6, NOW.0);
        };
        let with = |more: &dyn Fn(&mut MapWriter)| {
            sealed(|map| {
                rest(map);
                more(map);
                map
            })
        };
        assert!(
            Membership::from_bytes(
                &with(&|map| {
                    map.uint(64, 1);
                }),
                &home(),
                None
            )
            .is_ok()
        );
        assert_eq!(
            class(&with(&|map| {
                map.uint(9, 1);
            })),
            "upgrade"
        );
        assert_eq!(
            class(&with(&|map| {
                map.bool(8, false);
            })),
            "field"
        );
        assert_eq!(
            class(&with(&|map| {
                map.array(7, &[]);
            })),
            "field"
        );
        assert_eq!(
            class(&with(&|map| {
                map.encoded(7, &[0x81, 0x41, 0]);
            })),
            "field"
        );
        assert_eq!(
            class(&with(&|map| {
                map.encoded(7, &[0x98, 1, 0]);
            })),
            "non-canonical"
        );
        assert_eq!(class(&sealed(|map| map.bytes(2, key.as_bytes()).uint(3, 1).text(4, "Ada"))), "field");
        assert_eq!(class(&sealed(|map| map.bytes(2, key.as_bytes()).uint(3, 1).text(4, " Ada"))), "field");
        assert_eq!(class(&sealed(|map| map.bytes(2, &[0; 32]))), "key");
        assert_eq!(class(&sealed(|map| map.bytes(2, key.as_bytes()).uint(3, 0))), "field");
        assert_eq!(class(&vec![0x84; MAX_MEMBERSHIP_BYTES + 1]), "too-big");
        let twice = MembershipDraft { groups: vec!["a".parse().unwrap(); 2], ..draft() };
        assert!(matches!(Membership::issue(&secret(1), &home(), &twice), Err(MembershipError::Form(_))));
        let nine = MembershipDraft { groups: (0..9).map(|n| format!("g{n}").parse().unwrap()).collect(), ..draft() };
        assert!(matches!(Membership::issue(&secret(1), &home(), &nine), Err(MembershipError::Form(_))));
    }

    fn any_draft() -> impl Strategy<Value = MembershipDraft> {
        let label = "\\PC{1,12}".prop_filter_map("a label", |text| Nickname::new(&text).ok());
        let groups = proptest::sample::subsequence(vec!["a", "b", "staff", "ängste"], 0..=4);
        let fields = (1..4u64, label, groups, 1..UnixSeconds::MAX.0, 0..=3u8, any::<bool>(), 9..11u8);
        fields.prop_map(|(serial, label, groups, not_after, servers, removed, key)| MembershipDraft {
            key: secret(key).public(),
            serial,
            label,
            groups: groups.into_iter().map(|group| group.parse().unwrap()).collect(),
            not_after: UnixSeconds(not_after),
            servers: (0..servers).map(|n| [n; 32]).collect(),
            standing: if removed { Standing::Removed } else { Standing::Member },
        })
    }

    proptest! {
        #[test]
        fn any_draft_survives_the_way_through_its_bytes(draft in any_draft()) {
            let membership = Membership::issue(&secret(2), &home(), &draft).unwrap();
            prop_assert_eq!(membership.draft(), &draft);
            let again = Membership::from_bytes(membership.bytes(), &home(), Some(&secret(2).public()));
            prop_assert_eq!(again, Ok(membership));
        }

        #[test]
        fn supersedes_is_a_strict_order_of_one_key(drafts in proptest::collection::vec(any_draft(), 3)) {
            let all: Vec<Membership> = drafts.iter().map(by_grid).collect();
            let [a, b, c] = [&all[0], &all[1], &all[2]];
            prop_assert!(!a.supersedes(a));
            prop_assert!(!(a.supersedes(b) && b.supersedes(a)));
            if a.supersedes(b) && b.supersedes(c) {
                prop_assert!(a.supersedes(c));
            }
            if a.key() == b.key() && a != b {
                prop_assert!(a.supersedes(b) || b.supersedes(a));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Membership::from_bytes(&payload, &home(), None);
            let _ = Membership::from_bytes(&seal(ObjectType::Membership, &payload, &secret(1)), &home(), None);
        }
    }
}
