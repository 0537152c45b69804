//! Chains of positions to be tested with. Grids are numbered.

use crate::keys::{GridId, SecretKey};
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::wire::{Party, Position, PositionBody, PositionLine, SettledBy, Settlement, Signed};
use crate::units::{Bytes, MinorUnits, Seconds, UnixSeconds};

pub(super) const DAY: u64 = 86_400;
pub(super) const NOW: UnixSeconds = UnixSeconds(20_000 * DAY);

pub(super) fn grid(n: u8) -> GridId {
    GridId::new(SecretKey::from_seed(&[n; 32]).public())
}

/// A chain of what happens on each day: who owes more (first or not), how much, and how much of it is paid at once.
pub(super) fn chain(days: &[(bool, u64, u64)]) -> Vec<Position> {
    let key = SecretKey::from_seed(&[9; 32]);
    let usd = Asset::from_code("USD").unwrap();
    let (first, second) = (grid(1).min(grid(2)), grid(1).max(grid(2)));
    let mut chain: Vec<Position> = Vec::new();
    for (day, (first_owes, amount, paid)) in days.iter().enumerate() {
        let debtor = if *first_owes { Party::First } else { Party::Second };
        let mut lane = [0; 32];
        lane[..8].copy_from_slice(&(day as u64).to_be_bytes());
        let line = PositionLine {
            lane: Identity(lane),
            debtor,
            from_bytes: Bytes(0),
            to_bytes: Bytes(1),
            from_amount: MinorUnits(0),
            to_amount: MinorUnits(*amount),
        };
        let settled = Settlement { by: SettledBy::Payment, proof: Identity(lane), debtor, amount: MinorUnits(*paid) };
        let settled = if *paid > 0 { vec![settled] } else { Vec::new() };
        let time = NOW.plus(Seconds(day as u64 * DAY));
        let body =
            PositionBody::next(chain.last(), grid(3), key.public(), (first, second, usd), time, vec![line], settled);
        chain.push(Signed::sign(&body.unwrap(), &key).unwrap());
    }
    chain
}
