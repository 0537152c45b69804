//! Keys 0 to 5 of a record, the same in every format for ever: what a holder must understand to keep it.

use super::delegation::{MAX_DELEGATION_BYTES, date};
use super::error::{Fault, FieldError, RecordError};
use super::field::Field;
use super::time::{MAX_FINAL_LIFETIME, MAX_LIFETIME};
use crate::cbor::{Kind, Reader};
use crate::units::{Seconds, UnixSeconds};

/// The most octets of a record, envelope included, so that it also fits where others carry 1,000.
pub const MAX_RECORD_BYTES: usize = 995;

/// The most octets of a record that lives up to ten years: one that is withdrawn or names a successor.
pub const MAX_FINAL_BYTES: usize = 256;

/// Sequences that one second has.
pub(super) const SEQUENCES_PER_SECOND: u64 = 1000;

/// The head of a record whose signature has not been looked at yet.
#[derive(Debug)]
pub(super) struct Head<'b> {
    pub(super) format: u64,
    pub(super) sequence: u64,
    pub(super) issued_at: UnixSeconds,
    pub(super) expires_at: UnixSeconds,
    pub(super) withdrawn: bool,
    pub(super) authority: RawAuthority<'b>,
    /// Whether `successor` is there: a holder knows it by its number alone.
    pub(super) has_successor: bool,
}

/// What the authority field holds.
#[derive(Debug)]
pub(super) enum RawAuthority<'b> {
    Serial(UnixSeconds),
    Delegation { bytes: &'b [u8], offset: usize },
}

impl<'b> Head<'b> {
    /// Reads the head and checks the form of all the rest. Offsets of errors count from the payload's first byte.
    pub(super) fn read(payload: &'b [u8]) -> Result<Self, RecordError> {
        let mut slots = Slots::default();
        let mut reader = Reader::new(payload);
        reader.map(|key, reader| match Field::from_key(key) {
            Some(field) => slots.read(field, reader).map_err(|error| error.in_field(field.name())),
            None => reader.skip().map_err(|error| FieldError::from(error).in_field("a key of a later day")),
        })?;
        reader.end()?;
        slots.head()
    }

    /// The most octets of a record with this head.
    pub(super) fn max_bytes(&self) -> usize {
        if self.withdrawn || self.has_successor { MAX_FINAL_BYTES } else { MAX_RECORD_BYTES }
    }
}

#[derive(Default)]
struct Slots<'b> {
    format: Option<u64>,
    sequence: Option<(usize, u64)>,
    issued_at: Option<UnixSeconds>,
    expires_at: Option<(usize, UnixSeconds)>,
    withdrawn: Option<(usize, bool)>,
    authority: Option<RawAuthority<'b>>,
    next_at: Option<usize>,
    successor_at: Option<usize>,
}

impl<'b> Slots<'b> {
    fn read(&mut self, field: Field, reader: &mut Reader<'b>) -> Result<(), FieldError> {
        let start = reader.offset();
        match field {
            Field::Format => match reader.uint()? {
                0 => return Err(FieldError::new(start, Fault::Range { found: 0, min: 1, max: u64::MAX })),
                format => self.format = Some(format),
            },
            Field::Sequence => self.sequence = Some((start, reader.uint()?)),
            Field::IssuedAt => self.issued_at = Some(date(reader)?),
            Field::ExpiresAt => self.expires_at = Some((start, date(reader)?)),
            Field::Withdrawn => self.withdrawn = Some((start, reader.bool()?)),
            Field::Authority => {
                self.authority = Some(match reader.peek()? {
                    Kind::Bytes => {
                        let bytes = reader.bytes(MAX_DELEGATION_BYTES)?;
                        RawAuthority::Delegation { bytes, offset: reader.offset() - bytes.len() }
                    }
                    _ => RawAuthority::Serial(date(reader)?),
                });
            }
            Field::Next => {
                self.next_at = Some(start);
                reader.skip()?;
            }
            Field::Successor => {
                self.successor_at = Some(start);
                reader.skip()?;
            }
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn head(self) -> Result<Head<'b>, RecordError> {
        let missing = |field: Field| move || FieldError::new(0, Fault::Missing("the field")).in_field(field.name());
        let format = self.format.ok_or_else(missing(Field::Format))?;
        let (sequence_start, sequence) = self.sequence.ok_or_else(missing(Field::Sequence))?;
        let issued_at = self.issued_at.ok_or_else(missing(Field::IssuedAt))?;
        let (expires_start, expires_at) = self.expires_at.ok_or_else(missing(Field::ExpiresAt))?;
        let (withdrawn_at, withdrawn) = self.withdrawn.ok_or_else(missing(Field::Withdrawn))?;
        let authority = self.authority.ok_or_else(missing(Field::Authority))?;
        if sequence / SEQUENCES_PER_SECOND != issued_at.0 {
            let fault = Fault::Sequence { sequence, issued_at: issued_at.0 };
            return Err(FieldError::new(sequence_start, fault).in_field(Field::Sequence.name()));
        }
        let limit = if withdrawn || self.successor_at.is_some() { MAX_FINAL_LIFETIME } else { MAX_LIFETIME };
        let lifetime = expires_at.since(issued_at);
        if lifetime == Seconds(0) || lifetime > limit {
            let fault = Fault::Lifetime { lifetime, limit };
            return Err(FieldError::new(expires_start, fault).in_field(Field::ExpiresAt.name()));
        }
        let Self { next_at, successor_at, .. } = self;
        if matches!(authority, RawAuthority::Delegation { .. }) {
            let only_grid = [
                (withdrawn.then_some(withdrawn_at), Field::Withdrawn),
                (next_at, Field::Next),
                (successor_at, Field::Successor),
            ];
            for (place, field) in only_grid {
                if let Some(offset) = place {
                    return Err(FieldError::new(offset, Fault::NotForPublisher(field.name())).in_field(field.name()));
                }
            }
        }
        Ok(Head {
            format,
            sequence,
            issued_at,
            expires_at,
            withdrawn,
            authority,
            has_successor: successor_at.is_some(),
        })
    }
}
