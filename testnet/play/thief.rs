//! Somebody with a grid's publisher key who is not its operator; and the hand that brings records from outside, past all
//! rules of our own publisher.

use crate::play::stage::{AnyError, Stage};
use futures::StreamExt;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::read_key;
use lafs_clearinghouse::dht::message::{Body, Request, Response, WireVerdict};
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::node::Client;
use lafs_clearinghouse::record::{Delegation, GridRecord, RecordDraft, SignedRecord, Signer};
use lafs_clearinghouse::units::Seconds;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the thief publishes: often enough that the revocation meets it at work.
const EVERY: Duration = Duration::from_secs(1);
/// How many servers are spoken with at once.
const AT_ONCE: usize = 16;

/// A client that stores what it is given with everybody it is told of.
pub(crate) struct Hand(Client);

impl Hand {
    /// A new hand.
    pub(crate) async fn reach_out(stage: &mut Stage) -> Result<Self, AnyError> {
        Ok(Self(stage.new_client().await?))
    }

    /// Offers a record to each of `servers`. Returns how many said that they hold it now.
    pub(crate) async fn bring(&self, record: &SignedRecord, servers: &[Server]) -> usize {
        let verdicts = self.offer(record, servers).await;
        let held = |verdict: &&Option<WireVerdict>| matches!(verdict, Some(WireVerdict::Stored | WireVerdict::Held));
        verdicts.iter().filter(held).count()
    }

    /// What each of `servers` says to a record; `None` for one that does not answer.
    pub(crate) async fn offer(&self, record: &SignedRecord, servers: &[Server]) -> Vec<Option<WireVerdict>> {
        let request = Request::Store { grid: *record.grid(), record: record.bytes().to_vec() };
        let offers = servers.iter().cloned().map(|server| {
            let (dht, request) = (self.0.dht.clone(), request.clone());
            async move {
                match dht.ask(&server, request).await {
                    Ok(Response { body: Body::Verdict { verdict, .. }, .. }) => Some(verdict),
                    _ => None,
                }
            }
        });
        futures::stream::iter(offers).buffered(AT_ONCE).collect().await
    }

    pub(crate) async fn stop(self) {
        self.0.stop().await;
    }
}

/// The thief at work.
pub(crate) struct Thief {
    newest: Arc<Mutex<Option<GridRecord>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What the thief took.
struct Loot {
    key: SecretKey,
    delegation: Delegation,
    grid: GridId,
}

impl Thief {
    /// Copies the publisher key and its delegation, and begins to publish. Returns once the first record is stored.
    pub(crate) async fn start(stage: &mut Stage, grid: usize) -> Result<Self, AnyError> {
        let grid_id = stage.grids[grid];
        let home = stage.home(grid).clone();
        let delegation = Delegation::from_bytes(&std::fs::read(home.delegation())?, &grid_id)?;
        let loot = Loot { key: read_key(&home.publisher_key())?, delegation, grid: grid_id };
        let hand = Hand::reach_out(stage).await?;
        let newest = Arc::new(Mutex::new(None));
        let (stop, mut stopping) = watch::channel(false);
        let (servers, chronicle, clock) = (stage.servers(), stage.chronicle.clone(), stage.clock);
        let publish = {
            let newest = Arc::clone(&newest);
            move |number: u32| {
                let record = loot.sign(number, clock)?;
                chronicle.note_stolen(&record);
                *newest.lock().expect("nothing panics while it holds it") = Some(record.clone());
                Ok::<_, AnyError>(record)
            }
        };
        let first = publish(0)?;
        if hand.bring(first.signed(), &servers).await == 0 {
            return Err("nobody takes what the thief publishes: the key is not good".into());
        }
        let task = tokio::spawn(async move {
            for number in 1.. {
                tokio::select! {
                    _ = stopping.wait_for(|stopping| *stopping) => break,
                    () = tokio::time::sleep(EVERY) => {}
                }
                let Ok(record) = publish(number) else { break };
                hand.offer(record.signed(), &servers).await;
            }
            hand.stop().await;
        });
        Ok(Self { newest, stop, task })
    }

    /// What the thief signed last.
    pub(crate) fn newest(&self) -> Option<GridRecord> {
        self.newest.lock().expect("nothing panics while it holds it").clone()
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

impl Loot {
    /// A record dated as far ahead as anybody accepts, so that its sequence is above those of the grid itself.
    fn sign(&self, number: u32, clock: Clock) -> Result<GridRecord, AnyError> {
        let ahead = clock.now().plus(Seconds::hours(1)).plus(Seconds(u64::from(number)));
        let nickname = Some(format!("Send your money here, {number}").parse()?);
        let draft = RecordDraft { nickname, ..RecordDraft::new(self.grid) };
        let signer = Signer::Publisher { key: &self.key, delegation: &self.delegation };
        Ok(draft.sign(signer, None, &[], ahead)?)
    }
}
