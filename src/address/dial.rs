//! Which multiaddrs may be dialled: the forms that nodes speak, and nothing that leads to a private place.
//!
//! ```text
//! (/ip4/A | /ip6/A | /dns/N | /dns4/N | /dns6/N) (/tcp/P | /udp/P/quic-v1) [/p2p/ID]
//! /dnsaddr/N [/p2p/ID]
//! ```

use crate::address::host::{DnsName, Host, HostError};
use crate::address::reach::{Reach, reach};
use multiaddr::{Multiaddr, Protocol};
use std::net::IpAddr;

/// Whether addresses outside the public Internet may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They may not: a record must not be able to send us against our neighbours.
    Refused,
    /// They may: a test network, or a network inside one house.
    Allowed,
}

/// Whether `address` may be dialled; [`undialable`] says why not.
pub fn dialable(address: &Multiaddr, private: PrivateAddresses) -> bool {
    undialable(address, private).is_none()
}

/// Why `address` may not be dialled; `None` if it may.
///
/// What a name resolves to is not known here: the one who dials asks again with the address found.
pub fn undialable(address: &Multiaddr, private: PrivateAddresses) -> Option<Undialable> {
    refuse(address, private).err()
}

fn refuse(address: &Multiaddr, private: PrivateAddresses) -> Result<(), Undialable> {
    let mut parts = address.iter().peekable();
    let first = parts.next().ok_or(Undialable::Form { position: 0 })?;
    let host = match &first {
        Protocol::Ip4(ip) => Host::Ip(IpAddr::V4(*ip)),
        Protocol::Ip6(ip) => Host::Ip(IpAddr::V6(*ip)),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) | Protocol::Dnsaddr(name) => {
            Host::Name(name.parse::<DnsName>().map_err(Undialable::Name)?)
        }
        _ => return Err(Undialable::Form { position: 0 }),
    };
    let mut position = 1;
    if !matches!(first, Protocol::Dnsaddr(_)) {
        let port = match parts.next() {
            Some(Protocol::Tcp(port)) => port,
            Some(Protocol::Udp(port)) => {
                position += 1;
                if parts.next() != Some(Protocol::QuicV1) {
                    return Err(Undialable::Form { position });
                }
                port
            }
            _ => return Err(Undialable::Form { position }),
        };
        if port == 0 {
            return Err(Undialable::PortZero);
        }
        position += 1;
    }
    if matches!(parts.peek(), Some(Protocol::P2p(_))) {
        parts.next();
        position += 1;
    }
    if parts.next().is_some() {
        return Err(Undialable::Form { position });
    }
    match (&host, private) {
        (Host::Ip(ip), _) if !has_one_owner(*ip) => Err(Undialable::Private(nobodys_reason(*ip))),
        (_, PrivateAddresses::Allowed) => Ok(()),
        (host, PrivateAddresses::Refused) => match host.reach() {
            Reach::Public => Ok(()),
            Reach::Private(reason) => Err(Undialable::Private(reason)),
        },
    }
}

/// Why `ip` itself may not be dialled, in words that complete "the address is ..."; `None` if it may.
///
/// For whoever has resolved a name and is about to dial what came of it.
pub fn undialable_ip(ip: IpAddr, private: PrivateAddresses) -> Option<&'static str> {
    match (reach(ip), private) {
        (Reach::Private(reason), PrivateAddresses::Refused) => Some(reason),
        _ if !has_one_owner(ip) => Some(nobodys_reason(ip)),
        _ => None,
    }
}

/// Whether one machine answers to `ip`. To dial the unspecified address is, on Linux, to dial oneself.
fn has_one_owner(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    !(ip.is_unspecified() || ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast()))
}

fn nobodys_reason(ip: IpAddr) -> &'static str {
    match reach(ip) {
        Reach::Private(reason) => reason,
        Reach::Public => "nobody's",
    }
}

/// Why a multiaddr may not be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undialable {
    /// Another form than those spoken here: another transport, a relay circuit, a part too many or too few.
    #[error(
        "part {position} (from 0) is not of the form host, then `/tcp/PORT` or `/udp/PORT/quic-v1`, \
         then perhaps `/p2p/ID`"
    )]
    Form {
        /// The part that is wrong or missing, counted from 0.
        position: usize,
    },
    /// Port 0 stands for no port.
    #[error("port 0 cannot be dialled")]
    PortZero,
    /// The DNS name is none.
    #[error("not a DNS name: {0}")]
    Name(HostError),
    /// An address outside the public Internet.
    #[error("the address is {0}: private addresses are refused unless `--allow-private-addresses` is given")]
    Private(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    fn of(text: &str, private: PrivateAddresses) -> Option<Undialable> {
        undialable(&text.parse().expect(text), private)
    }

    #[test]
    fn the_forms_spoken_here_may_be_dialled() {
        for host in ["/ip4/8.8.8.8", "/ip6/2606:4700::1111", "/dns/a.example", "/dns4/a.example", "/dns6/a.example"] {
            for transport in ["/tcp/4100", "/udp/4100/quic-v1"] {
                for peer in [String::new(), format!("/p2p/{PEER}")] {
                    let text = format!("{host}{transport}{peer}");
                    assert_eq!(of(&text, PrivateAddresses::Refused), None, "{text}");
                }
            }
        }
        assert_eq!(of("/dnsaddr/boot.example.org", PrivateAddresses::Refused), None);
        assert_eq!(of(&format!("/dnsaddr/boot.example.org/p2p/{PEER}"), PrivateAddresses::Refused), None);
    }

    #[test]
    fn other_forms_are_refused_at_the_part_that_is_wrong() {
        let other = format!("/p2p/{PEER}");
        for (text, position) in [
            ("".to_owned(), 0),
            (other.clone(), 0),
            ("/memory/1".to_owned(), 0),
            ("/unix/%2Ftmp".to_owned(), 0),
            ("/ip4/8.8.8.8".to_owned(), 1),
            ("/ip4/8.8.8.8/udp/1".to_owned(), 2),
            ("/ip4/8.8.8.8/udp/1/quic".to_owned(), 2),
            ("/ip4/8.8.8.8/tcp/1/ws".to_owned(), 2),
            ("/ip4/8.8.8.8/tcp/1/tcp/2".to_owned(), 2),
            ("/ip4/8.8.8.8/udp/1/quic-v1/webtransport".to_owned(), 3),
            ("/dnsaddr/a.example/tcp/1".to_owned(), 1),
            (format!("/ip4/8.8.8.8/tcp/1{other}/p2p-circuit{other}"), 3),
            (format!("/ip4/8.8.8.8/tcp/1{other}{other}"), 3),
        ] {
            for private in [PrivateAddresses::Refused, PrivateAddresses::Allowed] {
                assert_eq!(of(&text, private), Some(Undialable::Form { position }), "{text}");
            }
        }
    }

    #[test]
    fn private_places_may_be_dialled_only_where_that_is_allowed() {
        for text in [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/192.168.1.1/udp/1/quic-v1",
            "/ip6/::1/tcp/1",
            "/ip6/::ffff:8.8.8.8/tcp/1",
            "/dns4/localhost/tcp/1",
            "/dnsaddr/nas.local",
        ] {
            assert!(matches!(of(text, PrivateAddresses::Refused), Some(Undialable::Private(_))), "{text}");
            assert_eq!(of(text, PrivateAddresses::Allowed), None, "{text}");
        }
    }

    #[test]
    fn what_nobody_answers_to_is_never_dialled() {
        for text in [
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/224.0.0.1/tcp/1",
            "/ip4/255.255.255.255/tcp/1",
            "/ip6/::/tcp/1",
            "/ip6/ff02::1/tcp/1",
            "/ip6/::ffff:0.0.0.0/tcp/1",
        ] {
            assert!(matches!(of(text, PrivateAddresses::Allowed), Some(Undialable::Private(_))), "{text}");
        }
        assert_eq!(of("/ip4/127.0.0.1/tcp/0", PrivateAddresses::Allowed), Some(Undialable::PortZero));
        assert!(matches!(of("/dns4/127.1/tcp/1", PrivateAddresses::Allowed), Some(Undialable::Name(_))));
    }
}
