//! New settings for a node at work.

use crate::causes::chain;
use crate::config::{GatewayEntry, GridManager, NodeConfig, TakesEffect, settings_digest};
use crate::http::{ReloadRequest, SettingsStanding};
use crate::node::error::ReloadError;
use crate::node::running::Node;
use tracing::{info, warn};

/// What came of new settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The keys whose new values are in force.
    pub changed: Vec<&'static str>,
    /// The keys whose new values take effect at the next start.
    pub at_next_start: Vec<&'static str>,
}

impl Node {
    /// Takes up new settings as far as a running node can. Those that it cannot are named, and wait for the next start. On an
    /// error everything is as it was.
    pub async fn reload(&mut self, new: &NodeConfig) -> Result<Reloaded, ReloadError> {
        let digest = settings_digest(&self.home);
        let result = self.take_up(new).await;
        self.settings.send_modify(|settings| match &result {
            Ok(reloaded) => {
                *settings = SettingsStanding { digest, at_next_start: reloaded.at_next_start.clone(), refused: None };
            }
            Err(error) => settings.refused = Some(chain(error)),
        });
        result
    }

    /// Notes that new settings could not even be read; those in force stay.
    pub fn refuse_settings(&self, reason: &str) {
        warn!(reason, "the new settings are refused, and the old ones stay");
        self.settings.send_modify(|settings| settings.refused = Some(reason.to_owned()));
    }

    /// Waits until somebody asks through the local API that the settings be read again.
    pub async fn reload_requested(&mut self) -> ReloadRequest {
        match self.reloads.recv().await {
            Some(request) => request,
            // The API has ended, and with it everybody who could ask.
            None => std::future::pending().await,
        }
    }

    async fn take_up(&mut self, new: &NodeConfig) -> Result<Reloaded, ReloadError> {
        let mut reloaded = Reloaded::default();
        for (key, when) in self.config.changes(new) {
            match when {
                TakesEffect::Now => reloaded.changed.push(key),
                TakesEffect::AtNextStart => reloaded.at_next_start.push(key),
            }
        }
        let config = self.config.with_changes_of(new);
        // The manager's folder may be another now, and its grid must not.
        if let (Some(publisher), Some(path)) = (&self.publisher, config.grid_manager.as_deref()) {
            let (stated, found) = (*publisher.grid(), GridManager::open(path)?.grid_id());
            if stated != found {
                return Err(ReloadError::OtherGrid { stated, found });
            }
        }
        if let Some(publisher) = &self.publisher {
            // Files beside the settings may have changed too: the delegation, the grid manager's key.
            publisher.apply(published_settings(&config, self.own_entry.as_ref())).await?;
        }
        if config.bootstrap != self.config.bootstrap {
            self.dht.set_bootstrap(config.bootstrap.clone()).await;
        }
        if config.trusted_peers != self.config.trusted_peers {
            self.dht.set_trusted(config.trusted_peers.clone()).await;
        }
        self.config = config;
        info!(changed = ?reloaded.changed, "took up the settings");
        if !reloaded.at_next_start.is_empty() {
            warn!(keys = ?reloaded.at_next_start, "these settings take effect at the next start");
        }
        Ok(reloaded)
    }
}

/// The settings that the record is made from: with the gateway here, unless the operator has written that entry by hand.
pub(super) fn published_settings(config: &NodeConfig, own: Option<&GatewayEntry>) -> NodeConfig {
    own.map_or_else(|| config.clone(), |own| config.with_own_gateway(own))
}
