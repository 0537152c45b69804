//! Why a node does not start, or does not take up new settings.

use crate::config::{FileError, KeyFileError};
use crate::dht::StartError;
use crate::gateway::{GatewayError, GatewayIdentityError, OwnEntryError};
use crate::grid::GridError;
use crate::http::{ApiError, ResolverAddressError, WebAddressError};
use crate::keys::GridId;
use crate::ledger::LedgerError;
use crate::publisher::PublishError;
use crate::store::{LockError, OwnRecordError, ShelfError};
use std::net::SocketAddr;

/// Why new settings are not taken up. The old ones stay.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The grid manager's key could not be read.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The grid manager is another grid's.
    #[error("the node speaks for {stated}, and the grid manager's key is that of {found}")]
    OtherGrid {
        /// The node's grid.
        stated: GridId,
        /// The grid manager's.
        found: GridId,
    },
    /// The record that they ask for may not be signed, or could not be put on the disk.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory is in use, or not there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key could not be read.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The settings name two grids.
    #[error("the settings say {stated}, and the grid manager's key is that of {found}")]
    OtherGrid {
        /// The one in `grid-id`.
        stated: GridId,
        /// The one of `grid-manager`.
        found: GridId,
    },
    /// The own record is there and cannot be read.
    #[error(transparent)]
    Own(#[from] OwnRecordError),
    /// The store could not be opened, nor a new one made.
    #[error(transparent)]
    Store(#[from] ShelfError),
    /// The network part did not start: a port in use, mostly.
    #[error(transparent)]
    Dht(#[from] StartError),
    /// The books cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The local API did not start.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The gateway's place is taken.
    #[error("the gateway cannot listen on {listen}: choose another in `gateway-listen`")]
    GatewayListen {
        /// The place.
        listen: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The gateway has no keys.
    #[error(transparent)]
    GatewayKeys(#[from] GatewayIdentityError),
    /// The gateway does not go into the record.
    #[error("the gateway's own entry in the record")]
    GatewayEntry(#[from] OwnEntryError),
    /// The gateway did not open.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The Tahoe-LAFS node's folder is none.
    #[error("`tahoe-node`")]
    Grid(#[from] GridError),
    /// The address that is open to others did not open.
    #[error(transparent)]
    ResolverAddress(#[from] ResolverAddressError),
    /// The web address did not open.
    #[error(transparent)]
    Web(#[from] WebAddressError),
}
