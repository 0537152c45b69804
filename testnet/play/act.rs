//! The acts of a scenario, carried out.

use crate::play::flood::flood;
use crate::play::scenario::{Deed, Promise};
use crate::play::stage::{AnyError, Stage, delegation_for};
use crate::play::thief::{Hand, Thief};
use lafs_clearinghouse::config::create_key;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::publisher::install;
use lafs_clearinghouse::rate::RateLine;
use lafs_clearinghouse::record::{RecordDraft, Signer};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use std::collections::BTreeSet;

impl Stage {
    /// Does what `deed` says, if it is an act. Returns what there is to tell about it.
    pub(crate) async fn act(&mut self, deed: &Deed) -> Result<String, AnyError> {
        match deed {
            Deed::Kill(nodes) => {
                let nodes = self.select(nodes)?;
                if let Some(dead) = nodes.intersection(&self.faults.dead).next() {
                    return Err(format!("{} is dead already", self.name(*dead)).into());
                }
                self.kill(&nodes);
                Ok(format!("killed {}", self.names(&nodes)))
            }
            Deed::Start(nodes) => {
                let nodes = self.select(nodes)?;
                if let Some(alive) = nodes.difference(&self.faults.dead).next() {
                    return Err(format!("{} is alive", self.name(*alive)).into());
                }
                for node in &nodes {
                    self.start(*node).await?;
                }
                Ok(format!("started {}", self.names(&nodes)))
            }
            Deed::Pause(nodes) => {
                let nodes = self.select(nodes)?;
                self.faults.paused.extend(&nodes);
                self.apply();
                Ok(format!("paused {}", self.names(&nodes)))
            }
            Deed::Resume(nodes) => {
                let nodes = self.select(nodes)?;
                self.faults.paused.retain(|node| !nodes.contains(node));
                self.apply();
                Ok(format!("resumed {}", self.names(&nodes)))
            }
            Deed::Partition(groups) => {
                let cast = self.cast();
                self.faults.sides = cast.groups(groups, &mut |bound| self.draw.below(bound))?;
                self.apply();
                let sides: Vec<String> = self.faults.sides.iter().map(|side| self.names(side)).collect();
                Ok(format!("parted {}", sides.join(" from ")))
            }
            Deed::Heal => {
                self.faults.sides.clear();
                self.apply();
                Ok("healed the partition".to_owned())
            }
            Deed::Advance(span) => {
                let seconds = i64::try_from(span.as_secs()).map_err(|_| "too long a time")?;
                self.clock.advance(seconds);
                Ok(format!("{} passed", Seconds(span.as_secs())))
            }
            Deed::Join(nodes) => {
                let before = self.faults.nodes;
                self.join(*nodes).await?;
                Ok(format!("{} joined", self.names(&(before..before + nodes).collect())))
            }
            Deed::Publish(nodes) => self.publish(nodes).await,
            Deed::Promise(promise) => self.promise(promise).await,
            Deed::BreakPromise(promise) => self.break_promise(promise).await,
            Deed::Steal(grid) => self.steal(*grid).await,
            Deed::Revoke(grid) => self.revoke(*grid).await,
            Deed::Flood(deluge) => flood(self, deluge).await,
            _ => Ok(String::new()),
        }
    }

    /// A new edition of the record of each grid that one of these nodes speaks for, brought to as many as can be reached.
    async fn publish(&mut self, nodes: &str) -> Result<String, AnyError> {
        let nodes = self.select(nodes)?;
        self.listen_to_publishers();
        let mut publishing = Vec::new();
        for node in nodes.iter().copied().filter(|node| *node < self.grids.len()) {
            let Some(publisher) = self.node(node).and_then(|node| node.publisher.clone()) else { continue };
            let newest = self.chronicle.newest(&self.grids[node]).ok_or("a grid without a record")?;
            // A word that the settings do not say makes the node sign the next one by them.
            let serial = newest.signed().serial();
            let signer = Signer::Grid { key: &self.keys[node], serial };
            let draft = RecordDraft { nickname: Some("New edition".parse()?), ..RecordDraft::from_record(&newest) };
            let next = draft.sign(signer, Some(&newest), &[], self.clock.now())?;
            install(self.home(node), next.grid(), next.signed().bytes(), self.clock.now())?;
            publishing.push(async move { publisher.publish().await });
        }
        if publishing.is_empty() {
            return Err("none of these nodes lives and speaks for a grid".into());
        }
        let count = publishing.len();
        for receipt in futures::future::join_all(publishing).await {
            receipt?;
        }
        self.listen_to_publishers();
        Ok(format!("{count} {} published anew", if count == 1 { "grid" } else { "grids" }))
    }

    /// The grid's operator promises a price: it goes into the settings, and the node is started anew.
    async fn promise(&mut self, promise: &Promise) -> Result<String, AnyError> {
        let until = promise.lasting.map(|lasting| self.clock.now().plus(Seconds(lasting.as_secs())));
        let line = rate_line(&promise.price, until)?;
        let text = line.to_string();
        self.restart_with(promise.grid, |config| config.rate = vec![line]).await?;
        let grid = self.grids[promise.grid];
        loop {
            self.listen_to_publishers();
            let promised = self.chronicle.newest(&grid).is_some_and(|record| record.commitments().next().is_some());
            let published = self.node(promise.grid).and_then(|node| node.publisher.as_ref()).map(|p| p.published());
            if let Some(problem) = published.as_ref().and_then(|published| published.problem.clone()) {
                return Err(problem.into());
            }
            let own =
                published.as_ref().and_then(|published| published.record.as_ref().zip(published.receipt.as_ref()));
            if promised && own.is_some_and(|(record, receipt)| receipt.identity == record.signed().identity()) {
                return Ok(format!("grid {} promises {text}", promise.grid));
            }
            tokio::time::sleep(crate::play::stage::LOOK_EVERY).await;
        }
    }

    /// The operator takes the node away, and signs with a tool that knows nothing of promises.
    async fn break_promise(&mut self, promise: &Promise) -> Result<String, AnyError> {
        let grid = self.grids[promise.grid];
        let until = promise.lasting.map(|lasting| self.clock.now().plus(Seconds(lasting.as_secs())));
        let line = rate_line(&promise.price, until)?;
        let newest = self.chronicle.newest(&grid).ok_or("a grid without a record")?;
        if self.node(promise.grid).is_some() {
            self.kill(&[promise.grid].into());
        }
        let draft = RecordDraft { rates: vec![line], ..RecordDraft::new(grid) };
        let signer = Signer::Grid { key: &self.keys[promise.grid], serial: newest.signed().serial() };
        // Told of no record before, so nothing is refused; an hour ahead, so that it is newer all the same.
        let record = draft.sign(signer, None, &[], self.clock.now().plus(Seconds::hours(1)))?;
        self.chronicle.note(record.clone());
        let hand = Hand::reach_out(self).await?;
        let stored = hand.bring(record.signed(), &self.servers()).await;
        hand.stop().await;
        Ok(format!("grid {} now asks {line}; {stored} nodes took that record", promise.grid))
    }

    async fn steal(&mut self, grid: usize) -> Result<String, AnyError> {
        let thief = Thief::start(self, grid).await?;
        self.thieves.insert(grid, thief);
        Ok(format!("somebody else publishes for grid {grid}, with its publisher key"))
    }

    /// The grid key permits a new publisher key, which revokes the old one.
    async fn revoke(&mut self, grid: usize) -> Result<String, AnyError> {
        let home = self.home(grid).clone();
        std::fs::remove_file(home.publisher_key())?;
        let publisher_key = create_key(&home.publisher_key())?;
        let delegation = delegation_for(&self.keys[grid], &publisher_key, self.clock)?;
        let grid_id: GridId = self.grids[grid];
        install(&home, &grid_id, delegation.bytes(), self.clock.now())?;
        let publisher = self.node(grid).and_then(|node| node.publisher.clone()).ok_or("its node is dead")?;
        let receipt = publisher.publish().await?;
        self.listen_to_publishers();
        Ok(format!("grid {grid} has revoked it, and published: {receipt}"))
    }

    /// `node-03`, or how many.
    fn names(&self, nodes: &BTreeSet<usize>) -> String {
        match nodes.len() {
            0 => "nobody".to_owned(),
            1..=4 => nodes.iter().map(|node| self.name(*node)).collect::<Vec<_>>().join(", "),
            count => format!("{count} nodes"),
        }
    }
}

/// `0.02 USD/GiB until 2027-06-01`.
fn rate_line(price: &str, until: Option<UnixSeconds>) -> Result<RateLine, AnyError> {
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    Ok(format!("{price}/GiB{until}").parse::<RateLine>()?)
}
