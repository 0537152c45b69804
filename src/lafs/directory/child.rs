//! One entry of a directory.

use super::list::DirectoryKind;
use crate::capability::{Capability, ForeignCap, ForeignCapError, MAX_CAP_BYTES, Power};
use serde::de::IgnoredAny;
use std::fmt;
use zeroize::Zeroizing;

/// A child of a directory: its name, the cap that reads it, its metadata.
///
/// The name is what its writer chose: it may hold `/`, `..`, line breaks and what moves a terminal's cursor. Whoever prints it
/// or makes a file of it sees to that.
#[derive(Clone, PartialEq, Eq)]
pub struct Child {
    name: String,
    text: Zeroizing<String>,
    cap: ChildCap,
    metadata: String,
}

/// What a child's cap is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildCap {
    /// On the grid that the directory is on.
    Home(Capability),
    /// On the grid that it names.
    Foreign(ForeignCap),
    /// None that is known here: of a later Tahoe-LAFS, or of something else. To be handed on as it stands.
    Unknown,
    /// One that is not to be used, and is not handed on.
    Refused(RefusedCap),
}

/// Why a child's cap is refused. The other children of its directory are read all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCap {
    /// A foreign cap with a write key, which everybody who reads the directory now has.
    #[error("a foreign cap never carries a write key, and this one (`{kind}`) does: treat the key as disclosed")]
    ForeignWrite {
        /// The kind of cap.
        kind: &'static str,
    },
    /// A write cap where the cap that reads belongs.
    #[error("a write cap (`{kind}`) stands where all readers of the directory see it: treat the key as disclosed")]
    Write {
        /// The kind of cap.
        kind: &'static str,
    },
    /// Content that may change, in a directory that never does.
    #[error("`{kind}` is mutable, and stands where nothing may change: whoever wrote it is mistaken or lying")]
    Mutable {
        /// The kind of cap.
        kind: &'static str,
    },
}

impl Child {
    /// The longest name, in octets of UTF-8: as long as a whole path is on the systems that names come from.
    pub const MAX_NAME_BYTES: usize = 4_096;
    /// The longest metadata, in octets. Tahoe writes below 200; people may add to it.
    pub const MAX_METADATA_BYTES: usize = 65_536;
    /// How deep metadata nest, so that whoever reads them by recursion may.
    pub const MAX_METADATA_DEPTH: usize = 32;

    /// The child `name` of a directory of this kind, with the cap that stands there and its metadata, a JSON object.
    pub fn new(kind: DirectoryKind, name: &str, cap: &str, metadata: &str) -> Result<Self, ChildError> {
        for (field, text, limit) in [
            ("name", name, Self::MAX_NAME_BYTES),
            ("cap", cap, MAX_CAP_BYTES + MARK_BYTES),
            ("metadata", metadata, Self::MAX_METADATA_BYTES),
        ] {
            if text.len() > limit {
                return Err(ChildError::TooLong { field, limit, found: text.len() });
            }
        }
        if !is_object(metadata) || depth(metadata) > Self::MAX_METADATA_DEPTH {
            return Err(ChildError::Metadata);
        }
        let parsed = ChildCap::of(kind, cap);
        let text = if matches!(parsed, ChildCap::Refused(_)) { "" } else { cap };
        Ok(Self {
            name: name.to_owned(),
            text: Zeroizing::new(text.to_owned()),
            cap: parsed,
            metadata: metadata.to_owned(),
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the cap is.
    pub fn cap(&self) -> &ChildCap {
        &self.cap
    }

    /// The cap as it stands in the directory, **its key included**; empty if it is refused.
    ///
    /// Of a cap that Tahoe does not know it leaves out the mark that follows from the directory: `imm.` in one that never
    /// changes, `ro.` in one that may.
    pub fn cap_text(&self) -> &str {
        &self.text
    }

    /// The metadata, a JSON object as it stands.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("name", &self.name).field("cap", &self.cap).finish_non_exhaustive()
    }
}

/// `imm.`, the longest of a directory's marks.
const MARK_BYTES: usize = 4;

impl ChildCap {
    fn of(kind: DirectoryKind, text: &str) -> Self {
        if let Ok(cap) = text.parse::<Capability>() {
            return Self::home(kind, cap);
        }
        match text.parse::<ForeignCap>() {
            Ok(cap) if kind == DirectoryKind::Immutable && cap.home_cap().is_mutable() => {
                Self::Refused(RefusedCap::Mutable { kind: cap.home_cap().kind() })
            }
            Ok(cap) => Self::Foreign(cap),
            Err(ForeignCapError::CanWrite { kind }) => Self::Refused(RefusedCap::ForeignWrite { kind }),
            Err(ForeignCapError::NotImmutable { kind }) => Self::Refused(RefusedCap::Mutable { kind }),
            // A cap that we know, behind a mark for caps that Tahoe does not.
            Err(ForeignCapError::NoGrid) => match text.split_once('.').and_then(|(_, cap)| cap.parse().ok()) {
                Some(cap) if text.starts_with("imm.") => Self::home(DirectoryKind::Immutable, cap),
                Some(cap) => Self::home(kind, cap),
                None => Self::Unknown,
            },
            Err(ForeignCapError::Field(_)) => Self::Unknown,
        }
    }

    fn home(kind: DirectoryKind, cap: Capability) -> Self {
        match cap.power() {
            Power::Write => Self::Refused(RefusedCap::Write { kind: cap.kind() }),
            _ if kind == DirectoryKind::Immutable && cap.is_mutable() => {
                Self::Refused(RefusedCap::Mutable { kind: cap.kind() })
            }
            _ => Self::Home(cap),
        }
    }
}

/// Whether `text` is one JSON object. Nothing is built of it: a short text can be a large tree.
fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// How deep the arrays and objects of a JSON text nest.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Why there is no such child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    /// A field beyond its bound.
    #[error("a {field} of {found} bytes where {limit} are allowed")]
    TooLong {
        /// Which.
        field: &'static str,
        /// The bound, in octets.
        limit: usize,
        /// What was found, in octets.
        found: usize,
    },
    /// Metadata that are no JSON object, or nest too deep.
    #[error("metadata that are no JSON object nested at most {} deep", Child::MAX_METADATA_DEPTH)]
    Metadata,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{GridId, SecretKey};

    const HASH: &str = "2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
    const KEY: &str = "u6etxx3ptzfylhmwwguwms5zj4";
    use DirectoryKind::{Immutable, Mutable};

    fn cap(kind: DirectoryKind, text: &str) -> ChildCap {
        let child = Child::new(kind, "name", text, "{}").expect("a child");
        let shown = format!("{child:?}");
        assert!(!shown.contains(KEY) && !shown.contains(HASH), "{shown}");
        let kept = if matches!(child.cap(), ChildCap::Refused(_)) { "" } else { text };
        assert_eq!(child.cap_text(), kept);
        child.cap
    }

    fn foreign(rest: &str) -> String {
        format!("URI:FOREIGN:{}:{rest}", GridId::new(SecretKey::from_seed(&[1; 32]).public()))
    }

    #[test]
    fn a_cap_without_a_grid_is_of_the_directorys() {
        let text = format!("URI:SSK-RO:{KEY}:{HASH}");
        assert_eq!(cap(Mutable, &text), ChildCap::Home(text.parse().expect("a cap")));
        assert_eq!(cap(Mutable, &format!("ro.{text}")), ChildCap::Home(text.parse().expect("a cap")));
    }

    #[test]
    fn foreign_caps_are_kept_with_and_without_their_mark() {
        let chk = foreign(&format!("CHK:{KEY}:{HASH}:2:3:1"));
        for kind in [Mutable, Immutable] {
            for mark in ["", "imm.", "ro."] {
                let expected = ChildCap::Foreign(chk.parse().expect("a cap"));
                assert_eq!(cap(kind, &format!("{mark}{chk}")), expected);
            }
        }
    }

    #[test]
    fn foreign_write_caps_are_refused_as_disclosed() {
        for kind in ["SSK", "MDMF", "DIR2", "DIR2-MDMF"] {
            let text = foreign(&format!("{kind}:{KEY}:{HASH}"));
            for mark in ["", "ro.", "imm."] {
                let refused = cap(Mutable, &format!("{mark}{text}"));
                assert_eq!(refused, ChildCap::Refused(RefusedCap::ForeignWrite { kind }), "{mark}");
            }
            let refused = cap(Mutable, &format!("URI:{kind}:{KEY}:{HASH}"));
            assert_eq!(refused, ChildCap::Refused(RefusedCap::Write { kind }));
        }
    }

    #[test]
    fn nothing_mutable_stands_in_what_never_changes() {
        let home = format!("URI:SSK-RO:{KEY}:{HASH}");
        let refused = ChildCap::Refused(RefusedCap::Mutable { kind: "SSK-RO" });
        assert_eq!(cap(Immutable, &home), refused);
        assert_eq!(cap(Mutable, &format!("imm.{home}")), refused);
        assert_eq!(cap(Immutable, &foreign(&home["URI:".len()..])), refused);
        assert_eq!(cap(Mutable, &format!("imm.{}", foreign(&home["URI:".len()..]))), refused);
    }

    #[test]
    fn caps_of_the_future_are_unknown_and_stay() {
        for text in ["", "lafs://from_the_future", "imm.x", "ro.", "URI:NEW:aa", "URI:CHK:short", "ünbekannt"] {
            assert_eq!(cap(Mutable, text), ChildCap::Unknown, "{text}");
        }
    }

    #[test]
    fn what_no_child_has_is_named() {
        let metadata = |text: &str| Child::new(Mutable, "n", "", text).err();
        let nested = |levels: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
        for bad in ["", "[]", "null", "{", "{}{}", "{'a':1}", r#"{"a":NaN}"#, &nested(33), &nested(30_000)] {
            assert_eq!(metadata(bad), Some(ChildError::Metadata), "{bad:.20}");
        }
        for good in ["{}", r#"{"[{\"[": "]"}"#, r#"{"n": 1e999}"#, &nested(32)] {
            assert_eq!(metadata(good), None, "{good:.20}");
        }
        for (field, name, cap, metadata, limit) in [
            ("name", 4_097, 0, 0, 4_096),
            ("cap", 4_096, MAX_CAP_BYTES + 5, 0, MAX_CAP_BYTES + 4),
            ("metadata", 0, 0, 65_537, 65_536),
        ] {
            let error = Child::new(Mutable, &"n".repeat(name), &"c".repeat(cap), &" ".repeat(metadata)).err();
            assert_eq!(error, Some(ChildError::TooLong { field, limit, found: limit + 1 }));
        }
    }
}
