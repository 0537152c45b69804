//! `statement paid`: the creditor's word that money has arrived, which moves by ways of its own.

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::http::{SettledView, TakenView};
use crate::keys::GridId;
use crate::ledger::{Ledger, Part};
use crate::members::membership_signer;
use crate::rate::Asset;
use crate::record::{Limit, Nickname};
use crate::signed::ObjectType;
use crate::tariff::wire::{Payment, PaymentBody, Signed};
use crate::units::UnixSeconds;
use clap::Args;
use serde::Serialize;
use std::fmt;

/// Record that another grid has paid this one, by whatever way money moved; it then owes so much less
///
/// Only the creditor can say so: it is signed here, booked by the running node, and brought to whoever keeps the books of the
/// two. Nothing takes it back: one that is more than is owed, or is recorded a second time, is asked about first.
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
    /// Record without asking what is more than is owed, or has been recorded before
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &PaidArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let api = Api::needed(&home)?;
    let key = membership_signer(&home, &config, &own)?;
    let now = Clock::system();
    let books = Books::of(&args.home, &own, &args.grid, args.amount.asset())?;
    let body = PaymentBody {
        creditor: own,
        signer: key.public(),
        debtor: args.grid,
        asset: args.amount.asset(),
        amount: args.amount.amount(),
        // Two equal payments are two, in one second too.
        serial: books
            .recorded
            .iter()
            .map(|payment| payment.serial.saturating_add(1))
            .max()
            .unwrap_or(0)
            .max(now.now().0.saturating_mul(1_000)),
        paid_at: args.on.unwrap_or(now.now()),
        reference: args.reference.clone(),
        statement: None,
    };
    if let Some(doubt) = books.doubt(&body)
        && !args.yes
    {
        terminal.confirm(&doubt, "recorded")?;
    }
    let payment: Payment = Signed::sign(&body, &key).map_err(|error| Failure::because(ExitCode::Malformed, &error))?;
    let taken = api.take_signed(payment.bytes())?;
    let settled = api.settle()?;
    terminal.print(&PaidView { taken, settled })
}

/// What the own books say between the two in one asset.
struct Books {
    /// What is owed; below zero if more was paid.
    owed: i128,
    recorded: Vec<PaymentBody>,
}

impl Books {
    fn of(home: &HomeArg, own: &GridId, debtor: &GridId, asset: Asset) -> Outcome<Self> {
        let location = home.ledger()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
        runtime.block_on(async {
            let ledger = Ledger::open_reading(location).await?;
            let owed = ledger.owed(Part::Payee, *debtor.key(), *own.key(), asset).await?;
            let (owner, other) = (Some(own.as_bytes()), Some(debtor.as_bytes()));
            let papers = ledger.papers_of(ObjectType::Payment, owner, other).await?;
            ledger.close().await;
            let payments = papers.iter().filter_map(|(_, _, bytes)| Payment::from_bytes(bytes).ok());
            Ok(Self { owed, recorded: payments.map(|payment| payment.body().clone()).collect() })
        })
    }

    /// Why a payment may be recorded by mistake: nothing ever takes it back.
    fn doubt(&self, body: &PaymentBody) -> Option<String> {
        let alike = |other: &PaymentBody| {
            let said = |body: &PaymentBody| (body.asset, body.amount, body.reference.clone(), body.paid_at.0 / 86_400);
            said(other) == said(body)
        };
        let amount = |units: u64| format!("{} {}", body.asset.decimal(units), body.asset);
        let (paid, debtor) = (amount(body.amount.0), body.debtor);
        if self.recorded.iter().any(alike) {
            return Some(format!("{paid} of that day with that reference are recorded already"));
        }
        match u64::try_from(self.owed.max(0)).unwrap_or(u64::MAX) {
            0 => Some(format!("by the books here {debtor} owes this grid nothing in {}", body.asset)),
            owed if owed < body.amount.0 => {
                Some(format!("{debtor} owes this grid {} by the books here, and {paid} is more", amount(owed)))
            }
            _ => None,
        }
    }
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
