//! A grid that takes what it can get and vouches for nothing, on one connection after the other.

use crate::calls::grids::Grids;
use crate::calls::scenario::Reconnected;
use crate::calls::stage::{CallStage, Seen};
use crate::play::AnyError;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use hyper::Method;
use lafs_clearinghouse::capability::{Capability, ForeignCap};
use lafs_clearinghouse::clearing::{
    LaneAgreed, LaneOffer, LaneOpened, LaneProposed, MAX_ANSWER_BYTES, Octets, lane_text,
};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::lafs::manifest::{MAX_UNITS, Manifest};
use lafs_clearinghouse::peer::{Came, GatewayClient, PaidRequest, Payer, PeerError, Purchase};
use lafs_clearinghouse::tariff::lane::LaneSecret;
use lafs_clearinghouse::tariff::wire::{LaneId, LaneOpen, LaneProposal};
use lafs_clearinghouse::units::Bytes;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

const MIB: u64 = 1 << 20;
/// What is written off of a known party in a day, beside a hundredth of what it vouched for.
const WRITTEN_OFF: u64 = 16 * MIB;
/// How long nothing may come before a connection is given up.
const NOTHING_COMES: Duration = Duration::from_millis(700);
/// After how many connections without a unit the taker gives up. A manifest, which is small, it may be given for long.
const FRUITLESS: u32 = 3;
/// The octets of the smallest unit that it takes.
const UNIT: u64 = 1 << 16;
/// How many connections there are at most: a dozen files of three megabytes go into a window and what is written off.
const CONNECTIONS: u32 = 60;

/// Signs lanes for a grid and never a voucher.
#[derive(Debug)]
struct Taker {
    key: SecretKey,
    payer: GridId,
    /// Octets that came and were right.
    taken: Arc<AtomicU64>,
    /// Of this connection.
    lanes: Mutex<Vec<LaneId>>,
}

/// A request that nobody pays for.
struct Taking {
    lane: LaneId,
    taken: Arc<AtomicU64>,
}

impl CallStage {
    /// The payer's gateway key, in the hands of somebody who keeps what comes and drops the connection.
    pub(super) async fn reconnected(&mut self, expected: &Reconnected) -> Result<Seen, AnyError> {
        let Reconnected { payer, payee, window_mib } = *expected;
        let cap: ForeignCap = self.grids.cap(payee, 1).parse()?;
        let cap = cap.home_cap().clone();
        let taker = Arc::new(Taker {
            key: self.grids.gateway_key(payer)?,
            payer: self.grids.id(payer),
            taken: Arc::default(),
            lanes: Mutex::default(),
        });
        let (mut connections, mut fruitless) = (0, 0);
        while fruitless < FRUITLESS && connections < CONNECTIONS {
            let before = taker.taken.load(Ordering::Relaxed);
            connections += 1;
            // A refusal is as good as silence.
            let _ = taker.takes(&self.grids, payer, payee, &cap).await;
            fruitless = if taker.taken.load(Ordering::Relaxed) > before + UNIT { 0 } else { fruitless + 1 };
        }
        let taken = taker.taken.load(Ordering::Relaxed);
        let (window, most) = (window_mib * MIB, window_mib * MIB + WRITTEN_OFF);
        let told = format!("{taken} octets came over {connections} connections, and {most} may");
        Ok(match () {
            () if connections == CONNECTIONS => Seen::Broken(vec![format!("{told}: it never ends")]),
            () if taken > most => Seen::Broken(vec![told]),
            // What has stopped it earlier was something else.
            () if taken < window / 2 => Seen::Broken(vec![format!("{told}: that is not even the window")]),
            () => Seen::Held(told),
        })
    }
}

impl Taker {
    /// One connection: takes until nothing comes, and drops it.
    async fn takes(
        self: &Arc<Self>,
        grids: &Grids,
        payer: usize,
        payee: usize,
        cap: &Capability,
    ) -> Result<(), AnyError> {
        let (client, grid) = (grids.session(payer, payee).await?, grids.id(payee));
        let manifest = timeout(NOTHING_COMES, client.manifest(&grid, cap, 0, MAX_UNITS, Some(&**self))).await??;
        let manifest: Arc<Manifest> = Arc::new(manifest);
        let all = 0..manifest.layout().units();
        let mut units = client.units(&grid, cap, manifest, all, Some(Arc::clone(self) as Arc<dyn Payer>))?;
        while let Ok(Some(Ok(_))) = timeout(NOTHING_COMES, units.next()).await {}
        drop(units);
        // It even says that it is done with them: then what is left is written off.
        let lanes = std::mem::take(&mut *self.lanes.lock().unwrap_or_else(PoisonError::into_inner));
        for lane in lanes {
            let path = format!("/v1/lanes/{}", lane_text(&lane));
            let closed = client.send(Method::DELETE, &path, "application/json", Vec::new().into(), MAX_ANSWER_BYTES);
            let _ = timeout(NOTHING_COMES, closed).await;
        }
        Ok(())
    }

    async fn open(&self, client: &GatewayClient, grid: GridId) -> Result<LaneId, AnyError> {
        let secret = LaneSecret::new(*SecretKey::generate().public().as_bytes());
        let nonce: [u8; 16] = secret.octets()[..16].try_into()?;
        let offer = LaneOffer {
            destination: grid,
            asset: Some("USD".to_owned()),
            payer_instance_base64url: Octets(nonce.to_vec()),
            payer_session_base64url: Octets(SecretKey::generate().public().as_bytes().to_vec()),
            payer_nonce_base64url: Octets(nonce.to_vec()),
            secret_hash_base64url: Octets(secret.hash().to_vec()),
            position_base64url: None,
            terms_base64url: None,
            confirmed: false,
        };
        let proposed: LaneProposed = post(client, "/v1/lanes/offer", &offer).await?;
        let proposal = LaneProposal::from_bytes(&proposed.proposal_base64url.0)?;
        if proposal.body().payer != *self.payer.key() {
            return Err("the lane is for another payer".into());
        }
        let open: LaneOpen = proposal.accept(&self.key)?;
        let agreed = LaneAgreed {
            lane_open_base64url: Octets(open.bytes().to_vec()),
            secret_base64url: Octets(secret.octets().to_vec()),
        };
        let _: LaneOpened = post(client, "/v1/lanes", &agreed).await?;
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(open.identity());
        Ok(open.identity())
    }
}

impl Payer for Taker {
    fn lane<'a>(
        &'a self,
        client: &'a GatewayClient,
        purchase: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>> {
        async move {
            let opened = self.open(client, purchase.grid).await;
            let lane = opened.map_err(|error| PeerError::Books(error.to_string()))?;
            Ok(Some(Box::new(Taking { lane, taken: Arc::clone(&self.taken) }) as Box<dyn PaidRequest>))
        }
        .boxed()
    }
}

impl PaidRequest for Taking {
    fn lane(&self) -> [u8; 32] {
        self.lane.0
    }

    fn price(&self) -> Option<String> {
        // It means to pay none.
        None
    }

    fn verified(&mut self, _: Came, octets: Bytes) {
        self.taken.fetch_add(octets.0, Ordering::Relaxed);
    }

    fn closed(&mut self) {}
}

async fn post<T: DeserializeOwned>(
    client: &GatewayClient,
    path: &str,
    body: &impl serde::Serialize,
) -> Result<T, AnyError> {
    let body = serde_json::to_vec(body)?.into();
    let answer = client.send(Method::POST, path, "application/json", body, MAX_ANSWER_BYTES).await?;
    Ok(serde_json::from_slice(&answer)?)
}
