//! `netting`: debts among several grids, paid in few transfers, if all of them agree.

use crate::clearing::{NettingFolder, netted, propose, totals};
use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::keys::GridId;
use crate::ledger::Ledger;
use crate::members::membership_signer;
use crate::netting::Proposal;
use crate::rate::Asset;
use crate::tariff::wire::{Consent, ConsentBody, Signed};
use crate::units::Seconds;
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use serde::Serialize;
use std::fmt;

/// Pay debts among several grids in few transfers, once all that it affects have agreed
///
/// The node that keeps the books proposes; each grid sees what it owes and is owed, and what it would pay or receive
/// instead. Nobody's net changes, and nobody's debt grows.
#[derive(Debug, Subcommand)]
pub(super) enum NettingCommand {
    Propose(ProposeArgs),
    List(ListArgs),
    Consent(ConsentArgs),
}

/// Propose a netting of all debts in this clearing node's books
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse netting propose USD -d node")]
pub(super) struct ProposeArgs {
    /// In what
    #[arg(value_name = "ASSET")]
    asset: Asset,
    /// A grid that takes no part; may be given several times
    #[arg(long, value_name = "GRID_ID")]
    without: Vec<GridId>,
    #[command(flatten)]
    home: HomeArg,
}

/// List the nettings that were proposed here or to this grid
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse netting list -d node")]
pub(super) struct ListArgs {
    #[command(flatten)]
    home: HomeArg,
}

/// Agree to a netting: it takes effect when all that it affects have
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse netting consent 0123456789abcdef -d node")]
pub(super) struct ConsentArgs {
    /// Its hash, or how it begins, as `netting list` shows it
    #[arg(value_name = "HASH")]
    netting: String,
    /// For how long the others may take
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    good_for: Seconds,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &NettingCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        NettingCommand::Propose(args) => make(args, terminal),
        NettingCommand::List(args) => {
            let own = args.home.grid()?;
            let all = NettingFolder::new(args.home.home()?.nettings()).all();
            let nettings = all.iter().map(|netting| NettingView::of(netting, &own)).collect();
            terminal.print(&NettingsView { nettings })
        }
        NettingCommand::Consent(args) => consent(args, terminal),
    }
}

fn make(args: &ProposeArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, own, location) = (args.home.home()?, args.home.grid()?, args.home.ledger()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
    let without = args.without.iter().copied().collect();
    let netting = runtime.block_on(async {
        let ledger = Ledger::open_reading(location).await?;
        let netting = propose(&ledger, own, args.asset, &without).await;
        ledger.close().await;
        netting.map_err(|error| Failure::because(ExitCode::Refused, &error))
    })?;
    NettingFolder::new(home.nettings()).keep(&netting)?;
    terminal.print(&NettingView::of(&netting, &own))
}

fn consent(args: &ConsentArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let api = Api::needed(&home)?;
    let all = NettingFolder::new(home.nettings()).all();
    let mut meant = all.iter().filter(|netting| HEXLOWER.encode(&netting.hash()).starts_with(&args.netting));
    let (Some(netting), None) = (meant.next(), meant.next()) else {
        return Err(Failure::new(ExitCode::NotFound, "not one of the nettings proposed has a hash that begins so")
            .hint("`clearinghouse netting list` shows them"));
    };
    let comes_to = netted(netting, &own).ok_or_else(|| {
        Failure::new(ExitCode::Refused, "the netting does not affect this grid: its word is not needed")
    })?;
    let key = membership_signer(&home, &config, &own)?;
    let now = Clock::system().now();
    let body = ConsentBody {
        grid: own,
        signer: key.public(),
        clearing: netting.clearing(),
        netting: netting.hash(),
        asset: netting.asset(),
        owed: comes_to.owed,
        due: comes_to.due,
        pays: comes_to.pays,
        receives: comes_to.receives,
        time: now,
        not_after: now.plus(args.good_for),
    };
    let consent: Consent = Signed::sign(&body, &key).map_err(|error| Failure::because(ExitCode::Malformed, &error))?;
    terminal.print(&api.take_signed(consent.bytes())?)
}

/// A netting. Amounts are strings of digits in minor units of the asset.
#[derive(Serialize)]
struct NettingView {
    netting: String,
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
}

impl NettingView {
    fn of(netting: &Proposal, own: &GridId) -> Self {
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
        }
        Self {
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
            }),
            words,
        }
    }
}

impl fmt::Display for NettingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("netting", &self.netting);
        table.row("proposed by", self.clearing);
        table.row("grids", self.grids);
        self.words.iter().for_each(|(name, words)| table.row(*name, words));
        table.fmt(f)
    }
}

#[derive(Serialize)]
struct NettingsView {
    nettings: Vec<NettingView>,
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
