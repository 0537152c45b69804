//! A price that falls while somebody reads: what is read from then on costs less, and what was read before is paid as it was agreed.

use crate::place::Place;
use crate::priced::{POLICY, Priced, key, ok};
use futures::StreamExt;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clearing::{Budget, ClientJudge, Purse, PurseParts, client_books};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience};
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, Payer};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::reader::{CapPath, Target};
use lafs_clearinghouse::units::{Bytes, MinorUnits};
use std::sync::Arc;

const SIZE: usize = 1 << 20;

/// The client `me`, within this process: its session with its home, by the wire between them, and what it pays from, 100 USD.
pub(crate) async fn reader(priced: &Priced, clock: Clock) -> (GatewayClient, Purse) {
    let nurl = ok(priced.place.run("gateway url -d home")).stdout;
    let nurl = nurl.trim().replace(&priced.home.wire.addr.to_string(), &priced.wire.addr.to_string());
    let gateway = GatewayPlace { nurl: nurl.parse().unwrap(), grid: priced.home.grid, named: Named::ByUser };
    let key = key(&priced.place, "me");
    let purse = Purse::new(PurseParts {
        ledger: client_books(&Home::new(priced.place.path("me")).client_ledgers(), clock).await.unwrap(),
        payer: key.public(),
        key: key.clone(),
        judge: Arc::new(ClientJudge { client: key.public(), confirmed: false }),
        budget: Budget::UpTo(Asset::from_code("USD").unwrap(), MinorUnits(100_000_000_000)),
        clock,
    });
    let (me, guard) = (CallerIdentity::Client(key), DialGuard::new(PrivateAddresses::Allowed));
    let client = GatewayClient::connect(gateway, me, clock, guard, Patience::WITH_HOME).await.unwrap();
    (client, purse)
}

/// Reads all of a file; how many octets came, what verifies them included.
async fn read(client: &GatewayClient, file: &Target, purse: &Purse) -> u64 {
    let payer: Arc<dyn Payer> = Arc::new(purse.clone());
    let manifest = client.manifest(file.grid(), file.cap(), 0, 1_024, Some(&*payer)).await.unwrap();
    let mut octets = manifest.encode().len() as u64;
    let (manifest, all) = (Arc::new(manifest.clone()), manifest.units());
    let mut units = client.units(file.grid(), file.cap(), manifest, all, Some(payer)).unwrap();
    while let Some(unit) = units.next().await {
        octets += unit.unwrap().1.len() as u64;
    }
    octets
}

#[test]
fn a_client_whose_home_asks_less_goes_on_at_that_price_and_closes_its_dearer_lane() {
    let mut priced = Priced::with(Place::new(), SIZE, "5 USD/GiB", |node, place| node.start_at(0, place));
    let markup = |place: &Place, percent: &str| place.write("home/policy.toml", POLICY.replace("0 %", percent));
    markup(&priced.place, "100 %");
    let file = CapPath::parse(&priced.files.cap, &priced.home.grid).unwrap().target;
    let (runtime, clock) = (tokio::runtime::Runtime::new().unwrap(), Clock::adjustable());
    let (client, purse) = runtime.block_on(reader(&priced, clock));
    let first = runtime.block_on(read(&client, &file, &purse));
    markup(&priced.place, "0 %");
    // The lane is one that both have agreed on, and the home is not asked for its price all the time.
    let second = runtime.block_on(read(&client, &file, &purse));
    for node in [&mut priced.home, &mut priced.abroad] {
        node.is_ahead(600, &priced.place);
    }
    clock.advance(600);
    runtime.block_on(async {
        let third = read(&client, &file, &purse).await;
        // What is left of what may be paid, by that price: 100 USD less a few cents.
        let affords = async |gib: u64| purse.affords(&client, file.grid(), Bytes(gib << 30), 1).await;
        affords(19).await.unwrap();
        let refused = affords(20).await.unwrap_err().to_string();
        assert!(refused.contains("up to 100") && refused.contains("is left of what may be paid"), "{refused}");
        purse.close().await;
        let lanes = purse.ledger().open_lanes(Part::Payer, clock.now()).await.unwrap();
        let mut read: Vec<_> = lanes
            .iter()
            .map(|lane| (lane.open.body().price.0, lane.voucher.as_ref().unwrap().body().cum_bytes.0))
            .collect();
        read.sort_unstable();
        assert_eq!(read, [(5_000_000_000, third), (10_000_000_000, first + second)]);
    });
    drop((client, purse, runtime));
    priced.agree();
}
