//! Whom a connection's requests are counted for and allowed by.

use crate::keys::{GridId, PublicKey};
use crate::record::Nickname;
use std::fmt;

/// Who opened the session of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A client of the server's own grid: it has a membership.
    Client {
        /// Its accounting key.
        key: PublicKey,
        /// What the operator calls it.
        label: Nickname,
    },
    /// Another grid, through one of its gateways.
    Grid {
        /// The grid.
        id: GridId,
        /// The key of the gateway that calls.
        key: PublicKey,
    },
    /// Somebody with an accounting key and no membership: to be told what their operator has to do, and nothing else.
    Pending {
        /// The accounting key.
        key: PublicKey,
    },
}

impl Caller {
    /// The word for it in the answer to a claim: `client`, `grid` or `pending`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Client { .. } => "client",
            Self::Grid { .. } => "grid",
            Self::Pending { .. } => "pending",
        }
    }

    /// The key that signed the claim.
    pub const fn key(&self) -> &PublicKey {
        match self {
            Self::Client { key, .. } | Self::Grid { key, .. } | Self::Pending { key } => key,
        }
    }
}

impl fmt::Display for Caller {
    /// For logs: a client by its label, a grid by its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { label, .. } => write!(f, "client {label}"),
            Self::Grid { id, .. } => write!(f, "grid {id}"),
            Self::Pending { key } => write!(f, "nobody's client {key}"),
        }
    }
}
