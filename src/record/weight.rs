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

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, by_grid, delegation, grid_key, publisher_key, realistic};
    use super::super::{Delegation, MAX_RECORD_BYTES, RecordDraft, Signer};
    use super::*;
    use crate::signed::ENVELOPE_BYTES;

    fn part(weights: &Weights, name: &str) -> usize {
        weights.parts().iter().find(|part| part.0 == name).map_or(0, |part| part.1)
    }

    #[test]
    fn each_part_weighs_what_it_adds() {
        let weigh =
            |draft: &RecordDraft| draft.sign(by_grid(&grid_key()), None, &[], NOW).expect("signed").signed().weights();
        let full = weigh(&realistic());
        // The envelope and the head of the map.
        assert_eq!(part(&full, "envelope"), ENVELOPE_BYTES + 1);
        assert_eq!(part(&full, "sequence"), 10);
        let without = weigh(&RecordDraft { gateways: vec![], ..realistic() });
        assert_eq!(full.used() - without.used(), part(&full, "gateways"));
        let without = weigh(&RecordDraft { nickname: None, ..realistic() });
        assert_eq!(full.used() - without.used(), part(&full, "nickname"));
        assert_eq!(full.limit(), MAX_RECORD_BYTES);
    }

    #[test]
    fn the_line_adds_up() {
        let delegation: Delegation = delegation();
        let key = publisher_key();
        let signer = Signer::Publisher { key: &key, delegation: &delegation };
        let record = realistic().sign(signer, None, &[], NOW).expect("signed");
        let text = record.signed().weights().to_string();
        let (parts, sum) = text.split_once(": ").expect("two halves");
        let total: usize = parts
            .split(", ")
            .map(|part| part.rsplit(' ').next().expect("a number").parse::<usize>().expect("one"))
            .sum();
        let size = record.signed().bytes().len();
        assert_eq!(total, size, "{text}");
        assert_eq!(sum, format!("{size} of 995 bytes used, {} left", 995 - size));
    }
}
