//! Why bytes are not a record, or not one that this program may act on.

use super::contact::ContactError;
use super::gateway::GatewayError;
use super::nickname::NicknameError;
use super::node_entry::NodeError;
use super::time::TimeFault;
use crate::cbor::{CborError, CborFault};
use crate::keys::KeyError;
use crate::rate::{AssetError, RateError};
use crate::signed::EnvelopeError;
use crate::units::{Seconds, UnixSeconds};

/// Why bytes are refused as a record or a delegation. Offsets count from the first byte given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No bytes at all.
    #[error("the {object} is empty: no bytes at all")]
    Empty {
        /// `record` or `delegation`.
        object: &'static str,
    },
    /// More octets than a record of this kind may have.
    #[error("{found} bytes, and at most {limit} are allowed")]
    TooBig {
        /// The octets there were.
        found: usize,
        /// The octets allowed: fewer for a record that is withdrawn or names a successor.
        limit: usize,
    },
    /// Not the one form of a signed object.
    #[error("not a signed {object}: {error}")]
    Envelope {
        /// `record` or `delegation`.
        object: &'static str,
        /// What is wrong with the envelope.
        error: EnvelopeError,
    },
    /// A field is malformed or contradicts another one.
    #[error("{field}, byte {offset}: {fault}")]
    Form {
        /// The field's name.
        field: &'static str,
        /// Where.
        offset: usize,
        /// What is wrong there.
        fault: Fault,
    },
    /// The signature does not verify: the bytes were altered, or another key signed them.
    #[error("the signature on the {object} is not one of {signer}: altered, or signed by another key")]
    BadSignature {
        /// `record` or `delegation`.
        object: &'static str,
        /// Whose signature was needed.
        signer: &'static str,
    },
    /// Validly signed, but with words that a later version of this program knows: nothing may be done on its account.
    #[error("byte {offset}: {unknown}: a newer version of this program is needed to act on it")]
    Upgrade {
        /// Where.
        offset: usize,
        /// What is not known.
        unknown: Unknown,
    },
    /// Well-formed and signed, but not for this time.
    #[error(transparent)]
    Time(#[from] TimeFault),
}

impl RecordError {
    /// The same error, its offset counted from `base` bytes earlier.
    pub(super) fn shifted(self, base: usize) -> Self {
        match self {
            Self::Form { field, offset, fault } => Self::Form { field, offset: offset + base, fault },
            Self::Upgrade { offset, unknown } => Self::Upgrade { offset: offset + base, unknown },
            Self::Envelope { object, error } => {
                let error = match error {
                    EnvelopeError::Empty => EnvelopeError::Empty,
                    EnvelopeError::Head { offset } => EnvelopeError::Head { offset: offset + base },
                    EnvelopeError::Signature { offset } => EnvelopeError::Signature { offset: offset + base },
                    EnvelopeError::Cbor(error) => CborError { offset: error.offset + base, ..error }.into(),
                };
                Self::Envelope { object, error }
            }
            other => other,
        }
    }

    /// The error of an envelope.
    pub(super) fn envelope(object: &'static str, error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Empty => Self::Empty { object },
            error => Self::Envelope { object, error },
        }
    }

    /// Whether the record is a valid one that a newer version of this program could act on.
    pub fn is_upgrade(&self) -> bool {
        matches!(self, Self::Upgrade { .. })
    }
}

/// What a newer version would know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// A later format.
    #[error("{object} format {format} is not known")]
    Format {
        /// `record` or `delegation`.
        object: &'static str,
        /// The format.
        format: u64,
    },
    /// A key that may not be ignored.
    #[error("key {key} of {map} is not known")]
    Key {
        /// The map it stands in.
        map: &'static str,
        /// The key.
        key: u64,
    },
    /// A role of a gateway.
    #[error("gateway roles {0:#x} are not all known")]
    Roles(u64),
    /// An asset.
    #[error(transparent)]
    Asset(AssetError),
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not the canonical CBOR that belongs there.
    #[error(transparent)]
    Cbor(CborFault),
    /// A mandatory key is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A number outside its range.
    #[error("{found} is not within {min} to {max}")]
    Range {
        /// The number.
        found: u64,
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// The sequence does not lie in the second of issue.
    #[error("{sequence} is not the time of issue, {issued_at}, times 1000 plus 0 to 999")]
    Sequence {
        /// The sequence.
        sequence: u64,
        /// The time of issue, in Unix seconds.
        issued_at: u64,
    },
    /// Expires before it is issued, or lives longer than allowed.
    #[error("lives {lifetime}, and at most {limit} is allowed")]
    Lifetime {
        /// The span from issue to expiry.
        lifetime: Seconds,
        /// The longest span allowed.
        limit: Seconds,
    },
    /// Something that only the grid key may sign, in a record that a publisher signed.
    #[error("only the grid key may sign `{0}`, and a publisher signed this one")]
    NotForPublisher(&'static str),
    /// The record lies outside the time of its delegation.
    #[error("{found}, and the delegation holds {holds}")]
    OutsideDelegation {
        /// What the record says.
        found: UnixSeconds,
        /// The bound.
        holds: DelegationBound,
    },
    /// A publisher key that is the grid key itself.
    #[error("the publisher key is the grid key itself")]
    PublisherIsGrid,
    /// More credit than the delegation lets the publisher give.
    #[error("the credit limit is more than the delegation lets the publisher give")]
    OverMaxLimit,
    /// A grid id that is the record's own.
    #[error("names the grid itself")]
    OwnGrid,
    /// A field that a withdrawn record must not have.
    #[error("not in a withdrawn record")]
    InWithdrawn,
    /// The same entry twice.
    #[error("the same entry twice")]
    Twice,
    /// Rate lines not in ascending order of their assets, or two of one asset.
    #[error("rate lines must ascend by asset, one line each")]
    RateOrder,
    /// 32 bytes that are no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not an asset code.
    #[error(transparent)]
    Asset(AssetError),
    /// Not a nickname.
    #[error(transparent)]
    Nickname(#[from] NicknameError),
    /// Not a contact address.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// Not a gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Not a rate line.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// Not a node.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// A bound that a delegation sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DelegationBound {
    /// From its serial less two hours.
    #[error("from {0}")]
    From(UnixSeconds),
    /// Until its end.
    #[error("until {0}")]
    Until(UnixSeconds),
}

/// An error inside a field, before the field's name is put to it.
#[derive(Debug)]
pub(super) struct FieldError {
    offset: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Fault(Fault),
    Unknown(Unknown),
}

impl FieldError {
    /// `fault` at `offset`.
    pub(super) fn new(offset: usize, fault: impl Into<Fault>) -> Self {
        Self { offset, what: What::Fault(fault.into()) }
    }

    /// Something at `offset` that a newer version would know.
    pub(super) fn unknown(offset: usize, unknown: Unknown) -> Self {
        Self { offset, what: What::Unknown(unknown) }
    }

    /// The error of an asset code at `offset`.
    pub(super) fn asset(offset: usize, error: AssetError) -> Self {
        match error {
            AssetError::Form(_) => Self::new(offset, Fault::Asset(error)),
            AssetError::Unknown(_) | AssetError::NoDigits(_) => Self::unknown(offset, Unknown::Asset(error)),
        }
    }

    /// The same error, its offset counted from `base` bytes earlier.
    pub(super) fn shifted(self, base: usize) -> Self {
        Self { offset: self.offset + base, what: self.what }
    }

    /// The error of the field called `field`.
    pub(super) fn in_field(self, field: &'static str) -> RecordError {
        let offset = self.offset;
        match self.what {
            What::Fault(fault) => RecordError::Form { field, offset, fault },
            What::Unknown(unknown) => RecordError::Upgrade { offset, unknown },
        }
    }
}

impl From<CborError> for FieldError {
    fn from(error: CborError) -> Self {
        Self::new(error.offset, Fault::Cbor(error.fault))
    }
}

impl From<CborError> for RecordError {
    fn from(error: CborError) -> Self {
        FieldError::from(error).in_field("payload")
    }
}
