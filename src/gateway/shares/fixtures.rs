//! Storage servers in memory that do as they are told: serve, lie, stall, die.

use crate::capability::StorageIndex;
use crate::gateway::shares::server::{Servers, ShareServer};
use crate::grid::{Health, ServerError, ShareKind};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a server behaves, from a number of reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Honest,
    /// One octet of each share is another one.
    Flips {
        at: usize,
    },
    /// It gives at most so many octets of a share.
    CutsOff {
        at: usize,
    },
    /// It never answers a read after so many.
    StallsAfter {
        reads: usize,
    },
    /// It answers no read after so many.
    DiesAfter {
        reads: usize,
    },
}

#[derive(Debug)]
pub(super) struct MemoryServer {
    pub(super) name: &'static str,
    shares: BTreeMap<u16, Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    asked: Asked,
    blamed: u32,
    answer_after: Duration,
}

/// What a server was asked for, whether or not it gave it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) reads: usize,
    pub(super) octets: u64,
    /// In one read.
    pub(super) longest: u64,
}

impl Asked {
    pub(super) fn within(&self, most: &Self) -> bool {
        self.reads <= most.reads && self.octets <= most.octets && self.longest <= most.longest
    }
}

impl MemoryServer {
    pub(super) fn new(name: &'static str, shares: BTreeMap<u16, Vec<u8>>, manner: Manner) -> Arc<Self> {
        Arc::new(Self {
            name,
            shares,
            state: Mutex::new(State { manner, asked: Asked::default(), blamed: 0, answer_after: Duration::ZERO }),
        })
    }

    /// How it behaves from now on; its reads are counted from the first one.
    pub(super) fn behave(&self, manner: Manner) {
        let mut state = self.state.lock().unwrap();
        (state.manner, state.asked) = (manner, Asked::default());
    }

    /// It takes so long to say which shares it has.
    pub(super) fn answer_after(&self, time: Duration) {
        self.state.lock().unwrap().answer_after = time;
    }

    pub(super) fn blamed(&self) -> u32 {
        self.state.lock().unwrap().blamed
    }

    pub(super) fn reads(&self) -> usize {
        self.asked().reads
    }

    pub(super) fn asked(&self) -> Asked {
        self.state.lock().unwrap().asked
    }
}

impl ShareServer for MemoryServer {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn health(&self) -> Health {
        Health::default()
    }

    fn blame(&self) {
        self.state.lock().unwrap().blamed += 1;
    }

    fn shares(&self, _: ShareKind, _: StorageIndex) -> BoxFuture<'_, Result<Vec<u16>, ServerError>> {
        let time = self.state.lock().unwrap().answer_after;
        let numbers = self.shares.keys().copied().collect();
        async move {
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            Ok(numbers)
        }
        .boxed()
    }

    fn read(
        &self,
        _: ShareKind,
        _: StorageIndex,
        share: u16,
        offset: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<Bytes, ServerError>> {
        let (reads, manner) = {
            let mut state = self.state.lock().unwrap();
            let asked = &mut state.asked;
            *asked = Asked {
                reads: asked.reads + 1,
                octets: asked.octets.saturating_add(length),
                longest: asked.longest.max(length),
            };
            (asked.reads, state.manner)
        };
        async move {
            match manner {
                Manner::StallsAfter { reads: after } if reads > after => std::future::pending().await,
                Manner::DiesAfter { reads: after } if reads > after => return Err(ServerError::TimedOut),
                _ => {}
            }
            let mut octets = self.shares.get(&share).ok_or(ServerError::NoSuchShare)?.clone();
            match manner {
                Manner::Flips { at } => octets[at] ^= 1,
                Manner::CutsOff { at } => octets.truncate(at),
                _ => {}
            }
            let start = (offset as usize).min(octets.len());
            let end = (offset.saturating_add(length) as usize).min(octets.len());
            Ok(Bytes::copy_from_slice(&octets[start..end]))
        }
        .boxed()
    }
}

/// Each share on a server of its own, of these manners.
pub(super) fn one_each(shares: &[Vec<u8>], manners: &[Manner]) -> Vec<Arc<MemoryServer>> {
    const NAMES: [&str; 10] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"];
    let servers = shares.iter().zip(manners).enumerate();
    servers
        .map(|(number, (share, manner))| {
            MemoryServer::new(NAMES[number], BTreeMap::from([(number as u16, share.clone())]), *manner)
        })
        .collect()
}

pub(super) fn list(servers: &[Arc<MemoryServer>]) -> Servers {
    let servers: Vec<Arc<dyn ShareServer>> =
        servers.iter().map(|server| Arc::clone(server) as Arc<dyn ShareServer>).collect();
    Arc::new(move || servers.clone())
}
