//! Terms that are in force between the own grid and others: kept in the books, asked for before each lane.

use crate::clearing::fresh_records::{FreshRecords, may_agree};
use crate::clock::Clock;
use crate::keys::{GridId, SecretKey};
use crate::ledger::{Ledger, LedgerError};
use crate::record::{GridRecord, Limit};
use crate::resolver::ResolveError;
use crate::session::CLAIM_TOLERANCE;
use crate::signed::{Identity, ObjectType};
use crate::tariff::lane::Limits;
use crate::tariff::wire::{Revoke, Revoked, Side, Terms, TermsBody, TermsProposal, WireError};
use crate::units::{Seconds, UnixSeconds};

/// How often a draft would have it settled, and how long a period may be disputed.
const WEEK: Seconds = Seconds(7 * 86_400);
/// How long a draft would hold.
const MONTHS: Seconds = Seconds(90 * 86_400);

/// The terms of a grid with others. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AgreedTerms {
    ledger: Ledger,
    grid: GridId,
    fresh: FreshRecords,
    clock: Clock,
}

/// Why terms are not agreed to.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// Not terms.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Of other grids.
    #[error("the terms are between other grids")]
    OtherGrids,
    /// A key that may not agree to them.
    #[error("the record of {grid} does not let {key} agree to a credit of {credit}")]
    NoAuthority {
        /// The grid.
        grid: GridId,
        /// The key.
        key: String,
        /// The credit.
        credit: String,
    },
    /// Nothing in force by now.
    #[error("the terms are not in force")]
    NotInForce,
    /// One of the two has ended what they had: what follows is for people to agree on.
    #[error("terms between the two grids were ended: new ones are made by their operators")]
    Ended,
    /// More than may be agreed to without a person.
    #[error("a credit of {credit} is more than this gateway agrees to by itself")]
    TooMuch {
        /// The credit.
        credit: String,
    },
    /// The record that gives authority is not found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The books.
    #[error(transparent)]
    Books(#[from] LedgerError),
}

impl AgreedTerms {
    /// The terms that `ledger` keeps of `grid`.
    pub fn new(ledger: Ledger, grid: GridId, fresh: FreshRecords, clock: Clock) -> Self {
        Self { ledger, grid, fresh, clock }
    }

    /// Those in force by which `payer` pays `payee`; the ones that last longest first.
    pub async fn between(&self, payer: &GridId, payee: &GridId) -> Result<Vec<Terms>, LedgerError> {
        let now = self.clock.now();
        let (owner, other) = (payer.as_bytes(), payee.as_bytes());
        let papers = self.ledger.papers_of(ObjectType::Terms, Some(owner), Some(other)).await?;
        let mut terms: Vec<Terms> = papers.iter().filter_map(|(_, _, bytes)| Terms::from_bytes(bytes).ok()).collect();
        let ended = self.ended(payer, payee).await?;
        terms.retain(|terms| terms.body().is_current(now) && !ended.contains(&terms.identity()));
        terms.sort_by_key(|terms| std::cmp::Reverse(terms.body().not_after));
        Ok(terms)
    }

    /// When terms between the two were last ended by one of them. From then on a draft from before counts no more, and none is made
    /// or agreed to without a person: what was ended would come back by itself.
    pub async fn last_end(&self, payer: &GridId, payee: &GridId) -> Result<Option<UnixSeconds>, LedgerError> {
        let papers = self.ledger.papers_of(ObjectType::Terms, Some(payer.as_bytes()), Some(payee.as_bytes())).await?;
        let between = |target: &Identity| papers.iter().any(|(identity, _, _)| identity == target);
        let revokes = self.revokes(payer, payee).await?;
        Ok(revokes.iter().filter(|revoke| between(&revoke.body().target)).map(|revoke| revoke.body().time).max())
    }

    /// What one of the two has ended by now.
    async fn ended(&self, payer: &GridId, payee: &GridId) -> Result<Vec<Identity>, LedgerError> {
        let now = self.clock.now();
        let mut revokes = self.revokes(payer, payee).await?;
        revokes.retain(|revoke| revoke.body().time <= now);
        Ok(revokes.iter().map(|revoke| revoke.body().target).collect())
    }

    /// What either has said of terms that are to end.
    async fn revokes(&self, payer: &GridId, payee: &GridId) -> Result<Vec<Revoke>, LedgerError> {
        let mut revokes = Vec::new();
        for issuer in [payer, payee] {
            let papers = self.ledger.papers_of(ObjectType::Revoke, Some(issuer.as_bytes()), None).await?;
            let of_issuer = papers.iter().filter_map(|(_, _, bytes)| Revoke::from_bytes(bytes).ok());
            revokes.extend(of_issuer.filter(|revoke| revoke.body().kind == Revoked::Terms));
        }
        Ok(revokes)
    }

    /// A draft for `payer`, whose gateway has the key `payer_key`, signed with ours, up to our own limit; none where terms between
    /// the two were ended.
    pub async fn draft(
        &self,
        payer: &GridId,
        payer_key: crate::keys::PublicKey,
        clearing: Option<GridId>,
        limit: &Limit,
        key: &SecretKey,
    ) -> Result<TermsProposal, TermsError> {
        let now = self.clock.now();
        if self.last_end(payer, &self.grid).await?.is_some() {
            return Err(TermsError::Ended);
        }
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| LedgerError::Closed)?;
        let body = TermsBody {
            payer: *payer,
            payer_key,
            payee: self.grid,
            payee_key: key.public(),
            clearing,
            asset: limit.asset(),
            credit_limit: limit.amount(),
            window: Limits::PAIR_WINDOW,
            settle: WEEK,
            dispute: WEEK,
            // In force for a payer too whose clock is behind as far as it may be.
            not_before: now.minus(CLAIM_TOLERANCE),
            not_after: now.plus(MONTHS),
            nonce,
        };
        Ok(TermsProposal::sign(&body, key)?)
    }

    /// Agrees to a draft that `payee` has signed, for us who pay, up to `limit` in its asset; kept when this returns.
    pub async fn accept(
        &self,
        draft: &[u8],
        payee: &GridId,
        limit: Option<&Limit>,
        key: &SecretKey,
    ) -> Result<Terms, TermsError> {
        let draft = TermsProposal::from_bytes(draft)?;
        let body = draft.body();
        if draft.by() != Side::Payee || body.payer != self.grid || body.payee != *payee {
            return Err(TermsError::OtherGrids);
        }
        if !body.is_current(self.clock.now()) {
            return Err(TermsError::NotInForce);
        }
        if !limit.is_some_and(|limit| limit.asset() == body.asset && body.credit_limit <= limit.amount()) {
            return Err(TermsError::TooMuch { credit: credit(body) });
        }
        if self.last_end(&self.grid, payee).await?.is_some() {
            return Err(TermsError::Ended);
        }
        self.authorised(payee, body, Side::Payee).await?;
        let terms = draft.accept(key)?;
        self.ledger.keep(&terms, self.clock.now()).await?;
        Ok(terms)
    }

    /// Keeps terms that both have signed, one of which has brought them: ours with it, or such as we clear under. The authority of
    /// both is looked up.
    pub async fn keep(&self, bytes: &[u8], bringer: &GridId) -> Result<Terms, TermsError> {
        let terms = Terms::from_bytes(bytes)?;
        let body = terms.body();
        let parties = [body.payer, body.payee];
        if !parties.contains(bringer) || !(parties.contains(&self.grid) || body.clearing == Some(self.grid)) {
            return Err(TermsError::OtherGrids);
        }
        if !body.is_current(self.clock.now()) {
            return Err(TermsError::NotInForce);
        }
        if self.last_end(&body.payer, &body.payee).await?.is_some_and(|end| body.not_before <= end) {
            return Err(TermsError::Ended);
        }
        self.authorised(&body.payer, body, Side::Payer).await?;
        self.authorised(&body.payee, body, Side::Payee).await?;
        self.ledger.keep(&terms, self.clock.now()).await?;
        Ok(terms)
    }

    async fn authorised(&self, grid: &GridId, body: &TermsBody, side: Side) -> Result<(), TermsError> {
        let key = match side {
            Side::Payer => body.payer_key,
            Side::Payee => body.payee_key,
        };
        let may = |record: &GridRecord| may_agree(record, &key, body.asset, body.credit_limit);
        if may(&self.fresh.of(grid).await?.record) || may(&self.fresh.anew(grid).await?.record) {
            return Ok(());
        }
        Err(TermsError::NoAuthority { grid: *grid, key: key.to_string(), credit: credit(body) })
    }
}

fn credit(body: &TermsBody) -> String {
    format!("{} {}", body.asset.decimal(body.credit_limit.0), body.asset.code())
}
