//! The network that an address counts for when distinct networks are counted.

use multiaddr::{Multiaddr, Protocol};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The /24 of an IPv4 or the /48 of an IPv6 address: what one party gets hold of cheaply as a whole, so that many
/// addresses in it count for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The first 24 bits.
    V4([u8; 3]),
    /// The first 48 bits.
    V6([u8; 6]),
}

impl Network {
    /// The network of `ip`. An IPv4 address mapped into IPv6 counts as what it is.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    /// The network of a multiaddr that begins with an IP address; `None` for a name, which has no network until
    /// resolved.
    pub fn of_multiaddr(address: &Multiaddr) -> Option<Self> {
        match address.iter().next()? {
            Protocol::Ip4(ip) => Some(Self::of(ip.into())),
            Protocol::Ip6(ip) => Some(Self::of(ip.into())),
            _ => None,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6(prefix) => {
                let mut octets = [0; 16];
                octets[..6].copy_from_slice(&prefix);
                write!(f, "{}/48", Ipv6Addr::from(octets))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network {
        Network::of(text.parse().expect(text))
    }

    #[test]
    fn neighbours_share_a_network_and_others_do_not() {
        assert_eq!(of("198.51.100.1"), of("198.51.100.254"));
        assert_ne!(of("198.51.100.1"), of("198.51.101.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ffff::9"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
        assert_eq!(of("::ffff:198.51.100.1"), of("198.51.100.1"));
    }

    #[test]
    fn a_network_prints_as_a_prefix() {
        assert_eq!(of("198.51.100.7").to_string(), "198.51.100.0/24");
        assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1::/48");
    }

    #[test]
    fn a_name_has_no_network() {
        let network = |text: &str| Network::of_multiaddr(&text.parse().expect(text));
        assert_eq!(network("/ip4/198.51.100.7/tcp/1"), Some(of("198.51.100.7")));
        assert_eq!(network("/ip6/2001:db8::1/udp/1/quic-v1"), Some(of("2001:db8::1")));
        assert_eq!(network("/dns4/example.org/tcp/1"), None);
    }
}
