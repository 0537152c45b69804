//! A grid of the real Tahoe-LAFS: an introducer, storage servers and a client, each a process of its own, and files that its
//! client stored.
//!
//! Python raises it: `scripts/tahoe_nodes.py`, which this program carries with it. Its processes end with this one, however
//! it ends.

use crate::storage::Sample;
use crate::supervise::{StartError, Supervisor};
use lafs_clearinghouse::capability::{Area, Capability, ForeignCap};
use lafs_clearinghouse::config::{FileError, PUBLIC_MODE, create_new};
use lafs_clearinghouse::keys::GridId;
use serde::Deserialize;
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command as Once, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};

/// How many storage servers a grid has, and how many shares give a file back.
const SERVERS: &str = "3";
const NEEDED: &str = "2";
/// The octets of the larger file.
const LARGE_BYTES: usize = 3_000_000;

/// The scripts, the first of which is run. They stand side by side.
const SCRIPTS: [(&str, &str); 2] = [
    ("tahoe_nodes.py", include_str!("../scripts/tahoe_nodes.py")),
    ("tahoe_grid.py", include_str!("../scripts/tahoe_grid.py")),
];

/// Why a grid of the real Tahoe-LAFS is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TahoeError {
    /// No Python has it.
    #[error("no Python that has tahoe-lafs was found; tried {}", tried.join(", "))]
    NoPython {
        /// The interpreters that were tried.
        tried: Vec<String>,
    },
    /// The scripts could not be written.
    #[error(transparent)]
    Script(#[from] FileError),
    /// Python did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It ended before the grid was ready.
    #[error("the Tahoe-LAFS grid of {node} did not come about; its log is `{}`", log.display())]
    NotReady {
        /// The node that was to be its gateway.
        node: String,
        /// What the script said.
        log: PathBuf,
    },
    /// A file could not be stored.
    #[error("the Tahoe-LAFS client of {node} did not store `{name}`")]
    Store {
        /// The node that is its gateway.
        node: String,
        /// The file.
        name: &'static str,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl TahoeError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPython { .. } => Some(
                "`scripts/setup` prepares one and prints its path; name it in LAFS_TEST_PYTHON, or put a Tahoe-LAFS on the PATH",
            ),
            _ => None,
        }
    }
}

/// A Python with the real Tahoe-LAFS: the one that `LAFS_TEST_PYTHON` names, the one that `scripts/setup` prepared beside this
/// program, that of a `tahoe` on the PATH, or the PATH's own.
pub(crate) fn python() -> Result<PathBuf, TahoeError> {
    let named = std::env::var_os("LAFS_TEST_PYTHON").filter(|path| !path.is_empty());
    let candidates = match named {
        // Who names one means that one.
        Some(named) => vec![named.into()],
        None => unnamed(std::env::current_exe().ok().as_deref(), std::env::var_os("PATH")),
    };
    let mut tried = Vec::new();
    for candidate in candidates {
        if has_tahoe(&candidate) {
            return Ok(candidate);
        }
        tried.push(format!("`{}`", candidate.display()));
    }
    Err(TahoeError::NoPython { tried })
}

fn unnamed(program: Option<&Path>, path: Option<OsString>) -> Vec<PathBuf> {
    // This program is at `debug/testnet` under cargo's target directory.
    let target = program.and_then(|program| program.parent()?.parent());
    let mut candidates: Vec<PathBuf> = target.map(|target| target.join("python/bin/python")).into_iter().collect();
    let path = path.unwrap_or_default();
    candidates
        .extend(std::env::split_paths(&path).filter(|dir| dir.join("tahoe").is_file()).map(|dir| dir.join("python")));
    candidates.push("python3".into());
    candidates.retain(|candidate| candidate.is_file() || candidate.components().count() == 1);
    candidates
}

fn has_tahoe(python: &Path) -> bool {
    let mut asked = Once::new(python);
    asked.args(["-c", "import allmydata.client"]).stdin(Stdio::null());
    asked.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Where the grid of the node at `dir` lies.
fn grid_dir(dir: &Path) -> PathBuf {
    dir.join("tahoe")
}

/// The folder of the grid's client, from which a gateway knows the storage servers.
pub(crate) fn client_dir(dir: &Path) -> PathBuf {
    grid_dir(dir).join("client")
}

/// A grid that is on its way.
pub(crate) struct Rising {
    node: String,
    log: PathBuf,
    output: ChildStdout,
}

#[derive(Deserialize)]
struct Described {
    client: Client,
}

#[derive(Deserialize)]
struct Client {
    api: String,
}

impl Rising {
    /// Starts the processes of a grid for the node called `node` with its folder at `dir`, whose grid manager is at `manager`.
    pub(crate) fn start(
        supervisor: &mut Supervisor,
        python: &Path,
        node: &str,
        dir: &Path,
        manager: &Path,
    ) -> Result<Self, TahoeError> {
        let scripts = dir.join("scripts");
        std::fs::create_dir_all(&scripts).map_err(FileError::at("create", &scripts))?;
        for (name, text) in SCRIPTS {
            create_new(&scripts.join(name), text.as_bytes(), PUBLIC_MODE)?;
        }
        let log = dir.join("tahoe.log");
        let mut command = Command::new(python);
        command
            .arg(scripts.join(SCRIPTS[0].0))
            .arg(grid_dir(dir))
            .args([SERVERS, NEEDED, "--grid-manager"])
            .arg(manager);
        let output = supervisor.start(&format!("the Tahoe-LAFS grid of {node}"), &log, command)?;
        Ok(Self { node: node.to_owned(), log, output })
    }

    /// Waits until the grid is ready, and stores files there: a letter, a larger file, and the directory of both.
    pub(crate) async fn stock(self, grid: GridId) -> Result<Vec<Sample>, TahoeError> {
        let Self { node, log, output } = self;
        let mut lines = BufReader::new(output).lines();
        let line = lines.next_line().await.ok().flatten();
        let described = line.and_then(|line| serde_json::from_str::<Described>(&line).ok());
        let Some(described) = described else { return Err(TahoeError::NotReady { node, log }) };
        let stored = tokio::task::spawn_blocking(move || store(&described.client.api, &node, grid)).await;
        stored.expect("storing does not panic")
    }
}

fn store(api: &str, node: &str, grid: GridId) -> Result<Vec<Sample>, TahoeError> {
    let letter = format!("This letter lies on the grid {grid}.\nWhoever has its foreign cap reads it from any grid.\n");
    let large: Vec<u8> = (0..LARGE_BYTES).map(|place| (place / 3 % 251) as u8).collect();
    let put = |name, content: &[u8]| cap(name, node, ureq::put(format!("{api}uri")).send(content));
    let letter = put("letter.txt", letter.as_bytes())?;
    let large = put("large.bin", &large)?;
    let child = |cap: &Capability| json!(["filenode", {"ro_uri": cap.to_string(), "metadata": {}}]);
    let children = json!({"letter.txt": child(&letter), "large.bin": child(&large)}).to_string();
    let made = ureq::post(format!("{api}uri?t=mkdir-immutable")).send(children.as_bytes());
    let directory = cap("directory", node, made)?;
    let samples = [("letter.txt", letter), ("large.bin", large), ("directory", directory)];
    Ok(samples.map(|(name, cap)| Sample { name, cap: ForeignCap::from_home(Area::Grid(grid), &cap).into_cap() }).into())
}

/// The cap that the client's web API answered with.
fn cap(
    name: &'static str,
    node: &str,
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Capability, TahoeError> {
    let read = || -> Result<Capability, Box<dyn std::error::Error + Send + Sync>> {
        Ok(answer?.body_mut().read_to_string()?.trim().parse()?)
    };
    read().map_err(|source| TahoeError::Store { node: node.to_owned(), name, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_is_looked_for_beside_the_program_and_beside_tahoe() {
        let temp = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = temp.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let program = file("target/debug/testnet");
        let beside = file("target/python/bin/python");
        file("venv/bin/tahoe");
        let of_tahoe = file("venv/bin/python");
        file("other/bin/python");
        let path = std::env::join_paths(["venv/bin", "other/bin"].map(|dir| temp.path().join(dir))).unwrap();
        let found = unnamed(Some(&program), Some(path));
        assert_eq!(found, [beside, of_tahoe, PathBuf::from("python3")]);
        assert_eq!(unnamed(None, None), [PathBuf::from("python3")]);
        assert!(!has_tahoe(&temp.path().join("no-python")));
    }
}
