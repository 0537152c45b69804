//! A node of the grid's own, where its freshest record is to be had.

use super::error::{Fault, FieldError, Unknown};
use crate::address::{PrivateAddresses, Undialable, undialable};
use crate::cbor::{FIRST_IGNORABLE_KEY, MapWriter, Reader};
use libp2p_identity::PeerId;
use minicbor::Encoder;
use multiaddr::{Multiaddr, Protocol};

/// The most addresses of one node.
pub const MAX_NODE_ADDRS: usize = 2;
/// The most octets of an address in binary form.
const MAX_ADDR_BYTES: usize = 128;
/// The most octets of a peer id.
const MAX_PEER_ID_BYTES: usize = 42;

const PEER_ID: u64 = 0;
const ADDRS: u64 = 1;

/// A libp2p node and where to dial it. Whether an address may be dialled is for who dials it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    peer_id: PeerId,
    addrs: Vec<Multiaddr>,
}

/// Why a node does not go into a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Not a multihash that names a peer, in its one form and size.
    #[error("not a peer id of at most {MAX_PEER_ID_BYTES} octets")]
    PeerId,
    /// None, or more than [`MAX_NODE_ADDRS`].
    #[error("a node has 1 to {MAX_NODE_ADDRS} addresses, not {0}")]
    Addrs(usize),
    /// Not a binary multiaddr in its one form.
    #[error("not a multiaddr")]
    NotAMultiaddr,
    /// Empty or too long.
    #[error("address {0} has more than {MAX_ADDR_BYTES} octets, or none")]
    AddrSize(Multiaddr),
    /// Not of the form that nodes speak.
    #[error("address {0}: {1}")]
    Form(Multiaddr, Undialable),
    /// The same address twice.
    #[error("address {0} twice")]
    Twice(Multiaddr),
    /// A trailing `/p2p`: the peer id is said once, beside the addresses.
    #[error("address {0} ends in /p2p: leave it off, the peer id stands beside it")]
    TrailingPeer(Multiaddr),
}

impl NodeEntry {
    /// The node `peer_id` at `addrs`, best first.
    pub fn new(peer_id: PeerId, addrs: Vec<Multiaddr>) -> Result<Self, NodeError> {
        // A key itself (code 0) or a SHA-256 (code 0x12), of which the library does not ask that it be whole.
        let multihash = peer_id.to_bytes();
        if multihash.len() > MAX_PEER_ID_BYTES || multihash[0] == 0x12 && multihash.len() != 34 {
            return Err(NodeError::PeerId);
        }
        if !(1..=MAX_NODE_ADDRS).contains(&addrs.len()) {
            return Err(NodeError::Addrs(addrs.len()));
        }
        for (index, addr) in addrs.iter().enumerate() {
            if addr.is_empty() || addr.len() > MAX_ADDR_BYTES {
                return Err(NodeError::AddrSize(addr.clone()));
            }
            if matches!(addr.iter().last(), Some(Protocol::P2p(_))) {
                return Err(NodeError::TrailingPeer(addr.clone()));
            }
            // Whether it leads to a private place is for who dials it, and no matter of form.
            if let Some(fault) = undialable(addr, PrivateAddresses::Allowed)
                && !matches!(fault, Undialable::Private(_))
            {
                return Err(NodeError::Form(addr.clone(), fault));
            }
            if addrs[..index].contains(addr) {
                return Err(NodeError::Twice(addr.clone()));
            }
        }
        Ok(Self { peer_id, addrs })
    }

    /// Who it is.
    pub fn peer_id(&self) -> &PeerId {
        &self.peer_id
    }

    /// Where it is, best first, without the peer id.
    pub fn addrs(&self) -> &[Multiaddr] {
        &self.addrs
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let encoded: Vec<Vec<u8>> = self
            .addrs
            .iter()
            .map(|addr| {
                let mut bytes = Vec::with_capacity(addr.len() + 2);
                Encoder::new(&mut bytes).bytes(addr.as_ref()).expect("memory takes every byte");
                bytes
            })
            .collect();
        MapWriter::new().bytes(PEER_ID, &self.peer_id.to_bytes()).array(ADDRS, &encoded).finish()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FieldError> {
        let start = reader.offset();
        let (mut peer_id, mut addrs) = (None, None);
        reader.map(|key, reader| {
            let start = reader.offset();
            match key {
                PEER_ID => {
                    let bytes = reader.bytes(MAX_PEER_ID_BYTES)?;
                    let known = PeerId::from_bytes(bytes).map_err(|_| FieldError::new(start, NodeError::PeerId));
                    peer_id = Some(known?);
                }
                ADDRS => addrs = Some(reader.array(MAX_NODE_ADDRS, read_addr)?),
                FIRST_IGNORABLE_KEY.. => reader.skip()?,
                _ => return Err(FieldError::unknown(start, Unknown::Key { map: "a node", key })),
            }
            Ok(())
        })?;
        let missing = |name| move || FieldError::new(start, Fault::Missing(name));
        let peer_id = peer_id.ok_or_else(missing("the peer id"))?;
        let addrs = addrs.ok_or_else(missing("the list of addresses"))?;
        Self::new(peer_id, addrs).map_err(|error| FieldError::new(start, error))
    }
}

fn read_addr(reader: &mut Reader<'_>) -> Result<Multiaddr, FieldError> {
    let start = reader.offset();
    let bytes = reader.bytes(MAX_ADDR_BYTES)?;
    Multiaddr::try_from(bytes.to_vec()).map_err(|_| FieldError::new(start, NodeError::NotAMultiaddr))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(n: u8) -> PeerId {
        libp2p_identity::Keypair::ed25519_from_bytes([n; 32]).expect("a seed").public().to_peer_id()
    }

    fn addr(text: &str) -> Multiaddr {
        text.parse().expect(text)
    }

    #[test]
    fn a_node_is_read_as_it_is_written() {
        let addrs = vec![addr("/ip4/192.0.2.1/udp/4100/quic-v1"), addr("/dns4/node.example.org/tcp/4100")];
        let node = NodeEntry::new(peer(1), addrs).expect("plain");
        let bytes = node.encode();
        let mut reader = Reader::new(&bytes);
        assert_eq!(NodeEntry::read(&mut reader).expect("own form"), node);
        reader.end().expect("whole");
    }

    #[test]
    fn what_is_no_node_is_refused() {
        let plain = addr("/ip4/192.0.2.1/tcp/1");
        assert_eq!(NodeEntry::new(peer(1), vec![]), Err(NodeError::Addrs(0)));
        assert_eq!(NodeEntry::new(peer(1), vec![plain.clone(); 3]), Err(NodeError::Addrs(3)));
        assert_eq!(NodeEntry::new(peer(1), vec![plain.clone(); 2]), Err(NodeError::Twice(plain.clone())));
        for form in
            ["/ip4/192.0.2.1", "/ip4/192.0.2.1/udp/1", "/ip4/192.0.2.1/tcp/1/ws", "/ip4/192.0.2.1/tcp/0", "/tcp/1"]
        {
            assert!(matches!(NodeEntry::new(peer(1), vec![addr(form)]), Err(NodeError::Form(..))), "{form}");
        }
        assert!(NodeEntry::new(peer(1), vec![addr("/ip4/0.0.0.0/tcp/1"), addr("/dnsaddr/a.b")]).is_ok());
        let trailing = plain.with(Protocol::P2p(peer(2)));
        assert_eq!(NodeEntry::new(peer(1), vec![trailing.clone()]), Err(NodeError::TrailingPeer(trailing)));
        let empty = Multiaddr::empty();
        assert_eq!(NodeEntry::new(peer(1), vec![empty.clone()]), Err(NodeError::AddrSize(empty)));
        let long = addr(&format!("/dns4/{}/tcp/1", "a".repeat(130)));
        assert_eq!(NodeEntry::new(peer(1), vec![long.clone()]), Err(NodeError::AddrSize(long)));
    }

    #[test]
    fn second_encodings_are_refused() {
        let read = |peer_id: &[u8], addr: &[u8]| {
            let mut item = Vec::new();
            Encoder::new(&mut item).bytes(addr).expect("memory");
            let bytes = MapWriter::new().bytes(PEER_ID, peer_id).array(ADDRS, &[item]).finish();
            NodeEntry::read(&mut Reader::new(&bytes)).map_err(|error| error.in_field("nodes").to_string())
        };
        let peer_id = peer(1).to_bytes();
        let plain = addr("/dns4/a/tcp/1").to_vec();
        assert!(read(&peer_id, &plain).is_ok());
        let error =
            read(&peer_id, &[&[0x36, 0x81, 0], &plain[2..]].concat()).expect_err("its length in two bytes of varint");
        assert!(error.contains("not a multiaddr"), "{error}");
        let short_hash = [&[0x12, 31][..], &[7; 31]].concat();
        for other in [&[&peer_id[..], &[0]].concat(), &peer_id[..37], &short_hash] {
            assert!(read(other, &plain).expect_err("no peer id").contains("not a peer id"), "{other:x?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_an_address_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut item = Vec::new();
            Encoder::new(&mut item).bytes(&bytes).expect("memory");
            let _ = read_addr(&mut Reader::new(&item));
            let node = MapWriter::new().bytes(PEER_ID, &bytes).array(ADDRS, &[item]).finish();
            let _ = NodeEntry::read(&mut Reader::new(&node));
        }
    }
}
