//! What a directory is made of: its children, each with a name, a cap that reads it, and metadata.
//!
//! A directory is a file whose content is such a list. Reading it wants no write key: what only a writer can open, the
//! children's write caps, is passed over. A cap without a grid belongs to the grid of the directory; a foreign cap names its
//! own. Format: Tahoe-LAFS `docs/specifications/dirnodes.rst`.

mod child;
mod list;
mod netstrings;

pub use child::{Child, ChildCap, ChildError, RefusedCap};
pub use list::{Directory, DirectoryError, DirectoryKind};
