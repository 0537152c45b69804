//! How long another gateway may send nothing before it is left.

use crate::units::{SpanError, parse_span};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a gateway may send nothing, before an answer or in its midst: 1 s to 10 min.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(Duration);

/// A text that is no patience.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatienceError {
    /// No span of time.
    #[error(transparent)]
    Span(#[from] SpanError),
    /// Too short for anybody to answer, or longer than a person waits.
    #[error("`{0}` is not between 1 s and 10 min")]
    Range(String),
}

impl Patience {
    /// A client's with its home, which may have to find and to ask another gateway first, and then a second one.
    pub const WITH_HOME: Self = Self(Duration::from_secs(60));
    /// A home's with the gateways of other grids: less than its clients', so that another can be asked while they wait.
    pub const WITH_OTHERS: Self = Self(Duration::from_secs(25));

    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(600);

    /// The time.
    pub const fn time(self) -> Duration {
        self.0
    }
}

impl FromStr for Patience {
    type Err = PatienceError;

    fn from_str(text: &str) -> Result<Self, PatienceError> {
        let time = parse_span(text)?;
        match (Self::SHORTEST..=Self::LONGEST).contains(&time) {
            true => Ok(Self(time)),
            false => Err(PatienceError::Range(text.to_owned())),
        }
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{} s", self.0.as_secs()),
            _ => write!(f, "{} ms", self.0.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again_and_nothing_out_of_range_is() {
        for text in ["1 s", "25 s", "1500 ms", "600 s"] {
            assert_eq!(text.parse::<Patience>().unwrap().to_string(), text);
        }
        for text in ["0 s", "999 ms", "601 s", "10 years", ""] {
            assert!(text.parse::<Patience>().is_err(), "{text}");
        }
        assert!(Patience::WITH_OTHERS.time() * 2 < Patience::WITH_HOME.time());
    }
}
