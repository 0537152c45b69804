//! `position/1`: what two grids owe each other in one asset, by the clearing node's books. Each names the one before it, so
//! that a node that shows two grids two histories is found out.

use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::fields::{Contradiction, MOST, Many, codes, fields};
use crate::tariff::wire::lane_open::LaneId;
use crate::tariff::wire::one::{Payload, Signed, SignedByOne};
use crate::units::{Bytes, MinorUnits, UnixSeconds};

fields! {
    /// What was booked since the position before, and the totals since the first.
    pub struct PositionBody {
        /// The grid of the clearing node.
        0 clearing: GridId,
        /// The key that signs.
        1 signer: PublicKey,
        /// Of the two grids the one whose key comes first, octet by octet.
        2 first: GridId,
        /// The other one.
        3 second: GridId,
        /// What amounts are counted in.
        4 asset: Asset,
        /// 1 for the first position of the two, and then one more each time.
        5 number: u64,
        /// The position before; left out of the first.
        6 previous: Option<Identity>,
        /// When it was signed.
        7 time: UnixSeconds,
        /// Lanes that were booked further.
        8 lanes: Vec<PositionLine>,
        /// What was paid or netted.
        9 settled: Vec<Settlement>,
        /// What the first has been charged since the beginning.
        10 charged_first: MinorUnits,
        /// What the second has been charged.
        11 charged_second: MinorUnits,
        /// What of the first's debt is settled.
        12 settled_first: MinorUnits,
        /// What of the second's debt is settled.
        13 settled_second: MinorUnits,
    }
}

fields! {
    /// One lane, booked further.
    pub struct PositionLine {
        /// The lane.
        0 lane: LaneId,
        /// Who owes it.
        1 debtor: Party,
        /// Octets up to which it was booked before.
        2 from_bytes: Bytes,
        /// Octets up to which it is booked now.
        3 to_bytes: Bytes,
        /// The charge up to which it was booked before.
        4 from_amount: MinorUnits,
        /// The charge up to which it is booked now.
        5 to_amount: MinorUnits,
    }
}

fields! {
    /// A debt that is one no more.
    pub struct Settlement {
        /// How.
        0 by: SettledBy,
        /// What proves it: the payment, or the netting.
        1 proof: Identity,
        /// Whose debt it was.
        2 debtor: Party,
        /// How much.
        3 amount: MinorUnits,
    }
}

codes! {
    /// One of the two grids of a position.
    pub enum Party {
        /// The one whose key comes first.
        0 First,
        /// The other one.
        1 Second,
    }
}

codes! {
    /// How a debt was settled.
    pub enum SettledBy {
        /// The creditor has signed a payment.
        1 Payment,
        /// A netting that every affected grid has signed.
        2 Netting,
    }
}

/// The most lanes, and the most settlements, of one position; what is more goes into the next.
pub const MAX_POSITION_LINES: usize = 256;

impl Many for PositionLine {
    const MANY: usize = MAX_POSITION_LINES;
}

impl Many for Settlement {
    const MANY: usize = MAX_POSITION_LINES;
}

/// A verified position.
pub type Position = Signed<PositionBody>;

/// Why a position does not follow from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Of other grids, another asset, or another clearing node.
    #[error("it is of another pair of grids, another asset or another clearing node")]
    OtherBooks,
    /// Not the next number, or not the hash of the one before: a history that forked.
    #[error("it does not follow the position before it: the history forked")]
    Fork,
    /// The totals are not those of the one before with what was booked since.
    #[error("its totals are not those of the position before it with what was booked since")]
    Totals,
}

impl PositionBody {
    /// What this debtor owes, less what is settled; more may be settled than is owed.
    pub fn owed(&self, debtor: Party) -> i128 {
        let (charged, settled) = match debtor {
            Party::First => (self.charged_first, self.settled_first),
            Party::Second => (self.charged_second, self.settled_second),
        };
        i128::from(charged.0) - i128::from(settled.0)
    }

    /// What the first owes the second after both debts are set off; negative if the second owes.
    pub fn net(&self) -> i128 {
        self.owed(Party::First) - self.owed(Party::Second)
    }

    /// Whether it follows from `before`: the same books, the next number, its hash, and its totals with what was booked since.
    pub fn follows(&self, before: Option<&Position>) -> Result<(), ChainFault> {
        let Some(before) = before else {
            return if self.number == 1 { self.adds_up([0; 4]) } else { Err(ChainFault::Fork) };
        };
        let books = |body: &Self| (body.clearing, body.first, body.second, body.asset);
        let body = before.body();
        if books(self) != books(body) {
            return Err(ChainFault::OtherBooks);
        }
        if self.previous != Some(before.identity()) || self.number != body.number + 1 {
            return Err(ChainFault::Fork);
        }
        self.adds_up(body.totals())
    }

    /// The position after `last` in the books of `clearing` for the first and the second of two grids, with what was booked
    /// since. `None` if a total would grow beyond what amounts can say.
    pub fn next(
        last: Option<&Position>,
        clearing: GridId,
        signer: PublicKey,
        (first, second, asset): (GridId, GridId, Asset),
        time: UnixSeconds,
        lanes: Vec<PositionLine>,
        settled: Vec<Settlement>,
    ) -> Option<Self> {
        let [charged_first, charged_second, settled_first, settled_second] =
            last.map_or([0; 4], |last| last.body().totals()).map(MinorUnits);
        let mut next = Self {
            clearing,
            signer,
            first,
            second,
            asset,
            number: last.map_or(1, |last| last.body().number + 1),
            previous: last.map(Position::identity),
            // A clock that was set back does not turn the order of positions.
            time: last.map_or(time, |last| time.max(last.body().time)),
            lanes,
            settled,
            charged_first,
            charged_second,
            settled_first,
            settled_second,
        };
        let add = |total: &mut MinorUnits, more: u64| {
            let sum = total.0.checked_add(more).map(MinorUnits).filter(|sum| *sum <= MinorUnits::MAX)?;
            *total = sum;
            Some(())
        };
        for line in &next.lanes {
            let more = line.to_amount.0.checked_sub(line.from_amount.0)?;
            match line.debtor {
                Party::First => add(&mut next.charged_first, more)?,
                Party::Second => add(&mut next.charged_second, more)?,
            }
        }
        for line in &next.settled {
            match line.debtor {
                Party::First => add(&mut next.settled_first, line.amount.0)?,
                Party::Second => add(&mut next.settled_second, line.amount.0)?,
            }
        }
        Some(next)
    }

    fn totals(&self) -> [u64; 4] {
        [self.charged_first.0, self.charged_second.0, self.settled_first.0, self.settled_second.0]
    }

    fn adds_up(&self, before: [u64; 4]) -> Result<(), ChainFault> {
        let mut sums = before.map(i128::from);
        for line in &self.lanes {
            sums[usize::from(line.debtor == Party::Second)] +=
                i128::from(line.to_amount.0) - i128::from(line.from_amount.0);
        }
        for line in &self.settled {
            sums[2 + usize::from(line.debtor == Party::Second)] += i128::from(line.amount.0);
        }
        if sums == self.totals().map(i128::from) { Ok(()) } else { Err(ChainFault::Totals) }
    }

    fn contradiction(&self) -> Result<(), Contradiction> {
        let mut lanes: Vec<_> = self.lanes.iter().map(|line| line.lane).collect();
        lanes.sort_unstable();
        match self {
            _ if self.first >= self.second => Err(("second", "the two grids stand in the order of their keys")),
            _ if (self.number == 1) != self.previous.is_none() => {
                Err(("previous", "every position but the first names the one before it"))
            }
            _ if self.lanes.is_empty() && self.settled.is_empty() => Err(("lanes", "nothing was booked")),
            _ if lanes.windows(2).any(|pair| pair[0] == pair[1]) => Err(("lanes", "one lane twice")),
            _ if self.number == 1 && self.adds_up([0; 4]).is_err() => {
                Err(("charged_first", "the totals of a first position are the sums of its lines"))
            }
            _ => Ok(()),
        }
    }
}

impl PositionLine {
    fn contradiction(&self) -> Result<(), Contradiction> {
        if self.to_bytes <= self.from_bytes || self.to_amount < self.from_amount || self.to_bytes.0 > MOST {
            return Err(("to_bytes", "a lane is booked further, never back"));
        }
        Ok(())
    }
}

impl Settlement {
    fn contradiction(&self) -> Result<(), Contradiction> {
        if self.amount.0 == 0 { Err(("amount", "nothing is settled")) } else { Ok(()) }
    }
}

impl Payload for PositionBody {
    const TYPE: ObjectType = ObjectType::Position;
    /// 256 lanes of 76, 256 settlements of 50, and 512 for the rest.
    const MAX_BYTES: usize = MAX_POSITION_LINES * (76 + 50) + 512;
}

impl SignedByOne for PositionBody {
    fn owner(&self) -> &[u8; 32] {
        self.clearing.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}
