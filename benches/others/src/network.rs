//! A network of `mainline` servers in this process, and what is measured in it. `pkarr` has no servers of its own: its
//! packets lie on these.

use crate::AnyError;
use crate::orders::{Answer, Place, Start, System};
use crate::system::{Client, Record};
use mainline::async_dht::AsyncDht;
use mainline::{Dht, Testnet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How many addresses a server begins with.
const BOOTSTRAP_NODES: usize = 3;
/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Network {
    /// They stop when they are dropped.
    _nodes: Vec<AsyncDht>,
    addresses: Vec<SocketAddrV4>,
    records: Arc<Vec<Record>>,
    value_bytes: usize,
}

impl Network {
    /// Servers behind relays: each listens where its relay expects it and is known by its relay's address alone.
    pub async fn raise(places: &[Place], records: usize, value_bytes: usize) -> Result<Self, AnyError> {
        let mut nodes = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let others = places.iter().enumerate().filter(|(other, _)| *other != index);
            let bootstrap: Vec<SocketAddrV4> = others.map(|(_, other)| other.external).take(BOOTSTRAP_NODES).collect();
            let mut builder = Dht::builder();
            builder.server_mode().bootstrap(&bootstrap).bind_address(*place.listen.ip()).port(place.listen.port());
            nodes.push(builder.build()?.as_async());
        }
        // Each looks for itself, now that all are there: so it becomes known to its neighbours. A search that began before
        // its first neighbours were there finds none, and is begun anew.
        for _ in 0..2 {
            for node in &nodes {
                let found = async { while !node.bootstrapped().await {} };
                timeout(PATIENCE, found).await.map_err(|_| "a node of mainline found no other")?;
            }
        }
        let addresses = places.iter().map(|place| place.external).collect();
        Self::with_records(nodes, addresses, records, value_bytes).await
    }

    /// Servers on 127.0.0.1, each with its routing table filled.
    pub async fn testnet(nodes: usize, records: usize, value_bytes: usize) -> Result<Self, AnyError> {
        let testnet = Testnet::builder(nodes).build()?;
        let addresses = testnet.bootstrap.iter().map(|address| address.parse()).collect::<Result<_, _>>()?;
        let nodes = testnet.nodes.into_iter().map(Dht::as_async).collect();
        Self::with_records(nodes, addresses, records, value_bytes).await
    }

    async fn with_records(
        nodes: Vec<AsyncDht>,
        addresses: Vec<SocketAddrV4>,
        records: usize,
        value_bytes: usize,
    ) -> Result<Self, AnyError> {
        let records: Vec<Record> = (0..records).map(Record::new).collect();
        let client = Client::start(System::Pkarr, &addresses)?;
        for record in &records {
            if !client.publish(record, value_bytes).await? {
                return Err("a record could not be published".into());
            }
        }
        Ok(Self { _nodes: nodes, addresses, records: Arc::new(records), value_bytes })
    }

    pub async fn warm(&self, system: System, samples: usize, pause_ms: u64) -> Result<Answer, AnyError> {
        let mut answer = Answer::default();
        while answer.seconds.len() + answer.failed < samples {
            // A new one for each round through the records: of a key asked for before, it knows the nearest nodes.
            let client = Client::start(system, &self.addresses)?;
            self.first_acquaintances(&client).await;
            for record in self.records.iter().take(samples - answer.seconds.len() - answer.failed) {
                time(&mut answer, client.resolve(record)).await;
                sleep(Duration::from_millis(pause_ms)).await;
            }
        }
        Ok(answer)
    }

    pub async fn cold(&self, system: System, samples: usize, pause_ms: u64, start: Start) -> Result<Answer, AnyError> {
        let saved = self.saved_peers().await?;
        let mut answer = Answer::default();
        for n in 0..samples {
            let bootstrap = match start {
                Start::SavedPeers => saved.clone(),
                Start::OneAddress => vec![self.addresses[n % self.addresses.len()]],
            };
            let record = &self.records[n % self.records.len()];
            time(&mut answer, async {
                match Client::start(system, &bootstrap) {
                    Ok(client) => client.resolve(record).await,
                    Err(_) => false,
                }
            })
            .await;
            sleep(Duration::from_millis(pause_ms)).await;
        }
        Ok(answer)
    }

    pub async fn publish(&self, system: System, samples: usize, pause_ms: u64) -> Result<Answer, AnyError> {
        let client = Client::start(system, &self.addresses)?;
        self.first_acquaintances(&client).await;
        let mut answer = Answer::default();
        for record in self.records.iter().cycle().take(samples) {
            time(&mut answer, async { client.publish(record, self.value_bytes).await.unwrap_or(false) }).await;
            sleep(Duration::from_millis(pause_ms)).await;
        }
        Ok(answer)
    }

    pub async fn flood(&self, system: System, in_flight: usize, seconds: f64) -> Result<Answer, AnyError> {
        let client = Client::start(system, &self.addresses)?;
        self.first_acquaintances(&client).await;
        let (answered, failed, next) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let started = Instant::now();
        let until = started + Duration::from_secs_f64(seconds);
        let askers = (0..in_flight).map(|_| {
            let (client, records) = (client.clone(), Arc::clone(&self.records));
            let (answered, failed, next) = (Arc::clone(&answered), Arc::clone(&failed), Arc::clone(&next));
            tokio::spawn(async move {
                while Instant::now() < until {
                    let record = &records[next.fetch_add(1, Ordering::Relaxed) % records.len()];
                    let found = timeout(PATIENCE, client.resolve(record)).await.unwrap_or(false);
                    if found { &answered } else { &failed }.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        for asker in askers.collect::<Vec<_>>() {
            asker.await?;
        }
        Ok(Answer {
            answered: answered.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
            elapsed_seconds: started.elapsed().as_secs_f64(),
            ..Answer::default()
        })
    }

    /// What a client of `mainline` writes down for its next start.
    async fn saved_peers(&self) -> Result<Vec<SocketAddrV4>, AnyError> {
        let Client::Mainline(dht) = Client::start(System::Mainline, &self.addresses)? else {
            return Err("it is one of mainline".into());
        };
        dht.bootstrapped().await;
        Ok(dht.to_bootstrap().await.iter().map(|address| address.parse()).collect::<Result<_, _>>()?)
    }

    /// The first question of a client fills its routing table.
    async fn first_acquaintances(&self, client: &Client) {
        let Some(first) = self.records.first() else { return };
        let _ = timeout(PATIENCE, client.resolve(first)).await;
        sleep(Duration::from_secs(1)).await;
    }
}

async fn time(answer: &mut Answer, question: impl Future<Output = bool>) {
    let started = Instant::now();
    match timeout(PATIENCE, question).await {
        Ok(true) => answer.seconds.push(started.elapsed().as_secs_f64()),
        _ => answer.failed += 1,
    }
}
