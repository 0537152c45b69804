//! `policy check`: what the operator's rules make of a call, rule by rule.

use crate::clearing::{Asker, Case, read_policy};
use crate::cli::api::{Successors, about_grid};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::network_args::NetworkArgs;
use crate::cli::resolve::ask;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::read_key;
use crate::ledger::Ledger;
use crate::members::{Members, OPERATOR};
use crate::policy::{Confirmed, Outcome as Decided, Period};
use crate::rate::Money;
use crate::reader::CapPath;
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question};
use crate::units::{MinorUnits, Seconds};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt;

/// The rules for what the grid's clients may fetch of other grids
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    Check(CheckArgs),
}

/// Say what the rules in `policy.toml` make of a call, rule by rule; nothing is fetched
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse policy check Ada URI:FOREIGN:pub-v0-…:CHK:… -d node")]
pub(super) struct CheckArgs {
    /// The client, by the name that `client add` gave it or by its key; yourself by "the operator here"
    #[arg(value_name = "CLIENT")]
    client: String,
    /// A foreign cap; `-` reads it from standard input
    #[arg(value_name = "CAP")]
    cap: String,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &PolicyCommand, terminal: &Terminal) -> Outcome<()> {
    let PolicyCommand::Check(args) = command;
    let text = input::argument(&args.cap)?;
    let (home, _) = args.home.config()?;
    let own = args.home.grid()?;
    let now = Clock::system().now();
    let members = Members::open(&home, own)?.clients(now);
    // Whoever works here is a client without a membership.
    let operator = read_key(&home.accounting_key()).ok().map(|key| Asker {
        key: key.public(),
        label: OPERATOR.parse().expect("a short plain text"),
        groups: Vec::new(),
    });
    let mut askers = members.iter().map(|member| Asker::from(&**member)).chain(operator);
    let client = askers.find(|asker| asker.label.as_str() == args.client || asker.key.to_string() == args.client);
    let client = client.ok_or_else(|| {
        Failure::new(ExitCode::NotFound, "no client has that name or key")
            .hint(format!("`clearinghouse client list` has them; you yourself are \"{OPERATOR}\""))
    })?;
    let path = CapPath::parse(&text, &own)?;
    let grid = *path.target.grid();
    let faulty = |error: &dyn std::error::Error| Failure::new(ExitCode::Refused, error.to_string());
    let policy = read_policy(&home.policy()).map_err(|error| faulty(&error))?;
    if grid == own {
        return terminal.print(&DecisionView {
            outcome: "allowed",
            message: None,
            steps: vec!["the file is of this grid: its own clients read it free".to_owned()],
            abroad: None,
            client_pays: None,
        });
    }
    let question = Question { grid, policy: Policy::Fast, deadline: DEFAULT_DEADLINE };
    let (answer, network) = ask(&home, &NetworkArgs::default(), question, Successors::Followed)?;
    let answer = answer.map_err(|failure| about_grid(failure, &grid, &network))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    let location = args.home.ledger()?;
    let used = runtime.block_on(async {
        let ledger = Ledger::open_reading(location).await?;
        let used = ledger.usage_totals(Period::Month.began(now), now.plus(Seconds(1))).await;
        ledger.close().await;
        used
    })?;
    let (grid, answer, used) = (&grid, &answer, &used);
    let case = Case { home: own, client: &client, members: &members, grid, answer, used, under_way: &[], now };
    let retail = policy.retail.as_ref().map(|retail| retail.asset);
    let ruled = case.ruled(policy, None, Confirmed::No).map_err(|error| faulty(&error))?;
    let (outcome, message) = match &ruled.decision.outcome {
        Decided::Allowed { .. } => ("allowed", None),
        Decided::Asked { message } => ("asked", Some(message.clone())),
        Decided::Refused { message } => ("refused", Some(message.clone())),
    };
    terminal.print(&DecisionView {
        outcome,
        message,
        steps: ruled.steps(),
        abroad: Some(Money::new(ruled.abroad.asset, MinorUnits(ruled.abroad.price.0))),
        client_pays: retail.map(|asset| Money::new(asset, MinorUnits(ruled.retail.0))),
    })
}

#[derive(Serialize)]
struct DecisionView {
    outcome: &'static str,
    message: Option<String>,
    /// Rule by rule.
    steps: Vec<String>,
    /// What the other grid asks, per GiB.
    abroad: Option<Money>,
    /// What the client pays, per GiB.
    client_pays: Option<Money>,
}

impl fmt::Display for DecisionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        if let Some(abroad) = &self.abroad {
            writeln!(f, "the grid asks {abroad} per GiB")?;
        }
        if let Some(pays) = &self.client_pays {
            writeln!(f, "the client pays {pays} per GiB")?;
        }
        let message = self.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        writeln!(f, "{}{message}", self.outcome)
    }
}
