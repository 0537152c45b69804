//! A record's JSON view as lines for people.

use crate::rate::Asset;
use crate::record::{RateView, RecordView};
use crate::units::UnixSeconds;
use std::fmt;

/// The width of the names' column.
const WIDTH: usize = 12;

/// Shows a view.
#[derive(Debug, Clone, Copy)]
pub struct RecordText<'a>(pub &'a RecordView);

impl fmt::Display for RecordText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.0;
        line(f, "grid", &view.grid_id)?;
        if let Some(from) = &view.moved_from {
            line(f, "moved from", from)?;
        }
        if view.withdrawn {
            line(f, "withdrawn", "for good")?;
        }
        lines(f, "nickname", view.nickname.iter())?;
        lines(f, "contact", view.contact.iter())?;
        let gateways = view.gateways.iter().map(|gateway| {
            let mut text = gateway.furl.clone().unwrap_or_else(|| "not called".to_owned());
            text.push_str(&format!("\n  roles {}", gateway.roles.join(", ")));
            if let Some(key) = &gateway.key {
                text.push_str(&format!("\n  key {key}"));
            }
            if let Some(limit) = &gateway.limit {
                let amount = decimal(limit.asset, &limit.amount_minor_units);
                text.push_str(&format!("\n  limit {amount} {}", limit.asset));
            }
            text
        });
        lines(f, "gateway", gateways)?;
        if view.rates.is_empty() && !view.withdrawn {
            line(f, "rate", "none: serves nobody without terms")?;
        }
        lines(f, "rate", view.rates.iter().map(rate))?;
        let nodes =
            view.nodes.iter().flat_map(|node| node.addrs.iter().map(|addr| format!("{addr}/p2p/{}", node.peer_id)));
        lines(f, "node", nodes)?;
        lines(f, "clearing", view.clearing.iter())?;
        lines(f, "next key", view.next_key_digest.iter())?;
        lines(f, "successor", view.successor.iter())?;
        lines(f, "predecessor", view.predecessor.iter())?;
        line(f, "sequence", &view.sequence.to_string())?;
        let (issued, expires) = (UnixSeconds(view.issued_at_unix_seconds), UnixSeconds(view.expires_at_unix_seconds));
        line(f, "time", &format!("{issued} to {expires}"))?;
        let serial = view.authority.serial;
        match &view.authority.publisher {
            Some(publisher) => line(f, "signed by", &format!("publisher {publisher}, delegation {serial}"))?,
            None => line(f, "signed by", &format!("the grid key, serial {serial}"))?,
        }
        lines(f, "evidence", view.evidence.iter())?;
        line(f, "identity", &view.identity)
    }
}

fn rate(rate: &RateView) -> String {
    let RateView { asset, price_per_gib, published_price_per_gib, .. } = rate;
    let mut text = if *asset == Asset::FREE.code() {
        "free".to_owned()
    } else {
        format!("{} {asset}/GiB", decimal(asset, price_per_gib))
    };
    let (from, until) = (UnixSeconds(rate.not_before_unix_seconds), UnixSeconds(rate.committed_until_unix_seconds));
    text.push_str(&format!(", from {from}, binds until {until}"));
    match published_price_per_gib {
        Some(Some(price)) => {
            text.push_str(&format!("\n  a promise binds: the record says {} {asset}/GiB", decimal(asset, price)));
        }
        Some(None) => text.push_str("\n  a promise binds: the record drops this line"),
        None => {}
    }
    if let Some(next) = &rate.next {
        let from = UnixSeconds(next.not_before_unix_seconds);
        text.push_str(&format!("\n  then {} {asset}/GiB from {from}", decimal(asset, &next.price_per_gib)));
    }
    text
}

/// Minor units as a decimal fraction; the digits themselves if the asset is unknown here.
pub(super) fn decimal(asset: &str, minor_units: &str) -> String {
    match (Asset::from_code(asset), minor_units.parse()) {
        (Ok(asset), Ok(units)) => asset.decimal(units),
        _ => minor_units.to_owned(),
    }
}

pub(super) fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    lines(f, name, [value].into_iter())
}

/// The name stands before the first line alone.
pub(super) fn lines(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    values: impl Iterator<Item = impl fmt::Display>,
) -> fmt::Result {
    let mut name = name;
    for value in values {
        for line in value.to_string().lines() {
            writeln!(f, "{name:WIDTH$}{line}")?;
            name = "";
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{GridId, SecretKey};
    use crate::record::{GridRecord, RecordDraft, Signer};

    fn record(rates: &[&str], at: u64) -> GridRecord {
        let key = SecretKey::from_seed(&[1; 32]);
        let draft = RecordDraft {
            nickname: Some("Grid".parse().unwrap()),
            rates: rates.iter().map(|text| text.parse().unwrap()).collect(),
            ..RecordDraft::new(GridId::new(key.public()))
        };
        draft.sign(Signer::Grid { key: &key, serial: UnixSeconds(at) }, None, &[], UnixSeconds(at)).unwrap()
    }

    #[test]
    fn a_broken_promise_is_shown_beside_what_the_record_says() {
        let promised = record(&["0.02 USD/GiB until 2027-06-01"], 1_800_000_000);
        let current = record(&["0.03 USD/GiB"], 1_800_000_010);
        let view = RecordView::new(&current, &[promised], None, UnixSeconds(1_800_000_020));
        let text = RecordText(&view).to_string();
        assert!(text.contains("nickname    Grid\n"), "{text}");
        assert!(text.contains("rate        0.02 USD/GiB, from "), "{text}");
        assert!(text.contains("binds until 2027-06-01T00:00:00Z\n"), "{text}");
        assert!(text.contains("a promise binds: the record says 0.03 USD/GiB\n"), "{text}");
    }
}
