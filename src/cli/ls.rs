//! `ls`: what is in a directory, of any grid.

use crate::cli::failure::Outcome;
use crate::cli::reading::{self, Subject};
use crate::cli::terminal::Terminal;
use crate::keys::GridId;
use crate::reader::{Entry, Reader, Target, shown_name};
use crate::units::{Bytes, UnixSeconds};
use clap::Args;
use serde::Serialize;
use std::fmt;

/// List a directory of its own grid or a foreign one
///
/// Names of directories end in `/`. Of each child its size is shown where its cap says it, and when it was put there. What
/// cannot be opened is named with the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
With --json the caps are printed too: whoever has them can read the files.

Example:
  clearinghouse ls URI:FOREIGN:pub-v0-…:DIR2-RO:…/holidays")]
pub(super) struct LsArgs {
    #[command(flatten)]
    subject: Subject,
}

pub(super) fn run(args: &LsArgs, terminal: &Terminal) -> Outcome<()> {
    reading::run(&args.subject, terminal, async |reader, path| {
        let found = reader.walk(&path).await?;
        let home = *reader.home_grid();
        let view = match (found.target.is_directory(), found.entry) {
            (true, _) => ListingView::of_directory(&reader, &found.target).await?,
            (false, Some(entry)) => ListingView::new(&found.target, vec![EntryView::new(&entry, &home)]),
            (false, None) => ListingView::new(&found.target, vec![EntryView::of_target(None, &found.target, &home)]),
        };
        terminal.print(&view)
    })
}

/// The children of a directory, or the one file that was asked for.
#[derive(Serialize)]
struct ListingView {
    grid_id: String,
    directory: bool,
    entries: Vec<EntryView>,
}

#[derive(Serialize)]
struct EntryView {
    name: Option<String>,
    kind: &'static str,
    size_bytes: Option<u64>,
    mutable: Option<bool>,
    linked_at_unix_seconds: Option<UnixSeconds>,
    /// The grid that it lives on.
    grid_id: Option<String>,
    /// The read cap, foreign unless it lives on the home grid.
    cap: Option<String>,
    /// Why it cannot be opened.
    closed_because: Option<String>,
}

impl ListingView {
    async fn of_directory(reader: &Reader, target: &Target) -> Outcome<Self> {
        let listing = reader.list(target).await?;
        let entries = listing.entries.iter().map(|entry| EntryView::new(entry, reader.home_grid())).collect();
        Ok(Self::new(target, entries))
    }

    fn new(target: &Target, entries: Vec<EntryView>) -> Self {
        Self { grid_id: target.grid().to_string(), directory: target.is_directory(), entries }
    }
}

impl EntryView {
    fn new(entry: &Entry, home: &GridId) -> Self {
        let name = Some(entry.name.clone());
        let view = match &entry.child {
            Ok(target) => Self::of_target(name, target, home),
            Err(fault) => Self {
                name,
                kind: "unknown",
                size_bytes: None,
                mutable: None,
                linked_at_unix_seconds: None,
                grid_id: None,
                cap: None,
                closed_because: Some(fault.to_string()),
            },
        };
        Self { linked_at_unix_seconds: entry.linked_at(), ..view }
    }

    fn of_target(name: Option<String>, target: &Target, home: &GridId) -> Self {
        let directory = target.is_directory();
        Self {
            name,
            kind: if directory { "directory" } else { "file" },
            // A directory's would be that of its encoded list, which says nothing to anybody.
            size_bytes: target.cap().size().filter(|_| !directory).map(|size| size.0),
            mutable: Some(target.cap().is_mutable()),
            linked_at_unix_seconds: None,
            grid_id: Some(target.grid().to_string()),
            cap: Some(target.text(home)),
            closed_because: None,
        }
    }

    fn size(&self) -> String {
        match (self.kind, self.size_bytes) {
            (_, Some(size)) => Bytes(size).to_string(),
            ("file", None) => "?".to_owned(),
            _ => "-".to_owned(),
        }
    }

    fn time(&self) -> String {
        self.linked_at_unix_seconds.map_or("-".to_owned(), |time| time.to_string())
    }
}

impl fmt::Display for ListingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.entries.iter().map(EntryView::size).collect();
        let times: Vec<String> = self.entries.iter().map(EntryView::time).collect();
        let widest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or(0);
        let (size_width, time_width) = (widest(&sizes), widest(&times));
        for (entry, (size, time)) in self.entries.iter().zip(sizes.iter().zip(&times)) {
            let name = entry.name.as_deref().map_or("(the file)".to_owned(), shown_name);
            let end = if entry.kind == "directory" { "/" } else { "" };
            write!(f, "{size:>size_width$}  {time:time_width$}  {name}{end}")?;
            match &entry.closed_because {
                Some(reason) => writeln!(f, "  ({reason})")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
