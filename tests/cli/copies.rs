//! Books that were copied or lost: clients that were cloned, with one key, and a client and a grid that were restored from a backup.
//! Nobody is billed twice, and nobody loses what it paid for.

use crate::place::Place;
use crate::priced::{Priced, Vouched, key, ledger, ok, owed, vouched};
use lafs_clearinghouse::config::Home;
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::units::{Bytes, PricePerGib};
use std::process::Command;

const MIB: usize = 1 << 20;
const SIZE: usize = 6 * MIB;
const PRICE: PricePerGib = PricePerGib(5_000_000_000);

pub(crate) fn charge(octets: usize) -> i128 {
    i128::from(PRICE.charge(Bytes(octets as u64)).unwrap().0)
}

pub(crate) fn copy(priced: &Priced, from: &str, to: &str) {
    let _ = std::fs::remove_dir_all(priced.place.path(to));
    let words = ["-a".into(), priced.place.path(from), priced.place.path(to)];
    assert!(Command::new("cp").args(words).status().unwrap().success());
}

/// The books of `dir`, which does not run, are what `ledger backup` has put into a file.
pub(crate) fn restore(place: &Place, dir: &str, backup: &str) {
    let ledger = ledger(place, dir);
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", ledger.display()));
    }
    std::fs::copy(place.path(backup), ledger).unwrap();
}

#[test]
fn two_clones_of_a_client_read_at_once_and_each_octet_is_billed_once() {
    let priced = Priced::start(SIZE, "5 USD/GiB");
    // With books in which there are lanes that both of them think are theirs.
    drop(priced.begin_until(&priced.wire, "first", MIB + (MIB >> 1)));
    priced.wire.open();
    copy(&priced, "me", "clone");
    let (one, other) = (priced.begin_as("me", "one"), priced.begin_as("clone", "other"));
    for (getting, output) in [(one, "one"), (other, "other")] {
        ok(getting.ended());
        priced.is_whole(output);
    }
    // What the home has booked is no less than what came and no more than what was delivered.
    let (_, booked) = priced.owed_at_home("me");
    let delivered = charge(priced.wire.passed() as usize);
    assert!(booked >= charge(2 * SIZE) && booked <= delivered, "{booked}: {} to {delivered}", charge(2 * SIZE));
    let (home, abroad) = priced.owed_abroad();
    assert_eq!(home, abroad);
    ok(priced.place.run("ledger verify -d home"));
}

#[test]
fn a_grid_whose_books_are_restored_from_a_backup_is_told_what_was_signed_since_by_both_sides() {
    // So long that the books do not know yet of all that will have been sent.
    let size = 20 * MIB;
    let mut priced = Priced::start(size, "5 USD/GiB");
    // In the middle of two lanes: of the client's, on which it is paid, and of one on which it pays.
    let getting = priced.begin_until(&priced.wire, "file", 2 * MIB);
    ok(priced.place.run("ledger backup backup.sqlite -d home"));
    priced.wire.open();
    ok(getting.ended());
    let (client, home) = priced.agree();
    priced.home.kill();
    restore(&priced.place, "home", "backup.sqlite");
    assert!(priced.owed_at_home("me").1 < client && priced.owed_abroad().0 < home, "the backup is older");
    priced.home.start(&priced.place);
    ok(priced.get("again"));
    priced.is_whole("again");
    let (again, abroad) = priced.agree();
    // Nothing of before is forgotten, nor billed again.
    let once = charge(size);
    assert!(again >= client + once && again < client + 2 * once, "{again} after {client}");
    assert!(abroad >= home + once && abroad < home + 2 * once, "{abroad} after {home}");
}

/// The best vouchers of the lanes in all books of the client's folder, and what the home has of the same lanes.
fn of_lanes(priced: &Priced, client: &str) -> (Vec<Vouched>, Vec<Vouched>) {
    let (me, home) = (key(&priced.place, client).public(), *priced.home.grid.key());
    let folder = Home::new(priced.place.path(client)).client_ledgers();
    let books = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let books = books.filter(|path| path.extension().is_some_and(|end| end == "sqlite"));
    let mut ours: Vec<Vouched> = books.flat_map(|book| vouched(&book, Part::Payer, me, home)).collect();
    let mut theirs = vouched(&ledger(&priced.place, "home"), Part::Payee, me, home);
    theirs.retain(|lane| ours.iter().any(|own| own.lane == lane.lane));
    for lanes in [&mut ours, &mut theirs] {
        lanes.sort_by_key(|lane| lane.lane);
    }
    (ours, theirs)
}

#[test]
fn a_client_that_is_restored_from_a_backup_is_told_what_it_signed_since_and_pays_no_octet_twice() {
    let priced = Priced::start(SIZE, "5 USD/GiB");
    // In the middle of a lane that goes on afterwards in the books of the home alone.
    let getting = priced.begin_until(&priced.wire, "first", MIB + (MIB >> 1));
    copy(&priced, "me", "backup");
    priced.wire.open();
    ok(getting.ended());
    let (own, before) = priced.owed_at_home("me");
    assert_eq!(own, before);
    copy(&priced, "backup", "me");
    assert!(priced.owed_at_home("me").0 < before, "the backup is older");
    ok(priced.get("again"));
    priced.is_whole("again");
    let (_, after) = priced.owed_at_home("me");
    let once = charge(SIZE);
    assert!(after >= before + once && after < before + once + charge(MIB), "{after} after {before}");
    let (ours, theirs) = of_lanes(&priced, "me");
    assert_eq!(ours, theirs, "of each lane that it knows");
    ok(priced.place.run("ledger verify -d home"));
}

#[test]
fn a_client_that_has_lost_its_books_or_its_key_owes_what_it_owed_and_reads_on() {
    let priced = Priced::start(SIZE, "5 USD/GiB");
    ok(priced.get("first"));
    let (_, before) = priced.owed_at_home("me");
    let once = before..before + charge(MIB);
    std::fs::remove_dir_all(Home::new(priced.place.path("me")).client_ledgers()).unwrap();
    ok(priced.get("second"));
    let (own, after) = priced.owed_at_home("me");
    assert!(own > 0 && once.contains(&own) && after == before + own, "{own} of {after}, {before} before");

    // All of it: with another key it is another client. Whose the debt is the home's books say.
    let lost = key(&priced.place, "me").public();
    std::fs::remove_dir_all(priced.place.path("me")).unwrap();
    priced.join("anew");
    ok(priced.begin_as("anew", "third").ended());
    priced.is_whole("third");
    let (own, theirs) = priced.owed_at_home("anew");
    assert!(once.contains(&own) && own == theirs, "{own}, {theirs}");
    let owed_still = owed(&ledger(&priced.place, "home"), Part::Payee, lost, *priced.home.grid.key());
    assert_eq!(owed_still, after);
    ok(priced.place.run("ledger verify -d home"));
}
