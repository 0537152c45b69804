//! The proposal of a netting: unsigned, named by its hash, and agreed to with consents.

use crate::cbor::{MapWriter, Reader};
use crate::keys::GridId;
use crate::rate::Asset;
use crate::session::form::{FormError, FormFault, fault};
use crate::tariff::wire::fields::{Contradiction, Fields, Many, fields};
use crate::units::{MinorUnits, UnixSeconds};
use sha2::{Digest, Sha256};

fields! {
    /// Debts among several grids, and the fewer that take their place.
    pub struct NettingBody {
        /// The grid of the clearing node that proposes it.
        0 clearing: GridId,
        /// What is netted.
        1 asset: Asset,
        /// When it was made.
        2 time: UnixSeconds,
        /// From when on it can take effect no more.
        3 not_after: UnixSeconds,
        /// Debts that are no more.
        4 replaced: Vec<NettedDebt>,
        /// Those that arise.
        5 transfers: Vec<NettedDebt>,
    }
}

fields! {
    /// One debt of a netting.
    pub struct NettedDebt {
        /// Who owes.
        0 debtor: GridId,
        /// Whom.
        1 creditor: GridId,
        /// How much.
        2 amount: MinorUnits,
    }
}

/// What a grid has before and after a netting, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netted {
    /// What it owed.
    pub owed: MinorUnits,
    /// What was owed to it.
    pub due: MinorUnits,
    /// What it pays instead.
    pub pays: MinorUnits,
    /// What it receives instead.
    pub receives: MinorUnits,
}

impl Many for NettedDebt {
    const MANY: usize = NettingBody::MAX_DEBTS;
}

impl NettingBody {
    /// The most debts of one netting, before or after it.
    pub const MAX_DEBTS: usize = 2_048;
    /// 2,048 debts of 81 octets twice, and 256 for the rest.
    pub const MAX_BYTES: usize = 2 * Self::MAX_DEBTS * 81 + 256;

    /// The octets that are hashed and consented to.
    pub fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        self.write_fields(&mut map);
        map.finish()
    }

    /// The proposal in these octets.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(FormError::TooBig { found: bytes.len(), limit: Self::MAX_BYTES });
        }
        let mut reader = Reader::new(bytes);
        let body = Self::read_fields(&mut reader)?;
        reader.end()?;
        body.agree().map_err(|(field, what)| fault(field, 0, FormFault::Contradiction(what)))?;
        Ok(body)
    }

    /// The name by which it is consented to: the SHA-256 of its octets.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }

    /// What it comes to for `grid`. `None` for one that it does not affect, or beyond what amounts can say.
    pub fn of(&self, grid: &GridId) -> Option<Netted> {
        let sum = |debts: &[NettedDebt], of: fn(&NettedDebt) -> &GridId| {
            let amounts = debts.iter().filter(|debt| of(debt) == grid).map(|debt| u128::from(debt.amount.0));
            u64::try_from(amounts.sum::<u128>()).ok().map(MinorUnits).filter(|sum| *sum <= MinorUnits::MAX)
        };
        let netted = Netted {
            owed: sum(&self.replaced, |debt| &debt.debtor)?,
            due: sum(&self.replaced, |debt| &debt.creditor)?,
            pays: sum(&self.transfers, |debt| &debt.debtor)?,
            receives: sum(&self.transfers, |debt| &debt.creditor)?,
        };
        (netted.owed.0 > 0 || netted.due.0 > 0).then_some(netted)
    }

    fn contradiction(&self) -> Result<(), Contradiction> {
        let total = |debts: &[NettedDebt]| debts.iter().map(|debt| u128::from(debt.amount.0)).sum::<u128>();
        match self {
            _ if self.replaced.is_empty() => Err(("replaced", "nothing is netted")),
            _ if self.not_after <= self.time => Err(("not_after", "it ends before it begins")),
            _ if total(&self.transfers) > total(&self.replaced) => Err(("transfers", "a netting saves")),
            _ => Ok(()),
        }
    }
}

impl NettedDebt {
    fn contradiction(&self) -> Result<(), Contradiction> {
        match self {
            _ if self.debtor == self.creditor => Err(("creditor", "nobody owes himself")),
            _ if self.amount.0 == 0 => Err(("amount", "a debt of nothing")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::wire::fixtures::{NOW, grid, usd};
    use crate::units::Seconds;

    fn debt(debtor: u8, creditor: u8, amount: u64) -> NettedDebt {
        NettedDebt { debtor: grid(debtor), creditor: grid(creditor), amount: MinorUnits(amount) }
    }

    fn body() -> NettingBody {
        NettingBody {
            clearing: grid(9),
            asset: usd(),
            time: NOW,
            not_after: NOW.plus(Seconds::days(7)),
            replaced: vec![debt(1, 2, 700), debt(2, 3, 500), debt(3, 1, 300)],
            transfers: vec![debt(1, 3, 200), debt(1, 2, 200)],
        }
    }

    #[test]
    fn a_proposal_reads_as_it_was_written_and_its_hash_is_its_name() {
        let bytes = body().encode();
        assert_eq!(NettingBody::from_bytes(&bytes), Ok(body()));
        assert!(NettingBody::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        assert_ne!(NettingBody { not_after: NOW.plus(Seconds(1)), ..body() }.hash(), body().hash());
    }

    #[test]
    fn each_grid_sees_what_it_comes_to_for_it() {
        let netted = body().of(&grid(1)).unwrap();
        assert_eq!([netted.owed, netted.due, netted.pays, netted.receives].map(|amount| amount.0), [700, 300, 400, 0]);
        assert_eq!(body().of(&grid(4)), None);
    }

    #[test]
    fn what_saves_nothing_or_is_nobodys_debt_is_no_proposal() {
        for wrong in [
            NettingBody { replaced: Vec::new(), ..body() },
            NettingBody { transfers: vec![debt(1, 2, 1_501)], ..body() },
            NettingBody { replaced: vec![debt(1, 1, 700)], ..body() },
            NettingBody { replaced: vec![debt(1, 2, 0)], ..body() },
            NettingBody { not_after: NOW, ..body() },
        ] {
            assert!(NettingBody::from_bytes(&wrong.encode()).is_err(), "{wrong:?}");
        }
    }
}
