//! Two grids, of which one asks for money, and a client of the other one: nodes of the real program on loopback, each gateway
//! behind a wire that lets through what a test says.

use crate::grid_files::GridFiles;
use crate::place::{Ended, Place, Running, at_rest, eventually, set_clock};
use crate::valve::Valve;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::ShareCounts;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::Home;
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::{GridId, PublicKey, SecretKey};
use lafs_clearinghouse::lafs::immutable::ChkEncoding;
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::peer::{DialGuard, Named, ask_gateway};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::tariff::wire::{LaneId, Terms};
use lafs_clearinghouse::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What the first grid's rules are before a test changes them: everybody may have everything, at what it costs abroad.
pub(crate) const POLICY: &str = "\
accept-terms-up-to = [\"10 USD\"]
[retail]
asset = \"USD\"
markup = \"0 %\"
[retail.conversions]
USD = \"1\"
[[rule]]
name = \"everybody\"
action = \"allow\"
";

/// The two grids and the client, whose folder is `me`.
pub(crate) struct Priced {
    /// Between the client and the first grid's gateway; other grids go another way.
    pub(crate) wire: Valve,
    pub(crate) home: Node,
    pub(crate) abroad: Node,
    pub(crate) files: GridFiles,
    pub(crate) place: Place,
}

/// A node of the program, and the wire before its gateway.
pub(crate) struct Node {
    pub(crate) dir: &'static str,
    pub(crate) grid: GridId,
    pub(crate) wire: Valve,
    pub(crate) running: Option<Running>,
}

impl Priced {
    /// The file on the second grid has `size` octets; each GiB costs `price`.
    pub(crate) fn start(size: usize, price: &str) -> Self {
        Self::with(Place::new(), size, price, Node::start)
    }

    /// The same, of which `start` starts each node.
    pub(crate) fn with(place: Place, size: usize, price: &str, start: impl Fn(&mut Node, &Place)) -> Self {
        let files = GridFiles::store(&SecretKey::from_seed(&[62; 32]), &place.path("tahoe"), size);
        Self::of(place, files, price, start)
    }

    /// The same of a file that was stored in segments of so many octets.
    pub(crate) fn in_segments(size: usize, segment: Bytes, price: &str) -> Self {
        Self::in_segments_with(Place::new(), size, segment, price, Node::start)
    }

    /// The same, of which `start` starts each node.
    pub(crate) fn in_segments_with(
        place: Place,
        size: usize,
        segment: Bytes,
        price: &str,
        start: impl Fn(&mut Node, &Place),
    ) -> Self {
        let encoding = ChkEncoding { max_segment: segment, ..ChkEncoding::new(ShareCounts::new(1, 3).unwrap()) };
        let manager = SecretKey::from_seed(&[62; 32]);
        let files = GridFiles::store_as(&manager, &place.path("tahoe"), size, encoding);
        Self::of(place, files, price, start)
    }

    fn of(place: Place, files: GridFiles, price: &str, start: impl Fn(&mut Node, &Place)) -> Self {
        let mut home = Node::init(&place, "home", 61, &["--rate", "free", "--credit-limit", "10 USD"]);
        place.write("home/policy.toml", POLICY);
        start(&mut home, &place);
        let begin = status(&place, "home")["addrs"][0].as_str().unwrap().to_owned();
        let mut abroad = Node::init(
            &place,
            "abroad",
            62,
            &["--tahoe-node", "tahoe", "--credit-limit", "10 USD", "--rate", price, "--bootstrap", &begin],
        );
        start(&mut abroad, &place);
        eventually("the record of the other grid", || {
            let found = place.run(&format!("resolve {} -d home --json", abroad.grid));
            (found.status == 0).then(|| found.json()).filter(|answer| answer.to_string().contains("/gateway#v=1"))
        });
        // And the other way round: who is lent something is looked up.
        eventually("the record of the first grid", || {
            (place.run(&format!("resolve {} -d abroad --json", home.grid)).status == 0).then_some(())
        });
        let priced = Self { wire: Valve::to(home.wire.addr), home, abroad, files, place };
        priced.join("me");
        priced
    }

    /// Makes `client` a client of the first grid.
    pub(crate) fn join(&self, client: &str) {
        let nurl = ok(self.place.run("gateway url -d home")).stdout;
        let nurl = nurl.replace(&self.home.wire.addr.to_string(), &self.wire.addr.to_string());
        let joined = ok(self.place.run(&format!("join {} -d {client} --json", nurl.trim()))).json();
        ok(self.place.run(&format!("client add {client} {} -d home", joined["key"].as_str().unwrap())));
    }

    /// The words of `get` for the file.
    pub(crate) fn words<'w>(&'w self, client: &'w str, output: &'w str) -> [&'w str; 8] {
        ["get", &self.files.cap, "-o", output, "-d", client, "--max-price", "100 USD"]
    }

    /// `get` of the file, to its end.
    pub(crate) fn get(&self, output: &str) -> Ended {
        self.place.run_words(self.words("me", output))
    }

    /// The same, begun.
    pub(crate) fn begin(&self, output: &str) -> Getting {
        self.begin_as("me", output)
    }

    pub(crate) fn begin_as(&self, client: &str, output: &str) -> Getting {
        Getting::spawn(self.place.command(self.words(client, output)))
    }

    /// Begins to get the file, of which so many octets come over `wire` and no more.
    #[track_caller]
    pub(crate) fn begin_until(&self, wire: &Valve, output: &str, octets: usize) -> Getting {
        self.held_after(wire, octets, || self.begin(output))
    }

    /// The same of whatever `begin` begins.
    #[track_caller]
    pub(crate) fn held_after(&self, wire: &Valve, octets: usize, begin: impl Fn() -> Getting) -> Getting {
        wire.lets_through(octets);
        let mut getting = begin();
        eventually("it is held", || {
            let ended = getting.0.as_mut().unwrap().try_wait().unwrap();
            // A node that has just been started may not know the other grid yet.
            if ended.is_some_and(|status| status.code() == Some(3)) {
                getting = begin();
                return None;
            }
            (wire.holds() || ended.is_some()).then_some(())
        });
        if !wire.holds() {
            let ended = getting.ended();
            panic!("it ended with {} before that: {}", ended.status, ended.stderr);
        }
        getting
    }

    /// Both grids sign terms by which the first one pays the second: for so much credit, with a window of so many MiB. Their
    /// identity.
    pub(crate) fn agree_on_terms(&self, credit: &str, window: u64) -> String {
        self.agree_on_terms_with(credit, window, &[])
    }

    /// The same; `more` are words of `terms propose`.
    pub(crate) fn agree_on_terms_with(&self, credit: &str, window: u64, more: &[&str]) -> String {
        let place = &self.place;
        let (proposal, agreed) = (place.path("terms.proposal"), place.path("agreed.terms"));
        let _ = (std::fs::remove_file(&proposal), std::fs::remove_file(&agreed));
        let words = format!(
            "terms propose {} --pays we -o terms.proposal -d home --window {window} --credit",
            self.abroad.grid
        );
        ok(place.run_words(words.split(' ').chain([credit]).chain(more.iter().copied())));
        ok(place.run("terms accept terms.proposal -o agreed.terms -d abroad"));
        let taken = Terms::from_bytes(&place.read("agreed.terms")).unwrap();
        let _ = std::fs::remove_file(&proposal);
        ok(place.run("terms accept agreed.terms -o taken.terms -d home"));
        let _ = std::fs::remove_file(place.path("taken.terms"));
        taken.identity().to_string()
    }

    /// Whether the file is there and whole.
    #[track_caller]
    pub(crate) fn is_whole(&self, output: &str) {
        assert!(self.place.read(output) == self.files.content, "another file");
    }

    /// What the first grid owes the second, by its own books and by the other's.
    pub(crate) fn owed_abroad(&self) -> (i128, i128) {
        let (home, abroad) = (*self.home.grid.key(), *self.abroad.grid.key());
        (
            owed(&ledger(&self.place, "home"), Part::Payer, home, abroad),
            owed(&ledger(&self.place, "abroad"), Part::Payee, home, abroad),
        )
    }

    /// What a client owes the first grid, by its own books and by the grid's.
    pub(crate) fn owed_at_home(&self, client: &str) -> (i128, i128) {
        let key = key(&self.place, client).public();
        let home = *self.home.grid.key();
        let folder = Home::new(self.place.path(client)).client_ledgers();
        // There is none before anything was read.
        let books = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let books = books.filter(|path| path.extension().is_some_and(|end| end == "sqlite"));
        let own = books.map(|book| owed(&book, Part::Payer, key, home)).sum();
        (own, owed(&ledger(&self.place, "home"), Part::Payee, key, home))
    }

    /// Waits until all books agree, which are then verified; what the client and what the first grid owes.
    #[track_caller]
    pub(crate) fn agree(&self) -> (i128, i128) {
        let agreed = at_rest("the books agree", || {
            let (at_home, abroad) = (self.owed_at_home("me"), self.owed_abroad());
            (at_home.0 == at_home.1 && abroad.0 == abroad.1).then_some((at_home.0, abroad.0))
        });
        for dir in ["home", "abroad"] {
            ok(self.place.run(&format!("ledger verify -d {dir}")));
        }
        agreed
    }
}

/// A `get` that runs; killed when dropped.
pub(crate) struct Getting(Option<Child>);

impl Getting {
    pub(crate) fn spawn(mut command: Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// Sets its clock, which can be moved.
    pub(crate) fn is_ahead(&mut self, seconds: i64) {
        set_clock(self.0.as_mut().unwrap(), seconds);
    }

    /// How it ended.
    pub(crate) fn ended(mut self) -> Ended {
        Ended::of(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Getting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // SIGKILL: nothing of its own runs any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    /// Made and not started; `words` are the rest of its `init`.
    pub(crate) fn init(place: &Place, dir: &'static str, seed: u8, words: &[&str]) -> Self {
        let manager = format!("gm-{dir}");
        let grid = place.grid_manager(&manager, seed);
        let wire = Valve::to(SocketAddr::from(([127, 0, 0, 1], 9)));
        // Where it is found again after a restart. The address is this process's alone, and so is the port.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let own = Ipv4Addr::new(127, 1 + low % 250, high, seed);
        let listen = TcpListener::bind((own, 0)).unwrap().local_addr().unwrap().to_string();
        let external = wire.addr.to_string();
        let common = ["init", dir, "--grid-manager", &manager, "--listen", &listen, "--allow-private-addresses"];
        let gateway = ["--gateway-listen", "127.0.0.1:0", "--gateway-external", &external, "--network", "priced"];
        ok(place.run_words(common.iter().chain(&gateway).chain(words)));
        Self { dir, grid, wire, running: None }
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&mut self, place: &Place) {
        let running = place.start(self.dir);
        self.is_started(place, running);
    }

    /// The same at a clock so far ahead of the machine's, which can be moved.
    pub(crate) fn start_at(&mut self, ahead: i64, place: &Place) {
        let running = place.start_at(ahead, self.dir);
        self.is_started(place, running);
    }

    /// Sets its clock, which can be moved, and waits until it shows that.
    pub(crate) fn is_ahead(&mut self, seconds: i64, place: &Place) {
        let local: Nurl = status(place, self.dir)["gateway_local_nurl"].as_str().unwrap().parse().unwrap();
        let then = Clock::with_offset(seconds).now();
        self.running.as_mut().unwrap().is_ahead(seconds);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        eventually("its clock", || {
            let guard = DialGuard::new(PrivateAddresses::Allowed);
            let greeting = runtime.block_on(ask_gateway(&local, Named::ByUser, &guard)).ok()?;
            (greeting.now_unix_seconds >= then).then_some(())
        });
    }

    pub(crate) fn is_started(&mut self, place: &Place, running: Running) {
        self.is_wired(place);
        self.running = Some(running);
    }

    /// Waits until it has a gateway, to which its wire leads from now on.
    pub(crate) fn is_wired(&self, place: &Place) {
        let local =
            eventually("a gateway", || status(place, self.dir)["gateway_local_nurl"].as_str().map(str::to_owned));
        let local: Nurl = local.parse().unwrap();
        self.wire.leads_to(local.place().to_string().parse().unwrap());
    }

    /// `kill -9`, and the connections with it.
    pub(crate) fn kill(&mut self) {
        self.running = None;
        self.wire.cut();
    }

    /// The same, and started again.
    pub(crate) fn dies_and_comes_back(&mut self, place: &Place) {
        self.kill();
        self.start(place);
    }
}

/// What a node says of itself, once it does.
fn status(place: &Place, dir: &str) -> serde_json::Value {
    eventually("the node answers", || {
        let status = place.run(&format!("status -d {dir} --json"));
        (status.status == 0).then(|| status.json())
    })
}

#[track_caller]
pub(crate) fn ok(ended: Ended) -> Ended {
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    ended
}

/// The accounting key of a client.
pub(crate) fn key(place: &Place, client: &str) -> SecretKey {
    String::from_utf8(place.read(&format!("{client}/accounting.key"))).unwrap().trim().parse().unwrap()
}

pub(crate) fn ledger(place: &Place, dir: &str) -> PathBuf {
    Home::new(place.path(dir)).ledger()
}

/// What `debtor` owes `creditor` in US dollars by the books at `ledger`.
pub(crate) fn owed(ledger: &Path, part: Part, debtor: PublicKey, creditor: PublicKey) -> i128 {
    read(ledger, async |ledger| ledger.owed(part, debtor, creditor, Asset::from_code("USD").unwrap()).await.unwrap())
}

/// A lane as the books at `ledger` have it: when it was opened, what it costs, and how far it was vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vouched {
    pub(crate) lane: LaneId,
    pub(crate) opened_at: UnixSeconds,
    pub(crate) price: PricePerGib,
    pub(crate) octets: Bytes,
    pub(crate) amount: MinorUnits,
}

/// The lanes with a voucher on which `payer` pays `payee`.
pub(crate) fn vouched(ledger: &Path, part: Part, payer: PublicKey, payee: PublicKey) -> Vec<Vouched> {
    let lanes = read(ledger, async |ledger| ledger.open_lanes(part, UnixSeconds(1)).await.unwrap());
    let between = lanes.iter().filter(|lane| {
        let body = lane.open.body();
        (body.payer, *body.payee.key()) == (payer, payee)
    });
    let vouched = between.filter_map(|lane| {
        let (body, voucher) = (lane.open.body(), lane.voucher.as_ref()?.body());
        Some(Vouched {
            lane: lane.open.identity(),
            opened_at: body.opened_at,
            price: body.price,
            octets: voucher.cum_bytes,
            amount: voucher.cum_amount,
        })
    });
    vouched.collect()
}

/// What `look` finds in the books at `ledger`, beside whoever writes them.
pub(crate) fn read<T>(ledger: &Path, look: impl AsyncFnOnce(&Ledger) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open_reading(Location::Sqlite(ledger.to_owned())).await.unwrap();
        let found = look(&ledger).await;
        ledger.close().await;
        found
    })
}
