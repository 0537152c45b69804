//! `get -r`: a directory and all below it.

use crate::causes::chain;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::Progress;
use crate::cli::terminal::{Form, Terminal};
use crate::reader::{Reader, Target, TreeEvent, TreeReport, download_tree, shown_name};
use crate::units::Bytes;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How many failures are listed in JSON. All are counted.
const MAX_LISTED: usize = 1000;

pub(super) async fn run(reader: &Reader, target: &Target, root: &Path, terminal: &Terminal) -> Outcome<()> {
    let progress = Progress::of_tree(root, terminal);
    let failures = Mutex::new(Vec::new());
    let tell = |event: TreeEvent<'_>| match event {
        TreeEvent::Begun { path, size } => progress.begin(path, size),
        TreeEvent::Progress { there } => progress.there(there),
        TreeEvent::Whole { .. } | TreeEvent::Had { .. } => {}
        TreeEvent::Failed { path, error } => {
            let failed = FailedView {
                path: path.to_string_lossy().into_owned(),
                code: ExitCode::from(error.trouble()).name(),
                message: chain(error),
            };
            if terminal.form() == Form::Text {
                progress.aside(|| terminal.warn(format_args!("`{}`: {}", shown_name(&failed.path), failed.message)));
            }
            let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
            if failures.len() < MAX_LISTED {
                failures.push(failed);
            }
        }
    };
    let outcome = download_tree(reader, target, root, &tell).await;
    progress.end();
    let report = outcome.map_err(|error| {
        let again = format!("the same command goes on where it stopped; `{}` is not whole yet", root.display());
        let failure = Failure::from(error);
        if failure.hint.is_some() { failure } else { failure.hint(again) }
    })?;
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    terminal.print(&TreeView::new(root, &report, failures))?;
    match report.first_trouble {
        None => Ok(()),
        Some(trouble) => Err(Failure::told(ExitCode::from(trouble))),
    }
}

/// A child that was left out.
#[derive(Serialize)]
struct FailedView {
    path: String,
    code: &'static str,
    message: String,
}

/// What became of a tree.
#[derive(Serialize)]
struct TreeView {
    path: PathBuf,
    files: u64,
    files_there_before: u64,
    directories: u64,
    size_bytes: u64,
    failed_count: u64,
    /// The first of them.
    failed: Vec<FailedView>,
}

impl TreeView {
    fn new(root: &Path, report: &TreeReport, failed: Vec<FailedView>) -> Self {
        Self {
            path: root.to_owned(),
            files: report.files,
            files_there_before: report.had,
            directories: report.directories,
            size_bytes: report.size,
            failed_count: report.failed,
            failed,
        }
    }
}

impl fmt::Display for TreeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, size) = (self.files, Bytes(self.size_bytes));
        write!(f, "{}: {files} files of {size}, verified", self.path.display())?;
        if self.files_there_before > 0 {
            write!(f, "; {} of them were there before", self.files_there_before)?;
        }
        match self.failed_count {
            0 => Ok(()),
            failed => write!(f, "; {failed} entries are missing"),
        }
    }
}
