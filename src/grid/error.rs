//! Why a storage server did not give what it was asked for. No error names a NURL, an address or a swissnum.

use crate::grid::answer_fault::AnswerFault;
use std::io;

/// Why a question to a storage server has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// None of its addresses accepts connections, or its name has no address. Another server may do.
    #[error("it cannot be reached")]
    Unreachable(#[source] io::Error),
    /// Something answers there that has another key: nothing was told to it.
    #[error("another key than the announced one answers there")]
    WrongKey,
    /// It does not get ready to be asked, or does not begin to answer.
    #[error("no answer in time")]
    TimedOut,
    /// It began to answer, and went quiet or trickles.
    #[error("it stalled after {received} bytes of its answer")]
    Stalled {
        /// Octets of the body that had come.
        received: u64,
    },
    /// The connection ended in the middle of an answer, or spoke no HTTP.
    #[error("the connection broke after {received} bytes of an answer")]
    Broken {
        /// Octets of the body that had come.
        received: u64,
        /// What hyper said of it.
        source: hyper::Error,
    },
    /// It has no such share: 404. No failure of the server.
    #[error("it has no such share")]
    NoSuchShare,
    /// It refuses the swissnum that it announced: 401. Its announcement is out of date.
    #[error("it refuses the secret that it announced")]
    Refused,
    /// A status that has no place in the protocol.
    #[error("it answered with status {0}")]
    Status(u16),
    /// An answer that does not keep to the protocol.
    #[error("its answer is malformed: {0}")]
    Malformed(AnswerFault),
    /// More than is read at once was asked for: the caller's fault.
    #[error("{asked} bytes asked for at once where {limit} are allowed")]
    TooMuchAsked {
        /// Octets asked for.
        asked: u64,
        /// The most.
        limit: u64,
    },
}

impl ServerError {
    /// Whether it speaks against the server, rather than of a share or of the caller.
    pub fn is_the_servers_fault(&self) -> bool {
        !matches!(self, Self::NoSuchShare | Self::TooMuchAsked { .. })
    }
}
