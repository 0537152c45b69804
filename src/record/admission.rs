//! Whose record a full store gives up for a new one.
//!
//! A store keeps what lies nearest to it, as Kademlia asks: an attacker who fills it with records of invented grids pushes
//! out what others keep too, and never the node's own. Expired records go first.

use crate::keys::GridId;
use crate::units::UnixSeconds;
use sha2::{Digest, Sha256};

/// A place in Kademlia's key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place([u8; 32]);

impl Place {
    /// Where a grid's record belongs: SHA-256 of its record key.
    pub fn of_grid(grid: &GridId) -> Self {
        Self(Sha256::digest(grid.record_key().as_bytes()).into())
    }

    /// Where a node stands: SHA-256 of its peer id.
    pub fn of_peer(peer_id: &[u8]) -> Self {
        Self(Sha256::digest(peer_id).into())
    }

    /// How far apart two places are: their XOR, read as a number.
    pub fn distance(&self, other: &Self) -> [u8; 32] {
        std::array::from_fn(|i| self.0[i] ^ other.0[i])
    }
}

/// A record that a store has.
#[derive(Debug, Clone, Copy)]
pub struct Resident<'a> {
    /// Whose it is.
    pub grid: &'a GridId,
    /// When it expires.
    pub expires_at: UnixSeconds,
}

/// What becomes of a new record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// There is room, or it replaces the one of the same grid.
    Room,
    /// There is, once the record of this grid is gone.
    Evict(Box<GridId>),
    /// There is none: all that is held lies nearer.
    Full,
}

/// What a store at `node`, which has `residents` and takes `capacity` records, does with one of the grid `offered`.
///
/// `own` is the node's own grid: never evicted, always admitted.
pub fn admit<'a>(
    residents: impl Iterator<Item = Resident<'a>>,
    capacity: usize,
    offered: &GridId,
    own: Option<&GridId>,
    node: &Place,
    now: UnixSeconds,
) -> Admission {
    let mut count = 0;
    let mut expired: Option<Resident<'a>> = None;
    let mut farthest: Option<([u8; 32], &GridId)> = None;
    for resident in residents {
        if resident.grid == offered {
            return Admission::Room;
        }
        count += 1;
        if own == Some(resident.grid) {
            continue;
        }
        if resident.expires_at <= now && expired.is_none_or(|other| resident.expires_at < other.expires_at) {
            expired = Some(resident);
        }
        let distance = Place::of_grid(resident.grid).distance(node);
        if farthest.is_none_or(|(other, _)| distance > other) {
            farthest = Some((distance, resident.grid));
        }
    }
    if count < capacity {
        return Admission::Room;
    }
    if let Some(resident) = expired {
        return Admission::Evict(Box::new(*resident.grid));
    }
    match farthest {
        Some((distance, grid)) if own == Some(offered) || Place::of_grid(offered).distance(node) < distance => {
            Admission::Evict(Box::new(*grid))
        }
        _ => Admission::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DAY, NOW, other_grid};
    use super::*;

    const NODE: Place = Place([0; 32]);

    /// Grids from the nearest to the farthest.
    fn by_distance(count: u8) -> Vec<GridId> {
        let mut grids: Vec<GridId> = (1..=count).map(other_grid).collect();
        grids.sort_by_key(|grid| Place::of_grid(grid).distance(&NODE));
        grids
    }

    fn fresh(grids: &[GridId]) -> impl Iterator<Item = Resident<'_>> {
        grids.iter().map(|grid| Resident { grid, expires_at: NOW.plus(DAY) })
    }

    fn evict(grid: GridId) -> Admission {
        Admission::Evict(Box::new(grid))
    }

    #[test]
    fn the_farthest_makes_room_for_a_nearer_one() {
        let grids = by_distance(6);
        assert_eq!(admit(fresh(&grids[1..5]), 4, &grids[0], None, &NODE, NOW), evict(grids[4]));
        assert_eq!(admit(fresh(&grids[..4]), 4, &grids[5], None, &NODE, NOW), Admission::Full);
        assert_eq!(admit(fresh(&grids[..4]), 5, &grids[5], None, &NODE, NOW), Admission::Room);
        assert_eq!(admit(fresh(&grids[..4]), 4, &grids[3], None, &NODE, NOW), Admission::Room, "a replacement");
    }

    #[test]
    fn what_has_expired_goes_first() {
        let grids = by_distance(4);
        let with = |expiry: [u64; 3]| {
            let residents = grids.iter().zip(expiry).map(|(grid, at)| Resident { grid, expires_at: UnixSeconds(at) });
            admit(residents, 3, &grids[3], None, &NODE, NOW)
        };
        assert_eq!(with([NOW.0 - 1, NOW.0 + 1, NOW.0 + 1]), evict(grids[0]));
        assert_eq!(with([NOW.0, NOW.0 - 1, NOW.0 + 1]), evict(grids[1]), "the one gone longest");
    }

    #[test]
    fn the_own_record_stays_and_always_enters() {
        let grids = by_distance(4);
        assert_eq!(admit(fresh(&grids[1..4]), 3, &grids[0], Some(&grids[3]), &NODE, NOW), evict(grids[2]));
        assert_eq!(admit(fresh(&grids[..3]), 3, &grids[3], Some(&grids[3]), &NODE, NOW), evict(grids[2]));
        let own = grids[2];
        let residents = || std::iter::once(Resident { grid: &own, expires_at: NOW });
        assert_eq!(admit(residents(), 1, &grids[0], Some(&own), &NODE, NOW), Admission::Full, "even expired");
    }
}
