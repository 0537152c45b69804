//! An error as a person or a log reads it: with its causes.

use std::error::Error;

/// An error and its causes, each said once, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some libraries print their source in their own text.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    // Libraries that draw (TOML) use several lines; an error is one.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read\n  `{path}`")]
    struct Inner {
        path: &'static str,
        source: io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Outer(#[source] Inner);

    #[test]
    fn the_chain_is_said_once_and_on_one_line() {
        let inner = || Inner { path: "/x", source: io::Error::other("gone") };
        assert_eq!(chain(&inner()), "cannot read `/x`: gone");
        assert_eq!(chain(&Outer(inner())), "outer: cannot read `/x`: gone");
    }
}
