//! The libp2p protocols of a node and their settings; nothing here decides about records.

use crate::address::PrivateAddresses;
use crate::config::NetworkName;
use crate::dht::codec::RecordCodec;
use crate::dht::crowd::Crowd;
use crate::dht::gate::Gate;
use crate::dht::kad_store::KadStore;
use crate::dht::stated::Stated;
use libp2p::core::Transport;
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder};
use libp2p::{
    autonat, connection_limits, core::upgrade::Version, identify, kad, noise, ping, quic, request_response, tcp, yamux,
};
use std::num::NonZeroUsize;
use std::time::Duration;

/// How long a connection may take to be set up. A silent peer costs a QUIC dial this long; libp2p's 5 s would hold up
/// every walk that meets one.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// Streams that a peer may have open on one connection: kad's 32, ours, and those of identify, ping and AutoNAT. QUIC makes
/// room for each of them beforehand.
const MAX_STREAMS: u32 = 96;
/// Streams of both sides on one connection over TCP. Each may hold 256 KiB that nobody has read yet.
const MAX_STREAMS_TCP: usize = 128;
/// Octets that a peer may send on one stream before we read them: two of the largest messages there are.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// The same on one connection. Streams that are stuck hold no more than this together; libp2p would take 15 MB.
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// How long an answer may take once connected.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Our driver closes idle connections itself, the least useful first; libp2p's own limit of 10 s would make every
/// question a cold one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Between two pings of ours on one connection: they tell us nothing that our questions do not. To answer those of
/// others is why we have them: js-libp2p takes a peer into its routing table after a ping and not before.
const PING_INTERVAL: Duration = Duration::from_secs(3_600);
/// Questions of `record/1` open at once on one connection.
const RECORD_STREAMS: usize = 32;
/// Connections a node accepts in all. At about 105 kB each (QUIC), under 55 MB.
const MAX_INCOMING: u32 = 512;
/// Connections being set up by others at once: a handshake costs 6 ms of CPU.
const MAX_PENDING_INCOMING: u32 = 128;
/// Connections accepted from one /24 or /48: a house full of clients behind one address, and an eighth of all places.
const MAX_INCOMING_PER_NETWORK: usize = 64;
/// Connections that one peer may open: its own by QUIC or TCP, one more to have its address checked, and one to check ours.
const MAX_INCOMING_PER_PEER: usize = 4;
/// Connections with one peer in all: as many of ours as of its. It may ask for dials of ours, to have its address checked.
const MAX_PER_PEER: u32 = 2 * MAX_INCOMING_PER_PEER as u32;
/// A kad message: a record of 1 KB and twenty peers with their addresses, which ride along.
const KAD_PACKET_BYTES: usize = 16 * 1024;
/// Kademlia's α in kad's own walks.
const KAD_PARALLELISM: usize = 10;

/// `/lafs-clearinghouse/<network>/kad/1.0.0`.
pub fn kad_protocol(network: &NetworkName) -> StreamProtocol {
    StreamProtocol::try_from_owned(format!("/lafs-clearinghouse/{network}/kad/1.0.0"))
        .expect("a protocol name begins with a slash")
}

/// `/lafs-clearinghouse/<network>/record/1`.
pub fn record_protocol(network: &NetworkName) -> StreamProtocol {
    StreamProtocol::try_from_owned(format!("/lafs-clearinghouse/{network}/record/1"))
        .expect("a protocol name begins with a slash")
}

/// What a node takes part in the network as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Stores records for others, at an address that is known to be reachable.
    Server,
    /// Listens, and becomes a server once others have confirmed that they reach it.
    Undecided,
    /// Only asks.
    Client,
}

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    crowd: Crowd,
    pub(crate) identify: identify::Behaviour,
    pub(crate) kad: kad::Behaviour<KadStore>,
    pub(crate) record: request_response::Behaviour<RecordCodec>,
    ping: ping::Behaviour,
    autonat_client: Toggle<autonat::v2::client::Behaviour>,
    autonat_server: Toggle<autonat::v2::server::Behaviour>,
    pub(crate) stated: Toggle<Stated>,
}

/// A swarm with all protocols, listening nowhere yet. Others are asked now and then whether they reach it at `stated`.
pub(crate) fn swarm(
    keypair: Keypair,
    network: &NetworkName,
    role: Role,
    private: PrivateAddresses,
    stated: Vec<Multiaddr>,
    store: KadStore,
) -> Result<Swarm<Behaviour>, std::io::Error> {
    let noise = noise::Config::new(&keypair).map_err(std::io::Error::other)?;
    let built = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|_| {
            let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
            let secured = Gate::new(tcp, private).upgrade(Version::V1Lazy).authenticate(noise);
            let mut yamux = yamux::Config::default();
            yamux.set_max_num_streams(MAX_STREAMS_TCP);
            secured.multiplex(yamux)
        })
        .unwrap_or_else(|never| match never {})
        .with_other_transport(|keypair| {
            let mut config = quic::Config::new(keypair);
            config.handshake_timeout = HANDSHAKE_TIMEOUT;
            config.max_concurrent_stream_limit = MAX_STREAMS;
            config.max_stream_data = STREAM_WINDOW_BYTES;
            config.max_connection_data = CONNECTION_WINDOW_BYTES;
            Gate::new(quic::tokio::Transport::new(config), private)
        })
        .unwrap_or_else(|never| match never {})
        // Names are resolved before the gate, so that it sees where they lead.
        .with_dns()?
        .with_behaviour(|keypair| behaviour(keypair, network, role, stated, store))
        .unwrap_or_else(|never| match never {})
        .with_swarm_config(|config| {
            config
                // The default negotiates each stream before using it and so costs every question a round trip more.
                .with_substream_upgrade_protocol_override(Version::V1Lazy)
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                .with_smart_dial()
        })
        .with_connection_timeout(HANDSHAKE_TIMEOUT)
        .build();
    Ok(built)
}

fn behaviour(
    keypair: &Keypair,
    network: &NetworkName,
    role: Role,
    stated: Vec<Multiaddr>,
    store: KadStore,
) -> Behaviour {
    let local = keypair.public().to_peer_id();
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established_incoming(Some(MAX_INCOMING))
        .with_max_pending_incoming(Some(MAX_PENDING_INCOMING))
        .with_max_established_per_peer(Some(MAX_PER_PEER));
    // Only addresses that others can use are told: those stated or confirmed, not those of every interface.
    let identify = identify::Config::new(format!("/lafs-clearinghouse/{network}"), keypair.public())
        .with_agent_version(concat!("lafs-clearinghouse/", env!("CARGO_PKG_VERSION")).to_owned())
        .with_hide_listen_addrs(true)
        // What peers claim of themselves is kept by our own list, which knows what was proven.
        .with_cache_size(0)
        .with_push_listen_addr_updates(true);
    let record_support = match role {
        Role::Client => request_response::ProtocolSupport::Outbound,
        Role::Server | Role::Undecided => request_response::ProtocolSupport::Full,
    };
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        crowd: Crowd::new(MAX_INCOMING_PER_NETWORK, MAX_INCOMING_PER_PEER),
        identify: identify::Behaviour::new(identify),
        kad: kademlia(local, network, role, store),
        record: request_response::Behaviour::with_codec(
            RecordCodec,
            [(record_protocol(network), record_support)],
            request_response::Config::default()
                .with_request_timeout(ANSWER_TIMEOUT)
                .with_max_concurrent_streams(RECORD_STREAMS),
        ),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL)),
        autonat_client: (role == Role::Undecided).then(autonat::v2::client::Behaviour::default).into(),
        autonat_server: (role != Role::Client).then(autonat::v2::server::Behaviour::default).into(),
        stated: (role == Role::Server && !stated.is_empty()).then(|| Stated::new(stated)).into(),
    }
}

fn kademlia(local: PeerId, network: &NetworkName, role: Role, store: KadStore) -> kad::Behaviour<KadStore> {
    let mut config = kad::Config::new(kad_protocol(network));
    config
        // Without a filter the last PUT wins, whoever signed it.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        // A PUT of any content for a key silences kad's own jobs for that key; ours look at what is stored.
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        // How long a record lives is in the record, not in whoever forwards it.
        .set_record_ttl(None)
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_caching(kad::Caching::Disabled)
        .set_max_packet_size(KAD_PACKET_BYTES)
        .set_substreams_timeout(ANSWER_TIMEOUT)
        .set_query_timeout(Duration::from_secs(20))
        .set_parallelism(NonZeroUsize::new(KAD_PARALLELISM).expect("not zero"));
    if role == Role::Client {
        config.set_periodic_bootstrap_interval(None);
    }
    let mut kad = kad::Behaviour::with_config(local, store, config);
    kad.set_mode(match role {
        Role::Server => Some(kad::Mode::Server),
        Role::Client => Some(kad::Mode::Client),
        Role::Undecided => None,
    });
    kad
}
