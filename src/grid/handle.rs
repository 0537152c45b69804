//! The grid of one Tahoe node: its storage servers, which of them are used, and why the others are not.

use crate::clock::Clock;
use crate::config::{FileError, read_at_most};
use crate::grid::announcement::Announcement;
use crate::grid::blessing::{NotBlessed, blessed_until};
use crate::grid::connection::{Deadlines, Place};
use crate::grid::list::ServerList;
use crate::grid::managers::{ManagerError, grid_managers};
use crate::grid::node_dir::TahoeNodeError;
use crate::grid::server::StorageServer;
use crate::grid::server_id::ServerId;
use crate::keys::PublicKey;
use crate::units::UnixSeconds;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The settings of a Tahoe node. They have some dozen lines.
const CONFIG_FILE: &str = "tahoe.cfg";
/// More than any of them has.
const MAX_CONFIG_BYTES: usize = 1 << 20;

/// What a grid is opened with.
#[derive(Debug, Clone)]
pub struct GridSettings {
    /// The folder of a Tahoe node of the grid: a client, a gateway or a storage server.
    pub node_dir: PathBuf,
    /// Grid managers that are trusted beside those in the node's `tahoe.cfg`. With none in either, every server is used.
    pub managers: Vec<PublicKey>,
    /// How long storage servers may keep us waiting.
    pub deadlines: Deadlines,
    /// How often the node's files are looked at.
    pub poll: Duration,
    /// How long a server is kept that no file names any more.
    pub grace: Duration,
}

impl GridSettings {
    /// Those of a grid whose node is at `node_dir`: no further manager, a look every five seconds, two minutes of grace.
    pub fn new(node_dir: impl Into<PathBuf>) -> Self {
        Self {
            node_dir: node_dir.into(),
            managers: Vec::new(),
            deadlines: Deadlines::default(),
            poll: Duration::from_secs(5),
            grace: Duration::from_secs(120),
        }
    }
}

/// Why a grid is not opened.
#[derive(Debug, thiserror::Error)]
pub enum GridError {
    /// The folder is none of a Tahoe node.
    #[error(transparent)]
    Node(#[from] TahoeNodeError),
    /// Its settings cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its settings name a grid manager whose key is none.
    #[error("a grid manager in `{}` cannot be read", path.display())]
    Manager {
        /// The file.
        path: PathBuf,
        /// Which one.
        source: ManagerError,
    },
}

/// Whether a server is used, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is asked for shares.
    Used,
    /// It announces no address that speaks HTTPS: an old server, or one that is told to speak Foolscap alone.
    NoHttps,
    /// It can be reached as an onion service only.
    OnlyOnion,
    /// No trusted grid manager has taken it into the grid, or no longer.
    NotBlessed(NotBlessed),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used => f.write_str("used"),
            Self::NoHttps => f.write_str("not used: it speaks Foolscap only"),
            Self::OnlyOnion => f.write_str("not used: it is an onion service"),
            Self::NotBlessed(reason) => write!(f, "not used: {reason}"),
        }
    }
}

/// A server of the list, for people.
#[derive(Debug, Clone)]
pub struct ListedServer {
    /// Its key.
    pub id: ServerId,
    /// What it calls itself.
    pub nickname: String,
    /// Whether it is used.
    pub standing: Standing,
    /// The day its certificate ends, where a grid manager is trusted and has signed one.
    pub blessed_until: Option<UnixSeconds>,
    /// The server, where it can be asked at all; one that is not used is there too.
    pub server: Option<Arc<StorageServer>>,
}

/// The storage servers of one grid. A cheap handle; the last one ends the looking after the files.
#[derive(Clone)]
pub struct Grid(Arc<Shared>);

struct Shared {
    managers: Vec<PublicKey>,
    deadlines: Deadlines,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    list: ServerList,
    known: BTreeMap<ServerId, Known>,
}

/// A server with what was made of its announcement.
struct Known {
    announcement: Announcement,
    blessing: Result<Option<UnixSeconds>, NotBlessed>,
    /// `None` where it cannot be asked.
    server: Result<Arc<StorageServer>, Standing>,
}

impl Grid {
    /// The grid that the settings' node belongs to, its list read once and from then on looked after.
    ///
    /// An empty list is none to complain of: the node may not have started yet. Reads a few files, and must be called
    /// within tokio's runtime.
    pub fn open(settings: GridSettings, clock: Clock) -> Result<Self, GridError> {
        let private = settings.node_dir.join("private");
        if !private.is_dir() {
            return Err(TahoeNodeError::NotANode(settings.node_dir).into());
        }
        let mut managers = settings.managers;
        managers.extend(configured_managers(settings.node_dir.join(CONFIG_FILE))?);
        let state = State { list: ServerList::new(private, settings.grace), known: BTreeMap::new() };
        let shared = Shared { managers, deadlines: settings.deadlines, clock, state: Mutex::new(state) };
        let grid = Self(Arc::new(shared));
        grid.refresh();
        tokio::spawn(look_after(Arc::downgrade(&grid.0), settings.poll));
        Ok(grid)
    }

    /// The servers that are used now, in the order of their keys.
    pub fn servers(&self) -> Vec<Arc<StorageServer>> {
        let now = self.0.clock.now();
        let state = self.0.state();
        state.known.values().filter(|known| known.standing(now) == Standing::Used).filter_map(Known::server).collect()
    }

    /// Every server that the node has heard of, with whether it is used and why not.
    pub fn listed(&self) -> Vec<ListedServer> {
        let now = self.0.clock.now();
        let state = self.0.state();
        let listed = |(id, known): (&ServerId, &Known)| ListedServer {
            id: *id,
            nickname: known.announcement.nickname.clone(),
            standing: known.standing(now),
            blessed_until: known.blessing.ok().flatten(),
            server: known.server(),
        };
        state.known.iter().map(listed).collect()
    }

    /// What could not be read of the node's lists when they were looked at last, one sentence each; without secrets.
    pub fn faults(&self) -> Vec<String> {
        use std::error::Error;
        let sentence = |fault: &crate::grid::list::ListFault| match fault.source() {
            Some(source) => format!("{fault}: {source}"),
            None => fault.to_string(),
        };
        self.0.state().list.faults().map(sentence).collect()
    }

    /// The grid managers that are trusted: with any, a server needs a certificate of one of them.
    pub fn managers(&self) -> &[PublicKey] {
        &self.0.managers
    }

    /// Looks at the node's files now instead of when it is time. Blocks for as long as that takes.
    pub fn refresh(&self) {
        self.0.refresh();
    }
}

impl fmt::Debug for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grid of {} servers", self.0.state().known.len())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self) {
        let mut state = self.state();
        let State { list, known } = &mut *state;
        list.refresh(Instant::now());
        let mut before = std::mem::take(known);
        for announcement in list.servers() {
            // One that has not changed keeps its connections and what is known of its health.
            let kept = before.remove(&announcement.id).filter(|kept| kept.announcement == *announcement);
            let made = kept.unwrap_or_else(|| self.made_of(announcement));
            known.insert(announcement.id, made);
        }
    }

    fn made_of(&self, announcement: &Announcement) -> Known {
        let blessing = if self.managers.is_empty() {
            Ok(None)
        } else {
            blessed_until(&announcement.certificates, &announcement.id, &self.managers).map(Some)
        };
        let places: Vec<Place> = announcement.nurls.iter().filter_map(Place::new).collect();
        let server = if !places.is_empty() {
            let nickname = announcement.nickname.clone();
            Ok(Arc::new(StorageServer::new(announcement.id, nickname, places, self.deadlines)))
        } else if announcement.nurls.is_empty() {
            Err(Standing::NoHttps)
        } else {
            Err(Standing::OnlyOnion)
        };
        Known { announcement: announcement.clone(), blessing, server }
    }
}

impl Known {
    fn standing(&self, now: UnixSeconds) -> Standing {
        match (&self.server, self.blessing) {
            (Err(standing), _) => *standing,
            (Ok(_), Err(reason)) => Standing::NotBlessed(reason),
            (Ok(_), Ok(Some(until))) if until <= now => Standing::NotBlessed(NotBlessed::Expired(until)),
            (Ok(_), Ok(_)) => Standing::Used,
        }
    }

    fn server(&self) -> Option<Arc<StorageServer>> {
        self.server.as_ref().ok().cloned()
    }
}

/// Looks at the files every `poll`, until nobody has the grid any more.
async fn look_after(grid: Weak<Shared>, poll: Duration) {
    loop {
        tokio::time::sleep(poll).await;
        let Some(shared) = grid.upgrade() else { return };
        // Files block, and the folder may lie on a disk that is asleep.
        let _ = tokio::task::spawn_blocking(move || shared.refresh()).await;
    }
}

fn configured_managers(path: PathBuf) -> Result<Vec<PublicKey>, GridError> {
    let bytes = match read_at_most(&path, MAX_CONFIG_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    grid_managers(&String::from_utf8_lossy(&bytes)).map_err(|source| GridError::Manager { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::furl::Nurl;
    use crate::grid::blessing::AnnouncedCertificate;
    use crate::grid::fixtures::{FakeServer, Reply, certificate};
    use crate::keys::SecretKey;
    use std::fmt::Write;
    use std::fs;

    const NURL: &str =
        "pb://QuJb7c5J-vNlnD5P7DWUUWmyYVkQjhmwgp0BJVTwKoY@127.0.0.1:7110/hbqzvb2sdpnqvuibad52ofau7by5zotp#v=1";
    const YEAR_2100: UnixSeconds = UnixSeconds(4_102_444_800);

    fn id(n: u8) -> ServerId {
        ServerId::new([n; 32])
    }

    fn manager() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    /// A node's folder whose own list has these servers.
    fn node(servers: &[(ServerId, Vec<String>, Vec<AnnouncedCertificate>)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("private")).unwrap();
        let mut text = "storage:\n".to_owned();
        for (id, nurls, certificates) in servers {
            let nurls = nurls.join("\", \"");
            writeln!(text, "  {id}:\n    ann:\n      nickname: s\n      anonymous-storage-NURLs: [\"{nurls}\"]")
                .unwrap();
            writeln!(text, "      grid-manager-certificates:").unwrap();
            for AnnouncedCertificate { certificate, signature } in certificates {
                writeln!(text, "      - certificate: '{certificate}'\n        signature: {signature}").unwrap();
            }
        }
        fs::write(dir.path().join("private/servers.yaml"), text).unwrap();
        dir
    }

    fn open(dir: &tempfile::TempDir, clock: Clock) -> Grid {
        Grid::open(GridSettings::new(dir.path()), clock).unwrap()
    }

    fn standings(grid: &Grid) -> Vec<Standing> {
        grid.listed().iter().map(|listed| listed.standing).collect()
    }

    #[tokio::test]
    async fn without_a_manager_every_server_with_an_https_address_is_used() {
        let onion = NURL.replace("pb:", "pb+tor:").replace("127.0.0.1", "abc.onion");
        let furl = "pb://pm5tsfpfa4l5cpsxl5xdexn5ufyyczmt@tcp:127.0.0.1:7110/hbqzvb2sdpnqvuibad52ofau7by5zotp";
        let dir = node(&[
            (id(1), vec![NURL.into()], vec![]),
            (id(2), vec![furl.into()], vec![]),
            (id(3), vec![onion.clone()], vec![]),
            (id(4), vec![onion, NURL.into()], vec![]),
        ]);
        let grid = open(&dir, Clock::system());
        assert_eq!(standings(&grid), [Standing::Used, Standing::NoHttps, Standing::OnlyOnion, Standing::Used]);
        let used: Vec<_> = grid.servers().iter().map(|server| *server.id()).collect();
        assert_eq!(used, [id(1), id(4)]);
        assert!(grid.managers().is_empty());
    }

    #[tokio::test]
    async fn with_a_manager_only_servers_with_its_certificate_are_used_until_its_day() {
        let until = "2100-01-01T00:00:00+00:00";
        let nurl = || vec![NURL.into()];
        let dir = node(&[
            (id(1), nurl(), vec![certificate(&manager(), &id(1), until)]),
            (id(2), nurl(), vec![]),
            (id(3), nurl(), vec![certificate(&manager(), &id(1), until)]),
            (id(4), nurl(), vec![certificate(&SecretKey::from_seed(&[9; 32]), &id(4), until)]),
            (id(5), nurl(), vec![certificate(&manager(), &id(5), "2020-01-01T00:00:00+00:00")]),
        ]);
        let config = format!("[grid_managers]\nours = {}\n", manager().public());
        fs::write(dir.path().join("tahoe.cfg"), config).unwrap();
        let clock = Clock::adjustable();
        let grid = open(&dir, clock);
        let not = Standing::NotBlessed;
        assert_eq!(
            standings(&grid),
            [
                Standing::Used,
                not(NotBlessed::NoCertificate),
                not(NotBlessed::OtherServer),
                not(NotBlessed::OtherManager),
                not(NotBlessed::Expired(UnixSeconds(1_577_836_800))),
            ]
        );
        assert_eq!(grid.servers().len(), 1);
        assert_eq!(grid.listed()[0].blessed_until, Some(YEAR_2100));
        // The clock decides each time, not the day on which the list was read.
        clock.advance(i64::try_from(YEAR_2100.0 - clock.now().0).unwrap() - 10);
        assert_eq!(grid.servers().len(), 1);
        clock.advance(10);
        assert_eq!(grid.servers().len(), 0);
        assert_eq!(standings(&grid)[0], not(NotBlessed::Expired(YEAR_2100)));
    }

    #[tokio::test]
    async fn a_manager_may_also_be_passed_in() {
        let dir = node(&[(id(1), vec![NURL.into()], vec![])]);
        let mut settings = GridSettings::new(dir.path());
        settings.managers.push(manager().public());
        let grid = Grid::open(settings, Clock::system()).unwrap();
        assert!(grid.servers().is_empty());
        assert_eq!(grid.listed()[0].standing.to_string(), "not used: it announces no certificate of a grid manager");
    }

    #[tokio::test]
    async fn what_is_no_node_or_trusts_a_manager_without_a_key_is_refused() {
        let empty = tempfile::tempdir().unwrap();
        let error = Grid::open(GridSettings::new(empty.path()), Clock::system()).unwrap_err();
        assert!(matches!(error, GridError::Node(TahoeNodeError::NotANode(_))), "{error}");
        let dir = node(&[]);
        fs::write(dir.path().join("tahoe.cfg"), "[grid_managers]\nours = pub-v0-\n").unwrap();
        let error = Grid::open(GridSettings::new(dir.path()), Clock::system()).unwrap_err();
        assert!(matches!(error, GridError::Manager { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_has_not_changed_keeps_its_connections() {
        let fake = FakeServer::start(|_: &_| Reply::share_numbers(&[0])).await;
        let nurl = fake.nurl().to_string();
        let dir = node(&[(id(1), vec![nurl.clone()], vec![])]);
        let grid = open(&dir, Clock::system());
        let index = crate::capability::StorageIndex::new([7; 16]);
        let ask = async |grid: &Grid| {
            let servers = grid.servers();
            servers[0].shares(crate::grid::server::ShareKind::Immutable, &index).await.unwrap()
        };
        assert_eq!(ask(&grid).await, [0]);
        let list = dir.path().join("private/servers.yaml");
        let more = fs::read_to_string(
            node(&[(id(1), vec![nurl], vec![]), (id(2), vec![NURL.into()], vec![])])
                .path()
                .join("private/servers.yaml"),
        );
        fs::write(&list, more.unwrap()).unwrap();
        grid.refresh();
        assert_eq!(grid.servers().len(), 2);
        assert_eq!(ask(&grid).await, [0]);
        assert_eq!(fake.connections(), 1);
    }

    #[tokio::test]
    async fn the_files_are_looked_after_until_the_last_handle_is_gone() {
        let dir = node(&[]);
        let mut settings = GridSettings::new(dir.path());
        settings.poll = Duration::from_millis(1);
        let grid = Grid::open(settings, Clock::system()).unwrap();
        assert!(grid.servers().is_empty());
        let with_one = node(&[(id(1), vec![NURL.into()], vec![])]);
        fs::copy(with_one.path().join("private/servers.yaml"), dir.path().join("private/servers.yaml")).unwrap();
        let seen = async {
            while grid.servers().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::grid::fixtures::PATIENCE, seen).await.unwrap();
        let shared = Arc::downgrade(&grid.0);
        drop(grid);
        let gone = async {
            while shared.strong_count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::grid::fixtures::PATIENCE, gone).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_that_is_shown_bears_a_secret() {
        let nurl: Nurl = NURL.parse().unwrap();
        let dir = node(&[(id(1), vec![NURL.into()], vec![])]);
        fs::write(dir.path().join("private/introducer_default_cache.yaml"), format!("- ann: {{x: [{NURL}\n")).unwrap();
        let grid = open(&dir, Clock::system());
        let shown = format!("{grid:?} {:?} {:?}", grid.listed(), grid.faults());
        assert_eq!(grid.faults().len(), 1);
        assert!(!shown.contains(nurl.swissnum()) && !shown.contains("pb://"), "{shown}");
    }
}
