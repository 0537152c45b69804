//! A gateway of the grid: where it is, with which key, and what it may do in the grid's name.

use super::error::{Fault, FieldError, Unknown};
use super::limit::Limit;
use crate::address::{Host, HostError};
use crate::cbor::{FIRST_IGNORABLE_KEY, Kind, MapWriter, Reader};
use crate::furl::{Furl, FurlError, Nurl, NurlError};
use crate::keys::PublicKey;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The most octets of a host name.
const MAX_HOST_BYTES: usize = 128;
/// The most octets of a Foolscap FURL.
const MAX_FURL_BYTES: usize = 256;

const HOST: u64 = 0;
const PORT: u64 = 1;
const SPKI_HASH: u64 = 2;
const KEY: u64 = 3;
const ROLES: u64 = 4;
const LIMIT: u64 = 5;
const FURL: u64 = 6;

/// One gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    address: Option<GatewayAddress>,
    key: Option<PublicKey>,
    roles: Roles,
    limit: Option<Limit>,
}

/// Where a gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayAddress {
    /// HTTPS with a pinned key; its swissnum is the constant that authorises nothing.
    Nurl(Nurl),
    /// Foolscap.
    Furl(Furl),
}

/// Why a text is no address of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayAddressError {
    /// Neither a NURL nor a FURL: it ends in `#v=1` as NURLs do.
    #[error(transparent)]
    Nurl(#[from] NurlError),
    /// Neither a NURL nor a FURL: it does not end in `#v=1`.
    #[error(transparent)]
    Furl(#[from] FurlError),
}

impl FromStr for GatewayAddress {
    type Err = GatewayAddressError;

    /// A NURL if it ends in `#v=1`, a FURL otherwise.
    fn from_str(text: &str) -> Result<Self, GatewayAddressError> {
        if text.ends_with("#v=1") { Ok(Self::Nurl(text.parse()?)) } else { Ok(Self::Furl(text.parse()?)) }
    }
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nurl(nurl) => nurl.fmt(f),
            Self::Furl(furl) => furl.fmt(f),
        }
    }
}

/// What a gateway may do: one or more of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// Serves foreign readers.
    pub const SERVE: Self = Self(1);
    /// Pays other grids for what its own readers fetch.
    pub const SPEND: Self = Self(2);
    /// Agrees on terms with other grids.
    pub const TERMS: Self = Self(4);
    /// Says on which gateway a file is to be had.
    pub const LOCATOR: Self = Self(8);

    const NAMES: [(Self, &str); 4] =
        [(Self::SERVE, "serve"), (Self::SPEND, "spend"), (Self::TERMS, "terms"), (Self::LOCATOR, "locator")];

    /// These roles and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `other`'s roles is among these.
    pub const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names, in the order of their bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(role, _)| self.any_of(*role)).map(|(_, name)| name)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join("+"))
    }
}

impl FromStr for Roles {
    type Err = GatewayError;

    /// Names joined by `+`: `serve+spend`.
    fn from_str(text: &str) -> Result<Self, GatewayError> {
        let mut roles = Self(0);
        for name in text.split('+') {
            let known = Self::NAMES.into_iter().find(|(_, known)| *known == name);
            let (role, _) = known.ok_or_else(|| GatewayError::Role(name.chars().take(40).collect()))?;
            if roles.any_of(role) {
                return Err(GatewayError::RoleTwice(role));
            }
            roles = roles.and(role);
        }
        Ok(roles)
    }
}

/// Why a gateway does not go into a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Not the name of a role.
    #[error("`{0}` is not a role: `serve`, `spend`, `terms`, `locator`, joined by `+`")]
    Role(String),
    /// A role named twice.
    #[error("role `{0}` twice")]
    RoleTwice(Roles),
    /// Serves or locates, but where?
    #[error("a gateway that serves or locates needs an address")]
    NoAddress,
    /// Spends or agrees on terms, but in whose name?
    #[error("a gateway that spends or agrees on terms needs a key")]
    NoKey,
    /// A limit without the roles or the key that it would limit.
    #[error("a limit is for a gateway with a key that spends or agrees on terms")]
    LimitOfNothing,
    /// A NURL whose last part is a secret.
    #[error("the NURL does not end in `/gateway#v=1`: its last part is a secret and must never be published")]
    SecretNurl,
    /// A host name that does not fit.
    #[error("the host name has {0} octets, and at most {MAX_HOST_BYTES} fit")]
    HostSize(usize),
    /// An IPv4 address dressed as an IPv6 one.
    #[error("address {0} is an IPv4 address mapped into IPv6: write the IPv4 address")]
    Mapped(Ipv6Addr),
    /// An address that is neither 4 nor 16 octets.
    #[error("an address has 4 or 16 octets, not {0}")]
    AddressSize(usize),
    /// Not a host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// An IP address written as a name.
    #[error("the host is an IP address written as text")]
    AddressAsText,
    /// Not a FURL.
    #[error(transparent)]
    Furl(#[from] FurlError),
    /// A FURL that does not fit.
    #[error("the FURL has {0} octets, and at most {MAX_FURL_BYTES} fit")]
    FurlSize(usize),
    /// A FURL without a location hint.
    #[error("the FURL has no location hint: nobody could find the gateway")]
    FurlNowhere,
    /// Some of host, port and SPKI hash without the others.
    #[error("host, port and SPKI hash belong together")]
    PartOfAddress,
    /// Both forms of address.
    #[error("a gateway has one address: host, port and SPKI hash, or a FURL")]
    TwoAddresses,
    /// The roles are the default and said all the same.
    #[error("the roles say what their absence says: leave them out")]
    RedundantRoles,
}

impl Gateway {
    /// A gateway; refuses what makes no sense together.
    pub fn new(
        address: Option<GatewayAddress>,
        key: Option<PublicKey>,
        roles: Roles,
        limit: Option<Limit>,
    ) -> Result<Self, GatewayError> {
        match &address {
            None if roles.any_of(Roles::SERVE.and(Roles::LOCATOR)) => return Err(GatewayError::NoAddress),
            None => {}
            Some(GatewayAddress::Nurl(nurl)) => match nurl.host() {
                _ if !nurl.is_gateway() => return Err(GatewayError::SecretNurl),
                Host::Name(name) if name.as_str().len() > MAX_HOST_BYTES => {
                    return Err(GatewayError::HostSize(name.as_str().len()));
                }
                Host::Ip(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => return Err(GatewayError::Mapped(*ip)),
                _ => {}
            },
            Some(GatewayAddress::Furl(furl)) => {
                let size = furl.to_string().len();
                if size > MAX_FURL_BYTES {
                    return Err(GatewayError::FurlSize(size));
                }
                if furl.hints().is_empty() {
                    return Err(GatewayError::FurlNowhere);
                }
            }
        }
        let acts = roles.any_of(Roles::SPEND.and(Roles::TERMS));
        if acts && key.is_none() {
            return Err(GatewayError::NoKey);
        }
        if limit.is_some() && !(acts && key.is_some()) {
            return Err(GatewayError::LimitOfNothing);
        }
        Ok(Self { address, key, roles, limit })
    }

    /// Where it is; `None` for one that only acts and is not called.
    pub fn address(&self) -> Option<&GatewayAddress> {
        self.address.as_ref()
    }

    /// The key that it acts with.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// What it may do.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// The largest credit that its key may agree to; none by default.
    pub fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        if let Some(GatewayAddress::Nurl(nurl)) = &self.address {
            match nurl.host() {
                Host::Name(name) => map.text(HOST, name.as_str()),
                Host::Ip(IpAddr::V4(ip)) => map.bytes(HOST, &ip.octets()),
                Host::Ip(IpAddr::V6(ip)) => map.bytes(HOST, &ip.octets()),
            };
            map.uint(PORT, u64::from(nurl.port())).bytes(SPKI_HASH, nurl.spki_hash());
        }
        if let Some(key) = &self.key {
            map.bytes(KEY, key.as_bytes());
        }
        if self.roles != Roles::SERVE {
            map.uint(ROLES, u64::from(self.roles.0));
        }
        if let Some(limit) = &self.limit {
            map.encoded(LIMIT, &limit.encode());
        }
        if let Some(GatewayAddress::Furl(furl)) = &self.address {
            map.text(FURL, &furl.to_string());
        }
        map.finish()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FieldError> {
        let start = reader.offset();
        let (mut host, mut port, mut spki_hash, mut furl) = (None, None, None, None);
        let (mut key, mut roles, mut limit) = (None, Roles::SERVE, None);
        reader.map(|number, reader| {
            let start = reader.offset();
            match number {
                HOST => host = Some(read_host(reader)?),
                PORT => {
                    let found = reader.uint()?;
                    let known = u16::try_from(found).ok().filter(|port| *port > 0);
                    let range = Fault::Range { found, min: 1, max: u64::from(u16::MAX) };
                    port = Some(known.ok_or_else(|| FieldError::new(start, range))?);
                }
                SPKI_HASH => spki_hash = Some(reader.array_of()?),
                KEY => {
                    let known = PublicKey::from_bytes(&reader.array_of()?);
                    key = Some(known.map_err(|error| FieldError::new(start, error))?);
                }
                ROLES => roles = read_roles(reader)?,
                LIMIT => limit = Some(Limit::read(reader)?),
                FURL => {
                    let known: Result<Furl, _> = reader.text(MAX_FURL_BYTES)?.parse();
                    furl = Some(known.map_err(|error| FieldError::new(start, GatewayError::Furl(error)))?);
                }
                FIRST_IGNORABLE_KEY.. => reader.skip()?,
                _ => return Err(FieldError::unknown(start, Unknown::Key { map: "a gateway", key: number })),
            }
            Ok(())
        })?;
        let address = match (host, port, spki_hash, furl) {
            (None, None, None, None) => Ok(None),
            (None, None, None, Some(furl)) => Ok(Some(GatewayAddress::Furl(furl))),
            (Some(host), Some(port), Some(spki_hash), None) => Nurl::gateway(spki_hash, host, port)
                .map(|nurl| Some(GatewayAddress::Nurl(nurl)))
                .map_err(GatewayError::Host),
            (_, _, _, Some(_)) => Err(GatewayError::TwoAddresses),
            _ => Err(GatewayError::PartOfAddress),
        };
        address.and_then(|address| Self::new(address, key, roles, limit)).map_err(|error| FieldError::new(start, error))
    }
}

fn read_host(reader: &mut Reader<'_>) -> Result<Host, FieldError> {
    let start = reader.offset();
    let error = |error: GatewayError| FieldError::new(start, error);
    if reader.peek()? == Kind::Bytes {
        let bytes = reader.bytes(16)?;
        if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            return Ok(Host::Ip(IpAddr::from(octets)));
        }
        let octets = <[u8; 16]>::try_from(bytes).map_err(|_| error(GatewayError::AddressSize(bytes.len())))?;
        return Ok(Host::Ip(IpAddr::from(octets)));
    }
    match reader.text(MAX_HOST_BYTES)?.parse().map_err(|fault| error(GatewayError::Host(fault)))? {
        Host::Ip(_) => Err(error(GatewayError::AddressAsText)),
        name => Ok(name),
    }
}

fn read_roles(reader: &mut Reader<'_>) -> Result<Roles, FieldError> {
    let start = reader.offset();
    match reader.uint()? {
        0 => Err(FieldError::new(start, Fault::Range { found: 0, min: 1, max: 15 })),
        1 => Err(FieldError::new(start, GatewayError::RedundantRoles)),
        bits @ 2..=15 => Ok(Roles(bits as u8)),
        bits => Err(FieldError::unknown(start, Unknown::Roles(bits))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    fn key() -> PublicKey {
        SecretKey::from_seed(&[3; 32]).public()
    }

    fn nurl(host: &str) -> Option<GatewayAddress> {
        Some(GatewayAddress::Nurl(Nurl::gateway([9; 32], host.parse().expect(host), 443).expect("a port")))
    }

    fn furl() -> Option<GatewayAddress> {
        let text = "pb://bmkwj5qbxzvgf3hdcpl5wyp5ti6ueqsb@tcp:192.0.2.1:4100/gateway";
        Some(GatewayAddress::Furl(text.parse().expect(text)))
    }

    fn limit() -> Option<Limit> {
        Some("10 USD".parse().expect("plain"))
    }

    fn read(bytes: &[u8]) -> Result<Gateway, String> {
        Gateway::read(&mut Reader::new(bytes)).map_err(|error| error.in_field("gateways").to_string())
    }

    #[test]
    fn a_gateway_is_read_as_it_is_written() {
        let acts = Roles::SPEND.and(Roles::TERMS);
        for gateway in [
            Gateway::new(nurl("192.0.2.1"), None, Roles::SERVE, None),
            Gateway::new(nurl("2001:db8::1"), Some(key()), Roles::SERVE.and(acts), limit()),
            Gateway::new(nurl("gateway.example.org"), Some(key()), Roles::LOCATOR, None),
            Gateway::new(furl(), None, Roles::SERVE, None),
            Gateway::new(None, Some(key()), Roles::SPEND, limit()),
        ] {
            let gateway = gateway.expect("plain");
            assert_eq!(read(&gateway.encode()).expect("own form"), gateway);
        }
    }

    #[test]
    fn what_makes_no_sense_together_is_refused() {
        let new = |address, key, roles, limit| Gateway::new(address, key, roles, limit).map(drop);
        assert_eq!(new(None, Some(key()), Roles::SERVE, None), Err(GatewayError::NoAddress));
        assert_eq!(new(None, Some(key()), Roles::LOCATOR, None), Err(GatewayError::NoAddress));
        assert_eq!(new(nurl("a.example"), None, Roles::SPEND, None), Err(GatewayError::NoKey));
        assert_eq!(new(nurl("a.example"), None, Roles::SERVE, limit()), Err(GatewayError::LimitOfNothing));
        assert_eq!(new(nurl("a.example"), Some(key()), Roles::SERVE, limit()), Err(GatewayError::LimitOfNothing));
        let long = format!("{0}.{0}.{0}.example", "a".repeat(50));
        assert_eq!(new(nurl(&long), None, Roles::SERVE, None), Err(GatewayError::HostSize(160)));
        let nowhere = "pb://bmkwj5qbxzvgf3hdcpl5wyp5ti6ueqsb@/gateway";
        let nowhere = Some(GatewayAddress::Furl(nowhere.parse().expect(nowhere)));
        assert_eq!(new(nowhere, None, Roles::SERVE, None), Err(GatewayError::FurlNowhere));
        assert!(matches!(new(nurl("::ffff:192.0.2.1"), None, Roles::SERVE, None), Err(GatewayError::Mapped(_))));
    }

    #[test]
    fn a_secret_swissnum_never_enters_a_record() {
        let text = "pb://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@192.0.2.1:443/aaaaaaaaaaaaaaaa#v=1";
        let secret = GatewayAddress::Nurl(text.parse().expect("a NURL"));
        assert_eq!(Gateway::new(Some(secret), None, Roles::SERVE, None), Err(GatewayError::SecretNurl));
    }

    fn address(map: &mut MapWriter) -> &mut MapWriter {
        map.bytes(HOST, &[192, 0, 2, 1]).uint(PORT, 443).bytes(SPKI_HASH, &[9; 32])
    }

    #[test]
    fn second_forms_are_refused() {
        let with = |build: &dyn Fn(&mut MapWriter) -> &mut MapWriter| {
            let mut map = MapWriter::new();
            build(&mut map);
            read(&map.finish()).expect_err("refused")
        };
        assert!(with(&|map| address(map).uint(ROLES, 1)).contains("leave them out"));
        assert!(with(&|map| address(map).uint(ROLES, 16)).contains("0x10"));
        assert!(with(&|map| address(map).uint(7, 0)).contains("key 7 of a gateway"));
        assert!(with(&|map| map.bytes(HOST, &[192, 0, 2, 1])).contains("belong together"));
        assert!(with(&|map| map.text(HOST, "192.0.2.1")).contains("written as text"));
        assert!(with(&|map| map.bytes(HOST, &[1; 5])).contains("4 or 16 octets, not 5"));
        assert!(with(&|map| map.bytes(HOST, &[1; 4]).uint(PORT, 0)).contains("0 is not within 1 to 65535"));
        assert!(with(&|map| map.text(HOST, "Gateway.example")).contains("character 0 of the host"));
        assert!(with(&|map| map).contains("needs an address"));
        let mut both = MapWriter::new();
        address(&mut both);
        both.text(FURL, "pb://bmkwj5qbxzvgf3hdcpl5wyp5ti6ueqsb@tcp:192.0.2.1:4100/gateway");
        assert!(read(&both.finish()).expect_err("refused").contains("one address"));
    }

    #[test]
    fn keys_from_64_on_are_ignored() {
        let mut map = MapWriter::new();
        map.bytes(KEY, key().as_bytes()).uint(ROLES, 2).text(64, "later");
        assert!(read(&map.finish()).is_ok());
    }

    #[test]
    fn roles_print_as_they_parse() {
        for text in ["serve", "spend+terms", "serve+spend+terms+locator"] {
            assert_eq!(text.parse::<Roles>().expect(text).to_string(), text);
        }
        assert!(matches!("".parse::<Roles>(), Err(GatewayError::Role(_))));
        assert_eq!("serve+serve".parse::<Roles>(), Err(GatewayError::RoleTwice(Roles::SERVE)));
    }
}
