//! The key at hand that may sign memberships.

use crate::config::{FileError, GridManager, Home, KeyFileError, NodeConfig, read_at_most, read_key};
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::record::{Delegation, RecordError};

/// More than a delegation takes.
const MAX_DELEGATION_BYTES: usize = 1024;

/// Why nothing can be signed in a data directory.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A key could not be read.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The delegation could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The delegation is none of this grid's.
    #[error("the delegation here is none of this grid's")]
    Delegation(#[from] RecordError),
    /// The grid manager's key is another grid's.
    #[error("the grid manager's key is that of {found}")]
    OtherGrid {
        /// That grid.
        found: GridId,
    },
    /// The delegation names another publisher than the one here.
    #[error("the delegation here names the publisher {found}, and the key here is {own}")]
    OtherPublisher {
        /// The key that it names.
        found: PublicKey,
        /// The key in `publisher.key`.
        own: PublicKey,
    },
    /// Neither the grid key nor a delegation is here.
    #[error("neither the grid key nor a delegation is here: nobody may sign who is a client")]
    NoKey,
}

/// The key that signs memberships of `grid` in `home`: the grid key where the settings name the grid manager's folder, the
/// publisher key under the delegation there otherwise.
pub fn membership_signer(home: &Home, config: &NodeConfig, grid: &GridId) -> Result<SecretKey, SignerError> {
    if let Some(path) = &config.grid_manager {
        let manager = GridManager::open(path)?;
        if manager.grid_id() != *grid {
            return Err(SignerError::OtherGrid { found: manager.grid_id() });
        }
        return Ok(manager.key().clone());
    }
    let bytes = match read_at_most(&home.delegation(), MAX_DELEGATION_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Err(SignerError::NoKey),
        Err(error) => return Err(error.into()),
    };
    let found = *Delegation::from_bytes(&bytes, grid)?.publisher();
    let key = read_key(&home.publisher_key())?;
    let own = key.public();
    if found == own { Ok(key) } else { Err(SignerError::OtherPublisher { found, own }) }
}
