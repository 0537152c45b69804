//! `kill -9` of each of the three in the middle of a file that is paid for, and again: nothing that was acknowledged is lost, nothing
//! is billed twice, and in the end all books agree.

use crate::place::{Ended, eventually};
use crate::priced::Priced;
use lafs_clearinghouse::units::{Bytes, PricePerGib};

const MIB: usize = 1 << 20;
const SIZE: usize = 8 * MIB;
const PRICE: PricePerGib = PricePerGib(5_000_000_000);
/// At which octets of the rest it is killed: about the manifest, before a unit is whole, after it, and later.
const POINTS: [usize; 4] = [64 << 10, 700 << 10, MIB + (MIB >> 1), 3 * MIB];

fn charge(octets: u64) -> i128 {
    i128::from(PRICE.charge(Bytes(octets)).unwrap().0)
}

/// Gets what is left, as somebody does who types the same again until it is there.
#[track_caller]
fn get_the_rest(priced: &Priced, first: Option<Ended>) {
    priced.wire.open();
    priced.abroad.wire.open();
    let mut ended = first;
    eventually("the file", || {
        let this = ended.take().unwrap_or_else(|| priced.get("file"));
        // A node that has just been started may not know the other's place yet.
        assert!(matches!(this.status, 0 | 3 | 8), "{}: {}", this.status, this.stderr);
        (this.status == 0).then_some(())
    });
    priced.is_whole("file");
}

/// All books agree, on no less than what was in them before and no more than for what came over the wires.
#[track_caller]
fn agree(priced: &Priced, before: (i128, i128)) {
    let (client, home) = priced.agree();
    assert!(client >= before.0 && home >= before.1, "{client}, {home}: less than {before:?}");
    let (most, abroad) = (charge(priced.wire.passed()), charge(priced.abroad.wire.passed()));
    assert!(client <= most && home <= abroad, "{client} of {most}, {home} of {abroad}");
    // What was begun again was paid for as far as it came: never the whole file twice.
    assert!(client > 0 && client < charge(2 * SIZE as u64), "{client}");
}

/// What the two payees' books say that they are owed.
fn acknowledged(priced: &Priced) -> (i128, i128) {
    (priced.owed_at_home("me").1, priced.owed_abroad().1)
}

#[test]
fn a_client_that_is_killed_and_comes_back_owes_what_it_acknowledged_and_the_rest() {
    let priced = Priced::start(SIZE, "5 USD/GiB");
    let mut before = (0, 0);
    for octets in POINTS {
        let getting = priced.begin_until(&priced.wire, "file", octets);
        let now = acknowledged(&priced);
        assert!(now.0 >= before.0 && now.1 >= before.1, "{now:?} after {before:?}");
        before = now;
        drop(getting);
        priced.wire.open();
    }
    get_the_rest(&priced, None);
    agree(&priced, before);
}

#[test]
fn a_home_that_is_killed_and_comes_back_is_owed_and_owes_what_was_acknowledged() {
    let mut priced = Priced::start(SIZE, "5 USD/GiB");
    let mut before = (0, 0);
    // Twice: what it may have sent each time stays charged, and a day writes off 16 MiB of it.
    for octets in [POINTS[1], POINTS[3]] {
        let getting = priced.begin_until(&priced.wire, "file", octets);
        before = acknowledged(&priced);
        priced.home.dies_and_comes_back(&priced.place);
        let now = acknowledged(&priced);
        assert!(now.0 >= before.0 && now.1 >= before.1, "{now:?} after {before:?}");
        priced.wire.open();
        if octets == POINTS[3] {
            get_the_rest(&priced, Some(getting.ended()));
        }
    }
    agree(&priced, before);
}

#[test]
fn another_grids_gateway_that_is_killed_and_comes_back_is_owed_what_was_acknowledged() {
    let mut priced = Priced::start(SIZE, "5 USD/GiB");
    let mut before = (0, 0);
    for octets in POINTS {
        let getting = priced.begin_until(&priced.abroad.wire, "file", octets);
        before = acknowledged(&priced);
        priced.abroad.dies_and_comes_back(&priced.place);
        let now = acknowledged(&priced);
        assert!(now.0 >= before.0 && now.1 >= before.1, "{now:?} after {before:?}");
        priced.abroad.wire.open();
        if octets == POINTS[3] {
            get_the_rest(&priced, Some(getting.ended()));
        }
    }
    agree(&priced, before);
}
