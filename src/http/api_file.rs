//! `api.json`: where a running node tells the commands of this program that it can be asked.

use crate::config::{FileError, Home, SECRET_MODE, read_at_most, write_atomically};
use libp2p::PeerId;
use serde::{Deserialize, Serialize};

/// More than a URL, a number and a peer id take.
const MAX_BYTES: usize = 4096;

/// Where a node's local API answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiFile {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub url: String,
    /// The process.
    pub pid: u32,
    /// The node: another process may have come to listen on that port since.
    pub peer_id: String,
}

impl ApiFile {
    /// The file of this process, which serves `peer_id` at `url`.
    pub(super) fn of_this_process(url: &str, peer_id: PeerId) -> Self {
        Self { url: url.to_owned(), pid: std::process::id(), peer_id: peer_id.to_string() }
    }

    pub(super) fn write(&self, home: &Home) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).expect("texts and a number");
        write_atomically(&home.api(), &text, SECRET_MODE)
    }

    /// Takes the file away, if it is still this one.
    pub(super) fn remove(&self, home: &Home) {
        if Self::read(home).is_ok_and(|found| found.as_ref() == Some(self)) {
            // It tells of a node that no longer answers, which whoever reads it finds out too.
            let _ = std::fs::remove_file(home.api());
        }
    }

    /// The file in `home`; `None` where no node runs, or what is there is no such file.
    pub fn read(home: &Home) -> Result<Option<Self>, FileError> {
        match read_at_most(&home.api(), MAX_BYTES) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_until_its_own_node_takes_it_away() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        assert_eq!(ApiFile::read(&home).unwrap(), None);
        let file = ApiFile::of_this_process("http://127.0.0.1:1", PeerId::random());
        file.write(&home).unwrap();
        assert_eq!(ApiFile::read(&home).unwrap(), Some(file.clone()));
        ApiFile { pid: 0, ..file.clone() }.remove(&home);
        assert_eq!(ApiFile::read(&home).unwrap(), Some(file.clone()));
        file.remove(&home);
        assert_eq!(ApiFile::read(&home).unwrap(), None);
    }

    #[test]
    fn what_is_no_such_file_is_no_node() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        std::fs::write(home.api(), "{}").unwrap();
        assert_eq!(ApiFile::read(&home).unwrap(), None);
    }
}
