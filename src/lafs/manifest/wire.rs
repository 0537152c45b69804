//! What the forms of a manifest share.

use super::error::ManifestError;
use crate::cbor::{CborFault, Reader};
use crate::lafs::hash_tree::Hash;
use std::ops::Range;

/// The most uncles: two on each of twenty levels.
pub(super) const MAX_UNCLES: usize = 40;

/// How many of `units` a file of `segments` has.
pub(super) fn covered(units: &Range<u64>, segments: u64) -> u64 {
    units.end.min(segments).saturating_sub(units.start)
}

/// A byte string of at most `limit` hashes.
pub(super) fn hashes<'b>(reader: &mut Reader<'b>, limit: usize) -> Result<&'b [Hash], ManifestError> {
    let before = reader.clone();
    let (hashes, rest) = reader.bytes(limit * size_of::<Hash>())?.as_chunks();
    if !rest.is_empty() {
        return Err(before.fault(CborFault::Expected("whole hashes")).into());
    }
    Ok(hashes)
}
