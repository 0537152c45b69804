//! The directory of a Tahoe-LAFS node as far as a gateway reads it: the list of storage servers, with their certificates
//! from the grid manager.
//!
//! Formats: Tahoe-LAFS `docs/configuration.rst` (`private/servers.yaml`) and `docs/managed-grid.rst` (certificates).

use lafs_clearinghouse::base32;
use lafs_clearinghouse::config::{FileError, PUBLIC_MODE, create_new, create_private_dir};
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::SecretKey;
use std::path::Path;

/// Makes the node directory at `dir`: the servers at `nurls`, each certified by `manager` until the year 2100.
///
/// It holds secrets, as a real one does, and only its owner can enter it.
pub(crate) fn write_node_dir(dir: &Path, manager: &SecretKey, nurls: &[Nurl]) -> Result<(), FileError> {
    let private = dir.join("private");
    create_private_dir(dir)?;
    create_private_dir(&private)?;
    let settings = format!("[node]\nnickname = gateway\n\n[grid_managers]\ntestnet = {}\n", manager.public());
    create_new(&dir.join("tahoe.cfg"), settings.as_bytes(), PUBLIC_MODE)?;
    create_new(&private.join("servers.yaml"), servers_yaml(manager, nurls).as_bytes(), PUBLIC_MODE)
}

/// JSON is YAML too, and its strings need no thought.
fn servers_yaml(manager: &SecretKey, nurls: &[Nurl]) -> String {
    let servers = nurls.iter().enumerate().map(|(number, nurl)| {
        let key = SecretKey::generate().public().to_string();
        let announcement = serde_json::json!({
            "nickname": format!("storage-{number}"),
            "anonymous-storage-NURLs": [nurl.to_string()],
            "grid-manager-certificates": [certificate(manager, &key)],
        });
        let id = key.trim_start_matches("pub-").to_owned();
        (id, serde_json::json!({ "ann": announcement }))
    });
    let servers: serde_json::Map<_, _> = servers.collect();
    format!("{:#}\n", serde_json::json!({ "storage": servers }))
}

fn certificate(manager: &SecretKey, key: &str) -> serde_json::Value {
    let text = format!("{{\"expires\":\"2100-01-01T00:00:00+00:00\",\"public_key\":\"{key}\",\"version\":1}}");
    let signature = base32::encode(&manager.sign(text.as_bytes()));
    serde_json::json!({ "certificate": text, "signature": signature })
}
