//! Gateways that say nothing any more, in the midst of an answer or before one: the home, and another grid's. Who stands still is
//! named and left; another gateway of that grid goes on, and what there is on the disk is verified and gone on from.

use crate::called_gateways::{
    File, SEGMENT, SIZE, a_home_patient_for, at_a_lying_home, get, grid, is_patient_for, offer, record,
};
use crate::lying_gateway::{Lie, LyingGateway};
use crate::place::{Ended, Place};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::MutableFormat;
use lafs_clearinghouse::lafs::mutable::FileKey;
use std::fs;
use std::time::{Duration, Instant};

const UNIT: usize = SEGMENT.0 as usize;
/// In the midst of the third unit.
const MIDST: usize = 2 * UNIT + 7;

/// `get` into a folder that stays as it is.
fn get_on(place: &Place, cap: &str) -> Ended {
    place.run_words(["get", cap, "-o", "file", "-d", "me", "--json"])
}

/// What there is of the unfinished file is its first two units.
#[track_caller]
fn has_two_units(place: &Place, file: &File) {
    assert!(!place.path("file").exists());
    let unfinished = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().path());
    let unfinished: Vec<_> = unfinished.filter(|path| path.to_string_lossy().ends_with(".lafs-part")).collect();
    assert_eq!(unfinished.len(), 1, "{unfinished:?}");
    assert_eq!(fs::read(&unfinished[0]).unwrap(), file.content[..2 * UNIT]);
}

/// The same command goes on from there.
#[track_caller]
fn goes_on(place: &Place, file: &File, cap: &str) {
    let whole = get_on(place, cap).json();
    assert_eq!(whole["resumed_from_bytes"], 2 * UNIT, "{whole}");
    assert_eq!(place.read("file"), file.content);
}

fn immutable_and_mutable() -> [File; 3] {
    let key = FileKey::generate();
    let mutable = |format| File::mutable(&key, format, 1);
    [File::immutable(1), mutable(MutableFormat::Mdmf), mutable(MutableFormat::Sdmf)]
}

#[test]
fn a_home_that_stands_still_is_named_and_left_and_the_same_command_goes_on() {
    let file = File::immutable(1);
    let (place, home) = at_a_lying_home(&file);
    is_patient_for(&place, "me/client.toml", "1 s");
    let cap = file.foreign(&grid(2));
    home.serves(&file.served, Lie::Stalled(MIDST));
    let began = Instant::now();
    let left = get_on(&place, &cap);
    // Four times it is waited for, a second each. By the time that nobody has set it would be four minutes.
    assert!(began.elapsed() < Duration::from_secs(120), "the setting counts: {:?}", began.elapsed());
    let silent = format!("the home gateway: `{}` does not answer in time: `file` is not whole yet", home.nurl.place());
    assert_eq!(left.status, 8, "{}", left.stderr);
    assert!(left.stdout.contains(&silent) && left.stdout.contains("goes on where it stopped"), "{}", left.stdout);
    has_two_units(&place, &file);
    home.serves(&file.served, Lie::Nothing);
    goes_on(&place, &file, &cap);
}

#[test]
fn a_home_that_stands_still_once_is_asked_again_and_one_that_is_silent_is_left() {
    for file in immutable_and_mutable() {
        let (place, home) = at_a_lying_home(&file);
        is_patient_for(&place, "me/client.toml", "1 s");
        let cap = file.foreign(&grid(2));
        home.serves(&file.served, Lie::StalledOnce(MIDST));
        let got = get(&place, &file, &cap, "once");
        assert_eq!(got.status, 0, "{}", got.stderr);
        home.serves(&file.served, Lie::Silent);
        let got = get(&place, &file, &cap, "silent");
        assert_eq!(got.status, 8, "{}", got.stderr);
        assert!(got.stderr.contains(&format!("`{}` does not answer in time", home.nurl.place())), "{}", got.stderr);
    }
}

#[test]
fn another_gateway_of_the_grid_goes_on_where_one_stands_still_is_silent_or_lies() {
    let place = Place::new();
    let (_home, resolver, _) = a_home_patient_for(&place, PrivateAddresses::Allowed, "1 s");
    for (kind, file) in immutable_and_mutable().into_iter().enumerate() {
        let lies = [Lie::Stalled(MIDST), Lie::Silent, Lie::CutOff(MIDST), Lie::Ciphertext(MIDST), Lie::Manifest(40)];
        for (number, lie) in lies.into_iter().enumerate() {
            let seed = 100 + (10 * kind + number) as u8;
            let what = format!("{}: {lie:?}", file.cap.kind());
            let first = LyingGateway::start(grid(seed), "grid", &file.served);
            let second = LyingGateway::start(grid(seed), "grid", &file.served);
            first.serves(&file.served, lie);
            assert_eq!(offer(&resolver, &record(seed, [&first.nurl, &second.nurl])), 201, "{what}");
            let got = get(&place, &file, &file.foreign(&grid(seed)), &what);
            assert_eq!(got.status, 0, "{what}: {}", got.stderr);
            assert!(first.connections() > 0, "{what}");
            // One, or another one beside it: the home asks ahead, and its client asks meanwhile.
            assert!((1..=2).contains(&second.connections()), "{what}: {}", second.connections());
            // The one that failed is not asked first next time.
            let before = (first.connections(), second.connections());
            let again = get(&place, &file, &file.foreign(&grid(seed)), &what);
            assert_eq!(again.status, 0, "{what}: {}", again.stderr);
            assert_eq!((first.connections(), second.connections()), before, "{what}");
        }
    }
}

#[test]
fn where_all_gateways_of_a_grid_stand_still_the_home_names_the_first_and_the_same_command_goes_on() {
    let place = Place::new();
    let (_home, resolver, _) = a_home_patient_for(&place, PrivateAddresses::Allowed, "1 s");
    let file = File::immutable(1);
    let gateways = [1, 2].map(|_| LyingGateway::start(grid(100), "grid", &file.served));
    for gateway in &gateways {
        gateway.serves(&file.served, Lie::Stalled(MIDST));
    }
    assert_eq!(offer(&resolver, &record(100, gateways.iter().map(|gateway| &gateway.nurl))), 201);
    let cap = file.foreign(&grid(100));
    let began = Instant::now();
    let left = get_on(&place, &cap);
    assert!(began.elapsed() < Duration::from_secs(120), "the setting counts: {:?}", began.elapsed());
    assert_eq!(left.status, 8, "{}", left.stdout);
    let says = |gateway: &LyingGateway| {
        format!("the home gateway says: `{}` does not answer in time: `file` is not whole yet", gateway.nurl.place())
    };
    assert!(gateways.iter().any(|gateway| left.stdout.contains(&says(gateway))), "{}", left.stdout);
    has_two_units(&place, &file);
    gateways[1].serves(&file.served, Lie::Nothing);
    goes_on(&place, &file, &cap);
    assert_eq!(place.read("file").len(), SIZE);
}
