//! A flood: as many new keys as somebody can sign, each with a valid record, from the addresses of one /24.

use crate::liar::{Place, Stranger, both};
use crate::play::scenario::Flood;
use crate::play::stage::{AnyError, Stage};
use futures::StreamExt;
use lafs_clearinghouse::dht::message::{Body, Request, Response, WireVerdict};
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{RecordDraft, SignedRecord, Signer};
use lafs_clearinghouse::units::UnixSeconds;
use libp2p::kad;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many records one flooder has under way at once: as many streams as a connection takes, over several of them.
const AT_ONCE: usize = 64;
/// The first host number of a flooder in its /24.
const FIRST_HOST: u8 = 10;

/// Signs and sends, and tells what became of it.
pub(crate) async fn flood(stage: &mut Stage, flood: &Flood) -> Result<String, AnyError> {
    let (keys, now) = (flood.keys, stage.clock.now());
    let records = tokio::task::spawn_blocking(move || sign(keys, now)).await?;
    // QUIC alone: libp2p's TCP leaves from any loopback address, which would be a second network.
    let quic = |server: Server| Server { addrs: server.addrs.into_iter().take(1).collect(), ..server };
    let servers: Arc<Vec<Server>> = Arc::new(stage.servers().into_iter().map(quic).collect());
    let [a, b, c, _] = stage.flooded_from().octets();
    let (stored, refused, by_kad) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let share = records.len().div_ceil(flood.peers.max(1)).max(1);
    let flooders = records.chunks(share).zip(FIRST_HOST..).map(|(records, host)| {
        let (servers, counts) = (Arc::clone(&servers), [&stored, &refused, &by_kad]);
        let listen = both(SocketAddrV4::new(Ipv4Addr::new(a, b, c, host), 0)).into_iter().take(1).collect();
        let network = stage.layout.network.clone();
        async move {
            let place = Place { network, listen, external: Vec::new() };
            let (stranger, task) = Stranger::start(place, Box::new(|_| None)).await?;
            send(&stranger, records, &servers, flood.one_in_so_many_by_kad, counts).await;
            stranger.stop().await;
            task.await.map_err(AnyError::from)
        }
    });
    for flooder in futures::future::join_all(flooders).await {
        flooder?;
    }
    let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
    Ok(format!(
        "{} keys from one /24, {} by kad; of the others {} were stored and {} refused",
        records.len(),
        count(&by_kad),
        count(&stored),
        count(&refused)
    ))
}

/// Sends each record to one server: the next in turn.
async fn send(
    stranger: &Stranger,
    records: &[SignedRecord],
    servers: &[Server],
    by_kad: usize,
    [stored, refused, put]: [&AtomicUsize; 3],
) {
    let sending = records.iter().enumerate().map(|(number, record)| async move {
        let server = &servers[number % servers.len()];
        if number % by_kad.max(1) == 0 {
            put.fetch_add(1, Ordering::Relaxed);
            let key = kad::RecordKey::new(&record.grid().record_key().as_bytes());
            let value = record.bytes().to_vec();
            stranger.put(server, kad::Record { key, value, publisher: None, expires: None }).await;
            return;
        }
        let request = Request::Store { grid: *record.grid(), record: record.bytes().to_vec() };
        let answer = stranger.ask(server, request.encode()).await;
        let taken = answer.and_then(|bytes| Response::decode(&bytes).ok()).is_some_and(|answer| {
            matches!(answer.body, Body::Verdict { verdict: WireVerdict::Stored | WireVerdict::Held, .. })
        });
        if taken { stored } else { refused }.fetch_add(1, Ordering::Relaxed);
    });
    futures::stream::iter(sending).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Signs the records of so many new grids, on all cores.
pub(crate) fn sign(keys: usize, now: UnixSeconds) -> Vec<SignedRecord> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = keys.div_ceil(threads).max(1);
    let signed = |keys: usize| (0..keys).filter_map(|_| sign_one(now)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|thread| keys.saturating_sub(thread * share).min(share))
            .map(|keys| scope.spawn(move || signed(keys)))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
    })
}

fn sign_one(now: UnixSeconds) -> Option<SignedRecord> {
    let key = SecretKey::generate();
    let signer = Signer::Grid { key: &key, serial: now };
    let record = RecordDraft::new(GridId::new(key.public())).sign(signer, None, &[], now).ok()?;
    Some(record.signed().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_record_is_another_grids() {
        let records = sign(5, UnixSeconds(1_800_000_000));
        let grids: HashSet<_> = records.iter().map(|record| *record.grid()).collect();
        assert_eq!(grids.len(), 5);
        assert!(sign(0, UnixSeconds(1_800_000_000)).is_empty());
    }
}
