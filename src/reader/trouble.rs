//! What kinds of failure there are on the way to a file: one for each exit code of the program, and the prices.

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No kind of its own.
    Failed,
    /// What was asked, or what was found, is not of the form that it should have.
    Malformed,
    /// There is no such thing.
    NotFound,
    /// Refused by policy, quota or the home grid.
    Refused,
    /// The home gateway asks for more than may be paid without asking.
    Price,
    /// The foreign gateway gives it for a price, or under terms, that the home has not agreed to.
    ForeignPrice,
    /// Expired.
    Expired,
    /// The grid has withdrawn for good.
    Withdrawn,
    /// The grid has moved and cannot be followed.
    Moved,
    /// Nobody could be reached, or the connection broke off. Another attempt may go better.
    Unreachable,
    /// Refused by the foreign gateway.
    ForeignRefused,
    /// Too few shares could be read.
    TooFewShares,
    /// Something does not match its hash, its signature, or what was seen before.
    Integrity,
}
