//! A port number that is free for both UDP (QUIC) and TCP on one address.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

/// How many port numbers are tried. The kernel gives a free TCP port; that the UDP one is taken is rare, so a few do.
const ATTEMPTS: usize = 32;

/// A TCP listener and a UDP socket on the same address and port: whoever holds them holds the port.
pub(crate) struct PortPair {
    pub(crate) tcp: TcpListener,
    pub(crate) udp: UdpSocket,
}

impl PortPair {
    /// Takes a port of `ip` that the kernel chooses.
    #[cfg(test)]
    pub(crate) fn any(ip: Ipv4Addr) -> io::Result<Self> {
        Self::any_with(ip, |_| Ok(())).map(|(pair, ())| pair)
    }

    /// Takes a port of `ip` that the kernel chooses and for which `also` succeeds; gives back what that returned.
    pub(crate) fn any_with<T>(ip: Ipv4Addr, also: impl Fn(u16) -> io::Result<T>) -> io::Result<(Self, T)> {
        let mut last_error = None;
        for _ in 0..ATTEMPTS {
            let tcp = TcpListener::bind(SocketAddrV4::new(ip, 0))?;
            let port = tcp.local_addr()?.port();
            let both = UdpSocket::bind(SocketAddrV4::new(ip, port)).and_then(|udp| Ok((udp, also(port)?)));
            match both {
                Ok((udp, more)) => return Ok((Self { tcp, udp }, more)),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    /// Takes exactly `address`.
    pub(crate) fn at(address: SocketAddrV4) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(address)?, udp: UdpSocket::bind(address)? })
    }

    /// The address that both sockets are bound to.
    pub(crate) fn address(&self) -> io::Result<std::net::SocketAddr> {
        self.tcp.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sockets_have_the_same_port() {
        let pair = PortPair::any(Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!(pair.tcp.local_addr().unwrap(), pair.udp.local_addr().unwrap());
    }

    #[test]
    fn a_port_taken_for_udp_alone_is_taken() {
        let pair = PortPair::any(Ipv4Addr::LOCALHOST).unwrap();
        let udp = pair.udp;
        drop(pair.tcp);
        let std::net::SocketAddr::V4(address) = udp.local_addr().unwrap() else { panic!("IPv4 was asked for") };
        assert!(PortPair::at(address).is_err());
    }

    #[test]
    fn a_port_that_fails_the_callers_condition_is_not_given() {
        let refused = std::cell::Cell::new(0);
        let (pair, accepted) = PortPair::any_with(Ipv4Addr::LOCALHOST, |port| {
            if refused.replace(refused.get() + 1) < 3 { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(port) }
        })
        .unwrap();
        assert_eq!((refused.get(), pair.address().unwrap().port()), (4, accepted));
    }
}
