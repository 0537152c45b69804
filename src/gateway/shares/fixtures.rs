//! Storage servers in memory that do as they are told: serve, lie, stall, die.

use crate::capability::StorageIndex;
use crate::gateway::shares::server::{Servers, ShareServer};
use crate::grid::{Health, ServerError, ShareKind};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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
    manner: Manner,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reads: usize,
    blamed: u32,
}

impl MemoryServer {
    pub(super) fn new(name: &'static str, shares: BTreeMap<u16, Vec<u8>>, manner: Manner) -> Arc<Self> {
        Arc::new(Self { name, shares, manner, state: Mutex::default() })
    }

    pub(super) fn blamed(&self) -> u32 {
        self.state.lock().unwrap().blamed
    }

    pub(super) fn reads(&self) -> usize {
        self.state.lock().unwrap().reads
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
        futures::future::ready(Ok(self.shares.keys().copied().collect())).boxed()
    }

    fn read(
        &self,
        _: ShareKind,
        _: StorageIndex,
        share: u16,
        offset: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<Bytes, ServerError>> {
        let reads = {
            let mut state = self.state.lock().unwrap();
            state.reads += 1;
            state.reads
        };
        async move {
            match self.manner {
                Manner::StallsAfter { reads: after } if reads > after => std::future::pending().await,
                Manner::DiesAfter { reads: after } if reads > after => return Err(ServerError::TimedOut),
                _ => {}
            }
            let mut octets = self.shares.get(&share).ok_or(ServerError::NoSuchShare)?.clone();
            match self.manner {
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
