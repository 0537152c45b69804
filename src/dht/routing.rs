//! What may enter kad's routing table: Kademlia's own rules know nothing of networks, so that whoever makes peer ids by
//! the thousand in one /24 could fill every bucket.
//!
//! In it are only servers of our list, with the addresses at which we met them, and of one network at most two in a bucket;
//! the list itself keeps three of a network.

use crate::address::Network;

/// How many servers of one network a bucket holds: go-libp2p's figure.
const MAX_PER_BUCKET: usize = 2;

/// Whether a bucket with servers of the networks `held` takes one more of `network`.
pub(super) fn has_room(held: impl IntoIterator<Item = Option<Network>>, network: Option<&Network>) -> bool {
    let Some(network) = network else { return false };
    held.into_iter().flatten().filter(|other| other == network).count() < MAX_PER_BUCKET
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u8) -> Option<Network> {
        Network::of_multiaddr(&format!("/ip4/127.0.{n}.1/tcp/1").parse().unwrap())
    }

    #[test]
    fn a_bucket_takes_two_of_one_network() {
        assert!(has_room([network(1), network(2)], network(1).as_ref()));
        assert!(!has_room([network(1), network(2), network(1)], network(1).as_ref()));
        assert!(!has_room([], None), "what is nowhere is not handed on");
    }
}
