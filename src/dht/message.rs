//! The questions and answers of `/lafs-clearinghouse/<network>/record/1`, and their bytes.
//!
//! Each is one map of deterministic CBOR on a stream of its own. Layout: `docs/spec/record-exchange.md`. Records travel
//! as bytes: this room says what was sent, [`crate::record`] says what it is worth.

use crate::cbor::{CborError, CborFault, MapWriter, Reader};
use crate::dht::server::Server;
use crate::keys::GridId;
use crate::record::MAX_RECORD_BYTES;
use crate::units::UnixSeconds;
use libp2p_identity::PeerId;

/// The largest question: a record and its frame.
pub const MAX_REQUEST_BYTES: usize = 2 * 1024;
/// The largest answer to a question about one grid or about servers: a record, two more as evidence, twenty peers.
pub const MAX_RESPONSE_BYTES: usize = 8 * 1024;
/// The largest answer of all: a page of digests, or of records asked for by key.
pub const MAX_PAGE_BYTES: usize = 64 * 1024;
/// How many records of evidence come with an answer.
pub const MAX_EVIDENCE: usize = 2;
/// How many nearer peers come with an answer: Kademlia's k.
pub const MAX_NEARER: usize = 20;
/// How many servers one page of the list holds: what fits in [`MAX_RESPONSE_BYTES`] with two short addresses each.
pub const SERVERS_PER_PAGE: usize = 60;

/// Into how many buckets the keys are divided for comparing two books: by their first octet.
pub const BUCKETS: usize = 256;
/// How many digests one page holds: 48 octets each.
pub const DIGESTS_PER_PAGE: usize = 1_200;
/// How many grids' records are fetched with one question: each with its evidence, they fit in [`MAX_PAGE_BYTES`].
pub const GRIDS_PER_FETCH: usize = 16;

/// What two books compare of one bucket: equal only if the bucket is.
pub type BucketDigest = [u8; 8];
/// What two books compare of one row: the identities of its record and of its evidence.
pub type RowDigest = [u8; 16];

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

/// What a node answers. Every answer tells the time at the answering node, so that a wrong clock shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The clock of the node that answers.
    pub time: UnixSeconds,
    /// The answer.
    pub body: Body,
}

/// The answers, each to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// To [`Request::Resolve`].
    Found {
        /// The record held, if any.
        record: Option<Vec<u8>>,
        /// Records of that grid that prove a broken commitment.
        evidence: Vec<Vec<u8>>,
        /// Servers nearer to the record's key, nearest first.
        nearer: Vec<Server>,
    },
    /// To [`Request::Store`].
    Verdict {
        /// What became of the record.
        verdict: WireVerdict,
        /// With [`WireVerdict::Stale`]: the newer one.
        newer: Option<Vec<u8>>,
    },
    /// To [`Request::Servers`].
    Servers {
        /// In the order of their peer ids.
        page: Vec<Server>,
        /// Whether there is a page after this one.
        more: bool,
    },
    /// To [`Request::Digest`].
    Digest {
        /// One digest for each bucket.
        buckets: Box<[BucketDigest; BUCKETS]>,
    },
    /// To [`Request::Bucket`].
    Bucket {
        /// Keys and digests, in the order of the keys.
        rows: Vec<([u8; 32], RowDigest)>,
        /// Whether there is a page after this one.
        more: bool,
    },
    /// To [`Request::Fetch`].
    Fetched {
        /// What is held, a row for each grid of which something is.
        rows: Vec<FetchedRow>,
    },
    /// The question is of a kind this node does not know.
    Unsupported,
}

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

/// What became of a record that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireVerdict {
    /// Newer than what was held, or the first: stored.
    Stored,
    /// The very same is held.
    Held,
    /// A newer one is held, and attached.
    Stale,
    /// Not a record of that grid: malformed, wrongly signed, dated in the future.
    Bad,
    /// Past its expiry.
    Expired,
    /// More octets than a record may have.
    TooBig,
    /// Not now: too many new keys from there. Try again later.
    Busy,
}

impl WireVerdict {
    const ALL: [Self; 7] = [Self::Stored, Self::Held, Self::Stale, Self::Bad, Self::Expired, Self::TooBig, Self::Busy];

    fn code(self) -> u64 {
        self as u64
    }

    fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.code() == code)
    }
}

/// A record's octets as far as the frame may carry them: one beyond the limit, so that the verdict can say "too big".
const FRAMED_RECORD: usize = MAX_RECORD_BYTES + 512;

const RESOLVE: u64 = 0;
const STORE: u64 = 1;
const SERVERS: u64 = 2;
const DIGEST: u64 = 3;
const BUCKET: u64 = 4;
const FETCH: u64 = 5;
const UNSUPPORTED: u64 = 255;

impl Request {
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

impl Response {
    /// The bytes on the stream, at most [`MAX_RESPONSE_BYTES`], or [`MAX_PAGE_BYTES`] for pages of the book: the farthest
    /// peers, or the last rows, are left out to keep to it.
    pub fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        let head = |map: &mut MapWriter, kind| {
            map.uint(0, kind).uint(1, self.time.0);
        };
        // What the parts before and after the list of peers take, generously: keys, lengths, flags.
        let mut room = MAX_RESPONSE_BYTES - 64;
        match &self.body {
            Body::Found { record, evidence, nearer } => {
                head(&mut map, RESOLVE);
                if let Some(record) = record {
                    room -= record.len();
                    map.bytes(2, record);
                }
                let evidence: Vec<Vec<u8>> = evidence
                    .iter()
                    .take(MAX_EVIDENCE)
                    .map(|bytes| byte_string(bytes))
                    .collect();
                if !evidence.is_empty() {
                    room -= evidence.iter().map(Vec::len).sum::<usize>();
                    map.array(3, &evidence);
                }
                push_servers(&mut map, 4, nearer, MAX_NEARER, room);
            }
            Body::Verdict { verdict, newer } => {
                head(&mut map, STORE);
                if let Some(newer) = newer {
                    map.bytes(2, newer);
                }
                map.uint(5, verdict.code());
            }
            Body::Servers { page, more } => {
                head(&mut map, SERVERS);
                let pushed = push_servers(&mut map, 4, page, SERVERS_PER_PAGE, room);
                map.bool(6, *more || pushed < page.len());
            }
            Body::Digest { buckets } => {
                head(&mut map, DIGEST);
                map.bytes(7, buckets.as_flattened());
            }
            Body::Bucket { rows, more } => {
                head(&mut map, BUCKET);
                let page = &rows[..rows.len().min(DIGESTS_PER_PAGE)];
                map.bool(6, *more || page.len() < rows.len());
                let bytes: Vec<u8> = page.iter().flat_map(|(key, digest)| key.iter().chain(digest)).copied().collect();
                map.bytes(8, &bytes);
            }
            Body::Fetched { rows } => {
                head(&mut map, FETCH);
                let mut room = MAX_PAGE_BYTES - 64;
                let rows: Vec<Vec<u8>> = rows
                    .iter()
                    .map(FetchedRow::encode)
                    .take_while(|row| {
                        let fits = row.len() <= room;
                        room -= row.len().min(room);
                        fits
                    })
                    .collect();
                if !rows.is_empty() {
                    map.array(9, &rows);
                }
            }
            Body::Unsupported => head(&mut map, UNSUPPORTED),
        }
        map.finish()
    }

    /// Reads an answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes);
        let (mut kind, mut time, mut record, mut verdict, mut more) = (None, None, None, None, false);
        let (mut evidence, mut servers) = (Vec::new(), Vec::new());
        let (mut buckets, mut digests, mut rows) = (None, None, Vec::new());
        reader.map(|key, reader| -> Result<(), MessageError> {
            match key {
                0 => kind = Some(reader.uint()?),
                1 => time = Some(UnixSeconds(reader.uint()?)),
                2 => record = Some(reader.bytes(MAX_RECORD_BYTES)?.to_vec()),
                3 => {
                    evidence = reader
                        .array(MAX_EVIDENCE, |reader| Ok::<_, CborError>(reader.bytes(MAX_RECORD_BYTES)?.to_vec()))?;
                }
                4 => servers = reader.array(SERVERS_PER_PAGE, Server::decode)?,
                5 => verdict = WireVerdict::from_code(reader.uint()?),
                6 => more = reader.bool()?,
                7 => {
                    let bytes = reader.array_of::<{ BUCKETS * size_of::<BucketDigest>() }>()?;
                    let (chunks, _) = bytes.as_chunks();
                    buckets = <[BucketDigest; BUCKETS]>::try_from(chunks).ok().map(Box::new);
                }
                8 => {
                    let bytes = reader.bytes(DIGESTS_PER_PAGE * DIGEST_BYTES)?;
                    let (chunks, rest) = bytes.as_chunks::<DIGEST_BYTES>();
                    if !rest.is_empty() {
                        return Err(reader.fault(CborFault::Expected("whole digests")).into());
                    }
                    digests = Some(chunks.iter().map(split_digest).collect());
                }
                9 => rows = reader.array(GRIDS_PER_FETCH, FetchedRow::decode)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        reader.end()?;
        let kind = kind.ok_or(MessageError::Missing("kind"))?;
        if bytes.len() > MAX_RESPONSE_BYTES && !matches!(kind, DIGEST | BUCKET | FETCH) {
            return Err(MessageError::TooLong(bytes.len()));
        }
        let body = match kind {
            RESOLVE => {
                servers.truncate(MAX_NEARER);
                Body::Found { record, evidence, nearer: servers }
            }
            STORE => Body::Verdict { verdict: verdict.ok_or(MessageError::Missing("verdict"))?, newer: record },
            SERVERS => Body::Servers { page: servers, more },
            DIGEST => Body::Digest { buckets: buckets.ok_or(MessageError::Missing("digest"))? },
            BUCKET => Body::Bucket { rows: digests.ok_or(MessageError::Missing("digest"))?, more },
            FETCH => Body::Fetched { rows },
            _ => Body::Unsupported,
        };
        Ok(Self { time: time.ok_or(MessageError::Missing("time"))?, body })
    }
}

/// A key and its row's digest.
const DIGEST_BYTES: usize = 32 + size_of::<RowDigest>();

fn split_digest(bytes: &[u8; DIGEST_BYTES]) -> ([u8; 32], RowDigest) {
    (std::array::from_fn(|i| bytes[i]), std::array::from_fn(|i| bytes[32 + i]))
}

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    minicbor::to_vec(minicbor::bytes::ByteVec::from(bytes.to_vec())).expect("memory takes every byte")
}

impl FetchedRow {
    fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.bytes(0, self.grid.as_bytes());
        if let Some(record) = &self.record {
            map.bytes(1, record);
        }
        if !self.evidence.is_empty() {
            let evidence: Vec<Vec<u8>> =
                self.evidence.iter().take(MAX_EVIDENCE).map(|bytes| byte_string(bytes)).collect();
            map.array(2, &evidence);
        }
        map.finish()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, MessageError> {
        let (mut grid, mut record, mut evidence) = (None, None, Vec::new());
        reader.map(|key, reader| -> Result<(), MessageError> {
            match key {
                0 => grid = Some(GridId::from_bytes(&reader.array_of()?).map_err(|_| MessageError::GridId)?),
                1 => record = Some(reader.bytes(MAX_RECORD_BYTES)?.to_vec()),
                2 => {
                    evidence = reader
                        .array(MAX_EVIDENCE, |reader| Ok::<_, CborError>(reader.bytes(MAX_RECORD_BYTES)?.to_vec()))?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(Self { grid: grid.ok_or(MessageError::Missing("grid"))?, record, evidence })
    }
}

/// Adds as many of `servers` as `count` and `room` allow; none leaves the key out. Returns how many of them were dealt
/// with, those that cannot be passed on included.
fn push_servers(map: &mut MapWriter, key: u64, servers: &[Server], count: usize, mut room: usize) -> usize {
    let mut encoded = Vec::new();
    let mut passed = 0;
    for server in servers.iter().take(count) {
        if let Some(bytes) = server.encode() {
            if bytes.len() > room {
                break;
            }
            room -= bytes.len();
            encoded.push(bytes);
        }
        passed += 1;
    }
    if !encoded.is_empty() {
        map.array(key, &encoded);
    }
    passed
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not the CBOR that was expected.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// 32 bytes that are no grid's key.
    #[error("the grid id is no Ed25519 key")]
    GridId,
    /// More octets than an answer of its kind may have.
    #[error("an answer of {0} bytes where {MAX_RESPONSE_BYTES} are allowed")]
    TooLong(usize),
    /// A part that this kind of message must have.
    #[error("the message has no {0}")]
    Missing(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use proptest::prelude::*;

    fn grid() -> GridId {
        GridId::new(SecretKey::from_seed(&[3; 32]).public())
    }

    fn server(n: u8) -> Server {
        Server {
            peer: libp2p_identity::Keypair::ed25519_from_bytes([n; 32]).unwrap().public().to_peer_id(),
            addrs: vec![format!("/ip4/127.0.{n}.1/udp/4000/quic-v1").parse().unwrap()],
        }
    }

    #[test]
    fn questions_come_back_as_they_were_asked() {
        for request in [
            Request::Resolve { grid: grid() },
            Request::Store { grid: grid(), record: vec![1; MAX_RECORD_BYTES] },
            Request::Servers { after: None },
            Request::Servers { after: Some(server(1).peer) },
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
    fn answers_come_back_as_they_were_given() {
        let body = [
            Body::Found {
                record: Some(vec![1; 995]),
                evidence: vec![vec![2; 995]],
                nearer: vec![server(1), server(2)],
            },
            Body::Found { record: None, evidence: Vec::new(), nearer: Vec::new() },
            Body::Verdict { verdict: WireVerdict::Stale, newer: Some(vec![3; 100]) },
            Body::Verdict { verdict: WireVerdict::Busy, newer: None },
            Body::Servers { page: vec![server(3)], more: true },
            Body::Digest { buckets: Box::new(std::array::from_fn(|n| [n as u8; 8])) },
            Body::Bucket { rows: vec![([1; 32], [2; 16]); DIGESTS_PER_PAGE], more: true },
            Body::Bucket { rows: Vec::new(), more: false },
            Body::Fetched {
                rows: vec![FetchedRow { grid: grid(), record: Some(vec![1; 995]), evidence: vec![vec![2; 9]] }],
            },
            Body::Fetched { rows: Vec::new() },
            Body::Unsupported,
        ];
        for body in body {
            let response = Response { time: UnixSeconds(1_800_000_000), body };
            assert_eq!(Response::decode(&response.encode()), Ok(response));
        }
    }

    #[test]
    fn a_full_answer_keeps_to_its_limit() {
        let long: multiaddr::Multiaddr = format!("/dns4/{}/udp/4000/quic-v1", "a".repeat(100)).parse().unwrap();
        let peers = |count: u8| (1..=count).map(|n| Server { addrs: vec![long.clone(), long.clone()], ..server(n) });
        let body = Body::Found {
            record: Some(vec![1; 995]),
            evidence: vec![vec![2; 995], vec![3; 995]],
            nearer: peers(20).collect(),
        };
        let bytes = Response { time: UnixSeconds(u64::MAX), body }.encode();
        assert!(bytes.len() <= MAX_RESPONSE_BYTES, "{}", bytes.len());
        let Ok(Response { body: Body::Found { nearer, .. }, .. }) = Response::decode(&bytes) else {
            panic!("own form")
        };
        assert!(nearer.len() >= 15, "{}", nearer.len());

        let body = Body::Servers { page: peers(60).collect(), more: false };
        let bytes = Response { time: UnixSeconds(0), body }.encode();
        assert!(bytes.len() <= MAX_RESPONSE_BYTES, "{}", bytes.len());
        let Ok(Response { body: Body::Servers { page, more }, .. }) = Response::decode(&bytes) else {
            panic!("own form")
        };
        assert!(more && page.len() < 60, "what did not fit is on the next page");
    }

    #[test]
    fn the_fullest_pages_keep_to_their_limit() {
        let row = FetchedRow { grid: grid(), record: Some(vec![1; 995]), evidence: vec![vec![2; 995]; MAX_EVIDENCE] };
        let fetched = Body::Fetched { rows: vec![row; GRIDS_PER_FETCH] };
        let bucket = Body::Bucket { rows: vec![([1; 32], [2; 16]); DIGESTS_PER_PAGE + 1], more: false };
        for body in [fetched, bucket] {
            let bytes = Response { time: UnixSeconds(u64::MAX), body }.encode();
            assert!(bytes.len() <= MAX_PAGE_BYTES, "{}", bytes.len());
            match Response::decode(&bytes).map(|response| response.body) {
                Ok(Body::Fetched { rows }) => assert_eq!(rows.len(), GRIDS_PER_FETCH),
                Ok(Body::Bucket { rows, more }) => assert!(rows.len() == DIGESTS_PER_PAGE && more),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn only_pages_may_be_long() {
        let mut map = MapWriter::new();
        map.uint(0, RESOLVE).uint(1, 0).bytes(99, &vec![0; MAX_RESPONSE_BYTES]);
        assert!(matches!(Response::decode(&map.finish()), Err(MessageError::TooLong(_))));
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
        assert!(matches!(Response::decode(&[0xa0]), Err(MessageError::Missing("kind"))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::decode(&bytes);
            let _ = Response::decode(&bytes);
        }
    }
}
