//! Why bytes are no message.

use crate::cbor::CborError;
use crate::dht::message::limits::MAX_RESPONSE_BYTES;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not the CBOR that was expected.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// 32 bytes that are no grid's key.
    #[error("the grid id is no Ed25519 key")]
    GridId,
    /// More octets than an answer of its kind may have.
    #[error("an answer of {0} bytes where {MAX_RESPONSE_BYTES} are allowed")]
    TooLong(usize),
    /// A part that this kind of message must have.
    #[error("the message has no {0}")]
    Missing(&'static str),
}
