//! Who read how much, for people: by day, party, grid, client and file.

use crate::keys::{GridId, PublicKey};
use crate::ledger::error::LedgerError;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::ledger::vouchers::{Reading, asset, public_key};
use crate::rate::Asset;
use crate::units::{Bytes, MinorUnits, UnixSeconds};
use std::collections::BTreeMap;

const DAY: u64 = 86_400;

/// What was read on one day, as far as the same was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageLine {
    /// The first second of the day, in UTC.
    pub day: UnixSeconds,
    /// Whether we read or delivered it.
    pub part: Part,
    /// From whom or to whom: a grid, or a client of ours.
    pub party: PublicKey,
    /// Whose files.
    pub grid: GridId,
    /// For which client of ours, if that is not the party.
    pub client: Option<PublicKey>,
    /// Which file, by an HMAC of its storage index.
    pub file: Option<[u8; 32]>,
    /// What it was charged in.
    pub asset: Asset,
    /// How much.
    pub bytes: Bytes,
    /// The charge.
    pub amount: MinorUnits,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UsageKey {
    pub(super) day: u64,
    pub(super) part: Part,
    pub(super) party: PublicKey,
    pub(super) grid: GridId,
    pub(super) client: Option<PublicKey>,
    pub(super) file: Option<[u8; 32]>,
    pub(super) asset: Asset,
}

/// Splits what a voucher adds among what was read: octets and charge of the parts sum to those of the whole. What the
/// readings do not account for is of no known file; what they say beyond it is not believed.
pub(super) fn share(readings: &[Reading], bytes: Bytes, amount: MinorUnits) -> Vec<(Reading, MinorUnits)> {
    let (mut shares, mut done, mut charged) = (Vec::with_capacity(readings.len() + 1), 0_u64, 0_u64);
    let rest = Reading { client: None, file: None, bytes };
    for reading in readings.iter().chain([&rest]) {
        let part = reading.bytes.0.min(bytes.0 - done);
        if part == 0 {
            continue;
        }
        done += part;
        // The charge up to here, rounded down, so that the last part is left with what makes the whole.
        let up_to = u128::from(amount.0) * u128::from(done) / u128::from(bytes.0);
        let up_to = u64::try_from(up_to).unwrap_or(amount.0);
        shares.push((Reading { bytes: Bytes(part), ..reading.clone() }, MinorUnits(up_to - charged)));
        charged = up_to;
    }
    shares
}

/// Adds to what was read before.
pub(super) async fn note(sql: &mut Sql<'_>, usage: BTreeMap<UsageKey, (u128, u128)>) -> Result<(), LedgerError> {
    let mut rows = Vec::with_capacity(usage.len());
    let number = |value: u128| i64::try_from(value).map_err(|_| LedgerError::TooLarge { what: "a day's usage" });
    for (key, (bytes, amount)) in usage {
        rows.push(vec![
            Value::Int(column("a day", key.day)?),
            Value::Int(key.part.number()),
            Value::Bytes(key.party.as_bytes().to_vec()),
            Value::Bytes(key.grid.as_bytes().to_vec()),
            Value::Bytes(key.client.map(|client| client.as_bytes().to_vec()).unwrap_or_default()),
            Value::Bytes(key.file.map(Vec::from).unwrap_or_default()),
            Value::Text(key.asset.code().to_owned()),
            Value::Int(number(bytes)?),
            Value::Int(number(amount)?),
        ]);
    }
    let head = "INSERT INTO usage (day, part, party, grid, client, file, asset, bytes, amount)";
    let add = "ON CONFLICT (day, part, party, grid, client, file, asset) DO UPDATE SET bytes = usage.bytes + excluded.bytes, \
               amount = usage.amount + excluded.amount";
    sql.write(head, add, &rows).await
}

/// Adds up what was read on each day before that of `before`, over all files.
pub(super) async fn forget_files(sql: &mut Sql<'_>, before: UnixSeconds) -> Result<(), LedgerError> {
    let day = column("a day", before.0 / DAY)?;
    let no_file = Vec::<u8>::new;
    let text = "INSERT INTO usage (day, part, party, grid, client, file, asset, bytes, amount) \
                SELECT day, part, party, grid, client, $1, asset, CAST(SUM(bytes) AS BIGINT), CAST(SUM(amount) AS BIGINT) \
                FROM usage WHERE day < $2 AND file <> $1 GROUP BY day, part, party, grid, client, asset \
                ON CONFLICT (day, part, party, grid, client, file, asset) DO UPDATE SET bytes = usage.bytes + excluded.bytes, \
                amount = usage.amount + excluded.amount";
    sql.run(sqlx::query(text).bind(no_file()).bind(day)).await?;
    let text = "DELETE FROM usage WHERE day < $2 AND file <> $1";
    sql.run(sqlx::query(text).bind(no_file()).bind(day)).await?;
    Ok(())
}

/// What was read in these days, in the order of day, part, party, grid, client, file.
pub(super) async fn usage(
    sql: &mut Sql<'_>,
    from: UnixSeconds,
    until: UnixSeconds,
) -> Result<Vec<UsageLine>, LedgerError> {
    let text = "SELECT day, part, party, grid, client, file, asset, bytes, amount FROM usage WHERE day >= $1 AND day < $2 \
                ORDER BY day, part, party, grid, client, file, asset";
    let query = sqlx::query(text).bind(column("a day", from.0 / DAY)?).bind(column("a day", until.0.div_ceil(DAY))?);
    let mut lines = Vec::new();
    for row in sql.rows(query).await? {
        let columns = Columns { table: "usage", row: &row };
        let client = columns.bytes(4)?;
        lines.push(UsageLine {
            day: UnixSeconds(columns.count(0)? * DAY),
            part: Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?,
            party: public_key(&columns, 2)?,
            grid: GridId::new(public_key(&columns, 3)?),
            client: if client.is_empty() { None } else { Some(public_key(&columns, 4)?) },
            file: if columns.bytes(5)?.is_empty() { None } else { Some(columns.key(5)?) },
            asset: asset(&columns, 6)?,
            bytes: Bytes(columns.count(7)?),
            amount: MinorUnits(columns.count(8)?),
        });
    }
    Ok(lines)
}

/// The same for all files, and all clients on whose behalf it was, together: what quotas count.
pub(super) async fn totals(
    sql: &mut Sql<'_>,
    from: UnixSeconds,
    until: UnixSeconds,
) -> Result<Vec<UsageLine>, LedgerError> {
    // PostgreSQL's sums are of a wider type unless they are told.
    let text = "SELECT day, part, party, grid, asset, CAST(SUM(bytes) AS BIGINT), CAST(SUM(amount) AS BIGINT) FROM usage \
                WHERE day >= $1 AND day < $2 GROUP BY day, part, party, grid, asset";
    let query = sqlx::query(text).bind(column("a day", from.0 / DAY)?).bind(column("a day", until.0.div_ceil(DAY))?);
    let rows = sql.rows(query).await?;
    rows.iter().map(|row| sum(&Columns { table: "usage", row })).collect()
}

/// A line of nobody's files, out of the columns day, part, party, grid, asset, octets and amount.
pub(super) fn sum(columns: &Columns<'_>) -> Result<UsageLine, LedgerError> {
    Ok(UsageLine {
        day: UnixSeconds(columns.count(0)?.saturating_mul(DAY)),
        part: Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?,
        party: public_key(columns, 2)?,
        grid: GridId::new(public_key(columns, 3)?),
        client: None,
        file: None,
        asset: asset(columns, 4)?,
        bytes: Bytes(columns.count(5)?),
        amount: MinorUnits(columns.count(6)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_make_the_whole(parts in prop::collection::vec(0..5_000_u64, 0..8), bytes in 1..20_000_u64, amount in 0..i64::MAX as u64) {
            let readings: Vec<Reading> =
                parts.iter().map(|part| Reading { client: None, file: Some([*part as u8; 32]), bytes: Bytes(*part) }).collect();
            let shares = share(&readings, Bytes(bytes), MinorUnits(amount));
            prop_assert_eq!(shares.iter().map(|(reading, _)| reading.bytes.0).sum::<u64>(), bytes);
            prop_assert_eq!(shares.iter().map(|(_, amount)| amount.0).sum::<u64>(), amount);
        }
    }
}
