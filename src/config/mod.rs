//! What a node or client is told by its files: the settings, the keys, and where everything lies in a data directory.
//!
//! Reads and writes files of its own folder and reads a grid manager's; decides nothing about records.

mod access;
mod files;
mod home;
mod key_files;
mod network;

pub use access::Exposure;
pub use files::{FileError, PUBLIC_MODE, SECRET_MODE, create_new, create_private_dir, read_at_most, write_atomically};
pub use home::Home;
pub use key_files::{GridManager, KeyFileError, create_key, read_key, read_or_create_key};
pub use network::{NetworkName, NetworkNameError};
