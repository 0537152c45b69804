//! What is printed once a testnet is ready: one value, as a line of JSON and as text for people.

use crate::storage::Sample;
use lafs_clearinghouse::keys::GridId;
use libp2p::Multiaddr;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A testnet that is ready.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    /// Always true: the line is printed for nothing else.
    pub(crate) ready: bool,
    /// The name of its network of nodes.
    pub(crate) network: String,
    /// Where everything of it lies.
    pub(crate) dir: PathBuf,
    /// Where a stranger may begin.
    pub(crate) bootstrap: Vec<Multiaddr>,
    /// Its nodes.
    pub(crate) nodes: Vec<ReadyNode>,
    /// Its grids.
    pub(crate) grids: Vec<ReadyGrid>,
    /// The files of its grids, grid by grid, the directory of each last; none without `--files` or `--tahoe`.
    pub(crate) files: Vec<ReadyFile>,
    /// For people: the grid whose downloads cost something, and the node whose grid keeps the books, as far as there are such.
    #[serde(skip)]
    pub(crate) money: Option<Priced>,
    /// For people: the distance between its nodes.
    #[serde(skip)]
    pub(crate) rtt: Option<Duration>,
    /// For people: how long it took.
    #[serde(skip)]
    pub(crate) took: Duration,
}

/// A testnet whose grids ask for money.
#[derive(Debug)]
pub(crate) struct Priced {
    /// The number of a grid that does.
    pub(crate) grid: usize,
    /// The node whose grid keeps the books of all.
    pub(crate) clearing: Option<String>,
}

/// One node.
#[derive(Debug, Serialize)]
pub(crate) struct ReadyNode {
    /// `node-00`, `node-01`, …
    pub(crate) name: String,
    /// Its data directory.
    pub(crate) dir: PathBuf,
    /// Its libp2p identity.
    pub(crate) peer_id: String,
    /// Where others reach it, best first, ending in `/p2p/…`.
    pub(crate) addrs: Vec<Multiaddr>,
    /// Where its local API answers.
    pub(crate) api: String,
}

/// One grid.
#[derive(Debug, Serialize)]
pub(crate) struct ReadyGrid {
    /// The grid.
    pub(crate) grid_id: GridId,
    /// The folder of its grid manager, in Tahoe's format.
    pub(crate) grid_manager_dir: PathBuf,
    /// The name of the node that publishes its record.
    pub(crate) node: String,
}

/// One file, or the directory of a grid's files.
#[derive(Debug, Serialize)]
pub(crate) struct ReadyFile {
    /// Its name in the directory; `directory` for that itself.
    pub(crate) name: &'static str,
    /// The cap that reads it from any grid.
    pub(crate) foreign_cap: String,
}

impl ReadyFile {
    pub(crate) fn new(sample: &Sample) -> Self {
        Self { name: sample.name, foreign_cap: sample.cap.to_string() }
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, grids) = (count(self.nodes.len(), "node"), count(self.grids.len(), "grid"));
        write!(f, "{} is up after {:.1} s: {nodes}, {grids}", self.network, self.took.as_secs_f64())?;
        if let Some(rtt) = self.rtt {
            write!(f, ", {} ms from node to node and back", rtt.as_secs_f64() * 1_000.0)?;
        }
        writeln!(f, "\nin `{}`\n", self.dir.display())?;
        let name_width = self.nodes.iter().map(|node| node.name.len()).max().unwrap_or(0);
        let api_width = self.nodes.iter().map(|node| node.api.len()).max().unwrap_or(0);
        writeln!(f, "{:name_width$}  {:api_width$}  grid", "node", "local API")?;
        for node in &self.nodes {
            let grid = self.grids.iter().find(|grid| grid.node == node.name).map(|grid| grid.grid_id.to_string());
            let line = format!("{:name_width$}  {:api_width$}  {}", node.name, node.api, grid.unwrap_or_default());
            writeln!(f, "{}", line.trim_end())?;
        }
        if !self.files.is_empty() {
            writeln!(f, "\nfile        foreign cap")?;
        }
        for file in &self.files {
            writeln!(f, "{:10}  {}", file.name, file.foreign_cap)?;
        }
        self.write_suggestions(f)?;
        write!(f, "\nCtrl-C stops it.")
    }
}

impl Ready {
    fn write_suggestions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(node), Some(bootstrap)) = (self.nodes.first(), self.bootstrap.first()) else { return Ok(()) };
        writeln!(f, "\nTry this:")?;
        if let Some(grid) = self.grids.first() {
            writeln!(
                f,
                "  clearinghouse resolve {} \\\n      --network {} --allow-private-addresses --bootstrap {bootstrap}",
                grid.grid_id, self.network
            )?;
        }
        writeln!(f, "  clearinghouse status -d {}", quoted(&node.dir))?;
        if let Some(grid) = self.grids.first() {
            writeln!(f, "  grid-manager --config {} public-identity", quoted(&grid.grid_manager_dir))?;
        }
        writeln!(f, "  tail -f {}", quoted(&node.dir.join("node.log")))?;
        if let (Some(grid), Some(file)) = (self.grids.last(), self.files.first()) {
            // From the grid that is farthest from the file's own.
            let home =
                self.nodes.iter().find(|node| node.name == grid.node).map(|node| quoted(&node.dir)).unwrap_or_default();
            writeln!(f, "  clearinghouse get {} -d {home}", file.foreign_cap)?;
            writeln!(f, "  clearinghouse web -d {home}")?;
        }
        self.write_priced(f)?;
        if let Some(last) = self.nodes.last() {
            writeln!(f, "  testnet kill {} && testnet status", last.name)?;
        }
        Ok(())
    }
}

impl Ready {
    /// A file that costs something, from the first grid, to the bill.
    fn write_priced(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Priced { grid, clearing }) = &self.money else { return Ok(()) };
        let dir_of = |name: &str| self.nodes.iter().find(|node| node.name == name).map(|node| quoted(&node.dir));
        let dir_of_grid = |number: usize| self.grids.get(number).and_then(|grid| dir_of(&grid.node));
        let (Some(home), Some(seller), Some(grid)) = (dir_of_grid(0), dir_of_grid(*grid), self.grids.get(*grid)) else {
            return Ok(());
        };
        let id = grid.grid_id.to_string();
        let of_grid = |file: &&ReadyFile| file.name == "large.bin" && file.foreign_cap.contains(&id);
        if let Some(file) = self.files.iter().find(of_grid) {
            writeln!(f, "\n{} asks for money; a file of its, from `{home}` to the bill:", grid.node)?;
            writeln!(f, "  clearinghouse quote {} -d {home}", file.foreign_cap)?;
            writeln!(f, "  clearinghouse get {} -d {home} -o paid.bin --max-price \"0.10 USD\"", file.foreign_cap)?;
            writeln!(f, "  clearinghouse usage -d {home}")?;
            writeln!(f, "  clearinghouse statement --now -d {seller}")?;
        }
        if let Some(clearing) = clearing.as_deref().and_then(dir_of) {
            writeln!(f, "Once several grids owe each other something:")?;
            writeln!(f, "  clearinghouse netting propose USD -d {clearing}")?;
        }
        Ok(())
    }
}

/// A path as a POSIX shell takes it for one word.
fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lafs_clearinghouse::keys::SecretKey;
    use std::path::Path;

    fn ready() -> Ready {
        let peer_id = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN".to_owned();
        let addr: Multiaddr = format!("/ip4/127.9.1.1/udp/4100/quic-v1/p2p/{peer_id}").parse().unwrap();
        Ready {
            ready: true,
            network: "testnet-aaaaaaaa".to_owned(),
            dir: "/t/net".into(),
            bootstrap: vec![addr.clone()],
            nodes: vec![ReadyNode {
                name: "node-00".to_owned(),
                dir: "/t/net/node-00".into(),
                peer_id,
                addrs: vec![addr],
                api: "http://127.0.0.1:4200".to_owned(),
            }],
            grids: vec![ReadyGrid {
                grid_id: GridId::new(SecretKey::from_seed(&[1; 32]).public()),
                grid_manager_dir: "/t/net/grid-00".into(),
                node: "node-00".to_owned(),
            }],
            files: vec![ReadyFile { name: "letter.txt", foreign_cap: "URI:FOREIGN:x".to_owned() }],
            money: None,
            rtt: Some(Duration::from_millis(50)),
            took: Duration::from_millis(2_340),
        }
    }

    #[test]
    fn the_json_line_has_the_promised_fields() {
        let ready = ready();
        let json = serde_json::to_string(&ready).unwrap();
        let grid = ready.grids[0].grid_id;
        let peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        let addr = format!("/ip4/127.9.1.1/udp/4100/quic-v1/p2p/{peer}");
        let expected = format!(
            "{{\"ready\":true,\"network\":\"testnet-aaaaaaaa\",\"dir\":\"/t/net\",\"bootstrap\":[\"{addr}\"],\
             \"nodes\":[{{\"name\":\"node-00\",\"dir\":\"/t/net/node-00\",\"peer_id\":\"{peer}\",\"addrs\":[\"{addr}\"],\
             \"api\":\"http://127.0.0.1:4200\"}}],\
             \"grids\":[{{\"grid_id\":\"{grid}\",\"grid_manager_dir\":\"/t/net/grid-00\",\"node\":\"node-00\"}}],\
             \"files\":[{{\"name\":\"letter.txt\",\"foreign_cap\":\"URI:FOREIGN:x\"}}]}}"
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn people_get_lines_to_paste() {
        let text = ready().to_string();
        assert!(text.starts_with(
            "testnet-aaaaaaaa is up after 2.3 s: 1 node, 1 grid, 50 ms from node to node and back\nin `/t/net`\n"
        ));
        assert!(text.contains("\n  clearinghouse resolve pub-v0-"), "{text}");
        assert!(
            text.contains("--network testnet-aaaaaaaa --allow-private-addresses --bootstrap /ip4/127.9.1.1/"),
            "{text}"
        );
        assert!(text.contains("\n  clearinghouse status -d /t/net/node-00\n"), "{text}");
    }

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        assert_eq!(quoted(Path::new("/t/my net's")), r"'/t/my net'\''s'");
        assert_eq!(quoted(Path::new("/t/net-1")), "/t/net-1");
    }
}
