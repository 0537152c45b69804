//! Many requests at once against one quota: together they get what it gives, and no octet more.

use crate::cheaper::reader;
use crate::paid::Testnet;
use crate::place::Place;
use crate::priced::{POLICY, Priced, ok};
use futures::StreamExt;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clearing::{Budget, ClientJudge, Purse, PurseParts};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience, read_key};
use lafs_clearinghouse::ledger::{Ledger, Location};
use lafs_clearinghouse::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, Payer};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::reader::{CapPath, Target};
use lafs_clearinghouse::units::{Bytes, MinorUnits};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Barrier;

/// How many read the same file at the same time.
const READERS: usize = 12;
/// What they may have, all together: less than three times the file.
const QUOTA: u64 = 2_500_000;

/// The octets that a node's books say went to its clients, and came from other grids.
pub(crate) fn used(usage: &Value) -> (u64, u64) {
    let lines = usage["lines"].as_array().unwrap();
    let sum = |direction: &str| {
        let lines = lines.iter().filter(|line| line["direction"] == direction);
        lines.map(|line| line["bytes"].as_u64().unwrap()).sum()
    };
    (sum("to_client"), sum("from_grid"))
}

/// A client whose folder is `home`, within this process: its session with a gateway of its grid, and what it pays from.
pub(crate) async fn client_of(place: GatewayPlace, home: &Home, books: &str) -> (GatewayClient, Purse) {
    let books = Location::Sqlite(home.path().join(books));
    let ledger = Ledger::open(books, Clock::system().now()).await.unwrap();
    (session_of(place, home).await, purse_of(ledger, home))
}

/// What it pays from, alone.
pub(crate) fn purse_of(ledger: Ledger, home: &Home) -> Purse {
    let key = read_key(&home.accounting_key()).unwrap();
    Purse::new(PurseParts {
        ledger,
        payer: key.public(),
        key: key.clone(),
        judge: Arc::new(ClientJudge { client: key.public(), confirmed: false }),
        budget: Budget::UpTo(Asset::from_code("USD").unwrap(), MinorUnits(100_000_000_000)),
        clock: Clock::system(),
    })
}

/// The session alone.
pub(crate) async fn session_of(place: GatewayPlace, home: &Home) -> GatewayClient {
    let me = CallerIdentity::Client(read_key(&home.accounting_key()).unwrap());
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    GatewayClient::connect(place, me, Clock::system(), guard, Patience::WITH_HOME).await.unwrap()
}

/// Has so many of them read at once, all that come to `barrier`; what each of them got.
pub(crate) async fn read_all(
    place: GatewayPlace,
    (home, books): (&Home, &str),
    file: &Target,
    readers: usize,
    barrier: Arc<Barrier>,
) -> Vec<u64> {
    let (client, purse) = client_of(place, home, books).await;
    let manifest = client.manifest(file.grid(), file.cap(), 0, 4_096, Some(&purse)).await.unwrap();
    let manifest = Arc::new(manifest);
    let readers = (0..readers).map(|_| {
        let (client, file, manifest) = (client.clone(), file.clone(), Arc::clone(&manifest));
        let (payer, barrier): (Arc<dyn Payer>, _) = (Arc::new(purse.clone()), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            let all = manifest.units();
            let mut units = client.units(file.grid(), file.cap(), manifest, all, Some(payer)).unwrap();
            let mut octets = 0;
            while let Some(Ok((_, unit))) = units.next().await {
                octets += unit.len() as u64;
            }
            octets
        })
    });
    let mut got = Vec::new();
    for reader in readers.collect::<Vec<_>>() {
        got.push(reader.await.unwrap());
    }
    purse.close().await;
    got
}

#[test]
fn requests_side_by_side_do_not_pass_a_quota_together() {
    let place = Place::new();
    let testnet = Testnet::up(&place, "");
    testnet.join(&place, 0, "client");
    let node = testnet.node_dir(0);
    let node = node.to_str().unwrap();
    let nurl = place.run_words(["gateway", "url", "-d", node]).stdout;
    let gateway = GatewayPlace { nurl: nurl.trim().parse().unwrap(), grid: testnet.grid(0), named: Named::ByUser };
    let file = CapPath::parse(&testnet.cap(1, "large.bin"), &testnet.grid(0)).unwrap().target;
    let client = Home::new(place.path("client"));
    let runtime = tokio::runtime::Runtime::new().unwrap();

    let policy = std::fs::read_to_string(testnet.node_dir(0).join("policy.toml")).unwrap();
    for (quota, limit) in [("client-quota", QUOTA), ("grid-ceiling", 2 * QUOTA)] {
        let rules = format!("{policy}{quota} = [\"{limit} B/day\"]\n");
        std::fs::write(testnet.node_dir(0).join("policy.toml"), rules).unwrap();
        let barrier = Arc::new(Barrier::new(READERS));
        let got = runtime.block_on(read_all(gateway.clone(), (&client, quota), &file, READERS, barrier));
        let got: u64 = got.iter().sum();
        let usage = place.run_words(["usage", "-d", node, "--json"]).json();
        let (to_clients, from_grids) = used(&usage);
        let counted = if quota == "client-quota" { to_clients } else { from_grids };
        assert!(counted <= limit, "{counted} of {limit} under {quota}: {usage}");
        // Nor are they refused what it leaves: no more than one unit of each is left over.
        assert!(counted > limit - READERS as u64 * 131_072, "{counted} of {limit} under {quota}, {got} now: {usage}");
    }
}

#[test]
fn who_finds_its_quota_held_by_its_own_broken_request_is_told_so() {
    const MIB: usize = 1 << 20;
    let priced = Priced::in_segments(8 * MIB, Bytes(131_072), "5 USD/GiB");
    priced.place.write("home/policy.toml", format!("{POLICY}client-quota = [\"6 MiB/day\"]\n"));
    let file = CapPath::parse(&priced.files.cap, &priced.home.grid).unwrap().target;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (client, purse) = reader(&priced, Clock::system()).await;
        let payer: Arc<dyn Payer> = Arc::new(purse.clone());
        let manifest = Arc::new(client.manifest(file.grid(), file.cap(), 0, 1_024, Some(&*payer)).await.unwrap());
        let read =
            || client.units(file.grid(), file.cap(), Arc::clone(&manifest), manifest.units(), Some(Arc::clone(&payer)));
        // Broken off with something on its way that is never acknowledged.
        priced.wire.lets_through(2 * MIB);
        let mut units = read().unwrap();
        while !priced.wire.holds() {
            tokio::task::yield_now().await;
        }
        let _ = units.next().await.unwrap().unwrap();
        drop(units);
        priced.wire.open();
        let mut units = read().unwrap();
        let refused = loop {
            match units.next().await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        let refusal = refused.refusal().unwrap_or_else(|| panic!("{refused}"));
        assert!(refusal.detail.contains("held by a request of yours that broke off"), "{refusal:?}");
        assert!(refusal.hint.as_ref().unwrap().contains("at the latest"), "{refusal:?}");
        drop(units);
        purse.close().await;
    });
    drop(runtime);
    priced.agree();
}

#[test]
fn what_verifies_the_later_parts_of_a_long_file_does_not_pass_the_ceiling_of_its_grid() {
    const CEILING: u64 = 2_200_000;
    // As many units as the manifest of one answer never has at once.
    let priced = Priced::in_segments(3_000_000, Bytes(1_024), "5 USD/GiB");
    priced.place.write("home/policy.toml", format!("{POLICY}grid-ceiling = [\"{CEILING} B/day\"]\n"));
    let ended = priced.get("file");
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    priced.agree();
    let (_, from_grids) = used(&priced.place.run("usage -d home --json").json());
    assert!(from_grids <= CEILING, "{from_grids} of {CEILING}");
    assert!(from_grids > CEILING / 2, "{from_grids} of {CEILING}");
}

#[test]
fn the_first_manifest_of_a_file_in_small_segments_does_not_pass_the_ceiling_of_its_grid() {
    // What is usual is 3,000 octets; of segments of 1 KiB 1,024 hashes come at once.
    let priced = Priced::in_segments(3_000_000, Bytes(1_024), "5 USD/GiB");
    let policy = |octets: u64| {
        priced.place.write("home/policy.toml", format!("{POLICY}grid-ceiling = [\"{octets} B/day\"]\n"));
    };
    policy(20_000);
    let refused = priced.get("file");
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("what comes next is 3"), "{}", refused.stderr);
    let usage = priced.place.run("usage -d home --json").json();
    assert_eq!(used(&usage), (0, 0), "{usage}");
    // Where there is enough for it, it is read.
    policy(4_000_000);
    ok(priced.get("file"));
    priced.agree();
}
