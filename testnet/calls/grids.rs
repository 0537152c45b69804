//! The grids of a scenario of calls: a testnet with files and prices, whose nodes are processes.

use crate::calls::scenario::CallCast;
use crate::calls::typed::Ahead;
use crate::control::{Command, Reply};
use crate::files::FilesOn;
use crate::grid_manager::GridKeys;
use crate::play::AnyError;
use crate::up::{Plan, Testnet};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::{Clock, rehearse};
use lafs_clearinghouse::config::{Home, Patience, read_key};
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, ask_gateway};
use lafs_clearinghouse::rate::{Asset, RateLine};
use lafs_clearinghouse::store::load_own_record;
use lafs_clearinghouse::units::Seconds;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at whether something has come true.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long something that is waited for may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Twice as long as what was verified waits for its voucher at most.
const TWO_BEATS: Duration = Duration::from_secs(1);

/// All grids, by their numbers.
pub(super) struct Grids {
    pub(super) testnet: Testnet,
    pub(super) gateways: Vec<Nurl>,
    /// How far their clocks are ahead of the machine's.
    pub(super) ahead: Ahead,
    /// What they have promised to ask for.
    pub(super) rates: Vec<RateLine>,
    keys: GridKeys,
}

impl Grids {
    /// Lays out grids and starts nothing yet.
    pub(super) fn lay_out(cast: &CallCast, seed: u64) -> Result<Self, AnyError> {
        let until = Clock::system().now().plus(Seconds(cast.promised.as_secs()));
        let rates = cast.prices.iter().map(|price| format!("{price}/GiB until {until}").parse::<RateLine>());
        let rates = rates.collect::<Result<Vec<_>, _>>()?;
        let keys = GridKeys::FromSeed(seed.to_string());
        let plan = Plan {
            nodes: cast.grids,
            grids: cast.grids,
            dir: None,
            keys: keys.clone(),
            rtt: None,
            in_process: false,
            files: FilesOn::OurServers,
            rates: rates.clone(),
            clearing: Some("node-00".to_owned()),
        };
        Ok(Self { testnet: Testnet::prepare(plan)?, gateways: Vec::new(), ahead: Ahead::default(), rates, keys })
    }

    /// Raises them; the name of their network.
    pub(super) async fn raise(&mut self) -> Result<String, AnyError> {
        let ready = self.testnet.raise().await?;
        for grid in self.numbers() {
            let told = self.ahead.has(&["gateway", "url", "-d", self.dir(grid), "--json"]).await?;
            self.gateways.push(told["nurl"].as_str().ok_or("`gateway url` names none")?.parse()?);
        }
        Ok(ready.network)
    }

    pub(super) fn numbers(&self) -> std::ops::Range<usize> {
        0..self.testnet.grids.len()
    }

    pub(super) fn id(&self, number: usize) -> GridId {
        self.testnet.grids[number]
    }

    /// The grid key.
    pub(super) fn key(&self, number: usize) -> SecretKey {
        self.keys.key(number)
    }

    /// What it has promised to ask for.
    pub(super) fn rate(&self, number: usize) -> &RateLine {
        &self.rates[number % self.rates.len()]
    }

    /// The data directory of its node.
    pub(super) fn home(&self, number: usize) -> Home {
        Home::new(self.dir(number))
    }

    pub(super) fn dir(&self, number: usize) -> &str {
        let place = &self.testnet.layout.nodes[self.testnet.layout.grids[number].node];
        place.dir.to_str().expect("a folder of ours")
    }

    /// The cap of one of its files.
    pub(super) fn cap(&self, number: usize, file: usize) -> String {
        let node = self.testnet.layout.grids[number].node;
        let files = self.testnet.files.iter().find(|files| files.node == node);
        files.map(|files| files.samples[file].cap.to_string()).unwrap_or_default()
    }

    /// Kills its node by SIGKILL.
    pub(super) async fn kill(&mut self, grid: usize) -> Result<(), AnyError> {
        self.carry_out(Command::Kill(vec![self.node_name(grid)])).await
    }

    /// Starts its node again on what it left.
    pub(super) async fn start(&mut self, grid: usize) -> Result<(), AnyError> {
        self.carry_out(Command::Start(vec![self.node_name(grid)])).await?;
        self.gateway_is_at(grid, 0).await
    }

    fn node_name(&self, number: usize) -> String {
        self.testnet.layout.nodes[self.testnet.layout.grids[number].node].name.clone()
    }

    async fn carry_out(&mut self, command: Command) -> Result<(), AnyError> {
        match self.testnet.carry_out(&command).await {
            (Reply::Done(_), ended) if ended.is_empty() => Ok(()),
            (Reply::Done(_), ended) => Err(ended[0].to_string().into()),
            (Reply::Refused(why), _) => Err(why.into()),
        }
    }

    /// Lets everybody vouch for what it has read, of which nobody tells until it has done so.
    pub(super) async fn vouch(&self) {
        tokio::time::sleep(TWO_BEATS).await;
    }

    /// So much time passes, for everybody.
    pub(super) async fn advance(&mut self, span: Duration) -> Result<String, AnyError> {
        self.vouch().await;
        let then = Clock::system().now().plus(Seconds(span.as_secs()));
        self.ahead.0 += i64::try_from(span.as_secs()).map_err(|_| "too long a time")?;
        rehearse(self.ahead.0);
        self.testnet.set_ahead(self.ahead.0);
        for grid in self.numbers() {
            self.gateway_is_at(grid, then.0).await?;
        }
        // What would come by itself within half a minute: a record that is about to expire is signed anew.
        let this = &*self;
        let published = this
            .numbers()
            .map(|grid| async move { this.ahead.has(&["record", "publish", "-d", this.dir(grid), "--json"]).await });
        futures::future::try_join_all(published).await?;
        Ok(format!("{} passed", Seconds(span.as_secs())))
    }

    /// Waits until the gateway of a grid answers and its clock shows this time, or a later one.
    async fn gateway_is_at(&self, grid: usize, unix_seconds: u64) -> Result<(), AnyError> {
        let waited = async {
            loop {
                let guard = DialGuard::new(PrivateAddresses::Allowed);
                match ask_gateway(&self.gateways[grid], Named::ByUser, &guard).await {
                    Ok(greeting) if greeting.now_unix_seconds.0 >= unix_seconds => return,
                    _ => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        };
        let late = |_| format!("the gateway of grid {grid} does not answer in time");
        Ok(tokio::time::timeout(PATIENCE, waited).await.map_err(late)?)
    }

    /// A session with the gateway of one grid in the name of another, whose gateway's key is at hand.
    pub(super) async fn session(&self, caller: usize, at: usize) -> Result<GatewayClient, AnyError> {
        let record = load_own_record(&self.home(caller), &self.id(caller))?.map(|record| record.signed().clone());
        let me = CallerIdentity::Grid { key: self.gateway_key(caller)?, record: Arc::new(move || record.clone()) };
        let place = GatewayPlace { nurl: self.gateways[at].clone(), grid: self.id(at), named: Named::ByUser };
        let guard = DialGuard::new(PrivateAddresses::Allowed);
        Ok(GatewayClient::connect(place, me, Clock::system(), guard, Patience::WITH_HOME).await?)
    }

    /// The key of a grid's gateway.
    pub(super) fn gateway_key(&self, number: usize) -> Result<SecretKey, AnyError> {
        Ok(read_key(&self.home(number).gateway_key())?)
    }
}

/// Minor units of the asset of all prices, as people write amounts.
pub(super) fn money(minor_units: u64) -> String {
    let asset = Asset::from_code("USD").expect("a currency");
    format!("{} {}", asset.decimal(minor_units), asset.code())
}
