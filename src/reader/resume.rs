//! The note beside an unfinished file: whose content it is, and how much of it is there and verified.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The form of the note. Another one is not read, and the file is begun anew.
const FORMAT: u32 = 1;

/// How far a file has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResumeNote {
    format: u32,
    /// [`crate::reader::Target::digest`]: no cap, and no key of one.
    target: String,
    /// The version of the content.
    etag: String,
    /// The bytes of the content that the file is to hold.
    from: u64,
    to: u64,
    /// How many of them, from the first on, were verified, written, and brought to the disk.
    verified_bytes: u64,
}

impl ResumeNote {
    /// A note for bytes of one version of a file, none of which are there yet.
    pub(super) fn new(target: String, etag: String, wanted: Range<u64>) -> Self {
        Self { format: FORMAT, target, etag, from: wanted.start, to: wanted.end, verified_bytes: 0 }
    }

    /// The note in `bytes`, if it is one about the same bytes of the same version as `self`; what is there of them.
    pub(super) fn verified_in(&self, bytes: &[u8]) -> Option<u64> {
        let found: Self = serde_json::from_slice(bytes).ok()?;
        let verified_bytes = found.verified_bytes;
        let is_ours = Self { verified_bytes: self.verified_bytes, ..found } == *self;
        (is_ours && verified_bytes <= self.to - self.from).then_some(verified_bytes)
    }

    /// The same note once so much is verified.
    pub(super) fn at(&self, verified_bytes: u64) -> Self {
        Self { verified_bytes, ..self.clone() }
    }

    /// The note as it is written.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note is plain JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note() -> ResumeNote {
        ResumeNote::new("d1".to_owned(), "\"aa\"".to_owned(), 10..110)
    }

    #[test]
    fn the_same_bytes_of_the_same_version_go_on() {
        assert_eq!(note().verified_in(&note().at(40).encode()), Some(40));
        assert_eq!(note().verified_in(&note().at(100).encode()), Some(100));
    }

    #[test]
    fn another_file_version_or_range_begins_anew() {
        for other in [
            ResumeNote::new("d2".to_owned(), "\"aa\"".to_owned(), 10..110),
            ResumeNote::new("d1".to_owned(), "\"ab\"".to_owned(), 10..110),
            ResumeNote::new("d1".to_owned(), "\"aa\"".to_owned(), 11..110),
            ResumeNote::new("d1".to_owned(), "\"aa\"".to_owned(), 10..111),
            ResumeNote { format: 2, ..note() },
        ] {
            assert_eq!(note().verified_in(&other.at(40).encode()), None, "{other:?}");
        }
    }

    #[test]
    fn a_note_that_says_more_than_there_is_or_is_damaged_is_not_believed() {
        assert_eq!(note().verified_in(&note().at(101).encode()), None);
        let bytes = note().at(40).encode();
        assert_eq!(note().verified_in(&bytes[..bytes.len() - 1]), None);
        assert_eq!(note().verified_in(b""), None);
    }

    proptest! {
        #[test]
        fn what_was_noted_is_read(from: u64, length in 0_u64..u64::MAX, share in 0_u64..=100) {
            let to = from.saturating_add(length);
            let note = ResumeNote::new("d".to_owned(), "\"e\"".to_owned(), from..to);
            let verified = (to - from) / 100 * share;
            prop_assert_eq!(note.verified_in(&note.at(verified).encode()), Some(verified));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = note().verified_in(&bytes);
        }
    }
}
