//! The TCP half of a relay: each connection is two lines, and a handshake that takes its time.

use super::line::{Entrance, Exit, line};
use super::timer::sleep_until;
use super::{Path, source_for};
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What one direction of a connection may have under way: at 25 ms a way, 160 MB/s, as a large TCP window would give.
const LINE_BYTES: u32 = 4 << 20;

/// What is read at once. Larger pieces save wake-ups, smaller ones memory; this is the socket's own granularity.
const CHUNK_BYTES: usize = 64 << 10;

/// Connections at a time. Each costs two sockets; beyond that, clients wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 1_024;

/// How long to wait when the process has no file descriptor left: without it the loop would spin until one is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What travels on a line of a connection.
enum Carried {
    Bytes(Box<[u8]>),
    /// The sender will send no more (FIN).
    End,
    /// The sender's connection broke (RST).
    Reset,
}

/// The connection broke on one side, so the other is to be told.
struct Broken;

/// Starts the task that relays connections to `listener` to the node.
pub(super) fn start(tasks: &mut JoinSet<()>, listener: std::net::TcpListener, path: &Path) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    tasks.spawn(accept(listener, path.clone()));
    Ok(())
}

async fn accept(listener: TcpListener, path: Path) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, from)) => {
                let path = path.clone();
                connections.spawn(async move {
                    carry(client, from, path).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection for the node failed");
                sleep(ACCEPT_RETRY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, from the client's SYN to its end. The times are explained in the room's own documentation.
async fn carry(mut client: TcpStream, from: SocketAddr, mut path: Path) {
    path.gate.opened(from.ip()).await;
    let syn_sent = Instant::now();
    sleep_until(syn_sent + path.hold).await;
    let Ok(mut node) = dial(from, path.node).await else {
        sleep_until(syn_sent + 2 * path.hold).await;
        reset_on_drop(&client);
        return;
    };
    let _ = client.set_nodelay(true);
    let (client_reads, client_writes) = client.split();
    let (node_reads, node_writes) = node.split();
    let ends = tokio::try_join!(
        pump(client_reads, node_writes, from.ip(), &path, syn_sent + 2 * path.hold),
        pump(node_reads, client_writes, from.ip(), &path, syn_sent + 3 * path.hold),
    );
    if ends.is_err() {
        reset_on_drop(&client);
        reset_on_drop(&node);
    }
}

async fn dial(client: SocketAddr, node: SocketAddr) -> io::Result<TcpStream> {
    let socket = if node.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(source_for(client))?;
    let stream = socket.connect(node).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Carries one direction, from `opens` on.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    client: IpAddr,
    path: &Path,
    opens: Instant,
) -> Result<(), Broken> {
    let (entrance, exit) = line(path.hold, LINE_BYTES);
    let reading = feed(from, entrance, client, path.clone(), opens);
    let writing = drain(exit, to, client, path.clone());
    tokio::pin!(writing);
    tokio::select! {
        () = reading => writing.await,
        end = &mut writing => end,
    }
}

async fn feed(mut from: ReadHalf<'_>, line: Entrance<Carried>, client: IpAddr, mut path: Path, opens: Instant) {
    sleep_until(opens).await;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut buffer).await;
        path.gate.opened(client).await;
        let (bytes, carried) = match read {
            Ok(0) => (0, Carried::End),
            Ok(length) => (length, Carried::Bytes(buffer[..length].into())),
            Err(_) => (0, Carried::Reset),
        };
        let last = !matches!(carried, Carried::Bytes(_));
        if line.push(bytes, carried).await.is_err() || last {
            return;
        }
    }
}

async fn drain(mut line: Exit<Carried>, mut to: WriteHalf<'_>, client: IpAddr, mut path: Path) -> Result<(), Broken> {
    while let Some(carried) = line.next().await {
        path.gate.opened(client).await;
        match carried {
            Carried::Bytes(bytes) => to.write_all(&bytes).await.map_err(|_| Broken)?,
            Carried::End => return to.shutdown().await.map_err(|_| Broken),
            Carried::Reset => return Err(Broken),
        }
    }
    Ok(())
}

/// Makes closing `stream` a reset: its peer learns that the connection broke and did not end.
fn reset_on_drop(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
