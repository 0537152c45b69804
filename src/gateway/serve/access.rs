//! Who may ask for what: the caller of a connection, the way of a request, and what is free without a lane.

use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::leases::Payer;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::shared::Shared;
use crate::gateway::traffic::Counterparty;
use crate::keys::GridId;
use crate::rate::Asset;
use crate::record::binding_price;
use crate::session::Caller;
use crate::tariff::Stranger;
use crate::tariff::wire::LaneId;
use crate::units::PricePerGib;
use axum::http::StatusCode;
use serde_json::json;

/// Where what is asked for lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// On our own storage servers.
    Own,
    /// On another grid: we are the home of the client that asks.
    Away(GridId),
}

/// A caller that may ask for something, and who it is to the books.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    pub(super) way: Way,
    pub(super) payer: Payer,
    pub(super) counterparty: Counterparty,
    pub(super) lane: Option<LaneId>,
}

/// Who calls on this connection. A client that was removed since is none.
pub(super) fn caller(shared: &Shared, connection: &Connection) -> Result<Caller, Refusal> {
    let caller = connection.caller().ok_or_else(|| {
        Refusal::new(StatusCode::UNAUTHORIZED, Code::Refused, "no session is open on this connection")
            .hint("open one with `POST /v1/session`")
    })?;
    let key = match &caller {
        Caller::Grid { .. } => return Ok(caller),
        Caller::Client { key, .. } | Caller::Pending { key } => *key,
    };
    match shared.client(&key) {
        Some(label) => Ok(Caller::Client { key, label }),
        None => {
            let why = shared.members.why_none(&key, &shared.spki_hash, shared.clock.now());
            let detail = format!("this gateway {}", why.deed());
            Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, detail).hint(why.hint(&key)))
        }
    }
}

/// The way of a request about `grid`, for whoever calls, on `lane` if it names one.
pub(super) fn admit(
    shared: &Shared,
    connection: &Connection,
    grid: GridId,
    lane: Option<LaneId>,
) -> Result<Admitted, Refusal> {
    let caller = caller(shared, connection)?;
    let way = if grid == shared.grid { Way::Own } else { Way::Away(grid) };
    let admitted = match &caller {
        Caller::Client { key, .. } | Caller::Pending { key } => {
            Admitted { way, payer: Payer::Client(*key), counterparty: Counterparty::Client(*key), lane }
        }
        Caller::Grid { id, .. } => {
            if way != Way::Own {
                let detail = "a grid's gateway is asked for that grid's files only; others are for its own clients";
                return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, detail));
            }
            let stranger = Stranger { grid: *id, network: connection.network.clone() };
            Admitted { way, payer: Payer::Stranger(stranger), counterparty: Counterparty::Grid(*id), lane }
        }
    };
    if lane.is_none() {
        price(shared, &caller)?;
    }
    Ok(admitted)
}

/// What it costs without a lane, where nothing can be paid: our own clients may read what is free for them, and another grid
/// where our record says that downloads are free. What has a price is read on a lane ([`sale`]).
///
/// [`sale`]: crate::gateway::serve::sales::sale
fn price(shared: &Shared, caller: &Caller) -> Result<PricePerGib, Refusal> {
    if !matches!(caller, Caller::Grid { .. }) {
        return Ok(PricePerGib(0));
    }
    let record = (shared.own_record)();
    match binding_price(Asset::FREE, record.as_ref(), &[], shared.clock.now()) {
        Some(price) => Ok(price),
        None => Err(Refusal::new(
            StatusCode::PAYMENT_REQUIRED,
            Code::Refused,
            "downloads from this grid are not free, and your grid has no terms with it",
        )
        .offers(json!([]))),
    }
}
