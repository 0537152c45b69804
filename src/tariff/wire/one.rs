//! An object that one party signs.

use crate::cbor::{MapWriter, Reader};
use crate::keys::{BadSignature, PublicKey, SecretKey};
use crate::session::form::{FormError, FormFault, envelope, fault};
use crate::signed::{Envelope, Identity, ObjectType, seal};
use crate::tariff::wire::fields::Fields;
use std::fmt;

/// What a payload of money has beside its fields.
#[expect(private_bounds, reason = "what may be signed is a closed set, and how a payload is written is nobody else's")]
pub trait Payload: Fields + Clone + PartialEq + fmt::Debug {
    /// The type that is signed for.
    const TYPE: ObjectType;
    /// The most octets as stored, the envelope included.
    const MAX_BYTES: usize;
}

/// A payload whose first field names whom it belongs to, and which names the key that signs it.
pub trait SignedByOne: Payload {
    /// The 32 octets of the first field: part of the identity.
    fn owner(&self) -> &[u8; 32];

    /// The key that signs.
    fn signer(&self) -> &PublicKey;
}

/// A payload with the signature of the key that it names. Whether that key may say so is for whoever acts on it: a record or
/// a membership gives it its role.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed<T> {
    bytes: Box<[u8]>,
    body: T,
    identity: Identity,
}

/// Why bytes are not the signed object that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the form.
    #[error("{object}: {error}", object = .object.name())]
    Form {
        /// The type that was expected.
        object: ObjectType,
        /// What is wrong.
        error: FormError,
    },
    /// Not signed by the key that it names, or not by that of the lane it belongs to.
    #[error("the signature on the {object} is not one of {signer}", object = .object.name())]
    BadSignature {
        /// The type.
        object: ObjectType,
        /// The key that should have signed.
        signer: PublicKey,
    },
    /// The key at hand is not the one that the payload names.
    #[error("{object}: the payload names {expected} as its signer, and the key at hand is {found}", object = .object.name())]
    OtherKey {
        /// The type.
        object: ObjectType,
        /// The key that is named.
        expected: PublicKey,
        /// The key at hand.
        found: PublicKey,
    },
    /// A voucher or a report of another lane.
    #[error("{object}: it belongs to another lane", object = .object.name())]
    OtherLane {
        /// The type.
        object: ObjectType,
    },
}

impl WireError {
    /// The class of this refusal, as the test vectors name it.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Form { error, .. } => error.class(),
            Self::BadSignature { .. } => "signature",
            Self::OtherKey { .. } => "other-key",
            Self::OtherLane { .. } => "other-lane",
        }
    }
}

impl<T: SignedByOne> Signed<T> {
    /// The object in `bytes`, its signature verified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let (envelope, body) = opened::<T>(bytes)?;
        let signer = *body.signer();
        envelope
            .verify(T::TYPE, &signer)
            .map_err(|BadSignature| WireError::BadSignature { object: T::TYPE, signer })?;
        let identity = Identity::of_one(T::TYPE, body.owner(), envelope.payload());
        Ok(Self { bytes: bytes.into(), body, identity })
    }

    /// Signs `body`. Refuses what could not be read again, and another key than the one it names.
    pub fn sign(body: &T, key: &SecretKey) -> Result<Self, WireError> {
        if key.public() != *body.signer() {
            return Err(WireError::OtherKey { object: T::TYPE, expected: *body.signer(), found: key.public() });
        }
        Self::from_bytes(&seal(T::TYPE, &written(body), key))
    }
}

impl<T: Payload> Signed<T> {
    /// One whose signature was verified with a key that stands elsewhere, or has just been made with it.
    pub(super) fn verified(bytes: &[u8], body: T, identity: Identity) -> Self {
        Self { bytes: bytes.into(), body, identity }
    }

    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    pub fn body(&self) -> &T {
        &self.body
    }

    /// Its identity.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

impl<T: Payload> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {:?}", T::TYPE.name(), self.identity, self.body)
    }
}

/// The payload's bytes.
pub(super) fn written<T: Payload>(body: &T) -> Vec<u8> {
    let mut map = MapWriter::new();
    body.write_fields(&mut map);
    map.finish()
}

/// The envelope in `bytes` and the fields of its payload, nothing verified yet.
pub(super) fn opened<T: Payload>(bytes: &[u8]) -> Result<(Envelope<'_>, T), WireError> {
    let form = |error| WireError::Form { object: T::TYPE, error };
    let envelope = envelope(bytes, T::MAX_BYTES).map_err(form)?;
    let mut reader = Reader::new(envelope.payload());
    let read = T::read_fields(&mut reader).and_then(|body| {
        reader.end()?;
        body.agree().map_err(|(field, what)| fault(field, 0, FormFault::Contradiction(what)))?;
        Ok(body)
    });
    let body = read.map_err(|error| form(error.shifted(envelope.payload_offset())))?;
    Ok((envelope, body))
}
