//! The reader's side of a fetch: from a cap and a path to verified bytes, a listing, or files on the disk.
//!
//! ```text
//! CAP[/PATH] → CapPath → walk → Target → open → OpenFile → read → Plaintext, unit by unit
//!                         ├ list → Listing                 └ download, download_tree → files
//!                         └ quote, tree_cost → what it costs
//! ```
//!
//! A [`Target`] is a read cap with its grid: a bare cap lives on the home grid, and what is found in a directory lives where the
//! directory does, unless it is a foreign cap. Content comes from the home gateway as ciphertext; each unit of it is verified
//! and decrypted here, and nothing that is not verified is handed on or written. Of each mutable file the highest sequence
//! number is remembered, and an older version refused.
//!
//! What it costs is counted, and who pays is the purse's business. Nothing needs `gateway/`: whoever serves may be anybody.

mod byte_range;
mod cap_path;
mod child;
mod cost;
mod download;
mod error;
mod file_name;
mod floors;
mod gateway_source;
mod handle;
mod listing;
mod open_file;
mod page_cache;
mod part;
mod plan;
mod resume;
mod source;
mod target;
mod tree;
mod tree_note;
mod trouble;
mod write_back;

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;

pub use byte_range::{ByteRange, ByteRangeError};
pub use cap_path::{CapPath, CapPathError, MAX_DEPTH};
pub use child::ChildFault;
pub use cost::{GridCost, TreeCost, tree_cost};
pub use download::{DownloadError, Downloaded, download};
pub use error::ReadError;
pub use file_name::{NameFault, file_name, shown_name};
pub use floors::FloorError;
pub use handle::{Found, Reader};
pub use listing::{Entry, Listing};
pub use open_file::{OpenFile, Plaintext};
pub use part::{PartError, read_first, unfinished_bytes};
pub use source::SourceError;
pub use target::{ForeignTargetError, OpensNothing, Target};
pub use tree::{TreeError, TreeEvent, TreeReport, download_tree};
pub use trouble::Trouble;
