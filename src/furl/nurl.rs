//! NURLs: the address of a service over HTTPS whose key is pinned.

use crate::address::{Host, HostError, HostPort};
use crate::furl::text::{TextError, printable};
use data_encoding::BASE64URL_NOPAD;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// What stands in the place of the swissnum in a gateway's NURL: a constant, no secret.
pub const GATEWAY_SWISSNUM: &str = "gateway";

/// The longest swissnum of a NURL, in bytes. Tahoe's have 32.
const MAX_SWISSNUM_BYTES: usize = 128;
/// How a SHA-256 is written in base64url without padding.
const HASH_CHARACTERS: usize = 43;
/// Version 1 of the NURL, the only one.
const VERSION: &str = "#v=1";

/// How a NURL's host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP: `pb://`.
    Tcp,
    /// A Tor onion service: `pb+tor://`.
    Tor,
}

impl Transport {
    /// The one that `host` needs.
    fn of(host: &Host) -> Self {
        if host.is_onion() { Self::Tor } else { Self::Tcp }
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "pb://",
            Self::Tor => "pb+tor://",
        }
    }
}

/// The address of an HTTPS service with the hash of its key and its swissnum.
///
/// Tor and a `.onion` name always go together.
#[derive(Clone, PartialEq, Eq)]
pub struct Nurl {
    spki_hash: [u8; 32],
    place: HostPort,
    swissnum: Zeroizing<String>,
}

impl Nurl {
    /// The NURL of a gateway, which anybody may know: host, port and the SHA-256 of its SubjectPublicKeyInfo. Port 0
    /// is none.
    pub fn gateway(spki_hash: [u8; 32], host: Host, port: u16) -> Result<Self, HostError> {
        let swissnum = Zeroizing::new(GATEWAY_SWISSNUM.to_owned());
        Ok(Self { spki_hash, place: HostPort::new(host, port)?, swissnum })
    }

    /// Whether this is a gateway's NURL, and so no secret.
    pub fn is_gateway(&self) -> bool {
        *self.swissnum == GATEWAY_SWISSNUM
    }

    /// The SHA-256 of the server's SubjectPublicKeyInfo in DER: what the TLS key must hash to.
    pub fn spki_hash(&self) -> &[u8; 32] {
        &self.spki_hash
    }

    /// The host.
    pub fn host(&self) -> &Host {
        self.place.host()
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.place.port()
    }

    /// The host and the port.
    pub fn place(&self) -> &HostPort {
        &self.place
    }

    /// How the host is reached.
    pub fn transport(&self) -> Transport {
        Transport::of(self.host())
    }

    /// The secret that opens the service; the constant `gateway` in a gateway's NURL.
    pub fn swissnum(&self) -> &str {
        &self.swissnum
    }
}

impl fmt::Display for Nurl {
    /// The whole NURL, **the secret included**.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = BASE64URL_NOPAD.encode(&self.spki_hash);
        write!(f, "{}{hash}@{}/{}{VERSION}", self.transport().scheme(), self.place, *self.swissnum)
    }
}

impl fmt::Debug for Nurl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = BASE64URL_NOPAD.encode(&self.spki_hash);
        let swissnum = if self.is_gateway() { GATEWAY_SWISSNUM } else { "…" };
        write!(f, "{}{hash}@{}/{swissnum}{VERSION}", self.transport().scheme(), self.place)
    }
}

impl FromStr for Nurl {
    type Err = NurlError;

    fn from_str(text: &str) -> Result<Self, NurlError> {
        printable(text).map_err(NurlError::Text)?;
        let (transport, rest) = match (text.strip_prefix("pb://"), text.strip_prefix("pb+tor://")) {
            (Some(rest), _) => (Transport::Tcp, rest),
            (_, Some(rest)) => (Transport::Tor, rest),
            _ => return Err(NurlError::Scheme),
        };
        let rest = rest.strip_suffix(VERSION).ok_or(NurlError::Version)?;
        let (hash, rest) = rest.split_once('@').ok_or(NurlError::Missing { part: "@" })?;
        let (place, swissnum) = rest.split_once('/').ok_or(NurlError::Missing { part: "/" })?;
        if hash.len() != HASH_CHARACTERS {
            return Err(NurlError::HashLength { found: hash.len() });
        }
        let spki_hash = BASE64URL_NOPAD
            .decode(hash.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(NurlError::HashEncoding)?;
        let place: HostPort = place.parse()?;
        if Transport::of(place.host()) != transport {
            return Err(NurlError::Transport);
        }
        // The unreserved characters of RFC 3986: none that a URL would have to escape.
        let outside = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~'));
        if swissnum.is_empty() || swissnum.len() > MAX_SWISSNUM_BYTES || swissnum.contains(outside) {
            return Err(NurlError::Swissnum);
        }
        Ok(Self { spki_hash, place, swissnum: Zeroizing::new(swissnum.to_owned()) })
    }
}

/// Why a text is no NURL. Never repeats a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NurlError {
    /// Too long, or a character that no NURL has.
    #[error(transparent)]
    Text(TextError),
    /// Another scheme.
    #[error("a NURL begins with `pb://` or `pb+tor://`")]
    Scheme,
    /// No version at the end, or another one. A Foolscap FURL has none.
    #[error("a NURL ends with `#v=1` (without it, it is a Foolscap FURL, or cut off)")]
    Version,
    /// A separator is missing.
    #[error("`{part}` is missing: a NURL is `pb://HASH@host:port/SWISSNUM#v=1`")]
    Missing {
        /// The separator.
        part: &'static str,
    },
    /// The hash has another length than a SHA-256 has.
    #[error("the key hash before `@` has {found} characters where {HASH_CHARACTERS} were expected")]
    HashLength {
        /// The characters there were.
        found: usize,
    },
    /// The hash is not base64url, or its last character carries stray bits.
    #[error("the key hash before `@` is not base64url without padding: mistyped")]
    HashEncoding,
    /// The host or the port.
    #[error(transparent)]
    Place(#[from] HostError),
    /// `pb+tor://` without an onion service, or an onion service without it.
    #[error("`pb+tor://` and a host ending in `.onion` go together")]
    Transport,
    /// The swissnum is empty, too long, or has characters that a URL would escape.
    #[error("the swissnum after `/` is not 1 to {MAX_SWISSNUM_BYTES} of A-Z, a-z, 0-9, `-`, `.`, `_`, `~`")]
    Swissnum,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NURL: &str =
        "pb://QuJb7c5J-vNlnD5P7DWUUWmyYVkQjhmwgp0BJVTwKoY@127.0.0.1:7110/hbqzvb2sdpnqvuibad52ofau7by5zotp#v=1";
    const SECRET: &str = "hbqzvb2sdpnqvuibad52ofau7by5zotp";

    fn onion() -> String {
        NURL.replace("pb:", "pb+tor:").replace("127.0.0.1", "abc.onion")
    }

    #[test]
    fn a_real_storage_nurl_is_read_part_by_part() {
        let nurl: Nurl = NURL.parse().expect("a NURL");
        assert_eq!(nurl.to_string(), NURL);
        assert_eq!(nurl.spki_hash()[..4], [0x42, 0xe2, 0x5b, 0xed]);
        assert_eq!(nurl.host().to_string(), "127.0.0.1");
        assert_eq!((nurl.port(), nurl.swissnum(), nurl.transport()), (7110, SECRET, Transport::Tcp));
        assert!(!nurl.is_gateway());
    }

    #[test]
    fn an_onion_service_and_its_scheme_go_together() {
        let nurl: Nurl = onion().parse().expect("a NURL");
        assert_eq!((nurl.transport(), nurl.to_string()), (Transport::Tor, onion()));
        assert_eq!(onion().replace("pb+tor", "pb").parse::<Nurl>(), Err(NurlError::Transport));
        assert_eq!(NURL.replace("pb:", "pb+tor:").parse::<Nurl>(), Err(NurlError::Transport));
    }

    #[test]
    fn a_gateway_nurl_has_no_secret() {
        let host: Host = "2001:db8::7".parse().expect("a host");
        let nurl = Nurl::gateway([7; 32], host.clone(), 4100).expect("a port");
        let text = "pb://BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc@[2001:db8::7]:4100/gateway#v=1";
        assert_eq!(nurl.to_string(), text);
        assert_eq!(format!("{nurl:?}"), text);
        assert_eq!(text.parse(), Ok(nurl.clone()));
        assert!(nurl.is_gateway());
        assert_eq!(Nurl::gateway([7; 32], host, 0), Err(HostError::Port));
    }

    #[test]
    fn debug_leaves_the_secret_out() {
        let nurl: Nurl = NURL.parse().expect("a NURL");
        assert_eq!(format!("{nurl:?}"), NURL.replace(SECRET, "…"));
    }

    #[test]
    fn what_is_no_nurl_is_refused_for_its_reason() {
        for (text, error) in [
            (NURL.replace("pb:", "http:"), NurlError::Scheme),
            (format!(" {NURL}"), NurlError::Text(TextError::Character { position: 0 })),
            (format!("{NURL}\n"), NurlError::Text(TextError::Character { position: NURL.len() })),
            (format!("{NURL}{}", "a".repeat(1000)), NurlError::Text(TextError::TooLong { found: NURL.len() + 1000 })),
            (NURL.replace("#v=1", ""), NurlError::Version),
            (NURL.replace("#v=1", "#v=2"), NurlError::Version),
            (NURL.replace('@', ":"), NurlError::Missing { part: "@" }),
            (NURL.replace("/hbq", ""), NurlError::Missing { part: "/" }),
            (NURL.replace("KoY", "Ko"), NurlError::HashLength { found: 42 }),
            (NURL.replace("KoY", "KoZ"), NurlError::HashEncoding),
            (NURL.replace("QuJb", "Qu+b"), NurlError::HashEncoding),
            (NURL.replace(":7110", ""), NurlError::Place(HostError::NoPort)),
            (NURL.replace("7110", "70000"), NurlError::Place(HostError::Port)),
            (NURL.replace("127.0.0.1", "::1"), NurlError::Place(HostError::Brackets)),
            (NURL.replace(SECRET, ""), NurlError::Swissnum),
            (NURL.replace(SECRET, "a/b"), NurlError::Swissnum),
            (NURL.replace(SECRET, "a#v=1"), NurlError::Swissnum),
            (NURL.replace(SECRET, &"a".repeat(129)), NurlError::Swissnum),
        ] {
            assert_eq!(text.parse::<Nurl>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_other_character_is_refused_or_read_as_another_value(position in 0..NURL.len(), other in "[ -~]") {
            for original in [NURL.to_owned(), onion()] {
                let mut text = original.clone();
                text.replace_range(position..=position, &other);
                if let Ok(nurl) = text.parse::<Nurl>() {
                    prop_assert_eq!(nurl.to_string(), text);
                }
            }
        }

        #[test]
        fn arbitrary_text_never_panics(
            text in "\\PC{0,40}|pb://[A-Za-z0-9_-]{42}Y@[a-z.]{1,9}:[0-9]{1,5}/[!-~]{0,9}#v=1",
        ) {
            if let Ok(nurl) = text.parse::<Nurl>() {
                prop_assert_eq!(nurl.to_string(), text);
            }
        }

        #[test]
        fn every_nurl_parses_from_its_print(
            spki_hash: [u8; 32], ip: std::net::IpAddr, port in 1u16.., swissnum in "[a-zA-Z0-9._~-]{1,128}",
        ) {
            let place = HostPort::new(Host::Ip(ip), port).expect("not port 0");
            let nurl = Nurl { spki_hash, place, swissnum: Zeroizing::new(swissnum) };
            prop_assert_eq!(nurl.to_string().parse(), Ok(nurl));
        }
    }
}
