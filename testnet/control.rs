//! How a running testnet is told what is to go wrong: a socket in its folder, which only its owner can open.
//!
//! One line of JSON each way: a [`Command`], and a [`Reply`]. The testnet ends with its process, and so does the socket;
//! the file that it leaves when it is killed answers nobody, and says so.

use crate::status::TestnetStatus;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// The socket's name in the folder of a testnet.
const SOCKET: &str = "control.sock";

/// How the folders of testnets begin that nobody named.
pub(crate) const FOLDER_PREFIX: &str = "lafs-testnet-";

/// The longest line either side reads: a thousand nodes' status takes a third of it.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Commands that may wait: people type them one at a time.
const COMMANDS: usize = 16;

/// How long a testnet may take over a command. Starting a node is what takes longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a testnet is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    /// End the processes of these nodes at once, by SIGKILL.
    Kill(Vec<String>),
    /// Start dead nodes again, on the data they left.
    Start(Vec<String>),
    /// Let nothing through to these nodes, and nothing from them.
    Pause(Vec<String>),
    /// Let everything through again.
    Resume(Vec<String>),
    /// Let nothing through between these groups.
    Partition(Vec<String>),
    /// End every partition.
    Heal,
    /// Tell how things stand.
    Status,
}

/// What a testnet answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// It is done, and things stand so.
    Done(TestnetStatus),
    /// Nothing was done.
    Refused(String),
}

/// A command on its way, and where its answer goes.
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// The testnet's end. Dropped, it takes its socket away.
pub(crate) struct Control {
    path: PathBuf,
    commands: mpsc::Receiver<Asked>,
    task: tokio::task::JoinHandle<()>,
}

impl Control {
    /// Listens in the folder of a testnet.
    pub(crate) fn listen(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET);
        let listener = UnixListener::bind(&path)?;
        // The folder is private too; this holds where somebody opened it up.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let (sender, commands) = mpsc::channel(COMMANDS);
        let task = tokio::spawn(async move {
            // One after the other: two partitions at once would be neither.
            while let Ok((stream, _)) = listener.accept().await {
                if let Err(error) = serve(stream, &sender).await {
                    tracing::debug!(%error, "a command could not be read or answered");
                }
            }
        });
        Ok(Self { path, commands, task })
    }

    /// The next command. Dropping it halfway is safe.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.commands.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(stream: UnixStream, commands: &mpsc::Sender<Asked>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    // Whoever opens the socket and says nothing must not lock out the others.
    let mut read = BufReader::new(reader.take(MAX_LINE_BYTES));
    tokio::time::timeout(Duration::from_secs(5), read.read_line(&mut line)).await??;
    let reply = match serde_json::from_str(&line) {
        Ok(command) => {
            let (reply, answer) = oneshot::channel();
            let _ = commands.send(Asked { command, reply }).await;
            answer.await.unwrap_or_else(|_| Reply::Refused("the testnet is stopping".to_owned()))
        }
        Err(error) => Reply::Refused(format!("not a command of this version: {error}")),
    };
    let mut line = serde_json::to_string(&reply)?;
    line.push('\n');
    writer.write_all(line.as_bytes()).await
}

/// Why a testnet could not be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TellError {
    /// There is no testnet in that folder.
    #[error("no testnet is running in `{}`", .0.display())]
    NotRunning(PathBuf),
    /// None was found where testnets lie that nobody gave a folder.
    #[error("no testnet is running in a folder under `{}`", .0.display())]
    None(PathBuf),
    /// More than one was found there.
    #[error("{} testnets are running: {}", .0.len(), .0.iter().map(|dir| format!("`{}`", dir.display())).collect::<Vec<_>>().join(", "))]
    Several(Vec<PathBuf>),
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// It did not answer in time.
    #[error("the testnet in `{}` did not answer within {} s", .0.display(), PATIENCE.as_secs())]
    TimedOut(PathBuf),
    /// The conversation broke off.
    #[error("the testnet in `{}` could not be asked", dir.display())]
    Broken {
        /// Its folder.
        dir: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Tells the testnet in `dir`, or the only one that runs in a temporary folder, to do something.
pub(crate) async fn tell(dir: Option<PathBuf>, command: &Command) -> Result<TestnetStatus, TellError> {
    let dir = match dir {
        Some(dir) => dir,
        None => only_one(&std::env::temp_dir()).await?,
    };
    let stream = match UnixStream::connect(dir.join(SOCKET)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(TellError::NotRunning(dir));
        }
        Err(source) => return Err(TellError::Broken { dir, source }),
    };
    match tokio::time::timeout(PATIENCE, converse(stream, command)).await {
        Err(_) => Err(TellError::TimedOut(dir)),
        Ok(Err(source)) => Err(TellError::Broken { dir, source }),
        Ok(Ok(Reply::Refused(why))) => Err(TellError::Refused(why)),
        Ok(Ok(Reply::Done(status))) => Ok(status),
    }
}

async fn converse(stream: UnixStream, command: &Command) -> io::Result<Reply> {
    let (reader, mut writer) = stream.into_split();
    let mut line = serde_json::to_string(command)?;
    line.push('\n');
    writer.write_all(line.as_bytes()).await?;
    line.clear();
    BufReader::new(reader.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

/// The only testnet that answers among the temporary folders in `parent`.
async fn only_one(parent: &Path) -> Result<PathBuf, TellError> {
    let folders = parent.read_dir().into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX));
    let mut running = Vec::new();
    for dir in folders.map(|entry| entry.path()) {
        if UnixStream::connect(dir.join(SOCKET)).await.is_ok() {
            running.push(dir);
        }
    }
    running.sort();
    match running.len() {
        0 => Err(TellError::None(parent.to_owned())),
        1 => Ok(running.remove(0)),
        _ => Err(TellError::Several(running)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_comes_through_and_its_answer_back() {
        let temp = tempfile::tempdir().unwrap();
        let mut control = Control::listen(temp.path()).unwrap();
        let mode = std::fs::metadata(temp.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let dir = temp.path().to_owned();
        let told = tokio::spawn(async move { tell(Some(dir), &Command::Kill(vec!["node-01".to_owned()])).await });
        let asked = control.next().await;
        assert_eq!(asked.command, Command::Kill(vec!["node-01".to_owned()]));
        asked.reply.send(Reply::Refused("why".to_owned())).unwrap();
        assert_eq!(told.await.unwrap().unwrap_err().to_string(), "why");
        drop(control);
        assert!(!temp.path().join(SOCKET).exists());
    }

    #[tokio::test]
    async fn a_folder_without_a_running_testnet_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let tell = async || tell(Some(temp.path().to_owned()), &Command::Status).await.unwrap_err();
        assert!(matches!(tell().await, TellError::NotRunning(_)), "no socket at all");
        // As a testnet that was killed leaves it.
        drop(std::os::unix::net::UnixListener::bind(temp.path().join(SOCKET)).unwrap());
        assert!(matches!(tell().await, TellError::NotRunning(_)), "nobody listens");
    }

    #[tokio::test]
    async fn the_only_running_testnet_is_found_and_several_are_named() {
        let temp = tempfile::tempdir().unwrap();
        let dir = |name: &str| temp.path().join(format!("{FOLDER_PREFIX}{name}"));
        assert!(matches!(only_one(temp.path()).await, Err(TellError::None(_))));
        for name in ["a", "b", "stopped"] {
            std::fs::create_dir(dir(name)).unwrap();
        }
        let _a = Control::listen(&dir("a")).unwrap();
        assert_eq!(only_one(temp.path()).await.unwrap(), dir("a"));
        let _b = Control::listen(&dir("b")).unwrap();
        assert!(matches!(only_one(temp.path()).await, Err(TellError::Several(found)) if found == [dir("a"), dir("b")]));
    }
}
