//! A file brought to the disk: verified bytes alone, under a name of its own until it is whole.

use crate::config::FileError;
use crate::reader::error::ReadError;
use crate::reader::open_file::OpenFile;
use crate::reader::part::{Part, PartError};
use crate::reader::resume::ResumeNote;
use crate::reader::trouble::Trouble;
use futures::StreamExt;
use hyper::body::Bytes;
use std::ops::Range;
use std::path::Path;
use tokio::sync::mpsc;

/// How many pieces may wait for the disk, each a unit at most.
const PIECES_WAITING: usize = 4;

/// Why a file did not become whole. What is there of it is kept, and the same download goes on from it.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] PartError),
}

impl From<FileError> for DownloadError {
    fn from(error: FileError) -> Self {
        Self::Write(error.into())
    }
}

impl DownloadError {
    /// What kind of failure it is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Read(error) => error.trouble(),
            Self::Write(_) => Trouble::Failed,
        }
    }
}

/// A file that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// How many bytes it has.
    pub size: u64,
    /// How many of them an earlier attempt had left behind.
    pub resumed_from: u64,
}

/// What is done with an unfinished file.
enum Order {
    /// The next verified bytes.
    Append(Bytes),
    /// It is whole.
    Finish,
}

/// Brings the bytes `wanted` of `file` to `path`, and goes on where an earlier attempt at the same bytes of the same version
/// stopped. `progress` is told how many bytes are there.
///
/// Dropped halfway, what is there is brought to the disk by a thread that the runtime waits for when it ends.
pub async fn download(
    file: &OpenFile,
    wanted: Range<u64>,
    path: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Downloaded, DownloadError> {
    let wanted = wanted.start.min(file.size())..wanted.end.min(file.size());
    let note = ResumeNote::new(file.target().digest(), file.etag().to_owned(), wanted.clone());
    let target = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Part::open(&target, note)).await;
    let part = opened.expect("opening a file does not panic")?;
    let resumed_from = part.verified();
    progress(resumed_from);
    let (orders, received) = mpsc::channel(PIECES_WAITING);
    let writer = tokio::task::spawn_blocking(move || write(part, received));
    let (mut there, mut failure) = (resumed_from, None);
    let mut pieces = file.read(wanted.start + resumed_from..wanted.end);
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => {
                there += piece.len() as u64;
                if orders.send(Order::Append(piece)).await.is_err() {
                    // The writer has ended, and says why.
                    break;
                }
                progress(there);
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let size = wanted.end - wanted.start;
    if failure.is_none() && there == size {
        let _ = orders.send(Order::Finish).await;
    }
    drop(orders);
    writer.await.expect("writing a file does not panic")?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(Downloaded { size, resumed_from }),
    }
}

/// Follows orders until there are no more; what there is by then and is not whole is kept with a note.
fn write(mut part: Part, mut orders: mpsc::Receiver<Order>) -> Result<(), FileError> {
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Append(bytes) => part.append(&bytes)?,
            Order::Finish => return part.finish(),
        }
    }
    if part.verified() == 0 { part.discard() } else { part.keep() }
}
