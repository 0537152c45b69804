//! What vouchers cost a fetch: the same file through both gateways, in turn without vouchers on the reader's hop, with them at
//! price 0, and paid on both hops.
//!
//! The gateway of the file's own grid is never read without a lane by another gateway, so what one hop takes is measured on the
//! other one and counted twice.

use super::{ClearBench, key, usd};
use crate::bench::fetch::Noise;
use crate::bench::pair::{Abroad, Member, Pair};
use crate::bench::process::Process;
use crate::bench::table::{Budget, Row, Table};
use crate::bench::{AnyError, say};
use crate::grid_manager;
use crate::storage::{ShareKind, Shelf, StorageServer, write_node_dir};
use axum::body::Bytes;
use futures::StreamExt;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::{Area, Capability, FileCap, ForeignCap, ShareCounts};
use lafs_clearinghouse::clearing::{Budget as Spending, ClientJudge, Purse, PurseParts};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience, read_key};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::lafs::immutable::{ChkEncoding, ChkKey, encode};
use lafs_clearinghouse::ledger::{Ledger, Location};
use lafs_clearinghouse::peer::DialGuard;
use lafs_clearinghouse::reader::{CapPath, Reader};
use lafs_clearinghouse::units::MinorUnits;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const PRICE: &str = "0.02 USD/GiB";
const SERVERS: u16 = 3;
const MIB: f64 = 1024.0 * 1024.0;

/// The three ways to read.
const WITHOUT: usize = 0;
const AT_NOTHING: usize = 1;
const PAID: usize = 2;
const WAYS: [&str; 3] = [
    "a foreign file, no vouchers between the reader and its home",
    "the same with vouchers at price 0 on both hops",
    "the same paid on both hops",
];

/// A grid in this process, with one file.
struct OurGrid {
    grid_id: GridId,
    manager: PathBuf,
    node: PathBuf,
}

impl OurGrid {
    fn make(folder: &Path, number: u32, servers: &[StorageServer]) -> Result<Self, AnyError> {
        let (manager, node) = (folder.join(format!("manager-{number}")), folder.join(format!("tahoe-{number}")));
        let grid_id = grid_manager::create(&manager, &key(number))?;
        let nurls: Vec<_> = servers.iter().map(|server| server.nurl().clone()).collect();
        write_node_dir(&node, &key(number), &nurls)?;
        Ok(Self { grid_id, manager, node })
    }

    async fn raise(&self, price: Option<&str>) -> Result<Pair, AnyError> {
        let price = price.map(str::parse).transpose()?;
        let abroad = Abroad { grid_id: self.grid_id, grid_manager: &self.manager, node: &self.node, price };
        Pair::raise(abroad, None).await
    }
}

/// Somebody who reads the file from abroad.
struct Way {
    reader: Reader,
    purse: Option<Purse>,
    cap: String,
    home: GridId,
    processes: [Process; 3],
    took: Vec<Duration>,
    cpu: Vec<Duration>,
}

pub(super) async fn measure(bench: &ClearBench, folder: &Path, table: &mut Table) -> Result<(), AnyError> {
    let size = bench.megabytes * 1_000_000;
    say(format_args!("storing {} MB and raising two pairs of nodes", bench.megabytes));
    let (shelves, cap) = tokio::task::spawn_blocking(move || stored(size)).await??;
    let servers = shelves.into_iter().map(|shelf| StorageServer::start(Ipv4Addr::LOCALHOST, shelf));
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    let free = OurGrid::make(folder, 1, &servers)?.raise(None).await?;
    let priced = OurGrid::make(folder, 2, &servers)?.raise(Some(PRICE)).await?;
    let mut ways = [
        Way::of(&free, "without", false, &cap).await?,
        Way::of(&free, "at-nothing", true, &cap).await?,
        Way::of(&priced, "paid", true, &cap).await?,
    ];
    // The first of each opens sessions and lanes, and makes terms.
    for round in 0..=bench.rounds {
        say(format_args!("reading it each way, {round} of {}", bench.rounds));
        for way in &mut ways {
            way.read(size, round > 0).await?;
        }
    }
    report(&ways, size, table);
    for way in ways {
        if let Some(purse) = way.purse {
            purse.close().await;
        }
    }
    free.end().await?;
    priced.end().await
}

fn report(ways: &[Way; 3], size: u64, table: &mut Table) {
    for (way, what) in ways.iter().zip(WAYS) {
        let cpu = median(&way.cpu) * 1e3 / (size as f64 / MIB);
        let note = format!("{cpu:.2} ms of the processor for a MiB: servers, both gateways, reader");
        table.push(Row::new(what, "MB/s", size as f64 / 1e6 / median(&way.took)).note(note));
    }
    // Both hops, against a fetch that has neither.
    let share = |of: fn(&Way) -> &[Duration], way: usize| {
        let (without, with) = (median(of(&ways[WITHOUT])), median(of(&ways[way])));
        200.0 * (with - without) / (2.0 * without - with)
    };
    let took = share(|way| &way.took, AT_NOTHING);
    let row = Row::new("vouchers, of a foreign fetch's time", "%", took).budget(Budget::AtMost(1.0));
    table.push(row.note("twice what the reader's hop takes; price 0"));
    let cpu = share(|way| &way.cpu, AT_NOTHING);
    let paid = median(&ways[PAID].cpu) / median(&ways[AT_NOTHING].cpu);
    let row = Row::new("vouchers, of a foreign fetch's processor time", "%", cpu).budget(Budget::AtMost(1.0));
    table.push(
        row.note(format!("twice what the reader's hop takes; price 0; a price makes it {paid:.3} times as much")),
    );
}

/// In seconds.
fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

impl Way {
    async fn of(pair: &Pair, name: &str, vouches: bool, cap: &Capability) -> Result<Self, AnyError> {
        let Member { place, me, dir } = pair.member(&pair.home, name).await?;
        let (home, clock) = (Home::new(&dir), Clock::system());
        let purse = match vouches {
            false => None,
            true => {
                let key = read_key(&home.accounting_key())?;
                let client = key.public();
                Some(Purse::new(PurseParts {
                    ledger: Ledger::open(Location::Sqlite(dir.join("ledger.sqlite")), clock.now()).await?,
                    payer: client,
                    key,
                    judge: Arc::new(ClientJudge { client, confirmed: false }),
                    budget: Spending::UpTo(usd(), MinorUnits(i64::MAX as u64)),
                    clock,
                }))
            }
        };
        let grid = place.grid;
        let guard = DialGuard::new(PrivateAddresses::Allowed);
        Ok(Self {
            reader: Reader::through(place, me, &home, clock, guard, Patience::WITH_HOME, purse.clone()),
            purse,
            cap: ForeignCap::from_home(Area::Grid(pair.foreign.grid), cap).into_cap().to_string(),
            home: grid,
            processes: [Process(0), pair.home.node.process()?, pair.foreign.node.process()?],
            took: Vec::new(),
            cpu: Vec::new(),
        })
    }

    /// Reads the file once to its end.
    async fn read(&mut self, size: u64, counts: bool) -> Result<(), AnyError> {
        let (before, began) = (self.cpu()?, Instant::now());
        let found = self.reader.walk(&CapPath::parse(&self.cap, &self.home)?).await?;
        let file = self.reader.open(&found.target).await?;
        let mut pieces = file.read(0..size);
        let mut octets = 0;
        while let Some(piece) = pieces.next().await {
            octets += piece?.len() as u64;
        }
        if octets != size {
            return Err("the reader was given another number of bytes".into());
        }
        if counts {
            self.took.push(began.elapsed());
            self.cpu.push(self.cpu()? - before);
        }
        Ok(())
    }

    fn cpu(&self) -> Result<Duration, AnyError> {
        self.processes.iter().map(|process| process.cpu()).sum()
    }
}

/// The shares of a file that nobody has stored before, one on each shelf; any two give it back.
fn stored(size: u64) -> Result<(Vec<Shelf>, Capability), AnyError> {
    let mut content = Vec::new();
    Noise::new(1).take(size).read_to_end(&mut content)?;
    let counts = ShareCounts::new(2, SERVERS).ok_or("k and N in order")?;
    let file = encode(&content, ChkKey::Convergent(b"bench"), ChkEncoding::new(counts))?;
    let index = file.cap.verifier().storage_index();
    let mut shelves = Vec::new();
    for (number, share) in (0..).zip(file.shares) {
        let mut shelf = Shelf::default();
        shelf.put(ShareKind::Immutable, index, number, Bytes::from(share));
        shelves.push(shelf);
    }
    Ok((shelves, Capability::File(FileCap::ChkRead(file.cap))))
}
