//! A temporary folder to run the program in.

use lafs_clearinghouse::keys::{GridId, SecretKey};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder of its own for each test; nobody else can enter it. Gone when dropped.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A grid manager's folder, as Tahoe's tool makes it, with the key that grows from `seed`.
    pub(crate) fn grid_manager(&self, name: &str, seed: u8) -> GridId {
        let key = SecretKey::from_seed(&[seed; 32]);
        fs::create_dir(self.path(name)).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o700)).unwrap();
        let private = key.to_private_text();
        let json = format!("{{\n    \"grid_manager_config_version\": 0,\n    \"private_key\": \"{}\"\n}}\n", *private);
        self.write(&format!("{name}/config.json"), json);
        GridId::new(key.public())
    }

    /// The program with these words, in an environment that has nothing of the tester's.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clearinghouse"));
        command.args(words).current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path()).stdin(Stdio::null());
        command
    }

    /// The same with a clock that is `ahead` seconds ahead of the machine's, until a line on its standard input says otherwise.
    pub(crate) fn command_at<S: AsRef<OsStr>>(&self, ahead: i64, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testnet"));
        command.args(["clearinghouse", &format!("--ahead={ahead}"), "--moved", "--"]).args(words);
        command.current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path()).stdin(Stdio::piped());
        command
    }

    /// Runs `line`, parted at spaces, to its end.
    pub(crate) fn run(&self, line: &str) -> Ended {
        self.run_words(line.split_whitespace())
    }

    pub(crate) fn run_words<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Ended {
        Ended::of(self.command(words).output().unwrap())
    }

    /// The same with something on standard input.
    pub(crate) fn run_with_stdin(&self, line: &str, stdin: &str) -> Ended {
        let mut command = self.command(line.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        Ended::of(child.wait_with_output().unwrap())
    }

    /// Starts the node of `dir`, made beforehand.
    pub(crate) fn start(&self, dir: &str) -> Running {
        self.start_by(dir, self.command(["run", "-d", dir]))
    }

    /// The same at a clock that can be moved.
    pub(crate) fn start_at(&self, ahead: i64, dir: &str) -> Running {
        self.start_by(dir, self.command_at(ahead, ["run", "-d", dir]))
    }

    fn start_by(&self, dir: &str, mut command: Command) -> Running {
        let log = fs::File::create(self.path(&format!("{dir}.log"))).unwrap();
        Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }
}

impl Place {
    /// The same for a node whose files will be limited: the signal that tells of the limit is ignored.
    pub(crate) fn start_ignoring_file_limits(&self, dir: &str) -> Running {
        let log = fs::File::create(self.path(&format!("{dir}.log"))).unwrap();
        let program = env!("CARGO_BIN_EXE_clearinghouse");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' XFSZ; exec '{program}' run -d {dir}")]).current_dir(self.dir.path());
        command.env_clear().env("HOME", self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Running(command.spawn().unwrap())
    }
}

/// What `look` finds, as soon as it finds something: another process is waited for.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the condition is another process's, which tells of it by files and answers"
)]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `look` finds when it has found the same for longer than something verified waits for its voucher: books that agree may do so
/// because neither has what is vouched for in a moment.
#[track_caller]
pub(crate) fn at_rest<T: PartialEq>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut last: Option<(T, Instant)> = None;
    eventually(what, || {
        let now = look();
        let since = match last.take() {
            Some((before, since)) if now.as_ref() == Some(&before) => since,
            _ => Instant::now(),
        };
        last = now.map(|now| (now, since));
        last.take_if(|_| since.elapsed() > BEATS).map(|(now, _)| now)
    })
}

/// Two beats of a payer.
const BEATS: Duration = Duration::from_secs(1);

/// How long a condition may take before the test gives up: far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(90);

/// What came of a command.
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: i32,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().expect("an exit code"),
        }
    }

    /// Compares everything; `[..]` stands for any text within a line.
    #[track_caller]
    pub(crate) fn is(&self, status: i32, stdout: &str, stderr: &str) {
        let same = self.status == status && matches(stdout, &self.stdout) && matches(stderr, &self.stderr);
        assert!(
            same,
            "expected {status}\n{stdout}\n--- and on standard error:\n{stderr}\n=== found {}\n{}\n--- and on standard error:\n{}",
            self.status, self.stdout, self.stderr
        );
    }

    /// The JSON on standard output of a command that ended with 0.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, 0, "{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let (patterns, lines): (Vec<&str>, Vec<&str>) = (pattern.lines().collect(), text.lines().collect());
    patterns.len() == lines.len() && patterns.iter().zip(lines).all(|(pattern, line)| line_matches(pattern, line))
}

fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// Sets the clock of a command that was started by [`Place::command_at`].
pub(crate) fn set_clock(child: &mut Child, ahead: i64) {
    let stdin = child.stdin.as_mut().expect("a clock that can be moved");
    stdin.write_all(format!("{ahead}\n").as_bytes()).unwrap();
}

/// A node at work; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a node, and waits for the first line that it prints.
    pub(crate) fn with_first_line(mut command: Command) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Sets its clock, which was started as one that can be moved.
    pub(crate) fn is_ahead(&mut self, seconds: i64) {
        set_clock(&mut self.0, seconds);
    }

    /// Sends a signal by its name, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Lets no file of it grow beyond so many bytes: as a full disk does, and without root.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let words = ["--pid", &self.pid().to_string(), &format!("--fsize={bytes}:unlimited")];
        assert!(Command::new("prlimit").args(words).status().unwrap().success());
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> i32 {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
        self.0.wait().unwrap().code().expect("an exit code")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether there is a `prlimit`; that there is none is said, and counted.
pub(crate) fn can_limit_files() -> bool {
    if Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return true;
    }
    let required = std::env::var_os("REQUIRE_INTEROP").is_some_and(|value| value == "1");
    assert!(!required, "REQUIRE_INTEROP=1 and no prlimit");
    println!("SKIPPED: no `prlimit`, which belongs to util-linux");
    false
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_pattern_fits_whole_lines() {
    assert!(matches("a[..]c\nd\n", "abc\nd\n"));
    assert!(!matches("a[..]c", "abc\nd"));
    assert!(!matches("a", "ab") && !matches("a[..]c", "abd"));
}
