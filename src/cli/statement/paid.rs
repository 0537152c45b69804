//! `statement paid`: the creditor's word that money has arrived, which moves by ways of its own.

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::http::{SettledView, TakenView};
use crate::keys::GridId;
use crate::members::membership_signer;
use crate::record::{Limit, Nickname};
use crate::tariff::wire::{Payment, PaymentBody, Signed};
use crate::units::UnixSeconds;
use clap::Args;
use serde::Serialize;
use std::fmt;

/// Record that another grid has paid this one, by whatever way money moved; it then owes so much less
///
/// Only the creditor can say so: it is signed here, booked by the running node, and brought to whoever keeps the books of the
/// two.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse statement paid pub-v0-… \"12.40 USD\" --reference \"RF18 5390 0754 7034\" -d node")]
pub(super) struct PaidArgs {
    /// The grid that has paid
    #[arg(value_name = "GRID_ID")]
    grid: GridId,
    /// How much has arrived
    #[arg(value_name = "AMOUNT")]
    amount: Limit,
    /// What both find it by in their bank's books, at most 64 bytes
    #[arg(long, value_name = "TEXT")]
    reference: Nickname,
    /// When it arrived: a date [default: now]
    #[arg(long, value_name = "DATE")]
    on: Option<UnixSeconds>,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &PaidArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let api = Api::needed(&home)?;
    let key = membership_signer(&home, &config, &own)?;
    let now = Clock::system();
    let body = PaymentBody {
        creditor: own,
        signer: key.public(),
        debtor: args.grid,
        asset: args.amount.asset(),
        amount: args.amount.amount(),
        // Two equal payments on one day are two, and the same one said twice is said twice: a person sees the first in the
        // statement.
        serial: now.now().0.saturating_mul(1_000),
        paid_at: args.on.unwrap_or(now.now()),
        reference: args.reference.clone(),
        statement: None,
    };
    let payment: Payment = Signed::sign(&body, &key).map_err(|error| Failure::because(ExitCode::Malformed, &error))?;
    let taken = api.take_signed(payment.bytes())?;
    let settled = api.settle()?;
    terminal.print(&PaidView { taken, settled })
}

#[derive(Serialize)]
struct PaidView {
    taken: TakenView,
    settled: SettledView,
}

impl fmt::Display for PaidView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.taken, self.settled)
    }
}
