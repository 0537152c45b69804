//! Lanes and vouchers: what payers open with us, and what they acknowledge.

use crate::clearing::{
    CheckedOffer, LaneAgreed, LaneOffer, LaneOpened, LaneProposed, LaneShown, LaneStanding, LaneTaken, LanesShown,
    LanesTaken, MAX_REQUEST_BYTES, MAX_SHOWN, NotTaken, Octets, TermsError, TillError, VoucherSent, lane_of_text,
    lane_text,
};
use crate::gateway::serve::access::caller;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::sales::{evidence, sale};
use crate::gateway::serve::shared::Shared;
use crate::keys::PublicKey;
use crate::session::Caller;
use crate::tariff::WindowRefusal;
use crate::tariff::lane::{Limits, VoucherFault};
use crate::tariff::wire::{LaneId, LaneOpen};
use crate::units::Seconds;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The most octets of what is sent here, vouchers apart.
pub(super) const MAX_BODY_BYTES: usize = MAX_REQUEST_BYTES;
/// When somebody may come again whose books could not be written.
const BOOKS: Seconds = Seconds(30);

/// Proposes a lane for what a payer brings.
pub(super) async fn offer(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LaneProposed>, Refusal> {
    let caller = caller(&shared, &connection)?;
    let offer: LaneOffer = json(body)?;
    let offer: CheckedOffer =
        offer.checked().map_err(|field| Refusal::malformed(format!("`{field}` is not what it must be")))?;
    let (sale, deck) = sale(&shared, &caller, &offer.destination, offer.asset, offer.terms, offer.confirmed).await?;
    let proposal = shared.till.propose(&offer, &sale).map_err(|error| refusal(&error))?;
    Ok(Json(LaneProposed {
        proposal_base64url: Octets(proposal.bytes().to_vec()),
        deck_base64url: deck.map(|deck| Octets(deck.bytes().to_vec())),
        // Vouchers of strangers free nothing: they need not come more often than those of a grid with terms.
        window_bytes: sale.limits.window.unwrap_or(Limits::PAIR_WINDOW).0,
    }))
}

/// Opens a lane that both sides have signed.
pub(super) async fn open(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<LaneOpened>), Refusal> {
    let caller = caller(&shared, &connection)?;
    let agreed: LaneAgreed = json(body)?;
    let secret = agreed.secret_base64url.exactly().ok_or_else(|| Refusal::malformed("a secret has 32 octets"))?;
    let lane = LaneOpen::from_bytes(&agreed.lane_open_base64url.0).map_err(|error| refusal(&error.into()))?;
    let body = lane.body();
    // What holds now, not what held when it was proposed.
    let asset = (body.price.0 > 0).then_some(body.asset);
    let (sale, deck) = sale(&shared, &caller, &body.destination(), asset, body.terms, true).await?;
    if let Some(deck) = &deck {
        let kept = shared.till.ledger().keep(deck, shared.clock.now()).await;
        kept.map_err(|error| refusal(&error.into()))?;
    }
    if sale.price.0 > 0
        && let Some(record) = evidence(&shared, &sale).await
    {
        let kept = shared.till.ledger().keep(record.signed(), shared.clock.now()).await;
        kept.map_err(|error| refusal(&error.into()))?;
    }
    let agreed = shared.till.agree(&agreed.lane_open_base64url.0, secret, &sale).await;
    let id = agreed.map_err(|error| refusal(&error))?;
    Ok((StatusCode::CREATED, Json(LaneOpened { lane: lane_text(&id) })))
}

/// How far a lane has come.
pub(super) async fn standing(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<LaneStanding>, Refusal> {
    let payer = payer(&shared, &connection)?;
    let lane = named(path)?;
    Ok(Json(shared.till.standing(&payer, lane).await.map_err(|error| refusal(&error))?))
}

/// Nothing more is read on a lane.
pub(super) async fn close(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let payer = payer(&shared, &connection)?;
    let read = shared.till.close(&payer, named(path)?).map_err(|error| refusal(&error))?;
    // Who looks at the books of either side after a download finds it there.
    if let Some(grid) = read {
        shared.away.vouch(&grid);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Books a voucher; answers with the best one of its lane.
pub(super) async fn voucher(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let payer = payer(&shared, &connection)?;
    let lane = named(path)?;
    let sent: VoucherSent = json(body)?;
    let deliveries =
        sent.deliveries().map_err(|field| Refusal::malformed(format!("`{field}` is not what it must be")))?;
    let best = shared.till.voucher(&payer, lane, &sent.voucher_base64url.0, deliveries.as_deref()).await;
    let best = best.map_err(|error| refusal(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/cose")], best.bytes().to_vec()).into_response())
}

/// Takes what a payer shows of lanes on which it reads nothing any more.
pub(super) async fn shown(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LanesTaken>, Refusal> {
    let payer = payer(&shared, &connection)?;
    let shown: LanesShown = json(body)?;
    if shown.lanes.len() > MAX_SHOWN {
        return Err(Refusal::malformed(format!("at most {MAX_SHOWN} lanes are shown at once")));
    }
    let lanes = shown.lanes.iter().map(|lane| {
        let id = lane_of_text(&lane.lane).ok_or_else(not_a_lane)?;
        Ok((id, lane.voucher_base64url.as_ref().map(|voucher| voucher.0.clone())))
    });
    let lanes: Vec<_> = lanes.collect::<Result<_, Refusal>>()?;
    let taken = shared.till.shown(&payer, &lanes).await;
    let taken = shown.lanes.into_iter().zip(taken).map(|(LaneShown { lane, .. }, taken)| match taken {
        Ok(best) => Ok(LaneTaken { lane, voucher_base64url: best.map(Octets), refused: None }),
        // None of them was written then, and all of it may be said again.
        Err(error @ TillError::Books(_)) => Err(refusal(&error)),
        Err(error) => Ok(LaneTaken { lane, voucher_base64url: None, refused: Some(not_taken(&error)) }),
    });
    Ok(Json(LanesTaken { lanes: taken.collect::<Result<_, _>>()? }))
}

fn not_taken(error: &TillError) -> NotTaken {
    match error {
        TillError::NoLane | TillError::Voucher(VoucherFault::NoLane) => NotTaken::NotFound,
        TillError::Wire(_) | TillError::Voucher(_) => NotTaken::Malformed,
        _ => NotTaken::LaneClosed,
    }
}

/// Keeps terms that both sides have signed.
pub(super) async fn terms(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Refusal> {
    let Caller::Grid { id, .. } = caller(&shared, &connection)? else {
        return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, "terms are between grids"));
    };
    let body = body.map_err(|_| Refusal::malformed("no terms are so long"))?;
    let kept = shared.terms.keep(&body, &id).await;
    kept.map_err(|error| match &error {
        TermsError::Wire(_) => Refusal::because(StatusCode::BAD_REQUEST, Code::Malformed, &error),
        TermsError::Books(_) => Refusal::because(StatusCode::SERVICE_UNAVAILABLE, Code::Failed, &error).after(BOOKS),
        _ => Refusal::because(StatusCode::FORBIDDEN, Code::Refused, &error),
    })?;
    Ok(StatusCode::CREATED)
}

/// The lane that a request names, if it names one.
pub(super) fn wanted_lane(headers: &HeaderMap) -> Result<Option<LaneId>, Refusal> {
    let mut values = headers.get_all(crate::peer::LANE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str().ok().and_then(lane_of_text), values.next()) {
        (Some(lane), None) => Ok(Some(lane)),
        _ => Err(Refusal::malformed("`Lane` takes one lane id, 64 lower-case hexadecimal digits")),
    }
}

/// How a till's refusal is told.
pub(super) fn refusal(error: &TillError) -> Refusal {
    match error {
        TillError::NoLane => Refusal::because(StatusCode::NOT_FOUND, Code::NotFound, error),
        TillError::Closed(_) => {
            Refusal::because(StatusCode::CONFLICT, Code::LaneClosed, error).hint("open another lane")
        }
        TillError::Over => Refusal::because(StatusCode::CONFLICT, Code::LaneClosed, error),
        TillError::OtherDestination | TillError::NotProposed(_) => {
            Refusal::because(StatusCode::FORBIDDEN, Code::Refused, error)
        }
        TillError::Wire(_) => Refusal::because(StatusCode::BAD_REQUEST, Code::Malformed, error),
        TillError::Voucher(VoucherFault::NoLane) => Refusal::because(StatusCode::NOT_FOUND, Code::NotFound, error),
        TillError::Voucher(_) => Refusal::because(StatusCode::CONFLICT, Code::Integrity, error)
            .hint("show the highest voucher of the lane, without deliveries: what both sides hold goes on from there"),
        TillError::Credit { .. } => Refusal::because(StatusCode::PAYMENT_REQUIRED, Code::Refused, error)
            .hint("what is owed has to be settled first: `clearinghouse statement` says how much it is")
            .offers(serde_json::json!([])),
        TillError::Window(WindowRefusal::TooLarge { .. }) => {
            Refusal::because(StatusCode::FORBIDDEN, Code::Refused, error)
                .hint("the file was stored in segments that are larger than this gateway serves")
        }
        TillError::Window(_) | TillError::Unacknowledged(_) => {
            Refusal::because(StatusCode::TOO_MANY_REQUESTS, Code::Refused, error).after(Seconds(5))
        }
        // Nothing paid for is served while it cannot be written down; what was acknowledged is kept.
        TillError::Books(_) => Refusal::because(StatusCode::SERVICE_UNAVAILABLE, Code::Failed, error).after(BOOKS),
    }
}

/// Who pays, of whoever calls.
fn payer(shared: &Shared, connection: &Connection) -> Result<PublicKey, Refusal> {
    // Who was removed may still acknowledge what it got.
    match connection.caller() {
        Some(Caller::Grid { id, .. }) => Ok(*id.key()),
        Some(Caller::Client { key, .. }) => Ok(key),
        Some(Caller::Pending { .. }) | None => caller(shared, connection).map(|caller| match caller {
            Caller::Grid { id, .. } => *id.key(),
            Caller::Client { key, .. } | Caller::Pending { key } => key,
        }),
    }
}

fn named(path: Result<Path<String>, PathRejection>) -> Result<LaneId, Refusal> {
    let text = path.map(|Path(text)| text).ok();
    text.as_deref().and_then(lane_of_text).ok_or_else(not_a_lane)
}

fn not_a_lane() -> Refusal {
    Refusal::malformed("a lane is named by 64 lower-case hexadecimal digits")
}

fn json<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    let body = body.map_err(|_| Refusal::malformed("nothing that is sent here is so long"))?;
    serde_json::from_slice(&body).map_err(|error| Refusal::malformed(format!("not the JSON expected: {error}")))
}
