//! A credit that two gateways of one grid lend: in books of their own each its part, and in the same books all of it together.

use crate::hand_lane::{HandLane, called_by};
use crate::place::{Place, eventually};
use crate::postgres::Postgres;
use crate::priced::{Node, Priced, ok};
use crate::shared_books::{are_one, entry, owed_in, set};
use futures::StreamExt;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::lafs::manifest::Manifest;
use lafs_clearinghouse::ledger::{Location, Part};
use lafs_clearinghouse::peer::{CallerIdentity, GatewayClient, Payer, PeerError};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::units::Bytes;
use std::cell::RefCell;
use std::sync::Arc;

const SIZE: usize = 4 << 20;
/// What a gateway does that has storage servers.
const SERVES: &str = "serve+spend+terms";

/// The grids of [`Priced`], the second of which has a second gateway, and where its gateways keep their books if not each its own.
fn start(books: Option<&Location>) -> (Priced, Node) {
    let second = RefCell::new(None);
    let priced = Priced::in_segments_with(Place::new(), SIZE, Bytes(131_072), "5 USD/GiB", |node, place| {
        if node.dir == "abroad" {
            let words = ["--tahoe-node", "tahoe", "--credit-limit", "10 USD", "--rate", "5 USD/GiB"];
            let other = Node::init(place, "second", 62, &words);
            let gateways = ["abroad", "second"].map(|dir| entry(place, dir, SERVES));
            let home = ok(place.run("status -d home --json")).json()["addrs"][0].clone();
            let mut lines = vec![("gateway", format!("[{}]", gateways.join(", "))), ("bootstrap", format!("[{home}]"))];
            if let Some(Location::Postgres(url)) = books {
                lines.push(("ledger", format!("{url:?}")));
            }
            ["abroad", "second"].iter().for_each(|dir| set(place, dir, &lines));
            *second.borrow_mut() = Some(other);
        }
        node.start(place);
    });
    (priced, second.into_inner().unwrap())
}

#[test]
fn a_gateway_with_books_of_its_own_lends_its_part_and_claims_at_the_half_of_that() {
    // The other one never runs: it might all the same.
    let (priced, _second) = start(None);
    // A file comes to 0.0195 USD: three go into the half of it, and no fourth one.
    priced.agree_on_terms("0.12 USD", 8);
    let claimed = || {
        let printed = ok(priced.place.run("statement -d abroad --json")).json();
        printed["statements"].as_array().unwrap().first().cloned()
    };
    ok(priced.get("one"));
    priced.agree();
    assert_eq!(claimed(), None, "a third of what it lends, and nothing is due yet");
    ok(priced.get("two"));
    eventually("it is claimed", claimed);
    ok(priced.get("three"));
    let refused = priced.get("four");
    assert_eq!(refused.status, 9, "{}", refused.stderr);
    assert!(refused.stderr.contains(" of 0.06 USD are owed and not settled"), "{}", refused.stderr);
    priced.agree();
}

/// Reads a part of the file on a lane and acknowledges it.
async fn reads(
    client: &GatewayClient,
    lane: &HandLane,
    file: (&GridId, &Capability),
    manifest: &Arc<Manifest>,
) -> Result<(), PeerError> {
    let payer: Arc<dyn Payer> = Arc::new(lane.clone());
    let mut units = client.units(file.0, file.1, Arc::clone(manifest), 0..8, Some(payer))?;
    while let Some(unit) = units.next().await {
        unit?;
    }
    let (octets, transcript) = lane.delivered(file.1);
    let amounts = (octets, lane.charge(octets));
    lane.voucher(client, lane.id(), amounts, transcript, &lane.session).await.unwrap();
    Ok(())
}

#[test]
fn gateways_that_share_a_ledger_lend_together_no_more_than_the_credit() {
    let Some(server) = Postgres::start() else { return };
    let books = server.database("books");
    let (priced, mut second) = start(Some(&books));
    second.start(&priced.place);
    let place = &priced.place;
    are_one(place, ["abroad", "second"], &second.grid, "home");
    priced.agree_on_terms("0.075 USD", 4);
    let key = read_key(&Home::new(place.path("home")).gateway_key()).unwrap();
    let (grid, payer) = (priced.abroad.grid, priced.home.grid);
    let cap = priced.files.cap.replacen(&format!("URI:FOREIGN:{grid}:"), "URI:", 1);
    let cap = cap.parse::<Capability>().unwrap().verify_cap().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(async {
        let mut lanes = Vec::new();
        for (gateway, nth) in [(&priced.abroad, 1), (&second, 2)] {
            let record = GridRecord::from_bytes(&place.read("home/own.record"), &payer).unwrap();
            let record = Arc::new(move || Some(record.signed().clone()));
            let client = called_by(&priced, gateway, CallerIdentity::Grid { key: key.clone(), record }).await;
            let lane = HandLane::open(&client, grid, &cap, &key, nth).await;
            let manifest = Arc::new(client.manifest(&grid, &cap, 0, 4_096, Some(&lane)).await.unwrap());
            lanes.push((client, lane, manifest));
        }
        // Each as long as it lends something, the second one long after its account was begun.
        let mut refused = Vec::new();
        for (client, lane, manifest) in &lanes {
            refused.push(loop {
                if let Err(error) = reads(client, lane, (&grid, &cap), manifest).await {
                    break error.refusal().cloned().unwrap_or_else(|| panic!("{error}"));
                }
            });
        }
        refused
    });
    let owed = owed_in(books, Part::Payee, *payer.key(), *grid.key());
    // But for the other one's part of the window, 2 MiB, and the part that was refused.
    assert!((58_000_000..=75_000_000).contains(&owed), "{owed}");
    for refusal in refused {
        assert_eq!(refusal.status, 402, "{}", refusal.detail);
        assert!(refusal.detail.contains("are owed and not settled"), "{}", refusal.detail);
    }
}
