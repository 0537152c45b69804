//! `resolve --from URL`: a record that a resolver address gives, verified here. Needs no node and no network of nodes.

use crate::causes::chain;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::config::{Home, create_private_dir};
use crate::http::Problem;
use crate::keys::GridId;
use crate::record::{Evidence, GridRecord, RecordError, TimeFault};
use crate::resolver::{Answer, Chain, ResolveError, Source};
use crate::store::Floors;
use crate::units::{Seconds, UnixSeconds};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// A view with eight pieces of evidence takes about 20 kB.
const MAX_BODY_BYTES: u64 = 1 << 16;

/// What to do where TLS is not to be had.
const DISTRUSTED: &str = "this machine must trust the certificate: install its authority (Debian: `update-ca-certificates`) or \
                          name its file in `SSL_CERT_FILE`; or ask the operator for an `http://` address: records are verified here";

/// What is read of an answer: all the rest is what the server says about these bytes.
#[derive(Debug, Deserialize)]
struct Given {
    record_base64url: String,
    evidence_base64url: Vec<String>,
}

/// Asks the resolver address at `url` for the record of `grid`, and for those of its successors, as far as each is vouched
/// for. Nothing is believed but what is signed, and nothing below the floors in `home`, which rise with the answers.
pub(super) fn ask(url: &str, grid: &GridId, deadline: Duration, home: &Home, now: UnixSeconds) -> Outcome<Answer> {
    follow(url, grid, Instant::now() + deadline, home, now).map_err(|failure| {
        let hint = match failure.exit {
            ExitCode::NotFound => {
                "this server holds no record of it: ask another, or the network with `--bootstrap ADDR`"
            }
            ExitCode::Unreachable if failure.hint.is_none() => {
                "is the address right, and does `resolver-listen` name it there?"
            }
            ExitCode::Integrity => "do not rely on this server: ask another, or the network with `--bootstrap ADDR`",
            ExitCode::Moved => {
                "ask another server, or the network with `--bootstrap ADDR`: it may know more of the move"
            }
            _ => return failure.about(format_args!("--from {url}")),
        };
        failure.about(format_args!("--from {url}")).hint(hint)
    })
}

fn follow(url: &str, grid: &GridId, until: Instant, home: &Home, now: UnixSeconds) -> Outcome<Answer> {
    let refused = |error: ResolveError| Failure::from(Problem::from(error));
    let in_place = |grid: &GridId| -> Outcome<Answer> {
        let (given, age) = fetch(url, grid, until.saturating_duration_since(Instant::now()))?;
        Ok(Answer { age, ..accept(&given, grid, home, now)? })
    };
    let mut answer = in_place(grid)?;
    let mut chain = Chain::new(*grid);
    loop {
        let floor = Floors::open(home)?.of(answer.record.grid(), now).map_err(|error| refused(error.into()))?;
        let Some(successor) = chain.onward(&answer, floor.as_ref()).map_err(refused)? else { return Ok(answer) };
        let found = in_place(&successor).map_err(|failure| failure.message);
        answer = chain.arrived(&answer, successor, found).map_err(refused)?;
    }
}

fn fetch(url: &str, grid: &GridId, deadline: Duration) -> Outcome<(Given, Seconds)> {
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Failure::new(ExitCode::Malformed, "neither an `http://` nor an `https://` address")
            .hint("ask the operator for the address: records are signed and verified here, so that either will do"));
    }
    if deadline.is_zero() {
        return Err(Failure::new(ExitCode::Unreachable, "no answer in time"));
    }
    // Whom the machine trusts: an operator's proxy may have its certificate from an authority of their own.
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(deadline));
    let agent: Agent = config.build().into();
    let unreachable = |error: ureq::Error| {
        let failure = Failure::new(ExitCode::Unreachable, chain(&error));
        if is_of_tls(&error) { failure.hint(DISTRUSTED) } else { failure }
    };
    let request =
        agent.get(format!("{}/v1/grids/{grid}", url.trim_end_matches('/'))).header("Accept", "application/json");
    let mut response = request.call().map_err(unreachable)?;
    let status = response.status();
    let age = response.headers().get("age").and_then(|age| age.to_str().ok()).and_then(|age| age.parse().ok());
    let body = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec().map_err(unreachable)?;
    // A withdrawal comes with 410 and is a record all the same: what was signed counts, not the status.
    if let Ok(given) = serde_json::from_slice(&body) {
        return Ok((given, Seconds(age.unwrap_or(0))));
    }
    Err(match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => problem.into(),
        Err(_) => Failure::new(ExitCode::Failed, format!("answers {status}, and with no record")),
    })
}

/// Whether the address speaks no TLS, or shows a certificate that does not count here.
fn is_of_tls(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        ureq::Error::Io(error) => error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()),
        _ => false,
    }
}

fn accept(given: &Given, grid: &GridId, home: &Home, now: UnixSeconds) -> Outcome<Answer> {
    let refused = |error: ResolveError| Failure::from(Problem::from(error));
    let grid = *grid;
    let record = read(&given.record_base64url, &grid)?;
    match record.signed().time_fault(now) {
        None => {}
        Some(TimeFault::Expired { expires_at, .. }) => {
            return Err(refused(ResolveError::Expired { grid, expired_at: expires_at }));
        }
        Some(fault) => return Err(Failure::because(ExitCode::Integrity, &fault)),
    }
    create_private_dir(home.path())?;
    let floors = Floors::open(home)?;
    let floor = floors.of(&grid, now).map_err(|error| refused(error.into()))?;
    if let Some(floor) = floor.filter(|floor| !floor.admits(record.signed())) {
        return Err(refused(ResolveError::RolledBack { grid, floor: floor.sequence() }));
    }
    floors.raise(&record, now).map_err(|error| refused(error.into()))?;
    if record.signed().withdrawn() {
        return Err(refused(ResolveError::Withdrawn { grid }));
    }
    let mut evidence = Evidence::default();
    for proof in &given.evidence_base64url {
        evidence.add(read(proof, &grid)?, now);
    }
    // Only what the record really breaks.
    let evidence = evidence.against(Some(&record), now);
    Ok(Answer {
        record,
        source: Source::Direct,
        age: Seconds(0),
        agreeing_holders: 1,
        evidence,
        moved_from: None,
        own_node_silent: false,
    })
}

fn read(text: &str, grid: &GridId) -> Outcome<GridRecord> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
    let bytes = bytes.map_err(|error| Failure::because(ExitCode::Integrity, &error))?;
    GridRecord::from_bytes(&bytes, grid).map_err(|error| match error {
        RecordError::Upgrade { .. } => Failure::because(ExitCode::Failed, &error),
        error => Failure::because(ExitCode::Integrity, &error),
    })
}
