//! A stated address that others do not reach is said to be so, and not any more once they do.

use super::federation::{Federation, eventually, own_network};
use lafs_clearinghouse::config::NodeConfig;
use lafs_clearinghouse::node::Node;
use libp2p::Multiaddr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// What a router does whose owner has forwarded a port: what comes to `from`, UDP and TCP, goes to `to`, until the test ends.
async fn forward(from: SocketAddr, to: SocketAddr) {
    let (tcp, udp) = (TcpListener::bind(from).await.unwrap(), Arc::new(UdpSocket::bind(from).await.unwrap()));
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = tcp.accept().await {
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    tokio::spawn(async move {
        let mut inside: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut packet = [0; 2_048];
        while let Ok((length, outside)) = udp.recv_from(&mut packet).await {
            if let Entry::Vacant(place) = inside.entry(outside) {
                let socket = Arc::new(UdpSocket::bind((own_network(), 0)).await.unwrap());
                socket.connect(to).await.unwrap();
                place.insert(Arc::clone(&socket));
                let udp = Arc::clone(&udp);
                tokio::spawn(async move {
                    let mut packet = [0; 2_048];
                    while let Ok(length) = socket.recv(&mut packet).await {
                        let _ = udp.send_to(&packet[..length], outside).await;
                    }
                });
            }
            let _ = inside[&outside].send(&packet[..length]).await;
        }
    });
}

/// A free address in a network of its own.
async fn free_address() -> SocketAddr {
    loop {
        let addr = TcpListener::bind((own_network(), 0)).await.unwrap().local_addr().unwrap();
        if UdpSocket::bind(addr).await.is_ok() {
            return addr;
        }
    }
}

async fn node(federation: &Federation, name: &str, external: SocketAddr, listen: SocketAddr) -> (Node, Vec<Multiaddr>) {
    let home = federation.home(name);
    std::fs::create_dir_all(home.path()).unwrap();
    let external = Some(external.to_string().parse().unwrap());
    let bootstrap = federation.bootstrap();
    let config = NodeConfig { listen, external, bootstrap, ..federation.settings.clone() };
    (federation.restart(home, config.clone()).await, config.external_addrs())
}

async fn unreached(node: &Node) -> Vec<Multiaddr> {
    let mut unreached = node.dht.status().await.unwrap().unreached;
    unreached.sort_by_key(|addr| addr.to_string());
    unreached
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stated_address_that_others_do_not_reach_is_doubted_until_they_do() {
    let federation = Federation::of(3, 0, 200).await;
    federation.acquainted().await;
    let (outside, inside) = (free_address().await, free_address().await);
    let (astray, mut stated) = node(&federation, "astray", outside, inside).await;
    let at_home = free_address().await;
    let (well, _) = node(&federation, "well", at_home, at_home).await;
    stated.sort_by_key(ToString::to_string);
    assert_eq!(stated.len(), 2, "QUIC and TCP");

    eventually(async || (unreached(&astray).await == stated).then_some(())).await;
    assert!(astray.dht.status().await.unwrap().serves, "a server all the same");
    assert!(unreached(&well).await.is_empty());
    forward(outside, inside).await;
    eventually(async || unreached(&astray).await.is_empty().then_some(())).await;
}
