//! What a grid charges, and in which asset it is paid. No price is no permission: what is unclear is refused.

use crate::policy::retail::{NoRetail, Retail};
use crate::rate::Asset;
use crate::record::{Binding, GridRecord, binding};
use crate::signed::Identity;
use crate::units::{PricePerGib, UnixSeconds};

/// A price in force, and until when it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// What it is counted in; `XXX` at price 0 where downloads are free.
    pub asset: Asset,
    /// Minor units per 2^30 octets.
    pub price: PricePerGib,
    /// The first second for which it may be another one.
    pub until: UnixSeconds,
    /// The record that says so.
    pub record: Identity,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// The grid has gone.
    #[error("the grid has withdrawn")]
    Withdrawn,
    /// Its record is not current: nothing it says can be relied on.
    #[error("the grid's record expired on {0}")]
    Expired(UnixSeconds),
    /// It serves nobody without terms.
    #[error("the grid publishes no rates: it serves nobody without terms")]
    NoRates,
    /// None of its rates is in force.
    #[error("none of the grid's rates is in force now")]
    NoneCurrent,
    /// It can be paid in nothing that the operator has a conversion for.
    #[error("the grid charges in {}, and there is no conversion from there", codes(.0))]
    NoConversion(Vec<Asset>),
    /// There is a conversion, and what comes of it is no price.
    #[error(transparent)]
    NoRetail(NoRetail),
}

fn codes(assets: &[Asset]) -> String {
    assets.iter().map(Asset::code).collect::<Vec<_>>().join(", ")
}

/// What is paid for files of the grid of `record` at `now`: nothing if it is free; otherwise in the asset that is the cheapest by
/// the operator's conversions.
pub fn priced(
    record: &GridRecord,
    evidence: &[GridRecord],
    retail: Option<&Retail>,
    now: UnixSeconds,
) -> Result<Priced, Unpriced> {
    if record.signed().withdrawn() {
        return Err(Unpriced::Withdrawn);
    }
    if now >= record.signed().expires_at() {
        return Err(Unpriced::Expired(record.signed().expires_at()));
    }
    // A record that is there has been issued, whatever the clock here says.
    let now = now.max(record.signed().issued_at());
    let mut assets: Vec<Asset> = std::iter::once(record).chain(evidence).flat_map(rated).collect();
    assets.sort_unstable();
    assets.dedup();
    if assets.is_empty() {
        return Err(Unpriced::NoRates);
    }
    let bindings = assets.iter().filter_map(|asset| Some((*asset, binding(*asset, Some(record), evidence, now)?)));
    let prices: Vec<Priced> = bindings.map(|(asset, binding)| of(asset, &binding)).collect();
    if prices.is_empty() {
        return Err(Unpriced::NoneCurrent);
    }
    let at_home = |priced: &&Priced| match retail {
        Some(retail) => retail.price(priced.asset, priced.price).ok(),
        None => (priced.price.0 == 0).then_some(PricePerGib(0)),
    };
    let payable = prices.iter().filter_map(|priced| Some((at_home(&priced)?, *priced)));
    payable.min_by_key(|(at_home, priced)| (*at_home, priced.asset)).map(|(_, priced)| priced).ok_or_else(|| {
        let faults = prices.iter().filter_map(|priced| retail?.price(priced.asset, priced.price).err());
        let mut too_large = faults.filter(|fault| matches!(fault, NoRetail::TooLarge(_)));
        too_large.next().map_or(Unpriced::NoConversion(assets), Unpriced::NoRetail)
    })
}

fn rated(record: &GridRecord) -> impl Iterator<Item = Asset> {
    record.rates().iter().map(crate::rate::DatedRate::asset)
}

fn of(asset: Asset, binding: &Binding) -> Priced {
    let promise = &binding.promise;
    let asset = if promise.price.0 == 0 { Asset::FREE } else { asset };
    Priced { asset, price: promise.price, until: binding.stands_until, record: binding.record }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{GridId, SecretKey};
    use crate::policy::retail::{Conversion, Markup};
    use crate::record::{RecordDraft, Signer};
    use crate::units::Seconds;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn record(rates: &[&str]) -> GridRecord {
        let key = SecretKey::from_seed(&[1; 32]);
        let rates = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        let draft = RecordDraft { rates, ..RecordDraft::new(GridId::new(key.public())) };
        draft.sign(Signer::Grid { key: &key, serial: NOW.minus(Seconds::days(1)) }, None, &[], NOW).unwrap()
    }

    fn retail(conversions: &[(&str, &str)]) -> Retail {
        let asset = |code: &str| Asset::from_code(code).unwrap();
        let conversions = conversions
            .iter()
            .map(|(from, factor)| Conversion { from: asset(from), factor: factor.parse().unwrap() })
            .collect();
        Retail { asset: asset("EUR"), conversions, markup: Markup(0) }
    }

    fn found(rates: &[&str], retail: Option<&Retail>, after: Seconds) -> Result<String, Unpriced> {
        let priced = priced(&record(rates), &[], retail, NOW.plus(after))?;
        Ok(format!("{} {}", priced.asset.decimal(priced.price.0), priced.asset))
    }

    #[test]
    fn the_cheapest_asset_that_can_be_converted_is_paid_in() {
        let both = retail(&[("USD", "0.9"), ("GBP", "1.2")]);
        let rates = ["0.02 USD/GiB", "0.01 GBP/GiB", "0.001 CHF/GiB"];
        assert_eq!(found(&rates, Some(&both), Seconds(0)), Ok("0.01 GBP".into()));
        assert_eq!(found(&rates, Some(&retail(&[("USD", "0.9")])), Seconds(0)), Ok("0.02 USD".into()));
        assert!(matches!(found(&rates, Some(&retail(&[])), Seconds(0)), Err(Unpriced::NoConversion(_))));
        assert!(matches!(found(&rates, None, Seconds(0)), Err(Unpriced::NoConversion(_))));
        let far = retail(&[("USD", "999999999999")]);
        assert!(matches!(found(&rates, Some(&far), Seconds(0)), Err(Unpriced::NoRetail(_))));
    }

    #[test]
    fn free_needs_no_conversion() {
        assert_eq!(found(&["free"], None, Seconds(0)), Ok("0 XXX".into()));
        assert_eq!(found(&["free", "0.02 USD/GiB"], Some(&retail(&[("USD", "1")])), Seconds(0)), Ok("0 XXX".into()));
    }

    #[test]
    fn what_is_unclear_is_no_price() {
        let usd = retail(&[("USD", "1")]);
        assert_eq!(found(&[], Some(&usd), Seconds(0)), Err(Unpriced::NoRates));
        assert_eq!(found(&["0.02 USD/GiB from 2027-01-20"], Some(&usd), Seconds(0)), Err(Unpriced::NoneCurrent));
        let late = found(&["0.02 USD/GiB"], Some(&usd), Seconds::days(30));
        assert!(matches!(late, Err(Unpriced::Expired(_))));
    }
}
