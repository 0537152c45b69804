//! Why a key is no client's here, as its owner is told.

use crate::keys::PublicKey;

/// Why a key that calls is no client's of this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoClient {
    /// Nobody has added it.
    #[default]
    Unknown,
    /// It was removed.
    Removed,
    /// Its day has passed.
    Ended,
    /// It is one at other gateways of the grid.
    Elsewhere,
}

impl NoClient {
    /// The word for it in the answer to a claim.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Removed => "removed",
            Self::Ended => "ended",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// The reason of that word; of a word that is not known, that nobody has added it.
    pub fn of_word(word: &str) -> Self {
        let all = [Self::Removed, Self::Ended, Self::Elsewhere];
        all.into_iter().find(|reason| reason.word() == word).unwrap_or_default()
    }

    /// What the gateway does, put behind its name: "the home gateway …".
    pub const fn deed(self) -> &'static str {
        match self {
            Self::Unknown => "does not know this client yet",
            Self::Removed => "has removed this client",
            Self::Ended => "served this client until a day that has passed",
            Self::Elsewhere => "leaves this client to other gateways of the grid",
        }
    }

    /// What whoever has `key` does next: whom to ask, and what they type.
    pub fn hint(self, key: &PublicKey) -> String {
        match self {
            Self::Unknown => {
                format!("send this to its operator, who puts a name for NAME: `clearinghouse client add NAME {key}`")
            }
            Self::Removed => format!(
                "ask its operator why; `clearinghouse client add NAME {key}` makes it a client again, NAME being a name of \
                 their choice"
            ),
            Self::Ended => {
                format!("ask its operator for more time: `clearinghouse client add NAME {key} --until DATE`")
            }
            Self::Elsewhere => {
                "ask its operator which gateway to `clearinghouse join`, in another directory".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_word_of_its_own_and_others_mean_that_nobody_added_it() {
        for reason in [NoClient::Unknown, NoClient::Removed, NoClient::Ended, NoClient::Elsewhere] {
            assert_eq!(NoClient::of_word(reason.word()), reason);
        }
        assert_eq!(NoClient::of_word("of-a-later-day"), NoClient::Unknown);
    }
}
