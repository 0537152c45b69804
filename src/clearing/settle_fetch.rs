//! What others have booked in the chains that they keep: fetched, and held against the own books before it is kept.

use crate::clearing::consents::Consents;
use crate::clearing::desk::Posted;
use crate::clearing::nettings::netted;
use crate::clearing::position_check::{PositionFault, check};
use crate::clearing::settle::{Inner, RoundError, Settler};
use crate::clearing::settle_documents::{MAX_NETTINGS_BYTES, MAX_POSITIONS_BYTES, NettingsDocument, PositionsDocument};
use crate::keys::GridId;
use crate::ledger::{Pair, Part};
use crate::tariff::wire::{Payment, Position, SettledBy};
use hyper::Method;
use hyper::body::Bytes;

impl Settler {
    /// Fetches what is new of a chain, holds it against our books and keeps it.
    pub(super) async fn fetch(&self, clearing: &GridId, pair: &Pair) -> Result<u64, RoundError> {
        let Inner { ledger, grid, clock, .. } = &*self.0;
        let (other, asset) = (pair.other(grid), pair.asset);
        let mut count = 0;
        loop {
            let mut last = ledger.last_position(*clearing, pair.first, pair.second, pair.asset).await?;
            let after = last.as_ref().map_or(0, |last| last.body().number);
            // From the last one on, which must be the one that we have: so a second history shows itself.
            let path = format!("/v1/positions/{other}?asset={asset}&after={}", after.saturating_sub(1));
            let body = self.ask(clearing, Method::GET, &path, Bytes::new(), MAX_POSITIONS_BYTES).await?;
            let Posted { positions, payments } = PositionsDocument::read(&body)?;
            let new = match (&last, positions.split_first()) {
                (None, _) => &positions[..],
                (Some(last), Some((same, new))) if same.identity() == last.identity() => new,
                (Some(_), _) => {
                    return Err(PositionFault::OtherHistory { clearing: *clearing, number: after }.into());
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

    /// Books nettings that a position says have taken effect, as far as we have consented to them, and not taken that back by the clearing node's own word.
    async fn book_nettings(&self, position: &Position) -> Result<(), RoundError> {
        let Inner { ledger, grid, nettings, clock, .. } = &*self.0;
        for line in position.body().settled.iter().filter(|line| line.by == SettledBy::Netting) {
            let Some(netting) = nettings.of(&line.proof.0) else { continue };
            let has_consented = Consents::of(ledger, &netting.clearing(), &netting.hash()).await?.until(grid).is_some();
            if has_consented && netting.clearing() == position.body().clearing {
                ledger.net(Some(*grid), netting, clock.now()).await?;
            }
        }
        Ok(())
    }

    /// Fetches what is proposed to us.
    pub(super) async fn fetch_nettings(&self, clearing: &GridId) -> Result<(), RoundError> {
        let body = self.ask(clearing, Method::GET, "/v1/nettings", Bytes::new(), MAX_NETTINGS_BYTES).await?;
        for netting in NettingsDocument::read(&body)?.nettings() {
            let netting = netting?;
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
