//! What goes wrong in a running testnet because somebody wants it to: nodes that die, fall silent, or cannot reach each
//! other; and how it is mended.

use crate::control::{Command, Reply};
use crate::layout::NodePlace;
use crate::relay::Relay;
use crate::select::{Cast, SelectError};
use crate::status::{NodeState, NodeStatus, TestnetStatus};
use crate::supervise::Ended;
use crate::up::{Testnet, UpError};
use lafs_clearinghouse::causes::chain;
use std::collections::BTreeSet;

/// The faults in force, by the numbers of the nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) nodes: usize,
    pub(crate) dead: BTreeSet<usize>,
    pub(crate) paused: BTreeSet<usize>,
    /// The sides of the partition; none without one.
    pub(crate) sides: Vec<BTreeSet<usize>>,
}

impl Faults {
    /// No faults among so many nodes.
    pub(crate) fn none(nodes: usize) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// The nodes that live.
    pub(crate) fn alive(&self) -> BTreeSet<usize> {
        (0..self.nodes).filter(|node| !self.dead.contains(node)).collect()
    }

    /// The nodes whose packets `node` does not get: those of the other sides, and those that are paused. A connection that
    /// a paused node has dialled passes the other's relay and not its own.
    fn cut_off_from(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let own = self.sides.iter().position(|side| side.contains(&node));
        let others = self.sides.iter().enumerate().filter(move |(side, _)| own.is_some_and(|own| own != *side));
        others.flat_map(|(_, side)| side.iter().copied()).chain(self.paused.iter().copied())
    }

    /// Makes the relays do what these faults are.
    ///
    /// Each relay comes with the number of the node that it stands before; several may stand before one.
    pub(crate) fn apply<'r>(&self, relays: impl Iterator<Item = (usize, &'r Relay)>, places: &[NodePlace]) {
        for (node, relay) in relays {
            if self.paused.contains(&node) {
                relay.pause()
            } else {
                relay.resume()
            }
            relay.cut_off_from(self.cut_off_from(node).map(|other| *places[other].external.ip()));
        }
    }
}

/// Why a fault was not made. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaultError {
    /// The nodes are not named as they are.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Killing the dead.
    #[error("{0} is dead already")]
    Dead(String),
    /// Starting the living.
    #[error("{0} is alive")]
    Alive(String),
    /// A node that is a task cannot be killed without the others.
    #[error("the nodes of a testnet with `--in-process` cannot be killed one by one; pause them instead")]
    InProcess,
    /// A node did not start again.
    #[error("{0} did not start: {1}")]
    NotStarted(String, String),
}

impl Testnet {
    /// Carries out what was asked. Returns the answer, and the nodes that ended meanwhile without being asked to.
    pub(crate) async fn carry_out(&mut self, command: &Command) -> (Reply, Vec<Ended>) {
        let mut ended = Vec::new();
        let reply = match self.try_to(command, &mut ended).await {
            Ok(()) => Reply::Done(self.status()),
            Err(error) => Reply::Refused(chain(&error)),
        };
        (reply, ended)
    }

    async fn try_to(&mut self, command: &Command, ended: &mut Vec<Ended>) -> Result<(), FaultError> {
        let cast = self.cast();
        let select = |words: &[String]| cast.select(&words.join(" "), &BTreeSet::new(), &mut drawn_at_random);
        match command {
            Command::Kill(nodes) => self.kill(&select(nodes)?, ended).await?,
            Command::Start(nodes) => self.start_again(&select(nodes)?, ended).await?,
            Command::Pause(nodes) => self.faults.paused.extend(select(nodes)?),
            Command::Resume(nodes) => {
                let nodes = select(nodes)?;
                self.faults.paused.retain(|node| !nodes.contains(node));
            }
            Command::Partition(groups) => self.faults.sides = cast.groups(groups, &mut drawn_at_random)?,
            Command::Heal => self.faults.sides.clear(),
            Command::Status => {}
        }
        let gateways = self.files.iter().map(|files| (files.node, &files.relay));
        self.faults.apply(self.relays.iter().enumerate().chain(gateways), &self.layout.nodes);
        Ok(())
    }

    async fn kill(&mut self, nodes: &BTreeSet<usize>, ended: &mut Vec<Ended>) -> Result<(), FaultError> {
        if self.plan.in_process {
            return Err(FaultError::InProcess);
        }
        if let Some(dead) = nodes.intersection(&self.faults.dead).next() {
            return Err(FaultError::Dead(self.name(*dead)));
        }
        for node in nodes {
            self.supervisor.kill(&self.layout.nodes[*node].name);
        }
        while !nodes.is_subset(&self.faults.dead) {
            let end = self.supervisor.next_end().await;
            self.note_end(&end);
            if !nodes.iter().any(|node| self.layout.nodes[*node].name == end.name) {
                ended.push(end);
            }
        }
        Ok(())
    }

    /// Starts dead nodes and waits until they serve.
    async fn start_again(&mut self, nodes: &BTreeSet<usize>, ended: &mut Vec<Ended>) -> Result<(), FaultError> {
        if let Some(alive) = nodes.difference(&self.faults.dead).next() {
            return Err(FaultError::Alive(self.name(*alive)));
        }
        for node in nodes {
            self.start(*node).map_err(|error: UpError| FaultError::NotStarted(self.name(*node), chain(&error)))?;
            self.faults.dead.remove(node);
        }
        let mut standings = self.standings.subscribe();
        loop {
            let served = standings.wait_for(|standings| nodes.iter().all(|node| standings[*node].is_some()));
            tokio::select! {
                _ = served => return Ok(()),
                end = self.supervisor.next_end() => {
                    self.note_end(&end);
                    if nodes.iter().any(|node| self.layout.nodes[*node].name == end.name) {
                        return Err(FaultError::NotStarted(end.name.clone(), end.to_string()));
                    }
                    ended.push(end);
                }
            }
        }
    }

    /// How things stand.
    pub(crate) fn status(&self) -> TestnetStatus {
        let standings = self.standings.borrow();
        let nodes = self.layout.nodes.iter().zip(&*standings).enumerate().map(|(index, (place, standing))| {
            let grid = self.layout.grids.iter().position(|grid| grid.node == index);
            NodeStatus {
                name: place.name.clone(),
                state: match standing {
                    _ if self.faults.dead.contains(&index) => NodeState::Dead,
                    Some(_) => NodeState::Serving,
                    None => NodeState::Starting,
                },
                paused: self.faults.paused.contains(&index),
                side: self.faults.sides.iter().position(|side| side.contains(&index)).map(|side| side + 1),
                api: standing.as_ref().map(|standing| standing.api.clone()),
                grid_id: grid.map(|grid| self.grids[grid].to_string()),
                holders: standing.as_ref().and_then(|standing| standing.holders),
            }
        });
        TestnetStatus { network: self.layout.network.to_string(), dir: self.layout.dir.clone(), nodes: nodes.collect() }
    }

    fn cast(&self) -> Cast {
        Cast {
            names: self.layout.nodes.iter().map(|node| node.name.clone()).collect(),
            alive: self.faults.alive(),
            paused: self.faults.paused.clone(),
            publishers: self.layout.grids.iter().map(|grid| grid.node).collect(),
        }
    }

    fn name(&self, node: usize) -> String {
        self.layout.nodes[node].name.clone()
    }
}

/// A number below `bound` from the operating system. The bias of the remainder is below one in four thousand millions.
fn drawn_at_random(bound: usize) -> usize {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    (u64::from_le_bytes(bytes) % bound.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_cut_off_from_the_others_and_nobody_else() {
        let faults = Faults { sides: vec![[0, 1].into(), [2].into()], ..Faults::none(4) };
        let cut_off = |node| faults.cut_off_from(node).collect::<Vec<_>>();
        assert_eq!(cut_off(0), [2]);
        assert_eq!(cut_off(2), [0, 1]);
        assert!(cut_off(3).is_empty(), "in no group");
        assert!(Faults::none(4).cut_off_from(0).next().is_none());
        let faults = Faults { paused: [3].into(), ..Faults::none(4) };
        assert_eq!(faults.cut_off_from(0).collect::<Vec<_>>(), [3], "what it dialled does not pass its own relay");
    }
}
