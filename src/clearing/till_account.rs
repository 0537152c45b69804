//! One payer at a till: its window over all lanes, what it never vouched for, and what of that is written off.

use crate::keys::PublicKey;
use crate::tariff::{Ask, Ticket, Window, WindowRefusal};
use crate::units::{Bytes, UnixSeconds};
use std::collections::VecDeque;

/// What is written off a day beside the hundredth: what a crash or a lost connection leaves.
const WRITTEN_OFF: u64 = 16 << 20;
/// And of what was vouched for on that day, one in so many octets.
const FRACTION: u64 = 100;
/// In what pieces old debts stand in the window, so that they can be written off bit by bit.
const PIECE: u64 = 1 << 20;
const DAY: u64 = 86_400;

/// A payer, and the window that its terms give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AccountKey {
    pub(super) payer: PublicKey,
    /// Octets.
    pub(super) window: u64,
}

/// What is under way to one payer and what it left unvouched.
#[derive(Debug)]
pub(super) struct Account {
    window: Window<()>,
    /// What was sent and will not be vouched for any more: it stays in the window.
    debts: VecDeque<(Ticket, u64)>,
    /// Such debts as the window has no room for.
    beyond: u64,
    day: u64,
    vouched_today: u64,
    written_off_today: u64,
}

/// What a day's write-off has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenOff {
    /// Days since 1970.
    pub(super) day: u64,
    /// All of that day.
    pub(super) bytes: Bytes,
}

impl Account {
    /// A payer that owes vouchers for so many octets from before.
    pub(super) fn new(window: Bytes, debt: Bytes) -> Self {
        let mut account = Self {
            window: Window::new(window),
            debts: VecDeque::new(),
            beyond: debt.0,
            day: 0,
            vouched_today: 0,
            written_off_today: 0,
        };
        while account.beyond > 0 {
            let piece = account.beyond.min(PIECE);
            match account.window.ask(&[], Bytes(piece)) {
                Ok(Ask::Granted(ticket)) => {
                    account.debts.push_back((ticket, piece));
                    account.beyond -= piece;
                }
                Ok(Ask::Waits(ticket)) => {
                    account.window.end(ticket);
                    break;
                }
                Err(_) => break,
            }
        }
        account
    }

    pub(super) fn ask(&mut self, unit: Bytes) -> Result<Ask, WindowRefusal> {
        self.window.ask(&[], unit)
    }

    /// A unit was vouched for, or never went out. Returns who has room now.
    pub(super) fn end(&mut self, ticket: Ticket) -> Vec<Ticket> {
        self.window.end(ticket)
    }

    /// Counts what a voucher added, for the day's write-off.
    pub(super) fn vouched(&mut self, octets: Bytes, now: UnixSeconds) {
        self.turn(now);
        self.vouched_today = self.vouched_today.saturating_add(octets.0);
    }

    /// A unit went out and nobody will vouch for it.
    pub(super) fn left(&mut self, ticket: Ticket, octets: u64) {
        self.debts.push_back((ticket, octets));
    }

    /// So many octets of old debts were vouched for after all. Returns who has room now.
    pub(super) fn redeemed(&mut self, octets: Bytes) -> Vec<Ticket> {
        self.take(octets.0)
    }

    /// Writes off what may be. Returns who has room now, and what this day's write-off has come to if it grew.
    pub(super) fn write_off(&mut self, now: UnixSeconds) -> (Vec<Ticket>, Option<WrittenOff>) {
        self.turn(now);
        let owed = self.debt();
        let allowed = WRITTEN_OFF + self.vouched_today / FRACTION;
        let octets = owed.0.min(allowed.saturating_sub(self.written_off_today));
        if octets == 0 {
            return (Vec::new(), None);
        }
        self.written_off_today += octets;
        let written_off = WrittenOff { day: self.day, bytes: Bytes(self.written_off_today) };
        (self.take(octets), Some(written_off))
    }

    /// What was sent, never vouched for and not written off.
    pub(super) fn debt(&self) -> Bytes {
        Bytes(self.debts.iter().map(|(_, octets)| octets).sum::<u64>() + self.beyond)
    }

    /// Whether nothing is lost by forgetting it. What was written off today counts until the day is over: else a payer would have
    /// the whole of it again with the next account.
    pub(super) fn is_idle(&self, now: UnixSeconds) -> bool {
        let of_today = self.day == now.0 / DAY && self.written_off_today > 0;
        self.window.is_idle() && self.beyond == 0 && !of_today
    }

    fn take(&mut self, mut octets: u64) -> Vec<Ticket> {
        let beyond = octets.min(self.beyond);
        self.beyond -= beyond;
        octets -= beyond;
        let mut granted = Vec::new();
        while octets > 0
            && let Some((ticket, piece)) = self.debts.front_mut()
        {
            if *piece > octets {
                // Its place in the window is kept whole until it is all gone.
                *piece -= octets;
                break;
            }
            octets -= *piece;
            let ticket = *ticket;
            self.debts.pop_front();
            granted.extend(self.window.end(ticket));
        }
        granted
    }

    fn turn(&mut self, now: UnixSeconds) {
        let day = now.0 / DAY;
        if day > self.day {
            (self.day, self.vouched_today, self.written_off_today) = (day, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const MIB: u64 = 1 << 20;

    fn granted(ask: Result<Ask, WindowRefusal>) -> Option<Ticket> {
        match ask {
            Ok(Ask::Granted(ticket)) => Some(ticket),
            _ => None,
        }
    }

    #[test]
    fn what_was_left_before_a_restart_is_still_in_the_window() {
        let mut account = Account::new(Bytes(16 * MIB), Bytes(40 * MIB));
        assert_eq!(account.debt(), Bytes(40 * MIB));
        assert!(granted(account.ask(Bytes(1))).is_none(), "the window is full of it");
        let (room, written_off) = account.write_off(NOW);
        assert!(room.is_empty());
        assert_eq!(written_off, Some(WrittenOff { day: NOW.0 / DAY, bytes: Bytes(16 * MIB) }));
        assert_eq!(account.write_off(NOW), (vec![], None), "no more on that day");
        let (_, tomorrow) = account.write_off(UnixSeconds(NOW.0 + DAY));
        assert_eq!(tomorrow.map(|written| written.bytes), Some(Bytes(16 * MIB)));
        assert_eq!(account.debt(), Bytes(8 * MIB));
    }

    #[test]
    fn a_hundredth_of_what_was_vouched_for_is_written_off_beside() {
        let mut account = Account::new(Bytes(64 * MIB), Bytes(20 * MIB));
        account.vouched(Bytes(200 * MIB), NOW);
        assert_eq!(account.write_off(NOW).1.map(|written| written.bytes), Some(Bytes(18 * MIB)));
    }

    #[test]
    fn a_days_write_off_is_not_forgotten_before_the_day_is_over() {
        let mut account = Account::new(Bytes(4 * MIB), Bytes(4 * MIB));
        assert!(!account.is_idle(NOW));
        account.write_off(NOW);
        assert_eq!(account.debt(), Bytes(0));
        assert!(!account.is_idle(NOW), "a new account would write off as much again today");
        assert!(account.is_idle(UnixSeconds(NOW.0 + DAY)));
    }

    #[test]
    fn a_late_voucher_makes_room() {
        let mut account = Account::new(Bytes(4 * MIB), Bytes(4 * MIB));
        let Ok(Ask::Waits(ticket)) = account.ask(Bytes(MIB)) else { panic!("there was room") };
        assert_eq!(account.redeemed(Bytes(MIB)), [ticket]);
    }
}
