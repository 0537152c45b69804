//! Gateways that lie: a home towards its reader, another grid's towards a home. What was not verified is neither written nor
//! handed on.

use crate::lying_gateway::{Lie, LyingGateway, Served};
use crate::place::{Ended, Place, Running};
use crate::raw_client::RawClient;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::{Capability, FileCap, MutableFormat, ShareCounts};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::lafs::immutable::{self, ChkEncoding, ChkKey};
use lafs_clearinghouse::lafs::mutable::{self, FileKey, MutableEncoding};
use lafs_clearinghouse::record::{Gateway, GatewayAddress, GridRecord, RecordDraft, Roles, Signer};
use lafs_clearinghouse::units::Bytes;
use std::fs;
use std::sync::Arc;

const SIZE: usize = 100_000;
const SEGMENT: Bytes = Bytes(16_384);

fn grid(seed: u8) -> GridId {
    GridId::new(SecretKey::from_seed(&[seed; 32]).public())
}

fn content(seed: u8, size: usize) -> Vec<u8> {
    (0..size).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed).collect()
}

/// A file, and what the gateways of its grid would serve.
struct File {
    cap: Capability,
    content: Vec<u8>,
    served: Arc<Served>,
}

impl File {
    fn immutable(seed: u8) -> Self {
        let content = content(seed, SIZE);
        let encoding = ChkEncoding { max_segment: SEGMENT, ..ChkEncoding::new(ShareCounts::new(2, 3).unwrap()) };
        let made = immutable::encode(&content, ChkKey::Convergent(b"secret"), encoding).unwrap();
        let cap = Capability::File(FileCap::ChkRead(made.cap));
        Self { served: Arc::new(Served::of(&cap, &made.shares)), cap, content }
    }

    fn mutable(key: &FileKey, format: MutableFormat, sequence: u64) -> Self {
        let content = content(sequence as u8, SIZE);
        let shares = ShareCounts::new(2, 3).unwrap();
        let made = mutable::encode(&content, key, MutableEncoding { format, shares, sequence, segment: SEGMENT });
        let made = made.unwrap();
        let cap = Capability::File(FileCap::MutableWrite(made.cap)).read_cap().unwrap();
        Self { served: Arc::new(Served::of(&cap, &made.shares)), cap, content }
    }

    fn foreign(&self, grid: &GridId) -> String {
        self.cap.to_string().replacen("URI:", &format!("URI:FOREIGN:{grid}:"), 1)
    }

    /// Octets all over a manifest, and its first and last ones.
    fn places(&self) -> impl Iterator<Item = usize> {
        let length = self.served.manifest.len();
        (0..length).step_by(length.div_ceil(24)).chain([length - 1])
    }
}

/// `get` in a folder of its own, which afterwards has nothing in it that was not verified.
#[track_caller]
fn get(place: &Place, file: &File, cap: &str, what: &str) -> Ended {
    fs::create_dir(place.path("got")).unwrap();
    let got = place.run_words(["get", cap, "-o", "got/file", "-d", "me"]);
    for entry in fs::read_dir(place.path("got")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "json") {
            continue;
        }
        let written = fs::read(&path).unwrap();
        let whole = path.file_name().unwrap() == "file";
        assert!(file.content.starts_with(&written) && (written.len() == SIZE || !whole), "{what}: {}", path.display());
        assert_eq!(whole, got.status == 0, "{what}: {}", got.stderr);
    }
    fs::remove_dir_all(place.path("got")).unwrap();
    got
}

/// A reader whose home is a gateway that lies.
fn at_a_lying_home(file: &File) -> (Place, LyingGateway) {
    let place = Place::new();
    let home = LyingGateway::start(grid(1), "client", &file.served);
    let joined = place.run(&format!("join {} -d me", home.nurl));
    assert_eq!(joined.status, 0, "{}", joined.stderr);
    (place, home)
}

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

/// What a grid of key `seed` says of itself: a gateway at `nurl`, free.
fn record(seed: u8, nurl: &Nurl) -> GridRecord {
    let key = SecretKey::from_seed(&[seed; 32]);
    let gateway = Gateway::new(Some(GatewayAddress::Nurl(nurl.clone())), Some(key.public()), Roles::SERVE, None);
    let draft = RecordDraft {
        gateways: vec![gateway.unwrap()],
        rates: vec!["free".parse().unwrap()],
        ..RecordDraft::new(GridId::new(key.public()))
    };
    let now = Clock::system().now();
    draft.sign(Signer::Grid { key: &key, serial: now }, None, &[], now).unwrap()
}

/// A real home with a client, `me`; where anybody offers it records; and its gateway.
fn a_home(place: &Place, addresses: PrivateAddresses) -> (Running, String, Nurl) {
    place.grid_manager("gm", 1);
    let private = if addresses == PrivateAddresses::Allowed { "--allow-private-addresses" } else { "" };
    let made = place.run(&format!(
        "init home --grid-manager gm --rate free --network lies --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 \
         --resolver-listen 127.0.0.1:0 {private}"
    ));
    assert_eq!(made.status, 0, "{}", made.stderr);
    let (home, line) = Running::with_first_line(place.command(["run", "-d", "home", "--json"]));
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let nurl = place.run("gateway url -d home").stdout;
    let joined = place.run(&format!("join {} -d me --json", nurl.trim())).json();
    place.run(&format!("client add me {} -d home", joined["key"].as_str().unwrap()));
    let resolver = ready["resolver"].as_str().unwrap_or_else(|| panic!("{ready}")).to_owned();
    (home, resolver, nurl.trim().parse().unwrap())
}

fn offer(resolver: &str, record: &GridRecord) -> u16 {
    let url = format!("http://{resolver}/v1/grids/{}", record.grid());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let put = agent.put(url).header("content-type", "application/cose").send(record.signed().bytes()).unwrap();
    put.status().as_u16()
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
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (number, lie) in lies.into_iter().enumerate() {
        let what = format!("{lie:.60?}");
        let (seed, file) = (100 + number as u8, File::immutable(number as u8));
        let liar = LyingGateway::start(grid(seed), "grid", &file.served);
        assert_eq!(offer(&resolver, &record(seed, &liar.nurl)), 201, "{what}");
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
        let offered = offer(&resolver, &record(seed, &nurl));
        let got = get(&place, &file, &file.foreign(&grid(seed)), host);
        assert!(got.status != 0 && victim.connections() == 0, "{host}: {offered}, {}", got.stderr);
        assert!(got.stderr.contains("the home gateway says: "), "{host}: {}", got.stderr);
    }
    // It would have been heard.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(RawClient::connect(&victim.nurl));
    assert_eq!(victim.connections(), 1);
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
