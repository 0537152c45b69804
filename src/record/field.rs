//! The keys of a record's map, each written once.

/// A field of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub(super) enum Field {
    Format,
    Sequence,
    IssuedAt,
    ExpiresAt,
    Withdrawn,
    Authority,
    Nickname,
    Contact,
    Gateways,
    Rates,
    Nodes,
    Clearing,
    Previous,
    Next,
    Successor,
    Predecessor,
    Work,
}

const ALL: [(Field, &str); 17] = [
    (Field::Format, "format"),
    (Field::Sequence, "sequence"),
    (Field::IssuedAt, "issued_at"),
    (Field::ExpiresAt, "expires_at"),
    (Field::Withdrawn, "withdrawn"),
    (Field::Authority, "authority"),
    (Field::Nickname, "nickname"),
    (Field::Contact, "contact"),
    (Field::Gateways, "gateways"),
    (Field::Rates, "rates"),
    (Field::Nodes, "nodes"),
    (Field::Clearing, "clearing"),
    (Field::Previous, "previous"),
    (Field::Next, "next"),
    (Field::Successor, "successor"),
    (Field::Predecessor, "predecessor"),
    (Field::Work, "work"),
];

impl Field {
    /// The field with this key; `None` for a key of a later day.
    pub(super) fn from_key(key: u64) -> Option<Self> {
        usize::try_from(key).ok().and_then(|key| ALL.get(key)).map(|(field, _)| *field)
    }

    /// The key in the map.
    pub(super) const fn key(self) -> u64 {
        self as u64
    }

    /// The name in errors, in the JSON view and in the specification.
    pub(super) const fn name(self) -> &'static str {
        ALL[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_field() {
        for (key, (field, _)) in ALL.iter().enumerate() {
            assert_eq!(Field::from_key(key as u64), Some(*field));
            assert_eq!(field.key(), key as u64);
        }
        assert_eq!(Field::from_key(17), None);
    }
}
