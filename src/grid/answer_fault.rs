//! How a storage server's answer may be malformed.

/// The ways in which an answer is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// More bytes than were asked for, or than its own header says.
    #[error("more than was asked for")]
    TooLong,
    /// Fewer bytes than its own header says.
    #[error("{received} bytes where its header says {said}")]
    TooShort {
        /// Octets that came.
        received: u64,
        /// Octets announced.
        said: u64,
    },
    /// A part of a share without a `Content-Range`, or with one that is not what was asked for.
    #[error("another range than the one asked for")]
    Range,
    /// A list of shares that is no CBOR set of share numbers.
    #[error("no set of share numbers")]
    ShareSet,
}
