//! How far around a key a record is stored in a network too large to be served whole.

use crate::address::Network;
use crate::dht::server::{Point, Server};
use crate::dht::walk::WIDTH;
use std::collections::HashSet;

/// How many of `nearest` (nearest to `target` first, each with the network from which it answered) make up the region: those within the distance in which [`WIDTH`]
/// servers are expected, and at least as many as bring [`WIDTH`] different networks, where there are so many.
///
/// The density is measured around our own node with `around_own`, where nobody gains by crowding in to hide the key; each
/// network counts once in both measures, since addresses in many networks are what an attacker lacks.
pub(crate) fn region(target: Point, nearest: &[(Server, Option<Network>)], own: Point, around_own: &[Server]) -> usize {
    let expected = nth_network_distance(own, around_own);
    let within = |distance: [u8; 32]| expected.is_some_and(|radius| distance <= radius);
    let mut networks = HashSet::new();
    let mut taken = 0;
    for (server, network) in nearest {
        if networks.len() >= WIDTH && !within(target.distance(&server.point())) {
            break;
        }
        networks.insert(network);
        taken += 1;
    }
    taken
}

/// The distance of the [`WIDTH`]th network's nearest server from `point`, or of the last there is; `None` without any.
fn nth_network_distance(point: Point, servers: &[Server]) -> Option<[u8; 32]> {
    let mut distances: Vec<([u8; 32], Option<Network>)> = servers
        .iter()
        .map(|server| (point.distance(&server.point()), server.addrs.iter().find_map(Network::of_multiaddr)))
        .collect();
    distances.sort_unstable_by_key(|(distance, _)| *distance);
    let mut networks = HashSet::new();
    let mut radius = None;
    for (distance, network) in distances {
        if networks.insert(network) {
            radius = Some(distance);
            if networks.len() == WIDTH {
                break;
            }
        }
    }
    radius
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(n: u16, network: u16) -> Server {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        Server {
            peer: libp2p::identity::Keypair::ed25519_from_bytes(seed).unwrap().public().to_peer_id(),
            addrs: vec![format!("/ip4/127.{}.{}.1/tcp/1", network >> 8, network & 255).parse().unwrap()],
        }
    }

    fn answered(servers: &[Server]) -> Vec<(Server, Option<Network>)> {
        servers.iter().map(|server| (server.clone(), Network::of_multiaddr(&server.addrs[0]))).collect()
    }

    fn sorted(point: Point, mut servers: Vec<Server>) -> Vec<Server> {
        servers.sort_by_key(|server| point.distance(&server.point()));
        servers
    }

    #[test]
    fn in_an_even_network_the_region_is_about_twenty() {
        let all: Vec<Server> = (0..1_000).map(|n| server(n, n)).collect();
        let own = Point::of(b"own");
        let around = sorted(own, all.clone())[..20].to_vec();
        let mut sizes: Vec<usize> = (0..50u8)
            .map(|n| {
                let target = Point::of(&[n]);
                region(target, &answered(&sorted(target, all.clone())[..40]), own, &around)
            })
            .collect();
        sizes.sort_unstable();
        assert!(sizes[0] >= 20 && (20..=32).contains(&sizes[25]), "{sizes:?}");
    }

    #[test]
    fn sybils_of_one_network_next_to_the_key_do_not_crowd_out_the_honest() {
        let honest: Vec<Server> = (0..1_000).map(|n| server(n, n)).collect();
        let target = Point::of(b"target");
        let own = Point::of(b"own");
        let around = sorted(own, honest.clone())[..20].to_vec();
        // The 15 of 20,000 made-up ids that fall nearest to the key, all in one /24.
        let sybils = sorted(target, (1_000..21_000).map(|n| server(n, 60_000)).collect())[..15].to_vec();
        let nearest = sorted(target, [sybils, honest].concat())[..60].to_vec();
        let taken = region(target, &answered(&nearest), own, &around);
        let honest_taken = nearest[..taken].iter().filter(|s| !s.addrs[0].to_string().contains("127.234.")).count();
        assert!(honest_taken >= 19, "{honest_taken}");
    }

    #[test]
    fn few_servers_are_all_taken() {
        let all: Vec<Server> = (0..7).map(|n| server(n, n)).collect();
        assert_eq!(region(Point::of(b"t"), &answered(&all), Point::of(b"o"), &[]), 7);
    }
}
