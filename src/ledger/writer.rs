//! The one writer: acts that wait while a commit is under way go into the next one together.

use crate::causes::chain;
use crate::ledger::act::{Act, Answer, perform};
use crate::ledger::error::LedgerError;
use crate::ledger::gather::Gather;
use crate::ledger::known::Known;
use crate::ledger::location::Location;
use crate::ledger::lock::FileLock;
use crate::ledger::sql::Sql;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool};
use tokio::sync::{mpsc, oneshot, watch};

/// How many acts wait at most; who has one more waits until there is room. Each holds a signed object of at most 344 KiB, and
/// nearly all of them one of 256 octets.
pub(super) const QUEUE: usize = 1_024;
/// How many are committed at once.
pub(super) const BATCH: usize = 1_024;

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
    let mut database = Database { pool, location, kept: None, known: Known::default() };
    let mut gather = Gather::default();
    while jobs.recv_many(&mut waiting, BATCH).await > 0 {
        gather.more(&mut jobs, &mut waiting).await;
        let (acts, asked): (Vec<Act>, Vec<_>) = waiting.drain(..).map(|job| (job.act, job.answer)).unzip();
        let answers = database.commit(acts).await;
        let refused = answers.iter().find_map(|answer| answer.as_ref().err().filter(|error| error.is_full()));
        if refused.is_some() || answers.iter().any(Result::is_ok) {
            full.send_replace(refused.map(|error| chain(error)));
        }
        for (answer, asked) in answers.into_iter().zip(asked) {
            // Who no longer waits may ask again: every act may be repeated.
            let _ = asked.send(answer);
        }
    }
    let Database { pool, kept, .. } = database;
    drop(kept);
    pool.close().await;
    // Only now may another process open the file.
    drop(lock);
}

/// What acts are committed on.
struct Database {
    pool: AnyPool,
    location: Location,
    /// A connection to a file, which does not break by itself: the pool would look after it before each commit.
    kept: Option<PoolConnection<Any>>,
    /// What need not be read again; nothing where others write too.
    known: Known,
}

impl Database {
    async fn commit(&mut self, mut acts: Vec<Act>) -> Vec<Answer> {
        match self.transaction(&acts).await {
            Ok(answers) => answers,
            Err(error) if acts.len() == 1 || error.is_full() => {
                acts.iter().map(|act| Err(act.told(error.clone()))).collect()
            }
            // One of them is at fault; the others are not to suffer for it.
            Err(_) => {
                let mut answers = Vec::with_capacity(acts.len());
                for act in acts.drain(..) {
                    let alone = self.transaction(std::slice::from_ref(&act)).await;
                    let alone = alone.map_err(|error| act.told(error));
                    answers.push(alone.and_then(|mut answers| answers.pop().unwrap_or(Err(LedgerError::Closed))));
                }
                answers
            }
        }
    }

    async fn transaction(&mut self, acts: &[Act]) -> Result<Vec<Answer>, LedgerError> {
        let mut connection = match self.kept.take() {
            Some(connection) => connection,
            None => self.pool.acquire().await.map_err(LedgerError::of(&self.location))?,
        };
        let mut sql = Sql::new(&mut connection, &self.location);
        // What is known is what is in the books once this has been committed.
        let mut known = std::mem::take(&mut self.known);
        let done = within(&mut sql, acts, &mut known).await;
        if done.is_err() {
            sql.roll_back().await;
        } else if matches!(self.location, Location::Sqlite(_)) {
            (self.kept, self.known) = (Some(connection), known);
        }
        done
    }
}

async fn within(sql: &mut Sql<'_>, acts: &[Act], known: &mut Known) -> Result<Vec<Answer>, LedgerError> {
    sql.begin().await?;
    let answers = perform(sql, acts, known).await?;
    sql.commit().await?;
    Ok(answers)
}
