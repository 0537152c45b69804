//! What can be done to the books. Each act is one transaction, alone or with others; each is harmless when repeated.

use crate::keys::{GridId, PublicKey};
use crate::ledger::disputes::{Closed, NewDispute, close, dispute};
use crate::ledger::error::LedgerError;
use crate::ledger::known::Known;
use crate::ledger::lanes::{WrittenOff, at_rest, open_lane, told, write_off};
use crate::ledger::paper::{Kept, Paper, keep};
use crate::ledger::part::Part;
use crate::ledger::settling::{net, pay, post};
use crate::ledger::sql::Sql;
use crate::ledger::under_way::say_under_way;
use crate::ledger::usage::{UsageLine, forget_files};
use crate::ledger::vouchers::{Booked, NewVoucher, book_vouchers, note_sent};
use crate::netting::Proposal;
use crate::tariff::wire::{LaneId, LaneOpen, Payment, Position};
use crate::units::{Bytes, UnixSeconds};

/// An act that was verified where it came in.
#[derive(Debug)]
pub(super) enum Act {
    Lane { part: Part, lane: Box<LaneOpen>, at: UnixSeconds },
    Voucher(NewVoucher),
    Sent { lane: LaneId, bytes: Bytes },
    AtRest { lane: LaneId, bytes: Bytes },
    WriteOff(WrittenOff),
    Told { lanes: Vec<LaneId> },
    Paper { paper: Paper, at: UnixSeconds },
    Payment { part: Part, payment: Payment, at: UnixSeconds },
    Netting { us: Option<GridId>, netting: Proposal, at: UnixSeconds },
    Position { position: Position, at: UnixSeconds },
    Dispute { found: Box<NewDispute>, at: UnixSeconds },
    CloseDispute { lane: LaneId, closed: Closed },
    ForgetFiles { before: UnixSeconds },
    UnderWay { gateway: PublicKey, lines: Vec<UsageLine>, at: UnixSeconds },
}

impl Act {
    /// Why it was not done, where it was alone: of a sum that would be too large the database says neither what for nor what next.
    pub(super) fn told(&self, error: LedgerError) -> LedgerError {
        let LedgerError::Beyond { location, .. } = error else { return error };
        let (what, next) = match self {
            Self::Voucher(new) => (
                format!("a voucher of lane {}", new.voucher.body().lane),
                "have what is owed paid, and record that with `clearinghouse statement paid`",
            ),
            Self::Payment { payment, .. } => (
                format!("a payment of {} to {}", payment.body().debtor, payment.body().creditor),
                "look at its amount, and at what was recorded before: that much is not owed",
            ),
            Self::Netting { .. } => ("a netting".to_owned(), "have some of its debts paid, and propose it anew"),
            _ => {
                ("what was to be noted".to_owned(), "`clearinghouse ledger verify` says whether these books are sound")
            }
        };
        LedgerError::Beyond { what, location, next }
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) enum Done {
    Kept(Kept),
    Booked(Booked),
    Elsewhere(Vec<UsageLine>),
    Noted,
}

pub(super) type Answer = Result<Done, LedgerError>;

/// Does all of them within the transaction that `sql` is in. The outer error undoes them all; an inner one is that act's own,
/// which then changed nothing. `known` is what the writer knows of the books, if nobody else writes them.
pub(super) async fn perform(sql: &mut Sql<'_>, acts: &[Act], known: &mut Known) -> Result<Vec<Answer>, LedgerError> {
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(acts.len());
    for act in acts {
        answers.push(match act {
            Act::Voucher(_) | Act::Sent { .. } => None,
            other => Some(Ok(one(sql, other).await?)),
        });
    }
    // Nobody sends a voucher before its lane is acknowledged: what was done first makes no difference to these. That a lane is at
    // rest is said before more is sent on it.
    let sent: Vec<_> = acts
        .iter()
        .filter_map(|act| if let Act::Sent { lane, bytes } = act { Some((*lane, *bytes)) } else { None })
        .collect();
    note_sent(sql, &sent).await?;
    let vouchers: Vec<_> =
        acts.iter().filter_map(|act| if let Act::Voucher(new) = act { Some(new) } else { None }).collect();
    let mut booked = book_vouchers(sql, &vouchers, known).await?.into_iter();
    Ok(acts
        .iter()
        .zip(answers)
        .map(|(act, answer)| match (act, answer) {
            (_, Some(answer)) => answer,
            (Act::Voucher(_), None) => booked.next().unwrap_or(Err(LedgerError::Closed)).map(Done::Booked),
            (_, None) => Ok(Done::Noted),
        })
        .collect())
}

async fn one(sql: &mut Sql<'_>, act: &Act) -> Answer {
    Ok(match act {
        Act::Lane { part, lane, at } => Done::Kept(open_lane(sql, *part, lane, *at).await?),
        Act::AtRest { lane, bytes } => {
            at_rest(sql, *lane, *bytes).await?;
            Done::Noted
        }
        Act::WriteOff(written_off) => {
            write_off(sql, written_off).await?;
            Done::Noted
        }
        Act::Told { lanes } => {
            told(sql, lanes).await?;
            Done::Noted
        }
        Act::Paper { paper, at } => Done::Kept(keep(sql, paper, *at).await?),
        Act::Payment { part, payment, at } => Done::Kept(pay(sql, *part, payment, *at).await?),
        Act::Netting { us, netting, at } => Done::Kept(net(sql, *us, netting, *at).await?),
        Act::Position { position, at } => Done::Kept(post(sql, position, *at).await?),
        Act::Dispute { found, at } => Done::Kept(dispute(sql, found, *at).await?),
        Act::CloseDispute { lane, closed } => Done::Kept(close(sql, *lane, closed).await?),
        Act::ForgetFiles { before } => {
            forget_files(sql, *before).await?;
            Done::Noted
        }
        Act::UnderWay { gateway, lines, at } => Done::Elsewhere(say_under_way(sql, gateway, lines, *at).await?),
        Act::Voucher(_) | Act::Sent { .. } => Done::Noted,
    })
}
