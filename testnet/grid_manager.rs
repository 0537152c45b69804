//! Grid managers for a testnet: folders as Tahoe's `grid-manager create` makes them, so that its tools and ours read them.
//!
//! The format is Tahoe-LAFS's, `docs/managed-grid.rst`. Certifying storage servers is left to the real tool.

use lafs_clearinghouse::config::{FileError, PUBLIC_MODE, create_new, create_private_dir};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::tagged;
use std::path::Path;
use zeroize::Zeroizing;

/// Where a testnet's grid keys come from.
#[derive(Debug, Clone)]
pub(crate) enum GridKeys {
    /// New ones from the operating system.
    Fresh,
    /// The same ones each time the same text is given: known to everybody who knows the text, so for tests alone.
    FromSeed(String),
}

impl GridKeys {
    /// The key of the grid numbered `index`.
    pub(crate) fn key(&self, index: usize) -> SecretKey {
        match self {
            Self::Fresh => SecretKey::generate(),
            Self::FromSeed(text) => {
                let number = index.to_string();
                SecretKey::from_seed(&tagged::tagged_pair_hash(
                    b"lafs-clearinghouse/testnet-grid-key/1",
                    text.as_bytes(),
                    number.as_bytes(),
                ))
            }
        }
    }
}

#[derive(serde::Serialize)]
struct ConfigJson<'a> {
    grid_manager_config_version: u32,
    private_key: &'a str,
}

/// Makes the folder of a grid manager with this key at `dir`. The file is readable to all and the folder to nobody else,
/// as Tahoe has it.
pub(crate) fn create(dir: &Path, key: &SecretKey) -> Result<GridId, FileError> {
    create_private_dir(dir)?;
    let private_key = key.to_private_text();
    // Room for all of it at once: growing would leave copies of the secret behind.
    let mut json = Zeroizing::new(Vec::with_capacity(256));
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut *json, formatter);
    let config = ConfigJson { grid_manager_config_version: 0, private_key: &private_key };
    serde::Serialize::serialize(&config, &mut serializer).expect("two plain fields have a JSON form");
    json.push(b'\n');
    create_new(&dir.join("config.json"), &json, PUBLIC_MODE)?;
    Ok(GridId::new(key.public()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lafs_clearinghouse::config::GridManager;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_is_as_tahoe_makes_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("grid");
        let key = SecretKey::from_seed(&[7; 32]);
        create(&dir, &key).unwrap();
        let private = key.to_private_text();
        let expected =
            format!("{{\n    \"grid_manager_config_version\": 0,\n    \"private_key\": \"{}\"\n}}\n", private.as_str());
        assert_eq!(std::fs::read_to_string(dir.join("config.json")).unwrap(), expected);
        assert_eq!((mode(&dir), mode(&dir.join("config.json"))), (0o700, 0o644));
    }

    #[test]
    fn a_node_reads_the_key_that_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("grid");
        let grid = create(&dir, &SecretKey::generate()).unwrap();
        assert_eq!(GridManager::open(&dir).unwrap().grid_id(), grid);
    }

    #[test]
    fn an_existing_grid_manager_is_not_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("grid");
        let grid = create(&dir, &SecretKey::generate()).unwrap();
        assert!(create(&dir, &SecretKey::generate()).is_err());
        assert_eq!(GridManager::open(&dir).unwrap().grid_id(), grid);
    }

    #[test]
    fn a_seed_gives_the_same_keys_again_and_each_grid_its_own() {
        let keys = |seed: &str| {
            let keys = GridKeys::FromSeed(seed.to_owned());
            [keys.key(0).public(), keys.key(1).public()]
        };
        assert_eq!(keys("a"), keys("a"));
        assert_ne!(keys("a")[0], keys("a")[1]);
        assert_ne!(keys("a")[0], keys("b")[0]);
        assert_ne!(GridKeys::Fresh.key(0).public(), GridKeys::Fresh.key(0).public());
    }

    #[test]
    fn the_real_grid_manager_reads_it_and_adds_a_server_to_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("grid");
        let grid = create(&dir, &SecretKey::generate()).unwrap();
        let grid_manager =
            |arguments: &[&str]| Command::new("grid-manager").arg("--config").arg(&dir).args(arguments).output();
        let output = match grid_manager(&["public-identity"]) {
            Ok(output) => output,
            Err(error) => {
                assert!(std::env::var_os("REQUIRE_INTEROP").is_none_or(|value| value != "1"), "grid-manager: {error}");
                eprintln!("SKIPPED: Tahoe-LAFS's `grid-manager` is not on the PATH ({error})");
                return;
            }
        };
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), grid.to_string());
        let server = SecretKey::generate().public().to_string();
        assert!(grid_manager(&["add", "storage0", &server]).unwrap().status.success());
        assert_eq!(GridManager::open(&dir).unwrap().grid_id(), grid);
    }
}
