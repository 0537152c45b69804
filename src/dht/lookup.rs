//! A walk carried out: questions asked in parallel, each answer handed on as it comes.

use crate::address::Network;
use crate::dht::handle::{AskError, Dht};
use crate::dht::message::{Body, Request, Response};
use crate::dht::server::{Point, Server};
use crate::dht::walk::Walk;
use crate::keys::GridId;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many servers are asked before the others: two of them may be dead.
const FIRST_FLIGHT: usize = 3;
/// How long they are waited for: a round trip half around the world.
const HEAD_START: Duration = Duration::from_millis(250);
/// How many findings may wait for whoever reads them.
const FINDINGS: usize = 64;

/// What one server had to say.
#[derive(Debug)]
pub enum Finding {
    /// It answered.
    Answer {
        /// Who.
        server: Server,
        /// Whether we knew it before this walk, so that the answer took one question.
        known_before: bool,
        /// The network from which the answer came, whatever the server says of itself.
        network: Option<Network>,
        /// The record it holds; not looked at yet.
        record: Option<Vec<u8>>,
        /// Records that it holds as evidence of a broken commitment; not looked at yet.
        evidence: Vec<Vec<u8>>,
    },
    /// It did not.
    NoAnswer {
        /// Who.
        server: Server,
        /// Why.
        error: AskError,
    },
}

impl Dht {
    /// Walks to a grid's key until the `width` nearest servers have answered. The walk ends early when the receiver is
    /// dropped, and waits for a first server where none is known yet.
    pub fn lookup(&self, grid: GridId, width: usize) -> mpsc::Receiver<Finding> {
        let (findings, receiver) = mpsc::channel(FINDINGS);
        let dht = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = dht.walk(grid, width, &findings) => {}
                () = findings.closed() => {}
            }
        });
        receiver
    }

    async fn walk(&self, grid: GridId, width: usize, findings: &mpsc::Sender<Finding>) {
        self.knows(1).await;
        // Of several addresses to begin with, the first that connects may be of no use: until somebody answers, those who
        // come later are asked too.
        let (mut known, mut heard) = (self.known(), false);
        known.mark_unchanged();
        let target = Point::of(grid.record_key().as_bytes());
        let mut walk = Walk::new(target, width, self.nearest(target, width * 2).await);
        let mut open = FuturesUnordered::new();
        let ask = |server: Server| async move {
            let answer = self.ask_whence(&server, Request::Resolve { grid }).await;
            (server, answer)
        };
        // Those at hand answer in one round trip and often know: nobody else is dialled before they had the time. With
        // nobody at hand a few are dialled, not all at once: ten handshakes cost more than the first answer waits for.
        for server in self.connected(target).await.into_iter().take(FIRST_FLIGHT) {
            walk.ask_first(&server);
            open.push(ask(server));
        }
        if open.is_empty() {
            open.extend(std::iter::from_fn(|| walk.next_to_ask()).take(FIRST_FLIGHT).map(ask));
        }
        let head_start = tokio::time::sleep(HEAD_START);
        tokio::pin!(head_start);
        let mut waiting = !open.is_empty();
        loop {
            while !waiting && let Some(server) = walk.next_to_ask() {
                open.push(ask(server));
            }
            if open.is_empty() && heard {
                return;
            }
            let (server, answer) = tokio::select! {
                biased;
                Some(answered) = open.next() => answered,
                () = &mut head_start, if waiting => {
                    waiting = false;
                    continue;
                }
                Ok(()) = known.changed(), if !heard => {
                    for server in self.nearest(target, width * 2).await {
                        walk.learn(server);
                    }
                    while open.len() < FIRST_FLIGHT && let Some(server) = walk.next_to_ask() {
                        open.push(ask(server));
                    }
                    continue;
                }
                () = self.seeks_nobody(), if open.is_empty() => return,
            };
            let finding = match answer {
                Ok((Response { body: Body::Found { record, evidence, nearer }, .. }, network)) => {
                    heard = true;
                    let known_before = walk.answered(&server.peer, nearer);
                    Finding::Answer { server, known_before, network, record, evidence }
                }
                Ok(_) => {
                    walk.failed(&server.peer);
                    Finding::NoAnswer { server, error: AskError::Malformed("an answer to another question".to_owned()) }
                }
                Err(error) => {
                    walk.failed(&server.peer);
                    Finding::NoAnswer { server, error }
                }
            };
            if findings.send(finding).await.is_err() {
                return;
            }
            waiting = waiting && !open.is_empty();
        }
    }
}
