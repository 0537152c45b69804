//! A real Tahoe-LAFS grid for one test, raised by `scripts/tahoe_nodes.py`: each node a process of its own.

use crate::python;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::grid::ServerId;
use lafs_clearinghouse::keys::GridId;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin};

/// The grid. Its nodes die with it.
pub(crate) struct TahoeNodes {
    pub(crate) described: Described,
    child: Child,
    /// The nodes live until it is closed.
    alive: Option<ChildStdin>,
    _dir: tempfile::TempDir,
}

/// What the script says of it.
#[derive(Deserialize)]
pub(crate) struct Described {
    pub(crate) grid_id: GridId,
    /// The folder of the real `grid-manager`.
    pub(crate) grid_manager: PathBuf,
    pub(crate) introducer: Introducer,
    pub(crate) servers: Vec<Server>,
    pub(crate) client: Client,
}

#[derive(Deserialize)]
pub(crate) struct Introducer {
    pub(crate) dir: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Server {
    pub(crate) pid: u32,
    /// The node's folder; its shares are under `storage/shares`.
    pub(crate) dir: PathBuf,
    #[serde(deserialize_with = "from_text")]
    pub(crate) id: ServerId,
}

#[derive(Deserialize)]
pub(crate) struct Client {
    /// The node's folder, which names the grid manager and has an introducer's cache.
    pub(crate) dir: PathBuf,
    /// `http://…/`.
    pub(crate) api: String,
}

fn from_text<'de, D: serde::Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| serde::de::Error::custom("another text"))
}

impl TahoeNodes {
    /// A grid that is ready, of three storage servers; any two shares of a file give it back. `None` where there is no Python to
    /// run it with, which counts as skipped.
    ///
    /// # Panics
    /// If it does not come about.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(3, 2)
    }

    /// The same with so many storage servers, any `needed` of whose shares are enough.
    pub(crate) fn start_with(servers: usize, needed: u16) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("grid");
        let mut child = python::spawn(
            "../../scripts/tahoe_nodes.py",
            &[path.to_str().expect("UTF-8"), &servers.to_string(), &needed.to_string()],
        )?;
        let alive = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        if line.is_empty() {
            let output = child.wait_with_output().expect("the script ends");
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        }
        let described = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Some(Self { described, child, alive, _dir: dir })
    }

    /// Stores a file and returns its read cap.
    pub(crate) fn put(&self, bytes: &[u8]) -> Capability {
        self.put_at("uri", bytes)
    }

    /// Stores a file as the path of the client's web API says, and returns its cap.
    pub(crate) fn put_at(&self, path: &str, bytes: &[u8]) -> Capability {
        let mut answer = ureq::put(format!("{}{path}", self.described.client.api)).send(bytes).expect("stored");
        answer.body_mut().read_to_string().expect("a cap").trim().parse().expect("a cap")
    }
}

impl Drop for TahoeNodes {
    fn drop(&mut self) {
        self.alive.take();
        let _ = self.child.wait();
    }
}
