//! The name of a group of clients, which a policy may speak of.

use crate::record::{Nickname, NicknameError};
use std::fmt;
use std::str::FromStr;

/// At most 32 octets, by the rules of a nickname and without a comma, so that groups are typed as one list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group(Nickname);

/// Why a text names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Longer than [`Group::MAX_BYTES`].
    #[error("a group's name has at most {max} octets, not {0}", max = Group::MAX_BYTES)]
    Length(usize),
    /// A comma parts groups where they are typed.
    #[error("a group's name has no comma")]
    Comma,
    /// What no nickname is either.
    #[error("a group is named by the rules of a nickname: {0}")]
    Text(NicknameError),
}

impl Group {
    /// The most octets.
    pub const MAX_BYTES: usize = 32;

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        let name = Nickname::new(text).map_err(GroupError::Text)?;
        if text.len() > Self::MAX_BYTES {
            return Err(GroupError::Length(text.len()));
        }
        if text.contains(',') { Err(GroupError::Comma) } else { Ok(Self(name)) }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_short_nickname_without_a_comma() {
        assert_eq!(
            "staff of the house".parse::<Group>().map(|group| group.to_string()),
            Ok("staff of the house".into())
        );
        assert_eq!("a".repeat(33).parse::<Group>(), Err(GroupError::Length(33)));
        assert_eq!("a,b".parse::<Group>(), Err(GroupError::Comma));
        assert_eq!("".parse::<Group>(), Err(GroupError::Text(NicknameError::Length(0))));
        assert_eq!("a\u{202e}b".parse::<Group>(), Err(GroupError::Text(NicknameError::Control('\u{202e}'))));
    }
}
