//! A grid that asks for more than it has promised: its node is given another record and other settings, past all rules of our own
//! publisher, and offers lanes at that price in earnest.

use crate::calls::grids::{LOOK_EVERY, PATIENCE};
use crate::calls::reading::Which;
use crate::calls::scenario::{Dearer, RaisePrice};
use crate::calls::stage::{CallStage, Seen};
use crate::play::AnyError;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{NodeConfig, PUBLIC_MODE, write_atomically};
use lafs_clearinghouse::rate::RateLine;
use lafs_clearinghouse::record::{RecordDraft, Signer};
use lafs_clearinghouse::store::{load_own_record, save_own_record};
use serde_json::Value;
use tokio::time::Instant;

impl CallStage {
    /// The grid publishes a higher price inside its commitment, and its gateway asks for it.
    pub(super) async fn raise_price(&mut self, raise: &RaisePrice) -> Result<String, AnyError> {
        let grid = raise.grid;
        let line: RateLine = format!("{}/GiB", raise.price).parse()?;
        self.grids.kill(grid).await?;
        let (home, id) = (self.grids.home(grid), self.grids.id(grid));
        let newest = load_own_record(&home, &id)?.ok_or("a grid without a record")?;
        let draft = RecordDraft { rates: vec![line], ..RecordDraft::from_record(&newest) };
        let signer = Signer::Grid { key: &self.grids.key(grid), serial: newest.signed().serial() };
        // Told of no record before, so nothing is refused.
        save_own_record(&home, &draft.sign(signer, None, &[], Clock::system().now())?)?;
        let _ = std::fs::remove_dir_all(home.evidence_of(&id));
        self.asks_for(grid, line)?;
        self.grids.start(grid).await?;
        let until = Instant::now() + PATIENCE;
        while self.shown_to(grid).await? < self.cast.grids - 1 {
            if Instant::now() > until {
                return Err(format!("not everybody is shown that grid {grid} breaks its promise").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(format!("grid {grid} asks for {line} in spite of {}", self.grids.rate(grid)))
    }

    /// The grid goes back to what it has promised.
    pub(super) async fn keep_promise(&mut self, grid: usize) -> Result<String, AnyError> {
        self.grids.kill(grid).await?;
        let line = *self.grids.rate(grid);
        self.asks_for(grid, line)?;
        self.grids.start(grid).await?;
        let until = Instant::now() + PATIENCE;
        while self.shown_to(grid).await? > 0 {
            if Instant::now() > until {
                return Err(format!("grid {grid} does not publish what it has promised").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(format!("grid {grid} asks for {line} again"))
    }

    /// The proof is everywhere, and nobody pays what is asked: the gateway, which is shown it too, charges what was promised, or is
    /// refused. That no lane has another price is for `books` to find.
    pub(super) async fn dearer(&mut self, expected: &Dearer) -> Result<Seen, AnyError> {
        let grid = expected.grid;
        let mut faults = Vec::new();
        let shown = self.shown_to(grid).await?;
        if shown + 1 != self.cast.grids {
            faults.push(format!("{shown} of {} are shown that grid {grid} breaks its promise", self.cast.grids - 1));
        }
        let (mut read, mut refused) = (0, 0);
        for home in self.grids.numbers().filter(|home| *home != grid) {
            let Some(reader) = self.readers.all.iter().position(|reader| reader.home == home) else { continue };
            let call = self.call(reader, grid, Which::Letter);
            let number = self.reading.numbers(1);
            match self.readers.try_read(self.grids.ahead, &call, number).await? {
                Ok(fetched) => {
                    read += 1;
                    self.reading.count(&call, fetched);
                    continue;
                }
                Err(said) if said.contains("dearer than its grid has promised") => refused += 1,
                Err(said) => faults.push(format!("grid {home} refuses grid {grid}'s price for another reason: {said}")),
            }
            self.reading.count_refused(&call);
        }
        Ok(match faults.is_empty() {
            true => Seen::Held(format!(
                "{shown} grids are shown the proof; {read} homes read at what was promised, {refused} refuse the price"
            )),
            false => Seen::Broken(faults),
        })
    }

    /// How many other grids' nodes are shown that this one breaks its promise.
    async fn shown_to(&self, grid: usize) -> Result<usize, AnyError> {
        let id = self.grids.id(grid).to_string();
        let asked = self.grids.numbers().filter(|other| *other != grid).map(|other| {
            let id = &id;
            async move { self.grids.ahead.has(&["record", "broken", id, "-d", self.grids.dir(other), "--json"]).await }
        });
        let told = futures::future::join_all(asked).await;
        // An error is somebody who has not found the record yet.
        let is_shown = |told: &&Value| told["broken"].as_array().is_some_and(|broken| !broken.is_empty());
        Ok(told.iter().flatten().filter(is_shown).count())
    }

    /// Writes the rate into the settings of a grid's node.
    fn asks_for(&self, grid: usize, line: RateLine) -> Result<(), AnyError> {
        let file = self.grids.home(grid).config();
        let config = NodeConfig { rate: vec![line], ..NodeConfig::read(&file)? };
        Ok(write_atomically(&file, config.to_commented_toml().as_bytes(), PUBLIC_MODE)?)
    }
}
