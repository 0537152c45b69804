//! The home gateway that a data directory has joined: opening a session with it, and what its errors are to a person.

use crate::address::PrivateAddresses;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::clock::Clock;
use crate::config::{ClientConfig, Home, read_key};
use crate::furl::Nurl;
use crate::keys::PublicKey;
use crate::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, PeerError, RefusalCode, WelcomedAs};
use crate::resolver::HomeError;

/// What the operator of a home types to make `key` a client.
pub(super) fn add_command(key: &PublicKey) -> String {
    format!("clearinghouse client add NAME {key}")
}

/// The address of a gateway, which must not be a secret one.
pub(super) fn gateway_nurl(text: &str) -> Outcome<Nurl> {
    let hint = "`clearinghouse gateway url` prints it where the gateway runs: ask its operator";
    let nurl: Nurl = text.parse().map_err(|error| Failure::because(ExitCode::Malformed, &error).hint(hint))?;
    if !nurl.is_gateway() {
        let message =
            "this is the secret address of a storage server, and of no gateway: a gateway's ends in `/gateway#v=1`";
        return Err(Failure::new(ExitCode::Malformed, message).hint(hint));
    }
    Ok(nurl)
}

/// A session with the home gateway that `config` names, as the client of `home`.
pub(super) async fn open_session(home: &Home, config: &ClientConfig) -> Outcome<GatewayClient> {
    let place = GatewayPlace { nurl: config.home.clone(), grid: config.home_grid_id, named: Named::ByUser };
    let me = CallerIdentity::Client(read_key(&home.accounting_key())?);
    // What the user typed is dialled as given.
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    GatewayClient::connect(place, me, Clock::system(), guard, config.patience).await.map_err(|error| about_home(&error))
}

/// As [`open_session`], for what a home does for its clients alone.
pub(super) async fn open_session_as_client(home: &Home, config: &ClientConfig) -> Outcome<GatewayClient> {
    let client = open_session(home, config).await?;
    if client.welcome().caller == WelcomedAs::Pending {
        let reason = client.welcome().reason;
        let message = format!("the home gateway at {} {}", config.home.place(), reason.deed());
        return Err(Failure::new(ExitCode::Refused, message).hint(reason.hint(&client.key())));
    }
    Ok(client)
}

/// An error of the home gateway, or of the way to it.
pub(super) fn about_home(error: &PeerError) -> Failure {
    let failure = Failure::from_peer(error).about("the home gateway");
    let hint = match error {
        PeerError::WrongKey { .. } | PeerError::OtherGrid { .. } => {
            "ask its operator for the address that `clearinghouse gateway url` prints there, and join again".to_owned()
        }
        _ if failure.hint.is_some() => return failure,
        _ if failure.exit == ExitCode::Unreachable => {
            "is it running, and reachable from here? `clearinghouse join` names the address".to_owned()
        }
        _ => return failure,
    };
    failure.hint(hint)
}

impl Failure {
    /// What another gateway's error is to a person.
    pub(super) fn from_peer(error: &PeerError) -> Self {
        let exit = match error.code() {
            RefusalCode::Malformed => ExitCode::Malformed,
            RefusalCode::NotFound => ExitCode::NotFound,
            RefusalCode::Refused => ExitCode::Refused,
            RefusalCode::ForeignRefused => ExitCode::ForeignRefused,
            RefusalCode::TooFewShares => ExitCode::TooFewShares,
            RefusalCode::Integrity => ExitCode::Integrity,
            RefusalCode::Unreachable => ExitCode::Unreachable,
            RefusalCode::Expired => ExitCode::Expired,
            RefusalCode::Withdrawn => ExitCode::Withdrawn,
            RefusalCode::Moved => ExitCode::Moved,
            RefusalCode::LaneClosed => ExitCode::Unreachable,
            RefusalCode::Failed => ExitCode::Failed,
        };
        let failure = Self::because(exit, error);
        match error.refusal().and_then(|refusal| refusal.hint.clone()) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::Home(error) => about_home(&error),
            HomeError::Resolve(error) => crate::http::Problem::from(error).into(),
            HomeError::Time(fault) => Self::because(ExitCode::Integrity, &fault)
                .about("the record that the home gateway gives")
                .hint("compare this machine's clock with another"),
        }
    }
}
