//! Other grids' files, fetched for our own clients: their gateways, the sessions with them, and what they hand over, verified.

use crate::capability::Capability;
use crate::clearing::Purse;
use crate::clock::Clock;
use crate::gateway::refusals::{peer_refusal, resolve_refusal};
use crate::gateway::serve::{Code, Refusal};
use crate::gateway::traffic::{Counterparty, Traffic, Way};
use crate::gateway::unit::Unit;
use crate::keys::{GridId, PublicKey};
use crate::lafs::manifest::{MAX_UNITS, Manifest, UnitLayout};
use crate::ledger::UsageLine;
use crate::metrics::Metrics;
use crate::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, Payer, PeerError};
use crate::record::{GatewayAddress, GridRecord, Roles};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question, ResolveError, Resolver};
use crate::units::Bytes as Octets;
use axum::http::StatusCode;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many grids a session is kept open with.
const OPEN_GRIDS: usize = 64;
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
    sessions: Mutex<HashMap<GridId, Session>>,
    manifests: Mutex<HashMap<(GridId, String), Kept>>,
}

/// A session with a gateway that a record named.
#[derive(Clone)]
struct Session {
    place: GatewayPlace,
    client: GatewayClient,
    used: Instant,
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
        Self(Arc::new(Inner { parts, sessions: Mutex::default(), manifests: Mutex::default() }))
    }

    /// Opens the file of a verify cap on `grid`, in the version that `tag` names, if it names one. Of the manifest, what it says
    /// of the `units` comes at once. What it costs is counted for `reader`.
    pub(super) async fn open(
        &self,
        grid: &GridId,
        cap: &Capability,
        tag: Option<String>,
        units: Range<u64>,
        reader: PublicKey,
    ) -> Result<AwayFile, AwayError> {
        let (client, grid) = self.session(grid).await?;
        let payer = self.0.parts.purse.on_behalf_of(reader);
        let name = (grid, cap.to_string());
        let is_it = |manifest: &Manifest| tag.as_ref().is_none_or(|tag| *tag == manifest.etag());
        let kept = self.manifests().get(&name).filter(|kept| kept.since.elapsed() < KEPT_FOR).cloned();
        // Of a mutable file there may be a newer version, unless one is asked for by name.
        let kept = kept.filter(|kept| is_it(&kept.manifest) && (tag.is_some() || !cap.is_mutable()));
        let first = match kept {
            Some(kept) => kept.manifest,
            None => {
                let manifest = Arc::new(self.fetch_manifest(&client, &grid, cap, units, &*payer).await?);
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

    /// What was verified for our clients and is not vouched for yet.
    pub(super) fn not_in_the_books(&self) -> Vec<UsageLine> {
        self.0.parts.purse.not_in_the_books()
    }

    /// A session with a gateway of `grid`, or of the grid that it has become.
    async fn session(&self, grid: &GridId) -> Result<(GatewayClient, GridId), AwayError> {
        let question = Question { grid: *grid, policy: Policy::Fast, deadline: DEFAULT_DEADLINE };
        let record = self.0.parts.resolver.resolve(question).await?.record;
        let grid = *record.grid();
        let places = places(&record);
        let kept = self.sessions().get(&grid).filter(|session| places.contains(&session.place)).cloned();
        if let Some(session) = kept {
            self.keep(grid, Session { used: Instant::now(), ..session.clone() });
            return Ok((session.client, grid));
        }
        let mut failure = AwayError::NoGateway { grid };
        for place in places {
            let Inner { parts, .. } = &*self.0;
            let client = GatewayClient::connect(place.clone(), parts.me.clone(), parts.clock, parts.guard.clone());
            match client.await {
                Ok(client) => {
                    self.keep(grid, Session { place, client: client.clone(), used: Instant::now() });
                    return Ok((client, grid));
                }
                // Of several failures the first one is told: the others are second choices.
                Err(error) if matches!(failure, AwayError::NoGateway { .. }) => failure = error.into(),
                Err(_) => {}
            }
        }
        Err(failure)
    }

    fn keep(&self, grid: GridId, session: Session) {
        let mut sessions = self.sessions();
        if sessions.len() >= OPEN_GRIDS && !sessions.contains_key(&grid) {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used).map(|(grid, _)| *grid);
            oldest.and_then(|grid| sessions.remove(&grid));
        }
        sessions.insert(grid, session);
    }

    async fn fetch_manifest(
        &self,
        client: &GatewayClient,
        grid: &GridId,
        cap: &Capability,
        units: Range<u64>,
        payer: &dyn Payer,
    ) -> Result<Manifest, PeerError> {
        let manifest = client.manifest(grid, cap, units.start, units.end - units.start, Some(payer)).await?;
        self.received(grid, Octets(manifest.encode().len() as u64));
        Ok(manifest)
    }

    fn received(&self, grid: &GridId, octets: Octets) {
        let parts = &self.0.parts;
        parts.traffic.count(&Counterparty::Grid(*grid), Way::Received, octets, parts.clock.now());
        parts.metrics.exchanged("grid", "received", octets);
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<GridId, Session>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The gateways that a record says serve, in its order.
fn places(record: &GridRecord) -> Vec<GatewayPlace> {
    let serves = record.gateways().iter().filter(|gateway| gateway.roles().any_of(Roles::SERVE));
    let nurls = serves.filter_map(|gateway| match gateway.address() {
        Some(GatewayAddress::Nurl(nurl)) => Some(nurl.clone()),
        Some(GatewayAddress::Furl(_)) | None => None,
    });
    nurls.map(|nurl| GatewayPlace { nurl, grid: *record.grid(), named: Named::ByOthers }).collect()
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

    /// What a reader checks these units by.
    pub(super) async fn manifest(&self, units: Range<u64>) -> Result<Arc<Manifest>, AwayError> {
        if self.first.units() == units {
            return Ok(Arc::clone(&self.first));
        }
        let manifest = self.away.fetch_manifest(&self.client, &self.grid, &self.cap, units, &*self.payer).await?;
        if manifest.etag() != self.etag() {
            return Err(AwayError::OtherVersion);
        }
        Ok(Arc::new(manifest))
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
        let manifest = if covered { Arc::clone(&self.first) } else { self.manifest(units.clone()).await? };
        let stream = self.client.units(&self.grid, &self.cap, manifest, units, Some(self.payer.clone()))?;
        let (away, grid) = (self.away, self.grid);
        Ok(stream.map(move |unit| {
            let (index, octets) = unit?;
            away.received(&grid, Octets(octets.len() as u64));
            Ok(Unit { index, pieces: vec![octets] })
        }))
    }
}
