//! What was signed, kept as it was signed and found by its identity.

use crate::keys::GridId;
use crate::ledger::error::LedgerError;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::record::SignedRecord;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::{Claim, Consent, Deck, Payment, Position, Receipt, Revoke, Statement, Terms};
use crate::units::UnixSeconds;

/// A signed object, verified by the type that it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// Its identity.
    pub identity: Identity,
    /// What it is.
    pub kind: ObjectType,
    /// The key of whom it belongs to: a payer, a creditor, a seller, a clearing node.
    pub owner: [u8; 32],
    /// The key of the other party; zeros where there is none.
    pub other: [u8; 32],
    /// The signed bytes.
    pub bytes: Box<[u8]>,
}

/// Whether something was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is kept from now on.
    New,
    /// The same was kept before; nothing has changed.
    Already,
}

/// For each type, from its body: the key of whom it belongs to, and that of the other party.
macro_rules! papers {
    ($($type:ident, $body:ident: $owner:expr, $other:expr;)*) => {
        $(impl From<&$type> for Paper {
            fn from(signed: &$type) -> Self {
                let $body = signed.body();
                Self {
                    identity: signed.identity(),
                    kind: ObjectType::$type,
                    owner: $owner,
                    other: $other,
                    bytes: signed.bytes().into(),
                }
            }
        })*
    };
}

papers! {
    Terms, body: *body.payer.as_bytes(), *body.payee.as_bytes();
    Deck, body: *body.seller.as_bytes(), body.audience.map_or([0; 32], |audience| *audience.as_bytes());
    Claim, body: *body.grid.as_bytes(), *body.clearing.as_bytes();
    Receipt, body: *body.clearing.as_bytes(), *body.grid.as_bytes();
    Consent, body: *body.grid.as_bytes(), *body.clearing.as_bytes();
    Statement, body: *body.creditor.as_bytes(), *body.debtor.as_bytes();
    Payment, body: *body.creditor.as_bytes(), *body.debtor.as_bytes();
    Position, body: *body.first.as_bytes(), *body.second.as_bytes();
    Revoke, body: *body.issuer.as_bytes(), [0; 32];
}

impl From<&SignedRecord> for Paper {
    fn from(record: &SignedRecord) -> Self {
        let grid: &GridId = record.grid();
        Self {
            identity: record.identity(),
            kind: ObjectType::Record,
            owner: *grid.as_bytes(),
            other: [0; 32],
            bytes: record.bytes().into(),
        }
    }
}

/// Keeps it. The identity is a hash of the payload; of two signatures over one payload the first is kept.
pub(super) async fn keep(sql: &mut Sql<'_>, paper: &Paper, at: UnixSeconds) -> Result<Kept, LedgerError> {
    let text = "INSERT INTO paper (identity, kind, owner, other, at, bytes) VALUES ($1, $2, $3, $4, $5, $6) \
                ON CONFLICT DO NOTHING";
    let query = sqlx::query(text)
        .bind(paper.identity.0.to_vec())
        .bind(paper.kind.name())
        .bind(paper.owner.to_vec())
        .bind(paper.other.to_vec())
        .bind(column("a time", at.0)?)
        .bind(paper.bytes.to_vec());
    Ok(if sql.run(query).await? == 0 { Kept::Already } else { Kept::New })
}

/// The bytes of those that are kept, by identity.
pub(super) async fn papers(
    sql: &mut Sql<'_>,
    identities: &[Identity],
) -> Result<Vec<(Identity, String, Vec<u8>)>, LedgerError> {
    let keys: Vec<Vec<u8>> = identities.iter().map(|identity| identity.0.to_vec()).collect();
    let rows = sql.rows_of("SELECT identity, kind, bytes FROM paper WHERE identity IN ({})", &keys).await?;
    rows.iter().map(|row| read(&Columns { table: "paper", row })).collect()
}

/// All of a kind between two parties, or of one or none of them named, the oldest first.
pub(super) async fn papers_of(
    sql: &mut Sql<'_>,
    kind: ObjectType,
    owner: Option<&[u8; 32]>,
    other: Option<&[u8; 32]>,
) -> Result<Vec<(Identity, String, Vec<u8>)>, LedgerError> {
    let mut text = "SELECT identity, kind, bytes FROM paper WHERE kind = $1".to_owned();
    let mut values = vec![];
    for (name, key) in [("owner", owner), ("other", other)] {
        if let Some(key) = key {
            values.push(Value::Bytes(key.to_vec()));
            text.push_str(&format!(" AND {name} = ${}", values.len() + 1));
        }
    }
    text.push_str(" ORDER BY at, identity");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(kind.name());
    for value in values {
        if let Value::Bytes(key) = value {
            query = query.bind(key);
        }
    }
    let rows = sql.rows(query).await?;
    rows.iter().map(|row| read(&Columns { table: "paper", row })).collect()
}

fn read(columns: &Columns<'_>) -> Result<(Identity, String, Vec<u8>), LedgerError> {
    Ok((Identity(columns.key(0)?), columns.text(1)?, columns.bytes(2)?))
}
