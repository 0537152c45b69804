//! What happened, counted as it happens.

use crate::metrics::network::Network;
use crate::metrics::standing::Standing;
use crate::record::Verdict;
use crate::units::Bytes;
use libp2p::swarm::SwarmEvent;
use libp2p::{identify, kad};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Label = (&'static str, &'static str);
type Counters<const N: usize> = Family<[Label; N], Counter>;
type Timings = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// The handle. Cheap to clone; all clones count together. Counting takes no await and no lock that is held long.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    network: Network,
    offers: Counters<2>,
    verification: Histogram,
    questions: Counters<1>,
    comparisons: Counters<1>,
    resolves: Timings,
    resolve_failures: Counters<1>,
    publishes: Histogram,
    publish_failures: Counter,
    requests: Family<(ListenerLabel, StatusLabel), Counter>,
    exchanged: Counters<2>,
    refused_connections: Counters<1>,
}

type ListenerLabel = [Label; 1];
type StatusLabel = [(&'static str, u16); 1];

/// By which way a record came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `store` of our own protocol.
    Peer,
    /// Kademlia's PUT.
    Kad,
    /// Fetched from another holder when books were compared.
    Fetched,
    /// This node itself: its own record, and what it found when it resolved.
    Own,
    /// PUT to the resolver address.
    Http,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Kad => "kad",
            Self::Fetched => "fetched",
            Self::Own => "own",
            Self::Http => "http",
        }
    }
}

/// From 25 µs, a third of what a signature takes, by doubling to 0.8 s.
fn verification_buckets() -> impl Iterator<Item = f64> {
    (0..16).map(|n| 25e-6 * f64::from(1 << n))
}

/// From a millisecond, an answer from memory, to the longest deadlines.
const WAITS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn waits() -> Histogram {
    Histogram::new(WAITS)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let network = Network::new(&mut registry);
        let ours = registry.sub_registry_with_prefix("lafs");
        let offers = Counters::default();
        ours.register(
            "records_offered",
            "Records offered to this node, by the way they came and by what became of them",
            offers.clone(),
        );
        let verification = Histogram::new(verification_buckets());
        ours.register_with_unit(
            "record_verification",
            "From a record's octets to its verdict: decoded, its signature checked, compared with the one held. Octets that \
             are held already are not checked again and not counted",
            Unit::Seconds,
            verification.clone(),
        );
        let questions = Counters::default();
        ours.register(
            "questions_answered",
            "Questions of other nodes that were answered, by their kind",
            questions.clone(),
        );
        let comparisons = Counters::default();
        ours.register(
            "book_comparisons",
            "Comparisons of this node's book with another holder's, by what came of them",
            comparisons.clone(),
        );
        let resolves = Timings::new_with_constructor(waits);
        ours.register_with_unit(
            "resolve",
            "From a question for a grid's record to its answer, by where the answer came from",
            Unit::Seconds,
            resolves.clone(),
        );
        let resolve_failures = Counters::default();
        ours.register("resolve_failures", "Questions that got no record, by the reason", resolve_failures.clone());
        let publishes = waits();
        ours.register_with_unit(
            "publish",
            "From the start of a publication of the own record to its receipt: brought to its holders and read back",
            Unit::Seconds,
            publishes.clone(),
        );
        let publish_failures = Counter::default();
        ours.register("publish_failures", "Publications of the own record that failed", publish_failures.clone());
        let requests = Family::default();
        ours.register("http_requests", "HTTP requests answered, by listener and status", requests.clone());
        let exchanged = Counters::default();
        ours.register_with_unit(
            "gateway_exchanged",
            "Octets of verified ciphertext and of manifests that the gateway sent or received, by the kind of counterparty",
            Unit::Bytes,
            exchanged.clone(),
        );
        let refused_connections = Counters::default();
        ours.register(
            "gateway_refused_connections",
            "Connections to the gateway that were ended before anything was asked on them, by reason: too many in all or of one \
             network, a handshake that did not come about, or no session in time",
            refused_connections.clone(),
        );
        Self(Arc::new(Inner {
            registry,
            network,
            offers,
            verification,
            questions,
            comparisons,
            resolves,
            resolve_failures,
            publishes,
            publish_failures,
            requests,
            exchanged,
            refused_connections,
        }))
    }

    /// A record came by `origin`, was looked at for `took`, and that became of it.
    pub fn offered(&self, origin: Origin, verdict: &Verdict, took: Duration) {
        let word = match verdict {
            Verdict::Stored => "stored",
            Verdict::Held => "held",
            Verdict::Stale(_) => "stale",
            Verdict::Bad(_) => "bad",
            Verdict::Expired => "expired",
            Verdict::TooBig => "too_big",
            Verdict::Busy => "busy",
        };
        self.0.offers.get_or_create(&[("origin", origin.name()), ("verdict", word)]).inc();
        if !matches!(verdict, Verdict::Held | Verdict::Busy | Verdict::TooBig) {
            self.0.verification.observe(took.as_secs_f64());
        }
    }

    /// A question of another node was answered.
    pub fn question(&self, kind: &'static str) {
        self.0.questions.get_or_create(&[("kind", kind)]).inc();
    }

    /// The book was compared with another holder's.
    pub fn compared(&self, result: &'static str) {
        self.0.comparisons.get_or_create(&[("result", result)]).inc();
    }

    /// A question was answered from `source` within `took`.
    pub fn resolved(&self, source: &'static str, took: Duration) {
        self.0.resolves.get_or_create(&[("source", source)]).observe(took.as_secs_f64());
    }

    /// A question got no record, for `reason`.
    pub fn unresolved(&self, reason: &'static str) {
        self.0.resolve_failures.get_or_create(&[("reason", reason)]).inc();
    }

    /// The own record was published within `took`.
    pub fn published(&self, took: Duration) {
        self.0.publishes.observe(took.as_secs_f64());
    }

    /// A publication failed.
    pub fn not_published(&self) {
        self.0.publish_failures.inc();
    }

    /// A request to `listener` was answered with `status`.
    pub fn request(&self, listener: &'static str, status: u16) {
        self.0.requests.get_or_create(&([("listener", listener)], [("status", status)])).inc();
    }

    /// The gateway exchanged octets with a `client` or a `grid`, `sent` or `received`.
    pub fn exchanged(&self, counterparty: &'static str, way: &'static str, octets: Bytes) {
        self.0.exchanged.get_or_create(&[("counterparty", counterparty), ("way", way)]).inc_by(octets.0);
    }

    /// The gateway ended a connection for `reason` before anything was asked on it.
    pub fn gateway_refused(&self, reason: &'static str) {
        self.0.refused_connections.get_or_create(&[("reason", reason)]).inc();
    }

    /// Something happened to a connection or a listener.
    pub fn swarm<E>(&self, event: &SwarmEvent<E>) {
        self.0.network.swarm(event);
    }

    /// Kademlia reports.
    pub fn kad(&self, event: &kad::Event) {
        self.0.network.kad(event);
    }

    /// A peer told about itself.
    pub fn identify(&self, event: &identify::Event) {
        self.0.network.identify(event);
    }

    /// All figures as OpenMetrics text, with how things stand now.
    pub fn text(&self, standing: Standing) -> String {
        let mut now = Registry::default();
        now.register_collector(Box::new(standing));
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.0.registry)
            .and_then(|()| encode_registry(&mut text, &now))
            .and_then(|()| encode_eof(&mut text));
        written.expect("a string takes whatever is written");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
