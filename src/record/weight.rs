//! How many octets each field of a record takes, so that who must leave something out knows what.

use super::field::Field;
use crate::cbor::Reader;
use std::fmt;

/// The octets of a record, part by part; the parts add up to the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    parts: Vec<(&'static str, usize)>,
    limit: usize,
}

impl Weights {
    /// The weights of a record of `total` octets with this canonical payload, which may have `limit`.
    pub(super) fn of(payload: &[u8], total: usize, limit: usize) -> Self {
        let mut fields = Vec::new();
        let mut weighed = 0;
        // What does not read weighs nothing by itself and so counts as envelope.
        let _ = Reader::new(payload).map(|key, reader| {
            let key_bytes = minicbor::len(key);
            let start = reader.offset();
            reader.skip()?;
            let weight = key_bytes + reader.offset() - start;
            weighed += weight;
            fields.push((Field::from_key(key).map_or("later fields", Field::name), weight));
            Ok::<(), crate::cbor::CborError>(())
        });
        let mut parts = vec![("envelope", total - weighed)];
        parts.append(&mut fields);
        Self { parts, limit }
    }

    /// Each part with its octets: the envelope, then the fields in their order.
    pub fn parts(&self) -> &[(&'static str, usize)] {
        &self.parts
    }

    /// The octets in all.
    pub fn used(&self) -> usize {
        self.parts.iter().map(|(_, weight)| weight).sum()
    }

    /// The octets that the record may have.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many octets more it could have; 0 if it is full or overweight.
    pub fn left(&self) -> usize {
        self.limit.saturating_sub(self.used())
    }
}

impl fmt::Display for Weights {
    /// `envelope 75, sequence 10, ...: 612 of 995 bytes used, 383 left`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, weight)) in self.parts.iter().enumerate() {
            write!(f, "{}{name} {weight}", if index > 0 { ", " } else { "" })?;
        }
        let (used, limit) = (self.used(), self.limit);
        write!(f, ": {used} of {limit} bytes used, ")?;
        match used.checked_sub(limit) {
            None | Some(0) => write!(f, "{} left", self.left()),
            Some(over) => write!(f, "{over} too many"),
        }
    }
}
