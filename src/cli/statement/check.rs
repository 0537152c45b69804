//! `statement check`: reads a signed statement again, and holds it against whatever is at hand.

use crate::clearing::speaks_for;
use crate::cli::api::Successors;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::network_args::NetworkArgs;
use crate::cli::resolve::ask;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::read_at_most;
use crate::ledger::{Ledger, LedgerError, Pair};
use crate::netting::{check_proof, check_statement};
use crate::record::{GridRecord, MAX_RECORD_BYTES};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question};
use crate::signed::ObjectType;
use crate::store::load_own_record;
use crate::tariff::statement_proof::StatementProof;
use crate::tariff::wire::StatementBody;
use crate::units::{MinorUnits, UnixSeconds};
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// A year of positions of the largest size every two hours.
const MAX_FILE_BYTES: usize = 256 << 20;

/// Check a signed statement: who signed it, its sums, its figures from the positions in the file, and against the books here
///
/// The books in the data directory are asked if there are any. Who may sign for the issuer is told by a record of that grid: the
/// one that is named, those in the books, or the one that the network has now. Ends with 0 if all that could be checked holds, 3 if it
/// is not known here whether that key may sign, 11 if something does not hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse statement check january.statement -d node
  clearinghouse statement check january.statement --record pub-v0-….1800000000000.record")]
pub(super) struct CheckArgs {
    /// The statement, as `statement --sign` wrote it or a gateway gave it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A record of the issuer that lists the key, where keys have changed since or nobody is to be asked
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    home: HomeArg,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &CheckArgs, terminal: &Terminal) -> Outcome<()> {
    let about = |failure: Failure| failure.about(format_args!("`{}`", args.file.display()));
    let now = Clock::system().now();
    let proof = StatementProof::from_bytes(&read_at_most(&args.file, MAX_FILE_BYTES)?).map_err(|fault| {
        let exit = if fault.is_form() { ExitCode::Malformed } else { ExitCode::Integrity };
        about(Failure::because(exit, &fault))
    })?;
    let body = proof.statement().body();
    check_proof(&proof, now).map_err(|fault| about(Failure::because(ExitCode::Integrity, &fault)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
    let (books, in_books) = runtime.block_on(async {
        let Some(ledger) = books(&args.home).await? else { return Outcome::Ok((Books::None, false)) };
        let found = (against(&ledger, body, now).await, records(&ledger, body).await);
        ledger.close().await;
        Ok((found.0.map_err(about)?, found.1?.iter().any(|record| speaks_for(record, &body.signer))))
    })?;
    let authority = match (body.issuer.key() == &body.signer, in_books) {
        (true, _) => Authority::GridKey,
        (false, true) => Authority::Record,
        (false, false) => authority(args, body)?,
    };
    if proof.positions().is_empty() && books != Books::Agree {
        terminal.warn("its sums add up; its figures were not computed again, for which there are no positions in the file or here");
    }
    terminal.print(&CheckedView::new(&proof, authority, books))?;
    match authority {
        Authority::GridKey | Authority::Record => Ok(()),
        Authority::Unknown => {
            let message = format!("whether {} may sign for {} is not known here", body.signer, body.issuer);
            Err(Failure::new(ExitCode::NotFound, message)
                .hint("`--record FILE` names a record of that grid that lists the key; a node or `--bootstrap` finds the one of today"))
        }
    }
}

/// The books of the directory, if it has any.
async fn books(home: &HomeArg) -> Outcome<Option<Ledger>> {
    match Ledger::open_reading(home.ledger()?).await {
        Ok(ledger) => Ok(Some(ledger)),
        Err(LedgerError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Holds the statement against the positions of its issuer that are kept here.
async fn against(ledger: &Ledger, body: &StatementBody, now: UnixSeconds) -> Outcome<Books> {
    let pair = Pair::of(body.creditor, body.debtor, body.asset);
    let chain = ledger.positions_after(&body.issuer, &pair, 0, u32::MAX).await?;
    if chain.is_empty() {
        return Ok(Books::None);
    }
    check_statement(body, &chain, now).map(|()| Books::Agree).map_err(|fault| {
        Failure::because(ExitCode::Integrity, &fault).about("against the books here").hint(
            "if the books here may be behind, `clearinghouse statement --now` fetches what was booked, and check again",
        )
    })
}

/// Records of the issuer that are kept beside the prices that they gave.
async fn records(ledger: &Ledger, body: &StatementBody) -> Outcome<Vec<GridRecord>> {
    let papers = ledger.papers_of(ObjectType::Record, Some(body.issuer.as_bytes()), None).await?;
    Ok(papers.iter().filter_map(|(_, _, bytes)| GridRecord::from_bytes(bytes, &body.issuer).ok()).collect())
}

/// What a record of the issuer says of the key that signed.
fn authority(args: &CheckArgs, body: &StatementBody) -> Outcome<Authority> {
    let judged = |record: &GridRecord| {
        if speaks_for(record, &body.signer) { Authority::Record } else { Authority::Unknown }
    };
    if let Some(path) = &args.record {
        let record = GridRecord::from_bytes(&read_at_most(path, MAX_RECORD_BYTES)?, &body.issuer);
        let record = record.map_err(|error| Failure::from(error).about(format_args!("`{}`", path.display())))?;
        return Ok(judged(&record));
    }
    let home = args.home.home()?;
    if args.home.grid().is_ok_and(|own| own == body.issuer)
        && let Some(record) = load_own_record(&home, &body.issuer)?
    {
        return Ok(judged(&record));
    }
    let question = Question { grid: body.issuer, policy: Policy::Fast, deadline: DEFAULT_DEADLINE };
    let answer = ask(&home, &args.network, question, Successors::Left).and_then(|(answer, _)| answer);
    Ok(answer.map_or(Authority::Unknown, |answer| judged(&answer.record)))
}

/// By what it is known that the key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Authority {
    /// It is the issuer's own.
    GridKey,
    /// A record of the issuer lists it.
    Record,
    /// No record that is known here does.
    Unknown,
}

/// What the own books say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Books {
    /// The same.
    Agree,
    /// Nothing of these two: there are no books, or no positions of the issuer in them.
    None,
}

/// Amounts are strings of digits in minor units of the asset.
#[derive(Serialize)]
struct CheckedView {
    statement: String,
    issuer: String,
    signer: String,
    signer_known_by: Authority,
    creditor: String,
    debtor: String,
    from_unix_seconds: UnixSeconds,
    until_unix_seconds: UnixSeconds,
    asset: &'static str,
    scale: u32,
    brought_forward: String,
    charged: String,
    set_off: String,
    settled: String,
    payable: String,
    carried: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    /// How many positions came with it, from which the figures were computed again.
    positions: usize,
    books: Books,
    #[serde(skip)]
    text: String,
}

impl CheckedView {
    fn new(proof: &StatementProof, authority: Authority, books: Books) -> Self {
        let body = proof.statement().body();
        let digits = |amount: MinorUnits| amount.0.to_string();
        Self {
            statement: proof.statement().identity().to_string(),
            issuer: body.issuer.to_string(),
            signer: body.signer.to_string(),
            signer_known_by: authority,
            creditor: body.creditor.to_string(),
            debtor: body.debtor.to_string(),
            from_unix_seconds: body.from,
            until_unix_seconds: body.until,
            asset: body.asset.code(),
            scale: body.asset.scale(),
            brought_forward: digits(body.brought_forward),
            charged: digits(body.charged),
            set_off: digits(body.set_off),
            settled: digits(body.settled),
            payable: digits(body.payable),
            carried: digits(body.carried),
            position: body.position.map(|position| position.to_string()),
            positions: proof.positions().len(),
            books,
            text: text(proof, authority, books),
        }
    }
}

/// The same for people.
fn text(proof: &StatementProof, authority: Authority, books: Books) -> String {
    let body = proof.statement().body();
    let amount = |amount: MinorUnits| format!("{} {}", body.asset.decimal(amount.0), body.asset);
    let mut table = Table::new();
    table.row("period", format!("{} to {}", body.from, body.until));
    table.row("owed by", body.debtor);
    table.row("owed to", body.creditor);
    table.row("signed for", body.issuer);
    table.row("signed by", body.signer);
    table.row(
        "that key",
        match authority {
            Authority::GridKey => "is the grid's own",
            Authority::Record => "is listed in a record of that grid",
            Authority::Unknown => "is not known here",
        },
    );
    for (name, value) in [
        ("brought forward", body.brought_forward),
        ("charged", body.charged),
        ("set off", body.set_off),
        ("paid or netted", body.settled),
        ("payable", body.payable),
        ("carried over", body.carried),
    ] {
        table.row(name, amount(value));
    }
    table.optional("last position", body.position);
    match proof.positions().len() {
        0 => table.row("positions", "none came with it"),
        count => table.row("positions", format!("every figure follows from the {count} that came with it")),
    }
    table.row(
        "books here",
        match books {
            Books::Agree => "come to the same",
            Books::None => "have no positions of these two",
        },
    );
    table.to_string()
}

impl fmt::Display for CheckedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
