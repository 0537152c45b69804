//! The name of a network of nodes, which is part of its protocols' names.

use std::fmt;
use std::str::FromStr;

/// A network's name: 1 to 32 of `a`–`z`, `0`–`9` and `-`. Nodes of different networks do not speak with each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName(String);

impl NetworkName {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 32;

    /// The name as it stands in a protocol's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NetworkName {
    /// `main`, the network of the public.
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text names no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkNameError {
    /// Empty, or longer than [`NetworkName::MAX_LEN`].
    #[error("a network's name has 1 to {max} characters, not {0}", max = NetworkName::MAX_LEN)]
    Length(usize),
    /// A character outside `a`–`z`, `0`–`9`, `-`.
    #[error("character {position} of a network's name is `{found}`: only a-z, 0-9 and `-` are allowed")]
    Character {
        /// Where, counted in characters from 0.
        position: usize,
        /// What stands there.
        found: char,
    },
}

impl FromStr for NetworkName {
    type Err = NetworkNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if !(1..=Self::MAX_LEN).contains(&length) {
            return Err(NetworkNameError::Length(length));
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match text.chars().enumerate().find(|(_, c)| !allowed(*c)) {
            Some((position, found)) => Err(NetworkNameError::Character { position, found }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for NetworkName {
    type Error = NetworkNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_lower_case() {
        assert_eq!("my-net-2".parse::<NetworkName>().unwrap().as_str(), "my-net-2");
        assert_eq!("".parse::<NetworkName>(), Err(NetworkNameError::Length(0)));
        assert_eq!("x".repeat(33).parse::<NetworkName>(), Err(NetworkNameError::Length(33)));
        assert_eq!("a/b".parse::<NetworkName>(), Err(NetworkNameError::Character { position: 1, found: '/' }));
        assert_eq!("Main".parse::<NetworkName>(), Err(NetworkNameError::Character { position: 0, found: 'M' }));
    }

    #[test]
    fn the_network_of_the_public_is_main() {
        assert_eq!(NetworkName::default().to_string().parse(), Ok(NetworkName::default()));
        assert_eq!(NetworkName::default().as_str(), "main");
    }
}
