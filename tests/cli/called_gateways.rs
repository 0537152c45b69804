//! Readers and homes that call gateways which lie, and the files that these serve.

use crate::lying_gateway::{LyingGateway, Served};
use crate::place::{Ended, Place, Running};
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

pub(crate) const SIZE: usize = 100_000;
pub(crate) const SEGMENT: Bytes = Bytes(16_384);

pub(crate) fn grid(seed: u8) -> GridId {
    GridId::new(SecretKey::from_seed(&[seed; 32]).public())
}

fn content(seed: u8, size: usize) -> Vec<u8> {
    (0..size).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed).collect()
}

/// A file, and what the gateways of its grid would serve.
pub(crate) struct File {
    pub(crate) cap: Capability,
    pub(crate) content: Vec<u8>,
    pub(crate) served: Arc<Served>,
}

impl File {
    pub(crate) fn immutable(seed: u8) -> Self {
        let content = content(seed, SIZE);
        let encoding = ChkEncoding { max_segment: SEGMENT, ..ChkEncoding::new(ShareCounts::new(2, 3).unwrap()) };
        let made = immutable::encode(&content, ChkKey::Convergent(b"secret"), encoding).unwrap();
        let cap = Capability::File(FileCap::ChkRead(made.cap));
        Self { served: Arc::new(Served::of(&cap, &made.shares)), cap, content }
    }

    pub(crate) fn mutable(key: &FileKey, format: MutableFormat, sequence: u64) -> Self {
        let content = content(sequence as u8, SIZE);
        let shares = ShareCounts::new(2, 3).unwrap();
        let made = mutable::encode(&content, key, MutableEncoding { format, shares, sequence, segment: SEGMENT });
        let made = made.unwrap();
        let cap = Capability::File(FileCap::MutableWrite(made.cap)).read_cap().unwrap();
        Self { served: Arc::new(Served::of(&cap, &made.shares)), cap, content }
    }

    pub(crate) fn foreign(&self, grid: &GridId) -> String {
        self.cap.to_string().replacen("URI:", &format!("URI:FOREIGN:{grid}:"), 1)
    }

    /// Octets all over a manifest, and its first and last ones.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        let length = self.served.manifest.len();
        (0..length).step_by(length.div_ceil(24)).chain([length - 1])
    }
}

/// `get` in a folder of its own, which afterwards has nothing in it that was not verified.
#[track_caller]
pub(crate) fn get(place: &Place, file: &File, cap: &str, what: &str) -> Ended {
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
pub(crate) fn at_a_lying_home(file: &File) -> (Place, LyingGateway) {
    let place = Place::new();
    let home = LyingGateway::start(grid(1), "client", &file.served);
    let joined = place.run(&format!("join {} -d me", home.nurl));
    assert_eq!(joined.status, 0, "{}", joined.stderr);
    (place, home)
}

/// What a grid of key `seed` says of itself: gateways at `nurls`, free.
pub(crate) fn record<'n>(seed: u8, nurls: impl IntoIterator<Item = &'n Nurl>) -> GridRecord {
    let key = SecretKey::from_seed(&[seed; 32]);
    let address = |nurl: &Nurl| Some(GatewayAddress::Nurl(nurl.clone()));
    let gateways = nurls.into_iter().map(|nurl| Gateway::new(address(nurl), None, Roles::SERVE, None).unwrap());
    let draft = RecordDraft {
        gateways: gateways.collect(),
        rates: vec!["free".parse().unwrap()],
        ..RecordDraft::new(GridId::new(key.public()))
    };
    let now = Clock::system().now();
    draft.sign(Signer::Grid { key: &key, serial: now }, None, &[], now).unwrap()
}

/// Has whoever reads these settings wait no longer for a gateway that sends nothing.
pub(crate) fn is_patient_for(place: &Place, settings: &str, patience: &str) {
    let text = fs::read_to_string(place.path(settings)).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("patience = ") {
        true => format!("patience = \"{patience}\"\n"),
        false => format!("{line}\n"),
    });
    place.write(settings, lines.collect::<String>());
}

/// A real home with a client, `me`; where anybody offers it records; and its gateway.
pub(crate) fn a_home(place: &Place, addresses: PrivateAddresses) -> (Running, String, Nurl) {
    a_home_patient_for(place, addresses, "25 s")
}

/// The same, which waits so long for a gateway that sends nothing.
pub(crate) fn a_home_patient_for(
    place: &Place,
    addresses: PrivateAddresses,
    patience: &str,
) -> (Running, String, Nurl) {
    place.grid_manager("gm", 1);
    let private = if addresses == PrivateAddresses::Allowed { "--allow-private-addresses" } else { "" };
    let made = place.run(&format!(
        "init home --grid-manager gm --rate free --network lies --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 \
         --resolver-listen 127.0.0.1:0 {private}"
    ));
    assert_eq!(made.status, 0, "{}", made.stderr);
    is_patient_for(place, "home/clearinghouse.toml", patience);
    let (home, line) = Running::with_first_line(place.command(["run", "-d", "home", "--json"]));
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let nurl = place.run("gateway url -d home").stdout;
    let joined = place.run(&format!("join {} -d me --json", nurl.trim())).json();
    place.run(&format!("client add me {} -d home", joined["key"].as_str().unwrap()));
    let resolver = ready["resolver"].as_str().unwrap_or_else(|| panic!("{ready}")).to_owned();
    (home, resolver, nurl.trim().parse().unwrap())
}

pub(crate) fn offer(resolver: &str, record: &GridRecord) -> u16 {
    let url = format!("http://{resolver}/v1/grids/{}", record.grid());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let put = agent.put(url).header("content-type", "application/cose").send(record.signed().bytes()).unwrap();
    put.status().as_u16()
}
