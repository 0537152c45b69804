//! Which chains of positions a grid is in; what it has signed for who keeps them is sent until it is there: payments and consents.

use crate::clearing::consents::Consents;
use crate::clearing::desk_error::DeskError;
use crate::clearing::settle::{RoundError, Settler, clears};
use crate::keys::GridId;
use crate::ledger::{Chain, LedgerError, Pair, Part};
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::{Consent, Party, Payment, Terms};
use hyper::Method;
use hyper::body::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// The name of a payment or a consent in JSON, and what is around it.
const MAX_ANSWER_BYTES: usize = 16 << 10;

impl Settler {
    /// The chains of positions that this grid is in: those of its terms, those that it has a position of, and those of grids that
    /// it pays, or is paid by, since it consented to a netting: with these it need not have terms.
    pub(super) async fn chains(&self, terms: &BTreeMap<Identity, Terms>) -> Result<BTreeSet<Chain>, LedgerError> {
        let grid = self.grid();
        let by_terms = terms.values().map(|terms| {
            let body = terms.body();
            (clears(terms), Pair::of(body.payer, body.payee, body.asset))
        });
        let mut chains: BTreeSet<Chain> = by_terms.collect();
        chains.extend(self.ledger().chains().await?.into_iter().filter(|(_, pair)| pair.has(&grid)));
        let consents = self.ledger().papers_of(ObjectType::Consent, Some(grid.as_bytes()), None).await?;
        let consents = consents.iter().filter_map(|(_, _, bytes)| Consent::from_bytes(bytes).ok());
        for netting in consents.filter_map(|consent| self.0.nettings.of(&consent.body().netting)) {
            let debts = netting.transfers().iter().map(|debt| Pair::of(debt.debtor, debt.creditor, debt.asset));
            chains.extend(debts.filter(|pair| pair.has(&grid)).map(|pair| (netting.clearing(), pair)));
        }
        Ok(chains)
    }

    /// Sends consents to nettings that have not taken effect, as long as they hold: who has proposed them may not have been there when
    /// they were given. What each of those was that were not taken, and why.
    pub(super) async fn hand_on_consents(&self) -> Result<Vec<(String, RoundError)>, LedgerError> {
        let (grid, now, mut failed) = (self.grid(), self.clock().now(), Vec::new());
        let papers = self.ledger().papers_of(ObjectType::Consent, Some(grid.as_bytes()), None).await?;
        for consent in papers.iter().filter_map(|(_, _, bytes)| Consent::from_bytes(bytes).ok()) {
            let body = consent.body();
            let holds = now < body.not_after && body.clearing != grid;
            if !holds || self.ledger().netted_at(Part::Payer, &body.netting).await?.is_some() {
                continue;
            }
            let taken_back = self.0.nettings.withdrawal(&body.netting).map(|withdrawal| withdrawal.body().time);
            let consents = Consents::of(self.ledger(), &body.clearing, &body.netting).await?;
            if taken_back >= Some(body.time) || !consents.counts(&consent) {
                continue;
            }
            let sent = Bytes::copy_from_slice(consent.bytes());
            if let Err(error) = self.ask(&body.clearing, Method::POST, "/v1/consents", sent, MAX_ANSWER_BYTES).await {
                failed.push((format!("a consent for {}", body.clearing), error));
            }
        }
        Ok(failed)
    }

    /// Sends payments that no position names to whoever keeps the chain. One that is not taken holds up no other: what each of those
    /// was, and why.
    pub(super) async fn hand_on_payments(
        &self,
        chains: &BTreeSet<Chain>,
    ) -> Result<Vec<(String, RoundError)>, LedgerError> {
        let mut failed = Vec::new();
        for identity in self.ledger().payments_unposted().await? {
            let papers = self.ledger().papers(&[identity]).await?;
            let Some(payment) = papers.iter().find_map(|(_, _, bytes)| Payment::from_bytes(bytes).ok()) else {
                continue;
            };
            if let Err(error) = self.hand_on(&payment, chains).await {
                failed.push((format!("payment {identity} of {}", payment.body().debtor), error));
            }
        }
        Ok(failed)
    }

    async fn hand_on(&self, payment: &Payment, chains: &BTreeSet<Chain>) -> Result<(), RoundError> {
        let Some(clearing) = self.keeper(payment, chains).await? else {
            return Err(RoundError::Answer("no terms and no netting say who keeps the books of the two in that asset"));
        };
        if clearing == self.grid() {
            self.desk().payment(payment.bytes(), &self.grid()).await.map(drop).map_err(DeskError::into)
        } else {
            let sent = Bytes::copy_from_slice(payment.bytes());
            self.ask(&clearing, Method::POST, "/v1/payments", sent, MAX_ANSWER_BYTES).await.map(drop)
        }
    }

    /// Who keeps the chain in which the debt is that was paid: of several the one in which most is owed by the last position.
    async fn keeper(&self, payment: &Payment, chains: &BTreeSet<Chain>) -> Result<Option<GridId>, LedgerError> {
        let body = payment.body();
        let paid = Pair::of(body.debtor, body.creditor, body.asset);
        let mut keepers = Vec::new();
        for (clearing, pair) in chains.iter().filter(|(_, pair)| *pair == paid) {
            let last = self.ledger().last_position(*clearing, pair.first, pair.second, pair.asset).await?;
            let net = last.map_or(0, |last| last.body().net());
            let debtor = if body.debtor == pair.first { Party::First } else { Party::Second };
            keepers.push((if debtor == Party::First { net } else { -net }, *clearing));
        }
        Ok(keepers.into_iter().max().map(|(_, clearing)| clearing))
    }
}
