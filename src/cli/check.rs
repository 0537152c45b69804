//! `status --check`: each thing that is wrong, with the next command to type.

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::gateways;
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{Home, read_key, settings_digest};
use crate::http::{Finding, StatusView, findings};
use crate::keys::GridId;
use crate::store::{Floors, load_own_record};
use serde::Serialize;
use std::fmt;

/// Looks at the node and at its directory. Ends with 0 if nothing is wrong, else with 1.
pub(super) fn check(place: &HomeArg, terminal: &Terminal) -> Outcome<()> {
    let home = place.home()?;
    let dir = home.path().display();
    let mut found = Vec::new();
    let (config, unreadable) = match place.config() {
        Ok((_, config)) => (Some(config), None),
        Err(failure) if failure.exit == ExitCode::NotFound => return Err(failure),
        Err(failure) => (None, Some(failure)),
    };
    let publisher = read_key(&home.publisher_key()).ok().map(|key| key.public());
    match Api::of_running_node(&home)? {
        Some(api) => {
            let status = api.status()?;
            found.extend(findings(&status, home.path(), publisher.as_ref()));
            found.extend(of_the_running(&home, &status));
        }
        None => found.insert(
            0,
            Finding::new(
                "running",
                format!("no node is running in `{dir}`"),
                format!("start it: `systemctl start clearinghouse`, or `clearinghouse run -d {dir}`"),
            ),
        ),
    }
    // A running node that has refused them has said so.
    if let Some(failure) = unreadable.filter(|_| found.iter().all(|finding| finding.name != "settings")) {
        let next = failure.hint.unwrap_or_else(|| format!("correct `{}`", home.config().display()));
        found.push(Finding::new("settings", failure.message, next));
    }
    if let Some(config) = config {
        found.extend(gateways::faults(&config.gateway).into_iter().map(|fault| {
            let next = format!("mend that gateway, or take it out of `{}` and reload", home.config().display());
            Finding::new("gateway", fault, next)
        }));
        found.extend(place.grid().ok().and_then(|grid| own_record(&home, &grid)));
    }
    found.extend(floors(&home));
    let report = Report { ok: found.is_empty(), findings: found };
    terminal.print(&report)?;
    if report.ok { Ok(()) } else { Err(Failure::told(ExitCode::Failed)) }
}

/// What only the files beside a running node show.
fn of_the_running(home: &Home, status: &StatusView) -> Vec<Finding> {
    let mut found = Vec::new();
    if status.settings_refused.is_none() && settings_digest(home) != status.settings_digest {
        found.push(Finding::new(
            "settings",
            format!("`{}` was changed since the node read it", home.config().display()),
            "`systemctl reload clearinghouse`, or send the node SIGHUP",
        ));
    }
    let fault = status.gateway_nurl.as_ref().and_then(|nurl| gateways::own_fault(nurl, status.grid_id.as_deref()));
    if let Some(fault) = fault {
        found.push(Finding::new(
            "gateway",
            format!("this node's own gateway does not answer where its record says that it is: {fault}"),
            format!(
                "open that TCP port in the firewall and forward it to this machine; or correct `gateway-external` in `{}`, then \
                 `systemctl restart clearinghouse`",
                home.config().display()
            ),
        ));
    }
    if status.version != env!("CARGO_PKG_VERSION") {
        found.push(Finding::new(
            "version",
            format!("the node runs version {}, and this program is {}", status.version, env!("CARGO_PKG_VERSION")),
            "`systemctl restart clearinghouse`",
        ));
    }
    found
}

/// An own record that cannot be read: nothing is signed until it is gone.
fn own_record(home: &Home, grid: &GridId) -> Option<Finding> {
    let failure = Failure::from(load_own_record(home, grid).err()?);
    Some(Finding::new("own-record", failure.message, failure.hint.unwrap_or_default()))
}

/// Floors that cannot be read: no question about those grids is answered.
fn floors(home: &Home) -> Vec<Finding> {
    let files = std::fs::read_dir(home.floors()).into_iter().flatten().flatten();
    let grids = files.filter_map(|file| file.file_name().to_str()?.parse::<GridId>().ok());
    let Ok(floors) = Floors::open(home) else { return Vec::new() };
    let now = Clock::system().now();
    let damaged = grids.filter_map(|grid| floors.of(&grid, now).err());
    damaged
        .map(|error| {
            let failure = Failure::from(error);
            Finding::new("floor", failure.message, failure.hint.unwrap_or_default())
        })
        .collect()
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ok {
            return writeln!(f, "nothing is wrong, at {}", Clock::system().now());
        }
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}
