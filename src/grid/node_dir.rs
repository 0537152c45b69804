//! The secret addresses that a Tahoe node's folder holds: its own storage server's, its introducers', and those of the
//! servers that it has heard of.
//!
//! Files: `private/*.furl`, `private/*.yaml` (Tahoe-LAFS `docs/configuration.rst`). They are searched for FURLs and NURLs,
//! whatever the form around them.

use crate::address::HostPort;
use crate::furl::{Furl, Hint, Nurl};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// An introducer's cache lists every server of the grid, at a kilobyte or two each.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Addresses that open a service of a grid to whoever knows them: none of them is ever printed.
#[derive(Default)]
pub struct NodeSecrets {
    places: Vec<HostPort>,
    swissnums: Vec<String>,
}

/// Why a Tahoe node's folder tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum TahoeNodeError {
    /// No folder of a Tahoe node: it has no `private/`.
    #[error("`{}` is not the folder of a Tahoe-LAFS node: it has no `private` in it", .0.display())]
    NotANode(PathBuf),
    /// A file in it could not be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl NodeSecrets {
    /// Those in the folder of the Tahoe node at `path`.
    pub fn of_node(path: &Path) -> Result<Self, TahoeNodeError> {
        let private = path.join("private");
        if !private.is_dir() {
            return Err(TahoeNodeError::NotANode(path.to_owned()));
        }
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| TahoeNodeError::Unreadable { path, source }
        };
        let mut found = Self::default();
        for entry in fs::read_dir(&private).map_err(unreadable(&private))? {
            let file = entry.map_err(unreadable(&private))?.path();
            if is_of_interest(&file) {
                let mut text = Vec::new();
                let open = fs::File::open(&file).map_err(unreadable(&file))?;
                open.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(unreadable(&file))?;
                found.add_all(&String::from_utf8_lossy(&text));
            }
        }
        Ok(found)
    }

    /// Whether `place` is one where one of the services listens.
    pub fn has_place(&self, place: &HostPort) -> bool {
        self.places.contains(place)
    }

    /// Whether `swissnum` opens one of the services.
    pub fn has_swissnum(&self, swissnum: &str) -> bool {
        self.swissnums.iter().any(|known| known == swissnum)
    }

    fn add_all(&mut self, text: &str) {
        let starts = ["pb://", "pb+tor://"].into_iter().flat_map(|scheme| text.match_indices(scheme));
        for (start, _) in starts {
            let rest = &text[start..];
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len());
            self.add(&rest[..end]);
        }
    }

    fn add(&mut self, text: &str) {
        // In a YAML list in one line a comma or a bracket follows.
        let text = text.trim_end_matches([',', ']', '}']);
        if let Ok(nurl) = text.parse::<Nurl>() {
            self.places.push(nurl.place().clone());
            self.swissnums.push(nurl.swissnum().to_owned());
        } else if let Ok(furl) = text.parse::<Furl>() {
            self.places.extend(furl.hints().iter().filter_map(|hint| match hint {
                Hint::Tcp(place) => Some(place.clone()),
                Hint::Other(_) => None,
            }));
            self.swissnums.push(furl.swissnum().to_owned());
        }
    }
}

fn is_of_interest(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "furl" || extension == "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUB: &str = "pb://pm5tsfpfa4l5cpsxl5xdexn5ufyyczmt@tcp:127.0.0.1:7110,tcp:storage.example.org:7111/hbqzvb2sdpnqvuibad52ofau7by5zotp";
    const NURL: &str =
        "pb://QuJb7c5J-vNlnD5P7DWUUWmyYVkQjhmwgp0BJVTwKoY@10.0.0.7:7112/zzzzvb2sdpnqvuibad52ofau7by5zotp#v=1";

    #[test]
    fn the_nodes_own_server_and_those_it_heard_of_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("private");
        fs::create_dir(&private).unwrap();
        fs::write(private.join("storage.furl"), format!("{TUB}\n")).unwrap();
        let yaml = format!("- ann:\n    anonymous-storage-NURLs: [{NURL}]\n    nickname: s\n  key_s: v0-x\n");
        fs::write(private.join("introducer_default_cache.yaml"), yaml).unwrap();
        let found = NodeSecrets::of_node(dir.path()).unwrap();
        for place in ["127.0.0.1:7110", "storage.example.org:7111", "10.0.0.7:7112"] {
            assert!(found.has_place(&place.parse().unwrap()), "{place}");
        }
        assert!(found.has_swissnum("hbqzvb2sdpnqvuibad52ofau7by5zotp"));
        assert!(found.has_swissnum("zzzzvb2sdpnqvuibad52ofau7by5zotp"));
        assert!(!found.has_place(&"127.0.0.1:7111".parse().unwrap()));
        assert!(!found.has_swissnum("gateway"));
    }

    #[test]
    fn another_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(NodeSecrets::of_node(dir.path()), Err(TahoeNodeError::NotANode(_))));
    }
}
