//! How a running testnet stands, as JSON and for people.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// How a testnet stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TestnetStatus {
    /// The name of its network of nodes.
    pub(crate) network: String,
    /// Where everything of it lies.
    pub(crate) dir: PathBuf,
    /// Its nodes.
    pub(crate) nodes: Vec<NodeStatus>,
}

/// How one node stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    /// `node-00`, `node-01`, …
    pub(crate) name: String,
    /// Whether it runs.
    pub(crate) state: NodeState,
    /// Whether its relay lets nothing through.
    pub(crate) paused: bool,
    /// Its side of the partition in force, counted from 1; `null` if it speaks with all sides.
    pub(crate) side: Option<usize>,
    /// Where its local API answers, while it serves.
    pub(crate) api: Option<String>,
    /// The grid that it speaks for.
    pub(crate) grid_id: Option<String>,
    /// From how many other nodes its record was read back.
    pub(crate) holders: Option<usize>,
}

/// Whether a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NodeState {
    /// It serves.
    Serving,
    /// It was started and does not serve yet.
    Starting,
    /// It ended, or was killed.
    Dead,
}

impl NodeStatus {
    fn word(&self) -> &'static str {
        match (self.state, self.paused) {
            (NodeState::Dead, _) => "dead",
            (_, true) => "paused",
            (NodeState::Starting, false) => "starting",
            (NodeState::Serving, false) => "serving",
        }
    }
}

impl fmt::Display for TestnetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |word: &str| self.nodes.iter().filter(|node| node.word() == word).count();
        let counts: Vec<String> = ["serving", "starting", "paused", "dead"]
            .into_iter()
            .filter(|word| count(word) > 0)
            .map(|word| format!("{} {word}", count(word)))
            .collect();
        write!(f, "{} in `{}`: {}", self.network, self.dir.display(), counts.join(", "))?;
        let divided = self.nodes.iter().any(|node| node.side.is_some());
        let name_width = self.nodes.iter().map(|node| node.name.len()).max().unwrap_or(0);
        for node in &self.nodes {
            let side = node.side.map_or("both sides".to_owned(), |side| format!("side {side}"));
            let side = if divided { format!("  {side:10}") } else { String::new() };
            let holders = node.holders.map(|holders| format!(" held by {holders}")).unwrap_or_default();
            let grid = node.grid_id.as_ref().map(|grid| format!("  {grid}{holders}")).unwrap_or_default();
            let line = format!("{:name_width$}  {:8}{side}{grid}", node.name, node.word());
            write!(f, "\n{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_what_is_wrong_with_whom() {
        let node = |name: &str, state, paused, side| NodeStatus {
            name: name.to_owned(),
            state,
            paused,
            side,
            api: None,
            grid_id: (name == "node-00").then(|| "pub-v0-x".to_owned()),
            holders: (name == "node-00").then_some(2),
        };
        let status = TestnetStatus {
            network: "testnet-a".to_owned(),
            dir: "/t".into(),
            nodes: vec![
                node("node-00", NodeState::Serving, false, Some(1)),
                node("node-01", NodeState::Serving, true, Some(2)),
                node("node-02", NodeState::Dead, false, None),
            ],
        };
        let expected = "testnet-a in `/t`: 1 serving, 1 paused, 1 dead\n\
                        node-00  serving   side 1      pub-v0-x held by 2\n\
                        node-01  paused    side 2\n\
                        node-02  dead      both sides";
        assert_eq!(status.to_string(), expected);
    }
}
