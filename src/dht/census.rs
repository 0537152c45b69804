//! What a node counts of itself and of the network when somebody asks for figures.

use crate::address::Network;
use crate::dht::server::{Point, Server};
use crate::dht::walk::WIDTH;
use crate::store::BookSize;
use std::collections::HashSet;

/// Figures for whoever watches a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Census {
    /// In how many networks (/24, /48) the servers known are.
    pub server_networks: usize,
    /// How many servers the whole network has, this one counted.
    pub network_size: f64,
    /// What is held.
    pub held: BookSize,
}

/// How many servers there are, by how near the nearest are to `own`, each network counted once: whoever crowds in around
/// a point has many peer ids and few networks. `None` where there are too few to tell.
pub(super) fn estimated_size(own: Point, nearest: &[Server]) -> Option<f64> {
    let mut networks = HashSet::new();
    let mut different =
        nearest.iter().filter(|server| networks.insert(server.addrs.iter().find_map(Network::of_multiaddr)));
    let distance = own.distance(&different.nth(WIDTH - 1)?.point());
    // Ids are spread evenly, so that the k-th nearest of n lies at about k/n of the whole distance. The first eight octets
    // of it are more than a float can tell apart.
    let first = u64::from_be_bytes(std::array::from_fn(|n| distance[n])).max(1);
    Some(WIDTH as f64 * (u64::MAX as f64 / first as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(n: u32, network: u32) -> Server {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let [_, a, b, c] = network.to_be_bytes();
        Server {
            peer: libp2p_identity::Keypair::ed25519_from_bytes(seed).unwrap().public().to_peer_id(),
            addrs: vec![format!("/ip4/{}.{b}.{c}.1/tcp/1", 10 + a).parse().unwrap()],
        }
    }

    fn nearest(own: Point, mut servers: Vec<Server>) -> Vec<Server> {
        servers.sort_by_cached_key(|server| own.distance(&server.point()));
        servers.truncate(WIDTH * 3);
        servers
    }

    #[test]
    fn the_density_around_a_node_tells_the_size_of_the_network() {
        let mut sum = 0.0;
        let all: Vec<Server> = (0..1_000).map(|n| server(n, n)).collect();
        for place in 0..16_u8 {
            let own = Point::of(&[place]);
            sum += estimated_size(own, &nearest(own, all.clone())).unwrap();
        }
        let mean = sum / 16.0;
        assert!((800.0..1_250.0).contains(&mean), "{mean}");
    }

    #[test]
    fn a_crowd_from_one_network_counts_once() {
        let own = Point::of(b"own");
        let crowd = (0..1_000).map(|n| server(n, 7));
        assert_eq!(estimated_size(own, &nearest(own, crowd.collect())), None);
    }

    #[test]
    fn too_few_servers_tell_nothing() {
        let own = Point::of(b"own");
        assert_eq!(estimated_size(own, &nearest(own, (0..19).map(|n| server(n, n)).collect())), None);
    }
}
