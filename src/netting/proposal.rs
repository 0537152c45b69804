//! What grids sign when they agree to a netting: the debts that end, and the transfers that take their place.

use crate::cbor::{CborError, CborFault, FIRST_IGNORABLE_KEY, MapWriter, Reader};
use crate::keys::GridId;
use crate::netting::debt::{Debt, NettingError};
use crate::netting::multilateral::multilateral;
use crate::rate::Asset;
use crate::units::MinorUnits;
use minicbor::Encoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const CLEARING: u64 = 0;
const ASSET: u64 = 1;
const GRIDS: u64 = 2;
const REPLACED: u64 = 3;
const TRANSFERS: u64 = 4;

/// The most grids of one netting.
pub const MAX_GRIDS: usize = 65_536;
/// The most debts, and the most transfers.
pub const MAX_DEBTS: usize = 16 << 20;

/// A netting in one asset, proposed to every grid that it affects. Specification: `docs/spec/clearing.md`, "Nettings".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    clearing: GridId,
    asset: Asset,
    replaced: Vec<Debt>,
    transfers: Vec<Debt>,
}

/// Why bytes are no netting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// Not the form.
    #[error("the netting: {0}")]
    Form(#[from] CborError),
    /// A key that is no grid's, or an asset that is none.
    #[error("the netting, byte {offset}: {what}")]
    Value {
        /// Where.
        offset: usize,
        /// What is wrong.
        what: String,
    },
    /// A word that a later version knows.
    #[error(
        "the netting, byte {offset}: key {key} is not known: a newer version of this program is needed to act on it"
    )]
    Upgrade {
        /// Where.
        offset: usize,
        /// The key.
        key: u64,
    },
    /// The debts cannot be netted.
    #[error("the netting: {0}")]
    Debts(#[from] NettingError),
    /// The transfers are not the ones that follow from the debts, or the lists are not in their one order.
    #[error("the netting: its transfers do not follow from its debts")]
    Differs,
}

impl Proposal {
    /// What the `consenting` grids' `debts` in one asset come to, as `clearing` proposes it; `None` if they have none.
    pub fn new(
        clearing: GridId,
        asset: Asset,
        debts: &[Debt],
        consenting: &BTreeSet<GridId>,
    ) -> Result<Option<Self>, NettingError> {
        let debts: Vec<Debt> = debts.iter().filter(|debt| debt.asset == asset).copied().collect();
        let netted = multilateral(&debts, consenting)?.into_iter().find(|netted| !netted.pooled.is_empty());
        Ok(netted.map(|netted| Self { clearing, asset, replaced: netted.pooled, transfers: netted.transfers }))
    }

    /// The same without the debts that it would leave as they are, so that nobody is asked who is not affected. What it saves is the
    /// same: whoever owes such a debt owes at least so much in all, and its creditor is owed so much.
    pub fn of_changes(
        clearing: GridId,
        asset: Asset,
        debts: &[Debt],
        consenting: &BTreeSet<GridId>,
    ) -> Result<Option<Self>, NettingError> {
        let mut netting = Self::new(clearing, asset, debts, consenting)?;
        while let Some(all) = &netting {
            let stays: BTreeSet<&Debt> = all.transfers.iter().collect();
            let changed: Vec<Debt> = all.replaced.iter().filter(|debt| !stays.contains(debt)).copied().collect();
            if changed.len() == all.replaced.len() {
                break;
            }
            netting = Self::new(clearing, asset, &changed, consenting)?;
        }
        Ok(netting)
    }

    /// The netting in `bytes`; its transfers are computed again.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProposalError> {
        let mut reader = Reader::new(bytes);
        let (mut clearing, mut asset, mut grids) = (None, None, Vec::new());
        let (mut replaced, mut transfers) = (Vec::new(), Vec::new());
        reader.map(|key, reader| -> Result<(), ProposalError> {
            let offset = reader.offset();
            match key {
                CLEARING => clearing = Some(grid(reader)?),
                ASSET => {
                    let code = reader.text(5)?;
                    let found = Asset::from_code(code).map_err(|error| value(offset, &error))?;
                    asset = Some(found);
                }
                GRIDS => grids = reader.array(MAX_GRIDS, grid)?,
                REPLACED => replaced = reader.array(MAX_DEBTS, debt)?,
                TRANSFERS => transfers = reader.array(MAX_DEBTS, debt)?,
                FIRST_IGNORABLE_KEY.. => reader.skip()?,
                key => return Err(ProposalError::Upgrade { offset, key }),
            }
            Ok(())
        })?;
        reader.end()?;
        let missing = || value(0, &"a field is missing");
        let (clearing, asset) = (clearing.ok_or_else(missing)?, asset.ok_or_else(missing)?);
        let named = |place: u64| usize::try_from(place).ok().and_then(|place| grids.get(place)).copied();
        let debts = |list: &[[u64; 3]]| -> Option<Vec<Debt>> {
            let one = |[debtor, creditor, amount]: &[u64; 3]| {
                Some(Debt { asset, debtor: named(*debtor)?, creditor: named(*creditor)?, amount: MinorUnits(*amount) })
            };
            list.iter().map(one).collect()
        };
        let replaced = debts(&replaced).ok_or(ProposalError::Differs)?;
        let transfers = debts(&transfers).ok_or(ProposalError::Differs)?;
        let proposal = Self { clearing, asset, replaced, transfers };
        let computed = Self::new(clearing, asset, &proposal.replaced, &grids.into_iter().collect())?;
        // One form for one netting: what is signed is the hash of the bytes.
        if computed.as_ref() == Some(&proposal) && proposal.to_bytes() == bytes {
            Ok(proposal)
        } else {
            Err(ProposalError::Differs)
        }
    }

    /// The bytes that all who compute it get.
    pub fn to_bytes(&self) -> Vec<u8> {
        let grids: Vec<GridId> = self.grids().into_iter().collect();
        let number = |grid: &GridId| grids.binary_search(grid).unwrap_or(0) as u64;
        let list = |debts: &[Debt]| -> Vec<Vec<u8>> {
            debts.iter().map(|debt| triple([number(&debt.debtor), number(&debt.creditor), debt.amount.0])).collect()
        };
        let keys: Vec<Vec<u8>> = grids.iter().map(key).collect();
        let mut map = MapWriter::new();
        map.bytes(CLEARING, self.clearing.as_bytes()).text(ASSET, self.asset.code()).array(GRIDS, &keys);
        map.array(REPLACED, &list(&self.replaced));
        if !self.transfers.is_empty() {
            map.array(TRANSFERS, &list(&self.transfers));
        }
        map.finish()
    }

    /// The SHA-256 of the bytes: what a consent names.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// Who proposes it.
    pub fn clearing(&self) -> GridId {
        self.clearing
    }

    /// In what.
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// Every grid that it affects: all of them have to sign.
    pub fn grids(&self) -> BTreeSet<GridId> {
        self.replaced.iter().flat_map(|debt| [debt.debtor, debt.creditor]).collect()
    }

    /// The debts that end, netted between each two.
    pub fn replaced(&self) -> &[Debt] {
        &self.replaced
    }

    /// Those that take their place.
    pub fn transfers(&self) -> &[Debt] {
        &self.transfers
    }
}

fn value(offset: usize, what: &dyn std::fmt::Display) -> ProposalError {
    ProposalError::Value { offset, what: what.to_string() }
}

fn grid(reader: &mut Reader<'_>) -> Result<GridId, ProposalError> {
    let offset = reader.offset();
    GridId::from_bytes(&reader.array_of()?).map_err(|error| value(offset, &error))
}

fn debt(reader: &mut Reader<'_>) -> Result<[u64; 3], CborError> {
    let start = reader.offset();
    let three = reader.array(3, Reader::uint)?;
    let found = three.len();
    three.try_into().map_err(|_| CborError { offset: start, fault: CborFault::TooFew { limit: 3, found } })
}

fn key(grid: &GridId) -> Vec<u8> {
    let mut out = Vec::with_capacity(34);
    Encoder::new(&mut out).bytes(grid.as_bytes()).expect("memory takes every byte");
    out
}

fn triple(numbers: [u64; 3]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    let mut encoder = Encoder::new(&mut out);
    encoder.array(3).expect("memory takes every byte");
    for number in numbers {
        encoder.u64(number).expect("memory takes every byte");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netting::fixtures::{debts, grid as numbered, usd};
    use proptest::prelude::*;

    fn everyone() -> BTreeSet<GridId> {
        (0..9).map(numbered).collect()
    }

    fn sample() -> Proposal {
        let owes = |debtor, creditor, amount| Debt {
            asset: usd(),
            debtor: numbered(debtor),
            creditor: numbered(creditor),
            amount: MinorUnits(amount),
        };
        let debts = [owes(1, 2, 10), owes(2, 3, 10), owes(3, 1, 7)];
        Proposal::new(numbered(200), usd(), &debts, &everyone()).expect("small").expect("some")
    }

    #[test]
    fn a_changed_netting_is_refused() {
        let good = sample();
        assert_eq!(Proposal::from_bytes(&good.to_bytes()), Ok(good.clone()));
        // One that would have somebody pay less.
        let mut changed = good.clone();
        changed.transfers[0].amount.0 -= 1;
        assert_eq!(Proposal::from_bytes(&changed.to_bytes()), Err(ProposalError::Differs));
        let mut changed = good.clone();
        changed.replaced.reverse();
        assert_eq!(Proposal::from_bytes(&changed.to_bytes()), Err(ProposalError::Differs));
        let bytes = good.to_bytes();
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            assert_ne!(Proposal::from_bytes(&flipped), Ok(good.clone()), "byte {place}");
            assert!(Proposal::from_bytes(&bytes[..place]).is_err());
        }
    }

    #[test]
    fn nobody_is_asked_whose_debts_would_stay_as_they_are() {
        let owes = |debtor, creditor, amount| Debt {
            asset: usd(),
            debtor: numbered(debtor),
            creditor: numbered(creditor),
            amount: MinorUnits(amount),
        };
        // A circle, two who have nothing to do with it, and one who only owes somebody in it.
        let debts = [owes(1, 2, 10), owes(2, 3, 10), owes(3, 1, 7), owes(4, 5, 6), owes(6, 1, 2)];
        let netting = Proposal::of_changes(numbered(200), usd(), &debts, &everyone()).expect("small").expect("some");
        assert!(!netting.grids().contains(&numbered(4)) && !netting.grids().contains(&numbered(5)));
        assert_eq!(Proposal::of_changes(numbered(200), usd(), &debts[3..4], &everyone()), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_left_out_changes_nothing_of_what_is_saved(given in debts()) {
            let all = Proposal::new(numbered(200), usd(), &given, &everyone()).expect("small");
            let changed = Proposal::of_changes(numbered(200), usd(), &given, &everyone()).expect("small");
            let saved = |netting: &Option<Proposal>| {
                let total = |debts: &[Debt]| debts.iter().map(|debt| u128::from(debt.amount.0)).sum::<u128>();
                netting.as_ref().map_or(0, |netting| total(&netting.replaced) - total(&netting.transfers))
            };
            prop_assert_eq!(saved(&changed), saved(&all));
            if let Some(changed) = changed {
                prop_assert!(changed.replaced.iter().all(|debt| !changed.transfers.contains(debt)));
                prop_assert_eq!(Proposal::from_bytes(&changed.to_bytes()), Ok(changed));
            }
        }

        #[test]
        fn all_who_compute_a_netting_sign_the_same_octets(given in debts(), turn in any::<prop::sample::Index>()) {
            let computed = Proposal::new(numbered(200), usd(), &given, &everyone()).expect("small");
            let mut turned = given.clone();
            if !turned.is_empty() {
                let by = turn.index(turned.len());
                turned.rotate_left(by);
            }
            prop_assert_eq!(&Proposal::new(numbered(200), usd(), &turned, &everyone()).expect("small"), &computed);
            if let Some(proposal) = computed {
                prop_assert_eq!(Proposal::from_bytes(&proposal.to_bytes()), Ok(proposal.clone()));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Proposal::from_bytes(&bytes);
        }
    }
}
