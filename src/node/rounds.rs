//! What a node does again and again, until told to end.

use crate::clearing::{Round, Settler};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::resolver::Resolver;
use crate::units::Seconds;
use std::time::Duration;
use tracing::{info, warn};

/// How often floors that a full disk did not take are tried again.
const FLOORS_EVERY: Duration = Duration::from_secs(5);

/// How often the books forget which files were read.
const FORGET_EVERY: Duration = Duration::from_secs(86_400);

/// How often it is looked what is due to be claimed, and what other clearing nodes have booked.
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// Each day forgets which files were read longer ago than `kept`, until told to end.
pub(super) async fn forget_files(ledger: Ledger, kept: Seconds, clock: Clock) {
    let mut tick = tokio::time::interval(FORGET_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = ledger.forget_files(clock.now().minus(kept)).await {
            warn!(%error, "the books still say which files were read earlier than the settings want");
        }
    }
}

/// Claims what is due, until told to end.
pub(super) async fn settle(settler: Settler) {
    let mut tick = tokio::time::interval(SETTLE_EVERY);
    loop {
        // In time, or when somebody owes half of what may be owed.
        tokio::select! {
            _ = tick.tick() => {}
            () = settler.time_to_settle() => info!("a grid owes half of what it may: what is due is claimed now"),
        }
        settler.round(Round::WhatIsDue).await;
    }
}

/// Writes floors that a full disk did not take, until told to end.
pub(super) async fn write_floors(resolver: Resolver) {
    let mut tick = tokio::time::interval(FLOORS_EVERY);
    loop {
        tick.tick().await;
        let _ = resolver.write_floors().await;
    }
}
