//! Two gateways of one grid that keep one ledger in PostgreSQL, each a program that runs: what they give a client, a group, and of
//! another grid stays within one quota, whichever of them is asked, in turn and at once, and though one of them is killed.

use crate::place::{Ended, Place, eventually};
use crate::postgres::Postgres;
use crate::priced::{Node, POLICY, Priced, key, ok};
use crate::quotas::{client_of, purse_of, read_all, session_of, used};
use futures::StreamExt;
use lafs_clearinghouse::clearing::Purse;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::{GridId, PublicKey};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::peer::{GatewayClient, GatewayPlace, Named, Payer, PeerError};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::reader::{CapPath, Target};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::units::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Barrier;

const MIB: u64 = 1 << 20;
const UNIT: u64 = 131_072;
/// How many read at once at each gateway.
const READERS: usize = 4;
/// What a home's gateway does.
const SPENDS: &str = "spend+terms";
/// What a test gives, of which eight readers would have four times as much.
const QUOTA: u64 = 4_000_000;

/// The grids of [`Priced`], of which the first has a second gateway, and both of its gateways one ledger.
struct Two {
    second: Node,
    priced: Priced,
    file: Target,
    books: Location,
    _server: Postgres,
}

/// Settings as they are with these lines, which may stand in them as comments.
pub(crate) fn set(place: &Place, dir: &str, lines: &[(&str, String)]) {
    let file = format!("{dir}/clearinghouse.toml");
    let mut text = String::from_utf8(place.read(&file)).unwrap();
    for (key, value) in lines {
        let old = text.lines().find(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = "))).unwrap();
        text = text.replace(old, &format!("{key} = {value}"));
    }
    place.write(&file, text);
}

/// A gateway as the record is to name it.
pub(crate) fn entry(place: &Place, dir: &str, roles: &str) -> String {
    let nurl = ok(place.run(&format!("gateway url -d {dir}"))).stdout;
    let key = read_key(&Home::new(place.path(dir)).gateway_key()).unwrap().public();
    format!("\"{},key={key},roles={roles},limit=10 USD\"", nurl.trim())
}

/// What `debtor` owes `creditor` in US dollars by these books.
pub(crate) fn owed_in(books: Location, part: Part, debtor: PublicKey, creditor: PublicKey) -> i128 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open_reading(books).await.unwrap();
        let owed = ledger.owed(part, debtor, creditor, Asset::from_code("USD").unwrap()).await.unwrap();
        ledger.close().await;
        owed
    })
}

/// Waits until two nodes of a grid show one record that names both, which `reader` finds too.
#[track_caller]
pub(crate) fn are_one(place: &Place, two: [&str; 2], grid: &GridId, reader: &str) {
    eventually("one record of both gateways, which everybody has and shows", || {
        let own = std::fs::read(place.path(&format!("{}/own.record", two[1]))).ok()?;
        let record = GridRecord::from_bytes(&own, grid).unwrap();
        let names_both = record.gateways().len() == 2 && record.nodes().len() == 2;
        let status = two.map(|dir| format!("status -d {dir} --json"));
        let found = format!("resolve {grid} -d {reader} --json");
        let mut says = status.iter().chain([&found]).map(|line| place.run(line));
        let is_it = |it: Ended| it.status == 0 && it.json()["sequence"] == record.signed().sequence();
        (names_both && says.all(is_it)).then_some(())
    });
}

impl Two {
    /// None where there is no PostgreSQL.
    fn start() -> Option<Self> {
        let server = Postgres::start()?;
        let books = server.database("books");
        let place = Place::new();
        let Location::Postgres(url) = books.clone() else { panic!("a database") };
        let words = ["--rate", "free", "--credit-limit", "10 USD", "--ledger", &url];
        let mut second = Node::init(&place, "second", 61, &words);
        let other = entry(&place, "second", SPENDS);
        let priced = Priced::in_segments_with(place, 2 << 20, Bytes(UNIT), "5 USD/GiB", |node, place| {
            if node.dir == "home" {
                let gateways = format!("[{}, {other}]", entry(place, "home", SPENDS));
                set(place, "home", &[("ledger", format!("{url:?}")), ("gateway", gateways)]);
            }
            node.start(place);
        });
        let place = &priced.place;
        priced.join("you");
        for client in ["me", "you"] {
            let key = key(place, client).public();
            ok(place.run(&format!("client add {client} {key} -d home --groups staff")));
        }
        std::fs::create_dir_all(place.path("second/members")).unwrap();
        for member in std::fs::read_dir(place.path("home/members")).unwrap() {
            let member = member.unwrap();
            std::fs::copy(member.path(), place.path("second/members").join(member.file_name())).unwrap();
        }
        let begin = ok(place.run("status -d home --json")).json()["addrs"][0].clone();
        let gateways = format!("[{}, {other}]", entry(place, "home", SPENDS));
        set(place, "second", &[("gateway", gateways), ("bootstrap", format!("[{begin}]"))]);
        place.write("second/policy.toml", POLICY);
        second.start(place);
        eventually("the record of the other grid", || {
            let found = place.run(&format!("resolve {} -d second --json", priced.abroad.grid));
            (found.status == 0).then(|| found.json()).filter(|answer| answer.to_string().contains("/gateway#v=1"))
        });
        are_one(place, ["home", "second"], &second.grid, "abroad");
        let file = CapPath::parse(&priced.files.cap, &priced.home.grid).unwrap().target;
        Some(Self { second, priced, file, books, _server: server })
    }

    fn gateway(&self, dir: &str) -> GatewayPlace {
        let nurl = ok(self.priced.place.run(&format!("gateway url -d {dir}"))).stdout;
        GatewayPlace { nurl: nurl.trim().parse().unwrap(), grid: self.priced.home.grid, named: Named::ByUser }
    }

    fn client(&self, name: &str) -> Home {
        Home::new(self.priced.place.path(name))
    }

    /// Both gateways give this much from now on.
    fn gives(&self, quota: &str, amount: &str) {
        for dir in ["home", "second"] {
            self.priced.place.write(&format!("{dir}/policy.toml"), format!("{POLICY}{quota} = [\"{amount}/day\"]\n"));
        }
    }

    fn usage(&self) -> Value {
        ok(self.priced.place.run("usage -d home --json")).json()
    }

    /// The octets that went to clients, and what they are charged.
    fn to_clients(&self) -> (u64, u64) {
        let usage = self.usage();
        let lines = usage["lines"].as_array().unwrap().iter().filter(|line| line["direction"] == "to_client");
        let money = lines.map(|line| line["charge"]["amount"].as_str().unwrap().parse::<u64>().unwrap()).sum();
        (used(&usage).0, money)
    }

    /// `one` reads through the first gateway and `another` through the second, several times each and at once.
    async fn at_once(&self, one: &str, another: &str, books: &str) {
        let (one, another) = (self.client(one), self.client(another));
        let names = [format!("{books}-home"), format!("{books}-second")];
        let barrier = Arc::new(Barrier::new(2 * READERS));
        futures::join!(
            read_all(self.gateway("home"), (&one, &names[0]), &self.file, READERS, Arc::clone(&barrier)),
            read_all(self.gateway("second"), (&another, &names[1]), &self.file, READERS, barrier),
        );
    }

    /// `one` reads through the first and `another` through the second, in turn, until both are refused what a quota leaves.
    async fn in_turn(&self, one: &str, another: &str, books: &str) {
        let mut readers = Vec::new();
        for (dir, client) in [("home", one), ("second", another)] {
            readers.push(client_of(self.gateway(dir), &self.client(client), &format!("{books}-{dir}")).await);
        }
        let mut refused = [false; 2];
        for turn in (0..2).cycle() {
            refused[turn] |= reads_until_refused(&readers[turn], &self.file).await;
            if refused == [true; 2] {
                break;
            }
        }
        for (_, purse) in readers {
            purse.close().await;
        }
    }

    /// All books agree with what was signed, and what the first grid owes is the same on both sides.
    fn agrees(&self) {
        let (home, abroad) = (*self.priced.home.grid.key(), *self.priced.abroad.grid.key());
        let theirs = Location::Sqlite(Home::new(self.priced.place.path("abroad")).ledger());
        let owed = |books: &Location, part| owed_in(books.clone(), part, home, abroad);
        eventually("the books agree", || {
            let (ours, theirs) = (owed(&self.books, Part::Payer), owed(&theirs, Part::Payee));
            (ours == theirs && ours > 0).then_some(())
        });
        for dir in ["home", "second", "abroad"] {
            ok(self.priced.place.run(&format!("ledger verify -d {dir}")));
        }
    }
}

/// Reads the file; whether what is left is refused. What is held by others is waited for.
async fn reads_until_refused((client, purse): &(GatewayClient, Purse), file: &Target) -> bool {
    let payer: Arc<dyn Payer> = Arc::new(purse.clone());
    loop {
        match reads(client, file, &payer).await {
            Ok(()) => return false,
            Err(error) => match error.refusal() {
                Some(refusal) if refusal.status == 429 => {}
                Some(refusal) => {
                    assert_eq!(refusal.status, 403, "{}", refusal.detail);
                    return true;
                }
                None => panic!("{error}"),
            },
        }
    }
}

async fn reads(client: &GatewayClient, file: &Target, payer: &Arc<dyn Payer>) -> Result<(), PeerError> {
    let manifest = Arc::new(client.manifest(file.grid(), file.cap(), 0, 4_096, Some(&**payer)).await?);
    let all = manifest.units();
    let mut units = client.units(file.grid(), file.cap(), manifest, all, Some(Arc::clone(payer)))?;
    while let Some(unit) = units.next().await {
        unit?;
    }
    Ok(())
}

#[test]
fn gateways_that_share_a_ledger_keep_every_quota_together() {
    let Some(two) = Two::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let usd = Asset::from_code("USD").unwrap();
    // What is left over is less than a unit and what verifies it, and what each of them could not use of it at once.
    let is_kept = |counted: u64, limit: u64, leaves: u64, what: &str| {
        assert!(counted <= limit, "{what}: {counted} of {limit}: {}", two.usage());
        assert!(counted > limit - leaves, "{what}: {counted} of {limit}: {}", two.usage());
    };
    let read = |one: &str, another: &str, name: &str| {
        runtime.block_on(two.at_once(one, another, name));
        runtime.block_on(two.in_turn(one, another, &format!("{name}-in-turn")));
    };

    two.gives("client-quota", &format!("{QUOTA} B"));
    read("me", "me", "octets");
    is_kept(two.to_clients().0, QUOTA, 2 * UNIT, "a client's quota of octets");

    let limit = two.to_clients().1 + 20_000_000;
    two.gives("client-quota", &format!("{} USD", usd.decimal(limit)));
    read("me", "me", "money");
    // A unit comes to 0.00062 USD.
    is_kept(two.to_clients().1, limit, 1_300_000, "a client's quota of money");

    let limit = two.to_clients().0 + QUOTA;
    two.gives("group-quota", &format!("{limit} B"));
    read("me", "you", "group");
    is_kept(two.to_clients().0, limit, 2 * UNIT, "a group's quota");

    let limit = used(&two.usage()).1 + QUOTA;
    two.gives("grid-ceiling", &format!("{limit} B"));
    read("me", "you", "ceiling");
    is_kept(used(&two.usage()).1, limit, 4 * UNIT, "a grid's ceiling");
    two.agrees();
}

#[test]
fn what_a_gateway_that_was_killed_had_under_way_is_not_given_again_by_the_other() {
    let Some(mut two) = Two::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    two.gives("client-quota", &format!("{QUOTA} B"));
    // It is killed when so much has come to the client, some of which nobody has acknowledged.
    two.second.wire.lets_through(MIB as usize);
    let (home, second) = (two.gateway("home"), two.gateway("second"));
    let me = two.client("me");
    let reading = runtime.block_on(client_of(second.clone(), &me, "killed"));
    let task = runtime.spawn({
        let (client, payer) = (reading.0.clone(), Arc::new(reading.1.clone()) as Arc<dyn Payer>);
        let file = two.file.clone();
        async move { reads(&client, &file, &payer).await }
    });
    eventually("it is held", || two.second.wire.holds().then_some(()));
    two.second.kill();
    runtime.block_on(task).unwrap().unwrap_err();
    // What came through the first one meanwhile, until it refuses more: what is held elsewhere counts for five minutes.
    let at_home = runtime.block_on(client_of(home, &me, "at-home"));
    let mut refused = 0;
    while refused == 0 {
        let payer: Arc<dyn Payer> = Arc::new(at_home.1.clone());
        refused = match runtime.block_on(reads(&at_home.0, &two.file, &payer)) {
            Ok(()) => 0,
            Err(error) => error.refusal().unwrap_or_else(|| panic!("{error}")).status,
        };
    }
    assert_eq!(refused, 429, "held by one that may come back");
    let before = two.to_clients().0;
    assert!(before < QUOTA, "{before}");

    // It comes back, and its client acknowledges what it had.
    two.second.wire.open();
    two.second.start(&two.priced.place);
    runtime.block_on(async {
        reading.1.close().await;
        let again = (session_of(second, &me).await, purse_of(reading.1.ledger().clone(), &me));
        reads_until_refused(&again, &two.file).await;
        again.1.close().await;
        reads_until_refused(&at_home, &two.file).await;
        at_home.1.close().await;
    });
    let (after, _) = two.to_clients();
    assert!(after > before && after <= QUOTA, "{before}, then {after} of {QUOTA}");
    two.agrees();
}
