//! What it costs to bring a directory and all below it: counted by reading its directories, before a byte of a file is fetched.

use crate::clearing::{Quote, at_most};
use crate::keys::GridId;
use crate::peer::{USUAL_UNIT, pages_of_manifest};
use crate::rate::Asset;
use crate::reader::cap_path::MAX_DEPTH;
use crate::reader::error::ReadError;
use crate::reader::handle::Reader;
use crate::reader::target::Target;
use crate::reader::tree::MAX_VISITED;
use crate::units::{Bytes, MinorUnits, PricePerGib};
use std::collections::{BTreeMap, HashSet};

/// What a tree comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeCost {
    /// How many files it has. One that stands at several places counts at each, as it is fetched for each.
    pub files: u64,
    /// How many directories, the first included.
    pub directories: u64,
    /// The octets of all files.
    pub content: Bytes,
    /// The octets of what verifies them, at most, and of the directories, which are read once more.
    pub around: Bytes,
    /// Children that are not followed or could not be read: they are not in the total.
    pub left_out: u64,
    /// What it costs on each grid, with that grid's price.
    pub grids: BTreeMap<GridId, GridCost>,
    /// What all of it costs at most, in each asset; nothing of what is free.
    pub totals: BTreeMap<Asset, MinorUnits>,
    /// What it has cost at most to count it, in each asset.
    pub spent: BTreeMap<Asset, MinorUnits>,
}

/// What of a tree lies on one grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridCost {
    /// What the home says of a file there, its signed price included.
    pub quote: Quote,
    /// All octets that will be read there.
    pub octets: Bytes,
    /// In so many requests, at most.
    pub requests: u64,
    /// What was read to count it: its directories.
    pub counted: Bytes,
}

/// Counts what [`download_tree`] will cost, if files are cut as is usual. Its directories are read for it, and paid for; of files nothing is.
///
/// [`download_tree`]: crate::reader::download_tree
pub async fn tree_cost(reader: &Reader, root: &Target) -> Result<TreeCost, ReadError> {
    let mut cost = TreeCost::default();
    let mut open = vec![(root.clone(), HashSet::from([root.digest()]))];
    let mut visited = 0;
    while let Some((directory, above)) = open.pop() {
        let listing = match reader.list(&directory).await {
            Ok(listing) => listing,
            Err(error) if directory == *root => return Err(error),
            Err(_) => {
                cost.left_out += 1;
                continue;
            }
        };
        cost.directories += 1;
        cost.measure(reader, &directory, Kind::Directory).await?;
        for entry in listing.entries {
            visited += 1;
            let followed = entry.child.ok().filter(|_| visited <= MAX_VISITED);
            let Some(target) = followed else {
                cost.left_out += 1;
                continue;
            };
            if target.is_directory() {
                let digest = target.digest();
                if above.contains(&digest) || above.len() > MAX_DEPTH {
                    cost.left_out += 1;
                    continue;
                }
                let mut below = above.clone();
                below.insert(digest);
                open.push((target, below));
                continue;
            }
            cost.files += 1;
            if cost.measure(reader, &target, Kind::File).await.is_err() {
                cost.left_out += 1;
            }
        }
    }
    cost.sum_up();
    Ok(cost)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
}

impl TreeCost {
    /// Adds what reading `target` brings.
    async fn measure(&mut self, reader: &Reader, target: &Target, kind: Kind) -> Result<(), ReadError> {
        let known = self.grids.get(target.grid()).map(|grid| &grid.quote);
        let quote = match (target.cap().size(), known) {
            (size, _) if target.cap().verify_cap().is_none() => {
                let size = size.unwrap_or_default();
                add(if kind == Kind::File { &mut self.content } else { &mut self.around }, size);
                return Ok(());
            }
            // The size of what never changes is in its cap, and its price is that of its grid.
            (Some(size), Some(known)) => {
                let (_, manifest) = pages_of_manifest(size, Bytes(USUAL_UNIT));
                let (content_bytes, manifest_bytes) = (size.0, manifest.0);
                Quote { content_bytes, manifest_bytes, unit_bytes: USUAL_UNIT, ..known.clone() }
            }
            _ => reader.quote(target).await?,
        };
        let (content, manifest) = (Bytes(quote.content_bytes), Bytes(quote.manifest_bytes));
        let (pages, _) = pages_of_manifest(content, Bytes(quote.unit_bytes));
        let nothing = GridCost { quote, octets: Bytes(0), requests: 0, counted: Bytes(0) };
        let grid = self.grids.entry(*target.grid()).or_insert(nothing);
        add(&mut grid.octets, content);
        add(&mut grid.octets, manifest);
        // Of each page its manifest and its units.
        grid.requests = grid.requests.saturating_add(2 * pages);
        add(&mut self.around, manifest);
        match kind {
            Kind::File => add(&mut self.content, content),
            Kind::Directory => {
                add(&mut self.around, content);
                add(&mut grid.counted, content);
                add(&mut grid.counted, manifest);
            }
        }
        Ok(())
    }

    fn sum_up(&mut self) {
        for grid in self.grids.values() {
            let (asset, price) = grid.quote.rate().unwrap_or((Asset::FREE, PricePerGib(0)));
            if price.0 > 0 {
                let add = |sums: &mut BTreeMap<Asset, MinorUnits>, more: MinorUnits| {
                    let sum = sums.entry(asset).or_default();
                    *sum = MinorUnits(sum.0.saturating_add(more.0).min(MinorUnits::MAX.0));
                };
                add(&mut self.totals, at_most(price, grid.octets, grid.requests));
                add(&mut self.spent, at_most(price, grid.counted, grid.requests));
            }
        }
    }
}

fn add(sum: &mut Bytes, octets: Bytes) {
    sum.0 = sum.0.saturating_add(octets.0);
}
