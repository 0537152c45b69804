//! What a node answers.

use crate::cbor::{CborError, CborFault, MapWriter, Reader};
use crate::dht::message::error::MessageError;
use crate::dht::message::kind::{BUCKET, DIGEST, FETCH, RESOLVE, SERVERS, STORE, UNSUPPORTED};
use crate::dht::message::limits::{
    BUCKETS, DIGESTS_PER_PAGE, GRIDS_PER_FETCH, MAX_EVIDENCE, MAX_NEARER, MAX_PAGE_BYTES, MAX_RESPONSE_BYTES,
    SERVERS_PER_PAGE,
};
use crate::dht::message::row::{BucketDigest, DIGEST_BYTES, FetchedRow, RowDigest, byte_string, split_digest};
use crate::dht::message::verdict::WireVerdict;
use crate::dht::server::Server;
use crate::record::MAX_RECORD_BYTES;
use crate::units::UnixSeconds;

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
    /// To [`Request::Resolve`](super::Request::Resolve).
    Found {
        /// The record held, if any.
        record: Option<Vec<u8>>,
        /// Records of that grid that prove a broken commitment.
        evidence: Vec<Vec<u8>>,
        /// Servers nearer to the record's key, nearest first.
        nearer: Vec<Server>,
    },
    /// To [`Request::Store`](super::Request::Store).
    Verdict {
        /// What became of the record.
        verdict: WireVerdict,
        /// With [`WireVerdict::Stale`]: the newer one.
        newer: Option<Vec<u8>>,
    },
    /// To [`Request::Servers`](super::Request::Servers).
    Servers {
        /// In the order of their peer ids.
        page: Vec<Server>,
        /// Whether there is a page after this one.
        more: bool,
    },
    /// To [`Request::Digest`](super::Request::Digest).
    Digest {
        /// One digest for each bucket.
        buckets: Box<[BucketDigest; BUCKETS]>,
    },
    /// To [`Request::Bucket`](super::Request::Bucket).
    Bucket {
        /// Keys and digests, in the order of the keys.
        rows: Vec<([u8; 32], RowDigest)>,
        /// Whether there is a page after this one.
        more: bool,
    },
    /// To [`Request::Fetch`](super::Request::Fetch).
    Fetched {
        /// What is held, a row for each grid of which something is.
        rows: Vec<FetchedRow>,
    },
    /// The question is of a kind this node does not know.
    Unsupported,
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
                let evidence: Vec<Vec<u8>> =
                    evidence.iter().take(MAX_EVIDENCE).map(|bytes| byte_string(bytes)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::message::limits::MAX_ROW_EVIDENCE;
    use crate::keys::{GridId, SecretKey};
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
    fn a_row_carries_all_evidence_and_what_does_not_fit_is_left_out_whole() {
        let row = FetchedRow {
            grid: grid(),
            record: Some(vec![1; MAX_RECORD_BYTES]),
            evidence: vec![vec![2; MAX_RECORD_BYTES]; MAX_ROW_EVIDENCE],
        };
        let body = Body::Fetched { rows: vec![row.clone(); GRIDS_PER_FETCH] };
        let bytes = Response { time: UnixSeconds(u64::MAX), body }.encode();
        assert!(bytes.len() <= MAX_PAGE_BYTES, "{}", bytes.len());
        let Ok(Response { body: Body::Fetched { rows }, .. }) = Response::decode(&bytes) else { panic!("own form") };
        assert_eq!(rows, vec![row; 7]);
    }

    #[test]
    fn only_pages_may_be_long() {
        let mut map = MapWriter::new();
        map.uint(0, RESOLVE).uint(1, 0).bytes(99, &vec![0; MAX_RESPONSE_BYTES]);
        assert!(matches!(Response::decode(&map.finish()), Err(MessageError::TooLong(_))));
    }

    #[test]
    fn an_answer_without_a_kind_is_none() {
        assert!(matches!(Response::decode(&[0xa0]), Err(MessageError::Missing("kind"))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Response::decode(&bytes);
        }
    }
}
