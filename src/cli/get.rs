//! `get`: a file, or a directory and all below it, from any grid to the disk.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::Progress;
use crate::cli::quote;
use crate::cli::reading::{self, Subject};
use crate::cli::terminal::{Form, Terminal};
use crate::reader::{
    ByteRange, DownloadError, OpenFile, Reader, Target, download, file_name, read_first, shown_name, tree_cost,
    unfinished_bytes,
};
use crate::units::Bytes;
use clap::Args;
use futures::StreamExt;
use serde::Serialize;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Fetch a file, or a directory with -r, from its own grid or a foreign one
///
/// Every byte is verified here before it is written. The file stands under a name of its own until it is whole; broken off at
/// any moment, the same command goes on where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Without -o, what a path leads to is written under the last name of the path into the current folder, and nothing that is there
already is replaced; what a cap alone names goes to standard output, unless that is a terminal.

Example:
  clearinghouse get URI:FOREIGN:pub-v0-…:DIR2-RO:…/holidays/beach.jpg
  clearinghouse get - -o film.mp4 < cap.txt
  clearinghouse get -r URI:FOREIGN:pub-v0-…:DIR2-RO:… -o photos")]
pub(super) struct GetArgs {
    #[command(flatten)]
    subject: Subject,
    /// Write to this file or, with -r, folder, in place of a file that is there; `-` is standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these bytes: A-B, both included and counted from 0; A- to the end; or -N for the last N
    #[arg(long, value_name = "A-B", allow_hyphen_values = true, conflicts_with = "recursive")]
    range: Option<ByteRange>,
    /// Fetch a directory and all below it; what cannot be fetched is named, and the rest goes on. One that costs more than
    /// `--max-price` is refused with what it costs, before a byte of a file is fetched
    #[arg(short = 'r', long)]
    recursive: bool,
}

/// Where content goes.
enum Place {
    Stdout,
    File(PathBuf),
}

pub(super) fn run(args: &GetArgs, terminal: &Terminal) -> Outcome<()> {
    reading::run(&args.subject, terminal, async |reader, path| {
        let found = reader.walk(&path).await?;
        let name = path.names.last();
        match (found.target.is_directory(), args.recursive) {
            (true, true) => {
                let root = folder(args, name)?;
                let limit = args.subject.spending.max_price.filter(|_| !root.exists());
                if let Some(limit) = limit
                    && reader.quote(&found.target).await.is_ok_and(|quote| quote.total.amount != "0")
                {
                    quote::within(&tree_cost(&reader, &found.target).await?, &limit)?;
                }
                crate::cli::get_tree::run(&reader, &found.target, &root, terminal).await
            }
            (true, false) => Err(Failure::new(ExitCode::Malformed, "this is a directory")
                .hint("`-r` fetches all of it, and `clearinghouse ls` lists it")),
            (false, true) => {
                Err(Failure::new(ExitCode::Malformed, "this is a file, and no directory").hint("leave out `-r`"))
            }
            (false, false) => {
                let place = place(args, name, terminal)?;
                one(&reader, &found.target, args.range, &place, terminal).await
            }
        }
    })
}

/// Where the file goes, if that is allowed.
fn place(args: &GetArgs, name: Option<&String>, terminal: &Terminal) -> Outcome<Place> {
    let place = match (&args.output, name) {
        (Some(path), _) if path == Path::new("-") => Place::Stdout,
        (Some(path), _) if path.is_dir() => Place::File(path.join(named(name)?)),
        (Some(path), _) => Place::File(path.clone()),
        (None, Some(_)) => Place::File(unused(named(name)?.into())?),
        (None, None) if io::stdout().is_terminal() || terminal.form() == Form::Json => {
            return Err(no_name());
        }
        (None, None) => Place::Stdout,
    };
    match place {
        Place::Stdout if terminal.form() == Form::Json => {
            let message = "standard output cannot have both the file and the JSON";
            Err(Failure::new(ExitCode::Malformed, message).hint("name a file with `-o FILE`"))
        }
        place => Ok(place),
    }
}

/// Where the tree goes.
fn folder(args: &GetArgs, name: Option<&String>) -> Outcome<PathBuf> {
    match &args.output {
        Some(path) if path == Path::new("-") => {
            Err(Failure::new(ExitCode::Malformed, "a directory does not go to standard output"))
        }
        Some(path) => Ok(path.clone()),
        // A tree that was broken off is found there and goes on.
        None => Ok(named(name)?.into()),
    }
}

fn no_name() -> Failure {
    Failure::new(ExitCode::Malformed, "a cap alone has no name for what it opens")
        .hint("name a file with `-o FILE`; `-o -` is standard output")
}

fn named(name: Option<&String>) -> Outcome<&str> {
    let name = name.ok_or_else(no_name)?;
    file_name(name).map_err(|fault| {
        Failure::new(ExitCode::Malformed, format!("`{}` is {fault}", shown_name(name)))
            .hint("name a file with `-o FILE`")
    })
}

fn unused(path: PathBuf) -> Outcome<PathBuf> {
    match path.symlink_metadata() {
        Ok(_) => Err(Failure::new(ExitCode::Refused, format!("`{}` is there already", path.display()))
            .hint("`-o FILE` replaces it, or names another")),
        Err(_) => Ok(path),
    }
}

async fn one(
    reader: &Reader,
    target: &Target,
    range: Option<ByteRange>,
    place: &Place,
    terminal: &Terminal,
) -> Outcome<()> {
    let file = reader.open_before(target, first(target, range, place)).await?;
    let wanted = match range {
        None => 0..file.size(),
        Some(range) => range.within(file.size()).ok_or_else(|| {
            let message = format!("the file has {} bytes, and none of {range}", file.size());
            Failure::new(ExitCode::Malformed, message)
        })?,
    };
    match place {
        Place::Stdout => to_stdout(&file, wanted, terminal).await,
        Place::File(path) => {
            let progress = Progress::of_file(path, wanted.end - wanted.start, terminal);
            let outcome = download(&file, wanted, path, &|there| progress.there(there)).await;
            progress.end();
            let done = outcome.map_err(|error| broken_off(error, path))?;
            terminal.print(&FileView {
                path: path.clone(),
                size_bytes: done.size,
                resumed_from_bytes: done.resumed_from,
                grid_id: target.grid().to_string(),
                etag: file.etag().to_owned(),
            })
        }
    }
}

/// What is going to be read first, as far as the cap says where that is.
fn first(target: &Target, range: Option<ByteRange>, place: &Place) -> std::ops::Range<u64> {
    let wanted = match (range, target.cap().size()) {
        (None, _) => 0..u64::MAX,
        (Some(range), Some(size)) => range.within(size.0).unwrap_or_default(),
        (Some(_), None) => 0..0,
    };
    match place {
        Place::Stdout => wanted,
        Place::File(path) => read_first(wanted, path),
    }
}

/// A transfer that the reader could not mend.
fn broken_off(error: DownloadError, path: &Path) -> Failure {
    let failure = Failure::from(error);
    match failure.exit {
        // Nothing may have come yet.
        ExitCode::Unreachable if unfinished_bytes(path) > 0 => {
            let message = format!("{}: `{}` is not whole yet", failure.message, path.display());
            Failure { message, ..failure }.hint("the same command goes on where it stopped")
        }
        _ => failure,
    }
}

async fn to_stdout(file: &OpenFile, wanted: std::ops::Range<u64>, terminal: &Terminal) -> Outcome<()> {
    let progress = Progress::of_file(Path::new("-"), wanted.end - wanted.start, terminal);
    let mut pieces = file.read(wanted);
    let mut there = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        // Blocks this thread alone; the transfer has others, and waits when it is far enough ahead.
        let written = io::stdout().lock().write_all(&piece);
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written
                .map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot write to standard output"))?,
        }
        there += piece.len() as u64;
        progress.there(there);
    }
    progress.end();
    let _ = io::stdout().flush();
    Ok(())
}

/// A file that is whole.
#[derive(Serialize)]
struct FileView {
    path: PathBuf,
    size_bytes: u64,
    resumed_from_bytes: u64,
    grid_id: String,
    etag: String,
}

impl fmt::Display for FileView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, verified", self.path.display(), Bytes(self.size_bytes))?;
        match self.resumed_from_bytes {
            0 => Ok(()),
            bytes => write!(f, "; {} of it were there before", Bytes(bytes)),
        }
    }
}
