//! Whose books a lane is in.

use std::fmt;

/// What the keeper of these books is to a lane or a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// It reads and pays.
    Payer,
    /// It delivers and is paid.
    Payee,
    /// It books for two others.
    Clearing,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Payer, Self::Payee, Self::Clearing];

    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Payer => 0,
            Self::Payee => 1,
            Self::Clearing => 2,
        }
    }

    pub(super) fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.number() == number)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Payer => "payer",
            Self::Payee => "payee",
            Self::Clearing => "clearing",
        })
    }
}
