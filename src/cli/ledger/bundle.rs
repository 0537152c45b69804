//! Evidence bundles: writing one, and checking one that somebody else has written.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::config::{FileError, Replacing, SECRET_MODE};
use crate::ledger::{BundleFilter, Evidence, Ledger, Part};
use crate::tariff::bundle::{BundleCheck, BundleError, BundleReport, BundleWriter, check_bundle};
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::io::{BufWriter, IntoInnerError};
use std::path::{Path, PathBuf};

/// Check an evidence bundle and compute the bills; needs no ledger, no network and no settings
///
/// Every signature, that each charge is the one for its octets at the lane's price, that the price is the one that the record or
/// deck in the bundle gives, and that no lane is there twice.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse ledger check-bundle may.bundle")]
pub(in crate::cli) struct CheckArgs {
    /// The bundle, as `ledger export bundle` wrote it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn check(args: &CheckArgs, terminal: &Terminal) -> Outcome<()> {
    let bytes = std::fs::read(&args.file).map_err(FileError::at("read", &args.file))?;
    let report = check_bundle(&bytes).map_err(|error| {
        let exit = match error {
            BundleError::Form(_) | BundleError::Format(_) | BundleError::Later(_) => ExitCode::Malformed,
            BundleError::Paper { .. } | BundleError::Lane { .. } => ExitCode::Integrity,
        };
        Failure::because(exit, &error).about(args.file.display())
    })?;
    terminal.print(&ReportView::of(&args.file, &report))
}

/// Writes a bundle to a file as it is read from the books, and says what it comes to, or what is missing in it.
pub(super) async fn write(
    ledger: &Ledger,
    part: Part,
    filter: BundleFilter,
    file: &Path,
    terminal: &Terminal,
) -> Outcome<()> {
    // It says who reads how much.
    let mut out = BundleWriter::new(BufWriter::new(Replacing::begin(file, SECRET_MODE)?));
    let (mut check, mut fault, mut written) = (BundleCheck::default(), None, Ok(()));
    let each = |piece: Evidence<'_>| {
        let checked = match piece {
            Evidence::Head { .. } => Ok(()),
            Evidence::Paper(paper) => check.paper(paper.kind.name(), &paper.grid, &paper.bytes),
            Evidence::Lane { open, voucher } => check.lane(open, voucher),
        };
        fault = fault.take().or(checked.err());
        if written.is_ok() {
            written = match piece {
                Evidence::Head { papers, lanes } => out.head(papers, lanes),
                Evidence::Paper(paper) => out.paper(paper),
                Evidence::Lane { open, voucher } => out.lane(open, voucher),
            };
        }
    };
    ledger.each_evidence(part, filter, each).await?;
    let file_of = |out: BufWriter<Replacing>| out.into_inner().map_err(IntoInnerError::into_error);
    let replacing = written.and_then(|()| out.finish()).and_then(file_of);
    replacing.map_err(FileError::at("write", file))?.finish()?;
    match fault {
        None => terminal.print(&ReportView::of(file, &check.finish())),
        Some(error) => Err(Failure::because(ExitCode::Integrity, &error)
            .about(file.display())
            .hint("the bundle was written, and whoever checks it will be told the same")),
    }
}

#[derive(Serialize)]
struct ReportView {
    file: String,
    bills: Vec<BillView>,
    /// Lanes opened by keys that no record in the bundle gives to their party.
    unnamed_keys: u64,
}

#[derive(Serialize)]
struct BillView {
    payer: String,
    payee: String,
    asset: &'static str,
    scale: u32,
    lanes: u64,
    /// Digits: it may exceed what 64 bits hold.
    bytes: String,
    /// Minor units, as digits.
    amount: String,
}

impl ReportView {
    fn of(file: &Path, report: &BundleReport) -> Self {
        let bills = report.bills.iter().map(|((payer, payee, asset), bill)| BillView {
            payer: payer.to_string(),
            payee: payee.to_string(),
            asset: asset.code(),
            scale: asset.scale(),
            lanes: bill.lanes,
            bytes: bill.bytes.to_string(),
            amount: bill.amount.to_string(),
        });
        Self { file: file.display().to_string(), bills: bills.collect(), unnamed_keys: report.unnamed_keys }
    }
}

impl fmt::Display for ReportView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bill in &self.bills {
            let mut table = Table::new();
            table.row("payer", &bill.payer);
            table.row("payee", &bill.payee);
            table.row("lanes", bill.lanes);
            table.row("octets", &bill.bytes);
            table.row("owed", format!("{} minor units of {} (10^-{})", bill.amount, bill.asset, bill.scale));
            table.fmt(f)?;
        }
        match self.unnamed_keys {
            0 => writeln!(f, "Everything in the bundle holds."),
            count => writeln!(
                f,
                "Everything in the bundle holds. On {count} lanes it is for you to know whose the keys are that opened them: no \
                 record in the bundle names them."
            ),
        }
    }
}
