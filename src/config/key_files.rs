//! Private keys on the disk: our own, and the one that Tahoe's `grid-manager` keeps in its `config.json`.
//!
//! Format of the latter: Tahoe-LAFS `docs/managed-grid.rst`. Nothing here ever writes into a grid manager's folder.

use crate::config::access::{Exposure, exposure};
use crate::config::files::{self, FileError};
use crate::keys::{GridId, KeyError, SecretKey};
use libp2p_identity::PeerId;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name that `grid-manager` gives its file.
const GRID_MANAGER_FILE: &str = "config.json";
/// A grid manager's file lists its storage servers: some 100 octets for each of ten thousand.
const MAX_GRID_MANAGER_BYTES: u64 = 1 << 20;
/// A key and a line end.
const MAX_OWN_KEY_BYTES: u64 = 256;

/// Why a key file is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another user can read or change it.
    #[error("other users can reach the secret in `{}`: its mode is {:03o}, and they may enter `{}`",
        path.display(), exposure.mode, exposure.folder.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// How it can be reached.
        exposure: Exposure,
    },
    /// Our own key file holds something else.
    #[error("`{}` holds no private key", path.display())]
    NotAKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong with its text.
        source: KeyError,
    },
    /// The text is not what `grid-manager` writes.
    #[error("`{}` is not a grid manager's configuration", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The field or the place in it.
        source: serde_json::Error,
    },
    /// Written by a later `grid-manager`.
    #[error("`{}` has grid_manager_config_version {found}; this program knows version 0", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// A grid's own key, from the folder of Tahoe's `grid-manager`.
#[derive(Debug, Clone)]
pub struct GridManager {
    key: SecretKey,
}

/// The part of `config.json` that concerns us; the storage servers are the grid manager's business.
#[derive(serde::Deserialize)]
struct ConfigJson {
    grid_manager_config_version: u64,
    #[serde(deserialize_with = "private_key")]
    private_key: SecretKey,
}

/// Parses the key where it stands: serde's own errors would repeat the secret, and a `String` would copy it.
fn private_key<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretKey, D::Error> {
    struct KeyText;
    impl serde::de::Visitor<'_> for KeyText {
        type Value = SecretKey;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a private key as text")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretKey, E> {
            text.parse().map_err(|error: KeyError| E::custom(format_args!("private_key: {error}")))
        }
    }
    deserializer.deserialize_str(KeyText)
}

impl GridManager {
    /// Reads the key of the grid manager at `path`: its folder, or the `config.json` in it.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let file = if path.is_dir() { path.join(GRID_MANAGER_FILE) } else { path.to_owned() };
        let text = read_secret(&file, MAX_GRID_MANAGER_BYTES)?;
        Self::from_json(&text, &file)
    }

    /// Takes the key out of the text of a `config.json`; `origin` stands in errors.
    pub fn from_json(text: &str, origin: &Path) -> Result<Self, KeyFileError> {
        let path = || origin.to_owned();
        let config: ConfigJson =
            serde_json::from_str(text).map_err(|source| KeyFileError::Json { path: path(), source })?;
        if config.grid_manager_config_version != 0 {
            return Err(KeyFileError::Version { path: path(), found: config.grid_manager_config_version });
        }
        Ok(Self { key: config.private_key })
    }

    /// The grid that this key names.
    pub fn grid_id(&self) -> GridId {
        GridId::new(self.key.public())
    }

    /// The grid key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }
}

/// Reads one of our own key files: the private key's text and a line end.
pub fn read_key(path: &Path) -> Result<SecretKey, KeyFileError> {
    let text = read_secret(path, MAX_OWN_KEY_BYTES)?;
    text.trim_end().parse().map_err(|source| KeyFileError::NotAKey { path: path.to_owned(), source })
}

/// Makes a new key and its file, which must not exist yet and is private from its first moment.
pub fn create_key(path: &Path) -> Result<SecretKey, FileError> {
    let key = SecretKey::generate();
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push_str(&key.to_private_text());
    text.push('\n');
    files::create_new(path, text.as_bytes(), files::SECRET_MODE)?;
    Ok(key)
}

/// The libp2p identity of the node that has this key.
pub fn peer_id(key: &SecretKey) -> PeerId {
    let public = libp2p_identity::ed25519::PublicKey::try_from_bytes(key.public().as_bytes());
    libp2p_identity::PublicKey::from(public.expect("a key of ours is a point")).to_peer_id()
}

/// The key in the file at `path`, made now if there is none.
pub fn read_or_create_key(path: &Path) -> Result<SecretKey, KeyFileError> {
    match create_key(path) {
        Ok(key) => Ok(key),
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => read_key(path),
        Err(error) => Err(error.into()),
    }
}

/// The text of a secret file of at most `limit` octets, which nobody else may be able to reach.
pub fn read_secret(path: &Path, limit: u64) -> Result<Zeroizing<String>, KeyFileError> {
    let at = || FileError::at("read", path);
    let file = File::open(path).map_err(at())?;
    // Of the opened file, so that nobody swaps it between the look and the reading.
    let metadata = file.metadata().map_err(at())?;
    if let Some(exposure) = exposure(path, &metadata).map_err(at())? {
        return Err(KeyFileError::Exposed { path: path.to_owned(), exposure });
    }
    if metadata.len() > limit {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes"));
        return Err(at()(error).into());
    }
    // Room for all of it at once: growing would leave copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(metadata.len() as usize + 1));
    file.take(limit).read_to_string(&mut text).map_err(at())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn config_json(key: &SecretKey) -> String {
        let servers = r#"{"storage0": {"public_key": "pub-v0-x"}}"#;
        let private = key.to_private_text();
        format!(
            "{{\n    \"grid_manager_config_version\": 0,\n    \"private_key\": \"{}\",\n    \"storage_servers\": {servers}\n}}\n",
            *private
        )
    }

    /// A grid manager's folder, as `grid-manager create` makes it but for the folder's mode.
    fn grid_manager(folder_mode: u32, text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(GRID_MANAGER_FILE);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(folder_mode)).unwrap();
        dir
    }

    #[test]
    fn a_grid_managers_folder_and_its_file_give_the_same_key() {
        let key = SecretKey::from_seed(&[7; 32]);
        let dir = grid_manager(0o700, &config_json(&key));
        let expected = GridId::new(key.public());
        assert_eq!(GridManager::open(dir.path()).unwrap().grid_id(), expected);
        assert_eq!(GridManager::open(&dir.path().join(GRID_MANAGER_FILE)).unwrap().grid_id(), expected);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = grid_manager(0o755, &config_json(&SecretKey::from_seed(&[7; 32])));
        let error = GridManager::open(dir.path()).unwrap_err();
        assert!(matches!(error, KeyFileError::Exposed { .. }), "{error}");
        assert!(error.to_string().contains("mode is 644"), "{error}");
    }

    #[test]
    fn what_is_no_grid_managers_file_is_named() {
        let cases = [
            ("{}", "is not a grid manager's configuration"),
            ("{\"grid_manager_config_version\": 0, \"private_key\": \"x\"}", "is not a grid manager's configuration"),
            ("{\"grid_manager_config_version\": 0}", "is not a grid manager's configuration"),
        ];
        for (text, expected) in cases {
            let error = GridManager::from_json(text, Path::new("gm/config.json")).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("gm/config.json"), "{error}");
        }
        assert!(matches!(GridManager::open(Path::new("/nowhere")), Err(KeyFileError::File(e)) if e.is_missing()));
    }

    #[test]
    fn no_error_repeats_the_secret() {
        let key = SecretKey::from_seed(&[7; 32]);
        let private = key.to_private_text();
        let good = config_json(&key);
        let newer = good.replace(": 0", ": 1");
        assert!(matches!(GridManager::from_json(&newer, Path::new("f")), Err(KeyFileError::Version { found: 1, .. })));
        let escaped = good.replace("priv-v0-", "p\\u0072iv-v0-1");
        for text in [newer, escaped, good.replace("priv-v0-", "priv-v0-1"), good.replace("priv-v0-", "")] {
            let error = GridManager::from_json(&text, Path::new("f")).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&private["priv-v0-".len()..]), "{shown}");
        }
    }

    #[test]
    fn the_peer_id_is_the_one_that_libp2p_gives_the_seed() {
        let key = SecretKey::from_seed(&[7; 32]);
        let keypair = libp2p_identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
        assert_eq!(peer_id(&key), keypair.public().to_peer_id());
    }

    #[test]
    fn an_own_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let key = read_or_create_key(&path).unwrap();
        assert_eq!(read_or_create_key(&path).unwrap().public(), key.public());
        fs::write(&path, "priv-v0-short\n").unwrap();
        assert!(matches!(read_key(&path), Err(KeyFileError::NotAKey { .. })));
    }
}
