//! Gateways that lie: a home towards its reader, another grid's towards a home. What was not verified is neither written nor
//! handed on.

use crate::called_gateways::{File, SEGMENT, SIZE, a_home, at_a_lying_home, get, grid, offer, record};
use crate::lying_gateway::{Lie, LyingGateway, Served};
use crate::place::Place;
use crate::raw_client::RawClient;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::MutableFormat;
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::lafs::mutable::FileKey;
use std::fs;
use std::sync::Arc;

#[test]
fn a_home_that_lies_about_a_file_is_found_out_and_nothing_of_it_is_written() {
    let key = FileKey::generate();
    for (file, other) in [
        (File::immutable(1), File::immutable(2)),
        (File::mutable(&key, MutableFormat::Mdmf, 1), File::mutable(&FileKey::generate(), MutableFormat::Mdmf, 1)),
        (File::mutable(&key, MutableFormat::Sdmf, 1), File::mutable(&FileKey::generate(), MutableFormat::Sdmf, 1)),
    ] {
        let (place, home) = at_a_lying_home(&file);
        let cap = file.foreign(&grid(2));
        let honest = get(&place, &file, &cap, "the truth");
        assert_eq!(honest.status, 0, "{}", honest.stderr);
        let unit = SEGMENT.0 as usize;
        let mut lies = vec![
            Lie::Ciphertext(0),
            Lie::Ciphertext(3 * unit + 5),
            Lie::Ciphertext(SIZE - 1),
            Lie::Swapped(0, unit, unit),
            Lie::CiphertextOf(Arc::clone(&other.served)),
            Lie::All(Arc::clone(&other.served)),
        ];
        lies.extend(file.places().map(Lie::Manifest));
        lies.extend([0, 1, 100, file.served.manifest.len() - 1].map(Lie::ManifestCut));
        for lie in lies {
            let what = format!("{}: {lie:?}", file.cap.kind());
            home.serves(&file.served, lie);
            let got = get(&place, &file, &cap, &what[..what.len().min(200)]);
            assert_eq!(got.status, 11, "{what:.200}: {}", got.stderr);
            assert!(got.stderr.contains("the home gateway: "), "{what:.200}: {}", got.stderr);
        }
        // No lies about the file: who has all of it looks no further, and who has not, has not.
        let cut = if file.cap.is_mutable() { 0 } else { 2 * unit + 7 };
        for (lie, status) in [(Lie::More, 0), (Lie::CutOff(cut), 8)] {
            let what = format!("{}: {lie:?}", file.cap.kind());
            home.serves(&file.served, lie);
            let got = get(&place, &file, &cap, &what);
            assert_eq!(got.status, status, "{what}: {}", got.stderr);
        }
        home.serves(&file.served, Lie::Nothing);
        assert_eq!(get(&place, &file, &cap, "the truth again").status, 0);
    }
}

#[test]
fn a_home_that_brings_back_an_older_version_is_refused_by_who_has_seen_a_newer_one() {
    let key = FileKey::generate();
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        let (old, new) = (File::mutable(&key, format, 1), File::mutable(&key, format, 2));
        let (place, home) = at_a_lying_home(&old);
        let cap = old.foreign(&grid(2));
        assert_eq!(get(&place, &old, &cap, "the first").status, 0);
        home.serves(&new.served, Lie::Nothing);
        assert_eq!(get(&place, &new, &cap, "the second").status, 0);
        home.serves(&old.served, Lie::Nothing);
        let refused = get(&place, &old, &cap, "the first again");
        assert_eq!(refused.status, 11, "{}", refused.stderr);
    }
}

#[test]
fn another_grids_gateway_that_lies_is_found_out_by_the_home_which_hands_nothing_of_it_on() {
    let place = Place::new();
    let (_home, resolver, nurl) = a_home(&place, PrivateAddresses::Allowed);
    let me = fs::read_to_string(place.path("me/accounting.key")).unwrap().trim().parse::<SecretKey>().unwrap();
    let unit = SEGMENT.0 as usize;
    // Each lie about another file of another grid: a home may keep what it has verified.
    let lies = [
        Lie::Nothing,
        Lie::Ciphertext(0),
        Lie::Ciphertext(3 * unit + 5),
        Lie::Swapped(0, unit, unit),
        Lie::CutOff(2 * unit + 7),
        Lie::Manifest(40),
        Lie::Manifest(400),
        Lie::CiphertextOf(Arc::new(Served { ciphertext: vec![7; SIZE], ..(*File::immutable(99).served).clone() })),
        Lie::All(File::immutable(99).served),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (number, lie) in lies.into_iter().enumerate() {
        let what = format!("{lie:.60?}");
        let (seed, file) = (100 + number as u8, File::immutable(number as u8));
        let liar = LyingGateway::start(grid(seed), "grid", &file.served);
        assert_eq!(offer(&resolver, &record(seed, [&liar.nurl])), 201, "{what}");
        liar.serves(&file.served, lie.clone());
        // By the program, which verifies too; and by somebody who takes what comes.
        let got = get(&place, &file, &file.foreign(&grid(seed)), &what);
        let body = runtime.block_on(async {
            let mut raw = RawClient::connect(&nurl).await;
            let claim = raw.claim(grid(1), &me, number as u8);
            assert_eq!(raw.open(&claim).await.status, 200);
            let verify = file.cap.verify_cap().unwrap().to_string().replace(':', "%3A");
            let path = format!("/v1/grids/{}/ciphertext/{verify}", grid(seed));
            raw.get(&path, &[("range", &format!("bytes=0-{}", SIZE - 1))]).await
        });
        match lie {
            Lie::Nothing => {
                assert_eq!(got.status, 0, "{}", got.stderr);
                assert!(body.whole && body.body == file.served.ciphertext);
                continue;
            }
            Lie::CutOff(_) => assert_eq!(got.status, 8, "{what}: {}", got.stderr),
            _ => {
                assert_eq!(got.status, 11, "{what}: {}", got.stderr);
                assert!(got.stderr.contains("the home gateway says: "), "{what}: {}", got.stderr);
            }
        }
        // What the home showed to open a session opens none at another gateway, its own included.
        runtime.block_on(async {
            let mut raw = RawClient::connect(&nurl).await;
            let claims = liar.claims();
            let refused = raw.open(claims.last().expect("the home's")).await;
            assert!(refused.status == 403, "{what}: {}", refused.problem());
        });
        // Nothing came that is not the file's, and nothing that could be taken for all of it.
        match body.status {
            206 => assert!(!body.whole && file.served.ciphertext.starts_with(&body.body), "{what}"),
            status => assert!(status == 502 && !body.problem().contains('?'), "{what}: {}", body.problem()),
        }
    }
}

#[test]
fn a_record_that_points_at_private_places_has_nobody_call_there() {
    let place = Place::new();
    let (_home, resolver, _) = a_home(&place, PrivateAddresses::Refused);
    let file = File::immutable(1);
    let victim = LyingGateway::start(grid(50), "grid", &file.served);
    let number = victim.nurl.host().to_string();
    // This machine by its number, and by a name that leads to it for the moment.
    for (seed, host) in [(51, number.as_str()), (52, "localhost")] {
        let nurl =
            victim.nurl.to_string().replace(&format!("@{number}:"), &format!("@{host}:")).parse::<Nurl>().unwrap();
        let offered = offer(&resolver, &record(seed, [&nurl]));
        let got = get(&place, &file, &file.foreign(&grid(seed)), host);
        assert!(got.status != 0 && victim.connections() == 0, "{host}: {offered}, {}", got.stderr);
        assert!(got.stderr.contains("the home gateway says: "), "{host}: {}", got.stderr);
    }
    // It would have been heard.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(RawClient::connect(&victim.nurl));
    assert_eq!(victim.connections(), 1);
}

/// Whoever signs many records cannot make a home knock at one door for each of them, be it a gateway's or not.
#[test]
fn records_that_all_point_at_one_place_have_it_called_a_few_times() {
    const RECORDS: u8 = 40;
    let place = Place::new();
    let (_home, resolver, nurl) = a_home(&place, PrivateAddresses::Allowed);
    let me = fs::read_to_string(place.path("me/accounting.key")).unwrap().trim().parse::<SecretKey>().unwrap();
    let file = File::immutable(1);
    let verify = file.cap.verify_cap().unwrap().to_string().replace(':', "%3A");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (first, victim) in [(100, LyingGateway::start(grid(50), "grid", &file.served)), (150, another_service())] {
        for seed in first..first + RECORDS {
            assert_eq!(offer(&resolver, &record(seed, [&victim.nurl])), 201);
        }
        runtime.block_on(async {
            let mut raw = RawClient::connect(&nurl).await;
            let claim = raw.claim(grid(1), &me, first);
            assert_eq!(raw.open(&claim).await.status, 200);
            for seed in first..first + RECORDS {
                let answer = raw.get(&format!("/v1/grids/{}/manifest/{verify}", grid(seed)), &[]).await;
                assert!(answer.status >= 400, "nobody there is the gateway of that grid");
            }
            let last = raw.get(&format!("/v1/grids/{}/manifest/{verify}", grid(first)), &[]).await;
            assert!(last.problem().contains("was dialled lately"), "{}", last.problem());
        });
        // Sixteen at once, and one in four seconds after that.
        assert!((1..=20).contains(&victim.connections()), "{}", victim.connections());
    }
}

/// Somebody who has another key than the records say.
fn another_service() -> LyingGateway {
    let mut other = LyingGateway::start(grid(51), "grid", &File::immutable(1).served);
    other.nurl = Nurl::gateway([7; 32], other.nurl.host().clone(), other.nurl.port()).unwrap();
    other
}

#[test]
fn a_claim_to_a_session_opens_none_elsewhere_and_none_twice() {
    let place = Place::new();
    let (_home, _, nurl) = a_home(&place, PrivateAddresses::Allowed);
    let me = fs::read_to_string(place.path("me/accounting.key")).unwrap().trim().parse::<SecretKey>().unwrap();
    // The same key calls a gateway that says it is the same grid's, and keeps what it was given.
    let file = File::immutable(1);
    let hostile = LyingGateway::start(grid(1), "client", &file.served);
    fs::create_dir(place.path("tricked")).unwrap();
    fs::copy(place.path("me/accounting.key"), place.path("tricked/accounting.key")).unwrap();
    let joined = place.run(&format!("join {} -d tricked", hostile.nurl));
    assert_eq!(joined.status, 0, "{}", joined.stderr);
    let stolen = hostile.claims();
    assert!(!stolen.is_empty());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut first = RawClient::connect(&nurl).await;
        for claim in &stolen {
            let refused = first.open(claim).await;
            assert!(refused.status == 403, "{}", refused.problem());
        }
        let path = format!("/v1/grids/{}", grid(1));
        assert_eq!(first.get(&path, &[]).await.status, 401);
        // One that was made for this gateway, on another connection and once more on its own.
        let mut second = RawClient::connect(&nurl).await;
        let claim = second.claim(grid(1), &me, 7);
        let refused = first.open(&claim).await;
        assert!(refused.status == 403 && refused.problem().contains("another connection"), "{}", refused.problem());
        assert_eq!(second.open(&claim).await.status, 200);
        assert_eq!(second.get(&path, &[]).await.status, 200);
        assert_eq!(second.open(&claim).await.status, 403);
        assert_eq!(first.get(&path, &[]).await.status, 401);
    });
}
