//! An object that two parties sign: proposed by one of them, accepted by the other.
//!
//! Both sign the same payload. What both signed is the envelope with the payer's signature, and behind it the 64 octets of
//! the payee's, whoever proposed: one object has one form.

use crate::keys::{PublicKey, SecretKey};
use crate::session::form::FormError;
use crate::signed::{EnvelopeError, Identity, enclose, seal, sign, verify};
use crate::tariff::wire::one::{Payload, WireError, opened, written};
use std::fmt;

/// Who of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The one that reads and pays.
    Payer,
    /// The one that delivers and is paid.
    Payee,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Payer => Self::Payee,
            Self::Payee => Self::Payer,
        }
    }
}

/// A payload that names the two keys that sign it.
pub trait SignedByBoth: Payload {
    /// The key that signs for this side.
    fn key(&self, side: Side) -> &PublicKey;
}

/// Signed by one side, for the other to accept.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal<T> {
    bytes: Box<[u8]>,
    body: T,
    by: Side,
    identity: Identity,
}

/// Signed by both sides.
#[derive(Clone, PartialEq, Eq)]
pub struct Agreed<T> {
    bytes: Box<[u8]>,
    body: T,
    identity: Identity,
}

impl<T: SignedByBoth> Proposal<T> {
    /// The proposal in `bytes`: signed by one of the two keys that it names.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let (envelope, body) = opened::<T>(bytes)?;
        let by = if envelope.verify(T::TYPE, body.key(Side::Payer)).is_ok() {
            Side::Payer
        } else {
            let signer = *body.key(Side::Payee);
            envelope.verify(T::TYPE, &signer).map_err(|_| WireError::BadSignature { object: T::TYPE, signer })?;
            Side::Payee
        };
        let identity = Identity::of_both(T::TYPE, envelope.payload());
        Ok(Self { bytes: bytes.into(), body, by, identity })
    }

    /// Signs `body` with `key`, which is one of the two that it names. Refuses what could not be read again.
    pub fn sign(body: &T, key: &SecretKey) -> Result<Self, WireError> {
        let found = key.public();
        if ![Side::Payer, Side::Payee].iter().any(|side| *body.key(*side) == found) {
            return Err(WireError::OtherKey { object: T::TYPE, expected: *body.key(Side::Payer), found });
        }
        Self::from_bytes(&seal(T::TYPE, &written(body), key))
    }

    /// Signs for the other side.
    pub fn accept(&self, key: &SecretKey) -> Result<Agreed<T>, WireError> {
        let expected = *self.body.key(self.by.other());
        if key.public() != expected {
            return Err(WireError::OtherKey { object: T::TYPE, expected, found: key.public() });
        }
        let (envelope, _) = opened::<T>(&self.bytes)?;
        let ours = sign(T::TYPE, envelope.payload(), key);
        let (payer, payee) = match self.by {
            Side::Payer => (envelope.signature(), &ours),
            Side::Payee => (&ours, envelope.signature()),
        };
        Agreed::from_bytes(&[&enclose(envelope.payload(), payer)[..], payee].concat())
    }

    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is proposed.
    pub fn body(&self) -> &T {
        &self.body
    }

    /// Who proposes.
    pub fn by(&self) -> Side {
        self.by
    }

    /// The identity, which it keeps when it is accepted.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

impl<T: SignedByBoth> Agreed<T> {
    /// What both signed, in `bytes`; both signatures verified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let cut = || WireError::Form {
            object: T::TYPE,
            error: FormError::Envelope(EnvelopeError::Signature { offset: bytes.len() }),
        };
        let (envelope, payee) = bytes.split_last_chunk::<64>().ok_or_else(cut)?;
        let (envelope, body) = opened::<T>(envelope)?;
        let signer = *body.key(Side::Payer);
        envelope.verify(T::TYPE, &signer).map_err(|_| WireError::BadSignature { object: T::TYPE, signer })?;
        let signer = *body.key(Side::Payee);
        verify(T::TYPE, envelope.payload(), &signer, payee)
            .map_err(|_| WireError::BadSignature { object: T::TYPE, signer })?;
        let identity = Identity::of_both(T::TYPE, envelope.payload());
        Ok(Self { bytes: bytes.into(), body, identity })
    }

    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was agreed.
    pub fn body(&self) -> &T {
        &self.body
    }

    /// The identity: of the payload alone.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

impl<T: Payload> fmt::Debug for Proposal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} proposed by {:?}: {:?}", T::TYPE.name(), self.identity, self.by, self.body)
    }
}

impl<T: Payload> fmt::Debug for Agreed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {:?}", T::TYPE.name(), self.identity, self.body)
    }
}
