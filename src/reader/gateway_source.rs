//! The home gateway as a source: the one that is used. It is called when first something is read, and not before.

use crate::causes::chain;
use crate::clearing::{Purse, Quote, QuoteError};
use crate::clock::Clock;
use crate::config::Patience;
use crate::keys::PublicKey;
use crate::lafs::manifest::{Manifest, UnitCipher};
use crate::peer::{
    CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Payer, PeerError, RefusalCode, WelcomedAs, keep_heap,
};
use crate::reader::source::{Page, Source, SourceError};
use crate::reader::target::Target;
use crate::reader::trouble::Trouble;
use crate::session::NoClient;
use crate::units::Bytes as Octets;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use hyper::body::Bytes;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The status of a price beyond what may be paid.
const PAYMENT_REQUIRED: u16 = 402;

/// How a home gateway is called, and the session once it is open.
pub(super) struct GatewaySource {
    place: GatewayPlace,
    me: CallerIdentity,
    clock: Clock,
    guard: DialGuard,
    patience: Patience,
    /// Pays; none where nothing is to be paid nor counted.
    purse: Option<Purse>,
    /// Held while a session is opened, so that others wait for it instead of opening theirs.
    client: Mutex<Option<GatewayClient>>,
}

impl GatewaySource {
    pub(super) fn new(
        place: GatewayPlace,
        me: CallerIdentity,
        clock: Clock,
        guard: DialGuard,
        patience: Patience,
        purse: Option<Purse>,
    ) -> Self {
        keep_heap();
        Self { place, me, clock, guard, patience, purse, client: Mutex::default() }
    }

    fn payer(&self) -> Option<Arc<dyn Payer>> {
        self.purse.clone().map(|purse| Arc::new(purse) as Arc<dyn Payer>)
    }

    async fn client(&self) -> Result<GatewayClient, SourceError> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let (place, me) = (self.place.clone(), self.me.clone());
        let opened = GatewayClient::connect(place, me, self.clock, self.guard.clone(), self.patience).await?;
        if opened.welcome().caller == WelcomedAs::Pending {
            // Not kept: the operator may add the key at any moment.
            return Err(no_client(opened.welcome().reason, &opened.key()));
        }
        Ok(client.insert(opened).clone())
    }
}

impl fmt::Debug for GatewaySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewaySource").field("place", &self.place).field("me", &self.me).finish_non_exhaustive()
    }
}

impl Source for GatewaySource {
    fn page<'a>(
        &'a self,
        target: &'a Target,
        units: Range<u64>,
        then: Option<Range<u64>>,
    ) -> BoxFuture<'a, Result<Arc<dyn Page>, SourceError>> {
        async move {
            let client = self.client().await?;
            let (grid, cap, payer) = (target.grid(), target.cap(), self.payer());
            let manifest = client.manifest_before(grid, cap, units, then, payer.as_deref()).await?;
            let cipher = manifest
                .decryptor(target.cap())
                .map_err(|error| SourceError::new(Trouble::Integrity, error.to_string()))?;
            let (cipher, etag) = (Arc::new(cipher), manifest.etag());
            let manifest = Arc::new(manifest);
            let page = GatewayPage { client, target: target.clone(), manifest, cipher, etag, payer };
            Ok(Arc::new(page) as Arc<dyn Page>)
        }
        .boxed()
    }

    fn affords<'a>(
        &'a self,
        target: &'a Target,
        octets: Octets,
        requests: u64,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            let Some(purse) = &self.purse else { return Ok(()) };
            let client = self.client().await?;
            Ok(purse.affords(&client, target.grid(), octets, requests).await?)
        }
        .boxed()
    }

    fn quote<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Quote, SourceError>> {
        async move {
            let client = self.client().await?;
            Quote::ask(&client, target.grid(), target.cap()).await.map_err(|error| match error {
                QuoteError::Peer(error) => error.into(),
                QuoteError::Form => SourceError::new(Trouble::Failed, error.to_string()),
                QuoteError::Unsigned => SourceError::new(Trouble::Integrity, error.to_string()),
            })
        }
        .boxed()
    }
}

struct GatewayPage {
    client: GatewayClient,
    target: Target,
    manifest: Arc<Manifest>,
    cipher: Arc<UnitCipher>,
    etag: String,
    payer: Option<Arc<dyn Payer>>,
}

impl fmt::Debug for GatewayPage {
    /// Without what decrypts it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayPage").field("target", &self.target).field("etag", &self.etag).finish_non_exhaustive()
    }
}

impl Page for GatewayPage {
    fn size(&self) -> u64 {
        self.manifest.layout().size.0
    }

    fn unit(&self) -> u64 {
        self.manifest.layout().unit.0
    }

    fn etag(&self) -> &str {
        &self.etag
    }

    fn sequence(&self) -> Option<u64> {
        match &*self.manifest {
            Manifest::Chk(_) => None,
            Manifest::Mutable(manifest) => Some(manifest.claim().prefix().version().sequence),
        }
    }

    fn units(self: Arc<Self>, units: Range<u64>) -> BoxStream<'static, Result<Bytes, SourceError>> {
        let by = (Arc::clone(&self.manifest), Arc::clone(&self.cipher));
        let plaintext = self.client.plaintext(self.target.grid(), self.target.cap(), by, units, self.payer.clone());
        match plaintext {
            Err(error) => stream::iter([Err(error.into())]).boxed(),
            // Each was verified by the manifest before it came here.
            Ok(plaintext) => plaintext.map(|unit| Ok(unit?.1)).boxed(),
        }
    }
}

fn no_client(reason: NoClient, key: &PublicKey) -> SourceError {
    let detail = format!("the home gateway {}", reason.deed());
    SourceError { hint: Some(reason.hint(key)), ..SourceError::new(Trouble::Refused, detail) }
}

impl From<PeerError> for SourceError {
    fn from(error: PeerError) -> Self {
        let refusal = error.refusal();
        let priced = refusal.is_some_and(|refusal| refusal.status == PAYMENT_REQUIRED);
        let trouble = match error.code() {
            _ if matches!(error, PeerError::Price { .. }) => Trouble::Price,
            RefusalCode::ForeignRefused if priced => Trouble::ForeignPrice,
            _ if priced => Trouble::Price,
            RefusalCode::Malformed => Trouble::Malformed,
            RefusalCode::NotFound => Trouble::NotFound,
            RefusalCode::Refused => Trouble::Refused,
            RefusalCode::ForeignRefused => Trouble::ForeignRefused,
            RefusalCode::TooFewShares => Trouble::TooFewShares,
            RefusalCode::Integrity => Trouble::Integrity,
            RefusalCode::Unreachable => Trouble::Unreachable,
            RefusalCode::Expired => Trouble::Expired,
            RefusalCode::Withdrawn => Trouble::Withdrawn,
            RefusalCode::Moved => Trouble::Moved,
            RefusalCode::LaneClosed => Trouble::Unreachable,
            RefusalCode::Failed => Trouble::Failed,
        };
        let detail = match refusal {
            // In its own words.
            Some(refusal) if !refusal.detail.is_empty() => format!("the home gateway says: {}", refusal.detail),
            _ if matches!(error, PeerError::Price { .. }) => error.to_string(),
            _ => format!("the home gateway: {}", chain(&error)),
        };
        let hint = match (&error, refusal) {
            (PeerError::Price { .. }, _) => Some(
                "`clearinghouse quote CAP` says what it costs in all, and `--max-price AMOUNT` pays up to so much"
                    .to_owned(),
            ),
            (_, Some(refusal)) => refusal.hint.clone(),
            (PeerError::WrongKey { .. } | PeerError::OtherGrid { .. }, _) => Some(
                "ask its operator for the address that `clearinghouse gateway url` prints there, and join again"
                    .to_owned(),
            ),
            _ => None,
        };
        Self { trouble, detail, hint, offers: refusal.and_then(|refusal| refusal.offers.clone()) }
    }
}
