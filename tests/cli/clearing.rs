//! Terms, statements and payments, typed at three nodes: one is paid, one pays, and the third keeps their books.

use crate::place::{Place, Running, eventually};
use crate::priced::ok;
use crate::signed_lane;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::tariff::wire::{LaneOpenBody, Terms};
use lafs_clearinghouse::units::PricePerGib;

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses --gateway-listen 127.0.0.1:0";
const PRICE: PricePerGib = PricePerGib(20_000_000);

/// The address of a running node for others to begin with.
fn address(place: &Place, dir: &str) -> String {
    eventually("an address", || {
        let status = place.run(&format!("status -d {dir} --json"));
        let found = (status.status == 0).then(|| status.json())?["addrs"][0].as_str()?.to_owned();
        Some(found)
    })
}

fn start(place: &Place, dir: &str) -> Running {
    let mut running = place.start(dir);
    eventually("the node answers", || {
        // The port that it had before may be the near end of somebody's connection for a moment.
        if running.has_ended() {
            let log = String::from_utf8_lossy(&place.read(&format!("{dir}.log"))).into_owned();
            assert!(log.contains("Address already in use"), "{log}");
            running = place.start(dir);
        }
        (place.run(&format!("status -d {dir}")).status == 0).then_some(())
    });
    running
}

/// Both have acknowledged a gibibyte on a lane under these terms, as gateways at work would have.
fn deliver(place: &Place, payer: GridId, payee: GridId) {
    let home = |dir: &str| Home::new(place.path(dir));
    let terms = Terms::from_bytes(&place.read("agreed.terms")).unwrap();
    let record = GridRecord::from_bytes(&place.read("payee/own.record"), &payee).unwrap();
    let key = |dir: &str| read_key(&home(dir).gateway_key()).unwrap();
    let (now, payer_key, payee_key) = (Clock::system().now(), key("payer"), key("payee"));
    let body = LaneOpenBody {
        evidence: Some(record.signed().identity()),
        terms: Some(terms.identity()),
        ..signed_lane::body((payer, &payer_key), (payee, &payee_key), PRICE, 3, now)
    };
    let lane = signed_lane::signed(&body, &payer_key, &payee_key);
    let voucher = signed_lane::voucher(&lane, 1 << 30);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (dir, part) in [("payer", Part::Payer), ("payee", Part::Payee)] {
        runtime.block_on(async {
            let ledger = Ledger::open(Location::Sqlite(home(dir).ledger()), now).await.unwrap();
            // A gateway at work keeps what gives a lane its price: the record is another one after the next start.
            ledger.keep(record.signed(), now).await.unwrap();
            ledger.open_lane(part, lane.clone(), now).await.unwrap();
            ledger.voucher(part, voucher.clone(), Vec::new(), now).await.unwrap();
            ledger.close().await;
        });
    }
}

#[test]
fn three_operators_agree_settle_and_are_paid() {
    let place = Place::new();
    let third = place.grid_manager("gm3", 63);
    let payee = place.grid_manager("gm2", 62);
    let payer = place.grid_manager("gm1", 61);
    std::fs::create_dir_all(place.path("tahoe/private")).unwrap();
    ok(place.run(&format!("init third --grid-manager gm3 --rate free {LOCAL}")));
    let clearing = start(&place, "third");
    let begin = format!("--bootstrap {}", address(&place, "third"));
    ok(place.run_words(
        format!("init payee --grid-manager gm2 --tahoe-node tahoe {LOCAL} {begin} --rate")
            .split(' ')
            .chain(["0.02 USD/GiB"]),
    ));
    ok(place.run(&format!("init payer --grid-manager gm1 --rate free {LOCAL} {begin}")));
    let (at_payee, at_payer) = (start(&place, "payee"), start(&place, "payer"));
    for (dir, grid) in [("payer", payee), ("payer", third), ("payee", payer), ("payee", third), ("third", payee)] {
        eventually("a record with a gateway", || {
            let found = place.run(&format!("resolve {grid} -d {dir} --json"));
            (found.status == 0).then(|| found.json()).filter(|answer| answer.to_string().contains("/gateway#v=1"))
        });
    }

    let words = format!("terms propose {payee} --pays we --clearing {third} -o proposal -d payer --credit");
    let proposed = ok(place.run_words(words.split(' ').chain(["10 USD"])));
    assert!(proposed.stdout.contains("proposed: the other grid has yet to accept"), "{}", proposed.stdout);
    // Who is no party does not accept them.
    assert_eq!(place.run("terms accept proposal -o other.terms -d third").status, 4);
    ok(place.run("terms accept proposal -o agreed.terms -d payee"));
    ok(place.run("terms accept agreed.terms -o agreed.terms -d payer"));
    let listed = ok(place.run("terms list -d payer --json")).json();
    assert_eq!(
        (&listed["terms"][0]["standing"], &listed["terms"][0]["credit_limit"]),
        (&"agreed".into(), &"10000000000".into())
    );

    for node in [at_payee, at_payer] {
        node.signal("KILL");
    }
    deliver(&place, payer, payee);
    let (at_payee, at_payer) = (start(&place, "payee"), start(&place, "payer"));
    let settled = |dir: &str| {
        eventually("a statement", || {
            let statement = place.run(&format!("statement --now -d {dir} --json"));
            (statement.status == 0).then(|| statement.json()).filter(|found| found["statements"][0].is_object())
        })
    };
    let bill = settled("payee")["statements"][0].clone();
    assert_eq!(bill, settled("payer")["statements"][0]);
    assert_eq!(bill, settled("third")["statements"][0]);
    assert_eq!(
        (&bill["charged"], &bill["asset"], &bill["scale"]),
        (&"20000000".into(), &"USD".into(), &9.into()),
        "{bill}"
    );
    assert_eq!((&bill["payable"], &bill["carried"]), (&"20000000".into(), &"0".into()));
    let csv = ok(place.run("statement --csv -d payer")).stdout;
    assert!(csv.lines().nth(1).unwrap().ends_with(",1073741824,USD,9,20000000"), "{csv}");
    let text = ok(place.run(&format!("statement {payee} -d payer"))).stdout;
    assert!(text.contains("payable          0.02 USD"), "{text}");

    // So that the others find it again where it was.
    let config = String::from_utf8(place.read("third/clearinghouse.toml")).unwrap();
    let port = begin.split('/').nth(4).unwrap().to_owned();
    let nurl = ok(place.run("gateway url -d third")).stdout;
    let gateway = nurl.split_once("127.0.0.1:").unwrap().1.split('/').next().unwrap();
    let config = config.replace("\nlisten = \"127.0.0.1:0\"", &format!("\nlisten = \"127.0.0.1:{port}\""));
    let config =
        config.replace("\ngateway-listen = \"127.0.0.1:0\"", &format!("\ngateway-listen = \"127.0.0.1:{gateway}\""));
    place.write("third/clearinghouse.toml", config);
    // The clearing node is killed between the payment and its being told; the payment waits, and comes through.
    clearing.signal("KILL");
    drop(clearing);
    let words = format!("statement paid {payer} -d payee --reference RF18-5390 -- ");
    let paid = ok(place.run_words(words.trim_end_matches(" -- ").split(' ').chain(["0.02 USD"])));
    assert!(paid.stdout.contains("In the books: payment"), "{}", paid.stdout);
    let _clearing = start(&place, "third");
    for dir in ["payee", "payer"] {
        eventually("nothing is due any more", || {
            let bill = settled(dir)["statements"][0].clone();
            (bill["payable"] == "0" && bill["settled"] == "20000000").then_some(())
        });
        ok(place.run(&format!("ledger verify -d {dir}")));
    }
    // Ended terms are over for both.
    let id = listed["terms"][0]["identity"].as_str().unwrap();
    let ended = ok(place.run_words(["terms", "end", &id[..16], "--reason", "enough", "-d", "payee"]));
    assert!(ended.stdout.contains(&format!("Told {payer}")), "{}", ended.stdout);
    assert_eq!(ok(place.run("terms list -d payer --json")).json()["terms"][0]["standing"], "ended");
    assert_eq!((at_payee.terminate(), at_payer.terminate()), (0, 0));
}
