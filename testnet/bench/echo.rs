//! The unit of the table: what one datagram and its answer take through a relay.

use super::{AnyError, PATIENCE};
use crate::ports::PortPair;
use crate::relay::Relay;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

/// The median of twenty.
pub(super) async fn measured_round_trip(rtt: Duration) -> Result<Duration, AnyError> {
    let echo = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let node = echo.local_addr()?;
    let relay = Relay::start(PortPair::any_with(Ipv4Addr::LOCALHOST, |_| Ok(()))?.0, node, rtt)?;
    let echoing = tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = echo.recv_from(&mut buffer).await {
            let _ = echo.send_to(&buffer[..length], from).await;
        }
    });
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        socket.send_to(b"ping", relay.address()).await?;
        timeout(PATIENCE, socket.recv_from(&mut [0; 64])).await??;
        times.push(started.elapsed());
    }
    echoing.abort();
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
