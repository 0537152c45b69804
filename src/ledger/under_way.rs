//! What gateways that write the same books have under way, so that each counts what the others have: no part of the books, and
//! forgotten when a gateway is heard of no more.

use crate::keys::PublicKey;
use crate::ledger::error::LedgerError;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::ledger::usage::{UsageLine, sum};
use crate::units::{MinorUnits, Seconds, UnixSeconds};
use std::collections::BTreeMap;

const DAY: u64 = 86_400;
/// How long what a gateway has said counts: one that was killed holds nothing for longer, and one that runs says it again before.
const COUNTS_FOR: Seconds = Seconds(300);

/// Notes what `gateway` has under way in the place of what it had, and says what the others have. Whoever says so later sees it.
pub(super) async fn say_under_way(
    sql: &mut Sql<'_>,
    gateway: &PublicKey,
    lines: &[UsageLine],
    at: UnixSeconds,
) -> Result<Vec<UsageLine>, LedgerError> {
    let text = "DELETE FROM under_way WHERE gateway = $1";
    sql.run(sqlx::query(text).bind(gateway.as_bytes().to_vec())).await?;
    let mut sums: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for line in lines {
        let key = (line.day.0 / DAY, line.part, line.party, line.grid, line.asset);
        let (bytes, amount) = sums.entry(key).or_default();
        *bytes = bytes.saturating_add(line.bytes.0);
        *amount = amount.saturating_add(line.amount.0);
    }
    let mut rows = Vec::with_capacity(sums.len());
    for ((day, part, party, grid, asset), (bytes, amount)) in sums {
        rows.push(vec![
            Value::Bytes(gateway.as_bytes().to_vec()),
            Value::Int(column("a day", day)?),
            Value::Int(part.number()),
            Value::Bytes(party.as_bytes().to_vec()),
            Value::Bytes(grid.as_bytes().to_vec()),
            Value::Text(asset.code().to_owned()),
            // More than there are numbers for is as much as anything.
            Value::Int(column("octets", bytes.min(MinorUnits::MAX.0))?),
            Value::Int(column("an amount", amount.min(MinorUnits::MAX.0))?),
            Value::Int(column("a time", at.0)?),
        ]);
    }
    let head = "INSERT INTO under_way (gateway, day, part, party, grid, asset, bytes, amount, at)";
    sql.write(head, "ON CONFLICT DO NOTHING", &rows).await?;
    elsewhere(sql, gateway, at).await
}

/// What the other gateways have under way.
pub(super) async fn elsewhere(
    sql: &mut Sql<'_>,
    gateway: &PublicKey,
    at: UnixSeconds,
) -> Result<Vec<UsageLine>, LedgerError> {
    let text = "SELECT day, part, party, grid, asset, bytes, amount FROM under_way WHERE gateway <> $1 AND at > $2";
    let query = sqlx::query(text).bind(gateway.as_bytes().to_vec());
    let rows = sql.rows(query.bind(column("a time", at.minus(COUNTS_FOR).0)?)).await?;
    rows.iter().map(|row| sum(&Columns { table: "under_way", row })).collect()
}
