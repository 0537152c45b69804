//! Debts that end: payments, nettings, and the positions in which a clearing node tells two grids of both.

use crate::keys::{GridId, PublicKey};
use crate::ledger::entries::{Account, Booking, Subject, book};
use crate::ledger::error::LedgerError;
use crate::ledger::known::Known;
use crate::ledger::paper::{Kept, Paper, keep, papers};
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::ledger::vouchers::asset;
use crate::netting::{Debt, Proposal};
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::wire::{MAX_POSITION_LINES, Party, Payment, Position, PositionLine, SettledBy, Settlement};
use crate::units::{Bytes, MinorUnits, UnixSeconds};

/// What has been booked for two grids since their last position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unposted {
    /// Lanes booked further, at most as many as a position holds.
    pub lanes: Vec<PositionLine>,
    /// What was paid or netted, likewise.
    pub settled: Vec<Settlement>,
}

/// Books a payment once, however often it is told of.
pub(super) async fn pay(
    sql: &mut Sql<'_>,
    part: Part,
    payment: &Payment,
    at: UnixSeconds,
) -> Result<Kept, LedgerError> {
    let body = payment.body();
    let subject = Subject::Payment(payment.identity().0);
    if is_booked(sql, subject, part).await? {
        return Ok(Kept::Already);
    }
    keep(sql, &Paper::from(payment), at).await?;
    let (debtor, creditor) = (*body.debtor.key(), *body.creditor.key());
    let entries = Booking::payment(part, debtor, creditor, body.asset, body.amount);
    book(sql, &[Booking { subject, part, at, entries, is_there: false }], &mut Known::default()).await?;
    let settled = Debt { asset: body.asset, debtor: body.debtor, creditor: body.creditor, amount: body.amount };
    note_settled(sql, part, SettledBy::Payment, payment.identity().0, &[settled], at).await?;
    Ok(Kept::New)
}

/// Books a netting once. `us` is the grid whose books these are; none in a clearing node's, which book it for all.
pub(super) async fn net(
    sql: &mut Sql<'_>,
    us: Option<GridId>,
    netting: &Proposal,
    at: UnixSeconds,
) -> Result<Kept, LedgerError> {
    let part = if us.is_some() { Part::Payer } else { Part::Clearing };
    let subject = Subject::Netting(netting.hash());
    if is_booked(sql, subject, part).await? {
        return Ok(Kept::Already);
    }
    let text = "INSERT INTO netting (netting, part, us, bytes) VALUES ($1, $2, $3, $4)";
    let query = sqlx::query(text)
        .bind(netting.hash().to_vec())
        .bind(part.number())
        .bind(us.map(|us| us.as_bytes().to_vec()).unwrap_or_default())
        .bind(netting.to_bytes());
    sql.run(query).await?;
    let (mut ended, arisen) = (ours(us, netting.replaced()), ours(us, netting.transfers()));
    let entries = netting_entries(us, netting);
    // A debt that arises is one of the other direction that is settled: so two grids' totals only ever grow.
    let turned = |debt: &Debt| Debt { debtor: debt.creditor, creditor: debt.debtor, ..*debt };
    book(sql, &[Booking { subject, part, at, entries, is_there: false }], &mut Known::default()).await?;
    ended.extend(arisen.iter().map(turned));
    ended.sort_unstable();
    // Of one pair and direction there is one row, whatever it is made of.
    let mut merged: Vec<Debt> = Vec::with_capacity(ended.len());
    for debt in ended {
        match merged
            .last_mut()
            .filter(|last| (last.asset, last.debtor, last.creditor) == (debt.asset, debt.debtor, debt.creditor))
        {
            Some(last) => last.amount = MinorUnits(last.amount.0.saturating_add(debt.amount.0)),
            None => merged.push(debt),
        }
    }
    note_settled(sql, part, SettledBy::Netting, netting.hash(), &merged, at).await?;
    Ok(Kept::New)
}

/// Those that `us` is a party of; all of them in a clearing node's books.
fn ours(us: Option<GridId>, debts: &[Debt]) -> Vec<Debt> {
    debts.iter().filter(|debt| us.is_none_or(|us| us == debt.debtor || us == debt.creditor)).copied().collect()
}

/// The entries of a netting: each debt that ends, and each that arises the other way round.
pub(super) fn netting_entries(us: Option<GridId>, netting: &Proposal) -> Vec<(Account, Asset, i128)> {
    let ended = ours(us, netting.replaced()).into_iter().flat_map(|debt| end(us, &debt));
    let arisen = ours(us, netting.transfers()).into_iter().flat_map(|debt| end(us, &debt));
    ended.chain(arisen.map(|(account, asset, amount)| (account, asset, -amount))).collect()
}

fn end(us: Option<GridId>, debt: &Debt) -> Vec<(Account, Asset, i128)> {
    let (debtor, creditor, amount) = (*debt.debtor.key(), *debt.creditor.key(), i128::from(debt.amount.0));
    let (more, less) = match us {
        None => (Account::IsOwed(creditor, debtor), Account::Owes(debtor, creditor)),
        Some(us) if us == debt.debtor => (Account::OwedTo(creditor), Account::Netted),
        Some(_) => (Account::Netted, Account::OwedBy(debtor)),
    };
    vec![(more, debt.asset, amount), (less, debt.asset, -amount)]
}

async fn is_booked(sql: &mut Sql<'_>, subject: Subject, part: Part) -> Result<bool, LedgerError> {
    let text = "SELECT 1 FROM booking WHERE kind = $1 AND subject = $2 AND part = $3";
    let query = sqlx::query(text).bind(subject.kind()).bind(subject.key().to_vec()).bind(part.number());
    Ok(!sql.rows(query).await?.is_empty())
}

const fn name(by: SettledBy) -> &'static str {
    match by {
        SettledBy::Payment => "payment",
        SettledBy::Netting => "netting",
    }
}

async fn note_settled(
    sql: &mut Sql<'_>,
    part: Part,
    by: SettledBy,
    proof: [u8; 32],
    settled: &[Debt],
    at: UnixSeconds,
) -> Result<(), LedgerError> {
    let mut rows = Vec::with_capacity(settled.len());
    for debt in settled {
        rows.push(vec![
            Value::Bytes(proof.to_vec()),
            Value::Bytes(debt.debtor.as_bytes().to_vec()),
            Value::Bytes(debt.creditor.as_bytes().to_vec()),
            Value::Text(debt.asset.code().to_owned()),
            Value::Int(part.number()),
            Value::Text(name(by).to_owned()),
            Value::Int(column("what is settled", debt.amount.0)?),
            Value::Int(column("a time", at.0)?),
            Value::Bytes(Vec::new()),
        ]);
    }
    let head = "INSERT INTO settlement (proof, debtor, creditor, asset, part, kind, amount, at, posted)";
    sql.write(head, "ON CONFLICT DO NOTHING", &rows).await
}

/// What a clearing node has booked for two grids, `first` the one whose key is smaller, and not told them yet.
pub(super) async fn unposted(
    sql: &mut Sql<'_>,
    first: GridId,
    second: GridId,
    asset: Asset,
) -> Result<Unposted, LedgerError> {
    let party = |debtor: &[u8; 32]| if debtor == first.as_bytes() { Party::First } else { Party::Second };
    let text = "SELECT lane.lane, payer, COALESCE(posted.cum_bytes, 0), voucher.cum_bytes, COALESCE(posted.cum_amount, 0), \
                voucher.cum_amount FROM lane JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                LEFT JOIN posted ON posted.lane = lane.lane WHERE lane.part = 2 AND asset = $3 \
                AND ((payer = $1 AND payee = $2) OR (payer = $2 AND payee = $1)) \
                AND voucher.cum_bytes > COALESCE(posted.cum_bytes, 0) ORDER BY lane.lane LIMIT $4";
    let limit = i64::try_from(MAX_POSITION_LINES).unwrap_or(i64::MAX);
    let bound = |text: &'static str| {
        sqlx::query(text)
            .bind(first.as_bytes().to_vec())
            .bind(second.as_bytes().to_vec())
            .bind(asset.code())
            .bind(limit)
    };
    let mut found = Unposted::default();
    for row in sql.rows(bound(text)).await? {
        let columns = Columns { table: "lane", row: &row };
        found.lanes.push(PositionLine {
            lane: Identity(columns.key(0)?),
            debtor: party(&columns.key(1)?),
            from_bytes: Bytes(columns.count(2)?),
            to_bytes: Bytes(columns.count(3)?),
            from_amount: MinorUnits(columns.count(4)?),
            to_amount: MinorUnits(columns.count(5)?),
        });
    }
    let text = "SELECT proof, debtor, kind, amount FROM settlement WHERE part = 2 AND asset = $3 AND length(posted) = 0 \
                AND ((debtor = $1 AND creditor = $2) OR (debtor = $2 AND creditor = $1)) ORDER BY at, proof, debtor LIMIT $4";
    for row in sql.rows(bound(text)).await? {
        let columns = Columns { table: "settlement", row: &row };
        found.settled.push(Settlement {
            by: if columns.text(2)? == name(SettledBy::Payment) { SettledBy::Payment } else { SettledBy::Netting },
            proof: Identity(columns.key(0)?),
            debtor: party(&columns.key(1)?),
            amount: MinorUnits(columns.count(3)?),
        });
    }
    Ok(found)
}

/// The last position of two grids.
pub(super) async fn last_position(
    sql: &mut Sql<'_>,
    clearing: GridId,
    first: GridId,
    second: GridId,
    asset: Asset,
) -> Result<Option<Position>, LedgerError> {
    let text = "SELECT identity FROM position WHERE clearing = $1 AND first = $2 AND second = $3 AND asset = $4 \
                ORDER BY number DESC LIMIT 1";
    let query = sqlx::query(text)
        .bind(clearing.as_bytes().to_vec())
        .bind(first.as_bytes().to_vec())
        .bind(second.as_bytes().to_vec())
        .bind(asset.code());
    let rows = sql.rows(query).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let identity = Identity(Columns { table: "position", row }.key(0)?);
    let damaged = |what: String| LedgerError::Damaged { table: "paper", row: identity.to_string(), what };
    let found = papers(sql, &[identity]).await?;
    let (_, _, bytes) = found.first().ok_or_else(|| damaged("it is missing".to_owned()))?;
    Position::from_bytes(bytes).map(Some).map_err(|error| damaged(error.to_string()))
}

/// Keeps a position as the next of its chain, and notes what it has told of.
pub(super) async fn post(sql: &mut Sql<'_>, position: &Position, at: UnixSeconds) -> Result<Kept, LedgerError> {
    let body = position.body();
    let differs = |what: &'static str| LedgerError::Differs { what, identity: position.identity().to_string() };
    let text = "INSERT INTO position (clearing, first, second, asset, number, identity) VALUES ($1, $2, $3, $4, $5, $6) \
                ON CONFLICT DO NOTHING";
    let last = last_position(sql, body.clearing, body.first, body.second, body.asset).await?;
    let query = sqlx::query(text)
        .bind(body.clearing.as_bytes().to_vec())
        .bind(body.first.as_bytes().to_vec())
        .bind(body.second.as_bytes().to_vec())
        .bind(body.asset.code())
        .bind(column("a position's number", body.number)?)
        .bind(position.identity().0.to_vec());
    if keep(sql, &Paper::from(position), at).await? == Kept::Already {
        return Ok(Kept::Already);
    }
    body.follows(last.as_ref()).map_err(|_| differs("a position that does not follow the last one,"))?;
    if sql.run(query).await? == 0 {
        return Err(differs("another position in the place of"));
    }
    let mut rows = Vec::with_capacity(body.lanes.len());
    for line in &body.lanes {
        rows.push(vec![
            Value::Bytes(line.lane.0.to_vec()),
            Value::Int(column("octets of a lane", line.to_bytes.0)?),
            Value::Int(column("the charge of a lane", line.to_amount.0)?),
        ]);
    }
    let replace = "ON CONFLICT (lane) DO UPDATE SET cum_bytes = excluded.cum_bytes, cum_amount = excluded.cum_amount";
    sql.write("INSERT INTO posted (lane, cum_bytes, cum_amount)", replace, &rows).await?;
    for line in &body.settled {
        let (debtor, creditor) = match line.debtor {
            Party::First => (body.first, body.second),
            Party::Second => (body.second, body.first),
        };
        let text =
            "UPDATE settlement SET posted = $1 WHERE proof = $2 AND debtor = $3 AND creditor = $4 AND asset = $5";
        let query = sqlx::query(text)
            .bind(position.identity().0.to_vec())
            .bind(line.proof.0.to_vec())
            .bind(debtor.as_bytes().to_vec())
            .bind(creditor.as_bytes().to_vec())
            .bind(body.asset.code());
        sql.run(query).await?;
    }
    Ok(Kept::New)
}

/// What each account stands at, in the order of account and asset.
pub(super) async fn balances(sql: &mut Sql<'_>) -> Result<Vec<(String, Asset, i64)>, LedgerError> {
    let rows = sql.rows(sqlx::query("SELECT account, asset, amount FROM balance ORDER BY account, asset")).await?;
    let mut balances = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns { table: "balance", row };
        balances.push((columns.text(0)?, asset(&columns, 1)?, columns.int(2)?));
    }
    Ok(balances)
}

/// What `debtor` owes `creditor` by these books.
pub(super) async fn owed(
    sql: &mut Sql<'_>,
    part: Part,
    debtor: PublicKey,
    creditor: PublicKey,
    asset: Asset,
) -> Result<i128, LedgerError> {
    let (account, sign) = match part {
        Part::Payer => (Account::OwedTo(creditor), -1),
        Part::Payee => (Account::OwedBy(debtor), 1),
        Part::Clearing => (Account::Owes(debtor, creditor), 1),
    };
    let query = sqlx::query("SELECT amount FROM balance WHERE account = $1 AND asset = $2");
    let rows = sql.rows(query.bind(account.to_string()).bind(asset.code())).await?;
    let amount = rows.first().map(|row| Columns { table: "balance", row }.int(0)).transpose()?;
    Ok(sign * i128::from(amount.unwrap_or(0)))
}
