//! Why a file is not read, and what is wrong with one share. Each names the server and the share.

use crate::gateway::serve::{Code, Refusal};
use crate::grid::ServerError;
use crate::lafs::hash_tree::HashChainError;
use crate::lafs::immutable::{ShareHeaderError, ShareLayoutError};
use crate::lafs::mutable::{LayoutError, PrefixError};
use crate::lafs::ueb::UebError;
use axum::http::StatusCode;

/// What whoever stored a file in too large pieces may do.
const UNIT_HINT: &str = "an SDMF file is one piece: store it as MDMF, which has 8 GiB at most, or immutable";

/// Why a file of our own grid is not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// There is no server to ask.
    #[error("no storage server of this grid can be asked")]
    NoServers,
    /// All servers answered, and none has a share.
    #[error("none of {servers} storage servers has a share of this file")]
    NotFound {
        /// How many answered.
        servers: usize,
    },
    /// What can be read does not restore the file.
    #[error("{found} of the {needed} shares that are needed can be read{}", Faults(faults))]
    TooFewShares {
        /// Shares that can be read.
        found: usize,
        /// Shares that are needed.
        needed: usize,
        /// What is wrong with the others, and with servers that did not answer.
        faults: Vec<String>,
    },
    /// Every block is right, and together they are not what the cap means: whoever stored the file made it so.
    #[error("unit {unit} was stored wrongly: its shares are whole and do not make what the cap names")]
    Integrity {
        /// The unit.
        unit: u64,
    },
    /// It is cut into pieces that are not read: each would be held in memory whole, or there are too many of them.
    #[error("the file is not served: {what}")]
    NotServed {
        /// What is too large.
        what: String,
    },
    /// That version of a mutable file is not there any more.
    #[error("the version that is asked for cannot be read any more")]
    OtherVersion,
    /// A cap that leads to no shares.
    #[error("a file is read by its verify cap")]
    NoVerifyCap,
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopped,
}

struct Faults<'f>(&'f [String]);

impl std::fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// More would not be read by anybody.
        const SHOWN: usize = 8;
        for (i, fault) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{fault}", if i == 0 { ": " } else { "; " })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl ReadError {
    /// How it is told.
    pub(crate) fn refusal(&self) -> Refusal {
        let (status, code) = match self {
            Self::NoServers => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::TooFewShares { .. } => (StatusCode::BAD_GATEWAY, Code::TooFewShares),
            Self::Integrity { .. } => (StatusCode::BAD_GATEWAY, Code::Integrity),
            Self::NotServed { .. } => (StatusCode::FORBIDDEN, Code::Refused),
            Self::OtherVersion => (StatusCode::PRECONDITION_FAILED, Code::NotFound),
            Self::NoVerifyCap => (StatusCode::BAD_REQUEST, Code::Malformed),
            Self::Stopped => (StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable),
        };
        let refusal = Refusal::because(status, code, self);
        match self {
            Self::NotServed { .. } => refusal.hint(UNIT_HINT),
            _ => refusal,
        }
    }
}

/// What is wrong with a share, or with the server that has it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShareFault {
    /// The server does not give it.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Another share had its part before this one.
    #[error("it is slow")]
    Slow,
    /// It ends too early.
    #[error("it ends too early: {found} bytes of {expected}")]
    CutOff {
        /// What came.
        found: usize,
        /// What was asked for.
        expected: u64,
    },
    #[error(transparent)]
    Header(#[from] ShareHeaderError),
    #[error(transparent)]
    Layout(#[from] ShareLayoutError),
    #[error(transparent)]
    Ueb(#[from] UebError),
    #[error(transparent)]
    Chain(#[from] HashChainError),
    /// It is another file's, or another number's.
    #[error("its share hash chain does not lead to the file")]
    Proof,
    #[error("its block hash tree does not lead to the file")]
    BlockTree,
    #[error("its crypttext hash tree does not lead to the file")]
    CrypttextTree,
    #[error(transparent)]
    MutableLayout(#[from] LayoutError),
    /// The file's key has not signed it.
    #[error("it is not signed by the file's key")]
    Signature,
    #[error("it is of {found} segments, which are more than are read")]
    TooManySegments {
        /// How many.
        found: u64,
    },
    /// A block that is not the one that was stored.
    #[error("block {segment} does not match its hash")]
    Block {
        /// Of which segment.
        segment: u64,
    },
}

impl ShareFault {
    /// What the share says of its file that is not read of any file.
    pub(super) fn not_served(&self) -> Option<String> {
        match self {
            Self::MutableLayout(LayoutError::Prefix(
                error @ (PrefixError::SegmentTooLarge { .. } | PrefixError::TooManySegments { .. }),
            )) => Some(error.to_string()),
            Self::TooManySegments { .. } => Some(self.to_string()),
            _ => None,
        }
    }

    /// Whether the octets are wrong, as opposed to not having come.
    pub(super) fn is_corruption(&self) -> bool {
        !matches!(self, Self::Server(_) | Self::Slow)
    }
}
