//! The one envelope of all signed objects: an untagged COSE_Sign1 (RFC 9052) in a single byte form.
//!
//! ```text
//! 84                 array of 4
//!   43 a1 01 27      protected header: {1: -8}, EdDSA
//!   a0               unprotected header: empty
//!   4x | 58 | 59 ..  payload, a byte string in its shortest form
//!   58 40 ..         64 bytes of Ed25519
//! ```
//!
//! Any other form is refused before the signature is looked at: a header that is not signed must not be able to make two
//! objects of one. What is signed binds the type and the signer's key, so that no signature passes for another type,
//! another key, or one of Tahoe's own bare-JSON certificates. Specification: `docs/spec/signed-objects.md`.

use crate::cbor::{CborError, CborFault, Reader};
use crate::keys::{BadSignature, GridId, PublicKey, SecretKey};
use minicbor::Encoder;
use sha2::{Digest, Sha256};

/// The array head, the protected header and the empty unprotected one.
const HEAD: [u8; 6] = [0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0];
/// The head of the signature's byte string.
const SIGNATURE_HEAD: [u8; 2] = [0x58, 0x40];

/// What the envelope adds to a payload of 256 to 65,535 octets: head, the payload's length, signature.
pub const ENVELOPE_BYTES: usize = HEAD.len() + 3 + SIGNATURE_HEAD.len() + 64;

/// A type of signed object. The text is part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectType {
    /// What a grid says about itself.
    Record,
    /// The grid key's permission for a publisher key.
    Delegation,
    /// A caller's claim to a session with a gateway.
    Session,
    /// A grid's word that a key is one of its clients, or is no more.
    Membership,
    /// A seller's price for an audience.
    Deck,
    /// What two grids agreed on before one pays the other.
    Terms,
    /// What a payer and a payee agreed on for one counter.
    LaneOpen,
    /// A payer's word for what it was delivered and owes.
    Voucher,
    /// A payee's word for what it delivered.
    LaneReport,
    /// A payee's best vouchers, for the clearing node.
    Claim,
    /// The clearing node's answer to a claim.
    Receipt,
    /// What two grids owe each other, by the clearing node's books.
    Position,
    /// A grid's consent to a netting among many.
    Consent,
    /// The bill of a period.
    Statement,
    /// A creditor's word that it was paid.
    Payment,
    /// The end of something that was signed before.
    Revoke,
}

impl ObjectType {
    /// The name and version of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record/1",
            Self::Delegation => "delegation/1",
            Self::Session => "session/1",
            Self::Membership => "membership/1",
            Self::Deck => "deck/1",
            Self::Terms => "terms/1",
            Self::LaneOpen => "lane-open/1",
            Self::Voucher => "voucher/1",
            Self::LaneReport => "lane-report/1",
            Self::Claim => "claim/1",
            Self::Receipt => "receipt/1",
            Self::Position => "position/1",
            Self::Consent => "consent/1",
            Self::Statement => "statement/1",
            Self::Payment => "payment/1",
            Self::Revoke => "revoke/1",
        }
    }
}

/// The SHA-256 that names an object everywhere: in digests, read-backs, ETags, evidence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 32]);

impl Identity {
    /// The identity of an object that belongs to `grid`.
    pub fn of(object: ObjectType, grid: &GridId, payload: &[u8]) -> Self {
        Self::of_one(object, grid.as_bytes(), payload)
    }

    /// The identity of an object of money that one party signs: it belongs to what the first field of its payload names.
    pub fn of_one(object: ObjectType, owner: &[u8; 32], payload: &[u8]) -> Self {
        Self::hash(&[object.name().as_bytes(), &[0], owner, payload])
    }

    /// The identity of an object that two parties sign: it belongs to neither.
    pub fn of_both(object: ObjectType, payload: &[u8]) -> Self {
        Self::hash(&[object.name().as_bytes(), &[0], payload])
    }

    fn hash(parts: &[&[u8]]) -> Self {
        Self(parts.iter().fold(Sha256::new(), |hasher, part| hasher.chain_update(part)).finalize().into())
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// An envelope in its right form, its signature not yet looked at: the signer may follow from the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'b> {
    payload: &'b [u8],
    payload_offset: usize,
    signature: &'b [u8; 64],
}

impl<'b> Envelope<'b> {
    /// Takes `bytes` apart; refuses every form but the one.
    pub fn from_bytes(bytes: &'b [u8]) -> Result<Self, EnvelopeError> {
        if bytes.is_empty() {
            return Err(EnvelopeError::Empty);
        }
        if let Some(offset) = (0..HEAD.len()).find(|i| bytes.get(*i) != Some(&HEAD[*i])) {
            return Err(EnvelopeError::Head { offset });
        }
        let mut payload_reader = Reader::new(&bytes[HEAD.len()..]);
        let shifted = |error: CborError| CborError { offset: error.offset + HEAD.len(), ..error };
        let payload = payload_reader.bytes(usize::MAX).map_err(shifted)?;
        let end = HEAD.len() + payload_reader.offset();
        let rest = &bytes[end..];
        let signature = rest.strip_prefix(&SIGNATURE_HEAD).ok_or(EnvelopeError::Signature { offset: end })?;
        let (signature, padding) =
            signature.split_first_chunk().ok_or(CborError { offset: end, fault: CborFault::CutOff })?;
        if !padding.is_empty() {
            let offset = bytes.len() - padding.len();
            return Err(CborError { offset, fault: CborFault::Trailing(padding.len()) }.into());
        }
        Ok(Self { payload, payload_offset: end - payload.len(), signature })
    }

    /// The payload, whoever signed it: nothing may be believed of it before [`Envelope::verify`].
    pub fn payload(&self) -> &'b [u8] {
        self.payload
    }

    /// Where the payload begins in the envelope's bytes.
    pub fn payload_offset(&self) -> usize {
        self.payload_offset
    }

    /// The signature, whoever made it.
    pub fn signature(&self) -> &'b [u8; 64] {
        self.signature
    }

    /// Checks that `signer` signed the payload as an object of this type.
    pub fn verify(&self, object: ObjectType, signer: &PublicKey) -> Result<(), BadSignature> {
        verify(object, self.payload, signer, self.signature)
    }
}

/// Checks that `signature` is one of `signer` over `payload` as an object of this type.
pub fn verify(
    object: ObjectType,
    payload: &[u8],
    signer: &PublicKey,
    signature: &[u8; 64],
) -> Result<(), BadSignature> {
    signer.verify(&to_be_signed(object, signer, payload), signature)
}

/// The signature of `signer` over `payload`, without the envelope.
pub fn sign(object: ObjectType, payload: &[u8], signer: &SecretKey) -> [u8; 64] {
    signer.sign(&to_be_signed(object, &signer.public(), payload))
}

/// The envelope of `payload`, signed by `signer`.
pub fn seal(object: ObjectType, payload: &[u8], signer: &SecretKey) -> Vec<u8> {
    enclose(payload, &sign(object, payload, signer))
}

/// The envelope of `payload` with a signature that was made before.
pub fn enclose(payload: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + ENVELOPE_BYTES);
    out.extend_from_slice(&HEAD);
    Encoder::new(&mut out).bytes(payload).expect("memory takes every byte");
    out.extend_from_slice(&SIGNATURE_HEAD);
    out.extend_from_slice(signature);
    out
}

/// The `Sig_structure` of RFC 9052, 4.4, with the type and the signer's key as external data.
fn to_be_signed(object: ObjectType, signer: &PublicKey, payload: &[u8]) -> Vec<u8> {
    let aad = [b"lafs-clearinghouse/", object.name().as_bytes(), &[0], signer.as_bytes()].concat();
    let mut out = Vec::with_capacity(payload.len() + aad.len() + 32);
    Encoder::new(&mut out)
        .array(4)
        .and_then(|e| e.str("Signature1"))
        .and_then(|e| e.bytes(&HEAD[2..5]))
        .and_then(|e| e.bytes(&aad))
        .and_then(|e| e.bytes(payload))
        .expect("memory takes every byte");
    out
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// No bytes at all.
    #[error("empty")]
    Empty,
    /// Another header than the one allowed: another algorithm, an unprotected entry, a CBOR tag, or no COSE at all.
    #[error("byte {offset}: not the header of a signed object (84 43 a1 01 27 a0)")]
    Head {
        /// The first byte that differs.
        offset: usize,
    },
    /// Where the signature belongs there is no byte string of 64.
    #[error("byte {offset}: a signature of 64 bytes expected")]
    Signature {
        /// Where it was expected.
        offset: usize,
    },
    /// The payload's byte string is malformed, cut off, or followed by padding.
    #[error(transparent)]
    Cbor(#[from] CborError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use coset::CborSerializable;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[7; 32])
    }

    #[test]
    fn what_is_sealed_opens_and_verifies() {
        for size in [0, 23, 24, 255, 256, 900] {
            let payload = vec![0x61; size];
            let sealed = seal(ObjectType::Record, &payload, &key());
            let envelope = Envelope::from_bytes(&sealed).expect("own form");
            assert_eq!(envelope.payload(), payload);
            assert_eq!(&sealed[envelope.payload_offset()..][..size], payload);
            assert_eq!(envelope.verify(ObjectType::Record, &key().public()), Ok(()));
        }
    }

    #[test]
    fn a_signature_holds_for_one_type_and_one_key() {
        let sealed = seal(ObjectType::Record, b"payload", &key());
        let envelope = Envelope::from_bytes(&sealed).expect("own form");
        assert_eq!(envelope.verify(ObjectType::Delegation, &key().public()), Err(BadSignature));
        let other = SecretKey::from_seed(&[8; 32]).public();
        assert_eq!(envelope.verify(ObjectType::Record, &other), Err(BadSignature));
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        let sealed = seal(ObjectType::Record, b"payload", &key());
        for i in 0..sealed.len() {
            let mut bytes = sealed.clone();
            bytes[i] ^= 1;
            let opened = Envelope::from_bytes(&bytes).map(|e| e.verify(ObjectType::Record, &key().public()));
            assert_ne!(opened, Ok(Ok(())), "byte {i}");
        }
    }

    #[test]
    fn other_forms_of_the_same_object_are_refused() {
        let sealed = seal(ObjectType::Record, b"payload", &key());
        let with = |at: usize, remove: usize, insert: &[u8]| {
            let mut bytes = sealed.clone();
            bytes.splice(at..at + remove, insert.iter().copied());
            Envelope::from_bytes(&bytes).map(drop)
        };
        assert_eq!(with(0, 0, &[0xd2]), Err(EnvelopeError::Head { offset: 0 }), "tagged");
        assert_eq!(with(5, 1, &[0xa1, 0, 0]), Err(EnvelopeError::Head { offset: 5 }), "unprotected header");
        assert_eq!(
            with(6, 1, &[0x58, 7]),
            Err(CborError { offset: 6, fault: CborFault::NotShortest }.into()),
            "long length"
        );
        assert_eq!(
            with(sealed.len(), 0, &[0]),
            Err(CborError { offset: sealed.len(), fault: CborFault::Trailing(1) }.into()),
            "padded"
        );
        assert_eq!(with(sealed.len() - 1, 1, &[]), Err(CborError { offset: 14, fault: CborFault::CutOff }.into()));
        assert_eq!(Envelope::from_bytes(&[]), Err(EnvelopeError::Empty));
    }

    #[test]
    fn coset_reads_and_verifies_what_we_seal() {
        let sealed = seal(ObjectType::Record, b"payload", &key());
        let cose = coset::CoseSign1::from_slice(&sealed).expect("COSE");
        let aad = [b"lafs-clearinghouse/record/1\0", &key().public().as_bytes()[..]].concat();
        cose.verify_signature(&aad, |signature, message| {
            key().public().verify(message, signature.try_into().expect("64 bytes"))
        })
        .expect("the signature COSE defines");
    }
}
