//! Other grids' files, fetched for our own clients: their gateways, the sessions with them, and what they hand over, verified.

use crate::capability::Capability;
use crate::clearing::Purse;
use crate::clock::Clock;
use crate::config::Patience;
use crate::gateway::refusals::{peer_refusal, resolve_refusal};
use crate::gateway::serve::{Code, Refusal};
use crate::gateway::sessions::{Sessions, Tried};
use crate::gateway::traffic::{Counterparty, Traffic, Way};
use crate::gateway::unit::Unit;
use crate::keys::{GridId, PublicKey};
use crate::lafs::manifest::{MAX_UNITS, Manifest, UnitLayout};
use crate::ledger::UsageLine;
use crate::metrics::Metrics;
use crate::peer::{CallerIdentity, DialGuard, FreeOnly, GatewayClient, Payer, PeerError, Units};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question, ResolveError, Resolver};
use crate::units::Bytes as Octets;
use axum::http::StatusCode;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many manifests are kept for the ciphertext that is asked for next.
const KEPT_MANIFESTS: usize = 64;
/// How many units of a mutable file's manifest are asked for at once: 32 MiB as Tahoe-LAFS cuts them, as a reader does.
const MUTABLE_PAGE_UNITS: u64 = 256;
/// How long.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Fetches from other grids. Cheap to clone.
#[derive(Clone)]
pub struct Away(Arc<Inner>);

/// What fetching from other grids needs.
pub struct AwayParts {
    /// In whose name: our own grid's, with the gateway's key.
    pub me: CallerIdentity,
    /// Finds the other grids' records.
    pub resolver: Resolver,
    /// Dials.
    pub guard: DialGuard,
    /// How long another grid's gateway may send nothing.
    pub patience: Patience,
    /// Pays.
    pub purse: Purse,
    /// Counts.
    pub traffic: Traffic,
    /// The figures.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
}

struct Inner {
    parts: AwayParts,
    sessions: Sessions,
    manifests: Mutex<HashMap<(GridId, String), Kept>>,
}

#[derive(Clone)]
struct Kept {
    manifest: Arc<Manifest>,
    since: Instant,
}

/// A file of another grid, in one version.
#[derive(Clone)]
pub(super) struct AwayFile {
    away: Away,
    client: GatewayClient,
    grid: GridId,
    cap: Capability,
    first: Arc<Manifest>,
    payer: Arc<dyn Payer>,
}

/// Why another grid's file is not had.
#[derive(Debug, thiserror::Error)]
pub(super) enum AwayError {
    /// Its record is not found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Its gateway does not give it.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Its record names no gateway that could be asked.
    #[error("the record of {grid} names no gateway that serves")]
    NoGateway {
        /// The grid.
        grid: GridId,
    },
    /// Another version of a mutable file than the one asked for.
    #[error("the version that is asked for is not there any more")]
    OtherVersion,
}

impl AwayError {
    /// How many octets a manifest has that was wanted within less.
    pub(super) fn longer(&self) -> Option<Octets> {
        match self {
            Self::Peer(error) => error.longer(),
            _ => None,
        }
    }

    /// How it is told.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Resolve(error) => resolve_refusal(error),
            Self::Peer(error) => peer_refusal(error),
            Self::NoGateway { .. } => Refusal::because(StatusCode::BAD_GATEWAY, Code::Unreachable, self)
                .hint("its operators have to open a gateway"),
            Self::OtherVersion => Refusal::because(StatusCode::PRECONDITION_FAILED, Code::NotFound, self),
        }
    }
}

impl Away {
    /// Nothing open yet.
    pub fn new(parts: AwayParts) -> Self {
        let sessions = Sessions::new(parts.me.clone(), parts.guard.clone(), parts.clock, parts.patience);
        Self(Arc::new(Inner { parts, sessions, manifests: Mutex::default() }))
    }

    /// Opens the file of a verify cap on `grid`, in the version that `tag` names, if it names one. Of the manifest, what it says
    /// of the `units` comes at once, if it has no more than `most` octets where that is said. What it costs is counted for `reader`.
    pub(super) async fn open(
        &self,
        grid: &GridId,
        cap: &Capability,
        tag: Option<String>,
        (units, most): (Range<u64>, Option<Octets>),
        reader: PublicKey,
    ) -> Result<AwayFile, AwayError> {
        let (mut client, grid) = self.session(grid, &mut Tried::default()).await?;
        let payer = self.0.parts.purse.on_behalf_of(reader);
        let name = (grid, cap.to_string());
        let is_it = |manifest: &Manifest| tag.as_ref().is_none_or(|tag| *tag == manifest.etag());
        let kept = self.manifests().get(&name).filter(|kept| kept.since.elapsed() < KEPT_FOR).cloned();
        // Of a mutable file there may be a newer version, unless one is asked for by name.
        let kept = kept.filter(|kept| is_it(&kept.manifest) && (tag.is_some() || !cap.is_mutable()));
        let first = match kept {
            Some(kept) => kept.manifest,
            None => {
                let manifest;
                (client, manifest) = self.fetch_manifest(client, &grid, cap, (units, most), &*payer).await?;
                let manifest = Arc::new(manifest);
                let mut kept = self.manifests();
                kept.retain(|_, kept| kept.since.elapsed() < KEPT_FOR);
                if kept.len() < KEPT_MANIFESTS {
                    kept.insert(name, Kept { manifest: Arc::clone(&manifest), since: Instant::now() });
                }
                manifest
            }
        };
        if !is_it(&first) {
            return Err(AwayError::OtherVersion);
        }
        Ok(AwayFile { away: self.clone(), client, grid, cap: cap.clone(), first, payer })
    }

    /// Has what was read of `grid` vouched for now: whoever it was read for is done.
    pub(super) fn vouch(&self, grid: &GridId) {
        self.0.parts.purse.vouch(grid);
    }

    /// What was verified for our clients and is not vouched for yet.
    pub(super) fn not_in_the_books(&self) -> Vec<UsageLine> {
        self.0.parts.purse.not_in_the_books()
    }

    /// How a file that was read lately is cut; nobody is asked.
    pub(super) fn layout_of(&self, grid: &GridId, cap: &Capability) -> Option<UnitLayout> {
        let kept = self.manifests();
        let kept = kept.get(&(*grid, cap.to_string())).filter(|kept| kept.since.elapsed() < KEPT_FOR)?;
        Some(kept.manifest.layout())
    }

    /// A session with a gateway of `grid`, or of the grid that it has become, that is none of `tried`.
    async fn session(&self, grid: &GridId, tried: &mut Tried) -> Result<(GatewayClient, GridId), AwayError> {
        let question = Question { grid: *grid, policy: Policy::Fast, deadline: DEFAULT_DEADLINE };
        let record = self.0.parts.resolver.resolve(question).await?.record;
        let grid = *record.grid();
        match self.0.sessions.with_one_of(&record, tried).await {
            Ok(client) => Ok((client, grid)),
            Err(failure) => Err(failure.map_or(AwayError::NoGateway { grid }, AwayError::from)),
        }
    }

    /// Leaves a gateway that failed, so that another one of its grid is tried; what is no fault of its own is the answer.
    fn leave(&self, client: &GatewayClient, error: PeerError, tried: &mut Tried) -> Result<(), AwayError> {
        if !error.is_of_that_gateway() {
            return Err(tried.first_failure(error).into());
        }
        self.0.sessions.leave(client.place().clone(), error, tried);
        Ok(())
    }

    /// What a manifest says of `units`, and the gateway that gave it: `client`, or another one where that fails.
    async fn fetch_manifest(
        &self,
        mut client: GatewayClient,
        grid: &GridId,
        cap: &Capability,
        (units, most): (Range<u64>, Option<Octets>),
        payer: &dyn Payer,
    ) -> Result<(GatewayClient, Manifest), AwayError> {
        let mut tried = Tried::default();
        loop {
            let manifest = match most {
                Some(most) => client.manifest_within(grid, cap, units.clone(), most, Some(payer)).await,
                None => client.manifest(grid, cap, units.start, units.end - units.start, Some(payer)).await,
            };
            match manifest {
                Ok(manifest) => {
                    self.received(grid, Octets(manifest.encode().len() as u64));
                    return Ok((client, manifest));
                }
                Err(error) => self.leave(&client, error, &mut tried)?,
            }
            (client, _) = self.session(grid, &mut tried).await?;
        }
    }

    fn received(&self, grid: &GridId, octets: Octets) {
        let parts = &self.0.parts;
        parts.traffic.count(&Counterparty::Grid(*grid), Way::Received, octets, parts.clock.now());
        parts.metrics.exchanged("grid", "received", octets);
    }

    fn manifests(&self) -> std::sync::MutexGuard<'_, HashMap<(GridId, String), Kept>> {
        self.0.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of a manifest is asked for at a time where nobody says how much. What a mutable file's says of a unit costs the
/// other gateway the reading of a block.
pub(super) fn page_units(cap: &Capability) -> u64 {
    if cap.is_mutable() { MUTABLE_PAGE_UNITS } else { MAX_UNITS }
}

impl AwayFile {
    /// How it is cut into units.
    pub(super) fn layout(&self) -> UnitLayout {
        self.first.layout()
    }

    /// The name of its version.
    pub(super) fn etag(&self) -> String {
        self.first.etag()
    }

    /// Whether the manifest that came first says of this unit what it is checked by.
    pub(super) fn covers(&self, unit: u64) -> bool {
        self.first.covers(unit)
    }

    /// How many octets what verifies these units has at most, in as many pages as it comes in.
    pub(super) fn manifest_at_most(&self, units: &Range<u64>) -> Octets {
        let page = page_units(&self.cap);
        let pages = units.end.div_ceil(page).saturating_sub(units.start / page);
        Octets(pages.saturating_mul(self.first.at_most((units.end - units.start).min(page))))
    }

    /// The same file, of which nothing is read that has a price.
    pub(super) fn free(&self) -> Self {
        Self { payer: Arc::new(FreeOnly(Arc::clone(&self.payer))), ..self.clone() }
    }

    /// What a reader checks these units by.
    pub(super) async fn manifest(&self, units: Range<u64>) -> Result<Arc<Manifest>, AwayError> {
        Ok(self.clone().covering(units).await?.1)
    }

    /// The manifest of these units, and this file at the gateway that gave it.
    async fn covering(mut self, units: Range<u64>) -> Result<(Self, Arc<Manifest>), AwayError> {
        if self.first.units() == units {
            let manifest = Arc::clone(&self.first);
            return Ok((self, manifest));
        }
        let (client, manifest) =
            self.away.fetch_manifest(self.client, &self.grid, &self.cap, (units, None), &*self.payer).await?;
        self.client = client;
        if manifest.etag() != self.etag() {
            return Err(AwayError::OtherVersion);
        }
        Ok((self, Arc::new(manifest)))
    }

    /// These units in order, each verified by the manifest before it is handed on.
    pub(super) fn units(&self, units: Range<u64>) -> BoxStream<'static, Result<Unit, AwayError>> {
        let this = self.clone();
        let size = page_units(&self.cap);
        let pages = units.start / size..units.end.div_ceil(size);
        let pages = futures::stream::iter(pages)
            .map(move |page| (page * size).max(units.start)..((page + 1) * size).min(units.end));
        let streams = pages.then(move |page| {
            let this = this.clone();
            async move { this.page(page).await }
        });
        streams.try_flatten().boxed()
    }

    /// Units that one manifest covers.
    async fn page(
        self,
        units: Range<u64>,
    ) -> Result<impl futures::Stream<Item = Result<Unit, AwayError>> + Send + 'static, AwayError> {
        let covered = units.clone().all(|unit| self.first.covers(unit));
        let (file, manifest) = match covered {
            true => {
                let manifest = Arc::clone(&self.first);
                (self, manifest)
            }
            false => self.covering(units.clone()).await?,
        };
        let page = AwayPage { file, manifest, left: units, coming: None, tried: Tried::default() };
        Ok(futures::stream::try_unfold(page, |mut page| async {
            let unit = page.next().await?;
            Ok(unit.map(|unit| (unit, page)))
        }))
    }
}

/// Units that one manifest covers, as they come. A gateway that goes silent, dies or lies in their midst is left, and another
/// one of its grid goes on from there.
struct AwayPage {
    file: AwayFile,
    manifest: Arc<Manifest>,
    left: Range<u64>,
    coming: Option<Units>,
    tried: Tried,
}

impl AwayPage {
    async fn next(&mut self) -> Result<Option<Unit>, AwayError> {
        loop {
            let AwayFile { away, client, grid, cap, payer, .. } = &self.file;
            let coming = match &mut self.coming {
                Some(coming) => coming,
                None if self.left.is_empty() => return Ok(None),
                None => {
                    let manifest = Arc::clone(&self.manifest);
                    let units = client.units(grid, cap, manifest, self.left.clone(), Some(Arc::clone(payer)))?;
                    self.coming.insert(units)
                }
            };
            let error = match coming.next().await {
                Some(Ok((index, octets))) => {
                    away.received(grid, Octets(octets.len() as u64));
                    self.left.start = index + 1;
                    return Ok(Some(Unit { index, pieces: vec![octets] }));
                }
                // What comes behind the last unit is looked at, and takes nothing back.
                Some(Err(_)) if self.left.is_empty() => return Ok(None),
                None => return Ok(None),
                Some(Err(error)) => error,
            };
            self.coming = None;
            away.leave(client, error, &mut self.tried)?;
            (self.file.client, _) = away.session(grid, &mut self.tried).await?;
        }
    }
}
