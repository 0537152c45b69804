//! Grids of which nobody held a record a moment ago: so that a program that asks in a loop does not walk in a loop.

use crate::keys::GridId;
use crate::units::{Seconds, UnixSeconds};
use std::collections::HashMap;

/// How long "not found" is believed. A grid that is being set up is asked for again and again by people who wait for it.
const KEPT: Seconds = Seconds(10);
/// How many are remembered; beyond it the memory begins anew.
const MAX_GRIDS: usize = 4_096;

/// What was not found, and when. Asked only where there is neither a floor nor a record at hand: either proves that there
/// is something to find.
#[derive(Debug, Default)]
pub(crate) struct Absent(HashMap<GridId, (u32, UnixSeconds)>);

impl Absent {
    /// Notes that `asked` servers were asked for a grid and none held a record.
    pub(crate) fn note(&mut self, grid: GridId, asked: u32, now: UnixSeconds) {
        self.0.retain(|_, (_, at)| is_young(*at, now));
        if self.0.len() >= MAX_GRIDS {
            self.0.clear();
        }
        self.0.insert(grid, (asked, now));
    }

    /// How many servers were asked, and how long ago, if that was just now.
    pub(crate) fn of(&self, grid: &GridId, now: UnixSeconds) -> Option<(u32, Seconds)> {
        self.0.get(grid).filter(|(_, at)| is_young(*at, now)).map(|(asked, at)| (*asked, now.since(*at)))
    }

    /// Forgets it: something was found.
    pub(crate) fn forget(&mut self, grid: &GridId) {
        self.0.remove(grid);
    }
}

/// A clock that was set back proves nothing.
fn is_young(at: UnixSeconds, now: UnixSeconds) -> bool {
    at <= now && now.since(at) < KEPT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    const NOW: UnixSeconds = UnixSeconds(1_000_000);

    fn grid(n: u16) -> GridId {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        GridId::new(SecretKey::from_seed(&seed).public())
    }

    #[test]
    fn what_was_not_found_is_asked_for_again_after_ten_seconds() {
        let mut absent = Absent::default();
        absent.note(grid(1), 7, NOW);
        assert_eq!(absent.of(&grid(1), NOW.plus(Seconds(9))), Some((7, Seconds(9))));
        assert_eq!(absent.of(&grid(1), NOW.plus(Seconds(10))), None);
        assert_eq!(absent.of(&grid(1), UnixSeconds(NOW.0 - 1)), None);
        assert_eq!(absent.of(&grid(2), NOW), None);
        absent.forget(&grid(1));
        assert_eq!(absent.of(&grid(1), NOW), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut absent = Absent::default();
        let some = grid(1);
        for _ in 0..2 {
            absent.note(some, 1, NOW);
        }
        for n in 0..=MAX_GRIDS as u16 {
            absent.0.insert(grid(n), (1, NOW));
        }
        absent.note(grid(9_999), 1, NOW);
        assert_eq!(absent.0.len(), 1);
        absent.note(some, 1, NOW.plus(KEPT));
        assert_eq!(absent.0.len(), 1, "the old ones go first");
    }
}
