//! Which acts wait for others to be committed with.
//!
//! A home gateway is vouched to for what it vouches for itself, a moment later: the two vouchers in one commit cost half of what
//! they do in two. (PostgreSQL's `commit_delay` is of the same mind.)

use crate::ledger::act::Act;
use crate::ledger::part::Part;
use crate::ledger::writer::{BATCH, Job};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How long a voucher waits for one of the other side. Nobody waits for it meanwhile: some of the window is left when it comes.
const WAITS: Duration = Duration::from_millis(10);
/// How long after its last voucher another one of a side is looked for.
const RECENT: Duration = Duration::from_secs(1);

/// When the last voucher of each side came, that we pay by and that we are paid by.
#[derive(Debug, Default)]
pub(super) struct Gather {
    payer: Option<Instant>,
    payee: Option<Instant>,
}

impl Gather {
    /// Adds to vouchers of one side that wait those that come in a moment, until one of the other side is among them.
    pub(super) async fn more(&mut self, jobs: &mut mpsc::Receiver<Job>, waiting: &mut Vec<Job>) {
        let until = Instant::now() + WAITS;
        while self.expects(waiting) && waiting.len() < BATCH {
            let more = jobs.recv_many(waiting, BATCH - waiting.len());
            if !matches!(timeout_at(until, more).await, Ok(1..)) {
                return;
            }
        }
    }

    fn expects(&mut self, waiting: &[Job]) -> bool {
        let has = |part| waiting.iter().any(|job| matches!(&job.act, Act::Voucher(new) if new.part == part));
        let (payer, payee, now) = (has(Part::Payer), has(Part::Payee), Instant::now());
        self.payer = if payer { Some(now) } else { self.payer };
        self.payee = if payee { Some(now) } else { self.payee };
        let is_recent = |last: Option<Instant>| last.is_some_and(|last| now - last < RECENT);
        let other = (payer && !payee && is_recent(self.payee)) || (payee && !payer && is_recent(self.payer));
        other && waiting.iter().all(|job| may_wait(&job.act, waiting))
    }
}

/// Whether nobody waits for it. What will have been sent is noted ahead together with a voucher, and for what is held alone; that a
/// lane is at rest is noted with the last one.
fn may_wait(act: &Act, waiting: &[Job]) -> bool {
    match act {
        Act::Voucher(_) => true,
        Act::Sent { lane, .. } | Act::AtRest { lane, .. } => {
            waiting.iter().any(|job| matches!(&job.act, Act::Voucher(new) if new.voucher.body().lane == *lane))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::vouchers::NewVoucher;
    use crate::signed::Identity;
    use crate::tariff::wire::fixtures::{NOW, lane, voucher};
    use crate::units::Bytes;
    use futures::{FutureExt, poll};
    use std::pin::pin;
    use tokio::sync::oneshot;

    fn job(act: Act) -> Job {
        Job { act, answer: oneshot::channel().0 }
    }

    fn vouched(part: Part) -> Job {
        job(Act::Voucher(NewVoucher { part, voucher: voucher(1), readings: Vec::new(), at: NOW }))
    }

    fn sent(lane: Identity) -> Job {
        job(Act::Sent { lane, bytes: Bytes(1) })
    }

    #[tokio::test]
    async fn a_voucher_waits_for_one_of_the_other_side_that_came_lately_and_makes_nobody_else_wait() {
        let (jobs, mut received) = mpsc::channel(8);
        let mut gather = Gather::default();
        let mut alone = vec![vouched(Part::Payer)];
        assert!(gather.more(&mut received, &mut alone).now_or_never().is_some(), "no other side was seen");

        // With what is noted ahead on its own lane, or that it is at rest.
        let at_rest = Act::AtRest { lane: lane().identity(), bytes: Bytes(1) };
        let mut waiting = vec![vouched(Part::Payee), sent(lane().identity()), job(at_rest)];
        {
            let mut more = pin!(gather.more(&mut received, &mut waiting));
            assert!(poll!(&mut more).is_pending(), "the other side vouched a moment ago");
            assert!(jobs.send(vouched(Part::Payer)).await.is_ok());
            more.await;
        }
        assert_eq!(waiting.len(), 4);
        assert!(gather.more(&mut received, &mut waiting).now_or_never().is_some(), "both are there");

        let mut held = vec![vouched(Part::Payee), sent(Identity([9; 32]))];
        assert!(gather.more(&mut received, &mut held).now_or_never().is_some(), "something waits to leave");
        let mut nobody = vec![vouched(Part::Payee)];
        gather.more(&mut received, &mut nobody).await;
        assert_eq!(nobody.len(), 1, "it goes on without one that does not come");
    }
}
