//! Paying what each owes in all with few transfers.

use crate::keys::GridId;
use std::cmp::Reverse;

/// One payment: who pays, who is paid, how much.
pub(super) type Transfer = (GridId, GridId, u128);

/// Transfers that bring each of these positions (above zero: is owed) to zero. They must sum to zero.
///
/// Equal amounts meet first; then the largest debtor pays the largest creditor, and so on: fewer transfers than there are
/// positions. The fewest of all would be a search through every subset that sums to zero, which nobody could wait for.
pub(super) fn transfers(positions: &[(GridId, i128)]) -> Vec<Transfer> {
    let side = |sign: i128| {
        let of_side = positions.iter().filter(move |(_, net)| net.signum() == sign);
        let mut side: Vec<_> = of_side.map(|(grid, net)| (net.unsigned_abs(), *grid)).collect();
        side.sort_unstable_by_key(|(amount, grid)| (Reverse(*amount), *grid));
        side
    };
    let (debtors, creditors) = (side(-1), side(1));
    let mut paid = Vec::with_capacity(positions.len());
    let (debtors, creditors) = pay_equals(debtors, creditors, &mut paid);

    let (mut debtors, mut creditors) = (debtors.into_iter(), creditors.into_iter());
    let (mut debtor, mut creditor) = (debtors.next(), creditors.next());
    while let (Some((owes, from)), Some((owed, to))) = (debtor, creditor) {
        let amount = owes.min(owed);
        paid.push((from, to, amount));
        debtor = if owes > amount { Some((owes - amount, from)) } else { debtors.next() };
        creditor = if owed > amount { Some((owed - amount, to)) } else { creditors.next() };
    }
    paid
}

/// A side's positions, largest first.
type Side = Vec<(u128, GridId)>;

/// Pairs those who owe and are owed the same; returns the others.
fn pay_equals(debtors: Side, creditors: Side, paid: &mut Vec<Transfer>) -> (Side, Side) {
    let (mut left_debtors, mut left_creditors) = (Vec::new(), Vec::new());
    let (mut debtors, mut creditors) = (debtors.into_iter().peekable(), creditors.into_iter().peekable());
    while let (Some((owes, from)), Some((owed, to))) = (debtors.peek().copied(), creditors.peek().copied()) {
        if owes == owed {
            paid.push((from, to, owes));
        }
        if owes >= owed {
            debtors.next();
        }
        if owed >= owes {
            creditors.next();
        }
        if owes > owed {
            left_debtors.push((owes, from));
        } else if owed > owes {
            left_creditors.push((owed, to));
        }
    }
    left_debtors.extend(debtors);
    left_creditors.extend(creditors);
    (left_debtors, left_creditors)
}
