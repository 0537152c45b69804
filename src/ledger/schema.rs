//! How the tables of an older program become those of this one.

use crate::ledger::error::LedgerError;
use crate::ledger::location::Location;
use crate::ledger::versions::VERSIONS;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

/// The version that this program writes.
pub(super) const NEWEST: i64 = VERSIONS.len() as i64;

/// Brings the tables to the newest version, all of it or nothing.
pub(super) async fn migrate(connection: &mut AnyConnection, location: &Location) -> Result<(), LedgerError> {
    let failed = LedgerError::of(location);
    let create = "CREATE TABLE IF NOT EXISTS version (version BIGINT NOT NULL PRIMARY KEY)";
    sqlx::query(create).execute(&mut *connection).await.map_err(&failed)?;
    let mut transaction = connection.begin().await.map_err(&failed)?;
    if matches!(location, Location::Postgres(_)) {
        // Two gateways that start at once.
        sqlx::query("LOCK TABLE version IN EXCLUSIVE MODE").execute(&mut *transaction).await.map_err(&failed)?;
    }
    let found = version(&mut transaction, location).await?;
    if (1..NEWEST).contains(&found) {
        tracing::info!(ledger = %location, from = found, to = NEWEST, "bringing the ledger to a newer version; a large one takes minutes");
    }
    for (number, version) in (1..).zip(VERSIONS).skip(usize::try_from(found).unwrap_or(0)) {
        let own = if matches!(location, Location::Sqlite(_)) { version.sqlite } else { &[] };
        let both = version.both.iter().map(|statement| dialect(statement, location));
        for statement in both.chain(own.iter().map(|&statement| statement.to_owned())) {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await.map_err(&failed)?;
        }
        let insert = sqlx::query("INSERT INTO version (version) VALUES ($1)").bind(number);
        insert.execute(&mut *transaction).await.map_err(&failed)?;
    }
    transaction.commit().await.map_err(&failed)
}

/// The version that the tables are in; 0 for an empty database. An error if a newer program wrote them.
pub(super) async fn version(connection: &mut AnyConnection, location: &Location) -> Result<i64, LedgerError> {
    let failed = LedgerError::of(location);
    let row =
        sqlx::query("SELECT COALESCE(MAX(version), 0) FROM version").fetch_one(connection).await.map_err(&failed)?;
    let found = row.try_get(0).map_err(&failed)?;
    if found > NEWEST {
        return Err(LedgerError::Newer { location: location.clone(), found, known: NEWEST });
    }
    Ok(found)
}

fn dialect(statement: &str, location: &Location) -> String {
    match location {
        Location::Postgres(_) => statement.replace(" BLOB ", " BYTEA "),
        Location::Sqlite(_) if !statement.starts_with("CREATE TABLE") => statement.to_owned(),
        // A sum that overflows would become a float there; a strict table refuses it. Large rows do not belong into the tree of
        // their keys.
        Location::Sqlite(_) => {
            let large = ["CREATE TABLE paper", "CREATE TABLE lane"].iter().any(|head| statement.starts_with(head));
            let options = if large { "STRICT" } else { "STRICT, WITHOUT ROWID" };
            format!("{} {options}", statement.replace(" BIGINT ", " INTEGER "))
        }
    }
}
