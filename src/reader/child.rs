//! What the child of a directory is: something to be opened, and on which grid, or why it is not.

use crate::capability::{Capability, ForeignCap, ForeignCapError};
use crate::reader::cap_path::{is_foreign, unmarked};
use crate::reader::target::{ForeignTargetError, OpensNothing, Target};

/// Why a child is named and not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChildFault {
    /// A cap of no kind that this program knows: of a newer Tahoe-LAFS, or of another program.
    #[error("a cap of a kind that this program does not know")]
    Unknown,
    /// A foreign cap that could write, and was sent all the same.
    #[error("a foreign cap that carries a write key (`{kind}`), which its owner must treat as disclosed")]
    ForeignWrite {
        /// The kind of cap that it holds.
        kind: &'static str,
    },
    /// Content that can change, in a directory that promises that nothing in it does.
    #[error("content that can change (`{kind}`) where the directory promises that none does")]
    NotImmutable {
        /// The kind of cap.
        kind: &'static str,
    },
    /// A verify cap.
    #[error(transparent)]
    OpensNothing(#[from] OpensNothing),
    /// A foreign cap that names no grid yet.
    #[error("a foreign cap whose area is reserved and names no grid yet")]
    Area,
}

/// What `text`, the read-only cap of a child, opens. A bare cap lives on the grid of the directory that it was found in.
pub(super) fn child(text: &str, directory: &Target) -> Result<Target, ChildFault> {
    let target = if is_foreign(text) { foreign(text, directory) } else { bare(text, directory) }?;
    let promised = text.starts_with("imm.") || !directory.cap().is_mutable();
    if promised && target.cap().is_mutable() {
        return Err(ChildFault::NotImmutable { kind: target.cap().kind() });
    }
    Ok(target)
}

fn foreign(text: &str, directory: &Target) -> Result<Target, ChildFault> {
    let cap: ForeignCap = text.parse().map_err(|error| match error {
        ForeignCapError::CanWrite { kind } => ChildFault::ForeignWrite { kind },
        ForeignCapError::NotImmutable { kind } => ChildFault::NotImmutable { kind },
        ForeignCapError::Field(_) | ForeignCapError::NoGrid => ChildFault::Unknown,
    })?;
    Target::of_foreign(&cap, directory.grid()).map_err(|error| match error {
        ForeignTargetError::Area(_) => ChildFault::Area,
        ForeignTargetError::Verifier(error) => error.into(),
    })
}

fn bare(text: &str, directory: &Target) -> Result<Target, ChildFault> {
    let cap: Capability = unmarked(text).parse().map_err(|_| ChildFault::Unknown)?;
    Ok(Target::new(*directory.grid(), &cap)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{GridId, SecretKey};
    use proptest::prelude::*;

    const KEYS: &str = "u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

    fn grid(seed: u8) -> GridId {
        GridId::new(SecretKey::from_seed(&[seed; 32]).public())
    }

    fn directory(text: &str) -> Target {
        Target::new(grid(1), &text.parse().expect(text)).unwrap()
    }

    fn mutable() -> Target {
        directory(&format!("URI:DIR2-RO:{KEYS}"))
    }

    fn immutable() -> Target {
        directory(&format!("URI:DIR2-CHK:{KEYS}:2:3:120"))
    }

    fn foreign_text(rest: &str) -> String {
        format!("URI:FOREIGN:{}:{rest}", grid(2))
    }

    #[test]
    fn a_bare_child_lives_where_its_directory_does_and_a_foreign_one_where_it_says() {
        for mark in ["", "ro.", "imm."] {
            let bare = child(&format!("{mark}URI:CHK:{KEYS}:2:3:9"), &mutable()).expect(mark);
            assert_eq!((*bare.grid(), bare.cap().kind()), (grid(1), "CHK"));
            let foreign = child(&format!("{mark}{}", foreign_text(&format!("CHK:{KEYS}:2:3:9"))), &mutable());
            assert_eq!(*foreign.expect(mark).grid(), grid(2));
        }
        // And what is found in a foreign directory stays there.
        let inner = child(&foreign_text(&format!("DIR2-RO:{KEYS}")), &mutable()).unwrap();
        assert_eq!(*child(&format!("URI:SSK-RO:{KEYS}"), &inner).unwrap().grid(), grid(2));
    }

    #[test]
    fn write_caps_are_diminished_at_home_and_refused_from_abroad() {
        assert_eq!(child(&format!("URI:SSK:{KEYS}"), &mutable()).unwrap().cap().kind(), "SSK-RO");
        let abroad = foreign_text(&format!("SSK:{KEYS}"));
        assert_eq!(child(&abroad, &mutable()), Err(ChildFault::ForeignWrite { kind: "SSK" }));
    }

    #[test]
    fn what_can_change_is_refused_where_nothing_may() {
        let fault = Err(ChildFault::NotImmutable { kind: "SSK-RO" });
        let bare = format!("URI:SSK-RO:{KEYS}");
        assert_eq!(child(&bare, &immutable()), fault);
        assert_eq!(child(&format!("imm.{bare}"), &mutable()), fault);
        let foreign = foreign_text(&format!("SSK-RO:{KEYS}"));
        assert_eq!(child(&foreign, &immutable()), fault);
        assert_eq!(child(&format!("imm.{foreign}"), &mutable()), fault);
        assert!(child(&format!("URI:CHK:{KEYS}:2:3:9"), &immutable()).is_ok());
    }

    #[test]
    fn what_is_not_known_is_named() {
        for text in ["", "URI:NEW:x", "imm.URI:FOREIGN:nowhere:CHK:x", "ro.ro.URI:LIT:", "http://example.org/"] {
            assert_eq!(child(text, &mutable()), Err(ChildFault::Unknown), "{text}");
        }
        assert_eq!(child(&format!("ro.URI:FOREIGN:+49:SSK-RO:{KEYS}"), &mutable()), Err(ChildFault::Area));
        let verifier = child(&format!("URI:SSK-Verifier:{KEYS}"), &mutable());
        assert_eq!(verifier, Err(ChildFault::OpensNothing(OpensNothing { kind: "SSK-Verifier" })));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = child(&text, &mutable());
        }
    }
}
