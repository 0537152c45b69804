//! The expectations of a scenario, held against what really happened.
//!
//! Some may take their time to come true. Others never may be otherwise, not even once: an answer that its grid never
//! signed, one older than what the same asker was told before, a record in a book that no grid signed.

use crate::play::scenario::{Admitted, Deed, Held, KeysHeld, LiesTold, Proof, Refused, Resolves, Wanted};
use crate::play::stage::{AnyError, LOOK_EVERY, Stage, resident_bytes};
use crate::play::thief::Hand;
use futures::StreamExt;
use lafs_clearinghouse::dht::message::WireVerdict;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::node::Client;
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::resolver::{Answer, Policy, Question, ResolveError, Resolver};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How many questions are open at once.
const AT_ONCE: usize = 16;
/// How many of the faults found are told.
const TOLD: usize = 5;

/// What became of an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It holds; the text says what was seen.
    Held(String),
    /// It does not, and these are the reasons.
    Broken(Vec<String>),
}

/// What one look showed.
enum Look {
    Held(String),
    /// Not true yet, and it may become so.
    NotYet(Vec<String>),
    /// It must never be so.
    Never(Vec<String>),
}

/// What each asker was told last of each grid: nobody may go back behind that.
pub(crate) type Told = HashMap<(String, GridId), GridRecord>;

/// Somebody who asks.
struct Asker {
    name: String,
    resolver: Resolver,
}

/// One answer, and to whom it was given.
type Asked = (String, GridId, Result<Answer, ResolveError>);

impl Stage {
    /// Holds `deed`, an expectation, against the network.
    pub(crate) async fn expect(&mut self, deed: &Deed, told: &mut Told) -> Result<Outcome, AnyError> {
        let within = match deed {
            Deed::Resolves(resolves) => resolves.within,
            Deed::Held(held) => held.within,
            Deed::Evidence(proof) => proof.within,
            Deed::Refused(refused) => refused.within,
            Deed::LiesTold(lies) => lies.within,
            _ => Duration::ZERO,
        };
        let until = Instant::now() + within;
        loop {
            self.listen_to_publishers();
            let look = match deed {
                Deed::Resolves(resolves) => self.look_at_answers(resolves, told).await?,
                Deed::Held(held) => self.look_at_holders(held).await?,
                Deed::Evidence(proof) => self.look_at_evidence(proof).await?,
                Deed::Refused(refused) => self.look_at_refusals(refused).await?,
                Deed::KeysHeld(keys) => self.look_at_keys(keys).await,
                Deed::LiesTold(lies) => self.look_at_lies(lies),
                Deed::Admitted(admitted) => self.look_at_admission(admitted).await?,
                _ => return Ok(Outcome::Held(String::new())),
            };
            match look {
                Look::Held(seen) => return Ok(Outcome::Held(seen)),
                Look::Never(faults) => return Ok(Outcome::Broken(some_of(faults))),
                Look::NotYet(faults) if Instant::now() >= until => return Ok(Outcome::Broken(some_of(faults))),
                Look::NotYet(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn look_at_answers(&mut self, resolves: &Resolves, told: &mut Told) -> Result<Look, AnyError> {
        let grids = self.grids_meant(&resolves.grids).await?;
        let newest: HashMap<GridId, GridRecord> = match resolves.record {
            Wanted::Newest => grids.iter().filter_map(|grid| Some((*grid, self.chronicle.newest(grid)?))).collect(),
            Wanted::Honest => HashMap::new(),
        };
        let (askers, strangers) =
            self.askers(resolves.nodes.as_deref(), resolves.clients, resolves.client.as_deref()).await?;
        let asked = ask(&askers, &grids, resolves.policy, resolves.deadline).await;
        for stranger in strangers {
            stranger.stop().await;
        }
        let (mut right, mut faults, mut never) = (0, Vec::new(), Vec::new());
        let all = asked.len();
        // What publishers signed while the questions were open is as good.
        self.listen_to_publishers();
        for (asker, grid, answer) in asked {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    faults.push(format!("{asker}: {error}"));
                    continue;
                }
            };
            let record = answer.record.signed();
            let said = format!("{asker} was told {} of {}", record.sequence(), short(&grid));
            if answer.record.grid() != &grid || !self.chronicle.is_honest(&grid, &record.identity()) {
                // A thief's record is signed well until it is revoked, and only what is wanted says whether it was.
                let faults = if self.thieves.is_empty() { &mut never } else { &mut faults };
                faults.push(format!("{said}, which the grid never signed"));
                continue;
            }
            let key = (asker.clone(), grid);
            if told.get(&key).is_some_and(|before| before.signed().supersedes(record)) {
                never.push(format!("{said}, which is older than what it was told before"));
                continue;
            }
            match newest.get(&grid) {
                Some(newest) if newest.signed().supersedes(record) => {
                    faults.push(format!("{said}, and the newest is {}", newest.signed().sequence()));
                }
                _ => right += 1,
            }
            told.insert(key, answer.record);
        }
        let seen = format!("{right} of {all} answers of {} grids to {} askers are right", grids.len(), askers.len());
        Ok(if !never.is_empty() {
            Look::Never(never)
        } else if all > 0 && resolves.at_least.is_reached(right, all) {
            Look::Held(seen)
        } else {
            faults.insert(0, format!("{seen}, and {} were to be", resolves.at_least));
            Look::NotYet(faults)
        })
    }

    async fn look_at_holders(&mut self, held: &Held) -> Result<Look, AnyError> {
        let grids = self.grids_meant(&held.grids).await?;
        let wanted = match &held.nodes {
            Some(nodes) => self.select(nodes)?,
            None => Default::default(),
        };
        let needed = self.needed(held.by);
        let (mut faults, mut never, mut fewest, mut most_stale) = (Vec::new(), Vec::new(), usize::MAX, 0);
        for grid in &grids {
            let Some(newest) = self.chronicle.newest(grid) else { continue };
            let (mut holders, mut stale, mut lacking) = (0, 0, Vec::new());
            for (node, row) in self.rows(grid).await {
                let identity = row.as_ref().map(|row| row.record.identity());
                if identity == Some(newest.signed().identity()) {
                    holders += 1;
                    continue;
                }
                if let Some(identity) = identity {
                    // The node may have signed it a moment ago.
                    self.listen_to_publishers();
                    if self.thieves.is_empty() && !self.chronicle.is_honest(grid, &identity) {
                        never.push(format!("{} holds a record that {} never signed", self.name(node), short(grid)));
                    }
                    stale += 1;
                }
                if wanted.contains(&node) {
                    lacking.push(self.name(node).to_owned());
                }
            }
            fewest = fewest.min(holders);
            most_stale = most_stale.max(stale);
            if holders < needed {
                faults.push(format!("the newest record of {} is held by {holders} and not {needed}", short(grid)));
            }
            if held.stale_at_most.is_some_and(|most| stale > most) {
                faults.push(format!("{stale} hold an older record of {}", short(grid)));
            }
            if !lacking.is_empty() {
                faults.push(format!("the newest record of {} is not held by {}", short(grid), lacking.join(", ")));
            }
        }
        let count = grids.len();
        let seen =
            format!("{count} newest records are each held by {fewest} or more; {most_stale} at most hold an older one");
        Ok(match (never.is_empty(), faults.is_empty()) {
            (false, _) => Look::Never(never),
            (true, true) => Look::Held(seen),
            (true, false) => Look::NotYet(faults),
        })
    }

    async fn look_at_evidence(&mut self, proof: &Proof) -> Result<Look, AnyError> {
        let grid = self.grids[proof.grid];
        let newest = self.chronicle.newest(&grid).ok_or("a grid without a record")?;
        let (askers, strangers) = self.askers(proof.nodes.as_deref(), proof.clients, None).await?;
        let asked = ask(&askers, &[grid], proof.policy, Duration::from_secs(10)).await;
        for stranger in strangers {
            stranger.stop().await;
        }
        let (mut faults, mut right) = (Vec::new(), 0);
        for (asker, _, answer) in asked {
            match answer {
                Err(error) => faults.push(format!("{asker}: {error}")),
                Ok(answer) if answer.record.signed().identity() != newest.signed().identity() => {
                    faults.push(format!("{asker} was not told the newest record"));
                }
                Ok(answer) => {
                    let breach =
                        |older: &GridRecord| !lafs_clearinghouse::record::breaches(older, &answer.record).is_empty();
                    if answer.evidence.iter().any(breach) {
                        right += 1;
                    } else {
                        faults.push(format!("{asker} was shown no evidence beside the record"));
                    }
                }
            }
        }
        Ok(if faults.is_empty() && right > 0 {
            Look::Held(format!("{right} askers were shown the record and the promise that it breaks"))
        } else {
            Look::NotYet(faults)
        })
    }

    async fn look_at_refusals(&mut self, refused: &Refused) -> Result<Look, AnyError> {
        let grid = self.grids[refused.grid];
        let stolen = self.thieves.get(&refused.grid).and_then(|thief| thief.newest());
        let stolen = stolen.ok_or("nobody has stolen the key of that grid")?;
        let newest = self.chronicle.newest(&grid).ok_or("a grid without a record")?;
        let rows = self.rows(&grid).await;
        let holders = rows.into_iter().filter(|(_, row)| row.is_some());
        let (names, servers): (Vec<String>, Vec<_>) =
            holders.filter_map(|(node, _)| Some((self.name(node).to_owned(), self.server(node)?))).unzip();
        let hand = Hand::reach_out(self).await?;
        let verdicts = hand.offer(stolen.signed(), &servers).await;
        hand.stop().await;
        let told = names.iter().zip(&verdicts);
        let faults: Vec<String> = told
            .filter(|(_, verdict)| **verdict != Some(WireVerdict::Stale))
            .map(|(name, verdict)| format!("{name} says {verdict:?} to what the thief signed"))
            .collect();
        if !newest.signed().supersedes(stolen.signed()) {
            return Ok(Look::NotYet(vec!["what the thief signed is the newest".to_owned()]));
        }
        Ok(if faults.is_empty() && !names.is_empty() {
            Look::Held(format!("{} holders refuse what the thief signs", names.len()))
        } else {
            Look::NotYet(faults)
        })
    }

    async fn look_at_keys(&self, keys: &KeysHeld) -> Look {
        let mut most = 0;
        let mut fullest = String::new();
        for (node, held) in self.living() {
            let records = held.dht.status().await.map_or(0, |status| status.records_held);
            let strange = records.saturating_sub(self.grids.len());
            if strange >= most {
                (most, fullest) = (strange, self.name(node).to_owned());
            }
        }
        let nodes = self.living().count();
        let allowed = (keys.at_most_for_each_node * nodes).min(keys.at_most);
        let grown = resident_bytes().saturating_sub(self.memory_at_first) >> 20;
        let seen = format!("{fullest} holds {most} keys that are no grid's of this network; {grown} MiB more are used");
        let mut faults = Vec::new();
        if most > allowed {
            faults.push(format!("{seen}, and {allowed} keys are the most"));
        }
        if let Some(memory) = keys.memory_mib_at_most.filter(|memory| grown > *memory) {
            faults.push(format!("{seen}, and {memory} MiB are the most"));
        }
        if faults.is_empty() { Look::Held(seen) } else { Look::Never(faults) }
    }

    async fn look_at_admission(&mut self, admitted: &Admitted) -> Result<Look, AnyError> {
        let (now, keys) = (self.clock.now(), admitted.keys);
        let records = tokio::task::spawn_blocking(move || crate::play::flood::sign(keys, now)).await?;
        let servers = self.servers();
        let hand = Hand::reach_out(self).await?;
        let mut refused = 0;
        for record in &records {
            refused += servers.len() - hand.bring(record, &servers).await;
        }
        hand.stop().await;
        let all = records.len() * servers.len();
        Ok(if refused == 0 && all > 0 {
            Look::Held(format!("{} nodes stored the records of {keys} new grids", servers.len()))
        } else {
            Look::NotYet(vec![format!("{refused} of {all} times a new grid's record was not stored")])
        })
    }

    fn look_at_lies(&self, lies: &LiesTold) -> Look {
        let mut told: HashMap<&'static str, u64> = HashMap::new();
        for liar in &self.liars {
            *told.entry(liar.kind().name()).or_default() += liar.lies_told();
        }
        let missing: Vec<String> = crate::liar::Kind::ALL
            .iter()
            .map(|kind| (kind.name(), told.get(kind.name()).copied().unwrap_or(0)))
            .filter(|(_, count)| *count < lies.each_at_least)
            .map(|(name, count)| format!("{name}: {count} lies"))
            .collect();
        if missing.is_empty() {
            let sum: u64 = told.values().sum();
            Look::Held(format!("{sum} lies of {} kinds were told", told.len()))
        } else {
            Look::NotYet(missing)
        }
    }

    /// Those who ask, and among them the new clients, which are to be stopped.
    async fn askers(
        &mut self,
        nodes: Option<&str>,
        clients: usize,
        client: Option<&str>,
    ) -> Result<(Vec<Asker>, Vec<Client>), AnyError> {
        let mut askers = Vec::new();
        if let Some(nodes) = nodes {
            for node in self.select(nodes)? {
                let name = self.name(node).to_owned();
                let resolver =
                    self.node(node).ok_or_else(|| format!("{name} is dead and cannot ask"))?.resolver.clone();
                askers.push(Asker { name, resolver });
            }
        }
        if let Some(name) = client {
            let resolver = self.client(name).await?.resolver.clone();
            askers.push(Asker { name: format!("the client {name}"), resolver });
        }
        let mut strangers = Vec::new();
        for number in 0..clients {
            let stranger = self.new_client().await?;
            // Each is a new one: what was told to the one before does not bind it.
            let name = format!("stranger {number} of {}", self.draw.below(usize::MAX));
            askers.push(Asker { name, resolver: stranger.resolver.clone() });
            strangers.push(stranger);
        }
        if askers.is_empty() {
            Err("nobody asks: name `nodes`, `clients` or `client`".into())
        } else {
            Ok((askers, strangers))
        }
    }

    /// `held`: the grids of which a living honest node holds a current record; else those of the nodes named.
    async fn grids_meant(&mut self, text: &str) -> Result<Vec<GridId>, AnyError> {
        if text != "held" {
            let nodes = self.select(text)?;
            let grids: Vec<GridId> = nodes.into_iter().filter_map(|node| self.grids.get(node).copied()).collect();
            return if grids.is_empty() { Err("none of these nodes speaks for a grid".into()) } else { Ok(grids) };
        }
        let now = self.clock.now();
        let mut held = Vec::new();
        for grid in self.chronicle.grids() {
            let rows = self.rows(&grid).await;
            if rows.into_iter().filter_map(|(_, row)| row).any(|row| row.record.time_fault(now).is_none()) {
                held.push(grid);
            }
        }
        Ok(held)
    }
}

/// Asks each of `askers` about each of `grids`.
async fn ask(askers: &[Asker], grids: &[GridId], policy: Policy, deadline: Duration) -> Vec<Asked> {
    let questions: Vec<(String, Resolver, GridId)> = askers
        .iter()
        .flat_map(|asker| grids.iter().map(|grid| (asker.name.clone(), asker.resolver.clone(), *grid)))
        .collect();
    let answers = questions.into_iter().map(|(name, resolver, grid)| async move {
        let answer = resolver.resolve(Question { grid, policy, deadline }).await;
        (name, grid, answer)
    });
    futures::stream::iter(answers).buffer_unordered(AT_ONCE).collect().await
}

/// Enough of a grid id to find it by.
fn short(grid: &GridId) -> String {
    grid.to_string().chars().take("pub-v0-".len() + 8).collect()
}

fn some_of(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(TOLD);
    faults.truncate(TOLD);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults
}
