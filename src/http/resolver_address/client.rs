//! From where a request comes: whom the quota counts it for.

use crate::address::Network;
use axum::http::HeaderMap;
use std::net::IpAddr;

/// The header in which a reverse proxy says from where it was asked.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The peer of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub(super) IpAddr);

impl Client {
    /// The network to count a request for. Anybody can write `X-Forwarded-For`, so it is believed only if the connection
    /// comes from one of `proxies`, and of it only the last address: the one that the proxy itself saw.
    pub(super) fn network(self, headers: &HeaderMap, proxies: &[IpAddr]) -> Network {
        let direct = self.0.to_canonical();
        if !proxies.iter().any(|proxy| proxy.to_canonical() == direct) {
            return Network::of(direct);
        }
        let last = headers.get_all(FORWARDED_FOR).iter().next_back().and_then(|value| value.to_str().ok());
        let stated = last.and_then(|list| list.rsplit(',').next()).and_then(|address| address.trim().parse().ok());
        Network::of(stated.unwrap_or(direct))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: Vec<IpAddr> = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        Client(peer.parse().unwrap()).network(&headers, &proxies).to_string()
    }

    #[test]
    fn nobody_gets_another_bucket_by_a_header() {
        assert_eq!(network("192.0.2.1", &["198.51.100.1"], &[]), "192.0.2.0/24");
        assert_eq!(network("192.0.2.1", &["198.51.100.1"], &["192.0.2.2"]), "192.0.2.0/24");
        let proxied = &["203.0.113.5, 198.51.100.1"];
        assert_eq!(
            network("192.0.2.1", proxied, &["192.0.2.1"]),
            "198.51.100.0/24",
            "what the asker wrote comes before"
        );
    }

    #[test]
    fn a_proxy_that_is_trusted_says_who_asks() {
        assert_eq!(network("::ffff:127.0.0.1", &["2001:db8:1::5"], &["127.0.0.1"]), "2001:db8:1::/48");
        assert_eq!(network("127.0.0.1", &["203.0.113.5", "198.51.100.1"], &["127.0.0.1"]), "198.51.100.0/24");
        for unclear in [&[][..], &["unknown"], &["198.51.100.1, "]] {
            assert_eq!(network("127.0.0.1", unclear, &["127.0.0.1"]), "127.0.0.0/24", "{unclear:?}");
        }
    }
}
