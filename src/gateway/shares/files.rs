//! The files of our own grid.

use crate::capability::{Capability, FileCap};
use crate::gateway::shares::budget::{Budget, Held};
use crate::gateway::shares::chk::ChkFile;
use crate::gateway::shares::error::ReadError;
use crate::gateway::shares::server::{Servers, ShareServer};
use crate::gateway::shares::stream::{Runs, units};
use crate::gateway::unit::Unit;
use crate::grid::Grid;
use crate::lafs::manifest::{Manifest, UnitLayout};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many files are kept open: their hashes, half a MiB for each of k shares at most.
const OPEN_FILES: usize = 32;
/// How long: after that its shares are looked for anew, for servers come and go.
const OPEN_FOR: Duration = Duration::from_secs(120);

/// Finds and opens files. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    servers: Servers,
    budget: Budget,
    open: Mutex<HashMap<String, (Arc<ChkFile>, Instant)>>,
}

/// One file, open.
#[derive(Clone)]
pub struct File {
    file: Arc<ChkFile>,
    name: String,
    files: Files,
}

impl Files {
    /// The files on the storage servers of `grid`.
    pub fn of_grid(grid: Grid) -> Self {
        Self::on(Arc::new(move || grid.servers().into_iter().map(|server| server as Arc<dyn ShareServer>).collect()))
    }

    /// The files on these servers.
    pub fn on(servers: Servers) -> Self {
        Self(Arc::new(Inner { servers, budget: Budget::new(), open: Mutex::default() }))
    }

    /// How many servers there are to be asked.
    pub fn servers(&self) -> usize {
        (self.0.servers)().len()
    }

    /// Opens the file of a verify cap, in the version that `tag` names, if it names one.
    pub async fn open(&self, cap: &Capability, tag: Option<String>) -> Result<File, ReadError> {
        let FileCap::ChkVerifier(verifier) = cap.file() else {
            return Err(ReadError::Unsupported("this gateway does not read mutable files yet"));
        };
        let name = cap.to_string();
        let kept = self.open_files().get(&name).filter(|(_, since)| since.elapsed() < OPEN_FOR).cloned();
        let file = match kept {
            Some((file, _)) => file,
            None => {
                let file = Arc::new(ChkFile::open(verifier, (self.0.servers)()).await?);
                let mut open = self.open_files();
                if open.len() >= OPEN_FILES {
                    let oldest = open.iter().min_by_key(|(_, (_, since))| *since).map(|(name, _)| name.clone());
                    oldest.and_then(|name| open.remove(&name));
                }
                open.insert(name.clone(), (Arc::clone(&file), Instant::now()));
                file
            }
        };
        if tag.is_some_and(|tag| tag != file.etag()) {
            return Err(ReadError::OtherVersion);
        }
        Ok(File { file, name, files: self.clone() })
    }

    fn open_files(&self) -> MutexGuard<'_, HashMap<String, (Arc<ChkFile>, Instant)>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Files on {} servers", self.servers())
    }
}

impl File {
    /// How it is cut into units.
    pub fn layout(&self) -> UnitLayout {
        self.file.layout()
    }

    /// The name of its version.
    pub fn etag(&self) -> String {
        self.file.etag()
    }

    /// What a reader checks these units by; the file has them.
    pub async fn manifest(&self, units: Range<u64>) -> Result<Manifest, ReadError> {
        self.file.manifest(units).await.inspect_err(|_| self.forget())
    }

    /// These units in order, each verified. After an error nothing more comes.
    pub fn units(&self, range: Range<u64>) -> BoxStream<'static, Result<Unit, ReadError>> {
        let this = self.clone();
        let stream = units(Shared(Arc::clone(&self.file)), self.files.0.budget.clone(), range);
        stream
            .inspect(move |unit| {
                if unit.is_err() {
                    this.forget()
                }
            })
            .boxed()
    }

    /// What cannot be read is looked for anew by whoever asks next.
    fn forget(&self) {
        let mut open = self.files.open_files();
        if open.get(&self.name).is_some_and(|(file, _)| Arc::ptr_eq(file, &self.file)) {
            open.remove(&self.name);
        }
    }
}

/// A file for several readers.
struct Shared(Arc<ChkFile>);

impl Runs for Shared {
    fn layout(&self) -> UnitLayout {
        self.0.layout()
    }

    fn run_end(&self, from: u64) -> u64 {
        self.0.run_end(from)
    }

    fn read(&self, units: Range<u64>, held: Held) -> BoxFuture<'static, Result<Vec<Unit>, ReadError>> {
        Arc::clone(&self.0).read(units, held).boxed()
    }
}
