//! All who take part in a scenario of calls, and its steps.

use crate::calls::grids::Grids;
use crate::calls::readers::Readers;
use crate::calls::reading::Reading;
use crate::calls::scenario::{CallCast, CallDeed};
use crate::play::{AnyError, Draw, StepOutcome, Theatre};
use crate::up::Keep;
use std::path::Path;

/// The grids, their clients, and all that was read.
pub(crate) struct CallStage {
    pub(super) cast: CallCast,
    pub(super) grids: Grids,
    pub(super) readers: Readers,
    pub(super) draw: Draw,
    /// What was read so far.
    pub(super) reading: Reading,
}

/// What an expectation came to.
pub(super) enum Seen {
    /// It holds; the text says what was seen.
    Held(String),
    /// It does not, and these are the reasons.
    Broken(Vec<String>),
}

impl CallStage {
    /// Lays out grids and starts nothing yet.
    pub(crate) fn lay_out(cast: &CallCast, seed: u64) -> Result<Self, AnyError> {
        let grids = Grids::lay_out(cast, seed)?;
        let readers = Readers::lay_out(&grids.testnet.layout.dir.join("clients"), cast.clients, cast.grids);
        Ok(Self { cast: cast.clone(), grids, readers, draw: Draw::new(seed), reading: Reading::default() })
    }
}

impl Theatre for CallStage {
    type Deed = CallDeed;

    fn is_expectation(deed: &CallDeed) -> bool {
        deed.is_expectation()
    }

    async fn raise(&mut self) -> Result<String, AnyError> {
        let network = self.grids.raise().await?;
        for reader in &self.readers.all {
            let home = reader.home;
            reader.join(&self.grids.gateways[home], self.grids.id(home), &network, &self.grids.home(home))?;
        }
        let (grids, clients) = (self.cast.grids, self.cast.clients);
        Ok(format!("{grids} grids that ask for {} a GiB, and {clients} clients", self.cast.prices.join(", ")))
    }

    async fn take(&mut self, deed: &CallDeed) -> Result<(StepOutcome, String), AnyError> {
        let seen = match deed {
            CallDeed::Read(reads) => return Ok((StepOutcome::Done, self.read(reads).await?)),
            CallDeed::Advance(span) => return Ok((StepOutcome::Done, self.grids.advance(*span).await?)),
            CallDeed::Settle(settle) => return Ok((StepOutcome::Done, self.settle(settle).await?)),
            CallDeed::Terms(terms) => return Ok((StepOutcome::Done, self.agree(terms).await?)),
            CallDeed::Pay(debt) => return Ok((StepOutcome::Done, self.pay_late(debt).await?)),
            CallDeed::RaisePrice(raise) => return Ok((StepOutcome::Done, self.raise_price(raise).await?)),
            CallDeed::KeepPromise(grid) => return Ok((StepOutcome::Done, self.keep_promise(*grid).await?)),
            CallDeed::Dearer(dearer) => self.dearer(dearer).await?,
            CallDeed::OverClaimed(claimed) => self.over_claimed(claimed).await?,
            CallDeed::Reconnected(taken) => self.reconnected(taken).await?,
            CallDeed::CreditRefused(refused) => self.credit_refused(refused).await?,
            CallDeed::Overdue(debt) => self.overdue(debt).await?,
            CallDeed::Books(_) => self.books().await?,
        };
        Ok(match seen {
            Seen::Held(told) => (StepOutcome::Held, told),
            Seen::Broken(faults) => (StepOutcome::Broken, faults.join(", ")),
        })
    }

    async fn strike(self, keep: Keep) {
        self.grids.testnet.stop(keep).await;
    }

    fn dir(&self) -> &Path {
        &self.grids.testnet.layout.dir
    }
}
