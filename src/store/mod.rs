//! What a node keeps: others' records in memory with sled behind them, a cache that may be lost; and, as files that must
//! not be, its own record, the floors of its reader, and evidence of commitments.
//!
//! Everything that comes from the disk is verified again. What to keep is decided in `record`.

#[cfg(feature = "node")]
mod disk;
mod floors;
mod format;
mod lock;
mod own_record;

#[cfg(feature = "node")]
mod backlog;
#[cfg(feature = "node")]
mod book;
#[cfg(feature = "node")]
mod digests;
#[cfg(feature = "node")]
mod evidence;
#[cfg(all(test, feature = "node"))]
mod laws;
#[cfg(feature = "node")]
mod reader;
#[cfg(feature = "node")]
mod shelf;

#[cfg(feature = "node")]
pub use backlog::{Unverified, Verified};
#[cfg(feature = "node")]
pub use book::{Book, BookSize, Row};
#[cfg(feature = "node")]
pub use digests::Digests;
#[cfg(feature = "node")]
pub use disk::disk_usage;
#[cfg(feature = "node")]
pub use evidence::load_evidence;
pub use floors::{FloorFileError, Floors};
pub use format::{FormatError, read_format};
pub use lock::{DirectoryLock, LockError};
pub use own_record::{OwnRecordError, load_own_record, save_own_record};
#[cfg(feature = "node")]
pub use reader::StoreReader;
#[cfg(feature = "node")]
pub use shelf::{DiskStanding, ShelfError};
