//! What is wrong with the form of a signed object, and reading the fields that claims, memberships and the objects of money
//! have.

use crate::cbor::{CborError, CborFault, Reader};
use crate::keys::{GridId, KeyError, PublicKey};
use crate::rate::AssetError;
use crate::record::NicknameError;
use crate::session::group::GroupError;
use crate::signed::{Envelope, EnvelopeError};
use crate::units::UnixSeconds;

/// Why bytes do not have the form of the object that was expected. Nothing is believed of them yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Larger than any such object.
    #[error("{found} bytes, and at most {limit} are allowed")]
    TooBig {
        /// The octets there are.
        found: usize,
        /// The most there may be.
        limit: usize,
    },
    /// Not the one envelope of signed objects.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A field is malformed, missing, or contradicts another one.
    #[error("{field}, byte {offset}: {fault}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// Where, counted from the object's first byte.
        offset: usize,
        /// What is wrong there.
        fault: FormFault,
    },
    /// A word that a later version knows, and that may not be passed over.
    #[error("byte {offset}: key {key} is not known: a newer version of this program is needed to act on it")]
    Upgrade {
        /// Where, counted from the object's first byte.
        offset: usize,
        /// The key.
        key: u64,
    },
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// Not the canonical CBOR that belongs there.
    #[error(transparent)]
    Cbor(CborFault),
    /// A mandatory key is absent.
    #[error("missing")]
    Missing,
    /// 32 bytes that are no key.
    #[error(transparent)]
    Key(#[from] KeyError),
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
    /// A label that is none.
    #[error(transparent)]
    Label(#[from] NicknameError),
    /// A group that is none.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The same entry twice.
    #[error("the same entry twice")]
    Twice,
    /// `false`, which is said by leaving the key out.
    #[error("`false` is said by leaving it out")]
    FalseFlag,
    /// The calling grid without its record, or a record without the grid.
    #[error("a calling grid and its record belong together")]
    GridWithoutRecord,
    /// A code that is no asset's.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// A field that contradicts another one.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl FormError {
    /// The class of this refusal, as the test vectors name it.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::TooBig { .. } => "too-big",
            Self::Envelope(EnvelopeError::Empty) => "empty",
            Self::Envelope(EnvelopeError::Head { .. } | EnvelopeError::Signature { .. } | EnvelopeError::Cbor(_)) => {
                "envelope"
            }
            Self::Field { fault: FormFault::Cbor(fault), .. } => match fault {
                CborFault::Expected(_) | CborFault::TooMany { .. } | CborFault::TooFew { .. } => "field",
                _ => "non-canonical",
            },
            Self::Field { fault: FormFault::Key(_), .. } => "key",
            Self::Field { .. } => "field",
            Self::Upgrade { .. } => "upgrade",
        }
    }
}

/// The envelope in `bytes`, if they are no more than `limit`.
pub(crate) fn envelope(bytes: &[u8], limit: usize) -> Result<Envelope<'_>, FormError> {
    if bytes.len() > limit {
        return Err(FormError::TooBig { found: bytes.len(), limit });
    }
    Ok(Envelope::from_bytes(bytes)?)
}

/// Reads a payload's map: `entry` is told each key and reads its value.
pub(crate) fn walk(
    envelope: &Envelope<'_>,
    mut entry: impl FnMut(u64, &mut Reader<'_>) -> Result<(), FormError>,
) -> Result<(), FormError> {
    let mut reader = Reader::new(envelope.payload());
    let read = reader.map(|key, reader| entry(key, reader));
    read.and_then(|()| Ok(reader.end()?)).map_err(|error| error.shifted(envelope.payload_offset()))
}

/// The fault of a field that begins at `offset` of the payload.
pub(crate) fn fault(field: &'static str, offset: usize, fault: impl Into<FormFault>) -> FormError {
    FormError::Field { field, offset, fault: fault.into() }
}

/// The value of a mandatory field; its absence is told of the payload's beginning.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, FormError> {
    value.ok_or(FormError::Field { field, offset: 0, fault: FormFault::Missing })
}

/// A public key.
pub(crate) fn key(field: &'static str, reader: &mut Reader<'_>) -> Result<PublicKey, FormError> {
    let start = reader.offset();
    PublicKey::from_bytes(&octets(field, reader)?).map_err(|error| fault(field, start, error))
}

/// A grid id.
pub(crate) fn grid(field: &'static str, reader: &mut Reader<'_>) -> Result<GridId, FormError> {
    key(field, reader).map(GridId::new)
}

/// Exactly `N` octets.
pub(crate) fn octets<const N: usize>(field: &'static str, reader: &mut Reader<'_>) -> Result<[u8; N], FormError> {
    reader.array_of().map_err(|error| in_field(field, error))
}

/// A time that has a date.
pub(crate) fn date(field: &'static str, reader: &mut Reader<'_>) -> Result<UnixSeconds, FormError> {
    number(field, reader, 1, UnixSeconds::MAX.0).map(UnixSeconds)
}

/// A number from `min` to `max`.
pub(crate) fn number(field: &'static str, reader: &mut Reader<'_>, min: u64, max: u64) -> Result<u64, FormError> {
    let start = reader.offset();
    let found = reader.uint().map_err(|error| in_field(field, error))?;
    if (min..=max).contains(&found) {
        Ok(found)
    } else {
        Err(fault(field, start, FormFault::Range { found, min, max }))
    }
}

/// An error of CBOR inside a field.
pub(crate) fn in_field(field: &'static str, error: CborError) -> FormError {
    FormError::Field { field, offset: error.offset, fault: FormFault::Cbor(error.fault) }
}

impl FormError {
    /// The same error, its offset counted from `base` bytes earlier.
    pub(crate) fn shifted(self, base: usize) -> Self {
        match self {
            Self::Field { field, offset, fault } => Self::Field { field, offset: offset + base, fault },
            Self::Upgrade { offset, key } => Self::Upgrade { offset: offset + base, key },
            other => other,
        }
    }
}

impl From<CborError> for FormError {
    fn from(error: CborError) -> Self {
        in_field("payload", error)
    }
}
