//! What is taken and never acknowledged: it is held against its payer over lanes and restarts, and of who is known some is written
//! off each day. What strangers take is counted, and neither held against them nor written off.

use crate::hand_lane::{HandLane, called_ahead};
use crate::place::{Ended, Place, eventually};
use crate::priced::{Priced, ok};
use futures::StreamExt;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::SecretKey;
use std::sync::Arc;
use std::time::Duration;

const MIB: usize = 1 << 20;
const DAY: i64 = 86_400;
/// Of the units of the file, of a mebibyte each, more than one goes into it.
const WINDOW: usize = 8 * MIB;
/// What a day writes off of who has acknowledged nothing on it.
const DAILY: usize = 16 * MIB;
const SIZE: usize = 24 * MIB;

/// Two grids, of which one takes from the other by hand, as the gateway that it has, and acknowledges nothing.
struct Taking {
    priced: Priced,
    key: SecretKey,
    cap: Capability,
    runtime: tokio::runtime::Runtime,
    /// How far ahead of the machine's all clocks are.
    ahead: i64,
    lanes: u8,
}

/// What the other grid shows of the one that takes, in octets.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    written_off: usize,
    not_acknowledged: usize,
    acknowledged: usize,
}

impl Taking {
    /// In the second hour of a day, so that none ends unless a test says so; where it costs something, under terms.
    fn start(price: &str) -> Self {
        let priced = Priced::with(Place::new(), SIZE, price, |node, place| node.start_at(0, place));
        if price != "free" {
            priced.agree_on_terms("10 USD", 8);
        }
        let now = i64::try_from(Clock::system().now().0).unwrap();
        let key = read_key(&Home::new(priced.place.path("home")).gateway_key()).unwrap();
        let cap = priced.files.cap.replacen(&format!("URI:FOREIGN:{}:", priced.abroad.grid), "URI:", 1);
        let cap = cap.parse::<Capability>().unwrap().verify_cap().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut taking = Self { priced, key, cap, runtime, ahead: 3_600 - now % DAY, lanes: 0 };
        taking.next_day();
        taking
    }

    /// The next day.
    fn next_day(&mut self) {
        self.ahead += DAY;
        let Self { priced: Priced { home, abroad, place, .. }, ahead, .. } = self;
        [home, abroad].into_iter().for_each(|node| node.is_ahead(*ahead, place));
    }

    /// The other grid's node is killed, and started again; until it knows its own record it sells nothing.
    fn restarts(&mut self) {
        self.priced.abroad.kill();
        self.priced.abroad.start_at(self.ahead, &self.priced.place);
        let Self { priced, key, .. } = self;
        eventually("it proposes lanes", || {
            let proposed = self.runtime.block_on(async {
                let client = called_ahead(priced, key, self.ahead).await;
                HandLane::proposed(&client, priced.abroad.grid, u8::MAX, None).await
            });
            (!matches!(proposed, Err((503, _)))).then_some(())
        });
    }

    /// Takes the file on one lane after the other, each on a connection of its own, until one brings no unit, and on so many at most;
    /// how much came.
    fn takes(&mut self, lanes: u8) -> usize {
        let mut taken = 0;
        for _ in 0..lanes {
            let came = self.takes_until(usize::MAX);
            taken += came;
            if came < MIB / 8 {
                break;
            }
        }
        taken
    }

    /// Takes the file on another lane until so much has come, and then breaks off; how much that is.
    fn takes_until(&mut self, most: usize) -> usize {
        self.lanes += 1;
        self.runtime.block_on(self.on_a_lane(most))
    }

    async fn on_a_lane(&self, most: usize) -> usize {
        let Self { priced, key, cap, .. } = self;
        let grid = priced.abroad.grid;
        let client = called_ahead(priced, key, self.ahead).await;
        let lane = Arc::new(HandLane::open(&client, grid, cap, key, self.lanes).await);
        if let Ok(manifest) = client.manifest(&grid, cap, 0, 4_096, Some(&*lane)).await {
            let manifest = Arc::new(manifest);
            let all = 0..manifest.layout().units();
            let mut units = client.units(&grid, cap, manifest, all, Some(Arc::clone(&lane) as Arc<_>)).unwrap();
            let patience = Duration::from_secs(3);
            while (lane.delivered(cap).0 as usize) < most
                && let Ok(Some(Ok(_))) = tokio::time::timeout(patience, units.next()).await
            {}
        }
        lane.delivered(cap).0 as usize
    }

    fn types<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Ended {
        ok(Ended::of(self.priced.place.command_at(self.ahead, words).output().unwrap()))
    }

    fn shown(&self) -> Shown {
        let usage = self.types(["usage", "-d", "abroad", "--json"]).json();
        let of = |name: &str| {
            let lines = usage[name].as_array().unwrap();
            assert!(lines.iter().all(|line| line["party"] == self.priced.home.grid.to_string()), "{usage}");
            lines.iter().map(|line| line["bytes"].as_u64().unwrap() as usize).sum()
        };
        Shown { written_off: of("written_off"), not_acknowledged: of("not_acknowledged"), acknowledged: of("lines") }
    }
}

#[test]
fn what_is_taken_is_written_off_by_the_day_counted_and_held_against_its_payer_over_lanes_and_restarts() {
    let mut taking = Taking::start("5 USD/GiB");
    let taken = taking.takes(40);
    assert!(taken > DAILY && taken <= DAILY + WINDOW, "{taken}");
    // What may have been sent on a lane that is open is noted in advance: so much at least is charged.
    let shown = taking.shown();
    assert_eq!((shown.written_off, shown.acknowledged), (DAILY, 0));
    assert!(DAILY + shown.not_acknowledged >= taken, "{taken}: {shown:?}");
    let text = taking.types(["usage", "-d", "abroad"]).stdout;
    let home = taking.priced.home.grid;
    assert!(text.contains(&format!("written off, never acknowledged by {home}  16.0 MiB")), "{text}");
    // Neither another lane nor a restart makes room.
    taking.restarts();
    let more = taking.takes(4);
    assert!(more < MIB, "{more}");
    assert_eq!(taking.shown().written_off, DAILY);
    // Nothing of it is owed.
    assert_eq!(taking.priced.owed_abroad().1, 0);
    ok(taking.priced.place.run("ledger verify -d abroad"));
}

#[test]
fn each_day_writes_off_its_own_part_and_a_hundredth_of_what_was_acknowledged_on_it() {
    let mut taking = Taking::start("5 USD/GiB");
    let first = taking.takes(40);
    assert_eq!(taking.shown().written_off, DAILY);
    taking.next_day();
    // What holds the window makes room, so that a client of the grid may read: that is acknowledged.
    taking.types(taking.priced.words("me", "file"));
    taking.priced.is_whole("file");
    let (_, owed) = taking.priced.agree();
    let acknowledged = taking.shown().acknowledged;
    assert!(acknowledged >= SIZE, "{acknowledged}");

    let second = taking.takes(40);
    let both = 2 * DAILY + acknowledged / 100;
    let taken = first + second;
    assert!(taken > both && taken <= both + WINDOW, "{first} and {second}, {acknowledged} acknowledged");
    let shown = taking.shown();
    assert_eq!((shown.written_off, shown.acknowledged), (both, acknowledged));
    // The same day over again is none.
    taking.restarts();
    let more = taking.takes(4);
    assert!(more < MIB, "{more}");
    assert_eq!(taking.shown().written_off, both);
    assert_eq!(taking.priced.owed_abroad(), (owed, owed));
    ok(taking.priced.place.run("ledger verify -d abroad"));
}

#[test]
fn what_strangers_take_at_a_free_grid_is_counted_and_neither_held_against_them_nor_written_off() {
    let mut taking = Taking::start("free");
    // More than the window of their pool, and than what a day writes off of others beside it; some of it by a request that breaks off.
    let taken = taking.takes(2) + taking.takes_until(4 * MIB) + taking.takes(1);
    assert!(taken >= 3 * SIZE + 4 * MIB, "{taken}");
    assert_eq!(taking.shown().written_off, 0);
    // It counts when the lanes are over.
    taking.next_day();
    let second = taking.takes(1);
    assert!(second >= SIZE, "{second}");
    let shown = eventually("it is counted", || Some(taking.shown()).filter(|shown| shown.not_acknowledged >= taken));
    assert_eq!((shown.written_off, shown.acknowledged), (0, 0));
    assert!(shown.not_acknowledged <= taken + SIZE, "{shown:?}, {taken}");
    taking.restarts();
    assert_eq!(taking.shown(), shown);
    assert!(taking.takes(1) >= SIZE);
    assert_eq!(taking.shown(), shown);
    ok(taking.priced.place.run("ledger verify -d abroad"));
}
