//! What clears and what pays: the grid's own side of clearing, and the operator's purse.

use crate::clearing::{
    Budget, ClientJudge, Desk, DeskParts, FreshRecords, NettingFolder, Purse, PurseParts, Settler, SettlerParts, Till,
    client_books,
};
use crate::clock::Clock;
use crate::config::{Home, NodeConfig};
use crate::gateway::GatewayIdentity;
use crate::keys::{GridId, SecretKey};
use crate::ledger::{Ledger, LedgerError};
use crate::peer::{CallerIdentity, DialGuard};
use crate::record::Limit;
use std::sync::Arc;

/// The grid's own side of clearing, and its clearing node.
#[expect(clippy::too_many_arguments, reason = "the one place where its parts meet")]
pub(super) fn settler(
    home: &Home,
    me: &CallerIdentity,
    identity: &GatewayIdentity,
    grid: GridId,
    config: &NodeConfig,
    till: Till,
    ledger: Ledger,
    fresh: &FreshRecords,
    clock: Clock,
) -> Settler {
    let (key, records) = (identity.key.clone(), fresh.as_records());
    let nettings = NettingFolder::new(home.nettings());
    let desk = DeskParts {
        ledger: ledger.clone(),
        grid,
        key: key.clone(),
        records: Arc::clone(&records),
        nettings: nettings.clone(),
        clock,
    };
    Settler::new(SettlerParts {
        ledger,
        desk: Desk::new(desk),
        grid,
        till,
        nettings,
        key,
        me: me.clone(),
        guard: DialGuard::new(config.allow_private_addresses),
        records,
        clock,
    })
}

/// What the operator pays from for what is read at the node's own web address: as a client of its own grid, by the same rules
/// and at the same price, with books of its own.
pub(super) async fn operators_purse(
    home: &Home,
    key: &SecretKey,
    limit: Option<Limit>,
    clock: Clock,
) -> Result<Purse, LedgerError> {
    let payer = key.public();
    Ok(Purse::new(PurseParts {
        ledger: client_books(&home.client_ledgers(), clock).await?,
        payer,
        key: key.clone(),
        judge: Arc::new(ClientJudge { client: payer, confirmed: false }),
        budget: limit.map_or(Budget::Nothing, |limit| Budget::UpTo(limit.asset(), limit.amount())),
        clock,
    }))
}
