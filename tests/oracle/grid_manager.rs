//! Grid managers: what the real tool makes is what we read, and what it signs is signed by the key we read.

use crate::python;
use lafs_clearinghouse::base32;
use lafs_clearinghouse::config::GridManager;
use lafs_clearinghouse::keys::{PublicKey, SecretKey};
use lafs_clearinghouse::signed::Envelope;
use serde::Deserialize;
use std::path::Path;

fn grid_manager(dir: &Path, words: &[&str]) -> Option<String> {
    let arguments = [&["--config", dir.to_str().expect("UTF-8")], words].concat();
    python::run("grid_manager.py", &arguments, "")
}

#[test]
fn the_grid_id_we_read_is_the_one_the_real_tool_names() {
    let temp = tempfile::tempdir().expect("a folder");
    let dir = temp.path().join("gm");
    if grid_manager(&dir, &["create"]).is_none() {
        return;
    }
    let named = grid_manager(&dir, &["public-identity"]).expect("Python is there");
    assert_eq!(GridManager::open(&dir).expect("a grid manager").grid_id().to_string(), named.trim());

    let server = SecretKey::generate().public().to_string();
    grid_manager(&dir, &["add", "storage0", &server]).expect("Python is there");
    assert_eq!(GridManager::open(&dir).expect("a grid manager").grid_id().to_string(), named.trim());
}

#[derive(Deserialize)]
struct Certificate {
    certificate: String,
    signature: String,
}

#[test]
fn what_the_real_tool_signs_verifies_and_is_none_of_our_objects() {
    let temp = tempfile::tempdir().expect("a folder");
    let dir = temp.path().join("gm");
    if grid_manager(&dir, &["create"]).is_none() {
        return;
    }
    let server = SecretKey::generate().public().to_string();
    grid_manager(&dir, &["add", "storage0", &server]).expect("Python is there");
    let printed = grid_manager(&dir, &["sign", "storage0", "30"]).expect("Python is there");
    let signed: Certificate = serde_json::from_str(&printed).expect("a certificate");
    assert!(signed.certificate.contains(&server), "{printed}");

    let grid: PublicKey = GridManager::open(&dir).expect("a grid manager").key().public();
    let signature: [u8; 64] = base32::decode(&signed.signature).expect("base32").try_into().expect("64 bytes");
    grid.verify(signed.certificate.as_bytes(), &signature).expect("the grid's own signature");
    assert!(Envelope::from_bytes(signed.certificate.as_bytes()).is_err());
}
