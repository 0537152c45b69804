//! A stretch of wire before a gateway that lets as many octets through to callers as it is told, and holds the rest: so a test
//! stands in the middle of a transfer as long as it likes, and counts what is delivered after that.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};

/// All that anybody could want.
const EVERYTHING: usize = 1 << 50;
/// What is read at once. Small, so that what is let through is what was said.
const PIECE: usize = 4 << 10;
/// What the kernel may hold for us: as little as it allows.
const KERNEL_BYTES: u32 = 4 << 10;

/// The wire. It is cut when this is dropped.
pub(crate) struct Valve {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    behind: Mutex<SocketAddr>,
    permits: Semaphore,
    passed: AtomicU64,
    waiting: AtomicU64,
    /// Counts up when all connections are to be cut.
    cut: watch::Sender<u64>,
}

impl Valve {
    /// A wire to `behind`, open.
    pub(crate) fn to(behind: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behind: Mutex::new(behind),
            permits: Semaphore::new(EVERYTHING),
            passed: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            cut: watch::Sender::new(0),
        });
        let state = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&state).carry(stream));
            }
        });
        Self { addr, shared, runtime: Some(runtime) }
    }

    /// Where new connections lead from now on.
    pub(crate) fn leads_to(&self, behind: SocketAddr) {
        *self.shared.behind.lock().unwrap() = behind;
    }

    /// Lets so many octets more through to callers, and then no more.
    pub(crate) fn lets_through(&self, octets: usize) {
        let permits = &self.shared.permits;
        permits.forget_permits(EVERYTHING);
        permits.add_permits(octets);
    }

    /// Lets everything through.
    pub(crate) fn open(&self) {
        self.lets_through(EVERYTHING);
    }

    /// What came through to callers, on all connections.
    pub(crate) fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// Whether something is held back now.
    pub(crate) fn holds(&self) -> bool {
        self.shared.waiting.load(Ordering::SeqCst) > 0
    }

    /// Ends all connections that there are.
    pub(crate) fn cut(&self) {
        self.shared.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        // Also where the test is one of tokio's.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn carry(self: Arc<Self>, caller: TcpStream) {
        let mut cut = self.cut.subscribe();
        let behind = *self.behind.lock().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(KERNEL_BYTES).unwrap();
        let Ok(gateway) = socket.connect(behind).await else { return };
        let _ = (caller.set_nodelay(true), gateway.set_nodelay(true));
        let (mut from_caller, mut to_caller) = caller.into_split();
        let (mut from_gateway, mut to_gateway) = gateway.into_split();
        let up = tokio::io::copy(&mut from_caller, &mut to_gateway);
        let down = async {
            let mut piece = [0; PIECE];
            loop {
                let length = from_gateway.read(&mut piece).await?;
                if length == 0 {
                    return Ok::<_, std::io::Error>(());
                }
                match self.permits.try_acquire_many(length as u32) {
                    Ok(permits) => permits.forget(),
                    Err(_) => {
                        let waiting = Waiting::begin(&self);
                        self.permits.acquire_many(length as u32).await.unwrap().forget();
                        drop(waiting);
                    }
                }
                to_caller.write_all(&piece[..length]).await?;
                self.passed.fetch_add(length as u64, Ordering::SeqCst);
            }
        };
        tokio::select! {
            _ = up => {}
            _ = down => {}
            _ = cut.changed() => {}
        }
    }
}

/// Counts as waiting as long as it lives.
struct Waiting<'s>(&'s AtomicU64);

impl<'s> Waiting<'s> {
    fn begin(shared: &'s Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::SeqCst);
        Self(&shared.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
