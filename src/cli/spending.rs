//! What a command may spend, and the purse that it pays from.

use crate::clearing::{Budget, ClientJudge, Purse, PurseParts, client_books};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::Home;
use crate::keys::SecretKey;
use crate::record::Limit;
use clap::Args;
use std::sync::Arc;

/// What may be spent.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Spending {
    /// Pay up to so much for all that is read, as in `0.05 USD` [default: nothing]
    #[arg(long, value_name = "AMOUNT ASSET")]
    pub(super) max_price: Option<Limit>,
    /// Confirm what the home grid's policy asks about
    #[arg(long)]
    pub(super) yes: bool,
}

impl Spending {
    /// What the purse may spend.
    fn budget(&self) -> Budget {
        self.max_price.map_or(Budget::Nothing, |limit| Budget::UpTo(limit.asset(), limit.amount()))
    }
}

/// The purse of the client in `home`; without one where its books cannot be written, which is said: then only what is free is
/// read.
pub(super) async fn open(
    home: &Home,
    key: SecretKey,
    spending: &Spending,
    terminal: &Terminal,
) -> Outcome<Option<Purse>> {
    let clock = Clock::system();
    let ledger = match client_books(&home.client_ledgers(), clock).await {
        Ok(ledger) => ledger,
        Err(error) if spending.max_price.is_none() => {
            terminal.note(format!("what is read is not counted, and nothing is paid for: {error}"));
            return Ok(None);
        }
        Err(error) => return Err(Failure::because(ExitCode::Failed, &error)),
    };
    let payer = key.public();
    Ok(Some(Purse::new(PurseParts {
        ledger,
        payer,
        key,
        judge: Arc::new(ClientJudge { client: payer, confirmed: spending.yes }),
        budget: spending.budget(),
        clock,
    })))
}

/// Sends the last vouchers and closes the books.
pub(super) async fn close(purse: Option<Purse>) {
    if let Some(purse) = purse {
        purse.close().await;
        let ledger = purse.ledger().clone();
        drop(purse);
        ledger.close().await;
    }
}
