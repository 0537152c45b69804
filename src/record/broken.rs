//! Broken promises as JSON: which record promised what, what the current one says instead, and what is charged.
//!
//! Prices are strings of digits in minor units, beside their asset and its scale.

use super::evidence::{Breach, Broken, binding_price, breaches};
use super::grid_record::GridRecord;
use super::view::AuthorityView;
use crate::rate::Commitment;
use crate::units::UnixSeconds;
use serde::Serialize;

/// What a grid's current record breaks of its earlier promises, and the records that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenView {
    /// Whose records these are.
    pub grid_id: String,
    /// The current record.
    pub current: ProofView,
    /// Each promise that it does not keep.
    pub broken: Vec<BreachView>,
    /// How many earlier records with promises were compared with it.
    pub earlier_records: usize,
}

/// One of the two records of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofView {
    /// Orders the grid's records.
    pub sequence: u64,
    /// When it says it was signed; to be verified as of then.
    pub issued_at_unix_seconds: u64,
    /// When it ends.
    pub expires_at_unix_seconds: u64,
    /// Who signed.
    pub authority: AuthorityView,
    /// What names the record.
    pub identity: String,
    /// The name of its file.
    pub file: String,
}

/// A promise, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreachView {
    /// The asset; `XXX` is "free for everybody".
    pub asset: &'static str,
    /// One minor unit is 10^−scale of it.
    pub scale: u32,
    /// How it is broken: `dropped`, `raised`, `shortened`, `postponed`.
    pub broken: &'static str,
    /// What was promised.
    pub promised: PromiseView,
    /// The record that promised it.
    pub earlier: ProofView,
    /// What the current record says in that asset; `null` if nothing.
    pub current: Option<PromiseView>,
    /// What every reader is charged now, all promises counted; `null` while none is in force.
    pub binding_price_per_gib: Option<String>,
}

/// A price and the time for which it is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromiseView {
    /// Minor units for each 2^30 octets.
    pub price_per_gib: String,
    /// From when on it holds.
    pub not_before_unix_seconds: u64,
    /// Until when the grid is bound to it.
    pub committed_until_unix_seconds: u64,
}

impl BrokenView {
    /// What `current` breaks of what the `earlier` records of its grid promised, at `now`. The records beside it are those
    /// that prove something, the current one last; none if nothing is broken.
    pub fn new<'r>(
        current: &'r GridRecord,
        earlier: &'r [GridRecord],
        now: UnixSeconds,
    ) -> (Self, Vec<&'r GridRecord>) {
        let mut proof = Vec::new();
        let mut broken = Vec::new();
        for older in earlier {
            let found = breaches(older, current);
            if !found.is_empty() {
                proof.push(older);
            }
            broken.extend(found.iter().map(|breach| {
                let binds = binding_price(breach.promised.asset, Some(current), earlier, now);
                BreachView::new(breach, older, binds.map(|price| price.to_string()))
            }));
        }
        if !proof.is_empty() {
            proof.push(current);
        }
        let view = Self {
            grid_id: current.grid().to_string(),
            current: ProofView::new(current),
            broken,
            earlier_records: earlier.len(),
        };
        (view, proof)
    }
}

impl ProofView {
    fn new(record: &GridRecord) -> Self {
        let signed = record.signed();
        Self {
            sequence: signed.sequence(),
            issued_at_unix_seconds: signed.issued_at().0,
            expires_at_unix_seconds: signed.expires_at().0,
            authority: AuthorityView::new(signed.authority()),
            identity: signed.identity().to_string(),
            file: signed.file_name(),
        }
    }
}

impl BreachView {
    fn new(breach: &Breach, older: &GridRecord, binding_price_per_gib: Option<String>) -> Self {
        Self {
            asset: breach.promised.asset.code(),
            scale: breach.promised.asset.scale(),
            broken: match breach.broken() {
                Broken::Dropped => "dropped",
                Broken::Raised => "raised",
                Broken::Shortened => "shortened",
                Broken::Postponed => "postponed",
            },
            promised: PromiseView::new(&breach.promised),
            earlier: ProofView::new(older),
            current: breach.found.as_ref().map(PromiseView::new),
            binding_price_per_gib,
        }
    }
}

impl PromiseView {
    fn new(promise: &Commitment) -> Self {
        Self {
            price_per_gib: promise.price.to_string(),
            not_before_unix_seconds: promise.from.0,
            committed_until_unix_seconds: promise.until.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DAY, NOW, delegation_draft, grid, grid_key, publisher_key};
    use super::super::{Delegation, RecordDraft, Signer};
    use super::*;

    fn draft(rates: &[&str]) -> RecordDraft {
        RecordDraft {
            rates: rates.iter().map(|text| text.parse().expect("a rate")).collect(),
            ..RecordDraft::new(grid())
        }
    }

    /// Signed by a publisher whose delegation a newer serial has revoked since.
    fn promised() -> GridRecord {
        let delegation = Delegation::issue(&grid_key(), &delegation_draft()).expect("a delegation");
        let key = publisher_key();
        let until = NOW.plus(crate::units::Seconds::days(60));
        draft(&[&format!("0.02 USD/GiB until {until}"), &format!("0.05 EUR/GiB until {until}")])
            .sign(Signer::Publisher { key: &key, delegation: &delegation }, None, &[], NOW)
            .expect("signed")
    }

    fn current(rates: &[&str]) -> GridRecord {
        let signer = Signer::Grid { key: &grid_key(), serial: NOW.plus(DAY) };
        draft(rates).sign(signer, None, &[], NOW.plus(DAY)).expect("signed")
    }

    #[test]
    fn a_proof_names_both_records_and_what_is_charged() {
        let (older, newer) = (promised(), current(&["0.03 USD/GiB"]));
        let earlier = [older.clone()];
        let (view, proof) = BrokenView::new(&newer, &earlier, NOW.plus(DAY));
        assert_eq!(proof, [&older, &newer]);
        let kinds: Vec<_> = view.broken.iter().map(|breach| (breach.asset, breach.broken)).collect();
        assert_eq!(kinds, [("EUR", "dropped"), ("USD", "raised")]);
        let usd = &view.broken[1];
        assert_eq!((usd.scale, &*usd.promised.price_per_gib), (9, "20000000"));
        assert_eq!(usd.current.as_ref().expect("a line").price_per_gib, "30000000");
        assert_eq!(usd.binding_price_per_gib.as_deref(), Some("20000000"));
        assert_eq!(usd.earlier.authority.publisher, Some(publisher_key().public().to_string()));
        assert_eq!(usd.earlier.identity, older.signed().identity().to_string());
        assert_eq!(view.current.identity, newer.signed().identity().to_string());
        assert_eq!(view.broken[0].current, None);
    }

    #[test]
    fn what_is_kept_is_no_breach() {
        let until = NOW.plus(crate::units::Seconds::days(90));
        let newer = current(&[&format!("0.01 USD/GiB until {until}"), &format!("0.05 EUR/GiB until {until}")]);
        let earlier = [promised()];
        let (view, proof) = BrokenView::new(&newer, &earlier, NOW.plus(DAY));
        assert!(view.broken.is_empty() && proof.is_empty());
        assert_eq!(view.earlier_records, 1);
    }
}
