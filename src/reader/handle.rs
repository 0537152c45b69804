//! The handle that opens files and directories.

use crate::capability::FileCap;
use crate::clearing::{Purse, Quote};
use crate::clock::Clock;
use crate::config::{Home, Patience};
use crate::keys::GridId;
use crate::lafs::directory::{Directory, DirectoryError};
use crate::peer::{CallerIdentity, DialGuard, GatewayPlace};
use crate::reader::cap_path::CapPath;
use crate::reader::error::ReadError;
use crate::reader::floors::MutableFloors;
use crate::reader::gateway_source::GatewaySource;
use crate::reader::listing::{Entry, Listing};
use crate::reader::open_file::OpenFile;
use crate::reader::page_cache::PageCache;
use crate::reader::plan::page_units;
use crate::reader::source::{Page, Source};
use crate::reader::target::Target;
use crate::units::Bytes;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use unicode_normalization::UnicodeNormalization;

/// How long it is waited before each new attempt at a transfer that broke off. A unit that arrives gives all of them back.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(4)];

/// Opens what caps name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Box<dyn Source>,
    home_grid: GridId,
    floors: MutableFloors,
    pages: Mutex<PageCache>,
    pauses: &'static [Duration],
}

/// Where a path led.
#[derive(Debug, Clone)]
pub struct Found {
    /// What is there.
    pub target: Target,
    /// The child that it is of the last directory on the way; `None` where the path had no names.
    pub entry: Option<Entry>,
}

impl Reader {
    /// Reads through the home gateway at `place`, which is called when first something is read; bare caps live on its grid.
    /// A home that sends nothing for `patience` is left. Which versions of mutable files were seen is kept in `dir`. `purse` pays, and is closed by whoever opened it.
    pub fn through(
        place: GatewayPlace,
        me: CallerIdentity,
        dir: &Home,
        clock: Clock,
        guard: DialGuard,
        patience: Patience,
        purse: Option<Purse>,
    ) -> Self {
        let home_grid = place.grid;
        let source = GatewaySource::new(place, me, clock, guard, patience, purse);
        Self::over(Box::new(source), home_grid, dir.mutable_floors(), &PAUSES)
    }

    /// Reads from `source`; bare caps live on `home_grid`. Which versions of mutable files were seen is kept in `floors`.
    /// A transfer that breaks off without having brought anything is begun anew after each of the `pauses`.
    pub(super) fn over(
        source: Box<dyn Source>,
        home_grid: GridId,
        floors: PathBuf,
        pauses: &'static [Duration],
    ) -> Self {
        let floors = MutableFloors::new(floors);
        let shared = Shared { source, home_grid, floors, pages: Mutex::default(), pauses };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn pauses(&self) -> &'static [Duration] {
        self.shared.pauses
    }

    /// The grid on which bare caps live.
    pub fn home_grid(&self) -> &GridId {
        &self.shared.home_grid
    }

    /// The newest version of the content of `target`; a directory's is its encoded list. Dropping the future halfway is safe.
    pub async fn open(&self, target: &Target) -> Result<OpenFile, ReadError> {
        self.open_before(target, 0..0).await
    }

    /// The same for whoever reads the bytes `then` next, as far as the file has them: of a file that never changes they may be on
    /// their way by then. Dropping the future halfway is safe.
    pub async fn open_before(&self, target: &Target, then: Range<u64>) -> Result<OpenFile, ReadError> {
        if let FileCap::Literal(literal) = target.cap().file() {
            return Ok(OpenFile::literal(self.clone(), target.clone(), literal.content()));
        }
        // Of one that changes the version is asked for again by whoever reads.
        let then = (!target.cap().is_mutable() && !then.is_empty()).then_some(then);
        let page = self.page(target, 0, then).await?;
        Ok(OpenFile::remote(self.clone(), target.clone(), &*page))
    }

    /// What it will cost to read the content of `target` whole, once. A literal costs nothing, and nobody is asked.
    pub async fn quote(&self, target: &Target) -> Result<Quote, ReadError> {
        Ok(self.shared.source.quote(target).await?)
    }

    /// Whether what may be paid reaches for so many octets of `target`, in so many requests.
    pub(super) async fn affords(&self, target: &Target, octets: Bytes, requests: u64) -> Result<(), ReadError> {
        Ok(self.shared.source.affords(target, octets, requests).await?)
    }

    /// The children of a directory. Dropping the future halfway is safe.
    pub async fn list(&self, target: &Target) -> Result<Listing, ReadError> {
        if !target.is_directory() {
            return Err(ReadError::NotADirectory { name: None });
        }
        let file = self.open_before(target, 0..u64::MAX).await?;
        let (limit, found) = (Directory::MAX_BYTES, Bytes(file.size()));
        if found > limit {
            return Err(DirectoryError::TooLarge { limit, found }.into());
        }
        let content = file.read(0..found.0).collect_up_to(usize::try_from(limit.0).unwrap_or(usize::MAX)).await?;
        Ok(Listing::parse(&content, target)?)
    }

    /// Follows a path. Dropping the future halfway is safe.
    pub async fn walk(&self, path: &CapPath) -> Result<Found, ReadError> {
        let mut found = Found { target: path.target.clone(), entry: None };
        for name in &path.names {
            if !found.target.is_directory() {
                return Err(ReadError::NotADirectory { name: found.entry.map(|entry| entry.name) });
            }
            let mut children = self.list(&found.target).await?.entries;
            // Tahoe-LAFS compares names composed; a keyboard, a file system or another program may have taken them apart.
            let is_alike = |entry: &Entry| entry.name.nfc().eq(name.nfc());
            let meant = children.iter().position(|entry| entry.name == *name);
            let meant = meant.or_else(|| children.iter().position(is_alike));
            let entry = match meant {
                Some(meant) => children.swap_remove(meant),
                None => return Err(ReadError::NoChild { name: name.clone() }),
            };
            let target = match &entry.child {
                Ok(target) => target.clone(),
                Err(fault) => return Err(ReadError::Child { name: entry.name, fault: *fault }),
            };
            found = Found { target, entry: Some(entry) };
        }
        Ok(found)
    }

    /// The page of the newest version's manifest that begins at unit `first`. That of immutable content may be remembered. `then`
    /// are the bytes that are read next.
    pub(super) async fn page(
        &self,
        target: &Target,
        first: u64,
        then: Option<Range<u64>>,
    ) -> Result<Arc<dyn Page>, ReadError> {
        let key = (target.digest(), first);
        let mutable = target.cap().is_mutable();
        if !mutable && let Some(page) = self.pages().of(&key) {
            return Ok(page);
        }
        let page = self.shared.source.page(target, first..first.saturating_add(page_units(mutable)), then).await?;
        match page.sequence() {
            Some(sequence) => {
                let (shared, target) = (Arc::clone(&self.shared), target.clone());
                // It may wait for the disk.
                let raised = tokio::task::spawn_blocking(move || shared.floors.raise(&target, sequence));
                raised.await.expect("raising a floor does not panic")?;
            }
            None => self.pages().put(key, Arc::clone(&page)),
        }
        Ok(page)
    }

    fn pages(&self) -> MutexGuard<'_, PageCache> {
        // A cache is as good after a panic as before.
        self.shared.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
