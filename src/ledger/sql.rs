//! Statements on a connection, their failures told with the place of the ledger.

use crate::ledger::error::LedgerError;
use crate::ledger::location::Location;
use futures::TryStreamExt;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Executor, Row, Transaction};

/// Two gateways of one grid write in turns. Any number will do that no other program takes in the same database.
const WRITERS: &str = "SELECT pg_advisory_xact_lock(7813001542)";

/// A connection and where it leads.
pub(super) struct Sql<'c> {
    connection: &'c mut AnyConnection,
    location: &'c Location,
    later: Later,
}

/// What SQLite is told together with what comes next: to its thread and back takes longer than a statement about one row. The
/// places of the values are counted through all of it.
#[derive(Default)]
struct Later {
    text: String,
    values: Vec<Value>,
}

/// A value of a row that is written.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    Text(String),
}

impl<'c> Sql<'c> {
    /// A connection to `location`.
    pub(super) fn new(connection: &'c mut AnyConnection, location: &'c Location) -> Self {
        Self { connection, location, later: Later::default() }
    }

    /// Begins to write, which is done when [`Sql::commit`] returns.
    ///
    /// Spelt out, since SQLite undoes a transaction by itself when the disk is full. sqlx's own keeps count of what it began,
    /// and its connection would refuse every later one.
    pub(super) async fn begin(&mut self) -> Result<(), LedgerError> {
        match self.location {
            Location::Sqlite(_) => self.later.add("BEGIN IMMEDIATE", &[]),
            Location::Postgres(_) => {
                self.connection.execute("BEGIN").await.map_err(LedgerError::of(self.location))?;
                self.run(sqlx::query(WRITERS)).await?;
            }
        }
        Ok(())
    }

    /// Makes what was written since [`Sql::begin`] durable.
    pub(super) async fn commit(&mut self) -> Result<(), LedgerError> {
        match self.location {
            Location::Sqlite(_) => {
                self.later.add("COMMIT", &[]);
                self.flush().await
            }
            Location::Postgres(_) => {
                self.connection.execute("COMMIT").await.map_err(LedgerError::of(self.location)).map(drop)
            }
        }
    }

    /// Undoes what was written since [`Sql::begin`], after an error.
    pub(super) async fn roll_back(&mut self) {
        self.later = Later::default();
        // It fails where the database undid all of it before; and one that is gone undoes what was not committed.
        let _ = self.connection.execute("ROLLBACK").await;
    }

    /// Tells the database what was to be told later.
    async fn flush(&mut self) -> Result<(), LedgerError> {
        let Later { text, values } = std::mem::take(&mut self.later);
        if text.is_empty() {
            return Ok(());
        }
        let query = bound(&values, sqlx::query(AssertSqlSafe(text)));
        query.execute(&mut *self.connection).await.map_err(LedgerError::of(self.location)).map(drop)
    }

    /// Begins to read one state of the books, whoever writes meanwhile.
    pub(super) async fn one_state(self) -> Result<Transaction<'c, Any>, LedgerError> {
        let begin = match self.location {
            Location::Sqlite(_) => "BEGIN",
            Location::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.connection.begin_with(begin).await.map_err(LedgerError::of(self.location))
    }

    /// Runs a statement and says how many rows it touched.
    pub(super) async fn run(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<u64, LedgerError> {
        self.flush().await?;
        let done = query.execute(&mut *self.connection).await.map_err(LedgerError::of(self.location))?;
        Ok(done.rows_affected())
    }

    /// All rows that a statement finds.
    pub(super) async fn rows(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<Vec<AnyRow>, LedgerError> {
        self.flush().await?;
        query.fetch_all(&mut *self.connection).await.map_err(LedgerError::of(self.location))
    }

    /// Hands each row that a statement finds to `each`, and holds none of them.
    pub(super) async fn each(
        &mut self,
        query: Query<'_, Any, AnyArguments>,
        mut each: impl FnMut(&AnyRow) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.flush().await?;
        let mut rows = query.fetch(&mut *self.connection);
        while let Some(row) = rows.try_next().await.map_err(LedgerError::of(self.location))? {
            each(&row)?;
        }
        Ok(())
    }

    /// Writes many rows with few statements: `head` names table and columns, `tail` says what becomes of rows that are there.
    /// No two of the rows may have the same key.
    pub(super) async fn write(&mut self, head: &str, tail: &str, rows: &[Vec<Value>]) -> Result<(), LedgerError> {
        let mut rest = rows;
        while let Some(first) = rest.first() {
            // Few sizes, so that the statements stay prepared.
            let count = [256, 64, 16, 4, 1].into_iter().find(|count| *count <= rest.len()).unwrap_or(1);
            let (now, later) = rest.split_at(count);
            rest = later;
            let columns = first.len();
            // Only our own text and numbers of places: every value is bound.
            let text = |before: usize| {
                let row = |row: usize| (1..=columns).map(move |column| before + row * columns + column);
                let row = |nth| row(nth).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
                let rows: Vec<String> = (0..count).map(|nth| format!("({})", row(nth))).collect();
                format!("{head} VALUES {} {tail}", rows.join(", "))
            };
            let values: Vec<Value> = now.iter().flatten().cloned().collect();
            // Of few rows, as the entries of two vouchers and what stands against them, so that there are few such texts.
            if rows.len() <= 4 && matches!(self.location, Location::Sqlite(_)) {
                self.later.add(&text(self.later.values.len()), &values);
                continue;
            }
            let query = bound(&values, sqlx::query(AssertSqlSafe(text(0))));
            self.run(query).await?;
        }
        Ok(())
    }

    /// All rows of a statement with a list in it: `{}` in `text` becomes the places of `keys`.
    pub(super) async fn rows_of(&mut self, text: &str, keys: &[Vec<u8>]) -> Result<Vec<AnyRow>, LedgerError> {
        let mut found = Vec::new();
        for some in keys.chunks(256) {
            let count = [256, 64, 16, 4, 1].into_iter().rfind(|count| *count >= some.len()).unwrap_or(256);
            let mut asked = std::mem::take(&mut self.later);
            let places: Vec<String> = (1..=count).map(|place| format!("${}", asked.values.len() + place)).collect();
            // A key that is asked for twice is found once.
            let keys = (0..count).map(|place| Value::Bytes(some[place.min(some.len() - 1)].clone()));
            asked.add(&text.replace("{}", &places.join(", ")), &keys.collect::<Vec<_>>());
            found.extend(self.rows(bound(&asked.values, sqlx::query(AssertSqlSafe(asked.text)))).await?);
        }
        Ok(found)
    }
}

impl Later {
    fn add(&mut self, text: &str, values: &[Value]) {
        if !self.text.is_empty() {
            self.text.push_str("; ");
        }
        self.text.push_str(text);
        self.values.extend_from_slice(values);
    }
}

/// A statement with these values in its places.
fn bound<'q>(values: &[Value], query: Query<'q, Any, AnyArguments>) -> Query<'q, Any, AnyArguments> {
    values.iter().fold(query, |query, value| match value {
        Value::Int(value) => query.bind(*value),
        Value::Bytes(value) => query.bind(value.clone()),
        Value::Text(value) => query.bind(value.clone()),
    })
}

/// Columns of a row, by their place; a type that is not the column's says that the row is damaged.
pub(super) struct Columns<'r> {
    pub(super) table: &'static str,
    pub(super) row: &'r AnyRow,
}

impl Columns<'_> {
    pub(super) fn int(&self, place: usize) -> Result<i64, LedgerError> {
        self.row.try_get(place).map_err(|error| self.damaged(place, &error))
    }

    /// An integer that is never negative.
    pub(super) fn count(&self, place: usize) -> Result<u64, LedgerError> {
        u64::try_from(self.int(place)?).map_err(|error| self.damaged(place, &error))
    }

    pub(super) fn bytes(&self, place: usize) -> Result<Vec<u8>, LedgerError> {
        self.row.try_get(place).map_err(|error| self.damaged(place, &error))
    }

    /// Octets, none where there is no row to the left of a join.
    pub(super) fn maybe_bytes(&self, place: usize) -> Result<Vec<u8>, LedgerError> {
        let bytes: Option<Vec<u8>> = self.row.try_get(place).map_err(|error| self.damaged(place, &error))?;
        Ok(bytes.unwrap_or_default())
    }

    pub(super) fn key(&self, place: usize) -> Result<[u8; 32], LedgerError> {
        let bytes = self.bytes(place)?;
        bytes.as_slice().try_into().map_err(|error| self.damaged(place, &error))
    }

    pub(super) fn text(&self, place: usize) -> Result<String, LedgerError> {
        self.row.try_get(place).map_err(|error| self.damaged(place, &error))
    }

    /// What the row is called, by its first column.
    pub(super) fn name(&self) -> String {
        let name = self.row.try_get(0).map(|key: Vec<u8>| data_encoding::HEXLOWER.encode(&key));
        let number = || self.row.try_get(0).map(|number: i64| number.to_string());
        name.or_else(|_| number()).unwrap_or_else(|_| "a row".to_owned())
    }

    /// The complaint that a column holds something that this program would not have written.
    pub(super) fn damaged(&self, place: usize, error: &dyn std::fmt::Display) -> LedgerError {
        LedgerError::Damaged { table: self.table, row: self.name(), what: format!("column {place}: {error}") }
    }
}

/// The 63 bits that a column holds.
pub(super) fn column(what: &'static str, value: u64) -> Result<i64, LedgerError> {
    i64::try_from(value).map_err(|_| LedgerError::TooLarge { what })
}
