//! One version of a file, whose bytes can be read from any place on.

use crate::peer::manifest_estimate;
use crate::reader::error::ReadError;
use crate::reader::handle::Reader;
use crate::reader::plan::{ReadPlan, page_of, page_units};
use crate::reader::source::{Page, SourceError};
use crate::reader::target::Target;
use crate::reader::trouble::Trouble;
use crate::units::Bytes as Octets;
use futures::{Stream, StreamExt};
use hyper::body::Bytes;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How many bytes are fetched ahead of who reads them, at least one unit.
const READ_AHEAD: u64 = 4 << 20;
/// The most units fetched ahead, however small they are.
const MAX_UNITS_AHEAD: u64 = 16;

/// A version of a file. Cheap to clone; nothing is held open.
#[derive(Debug, Clone)]
pub struct OpenFile {
    reader: Reader,
    target: Target,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Literal { bytes: Bytes, etag: String },
    Remote { size: u64, unit: u64, etag: String },
}

impl OpenFile {
    /// A file that is its own cap.
    pub(super) fn literal(reader: Reader, target: Target, content: &[u8]) -> Self {
        let digest = Sha256::digest(content);
        let etag = format!("\"{}\"", data_encoding::HEXLOWER.encode(&digest[..16]));
        Self { reader, target, content: Content::Literal { bytes: Bytes::copy_from_slice(content), etag } }
    }

    /// The version that `page` is of.
    pub(super) fn remote(reader: Reader, target: Target, page: &dyn Page) -> Self {
        let content = Content::Remote { size: page.size(), unit: page.unit(), etag: page.etag().to_owned() };
        Self { reader, target, content }
    }

    /// What was opened.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The size of the content in bytes.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Literal { bytes, .. } => bytes.len() as u64,
            Content::Remote { size, .. } => *size,
        }
    }

    /// Names this version, in quotes as HTTP has it. Immutable content has one for ever.
    pub fn etag(&self) -> &str {
        match &self.content {
            Content::Literal { etag, .. } | Content::Remote { etag, .. } => etag,
        }
    }

    /// Whether what may be paid reaches for the bytes `wanted`, with what verifies them: to be asked where whoever reads is promised
    /// all of them. What else is read meanwhile is paid from the same.
    pub async fn affords(&self, wanted: Range<u64>) -> Result<(), ReadError> {
        let Content::Remote { size, unit, .. } = &self.content else { return Ok(()) };
        let wanted = wanted.start.min(*size)..wanted.end.min(*size);
        let page = page_units(self.target.cap().is_mutable());
        let plan = ReadPlan::new(wanted, *unit, page);
        let units = plan.units();
        let ciphertext = (units.end * unit).min(*size).saturating_sub(units.start * unit);
        // The first page has come, or is remembered.
        let (pages, to_come) =
            plan.pages().fold((0, 0), |(pages, to_come), units| (pages + 1, to_come + u64::from(units.start >= page)));
        let manifest = to_come * manifest_estimate(Octets(*size), Octets(*unit), page).0;
        self.reader.affords(&self.target, Octets(ciphertext.saturating_add(manifest)), pages + to_come).await
    }

    /// The bytes `wanted` of the content; what lies behind the end is left out.
    pub fn read(&self, wanted: Range<u64>) -> Plaintext {
        let wanted = wanted.start.min(self.size())..wanted.end.min(self.size());
        let ahead = match &self.content {
            Content::Literal { .. } => 1,
            Content::Remote { unit, .. } => (READ_AHEAD / (*unit).max(1)).clamp(1, MAX_UNITS_AHEAD),
        };
        let (sender, pieces) = mpsc::channel(usize::try_from(ahead).unwrap_or(1));
        let task = tokio::spawn(self.clone().fetch(wanted, sender)).abort_handle();
        Plaintext { pieces, task }
    }

    /// Sends the bytes `wanted`, taking a transfer that breaks off up again where it was.
    async fn fetch(self, wanted: Range<u64>, sender: mpsc::Sender<Result<Bytes, ReadError>>) {
        let mut at = wanted.start;
        let mut pauses = self.reader.pauses().iter();
        loop {
            let began = at;
            let error = match self.pass(&mut at, wanted.end, &sender).await {
                Ok(()) => return,
                Err(error) => error,
            };
            if at > began {
                pauses = self.reader.pauses().iter();
            }
            match pauses.next().filter(|_| error.trouble() == Trouble::Unreachable) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => {
                    // Who has gone does not ask why.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// One attempt from `at` to `end`; `at` is left behind the last byte that was sent. Ends well also where nobody listens
    /// any more.
    async fn pass(
        &self,
        at: &mut u64,
        end: u64,
        sender: &mpsc::Sender<Result<Bytes, ReadError>>,
    ) -> Result<(), ReadError> {
        let (size, unit) = match &self.content {
            Content::Literal { bytes, .. } => {
                let whole = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let piece = bytes.slice(whole(*at)..whole(end));
                if !piece.is_empty() {
                    let _ = sender.send(Ok(piece)).await;
                }
                return Ok(());
            }
            Content::Remote { size, unit, .. } => (*size, *unit),
        };
        let page_size = page_units(self.target.cap().is_mutable());
        let plan = ReadPlan::new(*at..end, unit, page_size);
        for units in plan.pages() {
            let then = (units.start * unit).max(*at)..end.min(units.end.saturating_mul(unit));
            let page = self.reader.page(&self.target, page_of(units.start, page_size), Some(then)).await?;
            if (page.etag(), page.size(), page.unit()) != (self.etag(), size, unit) {
                return Err(ReadError::Changed);
            }
            let mut contents = page.units(units.clone());
            for index in units {
                let plain = contents.next().await.unwrap_or_else(|| {
                    Err(SourceError::new(Trouble::Unreachable, "the transfer ended before the file did"))
                })?;
                if plain.len() as u64 != unit.min(size - index * unit) {
                    return Err(SourceError::new(Trouble::Malformed, "a unit has another length than it must").into());
                }
                let cut = plan.cut(index, plain.len());
                let piece = plain.slice(cut);
                let length = piece.len() as u64;
                if sender.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
                *at += length;
            }
        }
        Ok(())
    }
}

/// Content as it comes, in pieces of a unit or less; verified. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Plaintext {
    pieces: mpsc::Receiver<Result<Bytes, ReadError>>,
    task: AbortHandle,
}

impl Plaintext {
    /// All of it, where there are at most `limit` bytes; what is beyond is not asked for.
    pub async fn collect_up_to(mut self, limit: usize) -> Result<Vec<u8>, ReadError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            all.extend_from_slice(&piece[..piece.len().min(limit - all.len())]);
            if all.len() == limit {
                break;
            }
        }
        Ok(all)
    }
}

impl Stream for Plaintext {
    type Item = Result<Bytes, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_recv(context)
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        self.task.abort();
    }
}
