//! `quote`: what a file will cost, before a byte of it is fetched.

use crate::capability::Capability;
use crate::clearing::{MAX_ANSWER_BYTES, Octets};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::joined::{about_home, open_session_as_client};
use crate::cli::money::Money;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::config::ClientConfig;
use crate::keys::GridId;
use crate::peer::GatewayClient;
use crate::reader::CapPath;
use crate::tariff::wire::Deck;
use crate::units::Bytes;
use clap::Args;
use hyper::Method;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Say what a file will cost and whether the home grid's policy allows it; nothing is fetched
///
/// The price is what the home grid has signed for this client. The total has the file's content and what verifies it, read once: to
/// read it again costs as much again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse quote URI:FOREIGN:pub-v0-…:CHK:… -d client")]
pub(super) struct QuoteArgs {
    /// A cap, foreign or of the home grid; `-` reads it from standard input
    #[arg(value_name = "CAP")]
    cap: String,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &QuoteArgs, terminal: &Terminal) -> Outcome<()> {
    let text = input::argument(&args.cap)?;
    let home = args.home.home()?;
    let config = ClientConfig::find(&home.client())?.ok_or_else(|| {
        Failure::new(ExitCode::Refused, format!("`{}` has joined no home gateway", home.path().display()))
            .hint("`clearinghouse join NURL` joins one: ask the operator of your grid for its address")
    })?;
    let path = CapPath::parse(&text, &config.home_grid_id)?;
    if !path.names.is_empty() {
        return Err(Failure::new(ExitCode::Malformed, "a quote is for a cap, without a path below it"));
    }
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    let quote = runtime.block_on(async {
        let client = open_session_as_client(&home, &config).await?;
        ask(&client, path.target.grid(), path.target.cap()).await
    })?;
    terminal.print(&quote)
}

/// Asks the home what a file will cost, and checks that its signed price says so.
async fn ask(client: &GatewayClient, grid: &GridId, cap: &Capability) -> Outcome<QuoteView> {
    let Some(verify) = cap.verify_cap() else {
        return Err(Failure::new(ExitCode::Malformed, "a literal cap is the file itself: it costs nothing"));
    };
    let file = Capability::File(verify.file().clone()).to_string();
    let escaped = percent_encoding::utf8_percent_encode(&file, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("/v1/grids/{grid}/quote/{escaped}");
    let body = client.send(Method::GET, &path, "application/json", Vec::new().into(), MAX_ANSWER_BYTES).await;
    let body = body.map_err(|error| about_home(&error))?;
    let quote: QuoteView = serde_json::from_slice(&body)
        .map_err(|_| Failure::new(ExitCode::Failed, "the home gateway answers otherwise than with a quote"))?;
    let unsigned = || Failure::new(ExitCode::Integrity, "the home gateway's quote is not what it has signed");
    match &quote.deck_base64url {
        Some(deck) => {
            let deck = Deck::from_bytes(&deck.0).map_err(|_| unsigned())?;
            let says = deck.body();
            let price = Money::new(says.asset, crate::units::MinorUnits(says.price.0));
            let for_us = says.audience.is_none_or(|audience| audience == client.key());
            if says.seller != client.place().grid || price != quote.price || !for_us {
                return Err(unsigned());
            }
        }
        None if quote.price.amount != "0" => return Err(unsigned()),
        None => {}
    }
    Ok(quote)
}

/// A quote as the home gives it.
#[derive(Serialize, Deserialize)]
struct QuoteView {
    grid_id: String,
    decision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    steps: Vec<String>,
    until_unix_seconds: u64,
    price: Money,
    abroad: Money,
    content_bytes: u64,
    manifest_bytes: u64,
    total: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deck_base64url: Option<Octets>,
}

impl fmt::Display for QuoteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("total", &self.total);
        let per_gib = if self.price.amount == "0" { "free".to_owned() } else { format!("{} per GiB", self.price) };
        table.row("price", per_gib);
        table.row("content", Bytes(self.content_bytes));
        table.row("manifests", format!("at most {}", Bytes(self.manifest_bytes)));
        let message = self.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        table.row("policy", format!("{}{message}", self.decision));
        table.row("", self.steps.join("\n"));
        table.fmt(f)
    }
}
