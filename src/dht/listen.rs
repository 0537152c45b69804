//! One port number for QUIC (UDP) and TCP.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// How often a free port is looked for: TCP's choice may be taken on UDP.
const ATTEMPTS: usize = 64;

/// The QUIC and the TCP address of `addr`; port 0 becomes one that is free on both.
///
/// The port is free at the time of asking; libp2p binds it a moment later.
pub(crate) fn listen_addrs(addr: SocketAddr) -> Result<[Multiaddr; 2], std::io::Error> {
    let addr = if addr.port() == 0 { free_port(addr)? } else { check_free(addr)? };
    Ok([quic(addr), tcp(addr)])
}

/// `/ip4/…/udp/…/quic-v1`.
pub(crate) fn quic(addr: SocketAddr) -> Multiaddr {
    Multiaddr::from(addr.ip()).with(Protocol::Udp(addr.port())).with(Protocol::QuicV1)
}

/// `/ip4/…/tcp/…`.
pub(crate) fn tcp(addr: SocketAddr) -> Multiaddr {
    Multiaddr::from(addr.ip()).with(Protocol::Tcp(addr.port()))
}

fn check_free(addr: SocketAddr) -> Result<SocketAddr, std::io::Error> {
    let tcp = TcpListener::bind(addr)?;
    UdpSocket::bind(addr)?;
    tcp.local_addr()
}

fn free_port(addr: SocketAddr) -> Result<SocketAddr, std::io::Error> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let tcp = TcpListener::bind(addr)?;
        let chosen = tcp.local_addr()?;
        match UdpSocket::bind(chosen) {
            Ok(_) => return Ok(chosen),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::from(std::io::ErrorKind::AddrInUse)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_transports_get_one_port() {
        let [quic, tcp] = listen_addrs("127.0.0.1:0".parse().unwrap()).expect("loopback has free ports");
        let port = |addr: &Multiaddr| {
            addr.iter().find_map(|part| match part {
                Protocol::Udp(port) | Protocol::Tcp(port) => Some(port),
                _ => None,
            })
        };
        assert!(port(&quic).is_some_and(|port| port != 0));
        assert_eq!(port(&quic), port(&tcp));
    }

    #[test]
    fn a_port_in_use_is_an_error() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = listen_addrs(udp.local_addr().unwrap()).expect_err("taken on UDP");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    }
}
