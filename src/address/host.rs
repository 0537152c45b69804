//! A host and a port as text: `203.0.113.7:4100`, `[2001:db8::7]:4100`, `gateway.example.org:4100`.

use crate::address::reach::{Reach, reach};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An IP address or a DNS name, in its one text form.
///
/// IPv6 prints without brackets here and with them where a port follows ([`HostPort`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name to be resolved when it is dialled.
    Name(DnsName),
}

impl Host {
    /// Whether a stranger may be sent there. A name counts as public unless it is local by its form (`localhost`, no
    /// dot, `.local`, `.internal`, `.home.arpa`); what it resolves to must be asked again.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Ip(ip) => reach(*ip),
            Self::Name(name) if name.is_local() => Reach::Private("a local name"),
            Self::Name(_) => Reach::Public,
        }
    }

    /// Whether this is the name of a Tor onion service.
    pub fn is_onion(&self) -> bool {
        matches!(self, Self::Name(name) if name.top_label() == "onion")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if !text.contains(':') {
            return match text.parse() {
                Ok(ip) => Ok(Self::Ip(IpAddr::V4(ip))),
                Err(_) => text.parse().map(Self::Name),
            };
        }
        let ip: Ipv6Addr = text.parse().map_err(|_| HostError::NotIpv6)?;
        // `::1` and `0::1` are one address: only the text that RFC 5952 gives it is taken.
        if ip.to_string() != text {
            return Err(HostError::NotCanonical(ip));
        }
        Ok(Self::Ip(IpAddr::V6(ip)))
    }
}

/// A DNS name in lower case: labels of letters, digits and inner hyphens, no trailing dot, at most 253 characters.
///
/// Its last label is not a number, so that no resolver takes it for an address written otherwise (`127.1`, `0x7f.1`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// The longest name, in characters (RFC 1035, 2.3.4, as text).
    pub const MAX_LEN: usize = 253;
    /// The longest label.
    const MAX_LABEL: usize = 63;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn top_label(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }

    /// Whether the name means something on one machine or in one house only (RFC 6761, 6762, 8375).
    fn is_local(&self) -> bool {
        !self.0.contains('.')
            || matches!(self.top_label(), "localhost" | "local" | "internal" | "localdomain")
            || self.0.ends_with(".home.arpa")
    }
}

impl AsRef<str> for DnsName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(HostError::TooLong { found: text.len() });
        }
        let mut start = 0;
        for label in text.split('.') {
            let end = start + label.len();
            let outside = |c: char| !matches!(c, 'a'..='z' | '0'..='9' | '-');
            if let Some(position) = label.find(outside) {
                let found = label[position..].chars().next().unwrap_or_default();
                return Err(HostError::Character { position: start + position, found });
            }
            if label.is_empty() || label.len() > Self::MAX_LABEL || label.starts_with('-') || label.ends_with('-') {
                return Err(HostError::Label { position: start });
            }
            start = end + 1;
        }
        let name = Self(text.to_owned());
        let top = name.top_label();
        let hexadecimal = top.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if hexadecimal || top.bytes().all(|b| b.is_ascii_digit()) {
            return Err(HostError::Numeric);
        }
        Ok(name)
    }
}

/// A host and a port other than 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: Host,
    port: u16,
}

impl HostPort {
    /// `port` at `host`; port 0 is none.
    pub fn new(host: Host, port: u16) -> Result<Self, HostError> {
        if port == 0 { Err(HostError::Port) } else { Ok(Self { host, port }) }
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl FromStr for HostPort {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostError::NoPort)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let host: Host = inner.strip_suffix(']').ok_or(HostError::Brackets)?.parse()?;
                if !matches!(host, Host::Ip(IpAddr::V6(_))) {
                    return Err(HostError::Brackets);
                }
                host
            }
            None if host.contains(':') => return Err(HostError::Brackets),
            None => host.parse()?,
        };
        // `+80` and `080` are numbers to Rust, but no second text of a port is wanted.
        if !port.bytes().all(|b| b.is_ascii_digit()) || port.starts_with('0') {
            return Err(HostError::Port);
        }
        Self::new(host, port.parse().map_err(|_| HostError::Port)?)
    }
}

/// Why a text is no host, or no host with a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing where a host was expected.
    #[error("the host is empty")]
    Empty,
    /// Longer than a DNS name can be.
    #[error("the host has {found} characters where a name has at most {}", DnsName::MAX_LEN)]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// A character that no host has. Capitals are among them: a name is written in lower case.
    #[error(
        "character {position} of the host, {found:?}, is not one of a-z, 0-9, `-`, `.` (write names in lower case)"
    )]
    Character {
        /// Where, counted in bytes from the beginning of the host.
        position: usize,
        /// The character.
        found: char,
    },
    /// A label that is empty, longer than 63 characters, or begins or ends with a hyphen.
    #[error("the label at character {position} of the host is empty, too long, or has a hyphen at its edge")]
    Label {
        /// Where the label begins, counted in bytes from the beginning of the host.
        position: usize,
    },
    /// A last label made of digits: an IPv4 address that is mistyped or written in a way that hides it.
    #[error("the host ends in a number but is no IPv4 address of four decimal numbers")]
    Numeric,
    /// A colon in what is no IPv6 address.
    #[error("the host contains `:` and is no IPv6 address")]
    NotIpv6,
    /// An IPv6 address in other words than RFC 5952's.
    #[error("write this IPv6 address as `{0}`")]
    NotCanonical(Ipv6Addr),
    /// An IPv6 address without brackets before a port, or brackets around something else.
    #[error("before a port, an IPv6 address and nothing else stands in brackets: `[2001:db8::1]:4100`")]
    Brackets,
    /// No `:` and port after the host.
    #[error("the port is missing: write `host:port`")]
    NoPort,
    /// A port that is no decimal number from 1 to 65535, or has leading zeros.
    #[error("the port is not a plain number from 1 to 65535")]
    Port,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_print_as_they_parse() {
        for text in ["203.0.113.7", "::1", "2001:db8::7", "localhost", "a.example.org", "xn--bcher-kva.example", "1.a"]
        {
            assert_eq!(text.parse::<Host>().expect(text).to_string(), text);
        }
        for text in ["203.0.113.7:1", "[::1]:65535", "gateway.example.org:4100"] {
            assert_eq!(text.parse::<HostPort>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_for_its_reason() {
        let long = format!("{}.org", "a".repeat(64));
        let longer = format!("{}org", "a.".repeat(126));
        for (text, error) in [
            ("", HostError::Empty),
            (&longer, HostError::TooLong { found: 255 }),
            (&long, HostError::Label { position: 0 }),
            ("Example.org", HostError::Character { position: 0, found: 'E' }),
            ("a.b_c.org", HostError::Character { position: 3, found: '_' }),
            ("bücher.example", HostError::Character { position: 1, found: 'ü' }),
            (" a.org", HostError::Character { position: 0, found: ' ' }),
            ("a..org", HostError::Label { position: 2 }),
            ("a.org.", HostError::Label { position: 6 }),
            ("a.-b.org", HostError::Label { position: 2 }),
            ("127.1", HostError::Numeric),
            ("2130706433", HostError::Numeric),
            ("0x7f000001", HostError::Numeric),
            ("1.2.3.4.5", HostError::Numeric),
            ("127.0.0.01", HostError::Numeric),
            ("0::1", HostError::NotCanonical(Ipv6Addr::LOCALHOST)),
            ("2001:DB8::1", HostError::NotCanonical("2001:db8::1".parse().expect("an address"))),
            ("fe80::1%eth0", HostError::NotIpv6),
            ("[::1]", HostError::NotIpv6),
            ("a.org:80", HostError::NotIpv6),
        ] {
            assert_eq!(text.parse::<Host>(), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_with_port_is_refused_for_its_reason() {
        for (text, error) in [
            ("a.org", HostError::NoPort),
            ("a.org:", HostError::Port),
            ("a.org:0", HostError::Port),
            ("a.org:080", HostError::Port),
            ("a.org:+80", HostError::Port),
            ("a.org:65536", HostError::Port),
            ("a.org:http", HostError::Port),
            ("::1:80", HostError::Brackets),
            ("[::1:80", HostError::Brackets),
            ("[a.org]:80", HostError::Brackets),
            ("[127.0.0.1]:80", HostError::Brackets),
            (":80", HostError::Empty),
        ] {
            assert_eq!(text.parse::<HostPort>(), Err(error), "{text}");
        }
    }

    #[test]
    fn local_names_are_not_public() {
        for text in ["localhost", "a.localhost", "printer.local", "nas", "x.home.arpa", "x.internal", "10.1.2.3"] {
            assert!(matches!(text.parse::<Host>().expect(text).reach(), Reach::Private(_)), "{text}");
        }
        assert_eq!("gateway.example.org".parse::<Host>().expect("a name").reach(), Reach::Public);
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_prints_as_it_was_written(text in "\\PC{0,24}|[a-z0-9.:\\[\\]-]{0,24}") {
            if let Ok(host) = text.parse::<Host>() {
                prop_assert_eq!(host.to_string(), text.clone());
            }
            if let Ok(host) = text.parse::<HostPort>() {
                prop_assert_eq!(host.to_string(), text);
            }
        }

        #[test]
        fn every_address_parses_from_its_print(ip: IpAddr, port in 1u16..) {
            prop_assert_eq!(ip.to_string().parse::<Host>(), Ok(Host::Ip(ip)));
            let host = HostPort::new(Host::Ip(ip), port).expect("not port 0");
            prop_assert_eq!(host.to_string().parse::<HostPort>(), Ok(host));
        }
    }
}
