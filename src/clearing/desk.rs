//! The clearing node: books what payees claim, tells both sides in positions, and books what is paid.
//!
//! Each lane is booked up to its highest voucher, once, whatever is repeated, reordered or late. What was answered has
//! survived `kill -9`: a claim is in the books before its receipt is signed, and a position is kept before it is shown.

use crate::clearing::claim_line::{Claimant, Judged, judge};
use crate::clearing::desk_error::DeskError;
use crate::clearing::fresh_records::{has_role, is_own_key};
use crate::clearing::nettings::NettingFolder;
use crate::clock::Clock;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::ledger::{Alone, Ledger, LedgerError, Pair, Part};
use crate::netting::bill;
use crate::record::{GridRecord, Roles};
use crate::resolver::{Answer, ResolveError};
use crate::signed::Identity;
use crate::tariff::wire::{
    Claim, ClaimLine, ClaimRefusal, Payment, Position, PositionBody, Receipt, ReceiptBody, ReceiptLine, SettledBy,
    Signed, Statement, Voucher,
};
use crate::units::{Bytes, MinorUnits, UnixSeconds};
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::MutexGuard;
use tracing::info;

/// The most positions of one answer: half a megabyte.
const POSITIONS_AT_ONCE: u32 = 16;

/// How old a record may be that gives authority over money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// As its holders had it within the hour.
    WithinTheHour,
    /// As they have it now: something may have changed.
    Now,
}

/// Gives a grid's record and what binds beside it.
pub type Records = Arc<dyn Fn(GridId, Fetched) -> BoxFuture<'static, Result<Arc<Answer>, ResolveError>> + Send + Sync>;

/// Whether the record of `grid` grants something; one that does not, and was not fetched just now, is fetched again.
pub(super) async fn grants(
    records: &Records,
    grid: &GridId,
    granted: impl Fn(&GridRecord) -> bool,
) -> Result<bool, ResolveError> {
    Ok(granted(&records(*grid, Fetched::WithinTheHour).await?.record)
        || granted(&records(*grid, Fetched::Now).await?.record))
}

/// What a clearing node needs.
pub struct DeskParts {
    /// Where it books.
    pub ledger: Ledger,
    /// The grid in whose name it does.
    pub grid: GridId,
    /// The key that signs receipts and positions: one that the grid's record lists.
    pub key: SecretKey,
    /// Who may sign for whom.
    pub records: Records,
    /// Where its proposals of nettings are.
    pub nettings: NettingFolder,
    /// The time.
    pub clock: Clock,
}

/// A clearing node. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    parts: DeskParts,
    /// Held while a chain is lengthened: two positions in one place would be two histories.
    posting: tokio::sync::Mutex<()>,
    /// Held while debts are settled: none is settled twice.
    settling: tokio::sync::Mutex<()>,
}

/// Positions, and the payments that they name.
#[derive(Debug, Clone, Default)]
pub struct Posted {
    /// In their order.
    pub positions: Vec<Position>,
    /// The payments among what they say is settled.
    pub payments: Vec<Payment>,
}

impl Desk {
    /// A clearing node over these books.
    pub fn new(parts: DeskParts) -> Self {
        Self(Arc::new(Inner { parts, posting: tokio::sync::Mutex::default(), settling: tokio::sync::Mutex::default() }))
    }

    /// The grid in whose name it books.
    pub fn grid(&self) -> GridId {
        self.0.parts.grid
    }

    /// Books a claim that `caller` has sent, and signs how far each of its lanes is booked. To repeat it is harmless, and so is
    /// dropping the future halfway.
    pub async fn claim(&self, bytes: &[u8], caller: &GridId) -> Result<Receipt, DeskError> {
        let parts = &self.0.parts;
        let claim = Claim::from_bytes(bytes)?;
        let body = claim.body();
        if body.clearing != parts.grid {
            return Err(DeskError::OtherClearing(body.clearing));
        }
        if body.grid != *caller {
            return Err(DeskError::OtherGrid(body.grid));
        }
        self.may_sign(&body.grid, &body.signer, "claim", Roles::SERVE).await?;
        let (mut lines, mut pairs) = (Vec::with_capacity(body.lanes.len()), BTreeSet::new());
        let (mut unknown, claimant) = (None, Claimant::new(body.grid));
        for line in &body.lanes {
            let (line, pair) = match self.line(line, &claimant).await {
                Ok(line) => line,
                // A grid that cannot be found holds up nobody else: its lanes have no line in the receipt, and are claimed again.
                Err(error @ DeskError::Record { .. }) => {
                    unknown = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            // A lane that is claimed twice in one claim is told of once, as far as it came.
            match lines.iter_mut().find(|before: &&mut ReceiptLine| before.lane == line.lane) {
                Some(before) => *before = line,
                None => lines.push(line),
            }
            pairs.extend(pair);
        }
        if let (true, Some(error)) = (lines.is_empty(), unknown) {
            return Err(error);
        }
        let now = parts.clock.now();
        let receipt = ReceiptBody {
            clearing: parts.grid,
            signer: parts.key.public(),
            claim: claim.identity(),
            grid: body.grid,
            time: now,
            lanes: lines,
        };
        let receipt = Signed::sign(&receipt, &parts.key)?;
        parts.ledger.keep(&claim, now).await?;
        parts.ledger.keep(&receipt, now).await?;
        for pair in pairs {
            self.post(&pair).await?;
        }
        Ok(receipt)
    }

    /// The positions of `caller` with `other` after the one with this number.
    pub async fn positions(
        &self,
        caller: &GridId,
        other: &GridId,
        asset: crate::rate::Asset,
        after: u64,
    ) -> Result<Posted, DeskError> {
        let pair = Pair::of(*caller, *other, asset);
        let Inner { parts, .. } = &*self.0;
        let positions = parts.ledger.positions_after(&parts.grid, &pair, after, POSITIONS_AT_ONCE).await?;
        let paid: Vec<Identity> = positions
            .iter()
            .flat_map(|position| &position.body().settled)
            .filter(|line| line.by == SettledBy::Payment)
            .map(|line| line.proof)
            .collect();
        let papers = if paid.is_empty() { Vec::new() } else { parts.ledger.papers(&paid).await? };
        let payments = papers.iter().filter_map(|(_, _, bytes)| Payment::from_bytes(bytes).ok()).collect();
        Ok(Posted { positions, payments })
    }

    /// What `caller` and `other` owe each other after a period that is over, signed; kept with the books.
    pub async fn statement(
        &self,
        caller: &GridId,
        other: &GridId,
        asset: crate::rate::Asset,
        period: Range<UnixSeconds>,
    ) -> Result<Statement, DeskError> {
        let Inner { parts, .. } = &*self.0;
        let pair = Pair::of(*caller, *other, asset);
        let chain = parts.ledger.positions_after(&parts.grid, &pair, 0, u32::MAX).await?;
        let bill = bill(&chain, period).ok_or(DeskError::NoBooks)?;
        let statement = bill.signed(parts.grid, &parts.key, parts.clock.now())?;
        parts.ledger.keep(&statement, parts.clock.now()).await?;
        Ok(statement)
    }

    /// Books a payment that `caller`, its creditor, has signed.
    pub async fn payment(&self, bytes: &[u8], caller: &GridId) -> Result<Payment, DeskError> {
        let parts = &self.0.parts;
        let payment = Payment::from_bytes(bytes)?;
        let body = payment.body();
        if body.creditor != *caller {
            return Err(DeskError::OtherGrid(body.creditor));
        }
        self.may_sign(&body.creditor, &body.signer, "payment", Roles::SERVE.and(Roles::TERMS)).await?;
        let pair = Pair::of(body.creditor, body.debtor, body.asset);
        // Who has no books here could fill them otherwise.
        if !parts.ledger.pairs().await?.contains(&pair) {
            return Err(DeskError::NoBooks);
        }
        let _one_at_a_time = self.settling().await?;
        // The own part first: the creditor repeats itself until the clearing node's part is told, and no longer.
        if payment.body().debtor == parts.grid {
            parts.ledger.pay(Part::Payer, payment.clone(), parts.clock.now()).await?;
        }
        parts.ledger.pay(Part::Clearing, payment.clone(), parts.clock.now()).await?;
        self.post(&pair).await?;
        Ok(payment)
    }

    /// Signs positions of whatever was booked and not told yet: what a crash has left.
    pub async fn post_all(&self) -> Result<(), DeskError> {
        self.complete_all().await?;
        for pair in self.0.parts.ledger.pairs().await? {
            self.post(&pair).await?;
        }
        Ok(())
    }

    /// Signs positions of what was booked for the two since the last one.
    pub(super) async fn post(&self, pair: &Pair) -> Result<(), DeskError> {
        let Inner { parts, posting, .. } = &*self.0;
        let _one_at_a_time = posting.lock().await;
        loop {
            let unposted = parts.ledger.unposted(pair.first, pair.second, pair.asset).await?;
            if unposted.lanes.is_empty() && unposted.settled.is_empty() {
                return Ok(());
            }
            let last = parts.ledger.last_position(parts.grid, pair.first, pair.second, pair.asset).await?;
            let now = parts.clock.now();
            let body = PositionBody::next(
                last.as_ref(),
                parts.grid,
                parts.key.public(),
                pair_of(pair),
                now,
                unposted.lanes,
                unposted.settled,
            )
            .ok_or_else(|| LedgerError::Beyond {
                what: format!("a position of {} and {} in {}", pair.first, pair.second, pair.asset),
                location: parts.ledger.location().clone(),
                next: "what the two owe stands in the one before it; agree on terms with another clearing node",
            })?;
            let position = Signed::sign(&body, &parts.key)?;
            parts.ledger.post(position, now).await?;
            info!(first = %pair.first, second = %pair.second, asset = %pair.asset, number = body.number, "signed a position");
        }
    }

    /// One line of a claim, booked; the two grids it is between, where it is known.
    async fn line(&self, line: &ClaimLine, claimant: &Claimant) -> Result<(ReceiptLine, Option<Pair>), DeskError> {
        let parts = &self.0.parts;
        let Ok(lane) = Voucher::lane_of(&line.voucher.0) else {
            // Without a lane there is no line in a receipt that could tell of it.
            let nobodys = Identity([0; 32]);
            return Ok((refused(nobodys, ClaimRefusal::Invalid), None));
        };
        let now = parts.clock.now();
        let known = parts.ledger.lane(Part::Clearing, lane).await?;
        let marks = match &known {
            Some(state) => state.voucher.as_ref().map(|best| (best.body().cum_bytes, best.body().cum_amount)),
            None => None,
        }
        .unwrap_or((Bytes(0), MinorUnits(0)));
        let open = match judge(self, line, lane, known.map(|state| state.open), claimant, now).await? {
            Judged::Books(open) => open,
            Judged::Refused(why) => {
                let line = ReceiptLine { lane, cum_bytes: marks.0, cum_amount: marks.1, refused: Some(why) };
                return Ok((line, None));
            }
        };
        let Ok(voucher) = Voucher::of_lane(&line.voucher.0, &open) else {
            let line =
                ReceiptLine { lane, cum_bytes: marks.0, cum_amount: marks.1, refused: Some(ClaimRefusal::Invalid) };
            return Ok((line, None));
        };
        let pair = Pair::of(GridId::new(open.body().payer), open.body().payee, open.body().asset);
        let booked = parts.ledger.voucher(Part::Clearing, voucher, Vec::new(), now).await?;
        let line = ReceiptLine { lane, cum_bytes: booked.cum_bytes, cum_amount: booked.cum_amount, refused: None };
        Ok((line, Some(pair)))
    }

    /// Refuses a key that may not sign `object` for `grid`: not the grid key, not its publisher, not a gateway with one of
    /// `roles`.
    pub(super) async fn may_sign(
        &self,
        grid: &GridId,
        key: &PublicKey,
        object: &'static str,
        roles: Roles,
    ) -> Result<(), DeskError> {
        if self.grants(grid, |record| may_sign(record, key, roles)).await? {
            return Ok(());
        }
        Err(DeskError::NoAuthority { grid: *grid, key: *key, object })
    }

    pub(super) async fn record(&self, grid: &GridId) -> Result<Arc<Answer>, DeskError> {
        let answer = (self.0.parts.records)(*grid, Fetched::WithinTheHour).await;
        answer.map_err(|source| DeskError::Record { grid: *grid, source })
    }

    pub(super) async fn grants(&self, grid: &GridId, granted: impl Fn(&GridRecord) -> bool) -> Result<bool, DeskError> {
        let granted = grants(&self.0.parts.records, grid, granted).await;
        granted.map_err(|source| DeskError::Record { grid: *grid, source })
    }

    pub(super) fn now(&self) -> UnixSeconds {
        self.0.parts.clock.now()
    }

    pub(super) fn folder(&self) -> &NettingFolder {
        &self.0.parts.nettings
    }

    /// What nobody else settles meanwhile: neither this process nor another gateway that writes the same books.
    pub(super) async fn settling(&self) -> Result<(MutexGuard<'_, ()>, Alone), LedgerError> {
        let here = self.0.settling.lock().await;
        Ok((here, self.ledger().alone().await?))
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.0.parts.ledger
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk of {}", self.0.parts.grid)
    }
}

/// Whether `key` is the grid's own, its publisher's, or a gateway's with one of these roles.
pub(super) fn may_sign(record: &GridRecord, key: &PublicKey, roles: Roles) -> bool {
    is_own_key(record, key) || has_role(record, key, roles)
}

fn pair_of(pair: &Pair) -> (GridId, GridId, crate::rate::Asset) {
    (pair.first, pair.second, pair.asset)
}

fn refused(lane: Identity, why: ClaimRefusal) -> ReceiptLine {
    ReceiptLine { lane, cum_bytes: Bytes(0), cum_amount: MinorUnits(0), refused: Some(why) }
}
