//! Whether a clearing node books a lane: what both sides signed, under terms that name it, at the price that was published.

use crate::clearing::desk::{Desk, may_sign};
use crate::clearing::desk_error::DeskError;
use crate::clearing::fresh_records::may_agree;
use crate::keys::GridId;
use crate::ledger::Part;
use crate::record::{GridRecord, Roles, binding_price};
use crate::signed::{Identity, ObjectType};
use crate::tariff::lane::is_too_late;
use crate::tariff::wire::{
    ClaimLine, ClaimRefusal, Deck, LaneId, LaneOpen, LaneOpenBody, Revoke, Revoked, Terms, TermsBody,
};
use crate::units::UnixSeconds;
use tokio::sync::OnceCell;

/// What becomes of a line of a claim.
pub(super) enum Judged {
    /// It is booked: on this lane, kept by now.
    Books(Box<LaneOpen>),
    /// It is not.
    Refused(ClaimRefusal),
}

/// The grid that claims, and what it has published as far as is known here: read once for all lanes of a claim.
pub(super) struct Claimant {
    pub(super) grid: GridId,
    records: OnceCell<Vec<GridRecord>>,
}

impl Claimant {
    pub(super) fn new(grid: GridId) -> Self {
        Self { grid, records: OnceCell::new() }
    }

    /// Its record, what is shown beside it, and those in the books: a promise that was broken and is kept again is shown by nobody
    /// any more, and binds for the lanes of the time between all the same.
    async fn records(&self, desk: &Desk, now: UnixSeconds) -> Result<&[GridRecord], DeskError> {
        let records = self.records.get_or_try_init(async || {
            let answer = desk.record(&self.grid).await?;
            for record in &answer.evidence {
                desk.ledger().keep(record.signed(), now).await?;
            }
            let kept = desk.ledger().papers_of(ObjectType::Record, Some(self.grid.as_bytes()), None).await?;
            let mut records: Vec<GridRecord> =
                kept.iter().filter_map(|(_, _, bytes)| GridRecord::from_bytes(bytes, &self.grid).ok()).collect();
            records.push(answer.record.clone());
            Ok::<_, DeskError>(records)
        });
        records.await.map(Vec::as_slice)
    }
}

/// Judges the lane of a line. One that is new is kept, with what it stands on, before this returns.
pub(super) async fn judge(
    desk: &Desk,
    line: &ClaimLine,
    lane: LaneId,
    known: Option<LaneOpen>,
    claimant: &Claimant,
    now: UnixSeconds,
) -> Result<Judged, DeskError> {
    let is_new = known.is_none();
    let open = match (known, &line.lane_open) {
        (Some(open), _) => open,
        (None, None) => return Ok(Judged::Refused(ClaimRefusal::UnknownLane)),
        (None, Some(carried)) => match LaneOpen::from_bytes(&carried.0) {
            Ok(open) if open.identity() == lane => open,
            _ => return Ok(Judged::Refused(ClaimRefusal::Invalid)),
        },
    };
    let body = open.body();
    if body.payee != claimant.grid {
        return Ok(Judged::Refused(ClaimRefusal::Invalid));
    }
    let Some(terms) = terms_of(desk, line, body).await? else { return Ok(Judged::Refused(ClaimRefusal::NoTerms)) };
    if is_too_late(body.not_after, Some(terms.body().dispute), now) {
        return Ok(Judged::Refused(ClaimRefusal::TooLate));
    }
    if !is_new {
        return Ok(Judged::Books(Box::new(open)));
    }
    if let Some(why) = agreed(desk, &terms, body).await? {
        return Ok(Judged::Refused(why));
    }
    let Some(evidence) = priced(desk, line, body, claimant, now).await? else {
        return Ok(Judged::Refused(ClaimRefusal::WrongPrice));
    };
    desk.ledger().keep(&terms, now).await?;
    match evidence {
        Evidence::None => {}
        Evidence::Record(record) => drop(desk.ledger().keep(record.signed(), now).await?),
        Evidence::Deck(deck) => drop(desk.ledger().keep(&*deck, now).await?),
    }
    desk.ledger().open_lane(Part::Clearing, open.clone(), now).await?;
    Ok(Judged::Books(Box::new(open)))
}

/// The terms that the lane is under: those that were carried, or those that are kept.
async fn terms_of(desk: &Desk, line: &ClaimLine, lane: &LaneOpenBody) -> Result<Option<Terms>, DeskError> {
    let Some(identity) = lane.terms else { return Ok(None) };
    let bytes = match &line.terms {
        Some(carried) => carried.0.to_vec(),
        None => match paper(desk, identity, ObjectType::Terms).await? {
            Some(bytes) => bytes,
            None => return Ok(None),
        },
    };
    let terms = Terms::from_bytes(&bytes).ok().filter(|terms| terms.identity() == identity);
    Ok(terms.filter(|terms| {
        let body = terms.body();
        let (payer, clears) = (body.payer.key(), body.clearing.unwrap_or(body.payee));
        (*payer, body.payee, body.asset, clears) == (lane.payer, lane.payee, lane.asset, desk.grid())
    }))
}

/// Whether both sides may have agreed to the terms and to the lane; why not, if not.
async fn agreed(desk: &Desk, terms: &Terms, lane: &LaneOpenBody) -> Result<Option<ClaimRefusal>, DeskError> {
    let body = terms.body();
    if !(body.not_before..body.not_after).contains(&lane.opened_at) || ended(desk, terms, lane.opened_at).await? {
        return Ok(Some(ClaimRefusal::NoTerms));
    }
    for (grid, key) in [(&body.payer, &body.payer_key), (&body.payee, &body.payee_key)] {
        let may = |record: &GridRecord| may_agree(record, key, body.asset, body.credit_limit);
        if !desk.grants(grid, may).await? {
            return Ok(Some(ClaimRefusal::NoTerms));
        }
    }
    for (grid, key, role) in
        [(&body.payer, &lane.payer_key, Roles::SPEND), (&body.payee, &lane.payee_key, Roles::SERVE)]
    {
        if !desk.grants(grid, |record| may_sign(record, key, role)).await? {
            return Ok(Some(ClaimRefusal::Invalid));
        }
    }
    Ok(None)
}

/// Whether one of the two has ended the terms by this time.
async fn ended(desk: &Desk, terms: &Terms, at: UnixSeconds) -> Result<bool, DeskError> {
    let TermsBody { payer, payee, .. } = terms.body();
    for issuer in [payer, payee] {
        let papers = desk.ledger().papers_of(ObjectType::Revoke, Some(issuer.as_bytes()), None).await?;
        let revokes = papers.iter().filter_map(|(_, _, bytes)| Revoke::from_bytes(bytes).ok());
        let counts = |revoke: &Revoke| {
            let body = revoke.body();
            (body.kind, body.target) == (Revoked::Terms, terms.identity()) && body.time <= at
        };
        if revokes.into_iter().any(|revoke| counts(&revoke)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What gives a lane its price.
enum Evidence {
    /// Nothing costs nothing.
    None,
    Record(Box<GridRecord>),
    Deck(Box<Deck>),
}

/// What gives the lane its price; nothing where that is another price, or where a cheaper promise binds.
async fn priced(
    desk: &Desk,
    line: &ClaimLine,
    lane: &LaneOpenBody,
    claimant: &Claimant,
    now: UnixSeconds,
) -> Result<Option<Evidence>, DeskError> {
    let Some(identity) = lane.evidence else { return Ok((lane.price.0 == 0).then_some(Evidence::None)) };
    let records = claimant.records(desk, now).await?;
    let at = lane.opened_at;
    // What was promised by then binds, whatever the payer has signed since, and whatever was promised later.
    let promised: Vec<GridRecord> =
        records.iter().filter(|record| record.signed().issued_at() <= at).cloned().collect();
    let most = binding_price(lane.asset, None, &promised, at);
    if most.is_some_and(|most| lane.price > most) {
        return Ok(None);
    }
    let carried = match &line.evidence {
        Some(carried) => Some(carried.0.to_vec()),
        None => desk.ledger().papers(&[identity]).await?.into_iter().next().map(|(_, _, bytes)| bytes),
    };
    let record = match &carried {
        Some(bytes) => GridRecord::from_bytes(bytes, &lane.payee).ok(),
        None => records.iter().find(|record| record.signed().identity() == identity).cloned(),
    };
    if let Some(record) = record.filter(|record| record.signed().identity() == identity) {
        let price = binding_price(lane.asset, Some(&record), &[], at);
        return Ok((price == Some(lane.price)).then(|| Evidence::Record(Box::new(record))));
    }
    let Some(deck) = carried.and_then(|bytes| Deck::from_bytes(&bytes).ok()) else { return Ok(None) };
    let body = deck.body();
    let gives = deck.identity() == identity
        && body.seller == lane.payee
        && body.audience.is_none_or(|audience| audience == lane.payer)
        && body.destination.is_none_or(|destination| destination == lane.destination())
        && (body.asset, body.price) == (lane.asset, lane.price)
        && (body.not_before..body.not_after).contains(&at)
        && may_sign(&desk.record(&lane.payee).await?.record, &body.signer, Roles::SERVE);
    Ok(gives.then(|| Evidence::Deck(Box::new(deck))))
}

/// The bytes of a paper that is kept.
async fn paper(desk: &Desk, identity: Identity, kind: ObjectType) -> Result<Option<Vec<u8>>, DeskError> {
    let papers = desk.ledger().papers(&[identity]).await?;
    Ok(papers.into_iter().find(|(_, name, _)| name == kind.name()).map(|(_, _, bytes)| bytes))
}
