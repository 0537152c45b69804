//! `ledger export`: the tables as CSV or JSON, and the evidence.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::ledger::{LedgerArg, bundle};
use crate::cli::terminal::{Form, Terminal};
use crate::keys::{GridId, PublicKey};
use crate::ledger::{BundleFilter, Ledger, Part};
use crate::rate::Asset;
use crate::units::UnixSeconds;
use clap::{Args, ValueEnum};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Print lanes, entries, balances or usage as CSV (with --json: a JSON array), or write the evidence for a bill
///
/// Amounts are integers of minor units, 10^-scale of the asset. A bundle holds, for each lane, what both sides signed and the
/// best voucher, with the terms and the records that give the prices: whoever has it can compute the bill without this ledger.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  clearinghouse ledger export lanes -d node > lanes.csv
  clearinghouse ledger export bundle --output may.bundle --from 2027-05-01 --until 2027-06-01 -d node")]
pub(in crate::cli) struct ExportArgs {
    /// What to export
    #[arg(value_name = "WHAT")]
    what: What,
    /// The file that a bundle is written to
    #[arg(long, value_name = "FILE", required_if_eq("what", "bundle"))]
    output: Option<PathBuf>,
    /// In a bundle: lanes by which this grid [default] was paid, has paid, or keeps the books of others
    #[arg(long, value_name = "PART", default_value = "payee")]
    part: PartArg,
    /// In a bundle: lanes of this payer alone, a grid or a client
    #[arg(long, value_name = "KEY")]
    payer: Option<PublicKey>,
    /// In a bundle: lanes to this grid alone
    #[arg(long, value_name = "ID")]
    payee: Option<GridId>,
    /// In a bundle: lanes in this asset alone
    #[arg(long, value_name = "CODE")]
    asset: Option<Asset>,
    /// In a bundle: lanes opened on or after a date; of usage: from that day on
    #[arg(long, value_name = "DATE")]
    from: Option<UnixSeconds>,
    /// In a bundle: lanes opened before a date; of usage: up to the day before
    #[arg(long, value_name = "DATE")]
    until: Option<UnixSeconds>,
    #[command(flatten)]
    ledger: LedgerArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Each lane and what was vouched for on it
    Lanes,
    /// Each side of each booking
    Entries,
    /// What each account stands at
    Balances,
    /// Who read how much on which day
    Usage,
    /// The evidence for a bill
    Bundle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartArg {
    Payer,
    Payee,
    Clearing,
}

pub(super) fn run(args: &ExportArgs, terminal: &Terminal) -> Outcome<()> {
    args.ledger.reading(async |ledger| match (args.what, &args.output) {
        (What::Bundle, Some(output)) => {
            let part = match args.part {
                PartArg::Payer => Part::Payer,
                PartArg::Payee => Part::Payee,
                PartArg::Clearing => Part::Clearing,
            };
            let filter = BundleFilter {
                payer: args.payer,
                payee: args.payee,
                asset: args.asset,
                from: args.from,
                until: args.until,
            };
            bundle::write(ledger, part, filter, output, terminal).await
        }
        (What::Bundle, None) => {
            Err(Failure::new(ExitCode::Malformed, "a bundle is written to a file: `--output FILE`"))
        }
        (what, Some(_)) => {
            let message = format!("--output: {what:?} go to standard output; only a bundle is written to a file");
            Err(Failure::new(ExitCode::Malformed, message.to_lowercase()))
        }
        (_, None) => tables(args, ledger, terminal).await,
    })
}

async fn tables(args: &ExportArgs, ledger: &Ledger, terminal: &Terminal) -> Outcome<()> {
    let mut rows = Rows::new(terminal.form());
    match args.what {
        What::Lanes => {
            rows.columns("lane part payer payee destination asset scale price_per_gib_minor_units kept_at_unix_seconds not_after_unix_seconds vouchered_bytes amount");
            let each = |it: crate::ledger::LaneLine| {
                rows.row(&[
                    json!(it.lane.to_string()),
                    json!(it.part.to_string()),
                    json!(it.payer.to_string()),
                    json!(it.payee.to_string()),
                    json!(it.destination.to_string()),
                    json!(it.asset.code()),
                    json!(it.asset.scale()),
                    json!(it.price.to_string()),
                    json!(it.kept_at.0),
                    json!(it.not_after.0),
                    json!(it.bytes.0),
                    json!(it.amount.to_string()),
                ]);
            };
            ledger.each_lane(each).await?;
        }
        What::Entries => {
            rows.columns("booking kind subject part at_unix_seconds account asset scale amount");
            let each = |it: crate::ledger::EntryLine| {
                rows.row(&[
                    json!(it.booking),
                    json!(it.kind),
                    json!(HEXLOWER.encode(&it.subject)),
                    json!(it.part.to_string()),
                    json!(it.at.0),
                    json!(it.account),
                    json!(it.asset.code()),
                    json!(it.asset.scale()),
                    json!(it.amount.to_string()),
                ]);
            };
            ledger.each_entry(each).await?;
        }
        What::Balances => {
            rows.columns("account asset scale amount");
            for (account, asset, amount) in ledger.balances().await? {
                rows.row(&[json!(account), json!(asset.code()), json!(asset.scale()), json!(amount.to_string())]);
            }
        }
        What::Usage => {
            rows.columns("day_unix_seconds part party grid client file asset scale bytes amount");
            let (from, until) = (args.from.unwrap_or(UnixSeconds(0)), args.until.unwrap_or(UnixSeconds::MAX));
            for it in ledger.usage(from, until).await? {
                rows.row(&[
                    json!(it.day.0),
                    json!(it.part.to_string()),
                    json!(it.party.to_string()),
                    json!(it.grid.to_string()),
                    json!(it.client.map(|client| client.to_string())),
                    json!(it.file.map(|file| HEXLOWER.encode(&file))),
                    json!(it.asset.code()),
                    json!(it.asset.scale()),
                    json!(it.bytes.0),
                    json!(it.amount.to_string()),
                ]);
            }
        }
        What::Bundle => {}
    }
    rows.end()
}

/// Rows on their way to standard output, as they come: CSV with a line of names (RFC 4180), or one JSON array.
struct Rows {
    form: Form,
    names: Vec<&'static str>,
    written: u64,
    out: BufWriter<io::StdoutLock<'static>>,
    failed: Option<io::Error>,
}

impl Rows {
    fn new(form: Form) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        Self { form, names: Vec::new(), written: 0, out, failed: None }
    }

    fn columns(&mut self, names: &'static str) {
        self.names = names.split(' ').collect();
        let head = match self.form {
            Form::Text => format!("{}\r\n", self.names.join(",")),
            Form::Json => "[".to_owned(),
        };
        self.write(&head);
    }

    /// No value has a comma, a quote or a line end in it: keys, numbers, and names of accounts.
    fn row(&mut self, values: &[Value]) {
        let text = match self.form {
            Form::Text => {
                let cells: Vec<String> = values
                    .iter()
                    .map(|value| match value {
                        Value::String(text) => text.clone(),
                        Value::Null => String::new(),
                        other => other.to_string(),
                    })
                    .collect();
                format!("{}\r\n", cells.join(","))
            }
            Form::Json => {
                let object: serde_json::Map<String, Value> =
                    self.names.iter().map(|name| (*name).to_owned()).zip(values.iter().cloned()).collect();
                format!("{}{}", if self.written > 0 { "," } else { "" }, Value::Object(object))
            }
        };
        self.written += 1;
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(text.as_bytes()).err();
        }
    }

    fn end(mut self) -> Outcome<()> {
        if self.form == Form::Json {
            self.write("]\n");
        }
        let flushed = self.out.flush().err();
        match self.failed.or(flushed) {
            // Who closed the pipe wanted no more of it.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::because(ExitCode::Failed, &error).about("cannot write to standard output"))
            }
            _ => Ok(()),
        }
    }
}
