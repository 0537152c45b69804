//! The settings of a client: `client.toml` in its data directory, written by `clearinghouse join`.

use crate::config::files::{self, FileError, PUBLIC_MODE};
use crate::config::network::NetworkName;
use crate::config::node_config::{ConfigError, MAX_CONFIG_BYTES, from_toml};
use crate::config::patience::Patience;
use crate::config::text;
use crate::furl::Nurl;
use crate::keys::GridId;
use serde::Deserialize;
use std::path::Path;

/// Which home gateway a client has joined.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientConfig {
    /// The home gateway, as the user typed it.
    #[serde(deserialize_with = "text::one")]
    pub home: Nurl,
    /// Whose gateway it is.
    #[serde(deserialize_with = "text::one")]
    pub home_grid_id: GridId,
    /// The network of nodes that it resolves in.
    pub network: NetworkName,
    /// How long the home may send nothing.
    #[serde(deserialize_with = "text::one", default = "usual_patience")]
    pub patience: Patience,
}

fn usual_patience() -> Patience {
    Patience::WITH_HOME
}

impl ClientConfig {
    /// Reads and parses the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = files::read_at_most(path, MAX_CONFIG_BYTES)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| ConfigError::NotText { path: path.to_owned(), offset: error.valid_up_to() })?;
        from_toml(text, path)
    }

    /// As [`ClientConfig::read`]; `None` where no home gateway was joined.
    pub fn find(path: &Path) -> Result<Option<Self>, ConfigError> {
        match Self::read(path) {
            Ok(config) => Ok(Some(config)),
            Err(ConfigError::File(error)) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the file anew, with a reason at each key.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let Self { home, home_grid_id, network, patience } = self;
        let text = format!(
            "# Written by `clearinghouse join`. accounting.key beside it is what the home gateway knows this client by.\n\
             \n\
             # The home gateway: it resolves and fetches for this client, and is believed as far as what it gives is signed.\n\
             home = \"{home}\"\n\
             \n\
             # Whose gateway it is: bare caps are of this grid.\n\
             home-grid-id = \"{home_grid_id}\"\n\
             \n\
             # The network of nodes that it resolves in.\n\
             network = \"{network}\"\n\
             \n\
             # How long the home gateway may send nothing before it is left, 1 s to 10 min: it may have to ask other gateways first.\n\
             patience = \"{patience}\"\n"
        );
        files::write_atomically(path, text.as_bytes(), PUBLIC_MODE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.toml");
        assert_eq!(ClientConfig::find(&path).unwrap(), None);
        let config = ClientConfig {
            home: Nurl::gateway([7; 32], "gateway.example.org".parse().unwrap(), 4443).unwrap(),
            home_grid_id: GridId::new(SecretKey::from_seed(&[1; 32]).public()),
            network: "a-house".parse().unwrap(),
            patience: "5 s".parse().unwrap(),
        };
        config.write(&path).unwrap();
        assert_eq!(ClientConfig::find(&path).unwrap(), Some(config));
        std::fs::write(&path, "home = 1\n").unwrap();
        assert!(ClientConfig::find(&path).unwrap_err().to_string().contains("line 1"));
    }
}
