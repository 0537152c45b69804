//! `record broken`: the promises that a grid's record does not keep, with the two signed records that prove each.

use crate::cli::api::{Successors, about_grid};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::network_args::NetworkArgs;
use crate::cli::resolve::ask;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{FileError, PUBLIC_MODE, create_new, create_private_dir, read_at_most};
use crate::http::BrokenText;
use crate::keys::GridId;
use crate::record::{BrokenView, GridRecord, MAX_RECORD_BYTES};
use crate::resolver::{Policy, Question};
use crate::units::parse_span;
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Show which promises a grid's current record breaks, and the signed records that prove it
///
/// Ends with 0 whether a promise is broken or not: with `--json`, `broken` is empty if none is. The other codes are those of
/// `resolve`. A successor is not followed: what a grid promised binds that grid.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record broken pub-v0-… -o proof
  python3 scripts/verify_record.py --grid pub-v0-… --now 1800000000 proof/pub-v0-….1800000000000.record")]
pub(in crate::cli) struct BrokenArgs {
    /// Whose promises
    #[arg(value_name = "GRID_ID")]
    grid: GridId,
    /// cached: what is at hand; fast: the first valid answer; fresh: the newest of three networks, and their evidence
    #[arg(long, value_name = "POLICY", default_value = "fresh")]
    policy: Policy,
    /// How long it may take
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    deadline: Duration,
    /// Write the records of the proof into this folder, each named GRID_ID.SEQUENCE.record
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    home: HomeArg,
}

pub(in crate::cli) fn run(args: &BrokenArgs, terminal: &Terminal) -> Outcome<()> {
    let question = Question { grid: args.grid, policy: args.policy, deadline: args.deadline };
    let (answer, network) = ask(&args.home.home()?, &args.network, question, Successors::Left)?;
    let answer = answer.map_err(|failure| about_grid(failure, &args.grid, &network))?;
    let (view, proof) = BrokenView::new(&answer.record, &answer.evidence, Clock::system().now());
    let mut files = Vec::new();
    if let Some(folder) = &args.output
        && !proof.is_empty()
    {
        create_private_dir(folder)?;
        for record in proof {
            files.push(write(folder, record)?);
        }
    }
    terminal.print(&Printed { view, files })
}

/// Writes a record where it is not there already; another file of that name is left as it is.
fn write(folder: &Path, record: &GridRecord) -> Outcome<PathBuf> {
    let bytes = record.signed().bytes();
    let path = folder.join(record.signed().file_name());
    match create_new(&path, bytes, PUBLIC_MODE) {
        Err(FileError { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            if read_at_most(&path, MAX_RECORD_BYTES)? != bytes {
                let message = format!("`{}` is there already and is another record", path.display());
                return Err(Failure::new(ExitCode::Failed, message).hint("name another folder with `-o DIR`"));
            }
        }
        written => written?,
    }
    Ok(path)
}

#[derive(Serialize)]
struct Printed {
    #[serde(flatten)]
    view: BrokenView,
    files: Vec<PathBuf>,
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BrokenText(&self.view).fmt(f)?;
        if self.view.broken.is_empty() {
            return Ok(());
        }
        if self.files.is_empty() {
            return writeln!(
                f,
                "\n`-o DIR` writes the signed records, so that anybody can check this without a network."
            );
        }
        writeln!(
            f,
            "\nAnybody checks this without a network: each record verifies as of the moment it was signed, and its"
        )?;
        writeln!(f, "rates are compared.")?;
        let earlier = self.view.broken.iter().map(|breach| &breach.earlier).chain([&self.view.current]);
        for file in &self.files {
            let mut records = earlier.clone().filter(|record| file.ends_with(&record.file));
            let issued_at = records.next().map_or(0, |record| record.issued_at_unix_seconds);
            let (grid, file) = (&self.view.grid_id, file.display());
            writeln!(f, "  python3 scripts/verify_record.py --grid {grid} --now {issued_at} {file}")?;
        }
        Ok(())
    }
}
