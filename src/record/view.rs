//! A record as JSON, with its units in the names. The bytes are the record; this is how it is shown.
//!
//! Prices and amounts are strings of digits: minor units, of which JSON's numbers would lose some.

use super::evidence::{binding, live_commitments};
use super::gateway::Gateway;
use super::grid_record::GridRecord;
use super::limit::Limit;
use super::node_entry::NodeEntry;
use super::signed_record::Authority;
use crate::keys::GridId;
use crate::rate::Asset;
use crate::units::UnixSeconds;
use serde::Serialize;
use std::collections::BTreeSet;

/// What a record says, and what binds beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct RecordView {
    /// Whose record it is.
    pub grid_id: String,
    /// Orders its versions.
    pub sequence: u64,
    /// When it says it was signed.
    pub issued_at_unix_seconds: u64,
    /// When it ends.
    pub expires_at_unix_seconds: u64,
    /// Whether the grid has taken itself off the network.
    pub withdrawn: bool,
    /// The name that the grid gives itself.
    pub nickname: Option<String>,
    /// Where its people can be reached.
    pub contact: Vec<String>,
    /// Its gateways.
    pub gateways: Vec<GatewayView>,
    /// What binds, asset by asset: lines of the record, and promises of earlier ones that it drops.
    pub rates: Vec<RateView>,
    /// Its own nodes.
    pub nodes: Vec<NodeView>,
    /// The grids that it settles through.
    pub clearing: Vec<String>,
    /// Who signed.
    pub authority: AuthorityView,
    /// The identities of earlier records whose promises this one does not keep.
    pub evidence: Vec<String>,
    /// The grid that was asked for, where this one is its successor.
    pub moved_from: Option<String>,
    /// The identity of the record before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The digest of the grid key that would follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_key_digest: Option<String>,
    /// The grid that this one has become.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// The grid that this one was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<String>,
    /// The octets of the record.
    pub size_bytes: u64,
    /// What names this record.
    pub identity: String,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct GatewayView {
    /// Where it is, as NURL or Foolscap FURL; `null` for one that is not called.
    pub furl: Option<String>,
    /// The key that it acts with.
    pub key: Option<String>,
    /// What it may do.
    pub roles: Vec<&'static str>,
    /// The largest credit that its key may agree to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitView>,
}

/// An amount of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct LimitView {
    /// The asset.
    pub asset: &'static str,
    /// One minor unit is 10^−scale of it.
    pub scale: u32,
    /// How many minor units.
    pub amount_minor_units: String,
}

/// The price that binds in one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct RateView {
    /// The asset; `XXX` is "free for everybody" while it is in force.
    pub asset: &'static str,
    /// One minor unit is 10^−scale of it.
    pub scale: u32,
    /// Minor units for each 2^30 octets: what is charged.
    pub price_per_gib: String,
    /// What the record publishes, where something else binds: an earlier promise, or that the grid is free. `null` where
    /// the record has no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_price_per_gib: Option<Option<String>>,
    /// From when on it binds.
    pub not_before_unix_seconds: u64,
    /// Until when the grid is bound to it.
    pub committed_until_unix_seconds: u64,
    /// The price announced to follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextPriceView>,
}

/// The price announced to follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct NextPriceView {
    /// Minor units for each 2^30 octets.
    pub price_per_gib: String,
    /// When it takes effect.
    pub not_before_unix_seconds: u64,
}

/// A node of the grid's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct NodeView {
    /// Who it is.
    pub peer_id: String,
    /// Where it is.
    pub addrs: Vec<String>,
}

/// Who signed a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct AuthorityView {
    /// The serial.
    pub serial: u64,
    /// The publisher key; `null` where the grid key signed.
    pub publisher: Option<String>,
}

impl RecordView {
    /// The view of `record` at `now`, with the `evidence` of promises that it does not keep.
    pub fn new(record: &GridRecord, evidence: &[GridRecord], moved_from: Option<&GridId>, now: UnixSeconds) -> Self {
        let signed = record.signed();
        let text = |grid: &GridId| grid.to_string();
        Self {
            grid_id: signed.grid().to_string(),
            sequence: signed.sequence(),
            issued_at_unix_seconds: signed.issued_at().0,
            expires_at_unix_seconds: signed.expires_at().0,
            withdrawn: signed.withdrawn(),
            nickname: record.nickname().map(ToString::to_string),
            contact: record.contact().iter().map(ToString::to_string).collect(),
            gateways: record.gateways().iter().map(GatewayView::new).collect(),
            rates: rates(record, evidence, now),
            nodes: record.nodes().iter().map(NodeView::new).collect(),
            clearing: record.clearing().iter().map(text).collect(),
            authority: AuthorityView::new(signed.authority()),
            evidence: evidence.iter().map(|record| record.signed().identity().to_string()).collect(),
            moved_from: moved_from.map(text),
            previous: record.previous().map(|identity| identity.to_string()),
            next_key_digest: record.next().map(|next| next.to_string()),
            successor: record.successor().map(text),
            predecessor: record.predecessor().map(text),
            size_bytes: signed.bytes().len() as u64,
            identity: signed.identity().to_string(),
        }
    }
}

fn rates(record: &GridRecord, evidence: &[GridRecord], now: UnixSeconds) -> Vec<RateView> {
    let published = record.rates().iter().map(|rate| rate.asset());
    let promised = evidence.iter().flat_map(|record| live_commitments(record, now));
    let assets: BTreeSet<Asset> = published.chain(promised.map(|promise| promise.asset)).collect();
    assets.into_iter().filter_map(|asset| RateView::new(asset, record, evidence, now)).collect()
}

impl AuthorityView {
    pub(super) fn new(authority: &Authority) -> Self {
        Self { serial: authority.serial().0, publisher: authority.publisher().map(ToString::to_string) }
    }
}

impl RateView {
    fn new(asset: Asset, record: &GridRecord, evidence: &[GridRecord], now: UnixSeconds) -> Option<Self> {
        let published = record.rate(asset);
        let published_price = published.map(|rate| rate.price_at(now).unwrap_or(rate.line().price()));
        let promise = match binding(asset, Some(record), evidence, now) {
            Some(binding) => binding.promise,
            // A line that is not in force yet.
            None => published?.commitment(),
        };
        let differs = published_price != Some(promise.price);
        Some(Self {
            asset: asset.code(),
            scale: asset.scale(),
            price_per_gib: promise.price.to_string(),
            published_price_per_gib: differs.then(|| published_price.map(|price| price.to_string())),
            not_before_unix_seconds: promise.from.0,
            committed_until_unix_seconds: promise.until.0,
            next: published.and_then(|rate| rate.line().next()).map(|next| NextPriceView {
                price_per_gib: next.price.to_string(),
                not_before_unix_seconds: next.not_before.0,
            }),
        })
    }
}

impl GatewayView {
    fn new(gateway: &Gateway) -> Self {
        Self {
            furl: gateway.address().map(ToString::to_string),
            key: gateway.key().map(ToString::to_string),
            roles: gateway.roles().names().collect(),
            limit: gateway.limit().map(LimitView::new),
        }
    }
}

impl LimitView {
    fn new(limit: &Limit) -> Self {
        Self {
            asset: limit.asset().code(),
            scale: limit.asset().scale(),
            amount_minor_units: limit.amount().to_string(),
        }
    }
}

impl NodeView {
    fn new(node: &NodeEntry) -> Self {
        Self { peer_id: node.peer_id().to_string(), addrs: node.addrs().iter().map(ToString::to_string).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Signer;
    use super::super::fixtures::{DAY, NOW, delegation, other_grid, publisher_key, realistic, with_rates};
    use super::*;

    fn json(record: &GridRecord, evidence: &[GridRecord], now: UnixSeconds) -> serde_json::Value {
        serde_json::to_value(RecordView::new(record, evidence, None, now)).expect("plain data")
    }

    #[test]
    fn the_names_are_those_that_others_depend_on() {
        let key = publisher_key();
        let delegation = delegation();
        let signer = Signer::Publisher { key: &key, delegation: &delegation };
        let first = realistic().sign(signer, None, &[], NOW).expect("signed");
        let record = realistic().sign(signer, Some(&first), &[], NOW.plus(DAY)).expect("signed");
        let view = RecordView::new(&record, &[], Some(&other_grid(50)), NOW.plus(DAY));
        let view = serde_json::to_value(view).expect("plain data");
        let names: Vec<&str> = view.as_object().expect("a map").keys().map(String::as_str).collect();
        let mut expected = vec![
            "grid_id",
            "sequence",
            "issued_at_unix_seconds",
            "expires_at_unix_seconds",
            "withdrawn",
            "nickname",
            "contact",
            "gateways",
            "rates",
            "nodes",
            "clearing",
            "authority",
            "evidence",
            "moved_from",
            "previous",
            "size_bytes",
            "identity",
        ];
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(view["authority"]["publisher"], key.public().to_string());
        assert_eq!(view["moved_from"], other_grid(50).to_string());
        assert_eq!(view["previous"], first.signed().identity().to_string());
        let gateway = &view["gateways"][0];
        assert_eq!(gateway["furl"], "pb://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@192.0.2.17:4443/gateway#v=1");
        assert_eq!(gateway["roles"], serde_json::json!(["serve", "spend", "terms"]));
        assert_eq!(
            gateway["limit"],
            serde_json::json!({"asset": "USD", "scale": 9, "amount_minor_units": "50000000000"})
        );
        assert_eq!(
            view["rates"][1],
            serde_json::json!({
                "asset": "USD", "scale": 9, "price_per_gib": "20000000",
                "not_before_unix_seconds": NOW.0 + 86_400, "committed_until_unix_seconds": 1_811_808_000,
            })
        );
        assert_eq!(view["rates"][0]["next"]["price_per_gib"], "20000000");
        assert_eq!(view["size_bytes"], record.signed().bytes().len());
    }

    #[test]
    fn a_broken_promise_shows_both_prices() {
        let promised = with_rates(&["0.02 USD/GiB until 2027-06-01", "1 EUR/GiB until 2027-06-01"], NOW);
        let dearer = with_rates(&["0.03 USD/GiB"], NOW.plus(DAY));
        let view = json(&dearer, std::slice::from_ref(&promised), NOW.plus(DAY));
        assert_eq!(view["evidence"], serde_json::json!([promised.signed().identity().to_string()]));
        let [eur, usd] = view["rates"].as_array().expect("a list").as_slice() else { panic!("two lines") };
        assert_eq!((&eur["price_per_gib"], &eur["published_price_per_gib"]), (&"1000000000".into(), &().into()));
        assert_eq!((&usd["price_per_gib"], &usd["published_price_per_gib"]), (&"20000000".into(), &"30000000".into()));
        assert_eq!(usd["committed_until_unix_seconds"], 1_811_808_000);
    }

    #[test]
    fn a_line_to_come_is_shown_with_its_date() {
        let record = with_rates(&["0.02 USD/GiB from 2026-12-01 until 2027-06-01"], NOW);
        let view = json(&record, &[], NOW);
        assert_eq!(view["rates"][0]["price_per_gib"], "20000000");
        assert_eq!(view["rates"][0]["not_before_unix_seconds"], 1_796_083_200);
        assert!(view["rates"][0].get("published_price_per_gib").is_none());
    }
}
