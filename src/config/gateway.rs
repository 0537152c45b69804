//! A gateway as an operator writes it: `URL[,key=pub-v0-…][,roles=serve+spend][,limit=10 USD]`.

use crate::furl::{FurlError, NurlError};
use crate::keys::{KeyError, PublicKey};
use crate::record::{Gateway, GatewayAddress, GatewayError, Limit, LimitError, Roles};
use std::fmt;
use std::str::FromStr;

/// One gateway for the record.
///
/// The URL is a NURL ending in `/gateway#v=1` or a Foolscap FURL; left out, the gateway only acts and is not called. Without
/// `roles` a gateway serves, and with a key it spends and agrees on terms too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEntry(Gateway);

/// Why a text describes no gateway. Never repeats the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayTextError {
    /// A part after the URL that is none of the three.
    #[error("after the URL, `key=`, `roles=` and `limit=` may follow, each once, parted by commas")]
    Part,
    /// A NURL that is none.
    #[error(transparent)]
    Nurl(#[from] NurlError),
    /// A FURL that is none.
    #[error(transparent)]
    Furl(#[from] FurlError),
    /// Not the gateway's key.
    #[error("key: {0}")]
    Key(#[from] KeyError),
    /// Not a limit.
    #[error("limit: {0}")]
    Limit(#[from] LimitError),
    /// What makes no gateway together, or gives a secret away.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

impl GatewayEntry {
    /// The gateway as it goes into the record.
    pub fn gateway(&self) -> &Gateway {
        &self.0
    }
}

impl From<Gateway> for GatewayEntry {
    fn from(gateway: Gateway) -> Self {
        Self(gateway)
    }
}

fn default_roles(address: Option<&GatewayAddress>, key: Option<&PublicKey>) -> Roles {
    match (address, key) {
        (Some(_), None) => Roles::SERVE,
        (Some(_), Some(_)) => Roles::SERVE.and(Roles::SPEND).and(Roles::TERMS),
        (None, _) => Roles::SPEND.and(Roles::TERMS),
    }
}

impl FromStr for GatewayEntry {
    type Err = GatewayTextError;

    fn from_str(text: &str) -> Result<Self, GatewayTextError> {
        let (mut rest, mut key, mut roles, mut limit) = (Some(text), None, None, None);
        // From the end: a FURL has commas of its own.
        while let Some(text) = rest {
            let (before, part) = match text.rsplit_once(',') {
                Some((before, part)) => (Some(before), part),
                None => (None, text),
            };
            let again = match part.split_once('=') {
                Some(("key", text)) => key.replace(text.parse()?).is_some(),
                Some(("roles", text)) => roles.replace(text.parse()?).is_some(),
                Some(("limit", text)) => limit.replace(text.parse::<Limit>()?).is_some(),
                _ => break,
            };
            if again {
                return Err(GatewayTextError::Part);
            }
            rest = before;
        }
        let address = rest.map(address).transpose()?;
        let roles = roles.unwrap_or_else(|| default_roles(address.as_ref(), key.as_ref()));
        Ok(Self(Gateway::new(address, key, roles, limit)?))
    }
}

fn address(text: &str) -> Result<GatewayAddress, GatewayTextError> {
    let (url, parts) = match text.split_once("#v=1") {
        Some((_, "")) => (text, false),
        Some(_) => (text, true),
        None => return Ok(GatewayAddress::Furl(text.parse()?)),
    };
    if parts { Err(GatewayTextError::Part) } else { Ok(GatewayAddress::Nurl(url.parse()?)) }
}

impl fmt::Display for GatewayEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = &self.0;
        let mut comma = "";
        match gateway.address() {
            Some(GatewayAddress::Nurl(nurl)) => write!(f, "{nurl}")?,
            Some(GatewayAddress::Furl(furl)) => write!(f, "{furl}")?,
            None => {}
        }
        if gateway.address().is_some() {
            comma = ",";
        }
        if let Some(key) = gateway.key() {
            write!(f, "{comma}key={key}")?;
            comma = ",";
        }
        if gateway.roles() != default_roles(gateway.address(), gateway.key()) {
            write!(f, "{comma}roles={}", gateway.roles())?;
        }
        match gateway.limit() {
            Some(limit) => write!(f, ",limit={limit}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NURL: &str = "pb://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@gw.example.org:4101/gateway#v=1";
    const FURL: &str = "pb://bmkwj5qbxzvgf3hdcpl5wyp5ti6ueqsb@tcp:192.0.2.1:4100,tcp:192.0.2.2:4100/gateway";

    fn key() -> String {
        crate::keys::SecretKey::from_seed(&[3; 32]).public().to_string()
    }

    #[test]
    fn a_gateway_prints_as_it_parses() {
        let key = key();
        for text in [
            NURL.to_owned(),
            FURL.to_owned(),
            format!("{NURL},key={key}"),
            format!("{NURL},key={key},roles=serve"),
            format!("{FURL},key={key},roles=serve+spend,limit=10 USD"),
            format!("key={key}"),
            format!("key={key},roles=spend,limit=0.5 BTC"),
        ] {
            let entry: GatewayEntry = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(entry.to_string(), text);
        }
    }

    #[test]
    fn the_roles_follow_from_the_key_unless_they_are_said() {
        let roles = |text: String| text.parse::<GatewayEntry>().unwrap().gateway().roles().to_string();
        assert_eq!(roles(NURL.to_owned()), "serve");
        assert_eq!(roles(format!("{NURL},key={}", key())), "serve+spend+terms");
        assert_eq!(roles(format!("{NURL},roles=locator")), "locator");
    }

    #[test]
    fn a_storage_servers_nurl_is_refused_and_not_repeated() {
        let secret = "hbqzvb2sdpnqvuibad52ofau7by5zotp";
        let error = NURL.replace("/gateway", &format!("/{secret}")).parse::<GatewayEntry>().unwrap_err();
        assert_eq!(error, GatewayTextError::Gateway(GatewayError::SecretNurl));
        assert!(!format!("{error} {error:?}").contains(secret));
    }

    #[test]
    fn what_is_no_gateway_is_named() {
        for text in
            [format!("{NURL},pub-v0-x"), format!("{NURL},key={0},key={0}", key()), format!("{NURL},rolls=serve")]
        {
            assert_eq!(text.parse::<GatewayEntry>(), Err(GatewayTextError::Part), "{text}");
        }
        assert!(matches!(format!("{NURL},key=pub-v0-x").parse::<GatewayEntry>(), Err(GatewayTextError::Key(_))));
        assert!(matches!("".parse::<GatewayEntry>(), Err(GatewayTextError::Furl(_))));
        assert!(matches!("https://gw.example.org/".parse::<GatewayEntry>(), Err(GatewayTextError::Furl(_))));
    }
}
