//! What the operator has signed, taken in by the running node: kept in the books and told to whom it concerns.

use crate::clearing::desk::grants;
use crate::clearing::desk_error::DeskError;
use crate::clearing::fresh_records::{is_own_key, may_agree};
use crate::clearing::settle::{Settler, clears};
use crate::config::FileError;
use crate::keys::{GridId, PublicKey};
use crate::ledger::{LedgerError, Part};
use crate::record::GridRecord;
use crate::resolver::ResolveError;
use crate::tariff::wire::{Consent, Payment, Revoke, Revoked, Side, Terms};
use hyper::Method;
use hyper::body::Bytes;
use std::collections::BTreeSet;

/// The most octets of what can be taken in: terms with both signatures.
pub const MAX_TAKEN_BYTES: usize = 1 << 10;

/// What was taken in.
#[derive(Debug, Clone)]
pub struct Taken {
    /// What it is: `terms`, `payment`, `consent`, `revoke`, `withdrawal`.
    pub kind: &'static str,
    /// Its identity.
    pub identity: crate::signed::Identity,
    /// To whom it was told.
    pub told: Vec<GridId>,
    /// To whom it could not be told, and why.
    pub untold: Vec<(GridId, String)>,
}

/// Why it is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// None of the objects that a person signs here.
    #[error("these bytes are neither terms that both sides have signed, nor a payment, a consent or a revocation")]
    Neither,
    /// Of other grids.
    #[error("it is between other grids")]
    OtherGrids,
    /// The key may not sign it.
    #[error("the record of {grid} gives {key} no right to sign it")]
    NoAuthority {
        /// The grid.
        grid: GridId,
        /// The key.
        key: PublicKey,
    },
    /// It ends what is not in the books.
    #[error("what it ends is not in these books")]
    NothingEnded,
    /// It takes back a consent that was not given, or is taken back already.
    #[error("this grid has given no consent to that netting that could be taken back")]
    NotConsented,
    /// The clearing node does not take it.
    #[error("{clearing} does not take it: {why}")]
    NotTaken {
        /// Who clears.
        clearing: GridId,
        /// In its words.
        why: String,
    },
    /// As a clearing node we refuse it.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// What is to be told again cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record that gives authority is not found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The books.
    #[error(transparent)]
    Books(#[from] LedgerError),
}

impl Settler {
    /// Takes in what was signed, whoever brings it: kept when this returns. To repeat it is harmless.
    pub async fn take(&self, bytes: &[u8]) -> Result<Taken, TakeError> {
        if let Ok(terms) = Terms::from_bytes(bytes) {
            return self.take_terms(&terms).await;
        }
        if let Ok(payment) = Payment::from_bytes(bytes) {
            return self.take_payment(&payment).await;
        }
        if let Ok(consent) = Consent::from_bytes(bytes) {
            return self.take_consent(&consent).await;
        }
        let revoke = Revoke::from_bytes(bytes).map_err(|_| TakeError::Neither)?;
        self.take_revoke(&revoke).await
    }

    async fn take_terms(&self, terms: &Terms) -> Result<Taken, TakeError> {
        let (body, grid) = (terms.body(), self.grid());
        if body.payer != grid && body.payee != grid {
            return Err(TakeError::OtherGrids);
        }
        for (party, side) in [(body.payer, Side::Payer), (body.payee, Side::Payee)] {
            let key = if side == Side::Payer { body.payer_key } else { body.payee_key };
            self.granted(&party, &key, |record| may_agree(record, &key, body.asset, body.credit_limit)).await?;
        }
        self.ledger().keep(terms, self.clock().now()).await?;
        let other = if body.payer == grid { body.payee } else { body.payer };
        Ok(self.tell("terms", terms.identity(), "/v1/terms", terms.bytes(), [other].into()).await)
    }

    async fn take_payment(&self, payment: &Payment) -> Result<Taken, TakeError> {
        let body = payment.body();
        if body.creditor != self.grid() {
            return Err(TakeError::OtherGrids);
        }
        self.granted(&body.creditor, &body.signer, |record| is_own_key(record, &body.signer)).await?;
        self.ledger().pay(Part::Payee, payment.clone(), self.clock().now()).await?;
        // The next round brings it to whoever keeps the chain, and goes on until it is there.
        let identity = payment.identity();
        Ok(Taken { kind: "payment", identity, told: Vec::new(), untold: Vec::new() })
    }

    async fn take_consent(&self, consent: &Consent) -> Result<Taken, TakeError> {
        let (body, grid) = (consent.body(), self.grid());
        if body.grid != grid {
            return Err(TakeError::OtherGrids);
        }
        self.granted(&grid, &body.signer, |record| is_own_key(record, &body.signer)).await?;
        self.ledger().keep(consent, self.clock().now()).await?;
        if body.clearing == grid {
            let mut taken =
                Taken { kind: "consent", identity: consent.identity(), told: Vec::new(), untold: Vec::new() };
            if let Err(error) = self.desk().consent(consent.bytes(), &grid).await {
                taken.untold.push((grid, error.to_string()));
            }
            return Ok(taken);
        }
        Ok(self.tell("consent", consent.identity(), "/v1/consents", consent.bytes(), [body.clearing].into()).await)
    }

    async fn take_revoke(&self, revoke: &Revoke) -> Result<Taken, TakeError> {
        let (body, grid) = (revoke.body(), self.grid());
        if body.kind == Revoked::Consent {
            return self.take_withdrawal(revoke).await;
        }
        let papers = self.ledger().papers(&[body.target]).await?;
        let ended = papers.iter().find_map(|(_, _, bytes)| Terms::from_bytes(bytes).ok());
        let ended = ended.filter(|_| body.kind == Revoked::Terms).ok_or(TakeError::NothingEnded)?;
        let parties = [ended.body().payer, ended.body().payee];
        let concerns_us = parties.contains(&grid) || clears(&ended) == grid;
        if !parties.contains(&body.issuer) || !concerns_us {
            return Err(TakeError::OtherGrids);
        }
        self.granted(&body.issuer, &body.signer, |record| is_own_key(record, &body.signer)).await?;
        self.ledger().keep(revoke, self.clock().now()).await?;
        self.till().terms_ended(&body.target);
        let clearing = clears(&ended);
        let mut to: BTreeSet<GridId> = if body.issuer == grid { parties.into() } else { BTreeSet::new() };
        if body.issuer == grid && to.insert(clearing) {
            // Who has booked nothing under them does not know them. What they say of terms that are over does not matter.
            let _ = self.send(&clearing, Method::POST, "/v1/terms", Bytes::copy_from_slice(ended.bytes())).await;
        }
        to.remove(&grid);
        Ok(self.tell("revoke", revoke.identity(), "/v1/revocations", revoke.bytes(), to).await)
    }

    pub(super) async fn granted(
        &self,
        grid: &GridId,
        key: &PublicKey,
        granted: impl Fn(&GridRecord) -> bool,
    ) -> Result<(), TakeError> {
        // The grid key may do everything, whatever its record says.
        if grid.key() == key || grants(self.records(), grid, granted).await? {
            return Ok(());
        }
        Err(TakeError::NoAuthority { grid: *grid, key: *key })
    }

    async fn tell(
        &self,
        kind: &'static str,
        identity: crate::signed::Identity,
        path: &str,
        bytes: &[u8],
        to: BTreeSet<GridId>,
    ) -> Taken {
        let mut taken = Taken { kind, identity, told: Vec::new(), untold: Vec::new() };
        for grid in to {
            match self.send(&grid, Method::POST, path, Bytes::copy_from_slice(bytes)).await {
                Ok(_) => taken.told.push(grid),
                Err(error) => taken.untold.push((grid, error)),
            }
        }
        taken
    }
}
