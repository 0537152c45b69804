//! What changed in the settings of a node at work, and when it takes effect.

use crate::config::node_config::NodeConfig;

/// When a changed setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakesEffect {
    /// At once.
    Now,
    /// When the node is started again: it is what the node stands on.
    AtNextStart,
}

impl NodeConfig {
    /// The keys whose values differ in `new`, and when each change takes effect.
    pub fn changes(&self, new: &Self) -> Vec<(&'static str, TakesEffect)> {
        use TakesEffect::{AtNextStart, Now};
        // Taken apart without `..`, so that a key that is added must be put in its place here.
        let Self {
            grid_id,
            grid_manager,
            nickname,
            contact,
            gateway,
            rate,
            clearing,
            next,
            successor,
            predecessor,
            lifetime,
            network,
            listen,
            external,
            bootstrap,
            allow_private_addresses,
            whole_network_limit,
            trusted_peers,
            api,
            resolver_listen,
            resolver_proxy,
            tahoe_node,
            gateway_listen,
            credit_limit,
            gateway_external,
            grid_managers,
            ledger,
            usage_by_file,
            web_listen,
            patience,
            web_max_price,
        } = self;
        let keys = [
            ("grid-id", AtNextStart, *grid_id != new.grid_id),
            ("grid-manager", Now, *grid_manager != new.grid_manager),
            ("nickname", Now, *nickname != new.nickname),
            ("contact", Now, *contact != new.contact),
            ("gateway", Now, *gateway != new.gateway),
            ("rate", Now, *rate != new.rate),
            ("clearing", Now, *clearing != new.clearing),
            ("next", Now, *next != new.next),
            ("successor", Now, *successor != new.successor),
            ("predecessor", Now, *predecessor != new.predecessor),
            ("lifetime", Now, *lifetime != new.lifetime),
            ("network", AtNextStart, *network != new.network),
            ("listen", AtNextStart, *listen != new.listen),
            ("external", AtNextStart, *external != new.external),
            ("bootstrap", Now, *bootstrap != new.bootstrap),
            ("allow-private-addresses", AtNextStart, *allow_private_addresses != new.allow_private_addresses),
            ("whole-network-limit", AtNextStart, *whole_network_limit != new.whole_network_limit),
            ("trusted-peers", Now, *trusted_peers != new.trusted_peers),
            ("api", AtNextStart, *api != new.api),
            ("resolver-listen", AtNextStart, *resolver_listen != new.resolver_listen),
            ("resolver-proxy", AtNextStart, *resolver_proxy != new.resolver_proxy),
            ("tahoe-node", AtNextStart, *tahoe_node != new.tahoe_node),
            ("gateway-listen", AtNextStart, *gateway_listen != new.gateway_listen),
            ("credit-limit", AtNextStart, *credit_limit != new.credit_limit),
            ("gateway-external", AtNextStart, *gateway_external != new.gateway_external),
            ("grid-managers", AtNextStart, *grid_managers != new.grid_managers),
            ("ledger", AtNextStart, *ledger != new.ledger),
            ("usage-by-file", AtNextStart, *usage_by_file != new.usage_by_file),
            ("web-listen", AtNextStart, *web_listen != new.web_listen),
            ("patience", AtNextStart, *patience != new.patience),
            ("web-max-price", AtNextStart, *web_max_price != new.web_max_price),
        ];
        keys.into_iter().filter(|(.., changed)| *changed).map(|(key, when, _)| (key, when)).collect()
    }

    /// These settings with what takes effect at once taken from `new`; the rest waits for the next start.
    pub fn with_changes_of(&self, new: &Self) -> Self {
        Self {
            grid_id: self.grid_id,
            network: self.network.clone(),
            listen: self.listen,
            external: self.external.clone(),
            allow_private_addresses: self.allow_private_addresses,
            whole_network_limit: self.whole_network_limit,
            api: self.api,
            resolver_listen: self.resolver_listen,
            resolver_proxy: self.resolver_proxy.clone(),
            tahoe_node: self.tahoe_node.clone(),
            gateway_listen: self.gateway_listen,
            credit_limit: self.credit_limit,
            gateway_external: self.gateway_external.clone(),
            grid_managers: self.grid_managers.clone(),
            ledger: self.ledger.clone(),
            usage_by_file: self.usage_by_file,
            web_listen: self.web_listen,
            patience: self.patience,
            web_max_price: self.web_max_price,
            ..new.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_effect_at_once_is_taken_and_the_rest_is_named() {
        let old = NodeConfig::default();
        let new = NodeConfig {
            nickname: Some("New".parse().unwrap()),
            listen: "127.0.0.1:1".parse().unwrap(),
            api: "127.0.0.1:2".parse().unwrap(),
            ..old.clone()
        };
        use TakesEffect::{AtNextStart, Now};
        assert_eq!(old.changes(&new), [("nickname", Now), ("listen", AtNextStart), ("api", AtNextStart)]);
        let merged = old.with_changes_of(&new);
        assert_eq!((merged.nickname.clone(), merged.listen), (new.nickname.clone(), old.listen));
        // What is left waits, and nothing else does.
        assert!(merged.changes(&new).iter().all(|(_, when)| *when == AtNextStart));
        assert!(old.changes(&old).is_empty());
    }
}
