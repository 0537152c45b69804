//! What one node asks another.

use crate::cbor::{CborError, CborFault, MapWriter, Reader};
use crate::dht::message::error::MessageError;
use crate::dht::message::kind::{BUCKET, DIGEST, FETCH, RESOLVE, SERVERS, STORE};
use crate::dht::message::limits::GRIDS_PER_FETCH;
use crate::dht::message::row::byte_string;
use crate::keys::GridId;
use crate::record::MAX_RECORD_BYTES;
use libp2p_identity::PeerId;

/// A record's octets as far as the frame may carry them: one beyond the limit, so that the verdict can say "too big".
const FRAMED_RECORD: usize = MAX_RECORD_BYTES + 512;

/// What one node asks another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which record do you hold of this grid, and who is nearer to it?
    Resolve {
        /// The grid.
        grid: GridId,
    },
    /// Hold this record.
    Store {
        /// The grid whose record it is.
        grid: GridId,
        /// The record.
        record: Vec<u8>,
    },
    /// Which servers do you know? Answered in the order of peer ids, a page at a time.
    Servers {
        /// The last peer id of the page before.
        after: Option<PeerId>,
    },
    /// In which buckets does your book differ from mine?
    Digest,
    /// Which rows are in this bucket? In the order of their keys, a page at a time.
    Bucket {
        /// The first octet of the keys.
        bucket: u8,
        /// The last key of the page before.
        after: Option<[u8; 32]>,
    },
    /// Give me what you hold of these grids.
    Fetch {
        /// At most [`GRIDS_PER_FETCH`].
        grids: Vec<GridId>,
    },
}

impl Request {
    /// Its kind in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Store { .. } => "store",
            Self::Servers { .. } => "servers",
            Self::Digest => "digest",
            Self::Bucket { .. } => "bucket",
            Self::Fetch { .. } => "fetch",
        }
    }

    /// The bytes on the stream.
    pub fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        match self {
            Self::Resolve { grid } => map.uint(0, RESOLVE).bytes(1, grid.as_bytes()),
            Self::Store { grid, record } => map.uint(0, STORE).bytes(1, grid.as_bytes()).bytes(2, record),
            Self::Servers { after } => {
                let map = map.uint(0, SERVERS);
                match after {
                    Some(peer) => map.bytes(3, &peer.to_bytes()),
                    None => map,
                }
            }
            Self::Digest => map.uint(0, DIGEST),
            Self::Bucket { bucket, after } => {
                let map = map.uint(0, BUCKET).uint(4, u64::from(*bucket));
                match after {
                    Some(key) => map.bytes(5, key),
                    None => map,
                }
            }
            Self::Fetch { grids } => {
                let grids: Vec<Vec<u8>> = grids.iter().map(|grid| byte_string(grid.as_bytes())).collect();
                map.uint(0, FETCH).array(6, &grids)
            }
        };
        map.finish()
    }

    /// Reads a question. `Ok(None)` is a well-formed question of a kind that we do not know.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, MessageError> {
        let mut reader = Reader::new(bytes);
        let (mut kind, mut grid, mut record, mut after) = (None, None, None, None);
        let (mut bucket, mut after_key, mut grids) = (None, None, Vec::new());
        reader.map(|key, reader| -> Result<(), MessageError> {
            match key {
                0 => kind = Some(reader.uint()?),
                1 => grid = Some(GridId::from_bytes(&reader.array_of()?).map_err(|_| MessageError::GridId)?),
                2 => record = Some(reader.bytes(FRAMED_RECORD)?.to_vec()),
                3 => {
                    let offset = reader.offset();
                    let peer = PeerId::from_bytes(reader.bytes(64)?)
                        .map_err(|_| CborError { offset, fault: CborFault::Expected("a peer id") })?;
                    after = Some(peer);
                }
                4 => {
                    let offset = reader.offset();
                    let fault = CborFault::Expected("the first octet of a key");
                    bucket = Some(u8::try_from(reader.uint()?).map_err(|_| CborError { offset, fault })?);
                }
                5 => after_key = Some(reader.array_of()?),
                6 => {
                    grids = reader.array(GRIDS_PER_FETCH, |reader| -> Result<GridId, MessageError> {
                        GridId::from_bytes(&reader.array_of()?).map_err(|_| MessageError::GridId)
                    })?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        reader.end()?;
        match kind.ok_or(MessageError::Missing("kind"))? {
            RESOLVE => Ok(Some(Self::Resolve { grid: grid.ok_or(MessageError::Missing("grid"))? })),
            STORE => Ok(Some(Self::Store {
                grid: grid.ok_or(MessageError::Missing("grid"))?,
                record: record.ok_or(MessageError::Missing("record"))?,
            })),
            SERVERS => Ok(Some(Self::Servers { after })),
            DIGEST => Ok(Some(Self::Digest)),
            BUCKET => {
                Ok(Some(Self::Bucket { bucket: bucket.ok_or(MessageError::Missing("bucket"))?, after: after_key }))
            }
            FETCH if grids.is_empty() => Err(MessageError::Missing("list of grids")),
            FETCH => Ok(Some(Self::Fetch { grids })),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::message::limits::MAX_REQUEST_BYTES;
    use crate::keys::SecretKey;
    use proptest::prelude::*;

    fn grid() -> GridId {
        GridId::new(SecretKey::from_seed(&[3; 32]).public())
    }

    #[test]
    fn questions_come_back_as_they_were_asked() {
        let peer = libp2p_identity::Keypair::ed25519_from_bytes([1; 32]).unwrap().public().to_peer_id();
        for request in [
            Request::Resolve { grid: grid() },
            Request::Store { grid: grid(), record: vec![1; MAX_RECORD_BYTES] },
            Request::Servers { after: None },
            Request::Servers { after: Some(peer) },
            Request::Digest,
            Request::Bucket { bucket: 255, after: None },
            Request::Bucket { bucket: 0, after: Some([7; 32]) },
            Request::Fetch { grids: vec![grid(); GRIDS_PER_FETCH] },
        ] {
            let bytes = request.encode();
            assert!(bytes.len() <= MAX_REQUEST_BYTES);
            assert_eq!(Request::decode(&bytes), Ok(Some(request)));
        }
    }

    #[test]
    fn a_question_of_a_later_kind_is_no_error() {
        let bytes = MapWriter::new().uint(0, 77).text(99, "new").finish();
        assert_eq!(Request::decode(&bytes), Ok(None));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        assert_eq!(Request::decode(&MapWriter::new().uint(0, RESOLVE).finish()), Err(MessageError::Missing("grid")));
        let point = MapWriter::new().uint(0, RESOLVE).bytes(1, &[2; 32]).finish();
        assert_eq!(Request::decode(&point), Err(MessageError::GridId));
        assert!(matches!(Request::decode(&[]), Err(MessageError::Cbor(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::decode(&bytes);
        }
    }
}
