//! `quote`: what a file, or a directory and all below it, will cost, before a byte of a file is fetched.

use crate::clearing::Quote;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::reading::{self, Subject};
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::rate::{Asset, Money};
use crate::reader::{ReadError, TreeCost, Trouble, tree_cost};
use crate::units::{Bytes, MinorUnits};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Say what a file, or a directory with -r, will cost and whether the home grid's policy allows it; no file is fetched
///
/// The price is what the home grid has signed for this client. The total has the content and what verifies it, read once: to
/// read it again costs as much again. With -r the directories are read to know what is in them, which --max-price has to allow
/// where that costs something; the total is that of `get -r`, which reads them once more.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse quote URI:FOREIGN:pub-v0-…:CHK:… -d client
  clearinghouse quote -r URI:FOREIGN:pub-v0-…:DIR2-RO:… --max-price \"0.01 USD\"")]
pub(super) struct QuoteArgs {
    #[command(flatten)]
    subject: Subject,
    /// A directory and all below it
    #[arg(short = 'r', long)]
    recursive: bool,
}

pub(super) fn run(args: &QuoteArgs, terminal: &Terminal) -> Outcome<()> {
    reading::run(&args.subject, terminal, async |reader, path| {
        let target = match path.names.is_empty() {
            true => path.target,
            false => reader.walk(&path).await.map_err(on_the_way)?.target,
        };
        if args.recursive {
            if !target.is_directory() {
                return Err(
                    Failure::new(ExitCode::Malformed, "this is a file, and no directory").hint("leave out `-r`")
                );
            }
            return terminal.print(&TreeView::new(&tree_cost(&reader, &target).await.map_err(on_the_way)?));
        }
        if target.cap().verify_cap().is_none() {
            return Err(Failure::new(ExitCode::Malformed, "a literal cap is the file itself: it costs nothing"));
        }
        let quote = reader.quote(&target).await?;
        if target.is_directory() {
            terminal.note("this is a directory alone: `-r` says what it costs with all below it");
        }
        terminal.print(&QuoteView(quote))
    })
}

/// A directory that is not read because nobody allowed it to be paid for.
fn on_the_way(error: ReadError) -> Failure {
    let priced = error.trouble() == Trouble::Price;
    let failure = Failure::from(error);
    if !priced {
        return failure;
    }
    failure
        .hint("directories are read to know what is in them: `--max-price` says what that may cost, as in `0.01 USD`")
}

/// A quote as the home gives it.
#[derive(Serialize)]
#[serde(transparent)]
struct QuoteView(Quote);

impl fmt::Display for QuoteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = &self.0;
        let mut table = Table::new();
        table.row(
            "total",
            if quote.total.amount == "0" { "free".to_owned() } else { format!("at most {}", quote.total) },
        );
        table.row("price", per_gib(&quote.price));
        table.row("content", Bytes(quote.content_bytes));
        table.row("manifests", format!("at most {}", Bytes(quote.manifest_bytes)));
        let message = quote.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        table.row("policy", format!("{}{message}", quote.decision));
        table.row("", quote.steps.join("\n"));
        table.fmt(f)
    }
}

fn per_gib(price: &Money) -> String {
    if price.amount == "0" { "free".to_owned() } else { format!("{price} per GiB") }
}

/// What a tree costs.
#[derive(Serialize)]
struct TreeView {
    files: u64,
    directories: u64,
    content_bytes: u64,
    /// Manifests, and the directories.
    around_bytes: u64,
    /// Children that are not followed or could not be read.
    left_out: u64,
    /// In each asset; empty where all of it is free.
    totals: Vec<Money>,
    /// What it has cost to count it, in each asset.
    counted_for: Vec<Money>,
    grids: Vec<GridView>,
}

/// What of a tree lies on one grid.
#[derive(Serialize)]
struct GridView {
    grid_id: String,
    decision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    price: Money,
    bytes: u64,
}

impl TreeView {
    fn new(cost: &TreeCost) -> Self {
        let grids = cost.grids.iter().map(|(grid, cost)| GridView {
            grid_id: grid.to_string(),
            decision: cost.quote.decision.clone(),
            message: cost.quote.message.clone(),
            price: cost.quote.price.clone(),
            bytes: cost.octets.0,
        });
        Self {
            files: cost.files,
            directories: cost.directories,
            content_bytes: cost.content.0,
            around_bytes: cost.around.0,
            left_out: cost.left_out,
            totals: sums(&cost.totals),
            counted_for: sums(&cost.spent),
            grids: grids.collect(),
        }
    }
}

fn sums(sums: &BTreeMap<Asset, MinorUnits>) -> Vec<Money> {
    sums.iter().map(|(asset, units)| Money::new(*asset, *units)).collect()
}

/// Sums in several assets, as a person reads them.
fn list(sums: &[Money]) -> String {
    sums.iter().map(Money::to_string).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for TreeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        let free = self.totals.is_empty();
        table.row("total", if free { "free".to_owned() } else { format!("at most {}", list(&self.totals)) });
        table.row("files", format!("{} of {}", self.files, Bytes(self.content_bytes)));
        let around = Bytes(self.around_bytes);
        table.row(
            "around them",
            format!("at most {around}: manifests, and the directories, of which there are {}", self.directories),
        );
        if self.left_out > 0 {
            table.row("left out", format!("{} entries that are not followed or could not be read", self.left_out));
        }
        for grid in &self.grids {
            let message = grid.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            let what = format!("{}, {}{message}", per_gib(&grid.price), grid.decision);
            table.row("grid", format!("{}\n{what}", grid.grid_id));
        }
        if !free {
            table.row("spent", format!("at most {} to read the directories for this", list(&self.counted_for)));
        }
        table.fmt(f)
    }
}

/// Refuses a tree that would cost more than `limit` with what it costs, the directories that are read to know it included.
pub(super) fn within(cost: &TreeCost, limit: &crate::record::Limit) -> Outcome<()> {
    let other = cost.totals.keys().any(|asset| *asset != limit.asset());
    let of = |sums: &BTreeMap<Asset, MinorUnits>| sums.get(&limit.asset()).map_or(0, |units| units.0);
    if !other && of(&cost.totals).saturating_add(of(&cost.spent)) <= limit.amount().0 {
        return Ok(());
    }
    let total = list(&sums(&cost.totals));
    let message = format!("the tree costs at most {total}, and {limit} may be paid in all: no file is fetched");
    Err(Failure::new(ExitCode::Refused, message)
        .hint("`--max-price` pays up to so much; a folder that was begun is gone on with as far as it reaches"))
}
