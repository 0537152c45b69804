//! A real Tahoe-LAFS grid, each node a process of its own, and its client's web API.

use super::FetchBench;
use crate::bench::pair::Abroad;
use crate::bench::process::Process;
use crate::bench::{AnyError, PATIENCE};
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::keys::GridId;
use serde::Deserialize;
use std::io::{Read, copy, sink};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, timeout};
use ureq::SendBody;

/// The grid. Its nodes die with this process.
pub(super) struct RealGrid {
    grid_id: GridId,
    grid_manager: PathBuf,
    /// The folder of the client's node.
    pub(super) node: PathBuf,
    api: String,
    child: Child,
    /// The nodes live until it is closed.
    alive: ChildStdin,
    _dir: Folder,
}

/// A temporary folder, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the script says.
#[derive(Deserialize)]
struct Described {
    grid_id: GridId,
    grid_manager: PathBuf,
    client: DescribedClient,
}

#[derive(Deserialize)]
struct DescribedClient {
    dir: PathBuf,
    api: String,
}

impl RealGrid {
    pub(super) async fn raise(bench: &FetchBench) -> Result<Self, AnyError> {
        let dir = Folder(std::env::temp_dir().join(format!("lafs-bench-{}", std::process::id())));
        std::fs::create_dir_all(&dir.0)?;
        let mut command = Command::new(&bench.python);
        command.arg(&bench.tahoe_nodes).arg(dir.0.join("grid"));
        command.args([bench.servers, bench.needed].map(|number| number.to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("`{}`: {error}", bench.python.display()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (alive, output) = pipes.ok_or("its pipes were asked for")?;
        let line = timeout(PATIENCE, BufReader::new(output).lines().next_line()).await??;
        let line = line.ok_or("the grid ended before it was ready")?;
        let Described { grid_id, grid_manager, client } = serde_json::from_str(&line)?;
        Ok(Self { grid_id, grid_manager, node: client.dir, api: client.api, child, alive, _dir: dir })
    }

    /// What a node abroad is to serve.
    pub(super) fn abroad(&self) -> Abroad<'_> {
        Abroad { grid_id: self.grid_id, grid_manager: &self.grid_manager, node: &self.node, price: None }
    }

    /// Stores `size` octets that nobody has stored before, and returns the read cap.
    pub(super) async fn store(&self, size: u64, seed: u64) -> Result<Capability, AnyError> {
        let address = format!("{}uri", self.api);
        let stored = tokio::task::spawn_blocking(move || -> Result<String, AnyError> {
            let mut content = Noise::new(seed).take(size);
            let request = ureq::put(address).header("Content-Length", size.to_string());
            Ok(request.send(SendBody::from_reader(&mut content))?.body_mut().read_to_string()?)
        });
        Ok(stored.await??.trim().parse()?)
    }

    /// Has the real client read a file, and tells how long it took.
    pub(super) async fn read(&self, cap: &Capability) -> Result<Duration, AnyError> {
        let address = format!("{}uri/{cap}", self.api);
        let size = cap.size().ok_or("the size of an immutable file stands in its cap")?.0;
        let started = Instant::now();
        let read = tokio::task::spawn_blocking(move || -> Result<u64, AnyError> {
            Ok(copy(&mut ureq::get(address).call()?.into_body().into_reader(), &mut sink())?)
        });
        if read.await?? != size {
            return Err("the real client gave another number of bytes".into());
        }
        Ok(started.elapsed())
    }

    /// The processor's time that all its nodes have taken.
    pub(super) fn cpu(&self) -> Result<Duration, AnyError> {
        Process(self.child.id().ok_or("the grid has ended")?).family_cpu()
    }

    pub(super) async fn end(self) -> Result<(), AnyError> {
        let Self { mut child, alive, .. } = self;
        drop(alive);
        timeout(PATIENCE, child.wait()).await??;
        Ok(())
    }
}

/// Octets that no compressor makes smaller, the same for the same seed: xorshift64*, which is random enough for that.
pub(in crate::bench) struct Noise(u64);

impl Noise {
    pub(in crate::bench) fn new(seed: u64) -> Self {
        // The state is never 0.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for piece in buffer.chunks_mut(8) {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let octets = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
            piece.copy_from_slice(&octets[..piece.len()]);
        }
        Ok(buffer.len())
    }
}
