//! A PostgreSQL server for one test.

use lafs_clearinghouse::ledger::Location;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Ends with the test, however the test ends.
pub(crate) struct Postgres {
    folder: TempDir,
    server: Child,
    port: u16,
}

impl Postgres {
    /// Starts one, or says why this machine has none; under `REQUIRE_INTEROP=1` that is a failure.
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(5432, |_| vec!["listen_addresses=".to_owned()])
    }

    /// The same at this port, which its socket is named after, with the settings that `prepare` gives, which may put files into the folder before the server starts.
    pub(crate) fn start_as(port: u16, prepare: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var("REQUIRE_INTEROP").is_ok_and(|value| value == "1");
            assert!(!required, "no `initdb`: apt-get install postgresql");
            println!("SKIPPED: PostgreSQL: no `initdb`, which belongs to Debian's package postgresql");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            // PostgreSQL refuses root; Debian's package makes a user for it.
            let chown = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(chown.success(), "there is a user `postgres`");
        }
        let cluster = folder.path().join("cluster");
        let mut initdb = as_user(&programs.join("initdb"));
        initdb.arg("--pgdata").arg(&cluster).args([
            "--username=clear",
            "--auth=trust",
            "--no-sync",
            "--no-locale",
            "--encoding=UTF8",
        ]);
        let made = initdb.current_dir(folder.path()).stdout(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut server = as_user(&programs.join("postgres"));
        server.arg("-D").arg(&cluster).arg("-k").arg(folder.path()).args(["-c", "fsync=off"]);
        server.args(["-p", &port.to_string()]);
        server.args(prepare(folder.path()).iter().flat_map(|setting| ["-c", setting]));
        // What is tested is a process of ours that is killed, not the server.
        let server = server.current_dir(folder.path()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let this = Self { folder, server, port };
        // `pg_isready` waits for nothing itself; each try is a process of its own and takes its time.
        let port = port.to_string();
        let ready = || {
            let mut command = Command::new(programs.join("pg_isready"));
            command.arg("-q").arg("-h").arg(this.folder.path()).args(["-p", &port]).status().unwrap()
        };
        let tries = (0..2_000).position(|_| ready().success());
        assert!(tries.is_some(), "{}", std::fs::read_to_string(this.folder.path().join("log")).unwrap());
        this.create("clear", &programs);
        Some(this)
    }

    fn create(&self, name: &str, programs: &Path) {
        let mut create = Command::new(programs.join("createdb"));
        let made = create
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-U", "clear", name])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Another empty database of this server.
    pub(crate) fn database(&self, name: &str) -> Location {
        self.create(name, &programs().unwrap());
        self.url(name).parse().unwrap()
    }

    /// An empty database whose tables are in a folder elsewhere.
    pub(crate) fn database_in(&self, name: &str, tables: &Path) -> Location {
        let programs = programs().unwrap();
        let create = format!("CREATE TABLESPACE {name} LOCATION '{}'", tables.display());
        let mut psql = Command::new(programs.join("psql"));
        psql.arg("-h").arg(self.folder.path()).args([
            "-p",
            &self.port.to_string(),
            "-U",
            "clear",
            "-qc",
            &create,
            "clear",
        ]);
        assert!(psql.status().unwrap().success());
        let mut command = Command::new(programs.join("createdb"));
        command.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string(), "-U", "clear", "-D", name, name]);
        assert!(command.status().unwrap().success());
        self.url(name).parse().unwrap()
    }

    fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?host={}&port={}&user=clear", self.folder.path().display(), self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is its "fast shutdown": sessions are ended, nothing waits for them.
        let pid = rustix::process::Pid::from_child(&self.server);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.server.wait();
    }
}

/// Where Debian keeps the server's programs, of the newest version that is there; elsewhere they are on the PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let mut folders: Vec<PathBuf> =
        versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    let on_path = std::env::split_paths(&std::env::var_os("PATH")?).collect::<Vec<_>>();
    folders.into_iter().rev().chain(on_path).find(|folder| folder.join("initdb").exists())
}

/// Gives a file to the user that the server runs as, and keeps all others out.
pub(crate) fn give(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(Command::new("chown").arg("postgres").arg(path).status().unwrap().success());
    }
}

/// A command that ends when this process does, run by a user that is not root.
fn as_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--").arg(program);
    command
}
