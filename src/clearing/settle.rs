//! A grid's own side of clearing: claims what it is owed, in time and again until it is booked, and holds every position
//! against what it holds itself.

use crate::causes::chain;
use crate::clearing::counterparts::{CounterpartError, Counterparts};
use crate::clearing::desk::{Desk, Fetched, Posted, Records, grants, may_sign};
use crate::clearing::desk_error::DeskError;
use crate::clearing::nettings::{MAX_NETTING_BYTES, NettingFolder, netted};
use crate::clearing::position_check::{PositionFault, check};
use crate::clearing::till::Till;
use crate::clock::Clock;
use crate::config::FileError;
use crate::keys::{GridId, SecretKey};
use crate::ledger::{Claimable, Ledger, LedgerError, Pair, Part};
use crate::netting::Proposal;
use crate::peer::{CallerIdentity, DialGuard, PeerError};
use crate::record::Roles;
use crate::resolver::ResolveError;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::{
    Carried, Claim, ClaimBody, ClaimLine, Consent, MAX_CLAIM_LANES, Payment, Position, Receipt, ReceiptBody, SettledBy,
    Signed, Terms, WireError,
};
use crate::units::{MinorUnits, Seconds, UnixSeconds};
use data_encoding::BASE64URL_NOPAD;
use hyper::Method;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::{info, warn};

/// How many lanes are looked at in one round; the others come in the next.
const LANES_AT_ONCE: u32 = 4_096;
/// A receipt of 128 lanes, and what is around it.
const MAX_RECEIPT_BYTES: usize = 16 << 10;
/// The most nettings that are looked at of one clearing node.
pub const NETTINGS_AT_ONCE: usize = 4;
/// Four of the largest, in base64url.
const MAX_NETTINGS_BYTES: usize = 2 << 20;
/// Sixteen positions and their payments in base64url.
const MAX_POSITIONS_BYTES: usize = 1 << 20;

/// Whether only what is due is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// What half the credit limit, the settlement interval or the end of a lane calls for.
    WhatIsDue,
    /// Everything: somebody wants to see it now.
    Everything,
}

/// What a round came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounded {
    /// Lanes for which there is a receipt.
    pub claimed: u64,
    /// Positions that were received, agree with our books and are kept.
    pub positions: u64,
    /// What went wrong, for people; each is tried again.
    pub problems: Vec<String>,
}

/// Positions on their way.
#[derive(Debug, Serialize, Deserialize)]
pub struct PositionsDocument {
    /// Each a `position/1`.
    pub positions_base64url: Vec<String>,
    /// The `payment/1` that these positions name.
    pub payments_base64url: Vec<String>,
}

impl PositionsDocument {
    /// These.
    pub fn of(posted: &Posted) -> Self {
        Self {
            positions_base64url: posted.positions.iter().map(|signed| BASE64URL_NOPAD.encode(signed.bytes())).collect(),
            payments_base64url: posted.payments.iter().map(|signed| BASE64URL_NOPAD.encode(signed.bytes())).collect(),
        }
    }
}

/// Nettings on their way.
#[derive(Debug, Serialize, Deserialize)]
pub struct NettingsDocument {
    /// Each the octets of a proposal.
    pub nettings_base64url: Vec<String>,
}

/// What a settler needs.
pub struct SettlerParts {
    /// The own books.
    pub ledger: Ledger,
    /// The own clearing node: for those who name it, and where there is none between two grids.
    pub desk: Desk,
    /// The own grid.
    pub grid: GridId,
    /// Whose lanes end with their terms.
    pub till: Till,
    /// Where proposals of nettings are kept.
    pub nettings: NettingFolder,
    /// The gateway's key.
    pub key: SecretKey,
    /// In whose name other gateways are called.
    pub me: CallerIdentity,
    /// Dials.
    pub guard: DialGuard,
    /// Who may sign for whom.
    pub records: Records,
    /// The time.
    pub clock: Clock,
}

/// Claims and checks. Cheap to clone.
#[derive(Clone)]
pub struct Settler(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    desk: Desk,
    grid: GridId,
    till: Till,
    nettings: NettingFolder,
    key: SecretKey,
    counterparts: Counterparts,
    records: Records,
    clock: Clock,
    /// One round at a time.
    round: tokio::sync::Mutex<()>,
}

/// Why one thing of a round did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    #[error(transparent)]
    Books(#[from] LedgerError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Desk(Box<DeskError>),
    #[error(transparent)]
    Counterpart(#[from] CounterpartError),
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Position(#[from] PositionFault),
    #[error("{0}")]
    Answer(&'static str),
}

impl From<DeskError> for RoundError {
    fn from(error: DeskError) -> Self {
        Self::Desk(Box::new(error))
    }
}

impl Settler {
    /// A settler that has done nothing yet.
    pub fn new(parts: SettlerParts) -> Self {
        let SettlerParts { ledger, desk, grid, till, nettings, key, me, guard, records, clock } = parts;
        let counterparts = Counterparts::new(me, guard, clock, Arc::clone(&records));
        Self(Arc::new(Inner {
            ledger,
            desk,
            grid,
            till,
            nettings,
            key,
            counterparts,
            records,
            clock,
            round: tokio::sync::Mutex::default(),
        }))
    }

    /// The own books.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The clearing node of this grid.
    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// Waits until some payer owes half of what it may.
    pub async fn time_to_settle(&self) {
        self.0.till.time_to_settle().await;
    }

    pub(super) fn till(&self) -> &Till {
        &self.0.till
    }

    pub(super) fn grid(&self) -> GridId {
        self.0.grid
    }

    pub(super) fn records(&self) -> &Records {
        &self.0.records
    }

    pub(super) fn clock(&self) -> Clock {
        self.0.clock
    }

    /// What the gateway of `grid` answers to a signed object; in words why it does not.
    pub(super) async fn send(&self, grid: &GridId, method: Method, path: &str, body: Bytes) -> Result<Vec<u8>, String> {
        self.ask(grid, method, path, body, MAX_POSITIONS_BYTES).await.map_err(|error| chain(&error))
    }

    /// The same with at most `limit` octets. A session that is lost is forgotten, so that the next round opens another one.
    pub(super) async fn ask(
        &self,
        grid: &GridId,
        method: Method,
        path: &str,
        body: Bytes,
        limit: usize,
    ) -> Result<Vec<u8>, RoundError> {
        let client = self.0.counterparts.session(grid).await?;
        let answer = client.send(method, path, "application/cose", body, limit).await;
        answer.map_err(|error| {
            if error.refusal().is_none() {
                self.0.counterparts.forget(grid);
            }
            error.into()
        })
    }

    /// One round: claims, hands on payments, fetches positions. What fails is told and left for the next round. Dropping the
    /// future halfway is harmless.
    pub async fn round(&self, what: Round) -> Rounded {
        let _one_at_a_time = self.0.round.lock().await;
        let mut rounded = Rounded::default();
        let told = |rounded: &mut Rounded, about: String, error: RoundError| {
            let text = format!("{about}: {}", chain(&error));
            warn!("{text}");
            rounded.problems.push(text);
        };
        if let Err(error) = self.0.desk.post_all().await {
            told(&mut rounded, "positions that are to be signed here".to_owned(), error.into());
        }
        let terms = match self.terms().await {
            Ok(terms) => terms,
            Err(error) => {
                told(&mut rounded, "the terms in the books".to_owned(), error.into());
                return rounded;
            }
        };
        match self.due(&terms, what).await {
            Ok(due) => {
                for (clearing, lanes) in due {
                    for some in lanes.chunks(MAX_CLAIM_LANES) {
                        match self.claim(&clearing, some, &terms).await {
                            Ok((claimed, problems)) => {
                                rounded.claimed += claimed;
                                rounded.problems.extend(problems);
                            }
                            Err(error) => told(&mut rounded, format!("a claim at {clearing}"), error),
                        }
                    }
                }
            }
            Err(error) => told(&mut rounded, "lanes that are to be claimed".to_owned(), error.into()),
        }
        if let Err(error) = self.hand_on_payments(&terms).await {
            told(&mut rounded, "payments".to_owned(), error);
        }
        let clearings: BTreeSet<GridId> = self.chains(&terms).iter().map(|(clearing, _)| *clearing).collect();
        for clearing in clearings {
            if let Err(error) = self.fetch_nettings(&clearing).await {
                told(&mut rounded, format!("nettings of {clearing}"), error);
            }
        }
        for (clearing, pair) in self.chains(&terms) {
            match self.fetch(&clearing, &pair).await {
                Ok(count) => rounded.positions += count,
                Err(error) => told(&mut rounded, format!("positions with {}", pair.other(&self.0.grid)), error),
            }
        }
        rounded
    }

    /// All terms that this grid is a party to, ended ones too: what they have left is settled all the same.
    async fn terms(&self) -> Result<BTreeMap<Identity, Terms>, LedgerError> {
        let Inner { ledger, grid, .. } = &*self.0;
        let mut found = BTreeMap::new();
        for (owner, other) in [(Some(grid.as_bytes()), None), (None, Some(grid.as_bytes()))] {
            let papers = ledger.papers_of(ObjectType::Terms, owner, other).await?;
            let terms = papers.iter().filter_map(|(_, _, bytes)| Terms::from_bytes(bytes).ok());
            found.extend(terms.map(|terms| (terms.identity(), terms)));
        }
        Ok(found)
    }

    /// Lanes to be claimed, by the grid that clears them.
    async fn due(
        &self,
        terms: &BTreeMap<Identity, Terms>,
        what: Round,
    ) -> Result<BTreeMap<GridId, Vec<Claimable>>, LedgerError> {
        let now = self.0.clock.now();
        let mut by_terms: BTreeMap<Identity, Vec<Claimable>> = BTreeMap::new();
        for lane in self.0.ledger.claimable(LANES_AT_ONCE).await? {
            if let Some(of) = lane.open.body().terms.filter(|of| terms.contains_key(of)) {
                by_terms.entry(of).or_default().push(lane);
            }
        }
        let mut due: BTreeMap<GridId, Vec<Claimable>> = BTreeMap::new();
        for (of, lanes) in by_terms {
            let Some(terms) = terms.get(&of) else { continue };
            if what == Round::Everything || is_due(terms, &lanes, now) {
                due.entry(clears(terms)).or_default().extend(lanes);
            }
        }
        Ok(due)
    }

    /// Claims these lanes; how many are booked, and why others are not.
    async fn claim(
        &self,
        clearing: &GridId,
        lanes: &[Claimable],
        terms: &BTreeMap<Identity, Terms>,
    ) -> Result<(u64, Vec<String>), RoundError> {
        let Inner { ledger, grid, key, desk, clock, .. } = &*self.0;
        let mut lines = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let body = lane.open.body();
            let carried = |bytes: &[u8]| Carried(bytes.into());
            let evidence = match body.evidence {
                Some(identity) => self.evidence(identity).await?,
                None => None,
            };
            lines.push(ClaimLine {
                voucher: carried(lane.voucher.bytes()),
                lane_open: Some(carried(lane.open.bytes())),
                terms: body.terms.and_then(|of| terms.get(&of)).map(|terms| carried(terms.bytes())),
                evidence: evidence.map(|bytes| carried(&bytes)),
            });
        }
        let body =
            ClaimBody { grid: *grid, signer: key.public(), clearing: *clearing, time: clock.now(), lanes: lines };
        let claim: Claim = Signed::sign(&body, key)?;
        let receipt = if clearing == grid {
            desk.claim(claim.bytes(), grid).await?
        } else {
            let sent = Bytes::copy_from_slice(claim.bytes());
            let answer = self.ask(clearing, Method::POST, "/v1/claims", sent, MAX_RECEIPT_BYTES).await?;
            let receipt = Receipt::from_bytes(&answer)?;
            self.is_receipt(receipt.body(), &claim).await?;
            ledger.keep(&receipt, clock.now()).await?;
            receipt
        };
        let (mut claimed, mut problems) = (0, Vec::new());
        for lane in lanes {
            let voucher = lane.voucher.body();
            let line = receipt.body().lanes.iter().find(|line| line.lane == voucher.lane);
            match line.map(|line| (line.refused, line.cum_bytes)) {
                Some((None, booked)) if booked >= voucher.cum_bytes => claimed += 1,
                Some((Some(why), _)) => {
                    problems.push(format!("{clearing} does not book lane {}: {why:?} ({})", voucher.lane, why.code()));
                }
                Some((None, _)) | None => {
                    problems.push(format!(
                        "the receipt of {clearing} does not book lane {} as far as claimed",
                        voucher.lane
                    ));
                }
            }
        }
        info!(%clearing, claimed, "claimed");
        Ok((claimed, problems))
    }

    /// Whether a receipt is one for `claim`, by a key that may sign it.
    async fn is_receipt(&self, receipt: &ReceiptBody, claim: &Claim) -> Result<(), RoundError> {
        let body = claim.body();
        if (receipt.clearing, receipt.grid, receipt.claim) != (body.clearing, body.grid, claim.identity()) {
            return Err(RoundError::Answer("the receipt is for another claim"));
        }
        self.signs_for(&receipt.clearing, &receipt.signer, "the receipt is signed by a key that its grid does not list")
            .await
    }

    async fn signs_for(
        &self,
        grid: &GridId,
        key: &crate::keys::PublicKey,
        otherwise: &'static str,
    ) -> Result<(), RoundError> {
        let any = Roles::SERVE.and(Roles::SPEND).and(Roles::TERMS);
        if grants(&self.0.records, grid, |record| may_sign(record, key, any)).await? {
            Ok(())
        } else {
            Err(RoundError::Answer(otherwise))
        }
    }

    /// The record or deck that gives a lane its price: kept, or what our record still says.
    async fn evidence(&self, identity: Identity) -> Result<Option<Vec<u8>>, RoundError> {
        let Inner { ledger, grid, records, .. } = &*self.0;
        if let Some((_, _, bytes)) = ledger.papers(&[identity]).await?.into_iter().next() {
            return Ok(Some(bytes));
        }
        let answer = (records)(*grid, Fetched::WithinTheHour).await?;
        let mut held = std::iter::once(&answer.record).chain(&answer.evidence);
        Ok(held.find(|record| record.signed().identity() == identity).map(|record| record.signed().bytes().to_vec()))
    }

    /// Sends payments that no position names to whoever keeps the chain.
    async fn hand_on_payments(&self, terms: &BTreeMap<Identity, Terms>) -> Result<(), RoundError> {
        let Inner { ledger, grid, desk, .. } = &*self.0;
        for identity in ledger.payments_unposted().await? {
            let papers = ledger.papers(&[identity]).await?;
            let Some(payment) = papers.iter().find_map(|(_, _, bytes)| Payment::from_bytes(bytes).ok()) else {
                continue;
            };
            let body = payment.body();
            let of_pair = terms.values().filter(|terms| {
                let agreed = terms.body();
                (agreed.payer, agreed.payee, agreed.asset) == (body.debtor, body.creditor, body.asset)
            });
            let Some(terms) = of_pair.max_by_key(|terms| terms.body().not_before) else { continue };
            let clearing = clears(terms);
            if clearing == *grid {
                desk.payment(payment.bytes(), grid).await?;
            } else {
                let sent = Bytes::copy_from_slice(payment.bytes());
                self.ask(&clearing, Method::POST, "/v1/payments", sent, MAX_RECEIPT_BYTES).await?;
            }
        }
        Ok(())
    }

    /// The chains that others keep of us.
    fn chains(&self, terms: &BTreeMap<Identity, Terms>) -> BTreeSet<(GridId, Pair)> {
        let all = terms.values().map(|terms| {
            let body = terms.body();
            (clears(terms), Pair::of(body.payer, body.payee, body.asset))
        });
        all.filter(|(clearing, _)| *clearing != self.0.grid).collect()
    }

    /// Fetches what is new of a chain, holds it against our books and keeps it.
    async fn fetch(&self, clearing: &GridId, pair: &Pair) -> Result<u64, RoundError> {
        let Inner { ledger, grid, clock, .. } = &*self.0;
        let (other, asset) = (pair.other(grid), pair.asset);
        let mut count = 0;
        loop {
            let mut last = ledger.last_position(*clearing, pair.first, pair.second, pair.asset).await?;
            let after = last.as_ref().map_or(0, |last| last.body().number);
            // From the last one on, which must be the one that we have: so a second history shows itself.
            let path = format!("/v1/positions/{other}?asset={asset}&after={}", after.saturating_sub(1));
            let body = self.ask(clearing, Method::GET, &path, Bytes::new(), MAX_POSITIONS_BYTES).await?;
            let Posted { positions, payments } = posted(&body)?;
            let new = match (&last, positions.split_first()) {
                (None, _) => &positions[..],
                (Some(last), Some((same, new))) if same.identity() == last.identity() => new,
                (Some(_), _) => {
                    return Err(RoundError::Answer(
                        "the last position that we were given is not in the history that is shown now",
                    ));
                }
            };
            if new.is_empty() {
                return Ok(count);
            }
            for position in new {
                let body = position.body();
                if (body.clearing, body.first, body.second, body.asset)
                    != (*clearing, pair.first, pair.second, pair.asset)
                {
                    return Err(RoundError::Answer("a position between others was given"));
                }
                self.signs_for(clearing, &body.signer, "a position is signed by a key that its grid does not list")
                    .await?;
                self.book_nettings(position).await?;
                check(ledger, grid, last.as_ref(), position, &payments).await?;
                for payment in self.named(position, &payments) {
                    let paid = payment.body();
                    let otherwise = "a payment is signed by a key that its grid does not list";
                    self.signs_for(&paid.creditor, &paid.signer, otherwise).await?;
                    let part = if paid.debtor == *grid { Part::Payer } else { Part::Payee };
                    ledger.pay(part, payment.clone(), clock.now()).await?;
                }
                ledger.post(position.clone(), clock.now()).await?;
                last = Some(position.clone());
                count += 1;
            }
        }
    }

    /// Books nettings that a position says have taken effect, as far as we have consented to them.
    async fn book_nettings(&self, position: &Position) -> Result<(), RoundError> {
        let Inner { ledger, grid, nettings, clock, .. } = &*self.0;
        for line in position.body().settled.iter().filter(|line| line.by == SettledBy::Netting) {
            let Some(netting) = nettings.of(&line.proof.0) else { continue };
            let consents = ledger.papers_of(ObjectType::Consent, Some(grid.as_bytes()), None).await?;
            let consents = consents.iter().filter_map(|(_, _, bytes)| Consent::from_bytes(bytes).ok());
            let ours = |consent: &Consent| consent.body().netting == line.proof.0;
            if consents.into_iter().any(|consent| ours(&consent)) && netting.clearing() == position.body().clearing {
                ledger.net(Some(*grid), netting, clock.now()).await?;
            }
        }
        Ok(())
    }

    /// Fetches what is proposed to us.
    async fn fetch_nettings(&self, clearing: &GridId) -> Result<(), RoundError> {
        let body = self.ask(clearing, Method::GET, "/v1/nettings", Bytes::new(), MAX_NETTINGS_BYTES).await?;
        let document: NettingsDocument =
            serde_json::from_slice(&body).map_err(|_| RoundError::Answer("not the JSON of nettings"))?;
        for text in document.nettings_base64url.iter().take(NETTINGS_AT_ONCE) {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
            let bytes = bytes.map_err(|_| RoundError::Answer("a netting is not in base64url"))?;
            let netting = Proposal::from_bytes(&bytes).map_err(|_| RoundError::Answer("not a netting"))?;
            if bytes.len() > MAX_NETTING_BYTES {
                continue;
            }
            if netting.clearing() == *clearing && netted(&netting, &self.0.grid).is_some() {
                self.0.nettings.keep(&netting)?;
            }
        }
        Ok(())
    }

    fn named<'p>(&self, position: &'p Position, payments: &'p [Payment]) -> impl Iterator<Item = &'p Payment> {
        let settled = &position.body().settled;
        payments.iter().filter(|payment| settled.iter().any(|line| line.proof == payment.identity()))
    }
}

impl std::fmt::Debug for Settler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Settler of {}", self.0.grid)
    }
}

/// The grid whose node keeps the chain: the one that the terms name, or the creditor.
pub(super) fn clears(terms: &Terms) -> GridId {
    terms.body().clearing.unwrap_or(terms.body().payee)
}

/// Whether what these lanes come to is to be claimed now.
fn is_due(terms: &Terms, lanes: &[Claimable], now: UnixSeconds) -> bool {
    let body = terms.body();
    let open: u128 = lanes.iter().map(|lane| u128::from(unclaimed(lane).0)).sum();
    let half = open >= u128::from(body.credit_limit.0).div_ceil(2);
    let old = |lane: &Claimable| {
        let lane = lane.open.body();
        let latest = Seconds(body.dispute.0 / 2);
        now >= lane.opened_at.plus(body.settle) || now >= lane.not_after.plus(latest)
    };
    half || lanes.iter().any(old)
}

fn unclaimed(lane: &Claimable) -> MinorUnits {
    MinorUnits(lane.voucher.body().cum_amount.0.saturating_sub(lane.posted_amount.0))
}

fn posted(body: &[u8]) -> Result<Posted, RoundError> {
    let document: PositionsDocument =
        serde_json::from_slice(body).map_err(|_| RoundError::Answer("not the JSON of positions"))?;
    let decoded = |text: &String| BASE64URL_NOPAD.decode(text.as_bytes());
    let decoded = |texts: &[String]| texts.iter().map(decoded).collect::<Result<Vec<_>, _>>();
    let not_text = |_| RoundError::Answer("what was signed is not in base64url");
    let positions = decoded(&document.positions_base64url).map_err(not_text)?;
    let payments = decoded(&document.payments_base64url).map_err(not_text)?;
    Ok(Posted {
        positions: positions.iter().map(|bytes| Position::from_bytes(bytes)).collect::<Result<_, _>>()?,
        payments: payments.iter().map(|bytes| Payment::from_bytes(bytes)).collect::<Result<_, _>>()?,
    })
}
