//! A directory's children, each with what it opens.

use crate::lafs::directory::{Directory, DirectoryError, DirectoryKind};
use crate::reader::child::{ChildFault, child};
use crate::reader::target::Target;
use crate::units::UnixSeconds;
use serde_json::Value;
use zeroize::Zeroizing;

/// What is in a directory, ordered by name.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The children.
    pub entries: Vec<Entry>,
}

/// A child of a directory.
#[derive(Clone)]
pub struct Entry {
    /// Its name, as whoever wrote the directory chose it: any text.
    pub name: String,
    /// What it opens, or why it is not followed.
    pub child: Result<Target, ChildFault>,
    /// The cap as it stands in the directory, empty if it is refused. **The whole cap.**
    pub cap: Zeroizing<String>,
    /// What the directory says about the child beside its cap: a JSON object, of which nothing is sure.
    pub metadata: Value,
}

impl Listing {
    /// The children in `content`, the verified content of `directory`.
    pub(super) fn parse(content: &[u8], directory: &Target) -> Result<Self, DirectoryError> {
        let children = Directory::from_bytes(content, DirectoryKind::of(directory.cap()))?;
        let mut entries: Vec<Entry> = children
            .children()
            .iter()
            .map(|found| Entry {
                name: found.name().to_owned(),
                child: child(found.cap(), directory),
                cap: Zeroizing::new(found.cap_text().to_owned()),
                metadata: serde_json::from_str(found.metadata()).unwrap_or(Value::Null),
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { entries })
    }
}

impl Entry {
    /// When the child was put there last, as the directory says.
    pub fn linked_at(&self) -> Option<UnixSeconds> {
        let time = self.metadata.get("tahoe").and_then(|tahoe| tahoe.get("linkmotime"));
        let time = time.or_else(|| self.metadata.get("mtime")).and_then(Value::as_f64)?;
        // What no calendar has is not shown.
        (0.0..253_402_300_800.0).contains(&time).then_some(UnixSeconds(time as u64))
    }
}

impl std::fmt::Debug for Entry {
    /// Without the cap.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("child", &self.child).finish_non_exhaustive()
    }
}
