//! Which gateway is called, and in whose name.

use crate::furl::Nurl;
use crate::keys::{GridId, SecretKey};
use crate::peer::dial::Named;
use crate::record::SignedRecord;
use std::fmt;
use std::sync::Arc;

/// A gateway to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPlace {
    /// Where it is, and the hash of its TLS key.
    pub nurl: Nurl,
    /// Whose gateway it must be.
    pub grid: GridId,
    /// Who said so.
    pub named: Named,
}

/// Who calls.
#[derive(Clone)]
pub enum CallerIdentity {
    /// A client, with its accounting key.
    Client(SecretKey),
    /// A grid, with the key of the gateway that calls.
    Grid {
        /// The gateway's key, which the record lists with the role `spend`.
        key: SecretKey,
        /// The grid's record as it is when a session is opened; `None` while it has none.
        record: CurrentRecord,
    },
}

/// Gives a grid's own record as it is now.
pub type CurrentRecord = Arc<dyn Fn() -> Option<SignedRecord> + Send + Sync>;

impl CallerIdentity {
    /// The key that signs claims.
    pub(super) fn key(&self) -> &SecretKey {
        match self {
            Self::Client(key) | Self::Grid { key, .. } => key,
        }
    }
}

impl fmt::Debug for CallerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Client(_) => "client",
            Self::Grid { .. } => "grid",
        };
        write!(f, "{kind} with {:?}", self.key())
    }
}
