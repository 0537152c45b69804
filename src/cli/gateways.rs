//! What answers where a gateway is said to be. A storage server's address must never be published as a gateway's: whoever
//! knows it may write there.

use crate::address::{HostPort, PrivateAddresses};
use crate::causes::chain;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::terminal::Terminal;
use crate::config::GatewayEntry;
use crate::furl::{Hint, Nurl};
use crate::grid::{Answers, NodeSecrets, ProbeError, Secret, probe};
use crate::peer::{DialGuard, Named, ask_gateway};
use crate::record::GatewayAddress;
use std::path::Path;
use std::time::Duration;

/// How long each step of asking an address may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refuses what is one of the Tahoe node's secret addresses, and what answers as a storage server does.
pub(super) fn refuse_storage_servers(
    gateways: &[GatewayEntry],
    tahoe_node: Option<&Path>,
    terminal: &Terminal,
) -> Outcome<()> {
    let secrets = tahoe_node.map(NodeSecrets::of_node).transpose()?;
    for (index, entry) in gateways.iter().enumerate() {
        let Some(address) = entry.gateway().address() else { continue };
        let number = index + 1;
        let places = places(address);
        if let Some(secrets) = &secrets
            && (swissnum(address).is_some_and(|swissnum| secrets.has_swissnum(swissnum))
                || places.iter().any(|place| secrets.has_place(place)))
        {
            let message = format!("gateway number {number}: this is an address of that Tahoe-LAFS node's own services");
            return Err(refusal(message));
        }
        for place in places {
            ask(address, &place, number, terminal)?;
        }
    }
    Ok(())
}

/// Refuses a Foolscap FURL that a storage server answers to: the settings may have been edited since `init` looked. A NURL
/// gives nothing away, whoever answers there.
pub(super) fn refuse_storage_furls(gateways: &[GatewayEntry], terminal: &Terminal) -> Outcome<()> {
    let has_furl = |entry: &&GatewayEntry| matches!(entry.gateway().address(), Some(GatewayAddress::Furl(_)));
    let furls: Vec<GatewayEntry> = gateways.iter().filter(has_furl).cloned().collect();
    refuse_storage_servers(&furls, None, terminal)
}

/// What is wrong with the gateways, each asked where it is: one sentence for each.
pub(super) fn faults(gateways: &[GatewayEntry]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, entry) in gateways.iter().enumerate() {
        let Some(address) = entry.gateway().address() else { continue };
        for place in places(address).into_iter().filter(|place| !place.host().is_onion()) {
            let secret = match address {
                GatewayAddress::Nurl(_) => Secret::Gateway,
                GatewayAddress::Furl(furl) => Secret::Of(furl),
            };
            let fault = match probe(&place, secret, PATIENCE) {
                Ok(Answers::Otherwise) => continue,
                Ok(Answers::StorageServer) => format!("a storage server answers at `{place}`"),
                Ok(Answers::PerhapsStorageServer) => format!("`{place}` answers as a storage server might"),
                Err(error) => chain(&error),
            };
            faults.push(format!("gateway number {}: {fault}", index + 1));
        }
    }
    faults
}

/// What is wrong with the node's own gateway, asked where its NURL says that it is.
pub(super) fn own_fault(nurl: &str, grid: Option<&str>) -> Option<String> {
    let nurl: Nurl = nurl.parse().ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    // It is ours: it may be anywhere.
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    match runtime.block_on(ask_gateway(&nurl, Named::ByUser, &guard)) {
        Ok(greeting) if grid.is_none_or(|grid| grid == greeting.grid_id.to_string()) => None,
        Ok(greeting) => Some(format!("`{}` is a gateway of {}", nurl.place(), greeting.grid_id)),
        Err(error) => Some(chain(&error)),
    }
}

fn ask(address: &GatewayAddress, place: &HostPort, number: usize, terminal: &Terminal) -> Outcome<()> {
    if place.host().is_onion() {
        terminal.warn(format_args!("`{place}` is an onion service: what answers there was not looked at"));
        return Ok(());
    }
    let secret = match address {
        GatewayAddress::Nurl(_) => Secret::Gateway,
        GatewayAddress::Furl(furl) => Secret::Of(furl),
    };
    match probe(place, secret, PATIENCE) {
        Ok(Answers::StorageServer) => {
            return Err(refusal(format!("gateway number {number}: a storage server answers at `{place}`")));
        }
        Ok(Answers::PerhapsStorageServer) => {
            terminal.warn(format_args!("`{place}` answers as a storage server might: is it a gateway's address?"));
        }
        Ok(Answers::Otherwise) => {}
        Err(error @ (ProbeError::Unreachable { .. } | ProbeError::Stranger { .. })) => {
            terminal.warn(format_args!("{}; what it is was not looked at", chain(&error)));
        }
    }
    Ok(())
}

fn refusal(message: String) -> Failure {
    Failure::new(ExitCode::Malformed, message)
        .hint("whoever knows a storage server's address may write there: publish the gateway's own, which ends in `/gateway#v=1`")
}

fn places(address: &GatewayAddress) -> Vec<HostPort> {
    match address {
        GatewayAddress::Nurl(nurl) => vec![nurl.place().clone()],
        GatewayAddress::Furl(furl) => {
            let tcp = |hint: &Hint| match hint {
                Hint::Tcp(place) => Some(place.clone()),
                Hint::Other(_) => None,
            };
            furl.hints().iter().filter_map(tcp).collect()
        }
    }
}

fn swissnum(address: &GatewayAddress) -> Option<&str> {
    match address {
        // The constant of all gateways is nobody's secret.
        GatewayAddress::Nurl(_) => None,
        GatewayAddress::Furl(furl) => Some(furl.swissnum()),
    }
}
