//! The tables, and how those of an older program become those of this one.
//!
//! One text for both databases: `BLOB` is PostgreSQL's `BYTEA`. Amounts, octets and times are 63-bit integers.

use crate::ledger::error::LedgerError;
use crate::ledger::location::Location;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

/// Each version's statements, the first version first. A version that was ever released is not edited: a new one is added.
const VERSIONS: &[&[&str]] = &[FIRST, SECOND];

const FIRST: &[&str] = &[
    // What was signed, as it was signed. `kind` is the object type; `owner` and `other` are the keys of the two parties.
    "CREATE TABLE paper (identity BLOB NOT NULL PRIMARY KEY, kind TEXT NOT NULL, owner BLOB NOT NULL, other BLOB NOT NULL, \
     at BIGINT NOT NULL, bytes BLOB NOT NULL)",
    "CREATE INDEX paper_of ON paper (kind, owner, other, at)",
    // Lanes: `part` is whose books these are, 0 the payer's, 1 the payee's, 2 the clearing node's.
    "CREATE TABLE lane (lane BLOB NOT NULL, part BIGINT NOT NULL, payer BLOB NOT NULL, payee BLOB NOT NULL, \
     destination BLOB NOT NULL, asset TEXT NOT NULL, price BIGINT NOT NULL, not_after BIGINT NOT NULL, at BIGINT NOT NULL, \
     bytes BLOB NOT NULL, PRIMARY KEY (lane, part))",
    "CREATE INDEX lane_of ON lane (part, payer, payee)",
    // The best voucher of each lane. Apart from the lane, so that many are written with one statement.
    "CREATE TABLE voucher (lane BLOB NOT NULL, part BIGINT NOT NULL, cum_bytes BIGINT NOT NULL, cum_amount BIGINT NOT NULL, \
     at BIGINT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (lane, part))",
    // The last voucher of each earlier hour, for auditors.
    "CREATE TABLE checkpoint (lane BLOB NOT NULL, part BIGINT NOT NULL, hour BIGINT NOT NULL, cum_bytes BIGINT NOT NULL, \
     cum_amount BIGINT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (lane, part, hour))",
    // Octets sent on a lane, written before they are.
    "CREATE TABLE sent (lane BLOB NOT NULL PRIMARY KEY, bytes BIGINT NOT NULL)",
    "CREATE TABLE write_off (payer BLOB NOT NULL, day BIGINT NOT NULL, bytes BIGINT NOT NULL, PRIMARY KEY (payer, day))",
    // Double entry.
    "CREATE TABLE booking (booking BLOB NOT NULL PRIMARY KEY, kind TEXT NOT NULL, subject BLOB NOT NULL, part BIGINT NOT NULL, \
     at BIGINT NOT NULL)",
    "CREATE INDEX booking_of ON booking (kind, subject, part)",
    "CREATE TABLE entry (booking BLOB NOT NULL, account TEXT NOT NULL, asset TEXT NOT NULL, amount BIGINT NOT NULL, \
     PRIMARY KEY (booking, account, asset))",
    "CREATE TABLE balance (account TEXT NOT NULL, asset TEXT NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (account, asset))",
    // Positions by their place in a chain, what of each lane they have named, and what was settled.
    "CREATE TABLE position (clearing BLOB NOT NULL, first BLOB NOT NULL, second BLOB NOT NULL, asset TEXT NOT NULL, \
     number BIGINT NOT NULL, identity BLOB NOT NULL, PRIMARY KEY (clearing, first, second, asset, number))",
    "CREATE TABLE posted (lane BLOB NOT NULL PRIMARY KEY, cum_bytes BIGINT NOT NULL, cum_amount BIGINT NOT NULL)",
    "CREATE TABLE settlement (proof BLOB NOT NULL, debtor BLOB NOT NULL, creditor BLOB NOT NULL, asset TEXT NOT NULL, \
     part BIGINT NOT NULL, kind TEXT NOT NULL, amount BIGINT NOT NULL, at BIGINT NOT NULL, posted BLOB NOT NULL, \
     PRIMARY KEY (proof, debtor, creditor, asset, part))",
    // What was agreed on by all whom it affects; `us` is empty in a clearing node's books.
    "CREATE TABLE netting (netting BLOB NOT NULL, part BIGINT NOT NULL, us BLOB NOT NULL, bytes BLOB NOT NULL, \
     PRIMARY KEY (netting, part))",
    // For people: who read how much. `client` and `file` are empty where they are not known; a file is known by an HMAC only.
    "CREATE TABLE usage (day BIGINT NOT NULL, part BIGINT NOT NULL, party BLOB NOT NULL, grid BLOB NOT NULL, \
     client BLOB NOT NULL, file BLOB NOT NULL, asset TEXT NOT NULL, bytes BIGINT NOT NULL, amount BIGINT NOT NULL, \
     PRIMARY KEY (day, part, party, grid, client, file, asset))",
    // The processes that kept these books.
    "CREATE TABLE instance (instance BLOB NOT NULL PRIMARY KEY, at BIGINT NOT NULL)",
];

const SECOND: &[&str] = &[
    // What was written off of each lane in all, beside what was written off of its payer on each day.
    "CREATE TABLE lane_write_off (lane BLOB NOT NULL PRIMARY KEY, bytes BIGINT NOT NULL)",
];

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
    for (number, statements) in (1..).zip(VERSIONS).skip(usize::try_from(found).unwrap_or(0)) {
        for statement in *statements {
            sqlx::query(AssertSqlSafe(dialect(statement, location)))
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
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
