//! Two grids of which one is real: its storage servers, both grids' nodes with their gateways, and a reader whose home is the
//! other, all of them processes of their own.

use crate::place::{Ended, Place, Running};
use crate::real_client::RealClient;
use crate::tahoe_nodes::TahoeNodes;
use lafs_clearinghouse::capability::{Area, Capability, ForeignCap, StorageIndex};
use std::fs;
use std::path::PathBuf;

/// How many storage servers there are.
pub(crate) const SERVERS: usize = 5;

/// The grids. Declared in the order in which they end.
pub(crate) struct TwoGrids {
    pub(crate) client: RealClient,
    pub(crate) home: Running,
    foreign: Running,
    pub(crate) nodes: TahoeNodes,
    pub(crate) place: Place,
}

impl TwoGrids {
    /// All of it at work, and the reader known to its home; `None` where there is no Python for a real grid.
    pub(crate) fn start() -> Option<Self> {
        let place = Place::new();
        let nodes = TahoeNodes::start_with(SERVERS, 2)?;
        let client = RealClient::start(&place.path("encodings"), &nodes.described.introducer.dir, SERVERS);
        let local =
            "--rate free --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 --allow-private-addresses --network two";
        let (manager, tahoe) = (nodes.described.grid_manager.display(), nodes.described.client.dir.display());
        done(&place.run(&format!("init foreign --grid-manager {manager} --tahoe-node {tahoe} {local}")));
        let foreign = place.start("foreign");
        let address = place.run("status -d foreign --json --wait 60").json()["addrs"].clone();
        place.grid_manager("home-manager", 77);
        fs::create_dir(place.path("got")).expect("a folder");
        done(&place.run(&format!(
            "init home --grid-manager home-manager {local} --bootstrap {}",
            address[0].as_str().expect("an address")
        )));
        let home = place.start("home");
        place.run("status -d home --json --wait 60").json();
        let nurl = place.run("gateway url -d home").stdout;
        let key = place.run(&format!("join {} -d reader --json", nurl.trim())).json()["key"].clone();
        done(&place.run(&format!("client add reader {} -d home", key.as_str().expect("a key"))));
        Some(Self { client, home, foreign, nodes, place })
    }

    /// Both nodes end when they are told to.
    pub(crate) fn end(self) {
        assert_eq!((self.home.terminate(), self.foreign.terminate()), (0, 0));
    }

    /// The foreign cap that reads what `cap` opens.
    pub(crate) fn foreign(&self, cap: &Capability) -> String {
        let grid = self.nodes.described.grid_id;
        ForeignCap::from_home(Area::Grid(grid), cap).into_cap().to_string()
    }

    /// Runs the program in the reader's name.
    pub(crate) fn reader(&self, words: &[&str]) -> Ended {
        self.place.run_words([words, &["-d", "reader"]].concat())
    }

    /// What `get` brings of `what`, a cap and perhaps a path. It must end well, and leave nothing beside the file.
    #[track_caller]
    pub(crate) fn get(&self, what: &str) -> Vec<u8> {
        let got = self.reader(&["get", what, "-o", "got/file"]);
        assert_eq!(got.status, 0, "{what}: {}{}", got.stdout, got.stderr);
        let content = self.place.read("got/file");
        fs::remove_file(self.place.path("got/file")).expect("the file");
        assert_eq!(self.left(), Vec::<String>::new(), "{what}");
        content
    }

    /// What `get` of `what` says that it must not bring. It leaves nothing that could be taken for the file.
    #[track_caller]
    pub(crate) fn get_fails(&self, what: &str, status: i32) -> String {
        let got = self.reader(&["get", what, "-o", "got/file"]);
        assert_eq!(got.status, status, "{what}: {}{}", got.stdout, got.stderr);
        assert!(!self.place.path("got/file").exists(), "{what}");
        for name in self.left() {
            fs::remove_file(self.place.path("got").join(name)).expect("an unfinished file");
        }
        got.stderr
    }

    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.place.path("got")).expect("the folder");
        names.map(|entry| entry.expect("one").file_name().to_string_lossy().into_owned()).collect()
    }

    /// The files of the shares at `index`: the number, which server has it, and where.
    pub(crate) fn shares(&self, index: &StorageIndex) -> Vec<(u16, usize, PathBuf)> {
        let name = index.to_string();
        let mut found = Vec::new();
        for (server, described) in self.nodes.described.servers.iter().enumerate() {
            let folder = described.dir.join("storage/shares").join(&name[..2]).join(&name);
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("one").path();
                let number = path.file_name().and_then(|name| name.to_str()).expect("a name");
                found.push((number.parse().expect("a number"), server, path));
            }
        }
        found.sort();
        found
    }
}

/// A command that must have ended well.
#[track_caller]
fn done(ended: &Ended) {
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
}

/// Octets that look like nothing in particular.
pub(crate) fn content(size: usize, seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed) << 32 | 0x9e37_79b9;
    let mut content = Vec::with_capacity(size + 8);
    while content.len() < size {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_be_bytes());
    }
    content.truncate(size);
    content
}
