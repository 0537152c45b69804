//! When a reader follows a grid to the new key that it says it has.
//!
//! The old key alone must not be enough: a thief of it could lead everybody away. So the new key must be the one whose
//! digest the grid published beforehand, and must own up to the old one.

use super::floor::Floor;
use super::grid_record::GridRecord;
use crate::keys::GridId;

/// Why a move is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveFault {
    /// The grid had not said beforehand which key would follow.
    #[error("the grid names the successor {successor}, and had not announced any key to follow")]
    NotAnnounced {
        /// The grid that it names.
        successor: GridId,
    },
    /// The grid had announced another key.
    #[error("the grid names the successor {successor}, and had announced another key to follow")]
    AnotherKey {
        /// The grid that it names.
        successor: GridId,
    },
    /// Two different keys were announced: one of them by a thief.
    #[error("the grid names the successor {successor}, and two different keys were announced to follow")]
    Contested {
        /// The grid that it names.
        successor: GridId,
    },
    /// The successor's record does not name this grid as its predecessor.
    #[error("the successor {successor} does not name {grid} as its predecessor")]
    NotAcknowledged {
        /// The grid that moved.
        grid: GridId,
        /// The grid that it names.
        successor: GridId,
    },
}

/// Where `record` says that its grid has moved, if the `floor` vouches for that key; `None` if it has not moved.
///
/// The move stands only once the record found there passes [`heir_of`].
pub fn moved_to<'r>(record: &'r GridRecord, floor: &Floor) -> Option<Result<&'r GridId, MoveFault>> {
    let successor = record.successor()?;
    let floor = Some(floor).filter(|floor| floor.grid() == record.grid());
    Some(match floor.map(|floor| (floor.contested(), floor.next())) {
        Some((true, _)) => Err(MoveFault::Contested { successor: *successor }),
        Some((false, Some(next))) if next.0 == successor.digest() => Ok(successor),
        Some((false, Some(_))) => Err(MoveFault::AnotherKey { successor: *successor }),
        Some((false, None)) | None => Err(MoveFault::NotAnnounced { successor: *successor }),
    })
}

/// Whether `heir` is of the grid that `record` names and owns up to `record`'s.
pub fn heir_of(record: &GridRecord, heir: &GridRecord) -> Result<(), MoveFault> {
    if record.successor() == Some(heir.grid()) && heir.predecessor() == Some(record.grid()) {
        Ok(())
    } else {
        Err(MoveFault::NotAcknowledged { grid: *record.grid(), successor: *heir.grid() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DAY, NOW, by_grid, grid, grid_key, key, other_grid};
    use super::super::{KeyDigest, RecordDraft, Signer};
    use super::*;

    fn announced(next: Option<GridId>) -> GridRecord {
        let draft = RecordDraft { next: next.map(|next| KeyDigest(next.digest())), ..RecordDraft::new(grid()) };
        draft.sign(by_grid(&grid_key()), None, &[], NOW).expect("signed")
    }

    fn moved(to: u8, previous: &GridRecord) -> GridRecord {
        let draft = RecordDraft { successor: Some(other_grid(to)), next: previous.next(), ..RecordDraft::new(grid()) };
        draft.sign(by_grid(&grid_key()), Some(previous), &[], NOW.plus(DAY)).expect("signed")
    }

    fn floor(first: &GridRecord) -> Floor {
        Floor::of(first, NOW).expect("current")
    }

    #[test]
    fn a_move_to_the_announced_key_is_followed_once_acknowledged() {
        let first = announced(Some(other_grid(7)));
        let record = moved(7, &first);
        assert_eq!(moved_to(&record, &floor(&first)), Some(Ok(&other_grid(7))));
        assert_eq!(moved_to(&first, &floor(&first)), None);
        let heir = |signer: u8, predecessor: Option<GridId>| {
            let draft = RecordDraft { predecessor, ..RecordDraft::new(other_grid(signer)) };
            draft.sign(Signer::Grid { key: &key(signer), serial: NOW }, None, &[], NOW).expect("signed")
        };
        assert_eq!(heir_of(&record, &heir(7, Some(grid()))), Ok(()));
        assert!(heir_of(&record, &heir(7, None)).is_err());
        assert!(heir_of(&record, &heir(7, Some(other_grid(9)))).is_err());
        assert!(heir_of(&record, &heir(8, Some(grid()))).is_err());
    }

    #[test]
    fn a_move_to_any_other_key_is_not() {
        let to = |first: Option<GridId>| {
            let first = announced(first);
            moved_to(&moved(7, &first), &floor(&first)).expect("moved").map(drop)
        };
        assert!(matches!(to(None), Err(MoveFault::NotAnnounced { .. })));
        assert!(matches!(to(Some(other_grid(8))), Err(MoveFault::AnotherKey { .. })));
    }

    #[test]
    fn two_announcements_stop_every_move() {
        let first = announced(Some(other_grid(7)));
        let contested = floor(&first).raised_by(&announced(Some(other_grid(8))), NOW).expect("contested");
        let fault = moved_to(&moved(7, &first), &contested).expect("moved").expect_err("contested");
        assert!(matches!(fault, MoveFault::Contested { .. }));
    }
}
