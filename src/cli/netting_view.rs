//! Nettings as JSON and as text, from one value.

use crate::clearing::{Consents, NettingFolder, netted, totals};
use crate::cli::failure::Outcome;
use crate::cli::table::Table;
use crate::clock::Clock;
use crate::keys::GridId;
use crate::ledger::{Ledger, Part};
use crate::netting::{Debt, Proposal};
use crate::units::UnixSeconds;
use data_encoding::HEXLOWER;
use serde::Serialize;
use std::fmt;

/// A netting. Amounts are strings of digits in minor units of the asset.
#[derive(Serialize)]
pub(super) struct NettingView {
    netting: String,
    standing: Standing,
    /// Since when it is in force, or until when this grid's consent holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_unix_seconds: Option<UnixSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consented_until_unix_seconds: Option<UnixSeconds>,
    /// Whose consent is missing, where this grid's node is the one that proposes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<GridId>,
    clearing: GridId,
    asset: String,
    scale: u32,
    grids: usize,
    gross: String,
    net: String,
    saved: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<OursView>,
    #[serde(skip)]
    words: Vec<(&'static str, String)>,
}

/// What it comes to for this grid.
#[derive(Serialize)]
struct OursView {
    owed: String,
    due: String,
    pays: String,
    receives: String,
    /// The debts of this grid that end, and those that take their place.
    replaced: Vec<DebtView>,
    transfers: Vec<DebtView>,
}

/// Who owes whom how much.
#[derive(Serialize)]
struct DebtView {
    debtor: GridId,
    creditor: GridId,
    amount: String,
}

/// The debts of `grid`.
fn of_grid<'d>(debts: &'d [Debt], grid: &GridId) -> impl Iterator<Item = &'d Debt> {
    debts.iter().filter(move |debt| debt.debtor == *grid || debt.creditor == *grid)
}

fn views(debts: &[Debt], own: &GridId) -> Vec<DebtView> {
    let view =
        |debt: &Debt| DebtView { debtor: debt.debtor, creditor: debt.creditor, amount: debt.amount.0.to_string() };
    of_grid(debts, own).map(view).collect()
}

impl NettingView {
    /// As the books of `own`, or of its clearing node, have it.
    pub(super) async fn of(netting: &Proposal, folder: &NettingFolder, own: &GridId, ledger: &Ledger) -> Outcome<Self> {
        let now = Clock::system().now();
        let is_ours = netting.clearing() == *own;
        let part = if is_ours { Part::Clearing } else { Part::Payer };
        let since = ledger.netted_at(part, &netting.hash()).await?;
        let consents = Consents::of(ledger, &netting.clearing(), &netting.hash()).await?;
        let consented = consents.until(own);
        let waiting = folder.withdrawal(&netting.hash()).map(|withdrawal| withdrawal.body().time);
        let standing = match (since, consented) {
            (Some(_), _) => Standing::InForce,
            (None, Some(until)) if until <= now => Standing::ConsentEnded,
            (None, Some(_)) if waiting >= consents.signed(own) => Standing::Withdrawing,
            (None, Some(_)) => Standing::Consented,
            (None, None) if consents.withdrawn(own).is_some() => Standing::Withdrawn,
            (None, None) => Standing::Proposed,
        };
        let missing = if is_ours && since.is_none() {
            netting.grids().into_iter().filter(|grid| !consents.holds(grid, now)).collect()
        } else {
            Vec::new()
        };
        let (gross, net) = totals(netting);
        let asset = netting.asset();
        let amount = |units: u128| match u64::try_from(units) {
            Ok(units) => format!("{} {asset}", asset.decimal(units)),
            Err(_) => format!("{units} minor units of {asset}"),
        };
        let mut words =
            vec![("owed before", amount(gross)), ("paid instead", amount(net)), ("saved", amount(gross - net))];
        let comes_to = netted(netting, own);
        if let Some(netted) = &comes_to {
            words.extend([
                ("we owe", amount(netted.owed.0.into())),
                ("we are owed", amount(netted.due.0.into())),
                ("we would pay", amount(netted.pays.0.into())),
                ("we would receive", amount(netted.receives.0.into())),
            ]);
            for (name, debts) in [("before", netting.replaced()), ("instead", netting.transfers())] {
                words.extend(of_grid(debts, own).map(|debt| {
                    let (way, other) = if debt.debtor == *own { ("to", debt.creditor) } else { ("from", debt.debtor) };
                    (name, format!("{} {way} {other}", amount(debt.amount.0.into())))
                }));
            }
        }
        Ok(Self {
            standing,
            since_unix_seconds: since,
            consented_until_unix_seconds: consented.filter(|_| since.is_none()),
            missing,
            netting: HEXLOWER.encode(&netting.hash()),
            clearing: netting.clearing(),
            asset: asset.code().to_owned(),
            scale: asset.scale(),
            grids: netting.grids().len(),
            gross: gross.to_string(),
            net: net.to_string(),
            saved: (gross - net).to_string(),
            ours: comes_to.map(|netted| OursView {
                owed: netted.owed.0.to_string(),
                due: netted.due.0.to_string(),
                pays: netted.pays.0.to_string(),
                receives: netted.receives.0.to_string(),
                replaced: views(netting.replaced(), own),
                transfers: views(netting.transfers(), own),
            }),
            words,
        })
    }

    /// How it stands, for people.
    fn standing(&self) -> String {
        let until = self.consented_until_unix_seconds.unwrap_or(UnixSeconds(0));
        match (self.standing, self.since_unix_seconds) {
            (Standing::InForce, Some(since)) => format!("in force since {since}"),
            (Standing::Consented | Standing::InForce, _) => {
                format!("this grid has consented until {until}; it takes effect when all have")
            }
            (Standing::Withdrawing, _) => {
                "this grid takes its consent back, and the clearing node has not answered yet: it may still count"
                    .to_owned()
            }
            (Standing::Withdrawn, _) => "this grid has taken its consent back".to_owned(),
            (Standing::ConsentEnded, _) => format!("this grid's consent ended on {until}"),
            (Standing::Proposed, _) if self.ours.is_none() => "it does not affect this grid".to_owned(),
            (Standing::Proposed, _) => "proposed: this grid has not consented".to_owned(),
        }
    }
}

/// How it stands with a netting, by the books of one grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Proposed,
    Consented,
    ConsentEnded,
    Withdrawing,
    Withdrawn,
    InForce,
}

impl fmt::Display for NettingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("netting", &self.netting);
        table.row("standing", self.standing());
        for grid in &self.missing {
            table.row("not consented", grid);
        }
        table.row("proposed by", self.clearing);
        table.row("grids", self.grids);
        self.words.iter().for_each(|(name, words)| table.row(*name, words));
        table.fmt(f)
    }
}

#[derive(Serialize)]
pub(super) struct NettingsView {
    pub(super) nettings: Vec<NettingView>,
}

impl fmt::Display for NettingsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nettings.is_empty() {
            return writeln!(f, "No netting is proposed.");
        }
        let tables: Vec<String> = self.nettings.iter().map(ToString::to_string).collect();
        f.write_str(&tables.join("\n"))
    }
}
