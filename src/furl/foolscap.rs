//! FURLs: the address of a service over Foolscap, Tahoe-LAFS's older protocol.

use crate::address::HostPort;
use crate::base32::{self, Base32Error};
use crate::furl::text::{TextError, printable};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The address of a Foolscap service: the hash of its certificate, where to try, and its secret name.
#[derive(Clone, PartialEq, Eq)]
pub struct Furl {
    tub_id: [u8; 20],
    hints: Vec<Hint>,
    name: Zeroizing<String>,
}

impl Furl {
    /// The SHA-1 of the server's certificate in DER.
    pub fn tub_id(&self) -> &[u8; 20] {
        &self.tub_id
    }

    /// Where to try, in the order written; may be empty.
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }

    /// The secret name of the service, in Tahoe's words the swissnum.
    pub fn swissnum(&self) -> &str {
        &self.name
    }

    fn public_part(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pb://{}@", base32::encode(&self.tub_id))?;
        for (index, hint) in self.hints.iter().enumerate() {
            write!(f, "{}{hint}", if index > 0 { "," } else { "" })?;
        }
        f.write_str("/")
    }
}

impl fmt::Display for Furl {
    /// The whole FURL, **the secret included**.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.public_part(f)?;
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Furl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.public_part(f)?;
        f.write_str("…")
    }
}

impl FromStr for Furl {
    type Err = FurlError;

    fn from_str(text: &str) -> Result<Self, FurlError> {
        printable(text).map_err(FurlError::Text)?;
        let rest = text.strip_prefix("pb://").ok_or(FurlError::Scheme)?;
        if rest.ends_with("#v=1") {
            return Err(FurlError::IsNurl);
        }
        let (tub_id, rest) = rest.split_once('@').ok_or(FurlError::Missing { part: "@" })?;
        let (hints, name) = rest.split_once('/').ok_or(FurlError::Missing { part: "/" })?;
        let tub_id = base32::decode_array(tub_id)?;
        let hints = match hints {
            "" => Vec::new(),
            hints => {
                let parsed = hints.split(',').enumerate();
                parsed
                    .map(|(index, hint)| Hint::parse(hint).ok_or(FurlError::Hint { index }))
                    .collect::<Result<_, _>>()?
            }
        };
        if name.is_empty() {
            return Err(FurlError::Name);
        }
        Ok(Self { tub_id, hints, name: Zeroizing::new(name.to_owned()) })
    }
}

/// One place where a Foolscap service may be found: `tcp:host:port`, or what another transport writes (`tor:`, `i2p:`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A host and port to reach by TCP.
    Tcp(HostPort),
    /// A location of another kind, kept as it is written: kind, `:`, address.
    Other(OtherHint),
}

/// A location that this crate does not dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherHint(String);

impl OtherHint {
    /// The location, its kind before the first `:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(place) => write!(f, "tcp:{place}"),
            Self::Other(hint) => f.write_str(&hint.0),
        }
    }
}

impl Hint {
    fn parse(text: &str) -> Option<Self> {
        let (kind, address) = text.split_once(':')?;
        if kind == "tcp" {
            return address.parse().map(Self::Tcp).ok();
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '[' | ']' | '=');
        let kind_is_word = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let plain_address = !address.is_empty() && address.chars().all(plain);
        (kind_is_word && plain_address).then(|| Self::Other(OtherHint(text.to_owned())))
    }
}

/// Why a text is no FURL. Never repeats a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FurlError {
    /// Too long, or a character that no FURL has.
    #[error(transparent)]
    Text(TextError),
    /// Another scheme.
    #[error("a FURL begins with `pb://`")]
    Scheme,
    /// The text is a NURL.
    #[error("this is a NURL (it ends with `#v=1`), where a Foolscap FURL was expected")]
    IsNurl,
    /// A separator is missing.
    #[error("`{part}` is missing: a FURL is `pb://TUBID@hints/NAME`")]
    Missing {
        /// The separator.
        part: &'static str,
    },
    /// The tub id is not 20 bytes of base32.
    #[error("the tub id before `@`: {0}")]
    TubId(#[from] Base32Error),
    /// A location hint that is none.
    #[error("location hint {index} (from 0) is not `tcp:host:port` or another `kind:address`")]
    Hint {
        /// Which one.
        index: usize,
    },
    /// Nothing after the last `/`.
    #[error("the name after `/` is missing: cut off")]
    Name,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FURL: &str = "pb://hckqqn4vq5ggzuukfztpuu4wykwefa6d@tcp:127.0.0.1:7110,tor:abc.onion:80/\
                        hbqzvb2sdpnqvuibad52ofau7by5zotp";
    const SECRET: &str = "hbqzvb2sdpnqvuibad52ofau7by5zotp";

    #[test]
    fn furls_print_as_they_parse() {
        for text in [
            FURL,
            &FURL.replace("tcp:127.0.0.1:7110,tor:abc.onion:80", ""),
            &FURL.replace("tcp:127.0.0.1", "tcp:[::1]"),
        ] {
            let furl: Furl = text.parse().expect(text);
            assert_eq!(furl.to_string(), text);
            assert_eq!(furl.swissnum(), SECRET);
        }
    }

    #[test]
    fn debug_leaves_the_secret_out() {
        let furl: Furl = FURL.parse().expect("a FURL");
        assert_eq!(format!("{furl:?}"), FURL.replace(SECRET, "…"));
    }

    #[test]
    fn what_is_no_furl_is_refused_for_its_reason() {
        for (text, error) in [
            (format!("{FURL}#v=1"), FurlError::IsNurl),
            (FURL.replace("pb:", "pb+tor:"), FurlError::Scheme),
            (FURL.replace("hckqq", "hckq1"), FurlError::TubId(Base32Error::Symbol { position: 4 })),
            (FURL.replace("hckqq", "hckq"), FurlError::TubId(Base32Error::Length { expected: 32, found: 31 })),
            (FURL.replace("127.0.0.1:7110", "127.0.0.1"), FurlError::Hint { index: 0 }),
            (FURL.replace("tor:abc.onion:80", "tor:a b"), FurlError::Text(TextError::Character { position: 62 })),
            (FURL.replace("tor:abc.onion:80", "tor"), FurlError::Hint { index: 1 }),
            (FURL.replace("tor:abc.onion:80", ""), FurlError::Hint { index: 1 }),
            (FURL.replace(SECRET, ""), FurlError::Name),
        ] {
            assert_eq!(text.parse::<Furl>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_other_character_is_refused_or_read_as_another_value(position in 0..FURL.len(), other in "[ -~]") {
            let mut text = FURL.to_owned();
            text.replace_range(position..=position, &other);
            if let Ok(furl) = text.parse::<Furl>() {
                prop_assert_eq!(furl.to_string(), text);
            }
        }

        #[test]
        fn arbitrary_text_never_panics(
            text in "\\PC{0,40}|pb://[a-z2-7]{32}@(tcp:[a-z0-9.:]{1,9}|[a-z:,]{0,9})/[!-~]{0,9}",
        ) {
            if let Ok(furl) = text.parse::<Furl>() {
                prop_assert_eq!(furl.to_string(), text);
            }
        }
    }
}
