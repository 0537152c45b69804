//! Gathering one part from each of k shares: together, and replacing what fails, lies or stalls.

use crate::gateway::shares::candidates::Candidates;
use crate::gateway::shares::error::{ReadError, ShareFault};
use crate::gateway::shares::pick::Choice;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a part may take while no other has come to compare it with. In tests nobody waits for a server that was told to
/// stall.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2_000 });
/// How long a part may take beyond twice the time of the slowest that came.
const LENIENCE: Duration = Duration::from_millis(250);

/// One part of each of `needed` different shares, by their numbers. `read` reads and verifies the part of one share.
///
/// A share whose part fails is lost, and another takes its place. One that is slow is read on while another is read beside it:
/// whichever comes first counts.
pub(super) async fn gather<'f, Open, Part>(
    candidates: &Candidates<Open>,
    needed: u16,
    read: impl Fn(Choice) -> BoxFuture<'f, Result<Part, ShareFault>>,
) -> Result<HashMap<u16, Part>, ReadError> {
    let wanted = usize::from(needed);
    let began = Instant::now();
    let mut gathered = HashMap::with_capacity(wanted);
    let mut reading = FuturesUnordered::new();
    let mut under_way: Vec<Choice> = Vec::new();
    let mut hedge_at = began + PATIENCE;
    let mut extra = 0;
    let mut all_answered = false;
    while gathered.len() < wanted {
        let missing = (wanted + extra).saturating_sub(gathered.len() + under_way.len());
        if missing > 0 {
            let taken: HashSet<u16> =
                gathered.keys().copied().chain(under_way.iter().map(|choice| choice.number)).collect();
            let busy: Vec<usize> = under_way.iter().map(|choice| choice.candidate).collect();
            for choice in candidates.pick(&taken, &busy, missing, needed) {
                under_way.push(choice);
                let part = read(choice);
                reading.push(async move { (choice, part.await) });
            }
        }
        if reading.is_empty() {
            if candidates.revive(began) || candidates.more().await {
                continue;
            }
            return Err(candidates.too_few(wanted));
        }
        let short = wanted + extra > gathered.len() + under_way.len();
        tokio::select! {
            Some((choice, part)) = reading.next() => {
                under_way.retain(|other| other.candidate != choice.candidate);
                match part {
                    Ok(part) => {
                        gathered.insert(choice.number, part);
                        hedge_at = hedge_at.min(began + began.elapsed() * 2 + LENIENCE);
                    }
                    Err(fault) => candidates.lose(choice.candidate, &fault),
                }
                extra = extra.min(under_way.len());
            }
            () = sleep_until(hedge_at) => {
                for choice in &under_way {
                    candidates.slow(choice.candidate);
                }
                extra = under_way.len();
                hedge_at = Instant::now() + PATIENCE.max(began.elapsed());
                candidates.revive(began);
            }
            // A server that says only now which shares it has may replace one that stalls.
            more = candidates.more(), if short && !all_answered => all_answered = !more,
        }
    }
    Ok(gathered)
}
