//! The books of everybody, side by side.

use crate::calls::audit::audit;
use crate::calls::stage::{CallStage, Seen};
use crate::play::AnyError;
use lafs_clearinghouse::keys::PublicKey;
use lafs_clearinghouse::ledger::{LaneLine, Ledger, Location, Part};
use lafs_clearinghouse::rate::Asset;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One set of books.
pub(super) struct Shelf {
    /// Whose: `grid 3` or `client-07`.
    pub(super) name: String,
    /// What `ledger verify` says of them if they do not agree with what was signed.
    pub(super) fault: Option<String>,
    pub(super) lanes: Vec<LaneLine>,
    /// The sum of the entries of all bookings.
    pub(super) entries: i128,
    /// What payers were sent and never vouched for.
    pub(super) unvouchered: Vec<(PublicKey, u64)>,
}

impl CallStage {
    /// Lays all books beside each other.
    pub(super) async fn books(&mut self) -> Result<Seen, AnyError> {
        self.everybody_calls().await?;
        let statements = self.statements().await?;
        let shelves = self.shelves().await?;
        let found = audit(self, &shelves, &statements).await?;
        if !found.faults.is_empty() {
            return Ok(Seen::Broken(found.faults));
        }
        Ok(Seen::Held(format!("{}\n{}", found.told, self.printed().await?)))
    }

    /// Every set of books, each proved from its signatures first.
    async fn shelves(&self) -> Result<Vec<Shelf>, AnyError> {
        let mut shelves = Vec::new();
        for grid in self.grids.numbers() {
            shelves.push(self.shelf(format!("grid {grid}"), &self.grids.home(grid).ledger()).await?);
        }
        for reader in &self.readers.all {
            for path in reader.ledgers() {
                shelves.push(self.shelf(reader.name.clone(), &path).await?);
            }
        }
        Ok(shelves)
    }

    async fn shelf(&self, name: String, path: &Path) -> Result<Shelf, AnyError> {
        let words = ["ledger", "verify", "--json", "--ledger", path.to_str().unwrap_or_default()];
        let fault = self.grids.ahead.has(&words).await.err().map(|error| error.to_string());
        let ledger = Ledger::open_reading(Location::Sqlite(PathBuf::from(path))).await?;
        let (mut lanes, mut entries) = (Vec::new(), 0_i128);
        ledger.each_lane(|lane| lanes.push(lane)).await?;
        ledger.each_entry(|entry| entries += i128::from(entry.amount)).await?;
        let unvouchered = ledger.unvouchered().await?.into_iter().map(|(payer, octets)| (payer, octets.0)).collect();
        ledger.close().await;
        Ok(Shelf { name, fault, lanes, entries, unvouchered })
    }

    /// What a grid's books say that one owes another.
    pub(super) async fn owed(
        &self,
        keeper: usize,
        part: Part,
        debtor: usize,
        creditor: usize,
    ) -> Result<i128, AnyError> {
        let ledger = Ledger::open_reading(Location::Sqlite(self.grids.home(keeper).ledger())).await?;
        let asset = Asset::from_code("USD")?;
        let owed = ledger.owed(part, *self.grids.id(debtor).key(), *self.grids.id(creditor).key(), asset).await?;
        ledger.close().await;
        Ok(owed)
    }

    /// The statements of all pairs as the clearing node prints them, in from the edge.
    async fn printed(&self) -> Result<String, AnyError> {
        let words = ["statement", "--period", "2020-01-01..2099-01-01", "-d", self.grids.dir(0)];
        let typed = self.grids.ahead.types(&words).await?;
        let lines = typed.printed.lines().map(|line| format!("                    {line}").trim_end().to_owned());
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// The bill between two grids among the statements of one.
pub(super) fn bill_between<'a>(statements: &'a [Value], one: &str, other: &str) -> Option<&'a Value> {
    statements.iter().find(|bill| {
        let pair = (bill["creditor"].as_str(), bill["debtor"].as_str());
        pair == (Some(one), Some(other)) || pair == (Some(other), Some(one))
    })
}
