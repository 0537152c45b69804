//! What was decoded, in the words of the vectors: integers as digits, octets as `h'00ff'`.

use lafs_clearinghouse::address::Host;
use lafs_clearinghouse::rate::DatedRate;
use lafs_clearinghouse::record::{
    Authority, Delegation, Gateway, GatewayAddress, GridRecord, Limit, NodeEntry, Roles, SignedRecord,
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// A map in the making: what is absent is left out.
#[derive(Default)]
struct View(Map<String, Value>);

impl View {
    fn with(mut self, name: &str, value: impl Into<Option<Value>>) -> Self {
        if let Some(value) = value.into() {
            self.0.insert(name.into(), value);
        }
        self
    }

    fn list<T>(self, name: &str, items: &[T], of: impl Fn(&T) -> Value) -> Self {
        let items: Vec<Value> = items.iter().map(of).collect();
        self.with(name, (!items.is_empty()).then(|| Value::from(items)))
    }

    fn end(self) -> Value {
        Value::Object(self.0)
    }
}

fn digits(number: impl std::fmt::Display) -> Value {
    Value::from(number.to_string())
}

fn octets(bytes: impl AsRef<[u8]>) -> Value {
    Value::from(format!("h'{}'", data_encoding::HEXLOWER.encode(bytes.as_ref())))
}

/// What a holder reads.
pub(crate) fn of_holder(record: &SignedRecord) -> Value {
    head(record).end()
}

fn head(record: &SignedRecord) -> View {
    View::default()
        .with("format", digits(record.format()))
        .with("sequence", digits(record.sequence()))
        .with("issued_at", digits(record.issued_at().0))
        .with("expires_at", digits(record.expires_at().0))
        .with("withdrawn", json!(record.withdrawn()))
        .with("identity", octets(record.identity().0))
        .with("serial", digits(record.serial().0))
        .with("publisher", record.authority().publisher().map(|key| octets(key.as_bytes())))
}

/// What a reader reads; defaults filled in where only they can be told.
pub(crate) fn of_reader(record: &GridRecord) -> Value {
    let (authority, next) = match record.signed().authority() {
        Authority::GridKey { serial } => (digits(serial.0), record.next()),
        Authority::Publisher(delegation) => (of_delegation(delegation), None),
    };
    head(record.signed())
        .with("authority", authority)
        .with("nickname", record.nickname().map(|nickname| json!(nickname.as_str())))
        .list("contact", record.contact(), |contact| json!(contact.as_str()))
        .list("gateways", record.gateways(), of_gateway)
        .list("rates", record.rates(), of_rate)
        .list("nodes", record.nodes(), of_node)
        .list("clearing", record.clearing(), |grid| octets(grid.as_bytes()))
        .with("previous", record.previous().map(|identity| octets(identity.0)))
        .with("next", next.map(|digest| octets(digest.0)))
        .with("successor", record.successor().map(|grid| octets(grid.as_bytes())))
        .with("predecessor", record.predecessor().map(|grid| octets(grid.as_bytes())))
        .with("work", record.work().map(digits))
        .end()
}

fn of_delegation(delegation: &Delegation) -> Value {
    let limits = delegation.limits().expect("a reader has understood it");
    View::default()
        .with("format", digits(1))
        .with("serial", digits(delegation.serial().0))
        .with("publisher", octets(delegation.publisher().as_bytes()))
        .with("not_after", digits(delegation.not_after().0))
        .with("next", limits.next.map(|digest| octets(digest.0)))
        .with("max_limit", limits.max_limit.map(|limit| of_limit(&limit)))
        .with("committed_until", digits(limits.committed_until.0))
        .end()
}

/// An expected view with those defaults that ours has filled in.
pub(crate) fn with_defaults(expected: &Value) -> Value {
    let mut expected = expected.clone();
    if let Some(delegation) = expected.get_mut("authority").and_then(Value::as_object_mut) {
        let not_after = delegation["not_after"].clone();
        delegation.entry("committed_until").or_insert(not_after);
    }
    expected
}

fn of_gateway(gateway: &Gateway) -> Value {
    let bits = [(Roles::SERVE, 1), (Roles::SPEND, 2), (Roles::TERMS, 4), (Roles::LOCATOR, 8)];
    let roles: u8 = bits.iter().filter(|(role, _)| gateway.roles().any_of(*role)).map(|(_, bit)| bit).sum();
    let view = View::default()
        .with("key", gateway.key().map(|key| octets(key.as_bytes())))
        .with("roles", (roles != 1).then(|| digits(roles)))
        .with("limit", gateway.limit().map(of_limit));
    let view = match gateway.address() {
        None => view,
        Some(GatewayAddress::Furl(furl)) => view.with("furl", json!(furl.to_string())),
        Some(GatewayAddress::Nurl(nurl)) => {
            let host = match nurl.host() {
                Host::Name(name) => json!(name.as_str()),
                Host::Ip(IpAddr::V4(ip)) => octets(ip.octets()),
                Host::Ip(IpAddr::V6(ip)) => octets(ip.octets()),
            };
            view.with("host", host).with("port", digits(nurl.port())).with("spki_hash", octets(nurl.spki_hash()))
        }
    };
    view.end()
}

fn of_limit(limit: &Limit) -> Value {
    json!({ "asset": limit.asset().code(), "amount": digits(limit.amount()) })
}

fn of_rate(rate: &DatedRate) -> Value {
    let line = rate.line();
    let next = line.next().map(|next| json!({ "price": digits(next.price), "not_before": digits(next.not_before.0) }));
    View::default()
        .with("asset", json!(line.asset().code()))
        .with("price", digits(line.price()))
        .with("not_before", line.not_before().map(|time| digits(time.0)))
        .with("committed_until", line.committed_until().map(|time| digits(time.0)))
        .with("next", next)
        .end()
}

fn of_node(node: &NodeEntry) -> Value {
    let addresses: Vec<Value> = node.addrs().iter().map(|address| octets(address.to_vec())).collect();
    json!({ "peer_id": octets(node.peer_id().to_bytes()), "addresses": addresses })
}
