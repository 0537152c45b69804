//! The network that an address counts for when distinct networks are counted; for a name, its domain.

use multiaddr::{Multiaddr, Protocol};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The /24 of an IPv4 or the /48 of an IPv6 address, or the domain of a name: what one party gets hold of cheaply as a
/// whole, so that many addresses in it count for one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The first 24 bits.
    V4([u8; 3]),
    /// The first 48 bits.
    V6([u8; 6]),
    /// The last two labels of a name, in lower case: whoever owns them makes as many names below them as they like.
    Domain(String),
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

    /// The network of a multiaddr that begins with an IP address or a name; `None` for any other.
    pub fn of_multiaddr(address: &Multiaddr) -> Option<Self> {
        match address.iter().next()? {
            Protocol::Ip4(ip) => Some(Self::of(ip.into())),
            Protocol::Ip6(ip) => Some(Self::of(ip.into())),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) | Protocol::Dnsaddr(name) => {
                Some(Self::of_name(&name))
            }
            _ => None,
        }
    }

    fn of_name(name: &str) -> Self {
        let mut labels: Vec<&str> = name.trim_end_matches('.').rsplit('.').take(2).collect();
        labels.reverse();
        Self::Domain(labels.join(".").to_ascii_lowercase())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => f.write_str(name),
            &Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6(prefix) => {
                let mut octets = [0; 16];
                octets[..6].copy_from_slice(prefix);
                write!(f, "{}/48", Ipv6Addr::from(octets))
            }
        }
    }
}

/// Whether an address is that of the machine itself: several nodes on 127.0.0.1 or ::1 are one person's, who knows about them. Only those two addresses: a testnet gives
/// each node a /24 of 127.0.0.0/8, so that diversity means something there.
pub fn is_localhost(addr: &Multiaddr) -> bool {
    addr.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip == Ipv4Addr::LOCALHOST,
        Protocol::Ip6(ip) => ip == Ipv6Addr::LOCALHOST,
        _ => false,
    })
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
    fn all_names_of_one_domain_count_for_one() {
        let network = |text: &str| Network::of_multiaddr(&text.parse().expect(text)).expect("a network");
        assert_eq!(network("/dns4/a.example.org/tcp/1"), network("/dnsaddr/b.c.EXAMPLE.org."));
        assert_ne!(network("/dns4/a.example.org/tcp/1"), network("/dns4/a.example.net/tcp/1"));
        assert_eq!(network("/dns6/a.example.org/tcp/1").to_string(), "example.org");
        assert_eq!(network("/dns4/localhost/tcp/1").to_string(), "localhost");
    }

    #[test]
    fn a_multiaddr_counts_for_the_network_of_its_first_part() {
        let network = |text: &str| Network::of_multiaddr(&text.parse().expect(text));
        assert_eq!(network("/ip4/198.51.100.7/tcp/1"), Some(of("198.51.100.7")));
        assert_eq!(network("/ip6/2001:db8::1/udp/1/quic-v1"), Some(of("2001:db8::1")));
        assert_eq!(network("/memory/1"), None);
    }
}
