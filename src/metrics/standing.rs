//! How things stand, read when somebody looks. What is not known is left out rather than shown as a number.

use crate::metrics::process::Process;
use crate::units::{Bytes, UnixSeconds};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt::Error;
use std::time::Duration;

/// How a node stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The version of the program.
    pub version: &'static str,
    /// Whether it stores records for others.
    pub serves: bool,
    /// How many other servers it knows.
    pub servers_known: usize,
    /// In how many networks (/24, /48) these are.
    pub server_networks: usize,
    /// How many servers the whole network has, this one counted: those known, or an estimate where it is large.
    pub network_size: f64,
    /// How many peers it is connected to.
    pub connected_peers: usize,
    /// How many records it holds.
    pub records: usize,
    /// Their octets.
    pub record_bytes: Bytes,
    /// How many earlier records it keeps because their commitments bind.
    pub evidence: usize,
    /// What the store takes on the disk.
    pub disk: Option<Bytes>,
    /// By how many seconds the median of the others' clocks is ahead of this one's.
    pub clock_offset_seconds: Option<i64>,
    /// The grid's own record; `None` where the node speaks for no grid.
    pub own: Option<OwnStanding>,
    /// The storage servers that the gateway reads from.
    pub storage: Vec<StorageStanding>,
    /// The process.
    pub process: Process,
}

/// How a storage server of the own grid stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageStanding {
    /// The first characters of its key, as Tahoe-LAFS shows it.
    pub server: String,
    /// Whether it is asked for shares.
    pub used: bool,
    /// The moving average of the time to the first octet of an answer.
    pub latency: Option<Duration>,
    /// Failures since its last answer.
    pub failures: u32,
    /// Shares of its that were found corrupt since the start, each as often as it was.
    pub corrupt_shares: u64,
}

/// How the own record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnStanding {
    /// When it ends; `None` while there is none.
    pub expires_at: Option<UnixSeconds>,
    /// From how many other servers it was read back; `None` before it was published.
    pub holders: Option<usize>,
    /// In how many networks these are.
    pub networks: Option<usize>,
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut build = encoder.encode_descriptor("lafs_build", "The program that runs", None, MetricType::Info)?;
        build.encode_info(&[("version", self.version)])?;
        let mut gauges = Gauges(encoder);
        gauges.count(
            "lafs_serving",
            "1 if this node stores records for others, 0 if it only asks",
            self.serves.into(),
        )?;
        gauges.count("lafs_servers_known", "Other servers that this node knows", self.servers_known)?;
        gauges.count(
            "lafs_server_networks",
            "Networks (/24 of IPv4, /48 of IPv6) in which the servers known are: the diversity of the table",
            self.server_networks,
        )?;
        gauges.figure(
            "lafs_network_size_servers",
            "Servers of the whole network, this one counted: those known, or an estimate from their density where there are \
             more than are held in mind",
            self.network_size,
        )?;
        gauges.count("lafs_connected_peers", "Peers that this node is connected to", self.connected_peers)?;
        gauges.count("lafs_records_held", "Grids of which a record is held", self.records)?;
        gauges.bytes("lafs_records_held", "Octets of the records held, in memory", self.record_bytes)?;
        gauges.count(
            "lafs_evidence_records",
            "Earlier records kept because a commitment in them still binds",
            self.evidence,
        )?;
        if let Some(disk) = self.disk {
            gauges.bytes("lafs_store_disk", "Octets that the store takes on the disk", disk)?;
        }
        if let Some(ahead) = self.clock_offset_seconds {
            gauges.seconds(
                "lafs_clock_median_offset",
                "By how much the median of the other nodes' clocks is ahead of this one's, once three told theirs",
                ahead,
            )?;
        }
        if let Some(own) = &self.own {
            self.encode_own(own, &mut gauges)?;
        }
        if !self.storage.is_empty() {
            self.encode_storage(&mut gauges)?;
        }
        if let Some(resident) = self.process.resident {
            gauges.bytes("process_resident_memory", "Memory that the process takes", resident)?;
        }
        if let Some(files) = self.process.open_files {
            gauges.count("process_open_fds", "Open files, sockets counted", files as usize)?;
        }
        Ok(())
    }
}

impl Standing {
    fn encode_storage(&self, gauges: &mut Gauges<'_>) -> Result<(), Error> {
        gauges.of_servers(
            &self.storage,
            "lafs_storage_server_used",
            "1 if the gateway asks that storage server for shares, 0 if no grid manager vouches for it or it speaks no HTTPS",
            None,
            |server| Some(f64::from(u8::from(server.used))),
        )?;
        gauges.of_servers(
            &self.storage,
            "lafs_storage_server_failures",
            "Failures of that storage server since its last answer",
            None,
            |server| Some(f64::from(server.failures)),
        )?;
        gauges.of_servers(
            &self.storage,
            "lafs_storage_server_latency",
            "Moving average of the time from a question to that storage server to the first octet of its answer",
            Some(&Unit::Seconds),
            |server| Some(server.latency?.as_secs_f64()),
        )?;
        let help = "Times that a share of that storage server was found corrupt: repair it with Tahoe-LAFS's own tools";
        let mut family =
            gauges.0.encode_descriptor("lafs_storage_server_corrupt_shares", help, None, MetricType::Counter)?;
        for server in &self.storage {
            let counter = ConstCounter::new(server.corrupt_shares);
            counter.encode(family.encode_family(&[("server", server.server.as_str())])?)?;
        }
        Ok(())
    }

    fn encode_own(&self, own: &OwnStanding, gauges: &mut Gauges<'_>) -> Result<(), Error> {
        if let Some(expires_at) = own.expires_at {
            gauges.seconds(
                "lafs_own_record_expiry_timestamp",
                "When the grid's own record ends, as Unix time",
                i64::try_from(expires_at.0).unwrap_or(i64::MAX),
            )?;
        }
        if let Some(holders) = own.holders {
            let help = "Other servers from which the own record was read back when it was last published";
            gauges.count("lafs_own_record_holders", help, holders)?;
        }
        if let Some(networks) = own.networks {
            let help = "Networks (/24, /48) of the servers from which the own record was read back";
            gauges.count("lafs_own_record_networks", help, networks)?;
        }
        Ok(())
    }
}

struct Gauges<'a>(DescriptorEncoder<'a>);

impl Gauges<'_> {
    fn count(&mut self, name: &str, help: &str, value: usize) -> Result<(), Error> {
        self.gauge(name, help, None, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn bytes(&mut self, name: &str, help: &str, value: Bytes) -> Result<(), Error> {
        self.gauge(name, help, Some(&Unit::Bytes), ConstGauge::new(i64::try_from(value.0).unwrap_or(i64::MAX)))
    }

    fn seconds(&mut self, name: &str, help: &str, value: i64) -> Result<(), Error> {
        self.gauge(name, help, Some(&Unit::Seconds), ConstGauge::new(value))
    }

    fn of_servers(
        &mut self,
        servers: &[StorageStanding],
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl Fn(&StorageStanding) -> Option<f64>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for server in servers {
            if let Some(value) = value(server) {
                ConstGauge::new(value).encode(family.encode_family(&[("server", server.server.as_str())])?)?;
            }
        }
        Ok(())
    }

    fn figure(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.gauge(name, help, None, ConstGauge::new(value))
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, gauge: impl EncodeMetric) -> Result<(), Error> {
        gauge.encode(self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }
}
