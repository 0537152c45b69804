//! A node's own gateway: its place is taken before the record is signed, and it is served when the rest is there.

use crate::clearing::{
    AgreedTerms, Budget, FreshRecords, HomeJudge, HouseRules, Purse, PurseParts, Settler, Till, TillParts,
};
use crate::clock::Clock;
use crate::config::{GatewayEntry, Home, NodeConfig};
use crate::dht::Dht;
use crate::gateway::{Away, AwayParts, Files, Gateway, GatewayIdentity, GatewayParts, OwnRecord, Traffic};
use crate::grid::Grid;
use crate::ledger::Ledger;
use crate::members::Members;
use crate::node::error::NodeError;
use crate::node::paying::settler;
use crate::peer::{CallerIdentity, DialGuard, keep_heap};
use crate::publisher::Publisher;
use crate::resolver::Resolver;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A gateway whose place is taken and whose keys are there, before anything is served.
pub(super) struct OpenGateway {
    listener: TcpListener,
    pub(super) identity: GatewayIdentity,
    pub(super) entry: GatewayEntry,
}

impl OpenGateway {
    /// Takes the place that the settings name, if they name one.
    pub(super) async fn bind(home: &Home, config: &NodeConfig) -> Result<Option<Self>, NodeError> {
        let Some(listen) = config.gateway_listen else { return Ok(None) };
        let identity = GatewayIdentity::open(home)?;
        let failed = |source| NodeError::GatewayListen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let entry = identity.entry(config, port)?;
        Ok(Some(Self { listener, identity, entry }))
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where the parts of a gateway meet")]
    pub(super) async fn start(
        self,
        home: &Home,
        config: &NodeConfig,
        publisher: &Publisher,
        members: &Members,
        resolver: &Resolver,
        dht: &Dht,
        (storage, ledger): (Option<Grid>, Ledger),
        clock: Clock,
    ) -> Result<(Gateway, Settler), NodeError> {
        keep_heap();
        let grid = *publisher.grid();
        let traffic = Traffic::open(home, clock.now())?;
        let fresh = FreshRecords::new(resolver.clone(), clock);
        let terms = AgreedTerms::new(ledger.clone(), grid, fresh.clone(), clock);
        let key = self.identity.key.clone();
        let rules = HouseRules::new(home.policy(), members.clone(), fresh.clone(), ledger.clone(), clock);
        let judge = HomeJudge {
            grid,
            key: key.clone(),
            fresh: fresh.clone(),
            terms: terms.clone(),
            ledger: ledger.clone(),
            limit: config.credit_limit,
            rules: rules.clone(),
            clock,
            agreeing: tokio::sync::Mutex::default(),
        };
        let purse = Purse::new(PurseParts {
            ledger: ledger.clone(),
            payer: *grid.key(),
            key: key.clone(),
            judge: Arc::new(judge),
            budget: Budget::Open,
            clock,
        });
        let till = Till::new(TillParts { ledger: ledger.clone(), grid, key, clock });
        let published = publisher.changes();
        let own_record: OwnRecord = Arc::new(move || published.borrow().record.clone());
        let record = Arc::clone(&own_record);
        let me = CallerIdentity::Grid {
            key: self.identity.key.clone(),
            record: Arc::new(move || record().map(|record| record.signed().clone())),
        };
        let settler = settler(home, &me, &self.identity, grid, config, till.clone(), ledger, &fresh, clock);
        let metrics = dht.metrics().clone();
        let away = Away::new(AwayParts {
            me,
            resolver: resolver.clone(),
            guard: DialGuard::new(config.allow_private_addresses),
            patience: config.patience,
            purse,
            traffic: traffic.clone(),
            metrics: metrics.clone(),
            clock,
        });
        let gateway = Gateway::start(GatewayParts {
            grid,
            network: config.network.to_string(),
            identity: self.identity,
            listener: self.listener,
            own_record,
            members: members.clone(),
            resolver: resolver.clone(),
            files: storage.map(Files::of_grid),
            away,
            till,
            terms,
            rules,
            credit_limit: config.credit_limit,
            settler: settler.clone(),
            traffic,
            metrics,
            clock,
        })?;
        Ok((gateway, settler))
    }
}

/// The address in the gateway's entry.
pub(super) fn nurl(entry: Option<&GatewayEntry>) -> Option<String> {
    Some(entry?.gateway().address()?.to_string())
}
