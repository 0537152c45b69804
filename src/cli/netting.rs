//! `netting`: debts among several grids, paid in few transfers, if all of them agree.

use crate::clearing::{Consents, NettingFolder, ProposeError, netted, propose};
use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::netting_view::{NettingView, NettingsView};
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::keys::GridId;
use crate::ledger::Ledger;
use crate::members::membership_signer;
use crate::netting::Proposal;
use crate::rate::Asset;
use crate::record::Nickname;
use crate::signed::Identity;
use crate::tariff::wire::{Consent, ConsentBody, Revoke, RevokeBody, Revoked, Signed};
use crate::units::Seconds;
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;

/// Pay debts among several grids in few transfers, once all that it affects have agreed
///
/// The node that keeps the books proposes; each grid sees what it owes and is owed, and what it would pay or receive
/// instead. Nobody's net changes, and nobody's debt grows.
#[derive(Debug, Subcommand)]
pub(super) enum NettingCommand {
    Propose(ProposeArgs),
    List(ListArgs),
    Consent(ConsentArgs),
    Withdraw(WithdrawArgs),
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

/// Take back this grid's consent to a netting that has not taken effect
///
/// The clearing node decides which came first. Where it cannot be told now, the node tells it again by itself; until then the consent
/// may still count, and `netting list` says so. Whoever has withdrawn may consent again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse netting withdraw 0123456789abcdef -d node")]
pub(super) struct WithdrawArgs {
    /// Its hash, or how it begins, as `netting list` shows it
    #[arg(value_name = "HASH")]
    netting: String,
    /// Why, in at most 64 bytes: the clearing node is told
    #[arg(long, value_name = "TEXT")]
    reason: Option<Nickname>,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &NettingCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        NettingCommand::Propose(args) => make(args, terminal),
        NettingCommand::List(args) => list(args, terminal),
        NettingCommand::Consent(args) => consent(args, terminal),
        NettingCommand::Withdraw(args) => withdraw(args, terminal),
    }
}

fn make(args: &ProposeArgs, terminal: &Terminal) -> Outcome<()> {
    let (folder, own) = (NettingFolder::new(args.home.home()?.nettings()), args.home.grid()?);
    let without = args.without.iter().copied().collect();
    let view = reading(&args.home, async |ledger| {
        let netting = propose(ledger, own, args.asset, &without).await;
        let netting = netting.map_err(|error| {
            let failure = Failure::because(ExitCode::Refused, &error);
            match error {
                ProposeError::NoDebts(_) => failure.hint("whoever `terms list` says keeps the books proposes"),
                _ => failure,
            }
        })?;
        folder.keep(&netting)?;
        NettingView::of(&netting, &folder, &own, ledger).await
    })?;
    terminal.print(&view)
}

fn list(args: &ListArgs, terminal: &Terminal) -> Outcome<()> {
    let (own, folder) = (args.home.grid()?, NettingFolder::new(args.home.home()?.nettings()));
    let all = folder.all();
    let view = reading(&args.home, async |ledger| {
        let mut nettings = Vec::with_capacity(all.len());
        for netting in &all {
            nettings.push(NettingView::of(netting, &folder, &own, ledger).await?);
        }
        Ok(NettingsView { nettings })
    })?;
    terminal.print(&view)
}

/// What `look` finds in the books, beside the node that writes them.
fn reading<T>(home: &HomeArg, look: impl AsyncFnOnce(&Ledger) -> Outcome<T>) -> Outcome<T> {
    let location = home.ledger()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
    runtime.block_on(async {
        let ledger = Ledger::open_reading(location).await?;
        let found = look(&ledger).await;
        ledger.close().await;
        found
    })
}

fn consent(args: &ConsentArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let api = Api::needed(&home)?;
    let folder = NettingFolder::new(home.nettings());
    let netting = meant(&folder, &args.netting)?;
    let comes_to = netted(&netting, &own).ok_or_else(|| {
        Failure::new(ExitCode::Refused, "the netting does not affect this grid: its word is not needed")
    })?;
    let key = membership_signer(&home, &config, &own)?;
    // Later than what was taken back, which would take this one back too.
    let said = said(&args.home, &netting)?;
    let waiting = folder.withdrawal(&netting.hash()).map(|withdrawal| withdrawal.body().time);
    let withdrawn = said.withdrawn(&own).max(waiting).map(|time| time.plus(Seconds(1)));
    let now = Clock::system().now().max(withdrawn.unwrap_or_default());
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

fn withdraw(args: &WithdrawArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let api = Api::needed(&home)?;
    let netting = meant(&NettingFolder::new(home.nettings()), &args.netting)?;
    let key = membership_signer(&home, &config, &own)?;
    let now = Clock::system().now();
    let body = RevokeBody {
        issuer: own,
        signer: key.public(),
        kind: Revoked::Consent,
        target: Identity(netting.hash()),
        serial: now.0.saturating_mul(1_000),
        // All that this grid has said until now, whatever its clock was.
        time: said(&args.home, &netting)?.signed(&own).max(Some(now)).unwrap_or(now),
        reason: args.reason.clone(),
    };
    let revoke: Revoke = Signed::sign(&body, &key).map_err(|error| Failure::because(ExitCode::Malformed, &error))?;
    terminal.print(&api.take_signed(revoke.bytes())?)
}

/// The one proposal whose hash begins so.
fn meant(folder: &NettingFolder, begins: &str) -> Outcome<Proposal> {
    let mut meant = folder.all().into_iter().filter(|netting| HEXLOWER.encode(&netting.hash()).starts_with(begins));
    match (meant.next(), meant.next()) {
        (Some(netting), None) => Ok(netting),
        _ => Err(Failure::new(ExitCode::NotFound, "not one of the nettings proposed has a hash that begins so").hint(
            "`clearinghouse netting list` shows them; one that was proposed a moment ago comes with \
             `clearinghouse statement --now`",
        )),
    }
}

/// What the books have of consents to it.
fn said(home: &HomeArg, netting: &Proposal) -> Outcome<Consents> {
    reading(home, async |ledger| Ok(Consents::of(ledger, &netting.clearing(), &netting.hash()).await?))
}
