//! The clients: a folder each, and a process for each read.

use crate::calls::grids::{LOOK_EVERY, PATIENCE};
use crate::calls::typed::Ahead;
use crate::play::AnyError;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{
    ClientConfig, Home, NetworkName, NodeConfig, Patience, create_private_dir, read_or_create_key,
};
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::members::{Members, NewClient, membership_signer};
use lafs_clearinghouse::units::UnixSeconds;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What a client is ready to pay for a file: more than any of them costs at a price that is right.
const MAX_PRICE: &str = "0.10 USD";
/// Exit codes of `get` where the same command may go on: failed on the way, unreachable.
const AGAIN: [i32; 2] = [1, 8];

/// All clients.
pub(super) struct Readers {
    pub(super) all: Vec<Reader>,
}

/// A client of a grid's gateway.
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    /// The number of its grid.
    pub(super) home: usize,
    /// Held while a process of it runs.
    pub(super) at_work: Mutex<()>,
}

/// A file that somebody reads.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) reader: usize,
    /// The number of the grid whose file it is.
    pub(super) at: usize,
    pub(super) cap: String,
    /// What must come.
    pub(super) content: Vec<u8>,
}

/// What came of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fetched {
    /// Octets of the file that the process which ended well had to fetch.
    pub(super) fetched: u64,
    /// Processes that ended otherwise before it.
    pub(super) broken_off: u64,
}

impl Readers {
    pub(super) fn lay_out(dir: &Path, clients: usize, grids: usize) -> Self {
        let reader = |number: usize| {
            let name = format!("client-{number:02}");
            Reader { dir: dir.join(&name), name, home: number % grids, at_work: Mutex::new(()) }
        };
        Self { all: (0..clients).map(reader).collect() }
    }

    /// Reads a file to its end, as often as somebody in between is not there; refused, it is an error.
    pub(super) async fn read(&self, ahead: Ahead, call: &Call, number: usize) -> Result<Fetched, AnyError> {
        let fetched = self.try_read(ahead, call, number).await?;
        fetched.map_err(|refused| {
            format!("{} cannot read from grid {}: {refused}", self.all[call.reader].name, call.at).into()
        })
    }

    /// The same; what was said where it was refused.
    pub(super) async fn try_read(
        &self,
        ahead: Ahead,
        call: &Call,
        number: usize,
    ) -> Result<Result<Fetched, String>, AnyError> {
        let reader = &self.all[call.reader];
        let _alone = reader.at_work.lock().await;
        let output = reader.dir.join(format!("read-{number}"));
        let until = Instant::now() + PATIENCE;
        let mut broken_off = 0;
        loop {
            let typed = ahead.types(&reader.words(&call.cap, &output)).await?;
            match typed.code {
                Some(0) => return Ok(Ok(Fetched { fetched: call.whole(&output, &typed.printed)?, broken_off })),
                Some(code) if AGAIN.contains(&code) && Instant::now() < until => {
                    broken_off += 1;
                    tokio::time::sleep(LOOK_EVERY * 4).await;
                }
                code => return Ok(Err(format!("{code:?}, {}{}", typed.printed, typed.errors))),
            }
        }
    }
}

impl Reader {
    /// Makes its folder, and makes it a client of the gateway whose node is in `home`.
    pub(super) fn join(&self, nurl: &Nurl, grid: GridId, network: &str, home: &Home) -> Result<(), AnyError> {
        let own = Home::new(&self.dir);
        create_private_dir(self.dir.parent().unwrap_or(&self.dir))?;
        create_private_dir(own.path())?;
        let key = read_or_create_key(&own.accounting_key())?.public();
        let network: NetworkName = network.parse()?;
        let config = ClientConfig { home: nurl.clone(), home_grid_id: grid, network, patience: Patience::WITH_HOME };
        config.write(&own.client())?;
        let signer = membership_signer(home, &NodeConfig::read(&home.config())?, &grid)?;
        let client = NewClient {
            label: self.name.parse()?,
            key,
            groups: Vec::new(),
            not_after: UnixSeconds::MAX,
            servers: Vec::new(),
        };
        Members::open(home, grid)?.add(&signer, client, Clock::system().now())?;
        Ok(())
    }

    /// What is typed to read a file.
    pub(super) fn words<'a>(&'a self, cap: &'a str, output: &'a Path) -> [&'a str; 9] {
        let text = |path: &'a Path| path.to_str().expect("a folder of ours");
        ["get", cap, "-o", text(output), "--max-price", MAX_PRICE, "--json", "-d", text(&self.dir)]
    }

    /// The books that its processes keep.
    pub(super) fn ledgers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(Home::new(&self.dir).client_ledgers());
        let paths = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        paths.filter(|path| path.extension().is_some_and(|end| end == "sqlite")).collect()
    }
}

impl Call {
    /// How much of the file was fetched by the process that printed this; an error if it is not the file.
    pub(super) fn whole(&self, output: &Path, printed: &str) -> Result<u64, AnyError> {
        let told: serde_json::Value = serde_json::from_str(printed)?;
        let there_before = told["resumed_from_bytes"].as_u64().unwrap_or_default();
        if std::fs::read(output)? != self.content {
            return Err(format!("{} is not the file that it should be", output.display()).into());
        }
        std::fs::remove_file(output)?;
        Ok((self.content.len() as u64).saturating_sub(there_before))
    }
}
