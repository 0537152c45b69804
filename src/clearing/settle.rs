//! A grid's own side of clearing, round by round: what it is owed is claimed, payments are handed on, and what others have booked is
//! fetched.

use crate::causes::chain;
use crate::clearing::counterparts::{CounterpartError, Counterparts};
use crate::clearing::desk::{Desk, Records, grants};
use crate::clearing::desk_error::DeskError;
use crate::clearing::fresh_records::speaks_for;
use crate::clearing::nettings::NettingFolder;
use crate::clearing::position_check::PositionFault;
use crate::clearing::settle_documents::MAX_POSITIONS_BYTES;
use crate::clearing::till::Till;
use crate::clock::Clock;
use crate::config::FileError;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::ledger::{Claimable, Ledger, LedgerError};
use crate::peer::{CallerIdentity, DialGuard, PeerError};
use crate::resolver::ResolveError;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::{LaneId, MAX_CLAIM_LANES, Terms, WireError};
use hyper::Method;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

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

/// Something that others' books say otherwise than ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The lane that it is about, where it is about one.
    pub lane: Option<LaneId>,
    /// What it is, for people.
    pub what: String,
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
pub struct Settler(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) ledger: Ledger,
    pub(super) desk: Desk,
    pub(super) grid: GridId,
    till: Till,
    pub(super) nettings: NettingFolder,
    pub(super) key: SecretKey,
    counterparts: Counterparts,
    pub(super) records: Records,
    pub(super) clock: Clock,
    /// One round at a time.
    round: tokio::sync::Mutex<()>,
    disagreements: Mutex<Disagreements>,
}

/// What others' books say otherwise than ours.
#[derive(Debug, Default)]
struct Disagreements {
    /// Lanes that were not booked when they were claimed last, and why.
    lanes: BTreeMap<LaneId, String>,
    /// Positions that the last round did not keep.
    positions: Vec<Disagreement>,
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
            disagreements: Mutex::default(),
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

    /// What others' books say otherwise than ours, as far as the rounds since the start have shown.
    pub fn disagreed(&self) -> Vec<Disagreement> {
        let disagreements = self.disagreements();
        let lanes = disagreements.lanes.iter();
        let lanes = lanes.map(|(lane, what)| Disagreement { lane: Some(*lane), what: what.clone() });
        lanes.chain(disagreements.positions.iter().cloned()).collect()
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
        let (mut rounded, mut positions) = (Rounded::default(), Vec::new());
        let mut told = |rounded: &mut Rounded, about: String, error: RoundError| {
            let text = format!("{about}: {}", chain(&error));
            warn!("{text}");
            if let RoundError::Position(fault) = &error
                && !matches!(fault, PositionFault::Books(_))
            {
                positions.push(Disagreement { lane: fault.lane(), what: text.clone() });
            }
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
                            Ok((claimed, refused)) => {
                                rounded.claimed += claimed;
                                self.note_refused(some, &refused);
                                for (_, what) in refused {
                                    warn!("{what}");
                                    rounded.problems.push(what);
                                }
                            }
                            Err(error) => told(&mut rounded, format!("a claim at {clearing}"), error),
                        }
                    }
                }
            }
            Err(error) => told(&mut rounded, "lanes that are to be claimed".to_owned(), error.into()),
        }
        if what == Round::Everything {
            match self.too_late(&terms).await {
                Ok(late) => rounded.problems.extend(late),
                Err(error) => told(&mut rounded, "lanes that were to be claimed".to_owned(), error.into()),
            }
        }
        let chains = match self.chains(&terms).await {
            Ok(chains) => chains,
            Err(error) => {
                told(&mut rounded, "the chains of positions in the books".to_owned(), error.into());
                return rounded;
            }
        };
        match self.hand_on_withdrawals().await {
            Ok(failed) => failed.into_iter().for_each(|(about, error)| told(&mut rounded, about, error)),
            Err(error) => told(&mut rounded, "consents that are taken back".to_owned(), error.into()),
        }
        match self.hand_on_consents().await {
            Ok(failed) => failed.into_iter().for_each(|(about, error)| told(&mut rounded, about, error)),
            Err(error) => told(&mut rounded, "consents".to_owned(), error.into()),
        }
        match self.hand_on_payments(&chains).await {
            Ok(failed) => failed.into_iter().for_each(|(about, error)| told(&mut rounded, about, error)),
            Err(error) => told(&mut rounded, "payments".to_owned(), error.into()),
        }
        let kept_by_others = || chains.iter().filter(|(clearing, _)| *clearing != self.0.grid);
        let clearings: BTreeSet<GridId> = kept_by_others().map(|(clearing, _)| *clearing).collect();
        for clearing in clearings {
            if let Err(error) = self.fetch_nettings(&clearing).await {
                told(&mut rounded, format!("nettings of {clearing}"), error);
            }
        }
        for (clearing, pair) in kept_by_others() {
            match self.fetch(clearing, pair).await {
                Ok(count) => rounded.positions += count,
                Err(error) => told(&mut rounded, format!("positions with {}", pair.other(&self.0.grid)), error),
            }
        }
        self.disagreements().positions = positions;
        rounded
    }

    /// What came of a claim for these lanes: those that are not booked, and why.
    fn note_refused(&self, claimed: &[Claimable], refused: &[(LaneId, String)]) {
        let lanes = &mut self.disagreements().lanes;
        for lane in claimed {
            lanes.remove(&lane.voucher.body().lane);
        }
        lanes.extend(refused.iter().cloned());
    }

    fn disagreements(&self) -> MutexGuard<'_, Disagreements> {
        self.0.disagreements.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Refuses, with these words, a key that may not sign for `grid`.
    pub(super) async fn signs_for(
        &self,
        grid: &GridId,
        key: &PublicKey,
        otherwise: &'static str,
    ) -> Result<(), RoundError> {
        if grants(&self.0.records, grid, |record| speaks_for(record, key)).await? {
            Ok(())
        } else {
            Err(RoundError::Answer(otherwise))
        }
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
