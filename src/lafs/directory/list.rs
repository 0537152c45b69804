//! The list of children, as a directory's file holds it.

use super::child::{Child, ChildError};
use super::netstrings::Netstrings;
use crate::capability::Capability;
use crate::tagged::push_netstring;
use crate::units::Bytes;
use std::collections::BTreeSet;

/// Whether a directory's content may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirectoryKind {
    /// Kept in a mutable file.
    Mutable,
    /// Kept in an immutable or literal file; and so is all beneath.
    Immutable,
}

impl DirectoryKind {
    /// Of the directory, or the file that one is kept in, that `cap` is of.
    pub fn of(cap: &Capability) -> Self {
        if cap.is_mutable() { Self::Mutable } else { Self::Immutable }
    }
}

/// The children of a directory, in the order of the file; no name twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    kind: DirectoryKind,
    children: Vec<Child>,
}

impl Directory {
    /// The largest file that is read as a directory. A child takes some 350 octets of it.
    pub const MAX_BYTES: Bytes = Bytes(16 << 20);
    /// The most children. A name apiece for all that the largest file can hold.
    pub const MAX_CHILDREN: usize = 65_536;

    /// The directory whose file has this content.
    pub fn from_bytes(bytes: &[u8], kind: DirectoryKind) -> Result<Self, DirectoryError> {
        if bytes.len() as u64 > Self::MAX_BYTES.0 {
            return Err(DirectoryError::TooLarge { limit: Self::MAX_BYTES, found: Bytes(bytes.len() as u64) });
        }
        let mut entries = Netstrings::new(bytes, 0);
        let mut children = vec![];
        while !entries.is_empty() {
            let position = entries.position();
            if children.len() == Self::MAX_CHILDREN {
                return Err(DirectoryError::TooMany { limit: Self::MAX_CHILDREN });
            }
            let (entry, start) = entries.next().ok_or(DirectoryError::Form { position })?;
            children.push(read_child(kind, Netstrings::new(entry, start))?);
        }
        Self::new(kind, children)
    }

    /// The directory with these children.
    pub fn new(kind: DirectoryKind, children: Vec<Child>) -> Result<Self, DirectoryError> {
        if children.len() > Self::MAX_CHILDREN {
            return Err(DirectoryError::TooMany { limit: Self::MAX_CHILDREN });
        }
        let mut names = BTreeSet::new();
        // Of two children with one name each reader would take another one.
        match children.iter().position(|child| !names.insert(child.name())) {
            None => Ok(Self { kind, children }),
            Some(child) => Err(DirectoryError::Twice { child }),
        }
    }

    /// Whether it may change.
    pub fn kind(&self) -> DirectoryKind {
        self.kind
    }

    /// All children.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// The child with this name, compared octet by octet. Tahoe stores names in Unicode's form NFC.
    pub fn child(&self, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.name() == name)
    }

    /// The content of the directory's file, without write caps: for test networks. Whoever has the write key finds no more
    /// in it than others.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![];
        for child in &self.children {
            let mut entry = vec![];
            let fields = [child.name(), child.cap_text(), "", child.metadata()];
            for field in fields {
                push_netstring(&mut entry, field.as_bytes());
            }
            push_netstring(&mut out, &entry);
        }
        out
    }
}

fn read_child(kind: DirectoryKind, mut fields: Netstrings<'_>) -> Result<Child, DirectoryError> {
    let start = fields.position();
    let mut field = || {
        let position = fields.position();
        fields.next().ok_or(DirectoryError::Form { position })
    };
    let (name, cap, _write_cap, metadata) = (field()?, field()?, field()?, field()?);
    if !fields.is_empty() {
        return Err(DirectoryError::Form { position: fields.position() });
    }
    let text = |(bytes, position)| std::str::from_utf8(bytes).map_err(|_| DirectoryError::Utf8 { position });
    Child::new(kind, text(name)?, text(cap)?, text(metadata)?)
        .map_err(|error| DirectoryError::Child { position: start, error })
}

/// Why bytes are no directory. Shows nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// A file beyond what is read as a directory.
    #[error("a directory of {found} where at most {limit} are read")]
    TooLarge {
        /// The bound.
        limit: Bytes,
        /// The file's size.
        found: Bytes,
    },
    /// More children than are read.
    #[error("more than {limit} children")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// Not a list of children: another file, cut off, or damaged.
    #[error("byte {position}: no entry of a directory")]
    Form {
        /// Where, counted from 0.
        position: usize,
    },
    /// Text that is not UTF-8.
    #[error("byte {position}: not UTF-8")]
    Utf8 {
        /// Where the text begins, counted from 0.
        position: usize,
    },
    /// An entry that is none.
    #[error("byte {position}: {error}")]
    Child {
        /// Where the entry begins, counted from 0.
        position: usize,
        /// What is wrong with it.
        error: ChildError,
    },
    /// Two children with one name.
    #[error("child {child} has the name of one before it")]
    Twice {
        /// The second one, counted from 0.
        child: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::super::child::ChildCap;
    use super::*;
    use DirectoryKind::{Immutable, Mutable};
    use proptest::prelude::*;

    /// What a real client stored as an immutable directory.
    const REAL: &[u8] = b"41:5:small,21:URI:LIT:krugkidfnzsc4,0:,2:{},,";

    #[test]
    fn a_directory_of_a_real_client_is_read() {
        let directory = Directory::from_bytes(REAL, Immutable).expect("a directory");
        let child = directory.child("small").expect("a child");
        assert_eq!((child.cap_text(), child.metadata()), ("URI:LIT:krugkidfnzsc4", "{}"));
        assert!(matches!(child.cap(), ChildCap::Home(_)));
        assert_eq!(directory.child("Small"), None);
        assert_eq!(directory.to_bytes(), REAL);
        assert_eq!(Directory::from_bytes(b"", Mutable).map(|empty| empty.children().len()), Ok(0));
    }

    #[test]
    fn a_write_cap_is_passed_over_unread() {
        let bytes = b"47:5:small,21:URI:LIT:krugkidfnzsc4,6:\xff\x00,:9\x80,2:{},,";
        let directory = Directory::from_bytes(bytes, Mutable).expect("a directory");
        assert_eq!(directory.children().len(), 1);
    }

    #[test]
    fn what_is_no_directory_is_refused_at_its_place() {
        use DirectoryError::{Form, Twice, Utf8};
        for (bytes, error) in [
            (&REAL[..REAL.len() - 1], Form { position: 0 }),
            (&b"any other file"[..], Form { position: 0 }),
            (b"0:,", Form { position: 2 }),
            (b"7:5:small,", Form { position: 2 }),
            (b"8:5:small,,", Form { position: 10 }),
            (b"16:0:,0:,0:,2:{},x,,", Form { position: 17 }),
            (b"15:1:\xff,0:,0:,2:{},,", Utf8 { position: 5 }),
            (b"14:0:,0:,0:,2:{},,14:0:,0:,0:,2:{},,", Twice { child: 1 }),
            (b"999999999:", Form { position: 0 }),
        ] {
            assert_eq!(Directory::from_bytes(bytes, Mutable), Err(error), "{:?}", String::from_utf8_lossy(bytes));
        }
        let error = DirectoryError::Child { position: 3, error: ChildError::Metadata };
        assert_eq!(Directory::from_bytes(b"14:0:,0:,0:,2:[],,", Mutable), Err(error));
    }

    #[test]
    fn too_large_a_directory_is_refused_by_name() {
        let limit = Directory::MAX_BYTES;
        let bytes = vec![b'1'; limit.0 as usize + 1];
        let found = Bytes(limit.0 + 1);
        assert_eq!(Directory::from_bytes(&bytes, Mutable), Err(DirectoryError::TooLarge { limit, found }));
        let entries = |count: usize| {
            let entry = |number: usize| Child::new(Mutable, &number.to_string(), "", "{}").expect("a child");
            Directory { kind: Mutable, children: (0..count).map(entry).collect() }.to_bytes()
        };
        let limit = Directory::MAX_CHILDREN;
        assert!(Directory::from_bytes(&entries(limit), Mutable).is_ok());
        assert_eq!(Directory::from_bytes(&entries(limit + 1), Mutable), Err(DirectoryError::TooMany { limit }));
    }

    fn any_cap() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("URI:LIT:krugkidfnzsc4".to_owned()),
            Just("imm.URI:FOREIGN:*:LIT:krugkidfnzsc4".to_owned()),
            "[a-z:.]{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(
            children in prop::collection::btree_map("\\PC{0,10}", (any_cap(), "[a-z]{0,5}"), 0..8),
            immutable in any::<bool>(),
        ) {
            let kind = if immutable { Immutable } else { Mutable };
            let children = children.iter().map(|(name, (cap, word))| {
                Child::new(kind, name, cap, &format!(r#"{{"a":"{word}"}}"#)).expect("a child")
            });
            let directory = Directory::new(kind, children.collect()).expect("a directory");
            prop_assert_eq!(Directory::from_bytes(&directory.to_bytes(), kind), Ok(directory));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Directory::from_bytes(&bytes, Mutable);
        }
    }
}
