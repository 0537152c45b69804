//! Claiming what a grid is owed: in time, and again until it is booked.

use crate::clearing::desk::Fetched;
use crate::clearing::settle::{Inner, Round, RoundError, Settler, clears};
use crate::keys::GridId;
use crate::ledger::{Claimable, LedgerError};
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::lane::is_too_late;
use crate::tariff::wire::{
    Carried, Claim, ClaimBody, ClaimLine, ClaimRefusal, LaneId, Receipt, ReceiptBody, Signed, Terms,
};
use crate::units::{MinorUnits, Seconds, UnixSeconds};
use hyper::Method;
use hyper::body::Bytes;
use std::collections::BTreeMap;
use tracing::info;

/// How many lanes are looked at in one round; the others come in the next.
const LANES_AT_ONCE: u32 = 4_096;
/// A receipt of 128 lanes, and what is around it.
const MAX_RECEIPT_BYTES: usize = 16 << 10;

impl Settler {
    /// Lanes to be claimed, by the grid that clears them.
    pub(super) async fn due(
        &self,
        terms: &BTreeMap<Identity, Terms>,
        what: Round,
    ) -> Result<BTreeMap<GridId, Vec<Claimable>>, LedgerError> {
        let now = self.0.clock.now();
        // Nobody books any more what ended before that, and what can be claimed is not to wait behind it.
        let longest = terms.values().map(|terms| terms.body().dispute).max().unwrap_or(Seconds(0));
        let mut by_terms: BTreeMap<Identity, Vec<Claimable>> = BTreeMap::new();
        for lane in self.0.ledger.claimable(now.minus(longest), LANES_AT_ONCE).await? {
            if let Some(of) = lane.open.body().terms.filter(|of| terms.contains_key(of)) {
                by_terms.entry(of).or_default().push(lane);
            }
        }
        let mut due: BTreeMap<GridId, Vec<Claimable>> = BTreeMap::new();
        for (of, mut lanes) in by_terms {
            let Some(terms) = terms.get(&of) else { continue };
            lanes.retain(|lane| !is_over(terms, lane, now));
            let (payer, asset) = (terms.body().payer, terms.body().asset);
            let lent = self.till().lends(payer.key(), asset).unwrap_or(terms.body().credit_limit);
            if what == Round::Everything || is_due(terms, lent, &lanes, now) {
                due.entry(clears(terms)).or_default().extend(lanes);
            }
        }
        Ok(due)
    }

    /// What was not claimed in time, for people: with each grid and in each asset.
    pub(super) async fn too_late(&self, terms: &BTreeMap<Identity, Terms>) -> Result<Vec<String>, LedgerError> {
        let now = self.0.clock.now();
        let mut late: BTreeMap<(GridId, &str), (u64, u128, Asset)> = BTreeMap::new();
        for lane in self.0.ledger.claimable(UnixSeconds(0), LANES_AT_ONCE).await? {
            let body = lane.open.body();
            if body.terms.and_then(|of| terms.get(&of)).is_some_and(|terms| is_over(terms, &lane, now)) {
                let sum = late.entry((GridId::new(body.payer), body.asset.code())).or_insert((0, 0, body.asset));
                (sum.0, sum.1) = (sum.0 + 1, sum.1 + u128::from(unclaimed(&lane).0));
            }
        }
        let told = late.into_iter().map(|((payer, code), (lanes, amount, asset))| {
            let amount = asset.decimal(u64::try_from(amount).unwrap_or(u64::MAX));
            let lanes = if lanes == 1 { "1 lane".to_owned() } else { format!("{lanes} lanes") };
            format!("{lanes} of {payer} for {amount} {code} can be claimed no more: their dispute period is over")
        });
        Ok(told.collect())
    }

    /// Claims these lanes; how many are booked, and why others are not.
    pub(super) async fn claim(
        &self,
        clearing: &GridId,
        lanes: &[Claimable],
        terms: &BTreeMap<Identity, Terms>,
    ) -> Result<(u64, Vec<(LaneId, String)>), RoundError> {
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
        let (mut claimed, mut refused) = (0, Vec::new());
        for lane in lanes {
            let voucher = lane.voucher.body();
            let line = receipt.body().lanes.iter().find(|line| line.lane == voucher.lane);
            let what = match line.map(|line| (line.refused, line.cum_bytes)) {
                Some((None, booked)) if booked >= voucher.cum_bytes => {
                    claimed += 1;
                    continue;
                }
                Some((Some(why), _)) => {
                    format!("{clearing} does not book lane {}: {} ({})", voucher.lane, words(why), why.code())
                }
                Some((None, _)) | None => {
                    format!("the receipt of {clearing} does not book lane {} as far as claimed", voucher.lane)
                }
            };
            refused.push((voucher.lane, what));
        }
        info!(%clearing, claimed, "claimed");
        Ok((claimed, refused))
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
}

/// Whether what these lanes come to is to be claimed now, of so much that is lent.
fn is_due(terms: &Terms, lent: MinorUnits, lanes: &[Claimable], now: UnixSeconds) -> bool {
    let body = terms.body();
    let open: u128 = lanes.iter().map(|lane| u128::from(unclaimed(lane).0)).sum();
    let half = open >= u128::from(lent.0).div_ceil(2);
    let old = |lane: &Claimable| {
        let lane = lane.open.body();
        let latest = Seconds(body.dispute.0 / 2);
        now >= lane.opened_at.plus(body.settle) || now >= lane.not_after.plus(latest)
    };
    half || lanes.iter().any(old)
}

/// Why a lane is not booked, for people.
const fn words(why: ClaimRefusal) -> &'static str {
    match why {
        ClaimRefusal::UnknownLane => "it does not know the lane",
        ClaimRefusal::Invalid => "something of it does not verify there, or is signed by a key that no record lists",
        ClaimRefusal::WrongPrice => "its price is not the one that this grid was bound to when it was opened",
        ClaimRefusal::NoTerms => "its terms were not in force, or name another clearing node",
        ClaimRefusal::TooLate => "its dispute period is over",
    }
}

/// Whether a lane can be claimed no more.
fn is_over(terms: &Terms, lane: &Claimable, now: UnixSeconds) -> bool {
    is_too_late(lane.open.body().not_after, Some(terms.body().dispute), now)
}

fn unclaimed(lane: &Claimable) -> MinorUnits {
    MinorUnits(lane.voucher.body().cum_amount.0.saturating_sub(lane.posted_amount.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::wire::fixtures::{NOW, PRICE, lane, lane_body, secret, terms, terms_body, voucher};
    use crate::tariff::wire::{TermsBody, TermsProposal};
    use crate::units::Bytes as Octets;

    /// All of the credit: 10 USD, at 0.02 USD for each GiB.
    const LENT: MinorUnits = MinorUnits(10_000_000_000);

    fn owed(gibs: u64, of_it_booked: u64) -> Claimable {
        let posted_bytes = Octets(of_it_booked << 30);
        let posted_amount = PRICE.charge(posted_bytes).unwrap();
        Claimable { open: lane(), voucher: voucher(gibs << 30), posted_bytes, posted_amount }
    }

    #[test]
    fn half_of_the_credit_calls_for_a_claim_as_far_as_it_is_not_booked_yet() {
        assert_eq!(terms_body().credit_limit, LENT);
        assert!(is_due(&terms(), LENT, &[owed(250, 0)], NOW));
        assert!(!is_due(&terms(), LENT, &[owed(249, 0)], NOW));
        assert!(is_due(&terms(), LENT, &[owed(249, 0), owed(1, 0)], NOW), "all lanes together");
        assert!(!is_due(&terms(), LENT, &[owed(499, 250)], NOW));
        // A gateway that lends a part of it claims at half of that.
        let part = MinorUnits(LENT.0 / 5);
        assert!(is_due(&terms(), part, &[owed(50, 0)], NOW) && !is_due(&terms(), part, &[owed(49, 0)], NOW));
    }

    #[test]
    fn the_settlement_interval_and_half_of_the_dispute_period_call_for_one_however_little_it_is() {
        let (terms, body, little) = (terms(), terms_body(), [owed(1, 0)]);
        let interval = NOW.plus(body.settle);
        assert!(!is_due(&terms, LENT, &little, interval.minus(Seconds(1))) && is_due(&terms, LENT, &little, interval));
        // Terms by which it is settled later than that.
        let late = TermsBody { settle: Seconds::days(90), ..body };
        let late = TermsProposal::sign(&late, &secret(1)).unwrap().accept(&secret(2)).unwrap();
        let half = lane_body().not_after.plus(Seconds(body.dispute.0 / 2));
        assert!(!is_due(&late, LENT, &little, half.minus(Seconds(1))) && is_due(&late, LENT, &little, half));
    }
}
