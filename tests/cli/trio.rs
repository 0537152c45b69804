//! Three grids, each a node of the program, at any time: one pays, one is paid, and the third keeps their books. What gateways at
//! work would have delivered is written into the books by hand.

use crate::place::{Ended, Place, eventually};
use crate::priced::{Node, ok};
use crate::signed_lane::{self, voucher};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience, read_key};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::tariff::wire::{LaneOpen, LaneOpenBody, Terms};
use lafs_clearinghouse::units::{PricePerGib, Seconds, UnixSeconds};
use serde_json::Value;
use std::fs;
use std::sync::Arc;

pub(crate) const GIB: u64 = 1 << 30;
/// 0.02 USD for each GiB.
pub(crate) const PRICE: PricePerGib = PricePerGib(20_000_000);
/// What a GiB comes to.
pub(crate) const CENTS: u64 = 20_000_000;

/// The names of the three, and of their folders.
pub(crate) const ALL: [&str; 3] = ["third", "payee", "payer"];

pub(crate) struct Trio {
    nodes: [Node; 3],
    pub(crate) place: Place,
    /// How far ahead of the machine's their clocks are.
    ahead: i64,
}

/// A lane that is not opened yet.
pub(crate) struct NewLane<'t> {
    pub(crate) payer: &'static str,
    pub(crate) payee: &'static str,
    pub(crate) terms: &'t Terms,
    /// Two lanes differ in it.
    pub(crate) nth: u8,
    pub(crate) price: PricePerGib,
    pub(crate) opened_at: UnixSeconds,
    pub(crate) lasts: Seconds,
}

impl<'t> NewLane<'t> {
    /// Opened now, for a day, at the usual price.
    pub(crate) fn between(payer: &'static str, payee: &'static str, terms: &'t Terms, nth: u8) -> Self {
        let (opened_at, lasts) = (Clock::system().now(), Seconds::hours(24));
        Self { payer, payee, terms, nth, price: PRICE, opened_at, lasts }
    }
}

impl Trio {
    /// All three run, and know each other.
    pub(crate) fn start() -> Self {
        let place = Place::new();
        fs::create_dir_all(place.path("tahoe/private")).unwrap();
        let rate = format!("0.02 USD/GiB until {}", date(Clock::system().now().plus(Seconds::days(300))));
        let words = ["--tahoe-node", "tahoe", "--rate", &rate];
        let mut third = Node::init(&place, "third", 73, &words);
        third.start_at(0, &place);
        let begin = eventually("an address", || {
            let status = place.run("status -d third --json");
            let addr = (status.status == 0).then(|| status.json())?["addrs"][0].as_str()?.to_owned();
            Some(addr)
        });
        let words = [&words[..], &["--bootstrap", &begin]].concat();
        let mut nodes = [third, Node::init(&place, "payee", 72, &words), Node::init(&place, "payer", 71, &words)];
        nodes[1..].iter_mut().for_each(|node| node.start_at(0, &place));
        let trio = Self { nodes, place, ahead: 0 };
        trio.find_each_other();
        trio
    }

    /// Waits until each is told of both others where their gateways are.
    pub(crate) fn find_each_other(&self) {
        for dir in ALL {
            for node in self.nodes.iter().filter(|node| node.dir != dir) {
                eventually("a record with a gateway", || {
                    let found = self.place.run(&format!("resolve {} -d {dir} --json", node.grid));
                    (found.status == 0).then(|| found.json()).filter(|found| found.to_string().contains("/gateway#v=1"))
                });
            }
        }
    }

    pub(crate) fn grid(&self, dir: &str) -> GridId {
        self.node(dir).grid
    }

    fn node(&self, dir: &str) -> &Node {
        self.nodes.iter().find(|node| node.dir == dir).unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, dir: &str) {
        self.nodes.iter_mut().find(|node| node.dir == dir).unwrap().kill();
    }

    /// Starts a node that was killed, at the time that it is.
    pub(crate) fn revive(&mut self, dir: &str) {
        let node = self.nodes.iter_mut().find(|node| node.dir == dir).unwrap();
        node.start_at(self.ahead, &self.place);
    }

    /// `kill -9`, and started again.
    pub(crate) fn crash(&mut self, dir: &str) {
        self.kill(dir);
        self.revive(dir);
        self.find_each_other();
    }

    /// It is so much later than the machine thinks, for all three and for what is typed. Whoever was killed is started.
    pub(crate) fn set_ahead(&mut self, ahead: Seconds) {
        self.type_ahead(ahead);
        for node in &mut self.nodes {
            match node.running {
                Some(_) => node.is_ahead(self.ahead, &self.place),
                None => node.start_at(self.ahead, &self.place),
            }
        }
        self.find_each_other();
    }

    /// So much later for what is typed alone: for commands that read books.
    pub(crate) fn type_ahead(&mut self, ahead: Seconds) {
        self.ahead = i64::try_from(ahead.0).unwrap();
    }

    /// The time that it is.
    pub(crate) fn now(&self) -> UnixSeconds {
        Clock::with_offset(self.ahead).now()
    }

    /// What somebody types now.
    pub(crate) fn types(&self, words: &[&str]) -> Ended {
        Ended::of(self.place.command_at(self.ahead, words).output().unwrap())
    }

    /// The same, parted at spaces.
    pub(crate) fn run(&self, line: &str) -> Ended {
        self.types(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Both sign terms by which one pays the other and the third keeps the books.
    pub(crate) fn agree(&self, payer: &str, payee: &str, more: &[&str]) -> Terms {
        let (grid, third) = (self.grid(payee).to_string(), self.grid("third").to_string());
        let (proposal, agreed) = (format!("{payer}-{payee}.proposal"), format!("{payer}-{payee}.terms"));
        let words = ["terms", "propose", &grid, "--pays", "we", "--credit", "10 USD", "-o", &proposal, "-d", payer];
        ok(self.types(&[&words[..], &["--clearing", &third], more].concat()));
        ok(self.types(&["terms", "accept", &proposal, "-o", &agreed, "-d", payee]));
        ok(self.types(&["terms", "accept", &agreed, "-o", &agreed, "-d", payer]));
        Terms::from_bytes(&self.place.read(&agreed)).unwrap()
    }

    fn home(&self, dir: &str) -> Home {
        Home::new(self.place.path(dir))
    }

    /// The key of a gateway.
    pub(crate) fn key(&self, dir: &str) -> SecretKey {
        read_key(&self.home(dir).gateway_key()).unwrap()
    }

    /// The record that a node has signed last.
    pub(crate) fn record(&self, dir: &str) -> GridRecord {
        GridRecord::from_bytes(&self.place.read(&format!("{dir}/own.record")), &self.grid(dir)).unwrap()
    }

    /// A lane, at the price of the payee's record as it is.
    pub(crate) fn lane(&self, new: &NewLane<'_>) -> LaneOpen {
        let (payer, payee) = (self.key(new.payer), self.key(new.payee));
        let (grids, at) = ((self.grid(new.payer), self.grid(new.payee)), new.opened_at);
        let body = LaneOpenBody {
            evidence: Some(self.record(new.payee).signed().identity()),
            terms: Some(new.terms.identity()),
            not_after: at.plus(new.lasts),
            ..signed_lane::body((grids.0, &payer), (grids.1, &payee), new.price, new.nth, at)
        };
        signed_lane::signed(&body, &payer, &payee)
    }

    /// Writes into the books of `dir`, which must not run.
    pub(crate) fn write<T>(&self, dir: &str, act: impl AsyncFnOnce(&Ledger, UnixSeconds) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let now = self.now();
        runtime.block_on(async {
            let ledger = Ledger::open(Location::Sqlite(self.home(dir).ledger()), now).await.unwrap();
            let done = act(&ledger, now).await;
            ledger.close().await;
            done
        })
    }

    /// What `look` finds in the books of `dir`.
    pub(crate) fn read<T>(&self, dir: &str, look: impl AsyncFnOnce(&Ledger) -> T) -> T {
        crate::priced::read(&self.home(dir).ledger(), look)
    }

    /// One side has a lane and the acknowledgement of so many octets of it in its books: it is stopped for that, and started again.
    pub(crate) fn has_vouched(&mut self, dir: &'static str, part: Part, lane: &LaneOpen, octets: u64) {
        let payee = if part == Part::Payee { dir } else { self.nodes_name(&lane.body().payee) };
        let record = self.record(payee);
        self.kill(dir);
        self.write(dir, async |ledger, now| {
            // A gateway at work keeps what gives a lane its price: the record is another one after the next start.
            if Some(record.signed().identity()) == lane.body().evidence {
                ledger.keep(record.signed(), now).await.unwrap();
            }
            ledger.open_lane(part, lane.clone(), now).await.unwrap();
            ledger.voucher(part, voucher(lane, octets), Vec::new(), now).await.unwrap();
        });
        self.revive(dir);
    }

    /// Both sides have it.
    pub(crate) fn deliver(&mut self, new: &NewLane<'_>, octets: u64) -> LaneOpen {
        let lane = self.lane(new);
        for (dir, part) in [(new.payer, Part::Payer), (new.payee, Part::Payee)] {
            self.has_vouched(dir, part, &lane, octets);
        }
        self.find_each_other();
        lane
    }

    fn nodes_name(&self, grid: &GridId) -> &'static str {
        self.nodes.iter().find(|node| node.grid == *grid).unwrap().dir
    }

    /// A session of one's gateway with another's, as it has them itself.
    pub(crate) async fn session(&self, caller: &str, at: &str) -> GatewayClient {
        let record = self.record(caller).signed().clone();
        let me = CallerIdentity::Grid { key: self.key(caller), record: Arc::new(move || Some(record.clone())) };
        let nurl = ok(self.run(&format!("gateway url -d {at}"))).stdout.trim().parse().unwrap();
        let place = GatewayPlace { nurl, grid: self.grid(at), named: Named::ByUser };
        let guard = DialGuard::new(PrivateAddresses::Allowed);
        GatewayClient::connect(place, me, Clock::with_offset(self.ahead), guard, Patience::WITH_HOME).await.unwrap()
    }

    /// What `dir` prints as statements once it has claimed and fetched what there is; with what it complains of.
    pub(crate) fn statements(&self, dir: &str) -> (Vec<Value>, String) {
        let line = format!("statement --now --period 2020-01-01..2099-01-01 -d {dir} --json");
        let printed = ok(self.run(&line));
        (printed.json()["statements"].as_array().unwrap().clone(), printed.stderr)
    }

    /// The statement of `dir` with `other`, once there is one and `holds` of it.
    #[track_caller]
    pub(crate) fn bill(&self, dir: &str, other: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.bill_of(dir, [dir, other], holds)
    }

    /// The same between two whose books `dir` keeps, or is one of.
    #[track_caller]
    pub(crate) fn bill_of(&self, dir: &str, between: [&str; 2], holds: impl Fn(&Value) -> bool) -> Value {
        let two = between.map(|dir| self.grid(dir).to_string());
        eventually("a statement", || {
            let (statements, told) = self.statements(dir);
            let is_between = |bill: &&Value| {
                let pair = [&bill["creditor"], &bill["debtor"]];
                two.iter().all(|grid| pair.contains(&&Value::from(grid.as_str())))
            };
            let found = statements.iter().find(is_between).filter(|bill| holds(bill)).cloned();
            if found.is_none() {
                // What is printed of a test that fails.
                println!("{dir}, of {between:?}: {statements:?} {told}");
            }
            found
        })
    }

    /// What one owes another by the books of `keeper`.
    pub(crate) fn owed(&self, keeper: &str, part: Part, debtor: &str, creditor: &str) -> i128 {
        let (debtor, creditor) = (*self.grid(debtor).key(), *self.grid(creditor).key());
        crate::priced::owed(&self.home(keeper).ledger(), part, debtor, creditor)
    }

    /// All books are as they were signed.
    pub(crate) fn are_proved(&self) {
        for dir in ALL {
            ok(self.run(&format!("ledger verify -d {dir}")));
        }
    }
}

/// What so many GiB come to, as statements say it.
pub(crate) fn cents(gibs: u64) -> Value {
    Value::from((gibs * CENTS).to_string())
}

/// The day of a time, as commands take one.
pub(crate) fn date(time: UnixSeconds) -> String {
    time.to_string()[..10].to_owned()
}
