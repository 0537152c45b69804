//! Rows of a book on their way: their digests, for comparing, and what is held of a grid.

use crate::cbor::{CborError, MapWriter, Reader};
use crate::dht::message::error::MessageError;
use crate::dht::message::limits::MAX_ROW_EVIDENCE;
use crate::keys::GridId;
use crate::record::MAX_RECORD_BYTES;

/// What two books compare of one bucket: equal only if the bucket is.
pub type BucketDigest = [u8; 8];
/// What two books compare of one row: the identities of its record and of its evidence.
pub type RowDigest = [u8; 16];

/// What a node holds of one grid, on its way to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRow {
    /// The grid.
    pub grid: GridId,
    /// Its newest record, unless only evidence is left.
    pub record: Option<Vec<u8>>,
    /// Records that prove a commitment.
    pub evidence: Vec<Vec<u8>>,
}

impl FetchedRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.bytes(0, self.grid.as_bytes());
        if let Some(record) = &self.record {
            map.bytes(1, record);
        }
        if !self.evidence.is_empty() {
            let evidence: Vec<Vec<u8>> =
                self.evidence.iter().take(MAX_ROW_EVIDENCE).map(|bytes| byte_string(bytes)).collect();
            map.array(2, &evidence);
        }
        map.finish()
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, MessageError> {
        let (mut grid, mut record, mut evidence) = (None, None, Vec::new());
        reader.map(|key, reader| -> Result<(), MessageError> {
            match key {
                0 => grid = Some(GridId::from_bytes(&reader.array_of()?).map_err(|_| MessageError::GridId)?),
                1 => record = Some(reader.bytes(MAX_RECORD_BYTES)?.to_vec()),
                2 => {
                    evidence = reader.array(MAX_ROW_EVIDENCE, |reader| {
                        Ok::<_, CborError>(reader.bytes(MAX_RECORD_BYTES)?.to_vec())
                    })?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(Self { grid: grid.ok_or(MessageError::Missing("grid"))?, record, evidence })
    }
}

/// A key and its row's digest.
pub(super) const DIGEST_BYTES: usize = 32 + size_of::<RowDigest>();

pub(super) fn split_digest(bytes: &[u8; DIGEST_BYTES]) -> ([u8; 32], RowDigest) {
    (std::array::from_fn(|i| bytes[i]), std::array::from_fn(|i| bytes[32 + i]))
}

pub(super) fn byte_string(bytes: &[u8]) -> Vec<u8> {
    minicbor::to_vec(minicbor::bytes::ByteVec::from(bytes.to_vec())).expect("memory takes every byte")
}
