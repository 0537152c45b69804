//! What is wrong with a node, each with the next command to type: what `status --check` says.
//!
//! Decided from the status alone, so that each finding can be tested without the trouble that it names.

use crate::http::status::{FinalRecord, Mode, StatusView};
use crate::http::views::count;
use crate::keys::PublicKey;
use crate::units::{Seconds, UnixSeconds};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// How far the others' clocks may differ before it is worth a word.
const CLOCK_TOLERANCE_SECONDS: u64 = 600;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name, for scripts.
    pub name: &'static str,
    /// What is wrong, in one sentence.
    pub problem: String,
    /// What to type or do next.
    pub next: String,
}

impl Finding {
    /// A finding in these words.
    pub fn new(name: &'static str, problem: impl Into<String>, next: impl Into<String>) -> Self {
        Self { name, problem: problem.into(), next: next.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, problem, next } = self;
        write!(f, "{name}: {problem}\n    {next}")
    }
}

/// What is wrong with the node in `dir` that stands so. `publisher` is the key there that a delegation would be for.
pub fn findings(status: &StatusView, dir: &Path, publisher: Option<&PublicKey>) -> Vec<Finding> {
    let renewal = renewal(dir, publisher, UnixSeconds(status.now_unix_seconds));
    let dir = dir.display();
    let config = format!("{dir}/clearinghouse.toml");
    let restart = format!("stop it with SIGTERM and start it again with `clearinghouse run -d {dir}`");
    let mut found = Vec::new();
    let mut say = |name, problem: String, next: String| found.push(Finding::new(name, problem, next));

    if let Some(problem) = &status.disk_problem {
        say(
            "disk",
            format!("the disk takes no more, and the node goes on from memory: {problem}"),
            format!("make room: `df -h {dir}` shows what is left; the node recovers by itself"),
        );
    }
    if let Some(behind) = status.clock_behind_seconds.filter(|off| off.unsigned_abs() > CLOCK_TOLERANCE_SECONDS) {
        let way = if behind > 0 { "behind" } else { "ahead of" };
        say(
            "clock",
            format!("this machine's clock is {} s {way} the other nodes'", behind.unsigned_abs()),
            "set it right, and keep it so: `timedatectl set-ntp true`".to_owned(),
        );
    }
    network(status, &config, &restart, &mut say);
    record(status, &dir.to_string(), &renewal, &mut say);
    for disagreements in &status.disagreements {
        let proof = format!(
            "`clearinghouse ledger export bundle -d {dir} --output FILE` writes what proves these books to others"
        );
        let next = match &disagreements.lane {
            Some(lane) => format!(
                "`clearinghouse dispute open {lane} -d {dir}` says where the two sides' acknowledgements part; {proof}"
            ),
            None => format!("`clearinghouse statement --now -d {dir}` asks again; {proof}"),
        };
        say("books", disagreements.what.clone(), next);
    }
    if let Some(reason) = &status.settings_refused {
        say(
            "settings",
            format!("newer settings are refused, and the old ones are in force: {reason}"),
            format!("correct `{config}`, then `systemctl reload clearinghouse`, or send the node SIGHUP"),
        );
    }
    if !status.settings_at_next_start.is_empty() {
        let keys = status.settings_at_next_start.join("`, `");
        say("restart", format!("`{keys}` changed, and takes effect at the next start"), restart);
    }
    if let Some(path) = &status.store_set_aside {
        let path = path.display();
        say(
            "store",
            format!("the store was damaged and is being rebuilt from the network; the old one is `{path}`"),
            format!("nothing is lost; once `records_held` has grown again: `rm -r {path}`, and start the node again"),
        );
    }
    found
}

fn network(status: &StatusView, config: &str, restart: &str, say: &mut impl FnMut(&'static str, String, String)) {
    if status.mode == Mode::Client || status.addrs.is_empty() {
        let next = if status.stated_external {
            format!("is `listen` in `{config}` an address of this machine? {restart}")
        } else {
            format!(
                "open UDP and TCP port 25519 (or that of `listen`) in the firewall, or state the public address as \
                 `external` in `{config}`; then {restart}"
            )
        };
        say("reachable", "nobody outside has confirmed that this node can be reached".to_owned(), next);
    }
    if !status.unreached_addrs.is_empty() {
        let addrs: Vec<String> = status.unreached_addrs.iter().map(ToString::to_string).collect();
        say(
            "external",
            format!("other servers do not reach this node where the settings say that it is: {}", addrs.join(", ")),
            format!(
                "open that port in the firewall and forward it to this machine, UDP and TCP; or correct `external` in \
                 `{config}`, then {restart}. It is tried again by itself, at the latest after 15 minutes"
            ),
        );
    }
    if status.connected_peers == 0 && (status.bootstraps > 0 || status.servers_known > 0) {
        say(
            "alone",
            format!("nobody is connected; {} known, and tried again every half minute", servers(status.servers_known)),
            format!(
                "is the network there, and UDP open to the outside? else name a node that runs as `bootstrap` in \
                 `{config}`, then `systemctl reload clearinghouse`"
            ),
        );
    }
}

fn record(status: &StatusView, dir: &str, renewal: &str, say: &mut impl FnMut(&'static str, String, String)) {
    let Some(grid) = &status.grid_id else { return };
    let now = UnixSeconds(status.now_unix_seconds);
    if let Some(problem) = &status.problem {
        let next = if status.sequence.is_none() && status.delegation.is_none() {
            renewal.to_owned()
        } else {
            format!("mend what it names, then `clearinghouse record publish -d {dir}`")
        };
        say("record", problem.clone(), next);
    }
    if let (Some(expires), Some(issued)) = (status.expires_at_unix_seconds, status.issued_at_unix_seconds) {
        let (expires, issued) = (UnixSeconds(expires), UnixSeconds(issued));
        let (left, life) = (expires.since(now), expires.since(issued));
        let next = || {
            format!(
                "without the grid key here: `clearinghouse record draft -d {dir} -o draft.toml`, where it is \
                 `clearinghouse record sign draft.toml --grid-manager GM`, then `clearinghouse record install FILE -d {dir}`"
            )
        };
        if left == Seconds(0) {
            say(
                "expired",
                format!("the record of {grid} expired on {expires}: nobody finds the grid any more"),
                next(),
            );
        } else if left.0 < life.0 / 3 {
            say("expiring", format!("the record of {grid} ends on {expires} and was not renewed"), next());
        }
    }
    match (status.final_record, status.published_to, status.connected_peers) {
        (_, Some(holders), 1..) if !status.published_widely => say(
            "held",
            format!("the record is held by {holders} of {}", servers(status.servers_known)),
            format!("`clearinghouse record publish -d {dir}` brings it to them now and says who took it"),
        ),
        _ => {}
    }
    if let Some(delegation) = &status.delegation {
        let until = UnixSeconds(delegation.not_after_unix_seconds);
        let next = renewal.to_owned();
        if status.final_record.is_some() {
            // The grid's last word needs no delegation.
        } else if delegation.revoked {
            say(
                "delegation",
                "the delegation here is revoked by a newer one: this node signs nothing more".to_owned(),
                next,
            );
        } else if until <= now {
            say("delegation", format!("the delegation ended on {until}: this node signs nothing more"), next);
        } else if delegation.ends_soon {
            say("delegation", format!("the delegation ends on {until}: less than a third of its life is left"), next);
        }
    }
    if let Some(other) = &status.yields_to {
        let peers = if other.peer_ids.is_empty() {
            "a node that it does not name".to_owned()
        } else {
            other.peer_ids.join(", ")
        };
        say(
            "second-publisher",
            format!(
                "another node publishes other settings for this grid, and its record {} stands: {peers}",
                other.sequence
            ),
            format!(
                "make the settings of both the same and reload them; `clearinghouse resolve {grid} -d {dir}` shows what \
                 stands. If that node is none of yours its key is stolen: revoke it with a new `clearinghouse delegate`"
            ),
        );
    }
    if status.contested {
        say(
            "contested",
            format!("two different keys were announced to follow that of {grid}: readers follow neither"),
            "tell those who use the grid, by another way, which grid id is good".to_owned(),
        );
    }
    if status.final_record == Some(FinalRecord::Withdrawn) {
        say(
            "withdrawn",
            format!("the grid {grid} has withdrawn, for good"),
            "holders keep that record; once `published_to` is enough: `systemctl disable --now clearinghouse`"
                .to_owned(),
        );
    }
}

/// What gets a delegation: two commands at two places.
fn renewal(dir: &Path, publisher: Option<&PublicKey>, now: UnixSeconds) -> String {
    let key = publisher.map_or_else(|| "PUBLISHER_KEY".to_owned(), ToString::to_string);
    let until: String = now.plus(Seconds::days(365)).to_string().chars().take("2027-06-01".len()).collect();
    format!(
        "where the grid key is: `clearinghouse delegate {key} --grid-manager GM --until {until}`; then here: \
         `clearinghouse record install FILE -d {}`",
        dir.display()
    )
}

fn servers(number: usize) -> String {
    count(number, "server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::DhtStatus;
    use crate::http::status::{DelegationView, DisagreementView, OtherNodeView};
    use crate::store::DiskStanding;

    const NOW: u64 = 1_800_000_000;

    /// A node of a grid with which nothing is wrong.
    fn well() -> StatusView {
        let dht = DhtStatus {
            peer_id: libp2p::PeerId::random(),
            external: vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()],
            unreached: Vec::new(),
            listening: Vec::new(),
            serves: true,
            servers_known: 3,
            connected: 3,
            records_held: 5,
            clock_behind_seconds: Some(2),
            disk: DiskStanding::default(),
        };
        StatusView {
            grid_id: Some("pub-v0-x".to_owned()),
            sequence: Some(NOW * 1000),
            issued_at_unix_seconds: Some(NOW),
            expires_at_unix_seconds: Some(NOW + 7 * 86_400),
            published_to: Some(3),
            published_widely: true,
            ..StatusView::of("main", &dht, None, UnixSeconds(NOW))
        }
    }

    fn names(status: &StatusView) -> Vec<&'static str> {
        let found = findings(status, Path::new("node"), None);
        for finding in &found {
            assert!(finding.next.contains('`') || finding.next.contains("tell those"), "{finding}: no command");
        }
        found.into_iter().map(|finding| finding.name).collect()
    }

    #[test]
    fn a_node_with_which_nothing_is_wrong_has_no_findings() {
        assert_eq!(names(&well()), [""; 0]);
        // One that starts a network is alone, and that is as it should be.
        let first = StatusView { connected_peers: 0, servers_known: 0, published_to: Some(0), ..well() };
        assert_eq!(names(&first), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let delegation = |not_after, ends_soon, revoked| {
            Some(DelegationView { not_after_unix_seconds: not_after, ends_soon, revoked })
        };
        let disagreements = |lane: Option<&str>| {
            vec![DisagreementView { lane: lane.map(str::to_owned), what: "another charge".to_owned() }]
        };
        let other = OtherNodeView { peer_ids: vec!["12D3".to_owned()], sequence: 7 };
        let cases: Vec<(&str, StatusView)> = vec![
            ("disk", StatusView { disk_problem: Some("full".to_owned()), ..well() }),
            ("clock", StatusView { clock_behind_seconds: Some(-3_600), ..well() }),
            ("reachable", StatusView { mode: Mode::Client, ..well() }),
            ("reachable", StatusView { addrs: Vec::new(), ..well() }),
            ("external", StatusView { unreached_addrs: vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()], ..well() }),
            ("alone", StatusView { connected_peers: 0, bootstraps: 1, ..well() }),
            ("record", StatusView { problem: Some("no key".to_owned()), ..well() }),
            ("expired", StatusView { expires_at_unix_seconds: Some(NOW), ..well() }),
            ("expiring", StatusView { issued_at_unix_seconds: Some(NOW - 15 * 86_400), ..well() }),
            ("held", StatusView { published_widely: false, published_to: Some(1), ..well() }),
            ("delegation", StatusView { delegation: delegation(NOW + 9, true, false), ..well() }),
            ("delegation", StatusView { delegation: delegation(NOW, true, false), ..well() }),
            ("delegation", StatusView { delegation: delegation(NOW + 9, false, true), ..well() }),
            ("second-publisher", StatusView { yields_to: Some(other), ..well() }),
            ("contested", StatusView { contested: true, ..well() }),
            ("withdrawn", StatusView { final_record: Some(FinalRecord::Withdrawn), ..well() }),
            ("settings", StatusView { settings_refused: Some("line 1".to_owned()), ..well() }),
            ("books", StatusView { disagreements: disagreements(Some("5b")), ..well() }),
            ("books", StatusView { disagreements: disagreements(None), ..well() }),
            ("restart", StatusView { settings_at_next_start: vec!["listen".to_owned()], ..well() }),
            ("store", StatusView { store_set_aside: Some("store.damaged-1".into()), ..well() }),
        ];
        for (name, status) in cases {
            assert_eq!(names(&status), [name], "{status:?}");
        }
        assert_eq!(names(&StatusView { delegation: delegation(NOW + 9, false, false), ..well() }), [""; 0]);
    }
}
