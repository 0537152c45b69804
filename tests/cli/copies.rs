//! Books that were copied: machines that were cloned, with one key, and a grid that was restored from a backup. Nobody is billed
//! twice, and nobody loses what it paid for.

use crate::priced::{Priced, ledger, ok};
use lafs_clearinghouse::units::{Bytes, PricePerGib};
use std::process::Command;

const MIB: usize = 1 << 20;
const SIZE: usize = 6 * MIB;
const PRICE: PricePerGib = PricePerGib(5_000_000_000);

fn charge(octets: usize) -> i128 {
    i128::from(PRICE.charge(Bytes(octets as u64)).unwrap().0)
}

fn copy(priced: &Priced, from: &str, to: &str) {
    let _ = std::fs::remove_dir_all(priced.place.path(to));
    let words = ["-a".into(), priced.place.path(from), priced.place.path(to)];
    assert!(Command::new("cp").args(words).status().unwrap().success());
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
    let ledger = ledger(&priced.place, "home");
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", ledger.display()));
    }
    std::fs::copy(priced.place.path("backup.sqlite"), ledger).unwrap();
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
