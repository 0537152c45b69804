//! The strangers' pool: what a grid whose downloads are free gives to grids that it has no terms with.

use crate::address::Network;
use crate::keys::GridId;
use crate::tariff::allowance::{Allowance, Spent};
use crate::tariff::window::{Ask, Ticket, Window, WindowRefusal};
use crate::units::{Bytes, UnixSeconds};
use std::collections::HashMap;
use std::num::NonZeroU32;

/// A grid without terms, and the network that it calls from. A grid id costs nothing to make, a network does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stranger {
    /// The grid.
    pub grid: GridId,
    /// Where its gateway calls from.
    pub network: Network,
}

impl Stranger {
    fn accounts(&self) -> [PoolAccount; 2] {
        [PoolAccount::Grid(self.grid), PoolAccount::Network(self.network.clone())]
    }
}

/// For whom the pool counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PoolAccount {
    /// A grid.
    Grid(GridId),
    /// All grids that call from there.
    Network(Network),
}

/// Why the pool gives a unit to nobody, or not to this stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// No room under way.
    #[error("the strangers' pool: {0}")]
    Window(#[from] WindowRefusal),
    /// Nothing is left of the day.
    #[error("the strangers' pool: {0}")]
    Spent(#[from] Spent),
}

/// What is under way to strangers, and what they were given today.
#[derive(Debug)]
pub struct Pool {
    window: Window<PoolAccount>,
    day: Allowance<PoolAccount>,
    units: HashMap<Ticket, (Stranger, Bytes, UnixSeconds)>,
}

impl Pool {
    /// How much is under way to all strangers together, from all gateways of a grid.
    pub const WINDOW: Bytes = Bytes(16 << 20);
    /// How much all strangers together are given in a day, by all gateways of a grid.
    pub const DAY: Bytes = Bytes(10 << 30);

    /// A pool of which nothing was given yet.
    pub fn new() -> Self {
        Self { window: Window::new(Self::WINDOW), day: Allowance::new(Self::DAY), units: HashMap::new() }
    }

    /// Gives the part of one of so many gateways of a grid, each of which counts for itself. Returns those that are under way from
    /// now on.
    pub fn split(&mut self, gateways: NonZeroU32) -> Vec<Ticket> {
        let part = |whole: Bytes| Bytes(whole.0 / u64::from(gateways.get()));
        self.day.set_whole(part(Self::DAY));
        self.window.set_whole(part(Self::WINDOW))
    }

    /// How much may be under way, and so the largest unit that ever gets through.
    pub fn window(&self) -> Bytes {
        self.window.whole()
    }

    /// Counts what a grid was given earlier today, as a restart remembers it.
    pub fn remember(&mut self, grid: GridId, given: Bytes, now: UnixSeconds) {
        self.day.note(&[PoolAccount::Grid(grid)], given, now);
    }

    /// Asks for a unit: it is under way, waits for its turn, or is refused.
    pub fn ask(&mut self, stranger: &Stranger, unit: Bytes, now: UnixSeconds) -> Result<Ask, PoolRefusal> {
        let accounts = stranger.accounts();
        if unit > self.window.whole() {
            return Err(WindowRefusal::TooLarge { unit, window: self.window.whole() }.into());
        }
        self.day.take(&accounts, unit, now)?;
        let asked = self.window.ask(&accounts, unit).inspect_err(|_| self.day.give_back(&accounts, unit, now))?;
        let (Ask::Granted(ticket) | Ask::Waits(ticket)) = asked;
        self.units.insert(ticket, (stranger.clone(), unit, now));
        Ok(asked)
    }

    /// A unit has arrived, or is given up; so much of it was sent. Returns those that are under way from now on.
    pub fn end(&mut self, ticket: Ticket, sent: Bytes) -> Vec<Ticket> {
        if let Some((stranger, unit, taken)) = self.units.remove(&ticket) {
            let kept = Bytes(unit.0.saturating_sub(sent.0));
            self.day.give_back(&stranger.accounts(), kept, taken);
        }
        self.window.end(ticket)
    }

    /// What is under way.
    pub fn out(&self) -> Bytes {
        self.window.out()
    }

    /// What strangers were given today.
    pub fn given(&self) -> Bytes {
        self.day.given()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::units::Seconds;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const MIB: u64 = 1 << 20;

    fn stranger(grid: u8, network: u8) -> Stranger {
        let network = Network::of(Ipv4Addr::new(192, 0, network, 1).into());
        Stranger { grid: GridId::new(SecretKey::from_seed(&[grid; 32]).public()), network }
    }

    #[test]
    fn a_new_grid_from_the_same_network_is_no_new_share() {
        let mut pool = Pool::new();
        for grid in 1..=4 {
            assert!(matches!(pool.ask(&stranger(grid, 1), Bytes(MIB), NOW), Ok(Ask::Granted(_))));
        }
        assert!(matches!(pool.ask(&stranger(5, 1), Bytes(MIB), NOW), Ok(Ask::Waits(_))));
        assert!(matches!(pool.ask(&stranger(6, 1), Bytes(1), NOW), Ok(Ask::Waits(_))), "it overtakes nobody");
        assert!(
            matches!(pool.ask(&stranger(5, 2), Bytes(MIB), NOW), Ok(Ask::Granted(_))),
            "from elsewhere there is room"
        );
        assert_eq!(pool.out(), Bytes(5 * MIB));
    }

    #[test]
    fn a_unit_as_large_as_the_window_passes_alone_and_a_larger_one_never() {
        let mut pool = Pool::new();
        assert!(matches!(pool.ask(&stranger(1, 1), Pool::WINDOW, NOW), Ok(Ask::Granted(_))));
        let refused = pool.ask(&stranger(2, 2), Bytes(Pool::WINDOW.0 + 1), NOW);
        assert!(matches!(refused, Err(PoolRefusal::Window(WindowRefusal::TooLarge { .. }))));
    }

    #[test]
    fn a_grid_gets_a_quarter_of_the_day_and_what_was_not_sent_is_no_part_of_it() {
        let mut pool = Pool::new();
        let grid = stranger(1, 1);
        pool.remember(grid.grid, Bytes(Pool::DAY.0 / 4 - MIB), NOW);
        let Ok(Ask::Granted(ticket)) = pool.ask(&grid, Bytes(MIB), NOW) else { panic!("refused") };
        assert!(matches!(pool.ask(&grid, Bytes(1), NOW), Err(PoolRefusal::Spent(_))));
        assert_eq!(pool.end(ticket, Bytes(MIB - 1)), []);
        assert!(matches!(pool.ask(&grid, Bytes(1), NOW), Ok(Ask::Granted(_))));
        assert!(matches!(pool.ask(&grid, Bytes(1), NOW), Err(PoolRefusal::Spent(_))));
        assert!(matches!(pool.ask(&grid, Bytes(1), NOW.plus(Seconds::days(1))), Ok(Ask::Granted(_))));
    }

    /// A pool of each of several gateways gave as many times of it as there are gateways.
    #[test]
    fn several_gateways_give_together_what_one_gives() {
        for gateways in 1..=4_u32 {
            let (mut out, mut given) = (0, 0);
            for _ in 0..gateways {
                let mut pool = Pool::new();
                pool.split(gateways.try_into().unwrap());
                // A quarter of it for each of four strangers, as long as there is some.
                for grid in 1..=4 {
                    while matches!(pool.ask(&stranger(grid, grid), Bytes(MIB / 4), NOW), Ok(Ask::Granted(_))) {}
                }
                out += pool.out().0;
                for grid in 1..=4 {
                    while let Ok(Ask::Granted(ticket) | Ask::Waits(ticket)) =
                        pool.ask(&stranger(grid, grid), Bytes(MIB), NOW)
                    {
                        pool.end(ticket, Bytes(MIB));
                    }
                }
                given += pool.given().0;
            }
            assert!(out <= Pool::WINDOW.0 && out > Pool::WINDOW.0 / 2, "{gateways}: {out}");
            assert!(given <= Pool::DAY.0 && given > Pool::DAY.0 / 2, "{gateways}: {given}");
        }
    }

    proptest! {
        #[test]
        fn the_pool_never_gives_more_than_its_window_and_its_day(
            steps in proptest::collection::vec((any::<bool>(), 0_u8..6, 0_u8..4, 0_u64..20 * MIB), 1..100),
        ) {
            let mut pool = Pool::new();
            let mut live = Vec::new();
            for (end, grid, network, size) in steps {
                if end && !live.is_empty() {
                    let (ticket, unit) = live.swap_remove(0);
                    for granted in pool.end(ticket, unit) {
                        let unit = pool.units[&granted].1;
                        live.push((granted, unit));
                    }
                } else if let Ok(Ask::Granted(ticket)) = pool.ask(&stranger(grid, network), Bytes(size), NOW) {
                    live.push((ticket, Bytes(size)));
                }
                prop_assert_eq!(pool.out().0, live.iter().map(|(_, unit)| unit.0).sum::<u64>());
                prop_assert!(pool.out() <= Pool::WINDOW && pool.given() <= Pool::DAY);
            }
        }
    }
}
