//! What vouchers cost a fetch: the same file through both gateways, in turn on no lanes at all, on lanes at price 0 on both hops,
//! and paid on both hops.
//!
//! The first two ways are the same processes, which are told to read on lanes or on none, and each round sets what it measures
//! beside what the same round measured without: what else the machine does is then the same for both. How a process happens to lie
//! in memory makes as much difference as the vouchers do: so all of them are started anew several times.

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
use lafs_clearinghouse::clearing::{Budget as Spending, ClientJudge, Purse, PurseParts, ReadOn, read_on};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience, read_key};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::lafs::immutable::{ChkEncoding, ChkKey, encode};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::peer::DialGuard;
use lafs_clearinghouse::reader::{CapPath, Reader};
use lafs_clearinghouse::tariff::Pool;
use lafs_clearinghouse::units::{MinorUnits, UnixSeconds};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PRICE: &str = "0.02 USD/GiB";
const SERVERS: u16 = 3;
/// How long the last vouchers of a file take at most.
const REST: Duration = Duration::from_millis(600);
/// What a grid gives to one stranger in a day, a quarter of its pool.
const STRANGERS: u64 = Pool::DAY.0 / 4;
const MIB: f64 = 1024.0 * 1024.0;

/// The three ways to read.
const WITHOUT: usize = 0;
const AT_NOTHING: usize = 1;
const PAID: usize = 2;
const WAYS: [&str; 3] = [
    "a foreign file, no vouchers on either hop",
    "the same with vouchers at price 0 on both hops",
    "the same paid on both hops",
];

/// Whose processor's time it is: the reader's process holds the storage servers too.
const PARTIES: [&str; 3] = ["reader and servers", "home", "foreign"];

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
        Pair::raise_leashed(abroad).await
    }
}

/// Somebody who reads the file from abroad.
struct Abroader {
    pair: Pair,
    reader: Reader,
    purse: Purse,
    cap: String,
}

/// Something of what a reading took.
type Measure<'m> = &'m dyn Fn(&Taken) -> Duration;

/// The processor's time of each thread of a process.
type Tasks = BTreeMap<u32, Duration>;

/// What one reading took.
struct Taken {
    time: Duration,
    cpu: [Duration; PARTIES.len()],
}

pub(super) async fn measure(bench: &ClearBench, folder: &Path, table: &mut Table) -> Result<(), AnyError> {
    let size = bench.megabytes * 1_000_000;
    // Twice each round, and once each way before them.
    if (2 * bench.rounds as u64 + 2) * size > STRANGERS {
        return Err(
            "a stranger is given 2.5 GiB a day: ask for fewer `--rounds` or `--megabytes`, and for more `--pairs`"
                .into(),
        );
    }
    say(format_args!("storing {} MB", bench.megabytes));
    let (shelves, cap) = tokio::task::spawn_blocking(move || stored(size)).await??;
    let servers = shelves.into_iter().map(|shelf| StorageServer::start(Ipv4Addr::LOCALHOST, shelf));
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    let mut rounds: [Vec<Taken>; WAYS.len()] = Default::default();
    for pair in 0..bench.pairs {
        say(format_args!("reading it each way, {} of {} times anew", pair + 1, bench.pairs));
        let at = folder.join(format!("pairs-{pair}"));
        std::fs::create_dir(&at)?;
        let mut free = Abroader::of(OurGrid::make(&at, 1, &servers)?.raise(None).await?, &cap).await?;
        let mut priced = Abroader::of(OurGrid::make(&at, 2, &servers)?.raise(Some(PRICE)).await?, &cap).await?;
        // The first reading each way opens sessions and lanes, makes terms and finds cold caches: it is not measured.
        for way in [AT_NOTHING, WITHOUT] {
            free.read(size, reads_on(way)).await?;
        }
        for round in 0..bench.rounds {
            // Of the two neither is always the first.
            let in_turn = if (pair + round) % 2 == 0 { [WITHOUT, AT_NOTHING] } else { [AT_NOTHING, WITHOUT] };
            for way in in_turn {
                rounds[way].push(free.read(size, reads_on(way)).await?);
            }
        }
        priced.read(size, ReadOn::Lanes).await?;
        for _ in 0..bench.rounds {
            rounds[PAID].push(priced.read(size, ReadOn::Lanes).await?);
        }
        free.end().await?;
        priced.end().await?;
    }
    report(&rounds, size, table);
    Ok(())
}

const fn reads_on(way: usize) -> ReadOn {
    if way == WITHOUT { ReadOn::Nothing } else { ReadOn::Lanes }
}

fn report(rounds: &[Vec<Taken>; 3], size: u64, table: &mut Table) {
    for (taken, what) in rounds.iter().zip(WAYS) {
        let each = |of: Measure<'_>| median(taken.iter().map(|taken| of(taken).as_secs_f64()));
        let of_mib = 1e3 / (size as f64 / MIB);
        let cpu = each(&|taken| taken.cpu.iter().sum()) * of_mib;
        let parts = (0..PARTIES.len()).map(|party| {
            let own = each(&|taken| taken.cpu[party]) * of_mib;
            format!("{} {own:.2}", PARTIES[party])
        });
        let note = format!("{cpu:.2} ms of the processor for a MiB: {}", parts.collect::<Vec<_>>().join(", "));
        table.push(Row::new(what, "MB/s", size as f64 / 1e6 / each(&|taken| taken.time)).note(note));
    }
    // Of what a fetch takes with vouchers, what it does not take without, round by round. The processor's time is not disturbed by
    // who else has it: there all rounds together say more than the median of them.
    let shares = |way: usize, of: Measure<'_>| {
        let pairs = rounds[WITHOUT].iter().zip(&rounds[way]);
        let shares = pairs.map(|(without, with)| 100.0 * (1.0 - of(without).as_secs_f64() / of(with).as_secs_f64()));
        let mut shares: Vec<f64> = shares.collect();
        shares.sort_unstable_by(f64::total_cmp);
        shares
    };
    let time = |taken: &Taken| taken.time;
    let cpu = |taken: &Taken| taken.cpu.iter().sum();
    let measures: [(&str, Measure<'_>); 2] = [("throughput", &time), ("processor's time", &cpu)];
    for (what, of) in measures {
        for (way, price) in [(AT_NOTHING, "price 0"), (PAID, "paid")] {
            let shares = shares(way, of);
            let quarter = |place: usize| shares.get(shares.len() * place / 4).copied().unwrap_or(f64::NAN);
            let sum = |way: usize| rounds[way].iter().map(|taken| of(taken).as_secs_f64()).sum::<f64>();
            let share = if what == "throughput" { quarter(2) } else { 100.0 * (1.0 - sum(WITHOUT) / sum(way)) };
            let row = Row::new(format!("vouchers, of a foreign fetch's {what}, {price}"), "%", share);
            let note = format!("both hops; half of the rounds from {:.1} to {:.1}", quarter(1), quarter(3));
            table.push(row.budget(Budget::AtMost(1.0)).note(note));
        }
    }
}

/// What the threads of a process took between two times. One that has ended meanwhile was idle before it did.
fn taken(before: &Tasks, after: &Tasks) -> Duration {
    after.iter().map(|(task, time)| time.saturating_sub(before.get(task).copied().unwrap_or_default())).sum()
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Abroader {
    async fn of(pair: Pair, cap: &Capability) -> Result<Self, AnyError> {
        let Member { place, me, dir } = pair.member(&pair.home, "reader").await?;
        let (home, clock) = (Home::new(&dir), Clock::system());
        let key = read_key(&home.accounting_key())?;
        let client = key.public();
        let purse = Purse::new(PurseParts {
            ledger: Ledger::open(Location::Sqlite(dir.join("ledger.sqlite")), clock.now()).await?,
            payer: client,
            key,
            judge: Arc::new(ClientJudge { client, confirmed: false }),
            budget: Spending::UpTo(usd(), MinorUnits(i64::MAX as u64)),
            clock,
        });
        let guard = DialGuard::new(PrivateAddresses::Allowed);
        let reader = Reader::through(place, me, &home, clock, guard, Patience::WITH_HOME, Some(purse.clone()));
        let cap = ForeignCap::from_home(Area::Grid(pair.foreign.grid), cap).into_cap().to_string();
        Ok(Self { pair, reader, purse, cap })
    }

    /// Reads the file once to its end.
    async fn read(&mut self, size: u64, on: ReadOn) -> Result<Taken, AnyError> {
        read_on(on);
        self.pair.home.node.read_on(on).await?;
        let booked = self.booked().await?;
        let (before, began) = (self.cpu()?, Instant::now());
        let found = self.reader.walk(&CapPath::parse(&self.cap, &self.pair.home.grid)?).await?;
        let file = self.reader.open(&found.target).await?;
        let mut pieces = file.read(0..size);
        let mut octets = 0;
        while let Some(piece) = pieces.next().await {
            octets += piece?.len() as u64;
        }
        let time = began.elapsed();
        // What is vouched for at its end, and the next reading is not to pay for.
        sleep(REST).await;
        let after = self.cpu()?;
        if octets != size {
            return Err("the reader was given another number of bytes".into());
        }
        if (self.booked().await? == booked) != (on == ReadOn::Nothing) {
            return Err("the books of a home tell something else than that it read on lanes or on none".into());
        }
        let mut cpu = [Duration::ZERO; PARTIES.len()];
        for (party, cpu) in cpu.iter_mut().enumerate() {
            *cpu = taken(&before[party], &after[party]);
        }
        Ok(Taken { time, cpu })
    }

    /// What both hops have vouched for, by the home's books.
    async fn booked(&self) -> Result<[u64; 2], AnyError> {
        let ledger = Ledger::open_reading(Location::Sqlite(self.pair.home.home.ledger())).await?;
        let lines = ledger.usage_totals(UnixSeconds(0), UnixSeconds(i64::MAX as u64)).await?;
        ledger.close().await;
        let of = |part| lines.iter().filter(|line| line.part == part).map(|line| line.bytes.0).sum();
        Ok([of(Part::Payer), of(Part::Payee)])
    }

    fn cpu(&self) -> Result<[Tasks; PARTIES.len()], AnyError> {
        let (home, foreign) = (self.pair.home.node.process()?, self.pair.foreign.node.process()?);
        Ok([Process(0).tasks()?, home.tasks()?, foreign.tasks()?])
    }

    async fn end(self) -> Result<(), AnyError> {
        self.purse.close().await;
        self.pair.end().await
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
