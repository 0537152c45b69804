//! A node that starts with many records: when it serves, when all it holds is verified, and what a record takes of memory.

use super::load::idle_resident;
use super::network::{ask, quic, remove};
use super::process::NodeProcess;
use super::table::{Budget, Row, Table};
use super::{AnyError, ResolveBench, say};
use crate::layout::{Layout, NodePlace, Size};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig, PUBLIC_MODE, create_new, create_private_dir};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::node::{Client, ClientSettings};
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer, Verdict};
use lafs_clearinghouse::store::Book;
use libp2p::multiaddr::Protocol;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Records that are signed before they are stored: a moment's work.
const SIGNED_AHEAD: usize = 256;
/// What the kernel needs to give back what a process no longer uses, and the node to come to rest.
const REST: Duration = Duration::from_secs(2);

pub(super) async fn measure(bench: &ResolveBench, table: &mut Table) -> Result<(), AnyError> {
    let records = bench.records;
    say(format_args!("filling a store with {records} records"));
    let mut layout = Layout::create(&Size { nodes: 1, grids: 0, relays: false }, None)?;
    let idle = idle_resident(&layout.dir.join("idle")).await?;
    let home = Home::new(&layout.nodes[0].dir);
    create_private_dir(home.path())?;
    let filling = home.clone();
    let bytes = tokio::task::spawn_blocking(move || fill(&filling, records)).await??;
    layout.nodes[0].reserved = None;
    let place = &layout.nodes[0];
    create_new(&home.config(), config(&layout, place).to_commented_toml().as_bytes(), PUBLIC_MODE)?;

    say(format_args!("starting a node on it"));
    let started = Instant::now();
    let mut node = NodeProcess::start(home.path())?;
    let peer = node.ready().await?.parse()?;
    let (ready, process) = (started.elapsed(), node.process()?);
    let ready_cpu = process.cpu()?;
    // One from the middle, which nobody has looked at yet.
    let settings = ClientSettings {
        network: layout.network.clone(),
        bootstrap: vec![quic(place.external.into()).with(Protocol::P2p(peer))],
        private: PrivateAddresses::Allowed,
    };
    let client = Client::start(&Home::new(layout.dir.join("client")), settings, Clock::system()).await?;
    ask(&client, GridId::new(key(records / 2).public())).await?;
    let first_answer = started.elapsed();
    client.stop().await;
    node.logs("every record of the store is verified").await?;
    let (verified, verified_cpu) = (started.elapsed(), process.cpu()?);
    sleep(REST).await;
    let (resident, peak) = (process.resident()?, process.peak()?);
    node.end().await?;
    remove(&layout);

    let what = |what: &str| format!("{records} records: {what}");
    let cpu = |cpu: Duration| format!("{:.1} s of the processor", cpu.as_secs_f64());
    table.push(Row::new(what("start to serving"), "s", ready.as_secs_f64()).note(cpu(ready_cpu)));
    table.push(Row::new(what("start to the first answer"), "s", first_answer.as_secs_f64()));
    table.push(Row::new(what("start to all verified"), "s", verified.as_secs_f64()).note(cpu(verified_cpu)));
    let per_record = |octets: u64| octets.saturating_sub(idle) as f64 / records as f64 / 1024.0;
    table.push(
        Row::new("memory of a record", "KiB", per_record(resident))
            .budget(Budget::AtMost(1.5))
            .note(format!("of {bytes} octets; at its most {:.2}", per_record(peak))),
    );
    Ok(())
}

/// Puts `records` into a store, as a node does that is offered them. Returns how many octets the last one has.
fn fill(home: &Home, records: usize) -> Result<usize, AnyError> {
    let mut book = Book::open(home, None, Clock::system())?;
    let mut bytes = 0;
    std::thread::scope(|scope| {
        let (signed, to_store) = sync_channel(SIGNED_AHEAD);
        scope.spawn(move || {
            for number in 0..records {
                if signed.send(record(number)).is_err() {
                    return;
                }
            }
        });
        for record in to_store {
            let record: GridRecord = record?;
            bytes = record.signed().bytes().len();
            match book.offer(record.grid(), record.signed().bytes()) {
                Verdict::Stored => {}
                verdict => return Err(format!("a record was not stored: {verdict:?}").into()),
            }
        }
        Ok::<(), AnyError>(())
    })?;
    book.close();
    let held = Book::open(home, None, Clock::system())?.len();
    if held == records { Ok(bytes) } else { Err(format!("the disk took {held} of {records} records").into()) }
}

fn record(number: usize) -> Result<GridRecord, AnyError> {
    let (key, now) = (key(number), Clock::system().now());
    let mut draft = RecordDraft::new(GridId::new(key.public()));
    draft.nickname = Some(format!("Grid number {number} of many").parse()?);
    draft.contact = vec![format!("mailto:operator-{number}@grid.example").parse()?];
    draft.rates = vec!["free".parse()?];
    Ok(draft.sign(Signer::Grid { key: &key, serial: now }, None, &[], now)?)
}

fn key(number: usize) -> SecretKey {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    SecretKey::from_seed(&seed)
}

fn config(layout: &Layout, place: &NodePlace) -> NodeConfig {
    NodeConfig {
        network: layout.network.clone(),
        listen: place.listen.into(),
        external: Some(place.external.to_string().parse().expect("an address and its port")),
        allow_private_addresses: PrivateAddresses::Allowed,
        ..NodeConfig::default()
    }
}
