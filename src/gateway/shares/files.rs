//! The files of our own grid.

use crate::capability::{Capability, FileCap};
use crate::gateway::shares::budget::{Budget, Held};
use crate::gateway::shares::chk::ChkFile;
use crate::gateway::shares::error::ReadError;
use crate::gateway::shares::mutable::MutableFile;
use crate::gateway::shares::server::{Servers, ShareServer};
use crate::gateway::shares::stream::{Runs, units};
use crate::gateway::unit::Unit;
use crate::grid::Grid;
use crate::lafs::manifest::{Manifest, UnitLayout};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, try_unfold};
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
    open: Mutex<HashMap<String, (Kind, Instant)>>,
}

/// A file of either kind.
#[derive(Clone)]
enum Kind {
    Chk(Arc<ChkFile>),
    Mutable(Arc<MutableFile>),
}

/// One file, open.
#[derive(Clone)]
pub struct File {
    kind: Kind,
    name: String,
    cap: Capability,
    files: Files,
    /// Whether it was open already, so that its shares may have been found minutes ago.
    kept: bool,
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

    /// Opens the file of a verify cap, in the version that `tag` names; without one, of a mutable file the newest.
    pub async fn open(&self, cap: &Capability, tag: Option<String>) -> Result<File, ReadError> {
        let kept = |name: &str| {
            let open = self.open_files();
            open.get(name).filter(|(_, since)| since.elapsed() < OPEN_FOR).map(|(kind, _)| kind.clone())
        };
        let servers = || (self.0.servers)();
        // A version of a mutable file that is asked for by name may be kept; the newest is asked for anew.
        let named = |tag: &str| format!("{cap} {tag}");
        let open = match (cap.file(), &tag) {
            (FileCap::MutableVerifier(_), tag) => tag.as_ref().and_then(|tag| kept(&named(tag))),
            _ => kept(&cap.to_string()),
        };
        let was_open = open.is_some();
        let kind = match (open, cap.file()) {
            (Some(kind), _) => kind,
            (None, FileCap::ChkVerifier(verifier)) => Kind::Chk(Arc::new(ChkFile::open(verifier, servers()).await?)),
            (None, FileCap::MutableVerifier(verifier)) => {
                let opened = match MutableFile::open(verifier, tag.as_deref(), servers()).await {
                    // Whoever failed at that moment is asked once more: it may just have come back.
                    Err(ReadError::TooFewShares { .. }) if tag.is_none() => {
                        MutableFile::open(verifier, None, servers()).await
                    }
                    opened => opened,
                };
                Kind::Mutable(Arc::new(opened?))
            }
            (None, _) => return Err(ReadError::NoVerifyCap),
        };
        let name = match &kind {
            Kind::Chk(_) => cap.to_string(),
            Kind::Mutable(file) => named(&file.etag()),
        };
        if tag.is_some_and(|tag| tag != kind.etag()) {
            return Err(ReadError::OtherVersion);
        }
        let mut open = self.open_files();
        if open.len() >= OPEN_FILES && !open.contains_key(&name) {
            let oldest = open.iter().min_by_key(|(_, (_, since))| *since).map(|(name, _)| name.clone());
            oldest.and_then(|name| open.remove(&name));
        }
        let entry = open.entry(name.clone()).or_insert_with(|| (kind.clone(), Instant::now()));
        if entry.1.elapsed() >= OPEN_FOR {
            *entry = (kind.clone(), Instant::now());
        }
        // One that is kept knows more of the same version, and the one that was found now where its shares are now.
        entry.0.learn(&kind);
        let kept = was_open || !entry.0.is(&kind);
        let kind = entry.0.clone();
        drop(open);
        Ok(File { kind, name, cap: cap.clone(), files: self.clone(), kept })
    }

    fn open_files(&self) -> MutexGuard<'_, HashMap<String, (Kind, Instant)>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    fn etag(&self) -> String {
        match self {
            Self::Chk(file) => file.etag(),
            Self::Mutable(file) => file.etag(),
        }
    }

    fn learn(&self, found: &Self) {
        if let (Self::Mutable(file), Self::Mutable(found)) = (self, found)
            && !Arc::ptr_eq(file, found)
        {
            file.learn(found);
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Chk(one), Self::Chk(other)) => Arc::ptr_eq(one, other),
            (Self::Mutable(one), Self::Mutable(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
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
        self.kind.layout()
    }

    /// The name of its version.
    pub fn etag(&self) -> String {
        self.kind.etag()
    }

    /// What a reader checks these units by; the file has them.
    pub async fn manifest(&self, units: Range<u64>) -> Result<Manifest, ReadError> {
        match self.manifest_here(units.clone()).await {
            Err(error) if self.kept => self.anew(error).await?.manifest_here(units).await,
            manifest => manifest,
        }
    }

    async fn manifest_here(&self, units: Range<u64>) -> Result<Manifest, ReadError> {
        let manifest = match &self.kind {
            Kind::Chk(file) => file.manifest(units).await,
            Kind::Mutable(file) => file.manifest(units).await,
        };
        manifest.inspect_err(|_| self.forget())
    }

    /// These units in order, each verified. After an error nothing more comes.
    pub fn units(&self, range: Range<u64>) -> BoxStream<'static, Result<Unit, ReadError>> {
        let searched_at = (!self.kept).then_some(range.start);
        let reading = Reading { coming: self.units_here(range.clone()), file: self.clone(), left: range, searched_at };
        try_unfold(reading, |mut reading| async {
            let unit = reading.next().await?;
            Ok(unit.map(|unit| (unit, reading)))
        })
        .boxed()
    }

    fn units_here(&self, range: Range<u64>) -> BoxStream<'static, Result<Unit, ReadError>> {
        units(self.kind.clone(), self.files.0.budget.clone(), range).boxed()
    }

    /// The same version, its shares looked for anew, now that too few of those that were found can be read.
    async fn anew(&self, error: ReadError) -> Result<Self, ReadError> {
        self.forget();
        match error {
            ReadError::TooFewShares { .. } => self.files.open(&self.cap, Some(self.etag())).await,
            error => Err(error),
        }
    }

    /// What cannot be read is looked for anew by whoever asks next.
    fn forget(&self) {
        let mut open = self.files.open_files();
        if open.get(&self.name).is_some_and(|(kind, _)| kind.is(&self.kind)) {
            open.remove(&self.name);
        }
    }
}

/// Units that are handed on. Servers go and others come while a file is open: before too few shares are an answer, all servers are
/// asked once more which they have.
struct Reading {
    file: File,
    coming: BoxStream<'static, Result<Unit, ReadError>>,
    /// What is still to come.
    left: Range<u64>,
    /// Where in the file the shares were looked for last: without a unit since then, it would be in vain.
    searched_at: Option<u64>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Unit>, ReadError> {
        loop {
            match self.coming.next().await {
                Some(Ok(unit)) => {
                    self.left.start = unit.index + 1;
                    return Ok(Some(unit));
                }
                None => return Ok(None),
                Some(Err(error)) if self.searched_at == Some(self.left.start) => {
                    self.file.forget();
                    return Err(error);
                }
                Some(Err(error)) => self.file = self.file.anew(error).await?,
            }
            self.searched_at = Some(self.left.start);
            self.coming = self.file.units_here(self.left.clone());
        }
    }
}

impl Runs for Kind {
    fn layout(&self) -> UnitLayout {
        match self {
            Self::Chk(file) => file.layout(),
            Self::Mutable(file) => file.layout(),
        }
    }

    fn run_end(&self, from: u64) -> u64 {
        match self {
            Self::Chk(file) => file.run_end(from),
            Self::Mutable(_) => u64::MAX,
        }
    }

    fn read(&self, units: Range<u64>, held: Held) -> BoxFuture<'static, Result<Vec<Unit>, ReadError>> {
        match self {
            Self::Chk(file) => Arc::clone(file).read(units, held).boxed(),
            Self::Mutable(file) => Arc::clone(file).read(units, held).boxed(),
        }
    }
}
