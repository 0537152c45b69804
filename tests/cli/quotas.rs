//! Many requests at once against one quota: together they get what it gives, and no octet more.

use crate::paid::Testnet;
use crate::place::Place;
use futures::StreamExt;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clearing::{Budget, ClientJudge, Purse, PurseParts};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience, read_key};
use lafs_clearinghouse::ledger::{Ledger, Location};
use lafs_clearinghouse::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, Payer};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::reader::{CapPath, Target};
use lafs_clearinghouse::units::MinorUnits;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Barrier;

/// How many read the same file at the same time.
const READERS: usize = 12;
/// What they may have, all together: less than three times the file.
const QUOTA: u64 = 2_500_000;

/// The octets that a node's books say went to its clients, and came from other grids.
fn used(usage: &Value) -> (u64, u64) {
    let lines = usage["lines"].as_array().unwrap();
    let sum = |direction: &str| {
        let lines = lines.iter().filter(|line| line["direction"] == direction);
        lines.map(|line| line["bytes"].as_u64().unwrap()).sum()
    };
    (sum("to_client"), sum("from_grid"))
}

/// Has all of them read at once; what each of them got.
async fn read_all(place: GatewayPlace, home: &Home, books: &str, file: &Target) -> Vec<u64> {
    let key = read_key(&home.accounting_key()).unwrap();
    let clock = Clock::system();
    let ledger = Ledger::open(Location::Sqlite(home.path().join(books)), clock.now()).await.unwrap();
    let purse = Purse::new(PurseParts {
        ledger,
        payer: key.public(),
        key: key.clone(),
        judge: Arc::new(ClientJudge { client: key.public(), confirmed: false }),
        budget: Budget::UpTo(Asset::from_code("USD").unwrap(), MinorUnits(100_000_000_000)),
        clock,
    });
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    let client =
        GatewayClient::connect(place, CallerIdentity::Client(key), clock, guard, Patience::WITH_HOME).await.unwrap();
    let manifest = client.manifest(file.grid(), file.cap(), 0, 4_096, Some(&purse)).await.unwrap();
    let (manifest, barrier) = (Arc::new(manifest), Arc::new(Barrier::new(READERS)));
    let readers = (0..READERS).map(|_| {
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
        let got: u64 = runtime.block_on(read_all(gateway.clone(), &client, quota, &file)).iter().sum();
        let usage = place.run_words(["usage", "-d", node, "--json"]).json();
        let (to_clients, from_grids) = used(&usage);
        let counted = if quota == "client-quota" { to_clients } else { from_grids };
        assert!(counted <= limit, "{counted} of {limit} under {quota}: {usage}");
        // Nor are they refused what it leaves: no more than one unit of each is left over.
        assert!(counted > limit - READERS as u64 * 131_072, "{counted} of {limit} under {quota}, {got} now: {usage}");
    }
}
