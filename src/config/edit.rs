//! One key of the settings file changed in its place: all comments stay.

use crate::config::files::{FileError, PUBLIC_MODE, read_at_most, write_atomically};
use crate::config::node_config::{ConfigError, MAX_CONFIG_BYTES, NodeConfig};
use std::path::Path;

/// Gives `key` the text `value` in the settings at `path`, and returns the settings that these are now.
///
/// The line that sets it is replaced, or its commented example, or one is added at the end. Nothing is written unless the
/// new file parses.
pub fn set_setting(path: &Path, key: &str, value: &str) -> Result<NodeConfig, ConfigError> {
    let bytes = read_at_most(path, MAX_CONFIG_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    let edited = edited(&text, key, value);
    let config = NodeConfig::from_toml(&edited, path)?;
    write_atomically(path, edited.as_bytes(), PUBLIC_MODE).map_err(FileError::into).map(|()| config)
}

fn edited(text: &str, key: &str, value: &str) -> String {
    let sets = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    let example = |line: &&str| line.strip_prefix("# ").is_some_and(|line| sets(&line));
    let place = text.lines().position(|line| sets(&line)).or_else(|| text.lines().position(|line| example(&line)));
    let new = format!("{key} = \"{value}\"");
    let mut lines: Vec<&str> = text.lines().collect();
    match place {
        Some(place) => lines[place] = &new,
        None => lines.push(&new),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_set_where_it_stands_and_nothing_else_changes() {
        assert_eq!(edited("# why\nnext = \"a\"\n# end\n", "next", "b"), "# why\nnext = \"b\"\n# end\n");
        assert_eq!(edited("# why\n# next = \"pub-v0-…\"\nx = 1\n", "next", "b"), "# why\nnext = \"b\"\nx = 1\n");
        assert_eq!(edited("x = 1", "next", "b"), "x = 1\nnext = \"b\"\n");
        // An example is left alone where the key is set; a longer key is another one.
        let both = "# next = \"pub-v0-…\"\nnext = \"a\"\nnext-one = \"c\"\n";
        assert_eq!(edited(both, "next", "b"), both.replace("\"a\"", "\"b\""));
    }

    #[test]
    fn a_file_that_would_not_parse_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "nickname = \"a\"\n").unwrap();
        assert!(set_setting(&path, "next", "no grid id").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"nickname = \"a\"\n");
        let config = set_setting(&path, "nickname", "b").unwrap();
        assert_eq!(config, NodeConfig::read(&path).unwrap());
    }
}
