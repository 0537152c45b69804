//! The other systems, in a program of their own: `benches/others`, so that what they bring is no dependency of ours. It is
//! told what to do in lines of JSON and answers in the same way; `benches/others/src/orders.rs` has the other side.

use super::process::Process;
use super::{AnyError, PATIENCE};
use crate::layout::NodePlace;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Whose client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum System {
    Mainline,
    Pkarr,
}

impl System {
    pub(super) const ALL: [Self; 2] = [Self::Mainline, Self::Pkarr];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mainline => "mainline",
            Self::Pkarr => "pkarr",
        }
    }
}

/// What a client is measured doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Warm,
    ColdWithSavedPeers,
    ColdFromOneAddress,
    Publish,
}

/// What came of an order.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    versions: Vec<String>,
    pub(super) seconds: Vec<f64>,
    pub(super) failed: usize,
    pub(super) answered: usize,
    pub(super) elapsed_seconds: f64,
}

/// The running program. Killed when it is dropped.
pub(super) struct Others {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// What it was built with: names and versions.
    pub(super) versions: Vec<String>,
}

impl Others {
    pub(super) async fn start(program: &Path) -> Result<Self, AnyError> {
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
        let (orders, answers) =
            child.stdin.take().zip(child.stdout.take()).ok_or("its input and output were asked for")?;
        let mut others = Self { child, orders, answers: BufReader::new(answers).lines(), versions: Vec::new() };
        others.versions = others.order(&json!({"order": "versions"})).await?.versions;
        Ok(others)
    }

    pub(super) fn process(&self) -> Result<Process, AnyError> {
        Ok(Process(self.child.id().ok_or("the program with the other systems has ended")?))
    }

    /// Raises a network whose nodes listen where relays expect them.
    pub(super) async fn raise(&mut self, places: &[NodePlace], value_bytes: usize) -> Result<(), AnyError> {
        let records = places.len();
        let places: Vec<_> =
            places.iter().map(|place| json!({"listen": place.listen, "external": place.external})).collect();
        let order = json!({"order": "raise", "places": places, "records": records, "value_bytes": value_bytes});
        self.order(&order).await.map(drop)
    }

    /// Raises a network without any distance.
    pub(super) async fn raise_testnet(
        &mut self,
        nodes: usize,
        records: usize,
        value_bytes: usize,
    ) -> Result<(), AnyError> {
        let order = json!({"order": "raise-testnet", "nodes": nodes, "records": records, "value_bytes": value_bytes});
        self.order(&order).await.map(drop)
    }

    pub(super) async fn measure(
        &mut self,
        system: System,
        deed: Deed,
        samples: usize,
        pause: Duration,
    ) -> Result<Answer, AnyError> {
        let mut order = json!({"system": system, "samples": samples, "pause_ms": pause.as_millis() as u64});
        order["order"] = match deed {
            Deed::Warm => "warm",
            Deed::ColdWithSavedPeers | Deed::ColdFromOneAddress => "cold",
            Deed::Publish => "publish",
        }
        .into();
        match deed {
            Deed::ColdWithSavedPeers => order["start"] = "saved-peers".into(),
            Deed::ColdFromOneAddress => order["start"] = "one-address".into(),
            Deed::Warm | Deed::Publish => {}
        }
        self.order(&order).await
    }

    /// As many questions as one client gets answered in `seconds`, so many of them open at once.
    pub(super) async fn flood(&mut self, system: System, in_flight: usize, seconds: f64) -> Result<Answer, AnyError> {
        self.order(&json!({"order": "flood", "system": system, "in_flight": in_flight, "seconds": seconds})).await
    }

    /// Ends it by ending its input.
    pub(super) async fn stop(self) -> Result<(), AnyError> {
        let Self { mut child, orders, .. } = self;
        drop(orders);
        timeout(PATIENCE, child.wait()).await??;
        Ok(())
    }

    async fn order(&mut self, order: &serde_json::Value) -> Result<Answer, AnyError> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        let line = timeout(PATIENCE, self.answers.next_line()).await.map_err(|_| format!("no answer to {order}"))??;
        Ok(serde_json::from_str(&line.ok_or("the program with the other systems has ended")?)?)
    }
}
