//! What the child of a directory is: something to be opened, and on which grid, or why it is not.

use crate::lafs::directory::{ChildCap, RefusedCap};
use crate::reader::target::{ForeignTargetError, OpensNothing, Target};

/// Why a child is named and not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChildFault {
    /// A cap of no kind that this program knows: of a newer Tahoe-LAFS, or of another program.
    #[error("a cap of a kind that this program does not know")]
    Unknown,
    /// A cap that does not belong where it stands.
    #[error("refused: {0}")]
    Refused(RefusedCap),
    /// A verify cap.
    #[error("no cap that opens something: {0}")]
    OpensNothing(OpensNothing),
    /// A foreign cap that names no grid yet.
    #[error("a foreign cap whose area is reserved and names no grid yet")]
    Area,
}

/// What `cap`, of a child of `directory`, opens. A bare cap lives on the grid of the directory that it was found in.
pub(super) fn child(cap: &ChildCap, directory: &Target) -> Result<Target, ChildFault> {
    match cap {
        ChildCap::Home(cap) => Target::new(*directory.grid(), cap).map_err(ChildFault::OpensNothing),
        ChildCap::Foreign(cap) => Target::of_foreign(cap, directory.grid()).map_err(|error| match error {
            ForeignTargetError::Area(_) => ChildFault::Area,
            ForeignTargetError::Verifier(error) => ChildFault::OpensNothing(error),
        }),
        ChildCap::Unknown => Err(ChildFault::Unknown),
        ChildCap::Refused(why) => Err(ChildFault::Refused(*why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{GridId, SecretKey};
    use crate::lafs::directory::{Child, DirectoryKind};

    const KEYS: &str = "u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

    fn grid(seed: u8) -> GridId {
        GridId::new(SecretKey::from_seed(&[seed; 32]).public())
    }

    /// What a cap opens in a mutable directory of grid 1.
    fn found(text: &str) -> Result<Target, ChildFault> {
        let directory = format!("URI:DIR2-RO:{KEYS}").parse().unwrap();
        let kind = DirectoryKind::of(&directory);
        child(Child::new(kind, "x", text, "{}").unwrap().cap(), &Target::new(grid(1), &directory).unwrap())
    }

    fn foreign(rest: &str) -> String {
        format!("URI:FOREIGN:{}:{rest}", grid(2))
    }

    #[test]
    fn a_bare_child_lives_where_its_directory_does_and_a_foreign_one_where_it_says() {
        for mark in ["", "ro.", "imm."] {
            let bare = found(&format!("{mark}URI:CHK:{KEYS}:2:3:9")).expect(mark);
            assert_eq!((*bare.grid(), bare.cap().kind()), (grid(1), "CHK"));
            let abroad = found(&format!("{mark}{}", foreign(&format!("CHK:{KEYS}:2:3:9")))).expect(mark);
            assert_eq!(*abroad.grid(), grid(2));
        }
    }

    #[test]
    fn what_is_not_followed_says_why() {
        let verifier = format!("URI:SSK-Verifier:{KEYS}");
        let opens_nothing = ChildFault::OpensNothing(OpensNothing { kind: "SSK-Verifier" });
        for (text, fault) in [
            ("URI:NEW:x".to_owned(), ChildFault::Unknown),
            (verifier.clone(), opens_nothing),
            (verifier.replace("URI:", &format!("URI:FOREIGN:{}:", grid(2))), opens_nothing),
            (format!("ro.URI:FOREIGN:+49:SSK-RO:{KEYS}"), ChildFault::Area),
            (foreign(&format!("SSK:{KEYS}")), ChildFault::Refused(RefusedCap::ForeignWrite { kind: "SSK" })),
            (format!("URI:SSK:{KEYS}"), ChildFault::Refused(RefusedCap::Write { kind: "SSK" })),
            (format!("imm.URI:SSK-RO:{KEYS}"), ChildFault::Refused(RefusedCap::Mutable { kind: "SSK-RO" })),
        ] {
            assert_eq!(found(&text), Err(fault), "{text}");
        }
    }
}
