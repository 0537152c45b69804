//! The public address that an operator states for a node behind a router or a name.

use crate::address::{Host, HostError, HostPort};
use std::fmt;
use std::str::FromStr;

/// `HOST` or `HOST:PORT`; without a port the one that the node listens on is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    host: Host,
    port: Option<u16>,
}

impl External {
    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, where it differs from the one listened on.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for External {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        // A bare IPv6 address has colons too: only what is no host is asked for its port.
        let error = match text.parse() {
            Ok(host) => return Ok(Self { host, port: None }),
            Err(error) => error,
        };
        if !text.contains(':') {
            return Err(error);
        }
        let place: HostPort = text.parse()?;
        Ok(Self { host: place.host().clone(), port: Some(place.port()) })
    }
}

impl fmt::Display for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (host, None) => host.fmt(f),
            (Host::Ip(std::net::IpAddr::V6(ip)), Some(port)) => write!(f, "[{ip}]:{port}"),
            (host, Some(port)) => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_alone_or_with_its_port() {
        for text in ["node.example.org", "203.0.113.7", "203.0.113.7:4100", "2001:db8::7", "[2001:db8::7]:4100"] {
            let external: External = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(external.to_string(), text);
        }
        assert_eq!("2001:db8::7".parse::<External>().unwrap().port(), None);
        assert_eq!("node.example.org:4100".parse::<External>().unwrap().port(), Some(4100));
        assert!("node.example.org:0".parse::<External>().is_err());
        assert!("Node".parse::<External>().is_err());
    }
}
