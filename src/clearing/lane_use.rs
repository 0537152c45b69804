//! A request that is served on a lane: room for what it brings, delivery by delivery.

use crate::clearing::till::Till;
use crate::clearing::till_account::AccountKey;
use crate::clearing::till_error::TillError;
use crate::clearing::transcript::served;
use crate::peer::Came;
use crate::tariff::Ticket;
use crate::tariff::lane::{LaneRefusal, Left};
use crate::tariff::wire::LaneId;
use crate::units::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// How many deliveries of a request are remembered before it is asked which of them were acknowledged.
const MANY: usize = 4_096;

/// A request that is served on a lane. Dropped before it is finished, what it brought is under way no more; the payer may
/// acknowledge it all the same.
#[derive(Debug)]
pub struct LaneUse {
    pub(super) till: Till,
    pub(super) lane: LaneId,
    pub(super) account: AccountKey,
    pub(super) window: Option<Bytes>,
    /// The file, as the lane has it and as the books have it.
    pub(super) object: [u8; 32],
    pub(super) file: [u8; 32],
    /// What went out.
    pub(super) gone: Arc<Mutex<Vec<Ticket>>>,
    pub(super) finished: bool,
}

/// Room for one delivery on a lane, given back when dropped unless it went out.
#[derive(Debug)]
pub struct Delivery {
    till: Till,
    lane: LaneId,
    account: AccountKey,
    octets: Bytes,
    ticket: Option<Ticket>,
    gone: Arc<Mutex<Vec<Ticket>>>,
}

impl LaneUse {
    /// Waits for room for so many octets of the file; `ahead` may follow on the same lane, these included. What is about to be sent
    /// is in the books when this returns. Dropping the future gives the place in the queue up.
    pub async fn reserve(&self, came: Came, octets: Bytes, ahead: Bytes) -> Result<Delivery, TillError> {
        let (delivery, turn) = match self.ask(came, octets, ahead)? {
            Ok(asked) => asked,
            Err(LaneRefusal::Credit { .. }) => {
                // Something may have been settled meanwhile.
                self.till.remember_settled(self.account).await?;
                match self.ask(came, octets, ahead)? {
                    Ok(asked) => asked,
                    Err(refusal) => return Err(self.till.refusal(self.lane, self.account, refusal)),
                }
            }
            Err(refusal) => return Err(self.till.refusal(self.lane, self.account, refusal)),
        };
        // Who is told nothing is told by the end of the till.
        turn.await.unwrap_or(Err(TillError::Closed("the gateway stops")))?;
        self.till.is_lent(self.lane, self.account)?;
        Ok(delivery)
    }

    fn ask(&self, came: Came, octets: Bytes, ahead: Bytes) -> Result<Result<Asked, LaneRefusal>, TillError> {
        let asked = self.till.with_account(self.account, |lanes, account, now| {
            let Some(lane) = lanes.get_mut(&self.lane) else { return (Err(TillError::NoLane), Vec::new()) };
            lane.learns(self.object, self.file);
            let served = served(self.object, came, octets);
            account.pair.expect(self.lane, Bytes(ahead.0.saturating_sub(octets.0)));
            let (ticket, effects) = account.pair.ask(self.lane, served, now);
            let asked = ticket.map(|ticket| {
                let turn = account.wait(ticket);
                let (till, gone) = (self.till.clone(), Arc::clone(&self.gone));
                let (lane, account) = (self.lane, self.account);
                (Delivery { till, lane, account, octets, ticket: Some(ticket), gone }, turn)
            });
            (Ok(asked), effects)
        });
        asked.unwrap_or(Err(TillError::NoLane))
    }

    /// What may be under way to this payer, where the lane is held to that; `None` where another rule holds it.
    pub fn window(&self) -> Option<Bytes> {
        self.window
    }

    /// All that was asked for has gone out.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

type Asked = (Delivery, oneshot::Receiver<Result<(), TillError>>);

impl Drop for LaneUse {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let gone = std::mem::take(&mut *self.gone.lock().unwrap_or_else(PoisonError::into_inner));
        self.till.with_account(self.account, |_, account, _| {
            ((), gone.into_iter().flat_map(|ticket| account.pair.over(ticket, Left::Some)).collect())
        });
    }
}

impl Delivery {
    /// It goes out now.
    pub fn goes_out(mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        self.till.goes_out(self.lane, self.octets);
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.push(ticket);
        let many = gone.len() >= MANY && gone.len().is_power_of_two();
        if many {
            let all = std::mem::take(&mut *gone);
            drop(gone);
            let known = self.till.with_account(self.account, |_, account, _| {
                (all.into_iter().filter(|ticket| account.pair.knows(*ticket)).collect::<Vec<_>>(), Vec::new())
            });
            self.gone.lock().unwrap_or_else(PoisonError::into_inner).extend(known.unwrap_or_default());
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        self.till.with_account(self.account, |_, account, _| {
            account.gave_up(ticket);
            ((), account.pair.over(ticket, Left::Nothing))
        });
    }
}
