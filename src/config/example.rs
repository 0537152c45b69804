//! The settings as `init` writes them: every key, with its reason, and as a comment where nothing was said.

use crate::address::PrivateAddresses;
use crate::config::node_config::NodeConfig;
use std::fmt::{Display, Write};
use toml::Value;

const HEADER: &str = "\
# The settings of a clearinghouse node. A key that this program does not know is refused.
# After a change, send the node SIGHUP: what must wait for the next start it says. Every option of `clearinghouse init` has a key of its name here.
";

/// One key.
struct Entry {
    name: &'static str,
    reason: &'static str,
    /// What was decided; `None` leaves the key out.
    value: Option<Value>,
    /// What stands in the comment where nothing was decided.
    example: Value,
}

impl NodeConfig {
    /// These settings as a commented file, which parses to the same settings.
    pub fn to_commented_toml(&self) -> String {
        let mut text = HEADER.to_owned();
        let sections = [
            ("The grid", self.grid_entries()),
            ("The gateway", self.gateway_entries()),
            ("The network", self.network_entries()),
        ];
        for (title, entries) in sections {
            let _ = write!(text, "\n# {title}\n");
            for Entry { name, reason, value, example } in entries {
                text.push('\n');
                for line in reason.lines() {
                    let _ = writeln!(text, "# {}", line.trim());
                }
                let _ = match value {
                    Some(value) => writeln!(text, "{name} = {value}"),
                    None => writeln!(text, "# {name} = {example}"),
                };
            }
        }
        text
    }

    fn grid_entries(&self) -> Vec<Entry> {
        let grid_manager = self.grid_manager.as_ref().map(|path| Value::from(path.display().to_string()));
        vec![
            Entry {
                name: "grid-id",
                reason: "The grid that this node speaks for: the public half of its grid manager's key.
                    Left out, the node holds the records of others and has none of its own.",
                value: self.grid_id.map(text),
                example: "pub-v0-…".into(),
            },
            Entry {
                name: "grid-manager",
                reason: "The folder of the grid manager, whose key signs the records here. Left out, the key stays elsewhere:
                    `delegate` lets this node's publisher.key sign, or `record sign` signs each record away from here.",
                value: grid_manager,
                example: "/home/operator/grid-manager".into(),
            },
            Entry {
                name: "nickname",
                reason: "What people call the grid, in at most 64 bytes. No policy looks at it.",
                value: self.nickname.as_ref().map(text),
                example: "Example grid".into(),
            },
            Entry {
                name: "contact",
                reason: "Where its operators are reached, at most 4: mailto: https: xmpp: matrix: tel:",
                value: list(&self.contact),
                example: texts(&["mailto:operator@example.org"]),
            },
            Entry {
                name: "gateway",
                reason: "Its gateways, at most 4: `URL[,key=pub-v0-…][,roles=serve+spend+terms][,limit=10 USD]`.
                    The URL ends in /gateway#v=1; never a storage server's, which is the right to write there.",
                value: list(&self.gateway),
                example: texts(&["pb://…@gateway.example.org:4101/gateway#v=1,key=pub-v0-…"]),
            },
            Entry {
                name: "rate",
                reason: "What a download costs, one line for each asset, at most 4. A price binds until the date that it names, and
                    a record that raises it earlier is not signed. `free` serves everybody; no line at all serves nobody
                    without terms.",
                value: list(&self.rate),
                example: texts(&["0.02 USD/GiB until 2027-06-01"]),
            },
            Entry {
                name: "clearing",
                reason: "The grids that this grid settles its debts through, at most 2.",
                value: list(&self.clearing),
                example: texts(&["pub-v0-…"]),
            },
            Entry {
                name: "next",
                reason: "The grid key that would follow if this one had to be given up. Its private half belongs in another drawer:
                    readers follow a move only to the key announced before.",
                value: self.next.map(text),
                example: "pub-v0-…".into(),
            },
            Entry {
                name: "successor",
                reason: "The grid that this one has become: one that was announced as `next` before, and that names this one as its
                    `predecessor`.",
                value: self.successor.map(text),
                example: "pub-v0-…".into(),
            },
            Entry {
                name: "predecessor",
                reason: "The grid that this one was before.",
                value: self.predecessor.map(text),
                example: "pub-v0-…".into(),
            },
            Entry {
                name: "lifetime",
                reason: "How long each record lives, at most 30 days. Shorter means that changes reach everybody sooner;
                    longer, that the grid stays found while this node is away.",
                value: Some(text(self.lifetime)),
                example: text(self.lifetime),
            },
        ]
    }

    fn gateway_entries(&self) -> Vec<Entry> {
        let tahoe_node = self.tahoe_node.as_ref().map(|path| Value::from(path.display().to_string()));
        vec![
            Entry {
                name: "gateway-listen",
                reason: "Where this node's own gateway listens (HTTPS, TCP): open the port in the firewall, with no proxy in front that
                    ends TLS. It is added to the record by itself, with the key in gateway.key. Left out, there is none here.",
                value: self.gateway_listen.map(text),
                example: "0.0.0.0:4101".into(),
            },
            Entry {
                name: "gateway-external",
                reason: "Where others reach the gateway, HOST or HOST:PORT, if that is not the host of `external` and the port listened
                    on.",
                value: self.gateway_external.as_ref().map(text),
                example: "gateway.example.org:4101".into(),
            },
            Entry {
                name: "credit-limit",
                reason: "The most that this gateway lends to another grid, and borrows from one, without asking a person: it offers
                    terms up to so much to grids that have none, and accepts such terms where downloads have a price. It stands in
                    the record. Left out, terms are made by hand.",
                value: self.credit_limit.as_ref().map(text),
                example: "10 USD".into(),
            },
            Entry {
                name: "tahoe-node",
                reason: "The folder of a Tahoe-LAFS node of the grid, client or server, which runs: the gateway reads from the storage
                    servers that it knows, by private/introducer_*_cache.yaml and private/servers.yaml. Left out, the gateway
                    fetches for its own clients and serves nobody.",
                value: tahoe_node,
                example: "/home/operator/tahoe/gateway".into(),
            },
            Entry {
                name: "grid-managers",
                reason: "Grid managers whose certificates count, beside those under [grid_managers] in that node's tahoe.cfg: then
                    only servers that one of them has certified are read from. A storage server's own tahoe.cfg names none.",
                value: list(&self.grid_managers),
                example: texts(&["pub-v0-…"]),
            },
            Entry {
                name: "ledger",
                reason: "The PostgreSQL database that keeps the books, for a grid with several gateways. `sslmode=verify-full` encrypts
                    the connection and holds the server's certificate against `sslrootcert` and public authorities; `require`
                    encrypts for whoever answers. A password stands alone in ledger.password, mode 0600. Left out, the books
                    are in ledger.sqlite.",
                value: self.ledger.as_ref().map(text),
                example: "postgres://clear@db.example.org/books?sslmode=verify-full".into(),
            },
            Entry {
                name: "usage-by-file",
                reason: "How long the books say which file was read on a day, by an HMAC of its storage index. What is older is added
                    up by day, party, grid and client, for good.",
                value: Some(text(self.usage_by_file)),
                example: text(self.usage_by_file),
            },
            Entry {
                name: "web-listen",
                reason: "Where this machine's browser reads, http://127.0.0.1:8459/uri/CAP, through the gateway here and on this
                    grid's account: on loopback only. Left out, nowhere.",
                value: self.web_listen.map(text),
                example: "127.0.0.1:8459".into(),
            },
            Entry {
                name: "patience",
                reason: "How long another grid's gateway may send nothing, 1 s to 10 min, before another gateway of that grid is asked.
                    Less than half of what the clients here wait for this one, a minute, so that they see nothing of it.",
                value: Some(text(self.patience)),
                example: text(self.patience),
            },
            Entry {
                name: "web-max-price",
                reason: "The most that is paid for all that is read there from one start to the next, at the price that this
                    grid's clients pay: every user of this machine may spend it. Left out, only what is free is read there.",
                value: self.web_max_price.as_ref().map(text),
                example: "1 USD".into(),
            },
        ]
    }

    fn network_entries(&self) -> Vec<Entry> {
        let private = self.allow_private_addresses == PrivateAddresses::Allowed;
        let limit = i64::try_from(self.whole_network_limit).unwrap_or(i64::MAX);
        vec![
            Entry {
                name: "network",
                reason: "Nodes of different networks do not speak with each other. `main` is the public's.",
                value: Some(text(&self.network)),
                example: "main".into(),
            },
            Entry {
                name: "listen",
                reason: "UDP (QUIC) and TCP, the same port for both: open both in the firewall. Port 0 takes a free one at each
                    start, which others then have to find out anew.",
                value: Some(text(self.listen)),
                example: text(self.listen),
            },
            Entry {
                name: "external",
                reason: "The public address, HOST or HOST:PORT, where it is known: the node then serves others at once.
                    Without it, other nodes are asked first whether they can reach this one.",
                value: self.external.as_ref().map(text),
                example: "node.example.org".into(),
            },
            Entry {
                name: "bootstrap",
                reason: "Nodes to begin with. `status` of a running node prints its addresses for others to paste here.
                    None at all starts a network of one.",
                value: list(&self.bootstrap),
                example: texts(&["/dns4/node.example.org/udp/25519/quic-v1/p2p/12D3KooW…"]),
            },
            Entry {
                name: "trusted-peers",
                reason: "Peers that stay connected whatever the limits say: nodes whose operators you know.",
                value: list(&self.trusted_peers),
                example: texts(&["12D3KooW…"]),
            },
            Entry {
                name: "allow-private-addresses",
                reason: "Addresses such as 10.0.0.7 mean another machine to everybody: on the public network a record must not be
                    able to send nodes against their neighbours. Allow them on a network inside one house, or for tests.",
                value: Some(private.into()),
                example: private.into(),
            },
            Entry {
                name: "whole-network-limit",
                reason: "Up to so many servers every one of them holds every record, so that resolving needs no walk.
                    A record takes about 1.5 kB of memory. 0 for never.",
                value: Some(limit.into()),
                example: limit.into(),
            },
            Entry {
                name: "api",
                reason: "Where the local API listens: on loopback only. Port 0 takes a free one; the commands of this program find
                    it in api.json.",
                value: Some(text(self.api)),
                example: text(self.api),
            },
            Entry {
                name: "resolver-listen",
                reason: "Where anybody may read the records that this node holds, over plain HTTP, and bring new ones: for readers
                    and pages without libp2p. Left out, nowhere. TLS is for a reverse proxy; the records are signed.",
                value: self.resolver_listen.map(text),
                example: "0.0.0.0:8519".into(),
            },
            Entry {
                name: "resolver-proxy",
                reason: "Reverse proxies in front of `resolver-listen`, by their addresses: only they are believed when
                    X-Forwarded-For says who asks, which is whom the limits count for.",
                value: list(&self.resolver_proxy),
                example: texts(&["127.0.0.1"]),
            },
        ]
    }
}

fn text(value: impl Display) -> Value {
    Value::String(value.to_string())
}

fn texts(values: &[&str]) -> Value {
    Value::Array(values.iter().map(text).collect())
}

fn list<T: Display>(values: &[T]) -> Option<Value> {
    (!values.is_empty()).then(|| Value::Array(values.iter().map(text).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> NodeConfig {
        NodeConfig::from_toml(text, Path::new("clearinghouse.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn full() -> NodeConfig {
        let grid = |n| crate::keys::GridId::new(crate::keys::SecretKey::from_seed(&[n; 32]).public());
        let nurl = "pb://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@gw.example.org:4101/gateway#v=1";
        NodeConfig {
            grid_id: Some(grid(1)),
            grid_manager: Some("/home/o/grid \"manager\"".into()),
            nickname: Some("Grille à côté".parse().unwrap()),
            contact: vec!["mailto:o@example.org".parse().unwrap()],
            gateway: vec![format!("{nurl},key={}", grid(2)).parse().unwrap()],
            rate: vec!["0.02 USD/GiB until 2027-06-01".parse().unwrap(), "3 JPY/GiB".parse().unwrap()],
            clearing: vec![grid(3)],
            next: Some(grid(4)),
            successor: Some(grid(4)),
            predecessor: Some(grid(5)),
            lifetime: "3 d".parse().unwrap(),
            network: "test-1".parse().unwrap(),
            listen: "[::]:4100".parse().unwrap(),
            external: Some("node.example.org:4200".parse().unwrap()),
            bootstrap: vec!["/ip4/127.0.0.1/tcp/4100".parse().unwrap()],
            allow_private_addresses: PrivateAddresses::Allowed,
            whole_network_limit: 0,
            trusted_peers: vec![libp2p_identity::PeerId::random()],
            api: "[::1]:4300".parse().unwrap(),
            resolver_listen: Some("0.0.0.0:4301".parse().unwrap()),
            resolver_proxy: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            tahoe_node: Some("/home/o/tahoe node".into()),
            gateway_listen: Some("0.0.0.0:4101".parse().unwrap()),
            gateway_external: Some("gw.example.org:443".parse().unwrap()),
            credit_limit: Some("10 USD".parse().unwrap()),
            grid_managers: vec![*grid(6).key(), *grid(7).key()],
            ledger: Some("postgres://clear@db.example/books?sslmode=require".parse().unwrap()),
            usage_by_file: "30 d".parse().unwrap(),
            web_listen: Some("[::1]:4302".parse().unwrap()),
            patience: "5 s".parse().unwrap(),
            web_max_price: Some("1 USD".parse().unwrap()),
        }
    }

    #[test]
    fn what_init_writes_loads_as_the_same_settings() {
        assert_eq!(parse(&NodeConfig::default().to_commented_toml()), NodeConfig::default());
        let full = full();
        assert_eq!(parse(&full.to_commented_toml()), full);
    }

    #[test]
    fn every_key_is_there_with_a_reason() {
        let (set, unset) = (full().to_commented_toml(), NodeConfig::default().to_commented_toml());
        let keys: Vec<String> = toml::from_str::<toml::Table>(&set).unwrap().keys().map(ToOwned::to_owned).collect();
        assert_eq!(keys.len(), 31);
        for key in keys {
            let at = |text: &str| {
                text.lines().position(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")))
            };
            let line = at(&unset).unwrap_or_else(|| panic!("`{key}` is not mentioned where it is not set"));
            assert!(unset.lines().nth(line - 1).unwrap().starts_with("# "), "`{key}` has no reason");
        }
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse(""), NodeConfig::default());
    }
}
