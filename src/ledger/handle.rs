//! The handle that the rest of the program holds.

use crate::keys::{GridId, PublicKey};
use crate::ledger::act::{Act, Done};
use crate::ledger::alone::Alone;
use crate::ledger::disputes::{Closed, NewDispute};
use crate::ledger::error::LedgerError;
use crate::ledger::lanes::{self, LaneState, PayerState, WrittenOff};
use crate::ledger::location::Location;
use crate::ledger::open::{for_reading, for_writing};
use crate::ledger::paper::{self, Kept, Paper};
use crate::ledger::part::Part;
use crate::ledger::settling::{self, Unposted};
use crate::ledger::sql::{Sql, column};
use crate::ledger::under_way;
use crate::ledger::usage::{self, UsageLine};
use crate::ledger::vouchers::{Booked, NewVoucher, Reading};
use crate::ledger::writer::{Job, QUEUE, write};
use crate::netting::Proposal;
use crate::rate::Asset;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::{LaneId, LaneOpen, Payment, Position, Voucher};
use crate::units::{Bytes, UnixSeconds};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// A ledger that is open. Cheap to clone.
///
/// Dropping one of its futures halfway leaves it open whether the act was booked; to repeat the act is harmless.
#[derive(Clone)]
pub struct Ledger {
    location: Location,
    pool: AnyPool,
    instance: [u8; 16],
    /// None where the ledger is open for reading alone.
    writer: Option<Writer>,
}

#[derive(Clone)]
struct Writer {
    jobs: mpsc::Sender<Job>,
    full: watch::Receiver<Option<String>>,
    task: Arc<JoinHandle<()>>,
}

impl Ledger {
    /// Opens the ledger at `location` for this process, made or brought to the newest version where needed.
    ///
    /// A file that another process has open is refused.
    pub async fn open(location: Location, now: UnixSeconds) -> Result<Self, LedgerError> {
        let (pool, lock) = for_writing(&location).await?;
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|_| LedgerError::Closed)?;
        // Lanes name the process that counts them: after a restart, and in a copy of this machine, it is another one.
        let query = sqlx::query("INSERT INTO instance (instance, at) VALUES ($1, $2)").bind(instance.to_vec());
        let query = query.bind(column("a time", now.0)?);
        query.execute(&pool).await.map_err(LedgerError::of(&location))?;
        let (jobs, received) = mpsc::channel(QUEUE);
        let (told, full) = watch::channel(None);
        let task = tokio::spawn(write(pool.clone(), location.clone(), received, told, lock));
        let writer = Writer { jobs, full, task: Arc::new(task) };
        Ok(Self { location, pool, instance, writer: Some(writer) })
    }

    /// Opens it to read beside the process that writes. Every act is refused as [`LedgerError::Closed`].
    pub async fn open_reading(location: Location) -> Result<Self, LedgerError> {
        let pool = for_reading(&location).await?;
        Ok(Self { location, pool, instance: [0; 16], writer: None })
    }

    /// Waits for what is under way and closes. Other handles are closed with it.
    pub async fn close(self) {
        match self.writer {
            // A task that other handles keep going ends when they are dropped.
            Some(Writer { jobs, task, .. }) => {
                drop(jobs);
                if let Some(task) = Arc::into_inner(task) {
                    let _ = task.await;
                }
            }
            None => self.pool.close().await,
        }
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Names this opening of the ledger, for the lanes that are counted in it. Zeros where it is open for reading.
    pub fn instance(&self) -> [u8; 16] {
        self.instance
    }

    /// Why the disk did not take what was to be written last; nothing if it did.
    pub fn disk_problem(&self) -> Option<String> {
        self.writer.as_ref()?.full.borrow().clone()
    }

    /// Keeps a lane, before its first octet.
    pub async fn open_lane(&self, part: Part, lane: LaneOpen, at: UnixSeconds) -> Result<Kept, LedgerError> {
        self.kept(Act::Lane { part, lane: Box::new(lane), at }).await
    }

    /// Books a voucher of a lane that is kept: what it adds to the one before, and nothing if it is not higher. To be awaited
    /// before it is sent, and before it is counted.
    ///
    /// `readings` say what the octets that it adds were of.
    pub async fn voucher(
        &self,
        part: Part,
        voucher: Voucher,
        readings: Vec<Reading>,
        at: UnixSeconds,
    ) -> Result<Booked, LedgerError> {
        match self.act(Act::Voucher(NewVoucher { part, voucher, readings, at })).await? {
            Done::Booked(booked) => Ok(booked),
            _ => Err(LedgerError::Closed),
        }
    }

    /// Notes that so many octets of a lane will have been sent, before they are.
    pub async fn sent(&self, lane: LaneId, bytes: Bytes) -> Result<(), LedgerError> {
        self.act(Act::Sent { lane, bytes }).await.map(drop)
    }

    /// Notes that nothing of a lane is under way: so much was sent on it, and no more, whatever was noted before.
    pub async fn at_rest(&self, lane: LaneId, bytes: Bytes) -> Result<(), LedgerError> {
        self.act(Act::AtRest { lane, bytes }).await.map(drop)
    }

    /// Notes what was written off of a lane.
    pub async fn write_off(&self, written_off: WrittenOff) -> Result<(), LedgerError> {
        self.act(Act::WriteOff(written_off)).await.map(drop)
    }

    /// Notes that the payee of these lanes knows all that the payer's books say of them.
    pub async fn told(&self, lanes: Vec<LaneId>) -> Result<(), LedgerError> {
        self.act(Act::Told { lanes }).await.map(drop)
    }

    /// Adds up the usage of the days before this one's over all files: who read how much stays, and not what.
    pub async fn forget_files(&self, before: UnixSeconds) -> Result<(), LedgerError> {
        self.act(Act::ForgetFiles { before }).await.map(drop)
    }

    /// Whether other gateways of the grid may write it too.
    pub fn is_shared(&self) -> bool {
        matches!(self.location, Location::Postgres(_))
    }

    /// Waits until no other process that writes these books holds one, and keeps them out until it is dropped. Acts are not held up.
    /// Within one process who waits has to take turns by itself.
    pub async fn alone(&self) -> Result<Alone, LedgerError> {
        Alone::at(&self.location, &self.pool).await
    }

    /// Notes what `gateway` has under way, in the place of what it had, and says what the others that write these books have. Of two
    /// that say so at once the later one is told of the former.
    pub async fn say_under_way(
        &self,
        gateway: PublicKey,
        lines: Vec<UsageLine>,
        at: UnixSeconds,
    ) -> Result<Vec<UsageLine>, LedgerError> {
        match self.act(Act::UnderWay { gateway, lines, at }).await? {
            Done::Elsewhere(lines) => Ok(lines),
            _ => Err(LedgerError::Closed),
        }
    }

    /// What the gateways beside this one have under way.
    pub async fn under_way_elsewhere(
        &self,
        gateway: &PublicKey,
        at: UnixSeconds,
    ) -> Result<Vec<UsageLine>, LedgerError> {
        under_way::elsewhere(&mut self.reading().await?.sql(), gateway, at).await
    }

    /// Keeps what was signed. Payments and positions have acts of their own.
    pub async fn keep(&self, paper: impl Into<Paper>, at: UnixSeconds) -> Result<Kept, LedgerError> {
        self.kept(Act::Paper { paper: paper.into(), at }).await
    }

    /// Books a payment that the creditor has signed.
    pub async fn pay(&self, part: Part, payment: Payment, at: UnixSeconds) -> Result<Kept, LedgerError> {
        self.kept(Act::Payment { part, payment, at }).await
    }

    /// Books a netting that every grid which it affects has signed; `us` is the grid whose books these are, or none in a
    /// clearing node's.
    pub async fn net(&self, us: Option<GridId>, netting: Proposal, at: UnixSeconds) -> Result<Kept, LedgerError> {
        self.kept(Act::Netting { us, netting, at }).await
    }

    /// Keeps a position as the next of its chain. Refuses one that does not follow, and another one in the same place.
    pub async fn post(&self, position: Position, at: UnixSeconds) -> Result<Kept, LedgerError> {
        self.kept(Act::Position { position, at }).await
    }

    /// Keeps a dispute; what is kept already, be it closed, stays as it is.
    pub async fn dispute(&self, found: NewDispute, at: UnixSeconds) -> Result<Kept, LedgerError> {
        self.kept(Act::Dispute { found: Box::new(found), at }).await
    }

    /// Closes what is open of a lane: [`Kept::Already`] if nothing is.
    pub async fn close_dispute(&self, lane: LaneId, closed: Closed) -> Result<Kept, LedgerError> {
        self.kept(Act::CloseDispute { lane, closed }).await
    }

    /// A lane as it stands.
    pub async fn lane(&self, part: Part, lane: LaneId) -> Result<Option<LaneState>, LedgerError> {
        lanes::lane(&mut self.reading().await?.sql(), part, lane).await
    }

    /// The lanes that are open at `now`.
    pub async fn open_lanes(&self, part: Part, now: UnixSeconds) -> Result<Vec<LaneState>, LedgerError> {
        lanes::open_lanes(&mut self.reading().await?.sql(), part, now).await
    }

    /// The lanes of `payer` with `payee` that are open at `now`, or of which the payee has not been told everything: the newest
    /// 4,096, in the payer's books.
    pub async fn lanes_to_show(
        &self,
        payer: &PublicKey,
        payee: &GridId,
        now: UnixSeconds,
    ) -> Result<Vec<LaneState>, LedgerError> {
        lanes::lanes_to_show(&mut self.reading().await?.sql(), payer, payee.key(), now).await
    }

    /// What a payee begins with when `payer` comes; `day` in days since 1970.
    pub async fn payer(&self, payer: &PublicKey, day: u64) -> Result<PayerState, LedgerError> {
        lanes::payer(&mut self.reading().await?.sql(), payer, day).await
    }

    /// Octets that were sent to each payer, never vouched for and not written off.
    pub async fn unvouchered(&self) -> Result<BTreeMap<PublicKey, Bytes>, LedgerError> {
        lanes::unvouchered(&mut self.reading().await?.sql()).await
    }

    /// Octets that were written off of each payer: who, on which day since 1970, and how many; of `days`, the last not included.
    pub async fn written_off(&self, days: Range<u64>) -> Result<Vec<(PublicKey, u64, Bytes)>, LedgerError> {
        lanes::written_off(&mut self.reading().await?.sql(), days).await
    }

    /// What was signed, by identity: each with the name of its type.
    pub async fn papers(&self, identities: &[Identity]) -> Result<Vec<(Identity, String, Vec<u8>)>, LedgerError> {
        paper::papers(&mut self.reading().await?.sql(), identities).await
    }

    /// What was signed of one kind, by whom it belongs to and the other party where they are named; the oldest first.
    pub async fn papers_of(
        &self,
        kind: ObjectType,
        owner: Option<&[u8; 32]>,
        other: Option<&[u8; 32]>,
    ) -> Result<Vec<(Identity, String, Vec<u8>)>, LedgerError> {
        paper::papers_of(&mut self.reading().await?.sql(), kind, owner, other).await
    }

    /// What a clearing node has booked for two grids and put into no position yet. `first` is the one whose key is smaller.
    pub async fn unposted(&self, first: GridId, second: GridId, asset: Asset) -> Result<Unposted, LedgerError> {
        settling::unposted(&mut self.reading().await?.sql(), first, second, asset).await
    }

    /// The last position of two grids that is kept here.
    pub async fn last_position(
        &self,
        clearing: GridId,
        first: GridId,
        second: GridId,
        asset: Asset,
    ) -> Result<Option<Position>, LedgerError> {
        settling::last_position(&mut self.reading().await?.sql(), clearing, first, second, asset).await
    }

    /// What each account stands at.
    pub async fn balances(&self) -> Result<Vec<(String, Asset, i64)>, LedgerError> {
        settling::balances(&mut self.reading().await?.sql()).await
    }

    /// What `debtor` owes `creditor`, by the books of `part`; below zero if more was paid.
    pub async fn owed(
        &self,
        part: Part,
        debtor: PublicKey,
        creditor: PublicKey,
        asset: Asset,
    ) -> Result<i128, LedgerError> {
        settling::owed(&mut self.reading().await?.sql(), part, debtor, creditor, asset).await
    }

    /// What was read from the day of `from` to before `until`.
    pub async fn usage(&self, from: UnixSeconds, until: UnixSeconds) -> Result<Vec<UsageLine>, LedgerError> {
        usage::usage(&mut self.reading().await?.sql(), from, until).await
    }

    /// The same without files, and without the clients on whose behalf it was: one line for each day, party, grid and asset.
    pub async fn usage_totals(&self, from: UnixSeconds, until: UnixSeconds) -> Result<Vec<UsageLine>, LedgerError> {
        usage::totals(&mut self.reading().await?.sql(), from, until).await
    }

    pub(super) async fn reading(&self) -> Result<ReadingConnection<'_>, LedgerError> {
        let connection = self.pool.acquire().await.map_err(LedgerError::of(&self.location))?;
        Ok(ReadingConnection { connection, location: &self.location })
    }

    async fn kept(&self, act: Act) -> Result<Kept, LedgerError> {
        match self.act(act).await? {
            Done::Kept(kept) => Ok(kept),
            _ => Err(LedgerError::Closed),
        }
    }

    async fn act(&self, act: Act) -> Result<Done, LedgerError> {
        let writer = self.writer.as_ref().ok_or(LedgerError::Closed)?;
        let (answer, answered) = oneshot::channel();
        writer.jobs.send(Job { act, answer }).await.map_err(|_| LedgerError::Closed)?;
        answered.await.map_err(|_| LedgerError::Closed)?
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger at {}", self.location)
    }
}

/// A connection of one who reads.
pub(super) struct ReadingConnection<'l> {
    connection: PoolConnection<Any>,
    location: &'l Location,
}

impl ReadingConnection<'_> {
    pub(super) fn sql(&mut self) -> Sql<'_> {
        Sql::new(&mut self.connection, self.location)
    }
}
