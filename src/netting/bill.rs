//! The bill of a period, from a chain of positions alone: both sides and the clearing node come to the same.

use crate::keys::{GridId, PublicKey, SecretKey};
use crate::netting::ageing::{Ageing, Outstanding, age, pay_oldest_first};
use crate::netting::statement::payable;
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::wire::{Party, Position, PositionBody, Signed, Statement, StatementBody};
use crate::units::{MinorUnits, Seconds, UnixSeconds};
use std::ops::Range;

/// What one grid owes another after a period. `brought_forward + charged = set_off + settled + payable + carried`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// Whose chain it is from.
    pub clearing: GridId,
    /// Who is paid.
    pub creditor: GridId,
    /// Who pays.
    pub debtor: GridId,
    /// What amounts are counted in.
    pub asset: Asset,
    /// The first second of the period, and the first after it.
    pub period: Range<UnixSeconds>,
    /// The last position of the period.
    pub position: Identity,
    /// What the debtor owed before, with what it was paid by the creditor since.
    pub brought_forward: u128,
    /// What the creditor has charged.
    pub charged: u128,
    /// What the debtor has charged, with what it was owed before.
    pub set_off: u128,
    /// What was paid or netted of the debtor's debt.
    pub settled: u128,
    /// Whole payable units.
    pub payable: u128,
    /// The remainder.
    pub carried: u128,
}

/// The bill of `period` from the positions of one chain, in their order. `None` where nothing was booked until its end.
pub fn bill(chain: &[Position], period: Range<UnixSeconds>) -> Option<Bill> {
    let until = |time: UnixSeconds| chain.iter().take_while(move |position| position.body().time < time).last();
    let last = until(period.end)?;
    let (before, after) = (until(period.start).map(Position::body), last.body());
    let totals = |body: Option<&PositionBody>, party: Party| {
        body.map_or((0, 0), |body| match party {
            Party::First => (u128::from(body.charged_first.0), u128::from(body.settled_first.0)),
            Party::Second => (u128::from(body.charged_second.0), u128::from(body.settled_second.0)),
        })
    };
    // Where both come out even, the one whose key comes first is told that it owes nothing.
    let (debtor, creditor) =
        if after.net() >= 0 { (Party::First, Party::Second) } else { (Party::Second, Party::First) };
    let since = |party| {
        let ((charged, settled), (charged_before, settled_before)) =
            (totals(Some(after), party), totals(before, party));
        (charged - charged_before, settled - settled_before)
    };
    let (charged, settled) = since(debtor);
    let (set_off, paid_back) = since(creditor);
    let owed_before = before.map_or(0, |before| match debtor {
        Party::First => before.net(),
        Party::Second => -before.net(),
    });
    let due = payable(after.asset, after.net().unsigned_abs(), 0);
    let grid = |party| if party == Party::First { after.first } else { after.second };
    Some(Bill {
        clearing: after.clearing,
        creditor: grid(creditor),
        debtor: grid(debtor),
        asset: after.asset,
        period,
        position: last.identity(),
        brought_forward: owed_before.max(0).unsigned_abs() + paid_back,
        charged,
        set_off: set_off + owed_before.min(0).unsigned_abs(),
        settled,
        payable: due.due,
        carried: due.carried,
    })
}

/// Why a bill is not signed.
#[derive(Debug, thiserror::Error)]
pub enum NotSigned {
    /// Something may still be booked in it.
    #[error("the period is not over before {0}: until then its figures may change")]
    NotOver(UnixSeconds),
    /// Its amounts, or its period, are beyond what a statement can say.
    #[error("its amounts or its period are beyond what a statement can say")]
    TooLarge,
}

impl Bill {
    /// The statement that `issuer`, who keeps the chain, signs with `key`. Of one chain and period there is one, whenever it is
    /// signed.
    pub fn signed(&self, issuer: GridId, key: &SecretKey, now: UnixSeconds) -> Result<Statement, NotSigned> {
        if now < self.period.end {
            return Err(NotSigned::NotOver(self.period.end));
        }
        let body = self.statement(issuer, key.public()).ok_or(NotSigned::TooLarge)?;
        Signed::sign(&body, key).map_err(|_| NotSigned::TooLarge)
    }

    /// As it is signed. `None` if an amount is beyond what one can say.
    pub fn statement(&self, issuer: GridId, signer: PublicKey) -> Option<StatementBody> {
        let amount =
            |amount: u128| u64::try_from(amount).ok().map(MinorUnits).filter(|amount| *amount <= MinorUnits::MAX);
        Some(StatementBody {
            issuer,
            signer,
            creditor: self.creditor,
            debtor: self.debtor,
            asset: self.asset,
            from: self.period.start,
            until: self.period.end,
            position: Some(self.position),
            brought_forward: amount(self.brought_forward)?,
            charged: amount(self.charged)?,
            set_off: amount(self.set_off)?,
            settled: amount(self.settled)?,
            payable: amount(self.payable)?,
            carried: amount(self.carried)?,
        })
    }
}

/// How long it is that what `debtor` owes by this chain has been due, each charge being due `settle` after it was booked.
pub fn ageing(chain: &[Position], debtor: &GridId, settle: Seconds, now: UnixSeconds) -> Ageing {
    let (mut outstanding, mut paid) = (Vec::new(), 0_u128);
    for body in chain.iter().map(Position::body) {
        let is_debtor = |party| debtor == if party == Party::First { &body.first } else { &body.second };
        for line in &body.lanes {
            let amount = u128::from(line.to_amount.0 - line.from_amount.0);
            if is_debtor(line.debtor) {
                outstanding.push(Outstanding { due: body.time.plus(settle), amount });
            } else {
                paid += amount;
            }
        }
        paid += body
            .settled
            .iter()
            .filter(|line| is_debtor(line.debtor))
            .map(|line| u128::from(line.amount.0))
            .sum::<u128>();
        // What the debtor was paid back it owes again.
        let back =
            body.settled.iter().filter(|line| !is_debtor(line.debtor)).map(|line| u128::from(line.amount.0)).sum();
        outstanding.push(Outstanding { due: body.time.plus(settle), amount: back });
    }
    pay_oldest_first(&mut outstanding, paid);
    age(&outstanding, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netting::chains::{DAY, NOW, chain, grid};
    use proptest::prelude::*;

    #[test]
    fn the_creditor_is_the_one_to_whom_something_is_due() {
        let chain = chain(&[(true, 50_000_000, 0), (false, 20_000_001, 0)]);
        let bill = bill(&chain, NOW..NOW.plus(Seconds::days(9))).unwrap();
        assert_eq!(bill.debtor, grid(1).min(grid(2)));
        assert_eq!((bill.charged, bill.set_off), (50_000_000, 20_000_001));
        assert_eq!((bill.payable, bill.carried), (20_000_000, 9_999_999));
    }

    #[test]
    fn what_is_not_paid_is_brought_forward_and_ages() {
        let chain = chain(&[(true, 30_000_000, 0), (true, 40_000_000, 20_000_000)]);
        let second_day = NOW.plus(Seconds::days(1))..NOW.plus(Seconds::days(2));
        let bill = bill(&chain, second_day).unwrap();
        assert_eq!((bill.brought_forward, bill.charged, bill.settled), (30_000_000, 40_000_000, 20_000_000));
        assert_eq!((bill.payable, bill.carried), (50_000_000, 0));
        let ageing = ageing(&chain, &bill.debtor, Seconds::days(10), NOW.plus(Seconds::days(10)));
        assert_eq!((ageing.to_30_days, ageing.not_due), (10_000_000, 40_000_000));
    }

    proptest! {
        #[test]
        fn every_bill_adds_up_and_ends_at_what_is_owed(
            days in prop::collection::vec((any::<bool>(), 1..1_u64 << 40, 0..1_u64 << 40), 1..12),
            from in 0..12_u64, length in 1..12_u64,
        ) {
            let chain = chain(&days);
            let period = NOW.plus(Seconds(from * DAY))..NOW.plus(Seconds((from + length) * DAY));
            if let Some(bill) = bill(&chain, period) {
                prop_assert_eq!(bill.brought_forward + bill.charged, bill.set_off + bill.settled + bill.payable + bill.carried);
                let key = SecretKey::from_seed(&[9; 32]);
                let statement = bill.statement(grid(3), key.public()).unwrap();
                prop_assert!(Signed::sign(&statement, &key).is_ok());
            }
        }
    }
}
