//! The view of broken promises as lines for people.

use crate::http::record_text::{decimal, line, lines};
use crate::rate::Asset;
use crate::record::{AuthorityView, BreachView, BrokenView, PromiseView, ProofView};
use crate::units::UnixSeconds;
use std::fmt;

/// Shows a view.
#[derive(Debug, Clone, Copy)]
pub struct BrokenText<'a>(pub &'a BrokenView);

impl fmt::Display for BrokenText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BrokenView { grid_id, current, broken, earlier_records } = self.0;
        line(f, "grid", grid_id)?;
        line(f, "current", &proof(current))?;
        for breach in broken {
            writeln!(f)?;
            one(f, breach)?;
        }
        let compared = match earlier_records {
            0 => "no earlier record with a promise that it does not repeat is known here".to_owned(),
            1 => "one earlier record was compared".to_owned(),
            n => format!("{n} earlier records were compared"),
        };
        match broken.len() {
            0 => writeln!(f, "\nnothing is broken: {compared}"),
            1 => writeln!(f, "\none promise is broken; {compared}"),
            n => writeln!(f, "\n{n} promises are broken; {compared}"),
        }
    }
}

fn one(f: &mut fmt::Formatter<'_>, breach: &BreachView) -> fmt::Result {
    let says = match &breach.current {
        Some(current) => format!("{}: {}", breach.broken, promise(breach.asset, current)),
        None => format!("{}: no line in {}", breach.broken, breach.asset),
    };
    let charged = match &breach.binding_price_per_gib {
        Some(price) => format!("{}, whatever the current record says", rate(breach.asset, price)),
        None => "no price is in force yet".to_owned(),
    };
    line(f, "promised", &promise(breach.asset, &breach.promised))?;
    line(f, "  by", &proof(&breach.earlier))?;
    line(f, "now", &says)?;
    lines(f, "charged", [charged].into_iter())
}

fn promise(asset: &str, promise: &PromiseView) -> String {
    let (from, until) =
        (UnixSeconds(promise.not_before_unix_seconds), UnixSeconds(promise.committed_until_unix_seconds));
    format!("{}, from {from} until {until}", rate(asset, &promise.price_per_gib))
}

fn rate(asset: &str, price: &str) -> String {
    // Where the grid is free, that binds in every asset.
    if asset == Asset::FREE.code() { "free".to_owned() } else { format!("{} {asset}/GiB", decimal(asset, price)) }
}

fn proof(record: &ProofView) -> String {
    let ProofView { sequence, issued_at_unix_seconds, authority, identity, .. } = record;
    let signer = match authority {
        AuthorityView { serial, publisher: Some(publisher) } => format!("publisher {publisher}, delegation {serial}"),
        AuthorityView { serial, publisher: None } => format!("the grid key, serial {serial}"),
    };
    let issued_at = UnixSeconds(*issued_at_unix_seconds);
    format!("sequence {sequence}, issued {issued_at}\nsigned by {signer}\nidentity {identity}")
}
