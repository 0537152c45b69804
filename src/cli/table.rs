//! Names and values in two columns, for people.

use std::fmt::{self, Display};

/// Rows in the order they were added; a value of several lines is indented as one block.
#[derive(Default)]
pub(super) struct Table(Vec<(String, String)>);

impl Table {
    /// No rows.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub(super) fn row(&mut self, name: impl Into<String>, value: impl Display) {
        self.0.push((name.into(), value.to_string()));
    }

    /// Adds a row if there is something to say.
    pub(super) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.row(name, value);
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
        for (name, value) in &self.0 {
            for (index, line) in value.lines().enumerate() {
                let name = if index == 0 { name.as_str() } else { "" };
                writeln!(f, "{name:width$}{line}")?;
            }
        }
        Ok(())
    }
}
