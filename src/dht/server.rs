//! A server of the network: who it is and where it answers.

use crate::cbor::{CborError, CborFault, MapWriter, Reader};
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sha2::{Digest, Sha256};

/// How many addresses are kept for a peer. Identify lets a peer claim any number (libp2p-kad keeps them all).
pub const ADDRESSES_PER_PEER: usize = 4;
/// How many addresses of a peer travel in a message: an answer names twenty peers in 8 KiB.
pub const ADDRESSES_ON_THE_WIRE: usize = 2;
/// The longest address that is passed on, in octets of its binary form.
pub const MAX_ADDRESS_BYTES: usize = 128;
/// The longest peer id: an identity multihash of an Ed25519 key takes 38 octets.
const MAX_PEER_ID_BYTES: usize = 42;

/// A place in the keyspace of Kademlia: the SHA-256 of a record key or of a peer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point([u8; 32]);

impl Point {
    /// The place of `bytes`: those of a record key or of a peer id.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The XOR distance to `other`, as a number in big-endian form.
    pub fn distance(&self, other: &Self) -> [u8; 32] {
        std::array::from_fn(|i| self.0[i] ^ other.0[i])
    }
}

/// A node that stores records for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its libp2p identity.
    pub peer: PeerId,
    /// Where it answers, best first, without a trailing `/p2p`; at most [`ADDRESSES_PER_PEER`].
    pub addrs: Vec<Multiaddr>,
}

impl Server {
    /// Its place in the keyspace.
    pub fn point(&self) -> Point {
        Point::of(&self.peer.to_bytes())
    }

    /// `{0: peer id, 1: [address]}`; `None` if no address is short enough to be passed on.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let addrs: Vec<Vec<u8>> = self
            .addrs
            .iter()
            .map(|addr| addr.to_vec())
            .filter(|addr| addr.len() <= MAX_ADDRESS_BYTES)
            .take(ADDRESSES_ON_THE_WIRE)
            .map(|addr| minicbor::to_vec(minicbor::bytes::ByteVec::from(addr)).expect("memory takes every byte"))
            .collect();
        if addrs.is_empty() {
            return None;
        }
        Some(MapWriter::new().bytes(0, &self.peer.to_bytes()).array(1, &addrs).finish())
    }

    /// Reads what [`Server::encode`] wrote. Addresses of kinds we do not know are left out, not refused: the network must
    /// be able to learn new transports.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let start = reader.offset();
        let mut peer = None;
        let mut addrs = Vec::new();
        reader.map(|key, reader| -> Result<(), CborError> {
            match key {
                0 => {
                    let offset = reader.offset();
                    let bytes = reader.bytes(MAX_PEER_ID_BYTES)?;
                    let fault = CborFault::Expected("a peer id");
                    peer = Some(PeerId::from_bytes(bytes).map_err(|_| CborError { offset, fault })?);
                }
                1 => {
                    let encoded = reader.array(ADDRESSES_ON_THE_WIRE, |reader| reader.bytes(MAX_ADDRESS_BYTES))?;
                    addrs = encoded.into_iter().filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok()).collect();
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        let peer = peer.ok_or(CborError { offset: start, fault: CborFault::Expected("a map with a peer id") })?;
        Ok(Self { peer, addrs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            peer: libp2p_identity::Keypair::ed25519_from_bytes([1; 32]).unwrap().public().to_peer_id(),
            addrs: vec![
                "/ip4/127.1.2.1/udp/4000/quic-v1".parse().unwrap(),
                "/dns4/a.example/tcp/4000".parse().unwrap(),
            ],
        }
    }

    #[test]
    fn decoding_undoes_encoding() {
        let bytes = server().encode().expect("two addresses");
        let mut reader = Reader::new(&bytes);
        assert_eq!(Server::decode(&mut reader), Ok(server()));
        reader.end().expect("whole");
    }

    #[test]
    fn a_server_without_an_address_is_not_passed_on() {
        assert_eq!(Server { addrs: Vec::new(), ..server() }.encode(), None);
    }

    #[test]
    fn an_address_of_an_unknown_kind_is_left_out() {
        let strange = minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![0xff, 0xff, 0x7f])).unwrap();
        let bytes = MapWriter::new().bytes(0, &server().peer.to_bytes()).array(1, &[strange]).finish();
        assert_eq!(Server::decode(&mut Reader::new(&bytes)).map(|s| s.addrs), Ok(Vec::new()));
    }

    #[test]
    fn distance_is_symmetric_and_zero_to_itself() {
        let (a, b) = (Point::of(b"a"), Point::of(b"b"));
        assert_eq!(a.distance(&b), b.distance(&a));
        assert_eq!(a.distance(&a), [0; 32]);
    }
}
