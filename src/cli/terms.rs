//! `terms`: what two grids agree on before one of them pays the other.

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{PUBLIC_MODE, create_new, read_at_most};
use crate::http::{TakenView, UntoldView};
use crate::keys::{GridId, PublicKey};
use crate::ledger::Ledger;
use crate::members::membership_signer;
use crate::record::{Limit, Nickname};
use crate::signed::{Identity, ObjectType};
use crate::tariff::lane::Limits;
use crate::tariff::wire::{Revoke, RevokeBody, Revoked, Signed, Terms, TermsBody, TermsProposal};
use crate::units::{Bytes, Seconds, UnixSeconds};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// The most octets of a file with terms: both signatures.
const MAX_TERMS_BYTES: usize = 1 << 10;
const MIB: u64 = 1 << 20;

/// Agree with another grid on credit and settlement, before one of the two pays the other
///
/// Terms are for one direction and name no price: that is what the seller publishes. One side proposes and sends the file to
/// the other, which accepts it; from then on either node knows of them.
#[derive(Debug, Subcommand)]
pub(super) enum TermsCommand {
    Propose(ProposeArgs),
    Accept(AcceptArgs),
    List(ListArgs),
    End(EndArgs),
}

/// Who pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pays {
    /// This grid reads from the other one, and pays.
    We,
    /// The other grid reads from this one, and pays.
    They,
}

/// Write and sign terms for another grid to accept
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse terms propose pub-v0-… --pays we --credit \"10 USD\" --clearing pub-v0-… -d node")]
pub(super) struct ProposeArgs {
    /// The other grid
    #[arg(value_name = "GRID_ID")]
    grid: GridId,
    /// Who pays: `we`, who read from that grid, or `they`
    #[arg(long, value_name = "WHO")]
    pays: Pays,
    /// The most that may be vouched for and not settled; the seller can lose so much
    #[arg(long, value_name = "LIMIT")]
    credit: Limit,
    /// The grid whose node keeps the books of the two [default: the seller's own]
    #[arg(long, value_name = "GRID_ID")]
    clearing: Option<GridId>,
    /// MiB that may be delivered and not vouched for, over all lanes
    #[arg(long, value_name = "MIB", default_value_t = Limits::PAIR_WINDOW.0 / MIB, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    window: u64,
    /// How often is settled, at the latest
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    settle: Seconds,
    /// For how long after a lane's end it may be claimed and disputed
    #[arg(long, value_name = "SPAN", default_value = "60d")]
    dispute: Seconds,
    /// Until when they hold: 00:00 UTC of a date [default: for a year]
    #[arg(long, value_name = "DATE")]
    until: Option<UnixSeconds>,
    /// The key that will sign for the other grid [default: its grid key]
    #[arg(long, value_name = "KEY")]
    their_key: Option<PublicKey>,
    /// Where to write the proposal [default: IDENTITY.proposal, of 16 digits]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    home: HomeArg,
}

/// Sign what the other grid proposes, and have the running node keep it and tell the other side
///
/// A file that both have signed already is taken in as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse terms accept 0123456789abcdef.proposal -d node")]
pub(super) struct AcceptArgs {
    /// The file that the other grid's operators sent
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write what both have signed [default: IDENTITY.terms, of 16 digits]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    home: HomeArg,
}

/// List the terms in the books, ended ones too
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse terms list -d node")]
pub(super) struct ListArgs {
    #[command(flatten)]
    home: HomeArg,
}

/// End terms: nothing more is delivered under them; what is owed stays owed
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse terms end 0123456789abcdef --reason \"two statements unpaid\" -d node")]
pub(super) struct EndArgs {
    /// Their identity, or how it begins, as `terms list` shows it
    #[arg(value_name = "ID")]
    terms: String,
    /// Why, in at most 64 bytes: the other grid is told
    #[arg(long, value_name = "TEXT")]
    reason: Option<Nickname>,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &TermsCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        TermsCommand::Propose(args) => propose(args, terminal),
        TermsCommand::Accept(args) => accept(args, terminal),
        TermsCommand::List(args) => list(args, terminal),
        TermsCommand::End(args) => end(args, terminal),
    }
}

fn propose(args: &ProposeArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let key = membership_signer(&home, &config, &own)?;
    let (ours, theirs) = (key.public(), args.their_key.unwrap_or(*args.grid.key()));
    let (payer, payer_key, payee, payee_key) = match args.pays {
        Pays::We => (own, ours, args.grid, theirs),
        Pays::They => (args.grid, theirs, own, ours),
    };
    let now = Clock::system().now();
    let body = TermsBody {
        payer,
        payer_key,
        payee,
        payee_key,
        clearing: args.clearing,
        asset: args.credit.asset(),
        credit_limit: args.credit.amount(),
        window: Bytes(args.window * MIB),
        settle: args.settle,
        dispute: args.dispute,
        not_before: now,
        not_after: args.until.unwrap_or(now.plus(Seconds::days(365))),
        nonce: nonce()?,
    };
    let proposal = TermsProposal::sign(&body, &key).map_err(|error| Failure::because(ExitCode::Malformed, &error))?;
    let file = args.output.clone().unwrap_or_else(|| short(&proposal.identity()).with_extension("proposal"));
    create_new(&file, proposal.bytes(), PUBLIC_MODE)?;
    terminal.print(&Written { file, terms: TermsView::of(&body, proposal.identity(), Standing::Proposed), taken: None })
}

fn accept(args: &AcceptArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let bytes = read_at_most(&args.file, MAX_TERMS_BYTES)?;
    let in_file =
        |error| Failure::because(ExitCode::Malformed, &error).about(format_args!("`{}`", args.file.display()));
    // Before anything is signed: what could not be kept is not agreed to.
    let api = Api::needed(&home)?;
    let terms = match Terms::from_bytes(&bytes) {
        Ok(terms) => terms,
        Err(_) => {
            let proposal = TermsProposal::from_bytes(&bytes).map_err(in_file)?;
            let body = proposal.body();
            if body.payer != own && body.payee != own {
                return Err(Failure::new(ExitCode::Refused, "these terms are between other grids"));
            }
            proposal.accept(&membership_signer(&home, &config, &own)?).map_err(|error| {
                Failure::because(ExitCode::Refused, &error)
                    .hint("the other side proposes again with `--their-key KEY`, the key that is at hand here")
            })?
        }
    };
    let file = args.output.clone().unwrap_or_else(|| short(&terms.identity()).with_extension("terms"));
    if file != args.file {
        create_new(&file, terms.bytes(), PUBLIC_MODE)?;
    }
    let taken = api.take_signed(terms.bytes())?;
    let terms = TermsView::of(terms.body(), terms.identity(), Standing::Agreed);
    terminal.print(&Written { file, terms, taken: Some(taken) })
}

fn list(args: &ListArgs, terminal: &Terminal) -> Outcome<()> {
    let own = args.home.grid()?;
    let (terms, ended) = kept(&args.home, &own)?;
    let now = Clock::system().now();
    let view = |terms: &Terms| {
        let body = terms.body();
        let standing = match () {
            () if ended.contains(&terms.identity().0) => Standing::Ended,
            () if now < body.not_before => Standing::NotYet,
            () if now >= body.not_after => Standing::Over,
            () => Standing::Agreed,
        };
        TermsView::of(body, terms.identity(), standing)
    };
    terminal.print(&TermsListView { terms: terms.iter().map(view).collect() })
}

fn end(args: &EndArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let own = args.home.grid()?;
    let api = Api::needed(&home)?;
    let (terms, _) = kept(&args.home, &own)?;
    let mut meant = terms.iter().filter(|terms| terms.identity().to_string().starts_with(&args.terms));
    let (Some(terms), None) = (meant.next(), meant.next()) else {
        return Err(Failure::new(
            ExitCode::NotFound,
            "not one of the terms in the books has an identity that begins so",
        )
        .hint("`clearinghouse terms list` shows them"));
    };
    let key = membership_signer(&home, &config, &own)?;
    let now = Clock::system().now();
    let body = RevokeBody {
        issuer: own,
        signer: key.public(),
        kind: Revoked::Terms,
        target: terms.identity(),
        serial: now.0.saturating_mul(1_000),
        time: now,
        reason: args.reason.clone(),
    };
    let revoke: Revoke = Signed::sign(&body, &key).map_err(|error| Failure::because(ExitCode::Malformed, &error))?;
    terminal.print(&api.take_signed(revoke.bytes())?)
}

/// The terms in the books, and the identities of those that were ended.
fn kept(home: &HomeArg, own: &GridId) -> Outcome<(Vec<Terms>, BTreeSet<[u8; 32]>)> {
    let location = home.ledger()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
    runtime.block_on(async {
        let ledger = Ledger::open_reading(location).await?;
        let papers = ledger.papers_of(ObjectType::Terms, None, None).await?;
        let revokes = ledger.papers_of(ObjectType::Revoke, None, None).await?;
        ledger.close().await;
        let terms = papers.iter().filter_map(|(_, _, bytes)| Terms::from_bytes(bytes).ok());
        let ours = terms.filter(|terms| [terms.body().payer, terms.body().payee].contains(own)).collect();
        let revokes = revokes.iter().filter_map(|(_, _, bytes)| Revoke::from_bytes(bytes).ok());
        Ok((ours, revokes.map(|revoke| revoke.body().target.0).collect()))
    })
}

fn nonce() -> Outcome<[u8; 16]> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|_| Failure::new(ExitCode::Failed, "the operating system gives no random numbers"))?;
    Ok(nonce)
}

fn short(identity: &Identity) -> PathBuf {
    Path::new(identity.to_string().get(..16).unwrap_or_default()).to_owned()
}

/// How it stands with terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Proposed,
    Agreed,
    NotYet,
    Over,
    Ended,
}

impl Standing {
    const fn words(self) -> &'static str {
        match self {
            Self::Proposed => "proposed: the other grid has yet to accept",
            Self::Agreed => "in force",
            Self::NotYet => "not in force yet",
            Self::Over => "over",
            Self::Ended => "ended by one of the two",
        }
    }
}

/// Terms. The credit is a string of digits in minor units of the asset.
#[derive(Debug, Serialize)]
struct TermsView {
    identity: String,
    standing: Standing,
    payer: GridId,
    payee: GridId,
    #[serde(skip_serializing_if = "Option::is_none")]
    clearing: Option<GridId>,
    asset: String,
    scale: u32,
    credit_limit: String,
    #[serde(skip)]
    credit_in_words: String,
    window_bytes: Bytes,
    settle_seconds: Seconds,
    dispute_seconds: Seconds,
    not_before_unix_seconds: UnixSeconds,
    not_after_unix_seconds: UnixSeconds,
}

impl TermsView {
    fn of(body: &TermsBody, identity: Identity, standing: Standing) -> Self {
        Self {
            identity: identity.to_string(),
            standing,
            payer: body.payer,
            payee: body.payee,
            clearing: body.clearing,
            asset: body.asset.code().to_owned(),
            scale: body.asset.scale(),
            credit_limit: body.credit_limit.0.to_string(),
            credit_in_words: format!("{} {}", body.asset.decimal(body.credit_limit.0), body.asset),
            window_bytes: body.window,
            settle_seconds: body.settle,
            dispute_seconds: body.dispute,
            not_before_unix_seconds: body.not_before,
            not_after_unix_seconds: body.not_after,
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.row("terms", &self.identity);
        table.row("standing", self.standing.words());
        table.row("who pays", self.payer);
        table.row("who is paid", self.payee);
        match &self.clearing {
            Some(clearing) => table.row("books kept by", clearing),
            None => table.row("books kept by", "the grid that is paid"),
        }
        table.row("credit", &self.credit_in_words);
        table.row("window", self.window_bytes);
        table.row("settled every", self.settle_seconds);
        table.row("disputed within", self.dispute_seconds);
        table.row("in force", format!("{} to {}", self.not_before_unix_seconds, self.not_after_unix_seconds));
        table
    }
}

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    terms: TermsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<TakenView>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.terms.table())?;
        match &self.taken {
            None => writeln!(
                f,
                "\nWritten to {}: the other grid accepts it with `clearinghouse terms accept FILE`.",
                self.file.display()
            ),
            Some(taken) => {
                writeln!(f, "\nWritten to {}, and in the books here.", self.file.display())?;
                taken.told.iter().try_for_each(|grid| writeln!(f, "Told {grid}."))?;
                let untold = |UntoldView { grid_id, reason }: &UntoldView| {
                    writeln!(
                        f,
                        "Could not tell {grid_id}: {reason}. Send them the file: `terms accept` takes it in there too."
                    )
                };
                taken.untold.iter().try_for_each(untold)
            }
        }
    }
}

#[derive(Serialize)]
struct TermsListView {
    terms: Vec<TermsView>,
}

impl fmt::Display for TermsListView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return writeln!(f, "No terms are in the books.");
        }
        let tables: Vec<String> = self.terms.iter().map(|terms| terms.table().to_string()).collect();
        f.write_str(&tables.join("\n"))
    }
}
