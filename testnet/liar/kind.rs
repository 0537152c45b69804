//! The kinds of liars, and the record that each kind tells of.

use crate::play::Chronicle;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::signed::{Envelope, ObjectType, seal};

/// How a liar lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It holds nothing, whatever is brought to it.
    Withhold,
    /// It holds the oldest record that it ever saw.
    Stale,
    /// It holds the record before the newest, and says that it is the newest.
    RolledBack,
    /// It holds another grid's record.
    WrongKey,
    /// It holds a record that says what the liar likes, signed with a key of the liar's.
    Forged,
    /// It holds a record longer than any may be.
    Oversize,
    /// It holds the newest record in an envelope with something added that nobody signed.
    Padded,
    /// It acknowledges every record and keeps none.
    Acknowledge,
    /// It forwards the newest record with a second to live.
    ShortLived,
    /// It holds nothing and knows twenty that are nearer, none of whom exists.
    FakePeers,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Withhold,
        Self::Stale,
        Self::RolledBack,
        Self::WrongKey,
        Self::Forged,
        Self::Oversize,
        Self::Padded,
        Self::Acknowledge,
        Self::ShortLived,
        Self::FakePeers,
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Withhold => "withhold",
            Self::Stale => "stale",
            Self::RolledBack => "rolled back",
            Self::WrongKey => "wrong key",
            Self::Forged => "forged",
            Self::Oversize => "oversize",
            Self::Padded => "padded envelope",
            Self::Acknowledge => "acknowledge without storing",
            Self::ShortLived => "TTL=1",
            Self::FakePeers => "fake closer peers",
        }
    }

    /// What it gives for the record of `grid`; `None` if it denies to have one.
    pub(crate) fn record(self, grid: &GridId, chronicle: &Chronicle) -> Option<Vec<u8>> {
        let records = chronicle.records(grid);
        let newest = records.last()?;
        let bytes = |record: &GridRecord| record.signed().bytes().to_vec();
        match self {
            Self::Withhold | Self::Acknowledge | Self::FakePeers => None,
            Self::Stale => records.first().map(bytes),
            Self::RolledBack => records.iter().rev().nth(1).or(Some(newest)).map(bytes),
            Self::WrongKey => {
                let other = chronicle.grids().into_iter().find(|other| other != grid)?;
                chronicle.newest(&other).as_ref().map(bytes)
            }
            Self::Forged => forged(newest),
            Self::Oversize => Some([bytes(newest), vec![0; 5_000]].concat()),
            Self::Padded => Some(padded(newest.signed().bytes())),
            Self::ShortLived => Some(bytes(newest)),
        }
    }

    /// Whether what [`Self::record`] gives is a lie by itself.
    pub(crate) fn lies_in_records(self) -> bool {
        self != Self::ShortLived
    }
}

/// A record of the liar's, a little newer, its own signature put under the other grid's name.
fn forged(newest: &GridRecord) -> Option<Vec<u8>> {
    let key = SecretKey::from_seed(&[0x66; 32]);
    let issued_at = newest.signed().issued_at();
    let draft = RecordDraft { nickname: Some("Forged".parse().ok()?), ..RecordDraft::new(GridId::new(key.public())) };
    let mine = draft.sign(
        Signer::Grid { key: &key, serial: issued_at },
        None,
        &[],
        issued_at.plus(lafs_clearinghouse::units::Seconds(60)),
    );
    let mine = mine.ok()?;
    // Nothing in the payload names the grid: only the signature does.
    let envelope = Envelope::from_bytes(mine.signed().bytes()).ok()?;
    Some(seal(ObjectType::Record, envelope.payload(), &key))
}

/// The same, with `{4: h'00'}` where the empty unprotected header was.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let (head, rest) = bytes.split_at(5);
    [head, &[0xa1, 0x04, 0x41, 0x00], &rest[1..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lafs_clearinghouse::record::SignedRecord;
    use lafs_clearinghouse::units::UnixSeconds;

    #[test]
    fn a_lie_is_no_valid_newest_record() {
        let chronicle = Chronicle::default();
        let keys = [1, 2].map(|n| SecretKey::from_seed(&[n; 32]));
        let grids = [0, 1].map(|n: usize| GridId::new(keys[n].public()));
        for (key, grid) in keys.iter().zip(grids) {
            for time in [1_800_000_000, 1_800_000_001, 1_800_000_002] {
                let signer = Signer::Grid { key, serial: UnixSeconds(1_800_000_000) };
                chronicle.note(RecordDraft::new(grid).sign(signer, None, &[], UnixSeconds(time)).unwrap());
            }
        }
        let told = |kind: Kind| kind.record(&grids[0], &chronicle);
        let verified = |bytes: &[u8]| SignedRecord::from_bytes(bytes, &grids[0]);
        for kind in [Kind::WrongKey, Kind::Forged, Kind::Oversize, Kind::Padded] {
            assert!(verified(&told(kind).unwrap()).is_err(), "{kind:?}");
        }
        let records = chronicle.records(&grids[0]);
        assert_eq!(verified(&told(Kind::Stale).unwrap()).unwrap(), *records[0].signed());
        assert_eq!(verified(&told(Kind::RolledBack).unwrap()).unwrap(), *records[1].signed());
        assert!([Kind::Withhold, Kind::Acknowledge, Kind::FakePeers].iter().all(|kind| told(*kind).is_none()));
    }

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
