//! Keys, drafts and records for the tests of this room.

use super::contact::ContactUri;
use super::delegation::{Delegation, DelegationDraft};
use super::draft::RecordDraft;
use super::gateway::{Gateway, GatewayAddress, Roles};
use super::grid_record::GridRecord;
use super::key_digest::KeyDigest;
use super::nickname::Nickname;
use super::node_entry::NodeEntry;
use super::sign::Signer;
use crate::cbor::MapWriter;
use crate::furl::Nurl;
use crate::keys::{GridId, SecretKey};
use crate::rate::{Asset, NextPrice, RateLine};
use crate::signed::{ObjectType, seal};
use crate::units::{PricePerGib, Seconds, UnixSeconds};
use proptest::prelude::*;

/// 2026-11-01T00:00:00Z.
pub(super) const NOW: UnixSeconds = UnixSeconds(1_793_491_200);
pub(super) const DAY: Seconds = Seconds::days(1);

pub(super) fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub(super) fn grid_key() -> SecretKey {
    key(1)
}

pub(super) fn publisher_key() -> SecretKey {
    key(2)
}

pub(super) fn grid() -> GridId {
    GridId::new(grid_key().public())
}

pub(super) fn other_grid(n: u8) -> GridId {
    GridId::new(key(n).public())
}

pub(super) fn delegation_draft() -> DelegationDraft {
    DelegationDraft {
        serial: NOW,
        publisher: publisher_key().public(),
        not_after: NOW.plus(Seconds::days(365)),
        next: None,
        max_limit: Some("100 USD".parse().expect("a limit")),
        committed_until: None,
    }
}

pub(super) fn delegation() -> Delegation {
    Delegation::issue(&grid_key(), &delegation_draft()).expect("a delegation")
}

pub(super) fn rate(text: &str) -> RateLine {
    text.parse().expect(text)
}

/// A record as a grid of some size would sign it.
pub(super) fn realistic() -> RecordDraft {
    let nurl =
        |host: &str| GatewayAddress::Nurl(Nurl::gateway([9; 32], host.parse().expect(host), 4443).expect("port"));
    let acts = Roles::SERVE.and(Roles::SPEND).and(Roles::TERMS);
    let peer = |n| libp2p_identity::Keypair::ed25519_from_bytes([n; 32]).expect("a seed").public().to_peer_id();
    let node = |n, addrs: [&str; 2]| {
        NodeEntry::new(peer(n), addrs.map(|addr| addr.parse().expect(addr)).to_vec()).expect("a node")
    };
    let limit = Some("50 USD".parse().expect("a limit"));
    RecordDraft {
        nickname: Some(Nickname::new("Grid of the Møller family").expect("a name")),
        contact: vec![ContactUri::new("mailto:grid@example.org").expect("a contact")],
        gateways: vec![
            Gateway::new(Some(nurl("192.0.2.17")), Some(key(11).public()), acts, limit).expect("a gateway"),
            Gateway::new(Some(nurl("gateway.example.org")), None, Roles::SERVE, None).expect("a gateway"),
        ],
        rates: vec![
            rate("0.02 USD/GiB until 2027-06-01"),
            rate("0.018 EUR/GiB until 2027-06-01 then 0.02 from 2027-06-01"),
        ],
        nodes: vec![
            node(21, ["/ip4/192.0.2.17/udp/4100/quic-v1", "/ip4/192.0.2.17/tcp/4100"]),
            node(22, ["/ip4/198.51.100.3/udp/4100/quic-v1", "/ip4/198.51.100.3/tcp/4100"]),
        ],
        clearing: vec![other_grid(31)],
        ..RecordDraft::new(grid())
    }
}

pub(super) fn by_grid(key: &SecretKey) -> Signer<'_> {
    Signer::Grid { key, serial: NOW }
}

/// A record of these rate lines, signed by the grid key at `at`.
pub(super) fn with_rates(lines: &[&str], at: UnixSeconds) -> GridRecord {
    let draft = RecordDraft { rates: lines.iter().map(|line| rate(line)).collect(), ..RecordDraft::new(grid()) };
    draft.sign(by_grid(&grid_key()), None, &[], at).expect("a record")
}

/// Keys 0 to 5 of a record issued at [`NOW`] with the grid key's serial, the rest added by `more`.
pub(super) fn hand_made(more: impl FnOnce(&mut MapWriter) -> &mut MapWriter) -> Vec<u8> {
    let mut map = MapWriter::new();
    map.uint(0, 1).uint(1, NOW.0 * 1000).uint(2, NOW.0).uint(3, NOW.0 + 86_400).bool(4, false).uint(5, NOW.0);
    more(&mut map);
    seal(ObjectType::Record, &map.finish(), &grid_key())
}

/// Drafts with any choice of fields, some of them too big.
pub(super) fn any_draft() -> impl Strategy<Value = RecordDraft> {
    let some = |field: bool| field.then_some(());
    let pool = realistic();
    let gateways = {
        let mut gateways = pool.gateways.clone();
        let furl = "pb://bmkwj5qbxzvgf3hdcpl5wyp5ti6ueqsb@tcp:192.0.2.1:4100/gateway".parse().expect("a FURL");
        gateways.push(Gateway::new(Some(GatewayAddress::Furl(furl)), None, Roles::SERVE, None).expect("a gateway"));
        gateways.push(Gateway::new(None, Some(key(12).public()), Roles::SPEND, None).expect("a gateway"));
        gateways
    };
    let nickname = "\\PC{1,12}".prop_filter_map("a nickname", |text| Nickname::new(&text).ok());
    let fields = (
        proptest::option::of(nickname),
        proptest::sample::subsequence(vec!["mailto:a@example.org", "tel:+4930", "https://example.org/x"], 0..=3),
        proptest::sample::subsequence(gateways, 0..=4),
        proptest::collection::vec(any_line(), 0..=4),
        proptest::sample::subsequence(pool.nodes, 0..=2),
        proptest::sample::subsequence(vec![other_grid(31), other_grid(32)], 0..=2),
        proptest::option::of(any::<[u8; 32]>()),
        any::<[bool; 2]>(),
        proptest::option::of(1..=30u64),
    );
    fields.prop_map(move |(nickname, contact, gateways, rates, nodes, clearing, next, [moved, heir], days)| {
        RecordDraft {
            nickname,
            contact: contact.into_iter().map(|uri| ContactUri::new(uri).expect(uri)).collect(),
            gateways,
            rates,
            nodes,
            clearing,
            next: next.map(KeyDigest),
            successor: some(moved).map(|()| other_grid(41)),
            predecessor: some(heir).map(|()| other_grid(42)),
            lifetime: days.map(Seconds::days),
            ..RecordDraft::new(grid())
        }
    })
}

/// Rate lines of few assets, prices and dates around [`NOW`], so that they meet.
pub(super) fn any_line() -> impl Strategy<Value = RateLine> {
    let day = || proptest::option::of((0..40u64).prop_map(|days| NOW.plus(Seconds::days(days))));
    let parts = (0..3usize, 0..4u64, day(), day(), proptest::option::of((0..4u64, 0..60u64)));
    parts.prop_filter_map("a line that contradicts itself", |(asset, price, from, until, next)| {
        let asset = Asset::from_code(["USD", "EUR", "XXX"][asset]).expect("known");
        let price_of = |price| PricePerGib(if asset.is_free() { 0 } else { price });
        let next =
            next.map(|(price, days)| NextPrice { price: price_of(price), not_before: NOW.plus(Seconds::days(days)) });
        RateLine::new(asset, price_of(price), from, until, next).ok()
    })
}
