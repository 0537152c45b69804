//! What a node or client is told by its files: the settings, the keys, and where everything lies in a data directory.
//!
//! Reads and writes files of its own folder and reads a grid manager's; decides nothing about records.

mod access;
mod changes;
mod client;
mod edit;
mod example;
mod external;
mod files;
mod gateway;
mod home;
mod key_files;
mod ledger_url;
mod network;
mod node_config;
mod patience;
mod text;

pub use access::Exposure;
pub use changes::TakesEffect;
pub use client::ClientConfig;
pub use edit::set_setting;
pub use external::External;
pub use files::{
    FileError, PUBLIC_MODE, Replacing, SECRET_MODE, create_new, create_private_dir, read_at_most, settings_digest,
    write_atomically,
};
pub use gateway::{GatewayEntry, GatewayTextError};
pub use home::Home;
pub use key_files::{GridManager, KeyFileError, create_key, peer_id, read_key, read_or_create_key, read_secret};
pub use ledger_url::{LedgerUrl, LedgerUrlError};
pub use network::{NetworkName, NetworkNameError};
pub use node_config::{ConfigError, DEFAULT_PORT, DEFAULT_WHOLE_NETWORK_LIMIT, NodeConfig};
pub use patience::{Patience, PatienceError};
