//! A source in memory, for tests: it breaks off, changes and lies as it is told.

use crate::capability::{Capability, ChkRead, FileCap, Key, MutableFormat, MutableRead, ShareCounts};
use crate::clearing::{Quote, at_most};
use crate::keys::{GridId, SecretKey};
use crate::peer::pages_of_manifest;
use crate::rate::{Asset, Money};
use crate::reader::handle::Reader;
use crate::reader::source::{Page, Source, SourceError};
use crate::reader::target::Target;
use crate::reader::trouble::Trouble;
use crate::tagged::push_netstring;
use crate::units::{Bytes, MinorUnits, PricePerGib};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use hyper::body::Bytes as Octets;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Files by their targets, and what is to go wrong. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: HashMap<String, File>,
    /// What each of the next transfers ends with, after so many units; then all goes well again. Without an error it hangs.
    breaks: Vec<(usize, Option<SourceError>)>,
    /// How many octets may be paid for, where that is limited.
    paid: Option<Bytes>,
    /// What each of the next pages is refused with.
    refusals: Vec<SourceError>,
    /// How many pages and units were asked for.
    pages: usize,
    units: usize,
    /// What each page's question said of what is read next.
    thens: Vec<Option<Range<u64>>>,
}

#[derive(Debug, Clone)]
struct File {
    content: Arc<Vec<u8>>,
    unit: u64,
    sequence: Option<u64>,
}

#[derive(Debug)]
struct MemoryPage {
    memory: Memory,
    file: File,
    etag: String,
}

/// The grid of the reader in tests.
pub(crate) fn home() -> GridId {
    GridId::new(SecretKey::from_seed(&[1; 32]).public())
}

/// Another grid.
pub(crate) fn abroad() -> GridId {
    GridId::new(SecretKey::from_seed(&[2; 32]).public())
}

impl Memory {
    /// A reader of what is here, with its floors in `folder`.
    pub(crate) fn reader(&self, folder: &Path) -> Reader {
        Reader::over(Box::new(self.clone()), home(), folder.join("mutable-floors"), &[Duration::ZERO; 3])
    }

    /// An immutable file with this content, whose key grows from `seed`.
    pub(crate) fn immutable(&self, grid: GridId, seed: u8, content: &[u8], unit: u64) -> Target {
        let cap = Capability::File(FileCap::ChkRead(chk(seed, content.len())));
        self.add(Target::new(grid, &cap).expect("a read cap"), content, unit, None)
    }

    /// An immutable directory of these children: names and caps.
    pub(crate) fn directory(&self, grid: GridId, seed: u8, children: &[(&str, &str)]) -> Target {
        let content = list(children);
        let cap = Capability::Directory(FileCap::ChkRead(chk(seed, content.len())));
        self.add(Target::new(grid, &cap).expect("a read cap"), &content, 1000, None)
    }

    /// A mutable file or, with `children`, directory; the same seed changes the same one.
    pub(crate) fn mutable(&self, grid: GridId, seed: u8, sequence: u64, content: &[u8]) -> Target {
        self.add(mutable_target(grid, seed, false), content, 1000, Some(sequence))
    }

    /// A mutable directory of these children.
    pub(crate) fn mutable_directory(&self, grid: GridId, seed: u8, sequence: u64, children: &[(&str, &str)]) -> Target {
        self.add(mutable_target(grid, seed, true), &list(children), 1 << 20, Some(sequence))
    }

    fn add(&self, target: Target, content: &[u8], unit: u64, sequence: Option<u64>) -> Target {
        let file = File { content: Arc::new(content.to_vec()), unit, sequence };
        self.state().files.insert(target.digest(), file);
        target
    }

    /// The next transfer ends with `trouble` after `units` units; called again, the one after it.
    pub(crate) fn break_after(&self, units: usize, trouble: Trouble) {
        self.state().breaks.push((units, Some(SourceError::new(trouble, "made to break"))));
    }

    /// The next transfer brings so many units and then nothing more.
    pub(crate) fn hang_after(&self, units: usize) {
        self.state().breaks.push((units, None));
    }

    /// What a target is from now on.
    pub(crate) fn replace(&self, target: &Target, content: &[u8]) {
        if let Some(file) = self.state().files.get_mut(&target.digest()) {
            file.content = Arc::new(content.to_vec());
        }
    }

    /// There is no such file any more.
    pub(crate) fn lose(&self, target: &Target) {
        self.state().files.remove(&target.digest());
    }

    /// The next question for a page is refused.
    pub(crate) fn pays_for(&self, octets: u64) {
        self.state().paid = Some(Bytes(octets));
    }

    pub(crate) fn refuse(&self, error: SourceError) {
        self.state().refusals.push(error);
    }

    /// How many pages and units were asked for so far.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let state = self.state();
        (state.pages, state.units)
    }

    /// What the questions for pages said of what is read next.
    pub(crate) fn thens(&self) -> Vec<Option<Range<u64>>> {
        self.state().thens.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics here")
    }
}

/// The mutable target that grows from `seed`.
pub(crate) fn mutable_target(grid: GridId, seed: u8, directory: bool) -> Target {
    let read = MutableRead::new(MutableFormat::Sdmf, Key::new([seed; 16]), [seed; 32]);
    let file = FileCap::MutableRead(read);
    let cap = if directory { Capability::Directory(file) } else { Capability::File(file) };
    Target::new(grid, &cap).expect("a read cap")
}

fn chk(seed: u8, size: usize) -> ChkRead {
    let shares = ShareCounts::new(2, 3).expect("good counts");
    ChkRead::new(Key::new([seed; 16]), [seed; 32], shares, Bytes(size as u64))
}

/// The content of a directory.
fn list(children: &[(&str, &str)]) -> Vec<u8> {
    let metadata = r#"{"tahoe": {"linkcrtime": 1700000000.5, "linkmotime": 1700000000.5}}"#;
    let child = |(name, cap): &(&str, &str)| -> Vec<u8> {
        // Not through `Child`, which has no text of a cap that is refused.
        let mut entry = vec![];
        for field in [*name, *cap, "", metadata] {
            push_netstring(&mut entry, field.as_bytes());
        }
        let mut whole = vec![];
        push_netstring(&mut whole, &entry);
        whole
    };
    children.iter().flat_map(child).collect()
}

impl Source for Memory {
    fn page<'a>(
        &'a self,
        target: &'a Target,
        _: Range<u64>,
        then: Option<Range<u64>>,
    ) -> BoxFuture<'a, Result<Arc<dyn Page>, SourceError>> {
        let mut state = self.state();
        state.pages += 1;
        state.thens.push(then);
        let refusal = (!state.refusals.is_empty()).then(|| state.refusals.remove(0));
        let file = state.files.get(&target.digest()).cloned();
        let memory = self.clone();
        async move {
            if let Some(error) = refusal {
                return Err(error);
            }
            let file = file.ok_or_else(|| SourceError::new(Trouble::NotFound, "no shares of it"))?;
            let etag = format!("\"{}-{}\"", file.sequence.unwrap_or_default(), file.content.len());
            Ok(Arc::new(MemoryPage { memory, file, etag }) as Arc<dyn Page>)
        }
        .boxed()
    }

    fn affords<'a>(&'a self, _: &'a Target, octets: Bytes, requests: u64) -> BoxFuture<'a, Result<(), SourceError>> {
        let refused = self.state().paid.filter(|paid| octets > *paid).map(|paid| {
            SourceError::new(Trouble::Price, format!("{octets} in {requests} requests, and {paid} is left"))
        });
        std::future::ready(refused.map_or(Ok(()), Err)).boxed()
    }

    /// At 5 US dollars per GiB.
    fn quote<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Quote, SourceError>> {
        let file = self.state().files.get(&target.digest()).cloned();
        let grid_id = target.grid().to_string();
        async move {
            let file = file.ok_or_else(|| SourceError::new(Trouble::NotFound, "no shares of it"))?;
            let (usd, price) = (Asset::from_code("USD").expect("an asset"), PricePerGib(5_000_000_000));
            let (content, unit) = (Bytes(file.content.len() as u64), Bytes(file.unit));
            let (pages, manifest) = pages_of_manifest(content, unit);
            let total = at_most(price, Bytes(content.0 + manifest.0), 2 * pages);
            let price = Money::new(usd, MinorUnits(price.0));
            Ok(Quote {
                grid_id,
                decision: "allowed".to_owned(),
                message: None,
                steps: Vec::new(),
                until_unix_seconds: 1_800_000_000,
                abroad: price.clone(),
                price,
                content_bytes: content.0,
                manifest_bytes: manifest.0,
                unit_bytes: unit.0,
                total: Money::new(usd, total),
                deck_base64url: None,
            })
        }
        .boxed()
    }
}

impl Page for MemoryPage {
    fn size(&self) -> u64 {
        self.file.content.len() as u64
    }

    fn unit(&self) -> u64 {
        self.file.unit
    }

    fn etag(&self) -> &str {
        &self.etag
    }

    fn sequence(&self) -> Option<u64> {
        self.file.sequence
    }

    fn units(self: Arc<Self>, units: Range<u64>) -> BoxStream<'static, Result<Octets, SourceError>> {
        let broken = {
            let mut state = self.memory.state();
            (!state.breaks.is_empty()).then(|| state.breaks.remove(0))
        };
        let unit = self.file.unit as usize;
        let whole = units.map(move |index| {
            self.memory.state().units += 1;
            let start = index as usize * unit;
            let end = (start + unit).min(self.file.content.len());
            Ok(Octets::copy_from_slice(&self.file.content[start..end]))
        });
        match broken {
            None => stream::iter(whole).boxed(),
            Some((after, Some(error))) => stream::iter(whole.take(after)).chain(stream::iter([Err(error)])).boxed(),
            Some((after, None)) => stream::iter(whole.take(after)).chain(stream::pending()).boxed(),
        }
    }
}
