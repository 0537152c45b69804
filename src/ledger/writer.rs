//! The one writer: acts that wait while a commit is under way go into the next one together.

use crate::causes::chain;
use crate::ledger::act::{Act, Answer, perform};
use crate::ledger::error::LedgerError;
use crate::ledger::location::Location;
use crate::ledger::lock::FileLock;
use crate::ledger::sql::Sql;
use sqlx::{AnyConnection, AnyPool, Executor};
use tokio::sync::{mpsc, oneshot, watch};

/// How many acts wait at most; who has one more waits until there is room. Each holds a signed object of at most 344 KiB, and
/// nearly all of them one of 256 octets.
pub(super) const QUEUE: usize = 1_024;
/// How many are committed at once.
const BATCH: usize = 1_024;
/// Two gateways of one grid write in turns. Any number will do that no other program takes in the same database.
const WRITERS: &str = "SELECT pg_advisory_xact_lock(7813001542)";

/// An act and who waits for it.
pub(super) struct Job {
    pub(super) act: Act,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Writes until every handle is gone. What was answered is on the disk. `full` tells whether the disk took what came last.
pub(super) async fn write(
    pool: AnyPool,
    location: Location,
    mut jobs: mpsc::Receiver<Job>,
    full: watch::Sender<Option<String>>,
    lock: Option<FileLock>,
) {
    let mut waiting = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut waiting, BATCH).await > 0 {
        let (acts, asked): (Vec<Act>, Vec<_>) = waiting.drain(..).map(|job| (job.act, job.answer)).unzip();
        let answers = commit(&pool, &location, acts).await;
        let refused = answers.iter().find_map(|answer| answer.as_ref().err().filter(|error| error.is_full()));
        if refused.is_some() || answers.iter().any(Result::is_ok) {
            full.send_replace(refused.map(|error| chain(error)));
        }
        for (answer, asked) in answers.into_iter().zip(asked) {
            // Who no longer waits may ask again: every act may be repeated.
            let _ = asked.send(answer);
        }
    }
    pool.close().await;
    // Only now may another process open the file.
    drop(lock);
}

async fn commit(pool: &AnyPool, location: &Location, mut acts: Vec<Act>) -> Vec<Answer> {
    match transaction(pool, location, &acts).await {
        Ok(answers) => answers,
        Err(error) if acts.len() == 1 || error.is_full() => acts.iter().map(|_| Err(error.clone())).collect(),
        // One of them is at fault; the others are not to suffer for it.
        Err(_) => {
            let mut answers = Vec::with_capacity(acts.len());
            for act in acts.drain(..) {
                let alone = transaction(pool, location, &[act]).await;
                answers.push(alone.and_then(|mut answers| answers.pop().unwrap_or(Err(LedgerError::Closed))));
            }
            answers
        }
    }
}

async fn transaction(pool: &AnyPool, location: &Location, acts: &[Act]) -> Result<Vec<Answer>, LedgerError> {
    let failed = LedgerError::of(location);
    let mut connection = pool.acquire().await.map_err(&failed)?;
    // Spelt out, since SQLite undoes a transaction by itself when the disk is full. sqlx's own keeps count of what it began, and
    // its connection would refuse every later one.
    let begin = match location {
        Location::Sqlite(_) => "BEGIN IMMEDIATE",
        Location::Postgres(_) => "BEGIN",
    };
    connection.execute(begin).await.map_err(&failed)?;
    let done = within(&mut connection, location, acts).await;
    if done.is_err() {
        // It fails where the database undid all of it before; and one that is gone undoes what was not committed.
        let _ = connection.execute("ROLLBACK").await;
    }
    done
}

async fn within(connection: &mut AnyConnection, location: &Location, acts: &[Act]) -> Result<Vec<Answer>, LedgerError> {
    let mut sql = Sql { connection, location };
    if matches!(location, Location::Postgres(_)) {
        sql.run(sqlx::query(WRITERS)).await?;
    }
    let answers = perform(&mut sql, acts).await?;
    sql.connection.execute("COMMIT").await.map_err(LedgerError::of(location))?;
    Ok(answers)
}
